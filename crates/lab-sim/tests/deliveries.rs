//! What S3 tells queues, topics and `EventBridge` about.

mod support;

use serde_json::{Value, json};
use support::function::{FUNCTION, create_function, wait_until_active};
use support::{Reply, Sim, wait_for};

fn sqs(sim: &Sim, action: &str, body: &Value) -> Reply {
    sim.json("sqs", &format!("AmazonSQS.{action}"), body)
}

fn events(sim: &Sim, action: &str, body: &Value) -> Value {
    sim.json("events", &format!("AWSEvents.{action}"), body).ok().json()
}

fn policy(service: &str, source: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": { "Service": service },
        "Action": "sqs:SendMessage", "Resource": "*", "Condition": { "ArnLike": { "aws:SourceArn": source } } }] })
    .to_string()
}

fn create_queue(sim: &Sim, name: &str, attributes: &Value) -> String {
    let queue = sqs(sim, "CreateQueue", &json!({ "QueueName": name, "Attributes": attributes })).ok().json();
    queue["QueueUrl"].as_str().expect("a URL").to_owned()
}

/// The next message of a queue, read as JSON and deleted.
fn take(sim: &Sim, url: &str) -> Value {
    let message = wait_for("a message", || {
        let reply = sqs(sim, "ReceiveMessage", &json!({ "QueueUrl": url })).ok().json();
        Some(reply["Messages"][0].clone()).filter(Value::is_object)
    });
    sqs(sim, "DeleteMessage", &json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] })).ok();
    serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON")
}

fn put_notification(sim: &Sim, inner: &str) -> Reply {
    let xml = format!(
        "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</NotificationConfiguration>"
    );
    sim.request("s3", "PUT", "/input?notification", &[], xml.as_bytes())
}

const TO_QUEUE: &str = "<QueueConfiguration><Queue>arn:aws:sqs:us-east-1:123456789012:news</Queue>\
     <Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event></QueueConfiguration>";

#[test]
fn a_queue_that_lets_s3_in_gets_a_test_event_and_then_the_objects() {
    let sim = Sim::start(&[]);
    sim.request("s3", "PUT", "/input", &[], b"").ok();
    let invalid = (400, "InvalidArgument".to_owned());
    assert_eq!(put_notification(&sim, TO_QUEUE).refusal(), invalid, "there is no queue");
    let url = create_queue(&sim, "news", &json!({}));
    assert_eq!(put_notification(&sim, TO_QUEUE).refusal(), invalid, "the queue does not permit it");
    let set = |policy: &str| {
        sqs(&sim, "SetQueueAttributes", &json!({ "QueueUrl": url, "Attributes": { "Policy": policy } })).ok();
    };
    set(&policy("s3.amazonaws.com", "arn:aws:s3:::other"));
    assert_eq!(put_notification(&sim, TO_QUEUE).refusal(), invalid, "not for this bucket");
    set(&policy("s3.amazonaws.com", "arn:aws:s3:::input"));
    put_notification(&sim, TO_QUEUE).ok();
    let test = take(&sim, &url);
    assert_eq!((&test["Event"], &test["Bucket"]), (&json!("s3:TestEvent"), &json!("input")));

    sim.request("s3", "PUT", "/input/a%20b.png", &[], b"hello").ok();
    let record = take(&sim, &url)["Records"][0].clone();
    assert_eq!((&record["eventName"], &record["eventSource"]), (&json!("ObjectCreated:Put"), &json!("aws:s3")));
    assert_eq!(record["s3"]["object"]["key"], "a+b.png");
    assert_eq!(record["s3"]["object"]["eTag"], "5d41402abc4b2a76b9719d911017c592");
    sim.request("s3", "DELETE", "/input/a%20b.png", &[], b"").ok();
    assert_eq!(take(&sim, &url)["Records"][0]["eventName"], "ObjectRemoved:Delete");
    let shown = sim.request("s3", "GET", "/input?notification", &[], b"").ok();
    assert_eq!(shown.element("Queue"), "arn:aws:sqs:us-east-1:123456789012:news");
    let unknown = put_notification(&sim, &TO_QUEUE.replace("ObjectCreated", "ObjectMoved"));
    assert_eq!(unknown.refusal(), invalid);
}

#[test]
fn a_rule_brings_an_object_to_a_queue_and_a_function() {
    let sim = Sim::start(&[]);
    sim.request("s3", "PUT", "/input", &[], b"").ok();
    put_notification(&sim, "<EventBridgeConfiguration/>").ok();
    let shown = sim.request("s3", "GET", "/input?notification", &[], b"").ok();
    assert!(shown.text().contains("<EventBridgeConfiguration"), "{}", shown.text());

    let pattern = json!({ "source": ["aws.s3"], "detail-type": ["Object Created"],
        "detail": { "bucket": { "name": ["input"] }, "object": { "key": [{ "prefix": "in/" }] } } });
    let rule = events(&sim, "PutRule", &json!({ "Name": "pictures", "EventPattern": pattern.to_string() }));
    let rule = rule["RuleArn"].as_str().expect("an ARN").to_owned();
    let url = create_queue(&sim, "news", &json!({ "Policy": policy("events.amazonaws.com", &rule) }));
    let closed = create_queue(&sim, "closed", &json!({}));
    create_function(&sim, 0o755, &json!({})).ok();
    wait_until_active(&sim);
    let permission = json!({ "StatementId": "events", "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com", "SourceArn": rule });
    sim.request("lambda", "POST", &format!("{FUNCTION}/policy"), &[], permission.to_string().as_bytes()).ok();
    let sqs_arn = |name: &str| format!("arn:aws:sqs:us-east-1:123456789012:{name}");
    let targets = json!({ "Rule": "pictures", "Targets": [
        { "Id": "1", "Arn": sqs_arn("closed") },
        { "Id": "2", "Arn": sqs_arn("news") },
        { "Id": "3", "Arn": "arn:aws:lambda:us-east-1:123456789012:function:echo", "InputPath": "$.detail.object" },
    ] });
    events(&sim, "PutTargets", &targets);

    sim.request("s3", "PUT", "/input/elsewhere", &[], b"no").ok();
    sim.request("s3", "PUT", "/input/in/a%20b.png", &[], b"hello").ok();
    let event = take(&sim, &url);
    assert_eq!((&event["source"], &event["detail"]["reason"]), (&json!("aws.s3"), &json!("PutObject")));
    assert_eq!(
        (&event["detail"]["object"]["key"], &event["detail"]["object"]["size"]),
        (&json!("in/a b.png"), &json!(5))
    );
    wait_for("the function's log", || {
        let log = json!({ "logGroupName": "/aws/lambda/echo" });
        let reply = sim.json("logs", "Logs_20140328.FilterLogEvents", &log);
        (reply.status == 200 && reply.text().contains("in/a b.png")).then_some(())
    });
    let refused = sqs(&sim, "ReceiveMessage", &json!({ "QueueUrl": closed })).ok().json();
    assert!(refused["Messages"].is_null(), "{refused}");
}
