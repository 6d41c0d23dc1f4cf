//! A class: the same lab for each owner of a roster, in one account or in an account each.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lab_tests::{Answer, LocalAws, find_programs, find_root, find_toolchain};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The network and the public host of HOL 02: what thirty owners share most of, in few seconds each.
const SMALL_LAB: &str = r#"
name = "lab"
owner = "your-name"
region = "us-east-1"
[network]
cidr = "10.0.0.0/16"
subnets.public = { cidr = "10.0.1.0/24", internet = "gateway" }
[hosts.public]
subnet = "public"
image = "amazon-linux-2023"
size = "t2.micro"
allow = [{ port = 22, from = "me" }]
"#;

/// Writes a roster beside a small lab. With `roles`, each owner has an account of its own.
fn write_class(aws: &LocalAws, name: &str, owners: u32, roles: bool) {
    let mut roster = String::from("owner,role_arn,lab,name\n");
    for number in 1..=owners {
        let role = format!("arn:aws:iam::{}:role/Lab", 100_000_000_000_u64 + u64::from(number));
        let role = if roles { role.as_str() } else { "" };
        let _ = writeln!(roster, "s{number:02},{role},small.toml,Student {number}");
    }
    std::fs::write(aws.folder.path().join(name), roster).expect("the roster");
    std::fs::write(aws.folder.path().join("small.toml"), SMALL_LAB).expect("the lab");
}

/// How many calls of these actions ended well.
fn count_calls(aws: &LocalAws, is_one: impl Fn(&str) -> bool) -> usize {
    let log = aws.call_log();
    log.iter().filter(|call| call["status"] == 200 && call["action"].as_str().is_some_and(&is_one)).count()
}

fn results(report: &Value) -> Vec<(String, String)> {
    let owners = report["owners"].as_array().expect("owners");
    let text = |owner: &Value, field: &str| owner[field].as_str().unwrap_or_default().to_owned();
    owners.iter().map(|owner| (text(owner, "owner"), text(owner, "result"))).collect()
}

#[test]
fn thirty_owners_get_a_lab_each_and_one_that_fails_is_kept_apart_and_done_later() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    write_class(&aws, "roster.csv", 30, true);
    let denied = json!({ "error": { "code": "AccessDenied", "status": 403, "message": "not trusted" } });
    aws.set_faults(&json!([{ "action": "AssumeRole", "nth": 7, "effect": denied }]));
    let up = aws.run("class-up", &["up", "roster.csv", "--yes", "--json"]).expect_code(1);
    let report = up.json();
    assert_eq!((&report["done"], &report["not_done"]), (&29.into(), &1.into()), "{up:#?}");
    let failed: Vec<_> = results(&report).into_iter().filter(|(_, result)| result == "failed").collect();
    let owner = report["owners"].as_array().expect("owners").iter().find(|one| one["result"] == "failed").expect("one");
    assert!(owner["failed"][0]["reason"].as_str().is_some_and(|why| why.contains("cannot be assumed")), "{owner}");
    assert_eq!(count_calls(&aws, |action| action == "CreateVpc"), 29);
    let sessions = count_calls(&aws, |action| action == "AssumeRole");
    assert_eq!(sessions, 29, "one session an owner, and not one for each of its programs");

    aws.clear_calls();
    let again = aws.run("class-up", &["up", "roster.csv", "--failed", "--yes", "--json"]).expect_code(0);
    let done = results(&again.json());
    assert_eq!(done, [(failed[0].0.clone(), "done".to_owned())], "only the one that failed");
    assert_eq!(count_calls(&aws, |action| action == "CreateVpc"), 1);

    aws.clear_calls();
    let status = aws.run("class-up", &["status", "roster.csv", "--json"]).expect_code(0).json();
    let owners = status["owners"].as_array().expect("owners").clone();
    assert_eq!((owners.len(), &status["done"]), (30, &json!(30)), "{status}");
    let resources: Vec<_> = owners.iter().map(|owner| owner["resources"].as_u64().unwrap_or(0)).collect();
    assert!(resources.iter().all(|count| *count == resources[0] && *count > 5), "{resources:?}");
    assert_eq!(aws.count("DescribeVpcs", "isDefault"), 1, "the caller's own account has only its own network");

    let down = aws.run("class-up", &["down", "roster.csv", "--yes", "--json"]).expect_code(0).json();
    assert_eq!(down["done"], 30, "each ends with the proof that nothing is left");
    let status = aws.run("class-up", &["status", "roster.csv", "--json"]).expect_code(0).json();
    let left = status["owners"].as_array().expect("owners").iter().filter(|owner| owner["resources"] != 0).count();
    assert_eq!((left, &status["done"]), (0, &json!(0)), "{status}");
    let credentials = aws.folder.path().join("home/class-roster/credentials");
    assert_eq!(std::fs::read_dir(credentials).expect("the folder").count(), 0, "no credentials stay behind");
}

#[test]
fn owners_of_one_account_share_it_without_meeting_and_slow_down_together() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    write_class(&aws, "roster.csv", 4, false);
    let throttle = json!([{ "service": "ec2", "every": 4, "times": 60, "effect": "throttle" }]);
    aws.set_faults(&throttle);
    let up = aws.run("class-up", &["up", "roster.csv", "--yes"]).expect_code(0);
    assert!(up.stdout.contains("4 of 4 done"), "{up:#?}");
    assert_eq!(aws.count("DescribeVpcs", "isDefault"), 5, "four and the account's own");
    assert_eq!(aws.count("DescribeInstances", "instanceId"), 4);
    let names = aws.act("Action=DescribeKeyPairs");
    for number in 1..=4 {
        assert_eq!(names.matches(&format!("<keyName>lab-key-s{number:02}</keyName>")).count(), 1, "{names}");
    }
    // The rate is the account's: whoever comes next begins with what the others have learnt.
    let rate = std::fs::read(aws.folder.path().join("home/class-roster/rate-123456789012-us-east-1")).expect("a rate");
    let rate = f64::from_le_bytes(rate[8..16].try_into().expect("eight bytes"));
    assert!(rate < 60.0, "60 calls a second at first, {rate} after throttling");
    aws.clear_faults();
    let down = aws.run("class-up", &["down", "roster.csv", "--yes"]).expect_code(0);
    assert!(down.stdout.contains("4 of 4 done"), "{down:#?}");
    assert_eq!(aws.count("DescribeVpcs", "isDefault"), 1);
}

#[test]
fn credentials_that_expire_begin_nobody_else() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    write_class(&aws, "roster.csv", 4, false);
    aws.set_faults(&json!([{ "action": "CreateSubnet", "effect": "expired-credentials" }]));
    let up = aws.run("class-up", &["up", "roster.csv", "--at-once", "1", "--yes", "--json"]).expect_code(1).json();
    let (done, begun): (Vec<_>, Vec<_>) = results(&up).into_iter().partition(|(_, result)| result == "not-started");
    assert_eq!((done.len(), begun), (3, vec![("s01".to_owned(), "failed".to_owned())]), "{up}");
    assert_eq!(count_calls(&aws, |action| action == "CreateVpc"), 1);
    aws.clear_faults();
    let again = aws.run("class-up", &["up", "roster.csv", "--failed", "--yes", "--json"]).expect_code(0).json();
    assert_eq!(again["done"], 4, "{again}");
}

#[test]
fn a_class_that_does_not_fit_is_refused_before_anything_is_written() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    write_class(&aws, "roster.csv", 30, false);
    let refused = aws.run("class-up", &["up", "roster.csv", "--yes"]).expect_code(1);
    for part in ["30 owners need 30 more VPCs", "1 in use, so 4 of 30 owners fit", "role_arn", "Service Quotas"] {
        assert!(refused.stderr.contains(part), "{part:?} is missing: {refused:#?}");
    }
    let written =
        aws.calls().into_iter().filter(|action| !action.starts_with("Describe") && !action.starts_with("Get"));
    assert_eq!(written.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn the_whole_of_task_1_works_for_a_class_of_one_account() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    std::fs::write(aws.folder.path().join("r.csv"), "\u{feff}owner;name\r\nada;Ada Lovelace\r\nbob;Bob\r\n")
        .expect("it");
    let mut up = aws.command("class-up", &["r.csv", "--tasks", "1", "--yes"]);
    let up = Answer::from(up.envs(find_toolchain()).output().expect("class-up starts")).expect_code(0);
    assert!(up.stdout.contains("2 of 2 done") && up.stdout.contains("Ada Lovelace"), "{up:#?}");
    for owner in ["ada", "bob"] {
        let function = aws.send("lambda", "GET", &format!("/2015-03-31/functions/lab-lambda-function-{owner}"), "");
        assert!(function.contains(&format!("lab-output-bucket-{owner}")), "{function}");
        let listed = aws.send("s3", "GET", &format!("/lab-output-bucket-{owner}?list-type=2"), "");
        assert!(listed.contains("<Key>lab-image-processed.png</Key>"), "{listed}");
    }
    let down = aws.run("class-up", &["down", "r.csv", "--yes"]).expect_code(0);
    assert!(down.stdout.contains("2 of 2 done"), "{down:#?}");
}

#[test]
fn two_accounts_do_not_see_each_others_vpn_certificates_and_functions() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let roster = "owner,role_arn\nada,arn:aws:iam::111111111111:role/a\nbob,arn:aws:iam::222222222222:role/a\n";
    std::fs::write(aws.folder.path().join("r.csv"), roster).expect("the roster");
    let up = aws.run("class-up", &["up", "r.csv", "--tasks", "2", "--yes"]).expect_code(0);
    assert!(up.stdout.contains("2 of 2 done"), "{up:#?}");
    assert_eq!(aws.count("DescribeClientVpnEndpoints", "clientVpnEndpointId"), 0, "not in the caller's account");
    let status = aws.run("class-up", &["status", "r.csv", "--json"]).expect_code(0).json();
    let costs: Vec<_> =
        status["owners"].as_array().expect("owners").iter().map(|one| one["usd_per_hour"].clone()).collect();
    assert!(costs[0] == costs[1] && costs[0].as_f64().is_some_and(|usd| usd > 0.1), "one VPN each: {costs:?}");
    let _ = aws.run("class-up", &["down", "r.csv", "--yes"]).expect_code(0);
}

fn start(aws: &LocalAws, arguments: &[&str]) -> Child {
    let mut command = aws.command("class-up", arguments);
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("class-up starts")
}

fn finish(child: Child) -> Answer {
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn ctrl_c_begins_no_other_owner_and_says_how_to_go_on() {
    let aws = LocalAws::start(&["--state-times", "0", "--latency", "20"]);
    write_class(&aws, "roster.csv", 4, true);
    let child = start(&aws, &["up", "roster.csv", "--at-once", "2", "--yes"]);
    aws.wait_for_call("CreateVpc");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let stopped = finish(child).expect_code(130);
    assert!(stopped.stdout.contains("not started") && stopped.stdout.contains("stopped"), "{stopped:#?}");
    assert!(stopped.stdout.contains("go on: class-up up roster.csv --failed"), "{stopped:#?}");
    let again = aws.run("class-up", &["up", "roster.csv", "--failed", "--yes"]).expect_code(0);
    assert!(again.stdout.contains("done in"), "{again:#?}");
    assert_eq!(count_calls(&aws, |action| action == "CreateVpc"), 4);
}

#[test]
fn after_kill_9_the_same_command_makes_everything_whole_and_nothing_twice() {
    let aws = LocalAws::start(&["--state-times", "0", "--latency", "20"]);
    write_class(&aws, "roster.csv", 3, true);
    let child = start(&aws, &["up", "roster.csv", "--yes"]);
    aws.wait_for_call("CreateSubnet");
    kill_process(Pid::from_child(&child), Signal::KILL).expect("it runs");
    let _ = finish(child);
    let again = aws.run("class-up", &["up", "roster.csv", "--yes"]).expect_code(0);
    assert!(again.stdout.contains("3 of 3 done"), "{again:#?}");
    assert_eq!(count_calls(&aws, |action| action == "CreateVpc"), 3, "those that were left alone were waited for");
    assert_eq!(count_calls(&aws, |action| action == "RunInstances"), 3);
}

#[test]
fn what_is_wrong_with_a_roster_is_told_at_once_and_nothing_is_called() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let roster = "owner,role_arn\nada,\nAda,\nbob,arn:aws:iam::1:role/x\n";
    std::fs::write(aws.folder.path().join("r.csv"), roster).expect("the roster");
    let wrong = aws.run("class-up", &["up", "r.csv", "--yes"]).expect_code(2);
    for part in ["r.csv:3: owner = \"Ada\"", "only in its case", "r.csv:4: role_arn = \"arn:aws:iam::1:role/x\""] {
        assert!(wrong.stderr.contains(part), "{part:?} is missing: {wrong:#?}");
    }
    // One function for two owners of one account, in a lab of one's own.
    let hol02 = std::fs::read_to_string(find_root().join("crates/common/labs/hol02.toml")).expect("the built-in lab");
    std::fs::write(aws.folder.path().join("mine.toml"), hol02).expect("the lab");
    std::fs::write(aws.folder.path().join("two.csv"), "owner\nada\nbob\n").expect("the roster");
    let shared = aws.run("class-up", &["up", "two.csv", "--lab", "mine.toml", "--yes"]).expect_code(2);
    assert!(shared.stderr.contains("ada and bob would share the function lab-lambda-function"), "{shared:#?}");
    // What costs needs a yes.
    let unasked = aws.run("class-up", &["up", "two.csv"]).expect_code(2);
    assert!(unasked.stderr.contains("2 labs cost $") && unasked.stderr.contains("--yes"), "{unasked:#?}");
    let unknown = aws.run("class-up", &["down", "two.csv", "--only", "eve", "--yes"]).expect_code(2);
    assert!(unknown.stderr.contains("eve"), "{unknown:#?}");
    assert!(aws.calls().is_empty(), "{:?}", aws.calls());
}

#[test]
fn the_script_builds_hands_over_and_takes_down() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    write_class(&aws, "roster.csv", 2, true);
    let target: PathBuf = find_programs().parent().expect("target/debug has a parent").to_owned();
    let script = |arguments: &[&str]| -> Answer {
        let mut command = Command::new(find_root().join("scripts/class.sh"));
        command.args(arguments).current_dir(aws.folder.path()).env_clear().env("CARGO_TARGET_DIR", &target);
        for kept in ["PATH", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CI", "HOME"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs(aws.exports()).env("LAB_HOME", aws.folder.path().join("home")).stdin(Stdio::null());
        command.output().expect("the script starts").into()
    };
    let up = script(&["up", "roster.csv"]).expect_code(0);
    assert!(up.stdout.contains("2 of 2 done"), "{up:#?}");
    let down = script(&["down", "roster.csv"]).expect_code(0);
    assert!(down.stdout.contains("2 of 2 done"), "{down:#?}");
    assert!(script(&["--help"]).expect_code(0).stdout.starts_with("Usage: scripts/class.sh"));
    assert!(script(&["upp"]).expect_code(2).stderr.starts_with("Usage: scripts/class.sh"));
}
