//! Whole invocations against an S3 in memory: what is written, what is left alone, and what makes Lambda try again.

mod support;

use aws_sdk_s3::types::MetadataDirective;
use image_processor::{Answer, Mode, Settings, Summary};
use serde_json::json;
use support::{FakeS3, Object, handle, invoke, invoke_with, png, settings};

#[tokio::test]
async fn every_record_is_processed_and_marked() {
    let s3 = FakeS3::default();
    let first = s3.upload("lab-image.png", png(1), "01");
    let second = s3.upload("my folder/é+1.jpeg", png(2), "02");
    let summary = invoke(&s3, &[first, second]).await.unwrap();

    assert_eq!(summary.processed.len(), 2);
    assert_eq!(summary.processed[1].output_key, "my folder/é+1-processed.png");
    let result = s3.result("my folder/é+1-processed.png").unwrap();
    assert_eq!(image::load_from_memory(&result.content).unwrap().to_rgb8().get_pixel(0, 0).0, [2, 0, 0]);
    assert_eq!(result.content_type.as_deref(), Some("image/png"));
    let source = s3.with(|world| world.objects[&("in".into(), "my folder/é+1.jpeg".into())].etag());
    assert_eq!(result.metadata["source-bucket"], "in");
    assert_eq!(result.metadata["source-key"], "my%20folder/%C3%A9%2B1.jpeg");
    assert_eq!(result.metadata["source-etag"], source.trim_matches('"'));
    assert_eq!(result.metadata["source-sequencer"], "02");
    assert!(s3.result("lab-image-processed.png").is_some());
}

#[tokio::test]
async fn the_same_event_twice_writes_once() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    invoke(&s3, std::slice::from_ref(&record)).await.unwrap();
    s3.take_calls();
    let again = invoke(&s3, &[record.clone(), record]).await.unwrap();
    assert_eq!(s3.take_calls(), ["HeadObject a-processed.png", "HeadObject a-processed.png"]);
    assert_eq!(again.skipped.len(), 2);
    assert_eq!(again.skipped[0].reason, "already processed");
}

#[tokio::test]
async fn a_late_event_does_not_overwrite_a_newer_result() {
    let s3 = FakeS3::default();
    let old = s3.upload("a.png", png(1), "0A");
    let new = s3.upload("a.png", png(2), "0B");
    invoke(&s3, std::slice::from_ref(&new)).await.unwrap();
    let late = invoke(&s3, std::slice::from_ref(&old)).await.unwrap();
    assert_eq!(late.skipped[0].reason, "the result is of a newer version");
    assert_eq!(s3.writes(), 1);

    // Without a result to compare with, the old event finds a source that is not its own any more.
    s3.with(|world| world.objects.remove(&("out".into(), "a-processed.png".into())));
    let late = invoke(&s3, &[old]).await.unwrap();
    assert!(late.skipped[0].reason.contains("overwritten since"));
    assert_eq!(s3.writes(), 1);
}

#[tokio::test]
async fn a_newer_version_replaces_its_own_older_result() {
    let s3 = FakeS3::default();
    let old = s3.upload("a.png", png(1), "FF");
    invoke(&s3, &[old]).await.unwrap();
    let before = s3.result("a-processed.png").unwrap().etag();
    let new = s3.upload("a.png", png(2), "0100");
    invoke(&s3, &[new]).await.unwrap();
    assert_eq!(s3.result("a-processed.png").unwrap().metadata["source-sequencer"], "0100");
    let put = s3.with(|world| world.puts.pop().unwrap());
    assert_eq!(put.if_match(), Some(before.as_str()));
}

#[tokio::test]
async fn a_rival_that_wins_the_race_with_a_newer_version_keeps_its_result() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    let metadata = [("source-bucket", "in"), ("source-key", "a.png"), ("source-sequencer", "0B")];
    s3.with(|world| {
        world.rival = Some(Object {
            content: vec![9],
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Object::default()
        });
    });
    let summary = invoke(&s3, &[record]).await.unwrap();
    assert_eq!(summary.skipped[0].reason, "the result is of a newer version");
    assert_eq!(s3.result("a-processed.png").unwrap().content, vec![9]);
}

#[tokio::test]
async fn a_rival_with_an_older_version_is_overwritten() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0B");
    let metadata = [("source-bucket", "in"), ("source-key", "a.png"), ("source-sequencer", "0A")];
    s3.with(|world| {
        world.rival = Some(Object {
            content: vec![9],
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Object::default()
        });
    });
    let summary = invoke(&s3, &[record]).await.unwrap();
    assert_eq!(summary.processed.len(), 1);
    assert_eq!(s3.with(|world| world.gets), 1, "the image is read and decoded once");
    assert_eq!(s3.result("a-processed.png").unwrap().metadata["source-sequencer"], "0B");
}

#[tokio::test]
async fn bad_images_are_reported_and_not_retried() {
    let s3 = FakeS3::default();
    let cut = png(1)[..40].to_vec();
    let records = [
        s3.upload("text.png", b"no image at all".to_vec(), "01"),
        s3.upload("empty.png", vec![], "02"),
        s3.upload("cut.png", cut, "03"),
        s3.upload("large.png", vec![0; 100_001], "04"),
        s3.upload("good.png", png(3), "05"),
    ];
    let summary = invoke(&s3, &records).await.unwrap();
    let reasons: Vec<_> = summary.failed.iter().map(|failed| (failed.key.as_str(), failed.reason)).collect();
    assert_eq!(
        reasons,
        [
            ("text.png", "not_an_image"),
            ("empty.png", "empty"),
            ("cut.png", "damaged_image"),
            ("large.png", "too_many_bytes"),
        ]
    );
    assert_eq!(summary.processed[0].key, "good.png");
    assert!(s3.report("cut.png").is_some() && s3.report("good.png").is_none());
}

#[tokio::test]
async fn an_object_larger_than_its_event_says_is_not_read() {
    let s3 = FakeS3::default();
    let mut record = s3.upload("large.png", vec![0; 100_001], "04");
    record["s3"]["object"]["size"] = json!(10);
    let summary = invoke(&s3, &[record]).await.unwrap();
    assert_eq!(summary.failed[0].reason, "too_many_bytes");
}

#[tokio::test]
async fn a_failing_s3_fails_the_invocation_after_all_records_were_tried() {
    for fault in [
        ("GetObject", 503, "SlowDown"),
        ("GetObject", 403, "AccessDenied"),
        ("PutObject", 500, "InternalError"),
        ("PutObject", 404, "NoSuchBucket"),
        ("HeadObject", 500, ""),
    ] {
        let s3 = FakeS3::default();
        let records = [s3.upload("a.png", png(1), "01"), s3.upload("b.png", png(2), "02")];
        s3.with(|world| world.faults.push(fault));
        let error = invoke(&s3, &records).await.unwrap_err();
        assert_eq!(error.error_type, "S3Failed");
        assert!(error.error_message.contains("1 of 2 records"), "{}", error.error_message);
        assert!(error.error_message.contains(fault.0), "{}", error.error_message);
        assert!(error.error_message.contains(fault.2), "{}", error.error_message);
        assert_eq!(s3.writes(), 1, "{fault:?} was met by one of both");

        // Lambda's retry does what is left, and only that.
        let retried = invoke(&s3, &records).await.unwrap();
        assert_eq!((retried.processed.len(), retried.skipped.len()), (1, 1), "{fault:?}");
        assert_eq!(s3.writes(), 2);
    }
}

#[tokio::test]
async fn an_object_that_is_gone_is_skipped() {
    for mode in [Mode::Png, Mode::Copy] {
        let s3 = FakeS3::default();
        let record = s3.upload("a.png", png(1), "01");
        s3.with(|world| world.objects.clear());
        let summary = invoke_with(settings(mode), &s3, &[record]).await.unwrap();
        assert_eq!(summary.skipped[0].reason, "the object was deleted since");
    }
}

#[tokio::test]
async fn a_role_that_may_not_list_can_still_write() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "01");
    s3.with(|world| world.faults.push(("HeadObject", 403, "")));
    assert_eq!(invoke(&s3, &[record]).await.unwrap().processed.len(), 1);
}

#[tokio::test]
async fn the_bucket_of_the_trigger_is_never_written_to() {
    for mode in [Mode::Png, Mode::Copy] {
        let s3 = FakeS3::default();
        let record = s3.upload("a.png", png(1), "01");
        let settings = Settings { output_bucket: "in".into(), ..settings(mode) };
        let summary = invoke_with(settings, &s3, &[record]).await.unwrap();
        assert_eq!(summary.failed[0].reason, "would_trigger_itself");
        assert_eq!(s3.writes(), 0);
    }
}

#[tokio::test]
async fn copying_leaves_the_bytes_to_s3() {
    let s3 = FakeS3::default();
    let record = s3.upload("my folder/é+1.jpeg", b"need not be an image".to_vec(), "01");
    let etag = s3.with(|world| {
        let source = world.objects.values_mut().next().unwrap();
        source.content_type = Some("binary/octet-stream".into());
        source.etag()
    });
    let summary = invoke_with(settings(Mode::Copy), &s3, std::slice::from_ref(&record)).await.unwrap();
    assert_eq!(summary.processed[0].bytes_out, 20);
    let copy = s3.with(|world| world.copies.pop().unwrap());
    assert_eq!(copy.copy_source(), Some("in/my%20folder/%C3%A9%2B1.jpeg"));
    assert_eq!(copy.copy_source_if_match(), Some(etag.as_str()));
    assert_eq!(copy.key(), Some("my folder/é+1-processed.png"));
    assert_eq!(copy.metadata_directive(), Some(&MetadataDirective::Replace));
    assert_eq!(copy.content_type(), Some("image/jpeg"));
    assert_eq!(copy.metadata().unwrap()["source-sequencer"], "01");
    assert_eq!(s3.with(|world| world.gets), 0);

    let again = invoke_with(settings(Mode::Copy), &s3, &[record]).await.unwrap();
    assert_eq!(again.skipped[0].reason, "already processed");
}

#[tokio::test]
async fn events_without_work_succeed() {
    let s3 = FakeS3::default();
    let removed =
        json!({"eventName": "ObjectRemoved:Delete", "s3": {"bucket": {"name": "in"}, "object": {"key": "a.png"}}});
    let summary = invoke(&s3, &[removed]).await.unwrap();
    assert_eq!(summary.skipped.len(), 1);
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in"});
    let answer = handle(settings(Mode::Png), &s3, &test).await.answer.unwrap();
    assert_eq!(answer, Answer::Summary(Summary::default()));
    let error = handle(settings(Mode::Png), &s3, &json!({"hello": 1})).await.answer.unwrap_err();
    assert_eq!(error.error_type, "NotAnS3Event");
}
