//! What a certificate says, read once.

use jiff::Timestamp;
use lab_plan::Problem;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key;

use super::Serial;
use super::pem::{decode_block, find_block};

/// A certificate, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Its PEM block alone, without the text that easy-rsa puts in front.
    pub(crate) pem: String,
    /// The subject's common name; empty where it has none.
    pub(crate) common_name: String,
    /// The DNS names among its alternative names.
    pub(crate) dns_names: Vec<String>,
    /// Its serial number.
    pub(crate) serial: Serial,
    /// From when on it is valid.
    pub(crate) not_before: Timestamp,
    /// Until when it is valid.
    pub(crate) not_after: Timestamp,
    /// The kind of key it is for.
    pub(crate) key: PublicKey,
    /// Whether it is a CA's (`basicConstraints`).
    pub(crate) is_ca: bool,
    /// Whether its key may sign certificates and CRLs: as `keyUsage` says, and without one it may.
    pub(crate) may_sign: bool,
    /// What `extendedKeyUsage` names, of what matters to a VPN.
    pub(crate) purposes: Vec<Purpose>,
    der: Vec<u8>,
    key_bits: Vec<u8>,
}

/// What a certificate may be shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `serverAuth`
    Server,
    /// `clientAuth`
    Client,
}

/// The kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// RSA, with the modulus's length in bits.
    Rsa(usize),
    /// An elliptic curve's, with the field's length in bits.
    Ecdsa(usize),
    /// Another one.
    Other,
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Ecdsa(bits) => write!(f, "ECDSA {bits}"),
            Self::Other => f.write_str("neither RSA nor ECDSA"),
        }
    }
}

impl Certificate {
    /// Reads the first certificate of a PEM text. `place` is how a problem calls the text.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(crate) fn parse(place: &str, text: &str) -> Result<Self, Problem> {
        let not_one = || Problem::failed(format!("{place} is not a certificate"));
        let pem = find_block(text, "CERTIFICATE")
            .ok_or_else(|| not_one().because("it has no -----BEGIN CERTIFICATE----- block"))?;
        let der = decode_block(&pem, "CERTIFICATE").ok_or_else(|| not_one().because("its PEM block is damaged"))?;
        let (_, parsed) =
            X509Certificate::from_der(&der).map_err(|error| not_one().because(format!("it is damaged: {error}")))?;
        let validity = parsed.validity();
        let (Ok(not_before), Ok(not_after)) = (
            Timestamp::from_second(validity.not_before.timestamp()),
            Timestamp::from_second(validity.not_after.timestamp()),
        ) else {
            return Err(not_one().because("its validity is out of all bounds"));
        };
        let read = Self {
            common_name: find_common_name(&parsed),
            dns_names: find_dns_names(&parsed),
            serial: Serial::from_octets(parsed.tbs_certificate.raw_serial()),
            not_before,
            not_after,
            key: find_public_key(&parsed),
            is_ca: parsed.is_ca(),
            may_sign: parsed
                .key_usage()
                .ok()
                .flatten()
                .is_none_or(|usage| usage.value.key_cert_sign() && usage.value.crl_sign()),
            purposes: find_purposes(&parsed),
            key_bits: parsed.public_key().subject_public_key.data.to_vec(),
            pem,
            der: Vec::new(),
        };
        Ok(Self { der, ..read })
    }

    /// Whether `authority` issued it: its name stands in it as the issuer's, and its key made the signature.
    pub(crate) fn is_signed_by(&self, authority: &Self) -> bool {
        let (Ok((_, own)), Ok((_, issuer))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&authority.der))
        else {
            return false;
        };
        own.issuer().as_raw() == issuer.subject().as_raw() && own.verify_signature(Some(issuer.public_key())).is_ok()
    }

    /// Whether it is for this public key (the `subjectPublicKey` bits of its `SubjectPublicKeyInfo`).
    pub(crate) fn is_for_key(&self, key_bits: &[u8]) -> bool {
        self.key_bits == key_bits
    }

    /// Whether its validity is over at `now`.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after < now
    }

    /// Its DER bytes.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }
}

fn find_common_name(certificate: &X509Certificate<'_>) -> String {
    let name = certificate.subject().iter_common_name().find_map(|name| name.as_str().ok());
    name.unwrap_or_default().to_owned()
}

fn find_public_key(certificate: &X509Certificate<'_>) -> PublicKey {
    match certificate.public_key().parsed() {
        Ok(public_key::PublicKey::RSA(key)) => PublicKey::Rsa(key.key_size()),
        Ok(public_key::PublicKey::EC(point)) => PublicKey::Ecdsa(point.key_size()),
        _ => PublicKey::Other,
    }
}

fn find_purposes(certificate: &X509Certificate<'_>) -> Vec<Purpose> {
    let Ok(Some(usage)) = certificate.extended_key_usage() else { return Vec::new() };
    let server = usage.value.server_auth.then_some(Purpose::Server);
    server.into_iter().chain(usage.value.client_auth.then_some(Purpose::Client)).collect()
}

fn find_dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    dns.collect()
}
