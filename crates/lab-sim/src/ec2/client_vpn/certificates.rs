//! What Client VPN demands of certificates and revocation lists (Client VPN administrator guide, "Authentication"). Pure.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use super::request::invalid;
use crate::acm::Bundle;
use crate::faults::answers::ServiceError;

/// ACM imports more; Client VPN takes these.
const RSA_BITS: [usize; 2] = [1024, 2048];

/// "A client certificate revocation list can have 20,000 entries."
const MAX_REVOCATIONS: usize = 20_000;

/// Refuses what cannot be a server certificate.
pub(crate) fn check_server(bundle: &Bundle, arn: &str) -> Result<(), ServiceError> {
    read_certificate(&bundle.certificate, arn, |certificate| {
        check_key(certificate, arn)?;
        check_validity(certificate, arn)?;
        if !names_of(certificate).iter().any(|name| is_domain(name)) {
            return Err(invalid(format!("Certificate {arn} does not have a domain")));
        }
        let usage = certificate.extended_key_usage().ok().flatten();
        if usage.is_none_or(|usage| !usage.value.server_auth && !usage.value.any) {
            return Err(invalid(format!(
                "Certificate {arn} does not have the server authentication extended key usage"
            )));
        }
        Ok(())
    })
}

/// Refuses what clients' certificates cannot be checked with.
pub(crate) fn check_client_root(bundle: &Bundle, arn: &str) -> Result<(), ServiceError> {
    read_certificate(&bundle.certificate, arn, |certificate| {
        check_key(certificate, arn)?;
        check_validity(certificate, arn)
    })
}

/// Refuses a revocation list that none of the client root's certificates signed.
pub(crate) fn check_crl(pem: &str, roots: &str) -> Result<(), ServiceError> {
    let malformed = || invalid("The specified certificate revocation list is not valid.".to_owned());
    let block = Pem::iter_from_buffer(pem.as_bytes()).next().and_then(Result::ok).ok_or_else(malformed)?;
    if block.label != "X509 CRL" {
        return Err(malformed());
    }
    let (_, crl) = CertificateRevocationList::from_der(&block.contents).map_err(|_| malformed())?;
    if crl.iter_revoked_certificates().count() > MAX_REVOCATIONS {
        let message = format!("The certificate revocation list has more than {MAX_REVOCATIONS} entries.");
        return Err(ServiceError::new(400, "ClientVpnCertificateRevocationListLimitExceeded", message));
    }
    let signed = Pem::iter_from_buffer(roots.as_bytes())
        .filter_map(Result::ok)
        .any(|block| block.parse_x509().is_ok_and(|issuer| crl.verify_signature(issuer.public_key()).is_ok()));
    if signed { Ok(()) } else { Err(malformed()) }
}

/// The common name, by which clients check the server.
pub(crate) fn find_common_name(pem: &str) -> Option<String> {
    read_certificate(pem, "", |certificate| Ok(common_name(certificate))).ok().flatten()
}

/// What clients trust: the chain, or a certificate that stands for itself.
pub(crate) fn trust_of(bundle: &Bundle) -> &str {
    bundle.chain.as_deref().unwrap_or(&bundle.certificate)
}

fn read_certificate<T>(
    pem: &str,
    arn: &str,
    read: impl FnOnce(&X509Certificate<'_>) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    let malformed = || invalid(format!("Certificate {arn} cannot be read"));
    let block = Pem::iter_from_buffer(pem.as_bytes()).next().and_then(Result::ok).ok_or_else(malformed)?;
    let certificate = block.parse_x509().map_err(|_| malformed())?;
    read(&certificate)
}

fn check_key(certificate: &X509Certificate<'_>, arn: &str) -> Result<(), ServiceError> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if RSA_BITS.contains(&key.key_size()) => Ok(()),
        _ => Err(invalid(format!(
            "Certificate {arn} has an unsupported key algorithm: Client VPN supports 1024-bit and 2048-bit RSA keys"
        ))),
    }
}

fn check_validity(certificate: &X509Certificate<'_>, arn: &str) -> Result<(), ServiceError> {
    if certificate.validity().is_valid_at(ASN1Time::now()) {
        Ok(())
    } else {
        Err(invalid(format!("Certificate {arn} has expired or is not valid yet")))
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).map(str::to_owned)
}

/// The common name and the DNS names.
fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let dns = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    common_name(certificate).into_iter().chain(dns).collect()
}

/// Two labels at least, of letters, digits and hyphens.
fn is_domain(name: &str) -> bool {
    let labels: Vec<&str> = name.strip_prefix("*.").unwrap_or(name).split('.').collect();
    let legal = |label: &&str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    labels.len() >= 2 && labels.iter().all(legal)
}

#[cfg(test)]
mod tests;
