//! Revoking: the list of what counts no more, and where its files go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lab_plan::Problem;

use super::crl::issue_list;
use super::store::{ISSUED, LIST_FILE, REVOKED, SERVER, certificate_file, check_client_name, key_file};
use super::{RevocationList, Serial, Store};

impl Store {
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

    /// The list that names a client whose certificate is revoked and put away.
    fn find_revocation(&self, name: &str) -> Result<RevocationList, Problem> {
        let known = self.clients()?.iter().any(|client| client.name == name);
        let list = if known { self.crl()? } else { None };
        list.ok_or_else(|| {
            Problem::failed(format!("there is no client `{name}`")).fix("vpn-setup client list shows who there is")
        })
    }

    /// Moves the files of listed certificates to `revoked/`, the key first: a key that stayed behind alone would be
    /// given to the next client of that name.
    pub(super) fn bury_revoked(&self) -> Result<(), Problem> {
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
