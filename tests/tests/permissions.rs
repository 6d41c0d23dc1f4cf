//! docs/permissions/PROGRAM.json permits what the program calls: a user who grants that policy must not be refused.

use std::collections::BTreeSet;

use lab_tests::{LocalAws, find_root};
use serde_json::Value;

/// Services whose IAM actions bear their API's names. S3's do not.
const COMPARED: [&str; 8] = ["acm", "ec2", "iam", "logs", "servicequotas", "sqs", "ssm", "sts"];

/// The actions that a program's policy permits.
fn read_policy(program: &str) -> Vec<String> {
    let path = find_root().join("docs/permissions").join(format!("{program}.json"));
    let policy: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the policy")).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements").clone();
    let list = |action: &Value| match action {
        Value::Array(actions) => actions.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
    };
    statements.iter().flat_map(|statement| list(&statement["Action"])).collect()
}

/// What the programs called since the log was cleared, in IAM's words.
fn list_called(aws: &LocalAws) -> BTreeSet<String> {
    let text = |call: &Value, field: &str| call[field].as_str().unwrap_or_default().to_owned();
    let calls = aws.call_log();
    let compared = calls.iter().filter(|call| COMPARED.contains(&text(call, "service").as_str()));
    compared.map(|call| format!("{}:{}", text(call, "service"), text(call, "action"))).collect()
}

#[test]
fn each_program_calls_only_what_its_policy_permits() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let mut refused = Vec::new();
    let mut run = |program: &str, arguments: &[&str]| {
        aws.clear_calls();
        let _ = aws.run(program, arguments).expect_code(0);
        let permitted = read_policy(program);
        let called = list_called(&aws);
        assert!(!called.is_empty(), "{program} {arguments:?} calls AWS");
        refused
            .extend(called.into_iter().filter(|action| !permitted.contains(action)).map(|a| (program.to_owned(), a)));
    };
    run("net-up", &["up", "--yes"]);
    run("net-up", &["nat", "open", "--yes"]);
    run("host-up", &["up", "--wait-ready", "--yes"]);
    run("net-up", &["nat", "close", "--yes"]);
    run("pipeline-up", &["up", "--yes"]);
    run("vpn-setup", &["up", "--yes"]);
    run("vpn-setup", &["client", "add", "ann"]);
    run("vpn-setup", &["client", "revoke", "ann", "--yes"]);
    run("vpn-setup", &["pause"]);
    run("vpn-setup", &["resume", "--yes"]);
    run("lab-status", &[]);
    run("lab-status", &["cost"]);
    run("lab-status", &["picture"]);
    run("lab-status", &["report", "--out", "report.html"]);
    run("lab-status", &["doctor"]);
    run("host-up", &["status"]);
    run("vpn-setup", &["down", "--yes"]);
    run("pipeline-up", &["down", "--yes"]);
    run("host-up", &["down", "--yes"]);
    run("net-up", &["down", "--yes"]);
    run("lab-status", &["leaks"]);
    std::fs::write(aws.folder.path().join("r.csv"), "owner\nada\nbob\n").expect("a roster");
    run("class-up", &["plan", "r.csv"]);
    assert!(refused.is_empty(), "not in docs/permissions: {refused:#?}");
}
