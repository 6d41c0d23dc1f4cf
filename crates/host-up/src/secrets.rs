//! What only this machine has: the private half of the key pair, the login token of Jupyter, and the password of
//! `FileGator`'s administrator.

use lab_common::{Home, Secret};
use lab_plan::Problem;
use ssh_key::rand_core::{OsRng, RngCore as _};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey};

/// The private key in OpenSSH's format.
pub(crate) const KEY_FILE: &str = "ssh-key";
/// The login token: 64 hexadecimal digits.
pub(crate) const TOKEN_FILE: &str = "jupyter-token";
/// `FileGator`'s administrator.
pub(crate) const FILEGATOR_USER: &str = "admin";
/// The password of `FileGator`'s administrator.
pub(crate) const PASSWORD_FILE: &str = "filegator-password";
/// What that password is hashed with: 32 hexadecimal digits. With it kept, every run makes the same user-data, and with it
/// the same client token.
const SALT_FILE: &str = "filegator-salt";
/// The host keys that ssh has seen.
pub(crate) const KNOWN_HOSTS_FILE: &str = "known_hosts";

/// Letters and digits that nobody takes for one another; 32 of them, so five bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 125 bits: nothing to guess, and short enough to type.
const PASSWORD_LETTERS: usize = 25;
const GROUP: usize = 5;
/// Bytes of a bcrypt salt.
const SALT_BYTES: usize = 16;
/// PHP's own default before 8.4, and the cost of the hash that `FileGator` brings along.
const BCRYPT_COST: u32 = 10;

/// As many random bytes as an Ed25519 seed: nothing to guess.
const TOKEN_BYTES: usize = 32;

/// The public half of the lab's own key pair, if this machine has the private one.
pub(crate) fn find_public_key(home: &Home) -> Result<Option<PublicKey>, Problem> {
    home.find_secret(KEY_FILE)?.map(|secret| read_public_key(home, &secret)).transpose()
}

/// The public half of the lab's own key pair; made now if this machine has none.
pub(crate) fn make_public_key(home: &Home, name: &str) -> Result<PublicKey, Problem> {
    let secret = home.secret(KEY_FILE, || {
        let cannot = |error: ssh_key::Error| Problem::failed("cannot make an SSH key").because(error.to_string());
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(cannot)?;
        key.set_comment(name);
        Ok(Secret::new(key.to_openssh(LineEnding::LF).map_err(cannot)?.as_str()))
    })?;
    read_public_key(home, &secret)
}

fn read_public_key(home: &Home, secret: &Secret) -> Result<PublicKey, Problem> {
    let key = PrivateKey::from_openssh(secret.reveal()).map_err(|error| {
        let path = home.path(KEY_FILE);
        Problem::failed(format!("{} is not a private key", path.display()))
            .because(error.to_string())
            .fix("put the right key there, or move it away: `host-up down`, then `up`, makes a new one")
    })?;
    Ok(key.public_key().clone())
}

/// The login token, if this machine has it.
pub(crate) fn find_token(home: &Home) -> Result<Option<Secret>, Problem> {
    home.find_secret(TOKEN_FILE)?.map(|token| check_token(home, token)).transpose()
}

/// The login token; made now if this machine has none.
pub(crate) fn make_token(home: &Home) -> Result<Secret, Problem> {
    let token = home.secret(TOKEN_FILE, || {
        let mut bytes = [0; TOKEN_BYTES];
        OsRng.fill_bytes(&mut bytes);
        Ok(Secret::new(write_hex(&bytes)))
    })?;
    check_token(home, token)
}

/// What logs in to the programs on the hosts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logins {
    /// Jupyter's token.
    pub(crate) token: Option<Secret>,
    /// The password of `FileGator`'s administrator.
    pub(crate) password: Option<Secret>,
}

impl Logins {
    /// Those that this machine has.
    pub(crate) fn find(home: &Home) -> Result<Self, Problem> {
        Ok(Self { token: find_token(home)?, password: find_password(home)? })
    }
}

/// The password of `FileGator`'s administrator, if this machine has it.
pub(crate) fn find_password(home: &Home) -> Result<Option<Secret>, Problem> {
    home.find_secret(PASSWORD_FILE)?.map(|password| check_password(home, password)).transpose()
}

/// The bcrypt hash of `FileGator`'s password, in PHP's version `2y`; the password is made now if this machine has none.
pub(crate) fn make_password_hash(home: &Home) -> Result<String, Problem> {
    let password = check_password(home, home.secret(PASSWORD_FILE, || Ok(Secret::new(make_password())))?)?;
    let salt = home.secret(SALT_FILE, || {
        let mut salt = [0; SALT_BYTES];
        OsRng.fill_bytes(&mut salt);
        Ok(Secret::new(write_hex(&salt)))
    })?;
    let salt = read_salt(salt.reveal()).ok_or_else(|| {
        let what = format!("{} does not hold {} digits", home.path(SALT_FILE).display(), 2 * SALT_BYTES);
        Problem::failed(what).fix("remove it: the next `host-up up` makes a new one")
    })?;
    let hash = bcrypt::hash_with_salt(password.reveal(), BCRYPT_COST, salt)
        .map_err(|error| Problem::failed("cannot hash the password").because(error.to_string()))?;
    Ok(hash.format_for_version(bcrypt::Version::TwoY))
}

/// `k7mq2-…`: five groups of five.
fn make_password() -> String {
    let mut bytes = [0; PASSWORD_LETTERS];
    OsRng.fill_bytes(&mut bytes);
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(GROUP).map(|group| group.iter().collect()).collect::<Vec<String>>().join("-")
}

fn read_salt(text: &str) -> Option<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    if text.len() != 2 * SALT_BYTES || !text.is_ascii() {
        return None;
    }
    for (byte, at) in salt.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(salt)
}

/// An empty or shortened password would be easy to guess for whoever reads the user-data.
fn check_password(home: &Home, password: Secret) -> Result<Secret, Problem> {
    let letters = password.reveal().bytes().filter(|byte| *byte != b'-');
    if letters.clone().count() == PASSWORD_LETTERS && letters.clone().all(|byte| LETTERS.contains(&byte)) {
        return Ok(password);
    }
    let path = home.path(PASSWORD_FILE);
    let what = format!("{} does not hold a password of {PASSWORD_LETTERS} letters", path.display());
    Err(Problem::failed(what).fix("restore it, or move it away: `host-up down`, then `up`, makes a new one"))
}

/// Two lower-case digits a byte.
pub(crate) fn write_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// An empty or shortened token would open the host to everybody.
fn check_token(home: &Home, token: Secret) -> Result<Secret, Problem> {
    let text = token.reveal();
    if text.len() == 2 * TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(token);
    }
    let what = format!("{} does not hold a token of {} digits", home.path(TOKEN_FILE).display(), 2 * TOKEN_BYTES);
    Err(Problem::failed(what).fix("restore it, or move it away: `host-up down`, then `up`, makes a new one"))
}

/// Whether AWS's key pair is this key. AWS tells the public key itself, or its SHA-256 as OpenSSH writes it;
/// `None` when it tells neither.
pub(crate) fn is_same_key(own: &PublicKey, public_key: Option<&str>, fingerprint: Option<&str>) -> Option<bool> {
    if let Some(other) = public_key.and_then(|text| PublicKey::from_openssh(text.trim()).ok()) {
        return Some(other.key_data() == own.key_data());
    }
    let plain = |text: &str| text.trim_start_matches("SHA256:").trim_end_matches('=').to_owned();
    let other = fingerprint.filter(|text| !text.is_empty() && !text.trim_start_matches("SHA256:").contains(':'))?;
    Some(plain(other) == plain(&own.fingerprint(HashAlg::Sha256).to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_openssh_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        assert!(find_public_key(&home).unwrap().is_none());
        let made = make_public_key(&home, "lab-key-ada").unwrap();
        assert_eq!(make_public_key(&home, "other").unwrap(), made);
        assert_eq!(find_public_key(&home).unwrap().as_ref(), Some(&made));
        let permissions = std::fs::metadata(home.path(KEY_FILE)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);

        let shown = std::process::Command::new("ssh-keygen").arg("-y").arg("-f").arg(home.path(KEY_FILE)).output();
        let Ok(shown) = shown else {
            assert!(std::env::var_os("CI").is_none(), "ssh-keygen is missing");
            return;
        };
        assert_eq!(String::from_utf8(shown.stdout).unwrap().trim(), made.to_openssh().unwrap());
    }

    #[test]
    fn aws_s_key_is_compared_by_its_text_or_by_its_fingerprint() {
        let directory = tempfile::tempdir().unwrap();
        let (own, other) = (Home::at(directory.path().join("a")), Home::at(directory.path().join("b")));
        let (own, other) = (make_public_key(&own, "a").unwrap(), make_public_key(&other, "b").unwrap());
        let text = |key: &PublicKey| key.to_openssh().unwrap();
        let print = |key: &PublicKey| key.fingerprint(HashAlg::Sha256).to_string().replace("SHA256:", "") + "=";
        assert_eq!(is_same_key(&own, Some(&text(&own)), None), Some(true));
        assert_eq!(is_same_key(&own, Some(&text(&other)), Some(&print(&own))), Some(false));
        assert_eq!(is_same_key(&own, None, Some(&print(&own))), Some(true));
        assert_eq!(is_same_key(&own, None, Some(&print(&other))), Some(false));
        assert_eq!(is_same_key(&own, None, Some("1f:51:ae:28:bf:89:e9:d8")), None);
        assert_eq!(is_same_key(&own, None, None), None);
    }

    #[test]
    fn the_token_is_64_digits_and_never_empty() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        let token = make_token(&home).unwrap();
        assert_eq!(token.reveal().len(), 64);
        assert_eq!(make_token(&home).unwrap(), token);
        std::fs::write(home.path(TOKEN_FILE), "").unwrap();
        let problem = make_token(&home).unwrap_err();
        assert!(problem.what().contains("jupyter-token"), "{problem}");
        assert!(find_token(&home).is_err());
    }

    #[test]
    fn the_password_is_made_once_and_its_hash_is_php_s_and_stays_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        assert!(find_password(&home).unwrap().is_none());
        let hash = make_password_hash(&home).unwrap();
        let password = find_password(&home).unwrap().unwrap();
        assert!(hash.starts_with("$2y$10$") && hash.len() == 60, "{hash}");
        assert!(bcrypt::verify(password.reveal(), &hash).unwrap());
        assert!(!hash.contains(password.reveal()));
        assert_eq!(make_password_hash(&home).unwrap(), hash, "the same user-data, so the same client token");
        for file in [PASSWORD_FILE, SALT_FILE] {
            assert_eq!(std::fs::metadata(home.path(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
        std::fs::write(home.path(SALT_FILE), "").unwrap();
        assert!(make_password_hash(&home).unwrap_err().what().contains("filegator-salt"));
        std::fs::write(home.path(PASSWORD_FILE), "admin123").unwrap();
        assert!(make_password_hash(&home).unwrap_err().what().contains("filegator-password"));
    }

    #[test]
    fn passwords_differ_and_read_well() {
        let (one, two) = (make_password(), make_password());
        assert_ne!(one, two);
        let groups: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(groups, [5; 5], "{one}");
    }
}
