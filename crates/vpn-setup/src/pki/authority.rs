//! The CA, and which one Client VPN takes.

use jiff::Timestamp;
use lab_common::Secret;
use lab_plan::Problem;
use rcgen::{Issuer, KeyPair};

use super::key::{is_pair, read_key};
use super::{Certificate, PublicKey};

/// The CA.
#[derive(Debug)]
pub(crate) struct Authority {
    /// Its certificate.
    pub(crate) certificate: Certificate,
    /// What signs with its key; `None` on a machine that has the certificate alone.
    pub(super) issuer: Option<Issuer<'static, KeyPair>>,
}

impl Authority {
    /// Whether its key is on this machine, so that it can issue and revoke.
    pub(crate) fn can_sign(&self) -> bool {
        self.issuer.is_some()
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
