//! What a function is told about new objects, read into jobs: S3's notifications, directly and through SQS or SNS,
//! `EventBridge`'s events, and the tasks of S3 Batch Operations. No AWS SDK, no network.
//!
//! Only what is needed is read, and everything else may be absent, null or of another type: AWS adds fields, and what
//! stands in for AWS leaves some out. Nothing in a payload makes this crate panic.

mod batch;
mod job;
mod key;
mod message;
mod notification;

use serde_json::Value;

pub use batch::{Batch, Task};
pub use job::{Item, Job, Refusal};
pub use key::{
    KeyTooLong, MAX_KEY_BYTES, SOURCE_ETAG, decode_event_key, encode_for_header, encode_for_metadata, name_report,
    name_result, report_key, result_key, strip_extension,
};
pub use message::Message;

/// What one invocation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Objects, in the payload's order. Who sent them takes no answer and tries the whole payload again on an error.
    Direct(Vec<Item>),
    /// Messages of an SQS queue. It takes the identifiers of those that are to come back.
    Queue(Vec<Message>),
    /// Tasks of S3 Batch Operations. It takes a result for each.
    Batch(Batch),
}

/// The payload is no event that asks for anything this crate knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no event of new objects: {0}. Known are S3's notifications (also through SQS or SNS), EventBridge's \
     `Object Created` and the tasks of S3 Batch Operations"
)]
pub struct NotAnEvent(pub(crate) String);

/// Reads a function's payload.
///
/// # Errors
/// [`NotAnEvent`] where it is none of the known shapes. A message of a queue that is none of them is an error of that
/// message alone.
pub fn read_invocation(payload: &Value) -> Result<Invocation, NotAnEvent> {
    if payload.get("invocationSchemaVersion").is_some() {
        return batch::read_batch(payload).map(Invocation::Batch);
    }
    if let Some(messages) = message::read_messages(payload) {
        return Ok(Invocation::Queue(messages));
    }
    notification::read_notification(payload).map(Invocation::Direct)
}

/// The text at `path` (`/a/b`), empty where there is none.
fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}
