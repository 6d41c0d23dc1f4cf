//! What bears our tags under a name that lab.toml does not say any more: it was renamed there since. Nothing of it is
//! changed, and `down` takes it with the rest.

use std::collections::BTreeMap;

use aws_sdk_resourcegroupstagging::types::TagFilter;
use futures::future::try_join_all;
use lab_common::{Tags, explain};
use lab_plan::Problem;
use serde::Serialize;

use crate::clients::Clients;
use crate::error::none_if;
use crate::live::{Claim, find_claim, read_bucket_tags};
use crate::want::{Place, Side, Want};

/// What a stray is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum StrayKind {
    /// A bucket.
    Bucket,
    /// A function.
    Function,
    /// A function's log group.
    LogGroup,
    /// From our queue to a function.
    Mapping,
}

impl StrayKind {
    /// As reports call it.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Function => "function",
            Self::LogGroup => "log-group",
            Self::Mapping => "event-source-mapping",
        }
    }

    /// Whether we give this role to what we make of this kind.
    fn has_role(self, role: &str) -> bool {
        match self {
            Self::Bucket => Side::BOTH.iter().any(|side| side.role() == role),
            kind => kind.noun() == role,
        }
    }
}

/// Something of ours that lab.toml does not name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// What it is.
    pub kind: StrayKind,
    /// Its name; a mapping's UUID.
    pub name: String,
    /// Its ARN.
    pub arn: String,
}

impl Stray {
    /// The role of its step: its name is all that it has.
    pub(crate) fn role(&self) -> String {
        format!("{} {}", self.kind.noun(), self.name)
    }

    /// What an ARN names, where it is of a kind that we make (service authorization reference).
    fn read(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, rest) = (parts.next()?, parts.nth(2)?);
        let (kind, name) = match service {
            "s3" if !rest.contains('/') => (StrayKind::Bucket, rest),
            "lambda" => match rest.split_once(':')? {
                ("function", name) if !name.contains(':') => (StrayKind::Function, name),
                ("event-source-mapping", uuid) => (StrayKind::Mapping, uuid),
                _ => return None,
            },
            "logs" => (StrayKind::LogGroup, rest.strip_prefix("log-group:")?),
            _ => return None,
        };
        // A log group's ARN may end in `:*`, which the calls about its tags do not take.
        let (arn, name) = (arn.strip_suffix(":*").unwrap_or(arn), name.strip_suffix(":*").unwrap_or(name));
        Some(Self { kind, name: name.to_owned(), arn: arn.to_owned() })
    }

    /// Whether lab.toml names it.
    fn is_wanted(&self, want: &Want) -> bool {
        match self.kind {
            StrayKind::Bucket => Side::BOTH.iter().any(|side| *want.buckets.get(*side) == self.name),
            StrayKind::Function => want.function.name == self.name,
            StrayKind::LogGroup => want.log_group == self.name,
            // Which function it is for, only Lambda says.
            StrayKind::Mapping => false,
        }
    }
}

/// Looks for them: the tagging API points, and each one's own service says whether it is there and ours. Where that may
/// not be asked, nothing is found.
///
/// # Errors
/// When AWS refuses for another reason.
pub(crate) async fn find_strays(clients: &Clients, want: &Want, place: &Place) -> Result<Vec<Stray>, Problem> {
    let filters = want.tags.common().map(|(key, value)| TagFilter::builder().key(key).values(value).build());
    let request = clients.tagging.get_resources().set_tag_filters(Some(filters.into())).resources_per_page(100);
    let found = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let found = match found.map_err(|error| explain("GetResources", &error)) {
        Err(problem) if problem.is_denial() => return Ok(Vec::new()),
        found => found?,
    };
    let pointed_at = found.iter().filter_map(|found| Stray::read(found.resource_arn()?));
    let confirm = pointed_at.filter(|stray| !stray.is_wanted(want)).map(async |stray| {
        let is_ours = is_ours(clients, want, place, &stray).await?;
        Ok::<_, Problem>(is_ours.then_some(stray))
    });
    Ok(try_join_all(confirm).await?.into_iter().flatten().collect())
}

async fn is_ours(clients: &Clients, want: &Want, place: &Place, stray: &Stray) -> Result<bool, Problem> {
    let tags = match read_tags(clients, want, place, stray).await {
        // What may not be looked at may not be deleted either.
        Err(problem) if problem.is_denial() => return Ok(false),
        tags => tags?,
    };
    let has_role = tags.get(Tags::ROLE).is_some_and(|role| stray.kind.has_role(role));
    Ok(has_role && find_claim(&want.tags, &tags) == Claim::Ours)
}

/// Its tags as its own service says them; none where it is gone, or going.
async fn read_tags(
    clients: &Clients,
    want: &Want,
    place: &Place,
    stray: &Stray,
) -> Result<BTreeMap<String, String>, Problem> {
    const GONE: [&str; 1] = ["ResourceNotFoundException"];
    let tags = match stray.kind {
        StrayKind::Bucket => return read_bucket_tags(clients, Some(&place.account), &stray.name).await,
        StrayKind::LogGroup => {
            let answer = clients.logs.list_tags_for_resource().resource_arn(&stray.arn).send().await;
            none_if("ListTagsForResource", &GONE, answer)?.and_then(|found| found.tags)
        }
        StrayKind::Mapping if !is_stray_mapping(clients, want, place, &stray.name).await? => None,
        StrayKind::Mapping | StrayKind::Function => {
            let answer = clients.lambda.list_tags().resource(&stray.arn).send().await;
            none_if("ListTags", &GONE, answer)?.and_then(|found| found.tags)
        }
    };
    Ok(tags.unwrap_or_default().into_iter().collect())
}

/// Whether a mapping is there, not on its way out, and for another function than lab.toml's.
async fn is_stray_mapping(clients: &Clients, want: &Want, place: &Place, uuid: &str) -> Result<bool, Problem> {
    let answer = clients.lambda.get_event_source_mapping().uuid(uuid).send().await;
    let found = none_if("GetEventSourceMapping", &["ResourceNotFoundException"], answer)?;
    let ours = want.function_arn(place);
    Ok(found.is_some_and(|found| found.state() != Some("Deleting") && found.function_arn() != Some(&ours)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::want::sample;

    #[test]
    fn an_arn_names_what_we_make_and_nothing_else() {
        let read = |arn| Stray::read(arn).map(|stray| (stray.kind, stray.name, stray.arn.len()));
        let found = |kind, name: &str, arn: &str| Some((kind, name.to_owned(), arn.len()));
        let bucket = "arn:aws:s3:::old-bucket";
        assert_eq!(read(bucket), found(StrayKind::Bucket, "old-bucket", bucket));
        let function = "arn:aws-cn:lambda:cn-north-1:123456789012:function:old";
        assert_eq!(read(function), found(StrayKind::Function, "old", function));
        let mapping = "arn:aws:lambda:us-east-1:123456789012:event-source-mapping:1-2-3";
        assert_eq!(read(mapping), found(StrayKind::Mapping, "1-2-3", mapping));
        let group = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/old";
        assert_eq!(read(&format!("{group}:*")), found(StrayKind::LogGroup, "/aws/lambda/old", group));
        for other in [
            "arn:aws:s3:us-east-1:123456789012:job/1",
            "arn:aws:lambda:us-east-1:123456789012:function:old:2",
            "arn:aws:sqs:us-east-1:123456789012:old",
            "arn:aws:ec2:us-east-1:123456789012:instance/i-1",
            "no ARN",
        ] {
            assert_eq!(Stray::read(other), None, "{other}");
        }
    }

    #[test]
    fn what_lab_toml_names_is_no_stray_and_what_another_program_made_is_not_ours_to_take() {
        let (want, place) = sample(|_| ());
        for arn in [want.input_arn(&place), want.function_arn(&place)] {
            assert!(Stray::read(&arn).is_some_and(|stray| stray.is_wanted(&want)), "{arn}");
        }
        assert!(StrayKind::Bucket.has_role("bucket output") && !StrayKind::Bucket.has_role("bucket"));
        assert!(StrayKind::LogGroup.has_role("log-group") && !StrayKind::LogGroup.has_role("log-group vpn"));
    }
}
