//! Whole invocations against an S3 in memory: what is written, what is left alone, and what makes Lambda try again.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::operation::copy_object::{CopyObjectInput, CopyObjectOutput};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::{PutObjectInput, PutObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::MetadataDirective;
use aws_smithy_mocks::{MockResponse, MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use image::{Rgb, RgbImage};
use image_engine::Limits;
use image_processor::{Mode, Processor, Settings, Store, Summary};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

/// An object in the pretended S3. Its entity tag is its content's length and first byte, which is enough to tell versions apart.
#[derive(Debug, Clone, Default)]
struct Object {
    content: Vec<u8>,
    content_type: Option<String>,
    metadata: BTreeMap<String, String>,
}

impl Object {
    fn etag(&self) -> String {
        let sum: u64 = self.content.iter().map(|&byte| u64::from(byte)).sum();
        format!("\"{:08x}{sum:08x}\"", self.content.len())
    }
}

type Name = (String, String);

/// What the pretended S3 holds, and every write it was asked for.
#[derive(Debug, Default)]
struct World {
    objects: BTreeMap<Name, Object>,
    puts: Vec<PutObjectInput>,
    copies: Vec<CopyObjectInput>,
    gets: usize,
    /// `(operation, status, code)` that the next calls of an operation meet.
    faults: Vec<(&'static str, u16, &'static str)>,
    /// An object that another writer puts at a result's key right before our next write.
    rival: Option<Object>,
}

fn name(bucket: Option<&str>, key: Option<&str>) -> Name {
    (bucket.unwrap_or_default().into(), key.unwrap_or_default().into())
}

fn answer_error(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>as told</Message></Error>");
    let body = if code.is_empty() { SdkBody::empty() } else { SdkBody::from(body) };
    HttpResponse::new(status.try_into().unwrap(), body)
}

impl World {
    fn fault(&mut self, operation: &str) -> Option<HttpResponse> {
        let at = self.faults.iter().position(|fault| fault.0 == operation)?;
        let (_, status, code) = self.faults.remove(at);
        Some(answer_error(status, code))
    }

    /// Whether a write under these conditions fails, with S3's answer.
    fn check(&mut self, at: &Name, if_none_match: Option<&str>, if_match: Option<&str>) -> Option<HttpResponse> {
        if let Some(rival) = self.rival.take() {
            self.objects.insert(at.clone(), rival);
        }
        let there = self.objects.get(at).map(Object::etag);
        let holds = match (if_none_match, if_match) {
            (Some(_), _) => there.is_none(),
            (_, Some(etag)) => there.as_deref() == Some(etag),
            _ => true,
        };
        (!holds).then(|| answer_error(412, "PreconditionFailed"))
    }
}

#[derive(Clone, Default)]
struct FakeS3(Arc<Mutex<World>>);

impl FakeS3 {
    fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Puts a source and returns the record of its event.
    fn upload(&self, key: &str, content: Vec<u8>, sequencer: &str) -> Value {
        let object = Object { content, ..Object::default() };
        let record = json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "in"}, "object": {
            "key": key.replace('+', "%2B").replace(' ', "+"),
            "size": object.content.len(), "eTag": object.etag().trim_matches('"'), "sequencer": sequencer}}});
        self.with(|world| world.objects.insert(("in".into(), key.into()), object));
        record
    }

    fn result(&self, key: &str) -> Option<Object> {
        self.with(|world| world.objects.get(&("out".into(), key.into())).cloned())
    }

    fn writes(&self) -> usize {
        self.with(|world| world.puts.len() + world.copies.len())
    }

    fn client(&self) -> Client {
        let rules = [self.head(), self.get(), self.put(), self.copy()];
        let interceptor = rules
            .iter()
            .fold(MockResponseInterceptor::new().rule_mode(RuleMode::MatchAny), MockResponseInterceptor::with_rule);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .http_client(create_mock_http_client())
            .interceptor(interceptor)
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
            .build();
        Client::from_conf(config)
    }

    fn head(&self) -> Rule {
        let world = self.clone();
        mock!(Client::head_object).then_compute_response(move |input| {
            world.with(|world| {
                if let Some(fault) = world.fault("HeadObject") {
                    return MockResponse::Http(fault);
                }
                match world.objects.get(&name(input.bucket(), input.key())) {
                    None => MockResponse::Http(answer_error(404, "")),
                    Some(object) => MockResponse::Output(
                        HeadObjectOutput::builder()
                            .e_tag(object.etag())
                            .content_length(i64::try_from(object.content.len()).unwrap())
                            .set_content_type(object.content_type.clone())
                            .set_metadata(Some(object.metadata.clone().into_iter().collect()))
                            .build(),
                    ),
                }
            })
        })
    }

    fn get(&self) -> Rule {
        let world = self.clone();
        mock!(Client::get_object).then_compute_response(move |input| {
            world.with(|world| {
                world.gets += 1;
                if let Some(fault) = world.fault("GetObject") {
                    return MockResponse::Http(fault);
                }
                match world.objects.get(&name(input.bucket(), input.key())) {
                    None => MockResponse::Http(answer_error(404, "NoSuchKey")),
                    Some(object) => MockResponse::Output(
                        GetObjectOutput::builder()
                            .e_tag(object.etag())
                            .content_length(i64::try_from(object.content.len()).unwrap())
                            .body(ByteStream::from(object.content.clone()))
                            .build(),
                    ),
                }
            })
        })
    }

    fn put(&self) -> Rule {
        let world = self.clone();
        mock!(Client::put_object).then_compute_response(move |input| {
            world.with(|world| {
                if let Some(fault) = world.fault("PutObject") {
                    return MockResponse::Http(fault);
                }
                let at = name(input.bucket(), input.key());
                if let Some(refusal) = world.check(&at, input.if_none_match(), input.if_match()) {
                    return MockResponse::Http(refusal);
                }
                let object = Object {
                    content: input.body().bytes().expect("the body is in memory").to_vec(),
                    content_type: input.content_type().map(str::to_owned),
                    metadata: input.metadata().cloned().unwrap_or_default().into_iter().collect(),
                };
                let etag = object.etag();
                world.objects.insert(at, object);
                world.puts.push(clone_put(input));
                MockResponse::Output(PutObjectOutput::builder().e_tag(etag).build())
            })
        })
    }

    fn copy(&self) -> Rule {
        let world = self.clone();
        mock!(Client::copy_object).then_compute_response(move |input| {
            world.with(|world| {
                let at = name(input.bucket(), input.key());
                if let Some(refusal) = world.check(&at, input.if_none_match(), input.if_match()) {
                    return MockResponse::Http(refusal);
                }
                let object = Object {
                    content_type: input.content_type().map(str::to_owned),
                    metadata: input.metadata().cloned().unwrap_or_default().into_iter().collect(),
                    ..Object::default()
                };
                world.objects.insert(at, object);
                world.copies.push(input.clone());
                MockResponse::Output(CopyObjectOutput::builder().build())
            })
        })
    }
}

/// A body cannot be cloned; nothing else of the request is lost.
fn clone_put(input: &PutObjectInput) -> PutObjectInput {
    PutObjectInput::builder()
        .set_bucket(input.bucket.clone())
        .set_key(input.key.clone())
        .set_content_type(input.content_type.clone())
        .set_metadata(input.metadata.clone())
        .set_if_match(input.if_match.clone())
        .set_if_none_match(input.if_none_match.clone())
        .build()
        .unwrap()
}

fn settings(mode: Mode) -> Settings {
    Settings {
        output_bucket: "out".into(),
        mode,
        max_bytes: 100_000,
        limits: Limits { max_pixels: 1_000_000, ..Limits::default() },
    }
}

async fn invoke_with(settings: Settings, s3: &FakeS3, records: &[Value]) -> Result<Summary, Diagnostic> {
    Processor::new(settings, Store::new(s3.client())).handle(&json!({ "Records": records }), "request").await
}

async fn invoke(s3: &FakeS3, records: &[Value]) -> Result<Summary, Diagnostic> {
    invoke_with(settings(Mode::Png), s3, records).await
}

fn png(shade: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(5, 4, Rgb([shade, 0, 0])).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

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
    let again = invoke(&s3, &[record.clone(), record]).await.unwrap();
    assert_eq!(s3.writes(), 1);
    assert_eq!(s3.with(|world| world.gets), 1);
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
    assert_eq!(s3.writes(), 1);
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
        assert!(s3.result("b-processed.png").is_some(), "{fault:?}");

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
    let processor = Processor::new(settings(Mode::Png), Store::new(s3.client()));
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in"});
    assert_eq!(processor.handle(&test, "request").await.unwrap(), Summary::default());
    let error = processor.handle(&json!({"hello": 1}), "request").await.unwrap_err();
    assert_eq!(error.error_type, "NotAnS3Event");
}
