//! A small PKI as a Client VPN endpoint wants it: one CA signs the server and the clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RevokedCertParams,
    RsaKeySize, SerialNumber, date_time_ymd,
};
use serde_json::json;

use super::Sim;

/// Imports a certificate into ACM and returns its ARN.
#[track_caller]
pub(crate) fn import(sim: &Sim, identity: &Identity, chain: &str) -> String {
    let body = json!({
        "Certificate": STANDARD.encode(&identity.certificate),
        "PrivateKey": STANDARD.encode(&identity.key),
        "CertificateChain": STANDARD.encode(chain),
    });
    let reply = sim.json("acm", "CertificateManager.ImportCertificate", &body).ok().json();
    reply["CertificateArn"].as_str().expect("an ARN").to_owned()
}

/// A CA.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

pub(crate) fn new_key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key")
}

fn parameters(name: &str, dns: &[&str]) -> CertificateParams {
    let names: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2099, 1, 1));
    params.use_authority_key_identifier_extension = true;
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = parameters(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, new_key()).expect("a CA"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn server(&self, name: &str) -> Identity {
        self.issue(name, &[name], ExtendedKeyUsagePurpose::ServerAuth, 1)
    }

    pub(crate) fn client(&self, name: &str, serial: u64) -> Identity {
        self.issue(name, &[], ExtendedKeyUsagePurpose::ClientAuth, serial)
    }

    fn issue(&self, name: &str, dns: &[&str], usage: ExtendedKeyUsagePurpose, serial: u64) -> Identity {
        let mut params = parameters(name, dns);
        params.serial_number = Some(SerialNumber::from(serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![usage];
        let key = new_key();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A revocation list that names these serial numbers.
    pub(crate) fn revoke(&self, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2025, 6, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 6, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("a list").pem().expect("PEM")
    }
}
