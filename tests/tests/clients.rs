//! `vpn-setup client` against local AWS: who may connect, on one machine and on two.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lab_tests::{Answer, LocalAws};
use serde_json::{Value, json};

/// A lab with its VPN.
fn start_with_vpn() -> LocalAws {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &[]).expect_code(0);
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    aws
}

fn client(aws: &LocalAws, arguments: &[&str]) -> Answer {
    aws.run("vpn-setup", &[&["client"], arguments].concat())
}

/// The same on another machine, which has a home of its own.
fn client_elsewhere(aws: &LocalAws, home: &Path, arguments: &[&str]) -> Answer {
    let mut command = aws.command("vpn-setup", &[&["client"], arguments].concat());
    command.env("LAB_HOME", home).output().expect("vpn-setup runs").into()
}

fn home(aws: &LocalAws) -> PathBuf {
    aws.folder.path().join("home")
}

/// Names with whether each is revoked, as `client list` tells them.
fn list(aws: &LocalAws) -> Vec<(String, bool)> {
    let document = client(aws, &["list", "--json"]).expect_code(0).json();
    let read = |one: &Value| (one["name"].as_str().expect("a name").to_owned(), one["revoked"] == true);
    document["clients"].as_array().expect("clients").iter().map(read).collect()
}

#[test]
fn certificates_can_be_made_before_the_endpoint_and_up_writes_their_files() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let first = client(&aws, &["add", "ann"]).expect_code(0);
    assert!(first.stderr.contains("vpn-setup up"), "{first:#?}");
    let early = client(&aws, &["show", "ann"]).expect_code(1);
    assert!(early.stderr.contains("there is no endpoint"), "{early:#?}");
    let _ = aws.run("net-up", &[]).expect_code(0);
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    let shown = client(&aws, &["show", "ann"]).expect_code(0);
    assert_eq!(shown.stdout.trim(), home(&aws).join("ann.ovpn").display().to_string());
    assert_eq!(list(&aws), [("ann".to_owned(), false), ("laptop".to_owned(), false)]);
}

#[test]
fn a_note_that_nobody_reads_any_more_is_no_failure() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = aws.command("vpn-setup", &["client", "add", "ann"]);
    let answer = Answer::from(command.stderr(writer).output().expect("vpn-setup runs")).expect_code(0);
    assert!(answer.stdout.contains("ann"), "{answer:#?}");
}

#[test]
fn a_name_that_is_taken_is_refused_before_anything_is_made() {
    let aws = start_with_vpn();
    let refused = client(&aws, &["add", "ann", "laptop", "bob"]).expect_code(1);
    assert!(refused.stderr.contains("vpn-setup client add ann bob"), "it says how to go on: {refused:#?}");
    assert_eq!(list(&aws), [("laptop".to_owned(), false)]);
    let twice = client(&aws, &["add", "ann", "ann"]).expect_code(2);
    assert!(twice.stderr.contains("named twice"), "{twice:#?}");
    for arguments in [["show", "nobody"].as_slice(), &["revoke", "nobody", "--yes"]] {
        let unknown = client(&aws, arguments).expect_code(1);
        assert!(unknown.stderr.contains("there is no client nobody"), "{unknown:#?}");
    }
}

#[test]
fn a_client_whose_file_aws_does_not_give_can_be_added_by_the_same_command_or_has_its_file_from_up() {
    let aws = start_with_vpn();
    let export = |effect: Value| json!([{ "action": "ExportClientVpnClientConfiguration", "effect": effect }]);
    aws.set_faults(&export(json!("expired-credentials")));
    let expired = client(&aws, &["add", "ann"]).expect_code(1);
    assert!(expired.stderr.contains("the same command again"), "{expired:#?}");
    aws.clear_faults();
    let _ = client(&aws, &["add", "ann"]).expect_code(0);
    assert!(home(&aws).join("ann.ovpn").is_file());

    aws.set_faults(&export(json!({ "error": { "code": "IncorrectState", "message": "not in this state" } })));
    let early = client(&aws, &["add", "bob"]).expect_code(0);
    assert!(early.stderr.contains("IncorrectState") && early.stderr.contains("vpn-setup up"), "{early:#?}");
    aws.clear_faults();
    assert!(!home(&aws).join("bob.ovpn").exists());
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    let _ = client(&aws, &["show", "bob"]).expect_code(0);
}

#[test]
fn a_file_can_be_written_anywhere_for_its_owner_alone() {
    let aws = start_with_vpn();
    let out = aws.folder.path().join("stick.ovpn");
    let path = out.to_str().expect("UTF-8");
    std::fs::write(&out, "client\nremote an.earlier.endpoint 443\n").expect("an older one, for everybody to read");
    let shown = client(&aws, &["show", "laptop", "--out", path]).expect_code(0);
    assert_eq!(shown.stdout.trim(), path);
    assert_eq!(out.metadata().expect("it exists").permissions().mode() & 0o777, 0o600);
    let own = std::fs::read(home(&aws).join("laptop.ovpn")).expect("the file");
    assert_eq!(std::fs::read(&out).expect("the file"), own);
}

#[test]
fn a_revocation_asks_first_and_frees_the_name() {
    let aws = start_with_vpn();
    aws.clear_calls();
    let asked = client(&aws, &["revoke", "laptop"]).expect_code(2);
    assert!(asked.stderr.contains("--yes") && aws.calls().is_empty(), "nothing was called: {asked:#?}");
    let revoked = client(&aws, &["revoke", "laptop", "--yes", "--json"]).expect_code(0).json();
    assert_eq!(revoked["revocation_list"]["revocations"], 1);
    assert_eq!(revoked["revocation_list"]["imported"], true);
    assert!(!home(&aws).join("laptop.ovpn").exists(), "nobody can use that file any more");
    let gone = client(&aws, &["show", "laptop"]).expect_code(1);
    assert!(gone.stderr.contains("laptop is revoked"), "{gone:#?}");
    let _ = client(&aws, &["add", "laptop"]).expect_code(0);
    assert_eq!(list(&aws), [("laptop".to_owned(), true), ("laptop".to_owned(), false)]);
}

#[test]
fn a_revocation_killed_after_any_call_is_finished_by_the_same_command() {
    let aws = start_with_vpn();
    for nth in 1.. {
        let name = format!("client{nth}");
        let _ = client(&aws, &["add", &name]).expect_code(0);
        aws.set_faults(&json!([{ "nth": nth, "effect": { "kill": "caller" } }]));
        let killed = client(&aws, &["revoke", &name, "--yes"]);
        aws.clear_faults();
        let again = client(&aws, &["revoke", &name, "--yes", "--json"]).expect_code(0).json();
        assert_eq!(again["revocation_list"]["revocations"], nth, "every one so far: {again:#?}");
        assert_eq!(aws.run("vpn-setup", &["plan", "--check"]).code, Some(0), "the endpoint knows, after call {nth}");
        if killed.code == Some(0) {
            assert!(nth > 3, "it looks, exports and imports");
            return;
        }
    }
}

#[test]
fn a_file_of_ones_choice_replaces_nothing_but_an_older_one() {
    let aws = start_with_vpn();
    let folder = aws.folder.path();
    let show = |out: &Path| client(&aws, &["show", "laptop", "--out", out.to_str().expect("UTF-8")]);
    let stick = folder.join("stick");
    let away = show(&stick.join("laptop.ovpn")).expect_code(2);
    assert!(away.stderr.contains("there is no directory") && !stick.exists(), "{away:#?}");
    std::fs::create_dir(&stick).expect("made");
    let _ = show(&stick).expect_code(2);
    std::fs::write(stick.join("notes"), "keep").expect("written");
    std::os::unix::fs::symlink(stick.join("notes"), stick.join("link")).expect("linked");
    for (there, why) in [("notes", "another file"), ("link", "a link")] {
        let refused = show(&stick.join(there)).expect_code(2);
        assert!(refused.stderr.contains("nothing was written"), "{why}: {refused:#?}");
    }
    assert_eq!(std::fs::read_to_string(stick.join("notes")).expect("it is there"), "keep");
    let _ = show(Path::new("/dev/null")).expect_code(2);
    for _ in 0..2 {
        let written = show(&stick.join("laptop.ovpn")).expect_code(0);
        assert!(written.stdout.contains("stick/laptop.ovpn"), "{written:#?}");
    }
}

#[test]
fn two_machines_with_one_authority_do_not_forget_each_others_revocations() {
    let aws = start_with_vpn();
    let elsewhere = aws.folder.path().join("elsewhere");
    let refused = client_elsewhere(&aws, &elsewhere, &["add", "ann"]).expect_code(1);
    assert!(refused.stderr.contains("--ca-dir DIR"), "{refused:#?}");
    assert!(!elsewhere.join("pki/ca.crt").exists(), "no second authority");

    let copy = home(&aws).join("pki");
    let copy = copy.to_str().expect("UTF-8");
    let _ = client_elsewhere(&aws, &elsewhere, &["add", "ann", "--ca-dir", copy]).expect_code(0);
    assert!(elsewhere.join("ann.ovpn").is_file());
    let _ = client_elsewhere(&aws, &elsewhere, &["revoke", "ann", "--yes"]).expect_code(0);
    let both = client(&aws, &["revoke", "laptop", "--yes", "--json"]).expect_code(0).json();
    assert_eq!(both["revocation_list"]["revocations"], 2, "{both:#?}");
    assert_eq!(aws.run("vpn-setup", &["plan", "--check"]).code, Some(0));
}

#[test]
fn a_check_without_a_host_behind_the_tunnel_says_which_is_missing() {
    let aws = start_with_vpn();
    let check = aws.run("vpn-setup", &["check", "--json"]).expect_code(1).json();
    assert_eq!(check["tunnel"], false);
    let causes = check["causes"].as_array().expect("causes");
    let cause = "host private is not there: net-up nat -- host-up up private --wait-ready";
    assert!(causes.iter().any(|there| there == cause), "{check:#?}");
}
