//! `pipeline-up` with a queue between S3 and the function, against local AWS.

use lab_tests::pipeline::{PipelineLab, kill_after_calls, list_names};
use lab_tests::wait_until;
use serde_json::{Value, json};

const QUEUE: &str = "queue = true\nconcurrency = 5";

/// A function that is content with everything, S3's test message among it.
const CONTENT: &str = r#"answer='{"batchItemFailures":[]}' kind=response"#;

/// A lab with a queue and a function of ours.
fn queued(options: &[&str]) -> PipelineLab {
    let lab = PipelineLab::start(options);
    lab.write_images(QUEUE);
    lab.deploy_handler(CONTENT);
    lab
}

#[track_caller]
fn assert_settled(lab: &PipelineLab, why: &str) {
    let check = lab.run(&["plan", "--check", "--json"]);
    assert_eq!(check.code, Some(0), "{why}: {check:#?}");
}

fn sqs(lab: &PipelineLab, action: &str, body: &Value) -> Value {
    let reply = lab.aws.send_json("sqs", &format!("AmazonSQS.{action}"), &body.to_string());
    serde_json::from_str(reply.split_once("\r\n\r\n").map_or("", |(_, body)| body)).unwrap_or_default()
}

fn url(lab: &PipelineLab, name: &str) -> String {
    let answer = sqs(lab, "GetQueueUrl", &json!({ "QueueName": name }));
    answer["QueueUrl"].as_str().expect("a URL").to_owned()
}

fn attributes(lab: &PipelineLab, name: &str) -> Value {
    let wish = json!({ "QueueUrl": url(lab, name), "AttributeNames": ["All"] });
    sqs(lab, "GetQueueAttributes", &wish)["Attributes"].clone()
}

fn notifications(lab: &PipelineLab) -> String {
    lab.aws.send("s3", "GET", &format!("/lab-input-bucket-{}?notification", lab.aws.owner), "")
}

#[test]
fn s3_tells_the_queue_and_the_queue_the_function() {
    let lab = queued(&[]);
    let up = lab.run(&["--json"]).expect_code(0);
    let expected = [
        ("bucket", "lab-input-bucket-ada"),
        ("bucket", "lab-output-bucket-ada"),
        ("queue", "lab-image-dead-letters-ada"),
        ("queue", "lab-image-queue-ada"),
        ("role", "lab-lambda-role-ada"),
        ("log-group", "/aws/lambda/lab-lambda-function-ada"),
        ("function", "lab-lambda-function-ada"),
        ("function-permission", "lab-lambda-function-ada"),
        ("event-source-mapping", "lab-lambda-function-ada"),
        ("bucket-notification", "lab-input-bucket-ada"),
    ];
    assert_eq!(list_names(&up), expected.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    assert_settled(&lab, "after the first run");

    let queue = attributes(&lab, "lab-image-queue-ada");
    assert_eq!((&queue["VisibilityTimeout"], &queue["SqsManagedSseEnabled"]), (&json!("360"), &json!("true")));
    assert!(queue["Policy"].as_str().expect("a policy").contains("aws:SecureTransport"), "{queue}");
    assert_eq!(attributes(&lab, "lab-image-dead-letters-ada")["MessageRetentionPeriod"], "1209600");
    let told = notifications(&lab);
    assert!(told.contains("lab-image-queue-ada") && !told.contains(":function:"), "{told}");

    lab.aws.clear_calls();
    let again = lab.run(&["--json"]).expect_code(0);
    assert_eq!(again.json()["changed"], json!([]));
    assert_eq!(lab.aws.writes(), Vec::<String>::new(), "no change, no write");
}

#[test]
fn what_somebody_changed_of_the_queue_is_mended() {
    let lab = queued(&[]);
    let _ = lab.run(&[]).expect_code(0);
    let change = json!({ "QueueUrl": url(&lab, "lab-image-queue-ada"), "Attributes": { "VisibilityTimeout": "1" } });
    let _ = sqs(&lab, "SetQueueAttributes", &change);
    lab.aws.clear_calls();
    let up = lab.run(&[]).expect_code(0);
    assert!(up.stderr.contains("update queue lab-image-queue-ada (visibility timeout)"), "{up:#?}");
    assert_eq!(lab.aws.writes(), ["SetQueueAttributes"]);
    assert_settled(&lab, "mended");
}

#[test]
fn leaks_finds_the_queues_and_the_mapping_and_down_leaves_none() {
    let lab = queued(&[]);
    let _ = lab.run(&[]).expect_code(0);
    let leaks = lab.run_program("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let found = |kind: &str| -> Vec<(String, String)> {
        let leaks = leaks["leaks"].as_array().expect("leaks").iter().filter(|leak| leak["kind"] == kind);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        leaks.map(|leak| (text(&leak["name"]), text(&leak["remove"]))).collect()
    };
    let names: Vec<_> = found("queue").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["lab-image-dead-letters-ada", "lab-image-queue-ada"]);
    assert_eq!(found("event-source-mapping")[0].0, "lab-lambda-function-ada");
    assert!(found("queue").iter().all(|(_, remove)| remove.starts_with("pipeline-up down")), "{leaks:#}");

    let body = json!({ "QueueUrl": url(&lab, "lab-image-dead-letters-ada"), "MessageBody": "{}" });
    let _ = sqs(&lab, "SendMessage", &body);
    let status = lab.run(&["status"]).expect_code(0);
    assert!(status.all().contains("1 dead letter waits in lab-image-dead-letters-ada"), "{status:#?}");
    let down = lab.run(&["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]));
    assert_eq!(sqs(&lab, "ListQueues", &json!({}))["QueueUrls"].as_array().map_or(0, Vec::len), 0);
    let mappings = lab.aws.send("lambda", "GET", "/2015-03-31/event-source-mappings/", "");
    assert!(!mappings.contains("UUID"), "{mappings}");
    let _ = lab.run_program("lab-status", &["leaks"]).expect_code(0);
}

#[test]
fn without_a_queue_any_more_s3_tells_the_function_again() {
    let lab = queued(&[]);
    let _ = lab.run(&[]).expect_code(0);
    lab.write_images("");
    let plan = lab.run(&["plan"]).expect_code(0);
    assert!(plan.stdout.contains("after the function has emptied the queue"), "{plan:#?}");
    let up = lab.run(&[]).expect_code(0);
    let told = notifications(&lab);
    assert!(told.contains(":function:lab-lambda-function-ada") && !told.contains(":sqs:"), "{told}");
    assert!(!list_names(&lab.run(&["status", "--json"])).iter().any(|(kind, _)| kind == "queue"), "{up:#?}");
    assert_settled(&lab, "without a queue");
}

#[test]
fn dead_letters_alone_keep_what_asynchronous_invocations_could_not_do() {
    let lab = PipelineLab::start(&[]);
    lab.write_images("dead_letters = true");
    lab.deploy(&lab.our_tags());
    let _ = lab.run(&[]).expect_code(0);
    let path = format!("/2019-09-25/functions/{}/event-invoke-config", lab.function());
    let config = lab.aws.send("lambda", "GET", &path, "");
    assert!(config.contains("lab-image-dead-letters-ada"), "{config}");
    assert_settled(&lab, "with dead letters");
    lab.write_images("");
    let _ = lab.run(&[]).expect_code(0);
    assert_settled(&lab, "without them any more");
    let queues = sqs(&lab, "ListQueues", &json!({}));
    assert_eq!(queues["QueueUrls"].as_array().map_or(0, Vec::len), 0, "{queues}");
}

#[test]
fn a_learner_lab_s_queue_works_in_the_name_of_lab_role() {
    let lab = PipelineLab::start(&["--caller-arn", "arn:aws:sts::123456789012:assumed-role/voclabs/user1"]);
    lab.write_images(QUEUE);
    lab.deploy(&lab.our_tags());
    let up = lab.run(&["--json"]).expect_code(0);
    assert!(!list_names(&up).iter().any(|(kind, _)| kind == "role"), "{up:#?}");
    assert!(!lab.aws.writes().iter().any(|action| action.contains("Role")), "{:?}", lab.aws.writes());
    assert_settled(&lab, "in a Learner Lab");
}

#[test]
fn a_lab_that_wants_no_queue_needs_no_right_to_look_for_one() {
    let lab = PipelineLab::start(&[]);
    lab.deploy(&lab.our_tags());
    let denied = json!({ "error": { "code": "AccessDenied", "status": 403, "message": "not authorized" } });
    lab.aws.set_faults(&json!([{ "service": "sqs", "effect": denied }]));
    let _ = lab.run(&[]).expect_code(0);
    lab.write_images(QUEUE);
    let refused = lab.run(&[]).expect_code(1);
    assert!(refused.stderr.contains("you may not call GetQueueUrl"), "{refused:#?}");
}

/// Every third call: tests/tests/pipeline.rs takes each call of a lab without a queue.
fn kill_after_some_calls(verb: &[&str], prepare: impl Fn(&PipelineLab), check: impl Fn(&PipelineLab, &str)) {
    let lab = PipelineLab::start(&["--state-times", "0"]);
    lab.write_images(QUEUE);
    kill_after_calls(lab, (3, 30), verb, prepare, |lab, why| {
        check(lab, why);
        // Nothing of it polls its queue any longer while the others are tried.
        let _ = lab.run(&["down", "--yes"]);
    });
}

#[test]
fn killed_after_any_call_the_next_up_makes_the_queue_whole() {
    kill_after_some_calls(&["up"], |lab| lab.deploy(&lab.our_tags()), assert_settled);
}

#[test]
fn killed_after_any_call_the_next_down_leaves_no_queue() {
    let prepare = |lab: &PipelineLab| {
        lab.deploy(&lab.our_tags());
        let _ = lab.run(&[]).expect_code(0);
    };
    kill_after_some_calls(&["down", "--yes"], prepare, |lab, why| {
        assert_eq!(lab.run(&["status", "--json"]).json()["resources"], json!([]), "{why}");
    });
}

/// Puts a letter among the dead.
fn send_letter(lab: &PipelineLab, body: &Value) {
    let letter = json!({ "QueueUrl": url(lab, "lab-image-dead-letters-ada"), "MessageBody": body.to_string() });
    let _ = sqs(lab, "SendMessage", &letter);
}

fn event(key: &str) -> Value {
    json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "b" }, "object": { "key": key } } }] })
}

#[test]
fn dead_letters_go_back_where_they_came_from() {
    let lab = queued(&[]);
    let _ = lab.run(&[]).expect_code(0);
    let none = lab.run(&["redrive"]).expect_code(1);
    assert!(none.stderr.contains("there are no dead letters in lab-image-dead-letters-ada"), "{none:#?}");

    send_letter(&lab, &event("a.jpg"));
    send_letter(&lab, &event("b.jpg"));
    let record = json!({
        "requestContext": { "condition": "RetriesExhausted" }, "requestPayload": event("c.jpg"),
        "responsePayload": { "errorType": "S3Failed", "errorMessage": "SlowDown" },
    });
    send_letter(&lab, &record);
    lab.aws.clear_calls();
    let redrive = lab.run(&["redrive", "--json"]).expect_code(0);
    let document = redrive.json();
    let counts = ["found", "moved", "invoked"].map(|field| document[field].as_u64().expect(field));
    assert_eq!(counts, [3, 2, 1], "{redrive:#?}");
    assert_eq!(document["reasons"]["S3Failed: the invocation failed each time"], 1);
    assert_eq!(lab.aws.calls().iter().filter(|action| *action == "Invoke").count(), 1);
    // SQS does not know where letters belong that somebody sent among the dead: we do.
    assert_eq!(lab.aws.calls().iter().filter(|action| *action == "SendMessage").count(), 2, "{:?}", lab.aws.calls());
    let left = &attributes(&lab, "lab-image-dead-letters-ada")["ApproximateNumberOfMessages"];
    assert_eq!(left, "0");
}

/// A function that fails each message.
const FAILING: &str = r#"answer='{"errorType":"No"}' kind=error"#;

#[test]
fn what_the_queue_has_sent_among_the_dead_is_moved_by_sqs_until_a_letter_has_no_source() {
    let lab = PipelineLab::start(&[]);
    lab.write_images(QUEUE);
    lab.deploy_handler(FAILING);
    let _ = lab.run(&[]).expect_code(0);
    let letters = || attributes(&lab, "lab-image-dead-letters-ada")["ApproximateNumberOfMessages"].clone();
    let wait_for_letter = || wait_until("a dead letter", || letters() == "1");
    // S3's own test message is the first.
    wait_for_letter();
    lab.aws.clear_calls();
    let moved = lab.run(&["redrive", "--json"]).expect_code(0).json();
    assert_eq!((&moved["found"], &moved["moved"], &moved["invoked"]), (&json!(1), &json!(1), &json!(0)));
    assert!(!lab.aws.calls().contains(&"SendMessage".to_owned()), "by SQS: {:?}", lab.aws.calls());

    // It fails again, nobody takes from the queue any more, and somebody sends another letter.
    wait_for_letter();
    let mappings = || lab.aws.send("lambda", "GET", "/2015-03-31/event-source-mappings/", "");
    let listed: Value = serde_json::from_str(mappings().split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    let uuid = listed["EventSourceMappings"][0]["UUID"].as_str().expect("an id");
    let _ = lab.aws.send("lambda", "DELETE", &format!("/2015-03-31/event-source-mappings/{uuid}"), "");
    wait_until("nobody polls", || !mappings().contains("UUID"));
    send_letter(&lab, &event("a.jpg"));
    let moved = lab.run(&["redrive", "--json"]).expect_code(0).json();
    assert_eq!((&moved["found"], &moved["moved"], &moved["invoked"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(attributes(&lab, "lab-image-queue-ada")["ApproximateNumberOfMessages"], "2", "each once");
}

#[test]
fn without_a_queue_dead_letters_go_to_the_function_itself() {
    let lab = PipelineLab::start(&[]);
    lab.write_images("dead_letters = true");
    lab.deploy_handler(CONTENT);
    let _ = lab.run(&[]).expect_code(0);
    let refused = lab.run(&["redrive", "--to-source"]).expect_code(2);
    assert!(refused.stderr.contains("no queue that letters could go back to"), "{refused:#?}");
    send_letter(&lab, &event("a.jpg"));
    let redrive = lab.run(&["redrive"]).expect_code(0);
    assert!(redrive.stdout.contains("1 dead letter of lab-image-dead-letters-ada: 1 invoked again"), "{redrive:#?}");
    lab.write_images("");
    let gone = lab.run(&["redrive"]).expect_code(1);
    assert!(gone.stderr.contains("there are no dead letters"), "{gone:#?}");
}
