//! The Resource Groups Tagging API: where else to look.
//!
//! It knows most kinds of all services, but it lags behind, and goes on naming what is deleted ("tagged or previously
//! tagged", API reference of `GetResources`). So it only points at things; whether they exist, their own service says.

use std::collections::BTreeMap;

use aws_sdk_resourcegroupstagging::types::ResourceTagMapping;
use lab_common::explain;
use lab_plan::Problem;

use super::{Census, iam};
use crate::scope::Scope;
use crate::thing::Label;

/// What the tagging API points at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// ARNs, and whose they are by the tags that it tells.
    arns: BTreeMap<String, Label>,
    /// It may not be asked: everything of a kind has to be.
    is_denied: bool,
    pub(super) notes: Vec<String>,
}

/// What a resource's name says of it: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    /// What stands before the first `:` or `/` of the resource, or all of it.
    kind: &'a str,
    /// What stands behind that.
    name: &'a str,
}

impl<'a> Arn<'a> {
    fn read(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, region, resource) = (parts.next()?, parts.next()?, parts.nth(1)?);
        let (kind, name) = resource.split_once([':', '/']).unwrap_or((resource, ""));
        Some(Self { service, region, kind, name })
    }

    /// Whether our own calls find what it names, if that exists: all of the kind are listed, or what is pointed at is
    /// asked for. Where they do not find it, AWS only remembers its tags.
    fn is_confirmed(&self, scope: &Scope) -> bool {
        match (self.service, self.kind) {
            // `DescribeTags` knows every kind of EC2's.
            ("ec2" | "sqs", _)
            | ("acm", "certificate")
            | ("lambda", "function" | "event-source-mapping")
            | ("logs", "log-group") => true,
            // Access points and the like have a Region in their names.
            ("s3", _) => self.region.is_empty() && self.name.is_empty(),
            ("iam", "role" | "instance-profile") => {
                iam::is_listed(scope, self.name.rsplit('/').next().unwrap_or_default())
            }
            _ => false,
        }
    }
}

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
        self.is_denied || self.arns.contains_key(arn)
    }

    /// Whether the queue of this name has to be looked at.
    pub(super) fn point_at_queue(&self, name: &str) -> bool {
        let is_it = |arn: &String| arn.contains(":sqs:") && arn.rsplit(':').next() == Some(name);
        self.is_denied || self.arns.keys().any(is_it)
    }

    /// The names of the buckets it points at.
    pub(super) fn buckets(&self) -> impl Iterator<Item = &str> {
        self.arns
            .keys()
            .filter_map(|arn| arn.split_once(":s3:::").map(|(_, name)| name))
            .filter(|name| !name.contains('/'))
    }

    /// What it points at of a kind: the ARN, the name in it, and whose it is.
    pub(super) fn of_kind<'a>(
        &'a self,
        service: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Label)> {
        let of_kind = move |(arn, label): (&'a String, &'a Label)| {
            let read = Arn::read(arn).filter(|read| read.service == service && read.kind == kind)?;
            Some((arn.as_str(), read.name, label))
        };
        self.arns.iter().filter_map(of_kind)
    }

    /// What no call of ours can confirm.
    pub(super) fn list_unconfirmed(&self, scope: &Scope) -> Vec<String> {
        let strange = |arn: &&String| !Arn::read(arn).is_some_and(|read| read.is_confirmed(scope));
        self.arns.keys().filter(strange).cloned().collect()
    }

    fn read(found: &[ResourceTagMapping], owns: impl Fn(&Label) -> bool) -> Self {
        let read = |mapping: &ResourceTagMapping| {
            let label = Label::read(mapping.tags().iter().map(|tag| (tag.key(), tag.value())));
            Some((mapping.resource_arn()?.to_owned(), label))
        };
        let ours = found.iter().filter_map(read).filter(|(_, label)| owns(label));
        Self { arns: ours.collect(), ..Self::default() }
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
    use crate::testing::hol02;

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
        assert_eq!(hints.list_unconfirmed(&hol02()), ["arn:aws:rds:us-east-1:123456789012:db:photos"]);
        assert!(!hints.point_at("arn:aws:s3:::bucket-bob"));
    }

    #[test]
    fn only_kinds_that_our_calls_would_find_count_as_looked_at() {
        let here = "us-east-1:123456789012";
        let found_by_us = [
            format!("arn:aws:acm:{here}:certificate/1"),
            format!("arn:aws:ec2:{here}:vpc-flow-log/fl-1"),
            format!("arn:aws:lambda:{here}:function:lab"),
            format!("arn:aws:lambda:{here}:event-source-mapping:1"),
            format!("arn:aws:logs:{here}:log-group:/mine/ada"),
            format!("arn:aws:sqs:{here}:lab-queue"),
            "arn:aws:s3:::lab-bucket".to_owned(),
            "arn:aws:iam::123456789012:instance-profile/lab-host-profile-ada".to_owned(),
        ];
        let found_by_nobody = [
            format!("arn:aws:acm:{here}:acme-endpoint/1"),
            "arn:aws:iam::123456789012:instance-profile/by-hand".to_owned(),
            "arn:aws:iam::123456789012:policy/lab-host-role-ada".to_owned(),
            format!("arn:aws:lambda:{here}:layer:lab:1"),
            format!("arn:aws:logs:{here}:destination:lab"),
            format!("arn:aws:s3:{here}:accesspoint/lab"),
            "nonsense".to_owned(),
        ];
        let all: Vec<_> = found_by_us.iter().chain(&found_by_nobody).map(|arn| mapping(arn, "ada")).collect();
        let hints = Hints::read(&all, |_| true);
        assert_eq!(hints.list_unconfirmed(&hol02()), found_by_nobody);
        let groups: Vec<_> = hints.of_kind("logs", "log-group").map(|(_, name, _)| name.to_owned()).collect();
        assert_eq!(groups, ["/mine/ada"]);
    }

    #[test]
    fn denied_it_points_at_everything_and_says_so() {
        let hints = Hints::denied(&Problem::failed("you may not call GetResources"));
        assert!(hints.point_at("arn:aws:lambda:us-east-1:123456789012:function:any"));
        assert!(hints.notes[0].contains("you may not call GetResources"), "{:?}", hints.notes);
    }
}
