//! Functions, log groups and certificates: lists that tell no tags, and a call each for the tags of what may be ours.

use aws_sdk_acm::types::CertificateSummary;
use aws_sdk_cloudwatchlogs::operation::describe_log_groups::builders::DescribeLogGroupsFluentBuilder;
use aws_sdk_cloudwatchlogs::types::LogGroup;
use aws_sdk_lambda::types::FunctionConfiguration;
use futures::FutureExt as _;
use jiff::Timestamp;
use lab_common::{Names, explain, has_code};
use lab_plan::Problem;

use super::tagging::Hints;
use super::{Census, Reading};
use crate::thing::{Label, Thing, read_time};

/// Where Lambda logs, and where a lab's VPN does.
const FUNCTION_LOGS: &str = "/aws/lambda/";

impl Census<'_> {
    /// Every function of the Region, without its tags.
    pub(super) async fn list_functions(&self) -> Result<Vec<Thing>, Problem> {
        let pages = self.clients.lambda.list_functions().into_paginator().items().send();
        let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("ListFunctions", &error))?;
        let read = |function: &FunctionConfiguration| {
            let thing = Thing::new("function", function.function_arn()?, Label::default());
            let thing = thing.named(function.function_name().unwrap_or_default());
            // Lambda tells when it was changed last, and not when it was made.
            Some(thing.with("last_modified", function.last_modified().unwrap_or_default()))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    pub(super) fn look_into_functions(&self, functions: Vec<Thing>, hints: &Hints) -> Vec<Reading<'_>> {
        let worth = |function: &Thing| self.scope.suspects(&function.name) || hints.point_at(&function.id);
        functions.into_iter().filter(worth).map(|function| self.look_into_function(function).boxed_local()).collect()
    }

    async fn look_into_function(&self, function: Thing) -> Result<Vec<Thing>, Problem> {
        let answer = match self.clients.lambda.list_tags().resource(&function.id).send().await {
            Ok(answer) => answer,
            Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(Vec::new()),
            Err(error) => return Err(explain("ListTags", &error)),
        };
        let tags = answer.tags.unwrap_or_default();
        let label = Label::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let has_our_name = self.scope.lab().is_some_and(|lab| lab.function.as_deref() == Some(function.name.as_str()));
        Ok(self.take(function, label, has_our_name))
    }

    /// The log groups of functions and of a lab's VPN, without their tags.
    pub(super) async fn list_log_groups(&self) -> Result<Vec<Thing>, Problem> {
        let vpn = self.scope.lab().map(|lab| lab.names.vpn_log_group());
        let of_vpn = async {
            match &vpn {
                Some(prefix) => self.list_log_groups_at(prefix).await,
                None => self.list_log_groups_like("-client-vpn-log-").await,
            }
        };
        let (functions, vpn) = tokio::try_join!(self.list_log_groups_at(FUNCTION_LOGS), of_vpn)?;
        Ok(functions.into_iter().chain(vpn).collect())
    }

    async fn list_log_groups_at(&self, prefix: &str) -> Result<Vec<Thing>, Problem> {
        read_log_groups(self.clients.logs.describe_log_groups().log_group_name_prefix(prefix)).await
    }

    async fn list_log_groups_like(&self, part: &str) -> Result<Vec<Thing>, Problem> {
        read_log_groups(self.clients.logs.describe_log_groups().log_group_name_pattern(part)).await
    }

    /// Those that may be ours, and those elsewhere that are pointed at.
    pub(super) fn look_into_log_groups(&self, mut groups: Vec<Thing>, hints: &Hints) -> Vec<Reading<'_>> {
        let further = hints.of_kind("logs", "log-group").map(|(arn, name, _)| {
            let arn = arn.trim_end_matches(":*");
            Thing::new("log-group", arn, Label::default()).named(name.trim_end_matches(":*"))
        });
        add_unlisted(&mut groups, further.filter(|group| !group.name.starts_with(FUNCTION_LOGS)));
        let worth = |group: &Thing| {
            let name = group.name.trim_start_matches(FUNCTION_LOGS);
            self.scope.suspects(name) || hints.point_at(&group.id)
        };
        groups.into_iter().filter(worth).map(|group| self.look_into_log_group(group).boxed_local()).collect()
    }

    async fn look_into_log_group(&self, group: Thing) -> Result<Vec<Thing>, Problem> {
        let answer = match self.clients.logs.list_tags_for_resource().resource_arn(&group.id).send().await {
            Ok(answer) => answer,
            Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(Vec::new()),
            Err(error) => return Err(explain("ListTagsForResource", &error)),
        };
        let tags = answer.tags.unwrap_or_default();
        let label = Label::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let has_our_name = self.scope.lab().is_some_and(|lab| {
            let function = lab.function.as_deref().map(Names::function_log_group);
            function.as_deref() == Some(group.name.as_str()) || lab.names.vpn_log_group() == group.name
        });
        Ok(self.take(group, label, has_our_name))
    }

    /// Every certificate of the Region, without its tags.
    pub(super) async fn list_certificates(&self) -> Result<Vec<Thing>, Problem> {
        let pages = self.clients.acm.list_certificates().into_paginator().items().send();
        let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("ListCertificates", &error))?;
        let read = |certificate: &CertificateSummary| {
            let made = certificate.imported_at().or(certificate.created_at());
            let thing = Thing::new("certificate", certificate.certificate_arn()?, Label::default())
                .named(certificate.domain_name().unwrap_or_default())
                .created(read_time(made));
            let used = certificate.in_use() == Some(true);
            Some(if used { thing.about("in use") } else { thing })
        };
        Ok(found.iter().filter_map(read).collect())
    }

    /// All of them are asked for their tags: an account has few, and their names say too little. So are those that are
    /// pointed at: the list leaves out certificates whose keys are neither RSA of 1024 nor of 2048 bits.
    pub(super) fn look_into_certificates(&self, mut certificates: Vec<Thing>, hints: &Hints) -> Vec<Reading<'_>> {
        let further = hints.of_kind("acm", "certificate");
        add_unlisted(&mut certificates, further.map(|(arn, _, _)| Thing::new("certificate", arn, Label::default())));
        certificates.into_iter().map(|certificate| self.look_into_certificate(certificate).boxed_local()).collect()
    }

    async fn look_into_certificate(&self, certificate: Thing) -> Result<Vec<Thing>, Problem> {
        let answer = match self.clients.acm.list_tags_for_certificate().certificate_arn(&certificate.id).send().await {
            Ok(answer) => answer,
            Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(Vec::new()),
            Err(error) => return Err(explain("ListTagsForCertificate", &error)),
        };
        let label = Label::read(answer.tags().iter().filter_map(|tag| Some((tag.key(), tag.value()?))));
        Ok(self.take(certificate, label, false))
    }

    /// The thing with its tags, where it is looked for. Its name stays: AWS has no other for it.
    pub(super) fn take(&self, thing: Thing, label: Label, has_our_name: bool) -> Vec<Thing> {
        if !self.scope.claims(&label, has_our_name) {
            return Vec::new();
        }
        let tagged = !label.is_nobodys();
        let thing = Thing { label, ..thing };
        vec![if tagged { thing } else { thing.with("tagged", false) }]
    }
}

/// Adds what a list does not have and is pointed at all the same: its tags say whether it exists.
fn add_unlisted(listed: &mut Vec<Thing>, further: impl Iterator<Item = Thing>) {
    let further: Vec<_> = further.filter(|one| !listed.iter().any(|other| other.id == one.id)).collect();
    listed.extend(further);
}

async fn read_log_groups(request: DescribeLogGroupsFluentBuilder) -> Result<Vec<Thing>, Problem> {
    let found = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    Ok(found.map_err(|error| explain("DescribeLogGroups", &error))?.iter().filter_map(read_log_group).collect())
}

fn read_log_group(group: &LogGroup) -> Option<Thing> {
    // `arn` ends in `:*`, which tagging does not take.
    let thing = Thing::new("log-group", group.arn()?.trim_end_matches(":*"), Label::default());
    let created = group.creation_time().and_then(|time| Timestamp::from_millisecond(time).ok());
    Some(thing.named(group.log_group_name().unwrap_or_default()).created(created))
}
