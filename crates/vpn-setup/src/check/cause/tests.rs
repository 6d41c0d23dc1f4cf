use std::sync::LazyLock;

use aws_sdk_ec2::types::InstanceStateName;
use jiff::{SignedDuration, Timestamp};
use lab_common::Home;

use super::*;
use crate::check::facts::{Client, Opening};
use crate::check::report::Seen;
use crate::endpoint::{Association, Route, Rule};
use crate::pki::{Issued, RevocationList, Store, Wanted};
use crate::profile::Profile;
use crate::testing::bare_endpoint;

const HOST: &str = "cvpn-endpoint-0a1.prod.clientvpn.us-east-1.amazonaws.com";

/// Certificates of one authority, made once for all tests.
struct Pki {
    laptop: Issued,
    bob: Issued,
    /// Names bob.
    list: RevocationList,
    authority: Certificate,
    stranger: Certificate,
}

static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let make = |directory: &tempfile::TempDir, clients: &[&str]| {
        let store = Store::at(&Home::at(directory.path()));
        let clients: Vec<_> = clients.iter().map(ToString::to_string).collect();
        store.make(&Wanted { authority: "lab-ada VPN CA", server: None, clients: &clients }).unwrap();
        store
    };
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, other) = (make(&ours, &["laptop", "bob"]), make(&theirs, &[]));
    let (laptop, bob) = (store.client("laptop").unwrap().unwrap(), store.client("bob").unwrap().unwrap());
    let list = store.revoke("bob", None).unwrap();
    let authority = |store: &Store| store.authority().unwrap().unwrap().certificate;
    Pki { laptop, bob, list, authority: authority(&store), stranger: authority(&other) }
});

fn assemble(issued: &Issued, remote: &str) -> Profile {
    let exported = format!("client\nremote {remote}\n<ca>\n</ca>\n");
    Profile::assemble(&exported, issued).unwrap()
}

fn endpoint() -> Endpoint {
    Endpoint {
        id: "cvpn-endpoint-0a1".into(),
        dns_name: Some(format!("*.{HOST}")),
        associations: vec![association(AssociationStatusCode::Associated)],
        rules: vec![rule(ClientVpnAuthorizationRuleStatusCode::Active)],
        routes: vec![Route {
            destination: "10.0.0.0/16".into(),
            subnet: "subnet-1".into(),
            added: false,
            state: ClientVpnRouteStatusCode::Active,
            message: None,
        }],
        ..bare_endpoint()
    }
}

fn association(state: AssociationStatusCode) -> Association {
    Association { id: "cvpn-assoc-1".into(), subnet: "subnet-1".into(), state, message: None }
}

fn rule(state: ClientVpnAuthorizationRuleStatusCode) -> Rule {
    Rule { network: "10.0.0.0/16".into(), group: None, state, message: None }
}

fn facts() -> Facts {
    let opening = Opening { ports: Some((22, 22)), groups: vec!["sg-vpn".into()], blocks: Vec::new() };
    Facts {
        now: Timestamp::now(),
        vpc: "10.0.0.0/16".parse().unwrap(),
        client_cidr: "10.83.0.0/16".parse().unwrap(),
        endpoint: Some(endpoint()),
        hosts: vec![Host {
            role: "private".into(),
            needs_window: false,
            ports: vec![22],
            state: Some(InstanceStateName::Running),
            address: Some(Ipv4Addr::new(10, 0, 2, 9)),
            openings: vec![opening],
        }],
        client: Client {
            name: "laptop".into(),
            profile: Some(assemble(&PKI.laptop, &format!("asdf.{HOST} 443"))),
            revoked: Vec::new(),
            current: Some(PKI.laptop.certificate.clone()),
            authority: Some(PKI.authority.clone()),
        },
        own_addresses: vec![Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 168, 1, 5)],
    }
}

const TUNNEL: Subject = Subject::Tunnel;
const THROUGH: Subject = Subject::Through;

fn fail(subject: Subject, detail: &str) -> Check {
    Check::new(subject, "a check", std::time::Instant::now(), Seen::new(false, detail))
}

/// The one cause that is found after this damage.
#[track_caller]
fn find_cause(failed: Subject, damage: impl FnOnce(&mut Facts)) -> String {
    let mut facts = facts();
    damage(&mut facts);
    let causes = find_causes(&facts, &[&fail(failed, "no answer in 3 s")]);
    let [cause] = causes.as_slice() else { panic!("not one cause: {causes:#?}") };
    cause.clone()
}

/// The endpoint, to be damaged.
fn at(facts: &mut Facts) -> &mut Endpoint {
    facts.endpoint.as_mut().unwrap()
}

#[test]
fn what_is_wrong_in_aws_is_named_with_the_command_that_mends_it() {
    use AssociationStatusCode::{Associating, AssociationFailed};
    let cause = find_cause(TUNNEL, |facts| facts.endpoint = None);
    assert_eq!(cause, "there is no endpoint: vpn-setup up");
    let cause = find_cause(TUNNEL, |facts| at(facts).associations.clear());
    assert!(cause.ends_with(": vpn-setup resume"), "{cause}");
    let cause = find_cause(TUNNEL, |facts| at(facts).associations = vec![association(Associating)]);
    assert!(cause.contains("subnet-1 is associating, not ready"), "{cause}");
    let mut facts = facts();
    at(&mut facts).associations = vec![association(AssociationFailed)];
    assert!(find_causes(&facts, &[&fail(TUNNEL, "no answer")]).iter().any(|cause| cause.contains("subnet-1 failed")));

    let cause = find_cause(THROUGH, |facts| at(facts).rules.clear());
    assert_eq!(cause, "no authorization rule lets clients reach 10.0.2.9: vpn-setup up");
    let elsewhere = "10.0.1.0/24".to_owned();
    let cause = find_cause(THROUGH, |facts| at(facts).rules[0].network = elsewhere);
    assert!(cause.starts_with("no authorization rule"), "{cause}");
    let coming = ClientVpnAuthorizationRuleStatusCode::Authorizing;
    let cause = find_cause(THROUGH, |facts| at(facts).rules = vec![rule(coming)]);
    assert!(cause.contains("still being made"), "{cause}");
    let cause = find_cause(THROUGH, |facts| at(facts).routes[0].destination = "10.9.0.0/16".into());
    assert!(cause.contains("no active route to 10.0.2.9"), "{cause}");
}

#[test]
fn a_security_group_in_the_way_is_named() {
    let cause = find_cause(THROUGH, |facts| facts.hosts[0].openings.clear());
    assert!(cause.contains("port 22 of host private") && cause.contains("net-up up"), "{cause}");
    let cause = find_cause(THROUGH, |facts| at(facts).groups = vec!["sg-default".into()]);
    assert!(cause.contains("port 22 of host private"), "{cause}");
    let open = Opening { ports: None, groups: Vec::new(), blocks: vec!["10.0.0.0/8".parse().unwrap()] };
    let cause = find_cause(THROUGH, |facts| facts.hosts[0].openings = vec![open]);
    assert!(cause.starts_with("nothing in AWS explains it"), "a rule for the VPC's block serves too: {cause}");
}

#[test]
fn a_host_that_does_not_run_is_named() {
    for (state, word) in [(Some(InstanceStateName::Stopped), "stopped"), (None, "not there")] {
        for failed in [THROUGH, Subject::Without] {
            let cause = find_cause(failed, |facts| facts.hosts[0].state.clone_from(&state));
            assert_eq!(cause, format!("host private is {word}: host-up up private"));
        }
    }
    let lost = |facts: &mut Facts| {
        facts.hosts[0].state = None;
        facts.hosts[0].needs_window = true;
    };
    let cause = find_cause(THROUGH, lost);
    assert_eq!(cause, "host private is not there: net-up nat -- host-up up private --wait-ready");
}

#[test]
fn what_is_wrong_with_the_file_is_named() {
    let set = |profile: Profile| move |facts: &mut Facts| facts.client.profile = Some(profile);
    let cause = find_cause(TUNNEL, set(assemble(&PKI.laptop, "a.cvpn-endpoint-0ff.example 443")));
    assert!(cause.contains("connects to a.cvpn-endpoint-0ff.example"), "{cause}");
    assert!(cause.ends_with("vpn-setup client show laptop"), "{cause}");
    let cause = find_cause(TUNNEL, set(assemble(&PKI.laptop, &format!("{HOST} 1194"))));
    assert!(cause.contains("port 1194, the endpoint has 443"), "{cause}");
    let cause = find_cause(TUNNEL, |facts| facts.client.profile = None);
    assert!(cause.starts_with("there is no .ovpn file for laptop"), "{cause}");

    // Written by hand, without the line that every export has.
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    let Pki { laptop, .. } = &*PKI;
    let text = format!("client\nremote {HOST} 443\n<cert>\n{}</cert>\n", laptop.certificate.pem);
    home.replace("laptop.ovpn", &text).unwrap();
    let cause = find_cause(TUNNEL, set(Profile::find(&home, "laptop").unwrap().unwrap()));
    assert!(cause.starts_with("laptop.ovpn lacks `remote-random-hostname`"), "{cause}");
}

#[test]
fn what_is_wrong_with_the_certificate_is_named() {
    let year = SignedDuration::from_hours(24 * 366);
    let cause = find_cause(TUNNEL, |facts| facts.now += year * 3);
    assert!(cause.starts_with("the certificate of laptop expired on "), "{cause}");
    let cause = find_cause(TUNNEL, |facts| facts.now -= year);
    assert!(cause.contains("not valid yet"), "{cause}");
    let cause = find_cause(TUNNEL, |facts| facts.client.authority = Some(PKI.stranger.clone()));
    assert!(cause.contains("is of another CA"), "{cause}");
    let cause = find_cause(TUNNEL, |facts| {
        at(facts).revocation_list = Some(PKI.list.clone());
        facts.now += year;
    });
    assert!(cause.contains("locks everybody out"), "{cause}");
}

#[test]
fn a_revoked_certificate_is_named_whoever_knows_of_it() {
    let use_bob = |facts: &mut Facts| {
        facts.client.name = "bob".into();
        facts.client.current = None;
        facts.client.profile = Some(assemble(&PKI.bob, &format!("{HOST} 443")));
    };
    for here in [true, false] {
        let cause = find_cause(TUNNEL, |facts| {
            use_bob(facts);
            if here {
                facts.client.revoked = vec![PKI.bob.certificate.clone()];
            } else {
                at(facts).revocation_list = Some(PKI.list.clone());
            }
        });
        assert_eq!(cause, "the certificate of bob is revoked: vpn-setup client add bob");
    }
}

#[test]
fn a_network_with_the_vpc_s_addresses_is_named() {
    let cause = find_cause(TUNNEL, |facts| facts.own_addresses.push(Ipv4Addr::new(10, 0, 7, 7)));
    assert!(cause.starts_with("this machine has 10.0.7.7"), "{cause}");
}

#[test]
fn where_all_is_in_order_a_guess_is_called_one() {
    assert!(find_cause(TUNNEL, |_| ()).contains("may block udp/443"));
    assert!(find_cause(Subject::Without, |_| ()).contains("another way leads into the VPC"));
    let stranger = fail(TUNNEL, "VERIFY X509NAME ERROR: CN=lab-eve.internal, must be lab-ada.internal");
    assert!(find_causes(&facts(), &[&stranger])[0].contains("another certificate than laptop.ovpn expects"));
    let silent = [fail(THROUGH, "no answer"), fail(THROUGH, "refused")];
    assert_eq!(find_causes(&facts(), &[&silent[0], &silent[1]]).len(), 1, "a guess is made once");
    assert!(find_cause(Subject::Name, |_| ()).contains("name server"));
}
