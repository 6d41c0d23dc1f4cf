//! Events that name objects: S3's own, `EventBridge`'s, and either of them in the envelopes they travel in.
//!
//! Sources: S3 user guide, "Event message structure" and "`EventBridge` event message structure"; SNS developer
//! guide, "Parsing message formats"; Lambda developer guide, "Capturing records of asynchronous invocations".

use serde_json::Value;

use crate::job::{Draft, Item};
use crate::key::decode_event_key;
use crate::{NotAnEvent, text};

/// How many envelopes lie around an event at most: SNS, a failed invocation's record, and a text of JSON around each.
const MAX_ENVELOPES: usize = 6;

/// Reads an event: one [`Item`] a record, in the event's order. The test message that S3 sends when a notification is
/// set up (`s3:TestEvent`) has none.
///
/// # Errors
/// [`NotAnEvent`] for anything else.
pub(crate) fn read_notification(payload: &Value) -> Result<Vec<Item>, NotAnEvent> {
    read_envelopes(payload, MAX_ENVELOPES)
}

/// Reads the text of a message: JSON of any event.
///
/// # Errors
/// [`NotAnEvent`], also where it is no JSON.
pub(crate) fn read_text(body: &str, envelopes: usize) -> Result<Vec<Item>, NotAnEvent> {
    let payload = serde_json::from_str(body).map_err(|error| NotAnEvent(format!("it is no JSON ({error})")))?;
    read_envelopes(&payload, envelopes)
}

fn read_envelopes(payload: &Value, envelopes: usize) -> Result<Vec<Item>, NotAnEvent> {
    if text(payload, "/Event") == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    if payload.get("detail-type").is_some() {
        return read_bridge_event(payload).map(|item| vec![item]);
    }
    if let Some(records) = payload.get("Records").or(Some(payload)).and_then(Value::as_array) {
        return read_records(records, envelopes);
    }
    let Some(left) = envelopes.checked_sub(1) else {
        return Err(NotAnEvent(format!("it lies in more than {MAX_ENVELOPES} envelopes")));
    };
    // What SNS sends to a queue.
    if text(payload, "/Type") == "Notification" {
        return read_text(text(payload, "/Message"), left);
    }
    // What Lambda sends to the destination of failed invocations: a redriven one is processed like any other.
    if let Some(inner) = payload.get("requestPayload") {
        return read_envelopes(inner, left);
    }
    Err(NotAnEvent(describe(payload)))
}

fn describe(payload: &Value) -> String {
    match payload.as_object() {
        Some(fields) if fields.is_empty() => "it is an empty object".to_owned(),
        Some(fields) => {
            let names: Vec<_> = fields.keys().map(String::as_str).take(5).collect();
            format!("its fields are {}", names.join(", "))
        }
        None => "it is no JSON object".to_owned(),
    }
}

/// One record that is no event does not keep the others from being read; where none is one, neither is the payload.
fn read_records(records: &[Value], envelopes: usize) -> Result<Vec<Item>, NotAnEvent> {
    let read: Vec<_> = records.iter().map(|record| read_record(record, envelopes)).collect();
    if let (Some(Err(error)), true) = (read.first(), read.iter().all(Result::is_err)) {
        return Err(error.clone());
    }
    let nameless = || Draft::default().finish(decode_event_key);
    Ok(read.into_iter().flat_map(|items| items.unwrap_or_else(|_| vec![nameless()])).collect())
}

fn read_record(record: &Value, envelopes: usize) -> Result<Vec<Item>, NotAnEvent> {
    let within = |body: &str| match envelopes.checked_sub(1) {
        Some(left) => read_text(body, left),
        None => Err(NotAnEvent(format!("it lies in more than {MAX_ENVELOPES} envelopes"))),
    };
    // What SNS hands to a function.
    if let Some(message) = record.pointer("/Sns/Message").and_then(Value::as_str) {
        return within(message);
    }
    // A message of a queue that is no longer in its queue: it was an invocation's payload that failed as a whole.
    if let (Some(_), Some(body)) = (record.get("messageId"), record.get("body").and_then(Value::as_str)) {
        return within(body);
    }
    if record.get("detail-type").is_some() {
        return read_bridge_event(record).map(|item| vec![item]);
    }
    if record.get("s3").is_none() && record.get("eventName").is_none() {
        return Err(NotAnEvent(format!("in one of its records {}", describe(record))));
    }
    Ok(vec![read_s3_record(record)])
}

fn read_s3_record(record: &Value) -> Item {
    let draft = Draft {
        bucket: text(record, "/s3/bucket/name"),
        key: text(record, "/s3/object/key"),
        size: record.pointer("/s3/object/size").and_then(read_size),
        etag: text(record, "/s3/object/eTag"),
        sequencer: text(record, "/s3/object/sequencer"),
        version: text(record, "/s3/object/versionId"),
    };
    // Events say `ObjectCreated:Put`; the notification's configuration says `s3:ObjectCreated:Put`.
    if !text(record, "/eventName").trim_start_matches("s3:").starts_with("ObjectCreated:") {
        return draft.ignore("not an ObjectCreated event");
    }
    draft.finish(decode_event_key)
}

/// An event of `EventBridge`. Its key stands there as it is.
fn read_bridge_event(event: &Value) -> Result<Item, NotAnEvent> {
    if text(event, "/source") != "aws.s3" {
        return Err(NotAnEvent(format!("its source is {:?}, not aws.s3", text(event, "/source"))));
    }
    let draft = Draft {
        bucket: text(event, "/detail/bucket/name"),
        key: text(event, "/detail/object/key"),
        size: event.pointer("/detail/object/size").and_then(read_size),
        etag: text(event, "/detail/object/etag"),
        sequencer: text(event, "/detail/object/sequencer"),
        version: text(event, "/detail/object/version-id"),
    };
    if text(event, "/detail-type") != "Object Created" {
        return Ok(draft.ignore("not an Object Created event"));
    }
    Ok(draft.finish(|key| Ok(key.to_owned())))
}

/// A number, or a text of digits.
fn read_size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
