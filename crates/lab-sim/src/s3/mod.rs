//! S3: names that belong to others, notification configurations as S3 checks them, and events that reach functions, queues,
//! topics and `EventBridge`.

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
use crate::lambda::{FunctionKey, invoke_async};
use crate::resource_policy::{Wish, permits, read_statements};
use crate::sim::{Sim, lock};
use crate::xml::{Element, with_document};
use event::{ObjectEvent, RecordContext, make_bridge_event, make_event, make_test_event};
use notification::{Destination, INVALID_DESTINATION, Notification, Target};
use policy::{restore_tls, spare_tls};

/// What lab-sim knows about buckets that moto does not.
#[derive(Debug)]
pub(crate) struct S3Overlay {
    foreign: HashSet<String>,
    /// Each bucket's notification configuration: moto would try to run functions itself, and asks nobody's policy.
    notifications: Mutex<HashMap<String, Notification>>,
    sequence: AtomicU64,
}

impl S3Overlay {
    /// `foreign` are bucket names that belong to somebody else.
    pub(crate) fn new(foreign: Vec<String>) -> Self {
        // Sequencers grow over restarts too: they begin with the time.
        let now = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or_default();
        Self { foreign: foreign.into_iter().collect(), notifications: Mutex::default(), sequence: AtomicU64::new(now) }
    }

    /// Forgets all configurations; foreign names stay foreign.
    pub(crate) fn reset(&self) {
        lock(&self.notifications).clear();
    }

    fn notification_of(&self, bucket: &str) -> Option<Notification> {
        lock(&self.notifications).get(bucket).cloned()
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
                lock(&sim.s3.notifications).remove(&bucket);
            }
            answer
        }
        "PutObject" | "CopyObject" | "CompleteMultipartUpload" | "PostObject" | "DeleteObject" | "DeleteObjects" => {
            let answer = sim.moto.forward(call).await;
            if answer.status().is_success() && sim.s3.notification_of(&bucket).is_some() {
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
    let notification = Notification::read(&root).map_err(invalid_argument)?;
    let is_checked = call.header("x-amz-skip-destination-validation") != Some("true");
    if is_checked {
        for target in &notification.targets {
            check_destination(sim, &target.destination, bucket).await?;
        }
    }
    // moto keeps an empty one; it fails at that without a namespace.
    root.children.clear();
    root.ensure_namespace("http://s3.amazonaws.com/doc/2006-03-01/");
    let answer = sim.moto.forward(&call.with_body(root.to_document())).await;
    if answer.status().is_success() {
        if is_checked {
            send_test_events(sim, &notification, bucket).await;
        }
        lock(&sim.s3.notifications).insert(bucket.to_owned(), notification);
    }
    Ok(answer)
}

fn invalid_argument(message: &str) -> ServiceError {
    ServiceError::new(400, "InvalidArgument", message)
}

/// The destination must exist and must let S3 in for this bucket.
async fn check_destination(sim: &Arc<Sim>, destination: &Destination, bucket: &str) -> Result<(), ServiceError> {
    let is_there = match destination {
        Destination::Function(arn) => sim.lambda.find(&FunctionKey::parse(arn, "us-east-1")).is_some(),
        // Of queues, only the standard ones.
        Destination::Queue(queue) => !queue.is_fifo(),
        Destination::Topic(_) => true,
    };
    if is_there && lets_in(sim, destination, bucket).await {
        Ok(())
    } else {
        Err(invalid_argument(INVALID_DESTINATION))
    }
}

/// Whether the destination's policy lets S3 tell it about this bucket.
async fn lets_in(sim: &Sim, destination: &Destination, bucket: &str) -> bool {
    let (action, statements) = match destination {
        Destination::Function(arn) => {
            let key = FunctionKey::parse(arn, "us-east-1");
            ("lambda:InvokeFunction", crate::lambda::read_policy(sim, &key).await)
        }
        Destination::Queue(queue) => {
            let attributes = queue.attributes(sim).await.unwrap_or_default();
            ("sqs:SendMessage", read_statements(attributes["Policy"].as_str().unwrap_or_default()))
        }
        Destination::Topic(arn) => {
            ("sns:Publish", read_statements(&crate::sns::read_policy(sim, arn).await.unwrap_or_default()))
        }
    };
    let source_arn = format!("arn:aws:s3:::{bucket}");
    let wish = Wish { service: "s3.amazonaws.com", action, source_arn: &source_arn, account: &sim.account };
    permits(&statements, wish)
}

/// Queues and topics get a first message that says that the bucket can reach them.
async fn send_test_events(sim: &Arc<Sim>, notification: &Notification, bucket: &str) {
    let mut told = Vec::new();
    for Target { destination, .. } in &notification.targets {
        if told.contains(&destination) {
            continue;
        }
        told.push(destination);
        let message = make_test_event(bucket, &now(), &new_request_id()).to_string();
        match destination {
            Destination::Function(_) => {}
            Destination::Queue(queue) => queue.send(sim, &message).await,
            Destination::Topic(arn) => crate::sns::publish(sim, arn, &message).await,
        }
    }
}

async fn get_notification(sim: &Arc<Sim>, call: &Call, bucket: &str) -> Answer {
    let answer = sim.moto.forward(call).await;
    if !answer.status().is_success() {
        return answer;
    }
    let mut root = Element::new("NotificationConfiguration");
    root.ensure_namespace("http://s3.amazonaws.com/doc/2006-03-01/");
    sim.s3.notification_of(bucket).unwrap_or_default().add_to(&mut root);
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

/// The time as S3 writes it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Tells every destination whose configuration matches, and `EventBridge`.
fn emit(sim: &Arc<Sim>, call: &Call, event: &ObjectEvent) {
    let Some(notification) = sim.s3.notification_of(&event.bucket) else { return };
    let mut context = RecordContext {
        region: &call.class.region,
        configuration_id: "",
        time: now(),
        request_id: new_request_id(),
        source_ip: call.peer.address.ip().to_string(),
        sequencer: sim.s3.sequence.fetch_add(1, Ordering::Relaxed),
    };
    for target in notification.matching(event.name, &event.key) {
        context.configuration_id = &target.id;
        tell(sim, target, &event.bucket, make_event(event, &context).to_string(), &call.class.region);
    }
    if notification.event_bridge {
        crate::events::emit(sim, &call.class.region, make_bridge_event(event, &context, &sim.account));
    }
}

/// Tells one destination, in its own time. A queue or topic that has shut S3 out since gets nothing.
fn tell(sim: &Arc<Sim>, target: &Target, bucket: &str, message: String, region: &str) {
    if let Destination::Function(arn) = &target.destination {
        invoke_async(sim, &FunctionKey::parse(arn, region), Bytes::from(message));
        return;
    }
    let (sim, destination, bucket) = (Arc::clone(sim), target.destination.clone(), bucket.to_owned());
    tokio::spawn(async move {
        if !lets_in(&sim, &destination, &bucket).await {
            return;
        }
        match &destination {
            Destination::Queue(queue) => queue.send(&sim, &message).await,
            Destination::Topic(arn) => crate::sns::publish(&sim, arn, &message).await,
            Destination::Function(_) => {}
        }
    });
}
