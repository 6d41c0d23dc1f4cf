//! Where this machine keeps its part of the VPN. Everything here blocks.

use std::fs::File;
use std::path::PathBuf;

use jiff::Timestamp;
use lab_common::{Home, Lab, lost_file};
use lab_plan::Problem;

use crate::judge::{is_complete, is_fresh_server};
use crate::pki::{Certificate, Issued, RevocationList, Store, Wanted, authority_name, server_name};

/// The lab's directory on this machine, and the names of what is made there.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) home: Home,
    pub(crate) store: Store,
    /// The directory of an authority to take over.
    pub(crate) ca_dir: Option<PathBuf>,
    /// The common name of an authority of our own.
    pub(crate) authority: String,
    /// The server's name.
    pub(crate) server: String,
}

impl Files {
    /// Those of `lab`. Nothing is created yet.
    ///
    /// # Errors
    /// When this machine has no place for them.
    pub(crate) fn of(lab: &Lab, ca_dir: Option<PathBuf>) -> Result<Self, Problem> {
        let home = Home::of(lab)?;
        let (authority, server) = (authority_name(lab), server_name(lab));
        Ok(Self { store: Store::at(&home), home, ca_dir, authority, server })
    }

    /// Does blocking work on a thread of its own.
    pub(crate) async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let files = self.clone();
        match tokio::task::spawn_blocking(move || work(&files)).await {
            Ok(answer) => answer,
            Err(error) => Err(Problem::failed("making keys and certificates broke off: an error of this program")
                .because(error.to_string())
                .fix("run the same command again, and report it: nothing of it is lost")),
        }
    }

    /// Makes the authority, or takes over the one that was named; and a server certificate beside it, whose key takes
    /// no longer than the authority's.
    pub(crate) fn make_authority(&self) -> Result<(), Problem> {
        if let Some(directory) = &self.ca_dir {
            self.store.adopt(directory)?;
        }
        self.make(Some(&self.server), &[])
    }

    /// Waits until no other run on this machine imports a certificate.
    pub(crate) fn lock_import(&self) -> Result<File, Problem> {
        self.home.lock()
    }

    /// The authority and a server certificate that serves for long.
    pub(crate) fn prepare_server(&self) -> Result<(Certificate, Issued), Problem> {
        self.make(Some(&self.server), &[])?;
        let found = self.store.server()?.ok_or_else(|| self.came_and_went("the server's certificate"))?;
        let authority = self.store.authority()?.ok_or_else(|| self.came_and_went("the authority"))?.certificate;
        let fresh = is_fresh_server(&found.certificate, &authority, &self.server, Timestamp::now());
        let server = if fresh { found } else { self.store.renew_server(&self.server)? };
        Ok((authority, server))
    }

    /// Makes the certificates of those clients that have none; where there is no authority yet that one too, with the
    /// server's certificate, whose key takes no time beside the others.
    pub(crate) fn make_clients(&self, clients: &[String]) -> Result<(), Problem> {
        let server = if self.store.authority()?.is_some() { None } else { Some(self.server.as_str()) };
        self.make(server, clients)
    }

    /// A list of everything that is known to be revoked, which is valid for long.
    pub(crate) fn prepare_list(&self, exported: Option<&RevocationList>) -> Result<RevocationList, Problem> {
        let (found, clients) = (self.store.crl()?, self.store.clients()?);
        match found.filter(|list| is_complete(list, &clients, exported, Timestamp::now())) {
            Some(list) => Ok(list),
            None => self.store.renew_crl(exported),
        }
    }

    fn make(&self, server: Option<&str>, clients: &[String]) -> Result<(), Problem> {
        let wanted = Wanted { authority: &self.authority, server, clients };
        self.store.make(&wanted).map(|_| ())
    }

    fn came_and_went(&self, what: &str) -> Problem {
        lost_file(format!("{what} in {}", self.store.path().display()))
    }
}
