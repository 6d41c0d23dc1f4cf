//! Making what is missing: keys once, all at once, then certificates for them.

use jiff::Timestamp;
use lab_common::lost_file;
use lab_plan::Problem;
use rayon::prelude::*;
use rcgen::{Issuer, KeyPair};

use super::issue::{Role, issue_authority, issue_leaf};
use super::key::{find_key, generate_key, read_key};
use super::store::{AUTHORITY, AUTHORITY_FILE, ISSUED, SERVER, certificate_file, check_client_name, key_file};
use super::{Authority, Certificate, Issued, Store};

/// What is to exist in the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The CA's common name.
    pub(crate) authority: &'a str,
    /// The server's DNS name; `None` leaves the server alone.
    pub(crate) server: Option<&'a str>,
    /// The clients.
    pub(crate) clients: &'a [String],
}

/// A leaf that is to be issued.
struct Subject<'a> {
    role: Role,
    /// Its files' name.
    file: &'a str,
    common_name: &'a str,
}

impl Store {
    /// Makes what is missing of `wanted`, all keys at once on all cores, and answers the names of what it made: `ca`,
    /// `server`, then clients. What exists is left alone.
    ///
    /// # Errors
    /// When something cannot be made or written. What was made stays, and the next run makes the rest.
    pub(crate) fn make(&self, wanted: &Wanted<'_>) -> Result<Vec<String>, Problem> {
        wanted.clients.iter().try_for_each(|name| check_client_name(name))?;
        let _lock = self.lock()?;
        self.bury_revoked()?;
        let missing = self.find_missing(wanted)?;
        let (authority, keys, mut made) = match self.authority()? {
            Some(_) if missing.is_empty() => return Ok(Vec::new()),
            Some(authority) => {
                self.require_issuer(&authority)?;
                (authority, self.make_keys(&list_files(&missing))?, Vec::new())
            }
            None => {
                self.check_unclaimed()?;
                let files = [&[AUTHORITY], list_files(&missing).as_slice()].concat();
                let mut keys = self.make_keys(&files)?;
                let authority = self.write_authority(wanted.authority, &keys.remove(0))?;
                (authority, keys, vec![AUTHORITY.to_owned()])
            }
        };
        let issuer = self.require_issuer(&authority)?;
        let leaves: Vec<_> = missing
            .par_iter()
            .zip(keys.par_iter())
            .map(|(subject, key)| self.issue(subject, key, &authority.certificate, issuer))
            .collect();
        made.extend(leaves.into_iter().collect::<Result<Vec<_>, _>>()?);
        Ok(made)
    }

    /// A new server certificate for the same key and this name, in place of the old one.
    ///
    /// # Errors
    /// When the CA's key is not here, or the file cannot be written.
    pub(crate) fn renew_server(&self, name: &str) -> Result<Issued, Problem> {
        let _lock = self.lock()?;
        let authority = self.require_authority()?;
        let issuer = self.require_issuer(&authority)?;
        let key = self.make_keys(&[SERVER])?.remove(0);
        let now = Timestamp::now();
        let certificate = issue_leaf(Role::Server, name, &key, &authority.certificate, issuer, now)?;
        self.home.replace(&certificate_file(SERVER), &certificate.pem)?;
        self.server()?.ok_or_else(|| lost_file(self.show(&certificate_file(SERVER))))
    }

    fn find_missing<'a>(&self, wanted: &Wanted<'a>) -> Result<Vec<Subject<'a>>, Problem> {
        let server = wanted.server.map(|name| Subject { role: Role::Server, file: SERVER, common_name: name });
        let clients = wanted.clients.iter().map(|name| Subject { role: Role::Client, file: name, common_name: name });
        let mut missing: Vec<Subject<'a>> = Vec::new();
        for subject in server.into_iter().chain(clients) {
            let known = missing.iter().any(|earlier| earlier.file == subject.file);
            if !known && self.find_certificate(&certificate_file(subject.file))?.is_none() {
                missing.push(subject);
            }
        }
        Ok(missing)
    }

    /// The keys of these names, each made once and then kept.
    fn make_keys(&self, names: &[&str]) -> Result<Vec<KeyPair>, Problem> {
        let keys: Vec<_> = names
            .par_iter()
            .map(|name| {
                let file = key_file(name);
                let key = match find_key(&self.home, &file)? {
                    Some(key) => key,
                    None => self.home.secret(&file, generate_key)?,
                };
                read_key(&self.show(&file), &key)
            })
            .collect();
        keys.into_iter().collect()
    }

    fn write_authority(&self, name: &str, key: &KeyPair) -> Result<Authority, Problem> {
        let certificate = issue_authority(name, key, Timestamp::now())?;
        for stem in self.list_stems(ISSUED)? {
            let file = certificate_file(&stem);
            if let Some(issued) = self.find_certificate(&file)? {
                self.check_signature(&file, &issued, &certificate)?;
            }
        }
        self.home.write_once(AUTHORITY_FILE, &certificate.pem)?;
        self.authority()?.ok_or_else(|| lost_file(self.show(AUTHORITY_FILE)))
    }

    fn issue(
        &self,
        subject: &Subject<'_>,
        key: &KeyPair,
        authority: &Certificate,
        issuer: &Issuer<'_, KeyPair>,
    ) -> Result<String, Problem> {
        let certificate = issue_leaf(subject.role, subject.common_name, key, authority, issuer, Timestamp::now())?;
        self.home.write_once(&certificate_file(subject.file), &certificate.pem)?;
        Ok(subject.file.to_owned())
    }

    /// Without a CA's key and certificate, certificates that are here are of a CA that is lost: a new one would not
    /// fit them.
    fn check_unclaimed(&self) -> Result<(), Problem> {
        let issued = self.list_stems(ISSUED)?;
        let Some(first) = issued.first() else { return Ok(()) };
        if find_key(&self.home, &key_file(AUTHORITY))?.is_some() {
            return Ok(());
        }
        Err(Problem::failed(format!("{} is missing", self.show(AUTHORITY_FILE)))
            .because(format!("certificates of that CA are here, such as {}", self.show(&certificate_file(first))))
            .fix("restore it, name the directory it is in with --ca-dir DIR, or move the pki directory away"))
    }
}

fn list_files<'a>(subjects: &[Subject<'a>]) -> Vec<&'a str> {
    subjects.iter().map(|subject| subject.file).collect()
}
