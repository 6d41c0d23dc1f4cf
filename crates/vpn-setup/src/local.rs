//! What this machine has of the VPN: the authority, certificates, keys and `.ovpn` files. It blocks, and calls nobody.

use std::collections::BTreeMap;
use std::path::Path;

use lab_common::Home;
use lab_plan::Problem;

use crate::pki::{Authority, Certificate, Client, Offer, RevocationList, Store};
use crate::profile::{Profile, Remote};

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Local {
    /// The authority's certificate.
    pub(crate) authority: Option<Certificate>,
    /// Whether its key is here too, so that it can sign.
    pub(crate) can_sign: bool,
    /// What `--ca-dir` names and is not here, until it has been taken over.
    pub(crate) offered: Option<Offer>,
    /// The server's certificate.
    pub(crate) server: Option<Certificate>,
    /// The clients' certificates, revoked ones too.
    pub(crate) clients: Vec<Client>,
    /// The list of revoked clients, where one was ever made.
    pub(crate) list: Option<RevocationList>,
    /// The `.ovpn` files of clients, by client.
    pub(crate) configurations: BTreeMap<String, Configuration>,
}

/// What of an `.ovpn` file is worth comparing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Configuration {
    /// Where it connects to.
    pub(crate) remote: Option<Remote>,
    /// The client's certificate in it.
    pub(crate) certificate: Option<Certificate>,
    /// Whether this run wrote it.
    pub(crate) just_written: bool,
}

/// Reads what there is. `wanted` are the clients of lab.toml, `ca_dir` is the directory of an authority to take over.
///
/// # Errors
/// When something cannot be read, does not belong together, or is nothing that Client VPN takes.
pub(crate) fn observe(home: &Home, wanted: &[String], ca_dir: Option<&Path>) -> Result<Local, Problem> {
    let store = Store::at(home);
    let authority = store.authority()?;
    let offered = ca_dir.map(|directory| store.examine(directory)).transpose()?.flatten();
    let clients = store.clients()?;
    let mut configurations = BTreeMap::new();
    for name in wanted.iter().chain(clients.iter().map(|client| &client.name)) {
        if let Some(profile) = Profile::find(home, name)? {
            let (remote, certificate) = (profile.remote(), profile.certificate());
            configurations.insert(name.clone(), Configuration { remote, certificate, just_written: false });
        }
    }
    Ok(Local {
        can_sign: authority.as_ref().is_some_and(Authority::can_sign),
        authority: authority.map(|authority| authority.certificate),
        offered,
        server: store.server()?.map(|issued| issued.certificate),
        clients,
        list: store.crl()?,
        configurations,
    })
}

impl Local {
    /// The authority that signs from now on.
    pub(crate) fn signing_authority(&self) -> Option<&Certificate> {
        self.authority.as_ref().or(self.offered.as_ref().map(|offered| &offered.authority))
    }

    /// The certificate of a client that counts.
    pub(crate) fn client(&self, name: &str) -> Option<&Certificate> {
        self.clients.iter().find(|client| client.name == name && !client.revoked).map(|client| &client.certificate)
    }

    /// Whether a client's certificate comes along with the authority that is offered.
    pub(crate) fn is_offered(&self, name: &str) -> bool {
        self.offered.as_ref().is_some_and(|offered| offered.clients.iter().any(|client| client == name))
    }

    /// Whether a client had a certificate once and has none now.
    pub(crate) fn is_revoked(&self, name: &str) -> bool {
        self.client(name).is_none() && self.clients.iter().any(|client| client.name == name)
    }
}
