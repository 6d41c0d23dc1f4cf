//! `pipeline-up backfill` against local AWS: what is in the bucket already.

use lab_tests::pipeline::PipelineLab;
use serde_json::{Value, json};

/// A function that answers S3 Batch Operations as image-processor does, by the object's name.
const HANDLER: &str = r#"
    task=$(printf '%s' "$event" | sed -n 's/.*"taskId": *"\([^"]*\)".*/\1/p')
    case "$event" in
    *bad*) code=PermanentFailure said='too_many_pixels: 30000x30000' ;;
    *) code=Succeeded said=done ;;
    esac
    answer="{\"invocationSchemaVersion\":\"1.0\",\"treatMissingKeysAs\":\"PermanentFailure\",\"invocationId\":\"i\",
        \"results\":[{\"taskId\":\"$task\",\"resultCode\":\"$code\",\"resultString\":\"$said\"}]}"
    kind=response"#;

fn put(lab: &PipelineLab, bucket: &str, key: &str) {
    let _ = lab.aws.send("s3", "PUT", &format!("/lab-{bucket}-bucket-{}/{key}", lab.aws.owner), "a picture");
}

/// A pipeline whose function works, and these objects from before.
fn with_objects(options: &[&str], lines: &str, keys: &[&str]) -> PipelineLab {
    let lab = PipelineLab::start(options);
    lab.write_images(lines);
    lab.deploy_handler(HANDLER);
    let _ = lab.run(&[]).expect_code(0);
    // S3 told the function of them; what it made is nowhere.
    for key in keys {
        put(&lab, "input", key);
    }
    lab
}

#[test]
fn a_dry_run_says_what_is_missing_and_starts_nothing() {
    let lab = with_objects(&[], "prefix = \"in/\"", &["in/a.jpg", "in/b.jpg", "in/bad.jpg", "elsewhere.jpg"]);
    put(&lab, "output", "in/a-processed.png");
    put(&lab, "output", "in/bad.jpg-failed.json");
    lab.aws.clear_calls();
    let dry = lab.run(&["backfill", "--dry-run", "--json"]).expect_code(0);
    let found = dry.json();
    let counts = ["objects", "done", "failed_before", "todo"].map(|field| found[field].as_u64().expect(field));
    assert_eq!(counts, [3, 1, 1, 1], "{dry:#?}");
    assert!(found["usd"].as_f64().is_some_and(|usd| usd > 0.25), "a job has its price: {found}");
    assert_eq!(lab.aws.writes(), Vec::<String>::new());
    let none = lab.run(&["backfill", "--prefix", "in/a", "--json"]).expect_code(0);
    assert_eq!(none.json()["todo"], 0);
}

#[test]
fn a_job_processes_the_rest_and_says_why_some_failed() {
    let lab = with_objects(&[], "", &["a%20b.jpg", "c.jpg", "bad.jpg"]);
    let refused = lab.run(&["backfill"]).expect_code(2);
    assert!(refused.stderr.contains("ask_above") && refused.stderr.contains("--yes"), "{refused:#?}");
    let backfill = lab.run(&["backfill", "--yes", "--json"]).expect_code(1);
    let document = backfill.json();
    assert_eq!((&document["way"], &document["status"]), (&json!("batch"), &json!("Complete")), "{backfill:#?}");
    assert_eq!((&document["succeeded"], &document["failed"]), (&json!(2), &json!(1)), "{backfill:#?}");
    let reasons = document["reasons"].as_object().expect("reasons");
    assert!(reasons.keys().any(|reason| reason.contains("too_many_pixels")), "{reasons:?}");

    let status = lab.run(&["status", "--json"]).expect_code(0).json();
    let roles: Vec<&Value> =
        status["resources"].as_array().expect("some").iter().filter(|it| it["kind"] == "role").collect();
    assert_eq!(roles.len(), 2, "the function's, and that of backfills: {roles:?}");
    let _ = lab.run(&["plan", "--check"]).expect_code(0);
    let down = lab.run(&["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]));
    let _ = lab.run_program("lab-status", &["leaks"]).expect_code(0);
}

#[test]
fn where_batch_operations_are_forbidden_the_queue_takes_the_events() {
    let lab = with_objects(&[], "queue = true", &["a.jpg", "b.jpg"]);
    let denied = json!({ "error": { "code": "AccessDenied", "status": 403, "message": "not authorized" } });
    lab.aws.set_faults(&json!([{ "action": "CreateJob", "effect": denied }]));
    let backfill = lab.run(&["backfill", "--yes", "--json"]).expect_code(0);
    assert!(backfill.stderr.contains("S3 Batch Operations may not be used here"), "{backfill:#?}");
    let document = backfill.json();
    assert_eq!((&document["way"], &document["succeeded"]), (&json!("queue"), &json!(2)), "{document}");
    assert!(lab.aws.calls().contains(&"SendMessageBatch".to_owned()));
}

/// The calls by which objects would be handed over a second time.
fn hand_overs(lab: &PipelineLab) -> usize {
    let handing = ["SendMessageBatch", "Invoke", "CreateJob"];
    lab.aws.writes().iter().filter(|action| handing.contains(&action.as_str())).count()
}

fn deny(lab: &PipelineLab, action: &str) {
    let denied = json!({ "error": { "code": "AccessDenied", "status": 403, "message": "not authorized" } });
    lab.aws.set_faults(&json!([{ "action": action, "caller": "command", "effect": denied }]));
}

#[test]
fn a_job_that_may_not_be_watched_goes_on_and_nothing_is_processed_twice() {
    let lab = with_objects(&[], "queue = true", &["a.jpg", "b.jpg"]);
    deny(&lab, "DescribeJob");
    lab.aws.clear_calls();
    let backfill = lab.run(&["backfill", "--yes"]).expect_code(1);
    for said in ["you may not call DescribeJob", "the job goes on in AWS", "aws s3control describe-job"] {
        assert!(backfill.stderr.contains(said), "{said}: {backfill:#?}");
    }
    assert!(!backfill.stderr.contains("may not be used here"), "{backfill:#?}");
    assert_eq!(hand_overs(&lab), 1, "the job: {:?}", lab.aws.writes());
}

#[test]
fn a_report_that_may_not_be_read_is_a_note() {
    let lab = with_objects(&[], "queue = true", &["a.jpg", "bad.jpg"]);
    deny(&lab, "GetObject");
    lab.aws.clear_calls();
    let backfill = lab.run(&["backfill", "--yes", "--json"]).expect_code(1);
    let document = backfill.json();
    assert_eq!((&document["way"], &document["status"]), (&json!("batch"), &json!("Complete")), "{backfill:#?}");
    assert_eq!((&document["succeeded"], &document["failed"]), (&json!(1), &json!(1)), "{backfill:#?}");
    assert!(backfill.stderr.contains("note: why objects failed is not known"), "{backfill:#?}");
    assert!(backfill.stderr.contains("you may not call GetObject"), "{backfill:#?}");
    assert_eq!(hand_overs(&lab), 1, "the job: {:?}", lab.aws.writes());
}

#[test]
fn what_stops_a_hand_over_is_told_with_what_was_handed_over() {
    let lab = with_objects(&[], "queue = true", &["a.jpg", "b.jpg"]);
    let denied = json!({ "error": { "code": "AccessDenied", "status": 403, "message": "the queue's own words" } });
    lab.aws.set_faults(&json!([{ "action": "SendMessageBatch", "nth": 2, "effect": denied }]));
    let backfill = lab.run(&["backfill", "--rate", "1/s"]).expect_code(1);
    assert!(backfill.stderr.contains("the queue's own words"), "{backfill:#?}");
    assert!(backfill.stderr.contains("1 object had been handed over"), "{backfill:#?}");
}

#[test]
fn a_learner_lab_s_function_is_invoked_at_a_rate() {
    let student = "arn:aws:sts::123456789012:assumed-role/voclabs/user1";
    let lab = with_objects(&["--caller-arn", student], "", &["a.jpg", "b.jpg", "c.jpg"]);
    lab.aws.clear_calls();
    let start = std::time::Instant::now();
    let backfill = lab.run(&["backfill", "--rate", "2/s", "--json"]).expect_code(0);
    assert!(start.elapsed().as_secs_f64() >= 1.0, "two, and a second later the third");
    assert_eq!((&backfill.json()["way"], &backfill.json()["succeeded"]), (&json!("invoke"), &json!(3)));
    let writes = lab.aws.writes();
    assert_eq!(writes.iter().filter(|action| *action == "Invoke").count(), 3, "{writes:?}");
    assert!(!writes.iter().any(|action| action.contains("Role") || action == "CreateJob"), "{writes:?}");
}
