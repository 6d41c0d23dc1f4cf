//! Taking an existing CA. The directories are made by openssl, as easy-rsa makes them.

use super::*;

/// An easy-rsa `pki/` whose CA openssl makes with these options.
fn make_easy_rsa(options: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("private")).unwrap();
    let (key, ca) = (path("private/ca.key"), path("ca.crt"));
    let request = ["req", "-x509", "-subj", "/C=PT/O=Lab/OU=HOL/CN=Easy-RSA CA/emailAddress=a@b.example", "-noenc"];
    let files = ["-keyout", text(&key), "-out", text(&ca)];
    let extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    openssl(&[&request[..], &files, &extensions, options].concat());
    protect(&key);
    directory
}

const RSA_2048: [&str; 4] = ["-newkey", "rsa:2048", "-days", "3650"];

fn protect(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn make_empty() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(&Home::at(directory.path().join("home")));
    (directory, store)
}

/// The problem of adopting it; nothing may have been taken.
fn refuse(directory: &Path) -> Problem {
    let (_home, store) = make_empty();
    let problem = store.adopt(directory).unwrap_err();
    assert!(store.authority().unwrap().is_none(), "{problem}");
    assert!(!store.path().join("private/ca.key").exists(), "{problem}");
    problem
}

#[test]
fn an_easy_rsa_authority_signs_our_certificates() {
    let theirs = make_easy_rsa(&RSA_2048);
    let ca = theirs.path().join("ca.crt");
    let dump = openssl(&["x509", "-text", "-in", text(&ca)]);
    std::fs::write(&ca, dump).unwrap();
    let (_home, store) = make_empty();
    store.adopt(theirs.path()).unwrap();
    store.adopt(theirs.path()).unwrap();
    assert_eq!(mode(&store.path().join("private/ca.key")), 0o600);
    assert_eq!(make(&store, &["laptop"]).unwrap(), names(&["server", "laptop"]));
    assert!(read(&store, "ca.crt").starts_with("-----BEGIN CERTIFICATE-----\n"), "the dump for readers stays out");
    for (purpose, file) in [("sslserver", "issued/server.crt"), ("sslclient", "issued/laptop.crt")] {
        let file = store.path().join(file);
        openssl(&["verify", "-x509_strict", "-purpose", purpose, "-CAfile", text(&ca), text(&file)]);
    }
    store.revoke("laptop", None).unwrap();
    let list = store.path().join("crl.pem");
    openssl(&["crl", "-noout", "-CAfile", text(&ca), "-in", text(&list)]);
}

#[test]
fn a_key_in_openssl_1_s_format_is_taken_too() {
    let theirs = make_easy_rsa(&RSA_2048);
    let key = theirs.path().join("private/ca.key");
    let older = theirs.path().join("older");
    openssl(&["rsa", "-traditional", "-in", text(&key), "-out", text(&older)]);
    std::fs::rename(older, &key).unwrap();
    assert!(std::fs::read_to_string(&key).unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    protect(&key);
    let (_home, store) = make_empty();
    store.adopt(theirs.path()).unwrap();
    assert_eq!(make(&store, &["laptop"]).unwrap().len(), 2);
}

#[test]
fn an_encrypted_key_is_refused_with_the_line_that_decrypts_it() {
    for format in [&["pkey", "-aes256"][..], &["rsa", "-traditional", "-aes256"]] {
        let theirs = make_easy_rsa(&RSA_2048);
        let key = theirs.path().join("private/ca.key");
        let encrypted = theirs.path().join("encrypted");
        openssl(&[format, &["-passout", "pass:secret", "-in", text(&key), "-out", text(&encrypted)]].concat());
        std::fs::rename(encrypted, &key).unwrap();
        protect(&key);
        let problem = refuse(theirs.path());
        assert!(problem.what().ends_with("ca.key is encrypted"), "{problem}");
        let line = problem.remedy().unwrap().trim_start_matches("decrypt it: ");
        assert!(line.contains("umask 077") && line.contains("openssl pkey -in "), "{problem}");

        let line = line.replace("openssl pkey", "openssl pkey -passin pass:secret");
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
        let (_home, store) = make_empty();
        store.adopt(theirs.path()).unwrap();
    }
}

#[test]
fn an_authority_that_client_vpn_does_not_take_is_refused_with_the_reason() {
    let ecdsa = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let long = ["-newkey", "rsa:4096"];
    let no_ca = ["-newkey", "rsa:2048", "-addext", "basicConstraints=critical,CA:FALSE"];
    for (options, what) in [(&ecdsa[..], "ECDSA 256"), (&long, "RSA 4096"), (&no_ca, "is not a CA")] {
        let problem = refuse(make_easy_rsa(options).path());
        assert!(problem.what().contains(what), "{problem}");
        assert!(problem.why().is_some() && problem.remedy().is_some(), "{problem}");
    }
}

#[test]
fn an_intermediate_authority_is_refused() {
    let (root, theirs) = (make_easy_rsa(&RSA_2048), make_easy_rsa(&RSA_2048));
    let path = |name: &str| theirs.path().join(name);
    let (key, request, ca) = (path("private/ca.key"), path("ca.csr"), path("ca.crt"));
    openssl(&["req", "-new", "-key", text(&key), "-subj", "/CN=Sub CA", "-out", text(&request)]);
    let extensions = path("extensions");
    std::fs::write(&extensions, "basicConstraints=critical,CA:TRUE\n").unwrap();
    let (root_ca, root_key) = (root.path().join("ca.crt"), root.path().join("private/ca.key"));
    let sign = ["x509", "-req", "-in", text(&request), "-CA", text(&root_ca), "-CAkey", text(&root_key)];
    openssl(&[&sign[..], &["-CAcreateserial", "-extfile", text(&extensions), "-out", text(&ca)]].concat());
    assert!(refuse(theirs.path()).what().ends_with("is an intermediate CA"));
}

#[test]
fn an_expired_authority_is_refused() {
    let theirs = make_easy_rsa(&RSA_2048);
    let key = lab_common::Secret::new(std::fs::read_to_string(theirs.path().join("private/ca.key")).unwrap());
    let pair = key::read_key("ca.key", &key).unwrap();
    let long_ago = jiff::Timestamp::now() - SignedDuration::from_hours(24 * 3651);
    let expired = issue::issue_authority("old", &pair, long_ago).unwrap();
    std::fs::write(theirs.path().join("ca.crt"), expired.pem).unwrap();
    let problem = refuse(theirs.path());
    assert!(problem.what().contains("ca.crt expired on "), "{problem}");
}

#[test]
fn an_authority_s_key_must_be_its_own_present_and_secret() {
    let theirs = make_easy_rsa(&RSA_2048);
    let key = theirs.path().join("private/ca.key");
    let other = make_easy_rsa(&RSA_2048);
    std::fs::copy(other.path().join("private/ca.key"), &key).unwrap();
    assert!(refuse(theirs.path()).what().contains("is not the key of"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refuse(theirs.path()).remedy().unwrap().contains("chmod 600"));
    std::fs::write(&key, "").unwrap();
    protect(&key);
    assert!(refuse(theirs.path()).what().ends_with("is not a private RSA key"));
    std::fs::remove_file(&key).unwrap();
    assert!(refuse(theirs.path()).what().ends_with("ca.key is missing"));
}

#[test]
fn a_directory_that_is_none_is_refused_and_a_near_miss_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let problem = refuse(directory.path());
    assert_eq!(problem.exit().code(), 2);
    let nested = directory.path().join("pki");
    std::fs::create_dir(&nested).unwrap();
    std::fs::write(nested.join("ca.crt"), "").unwrap();
    assert!(refuse(directory.path()).remedy().unwrap().ends_with(text(&nested)));
}

#[test]
fn what_easy_rsa_has_revoked_stays_revoked_with_and_without_its_list() {
    let (_directory, first) = make_store(&["ann", "bob"]);
    let ann = first.client("ann").unwrap().unwrap().certificate.serial;
    let bob = first.client("bob").unwrap().unwrap().certificate.serial;
    first.revoke("ann", None).unwrap();
    let index = format!(
        "V\t270101000000Z\t\t01\tunknown\t/CN=server\n\
         R\t270101000000Z\t260101000000Z,keyCompromise\t{bob}\tunknown\t/CN=bob\n"
    );
    std::fs::write(first.path().join("index.txt"), index).unwrap();
    let (_home, second) = make_empty();
    second.adopt(&first.path()).unwrap();
    let list = second.crl().unwrap().unwrap();
    assert_eq!(list.revoked.keys().collect::<HashSet<_>>(), HashSet::from([&ann, &bob]));
    second.adopt(&first.path()).unwrap();
    assert_eq!(second.crl().unwrap(), Some(list), "there is nothing new to list");
}

#[test]
fn an_authority_is_never_replaced_by_another() {
    let (_directory, store) = make_store(&["laptop"]);
    let before = read(&store, "ca.crt");
    let theirs = make_easy_rsa(&RSA_2048);
    let problem = store.adopt(theirs.path()).unwrap_err();
    assert!(problem.what().contains("another CA is here already"), "{problem}");
    assert_eq!(read(&store, "ca.crt"), before);
}

#[test]
fn a_second_machine_gets_the_key_from_a_copy_of_the_first_one_s_directory() {
    let (_directory, first) = make_store(&["laptop"]);
    first.revoke("laptop", None).unwrap();
    let (_home, second) = make_empty();
    second.adopt(&first.path()).unwrap();
    assert!(second.authority().unwrap().unwrap().can_sign());
    let revoked = |store: &Store| store.crl().unwrap().unwrap().revoked;
    assert_eq!(revoked(&second), revoked(&first), "what was revoked stays revoked");
    // Killed between certificate and key.
    std::fs::remove_file(second.path().join("private/ca.key")).unwrap();
    second.adopt(&first.path()).unwrap();
    assert_eq!(make(&second, &[]).unwrap(), names(&["server"]));
}

/// A second machine, which has this authority to take over.
fn make_second(first: &Store) -> (tempfile::TempDir, Store) {
    let (directory, second) = make_empty();
    second.adopt(&first.path()).unwrap();
    (directory, second)
}

#[test]
fn looking_at_an_offer_writes_nothing() {
    let (_first, theirs) = make_store(&["laptop"]);
    let (_home, store) = make_empty();
    let offer = store.examine(&theirs.path()).unwrap().unwrap();
    assert_eq!((offer.authority.common_name.as_str(), offer.clients), ("lab-ada VPN CA", names(&["laptop"])));
    assert!(!store.path().exists(), "nothing was written");
    store.adopt(&theirs.path()).unwrap();
    assert_eq!(store.examine(&theirs.path()).unwrap(), None, "all of it is here");

    std::fs::remove_file(store.path().join("private/ca.key")).unwrap();
    assert!(store.examine(&theirs.path()).unwrap().is_some(), "the key is missing");
    assert!(!store.path().join("private/ca.key").exists());
    store.adopt(&theirs.path()).unwrap();
    theirs.revoke("laptop", None).unwrap();
    assert!(store.examine(&theirs.path()).unwrap().is_some(), "a revocation is missing");
    assert_eq!(store.crl().unwrap(), None);

    let (_other, strange) = make_store(&[]);
    let problem = store.examine(&strange.path()).unwrap_err();
    assert!(problem.what().starts_with("another CA is here already"), "{problem}");
}

#[test]
fn clients_come_along_so_that_one_name_has_one_certificate() {
    let (_first, theirs) = make_store(&["laptop", "bob", "eve"]);
    theirs.revoke("eve", None).unwrap();
    std::fs::remove_file(theirs.path().join("private/bob.key")).unwrap();
    let (_home, store) = make_second(&theirs);
    let serial = |store: &Store| store.client("laptop").unwrap().unwrap().certificate.serial;
    assert_eq!(serial(&store), serial(&theirs));
    assert_eq!(mode(&store.path().join("private/laptop.key")), 0o600);
    assert_eq!(make(&store, &["laptop"]).unwrap(), names(&["server"]), "no second laptop");
    for name in ["bob", "eve"] {
        assert!(store.client(name).unwrap().is_none(), "{name} cannot be used here");
    }
    assert!(store.revoke("laptop", None).unwrap().has(&serial(&theirs)), "it counts nowhere any more");
    assert_eq!(store.examine(&theirs.path()).unwrap(), None, "what was revoked here does not come back");
    store.adopt(&theirs.path()).unwrap();
    assert!(store.client("laptop").unwrap().is_none());
}
