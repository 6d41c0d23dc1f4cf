//! Buckets: their names are unique in the world, and lab.toml may have named others before.

use std::collections::BTreeSet;

use aws_sdk_s3::types::Bucket;
use futures::FutureExt as _;
use lab_common::{explain, has_code};
use lab_plan::Problem;

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
        let worth = |bucket: &Thing| {
            let arn = format!("arn:aws:s3:::{}", bucket.name);
            hinted.contains(bucket.name.as_str()) || self.scope.suspects(&bucket.name) || hints.point_at(&arn)
        };
        let candidates = buckets.into_iter().filter(worth);
        candidates.map(|bucket| self.look_into_bucket(bucket).boxed_local()).collect()
    }

    async fn look_into_bucket(&self, bucket: Thing) -> Result<Vec<Thing>, Problem> {
        let tags = self.clients.s3.get_bucket_tagging().bucket(&bucket.name).send();
        // Both at once, so that there are two rounds of calls and not three.
        let (tags, contents) = tokio::join!(tags, self.count_objects(&bucket.name));
        let label = match tags {
            Ok(answer) => Label::read(answer.tag_set().iter().map(|tag| (tag.key(), tag.value()))),
            Err(error) if has_code(&error, "NoSuchTagSet") => Label::default(),
            Err(error) if has_code(&error, "NoSuchBucket") => return Ok(Vec::new()),
            // Not one of those we came for, and somebody's business.
            Err(_) if !self.is_named_bucket(&bucket.name) && matches!(self.scope, Scope::All) => return Ok(Vec::new()),
            Err(error) => return Err(explain("GetBucketTagging", &error)),
        };
        if !self.scope.claims(&label, self.is_named_bucket(&bucket.name)) {
            return Ok(Vec::new());
        }
        let contents = contents?;
        let name = bucket.name.clone();
        let tagged = !label.is_nobodys();
        let bucket = Thing { label, ..bucket }.named(name).with("empty", contents.is_none());
        let bucket = if tagged { bucket } else { bucket.with("tagged", false) };
        Ok(vec![match contents {
            Some(contents) => bucket.about(contents),
            None => bucket,
        }])
    }

    fn is_named_bucket(&self, name: &str) -> bool {
        self.scope.lab().is_some_and(|lab| lab.buckets.iter().any(|bucket| bucket == name))
    }

    /// What a bucket holds, in words; `None` when it is empty.
    async fn count_objects(&self, name: &str) -> Result<Option<String>, Problem> {
        let answer = match self.clients.s3.list_object_versions().bucket(name).max_keys(PAGE).send().await {
            Ok(answer) => answer,
            Err(error) if has_code(&error, "NoSuchBucket") => return Ok(None),
            Err(error) => return Err(explain("ListObjectVersions", &error)),
        };
        let count = answer.versions().len() + answer.delete_markers().len();
        let more = if answer.is_truncated().unwrap_or(false) { "at least " } else { "" };
        let noun = if count == 1 { "object version" } else { "object versions" };
        Ok((count > 0).then(|| format!("holds {more}{count} {noun}")))
    }
}
