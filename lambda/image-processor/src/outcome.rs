//! How a record ended, what it took, and its line in the log.

use std::time::{Duration, Instant};

use image_engine::Times;

use crate::reason::Reason;
use crate::store::StoreError;

/// How a record ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Results were written.
    Written(Vec<Written>),
    /// There was nothing to do.
    Skipped(&'static str),
    /// It can never be processed.
    Refused(Reason),
    /// It may work later.
    Failed(Trouble),
}

/// A result that was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// Its key in the output bucket.
    pub(crate) key: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
}

/// What may have passed at the next try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// S3 failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Time ran out.
    #[error("not done: {0}")]
    OutOfTime(&'static str),
    /// This function has a bug.
    #[error("the function itself failed: {0}")]
    Bug(String),
}

impl Trouble {
    /// A stable word for logs, metrics and scripts.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "s3_failed",
            Self::OutOfTime(_) => "out_of_time",
            Self::Bug(_) => "function_failed",
        }
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

/// What one record took.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Bytes of the object that were read.
    pub(crate) bytes: u64,
    /// Pixels of the object.
    pub(crate) pixels: u64,
    /// Looking at what is there already.
    pub(crate) look: Duration,
    /// Reading the object.
    pub(crate) read: Duration,
    /// Waiting for other records of the same event.
    pub(crate) wait: Duration,
    /// Making pictures.
    pub(crate) made: Times,
    /// Writing results.
    pub(crate) write: Duration,
}

/// A record at its end.
#[derive(Debug)]
pub(crate) struct Record {
    /// The object's bucket, empty where the event names none.
    pub(crate) bucket: String,
    /// The object's key.
    pub(crate) key: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What it took.
    pub(crate) measured: Measured,
}

impl Record {
    /// The code of its failure, for metrics.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        match &self.outcome {
            Outcome::Refused(reason) => Some(reason.code()),
            Outcome::Failed(trouble) => Some(trouble.code()),
            Outcome::Written(_) | Outcome::Skipped(_) => None,
        }
    }

    /// One line a record, with the same fields whatever the outcome, so that one query finds them all.
    pub(crate) fn log(&self, request_id: &str) {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let measured = &self.measured;
        let made = &measured.made;
        macro_rules! line {
            ($level:ident, $outcome:literal, $($field:tt)*) => {
                tracing::$level!(
                    request_id, bucket = self.bucket, key = self.key, outcome = $outcome, $($field)*
                    ms_look = ms(measured.look), ms_read = ms(measured.read), ms_wait = ms(measured.wait),
                    ms_process = ms(made.decode + made.resize + made.encode), ms_write = ms(measured.write),
                )
            };
        }
        match &self.outcome {
            Outcome::Written(results) => {
                let keys: Vec<_> = results.iter().map(|result| result.key.as_str()).collect();
                let bytes_out: u64 = results.iter().map(|result| result.bytes).sum();
                line!(info, "processed", output_key = keys.join(" "), bytes_in = measured.bytes, bytes_out,);
            }
            Outcome::Skipped(reason) => line!(info, "skipped", reason,),
            Outcome::Refused(reason) => {
                line!(error, "failed", reason = reason.code(), detail = %reason, will_retry = false,);
            }
            Outcome::Failed(trouble) => {
                line!(error, "failed", reason = trouble.code(), detail = %trouble, will_retry = true,);
            }
        }
    }
}

/// Runs `work` and adds its time to `stage`.
pub(crate) async fn timed<T>(stage: &mut Duration, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = Box::pin(work).await;
    *stage += start.elapsed();
    result
}
