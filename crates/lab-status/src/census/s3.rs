//! Buckets: their names are unique in the world, and lab.toml may have named others before.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{Bucket, ObjectVersion};
use futures::FutureExt as _;
use lab_common::{explain, has_code, is_denied};
use lab_plan::Problem;
use serde_json::Value;

use super::tagging::Hints;
use super::{Census, Reading};
use crate::scope::Scope;
use crate::thing::{Label, Thing, read_time};

/// As many objects as one call lists.
const PAGE: i32 = 1000;

impl Census<'_> {
    /// Every bucket of the account that is in this Region, without its tags.
    pub(super) async fn list_buckets(&self) -> Result<Vec<Thing>, Problem> {
        let pages = self.clients.s3.list_buckets().max_buckets(PAGE).into_paginator().items().send();
        let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("ListBuckets", &error))?;
        let here = |bucket: &&Bucket| {
            let region = bucket.bucket_region().filter(|region| !region.is_empty());
            region.is_none_or(|region| self.clients.s3.config().region().is_none_or(|ours| ours.as_ref() == region))
        };
        let read = |bucket: &Bucket| {
            Some(Thing::new("bucket", bucket.name()?, Label::default()).created(read_time(bucket.creation_date())))
        };
        Ok(found.iter().filter(here).filter_map(read).collect())
    }

    /// Those that may be ours, each with its tags and what it holds. One that nobody lists is gone, whatever points at it.
    pub(super) fn look_into_buckets(&self, buckets: Vec<Thing>, hints: &Hints) -> Vec<Reading<'_>> {
        let hinted: BTreeSet<&str> = hints.buckets().collect();
        let is_hinted = |bucket: &Thing| {
            hinted.contains(bucket.name.as_str()) || hints.point_at(&format!("arn:aws:s3:::{}", bucket.name))
        };
        let candidates = buckets.into_iter().filter(|bucket| self.scope.suspects(&bucket.name) || is_hinted(bucket));
        let look = |bucket: Thing| {
            let is_hinted = is_hinted(&bucket);
            self.look_into_bucket(bucket, is_hinted).boxed_local()
        };
        candidates.map(look).collect()
    }

    /// `is_hinted`: the tagging API says that it is ours, or could not say anything.
    async fn look_into_bucket(&self, bucket: Thing, is_hinted: bool) -> Result<Vec<Thing>, Problem> {
        let tags = self.clients.s3.get_bucket_tagging().bucket(&bucket.name).send();
        // Both at once, so that there are two rounds of calls and not three.
        let (tags, contents) = tokio::join!(tags, self.count_objects(&bucket.name));
        let label = match tags {
            Ok(answer) => Label::read(answer.tag_set().iter().map(|tag| (tag.key(), tag.value()))),
            Err(error) if has_code(&error, "NoSuchTagSet") => Label::default(),
            Err(error) if has_code(&error, "NoSuchBucket") => return Ok(Vec::new()),
            // Nothing says that it is one of those we came for.
            Err(error) if !is_hinted && is_denied(&error) && matches!(self.scope, Scope::All(_)) => {
                self.unlooked.set(self.unlooked.get() + 1);
                return Ok(Vec::new());
            }
            Err(error) => return Err(explain(&format!("GetBucketTagging of {}", bucket.name), &error)),
        };
        if !self.scope.claims(&label, self.is_named_bucket(&bucket.name)) {
            return Ok(Vec::new());
        }
        let contents = contents?;
        let name = bucket.name.clone();
        let tagged = !label.is_nobodys();
        let bucket = Thing { label, ..bucket }.named(name);
        let bucket = if tagged { bucket } else { bucket.with("tagged", false) };
        Ok(vec![contents.describe(bucket)])
    }

    fn is_named_bucket(&self, name: &str) -> bool {
        self.scope.lab().is_some_and(|lab| lab.buckets.iter().any(|bucket| bucket == name))
    }

    /// What a bucket holds.
    async fn count_objects(&self, name: &str) -> Result<Contents, Problem> {
        let answer = match self.clients.s3.list_object_versions().bucket(name).max_keys(PAGE).send().await {
            Ok(answer) => answer,
            Err(error) if has_code(&error, "NoSuchBucket") => return Ok(Contents::Nothing),
            // It is there all the same.
            Err(error) if is_denied(&error) => return Ok(Contents::Unknown),
            Err(error) => return Err(explain(&format!("ListObjectVersions of {name}"), &error)),
        };
        let count = answer.versions().len() + answer.delete_markers().len();
        if count == 0 {
            return Ok(Contents::Nothing);
        }
        let more = if answer.is_truncated().unwrap_or(false) { "at least " } else { "" };
        let noun = if count == 1 { "object version" } else { "object versions" };
        let is_old = |version: &ObjectVersion| version.version_id().is_some_and(|id| id != "null");
        let keeps_versions = !answer.delete_markers().is_empty() || answer.versions().iter().any(is_old);
        Ok(Contents::Objects { words: format!("holds {more}{count} {noun}"), keeps_versions })
    }
}

/// What a bucket holds.
enum Contents {
    Nothing,
    Objects {
        words: String,
        /// Deleting an object there leaves its versions behind.
        keeps_versions: bool,
    },
    /// These credentials may not ask.
    Unknown,
}

impl Contents {
    fn describe(self, bucket: Thing) -> Thing {
        match self {
            Self::Nothing => bucket.with("empty", true),
            Self::Objects { words, keeps_versions: false } => bucket.with("empty", false).about(words),
            Self::Objects { words, keeps_versions: true } => {
                bucket.with("empty", false).with("keeps_versions", true).about(words)
            }
            Self::Unknown => bucket.with("empty", Value::Null).about("may hold objects: ListObjectVersions is denied"),
        }
    }
}
