//! The shapes of events as AWS documents them and as services send them, one document each in `tests/events`.

use image_event::{Batch, Invocation, Item, Job, Message, NotAnEvent, Refusal, read_invocation};
use proptest::prelude::*;
use serde_json::{Value, json};

const S3_PUT: &str = include_str!("events/s3-put.json");
const S3_MANY: &str = include_str!("events/s3-many.json");
const S3_TEST: &str = include_str!("events/s3-test.json");
const BRIDGE_CREATED: &str = include_str!("events/eventbridge-created.json");
const BRIDGE_DELETED: &str = include_str!("events/eventbridge-deleted.json");
const SNS: &str = include_str!("events/sns.json");
const BATCH_1: &str = include_str!("events/batch-1.json");
const BATCH_2: &str = include_str!("events/batch-2.json");
const DESTINATION: &str = include_str!("events/lambda-destination.json");

fn read(document: &str) -> Result<Invocation, NotAnEvent> {
    read_invocation(&serde_json::from_str(document).unwrap())
}

#[track_caller]
fn direct(document: &str) -> Vec<Item> {
    match read(document) {
        Ok(Invocation::Direct(items)) => items,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn jobs(items: &[Item]) -> Vec<&Job> {
    items.iter().map(|item| if let Item::Process(job) = item { job } else { panic!("{item:?}") }).collect()
}

fn message(id: &str, body: &str) -> Value {
    json!({
        "messageId": id, "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
        "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:lab-image-queue", "awsRegion": "us-east-2",
    })
}

#[track_caller]
fn messages(bodies: &[&str]) -> Vec<Message> {
    let records: Vec<_> = bodies.iter().enumerate().map(|(at, body)| message(&at.to_string(), body)).collect();
    match read_invocation(&json!({ "Records": records })) {
        Ok(Invocation::Queue(messages)) => messages,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn batch(document: &str) -> Batch {
    match read(document) {
        Ok(Invocation::Batch(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s3_says_all_that_is_needed() {
    let job = Job {
        bucket: "in".into(),
        key: "my holiday+1.jpg".into(),
        size: Some(1_305_107),
        etag: Some("b21b84d653bb07b05b1e6b33684dc11b".into()),
        sequencer: Some("0C0F6F405D6ED209E1".into()),
        version: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko".into()),
    };
    assert_eq!(direct(S3_PUT), [Item::Process(job)]);
}

#[test]
fn every_record_becomes_an_item_in_order() {
    let items = direct(S3_MANY);
    assert!(matches!(&items[0], Item::Process(job) if job.key == "a,b.tiff"));
    assert!(matches!(&items[1], Item::Ignore { key, .. } if key == "gone.png"));
    assert!(matches!(&items[2], Item::Refuse { reason: Refusal::KeyNotUtf8, .. }));
    assert!(matches!(&items[3], Item::Ignore { why, .. } if why.contains("folder")));
    let Item::Process(job) = &items[4] else { panic!("{items:?}") };
    assert_eq!((job.size, job.etag.as_deref(), &job.version), (Some(5), Some("quoted"), &None));
}

#[test]
fn s3s_test_message_asks_for_nothing() {
    assert_eq!(direct(S3_TEST), []);
    assert_eq!(messages(&[S3_TEST])[0].content, Ok(vec![]));
}

#[test]
fn a_key_in_an_eventbridge_event_is_not_encoded() {
    let items = direct(BRIDGE_CREATED);
    let job = jobs(&items)[0];
    assert_eq!((job.bucket.as_str(), job.key.as_str(), job.size), ("in", "my holiday+1%20.jpg", Some(5)));
    assert_eq!(job.etag.as_deref(), Some("b1946ac92492d2347c6235b4d2611184"));
    assert_eq!(job.sequencer.as_deref(), Some("617f08299329d189"));
    assert!(matches!(&direct(BRIDGE_DELETED)[0], Item::Ignore { .. }));
}

#[test]
fn a_queues_messages_hold_any_event_in_any_envelope() {
    let sns: Value = serde_json::from_str(SNS).unwrap();
    let mut enveloped = sns["Records"][0]["Sns"].clone();
    let plain = messages(&[S3_PUT, BRIDGE_CREATED, &enveloped.to_string(), DESTINATION]);
    for message in &plain {
        assert_eq!(jobs(message.content.as_ref().unwrap()).len(), 1, "{message:?}");
    }
    assert_eq!(plain[3].id, "3");

    enveloped["Message"] = BRIDGE_CREATED.into();
    let items = messages(&[&enveloped.to_string()]).remove(0).content.unwrap();
    assert_eq!(jobs(&items)[0].key, "my holiday+1%20.jpg");
}

#[test]
fn a_message_that_never_will_be_an_event_does_not_touch_the_others() {
    let read = messages(&["", "no JSON", "[]", "{\"hello\": 1}", "5", S3_PUT]);
    for (at, says) in [(0, "no JSON"), (1, "no JSON"), (3, "hello"), (4, "no JSON object")] {
        let error = read[at].content.as_ref().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(read[2].content, Ok(vec![]));
    assert_eq!(read[5].content.as_ref().unwrap().len(), 1);
}

#[test]
fn pipes_leave_out_the_records() {
    let read = read_invocation(&json!([message("a", S3_PUT)]));
    assert!(matches!(read, Ok(Invocation::Queue(messages)) if messages[0].id == "a"));
    let events: Value = serde_json::from_str(BRIDGE_CREATED).unwrap();
    assert!(matches!(read_invocation(&json!([events, events])), Ok(Invocation::Direct(items)) if items.len() == 2));
}

#[test]
fn sns_and_failed_invocations_are_unwrapped() {
    assert_eq!(jobs(&direct(SNS))[0].key, "x.png");
    assert_eq!(jobs(&direct(DESTINATION))[0].key, "x.png");
    // What a queue's failed invocation left behind: its messages are in no queue any more.
    let failed = json!({"requestPayload": {"Records": [message("a", S3_PUT)]}});
    assert_eq!(jobs(&direct(&failed.to_string()))[0].key, "my holiday+1.jpg");
}

#[test]
fn envelopes_end_somewhere() {
    let mut body = S3_PUT.to_owned();
    for _ in 0..10 {
        body = json!({"Type": "Notification", "Message": body}).to_string();
    }
    assert!(read(&body).unwrap_err().to_string().contains("envelopes"));
}

#[test]
fn batch_names_its_bucket_in_two_ways() {
    let one = batch(BATCH_1);
    assert_eq!((one.schema.as_str(), one.tasks[0].id.as_str()), ("1.0", "dGFza2lkZ29lc2hlcmUK"));
    let expected = Job {
        bucket: "examplebucket".into(),
        key: "customer Image+1.jpg".into(),
        version: Some("1".into()),
        ..Job::default()
    };
    assert_eq!(one.tasks[0].item, Item::Process(expected));

    let two = batch(BATCH_2);
    assert_eq!(two.arguments["format"], "webp");
    assert!(matches!(&two.tasks[0].item, Item::Process(job) if job.bucket == "in" && job.version.is_none()));
    assert!(matches!(&two.tasks[1].item, Item::Ignore { .. }));
    assert!(matches!(&two.tasks[2].item, Item::Refuse { .. }));
}

#[test]
fn other_payloads_are_named_for_what_they_are() {
    for (payload, says) in [
        (json!({}), "empty object"),
        (json!({"detail-type": "x", "source": "aws.ec2"}), "aws.ec2"),
        (json!("text"), "no JSON object"),
        (json!({"hello": 1, "world": 2}), "hello, world"),
        (json!([1]), "one of its records"),
        (json!({"Records": [{"kinesis": 5}]}), "kinesis"),
        (json!({"invocationSchemaVersion": "1.0"}), "no tasks"),
    ] {
        let error = read_invocation(&payload).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_record_that_is_none_leaves_the_others() {
    let mut event: Value = serde_json::from_str(S3_PUT).unwrap();
    event["Records"].as_array_mut().unwrap().extend([json!({"kinesis": 5}), json!({"eventName": "ObjectCreated:Put"})]);
    let items = direct(&event.to_string());
    assert!(matches!(items[0], Item::Process(_)));
    assert!(matches!(items[1], Item::Refuse { reason: Refusal::Incomplete("bucket"), .. }));
    assert!(matches!(items[2], Item::Refuse { reason: Refusal::Incomplete("bucket"), .. }));
}

/// Every value of a document replaced by something else, one at a time.
fn damage(value: &Value, into: &Value) -> Vec<Value> {
    let mut damaged = vec![into.clone()];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                damaged.extend(damage(field, into).into_iter().map(|field| {
                    let mut copy = fields.clone();
                    copy.insert(name.clone(), field);
                    Value::Object(copy)
                }));
            }
        }
        Value::Array(entries) => {
            for (at, entry) in entries.iter().enumerate() {
                damaged.extend(damage(entry, into).into_iter().map(|entry| {
                    let mut copy = entries.clone();
                    copy[at] = entry;
                    Value::Array(copy)
                }));
            }
        }
        _ => {}
    }
    damaged
}

#[test]
fn a_field_of_another_type_anywhere_is_survived() {
    for document in [S3_PUT, S3_MANY, S3_TEST, BRIDGE_CREATED, SNS, BATCH_1, BATCH_2, DESTINATION] {
        let document: Value = serde_json::from_str(document).unwrap();
        for into in [json!(null), json!(5), json!(-1.5), json!("text"), json!([]), json!({}), json!([[null]])] {
            for damaged in damage(&document, &into) {
                let _ = read_invocation(&damaged);
                let _ = messages(&[&damaged.to_string()]);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_in_a_message_is_survived(body in any::<String>()) {
        let _ = messages(&[&body]);
    }
}
