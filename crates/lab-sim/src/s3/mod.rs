//! S3: names that belong to others, notification configurations as S3 checks them, and events that reach functions.

mod event;
mod notification;
mod policy;
mod post_form;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Method;

use crate::call::{Answer, Call, new_request_id};
use crate::classify::{Protocol, split_s3_path};
use crate::faults::answers::ServiceError;
use crate::lambda::{FunctionKey, invoke_async, read_policy};
use crate::sim::{Sim, lock};
use crate::xml::{Element, with_document};
use event::{ObjectEvent, RecordContext, make_event};
use notification::{FunctionTargets, has_overlap, permits_s3};
use policy::{restore_tls, spare_tls};

/// What lab-sim knows about buckets that moto does not.
#[derive(Debug)]
pub(crate) struct S3Overlay {
    foreign: HashSet<String>,
    /// The functions' part of each bucket's notification configuration: moto would try to run them itself.
    targets: Mutex<HashMap<String, FunctionTargets>>,
    sequence: AtomicU64,
}

impl S3Overlay {
    /// `foreign` are bucket names that belong to somebody else.
    pub(crate) fn new(foreign: Vec<String>) -> Self {
        // Sequencers grow over restarts too: they begin with the time.
        let now = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or_default();
        Self { foreign: foreign.into_iter().collect(), targets: Mutex::default(), sequence: AtomicU64::new(now) }
    }

    /// Forgets all configurations; foreign names stay foreign.
    pub(crate) fn reset(&self) {
        lock(&self.targets).clear();
    }

    fn targets_of(&self, bucket: &str) -> Option<FunctionTargets> {
        lock(&self.targets).get(bucket).cloned()
    }
}

/// Answers a call to S3.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    let (bucket, key) = split_s3_path(call.uri.path());
    if sim.s3.foreign.contains(&bucket) {
        return refuse_foreign(&call.class.action).to_answer(Protocol::S3);
    }
    match call.class.action.as_str() {
        "PutBucketNotificationConfiguration" => match put_notification(sim, call, &bucket).await {
            Ok(answer) => answer,
            Err(error) => error.to_answer(Protocol::S3),
        },
        "GetBucketNotificationConfiguration" => get_notification(sim, call, &bucket).await,
        "PutBucketPolicy" => sim.moto.forward(&call.with_body(spare_tls(&call.body))).await,
        "GetBucketPolicy" => {
            let answer = sim.moto.forward(call).await;
            if !answer.status().is_success() {
                return answer;
            }
            let policy = Bytes::from(restore_tls(answer.body()));
            let mut answer = answer.map(|_| policy);
            answer.headers_mut().remove(http::header::CONTENT_LENGTH);
            answer
        }
        "DeleteBucket" => {
            let answer = sim.moto.forward(call).await;
            if answer.status().is_success() {
                lock(&sim.s3.targets).remove(&bucket);
            }
            answer
        }
        "PutObject" | "CopyObject" | "CompleteMultipartUpload" | "PostObject" | "DeleteObject" | "DeleteObjects" => {
            let answer = sim.moto.forward(call).await;
            if answer.status().is_success() && sim.s3.targets_of(&bucket).is_some() {
                for event in object_events(sim, call, &answer, &bucket, &key).await {
                    emit(sim, call, &event);
                }
            }
            answer
        }
        _ => sim.moto.forward(call).await,
    }
}

fn refuse_foreign(action: &str) -> ServiceError {
    if action == "CreateBucket" {
        let message = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
                       Please select a different name and try again.";
        return ServiceError::new(409, "BucketAlreadyExists", message);
    }
    ServiceError::new(403, "AccessDenied", "Access Denied")
}

async fn put_notification(sim: &Arc<Sim>, call: &Call, bucket: &str) -> Result<Answer, ServiceError> {
    let mut root = Element::parse(&call.body).ok_or_else(|| {
        ServiceError::new(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    })?;
    if has_overlap(&root) {
        return Err(invalid_destination());
    }
    let targets = FunctionTargets::take_from(&mut root);
    if call.header("x-amz-skip-destination-validation") != Some("true") {
        for target in &targets.targets {
            check_destination(sim, &target.function_arn, bucket).await?;
        }
    }
    // moto fails at an empty configuration without it.
    root.ensure_namespace("http://s3.amazonaws.com/doc/2006-03-01/");
    let rest = call.with_body(root.to_document());
    let answer = sim.moto.forward(&rest).await;
    if answer.status().is_success() {
        lock(&sim.s3.targets).insert(bucket.to_owned(), targets);
    }
    Ok(answer)
}

fn invalid_destination() -> ServiceError {
    ServiceError::new(400, "InvalidArgument", "Unable to validate the following destination configurations")
}

/// The function must exist and must permit S3 to invoke it for this bucket.
async fn check_destination(sim: &Arc<Sim>, function_arn: &str, bucket: &str) -> Result<(), ServiceError> {
    let key = FunctionKey::parse(function_arn, "us-east-1");
    if sim.lambda.find(&key).is_none() {
        return Err(invalid_destination());
    }
    let statements = read_policy(sim, &key).await;
    if permits_s3(&statements, bucket, &sim.account) { Ok(()) } else { Err(invalid_destination()) }
}

async fn get_notification(sim: &Arc<Sim>, call: &Call, bucket: &str) -> Answer {
    let answer = sim.moto.forward(call).await;
    if !answer.status().is_success() {
        return answer;
    }
    let targets = sim.s3.targets_of(bucket).unwrap_or_default();
    let mut root = Element::parse(answer.body()).unwrap_or_else(|| Element::new("NotificationConfiguration"));
    // moto calls an empty one otherwise.
    "NotificationConfiguration".clone_into(&mut root.name);
    targets.add_to(&mut root);
    with_document(answer, &root)
}

/// What a successful call did to objects.
async fn object_events(sim: &Arc<Sim>, call: &Call, answer: &Answer, bucket: &str, key: &str) -> Vec<ObjectEvent> {
    let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let event = |name: &'static str, key: &str| ObjectEvent {
        name,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        size: None,
        etag: None,
        version: text("x-amz-version-id"),
    };
    match call.class.action.as_str() {
        "PutObject" => {
            let etag = text("etag").map(|etag| etag.trim_matches('"').to_owned());
            vec![ObjectEvent { size: Some(object_size(call)), etag, ..event("ObjectCreated:Put", key) }]
        }
        "CopyObject" => vec![complete_from_head(sim, call, event("ObjectCreated:Copy", key)).await],
        "CompleteMultipartUpload" => {
            vec![complete_from_head(sim, call, event("ObjectCreated:CompleteMultipartUpload", key)).await]
        }
        "PostObject" => match post_form::read_key(call) {
            Some(key) => {
                vec![complete_from_head(sim, call, event("ObjectCreated:Post", &key)).await]
            }
            None => Vec::new(),
        },
        "DeleteObject" => {
            let marker = text("x-amz-delete-marker").as_deref() == Some("true");
            vec![event(if marker { "ObjectRemoved:DeleteMarkerCreated" } else { "ObjectRemoved:Delete" }, key)]
        }
        "DeleteObjects" => {
            let root = Element::parse(answer.body()).unwrap_or_default();
            root.elements()
                .filter(|element| element.name == "Deleted")
                .map(|deleted| {
                    let marker = deleted.child_text("DeleteMarker").as_deref() == Some("true");
                    let name = if marker { "ObjectRemoved:DeleteMarkerCreated" } else { "ObjectRemoved:Delete" };
                    ObjectEvent {
                        version: deleted.child_text("VersionId"),
                        ..event(name, &deleted.child_text("Key").unwrap_or_default())
                    }
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The size of an uploaded object: what was in the chunks, where the body came in aws-chunks.
fn object_size(call: &Call) -> u64 {
    call.header("x-amz-decoded-content-length").and_then(|length| length.parse().ok()).unwrap_or(call.body.len() as u64)
}

/// Asks for size and `ETag` where the answer to the call does not have them.
async fn complete_from_head(sim: &Arc<Sim>, call: &Call, mut event: ObjectEvent) -> ObjectEvent {
    let key = percent_encoding::utf8_percent_encode(&event.key, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("/{}/{key}", event.bucket);
    let head = sim.moto.rest("s3", &call.class.region, Method::HEAD, &path, Bytes::new()).await;
    let text = |name: &str| head.headers().get(name).and_then(|value| value.to_str().ok());
    event.size = text("content-length").and_then(|length| length.parse().ok());
    event.etag = text("etag").map(|etag| etag.trim_matches('"').to_owned());
    event
}

/// Tells every function whose configuration matches.
fn emit(sim: &Arc<Sim>, call: &Call, event: &ObjectEvent) {
    let Some(targets) = sim.s3.targets_of(&event.bucket) else {
        return;
    };
    for target in targets.matching(event.name, &event.key) {
        let context = RecordContext {
            region: &call.class.region,
            configuration_id: &target.id,
            time: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            request_id: new_request_id(),
            source_ip: call.peer.address.ip().to_string(),
            sequencer: sim.s3.sequence.fetch_add(1, Ordering::Relaxed),
        };
        let payload = Bytes::from(make_event(event, &context).to_string());
        invoke_async(sim, &FunctionKey::parse(&target.function_arn, &call.class.region), payload);
    }
}
