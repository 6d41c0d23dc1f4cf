//! Reports about bad objects: written once, never beside a newer version's result, and gone when a result comes.

mod support;

use image_processor::{Mode, Settings};
use serde_json::json;
use support::{FakeS3, invoke, invoke_with, png, settings, settings_with};

#[tokio::test]
async fn a_report_says_what_and_why() {
    let s3 = FakeS3::default();
    let record = s3.upload("my folder/bad+1.png", b"no image at all".to_vec(), "0A");
    let summary = invoke(&s3, &[record]).await.unwrap();
    assert_eq!(summary.failed[0].reason, "not_an_image");
    let report = s3.report("my folder/bad+1.png").unwrap();
    assert_eq!(report["source"]["bucket"], "in");
    assert_eq!(report["source"]["key"], "my folder/bad+1.png");
    assert_eq!(report["source"]["bytes"], 15);
    assert_eq!(report["reason"], "not_an_image");
    assert!(report["detail"].as_str().unwrap().contains("not an image"), "{report}");
    assert_eq!(report["time"].as_str().unwrap().len(), "2026-01-01T00:00:00Z".len(), "{report}");
    let file = s3.result("my folder/bad+1.png-failed.json").unwrap();
    assert_eq!(file.content_type.as_deref(), Some("application/json"));
    assert_eq!(file.metadata["source-sequencer"], "0A");
    assert_eq!(report["source"]["etag"], file.metadata["source-etag"].as_str());
}

#[tokio::test]
async fn it_is_written_once() {
    let s3 = FakeS3::default();
    let record = s3.upload("bad.png", b"no image".to_vec(), "0A");
    for _ in 0..3 {
        assert_eq!(invoke(&s3, std::slice::from_ref(&record)).await.unwrap().failed.len(), 1);
    }
    assert_eq!(s3.writes(), 1);
    // Another recipe may have another reason.
    let other = settings_with(&[("FORMAT", "jpeg")]);
    assert_eq!(invoke_with(other, &s3, &[record]).await.unwrap().failed.len(), 1);
    assert_eq!(s3.writes(), 2);
}

#[tokio::test]
async fn a_newer_version_that_can_be_processed_takes_it_away() {
    let s3 = FakeS3::default();
    let bad = s3.upload("a.png", b"no image".to_vec(), "0A");
    invoke(&s3, std::slice::from_ref(&bad)).await.unwrap();
    let good = s3.upload("a.png", png(1), "0B");
    invoke(&s3, &[good]).await.unwrap();
    assert!(s3.report("a.png").is_none() && s3.result("a-processed.png").is_some());

    s3.take_calls();
    let late = invoke(&s3, &[bad]).await.unwrap();
    assert_eq!(late.skipped[0].reason, "the result is of a newer version");
    assert_eq!(s3.take_calls(), ["HeadObject a-processed.png"]);
}

#[tokio::test]
async fn the_same_version_under_a_higher_limit_takes_it_away() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    let strict = settings_with(&[("MAX_PIXELS", "10")]);
    let first = invoke_with(strict, &s3, std::slice::from_ref(&record)).await.unwrap();
    assert_eq!(first.failed[0].reason, "too_many_pixels");
    assert_eq!(invoke(&s3, &[record]).await.unwrap().processed.len(), 1);
    assert!(s3.report("a.png").is_none());
}

#[tokio::test]
async fn a_newer_version_that_fails_replaces_it_and_leaves_the_last_result() {
    let s3 = FakeS3::default();
    let good = s3.upload("a.png", png(1), "0A");
    invoke(&s3, &[good]).await.unwrap();
    for (sequencer, content) in [("0B", &b"bad"[..]), ("0C", b"worse")] {
        let bad = s3.upload("a.png", content.to_vec(), sequencer);
        invoke(&s3, &[bad]).await.unwrap();
    }
    assert_eq!(s3.report("a.png").unwrap()["source"]["bytes"], 5);
    assert_eq!(s3.result("a-processed.png").unwrap().metadata["source-sequencer"], "0A");
}

#[tokio::test]
async fn a_version_that_is_not_the_current_one_gets_none() {
    let s3 = FakeS3::default();
    let large = s3.upload("a.png", vec![0; 100_001], "0A");
    s3.upload("a.png", png(1), "0B");
    let summary = invoke(&s3, std::slice::from_ref(&large)).await.unwrap();
    assert!(summary.skipped[0].reason.contains("overwritten since"), "{summary:?}");
    s3.with(|world| world.objects.clear());
    let summary = invoke(&s3, &[large]).await.unwrap();
    assert!(summary.skipped[0].reason.contains("deleted since"), "{summary:?}");
    assert_eq!(s3.writes(), 0);
}

#[tokio::test]
async fn a_version_that_comes_while_it_is_written_makes_it_go_again() {
    let s3 = FakeS3::default();
    let bad = s3.upload("a.png", b"bad".to_vec(), "0A");
    s3.with(|world| world.overwrite = Some(("a.png".into(), png(1))));
    let summary = invoke(&s3, &[bad]).await.unwrap();
    assert!(summary.skipped[0].reason.contains("overwritten since"), "{summary:?}");
    assert!(s3.report("a.png").is_none());
    assert_eq!(s3.writes(), 1);
}

#[tokio::test]
async fn where_it_cannot_be_written_the_record_is_tried_again() {
    for fault in [("PutObject", 503, "SlowDown"), ("PutObject", 403, "AccessDenied")] {
        let s3 = FakeS3::default();
        let bad = s3.upload("a.png", b"bad".to_vec(), "0A");
        s3.with(|world| world.faults.push(fault));
        let error = invoke(&s3, std::slice::from_ref(&bad)).await.unwrap_err();
        assert!(error.error_message.contains("a.png-failed.json"), "{}", error.error_message);
        assert_eq!(invoke(&s3, &[bad]).await.unwrap().failed.len(), 1);
        assert!(s3.report("a.png").is_some());
    }
}

#[tokio::test]
async fn where_it_cannot_be_taken_away_no_result_is_written_before_it_can() {
    let s3 = FakeS3::default();
    let bad = s3.upload("a.png", b"bad".to_vec(), "0A");
    invoke(&s3, &[bad]).await.unwrap();
    let good = s3.upload("a.png", png(1), "0B");
    s3.with(|world| world.faults.push(("DeleteObject", 500, "InternalError")));
    invoke(&s3, std::slice::from_ref(&good)).await.unwrap_err();
    assert!(s3.result("a-processed.png").is_none());
    assert_eq!(invoke(&s3, &[good]).await.unwrap().processed.len(), 1);
    assert!(s3.report("a.png").is_none());
}

#[tokio::test]
async fn a_role_that_may_not_delete_still_writes_results() {
    let s3 = FakeS3::default();
    let bad = s3.upload("a.png", b"bad".to_vec(), "0A");
    invoke(&s3, &[bad]).await.unwrap();
    let good = s3.upload("a.png", png(1), "0B");
    s3.with(|world| world.faults.push(("DeleteObject", 403, "AccessDenied")));
    assert_eq!(invoke(&s3, &[good]).await.unwrap().processed.len(), 1);
    assert!(s3.report("a.png").is_some());
}

#[tokio::test]
async fn none_is_written_into_the_bucket_of_the_trigger_or_for_a_key_without_room() {
    let s3 = FakeS3::default();
    let bad = s3.upload("a.png", b"bad".to_vec(), "0A");
    let itself = Settings { output_bucket: "in".into(), ..settings(Mode::Png) };
    assert_eq!(invoke_with(itself, &s3, &[bad]).await.unwrap().failed[0].reason, "would_trigger_itself");
    let long = s3.upload(&format!("{}.png", "k".repeat(1020)), b"bad".to_vec(), "0A");
    assert_eq!(invoke(&s3, &[long]).await.unwrap().failed[0].reason, "key_too_long");
    let nameless = json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "in"}}});
    assert_eq!(invoke(&s3, &[nameless]).await.unwrap().failed[0].reason, "incomplete_record");
    assert_eq!(s3.writes(), 0);
}
