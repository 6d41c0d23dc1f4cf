//! The directory that holds the PKI.
//!
//! ```text
//! ca.crt                              private/ca.key
//! issued/server.crt                   private/server.key
//! issued/NAME.crt                     private/NAME.key
//! crl.pem
//! revoked/certs_by_serial/SERIAL.crt  revoked/private_by_serial/SERIAL.key
//! ```

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

use lab_common::{Home, Secret, Vpn};
use lab_plan::Problem;
use rcgen::{Issuer, KeyPair};

use super::authority::{check_authority, check_not_expired, make_issuer};
use super::key::{find_key, is_pair, read_key};
use super::{Authority, Certificate, RevocationList};

pub(super) const AUTHORITY: &str = "ca";
pub(super) const SERVER: &str = "server";
pub(super) const AUTHORITY_FILE: &str = "ca.crt";
pub(super) const LIST_FILE: &str = "crl.pem";
pub(super) const ISSUED: &str = "issued";
pub(super) const REVOKED: &str = "revoked/certs_by_serial";

/// The PKI of one lab on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// The directory.
    pub(super) home: Home,
}

/// A certificate with its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    /// `server`, or the client's name.
    pub(crate) name: String,
    /// The certificate.
    pub(crate) certificate: Certificate,
    /// Its private key as PEM.
    pub(crate) key: Secret,
    /// The CA that signed it, where this machine has its certificate.
    pub(crate) authority: Option<Certificate>,
}

/// A client certificate, revoked or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// The client's name.
    pub(crate) name: String,
    /// Its certificate.
    pub(crate) certificate: Certificate,
    /// Whether it counts no more.
    pub(crate) revoked: bool,
}

impl Store {
    /// The PKI in `home`. Nothing is created yet.
    pub(crate) fn at(home: &Home) -> Self {
        Self { home: home.inside("pki") }
    }

    /// The PKI in this very directory, such as easy-rsa's.
    pub(super) fn of(directory: &Home) -> Self {
        Self { home: directory.clone() }
    }

    /// Its directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.home.path("")
    }

    /// The CA, with or without its key.
    ///
    /// # Errors
    /// When it is none that Client VPN takes, or when key and certificate do not belong together.
    pub(crate) fn authority(&self) -> Result<Option<Authority>, Problem> {
        let Some(certificate) = self.find_certificate(AUTHORITY_FILE)? else { return Ok(None) };
        let place = self.show(AUTHORITY_FILE);
        check_authority(&place, &certificate)?;
        let issuer = match find_key(&self.home, &key_file(AUTHORITY))? {
            Some(key) => Some(make_issuer(&self.show(&key_file(AUTHORITY)), &key, &place, &certificate)?),
            None => None,
        };
        Ok(Some(Authority { certificate, issuer }))
    }

    /// The server's certificate and key, if it has been issued.
    ///
    /// # Errors
    /// When its key is missing or another's, or when another CA signed it.
    pub(crate) fn server(&self) -> Result<Option<Issued>, Problem> {
        self.find_issued(SERVER)
    }

    /// A client's certificate and key, if it has been issued and not revoked.
    ///
    /// # Errors
    /// When its key is missing or another's, or when another CA signed it.
    pub(crate) fn client(&self, name: &str) -> Result<Option<Issued>, Problem> {
        check_client_name(name)?;
        let Some(issued) = self.find_issued(name)? else { return Ok(None) };
        let revoked = self.crl()?.is_some_and(|list| list.has(&issued.certificate.serial));
        Ok((!revoked).then_some(issued))
    }

    /// Every client certificate there is, by name; the revoked ones of a name before its current one.
    ///
    /// # Errors
    /// When one cannot be read, or when another CA signed it.
    pub(crate) fn clients(&self) -> Result<Vec<Client>, Problem> {
        let Some(authority) = self.find_certificate(AUTHORITY_FILE)? else { return Ok(Vec::new()) };
        let list = self.crl()?;
        let mut clients = Vec::new();
        for (directory, moved) in [(REVOKED, true), (ISSUED, false)] {
            for stem in self.list_stems(directory)? {
                if stem == SERVER {
                    continue;
                }
                let file = format!("{directory}/{stem}.crt");
                let Some(certificate) = self.find_certificate(&file)? else { continue };
                self.check_signature(&file, &certificate, &authority)?;
                let revoked = moved || list.as_ref().is_some_and(|list| list.has(&certificate.serial));
                let name = if moved { certificate.common_name.clone() } else { stem };
                clients.push(Client { name, certificate, revoked });
            }
        }
        clients.sort_by(|a, b| {
            (&a.name, !a.revoked, &a.certificate.serial).cmp(&(&b.name, !b.revoked, &b.certificate.serial))
        });
        Ok(clients)
    }

    /// The local revocation list, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or when another CA signed it.
    pub(crate) fn crl(&self) -> Result<Option<RevocationList>, Problem> {
        let Some(text) = self.read(LIST_FILE)? else { return Ok(None) };
        let list = RevocationList::parse(&self.show(LIST_FILE), &text)?;
        if let Some(authority) = self.find_certificate(AUTHORITY_FILE)?
            && !list.is_signed_by(&authority)
        {
            return Err(self.explain_foreign(LIST_FILE, &authority));
        }
        Ok(Some(list))
    }

    /// Waits until no other process changes this directory, and removes what a killed one left half written.
    pub(super) fn lock(&self) -> Result<File, Problem> {
        let directory = self.home.lock()?;
        for kept in ["", "private", ISSUED] {
            self.home.inside(kept).sweep()?;
        }
        Ok(directory)
    }

    pub(super) fn find_certificate(&self, file: &str) -> Result<Option<Certificate>, Problem> {
        self.read(file)?.map(|text| Certificate::parse(&self.show(file), &text)).transpose()
    }

    pub(super) fn show(&self, file: &str) -> String {
        self.home.path(file).display().to_string()
    }

    fn read(&self, file: &str) -> Result<Option<String>, Problem> {
        match std::fs::read_to_string(self.home.path(file)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Problem::failed(format!("cannot read {}", self.show(file))).because(error.to_string())),
        }
    }

    /// The names of the certificates in a directory, sorted.
    pub(super) fn list_stems(&self, directory: &str) -> Result<Vec<String>, Problem> {
        let path = self.home.path(directory);
        let cannot = |error: std::io::Error| {
            Problem::failed(format!("cannot read {}", path.display())).because(error.to_string())
        };
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error)),
        };
        let mut stems = Vec::new();
        for entry in entries {
            let name = entry.map_err(cannot)?.file_name();
            stems.extend(name.to_str().and_then(|name| name.strip_suffix(".crt")).map(str::to_owned));
        }
        stems.sort();
        Ok(stems)
    }

    fn find_issued(&self, name: &str) -> Result<Option<Issued>, Problem> {
        let file = certificate_file(name);
        let Some(certificate) = self.find_certificate(&file)? else { return Ok(None) };
        let authority = self.find_certificate(AUTHORITY_FILE)?;
        if let Some(authority) = &authority {
            self.check_signature(&file, &certificate, authority)?;
        }
        let key_file = key_file(name);
        let Some(key) = find_key(&self.home, &key_file)? else {
            return Err(Problem::failed(format!("{} is missing", self.show(&key_file)))
                .because(format!("it is the private key of {}", self.show(&file)))
                .fix(format!("copy it from the machine where it was made, or {}", how_to_replace(name))));
        };
        if !is_pair(&certificate, &read_key(&self.show(&key_file), &key)?) {
            return Err(Problem::failed(format!("{} is not the key of {}", self.show(&key_file), self.show(&file)))
                .fix(format!("put the right key there, or {}", how_to_replace(name))));
        }
        Ok(Some(Issued { name: name.to_owned(), certificate, key, authority }))
    }

    pub(super) fn require_authority(&self) -> Result<Authority, Problem> {
        self.authority()?.ok_or_else(|| {
            Problem::failed(format!("there is no CA in {}", self.path().display()))
                .fix("vpn-setup up makes one; --ca-dir DIR takes an existing one")
        })
    }

    /// What signs, on the machine that has the key and while the CA is valid.
    pub(super) fn require_issuer<'a>(&self, authority: &'a Authority) -> Result<&'a Issuer<'static, KeyPair>, Problem> {
        let Some(issuer) = &authority.issuer else {
            return Err(Problem::failed(format!("{} is missing", self.show(&key_file(AUTHORITY))))
                .because(
                    "only the CA's key can issue or revoke certificates, and it is on the machine that made the CA",
                )
                .fix(
                    "do it there, or copy its pki directory here and name it: --ca-dir DIR.\n\
                     What is issued already works on: vpn-setup client show NAME, vpn-setup check, vpn-setup down",
                ));
        };
        check_not_expired(&self.show(AUTHORITY_FILE), &authority.certificate)?;
        Ok(issuer)
    }

    pub(super) fn check_signature(
        &self,
        file: &str,
        certificate: &Certificate,
        authority: &Certificate,
    ) -> Result<(), Problem> {
        if certificate.is_signed_by(authority) { Ok(()) } else { Err(self.explain_foreign(file, authority)) }
    }

    fn explain_foreign(&self, file: &str, authority: &Certificate) -> Problem {
        Problem::failed(format!("{} is of another CA", self.show(file)))
            .because(format!("\"{}\" in {} did not sign it", authority.common_name, self.show(AUTHORITY_FILE)))
            .fix("one CA serves the server and all clients: move this file away, or put its CA in place")
    }
}

pub(super) fn check_client_name(name: &str) -> Result<(), Problem> {
    if Vpn::is_client_name(name) {
        return Ok(());
    }
    Err(Problem::usage(format!("\"{}\" is no client name", name.escape_debug())).fix(Vpn::CLIENT_NAME))
}

pub(super) fn key_file(name: &str) -> String {
    format!("private/{name}.key")
}

pub(super) fn certificate_file(name: &str) -> String {
    format!("{ISSUED}/{name}.crt")
}

fn how_to_replace(name: &str) -> String {
    if name == SERVER {
        "move both away and run vpn-setup up, which makes new ones".to_owned()
    } else {
        format!("vpn-setup client revoke {name}, then vpn-setup client add {name}")
    }
}
