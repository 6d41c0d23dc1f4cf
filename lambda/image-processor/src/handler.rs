//! One invocation: every record is tried, each gets one line in the log and one entry in the answer.
//!
//! Permanent failures are reported and leave the invocation successful. If S3 failed for any record the invocation fails,
//! after all records were tried; on Lambda's retry those that are done are found done.

use std::time::{Duration, Instant};

use bytes::Bytes;
use image_engine::{Engine, Limits, Recipe};
use lambda_runtime::Diagnostic;
use serde::Serialize;
use serde_json::Value;

use crate::event::{Item, Job, read_event};
use crate::mark::{Decision, Mark};
use crate::reason::Reason;
use crate::settings::{Mode, Settings};
use crate::store::{Condition, Existing, ReadError, Source, Store, StoreError, Unread, WriteError};

/// How often a result is looked at again because somebody else wrote it in between.
const MAX_RACES: u32 = 5;

/// The largest object that S3 copies in one call, in bytes (S3 API reference, `CopyObject`).
const MAX_COPY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// What an invocation answers. An error's text carries the same for the records that failed.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Summary {
    /// Written results.
    pub processed: Vec<Processed>,
    /// Records with nothing to do.
    pub skipped: Vec<Skipped>,
    /// Records that can never be processed.
    pub failed: Vec<Failed>,
}

/// A result that was written.
#[derive(Debug, Serialize, PartialEq, Eq)]
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
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Skipped {
    /// The source's bucket.
    pub bucket: String,
    /// The source's key.
    pub key: String,
    /// Why there is nothing to do.
    pub reason: &'static str,
}

/// A permanent failure.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Failed {
    /// The source's bucket.
    pub bucket: String,
    /// The source's key.
    pub key: String,
    /// [`Reason::code`].
    pub reason: &'static str,
    /// The reason in a sentence.
    pub detail: String,
}

/// How a job ended.
#[derive(Debug)]
enum Outcome {
    Written { bytes_in: u64, bytes_out: u64 },
    Skipped(&'static str),
    Refused(Reason),
    Failed(StoreError),
}

/// Milliseconds spent in the stages of one record.
#[derive(Debug, Default)]
struct Stages {
    look: Duration,
    read: Duration,
    process: Duration,
    write: Duration,
}

/// Runs `work` and adds its time to `stage`.
async fn timed<T>(stage: &mut Duration, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = Box::pin(work).await;
    *stage += start.elapsed();
    result
}

/// The function: settings and S3.
#[derive(Debug)]
pub struct Processor {
    settings: Settings,
    store: Store,
}

impl Processor {
    /// Puts the parts together.
    pub fn new(settings: Settings, store: Store) -> Self {
        Self { settings, store }
    }

    /// Handles one event. Records are taken one after another: two decoded images at a time would need twice the memory.
    ///
    /// # Errors
    /// A [`Diagnostic`] of type `NotAnS3Event`, or `S3Failed` where S3 failed for at least one record. Lambda retries both.
    pub async fn handle(&self, payload: &Value, request_id: &str) -> Result<Summary, Diagnostic> {
        let items = read_event(payload).map_err(|error| {
            tracing::error!(request_id, %error, "not an S3 event");
            diagnose("NotAnS3Event", error.to_string())
        })?;
        let total = items.len();
        let mut summary = Summary::default();
        let mut failures = Vec::new();
        for item in items {
            let (bucket, key, output_key, outcome, stages) = match item {
                Item::Ignore { bucket, key, why } => (bucket, key, None, Outcome::Skipped(why), Stages::default()),
                Item::Refuse { bucket, key, reason } => {
                    (bucket, key, None, Outcome::Refused(reason), Stages::default())
                }
                Item::Process(job) => {
                    let mut stages = Stages::default();
                    let outcome = self.process(&job, &mut stages).await;
                    (job.bucket, job.key, Some(job.output_key), outcome, stages)
                }
            };
            log_outcome(request_id, &bucket, &key, output_key.as_deref(), &outcome, &stages);
            match outcome {
                Outcome::Written { bytes_in, bytes_out } => summary.processed.push(Processed {
                    bucket,
                    key,
                    output_bucket: self.settings.output_bucket.clone(),
                    output_key: output_key.unwrap_or_default(),
                    bytes_in,
                    bytes_out,
                }),
                Outcome::Skipped(reason) => summary.skipped.push(Skipped { bucket, key, reason }),
                Outcome::Refused(reason) => {
                    summary.failed.push(Failed { bucket, key, reason: reason.code(), detail: reason.to_string() });
                }
                Outcome::Failed(error) => failures.push(error.to_string()),
            }
        }
        if failures.is_empty() {
            return Ok(summary);
        }
        Err(diagnose(
            "S3Failed",
            format!(
                "S3 failed for {} of {total} records, all others are done: {}",
                failures.len(),
                failures.join("; ")
            ),
        ))
    }

    async fn process(&self, job: &Job, stages: &mut Stages) -> Outcome {
        // Boxed: the S3 client's futures are large, and one lies inside the other.
        match self.settings.mode {
            Mode::Png => Box::pin(self.write_as_png(job, stages)).await,
            Mode::Copy => Box::pin(self.copy(job, stages)).await,
        }
        .unwrap_or_else(|early| early)
    }

    /// Finds out whether the result is to be written, and under which condition. `Err` is an outcome already.
    async fn decide(&self, job: &Job, mark: &Mark, stages: &mut Stages) -> Result<Condition, Outcome> {
        let output = &self.settings.output_bucket;
        if *output == job.bucket {
            return Err(Outcome::Refused(Reason::WouldTriggerItself));
        }
        let existing =
            timed(&mut stages.look, self.store.look_at(output, &job.output_key)).await.map_err(Outcome::Failed)?;
        match existing {
            Existing::Absent => Ok(Condition::Absent),
            Existing::Present { etag, mark: existing } => match mark.decide(&existing) {
                Decision::Same => Err(Outcome::Skipped("already processed")),
                Decision::Newer => Err(Outcome::Skipped("the result is of a newer version")),
                Decision::Write => {
                    if !mark.is_of_same_source(&existing) {
                        tracing::warn!(
                            bucket = job.bucket,
                            key = job.key,
                            output_key = job.output_key,
                            ?existing,
                            "replacing another source's result: both names lead to this key"
                        );
                    }
                    Ok(Condition::Unchanged(etag))
                }
            },
        }
    }

    async fn write_as_png(&self, job: &Job, stages: &mut Stages) -> Result<Outcome, Outcome> {
        let max = self.settings.max_bytes;
        if let Some(bytes) = job.size.filter(|size| *size > max) {
            return Err(Outcome::Refused(Reason::TooManyBytes { bytes, max }));
        }
        let output = &self.settings.output_bucket;
        let mut mark = Mark::of(job, job.etag.as_deref().unwrap_or_default());
        let mut condition = self.decide(job, &mark, stages).await?;

        let source =
            timed(&mut stages.read, self.store.read(&job.bucket, &job.key, max)).await.map_err(give_up_reading)?;
        check_version(job, &source)?;
        mark = Mark::of(job, &source.etag);
        let bytes_in = source.content.len() as u64;
        let png = timed(&mut stages.process, process_elsewhere(source.content, self.settings.limits))
            .await
            .map_err(Outcome::Refused)?;

        let png = Bytes::from(png);
        for _ in 0..MAX_RACES {
            let write = self.store.write_png(output, &job.output_key, png.clone(), &mark, &condition);
            match timed(&mut stages.write, write).await {
                Ok(()) => {
                    return Ok(Outcome::Written { bytes_in, bytes_out: png.len() as u64 });
                }
                Err(WriteError::Store(error)) => return Err(Outcome::Failed(error)),
                Err(WriteError::Raced) => condition = self.decide(job, &mark, stages).await?,
            }
        }
        Err(Outcome::Failed(StoreError::contended(output, &job.output_key)))
    }

    async fn copy(&self, job: &Job, stages: &mut Stages) -> Result<Outcome, Outcome> {
        let output = &self.settings.output_bucket;
        for _ in 0..MAX_RACES {
            let mark = Mark::of(job, job.etag.as_deref().unwrap_or_default());
            let condition = self.decide(job, &mark, stages).await?;
            let source: Source<Unread> =
                timed(&mut stages.read, self.store.examine(&job.bucket, &job.key)).await.map_err(give_up_reading)?;
            check_version(job, &source)?;
            let bytes = source.content.bytes;
            if bytes > MAX_COPY_BYTES {
                return Err(Outcome::Refused(Reason::TooManyBytes { bytes, max: MAX_COPY_BYTES }));
            }
            let mark = Mark::of(job, &source.etag);
            let copy = self.store.copy((&job.bucket, &job.key), &source, (output, &job.output_key), &mark, &condition);
            match timed(&mut stages.write, copy).await {
                Ok(()) => {
                    return Ok(Outcome::Written { bytes_in: bytes, bytes_out: bytes });
                }
                Err(WriteError::Store(error)) => return Err(Outcome::Failed(error)),
                Err(WriteError::Raced) => {}
            }
        }
        Err(Outcome::Failed(StoreError::contended(output, &job.output_key)))
    }
}

fn give_up_reading(error: ReadError) -> Outcome {
    match error {
        ReadError::Gone => Outcome::Skipped("the object was deleted since"),
        ReadError::Refused(reason) => Outcome::Refused(reason),
        ReadError::Store(error) => Outcome::Failed(error),
    }
}

/// The object may have been written again since the event. That write has an event of its own; to make a result of it
/// under this event's sequencer would let the older event win.
fn check_version<T>(job: &Job, source: &Source<T>) -> Result<(), Outcome> {
    match &job.etag {
        Some(etag) if *etag != source.etag => {
            Err(Outcome::Skipped("the object was overwritten since, which is an event of its own"))
        }
        _ => Ok(()),
    }
}

/// Decodes on a thread of its own, so that S3's connections are looked after meanwhile.
async fn process_elsewhere(bytes: Vec<u8>, limits: Limits) -> Result<Vec<u8>, Reason> {
    let work = move || Engine::new().process(&bytes, &Recipe::default(), &limits);
    let made = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| image_engine::Reason::DecoderPanicked(error.to_string()))??;
    Ok(made.pictures.into_iter().next().map(|picture| picture.bytes).unwrap_or_default())
}

fn diagnose(error_type: &str, error_message: String) -> Diagnostic {
    Diagnostic { error_type: error_type.to_owned(), error_message }
}

/// One line a record, with the same fields whatever the outcome, so that one query finds them all.
fn log_outcome(
    request_id: &str,
    bucket: &str,
    key: &str,
    output_key: Option<&str>,
    outcome: &Outcome,
    stages: &Stages,
) {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident, $outcome:literal, $($field:tt)*) => {
            tracing::$level!(
                request_id, bucket, key, output_key, outcome = $outcome, $($field)*
                ms_look = ms(stages.look), ms_read = ms(stages.read),
                ms_process = ms(stages.process), ms_write = ms(stages.write),
            )
        };
    }
    match outcome {
        Outcome::Written { bytes_in, bytes_out } => line!(info, "processed", bytes_in, bytes_out,),
        Outcome::Skipped(reason) => line!(info, "skipped", reason,),
        Outcome::Refused(reason) => {
            line!(error, "failed", reason = reason.code(), detail = %reason, will_retry = false,);
        }
        Outcome::Failed(error) => {
            line!(error, "failed", reason = "s3_failed", detail = %error, will_retry = true,);
        }
    }
}
