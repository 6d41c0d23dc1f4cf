//! Queues whose messages reach functions.

mod support;

use serde_json::{Value, json};
use support::function::{change_configuration, create_function, wait_until_active};
use support::{Reply, Sim, wait_for};

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

fn sqs(sim: &Sim, action: &str, body: &Value) -> Reply {
    sim.json("sqs", &format!("AmazonSQS.{action}"), body)
}

/// Makes a queue and returns its URL.
fn create_queue(sim: &Sim, name: &str, attributes: &Value) -> String {
    let queue = sqs(sim, "CreateQueue", &json!({ "QueueName": name, "Attributes": attributes })).ok().json();
    queue["QueueUrl"].as_str().expect("a URL").to_owned()
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:123456789012:{name}")
}

fn send(sim: &Sim, url: &str, body: &str) {
    sqs(sim, "SendMessage", &json!({ "QueueUrl": url, "MessageBody": body })).ok();
}

fn receive(sim: &Sim, url: &str) -> Option<Value> {
    let wish = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let reply = sqs(sim, "ReceiveMessage", &wish).ok().json();
    Some(reply["Messages"][0].clone()).filter(Value::is_object)
}

/// How many messages are in a queue, seen or not.
fn count(sim: &Sim, url: &str) -> u32 {
    let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    let wish = json!({ "QueueUrl": url, "AttributeNames": names });
    let attributes = sqs(sim, "GetQueueAttributes", &wish).ok().json()["Attributes"].clone();
    names.iter().map(|name| attributes[name].as_str().expect("a count").parse::<u32>().expect("a number")).sum()
}

fn create_mapping(sim: &Sim, queue: &str, more: &Value) -> Reply {
    let mut body = json!({ "FunctionName": "echo", "EventSourceArn": arn(queue) });
    for (name, value) in more.as_object().expect("settings") {
        body[name] = value.clone();
    }
    sim.request("lambda", "POST", &format!("{MAPPINGS}/"), &[], body.to_string().as_bytes())
}

fn wait_for_state(sim: &Sim, uuid: &str, state: &str) {
    wait_for(state, || {
        let mapping = sim.request("lambda", "GET", &format!("{MAPPINGS}/{uuid}"), &[], b"");
        let gone = mapping.status == 404 && state == "gone";
        (gone || mapping.json()["State"] == state).then_some(())
    });
}

fn map(sim: &Sim, queue: &str, more: &Value) -> String {
    let mapping = create_mapping(sim, queue, more).ok().json();
    let uuid = mapping["UUID"].as_str().expect("an id").to_owned();
    wait_for_state(sim, &uuid, "Enabled");
    uuid
}

/// The events that the function has put into the bucket.
fn events(sim: &Sim) -> Vec<Value> {
    let keys = sim.request("s3", "GET", "/output?list-type=2", &[], b"").ok().elements("Key");
    let read = |key: &String| sim.request("s3", "GET", &format!("/output/{key}"), &[], b"").ok().json();
    keys.iter().map(read).collect()
}

fn start() -> Sim {
    let sim = Sim::start(&[]);
    sim.request("s3", "PUT", "/output", &[], b"").ok();
    create_function(&sim, 0o755, &json!({ "OUTPUT_BUCKET": "output" })).ok();
    wait_until_active(&sim);
    sim
}

#[test]
fn a_message_reaches_the_function_and_is_gone_then() {
    let sim = start();
    let url = create_queue(&sim, "work", &json!({}));
    let made = create_mapping(&sim, "work", &json!({ "Tags": { "lab": "hol02" } })).ok();
    let mapping = made.json();
    assert_eq!((made.status, &mapping["State"], &mapping["BatchSize"]), (202, &json!("Creating"), &json!(10)));
    let uuid = mapping["UUID"].as_str().expect("an id");
    wait_for_state(&sim, uuid, "Enabled");

    let body = json!({ "QueueUrl": url, "MessageBody": "{\"n\":1}",
        "MessageAttributes": { "kind": { "DataType": "String", "StringValue": "picture" } } });
    sqs(&sim, "SendMessage", &body).ok();
    let event = wait_for("the event", || events(&sim).pop());
    let record = &event["Records"][0];
    assert_eq!((&record["eventSource"], &record["eventSourceARN"]), (&json!("aws:sqs"), &json!(arn("work"))));
    assert_eq!((&record["body"], &record["attributes"]["ApproximateReceiveCount"]), (&json!("{\"n\":1}"), &json!("1")));
    assert_eq!(record["messageAttributes"]["kind"]["stringValue"], "picture");
    wait_for("an empty queue", || (count(&sim, &url) == 0).then_some(()));

    let listed = sim.request("lambda", "GET", &format!("{MAPPINGS}/?FunctionName=echo"), &[], b"").ok().json();
    assert_eq!(listed["EventSourceMappings"][0]["UUID"], uuid);
    let twin = create_mapping(&sim, "work", &json!({}));
    assert_eq!(twin.refusal(), (409, "ResourceConflictException".to_owned()));
    let mapping_arn = mapping["EventSourceMappingArn"].as_str().expect("an ARN").replace(':', "%3A");
    let tags = sim.request("lambda", "GET", &format!("/2017-03-31/tags/{mapping_arn}"), &[], b"").ok().json();
    assert_eq!(tags["Tags"], json!({ "lab": "hol02" }));

    let path = format!("{MAPPINGS}/{uuid}");
    let update = json!({ "Enabled": false }).to_string();
    assert_eq!(sim.request("lambda", "PUT", &path, &[], update.as_bytes()).ok().json()["State"], "Disabling");
    wait_for_state(&sim, uuid, "Disabled");
    send(&sim, &url, "kept");
    assert_eq!(receive(&sim, &url).expect("still there")["Body"], "kept");
    assert_eq!(sim.request("lambda", "DELETE", &path, &[], b"").ok().json()["State"], "Deleting");
    let again = sim.request("lambda", "DELETE", &path, &[], b"");
    assert!(["ResourceInUseException", "ResourceNotFoundException"].contains(&again.refusal().1.as_str()));
    wait_for_state(&sim, uuid, "gone");
    let gone = sim.request("lambda", "DELETE", &path, &[], b"");
    assert_eq!(gone.refusal(), (404, "ResourceNotFoundException".to_owned()));
}

#[test]
fn what_fails_comes_back_until_it_goes_to_the_dead_letters() {
    let sim = start();
    let letters = create_queue(&sim, "letters", &json!({}));
    let redrive = json!({ "deadLetterTargetArn": arn("letters"), "maxReceiveCount": 3 }).to_string();
    let attributes = json!({ "RedrivePolicy": redrive, "VisibilityTimeout": "60" });
    let url = create_queue(&sim, "work", &attributes);
    map(&sim, "work", &json!({}));
    send(&sim, &url, "{\"fail\":1}");
    let letter = wait_for("the dead letter", || receive(&sim, &letters));
    assert_eq!(letter["Body"], "{\"fail\":1}");
    assert_eq!(count(&sim, &url), 0);

    // Back to the queue it goes, which tries it again.
    let handle = json!({ "QueueUrl": letters, "ReceiptHandle": letter["ReceiptHandle"], "VisibilityTimeout": 0 });
    sqs(&sim, "ChangeMessageVisibility", &handle).ok();
    let wrong = sqs(&sim, "StartMessageMoveTask", &json!({ "SourceArn": arn("work") }));
    assert_eq!((wrong.status, &wrong.json()["__type"]), (400, &json!("InvalidParameterValue")), "no dead letters");
    sqs(&sim, "StartMessageMoveTask", &json!({ "SourceArn": arn("letters") })).ok();
    wait_for("the move", || {
        let tasks = sqs(&sim, "ListMessageMoveTasks", &json!({ "SourceArn": arn("letters") })).ok().json();
        let task = &tasks["Results"][0];
        (task["Status"] == "COMPLETED" && task["ApproximateNumberOfMessagesMoved"] == 1).then_some(())
    });
    wait_for("the dead letter again", || receive(&sim, &letters));

    let log = json!({ "logGroupName": "/aws/lambda/echo", "filterPattern": "" });
    let lines = sim.json("logs", "Logs_20140328.FilterLogEvents", &log).ok().json();
    let starts = lines["events"].as_array().expect("lines").iter();
    let starts = starts.filter(|line| line["message"].as_str().is_some_and(|line| line.starts_with("START")));
    assert_eq!(starts.count(), 6, "twice as often as maxReceiveCount says");
}

#[test]
fn a_letter_that_was_sent_by_itself_has_nowhere_to_go_back_to() {
    let sim = start();
    let letters = create_queue(&sim, "letters", &json!({}));
    let redrive = json!({ "deadLetterTargetArn": arn("letters"), "maxReceiveCount": 3 }).to_string();
    create_queue(&sim, "work", &json!({ "RedrivePolicy": redrive }));
    let other = create_queue(&sim, "other", &json!({}));
    send(&sim, &letters, "by hand");
    let ended = |task: &Value| (task["Status"] != "RUNNING").then(|| task.clone());
    let look = || {
        let tasks = sqs(&sim, "ListMessageMoveTasks", &json!({ "SourceArn": arn("letters") })).ok().json();
        ended(&tasks["Results"][0])
    };
    sqs(&sim, "StartMessageMoveTask", &json!({ "SourceArn": arn("letters") })).ok();
    let task = wait_for("the end of the task", look);
    assert_eq!(
        (&task["Status"], &task["FailureReason"], &task["ApproximateNumberOfMessagesMoved"]),
        (&json!("FAILED"), &json!("CouldNotDetermineMessageSource"), &json!(0))
    );
    assert_eq!(count(&sim, &letters), 1, "it stays where it is");

    let named = json!({ "SourceArn": arn("letters"), "DestinationArn": arn("other") });
    sqs(&sim, "StartMessageMoveTask", &named).ok();
    assert_eq!(wait_for("the end of the task", look)["Status"], "COMPLETED");
    assert_eq!(receive(&sim, &other).expect("moved")["Body"], "by hand");
}

#[test]
fn only_the_messages_that_the_function_names_come_back() {
    let sim = start();
    let letters = create_queue(&sim, "letters", &json!({}));
    let redrive = json!({ "deadLetterTargetArn": arn("letters"), "maxReceiveCount": 1 }).to_string();
    let url = create_queue(&sim, "work", &json!({ "RedrivePolicy": redrive }));
    let bodies = ["one", "partly two", "three", "partly four"];
    let entries: Vec<Value> =
        (0..).zip(bodies).map(|(id, body): (u32, _)| json!({ "Id": id.to_string(), "MessageBody": body })).collect();
    sqs(&sim, "SendMessageBatch", &json!({ "QueueUrl": url, "Entries": entries })).ok();
    map(&sim, "work", &json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"] }));
    let mut dead: Vec<String> = (0..2)
        .map(|_| wait_for("a dead letter", || receive(&sim, &letters))["Body"].as_str().expect("text").to_owned())
        .collect();
    dead.sort();
    assert_eq!(dead, ["partly four", "partly two"]);
    assert_eq!((count(&sim, &url), count(&sim, &letters)), (0, 2));
}

#[test]
fn a_mapping_keeps_to_its_concurrency_and_gathers_batches() {
    let sim = start();
    let url = create_queue(&sim, "work", &json!({}));
    for number in 0..6 {
        send(&sim, &url, &format!("pause {number}"));
    }
    let more = json!({ "BatchSize": 1, "ScalingConfig": { "MaximumConcurrency": 2 } });
    map(&sim, "work", &more);
    wait_for("an empty queue", || (count(&sim, &url) == 0).then_some(()));
    let streams = sim.json("logs", "Logs_20140328.DescribeLogStreams", &json!({ "logGroupName": "/aws/lambda/echo" }));
    assert_eq!(streams.ok().json()["logStreams"].as_array().map(Vec::len), Some(2), "two instances");

    let wide = create_queue(&sim, "wide", &json!({}));
    for number in 0..25 {
        send(&sim, &wide, &format!("batch {number}"));
    }
    map(&sim, "wide", &json!({ "BatchSize": 100, "MaximumBatchingWindowInSeconds": 300 }));
    wait_for("an empty queue", || (count(&sim, &wide) == 0).then_some(()));
    let sizes = events(&sim).into_iter().map(|event| event["Records"].as_array().map_or(0, Vec::len));
    assert_eq!(sizes.max(), Some(25), "one event of all");
}

#[test]
fn a_filter_throws_away_what_it_does_not_let_through() {
    let sim = start();
    let url = create_queue(&sim, "work", &json!({}));
    let pattern = json!({ "body": { "kind": ["picture"] } }).to_string();
    map(&sim, "work", &json!({ "FilterCriteria": { "Filters": [{ "Pattern": pattern }] } }));
    for body in ["plain", r#"{"kind":"sound"}"#, r#"{"kind":"picture"}"#] {
        send(&sim, &url, body);
    }
    wait_for("an empty queue", || (count(&sim, &url) == 0).then_some(()));
    let bodies: Vec<Value> = events(&sim).into_iter().map(|event| event["Records"][0]["body"].clone()).collect();
    assert_eq!(bodies, [json!(r#"{"kind":"picture"}"#)]);
}

#[test]
fn lambda_refuses_what_would_not_work() {
    let sim = start();
    let invalid = (400, "InvalidParameterValueException".to_owned());
    let missing = create_mapping(&sim, "nothing", &json!({}));
    assert_eq!(missing.refusal(), invalid);
    assert!(missing.text().contains("NonExistentQueue"), "{}", missing.text());

    create_queue(&sim, "quick", &json!({ "VisibilityTimeout": "4" }));
    let quick = create_mapping(&sim, "quick", &json!({}));
    assert_eq!(quick.refusal(), invalid);
    assert!(quick.text().contains("Queue visibility timeout: 4 seconds is less than Function timeout: 5 seconds"));
    change_configuration(&sim, &json!({ "Timeout": 4 }));
    create_mapping(&sim, "quick", &json!({})).ok();

    let nobody = create_mapping(&sim, "quick", &json!({ "FunctionName": "nobody" }));
    assert_eq!(nobody.refusal(), (404, "ResourceNotFoundException".to_owned()));
    let narrow = create_mapping(&sim, "quick", &json!({ "ScalingConfig": { "MaximumConcurrency": 1 } }));
    assert_eq!(narrow.refusal(), (400, "ValidationException".to_owned()));
    let none = sim.request("lambda", "GET", &format!("{MAPPINGS}/none"), &[], b"");
    assert_eq!(none.refusal(), (404, "ResourceNotFoundException".to_owned()));
}

#[test]
fn the_name_of_a_deleted_queue_is_free_after_a_minute() {
    let sim = Sim::start(&["--real-times"]);
    let allow = json!({ "redrivePermission": "denyAll" }).to_string();
    let url = create_queue(&sim, "work", &json!({ "RedriveAllowPolicy": allow }));
    let all = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let shown = sqs(&sim, "GetQueueAttributes", &all).ok().json()["Attributes"].clone();
    assert_eq!(shown["RedriveAllowPolicy"], json!(allow));
    assert!(shown["CreatedTimestamp"].as_str().is_some_and(|time| !time.contains('.')), "{shown}");
    sqs(&sim, "DeleteQueue", &json!({ "QueueUrl": url })).ok();
    let early = sqs(&sim, "CreateQueue", &json!({ "QueueName": "work" }));
    assert_eq!(early.header("x-amzn-query-error"), Some("AWS.SimpleQueueService.QueueDeletedRecently;Sender"));
    sim.advance(60);
    sqs(&sim, "CreateQueue", &json!({ "QueueName": "work" })).ok();
}

#[test]
fn a_receiver_waits_for_a_message() {
    let sim = Sim::start(&[]);
    let url = create_queue(&sim, "work", &json!({}));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let wish = json!({ "QueueUrl": url, "WaitTimeSeconds": 20 });
            sqs(&sim, "ReceiveMessage", &wish).ok().json()["Messages"][0]["Body"].clone()
        });
        send(&sim, &url, "late");
        assert_eq!(waiting.join().expect("an answer"), "late");
    });
}
