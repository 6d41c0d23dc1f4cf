//! What the certificates of a lab say (RFC 5280), and for how long.

use jiff::{SignedDuration, Timestamp};
use lab_plan::Problem;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::{Certificate, Serial};

/// How long a CA is valid.
const AUTHORITY_DAYS: i64 = 3650;
/// How long a server or a client is.
const LEAF_DAYS: i64 = 825;
/// Certificates and lists are valid from a little earlier than now: clocks differ.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Whom a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

/// A CA's certificate, signed by its own key.
pub(super) fn issue_authority(name: &str, key: &KeyPair, now: Timestamp) -> Result<Certificate, Problem> {
    let mut params = describe_subject(name, key);
    let not_before = now - CLOCK_SKEW;
    set_validity(&mut params, not_before, add_days(not_before, AUTHORITY_DAYS))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    read_back(name, params.self_signed(key))
}

/// A server's or a client's certificate. It is never valid while its CA is not.
pub(super) fn issue_leaf(
    role: Role,
    name: &str,
    key: &KeyPair,
    authority: &Certificate,
    issuer: &Issuer<'_, KeyPair>,
    now: Timestamp,
) -> Result<Certificate, Problem> {
    let mut params = describe_subject(name, key);
    let not_before = (now - CLOCK_SKEW).max(authority.not_before);
    set_validity(&mut params, not_before, add_days(not_before, LEAF_DAYS).min(authority.not_after))?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    match role {
        Role::Server => {
            let dns = name.try_into().map_err(|error: rcgen::Error| explain(name, &error))?;
            params.subject_alt_names = vec![SanType::DnsName(dns)];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        Role::Client => {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
    }
    let certificate = read_back(name, params.signed_by(key, issuer))?;
    // A CA whose name cannot be repeated byte for byte would make certificates that nobody can chain to it.
    if certificate.is_signed_by(authority) {
        return Ok(certificate);
    }
    Err(Problem::failed(format!("the CA \"{}\" cannot sign here", authority.common_name))
        .because("its name has parts that cannot be repeated in a certificate")
        .fix("take a CA whose name has each attribute once"))
}

/// `time` so many days later.
pub(super) fn add_days(time: Timestamp, days: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
}

/// In the type of the crate that writes X.509, which knows no fractions of seconds.
pub(super) fn convert_time(time: Timestamp) -> Result<OffsetDateTime, Problem> {
    OffsetDateTime::from_unix_timestamp(time.as_second())
        .map_err(|error| Problem::failed("the clock is out of all bounds").because(error.to_string()))
}

fn describe_subject(name: &str, key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.key_identifier_method = KeyIdMethod::PreSpecified(identify_key(key));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(Serial::random().octets()));
    params
}

/// The leftmost 160 bits of the SHA-256 of the public key's bits (RFC 7093, method 1).
fn identify_key(key: &KeyPair) -> Vec<u8> {
    Sha256::digest(key.der_bytes())[..20].to_vec()
}

fn set_validity(params: &mut CertificateParams, from: Timestamp, to: Timestamp) -> Result<(), Problem> {
    params.not_before = convert_time(from)?;
    params.not_after = convert_time(to)?;
    Ok(())
}

fn read_back(name: &str, made: Result<rcgen::Certificate, rcgen::Error>) -> Result<Certificate, Problem> {
    let made = made.map_err(|error| explain(name, &error))?;
    Certificate::parse(&format!("the new certificate of {name}"), &made.pem())
}

fn explain(name: &str, error: &rcgen::Error) -> Problem {
    Problem::failed(format!("cannot make a certificate for {name}")).because(error.to_string())
}
