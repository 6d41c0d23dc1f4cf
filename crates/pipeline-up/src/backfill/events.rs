//! Events in S3's own words, for objects that S3 tells nobody of any more. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::objects::Object;

/// What S3 leaves as it is in an event's key; a space is `+`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');
/// What a manifest's key leaves as it is.
const IN_A_MANIFEST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The event of one object (S3 user guide, "Event message structure"). It has no sequencer: S3 gives one to changes only,
/// and the function then compares the object's entity tag with its result's.
pub(super) fn make_event(region: &str, bucket: &str, bucket_arn: &str, object: &Object) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": region, "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "hybrid-lab-backfill",
            "bucket": {"name": bucket, "arn": bucket_arn},
            "object": {"key": encode_key(&object.key), "size": object.size, "eTag": object.etag}
        }
    }]})
}

fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEPT).to_string().replace(' ', "+")
}

/// A line for each object (S3 user guide, "Creating a manifest file"): keys are encoded as in a URL.
pub(super) fn make_manifest(bucket: &str, objects: &[Object]) -> String {
    let line = |object: &Object| format!("{bucket},{}\n", utf8_percent_encode(&object.key, IN_A_MANIFEST));
    objects.iter().map(line).collect()
}

/// What a job of ours is called, so that another run finds it.
pub(super) fn describe_job(bucket: &str) -> String {
    format!("hybrid-lab: backfill of {bucket}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_s3_does() {
        assert_eq!(encode_key("my holiday+1/ä.jpg"), "my+holiday%2B1/%C3%A4.jpg");
    }
}
