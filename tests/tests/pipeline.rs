//! `pipeline-up` against local AWS, as a user runs it, and with everything that can go wrong on the way.

use lab_tests::pipeline::{HOL02, PipelineLab as Lab, kill_after_calls, list_names as names};
use serde_json::{Value, json};

/// What every test of it says.
trait Whole {
    fn assert_settled(&self, why: &str);
    fn assert_whole(&self, why: &str);
}

impl Whole for Lab {
    /// Nothing that lab.toml wants is missing or different.
    #[track_caller]
    fn assert_settled(&self, why: &str) {
        let check = self.run(&["plan", "--check", "--json"]);
        assert_eq!(check.code, Some(0), "{why}: {check:#?}");
        assert_eq!(check.json()["unchanged"], 7, "{why}");
    }

    /// Everything is there, by name, and needs no change.
    #[track_caller]
    fn assert_whole(&self, why: &str) {
        self.assert_settled(why);
        let (owner, function) = (&self.aws.owner, self.function());
        let whole = [
            ("bucket", format!("lab-input-bucket-{owner}")),
            ("bucket", format!("lab-output-bucket-{owner}")),
            ("role", format!("lab-lambda-role-{owner}")),
            ("log-group", format!("/aws/lambda/{function}")),
            ("function", function.clone()),
            ("function-permission", function),
            ("bucket-notification", format!("lab-input-bucket-{owner}")),
        ];
        let whole = whole.map(|(kind, name)| (kind.to_owned(), name));
        assert_eq!(names(&self.run(&["status", "--json"])), whole, "{why}");
    }
}

/// An open NAT window is told by every program: it costs money by the hour.
#[test]
fn who_may_not_look_at_nat_gateways_has_a_pipeline_and_a_look_that_fails_is_told() {
    let lab = Lab::start(&[]);
    let refuse = |code: &str| {
        let effect = json!({ "error": { "code": code, "message": "as told" } });
        lab.aws.set_faults(&json!([{ "action": "DescribeNatGateways", "effect": effect }]));
    };
    refuse("UnauthorizedOperation");
    let _ = lab.run(&["plan"]).expect_code(0);
    refuse("InvalidParameterValue");
    let failed = lab.run(&["plan"]).expect_code(1);
    assert!(failed.stderr.contains("DescribeNatGateways: InvalidParameterValue"), "{failed:#?}");
}

#[test]
fn the_built_in_lab_has_the_names_of_the_seed() {
    let lab = Lab::start(&[]);
    let up = lab.aws.run("pipeline-up", &["--json"]).expect_code(0);
    let expected = [
        ("bucket", "lab-input-bucket-ada"),
        ("bucket", "lab-output-bucket-ada"),
        ("role", "lab-lambda-role-ada"),
        ("log-group", "/aws/lambda/lab-lambda-function"),
    ];
    assert_eq!(names(&up), expected.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    assert!(up.stderr.contains("cargo lambda deploy lab-lambda-function "), "{up:#?}");
}

#[test]
fn without_a_function_up_does_all_else_and_names_the_command_that_deploys_it() {
    let lab = Lab::start(&[]);
    assert_eq!(lab.run(&["plan", "--check"]).code, Some(3));
    let early = lab.run(&["deploy", "--print"]).expect_code(1);
    assert!(early.stderr.contains("run `pipeline-up` first"), "{early:#?}");

    let up = lab.run(&["up", "--json"]).expect_code(0);
    let next = up.json()["next"].as_str().expect("the next command").to_owned();
    let role = "--iam-role arn:aws:iam::123456789012:role/lab-lambda-role-ada ";
    assert!(next.starts_with("cargo lambda deploy lab-lambda-function-ada ") && next.contains(role), "{next}");
    assert!(up.stderr.contains(&next), "people are told too: {up:#?}");
    let printed = lab.run(&["deploy", "--print"]).expect_code(0);
    assert_eq!(printed.stdout.trim_end(), next);
    let _ = lab.run(&["plan", "--check"]).expect_code(0);

    lab.deploy(&lab.our_tags());
    let again = lab.run(&["up", "--json"]).expect_code(0);
    assert_eq!(again.json()["next"], Value::Null);
    let changed: Vec<_> =
        again.json()["changed"].as_array().expect("changes").iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(changed, ["function", "function-permission", "bucket-notification"], "its role is set too");
    lab.assert_whole("after the deployment");

    lab.aws.clear_calls();
    let third = lab.run(&["up", "--json"]).expect_code(0);
    assert_eq!(third.json()["changed"], json!([]));
    assert_eq!(lab.aws.writes(), Vec::<String>::new(), "no change, no write");

    let refused = lab.run(&["down"]).expect_code(2);
    assert!(refused.stderr.contains("--yes"), "{refused:#?}");
    let down = lab.run(&["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]));
    let buckets = lab.aws.send("s3", "GET", "/", "");
    assert!(!buckets.contains("<Name>"), "no bucket is left: {buckets}");
    let again = lab.run(&["down", "--yes"]).expect_code(0);
    assert!(again.stderr.contains("nothing of this part is left"), "{again:#?}");
}

#[test]
fn only_what_differs_is_written() {
    let lab = Lab::start(&[]);
    lab.deploy(&lab.our_tags());
    let _ = lab.run(&[]).expect_code(0);
    let mend = |expected: &[&str]| {
        lab.aws.clear_calls();
        let up = lab.run(&[]).expect_code(0);
        assert_eq!(lab.aws.writes(), expected, "{up:#?}");
        lab.assert_whole("mended");
    };
    let _ = lab.aws.send("s3", "DELETE", "/lab-input-bucket-ada?policy", "");
    mend(&["PutBucketPolicy"]);
    let _ = lab.aws.send("s3", "DELETE", "/lab-output-bucket-ada?publicAccessBlock", "");
    mend(&["PutPublicAccessBlock"]);
    let configuration = json!({ "MemorySize": 128, "Environment": { "Variables": { "MODE": "copy" } } }).to_string();
    let path = format!("/2015-03-31/functions/{}", lab.function());
    let _ = lab.aws.send("lambda", "PUT", &format!("{path}/configuration"), &configuration);
    mend(&["UpdateFunctionConfiguration"]);
    let _ = lab.aws.send("lambda", "DELETE", &format!("{path}/policy/hybrid-lab-input-bucket"), "");
    mend(&["AddPermission"]);
}

#[test]
fn a_bucket_that_belongs_to_someone_else_stops_before_anything_is_made() {
    let lab = Lab::start(&["--foreign-bucket", "lab-output-bucket-ada"]);
    let refused = lab.run(&[]).expect_code(1);
    for part in ["lab-output-bucket-ada belongs to someone else", "another --owner"] {
        assert!(refused.stderr.contains(part), "{part:?} is missing from {refused:#?}");
    }
    assert_eq!(lab.aws.writes(), Vec::<String>::new());
}

#[test]
fn a_function_without_our_tags_is_connected_but_neither_configured_nor_deleted() {
    let lab = Lab::start(&[]);
    lab.deploy(&json!({}));
    let up = lab.run(&["--json"]).expect_code(0);
    assert!(names(&up).contains(&("bucket-notification".into(), "lab-input-bucket-ada".into())), "{up:#?}");
    let _ = lab.run(&["down", "--yes"]).expect_code(0);
    let function = lab.aws.send("lambda", "GET", &format!("/2015-03-31/functions/{}", lab.function()), "");
    assert!(function.contains(&lab.function()), "it is still there: {function}");
}

#[test]
fn another_labs_function_is_refused() {
    let lab = Lab::start(&[]);
    lab.deploy(&json!({ "hybrid-lab:lab": "lab", "hybrid-lab:owner": "bob" }));
    lab.aws.clear_calls();
    let refused = lab.run(&[]).expect_code(1);
    assert!(refused.stderr.contains("lab-lambda-function-{owner}"), "the fix is named: {refused:#?}");
    assert_eq!(lab.aws.writes(), Vec::<String>::new());
}

#[test]
fn a_learner_lab_uses_lab_role_and_writes_nothing_to_iam() {
    let lab = Lab::start(&["--caller-arn", "arn:aws:sts::123456789012:assumed-role/voclabs/user1"]);
    let up = lab.run(&["--json"]).expect_code(0);
    let next = up.json()["next"].as_str().expect("the next command").to_owned();
    assert!(next.contains("--iam-role arn:aws:iam::123456789012:role/LabRole "), "{next}");
    assert!(!lab.aws.writes().iter().any(|action| action.contains("Role")), "{:?}", lab.aws.calls());
}

#[test]
fn a_lab_without_images_is_a_usage_error() {
    let lab = Lab::start(&[]);
    let (before, after) = HOL02.split_once("[images]").expect("hol02 has images");
    let (_, after) = after.split_once("\n[").expect("and more");
    std::fs::write(lab.aws.folder.path().join("lab.toml"), format!("{before}[{after}")).expect("written");
    let refused = lab.run(&[]).expect_code(2);
    assert!(refused.stderr.contains("add an [images] section"), "{refused:#?}");
    assert_eq!(lab.aws.calls(), Vec::<String>::new());
}

#[test]
fn killed_after_any_call_the_next_up_makes_it_whole() {
    kill_after_calls(Lab::start(&[]), (1, 25), &["up"], |lab| lab.deploy(&lab.our_tags()), Lab::assert_settled);
}

#[test]
fn killed_after_any_call_the_next_down_leaves_nothing() {
    let prepare = |lab: &Lab| {
        lab.deploy(&lab.our_tags());
        let _ = lab.run(&[]).expect_code(0);
        let _ = lab.aws.send("s3", "PUT", &format!("/lab-output-bucket-{}/an-object", lab.aws.owner), "text");
    };
    kill_after_calls(Lab::start(&[]), (1, 25), &["down", "--yes"], prepare, |lab, why| {
        assert_eq!(lab.run(&["status", "--json"]).json()["resources"], json!([]), "{why}");
    });
}

/// Runs `up` in a lab of its own for every `stride`th of its calls, with that call meeting `effect`.
fn meet_at_calls(stride: usize, effect: &Value) {
    let mut lab = Lab::start(&[]);
    for nth in (1..).step_by(stride) {
        lab.aws.owner = format!("met-{nth}");
        lab.deploy(&lab.our_tags());
        lab.aws.clear_calls();
        lab.aws.set_faults(&json!([{ "nth": nth, "effect": effect }]));
        let first = lab.run(&[]);
        let fired = lab.aws.calls().len() >= nth;
        lab.aws.clear_faults();
        let why = format!("{effect} at call {nth}");
        assert_eq!(first.code, Some(0), "{why} is weathered: {first:#?}");
        lab.assert_settled(&why);
        if !fired {
            assert!(nth > 25, "the run has more than 25 calls, and it ended at {nth}");
            return;
        }
    }
}

#[test]
fn a_lost_answer_to_any_call_is_weathered() {
    meet_at_calls(1, &json!("reset-after"));
}

#[test]
fn throttling_is_waited_out() {
    // Each costs the pauses it should, so not all of them are met.
    meet_at_calls(6, &json!("throttle"));
}

#[test]
fn expired_credentials_say_so_and_a_fresh_token_continues() {
    let lab = Lab::start(&[]);
    lab.deploy(&lab.our_tags());
    for from in [1, 20] {
        lab.aws.set_faults(&json!([{ "from": from, "effect": "expired-credentials" }]));
        let expired = lab.run(&[]).expect_code(1);
        assert!(expired.stderr.contains("the AWS credentials have expired"), "{expired:#?}");
        lab.aws.clear_faults();
    }
    let _ = lab.run(&[]).expect_code(0);
    lab.assert_whole("a fresh token");
}

/// A whole pipeline, whose buckets and function lab.toml calls otherwise since.
fn renamed(lines: &str) -> Lab {
    let lab = Lab::start(&["--state-times", "0"]);
    lab.write_images(lines);
    lab.deploy(&lab.our_tags());
    let _ = lab.run(&[]).expect_code(0);
    let path = lab.aws.folder.path().join("lab.toml");
    let text = std::fs::read_to_string(&path).expect("lab.toml");
    std::fs::write(&path, text.replace("-bucket-{owner}", "-new-{owner}").replace("-function-{owner}", "-new-{owner}"))
        .expect("written");
    lab
}

#[test]
fn down_takes_what_was_renamed_in_lab_toml_and_nothing_of_others() {
    let lab = renamed("queue = true");
    let _ = lab.aws.send("s3", "PUT", "/somebodys-bucket", "");
    // What bears the lab's tags and not a role of ours, somebody else has made.
    let tags = "<Tagging><TagSet><Tag><Key>hybrid-lab:lab</Key><Value>lab</Value></Tag><Tag><Key>hybrid-lab:owner</Key>\
                <Value>ada</Value></Tag></TagSet></Tagging>";
    let _ = lab.aws.send("s3", "PUT", "/somebodys-bucket?tagging", tags);
    let _ = lab.run(&["plan"]).expect_code(0);
    assert_eq!(
        lab.aws.calls().iter().filter(|action| *action == "GetResources").count(),
        0,
        "only down looks for them"
    );

    let down = lab.run(&["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]), "{down:#?}");
    let changed = down.json()["changed"].as_array().expect("changes").clone();
    for name in ["lab-input-bucket-ada", "lab-output-bucket-ada", "lab-lambda-function-ada"] {
        assert!(changed.iter().any(|change| change["name"] == name), "{name}: {down:#?}");
    }
    let leaks = lab.run_program("lab-status", &["leaks", "--json"]).json();
    let left: Vec<_> = leaks["leaks"].as_array().expect("leaks").iter().map(|leak| leak["name"].clone()).collect();
    assert_eq!(left, ["somebodys-bucket"]);
}

#[test]
fn where_tags_may_not_be_listed_down_takes_what_lab_toml_names() {
    let lab = renamed("");
    let denied = json!({ "error": { "code": "AccessDeniedException", "status": 400, "message": "not authorized" } });
    lab.aws.set_faults(&json!([{ "action": "GetResources", "effect": denied }]));
    let down = lab.run(&["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]), "{down:#?}");
    assert!(!lab.aws.writes().contains(&"DeleteBucket".to_owned()), "{:?}", lab.aws.writes());
}
