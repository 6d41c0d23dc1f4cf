//! `pipeline-up` against local AWS, as a user runs it, and with everything that can go wrong on the way.

use lab_tests::{Answer, LocalAws};
use serde_json::{Value, json};

/// Kind and name of everything of the pipeline of HOL 02, the function included.
const PIPELINE: [(&str, &str); 7] = [
    ("bucket", "lab-input-bucket-ada"),
    ("bucket", "lab-output-bucket-ada"),
    ("role", "lab-lambda-role-ada"),
    ("log-group", "/aws/lambda/lab-lambda-function"),
    ("function", "lab-lambda-function"),
    ("function-permission", "lab-lambda-function"),
    ("bucket-notification", "lab-input-bucket-ada"),
];
/// A zip file with nothing in it, in base64: the code of a function that is never run.
const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

/// Deploys the function as `cargo lambda deploy` does, with these tags.
fn deploy(aws: &LocalAws, tags: &Value) {
    let function = json!({
        "FunctionName": "lab-lambda-function", "Runtime": "provided.al2023", "Handler": "bootstrap",
        "Role": "arn:aws:iam::123456789012:role/lab-lambda-role-ada", "Code": { "ZipFile": EMPTY_ZIP },
        "MemorySize": 512, "Timeout": 60, "Tags": tags,
        "Environment": { "Variables": { "MODE": "png", "OUTPUT_BUCKET": "lab-output-bucket-ada" } },
    });
    let _ = aws.send("lambda", "POST", "/2015-03-31/functions", &function.to_string());
}

fn our_tags() -> Value {
    json!({
        "Name": "lab-lambda-function", "hybrid-lab:lab": "lab", "hybrid-lab:owner": "ada",
        "hybrid-lab:role": "function",
    })
}

fn names(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let document = answer.json();
    let resources = document["resources"].as_array().expect("resources");
    resources.iter().map(|one| (text(&one["kind"]), text(&one["name"]))).collect()
}

/// Everything is there and needs no change.
#[track_caller]
fn assert_whole(aws: &LocalAws, why: &str) {
    let check = aws.run("pipeline-up", &["plan", "--check"]);
    assert_eq!(check.code, Some(0), "{why}: {check:#?}");
    let found = names(&aws.run("pipeline-up", &["status", "--json"]));
    let found: Vec<_> = found.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    assert_eq!(found, PIPELINE, "{why}");
}

fn is_write(action: &str) -> bool {
    !["Get", "List", "Head", "Describe"].iter().any(|read| action.starts_with(read))
}

fn writes(aws: &LocalAws) -> Vec<String> {
    aws.calls().into_iter().filter(|action| is_write(action)).collect()
}

#[test]
fn without_a_function_up_does_all_else_and_names_the_command_that_deploys_it() {
    let aws = LocalAws::start(&[]);
    assert_eq!(aws.run("pipeline-up", &["plan", "--check"]).code, Some(3));
    let up = aws.run("pipeline-up", &["up", "--json"]).expect_code(0);
    let next = up.json()["next"].as_str().expect("the next command").to_owned();
    let role = "--iam-role arn:aws:iam::123456789012:role/lab-lambda-role-ada";
    assert!(next.starts_with("cargo lambda deploy lab-lambda-function ") && next.contains(role), "{next}");
    assert!(up.stderr.contains(&next), "people are told too: {up:#?}");
    let printed = aws.run("pipeline-up", &["deploy", "--print"]).expect_code(0);
    assert_eq!(printed.stdout.trim_end(), next);
    let _ = aws.run("pipeline-up", &["plan", "--check"]).expect_code(0);

    deploy(&aws, &our_tags());
    let again = aws.run("pipeline-up", &["up", "--json"]).expect_code(0);
    assert_eq!(again.json()["next"], Value::Null);
    assert_eq!(again.json()["changed"].as_array().map(Vec::len), Some(2), "the permission and the trigger");
    assert_whole(&aws, "after the deployment");

    aws.clear_calls();
    let third = aws.run("pipeline-up", &["up", "--json"]).expect_code(0);
    assert_eq!(third.json()["changed"], json!([]));
    assert_eq!(writes(&aws), Vec::<String>::new(), "no change, no write");

    let down = aws.run("pipeline-up", &["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]));
    let buckets = aws.send("s3", "GET", "/", "");
    assert!(!buckets.contains("<Name>"), "no bucket is left: {buckets}");
    let again = aws.run("pipeline-up", &["down", "--yes"]).expect_code(0);
    assert!(again.stderr.contains("nothing of this part is left"), "{again:#?}");
}

#[test]
fn only_what_differs_is_written() {
    let aws = LocalAws::start(&[]);
    deploy(&aws, &our_tags());
    let _ = aws.run("pipeline-up", &[]).expect_code(0);
    let mend = |expected: &[&str]| {
        aws.clear_calls();
        let up = aws.run("pipeline-up", &[]).expect_code(0);
        assert_eq!(writes(&aws), expected, "{up:#?}");
        assert_whole(&aws, "mended");
    };
    let _ = aws.send("s3", "DELETE", "/lab-input-bucket-ada?policy", "");
    mend(&["PutBucketPolicy"]);
    let _ = aws.send("s3", "DELETE", "/lab-output-bucket-ada?publicAccessBlock", "");
    mend(&["PutPublicAccessBlock"]);
    let configuration = json!({ "MemorySize": 128, "Environment": { "Variables": { "MODE": "copy" } } }).to_string();
    let path = "/2015-03-31/functions/lab-lambda-function";
    let _ = aws.send("lambda", "PUT", &format!("{path}/configuration"), &configuration);
    mend(&["UpdateFunctionConfiguration"]);
    let _ = aws.send("lambda", "DELETE", &format!("{path}/policy/hybrid-lab-input-bucket"), "");
    mend(&["AddPermission"]);
}

#[test]
fn a_bucket_that_belongs_to_someone_else_stops_before_anything_is_made() {
    let aws = LocalAws::start(&["--foreign-bucket", "lab-output-bucket-ada"]);
    let refused = aws.run("pipeline-up", &[]).expect_code(1);
    for part in ["lab-output-bucket-ada belongs to someone else", "another --owner"] {
        assert!(refused.stderr.contains(part), "{part:?} is missing from {refused:#?}");
    }
    assert_eq!(writes(&aws), Vec::<String>::new());
}

#[test]
fn a_function_without_our_tags_is_connected_but_neither_configured_nor_deleted() {
    let aws = LocalAws::start(&[]);
    deploy(&aws, &json!({}));
    let up = aws.run("pipeline-up", &["--json"]).expect_code(0);
    assert!(names(&up).contains(&("bucket-notification".into(), "lab-input-bucket-ada".into())), "{up:#?}");
    let _ = aws.run("pipeline-up", &["down", "--yes"]).expect_code(0);
    let function = aws.send("lambda", "GET", "/2015-03-31/functions/lab-lambda-function", "");
    assert!(function.contains("lab-lambda-function"), "it is still there: {function}");
}

#[test]
fn another_labs_function_is_refused() {
    let aws = LocalAws::start(&[]);
    deploy(&aws, &json!({ "hybrid-lab:lab": "lab", "hybrid-lab:owner": "bob" }));
    let refused = aws.run("pipeline-up", &[]).expect_code(1);
    assert!(refused.stderr.contains("lab-lambda-function-{owner}"), "the fix is named: {refused:#?}");
    assert_eq!(writes(&aws), Vec::<String>::new());
}

#[test]
fn a_learner_lab_uses_lab_role_and_writes_nothing_to_iam() {
    let aws = LocalAws::start(&["--caller-arn", "arn:aws:sts::123456789012:assumed-role/voclabs/user1"]);
    let up = aws.run("pipeline-up", &["--json"]).expect_code(0);
    let next = up.json()["next"].as_str().expect("the next command").to_owned();
    assert!(next.contains("--iam-role arn:aws:iam::123456789012:role/LabRole "), "{next}");
    assert!(!writes(&aws).iter().any(|action| action.contains("Role")), "{:?}", aws.calls());
}

#[test]
fn a_lab_without_images_is_a_usage_error() {
    let aws = LocalAws::start(&[]);
    let hol02 = include_str!("../../crates/common/labs/hol02.toml");
    let (before, after) = hol02.split_once("[images]").expect("hol02 has images");
    let (_, after) = after.split_once("\n[").expect("and more");
    std::fs::write(aws.folder.path().join("lab.toml"), format!("{before}[{after}")).expect("written");
    let refused = aws.run("pipeline-up", &["--lab", "lab.toml"]).expect_code(2);
    assert!(refused.stderr.contains("add an [images] section"), "{refused:#?}");
    assert_eq!(aws.calls(), Vec::<String>::new());
}

/// Runs `verb` with a kill after its first call, its second, … and each time once more without.
fn kill_after_every_call(verb: &[&str], prepare: impl Fn(&LocalAws), check: impl Fn(&LocalAws, &str)) {
    let aws = LocalAws::start(&[]);
    for nth in 1.. {
        aws.reset();
        prepare(&aws);
        aws.set_faults(&json!([{ "nth": nth, "effect": { "kill": "caller" } }]));
        let killed = aws.run("pipeline-up", verb);
        aws.clear_faults();
        if killed.code == Some(0) {
            assert!(nth > 25, "the run has more than 25 calls, so it must have been killed {nth} times");
            return;
        }
        assert_eq!(killed.code, None, "killed by a signal: {killed:#?}");
        let why = format!("{verb:?} killed after call {nth}");
        let next = aws.run("pipeline-up", verb);
        assert_eq!(next.code, Some(0), "{why}: {next:#?}");
        check(&aws, &why);
    }
}

#[test]
fn killed_after_any_call_the_next_up_makes_it_whole() {
    kill_after_every_call(&["up"], |aws| deploy(aws, &our_tags()), assert_whole);
}

#[test]
fn killed_after_any_call_the_next_down_leaves_nothing() {
    let prepare = |aws: &LocalAws| {
        deploy(aws, &our_tags());
        let _ = aws.run("pipeline-up", &[]).expect_code(0);
        let _ = aws.send("s3", "PUT", "/lab-output-bucket-ada/an-object", "text");
    };
    kill_after_every_call(&["down", "--yes"], prepare, |aws, why| {
        let status = aws.run("pipeline-up", &["status", "--json"]);
        assert_eq!(status.json()["resources"], json!([]), "{why}");
    });
}

/// Runs `up` once for each of its calls, with that call meeting `effect`.
fn meet_at_every_call(effect: &Value) {
    let aws = LocalAws::start(&[]);
    for nth in 1.. {
        aws.reset();
        deploy(&aws, &our_tags());
        aws.clear_calls();
        aws.set_faults(&json!([{ "nth": nth, "effect": effect }]));
        let first = aws.run("pipeline-up", &[]);
        let fired = aws.calls().len() >= nth;
        aws.clear_faults();
        let why = format!("{effect} at call {nth}");
        assert_eq!(first.code, Some(0), "{why} is weathered: {first:#?}");
        assert_whole(&aws, &why);
        if !fired {
            assert!(nth > 25, "the run has more than 25 calls, and {nth} were met");
            return;
        }
    }
}

#[test]
fn a_lost_answer_to_any_call_is_weathered() {
    meet_at_every_call(&json!("reset-after"));
}

#[test]
fn throttling_at_any_call_is_waited_out() {
    meet_at_every_call(&json!("throttle"));
}

#[test]
fn expired_credentials_say_so_and_a_fresh_token_continues() {
    let aws = LocalAws::start(&[]);
    deploy(&aws, &our_tags());
    for from in [1, 20] {
        aws.set_faults(&json!([{ "from": from, "effect": "expired-credentials" }]));
        let expired = aws.run("pipeline-up", &[]).expect_code(1);
        assert!(expired.stderr.contains("the AWS credentials have expired"), "{expired:#?}");
        aws.clear_faults();
    }
    let _ = aws.run("pipeline-up", &[]).expect_code(0);
    assert_whole(&aws, "a fresh token");
}
