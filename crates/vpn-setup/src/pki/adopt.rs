//! Taking an existing CA: easy-rsa's `pki/`, or another machine's.

use std::path::Path;

use lab_common::{Home, Secret};
use lab_plan::Problem;

use super::authority::{check_authority, check_not_expired, make_issuer};
use super::key::find_key;
use super::store::key_file;
use super::{Certificate, RevocationList, Serial, Store};

impl Store {
    /// Copies certificate and key of the CA in `directory` (`ca.crt`, `private/ca.key`), with the revocations it knows
    /// of (`crl.pem`), into this directory. Where they are already, nothing is done.
    ///
    /// # Errors
    /// When that CA is none that Client VPN takes, when its key is missing, encrypted or readable by others, or when
    /// another CA is here.
    pub(crate) fn adopt(&self, directory: &Path) -> Result<(), Problem> {
        let (certificate, key) = read_authority(directory)?;
        let place = Home::at(directory).path("ca.crt").display().to_string();
        let _lock = self.lock()?;
        if let Some(own) = self.find_certificate("ca.crt")?.filter(|own| own.pem != certificate.pem) {
            return Err(Problem::failed(format!("another CA is here already: \"{}\"", own.common_name))
                .because(format!("{} differs from {place}", self.show("ca.crt")))
                .fix("leave out --ca-dir to go on with it; to change the CA: vpn-setup down, move the pki directory away, then up with --ca-dir"));
        }
        // The certificate first: alone it says that the key is elsewhere, and running this again brings it.
        self.home.write_once("ca.crt", &certificate.pem)?;
        self.home.secret(&key_file("ca"), || Ok(key))?;
        self.authority()?;
        self.adopt_revocations(&Home::at(directory), &certificate)
    }

    /// What that directory knows to be revoked: by its list, and by easy-rsa's index, which is ahead of the list until
    /// `easyrsa gen-crl`.
    fn adopt_revocations(&self, other: &Home, authority: &Certificate) -> Result<(), Problem> {
        let list = match std::fs::read_to_string(other.path("crl.pem")) {
            Ok(text) => Some(RevocationList::parse(&other.path("crl.pem").display().to_string(), &text)?),
            Err(_) => None,
        };
        let list = list.filter(|list| list.is_signed_by(authority));
        let index = std::fs::read_to_string(other.path("index.txt")).unwrap_or_default();
        let indexed = read_revoked(&index);
        let known = self.crl()?.map(|list| list.revoked).unwrap_or_default();
        let mut theirs = indexed.iter().chain(list.iter().flat_map(|list| list.revoked.keys()));
        if theirs.any(|serial| !known.contains_key(serial)) {
            self.write_list(&indexed, list.as_ref())?;
        }
        Ok(())
    }
}

/// The revoked certificates of an OpenSSL index (openssl-ca(1)): fields between tabs, the first an `R`, the fourth the
/// serial number.
fn read_revoked(index: &str) -> Vec<Serial> {
    let revoked = index.lines().filter(|line| line.starts_with("R\t"));
    revoked.filter_map(|line| Serial::from_hex(line.split('\t').nth(3)?)).collect()
}

/// The certificate of the CA in `directory`, which [`Store::adopt`] would take.
///
/// # Errors
/// As [`Store::adopt`], but for what is in the store.
pub(crate) fn examine_authority(directory: &Path) -> Result<Certificate, Problem> {
    read_authority(directory).map(|(certificate, _)| certificate)
}

fn read_authority(directory: &Path) -> Result<(Certificate, Secret), Problem> {
    let other = Home::at(directory);
    let certificate = read_certificate(&other)?;
    let place = other.path("ca.crt").display().to_string();
    check_authority(&place, &certificate)?;
    check_not_expired(&place, &certificate)?;
    let key_place = other.path(&key_file("ca")).display().to_string();
    let key = find_key(&other, &key_file("ca"))?.ok_or_else(|| {
        Problem::failed(format!("{key_place} is missing"))
            .because("without its key a CA can sign nothing")
            .fix("name the directory of the machine where the CA was made")
    })?;
    make_issuer(&key_place, &key, &place, &certificate)?;
    Ok((certificate, key))
}

fn read_certificate(directory: &Home) -> Result<Certificate, Problem> {
    let path = directory.path("ca.crt");
    let show = path.display();
    match std::fs::read_to_string(&path) {
        Ok(text) => Certificate::parse(&show.to_string(), &text),
        Err(error) => {
            let problem = Problem::usage(format!("cannot read {show}")).because(error.to_string());
            let nested = directory.path("pki");
            Err(if nested.join("ca.crt").exists() {
                problem.fix(format!("name easy-rsa's own directory: --ca-dir {}", nested.display()))
            } else {
                problem.fix("name the directory with ca.crt and private/ca.key: easy-rsa's pki")
            })
        }
    }
}
