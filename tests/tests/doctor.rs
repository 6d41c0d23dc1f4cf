//! `lab-status doctor` against local AWS, and what the `up` verbs look at before their first write.

use lab_tests::{Answer, LocalAws};
use serde_json::Value;

const STUDENT: &str = "arn:aws:sts::123456789012:assumed-role/voclabs/user1";

fn start_academy(options: &[&str]) -> LocalAws {
    LocalAws::start(&[&["--caller-arn", STUDENT], options].concat())
}

/// What a Learner Lab has ready.
fn make_academy_ready(aws: &LocalAws) {
    let make = |form: &str| aws.send("iam", "POST", "/", &format!("{form}&Version=2010-05-08"));
    let _ = make("Action=CreateRole&RoleName=LabRole&AssumeRolePolicyDocument=%7B%7D");
    let _ = make("Action=CreateInstanceProfile&InstanceProfileName=LabInstanceProfile");
    let _ = aws.act("Action=CreateKeyPair&KeyName=vockey");
}

/// Instances of somebody else's.
fn run_instances(aws: &LocalAws, number: u32) {
    let what = format!("ImageId=ami-0a1202300000086a4&InstanceType=t3.micro&MinCount={number}&MaxCount={number}");
    let _ = aws.act(&format!("Action=RunInstances&{what}"));
}

#[track_caller]
fn result(answer: &Answer, name: &str) -> (String, String) {
    let document = answer.json();
    let checks = document["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {document:#}"));
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("result"), format!("{} {}", text("detail"), text("fix")))
}

#[track_caller]
fn assert_result(answer: &Answer, name: &str, wanted: &str, part: &str) {
    let (result, text) = result(answer, name);
    assert_eq!(result, wanted, "{name}: {text}");
    assert!(text.contains(part), "{name}: {part:?} is missing from {text}");
}

#[test]
fn a_sound_account_passes_before_the_lab_and_while_it_stands() {
    let aws = LocalAws::start(&[]);
    let answer = aws.run("lab-status", &["doctor", "--json"]).expect_code(0);
    for (name, part) in [
        ("credentials", "does not expire"),
        ("caller", "123456789012"),
        ("Region", "us-east-1"),
        ("clock", "within"),
        ("account", "of one's own"),
        ("VPCs", "1 of 5 in use, 1 more wanted"),
        ("Elastic IPs", "0 of 5 in use, 1 more wanted"),
        ("VPN endpoints", "0 of 5 in use, 1 more wanted"),
        ("vCPU quota", "0 of 32 in use, 4 more wanted"),
        ("budget", "of [budget] usd = 50"),
    ] {
        assert_result(&answer, name, "ok", part);
    }
    assert_eq!(aws.writes(), Vec::<String>::new());
    assert!(aws.calls().len() <= 12, "{:?}", aws.calls());

    let _ = aws.run("net-up", &["up"]).expect_code(0);
    let again = aws.run("lab-status", &["doctor", "--json"]).expect_code(0);
    assert_result(&again, "VPCs", "ok", "2 of 5 in use, 0 more wanted");
}

#[test]
fn the_regions_are_a_table_with_endpoint_and_status() {
    let aws = LocalAws::start(&["--disabled-region", "eu-west-3"]);
    let text = aws.run("lab-status", &["doctor", "--regions"]).expect_code(0).stdout;
    let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}"));
    assert!(row("Region ").ends_with("Enabled  Status"), "{text}");
    assert!(row("us-east-1").contains("ec2.us-east-1.amazonaws.com") && row("us-east-1").contains("  yes "), "{text}");
    assert!(row("eu-west-3").contains("  no ") && row("eu-west-3").ends_with("not-opted-in"), "{text}");
    assert!(!aws.run("lab-status", &["doctor"]).expect_code(0).stdout.contains("ec2.us-east-1"));

    let json = aws.run("lab-status", &["doctor", "--json"]).expect_code(0).json();
    let regions = json["regions"].as_array().expect("regions");
    let region = |name: &str| regions.iter().find(|region| region["name"] == name).expect("listed");
    assert_eq!(region("eu-west-3")["enabled"], Value::Bool(false));
    assert_eq!(region("us-east-1")["endpoint"], "ec2.us-east-1.amazonaws.com");
}

#[test]
fn a_learner_lab_is_recognised_and_a_crowd_of_instances_is_refused_before_any_write() {
    let aws = start_academy(&[]);
    let bare = aws.run("lab-status", &["doctor", "--json"]).expect_code(1);
    assert_result(&bare, "LabRole", "problem", "account = \"own\"");
    make_academy_ready(&aws);
    let ready = aws.run("lab-status", &["doctor", "--json"]).expect_code(0);
    for (name, part) in [
        ("account", "Learner Lab"),
        ("Learner Lab", "within a Learner Lab's limits"),
        ("LabRole", "is there"),
        ("LabInstanceProfile", "is there"),
        ("vockey", "is there"),
        ("instances", "0 instances run in the Region, and this lab wants 2 more"),
        ("vCPU", "allows 32"),
    ] {
        assert_result(&ready, name, "ok", part);
    }

    let _ = aws.run("net-up", &["up"]).expect_code(0);
    run_instances(&aws, 9);
    let crowded = aws.run("lab-status", &["doctor", "--json"]).expect_code(1);
    assert_result(&crowded, "instances", "problem", "20 at once deactivate the account");

    aws.clear_calls();
    let refused = aws.run("host-up", &["up", "public", "--yes"]).expect_code(1);
    for part in ["9 instances run in us-east-1", "start 1 more", "allows 9 at a time", "20 at once deactivate"] {
        assert!(refused.stderr.contains(part), "{part:?} is missing: {refused:#?}");
    }
    assert_eq!(aws.writes(), Vec::<String>::new());
}

#[test]
fn in_an_account_of_ones_own_other_instances_are_nobodys_business() {
    let aws = LocalAws::start(&[]);
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    run_instances(&aws, 12);
    let _ = aws.run("host-up", &["up", "public"]).expect_code(0);
}

#[test]
fn what_the_account_says_is_asked_once_and_at_the_same_time_as_the_first_look() {
    let aws = LocalAws::start(&[]);
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    // Of each: what is asked besides, and a call of the second round of its first look.
    for (program, extra, second) in [
        ("net-up", "GetCallerIdentity", "DescribeVpcAttribute"),
        ("vpn-setup", "GetCallerIdentity", "DescribeClientVpnTargetNetworks"),
        ("host-up", "", ""),
    ] {
        let _ = aws.run(program, &["up"]).expect_code(0);
        let count = |arguments: &[&str]| {
            aws.clear_calls();
            let _ = aws.run(program, arguments).expect_code(0);
            aws.calls()
        };
        let up = count(&["up"]);
        let plan = count(&["plan"]);
        assert!(up.len() <= plan.len() + 1, "{program}: up {up:?}, plan {plan:?}");
        if !extra.is_empty() {
            let place = |wanted: &str| up.iter().position(|action| action == wanted).expect("asked");
            assert!(place(extra) < place(second), "{program}: {up:?}");
            assert!(!plan.contains(&extra.to_owned()), "{program}: {plan:?}");
        }
    }
    // One round trip is 300 ms: a look around of its own would be seen.
    aws.set_faults(&serde_json::json!([{ "effect": { "latency-ms": 300 } }]));
    let time = |arguments: &[&str]| {
        let start = std::time::Instant::now();
        let _ = aws.run("net-up", arguments).expect_code(0);
        start.elapsed().as_millis()
    };
    let (plan, up) = (time(&["plan"]), time(&["up"]));
    assert!(up < plan + 250, "up takes {up} ms, plan {plan} ms");
}

#[test]
fn a_clock_that_is_ten_minutes_off_stops_the_lab_and_two_are_a_note() {
    let aws = LocalAws::start(&["--clock-skew", "-600"]);
    let doctor = aws.run("lab-status", &["doctor", "--json"]).expect_code(1);
    assert_result(&doctor, "clock", "problem", "10 min ahead of AWS's");
    let refused = aws.run("net-up", &["up"]).expect_code(1);
    assert!(refused.stderr.contains("clock is 10 min ahead of AWS's"), "{refused:#?}");
    assert_eq!(aws.writes(), Vec::<String>::new());
    // Behind what AWS calls an expired request, too.
    let expired =
        serde_json::json!({ "error": { "code": "RequestExpired", "status": 400, "message": "Request has expired." } });
    aws.set_faults(&serde_json::json!([{ "service": "ec2", "effect": expired }]));
    let refused = aws.run("net-up", &["up"]).expect_code(1);
    let (clock, call) = (refused.stderr.find("clock is 10 min ahead"), refused.stderr.find("RequestExpired"));
    assert!(clock.is_some() && clock < call, "{refused:#?}");
    assert!(refused.stderr.contains("then this machine's clock is off"), "{refused:#?}");

    let aws = LocalAws::start(&["--clock-skew", "150"]);
    let doctor = aws.run("lab-status", &["doctor", "--json"]).expect_code(0);
    assert_result(&doctor, "clock", "warning", "2 min behind AWS's");
    let noted = aws.run("net-up", &["up", "--json"]).expect_code(0);
    assert!(noted.stderr.contains("note: this machine's clock is 2 min behind"), "{noted:#?}");
    assert!(noted.json()["notes"][0].as_str().is_some_and(|note| note.contains("2 min behind")), "{noted:#?}");
}

#[test]
fn credentials_that_end_soon_are_told_and_those_that_have_ended_call_nothing() {
    let aws = LocalAws::start(&["--session-ends", "500"]);
    let doctor = aws.run("lab-status", &["doctor", "--json"]).expect_code(0);
    assert_result(&doctor, "credentials", "warning", "8 min from now; a full up takes about 20 min");
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    let noted = aws.run("vpn-setup", &["up"]).expect_code(0);
    assert!(noted.stderr.contains("note: the AWS credentials expire at "), "{noted:#?}");
    assert!(noted.stderr.contains("and this may take 15 min"), "{noted:#?}");
    // They really end.
    aws.advance(500);
    let ended = aws.run("vpn-setup", &["status"]).expect_code(1);
    assert!(ended.stderr.contains("the AWS credentials have expired"), "{ended:#?}");

    // The variable may be a leftover of older keys. That these have ended, AWS says itself.
    let aws = LocalAws::start(&["--session-ends", "-60"]);
    for (program, arguments) in [
        ("net-up", &["up"][..]),
        ("net-up", &["nat", "open"]),
        ("net-up", &["nat", "--", "true"]),
        ("host-up", &["up"]),
        ("pipeline-up", &["up"]),
        ("vpn-setup", &["up"]),
    ] {
        let refused = aws.run(program, arguments).expect_code(1);
        assert!(refused.stderr.contains("the AWS credentials have expired"), "{program}: {refused:#?}");
        assert!(!refused.stderr.contains("may still be open"), "{program}: {refused:#?}");
        assert_eq!(aws.writes(), Vec::<String>::new(), "{program} {arguments:?}");
    }
    let doctor = aws.run("lab-status", &["doctor", "--json"]).expect_code(1);
    assert_result(&doctor, "caller", "problem", "the AWS credentials have expired");
    assert_result(&doctor, "credentials", "warning", "expired at");
    assert_result(&doctor, "credentials", "warning", "by AWS_CREDENTIAL_EXPIRATION");
}

#[test]
fn credentials_of_which_the_issuer_says_that_they_end_now_call_nothing() {
    let aws = LocalAws::start(&[]);
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(30);
    let answer = serde_json::json!({
        "Version": 1, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret", "SessionToken": "t",
        "Expiration": end.to_string(),
    });
    let (asked, config) = (aws.folder.path().join("asked"), aws.folder.path().join("config"));
    std::fs::write(aws.folder.path().join("keys.json"), answer.to_string()).expect("written");
    let process = "sh -c 'echo once >>asked; cat keys.json'";
    std::fs::write(&config, format!("[profile short]\ncredential_process = {process}\n")).expect("written");
    let mut up = aws.command("net-up", &["up", "--profile", "short"]);
    up.env("AWS_CONFIG_FILE", &config);
    let refused = Answer::from(up.output().expect("it starts")).expect_code(1);
    assert!(refused.stderr.contains("the AWS credentials expire within a minute, at"), "{refused:#?}");
    assert_eq!(aws.calls(), Vec::<String>::new());
    assert_eq!(std::fs::read_to_string(asked).expect("the process ran"), "once\n");
}

#[test]
fn a_leftover_beside_good_credentials_stops_nothing() {
    let aws = LocalAws::start(&[]);
    let mut up = aws.command("net-up", &["up"]);
    up.env("AWS_SESSION_TOKEN", "t").env("AWS_CREDENTIAL_EXPIRATION", "2026-01-01T00:00:00Z");
    let noted = Answer::from(up.output().expect("it starts")).expect_code(0);
    assert!(noted.stderr.contains("note: by AWS_CREDENTIAL_EXPIRATION the AWS credentials end at"), "{noted:#?}");
}

#[test]
fn who_we_are_is_no_reason_to_stop_where_nobody_tells() {
    let aws = LocalAws::start(&[]);
    let denied = serde_json::json!({ "error": { "code": "AccessDenied", "status": 403, "message": "no" } });
    aws.set_faults(&serde_json::json!([{ "service": "sts", "effect": denied }]));
    let noted = aws.run("net-up", &["up"]).expect_code(0);
    assert!(noted.stderr.contains("note: not known whose account this is"), "{noted:#?}");
    let doctor = aws.run("lab-status", &["doctor", "--json"]).expect_code(1);
    assert_result(&doctor, "caller", "problem", "you may not call GetCallerIdentity");
}

#[test]
fn another_kind_of_account_than_lab_toml_says_is_told() {
    let aws = start_academy(&[]);
    let own = lab_file("account = \"auto\"", "account = \"own\"");
    std::fs::write(aws.folder.path().join("lab.toml"), own).expect("written");
    let noted = aws.run("net-up", &["up", "--lab", "lab.toml"]).expect_code(0);
    assert!(noted.stderr.contains("note: lab.toml says account = \"own\""), "{noted:#?}");
    // What deactivates a Learner Lab does so whatever lab.toml says of it.
    run_instances(&aws, 9);
    let crowded = aws.run("host-up", &["up", "public", "--lab", "lab.toml", "--yes"]).expect_code(1);
    assert!(crowded.stderr.contains("20 at once deactivate"), "{crowded:#?}");

    // The Region is known to be forbidden only once we know who we are.
    let aws = start_academy(&["--state-times", "0"]);
    for program in ["net-up", "vpn-setup"] {
        let refused = aws.run(program, &["plan", "--region", "eu-west-1"]);
        assert_ne!(refused.code, Some(2), "a plan says what it can: {refused:#?}");
    }
    let refused = aws.run("net-up", &["up", "--region", "eu-west-1", "--yes"]).expect_code(2);
    assert!(refused.stderr.contains("a Learner Lab has no Region eu-west-1"), "{refused:#?}");
    assert_eq!(aws.writes(), Vec::<String>::new());
}

fn lab_file(from: &str, to: &str) -> String {
    let path = lab_tests::find_root().join("crates/common/labs/hol02.toml");
    let text = std::fs::read_to_string(path).expect("the built-in lab").replace("your-name", "ada");
    assert!(text.contains(from), "{from:?} is not in the built-in lab");
    text.replace(from, to)
}

#[test]
fn quotas_a_region_and_missing_credentials_are_problems_with_what_to_do() {
    let aws = LocalAws::start(&["--quota", "L-F678F1CE=1", "--disabled-region", "af-south-1"]);
    let doctor = aws.run("lab-status", &["doctor", "--json"]).expect_code(1);
    assert_result(&doctor, "VPCs", "problem", "--quota-code L-F678F1CE --desired-value 2");
    // A Region that the account has not enabled knows nobody: another one tells which it is.
    let elsewhere = aws.run("lab-status", &["doctor", "--json", "--region", "af-south-1"]).expect_code(1);
    assert_result(&elsewhere, "Region", "problem", "af-south-1 is not enabled for this account (not-opted-in)");
    let text = aws.run("lab-status", &["doctor"]).expect_code(1).stdout;
    assert!(text.contains("problem  VPCs") && text.contains("1 would stop the lab"), "{text}");

    // Service Quotas may be forbidden: what is assumed then is said.
    let denied = serde_json::json!({ "error": { "code": "AccessDeniedException", "status": 400, "message": "no" } });
    aws.set_faults(&serde_json::json!([{ "service": "servicequotas", "effect": denied }]));
    let doctor = aws.run("lab-status", &["doctor", "--json"]).expect_code(0);
    assert_result(&doctor, "VPCs", "warning", "you may not call GetServiceQuota");
    aws.clear_faults();

    // A profile that gives nothing is told among the rest.
    let profile = aws.run("lab-status", &["doctor", "--json", "--profile", "nobody"]).expect_code(1);
    assert_result(&profile, "caller", "problem", "there are no AWS credentials");
    let up = aws.run("net-up", &["up", "--profile", "nobody"]).expect_code(2);
    assert!(up.stderr.contains("the profile nobody gives no credentials"), "{up:#?}");

    let mut naked = aws.command("lab-status", &["doctor", "--json"]);
    naked.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    aws.clear_calls();
    let doctor = Answer::from(naked.output().expect("it starts")).expect_code(1);
    assert_result(&doctor, "caller", "problem", "there are no AWS credentials");
    assert_result(&doctor, "quotas", "warning", "not looked up");
    assert_eq!(aws.calls(), Vec::<String>::new());
}

#[test]
fn without_a_lab_the_account_alone_is_looked_at_and_a_broken_one_is_told() {
    let aws = LocalAws::start(&[]);
    let run = || {
        let mut command = aws.command("lab-status", &["doctor", "--json"]);
        Answer::from(command.env_remove("LAB_FILE").output().expect("it starts"))
    };
    let none = run().expect_code(0);
    assert_result(&none, "lab.toml", "ok", "none here");
    assert_result(&none, "VPCs", "ok", "1 of 5 in use, 0 more wanted");
    std::fs::write(aws.folder.path().join("lab.toml"), "name = 1\n").expect("written");
    let broken = run().expect_code(2);
    assert_result(&broken, "lab.toml", "problem", "lab.toml:1");
    assert_result(&broken, "caller", "ok", "123456789012");
}
