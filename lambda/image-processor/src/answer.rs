//! What an invocation answers, for each of those that call a function.

use image_event::Batch;
use serde::Serialize;

use crate::outcome::{Outcome, Record};

/// The longest text in a Batch job's report, in bytes.
const MAX_RESULT: usize = 1000;

/// An invocation's answer.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Answer {
    /// To S3 and `EventBridge`, which look at none, and to people.
    Summary(Summary),
    /// To a queue.
    Queue(QueueAnswer),
    /// To S3 Batch Operations.
    Batch(BatchAnswer),
}

/// What became of the records of a direct event. An error's text carries the same for the records that failed.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Summary {
    /// Written results.
    pub processed: Vec<Processed>,
    /// Records with nothing to do.
    pub skipped: Vec<Skipped>,
    /// Records that can never be processed.
    pub failed: Vec<Failed>,
}

/// A result that was written.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Processed {
    /// The source's bucket.
    pub bucket: String,
    /// The source's key.
    pub key: String,
    /// The result's bucket.
    pub output_bucket: String,
    /// The result's key.
    pub output_key: String,
    /// The source's size in bytes.
    pub bytes_in: u64,
    /// The result's size in bytes.
    pub bytes_out: u64,
}

/// A record with nothing to do.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Skipped {
    /// The source's bucket.
    pub bucket: String,
    /// The source's key.
    pub key: String,
    /// Why there is nothing to do.
    pub reason: &'static str,
}

/// A permanent failure.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Failed {
    /// The source's bucket.
    pub bucket: String,
    /// The source's key.
    pub key: String,
    /// [`crate::Reason::code`].
    pub reason: &'static str,
    /// The reason in a sentence.
    pub detail: String,
}

/// The messages that are to come back (Lambda developer guide, "Implementing partial batch responses").
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QueueAnswer {
    /// One for each message that failed.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// A message that is to come back.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// The message's identifier.
    pub item_identifier: String,
}

/// The results of a Batch job's tasks (S3 user guide, "Invoke AWS Lambda function").
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// As it came.
    pub invocation_schema_version: String,
    /// What a task without a result counts as; there is none.
    pub treat_missing_keys_as: &'static str,
    /// As it came.
    pub invocation_id: String,
    /// One for each task.
    pub results: Vec<TaskResult>,
}

/// The result of one task.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TaskResult {
    /// The task's identifier.
    pub task_id: String,
    /// `Succeeded`, `TemporaryFailure` (S3 tries the task again) or `PermanentFailure`.
    pub result_code: &'static str,
    /// What stands in the job's report.
    pub result_string: String,
}

/// Sorts the records of a direct event.
pub(crate) fn summarise(records: Vec<Record>, output_bucket: &str) -> Summary {
    let mut summary = Summary::default();
    for Record { bucket, key, outcome, measured } in records {
        match outcome {
            Outcome::Written(results) => summary.processed.extend(results.into_iter().map(|result| Processed {
                bucket: bucket.clone(),
                key: key.clone(),
                output_bucket: output_bucket.to_owned(),
                output_key: result.key,
                bytes_in: measured.bytes,
                bytes_out: result.bytes,
            })),
            Outcome::Skipped(reason) => summary.skipped.push(Skipped { bucket, key, reason }),
            Outcome::Refused(reason) => {
                summary.failed.push(Failed { bucket, key, reason: reason.code(), detail: reason.to_string() });
            }
            Outcome::Failed(_) => {}
        }
    }
    summary
}

/// A result for each task, of records in the tasks' order.
pub(crate) fn answer_batch(batch: Batch, records: &[Record], output_bucket: &str) -> BatchAnswer {
    let results = batch.tasks.into_iter().zip(records).map(|(task, record)| {
        let (result_code, text) = match &record.outcome {
            Outcome::Written(results) => {
                let places: Vec<_> = results.iter().map(|one| format!("s3://{output_bucket}/{}", one.key)).collect();
                ("Succeeded", places.join(" "))
            }
            Outcome::Skipped(reason) => ("Succeeded", format!("skipped: {reason}")),
            Outcome::Refused(reason) => ("PermanentFailure", format!("{}: {reason}", reason.code())),
            Outcome::Failed(trouble) => ("TemporaryFailure", format!("{}: {trouble}", trouble.code())),
        };
        TaskResult { task_id: task.id, result_code, result_string: cut(text) }
    });
    BatchAnswer {
        results: results.collect(),
        invocation_schema_version: batch.schema,
        treat_missing_keys_as: "TemporaryFailure",
        invocation_id: batch.id,
    }
}

/// At most [`MAX_RESULT`] bytes, cut between characters.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_RESULT));
    text
}
