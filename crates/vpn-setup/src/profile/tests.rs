use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;
use crate::pki::{Issued, Store, Wanted};

/// As the administrator guide shows it, with a line that is unknown here.
const EXPORTED: &str = "\
client
dev tun
proto udp
remote asdf.cvpn-endpoint-0123456789abcdef0.prod.clientvpn.us-east-1.amazonaws.com 443
remote-random-hostname
resolv-retry infinite
nobind
remote-cert-tls server
cipher AES-256-GCM
verb 3
<ca>
-----BEGIN CERTIFICATE-----
MIIB
-----END CERTIFICATE-----
</ca>


reneg-sec 0

verify-x509-name lab-ada.internal name
some-future-option with arguments
";

fn make_client() -> Issued {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(&Home::at(directory.path()));
    let clients = ["laptop".to_owned()];
    store.make(&Wanted { authority: "lab-ada VPN CA", server: None, clients: &clients }).unwrap();
    store.client("laptop").unwrap().unwrap()
}

thread_local! {
    static CLIENT: Issued = make_client();
}

fn assemble(exported: &str) -> Profile {
    CLIENT.with(|client| Profile::assemble(exported, client)).unwrap()
}

/// The lines without what was put in.
fn without_credentials(profile: &Profile) -> Vec<String> {
    drop_credentials(profile.text().reveal()).into_iter().map(str::to_owned).collect()
}

#[test]
fn every_exported_line_stays_and_certificate_and_key_follow_the_ca() {
    let Issued { certificate, key, .. } = CLIENT.with(Clone::clone);
    let profile = assemble(EXPORTED);
    let text = profile.text().reveal();
    let inserted = format!("</ca>\n<cert>\n{}</cert>\n<key>\n{}</key>\n", certificate.pem, key.reveal());
    assert_eq!(text, EXPORTED.replace("</ca>\n", &inserted));
    assert_eq!(profile.certificate().unwrap(), certificate);
    assert!(profile.has_random_hostname());
    let remote = profile.remote().unwrap();
    assert_eq!(remote.host, "asdf.cvpn-endpoint-0123456789abcdef0.prod.clientvpn.us-east-1.amazonaws.com");
    assert_eq!(remote.port.as_deref(), Some("443"));
}

#[test]
fn windows_line_ends_and_foreign_credentials_do_no_harm() {
    let twice = EXPORTED.replace("</ca>\n", "</ca>\n<cert>\nX\n</cert>\n<key>\nY\n</key>\n").replace('\n', "\r\n");
    let profile = assemble(&twice);
    let text = profile.text().reveal();
    assert!(!text.contains('\r'));
    for once in ["<cert>", "</cert>", "<key>", "</key>"] {
        assert_eq!(text.matches(once).count(), 1, "{once}");
    }
    assert_eq!(without_credentials(&profile), EXPORTED.lines().collect::<Vec<_>>());
}

#[test]
fn needed_lines_that_are_missing_are_added_in_front_of_the_ca() {
    for line in NEEDED.iter().chain([&RANDOM_HOSTNAME]) {
        let exported: String = EXPORTED.lines().filter(|other| other != line).flat_map(|line| [line, "\n"]).collect();
        let lines = without_credentials(&assemble(&exported));
        let ca = lines.iter().position(|line| line == "<ca>").unwrap();
        assert_eq!(lines[ca - 1], *line);
        assert_eq!(lines.len(), EXPORTED.lines().count(), "nothing else is added");
    }
}

#[test]
fn an_export_without_a_ca_gets_the_one_that_signed_both_sides() {
    let exported = "client\nremote a.cvpn-endpoint-1.example 443\n# the end\n";
    let text = assemble(exported).text().reveal().to_owned();
    let authority = CLIENT.with(|client| client.authority.clone()).unwrap();
    assert!(text.starts_with(exported), "{text}");
    assert!(text.contains(&format!("\n<ca>\n{}</ca>\n<cert>\n", authority.pem)));
    let unknown = Issued { authority: None, ..CLIENT.with(Clone::clone) };
    let problem = Profile::assemble(exported, &unknown).unwrap_err();
    assert!(problem.why().unwrap().contains("<ca>"), "{problem}");
}

#[test]
fn an_address_gets_no_random_label() {
    let exported = "client\nremote 203.0.113.7 443\n<ca>\n</ca>\n";
    assert!(!assemble(exported).has_random_hostname());
}

#[test]
fn what_cannot_be_guessed_is_refused() {
    for (cut, named) in [("remote asdf", "`remote`"), ("<ca>", "<ca>"), ("</ca>", "<ca>")] {
        let exported: String =
            EXPORTED.lines().filter(|line| !line.starts_with(cut)).flat_map(|line| [line, "\n"]).collect();
        let problem = CLIENT.with(|client| Profile::assemble(&exported, client)).unwrap_err();
        assert!(problem.why().unwrap().contains(named), "{problem}");
        assert!(!problem.to_string().contains("PRIVATE"), "{problem}");
    }
}

#[test]
fn a_directive_inside_an_inline_file_counts_for_nothing() {
    let exported = "remote a.example 443\n<ca>\nclient\nremote-random-hostname\n</ca>\n";
    let profile = assemble(exported);
    assert_eq!(without_credentials(&profile).iter().filter(|line| *line == "client").count(), 2);
}

#[test]
fn the_file_is_its_owners_and_replaced_whole() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    assert_eq!(Profile::find(&home, "laptop").unwrap(), None);
    for exported in [EXPORTED.to_owned(), EXPORTED.replace("0123456789abcdef0", "fedcba98765432100")] {
        let profile = assemble(&exported);
        let path = profile.write(&home, "laptop").unwrap();
        assert_eq!(path, directory.path().join("laptop.ovpn"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Profile::find(&home, "laptop").unwrap(), Some(profile));
    }
}

proptest! {
    /// Whatever AWS adds to its export: nothing is lost, and nothing changes its place.
    #[test]
    fn no_line_is_lost_or_moved(
        front in proptest::collection::vec("[a-z#;][a-z0-9 .#-]{0,20}", 0..12),
        back in proptest::collection::vec("[a-z#;]?[a-z0-9 .#-]{0,20}", 0..12),
    ) {
        let body = "remote a.cvpn-endpoint-1.example 443\n<ca>\nAAAA\n</ca>\n";
        let join = |lines: &[String]| lines.iter().map(|line| line.clone() + "\n").collect::<String>();
        let exported = join(&front) + body + &join(&back);
        let profile = assemble(&exported);
        let lines = without_credentials(&profile);
        // What stands there in the exported order is the export; what is left over was added.
        let mut rest = lines.iter();
        for line in drop_credentials(&exported) {
            prop_assert!(rest.any(|other| other == line), "{line:?} is lost or moved");
        }
        let added = lines.len() - drop_credentials(&exported).len();
        prop_assert!(added <= NEEDED.len() + 1);
    }
}
