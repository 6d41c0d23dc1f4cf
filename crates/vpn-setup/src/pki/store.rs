//! The directory that holds the PKI.
//!
//! ```text
//! ca.crt                              private/ca.key
//! issued/server.crt                   private/server.key
//! issued/NAME.crt                     private/NAME.key
//! crl.pem
//! revoked/certs_by_serial/SERIAL.crt  revoked/private_by_serial/SERIAL.key
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

use jiff::Timestamp;
use lab_common::{Home, Secret, Vpn};
use lab_plan::Problem;
use rayon::prelude::*;
use rcgen::{Issuer, KeyPair};

use super::crl::issue_list;
use super::issue::{Role, issue_authority, issue_leaf};
use super::key::{find_key, generate_key, is_pair, read_key};
use super::{Certificate, PublicKey, RevocationList, Serial};

const AUTHORITY: &str = "ca";
const SERVER: &str = "server";
const AUTHORITY_FILE: &str = "ca.crt";
const LIST_FILE: &str = "crl.pem";
const ISSUED: &str = "issued";
const REVOKED: &str = "revoked/certs_by_serial";

/// The PKI of one lab on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    home: Home,
}

/// The CA.
#[derive(Debug)]
pub(crate) struct Authority {
    /// Its certificate.
    pub(crate) certificate: Certificate,
    /// What signs with its key; `None` on a machine that has the certificate alone.
    issuer: Option<Issuer<'static, KeyPair>>,
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

impl Authority {
    /// Whether its key is on this machine, so that it can issue and revoke.
    pub(crate) fn can_sign(&self) -> bool {
        self.issuer.is_some()
    }
}

impl Store {
    /// The PKI in `home`. Nothing is created yet.
    pub(crate) fn at(home: &Home) -> Self {
        Self { home: home.inside("pki") }
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
        self.server()?.ok_or_else(|| Problem::failed(format!("{} came and went", self.show(&certificate_file(SERVER)))))
    }

    /// Revokes a client's certificate: first in the list, then its files go to `revoked/`, so that the name is free
    /// again. A run that was killed in between is finished by the next. A name that is revoked already keeps its list.
    ///
    /// `exported` is the endpoint's own list, where it has one: another machine may have revoked too.
    ///
    /// # Errors
    /// When there never was such a certificate, or the CA's key is not here.
    pub(crate) fn revoke(&self, name: &str, exported: Option<&RevocationList>) -> Result<RevocationList, Problem> {
        check_client_name(name)?;
        let _lock = self.lock()?;
        let Some(certificate) = self.find_certificate(&certificate_file(name))? else {
            let list = self.find_revocation(name)?;
            let complete = exported.is_none_or(|exported| exported.revoked.keys().all(|serial| list.has(serial)));
            return if complete { Ok(list) } else { self.write_list(&[], exported) };
        };
        let list = self.write_list(&[certificate.serial], exported)?;
        self.bury_revoked()?;
        Ok(list)
    }

    /// A new list with every revocation that is known: the local list's, those of revoked certificates here, and those
    /// of the endpoint's own list, where it has one.
    ///
    /// # Errors
    /// When the CA's key is not here, another CA signed `exported`, or the file cannot be written.
    pub(crate) fn renew_crl(&self, exported: Option<&RevocationList>) -> Result<RevocationList, Problem> {
        let _lock = self.lock()?;
        self.write_list(&[], exported)
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Waits until no other process changes this directory, and removes what a killed one left half written.
    pub(super) fn lock(&self) -> Result<File, Problem> {
        let cannot = |error: std::io::Error| {
            Problem::failed(format!("cannot lock {}", self.path().display())).because(error.to_string())
        };
        self.home.create()?;
        let directory = File::open(self.path()).map_err(cannot)?;
        directory.lock().map_err(cannot)?;
        for kept in ["", "private", ISSUED] {
            self.home.inside(kept).sweep()?;
        }
        Ok(directory)
    }

    pub(super) fn write_list(
        &self,
        more: &[Serial],
        exported: Option<&RevocationList>,
    ) -> Result<RevocationList, Problem> {
        let authority = self.require_authority()?;
        let issuer = self.require_issuer(&authority)?;
        let now = Timestamp::now();
        let local = self.crl()?;
        if let Some(exported) = exported.filter(|list| !list.is_signed_by(&authority.certificate)) {
            let count = exported.revoked.len();
            return Err(Problem::failed(format!(
                "the endpoint's revocation list ({count} revocations) is another CA's"
            ))
            .because(format!("\"{}\" did not sign it", authority.certificate.common_name))
            .fix("go on on the machine that has the endpoint's CA, or name it with --ca-dir DIR"));
        }
        let lists = [local.as_ref(), exported];
        let mut revoked: BTreeMap<Serial, Timestamp> = BTreeMap::new();
        for (serial, at) in lists.into_iter().flatten().flat_map(|list| &list.revoked) {
            // Of two dates the earlier one counts.
            revoked.entry(serial.clone()).and_modify(|known| *known = (*known).min(*at)).or_insert(*at);
        }
        let buried = self.list_stems(REVOKED)?;
        for serial in buried.iter().filter_map(|stem| Serial::from_hex(stem)).chain(more.iter().cloned()) {
            revoked.entry(serial).or_insert(now);
        }
        let number = lists.into_iter().flatten().map(|list| list.number).max().unwrap_or(0).saturating_add(1);
        let list = issue_list(&revoked, number, &authority.certificate, issuer, now)?;
        self.home.replace(LIST_FILE, &list.pem)?;
        Ok(list)
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
    fn list_stems(&self, directory: &str) -> Result<Vec<String>, Problem> {
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

    /// The list that names a client whose certificate is revoked and put away.
    fn find_revocation(&self, name: &str) -> Result<RevocationList, Problem> {
        let known = self.clients()?.iter().any(|client| client.name == name);
        let list = if known { self.crl()? } else { None };
        list.ok_or_else(|| {
            Problem::failed(format!("there is no client `{name}`")).fix("vpn-setup client list shows who there is")
        })
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
        self.authority()?.ok_or_else(|| Problem::failed(format!("{} came and went", self.show(AUTHORITY_FILE))))
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

    fn require_authority(&self) -> Result<Authority, Problem> {
        self.authority()?.ok_or_else(|| {
            Problem::failed(format!("there is no CA in {}", self.path().display()))
                .fix("vpn-setup up makes one; --ca-dir DIR takes an existing one")
        })
    }

    /// What signs, on the machine that has the key and while the CA is valid.
    fn require_issuer<'a>(&self, authority: &'a Authority) -> Result<&'a Issuer<'static, KeyPair>, Problem> {
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

    fn check_signature(&self, file: &str, certificate: &Certificate, authority: &Certificate) -> Result<(), Problem> {
        if certificate.is_signed_by(authority) { Ok(()) } else { Err(self.explain_foreign(file, authority)) }
    }

    fn explain_foreign(&self, file: &str, authority: &Certificate) -> Problem {
        Problem::failed(format!("{} is of another CA", self.show(file)))
            .because(format!("\"{}\" in {} did not sign it", authority.common_name, self.show(AUTHORITY_FILE)))
            .fix("one CA serves the server and all clients: move this file away, or put its CA in place")
    }

    /// Moves the files of listed certificates to `revoked/`, the key first: a key that stayed behind alone would be
    /// given to the next client of that name.
    fn bury_revoked(&self) -> Result<(), Problem> {
        let Some(list) = self.crl()? else { return Ok(()) };
        for stem in self.list_stems(ISSUED)? {
            let file = certificate_file(&stem);
            let Some(certificate) = self.find_certificate(&file)? else { continue };
            if stem == SERVER || !list.has(&certificate.serial) {
                continue;
            }
            let serial = &certificate.serial;
            self.home.rename(&key_file(&stem), &format!("revoked/private_by_serial/{serial}.key"))?;
            self.home.rename(&file, &format!("{REVOKED}/{serial}.crt"))?;
        }
        Ok(())
    }
}

/// Whether Client VPN takes this CA (administrator guide, "Mutual authentication"): RSA 2048, and a CA.
pub(super) fn check_authority(place: &str, certificate: &Certificate) -> Result<(), Problem> {
    let fix = "take another CA, or let vpn-setup make one (without --ca-dir)";
    if certificate.key != PublicKey::Rsa(2048) {
        return Err(Problem::failed(format!("{place}: the CA's key is {}", certificate.key))
            .because("Client VPN takes RSA with 2048 bits, although ACM imports others too")
            .fix(fix));
    }
    if !certificate.is_ca {
        return Err(Problem::failed(format!("{place} is not a CA"))
            .because("its basicConstraints do not say CA:TRUE")
            .fix(fix));
    }
    if !certificate.is_signed_by(certificate) {
        return Err(Problem::failed(format!("{place} is an intermediate CA"))
            .because("another CA signed it, and OpenVPN's clients would want that one too")
            .fix(fix));
    }
    if !certificate.may_sign {
        return Err(Problem::failed(format!("{place} may not sign certificates and revocation lists"))
            .because("its keyUsage lacks keyCertSign or cRLSign")
            .fix(fix));
    }
    Ok(())
}

pub(super) fn check_not_expired(place: &str, authority: &Certificate) -> Result<(), Problem> {
    let now = Timestamp::now();
    if authority.is_expired(now) {
        let when = authority.not_after;
        return Err(Problem::failed(format!("{place} expired on {when}")).because("everything it signed is void with it").fix(
            "begin anew: vpn-setup down, move the pki directory away, vpn-setup up; or name another CA with --ca-dir DIR",
        ));
    }
    if authority.not_before > now {
        let when = authority.not_before;
        return Err(Problem::failed(format!("{place} is not valid before {when}")).fix("check this machine's clock"));
    }
    Ok(())
}

/// The CA's key as what signs, once it is known to be its key.
pub(super) fn make_issuer(
    key_place: &str,
    key: &Secret,
    place: &str,
    certificate: &Certificate,
) -> Result<Issuer<'static, KeyPair>, Problem> {
    let pair = read_key(key_place, key)?;
    if !is_pair(certificate, &pair) {
        return Err(Problem::failed(format!("{key_place} is not the key of {place}"))
            .fix("put the right key there, or remove both and name the right CA with --ca-dir DIR"));
    }
    Issuer::from_ca_cert_pem(&certificate.pem, pair).map_err(|error| {
        Problem::failed(format!("{place} cannot sign here"))
            .because(error.to_string())
            .fix("take a CA whose name has one attribute in each part")
    })
}

fn list_files<'a>(subjects: &[Subject<'a>]) -> Vec<&'a str> {
    subjects.iter().map(|subject| subject.file).collect()
}

fn check_client_name(name: &str) -> Result<(), Problem> {
    if Vpn::is_client_name(name) {
        return Ok(());
    }
    Err(Problem::usage(format!("\"{}\" is no client name", name.escape_debug())).fix(Vpn::CLIENT_NAME))
}

pub(super) fn key_file(name: &str) -> String {
    format!("private/{name}.key")
}

fn certificate_file(name: &str) -> String {
    format!("{ISSUED}/{name}.crt")
}

fn how_to_replace(name: &str) -> String {
    if name == SERVER {
        "move both away and run vpn-setup up, which makes new ones".to_owned()
    } else {
        format!("vpn-setup client revoke {name}, then vpn-setup client add {name}")
    }
}
