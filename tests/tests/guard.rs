//! What is asked before money is spent, and what a program leaves when it is cut off in the middle.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lab_tests::{Answer, LocalAws, find_root, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// The built-in lab with another line in it, as `./lab.toml`.
fn write_lab(aws: &LocalAws, from: &str, to: &str) {
    let path = find_root().join("crates/common/labs/hol02.toml");
    let text = std::fs::read_to_string(path).expect("the built-in lab");
    assert!(text.contains(from), "{from:?} is not in the built-in lab");
    std::fs::write(aws.folder.path().join("lab.toml"), text.replace(from, to)).expect("written");
}

const LAB: [&str; 2] = ["--lab", "lab.toml"];

/// Runs a program on `./lab.toml`.
fn run(aws: &LocalAws, program: &str, arguments: &[&str]) -> Answer {
    aws.run(program, &[arguments, &LAB].concat())
}

#[test]
fn a_part_above_ask_above_needs_a_yes_before_anything_is_called() {
    let aws = LocalAws::start(&[]);
    write_lab(&aws, "ask_above = 0.10", "ask_above = 0.01");
    let _ = run(&aws, "net-up", &["up"]).expect_code(0);
    for (program, arguments, dollars) in [
        ("host-up", &["up"][..], "$0.0276 an hour"),
        // The other host counts: the plan prices what is there already, too.
        ("host-up", &["up", "private"], "$0.0276 an hour"),
        ("vpn-setup", &["up"], "$0.1000 an hour"),
        ("vpn-setup", &["resume"], "$0.1000 an hour"),
        ("net-up", &["nat", "open"], "$0.0500 an hour"),
    ] {
        aws.clear_calls();
        let refused = run(&aws, program, arguments).expect_code(2);
        for part in [dollars, "[budget] ask_above = 0.01 in lab.toml", "nothing was called", "--yes"] {
            assert!(refused.stderr.contains(part), "{program} {arguments:?}: {part:?} is missing: {refused:#?}");
        }
        assert_eq!(aws.calls(), Vec::<String>::new(), "{program} {arguments:?}");
    }
    let refused = aws.run("net-up", &["nat", "--lab", "lab.toml", "--", "true"]).expect_code(2);
    assert!(refused.stderr.contains("ask_above = 0.01"), "{refused:#?}");
    assert_eq!(aws.calls(), Vec::<String>::new());

    // What costs less, or ends a cost, is not asked about; and a plan says the same dollars.
    let plan = run(&aws, "host-up", &["plan", "--json"]).expect_code(0);
    let note = plan.json()["notes"][0].as_str().unwrap_or_default().to_owned();
    assert!(note.contains("`up` will ask: this part would cost $0.0276 an hour"), "{note}");
    let _ = run(&aws, "host-up", &["up", "--yes"]).expect_code(0);
    let _ = run(&aws, "vpn-setup", &["up", "--yes"]).expect_code(0);
    let _ = run(&aws, "vpn-setup", &["pause"]).expect_code(0);
    let _ = run(&aws, "vpn-setup", &["resume", "--yes"]).expect_code(0);
    let _ = run(&aws, "net-up", &["nat", "open", "--yes"]).expect_code(0);
    let _ = run(&aws, "net-up", &["nat", "close"]).expect_code(0);
    // Nothing new costs nothing new: the plan has nothing to say any more.
    let plan = run(&aws, "host-up", &["plan", "--json"]).expect_code(0);
    assert!(!plan.stdout.contains("will ask"), "{plan:#?}");
}

#[test]
fn a_lab_past_its_dollars_needs_a_yes_from_every_part_that_costs() {
    let aws = LocalAws::start(&[]);
    write_lab(&aws, "usd = 50.0", "usd = 0.2");
    let _ = run(&aws, "net-up", &["up"]).expect_code(0);
    let _ = run(&aws, "pipeline-up", &["up"]).expect_code(0);
    for program in ["host-up", "vpn-setup"] {
        aws.clear_calls();
        let refused = run(&aws, program, &["up", "--json"]).expect_code(2);
        for part in ["the whole lab is estimated at $", "for 4 hours", "[budget] usd = 0.2 in lab.toml"] {
            assert!(refused.stderr.contains(part), "{program}: {part:?} is missing: {refused:#?}");
        }
        assert!(refused.json()["error"].as_str().is_some_and(|error| error.contains("usd = 0.2")), "{refused:#?}");
        assert_eq!(aws.calls(), Vec::<String>::new(), "{program}");
        let agreed = run(&aws, program, &["up", "--yes", "--json"]).expect_code(0);
        let said = "agreed to by --yes: the whole lab is estimated at $";
        assert!(agreed.stderr.contains(said), "{agreed:#?}");
        assert!(agreed.json()["notes"].to_string().contains(said), "{agreed:#?}");
    }
}

#[test]
fn what_is_wrong_with_the_command_line_is_json_too_where_json_is_asked_for() {
    let aws = LocalAws::start(&[]);
    for (program, arguments, part) in [
        ("net-up", &["up", "--json", "--nonsense"][..], "--nonsense"),
        ("host-up", &["--json", "--lab", "missing.toml"], "missing.toml"),
        ("vpn-setup", &["status", "--json", "--owner", "Ada Lovelace"], "ada-lovelace"),
        ("pipeline-up", &["--json", "sideways"], "sideways"),
        ("upload-sample-image", &["--json", "--size", "0x0"], "0x0"),
        ("host-up", &["up", "nobody", "--json"], "nobody"),
    ] {
        let refused = aws.run(program, arguments).expect_code(2);
        let error = refused.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(part), "{program} {arguments:?}: {error}");
        assert!(refused.stderr.contains(part), "stderr says it as ever: {refused:#?}");
    }
    let plain = aws.run("net-up", &["up", "--nonsense"]).expect_code(2);
    assert_eq!(plain.stdout, "");
    assert_eq!(aws.run("net-up", &["--json", "--version"]).expect_code(0).stdout.lines().count(), 1);
    assert_eq!(aws.calls(), Vec::<String>::new());
}

/// Expires the credentials at the `from`-th call of `action`; answers with how many calls came after it.
fn run_until_expiry(aws: &LocalAws, action: &str, from: usize, program: &str, arguments: &[&str]) -> (Answer, usize) {
    aws.clear_calls();
    aws.set_faults(&json!([
        { "action": action, "from": from, "effect": "expired-credentials" },
    ]));
    let expired = aws.run(program, arguments).expect_code(1);
    let log = aws.call_log();
    let first = log.iter().position(|call| call["fault"] == "expired-credentials").expect("the rule fires");
    aws.clear_faults();
    (expired, log.len() - first - 1)
}

#[track_caller]
fn assert_told(expired: &Answer, parts: &[&str]) {
    for part in ["the AWS credentials have expired", "the same command again"].iter().chain(parts) {
        assert!(expired.stderr.contains(part), "{part:?} is missing: {expired:#?}");
    }
}

#[test]
fn credentials_that_end_while_a_program_waits_end_it_and_a_rerun_goes_on() {
    let aws = LocalAws::start(&["--state-times", "0.004"]);
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    // Twice before anything is changed: who is there, and how many; and twice whether another run makes one too.
    let (expired, more) = run_until_expiry(&aws, "DescribeInstances", 5, "host-up", &["up", "public", "--wait-ready"]);
    assert_told(&expired, &["what was made costs $0.0163 an hour", "go on: host-up up public --wait-ready"]);
    assert!(more < 14, "{more} calls after the first that expired");
    let _ = aws.run("host-up", &["up", "public", "--wait-ready"]).expect_code(0);

    let (expired, more) = run_until_expiry(&aws, "DescribeClientVpnTargetNetworks", 1, "vpn-setup", &["up"]);
    assert_told(&expired, &["may exist and cost $0.1000 an hour", "go on: vpn-setup up"]);
    assert!(more < 14, "{more} calls after the first that expired");
    let _ = aws.run("vpn-setup", &["up"]).expect_code(0);
    assert_eq!(aws.count("DescribeClientVpnEndpoints", "clientVpnEndpointId"), 1);
}

#[test]
fn credentials_that_end_while_the_window_is_open_leave_it_loudly() {
    let aws = LocalAws::start(&[]);
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    let (expired, more) = run_until_expiry(&aws, "DeleteNatGateway", 1, "net-up", &["nat", "--", "true"]);
    assert_told(&expired, &["the NAT window may still be open, and cost $0.05 an hour", "net-up nat close"]);
    assert!(more < 6, "{more} calls after the first that expired");
    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    let status = aws.run("net-up", &["nat", "status", "--json"]).expect_code(0);
    assert_eq!(status.json()["resources"], json!([]));
}

#[test]
fn after_expiry_no_further_step_starts() {
    let aws = LocalAws::start(&[]);
    let (expired, more) = run_until_expiry(&aws, "AttachInternetGateway", 1, "net-up", &["up"]);
    assert_told(&expired, &["not started: ", "go on: net-up up"]);
    assert!(more < 14, "{more} calls after the first that expired");
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    let _ = aws.run("net-up", &["plan", "--check"]).expect_code(0);

    for action in ["CreateBucket", "PutBucketPolicy", "CreateLogGroup"] {
        let (expired, more) = run_until_expiry(&aws, action, 1, "pipeline-up", &["up"]);
        assert_told(&expired, &["go on: pipeline-up up"]);
        // What was under way by then, some of it in several calls, goes on to its own end.
        assert!(more < 20, "{action}: {more} calls after the first that expired");
        let _ = aws.run("pipeline-up", &["up"]).expect_code(0);
        let _ = aws.run("pipeline-up", &["down", "--yes"]).expect_code(0);
    }
}

#[test]
fn an_upload_does_not_wait_out_its_time_with_credentials_that_have_ended() {
    let aws = LocalAws::start(&[]);
    let _ = aws.run("pipeline-up", &["up"]).expect_code(0);
    let (expired, more) = run_until_expiry(&aws, "HeadObject", 3, "upload-sample-image", &["--wait=30m"]);
    assert!(expired.stderr.contains("credentials that have expired"), "{expired:#?}");
    assert!(expired.stdout.contains("lab-image.png"), "the upload itself is told: {expired:#?}");
    assert!(more < 3, "{more} calls after the first that expired");
}

fn start(aws: &LocalAws, program: &str, arguments: &[&str]) -> Child {
    let mut command = aws.command(program, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Sends SIGTERM once `action` has been called.
fn terminate_at(aws: &LocalAws, action: &str, program: &str, arguments: &[&str]) -> Answer {
    aws.clear_calls();
    let child = start(aws, program, arguments);
    aws.wait_for_call(action);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a running process");
    Answer::from(child.wait_with_output().expect("it ends"))
}

#[test]
fn sigterm_ends_every_program_with_a_report_and_a_rerun_goes_on() {
    let aws = LocalAws::start(&["--latency", "60", "--state-times", "0.02"]);
    for (program, action, arguments, parts) in [
        ("net-up", "CreateVpc", &["up"][..], &["not started: ", "go on: net-up up"][..]),
        // Its steps are all under way by then, and finish.
        ("pipeline-up", "CreateBucket", &["up"], &["then again:  pipeline-up up"]),
        ("host-up", "RunInstances", &["up", "public"], &["costs $0.0163 an hour", "go on: host-up up public"]),
        ("vpn-setup", "AssociateClientVpnTargetNetwork", &["up"], &["cost $0.1000 an hour", "go on: vpn-setup up"]),
    ] {
        let stopped = terminate_at(&aws, action, program, arguments).expect_code(143);
        for part in ["stopping: the calls under way finish"].iter().chain(parts) {
            assert!(stopped.stderr.contains(part), "{program}: {part:?} is missing: {stopped:#?}");
        }
        let _ = aws.run(program, arguments).expect_code(0);
        let check = aws.run(program, &[&["plan", "--check"], &arguments[1..]].concat());
        assert_eq!(check.code, Some(0), "{program}: {check:#?}");
    }
    let stopped = terminate_at(&aws, "PutObject", "upload-sample-image", &["--wait=30m"]).expect_code(143);
    assert!(stopped.stdout.contains("lab-image.png"), "the upload itself is told: {stopped:#?}");
}

#[test]
fn sigterm_ends_an_upload_that_waits_for_somebody_to_log_in() {
    let aws = LocalAws::start(&[]);
    let (asked, config) = (aws.folder.path().join("asked"), aws.folder.path().join("config"));
    let login = format!("sh -c 'touch {}; exec sleep 60'", asked.display());
    std::fs::write(&config, format!("[profile slow]\ncredential_process = {login}\n")).expect("written");
    let mut command = aws.command("upload-sample-image", &["--profile", "slow"]);
    let command = command.env("AWS_CONFIG_FILE", config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    wait_until("somebody is asked to log in", || asked.exists());
    let since = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a running process");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert!(since.elapsed() < Duration::from_secs(30), "after {:?}", since.elapsed());
}
