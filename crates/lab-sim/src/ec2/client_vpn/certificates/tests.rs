use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    RevokedCertParams, RsaKeySize, SerialNumber, date_time_ymd,
};

use super::*;

const ARN: &str = "arn:aws:acm:us-east-1:123456789012:certificate/1";

fn rsa(size: RsaKeySize) -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).expect("a key")
}

/// A server certificate that signs itself: what Client VPN looks at is in it.
fn server(name: &str, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Bundle {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_after = date_time_ymd(2099, 1, 1);
    change(&mut params);
    Bundle { certificate: params.self_signed(key).expect("a certificate").pem(), chain: None }
}

fn refusal(result: Result<(), ServiceError>) -> String {
    let error = result.expect_err("refused");
    assert_eq!(error.code, "InvalidParameterValue");
    error.message
}

#[test]
fn a_server_certificate_is_rsa_2048_with_a_domain_and_the_right_usage() {
    let key = rsa(RsaKeySize::_2048);
    let good = server("vpn.lab.internal", &key, |_| ());
    check_server(&good, ARN).expect("taken");
    assert_eq!(find_common_name(&good.certificate).as_deref(), Some("vpn.lab.internal"));

    for name in ["server", "my_server.lab", "-vpn.lab"] {
        let message = refusal(check_server(&server(name, &key, |_| ()), ARN));
        assert_eq!(message, format!("Certificate {ARN} does not have a domain"));
    }
    let usage =
        server("vpn.lab", &key, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(refusal(check_server(&usage, ARN)).contains("extended key usage"));
    let expired = server("vpn.lab", &key, |params| params.not_after = date_time_ymd(2001, 1, 1));
    assert!(refusal(check_server(&expired, ARN)).contains("expired"));
    assert!(refusal(check_server(&Bundle { certificate: "x".into(), chain: None }, ARN)).contains("cannot be read"));
}

#[test]
fn keys_that_acm_imports_and_client_vpn_does_not_are_refused() {
    let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    for key in [elliptic, rsa(RsaKeySize::_4096)] {
        let bundle = server("vpn.lab", &key, |_| ());
        assert!(refusal(check_server(&bundle, ARN)).contains("unsupported key algorithm"));
        assert!(refusal(check_client_root(&bundle, ARN)).contains("unsupported key algorithm"));
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, rsa(RsaKeySize::_2048)).expect("a CA")
}

#[test]
fn a_revocation_list_is_taken_from_the_clients_ca_only() {
    let (ours, other) = (authority(), authority());
    let crl = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2099, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(7),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let pem = crl.signed_by(&ours).expect("a list").pem().expect("PEM");
    check_crl(&pem, &ours.pem()).expect("taken");
    check_crl(&pem, &format!("{}{}", other.pem(), ours.pem())).expect("the chain counts");
    refusal(check_crl(&pem, &other.pem()));
    refusal(check_crl("nothing", &ours.pem()));
    refusal(check_crl(&ours.pem(), &ours.pem()));
}
