use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use jiff::SignedDuration;
use lab_common::{HOL02, Home, Overrides, Vpn, read_lab};
use lab_plan::Problem;
use proptest::prelude::*;

use super::*;

mod adoption;
mod revocation;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn make(store: &Store, clients: &[&str]) -> Result<Vec<String>, Problem> {
    let clients = names(clients);
    store.make(&Wanted { authority: "lab-ada VPN CA", server: Some("lab-ada.internal"), clients: &clients })
}

/// A PKI with a server and these clients, and the directory that keeps it alive.
fn make_store(clients: &[&str]) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(&Home::at(directory.path()));
    make(&store, clients).unwrap();
    (directory, store)
}

/// The same PKI once more, to be damaged: making one takes longer.
fn copy_store(store: &Store) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(store.path()).arg(directory.path()).status().unwrap();
    assert!(copied.success());
    let copy = Store::at(&Home::at(directory.path()));
    (directory, copy)
}

fn run_openssl(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).output().expect("openssl is installed")
}

fn openssl(arguments: &[&str]) -> String {
    let output = run_openssl(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn read(store: &Store, file: &str) -> String {
    std::fs::read_to_string(store.path().join(file)).unwrap()
}

#[test]
fn openssl_accepts_every_certificate_for_its_purpose_and_no_other() {
    let (_directory, store) = make_store(&["laptop"]);
    let file = |name: &str| store.path().join(name);
    let (ca, server, client) = (file("ca.crt"), file("issued/server.crt"), file("issued/laptop.crt"));
    for (purpose, good, bad) in [("sslserver", &server, &client), ("sslclient", &client, &server)] {
        let verify = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", text(&ca)];
        openssl(&[&verify[..], &[text(good)]].concat());
        let refused = run_openssl(&[&verify[..], &[text(bad)]].concat());
        assert!(!refused.status.success(), "{purpose} takes the wrong certificate");
    }
}

#[test]
fn the_certificates_say_what_rfc_5280_and_client_vpn_want() {
    let (_directory, store) = make_store(&["laptop"]);
    let dump = |file: &str| openssl(&["x509", "-noout", "-text", "-in", text(&store.path().join(file))]);
    let leaf = ["X509v3 Basic Constraints: critical\n                CA:FALSE", "X509v3 Authority Key Identifier"];
    let all = ["Version: 3", "sha256WithRSAEncryption", "Public-Key: (2048 bit)", "X509v3 Subject Key Identifier"];
    let usages = |usages: &str| format!("X509v3 Key Usage: critical\n                {usages}\n");
    let extended = |usages: &str| format!("X509v3 Extended Key Usage: \n                {usages}\n");
    let expected = [
        (
            "ca.crt",
            vec![
                "Subject: CN = lab-ada VPN CA".into(),
                "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0".into(),
                usages("Certificate Sign, CRL Sign"),
            ],
        ),
        (
            "issued/server.crt",
            vec![
                "Subject: CN = lab-ada.internal".into(),
                "X509v3 Subject Alternative Name: \n                DNS:lab-ada.internal\n".into(),
                usages("Digital Signature, Key Encipherment"),
                extended("TLS Web Server Authentication"),
                leaf.join("|"),
            ],
        ),
        (
            "issued/laptop.crt",
            vec![
                "Subject: CN = laptop".into(),
                usages("Digital Signature"),
                extended("TLS Web Client Authentication"),
                leaf.join("|"),
            ],
        ),
    ];
    for (file, parts) in expected {
        let dump = dump(file);
        for part in parts.iter().flat_map(|part| part.split('|')).chain(all) {
            assert!(dump.contains(part), "{part} is missing in {file}:\n{dump}");
        }
    }
}

#[test]
fn certificates_last_as_long_as_they_should_and_no_serial_comes_twice() {
    let (_directory, store) = make_store(&["a", "b", "c"]);
    let authority = store.authority().unwrap().unwrap().certificate;
    let mut certificates = vec![(authority, 3650), (store.server().unwrap().unwrap().certificate, 825)];
    certificates.extend(store.clients().unwrap().into_iter().map(|client| (client.certificate, 825)));
    let now = jiff::Timestamp::now();
    for (certificate, days) in &certificates {
        let span = certificate.not_after.duration_since(certificate.not_before);
        assert_eq!(span, SignedDuration::from_hours(24 * days), "{}", certificate.common_name);
        let early = now.duration_since(certificate.not_before);
        assert!(early > SignedDuration::from_mins(4) && early < SignedDuration::from_mins(7), "{early}");
        let octets = certificate.serial.octets();
        assert!(octets.len() == 16 && octets[0] & 0x80 == 0, "{:?}", certificate.serial);
        let shown = openssl_serial(&certificate.pem);
        assert_eq!(shown, certificate.serial.to_string());
    }
    let serials: HashSet<_> = certificates.iter().map(|(certificate, _)| certificate.serial.clone()).collect();
    assert_eq!(serials.len(), certificates.len());
}

fn openssl_serial(pem: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    openssl(&["x509", "-noout", "-serial", "-in", text(file.path())]).trim().replace("serial=", "")
}

#[test]
fn a_leaf_does_not_outlive_its_authority() {
    let secret = key::generate_key().unwrap();
    let key = key::read_key("key", &secret).unwrap();
    let now = jiff::Timestamp::now();
    let old = now - SignedDuration::from_hours(24 * 3000);
    let authority = issue::issue_authority("old", &key, old).unwrap();
    let issuer = authority::make_issuer("key", &secret, "ca", &authority).unwrap();
    let leaf = issue::issue_leaf(issue::Role::Client, "laptop", &key, &authority, &issuer, now).unwrap();
    assert_eq!(leaf.not_after, authority.not_after);
}

#[test]
fn keys_are_their_owners_alone_and_openssl_reads_them() {
    let (_directory, store) = make_store(&["laptop"]);
    for directory in ["", "private", "issued"] {
        assert_eq!(mode(&store.path().join(directory)), 0o700, "{directory}");
    }
    for name in ["ca", "server", "laptop"] {
        let path = store.path().join(format!("private/{name}.key"));
        assert_eq!(mode(&path), 0o600);
        assert!(read(&store, &format!("private/{name}.key")).starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(openssl(&["pkey", "-check", "-noout", "-in", text(&path)]).contains("valid"));
    }
}

#[test]
fn making_again_changes_nothing_and_makes_only_what_is_missing() {
    let (_directory, store) = make_store(&["laptop"]);
    let files = ["ca.crt", "private/ca.key", "issued/server.crt", "private/server.key", "issued/laptop.crt"];
    let before = files.map(|file| read(&store, file));
    assert_eq!(make(&store, &["laptop"]).unwrap(), names(&[]));
    assert_eq!(make(&store, &["bob", "laptop", "bob"]).unwrap(), names(&["bob"]));
    assert_eq!(files.map(|file| read(&store, file)), before);
}

#[test]
fn a_run_that_was_killed_between_key_and_certificate_is_finished_with_the_same_key() {
    let (_original, made) = make_store(&["laptop"]);
    for lost in [&["ca.crt"][..], &["issued/server.crt"], &["issued/laptop.crt"], &["ca.crt", "issued/laptop.crt"]] {
        let (_directory, store) = copy_store(&made);
        let keys = ["ca", "server", "laptop"].map(|name| format!("private/{name}.key"));
        let before = keys.clone().map(|key| read(&store, &key));
        for file in lost {
            std::fs::remove_file(store.path().join(file)).unwrap();
        }
        assert_eq!(make(&store, &["laptop"]).unwrap().len(), lost.len());
        assert_eq!(keys.map(|key| read(&store, &key)), before);
        assert!(store.server().unwrap().is_some() && store.client("laptop").unwrap().is_some());
        assert!(store.authority().unwrap().unwrap().can_sign());
    }
}

#[test]
fn a_full_disk_leaves_nothing_behind_and_the_next_run_succeeds() {
    const CHILD: &str = "LAB_TEST_FULL_DISK";
    if let Some(home) = std::env::var_os(CHILD) {
        let problem = make(&Store::at(&Home::at(home)), &["laptop"]).unwrap_err();
        assert!(problem.what().starts_with("cannot write "), "{problem}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let test = std::thread::current().name().unwrap().to_owned();
    // No file of the child may grow beyond a block of 512 or 1,024 bytes: a key has more.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact \"$1\"";
    let mut child = Command::new("sh");
    child.args(["-c", script]).arg(std::env::current_exe().unwrap()).arg(&test).env(CHILD, directory.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let left = list_files(directory.path());
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(make(&Store::at(&Home::at(directory.path())), &["laptop"]).unwrap().len(), 3);
}

fn list_files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(list_files(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_remedy() {
    let (_original, made) = make_store(&["laptop"]);
    for name in ["ca", "server", "laptop"] {
        let (_directory, store) = copy_store(&made);
        let path = store.path().join(format!("private/{name}.key"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let problem = match name {
            "ca" => store.authority().map(|_| ()).unwrap_err(),
            "server" => store.server().map(|_| ()).unwrap_err(),
            _ => store.client(name).map(|_| ()).unwrap_err(),
        };
        assert!(problem.remedy().unwrap().contains("chmod 600"), "{problem}");
        assert!(problem.what().contains(text(&path)), "{problem}");
    }
}

#[test]
fn a_missing_key_and_a_strangers_key_are_told_apart() {
    let (_directory, store) = make_store(&["laptop", "bob"]);
    let key = |name: &str| store.path().join(format!("private/{name}.key"));
    std::fs::copy(key("bob"), key("laptop")).unwrap();
    let problem = store.client("laptop").unwrap_err();
    assert!(problem.what().contains("is not the key of"), "{problem}");
    assert!(problem.remedy().unwrap().contains("vpn-setup client revoke laptop"), "{problem}");
    std::fs::remove_file(key("laptop")).unwrap();
    let problem = store.client("laptop").unwrap_err();
    assert!(problem.what().ends_with("laptop.key is missing"), "{problem}");
    std::fs::copy(key("bob"), key("ca")).unwrap();
    let problem = store.authority().unwrap_err();
    assert!(problem.what().contains("is not the key of"), "{problem}");
}

#[test]
fn a_certificate_of_another_authority_is_named() {
    let ((_one, store), (_two, other)) = (make_store(&["laptop"]), make_store(&["laptop"]));
    for file in ["issued/laptop.crt", "private/laptop.key", "issued/server.crt", "private/server.key"] {
        std::fs::copy(other.path().join(file), store.path().join(file)).unwrap();
    }
    for problem in [store.clients().unwrap_err(), store.client("laptop").unwrap_err(), store.server().unwrap_err()] {
        assert!(problem.what().ends_with(".crt is of another CA"), "{problem}");
    }
}

#[test]
fn a_machine_without_the_authority_s_key_reads_but_makes_nothing() {
    let (_directory, store) = make_store(&["laptop"]);
    std::fs::remove_file(store.path().join("private/ca.key")).unwrap();
    assert!(!store.authority().unwrap().unwrap().can_sign());
    assert_eq!(make(&store, &["laptop"]).unwrap(), names(&[]), "there is nothing to make");
    assert!(store.client("laptop").unwrap().is_some());
    let renewed = store.renew_crl(None).map(|_| names(&[]));
    for problem in [make(&store, &["bob"]).unwrap_err(), renewed.unwrap_err()] {
        assert!(problem.what().ends_with("private/ca.key is missing"), "{problem}");
        assert!(problem.remedy().unwrap().contains("--ca-dir DIR"), "{problem}");
    }
    assert!(!store.path().join("private/bob.key").exists());
}

#[test]
fn no_second_authority_is_made_beside_certificates_of_a_lost_one() {
    let (_directory, store) = make_store(&["laptop"]);
    for file in ["ca.crt", "private/ca.key"] {
        std::fs::remove_file(store.path().join(file)).unwrap();
    }
    let problem = make(&store, &["laptop"]).unwrap_err();
    assert!(problem.what().ends_with("ca.crt is missing"), "{problem}");
    assert!(!store.path().join("private/ca.key").exists());
}

#[test]
fn what_a_killed_process_left_half_written_is_swept_away() {
    let (_directory, store) = make_store(&["laptop"]);
    let draft = store.path().join("private/.draft-x");
    std::fs::write(&draft, "-----BEGIN PRIVATE KEY-----").unwrap();
    make(&store, &["laptop"]).unwrap();
    assert!(!draft.exists());
}

#[test]
fn the_server_s_certificate_is_renewed_for_the_same_key() {
    let (_directory, store) = make_store(&[]);
    let before = store.server().unwrap().unwrap();
    let after = store.renew_server("lab-ada.internal").unwrap();
    assert_eq!(after.key, before.key);
    assert_ne!(after.certificate.serial, before.certificate.serial);
    assert_eq!(after.certificate.dns_names, ["lab-ada.internal"]);
    assert_eq!(store.server().unwrap(), Some(after));
}

#[test]
fn nothing_shows_a_private_key() {
    let (_directory, store) = make_store(&["laptop"]);
    let shown = format!("{:?} {:?} {:?}", store.authority(), store.server(), store.clients());
    assert!(!shown.contains("PRIVATE KEY"));
    let secret = read(&store, "private/server.key");
    assert!(!shown.contains(secret.lines().nth(3).unwrap()));
}

#[test]
fn names_fit_into_certificates_however_long_the_lab_s_are() {
    let owner = "o".repeat(31);
    let text = HOL02.replace("name = \"lab\"", "name = \"l2345678901234567890\"");
    let lab = read_lab("lab.toml", &text, &Overrides { owner: Some(owner), region: None }).unwrap();
    for name in [authority_name(&lab), server_name(&lab)] {
        assert!(name.len() <= 64, "{name} has {} characters", name.len());
    }
    let server = server_name(&lab);
    assert!(server.split('.').count() >= 2 && server.split('.').all(|label| label.len() <= 63), "{server}");
}

proptest! {
    /// A client's name becomes part of paths and of certificates.
    #[test]
    fn a_client_s_name_cannot_leave_its_directory(name in "\\PC{0,60}|[a-zA-Z0-9_-]{1,50}|(\\.|/|ca|server){1,4}") {
        let store = Store::at(&Home::at("/nonexistent"));
        let legal = !name.is_empty()
            && name.len() <= 48
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
            && !name.starts_with(['-', '_'])
            && !["ca", "server"].contains(&name.to_ascii_lowercase().as_str());
        prop_assert_eq!(Vpn::is_client_name(&name), legal);
        prop_assert_eq!(store.client(&name).is_ok(), legal);
    }

    #[test]
    fn a_serial_reads_as_it_is_shown(octets in proptest::collection::vec(any::<u8>(), 1..20)) {
        let serial = Serial::from_octets(&octets);
        prop_assert_eq!(Serial::from_hex(&serial.to_string()), Some(serial.clone()));
        prop_assert!(serial.octets().len() == 1 || serial.octets()[0] != 0);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,80}", inside in "[A-Za-z0-9+/=\\n]{0,200}") {
        for label in ["CERTIFICATE", "X509 CRL"] {
            let block = format!("{text}\n-----BEGIN {label}-----\n{inside}\n-----END {label}-----\n");
            prop_assert!(Certificate::parse("text", &block).is_err());
            prop_assert!(RevocationList::parse("text", &block).is_err());
        }
    }
}
