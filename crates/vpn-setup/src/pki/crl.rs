//! The certificate revocation list: which certificates of the CA count no more.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lab_plan::Problem;
use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::issue::{CLOCK_SKEW, add_days, convert_time};
use super::pem::{decode_block, find_block};
use super::{Certificate, Serial};

/// How long a list is valid. An expired one locks everybody out: `up` renews it long before.
const VALID_DAYS: i64 = 365;
/// As many revocations as Client VPN takes (administrator guide, "Client certificate revocation lists").
const MOST_REVOCATIONS: usize = 20_000;

/// A CRL, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevocationList {
    /// Its PEM block.
    pub(crate) pem: String,
    /// Its number, which rises from list to list; zero where it has none.
    pub(crate) number: u64,
    /// When it was made.
    pub(crate) this_update: Timestamp,
    /// Until when it is valid; from then on nobody may connect.
    pub(crate) next_update: Timestamp,
    /// The revoked certificates, and since when each is.
    pub(crate) revoked: BTreeMap<Serial, Timestamp>,
    der: Vec<u8>,
}

impl RevocationList {
    /// Reads the first CRL of a PEM text. `place` is how a problem calls the text.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(crate) fn parse(place: &str, text: &str) -> Result<Self, Problem> {
        let not_one = |why: &str| Problem::failed(format!("{place} is not a revocation list")).because(why);
        let pem = find_block(text, "X509 CRL").ok_or_else(|| not_one("it has no -----BEGIN X509 CRL----- block"))?;
        let der = decode_block(&pem, "X509 CRL").ok_or_else(|| not_one("its PEM block is damaged"))?;
        let (_, parsed) =
            CertificateRevocationList::from_der(&der).map_err(|error| not_one(&format!("it is damaged: {error}")))?;
        let time = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| not_one("a time in it is out of bounds"));
        let mut revoked = BTreeMap::new();
        for entry in parsed.iter_revoked_certificates() {
            revoked.insert(Serial::from_octets(entry.raw_serial()), time(entry.revocation_date.timestamp())?);
        }
        Ok(Self {
            number: parsed.crl_number().and_then(|number| u64::try_from(number).ok()).unwrap_or(0),
            this_update: time(parsed.last_update().timestamp())?,
            // Without one it never expires.
            next_update: parsed.next_update().map_or(Ok(Timestamp::MAX), |update| time(update.timestamp()))?,
            revoked,
            pem,
            der,
        })
    }

    /// Whether this CA made it.
    pub(crate) fn is_signed_by(&self, authority: &Certificate) -> bool {
        let (Ok((_, own)), Ok((_, issuer))) =
            (CertificateRevocationList::from_der(&self.der), X509Certificate::from_der(authority.der()))
        else {
            return false;
        };
        own.issuer().as_raw() == issuer.subject().as_raw() && own.verify_signature(issuer.public_key()).is_ok()
    }

    /// Whether it lists this certificate.
    pub(crate) fn has(&self, serial: &Serial) -> bool {
        self.revoked.contains_key(serial)
    }

    /// Whether it is valid no more at `now`.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.next_update < now
    }
}

/// A new list of these revocations, valid from now on.
///
/// # Errors
/// When they are more than Client VPN takes, or the CA may not sign lists.
pub(super) fn issue_list(
    revoked: &BTreeMap<Serial, Timestamp>,
    number: u64,
    authority: &Certificate,
    issuer: &Issuer<'_, KeyPair>,
    now: Timestamp,
) -> Result<RevocationList, Problem> {
    if revoked.len() > MOST_REVOCATIONS {
        let count = revoked.len();
        return Err(Problem::failed(format!("{count} revocations are more than the {MOST_REVOCATIONS} of Client VPN"))
            .fix("begin anew: vpn-setup down, move the pki directory away, vpn-setup up"));
    }
    let entry = |(serial, at): (&Serial, &Timestamp)| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial.octets()),
            revocation_time: convert_time(*at)?,
            reason_code: None,
            invalidity_date: None,
        })
    };
    let this_update = now - CLOCK_SKEW;
    let list = CertificateRevocationListParams {
        this_update: convert_time(this_update)?,
        next_update: convert_time(add_days(this_update, VALID_DAYS))?,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect::<Result<_, Problem>>()?,
        key_identifier_method: find_key_identifier(authority),
    };
    let pem = list.signed_by(issuer).and_then(|list| list.pem());
    let pem = pem.map_err(|error| Problem::failed("cannot make a revocation list").because(error.to_string()))?;
    RevocationList::parse("the new revocation list", &pem)
}

/// The CA's own subject key identifier: a list points to it.
fn find_key_identifier(authority: &Certificate) -> KeyIdMethod {
    use x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier;
    let Ok((_, parsed)) = X509Certificate::from_der(authority.der()) else { return KeyIdMethod::Sha256 };
    let own = parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        SubjectKeyIdentifier(identifier) => Some(KeyIdMethod::PreSpecified(identifier.0.to_vec())),
        _ => None,
    });
    own.unwrap_or(KeyIdMethod::Sha256)
}
