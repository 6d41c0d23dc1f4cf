//! `net-up` against local AWS, as a user runs it, and with everything that can go wrong on the way.

use std::process::Stdio;

use lab_tests::{Answer, LocalAws};
use serde_json::{Value, json};

const HOL02: &str = include_str!("../../crates/common/labs/hol02.toml");

/// Kind and name of everything `net-up` makes of HOL 02.
const NETWORK: [(&str, &str); 9] = [
    ("internet-gateway", "lab-igw"),
    ("route-table", "lab-main"),
    ("route-table", "lab-public-to-internet"),
    ("security-group", "lab-client-vpn"),
    ("security-group", "lab-private-ec2"),
    ("security-group", "lab-public-ec2"),
    ("subnet", "lab-private-subnet"),
    ("subnet", "lab-public-subnet"),
    ("vpc", "lab-vpc"),
];

/// What every account has before the lab is made: `(DescribeVpcs, DescribeSecurityGroups, …)`.
const COUNTS: [(&str, &str); 5] = [
    ("DescribeVpcs", "cidrBlock"),
    ("DescribeSubnets", "subnetId"),
    ("DescribeInternetGateways", "internetGatewayId"),
    ("DescribeRouteTables", "ownerId"),
    ("DescribeSecurityGroups", "groupDescription"),
];

fn counts(aws: &LocalAws) -> Vec<usize> {
    COUNTS.iter().map(|(action, element)| aws.count(action, element)).collect()
}

fn names(answer: &Answer) -> Vec<(String, String)> {
    let document = answer.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resources = document["resources"].as_array().expect("resources");
    let mut names: Vec<_> = resources.iter().map(|one| (text(&one["kind"]), text(&one["name"]))).collect();
    names.sort();
    names
}

/// The lab is there, once, and needs no change.
#[track_caller]
fn assert_whole(aws: &LocalAws, why: &str) {
    let answer = aws.run("net-up", &["plan", "--check", "--json"]);
    assert_eq!(answer.code, Some(0), "{why}: {answer:#?}");
    let found = names(&aws.run("net-up", &["status", "--json"]));
    let found: Vec<_> = found.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    assert_eq!(found, NETWORK, "{why}");
}

fn is_write(action: &str) -> bool {
    !action.starts_with("Describe") && !action.starts_with("Get")
}

#[test]
fn up_makes_the_lab_up_again_reads_only_and_down_leaves_nothing() {
    let aws = LocalAws::start(&[]);
    let before = counts(&aws);
    assert_eq!(aws.run("net-up", &["plan", "--check"]).code, Some(3));
    let first = aws.run("net-up", &["--json"]).expect_code(0);
    assert_whole(&aws, "after up");
    assert!(first.json()["changed"].as_array().is_some_and(|changed| changed.len() > NETWORK.len()));

    aws.clear_calls();
    let second = aws.run("net-up", &["--json"]).expect_code(0);
    assert_eq!(second.json()["changed"], json!([]));
    let calls = aws.calls();
    // 13 to look at the network, and one to know whose account it is in.
    assert!(calls.len() <= 14 && !calls.iter().any(|action| is_write(action)), "{calls:?}");

    let down = aws.run("net-up", &["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]));
    assert_eq!(counts(&aws), before, "only what was there before is left");
    let again = aws.run("net-up", &["down", "--yes"]).expect_code(0);
    assert!(again.stderr.contains("nothing of this part is left"), "{again:#?}");
}

#[test]
fn a_changed_file_brings_only_the_difference() {
    let aws = LocalAws::start(&[]);
    let file = aws.folder.path().join("lab.toml");
    let up = |text: &str| {
        std::fs::write(&file, text).expect("written");
        aws.clear_calls();
        let answer = aws.run("net-up", &["--lab", "lab.toml", "--json"]);
        let writes: Vec<_> = aws.calls().into_iter().filter(|action| is_write(action)).collect();
        (answer, writes)
    };
    let (first, _) = up(HOL02);
    assert_eq!(first.code, Some(0), "{first:#?}");
    let port = HOL02
        .replace("{ port = 8888, from = \"me\" }", "{ port = 8888, from = \"me\" }, { port = 443, from = \"me\" }");
    assert_eq!(up(&port).1, ["AuthorizeSecurityGroupIngress"]);
    assert_eq!(up(HOL02).1, ["RevokeSecurityGroupIngress"]);
    let subnet = HOL02.replace("subnets.private", "subnets.more = { cidr = \"10.0.3.0/24\" }\nsubnets.private");
    assert_eq!(up(&subnet).1, ["CreateSubnet"]);
    assert_eq!(up(HOL02).1, ["DeleteSubnet"]);
    let (refused, writes) = up(&HOL02.replace("10.0.2.0/24", "10.0.9.0/24"));
    assert_eq!((refused.code, writes.len()), (Some(1), 0), "{refused:#?}");
    assert!(refused.stderr.contains("a subnet's block cannot be changed"), "{refused:#?}");
    assert_whole(&aws, "after all changes");
}

/// A look that fails does not say that the table is gone.
#[test]
fn a_route_table_that_cannot_be_looked_at_is_not_made_again() {
    let mut aws = LocalAws::start(&[]);
    for nth in 1.. {
        aws.owner = format!("refused-{nth}");
        let effect = json!({ "error": { "code": "UnauthorizedOperation", "status": 403 } });
        aws.set_faults(&json!([{ "action": "DescribeRouteTables", "nth": nth, "effect": effect }]));
        aws.clear_calls();
        let up = aws.run("net-up", &[]);
        aws.clear_faults();
        let made = aws.calls().iter().filter(|action| *action == "CreateRouteTable").count();
        assert!(made <= 1, "look {nth} refused, {made} tables made: {up:#?}");
        if up.code == Some(0) {
            assert!(nth > 3, "looks before, at and after the table's creation were refused");
            break;
        }
        assert!(up.stderr.contains("you may not call DescribeRouteTables"), "{up:#?}");
    }
}

/// What one lab adds to the account.
fn count_one_lab(aws: &mut LocalAws) -> Vec<usize> {
    let before = counts(aws);
    aws.owner = "one".into();
    let _ = aws.run("net-up", &[]).expect_code(0);
    added(&before, &counts(aws))
}

fn added(before: &[usize], after: &[usize]) -> Vec<usize> {
    after.iter().zip(before).map(|(after, before)| after - before).collect()
}

#[test]
fn killed_after_any_call_the_next_up_makes_one_of_each() {
    let mut aws = LocalAws::start(&[]);
    let one = count_one_lab(&mut aws);
    for nth in 1.. {
        let before = counts(&aws);
        aws.owner = format!("killed-{nth}");
        aws.set_faults(&json!([{ "nth": nth, "effect": { "kill": "caller" } }]));
        let killed = aws.run("net-up", &[]);
        aws.clear_faults();
        if killed.code == Some(0) {
            assert!(nth > 25, "the run has more than 25 calls, so it must have been killed {nth} times");
            return;
        }
        assert_eq!(killed.code, None, "killed by a signal: {killed:#?}");
        let why = format!("killed after call {nth}");
        let next = aws.run("net-up", &[]);
        assert_eq!(next.code, Some(0), "{why}: {next:#?}");
        assert_whole(&aws, &why);
        assert_eq!(added(&before, &counts(&aws)), one, "{why}: one of each");
    }
}

/// Runs `up` once for each of its calls, with that call meeting `effect`.
fn meet_at_every_call(effect: &Value) {
    let mut aws = LocalAws::start(&[]);
    let one = count_one_lab(&mut aws);
    for nth in 1.. {
        let before = counts(&aws);
        aws.owner = format!("met-{nth}");
        aws.clear_calls();
        aws.set_faults(&json!([{ "nth": nth, "effect": effect }]));
        let first = aws.run("net-up", &[]);
        let fired = aws.calls().len() >= nth;
        aws.clear_faults();
        let why = format!("{effect} at call {nth}");
        assert_eq!(first.code, Some(0), "{why} is weathered: {first:#?}");
        assert_whole(&aws, &why);
        assert_eq!(added(&before, &counts(&aws)), one, "{why}: one of each");
        if !fired {
            assert!(nth > 25, "the run has more than 25 calls, and {nth} were met");
            return;
        }
    }
}

#[test]
fn a_lost_answer_to_any_call_makes_nothing_twice() {
    meet_at_every_call(&json!("reset-after"));
}

#[test]
fn who_cannot_look_after_a_lost_answer_makes_nothing_again() {
    let mut aws = LocalAws::start(&[]);
    let one = count_one_lab(&mut aws);
    for (create, describe) in [("CreateVpc", "DescribeVpcs"), ("CreateInternetGateway", "DescribeInternetGateways")] {
        let before = counts(&aws);
        aws.owner = create.to_lowercase();
        aws.clear_calls();
        // The first look, before anything is made, still works.
        aws.set_faults(&json!([
            { "action": create, "effect": "reset-after" },
            { "action": describe, "from": 2, "effect": { "error": { "code": "UnauthorizedOperation", "status": 403 } } },
        ]));
        let failed = aws.run("net-up", &[]).expect_code(1);
        assert!(failed.stderr.contains(&format!("{create} may have made something")), "{failed:#?}");
        assert_eq!(aws.calls().iter().filter(|call| *call == create).count(), 1, "{create}");
        aws.clear_faults();
        let _ = aws.run("net-up", &[]).expect_code(0);
        assert_whole(&aws, create);
        assert_eq!(added(&before, &counts(&aws)), one, "{create}: one of each");
    }
}

#[test]
fn a_look_that_fails_is_not_taken_for_somebody_elses_subnet() {
    let aws = LocalAws::start(&[]);
    aws.set_faults(&json!([
        { "action": "CreateSubnet", "nth": 1, "effect": "reset-after" },
        { "action": "DescribeSubnets", "from": 2, "effect": "expired-credentials" },
    ]));
    let failed = aws.run("net-up", &[]).expect_code(1);
    assert!(failed.stderr.contains("the AWS credentials have expired"), "{failed:#?}");
    assert!(!failed.stderr.contains("not of this lab"), "{failed:#?}");
}

#[test]
fn throttling_at_any_call_is_waited_out() {
    meet_at_every_call(&json!("throttle"));
}

#[test]
fn ids_that_become_visible_late_are_waited_for() {
    let aws = LocalAws::start(&[]);
    aws.set_faults(&json!([{ "action": "Create*", "effect": { "late-visibility-ms": 700 } }]));
    let _ = aws.run("net-up", &[]).expect_code(0);
    aws.clear_faults();
    assert_whole(&aws, "late visibility");
}

#[test]
fn expired_credentials_say_so_and_a_fresh_token_continues() {
    let mut aws = LocalAws::start(&[]);
    for from in [1, 12] {
        aws.owner = format!("expired-{from}");
        aws.clear_calls();
        aws.set_faults(&json!([{ "from": from, "effect": "expired-credentials" }]));
        let expired = aws.run("net-up", &[]).expect_code(1);
        assert!(expired.stderr.contains("the AWS credentials have expired"), "{expired:#?}");
        assert!(expired.stderr.contains("run the same command again"), "{expired:#?}");
        assert!(aws.calls().len() < 40, "an expired token is not retried in a loop");
        aws.clear_faults();
        let _ = aws.run("net-up", &[]).expect_code(0);
        assert_whole(&aws, "a fresh token");
    }
}

#[test]
fn ctrl_c_finishes_what_runs_says_what_exists_and_how_to_go_on() {
    let aws = LocalAws::start(&[]);
    aws.set_faults(&json!([{ "action": "CreateVpc", "effect": { "latency-ms": 400 } }]));
    let child = aws.command("net-up", &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    aws.wait_for_call("CreateInternetGateway");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a running process");
    let stopped = Answer::from(child.wait_with_output().expect("ends")).expect_code(130);
    for part in ["stopped by Ctrl-C", "not started: create subnet lab-public-subnet", "go on: net-up up"] {
        assert!(stopped.stderr.contains(part), "{part:?} is missing: {stopped:#?}");
    }
    assert_eq!(aws.count("DescribeSubnets", "tagSet"), 0, "nothing new was started");
    aws.clear_faults();
    let _ = aws.run("net-up", &[]).expect_code(0);
    assert_whole(&aws, "after Ctrl-C");
}

#[test]
fn two_runs_at_the_same_time_make_one_lab() {
    let aws = LocalAws::start(&["--latency", "20"]);
    let start = || aws.command("net-up", &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let (one, two) = (start(), start());
    for run in [one, two] {
        let answer = Answer::from(run.wait_with_output().expect("ends"));
        assert!(matches!(answer.code, Some(0 | 1)), "{answer:#?}");
    }
    let _ = aws.run("net-up", &[]).expect_code(0);
    assert_whole(&aws, "two runs at once");
}

#[test]
fn what_cannot_work_is_told_before_anything_is_made() {
    let aws = LocalAws::start(&["--disabled-region", "eu-south-2"]);
    let lacking = |program: &mut std::process::Command| Answer::from(program.output().expect("starts"));
    let none = lacking(aws.command("net-up", &[]).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY"));
    assert_eq!(none.code, Some(1), "{none:#?}");
    assert!(none.stderr.contains("there are no AWS credentials that could be used"), "{none:#?}");

    let refused = aws.run("net-up", &["--endpoint-url", "http://127.0.0.1:9"]).expect_code(1);
    assert!(refused.stderr.contains("the endpoint refuses connections"), "{refused:#?}");

    let region = aws.run("net-up", &["--region", "eu-south-2"]).expect_code(1);
    assert!(region.stderr.contains("the Region is enabled for your account"), "{region:#?}");

    let unasked = aws.run("net-up", &["down"]).expect_code(2);
    assert!(unasked.stderr.contains("--yes"), "{unasked:#?}");
    assert!(aws.calls().iter().all(|action| !is_write(action)), "{:?}", aws.calls());
}

#[test]
fn someone_elses_things_in_the_vpc_are_named_and_kept() {
    let aws = LocalAws::start(&[]);
    let up = aws.run("net-up", &["--json"]).expect_code(0).json();
    let resources = up["resources"].as_array().expect("resources");
    let subnet = resources.iter().find(|one| one["kind"] == "subnet").expect("a subnet")["id"].clone();
    let subnet = subnet.as_str().expect("an id").to_owned();
    let made = aws.act(&format!("Action=CreateNetworkInterface&SubnetId={subnet}&Description=ours"));
    let interface = made.split("<networkInterfaceId>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id");
    aws.clear_calls();
    let down = aws.run("net-up", &["down", "--yes"]).expect_code(1);
    assert!(down.stderr.contains(interface), "{down:#?}");
    assert!(aws.calls().iter().all(|action| !is_write(action)), "nothing is deleted: {:?}", aws.calls());
    let _ = aws.act(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={interface}"));
    let _ = aws.run("net-up", &["down", "--yes"]).expect_code(0);
}

#[test]
fn a_strange_subnet_in_the_vpc_stops_down_before_anything_is_deleted() {
    let aws = LocalAws::start(&[]);
    let up = aws.run("net-up", &["--json"]).expect_code(0).json();
    let resources = up["resources"].as_array().expect("resources");
    let vpc = resources.iter().find(|one| one["kind"] == "vpc").expect("a VPC")["id"].as_str().expect("an id");
    let made = aws.act(&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.200.0/24"));
    let subnet = made.split("<subnetId>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id");
    aws.clear_calls();
    let down = aws.run("net-up", &["down", "--yes", "--json"]).expect_code(1);
    assert!(down.stderr.contains(&format!("aws ec2 delete-subnet --subnet-id {subnet}")), "{down:#?}");
    assert!(down.json()["error"].as_str().is_some_and(|error| error.contains(subnet)), "{down:#?}");
    assert!(aws.calls().iter().all(|action| !is_write(action)), "nothing is deleted: {:?}", aws.calls());
}
