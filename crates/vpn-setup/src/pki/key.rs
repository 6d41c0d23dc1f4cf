//! Private keys: making them, and reading those that are there.

use lab_common::{Home, Secret, quote};
use lab_plan::Problem;
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};

use super::Certificate;
use super::pem::find_block;

/// How a plain private key may begin: PKCS#8, as we and OpenSSL 3 write it, or PKCS#1, as OpenSSL 1 did.
const LABELS: [&str; 2] = ["PRIVATE KEY", "RSA PRIVATE KEY"];

/// A new key: RSA 2048, which is the longest that Client VPN takes, as PKCS#8.
pub(super) fn generate_key() -> Result<Secret, Problem> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
        .map_err(|error| Problem::failed("cannot make an RSA key").because(error.to_string()))?;
    Ok(Secret::new(key.serialize_pem()))
}

/// The key of that name as it stands in its file: its PEM block alone. `None` where there is no such file.
///
/// # Errors
/// When others than its owner may read it, when it is encrypted, or when it is no private key.
pub(super) fn find_key(home: &Home, name: &str) -> Result<Option<Secret>, Problem> {
    let Some(text) = home.find_secret(name)? else { return Ok(None) };
    let path = home.path(name);
    let show = path.display().to_string();
    if is_encrypted(text.reveal()) {
        let (file, plain) = (quote(&show), quote(&format!("{show}.plain")));
        return Err(Problem::failed(format!("{show} is encrypted"))
            .because("nobody could type its passphrase while certificates are made")
            .fix(format!("decrypt it: (umask 077; openssl pkey -in {file} -out {plain}) && mv {plain} {file}")));
    }
    let block = LABELS.iter().find_map(|label| find_block(text.reveal(), label));
    let block = block.ok_or_else(|| {
        Problem::failed(format!("{show} is not a private RSA key"))
            .because("it has no -----BEGIN PRIVATE KEY----- block")
    })?;
    Ok(Some(Secret::new(block)))
}

/// The key as something that signs.
pub(super) fn read_key(place: &str, key: &Secret) -> Result<KeyPair, Problem> {
    KeyPair::from_pem_and_sign_algo(key.reveal(), &PKCS_RSA_SHA256)
        .map_err(|error| Problem::failed(format!("{place} is not a private RSA key")).because(error.to_string()))
}

/// Whether certificate and key belong together.
pub(super) fn is_pair(certificate: &Certificate, key: &KeyPair) -> bool {
    certificate.is_for_key(key.der_bytes())
}

/// PKCS#8 says so in its label, PKCS#1 in a header.
fn is_encrypted(text: &str) -> bool {
    text.lines()
        .map(str::trim_end)
        .any(|line| line == "-----BEGIN ENCRYPTED PRIVATE KEY-----" || line.replace(' ', "") == "Proc-Type:4,ENCRYPTED")
}
