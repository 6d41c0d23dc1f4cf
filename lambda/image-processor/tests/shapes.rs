//! The same work behind every shape of event, and the answer each of them takes.

mod support;

use image_processor::{Answer, Call, Handled, Mode, Processor, Store};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use support::{FakeS3, call, handle, invoke, png, settings, settings_with};

fn message(id: &str, body: &Value) -> Value {
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    json!({"messageId": id, "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:lab-image-queue"})
}

fn queue(messages: &[Value]) -> Value {
    json!({ "Records": messages })
}

fn bridge(record: &Value) -> Value {
    let object = &record["s3"]["object"];
    json!({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": {
        "bucket": {"name": "in"}, "reason": "PutObject", "object": {"key": object["key"], "size": object["size"],
        "etag": object["eTag"], "sequencer": object["sequencer"]}}})
}

fn batch(schema: &str, keys: &[&str], arguments: &Value) -> Value {
    let place = if schema == "1.0" { ("s3BucketArn", "arn:aws:s3:::in") } else { ("s3Bucket", "in") };
    let tasks = keys.iter().map(|key| json!({"taskId": key, "s3Key": key, "s3VersionId": null, place.0: place.1}));
    json!({"invocationSchemaVersion": schema, "invocationId": "i", "job": {"id": "j", "userArguments": arguments},
        "tasks": tasks.collect::<Vec<_>>()})
}

fn json_of(handled: &Handled) -> Value {
    serde_json::to_value(handled.answer.as_ref().unwrap()).unwrap()
}

async fn answer(s3: &FakeS3, payload: &Value) -> Value {
    json_of(&handle(settings(Mode::Png), s3, payload).await)
}

#[tokio::test]
async fn a_queue_gets_back_only_the_messages_that_failed() {
    let s3 = FakeS3::default();
    let records: Vec<_> = (0..5u8)
        .map(|at| s3.upload(&format!("{at}.png"), png(at), "0A"))
        .map(|one| json!({"Records": [one]}))
        .collect();
    let mut messages: Vec<_> = records.iter().enumerate().map(|(at, body)| message(&format!("m{at}"), body)).collect();
    messages.push(message("bad", &json!("no JSON")));
    messages.push(message("test", &json!({"Event": "s3:TestEvent"})));
    // The first read fails, whichever it is.
    s3.with(|world| world.faults.push(("GetObject", 503, "SlowDown")));
    let handled = handle(settings(Mode::Png), &s3, &queue(&messages)).await;
    let failures = json_of(&handled)["batchItemFailures"].as_array().unwrap().clone();
    assert_eq!(failures.len(), 1, "{handled:?}");
    assert_eq!(handled.metrics[0]["Records"], 6);
    assert_eq!(handled.metrics[0]["Failures"], 2);

    let back = failures[0]["itemIdentifier"].as_str().unwrap().to_owned();
    let again: Vec<_> = messages.into_iter().filter(|one| one["messageId"] == back.as_str()).collect();
    assert_eq!(answer(&s3, &queue(&again)).await, json!({"batchItemFailures": []}));
    assert_eq!(s3.writes(), 5, "every picture once");
}

#[tokio::test]
async fn a_message_of_several_records_comes_back_once() {
    let s3 = FakeS3::default();
    let records = [s3.upload("a.png", png(1), "01"), s3.upload("b.png", png(2), "02")];
    s3.with(|world| world.faults.extend([("GetObject", 503, "SlowDown"), ("GetObject", 500, "InternalError")]));
    let back = answer(&s3, &queue(&[message("m", &json!({ "Records": records }))])).await;
    assert_eq!(back, json!({"batchItemFailures": [{"itemIdentifier": "m"}]}));
}

#[tokio::test]
async fn a_message_without_an_identifier_brings_all_back() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "01");
    s3.with(|world| world.faults.push(("GetObject", 503, "SlowDown")));
    let handled = handle(settings(Mode::Png), &s3, &queue(&[message("", &json!({"Records": [record]}))])).await;
    assert_eq!(handled.answer.unwrap_err().error_type, "S3Failed");
}

#[tokio::test]
async fn eventbridge_and_s3_tell_of_the_same_version() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    assert_eq!(answer(&s3, &bridge(&record)).await["processed"][0]["output_key"], "a-processed.png");
    s3.take_calls();
    assert_eq!(invoke(&s3, std::slice::from_ref(&record)).await.unwrap().skipped[0].reason, "already processed");
    let queued = answer(&s3, &queue(&[message("m", &bridge(&record))])).await;
    assert_eq!(queued, json!({"batchItemFailures": []}));
    assert_eq!(s3.take_calls(), ["HeadObject a-processed.png", "HeadObject a-processed.png"]);
}

#[tokio::test]
async fn batch_gets_a_result_for_each_task() {
    let s3 = FakeS3::default();
    s3.upload("a b.png", png(1), "01");
    s3.upload("bad.png", b"no image".to_vec(), "02");
    s3.upload("c.png", png(3), "03");
    s3.with(|world| world.faults.push(("HeadObject", 500, "InternalError")));
    for schema in ["1.0", "2.0"] {
        let payload = batch(schema, &["a+b.png", "bad.png", "gone.png", "folder/", "%FF", "c.png"], &json!({}));
        let answer = answer(&s3, &payload).await;
        assert_eq!(answer["invocationSchemaVersion"], schema);
        assert_eq!((&answer["invocationId"], &answer["treatMissingKeysAs"]), (&json!("i"), &json!("TemporaryFailure")));
        let results = answer["results"].as_array().unwrap();
        let codes: Vec<_> = results.iter().map(|one| one["resultCode"].as_str().unwrap()).collect();
        assert_eq!(
            codes.iter().filter(|code| **code == "TemporaryFailure").count(),
            usize::from(schema == "1.0"),
            "{answer:#}"
        );
        if schema == "2.0" {
            let [ok, bad] = ["Succeeded", "PermanentFailure"];
            assert_eq!(codes, [ok, bad, ok, ok, bad, ok], "{answer:#}");
            assert!(results[1]["resultString"].as_str().unwrap().starts_with("not_an_image: "));
            assert!(results[2]["resultString"].as_str().unwrap().contains("deleted"));
        }
    }
    assert_eq!(s3.result("a b-processed.png").unwrap().metadata["source-key"], "a%20b.png");
}

#[tokio::test]
async fn a_batch_task_again_reads_nothing_and_an_event_of_the_same_version_finds_it_done() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    let payload = batch("2.0", &["a.png"], &json!({}));
    answer(&s3, &payload).await;
    s3.take_calls();
    let again = answer(&s3, &payload).await;
    assert_eq!(again["results"][0]["resultString"], "skipped: already processed");
    let calls = s3.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("PutObject")), "{calls:?}");
    assert_eq!(invoke(&s3, &[record]).await.unwrap().skipped[0].reason, "already processed");
    assert_eq!(s3.take_calls(), ["HeadObject a-processed.png"]);
}

#[tokio::test]
async fn a_batch_task_makes_what_is_current_and_keeps_its_place_in_the_order() {
    let s3 = FakeS3::default();
    let old = s3.upload("a.png", png(1), "0A");
    let new = s3.upload("a.png", png(2), "0B");
    invoke(&s3, &[new]).await.unwrap();
    // Another recipe: the same version is made again, and still is the version of its sequencer.
    let payload = batch("2.0", &["a.png"], &json!({"grayscale": "true"}));
    assert_eq!(answer(&s3, &payload).await["results"][0]["resultCode"], "Succeeded");
    let result = s3.result("a-processed.png").unwrap();
    assert_eq!(result.metadata["source-sequencer"], "0B");
    assert_eq!(result.metadata["recipe"], "format=png,grayscale=true");
    let late = invoke(&s3, &[old]).await.unwrap();
    assert_eq!(late.skipped[0].reason, "the result is of a newer version");
}

#[tokio::test]
async fn arguments_of_a_job_are_words_of_its_recipe() {
    let s3 = FakeS3::default();
    s3.upload("a.png", png(1), "0A");
    let payload = batch("2.0", &["a.png"], &json!({"format": "jpeg", "k1": "v1"}));
    let result = answer(&s3, &payload).await["results"][0].clone();
    assert_eq!(result["resultString"], "s3://out/a-processed.jpg");
    assert_eq!(s3.result("a-processed.jpg").unwrap().content_type.as_deref(), Some("image/jpeg"));
    let payload = batch("2.0", &["a.png"], &json!({"quality": "best"}));
    let result = answer(&s3, &payload).await["results"][0].clone();
    assert_eq!(result["resultCode"], "PermanentFailure");
    assert!(result["resultString"].as_str().unwrap().contains("userArguments, quality"), "{result}");
}

#[tokio::test]
async fn a_task_for_an_old_version_leaves_the_current_one_alone() {
    let s3 = FakeS3::default();
    s3.upload("a.png", png(1), "0A");
    let mut payload = batch("1.0", &["a.png"], &json!({}));
    payload["tasks"][0]["s3VersionId"] = json!("old");
    // This S3 keeps no versions, so its only one is as good as any.
    assert_eq!(answer(&s3, &payload).await["results"][0]["resultCode"], "Succeeded");
}

#[tokio::test]
async fn what_time_does_not_allow_comes_back() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    let soon = Call { deadline: Some(SystemTime::now() + Duration::from_millis(100)), ..call() };
    let processor = Processor::new(settings(Mode::Png), Store::new(s3.client()));
    let late = processor.handle(&json!({"Records": [record]}), &soon).await.answer.unwrap_err();
    assert_eq!(late.error_type, "OutOfTime");
    let queued = queue(&[message("m", &json!({"Records": [record]}))]);
    let soon = Call { deadline: Some(SystemTime::now() + Duration::from_millis(100)), ..call() };
    let late = json_of(&processor.handle(&queued, &soon).await);
    assert_eq!(late["batchItemFailures"][0]["itemIdentifier"], "m");
    let minute = Call { deadline: Some(SystemTime::now() + Duration::from_mins(1)), ..call() };
    assert_eq!(json_of(&processor.handle(&queued, &minute).await), json!({"batchItemFailures": []}));
    assert!(s3.result("a-processed.png").is_some());
}

#[tokio::test]
async fn many_records_at_once_stay_within_little_memory() {
    let s3 = FakeS3::default();
    let records: Vec<_> = (0..60u8).map(|at| s3.upload(&format!("{at}.png"), png(at), "0A")).collect();
    let small = settings_with(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")]);
    let handled = handle(small, &s3, &json!({ "Records": records })).await;
    let Ok(Answer::Summary(summary)) = &handled.answer else { panic!("{handled:?}") };
    let keys: Vec<_> = summary.processed.iter().map(|one| one.key.clone()).collect();
    let expected: Vec<_> = (0..60).map(|at| format!("{at}.png")).collect();
    assert_eq!(keys, expected, "the answer keeps the event's order");
    assert_eq!(handled.metrics[0]["Pixels"].as_array().unwrap().len(), 60);
}
