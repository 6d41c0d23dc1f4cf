//! From an S3 event to the jobs in it.
//!
//! Only what is needed is read, and everything else may be absent: AWS adds fields, and what stands in for AWS leaves
//! some out. Delivery is at least once and unordered, which is why a [`Job`] keeps its entity tag and its sequencer.

use serde::Deserialize;
use serde_json::Value;

use crate::key::{decode_event_key, derive_output_key};
use crate::reason::Reason;

/// One object to process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// The bucket the object lies in.
    pub(crate) bucket: String,
    /// The object's key, decoded.
    pub(crate) key: String,
    /// The object's size in bytes, as the event has it.
    pub(crate) size: Option<u64>,
    /// The object's entity tag, without quotes.
    pub(crate) etag: Option<String>,
    /// S3's order of the events of one key: hexadecimal, compared from the right.
    pub(crate) sequencer: Option<String>,
    /// The result's key.
    pub(crate) output_key: String,
}

/// What one record of an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// An object was made: process it.
    Process(Job),
    /// Nothing to do for this record, with the reason.
    Ignore {
        /// The bucket, empty where the record has none.
        bucket: String,
        /// The key as it stands in the event.
        key: String,
        /// Why there is nothing to do.
        why: &'static str,
    },
    /// The record can never be processed.
    Refuse {
        /// The bucket, empty where the record has none.
        bucket: String,
        /// The key as it stands in the event.
        key: String,
        /// Why not.
        reason: Reason,
    },
}

/// The payload is no S3 event.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not an S3 event (no Records in it): {0}. The function is meant to be called by an S3 ObjectCreated notification"
)]
pub(crate) struct NotAnS3Event(String);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawRecord {
    event_name: String,
    s3: RawS3,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawS3 {
    bucket: RawBucket,
    object: RawObject,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawBucket {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawObject {
    key: String,
    size: Option<u64>,
    e_tag: Option<String>,
    sequencer: Option<String>,
}

/// Reads an event: one [`Item`] a record, in the event's order. The test message that S3 sends when a notification is
/// set up (`s3:TestEvent`) has none.
///
/// # Errors
/// [`NotAnS3Event`] for any other payload without records, and for a record whose fields are of the wrong type.
pub(crate) fn read_event(payload: &Value) -> Result<Vec<Item>, NotAnS3Event> {
    if payload.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    let Some(records) = payload.get("Records").and_then(Value::as_array) else {
        return Err(NotAnS3Event(describe(payload)));
    };
    records
        .iter()
        .map(|record| {
            RawRecord::deserialize(record)
                .map(read_record)
                .map_err(|error| NotAnS3Event(format!("a record cannot be read: {error}")))
        })
        .collect()
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

fn read_record(record: RawRecord) -> Item {
    let bucket = record.s3.bucket.name;
    let object = record.s3.object;
    // Events say `ObjectCreated:Put`; the notification's configuration says `s3:ObjectCreated:Put`.
    let name = record.event_name.trim_start_matches("s3:");
    if !name.starts_with("ObjectCreated:") {
        return Item::Ignore { bucket, key: object.key, why: "not an ObjectCreated event" };
    }
    if let Some(missing) =
        [("bucket", &bucket), ("key", &object.key)].iter().find_map(|(what, text)| text.is_empty().then_some(*what))
    {
        return Item::Refuse { bucket, key: object.key, reason: Reason::Incomplete(missing) };
    }
    if object.key.ends_with('/') && object.size.unwrap_or(0) == 0 {
        return Item::Ignore { bucket, key: object.key, why: "a folder's marker, not an image" };
    }
    match make_job(&bucket, &object) {
        Ok(job) => Item::Process(job),
        Err(reason) => Item::Refuse { bucket, key: object.key, reason },
    }
}

fn make_job(bucket: &str, object: &RawObject) -> Result<Job, Reason> {
    let key = decode_event_key(&object.key)?;
    let output_key = derive_output_key(&key)?;
    let non_empty = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Ok(Job {
        bucket: bucket.to_owned(),
        key,
        size: object.size,
        etag: non_empty(&object.e_tag).map(|etag| etag.trim_matches('"').to_owned()),
        sequencer: non_empty(&object.sequencer),
        output_key,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(name: &str, key: &str, size: u64) -> Value {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "1970-01-01T00:00:00.000Z", "eventName": name,
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "images",
                "bucket": {"name": "in", "ownerIdentity": {"principalId": "A"}, "arn": "arn:aws:s3:::in"},
                "object": {"key": key, "size": size, "eTag": "0123", "sequencer": "0A1B2C3D4E5F678901"}
            }
        })
    }

    #[test]
    fn every_record_becomes_an_item_in_order() {
        let event = json!({"Records": [
            record("ObjectCreated:Put", "one.png", 5),
            record("ObjectRemoved:Delete", "two.png", 5),
            record("ObjectCreated:CompleteMultipartUpload", "a+b%2Bc.jpg", 7),
            record("ObjectCreated:Put", "bad%FF.png", 7),
            record("ObjectCreated:Put", "folder/", 0),
        ]});
        let items = read_event(&event).unwrap();
        assert_eq!(items.len(), 5);
        assert!(matches!(&items[0], Item::Process(job) if job.key == "one.png"));
        assert!(matches!(&items[1], Item::Ignore { key, .. } if key == "two.png"));
        assert_eq!(
            items[2],
            Item::Process(Job {
                bucket: "in".into(),
                key: "a b+c.jpg".into(),
                size: Some(7),
                etag: Some("0123".into()),
                sequencer: Some("0A1B2C3D4E5F678901".into()),
                output_key: "a b+c-processed.png".into(),
            })
        );
        assert!(matches!(&items[3], Item::Refuse { reason: Reason::KeyNotUtf8, .. }));
        assert!(matches!(&items[4], Item::Ignore { why, .. } if why.contains("folder")));
    }

    #[test]
    fn s3s_test_message_asks_for_nothing() {
        let event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z",
            "Bucket": "in", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"});
        assert_eq!(read_event(&event), Ok(vec![]));
    }

    #[test]
    fn a_record_needs_no_more_than_a_name_a_bucket_and_a_key() {
        let event = json!({"Records": [{"eventName": "s3:ObjectCreated:Put",
            "s3": {"bucket": {"name": "in"}, "object": {"key": "x.png", "eTag": "\"quoted\""}}}]});
        let items = read_event(&event).unwrap();
        assert!(
            matches!(&items[0], Item::Process(job) if job.etag.as_deref() == Some("quoted") && job.sequencer.is_none())
        );
    }

    #[test]
    fn other_payloads_are_named_for_what_they_are() {
        for (payload, says) in [
            (json!({}), "empty object"),
            (json!({"detail-type": "x", "source": "aws.s3"}), "detail-type"),
            (json!([1]), "no JSON object"),
            (json!({"Records": [{"s3": 5}]}), "cannot be read"),
        ] {
            let error = read_event(&payload).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn records_without_a_bucket_or_a_key_are_refused() {
        let event = json!({"Records": [{"eventName": "ObjectCreated:Put"}]});
        assert!(matches!(read_event(&event).unwrap()[0], Item::Refuse { reason: Reason::Incomplete("bucket"), .. }));
    }
}
