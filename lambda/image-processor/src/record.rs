//! One object's way: look at what is there, read, make pictures, write them.
//!
//! `Err` of the functions here is an [`Outcome`] that came before the end of the way.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use image_engine::{Format, Limits, Made, Picture};
use image_event::{Job, name_report};

use crate::mark::{Decision, Mark};
use crate::outcome::{Measured, Outcome, Trouble, Written, timed};
use crate::reason::Reason;
use crate::settings::{Mode, Settings};
use crate::store::{Condition, Existing, File, Opened, ReadError, Store, StoreError, Unread, Wanted, WriteError};
use crate::wish::Wish;
use crate::workshop::{Material, Work, Workshop, earlier};

/// How often a result is looked at again because somebody else wrote it in between.
const MAX_RACES: u32 = 5;

/// How often a body that breaks off is asked for, the first time included.
const MAX_READS: u32 = 3;

/// The largest object that S3 copies in one call, in bytes (S3 API reference, `CopyObject`).
const MAX_COPY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// The engine looks at the clock between its steps. Past this, its work is left to itself.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) const OVERWRITTEN: &str = "the object was overwritten since, which is an event of its own";
pub(crate) const DELETED: &str = "the object was deleted since";
const DONE: &str = "already processed";
const NEWER: &str = "the result is of a newer version";

/// What all records of an invocation have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) store: &'a Store,
    pub(crate) workshop: &'a Workshop,
    /// What is made where an object says nothing else.
    pub(crate) wish: &'a Wish,
    /// When the invocation must have its answer.
    pub(crate) cutoff: Option<Instant>,
}

/// What to do about a key of the output bucket.
enum Verdict {
    Write(Existing),
    Same,
    Newer,
}

impl Errand<'_> {
    /// Takes one object its whole way.
    pub(crate) async fn run(&self, job: &Job, measured: &mut Measured) -> Outcome {
        if self.settings.output_bucket == job.bucket {
            return Outcome::Refused(Reason::WouldTriggerItself);
        }
        let mut mark = Mark::of(job, &self.wish.description);
        // Boxed: the S3 client's futures are large, and one lies inside the other.
        let ended = match self.settings.mode {
            Mode::Png => Box::pin(self.make_pictures(job, &mut mark, measured)).await,
            Mode::Copy => Box::pin(self.copy(job, &mut mark, measured)).await,
        };
        match ended.unwrap_or_else(|early| early) {
            Outcome::Refused(reason) => Box::pin(self.report(job, mark, reason, measured)).await,
            other => other,
        }
    }

    async fn make_pictures(&self, job: &Job, mark: &mut Mark, measured: &mut Measured) -> Result<Outcome, Outcome> {
        let mut keys = self.wish.name_results(&job.key)?;
        let mut existing = self.decide(mark, &keys[0], measured).await?;
        let max = self.settings.max_bytes;
        let check_size = |bytes: u64| {
            if bytes > max { Err(Reason::TooManyBytes { bytes, max, limit: "MAX_BYTES" }) } else { Ok(()) }
        };
        check_size(job.size.unwrap_or(0))?;

        let start = Instant::now();
        let (opened, reported) = futures::join!(
            Box::pin(self.store.open(&job.bucket, &job.key, want(mark, &existing))),
            Box::pin(self.look_at_report(job)),
        );
        measured.read += start.elapsed();
        let opened = opened.map_err(|error| give_up_reading(error, max))?;
        check_version(job, &opened.etag, opened.version.as_deref())?;
        *mark = mark.clone().made(&opened.etag, &self.wish.description);
        check_size(opened.bytes)?;
        let wish = self.ask_object(job, &opened).await?;
        *mark = mark.clone().made(&opened.etag, &wish.description);
        let own_keys = wish.name_results(&job.key)?;
        if own_keys != keys {
            keys = own_keys;
            existing = self.decide(mark, &keys[0], measured).await?;
        }
        if let Existing::Present { mark: theirs, .. } = &existing {
            mark.keep_order_of(theirs);
        }

        let material = self.read(job, opened, measured).await?;
        measured.bytes = material.bytes.len() as u64;
        let made = self.work(material, &wish, measured).await?;
        measured.pixels = u64::from(made.source.width) * u64::from(made.source.height);
        measured.made = made.times;
        self.withdraw_report(job, mark, reported?).await?;
        let files: Vec<_> = keys.into_iter().zip(made.pictures).map(|(key, picture)| to_file(key, picture)).collect();
        self.write_all(job, &files, mark, existing, measured).await
    }

    async fn copy(&self, job: &Job, mark: &mut Mark, measured: &mut Measured) -> Result<Outcome, Outcome> {
        let output = &self.settings.output_bucket;
        let key = self.wish.name_results(&job.key)?.remove(0);
        let key = key.as_str();
        for _ in 0..MAX_RACES {
            *mark = Mark::of(job, &self.wish.description);
            let existing = self.decide(mark, key, measured).await?;
            let start = Instant::now();
            let (source, reported) = futures::join!(
                Box::pin(self.store.examine(&job.bucket, &job.key)),
                Box::pin(self.look_at_report(job)),
            );
            measured.read += start.elapsed();
            let source: Unread = source.map_err(|error| give_up_reading(error, MAX_COPY_BYTES))?;
            check_version(job, &source.etag, source.version.as_deref())?;
            *mark = mark.clone().made(&source.etag, &self.wish.description);
            if let Existing::Present { mark: theirs, .. } = &existing {
                if mark.decide(theirs) == Decision::Same {
                    return Err(Outcome::Skipped(DONE));
                }
                mark.keep_order_of(theirs);
            }
            measured.bytes = source.bytes;
            if source.bytes > MAX_COPY_BYTES {
                let reason =
                    Reason::TooManyBytes { bytes: source.bytes, max: MAX_COPY_BYTES, limit: "S3's copy in one call" };
                return Err(reason.into());
            }
            self.withdraw_report(job, mark, reported?).await?;
            let condition = condition_of(&existing);
            let copy = self.store.copy((&job.bucket, &job.key), &source, (output, key), mark, &condition);
            match timed(&mut measured.write, copy).await {
                Ok(()) => return Ok(Outcome::Written(vec![Written { key: key.to_owned(), bytes: source.bytes }])),
                Err(WriteError::Store(error)) => return Err(error.into()),
                Err(WriteError::Raced) => {}
            }
        }
        Err(StoreError::contended(output, key).into())
    }

    /// Looks at a result's key, and ends the way where nothing is to be written there.
    async fn decide(&self, mark: &Mark, key: &str, measured: &mut Measured) -> Result<Existing, Outcome> {
        match timed(&mut measured.look, self.judge(mark, key)).await? {
            Verdict::Write(existing) => Ok(existing),
            Verdict::Same => Err(Outcome::Skipped(DONE)),
            Verdict::Newer => Err(Outcome::Skipped(NEWER)),
        }
    }

    async fn judge(&self, mark: &Mark, key: &str) -> Result<Verdict, StoreError> {
        let existing = self.store.look_at(&self.settings.output_bucket, key).await?;
        let Existing::Present { mark: theirs, .. } = &existing else {
            return Ok(Verdict::Write(existing));
        };
        Ok(match mark.decide(theirs) {
            Decision::Same => Verdict::Same,
            Decision::Newer => Verdict::Newer,
            Decision::Write => {
                if !mark.is_of_same_source(theirs) {
                    tracing::warn!(
                        key,
                        ?mark,
                        ?theirs,
                        "replacing another source's result: both names lead to this key"
                    );
                }
                Verdict::Write(existing)
            }
        })
    }

    /// What the object itself says about what is to be made of it. Its metadata came with it; tags are a call.
    async fn ask_object(&self, job: &Job, opened: &Opened) -> Result<Wish, Outcome> {
        let metadata = opened.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let wish = self.wish.with_own(metadata, "the object's metadata")?;
        if !(self.settings.read_tags && opened.has_tags) {
            return Ok(wish);
        }
        let tags = self.store.read_tags(&job.bucket, &job.key).await?;
        let tags = tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(wish.with_own(tags, "the object's tags")?)
    }

    /// Reads the object into a buffer, as soon as there is room for it. A body that breaks off is asked for again, and
    /// must then be of the same version.
    async fn read(&self, job: &Job, opened: Opened, measured: &mut Measured) -> Result<Material, Outcome> {
        let max = self.settings.max_bytes;
        let at = (job.bucket.as_str(), job.key.as_str());
        let mut material = timed(&mut measured.wait, self.workshop.receive(opened.bytes)).await;
        let etag = opened.etag.clone();
        let reading = async {
            let mut next = Ok(opened);
            for tries in 1.. {
                let ended = match next {
                    Ok(opened) => opened.read_into(at, &mut material.bytes, max).await,
                    Err(error) => Err(error),
                };
                match ended {
                    Err(ReadError::Store(_)) if tries < MAX_READS => {}
                    other => return other,
                }
                next = self.store.open(at.0, at.1, Wanted::This(&etag)).await;
            }
            Ok(())
        };
        let left = self.settings.record_time.saturating_sub(measured.read);
        match timed(&mut measured.read, tokio::time::timeout(left, reading)).await {
            Ok(ended) => ended.map_err(|error| give_up_reading(error, max))?,
            Err(_) => {
                return Err(Outcome::Failed(Trouble::OutOfTime(
                    "S3 took longer than RECORD_SECONDS to send the object",
                )));
            }
        }
        Ok(material)
    }

    /// Makes the pictures. What ends it decides whether there is another try: a picture that takes longer than a record
    /// may will always do so, while an invocation's end says nothing about the picture.
    async fn work(&self, material: Material, wish: &Wish, measured: &mut Measured) -> Result<Made, Outcome> {
        let bench =
            timed(&mut measured.wait, self.workshop.prepare(&material, &wish.recipe, &self.settings.limits)).await;
        let own = Instant::now() + self.settings.record_time.saturating_sub(measured.read);
        let until = earlier(own, self.cutoff);
        let limits = Limits { deadline: Some(until), ..self.settings.limits };
        match self.workshop.make(material, &wish.recipe, limits, bench, PATIENCE).await {
            Work::Done(Ok(made)) => Ok(made),
            Work::Late | Work::Done(Err(image_engine::Reason::TookTooLong)) if until < own => {
                Err(Outcome::Failed(Trouble::OutOfTime("the invocation's time ran out")))
            }
            Work::Late => Err(Reason::from(image_engine::Reason::TookTooLong).into()),
            Work::Done(Err(reason)) => Err(Reason::from(reason).into()),
        }
    }

    /// Writes all results. The first is written last: where it stands, all stand.
    async fn write_all(
        &self,
        job: &Job,
        files: &[File],
        mark: &Mark,
        existing: Existing,
        measured: &mut Measured,
    ) -> Result<Outcome, Outcome> {
        let Some((first, others)) = files.split_first() else {
            return Err(Outcome::Failed(Trouble::Bug("no picture was made".to_owned())));
        };
        let start = Instant::now();
        let known = (existing == Existing::Absent).then_some(Existing::Absent);
        try_join_all(others.iter().map(|file| Box::pin(self.write(job, file, mark, known.clone())))).await?;
        let written = self.write(job, first, mark, Some(existing)).await?;
        measured.write += start.elapsed();
        if !written {
            return Ok(Outcome::Skipped(DONE));
        }
        let written = files.iter().map(|file| Written { key: file.key.clone(), bytes: file.bytes.len() as u64 });
        Ok(Outcome::Written(written.collect()))
    }

    /// Writes one result, unless it is there already (`false`).
    async fn write(&self, job: &Job, file: &File, mark: &Mark, known: Option<Existing>) -> Result<bool, Outcome> {
        let output = &self.settings.output_bucket;
        let mut verdict = match known {
            Some(existing) => Verdict::Write(existing),
            None => self.judge(mark, &file.key).await?,
        };
        for _ in 0..MAX_RACES {
            let existing = match verdict {
                Verdict::Same => return Ok(false),
                Verdict::Newer => return Err(Outcome::Skipped(NEWER)),
                Verdict::Write(existing) => existing,
            };
            match self.store.write(output, file, mark, &condition_of(&existing)).await {
                Ok(_) => return Ok(true),
                Err(WriteError::Store(error)) => return Err(error.into()),
                Err(WriteError::Raced) => verdict = self.judge(mark, &file.key).await?,
            }
            if let Verdict::Write(Existing::Present { mark: theirs, .. }) = &verdict
                && !(mark.is_ordered() && theirs.is_ordered())
            {
                // Without an order, the later one is who has read what the source is now.
                self.check_current(job, mark).await?;
            }
        }
        Err(StoreError::contended(output, &file.key).into())
    }

    /// Whether the source still is the version that `mark` names; a later one has an event of its own.
    pub(crate) async fn check_current(&self, job: &Job, mark: &Mark) -> Result<Unread, Outcome> {
        let source = self
            .store
            .examine(&job.bucket, &job.key)
            .await
            .map_err(|error| give_up_reading(error, self.settings.max_bytes))?;
        if !mark.etag.is_empty() && mark.etag != source.etag {
            return Err(Outcome::Skipped(OVERWRITTEN));
        }
        Ok(source)
    }

    /// What stands at the key of the object's report.
    pub(crate) async fn look_at_report(&self, job: &Job) -> Result<Existing, StoreError> {
        match name_report(&job.key) {
            Ok(key) => self.store.look_at(&self.settings.output_bucket, &key).await,
            Err(_) => Ok(Existing::Absent),
        }
    }
}

/// Where nothing but another version is a reason to make the result again, S3 need not send this one.
fn want<'a>(mark: &Mark, existing: &'a Existing) -> Wanted<'a> {
    match existing {
        Existing::Present { mark: theirs, .. } => mark.version_to_expect(theirs).map_or(Wanted::Any, Wanted::NotThis),
        Existing::Absent => Wanted::Any,
    }
}

pub(crate) fn condition_of(existing: &Existing) -> Condition {
    match existing {
        Existing::Absent => Condition::Absent,
        Existing::Present { etag, .. } => Condition::Unchanged(etag.clone()),
    }
}

fn give_up_reading(error: ReadError, max: u64) -> Outcome {
    match error {
        ReadError::Gone => Outcome::Skipped(DELETED),
        ReadError::NotModified => Outcome::Skipped(DONE),
        ReadError::OtherVersion => Outcome::Skipped(OVERWRITTEN),
        ReadError::TooLong(bytes) => Reason::TooManyBytes { bytes, max, limit: "MAX_BYTES" }.into(),
        ReadError::Store(error) => error.into(),
    }
}

/// The object may have been written again since the event. That write has an event of its own; to make a result of it
/// under this event's sequencer would let the older event win.
fn check_version(job: &Job, etag: &str, version: Option<&str>) -> Result<(), Outcome> {
    let other_content = job.etag.as_deref().is_some_and(|expected| expected != etag);
    let other_version = job.version.as_deref().zip(version).is_some_and(|(expected, current)| expected != current);
    if other_content || other_version { Err(Outcome::Skipped(OVERWRITTEN)) } else { Ok(()) }
}

fn to_file(key: String, picture: Picture) -> File {
    let content_type = match picture.format {
        Format::Png => "image/png",
        Format::Jpeg => "image/jpeg",
        Format::Webp => "image/webp",
    };
    File { key, bytes: Bytes::from(picture.bytes), content_type }
}
