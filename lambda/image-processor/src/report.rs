//! The report about an object of which no picture can be made: `<key>-failed.json` in the output bucket.
//!
//! It is written once for each version and recipe, and only while the failing version is the current one; the next
//! version of which pictures can be made takes it away. Both look at the source after the report has changed or before
//! the result does, so that whoever comes later sees the other: no report outlives the version it speaks of.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use bytes::Bytes;
use image_event::{Job, name_report};
use serde_json::json;

use crate::mark::{Decision, Mark};
use crate::outcome::{Measured, Outcome, timed};
use crate::reason::Reason;
use crate::record::{Errand, condition_of};
use crate::store::{Existing, File, StoreError, WriteError};

/// How often a report is looked at again because somebody else wrote it in between.
const MAX_RACES: u32 = 5;

impl Errand<'_> {
    /// Reports a permanent failure, and ends as that failure: or as a failure that is tried again, where S3 did not take
    /// the report, or as a skipped record, where another version of the object has come.
    pub(crate) async fn report(&self, job: &Job, mark: Mark, reason: Reason, measured: &mut Measured) -> Outcome {
        // A key that is nearly as long as S3 allows has a line in the log and a metric, and no report.
        let Ok(key) = name_report(&job.key) else {
            return Outcome::Refused(reason);
        };
        match timed(&mut measured.write, self.write_report(job, mark, &reason, key)).await {
            Ok(()) => Outcome::Refused(reason),
            Err(outcome) => outcome,
        }
    }

    async fn write_report(&self, job: &Job, mut mark: Mark, reason: &Reason, key: String) -> Result<(), Outcome> {
        let output = &self.settings.output_bucket;
        let source = self.check_current(job, &mark).await?;
        if mark.etag.is_empty() {
            mark = mark.made(&source.etag, &self.wish.description);
        }
        let file =
            File { bytes: describe(job, &source.etag, source.bytes, reason), key, content_type: "application/json" };
        let Some(etag) = self.put_report(job, &file, &mut mark).await? else {
            return Ok(());
        };
        // A version that came in between may not have seen this report: then it goes again.
        match self.check_current(job, &mark).await {
            Ok(_) => Ok(()),
            Err(outcome) => match self.store.delete(output, &file.key, &etag).await {
                Ok(()) | Err(WriteError::Raced) => Err(outcome),
                Err(WriteError::Store(error)) => Err(error.into()),
            },
        }
    }

    /// Writes the report and returns its entity tag, unless this or a later version has one.
    async fn put_report(&self, job: &Job, file: &File, mark: &mut Mark) -> Result<Option<String>, Outcome> {
        let output = &self.settings.output_bucket;
        for _ in 0..MAX_RACES {
            let existing = self.look_at_report(job).await?;
            if let Existing::Present { mark: theirs, .. } = &existing {
                if mark.decide(theirs) != Decision::Write {
                    return Ok(None);
                }
                mark.keep_order_of(theirs);
            }
            match self.store.write(output, file, mark, &condition_of(&existing)).await {
                Ok(etag) => return Ok(Some(etag)),
                Err(WriteError::Store(error)) => return Err(error.into()),
                Err(WriteError::Raced) => {}
            }
        }
        Err(StoreError::contended(output, &file.key).into())
    }

    /// Takes away the report of this or an earlier version, before this version's results are written: a failure in
    /// between leaves neither, and the next try writes the results.
    pub(crate) async fn withdraw_report(&self, job: &Job, mark: &Mark, reported: Existing) -> Result<(), Outcome> {
        let Ok(key) = name_report(&job.key) else {
            return Ok(());
        };
        let mut reported = reported;
        for _ in 0..MAX_RACES {
            let Existing::Present { etag, mark: theirs } = &reported else {
                return Ok(());
            };
            if !mark.is_of_same_source(theirs) || mark.decide(theirs) == Decision::Newer {
                return Ok(());
            }
            match self.store.delete(&self.settings.output_bucket, &key, etag).await {
                Ok(()) => return Ok(()),
                Err(WriteError::Store(error)) => return Err(error.into()),
                Err(WriteError::Raced) => reported = self.look_at_report(job).await?,
            }
        }
        Err(StoreError::contended(&self.settings.output_bucket, &key).into())
    }
}

fn describe(job: &Job, etag: &str, bytes: u64, reason: &Reason) -> Bytes {
    let now = DateTime::from(std::time::SystemTime::now());
    let report = json!({
        "source": { "bucket": job.bucket, "key": job.key, "etag": etag, "bytes": bytes },
        "reason": reason.code(),
        "detail": reason.to_string(),
        "time": DateTime::from_secs(now.secs()).fmt(DateTimeFormat::DateTime).unwrap_or_default(),
    });
    Bytes::from(format!("{report:#}\n"))
}
