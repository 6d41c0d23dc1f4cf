//! An S3 in memory, behind the SDK's own client.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::operation::copy_object::{CopyObjectInput, CopyObjectOutput};
use aws_sdk_s3::operation::delete_object::DeleteObjectOutput;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::get_object_tagging::GetObjectTaggingOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::{PutObjectInput, PutObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::Tag;
use aws_smithy_mocks::{MockResponse, MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use image::{Rgb, RgbImage};
use image_processor::{Answer, Call, Handled, Mode, Processor, Settings, Store, Summary};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

/// An object in the pretended S3. Its entity tag is its content's length and first byte, which is enough to tell versions apart.
#[derive(Debug, Clone, Default)]
pub struct Object {
    pub content: Vec<u8>,
    pub content_type: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
}

impl Object {
    pub fn etag(&self) -> String {
        let sum: u64 = self.content.iter().map(|&byte| u64::from(byte)).sum();
        format!("\"{:08x}{sum:08x}\"", self.content.len())
    }
}

pub type Name = (String, String);

/// What the pretended S3 holds, and every write it was asked for.
#[derive(Debug, Default)]
pub struct World {
    pub objects: BTreeMap<Name, Object>,
    pub puts: Vec<PutObjectInput>,
    pub copies: Vec<CopyObjectInput>,
    pub gets: usize,
    /// Every call: its operation and key.
    pub calls: Vec<(&'static str, String)>,
    /// `(operation, status, code)` that the next calls of an operation meet.
    pub faults: Vec<(&'static str, u16, &'static str)>,
    /// An object that another writer puts at a result's key right before our next write.
    pub rival: Option<Object>,
    /// A source that somebody overwrites right after the next write to the output bucket.
    pub overwrite: Option<(String, Vec<u8>)>,
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
    fn fault(&mut self, operation: &'static str, key: Option<&str>) -> Option<HttpResponse> {
        self.calls.push((operation, key.unwrap_or_default().to_owned()));
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
pub struct FakeS3(Arc<Mutex<World>>);

impl FakeS3 {
    pub fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Puts a source and returns the record of its event.
    pub fn upload(&self, key: &str, content: Vec<u8>, sequencer: &str) -> Value {
        let object = Object { content, ..Object::default() };
        let record = json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "in"}, "object": {
            "key": key.replace('+', "%2B").replace(' ', "+"),
            "size": object.content.len(), "eTag": object.etag().trim_matches('"'), "sequencer": sequencer}}});
        self.with(|world| world.objects.insert(("in".into(), key.into()), object));
        record
    }

    pub fn result(&self, key: &str) -> Option<Object> {
        self.with(|world| world.objects.get(&("out".into(), key.into())).cloned())
    }

    pub fn writes(&self) -> usize {
        self.with(|world| world.puts.len() + world.copies.len())
    }

    pub fn client(&self) -> Client {
        let rules = [self.head(), self.get(), self.put(), self.copy(), self.delete(), self.tagging()];
        let interceptor = rules
            .iter()
            .fold(MockResponseInterceptor::new().rule_mode(RuleMode::MatchAny), MockResponseInterceptor::with_rule);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
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
                if let Some(fault) = world.fault("HeadObject", input.key()) {
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
                if let Some(fault) = world.fault("GetObject", input.key()) {
                    return MockResponse::Http(fault);
                }
                match world.objects.get(&name(input.bucket(), input.key())) {
                    None => MockResponse::Http(answer_error(404, "NoSuchKey")),
                    Some(object) if input.if_none_match() == Some(&object.etag()) => {
                        MockResponse::Http(answer_error(304, ""))
                    }
                    Some(object) => MockResponse::Output(
                        GetObjectOutput::builder()
                            .set_metadata(Some(object.metadata.clone().into_iter().collect()))
                            .set_tag_count(i32::try_from(object.tags.len()).ok().filter(|count| *count > 0))
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
                if let Some(fault) = world.fault("PutObject", input.key()) {
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
                    ..Object::default()
                };
                let etag = object.etag();
                world.objects.insert(at, object);
                world.puts.push(clone_put(input));
                if let Some((key, content)) = world.overwrite.take() {
                    world.objects.insert(("in".into(), key), Object { content, ..Object::default() });
                }
                MockResponse::Output(PutObjectOutput::builder().e_tag(etag).build())
            })
        })
    }

    fn copy(&self) -> Rule {
        let world = self.clone();
        mock!(Client::copy_object).then_compute_response(move |input| {
            world.with(|world| {
                if let Some(fault) = world.fault("CopyObject", input.key()) {
                    return MockResponse::Http(fault);
                }
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

impl FakeS3 {
    fn delete(&self) -> Rule {
        let world = self.clone();
        mock!(Client::delete_object).then_compute_response(move |input| {
            world.with(|world| {
                if let Some(fault) = world.fault("DeleteObject", input.key()) {
                    return MockResponse::Http(fault);
                }
                let at = name(input.bucket(), input.key());
                if let Some(refusal) = world.check(&at, None, input.if_match()) {
                    return MockResponse::Http(refusal);
                }
                world.objects.remove(&at);
                MockResponse::Output(DeleteObjectOutput::builder().build())
            })
        })
    }

    fn tagging(&self) -> Rule {
        let world = self.clone();
        mock!(Client::get_object_tagging).then_compute_response(move |input| {
            world.with(|world| {
                if let Some(fault) = world.fault("GetObjectTagging", input.key()) {
                    return MockResponse::Http(fault);
                }
                let object = &world.objects[&name(input.bucket(), input.key())];
                let tags = object.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().unwrap());
                MockResponse::Output(
                    GetObjectTaggingOutput::builder().set_tag_set(Some(tags.collect())).build().unwrap(),
                )
            })
        })
    }

    /// The calls since the last time, as `Operation key`.
    pub fn take_calls(&self) -> Vec<String> {
        self.with(|world| world.calls.drain(..).map(|(operation, key)| format!("{operation} {key}")).collect())
    }

    /// The report about a key, as JSON.
    pub fn report(&self, key: &str) -> Option<Value> {
        Some(serde_json::from_slice(&self.result(&format!("{key}-failed.json"))?.content).unwrap())
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

/// Settings as the environment gives them, with these variables more.
pub fn settings_with(variables: &[(&str, &str)]) -> Settings {
    let always = [("OUTPUT_BUCKET", "out"), ("MAX_BYTES", "100000"), ("MAX_PIXELS", "1000000")];
    Settings::read(|name| {
        let mut known = variables.iter().chain(&always);
        known.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}

pub fn settings(mode: Mode) -> Settings {
    settings_with(&[("MODE", if mode == Mode::Copy { "copy" } else { "png" })])
}

pub fn call() -> Call {
    Call { request_id: "request".into(), deadline: None }
}

/// One invocation with any payload, by a function that has just started.
pub async fn handle(settings: Settings, s3: &FakeS3, payload: &Value) -> Handled {
    Processor::new(settings, Store::new(s3.client())).handle(payload, &call()).await
}

pub async fn invoke_with(settings: Settings, s3: &FakeS3, records: &[Value]) -> Result<Summary, Diagnostic> {
    match handle(settings, s3, &json!({ "Records": records })).await.answer? {
        Answer::Summary(summary) => Ok(summary),
        other => panic!("{other:?}"),
    }
}

pub async fn invoke(s3: &FakeS3, records: &[Value]) -> Result<Summary, Diagnostic> {
    invoke_with(settings(Mode::Png), s3, records).await
}

pub fn png(shade: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(5, 4, Rgb([shade, 0, 0])).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
