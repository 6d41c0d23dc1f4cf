//! Taking an existing CA: easy-rsa's `pki/`, or another machine's.

use std::collections::BTreeSet;
use std::path::Path;

use lab_common::{Home, Secret, Vpn};
use lab_plan::Problem;

use super::authority::{check_authority, check_not_expired, make_issuer};
use super::key::{find_key, is_pair, read_key};
use super::store::{AUTHORITY, AUTHORITY_FILE, ISSUED, LIST_FILE, certificate_file, key_file};
use super::{Certificate, Purpose, RevocationList, Serial, Store};

/// What another directory has of our authority that is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The CA's certificate.
    pub(crate) authority: Certificate,
    /// The clients whose certificates and keys would come along.
    pub(crate) clients: Vec<String>,
    /// The certificates that are known to be revoked there and not here.
    pub(crate) revoked: BTreeSet<Serial>,
}

/// A client's certificate and key in another directory.
struct Pair {
    name: String,
    certificate: Certificate,
    key: Secret,
}

/// What a directory knows to be revoked: by its list, and by easy-rsa's index, which is ahead of the list until
/// `easyrsa gen-crl`.
struct Revocations {
    list: Option<RevocationList>,
    indexed: Vec<Serial>,
}

impl Store {
    /// What [`Store::adopt`] would take from `directory`; `None` where all of it is here. Only reads.
    ///
    /// # Errors
    /// As [`Store::adopt`].
    pub(crate) fn examine(&self, directory: &Path) -> Result<Option<Offer>, Problem> {
        let (authority, _) = read_authority(directory)?;
        self.refuse_another(directory, &authority)?;
        let revocations = read_revocations(&Home::at(directory), &authority)?;
        let offered = self.list_offered(&Home::at(directory), &authority, &revocations)?;
        let clients: Vec<_> = offered.into_iter().map(|pair| pair.name).collect();
        let can_sign = self.authority()?.is_some_and(|own| own.can_sign());
        let revoked = self.list_unknown(&revocations)?;
        let complete = can_sign && clients.is_empty() && revoked.is_empty();
        Ok((!complete).then_some(Offer { authority, clients, revoked }))
    }

    /// Copies certificate and key of the CA in `directory` (`ca.crt`, `private/ca.key`) into this directory, with the
    /// revocations it knows of (`crl.pem`) and the clients' certificates whose keys it has. What is here stays.
    ///
    /// # Errors
    /// When that CA is none that Client VPN takes, when its key is missing, encrypted or readable by others, or when
    /// another CA is here.
    pub(crate) fn adopt(&self, directory: &Path) -> Result<(), Problem> {
        let other = Home::at(directory);
        let (authority, key) = read_authority(directory)?;
        let _lock = self.lock()?;
        self.refuse_another(directory, &authority)?;
        // The certificate first: alone it says that the key is elsewhere, and running this again brings it.
        self.home.write_once(AUTHORITY_FILE, &authority.pem)?;
        self.home.secret(&key_file(AUTHORITY), || Ok(key))?;
        self.authority()?;
        let revocations = read_revocations(&other, &authority)?;
        if !self.list_unknown(&revocations)?.is_empty() {
            self.write_list(&revocations.indexed, revocations.list.as_ref())?;
        }
        // A second certificate of one name would stay valid when the first is revoked.
        self.list_offered(&other, &authority, &revocations)?.into_iter().try_for_each(|pair| self.adopt_pair(pair))
    }

    fn adopt_pair(&self, pair: Pair) -> Result<(), Problem> {
        let Pair { name, certificate, key } = pair;
        let here = self.home.secret(&key_file(&name), || Ok(key))?;
        // A key of that name that is here already may be another one: then the certificate is of no use here.
        if is_pair(&certificate, &read_key(&self.show(&key_file(&name)), &here)?) {
            self.home.write_once(&certificate_file(&name), &certificate.pem)?;
        }
        Ok(())
    }

    fn refuse_another(&self, directory: &Path, theirs: &Certificate) -> Result<(), Problem> {
        let own = self.find_certificate(AUTHORITY_FILE)?.filter(|own| own.pem != theirs.pem);
        let Some(own) = own else { return Ok(()) };
        let place = Home::at(directory).path(AUTHORITY_FILE);
        Err(Problem::failed(format!("another CA is here already: \"{}\"", own.common_name))
            .because(format!("{} differs from {}", self.show(AUTHORITY_FILE), place.display()))
            .fix("leave out --ca-dir to go on with it; to change the CA: vpn-setup down, move the pki directory away, then up with --ca-dir"))
    }

    /// The clients of that directory whose names are free here. Those that the VPN cannot use stay where they are:
    /// revoked ones, names that are no client's, and keys that are missing or have a passphrase.
    fn list_offered(
        &self,
        other: &Home,
        authority: &Certificate,
        revocations: &Revocations,
    ) -> Result<Vec<Pair>, Problem> {
        let own = self.crl()?;
        let mut offered = Vec::new();
        for name in Store::of(other).list_stems(ISSUED)?.into_iter().filter(|name| Vpn::is_client_name(name)) {
            let file = certificate_file(&name);
            let Ok(text) = std::fs::read_to_string(other.path(&file)) else { continue };
            let Ok(certificate) = Certificate::parse(&file, &text) else { continue };
            let Ok(Some(key)) = find_key(other, &key_file(&name)) else { continue };
            let is_its_key = read_key(&key_file(&name), &key).is_ok_and(|key| is_pair(&certificate, &key));
            let counts = certificate.is_signed_by(authority)
                && certificate.purposes.contains(&Purpose::Client)
                && !revocations.name(&certificate.serial)
                && !own.as_ref().is_some_and(|list| list.has(&certificate.serial));
            if is_its_key && counts && self.find_certificate(&file)?.is_none() {
                offered.push(Pair { name, certificate, key });
            }
        }
        Ok(offered)
    }

    /// Those of them that our list does not name.
    fn list_unknown(&self, revocations: &Revocations) -> Result<BTreeSet<Serial>, Problem> {
        let own = self.crl()?;
        let known = |serial: &&Serial| own.as_ref().is_some_and(|own| own.has(serial));
        Ok(revocations.serials().filter(|serial| !known(serial)).cloned().collect())
    }
}

impl Revocations {
    fn serials(&self) -> impl Iterator<Item = &Serial> {
        self.indexed.iter().chain(self.list.iter().flat_map(|list| list.revoked.keys()))
    }

    fn name(&self, serial: &Serial) -> bool {
        self.serials().any(|revoked| revoked == serial)
    }
}

fn read_revocations(other: &Home, authority: &Certificate) -> Result<Revocations, Problem> {
    let list = match std::fs::read_to_string(other.path(LIST_FILE)) {
        Ok(text) => Some(RevocationList::parse(&other.path(LIST_FILE).display().to_string(), &text)?),
        Err(_) => None,
    };
    let list = list.filter(|list| list.is_signed_by(authority));
    let index = std::fs::read_to_string(other.path("index.txt")).unwrap_or_default();
    Ok(Revocations { list, indexed: read_revoked(&index) })
}

/// The revoked certificates of an OpenSSL index (openssl-ca(1)): fields between tabs, the first an `R`, the fourth the
/// serial number.
fn read_revoked(index: &str) -> Vec<Serial> {
    let revoked = index.lines().filter(|line| line.starts_with("R\t"));
    revoked.filter_map(|line| Serial::from_hex(line.split('\t').nth(3)?)).collect()
}

/// The CA in `directory`, when it is one that signs for Client VPN.
fn read_authority(directory: &Path) -> Result<(Certificate, Secret), Problem> {
    let other = Home::at(directory);
    let certificate = read_certificate(&other)?;
    let place = other.path(AUTHORITY_FILE).display().to_string();
    check_authority(&place, &certificate)?;
    check_not_expired(&place, &certificate)?;
    let key_place = other.path(&key_file(AUTHORITY)).display().to_string();
    let key = find_key(&other, &key_file(AUTHORITY))?.ok_or_else(|| {
        Problem::failed(format!("{key_place} is missing"))
            .because("without its key a CA can sign nothing")
            .fix("name the directory of the machine where the CA was made")
    })?;
    make_issuer(&key_place, &key, &place, &certificate)?;
    Ok((certificate, key))
}

fn read_certificate(directory: &Home) -> Result<Certificate, Problem> {
    let path = directory.path(AUTHORITY_FILE);
    let show = path.display();
    match std::fs::read_to_string(&path) {
        Ok(text) => Certificate::parse(&show.to_string(), &text),
        Err(error) => {
            let problem = Problem::usage(format!("cannot read {show}")).because(error.to_string());
            let nested = directory.path("pki");
            Err(if nested.join(AUTHORITY_FILE).exists() {
                problem.fix(format!("name easy-rsa's own directory: --ca-dir {}", nested.display()))
            } else {
                problem.fix("name the directory with ca.crt and private/ca.key: easy-rsa's pki")
            })
        }
    }
}
