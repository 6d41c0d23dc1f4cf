//! `vpn-setup` against local AWS, as a user runs it, and with everything that can go wrong on the way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use lab_tests::{Answer, LocalAws, PATIENCE};
use serde_json::{Value, json};

/// The calls of `down`, in the order in which AWS lets things go.
const WAY_DOWN: [&str; 4] =
    ["RevokeClientVpnIngress", "DisassociateClientVpnTargetNetwork", "DeleteClientVpnEndpoint", "DeleteCertificate"];

/// States change at once: a look at them is never too early.
fn start_with_network() -> LocalAws {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &[]).expect_code(0);
    aws
}

fn is_write(action: &str) -> bool {
    !["Describe", "Get", "List", "Export"].iter().any(|read| action.starts_with(read))
}

fn writes(aws: &LocalAws) -> Vec<String> {
    aws.calls().into_iter().filter(|action| is_write(action)).collect()
}

fn count(answer: &Answer, kind: &str) -> usize {
    let document = answer.json();
    document["resources"].as_array().expect("resources").iter().filter(|one| one["kind"] == kind).count()
}

/// The VPN is there, once, associated, and needs no change.
#[track_caller]
fn assert_whole(aws: &LocalAws, why: &str) {
    let plan = aws.run("vpn-setup", &["plan", "--check", "--json"]);
    assert_eq!(plan.code, Some(0), "{why}: {plan:#?}");
    let status = aws.run("vpn-setup", &["status", "--json"]).expect_code(0);
    assert_eq!(status.json()["usd_per_hour"], 0.1, "{why}: {status:#?}");
    for kind in ["client-vpn-endpoint", "certificate"] {
        assert_eq!(count(&status, kind), 1, "{why}: one {kind}: {status:#?}");
    }
    assert_eq!(aws.count("DescribeClientVpnEndpoints", "clientVpnEndpointId"), 1, "{why}: one endpoint");
    assert_eq!(count_certificates(aws), 1, "{why}: one certificate in ACM");
}

fn count_certificates(aws: &LocalAws) -> usize {
    let list = aws.send_json("acm", "CertificateManager.ListCertificates", "{}");
    list.matches("\"CertificateArn\"").count()
}

#[track_caller]
fn take_down(aws: &LocalAws) {
    let down = aws.run("vpn-setup", &["down", "--yes"]);
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(aws.count("DescribeClientVpnEndpoints", "clientVpnEndpointId"), 0, "no endpoint is left");
    assert_eq!(count_certificates(aws), 0, "no certificate is left in ACM");
}

#[test]
fn up_makes_the_vpn_up_again_reads_only_and_down_goes_the_way_that_aws_wants() {
    let aws = start_with_network();
    assert_eq!(aws.run("vpn-setup", &["plan", "--check"]).code, Some(3));
    let home = std::fs::read_dir(aws.folder.path().join("home")).expect("what net-up left");
    let names: Vec<_> = home.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["last-up-net-up.json"], "plan writes nothing");
    let first = aws.run("vpn-setup", &["--yes", "--json"]).expect_code(0);
    assert!(!first.all().contains("PRIVATE KEY"), "no key is shown");
    assert_whole(&aws, "after up");

    aws.clear_calls();
    let second = aws.run("vpn-setup", &["--json"]).expect_code(0);
    assert_eq!(second.json()["changed"], json!([]));
    assert_eq!(writes(&aws), [""; 0]);

    aws.clear_calls();
    take_down(&aws);
    let way: Vec<_> = writes(&aws).into_iter().filter(|action| WAY_DOWN.contains(&action.as_str())).collect();
    assert_eq!(way, WAY_DOWN);
    let again = aws.run("vpn-setup", &["down", "--yes"]).expect_code(0);
    assert!(again.stderr.contains("nothing of this part is left"), "{again:#?}");
}

#[test]
fn each_client_has_a_file_that_only_its_owner_may_read_and_openssl_accepts() {
    let aws = start_with_network();
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    let home = aws.folder.path().join("home");
    let profile = home.join("laptop.ovpn");
    let mode = |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&profile), 0o600);
    let text = std::fs::read_to_string(&profile).expect("the file");
    for part in ["remote-random-hostname", "remote-cert-tls server", "<ca>", "<cert>", "<key>", "reneg-sec 0"] {
        assert_eq!(text.matches(part).count(), 1, "{part} stands once in\n{text}");
    }
    let pki = home.join("pki");
    let verified = std::process::Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"])
        .args([pki.join("ca.crt"), pki.join("issued/laptop.crt")])
        .output()
        .expect("openssl");
    assert!(verified.status.success(), "{verified:?}");
    for path in ["private/ca.key", "private/laptop.key", "private/server.key"] {
        assert_eq!(mode(&pki.join(path)), 0o600, "{path}");
    }
    assert_eq!((mode(&pki), mode(&pki.join("private"))), (0o700, 0o700));

    let added = aws.run("vpn-setup", &["client", "add", "ann", "bob"]).expect_code(0);
    assert!(!added.all().contains("PRIVATE KEY"), "no key is shown");
    assert!(home.join("ann.ovpn").is_file() && home.join("bob.ovpn").is_file());
    let twice = aws.run("vpn-setup", &["client", "add", "ann"]);
    assert!(twice.code.is_some_and(|code| code != 0) && twice.stderr.contains("ann"), "{twice:#?}");
    for name in ["a/b", "a\nb", "..", ""] {
        let refused = aws.run("vpn-setup", &["client", "add", name]).expect_code(2);
        assert!(refused.stderr.contains("letters, digits"), "{refused:#?}");
    }
    let _ = aws.run("vpn-setup", &["client", "revoke", "bob", "--yes"]).expect_code(0);
    let list = aws.run("vpn-setup", &["client", "list", "--json"]).expect_code(0).json();
    let clients = list["clients"].as_array().expect("clients");
    let revoked = |name: &str| clients.iter().find(|one| one["name"] == name).expect("listed")["revoked"].clone();
    assert_eq!((revoked("ann"), revoked("bob"), revoked("laptop")), (json!(false), json!(true), json!(false)));
    assert!(aws.calls().contains(&"ImportClientVpnClientCertificateRevocationList".to_owned()));
    assert_eq!(aws.run("vpn-setup", &["plan", "--check"]).code, Some(0), "the endpoint knows the revocation");
}

#[test]
fn pause_ends_the_cost_and_keeps_everybodys_file_valid() {
    let aws = start_with_network();
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    let profile = || std::fs::read(aws.folder.path().join("home/laptop.ovpn")).expect("the file");
    let before = profile();
    for _ in 0..2 {
        let paused = aws.run("vpn-setup", &["pause", "--json"]).expect_code(0);
        assert_eq!(paused.json()["usd_per_hour"], 0.0, "{paused:#?}");
        assert_eq!(count(&paused, "client-vpn-endpoint"), 1, "{paused:#?}");
    }
    for _ in 0..2 {
        let _ = aws.run("vpn-setup", &["resume", "--yes"]).expect_code(0);
        assert_whole(&aws, "after resume");
    }
    assert_eq!(profile(), before, "the same file goes on working");
    take_down(&aws);
}

/// Runs `verb` once for each of its calls, killed after that call, and again without a fault; `prepare` comes first.
fn kill_after_every_call(verb: &str, least: usize, prepare: impl Fn(&LocalAws), check: impl Fn(&LocalAws, &str)) {
    let aws = start_with_network();
    for nth in 1.. {
        prepare(&aws);
        aws.set_faults(&json!([{ "nth": nth, "effect": { "kill": "caller" } }]));
        let killed = aws.run("vpn-setup", &[verb, "--yes"]);
        aws.clear_faults();
        if killed.code == Some(0) {
            assert!(nth > least, "{verb} makes more than {least} calls, so it must have been killed {nth} times");
            return;
        }
        assert_eq!(killed.code, None, "killed by a signal: {killed:#?}");
        let why = format!("{verb} killed after call {nth}");
        let next = aws.run("vpn-setup", &[verb, "--yes"]);
        assert_eq!(next.code, Some(0), "{why}: {next:#?}");
        check(&aws, &why);
    }
}

#[test]
fn up_killed_after_any_call_is_finished_by_the_next() {
    kill_after_every_call(
        "up",
        15,
        |_| {},
        |aws, why| {
            assert_whole(aws, why);
            take_down(aws);
        },
    );
}

#[test]
fn down_killed_after_any_call_is_finished_by_the_next() {
    let prepare = |aws: &LocalAws| assert_eq!(aws.run("vpn-setup", &["--yes"]).code, Some(0));
    kill_after_every_call("down", 10, prepare, |aws, _| take_down(aws));
}

#[test]
fn pause_killed_after_any_call_is_finished_by_the_next() {
    let prepare = |aws: &LocalAws| assert_eq!(aws.run("vpn-setup", &["--yes"]).code, Some(0));
    kill_after_every_call("pause", 8, prepare, |aws, why| {
        let status = aws.run("vpn-setup", &["status", "--json"]).expect_code(0);
        assert_eq!(status.json()["usd_per_hour"], 0.0, "{why}: {status:#?}");
        let _ = aws.run("vpn-setup", &["resume", "--yes"]).expect_code(0);
        assert_whole(aws, why);
    });
}

/// Runs `up` once for each of its calls, with that call meeting `effect`.
fn meet_at_every_call(effect: &Value) {
    let aws = start_with_network();
    for nth in 1.. {
        aws.clear_calls();
        aws.set_faults(&json!([{ "nth": nth, "effect": effect }]));
        let first = aws.run("vpn-setup", &["--yes"]);
        let fired = aws.calls().len() >= nth;
        aws.clear_faults();
        let why = format!("{effect} at call {nth}");
        assert_eq!(first.code, Some(0), "{why} is weathered: {first:#?}");
        assert_whole(&aws, &why);
        take_down(&aws);
        if !fired {
            assert!(nth > 15, "the run has more than 15 calls, and {nth} were met");
            return;
        }
    }
}

#[test]
fn a_lost_answer_to_any_call_makes_nothing_twice() {
    meet_at_every_call(&json!("reset-after"));
}

#[test]
fn throttling_at_any_call_is_waited_out() {
    meet_at_every_call(&json!("throttle"));
}

#[test]
fn credentials_that_expire_while_the_association_takes_its_time_are_said_and_fresh_ones_continue() {
    let aws = LocalAws::start(&["--real-times"]);
    let _ = aws.run("net-up", &[]).expect_code(0);
    aws.set_faults(&json!([{ "action": "DescribeClientVpnTargetNetworks", "effect": "expired-credentials" }]));
    let expired = aws.run("vpn-setup", &["--yes"]).expect_code(1);
    for part in ["the AWS credentials have expired", "run the same command again", "0.1000 an hour"] {
        assert!(expired.stderr.contains(part), "{part:?} is missing: {expired:#?}");
    }
    let asked = aws.calls().iter().filter(|action| *action == "DescribeClientVpnTargetNetworks").count();
    assert!(asked <= 3, "an expired token is not retried in a loop: {asked} times");
    aws.clear_faults();
    aws.advance(3600);
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    assert_whole(&aws, "fresh credentials");
}

#[test]
fn the_association_is_asked_for_at_most_every_five_seconds_and_down_works_while_it_takes_its_time() {
    let aws = LocalAws::start(&["--real-times"]);
    let _ = aws.run("net-up", &[]).expect_code(0);
    aws.clear_calls();
    let start = Instant::now();
    let up = aws.command("vpn-setup", &["--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let up = up.expect("starts");
    aws.wait_for_call("AssociateClientVpnTargetNetwork");
    let looks = || aws.calls().iter().filter(|action| *action == "DescribeClientVpnTargetNetworks").count();
    while looks() < 3 {
        assert!(start.elapsed() < PATIENCE, "the association is waited for");
        std::thread::yield_now();
    }
    assert!(aws.folder.path().join("home/laptop.ovpn").is_file(), "the file does not wait for the association");
    // Looks at 0 s, 5 s and 10 s.
    assert!(start.elapsed().as_secs() >= 10, "three looks within {:?}", start.elapsed());
    let pid = rustix::process::Pid::from_child(&up);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a running process");
    let stopped = Answer::from(up.wait_with_output().expect("ends")).expect_code(130);
    for part in ["stopped by Ctrl-C", "go on: vpn-setup up", "0.1000 an hour"] {
        assert!(stopped.stderr.contains(part), "{part:?} is missing: {stopped:#?}");
    }
    let down = aws.command("vpn-setup", &["down", "--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let down = down.expect("starts");
    // The clock goes on by as much as AWS needs, whichever state is waited for.
    let mut down = Some(down);
    while down.as_mut().is_some_and(|child| child.try_wait().expect("a child").is_none()) {
        assert!(start.elapsed() < PATIENCE * 2, "down ends");
        aws.advance(60);
        std::thread::yield_now();
    }
    let answer = Answer::from(down.take().expect("the child").wait_with_output().expect("ended"));
    assert_eq!(answer.code, Some(0), "{answer:#?}");
    assert_eq!(aws.count("DescribeClientVpnEndpoints", "clientVpnEndpointId"), 0);
}

#[test]
fn a_second_machine_changes_nothing_until_it_has_the_ca() {
    let aws = start_with_network();
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    let first = aws.folder.path().join("first-machine");
    std::fs::rename(aws.folder.path().join("home"), &first).expect("moved");
    aws.clear_calls();
    let refused = aws.run("vpn-setup", &["--yes"]).expect_code(1);
    assert!(refused.stderr.contains("--ca-dir") && refused.stderr.contains("vpn-setup down"), "{refused:#?}");
    assert_eq!(writes(&aws), [""; 0]);
    let pki = first.join("pki");
    let adopted = aws.run("vpn-setup", &["--yes", "--ca-dir", pki.to_str().expect("a path")]).expect_code(0);
    assert!(!adopted.all().contains("PRIVATE KEY"), "no key is shown");
    assert_whole(&aws, "with the CA");
}

#[test]
fn what_cannot_work_is_told_before_anything_is_made() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let early = aws.run("vpn-setup", &["--yes"]).expect_code(1);
    assert!(early.stderr.contains("net-up"), "{early:#?}");
    assert_eq!(writes(&aws), [""; 0]);

    let hol02 = include_str!("../../crates/common/labs/hol02.toml");
    let file = aws.folder.path().join("lab.toml");
    let cidr = "client_cidr = \"10.83.0.0/16\"";
    for (from, to, says) in [
        (cidr, "client_cidr = \"10.64.0.0/11\"", "/12"),
        (cidr, "client_cidr = \"10.83.0.0/23\"", "/22"),
        (cidr, "client_cidr = \"10.0.0.0/16\"", "overlaps"),
        (cidr, "client_cidr = \"10.83.0.1/16\"", "10.83.0.0/16"),
        ("10.0.1.0/24", "10.0.1.0/28", "/27"),
        ("clients = [\"laptop\"]", "clients = [\"lap/top\"]", "client name"),
        ("clients = [\"laptop\"]", "clients = [\"laptop\", \"laptop\"]", "laptop"),
    ] {
        std::fs::write(&file, hol02.replace(from, to)).expect("written");
        let refused = aws.run("vpn-setup", &["--lab", "lab.toml", "plan"]).expect_code(2);
        assert!(refused.stderr.contains("lab.toml:") && refused.stderr.contains(says), "{to}: {refused:#?}");
    }
    assert!(aws.calls().iter().all(|action| !is_write(action)), "{:?}", aws.calls());
}
