use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use lab_common::Home;

use super::*;

fn wanted(clients: &[String]) -> Wanted<'_> {
    Wanted { authority: "lab-ada VPN CA", server: Some("lab-ada.internal"), clients }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A PKI with a server and these clients, and the directory that keeps it alive.
fn make_store(clients: &[&str]) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(&Home::at(directory.path()));
    store.make(&wanted(&names(clients))).unwrap();
    (directory, store)
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn openssl_accepts_every_certificate_for_its_purpose_and_no_other() {
    let (_directory, store) = make_store(&["laptop"]);
    let file = |name: &str| store.path().join(name);
    let (ca, server, client) = (file("ca.crt"), file("issued/server.crt"), file("issued/laptop.crt"));
    for (purpose, good, bad) in [("sslserver", &server, &client), ("sslclient", &client, &server)] {
        let verify = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", text(&ca)];
        openssl(&[&verify[..], &[text(good)]].concat());
        let refused = Command::new("openssl").args(verify).arg(bad).output().unwrap();
        assert!(!refused.status.success(), "{purpose} takes the wrong certificate");
    }
    let dump = openssl(&["x509", "-noout", "-text", "-in", text(&server)]);
    for part in ["DNS:lab-ada.internal", "CN = lab-ada.internal", "2048 bit", "sha256WithRSA", "CA:FALSE"] {
        assert!(dump.contains(part), "{part} is missing:\n{dump}");
    }
}
