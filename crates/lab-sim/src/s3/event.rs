//! The record that S3 sends about an event (event message structure 2.1 in the S3 user guide). Pure.

use serde_json::{Value, json};

use crate::form::encode_event_key;

/// What happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectEvent {
    /// Without `s3:`, as in the record: `ObjectCreated:Put`.
    pub(crate) name: &'static str,
    pub(crate) bucket: String,
    /// The key as it is, not encoded.
    pub(crate) key: String,
    /// In bytes; absent for a removal.
    pub(crate) size: Option<u64>,
    /// Without its quotes; absent for a removal.
    pub(crate) etag: Option<String>,
    pub(crate) version: Option<String>,
}

/// The context of a record.
#[derive(Debug, Clone)]
pub(crate) struct RecordContext<'a> {
    pub(crate) region: &'a str,
    pub(crate) configuration_id: &'a str,
    /// RFC 3339 with milliseconds.
    pub(crate) time: String,
    pub(crate) request_id: String,
    pub(crate) source_ip: String,
    /// Grows with each event of the process.
    pub(crate) sequencer: u64,
}

/// The event that a function gets: one record.
pub(crate) fn make_event(event: &ObjectEvent, context: &RecordContext<'_>) -> Value {
    let mut object = json!({
        "key": encode_event_key(&event.key),
        "sequencer": format!("{:018X}", context.sequencer),
    });
    if let Some(size) = event.size {
        object["size"] = json!(size);
    }
    if let Some(etag) = &event.etag {
        object["eTag"] = json!(etag);
    }
    if let Some(version) = &event.version {
        object["versionId"] = json!(version);
    }
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": context.region,
        "eventTime": context.time,
        "eventName": event.name,
        "userIdentity": { "principalId": "AWS:AIDALABSIMEXAMPLE000" },
        "requestParameters": { "sourceIPAddress": context.source_ip },
        "responseElements": { "x-amz-request-id": context.request_id, "x-amz-id-2": "lab-sim" },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": context.configuration_id,
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": { "principalId": "A1LABSIMEXAMPLE" },
                "arn": format!("arn:aws:s3:::{}", event.bucket),
            },
            "object": object,
        },
    }]})
}

/// The same for `EventBridge`, which gets the key as it is (S3 user guide, "`EventBridge` event message structure").
pub(crate) fn make_bridge_event(event: &ObjectEvent, context: &RecordContext<'_>, account: &str) -> Value {
    let mut object = json!({ "key": event.key, "sequencer": format!("{:018X}", context.sequencer) });
    let facts = [("size", event.size.map(Value::from)), ("etag", event.etag.clone().map(Value::from))];
    let facts = facts.into_iter().chain([("version-id", event.version.clone().map(Value::from))]);
    for (name, value) in facts.filter_map(|(name, value)| Some((name, value?))) {
        object[name] = value;
    }
    let (kind, reason) = match event.name {
        "ObjectCreated:Put" => ("Object Created", "PutObject"),
        "ObjectCreated:Copy" => ("Object Created", "CopyObject"),
        "ObjectCreated:Post" => ("Object Created", "POST Object"),
        "ObjectCreated:CompleteMultipartUpload" => ("Object Created", "CompleteMultipartUpload"),
        _ => ("Object Deleted", "DeleteObject"),
    };
    let mut detail = json!({
        "version": "0",
        "bucket": { "name": event.bucket },
        "object": object,
        "request-id": context.request_id,
        "requester": account,
        "source-ip-address": context.source_ip,
        "reason": reason,
    });
    if kind == "Object Deleted" {
        let marker = event.name.ends_with("MarkerCreated");
        detail["deletion-type"] = json!(if marker { "Delete Marker Created" } else { "Permanently Deleted" });
    }
    json!({
        "version": "0",
        "id": uuid::Uuid::new_v4().to_string(),
        "detail-type": kind,
        "source": "aws.s3",
        "account": account,
        // EventBridge knows seconds only.
        "time": format!("{}Z", context.time.split('.').next().unwrap_or_default()),
        "region": context.region,
        "resources": [format!("arn:aws:s3:::{}", event.bucket)],
        "detail": detail,
    })
}

/// What S3 sends to a queue or a topic when a bucket begins to tell it about events.
pub(crate) fn make_test_event(bucket: &str, time: &str, request_id: &str) -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": time,
        "Bucket": bucket,
        "RequestId": request_id,
        "HostId": "lab-sim",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_shape_that_functions_read() {
        let event = ObjectEvent {
            name: "ObjectCreated:Put",
            bucket: "in".to_owned(),
            key: "a b/ü+1.png".to_owned(),
            size: Some(7),
            etag: Some("e7".to_owned()),
            version: None,
        };
        let context = RecordContext {
            region: "us-east-1",
            configuration_id: "c",
            time: "2026-01-01T00:00:00.000Z".to_owned(),
            request_id: "r".to_owned(),
            source_ip: "127.0.0.1".to_owned(),
            sequencer: 0xAB,
        };
        let json = make_event(&event, &context);
        let record = &json["Records"][0];
        assert_eq!(record["eventName"], "ObjectCreated:Put");
        assert_eq!(record["s3"]["object"]["key"], "a+b/%C3%BC%2B1.png");
        assert_eq!(record["s3"]["object"]["size"], 7);
        assert_eq!(record["s3"]["object"]["sequencer"], "0000000000000000AB");
        assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::in");
        assert!(record["s3"]["object"].get("versionId").is_none());

        let bridge = make_bridge_event(&event, &context, "123456789012");
        assert_eq!(
            (&bridge["detail-type"], &bridge["time"]),
            (&json!("Object Created"), &json!("2026-01-01T00:00:00Z"))
        );
        assert_eq!(
            bridge["detail"]["object"],
            json!({ "key": "a b/ü+1.png", "size": 7, "etag": "e7", "sequencer": "0000000000000000AB" })
        );
        assert_eq!(bridge["detail"]["reason"], "PutObject");
    }
}
