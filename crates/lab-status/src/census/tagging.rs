//! The Resource Groups Tagging API: where else to look.
//!
//! It knows most kinds of all services, but it lags behind, and goes on naming what is deleted ("tagged or previously
//! tagged", API reference of `GetResources`). So it only points at things; whether they exist, their own service says.

use std::collections::BTreeSet;

use aws_sdk_resourcegroupstagging::types::ResourceTagMapping;
use lab_common::explain;
use lab_plan::Problem;

use super::Census;
use crate::thing::Label;

/// What the tagging API points at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// ARNs.
    arns: BTreeSet<String>,
    /// It may not be asked: everything of a kind has to be.
    is_denied: bool,
    pub(super) notes: Vec<String>,
}

/// The services whose own calls say what exists.
const CONFIRMED: [&str; 7] = ["acm", "ec2", "iam", "lambda", "logs", "s3", "sqs"];

impl Hints {
    /// Where it may not be asked.
    pub(super) fn denied(problem: &Problem) -> Self {
        let why = problem.why().unwrap_or(problem.what());
        let note = format!(
            "the tags of all services cannot be listed at once ({why}): EC2, S3, Lambda, Logs, SQS, ACM and IAM were asked \
             one by one, and no other service is the programs' concern"
        );
        Self { is_denied: true, notes: vec![note], ..Self::default() }
    }

    /// Whether it could not be asked.
    pub(super) fn is_denied(&self) -> bool {
        self.is_denied
    }

    /// Whether this thing has to be looked at.
    pub(super) fn point_at(&self, arn: &str) -> bool {
        self.is_denied || self.arns.contains(arn)
    }

    /// Whether the queue of this name has to be looked at.
    pub(super) fn point_at_queue(&self, name: &str) -> bool {
        let is_it = |arn: &String| arn.contains(":sqs:") && arn.rsplit(':').next() == Some(name);
        self.is_denied || self.arns.iter().any(is_it)
    }

    /// The names of the buckets it points at.
    pub(super) fn buckets(&self) -> impl Iterator<Item = &str> {
        self.arns
            .iter()
            .filter_map(|arn| arn.split_once(":s3:::").map(|(_, name)| name))
            .filter(|name| !name.contains('/'))
    }

    /// What no call of ours can confirm.
    pub(super) fn list_unconfirmed(&self) -> Vec<String> {
        let strange = |arn: &&String| !arn.split(':').nth(2).is_some_and(|service| CONFIRMED.contains(&service));
        self.arns.iter().filter(strange).cloned().collect()
    }

    fn read(found: &[ResourceTagMapping], owns: impl Fn(&Label) -> bool) -> Self {
        let ours = found
            .iter()
            .filter(|mapping| owns(&Label::read(mapping.tags().iter().map(|tag| (tag.key(), tag.value())))));
        Self { arns: ours.filter_map(|mapping| mapping.resource_arn().map(str::to_owned)).collect(), ..Self::default() }
    }
}

impl Census<'_> {
    pub(super) async fn hints(&self) -> Result<Hints, Problem> {
        let request = self.clients.tagging.get_resources().set_tag_filters(Some(self.scope.tag_filters()));
        let pages = request.resources_per_page(100).into_paginator().items().send();
        let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("GetResources", &error))?;
        Ok(Hints::read(&found, |label| self.scope.owns(label)))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_resourcegroupstagging::types::Tag;

    use super::*;

    fn mapping(arn: &str, owner: &str) -> ResourceTagMapping {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
        let tags = [tag("hybrid-lab:lab", "lab"), tag("hybrid-lab:owner", owner)];
        ResourceTagMapping::builder().resource_arn(arn).set_tags(Some(tags.into())).build()
    }

    #[test]
    fn only_ours_is_pointed_at_and_what_nobody_can_confirm_is_told() {
        let found = [
            mapping("arn:aws:s3:::old-bucket-ada", "ada"),
            mapping("arn:aws:s3:::bucket-bob", "bob"),
            mapping("arn:aws:ec2:us-east-1:123456789012:instance/i-1", "ada"),
            mapping("arn:aws:rds:us-east-1:123456789012:db:photos", "ada"),
        ];
        let hints = Hints::read(&found, |label| label.owner.as_deref() == Some("ada"));
        assert_eq!(hints.buckets().collect::<Vec<_>>(), ["old-bucket-ada"]);
        assert_eq!(hints.list_unconfirmed(), ["arn:aws:rds:us-east-1:123456789012:db:photos"]);
        assert!(!hints.point_at("arn:aws:s3:::bucket-bob"));
    }

    #[test]
    fn denied_it_points_at_everything_and_says_so() {
        let hints = Hints::denied(&Problem::failed("you may not call GetResources"));
        assert!(hints.point_at("arn:aws:lambda:us-east-1:123456789012:function:any"));
        assert!(hints.notes[0].contains("you may not call GetResources"), "{:?}", hints.notes);
    }
}
