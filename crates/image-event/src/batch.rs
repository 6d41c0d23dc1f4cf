//! The invocations of S3 Batch Operations, schema 1.0 and 2.0.
//!
//! Source: S3 user guide, "Invoke AWS Lambda function", whose own function decodes keys as forms are. A manifest must
//! therefore have its keys encoded: a space as `%20` or `+`, a plus as `%2B`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::job::{Draft, Item};
use crate::key::decode_event_key;
use crate::{NotAnEvent, text};

/// One invocation of a Batch job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The schema's version, to be given back.
    pub schema: String,
    /// The invocation's identifier, to be given back.
    pub id: String,
    /// The job's `userArguments` (schema 2.0).
    pub arguments: BTreeMap<String, String>,
    /// One for each object.
    pub tasks: Vec<Task>,
}

/// One object of a Batch job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What the job knows it by.
    pub id: String,
    /// The object.
    pub item: Item,
}

/// Reads the invocation of a Batch job.
///
/// # Errors
/// [`NotAnEvent`] without a list of tasks.
pub(crate) fn read_batch(payload: &Value) -> Result<Batch, NotAnEvent> {
    let tasks = payload
        .get("tasks")
        .and_then(Value::as_array)
        .ok_or_else(|| NotAnEvent("it has an invocationSchemaVersion and no tasks".to_owned()))?;
    let arguments = payload.pointer("/job/userArguments").and_then(Value::as_object);
    Ok(Batch {
        schema: text(payload, "/invocationSchemaVersion").to_owned(),
        id: text(payload, "/invocationId").to_owned(),
        arguments: arguments
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        tasks: tasks.iter().map(read_task).collect(),
    })
}

fn read_task(task: &Value) -> Task {
    // 2.0 names the bucket; 1.0 its ARN, whose last part is the name.
    let bucket = match text(task, "/s3Bucket") {
        "" => text(task, "/s3BucketArn").rsplit(':').next().unwrap_or_default(),
        name => name,
    };
    let draft = Draft { bucket, key: text(task, "/s3Key"), version: text(task, "/s3VersionId"), ..Draft::default() };
    Task { id: text(task, "/taskId").to_owned(), item: draft.finish(decode_event_key) }
}
