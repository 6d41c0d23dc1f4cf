//! Revoking, and the list that says so.

use super::*;

/// Whether openssl, asked with this list, takes the certificate.
fn is_accepted(store: &Store, certificate: &Certificate) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &certificate.pem).unwrap();
    let (ca, list) = (store.path().join("ca.crt"), store.path().join("crl.pem"));
    let verify = ["verify", "-x509_strict", "-crl_check", "-CAfile", text(&ca), "-CRLfile", text(&list)];
    run_openssl(&[&verify[..], &[text(file.path())]].concat()).status.success()
}

fn certificate(store: &Store, name: &str) -> Certificate {
    store.client(name).unwrap().unwrap().certificate
}

#[test]
fn openssl_refuses_whom_the_list_names_and_nobody_else() {
    let (_directory, store) = make_store(&["ann", "bob"]);
    let (ann, bob) = (certificate(&store, "ann"), certificate(&store, "bob"));
    let empty = store.renew_crl(None).unwrap();
    assert!(empty.revoked.is_empty() && is_accepted(&store, &ann) && is_accepted(&store, &bob));
    let list = store.revoke("bob", None).unwrap();
    assert!(is_accepted(&store, &ann) && !is_accepted(&store, &bob));
    assert_eq!(list.revoked.keys().collect::<Vec<_>>(), [&bob.serial]);
    assert!(list.number > empty.number, "its number rises");
    assert_eq!(list.next_update.duration_since(list.this_update), SignedDuration::from_hours(24 * 365));
    assert_eq!(mode(&store.path().join("crl.pem")), 0o600);
    assert_eq!(store.crl().unwrap(), Some(list));
    let dump = openssl(&["crl", "-noout", "-text", "-in", text(&store.path().join("crl.pem"))]);
    for part in ["Version 2", "sha256WithRSA", "X509v3 Authority Key Identifier", "X509v3 CRL Number"] {
        assert!(dump.contains(part), "{part} is missing:\n{dump}");
    }
}

#[test]
fn a_revoked_name_is_free_again_and_its_old_certificate_stays_revoked() {
    let (_directory, store) = make_store(&["bob"]);
    let old = store.client("bob").unwrap().unwrap();
    store.revoke("bob", None).unwrap();
    assert_eq!(store.client("bob").unwrap(), None);
    let serial = &old.certificate.serial;
    let moved = store.path().join(format!("revoked/private_by_serial/{serial}.key"));
    assert_eq!(mode(&moved), 0o600);

    assert_eq!(make(&store, &["bob"]).unwrap(), names(&["bob"]));
    let new = store.client("bob").unwrap().unwrap();
    assert_ne!(new.key, old.key, "whoever has the old key must not get in with it");
    assert!(is_accepted(&store, &new.certificate) && !is_accepted(&store, &old.certificate));
    let clients = store.clients().unwrap();
    let shown: Vec<_> = clients.iter().map(|client| (client.name.as_str(), client.revoked)).collect();
    assert_eq!(shown, [("bob", true), ("bob", false)]);

    let list = store.revoke("bob", None).unwrap();
    assert_eq!(list.revoked.len(), 2);
}

#[test]
fn a_revocation_that_was_killed_half_way_is_finished_by_whatever_comes_next() {
    let next: [fn(&Store); 3] = [
        |store| {
            store.revoke("bob", None).unwrap();
        },
        |store| {
            make(store, &["ann"]).unwrap();
        },
        |store| {
            assert_eq!(make(store, &["bob"]).unwrap(), names(&["bob"]));
            store.revoke("bob", None).unwrap();
        },
    ];
    let (_original, made) = make_store(&["bob"]);
    for next in next {
        for key_moved in [false, true] {
            let (_directory, store) = copy_store(&made);
            let bob = certificate(&store, "bob");
            store.write_list(std::slice::from_ref(&bob.serial), None).unwrap();
            if key_moved {
                let moved = format!("revoked/private_by_serial/{}.key", bob.serial);
                store.home.rename("private/bob.key", &moved).unwrap();
            } else {
                assert_eq!(store.client("bob").unwrap(), None, "the list counts, not the place");
            }
            next(&store);
            assert_eq!(store.client("bob").unwrap(), None);
            assert!(!store.path().join("private/bob.key").exists());
            assert!(store.crl().unwrap().unwrap().has(&bob.serial));
        }
    }
}

#[test]
fn revoking_again_says_the_same_and_an_unknown_name_is_refused() {
    let (_directory, store) = make_store(&["bob"]);
    let list = store.revoke("bob", None).unwrap();
    assert_eq!(store.revoke("bob", None).unwrap(), list);
    let problem = store.revoke("carol", None).unwrap_err();
    assert!(problem.what().contains("`carol`"), "{problem}");
    assert_eq!(store.revoke("../ca", None).unwrap_err().exit().code(), 2);
}

#[test]
fn what_another_machine_revoked_is_kept() {
    let (_directory, here) = make_store(&["ann", "bob", "carol"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let there = Store::at(&Home::at(elsewhere.path()));
    there.adopt(&here.path()).unwrap();
    make(&there, &["dave"]).unwrap();
    let dave = certificate(&there, "dave").serial;
    let theirs = there.revoke("dave", None).unwrap();

    let bob = certificate(&here, "bob").serial;
    here.revoke("bob", None).unwrap();
    let both = here.renew_crl(Some(&theirs)).unwrap();
    assert!(both.has(&bob) && both.has(&dave));
    assert!(both.number > theirs.number);
    // Whoever revokes again still brings both together.
    std::fs::remove_file(here.path().join("crl.pem")).unwrap();
    here.renew_crl(None).unwrap();
    assert!(here.revoke("bob", Some(&both)).unwrap().has(&dave));
    let again = here.revoke("carol", Some(&both)).unwrap();
    assert_eq!(again.revoked.len(), 3);
    assert_eq!(again.revoked[&dave], theirs.revoked[&dave], "since when it counts stays");
}

#[test]
fn the_list_of_another_authority_is_not_mixed_in() {
    let ((_one, store), (_two, other)) = (make_store(&["bob"]), make_store(&["eve"]));
    let theirs = other.revoke("eve", None).unwrap();
    let problem = store.renew_crl(Some(&theirs)).unwrap_err();
    assert!(problem.what().contains("another CA"), "{problem}");
    assert_eq!(store.crl().unwrap(), None);
    std::fs::copy(other.path().join("crl.pem"), store.path().join("crl.pem")).unwrap();
    assert!(store.crl().unwrap_err().what().contains("crl.pem is of another CA"));
}

#[test]
fn more_revocations_than_client_vpn_takes_are_refused() {
    let key = key::generate_key().unwrap();
    let pair = key::read_key("key", &key).unwrap();
    let now = jiff::Timestamp::now();
    let authority = issue::issue_authority("ca", &pair, now).unwrap();
    let issuer = authority::make_issuer("key", &key, "ca", &authority).unwrap();
    let many = |count: u32| (0..count).map(|n| (Serial::from_octets(&n.to_be_bytes()), now)).collect();
    let list = crl::issue_list(&many(20_000), 7, &authority, &issuer, now).unwrap();
    assert_eq!((list.revoked.len(), list.number), (20_000, 7));
    let problem = crl::issue_list(&many(20_001), 7, &authority, &issuer, now).unwrap_err();
    assert!(problem.what().contains("20001") && problem.what().contains("20000"), "{problem}");
}
