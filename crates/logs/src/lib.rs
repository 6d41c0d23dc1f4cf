//! A log group, from its creation to its end. Its name is its identity, so every write may be repeated.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::http::HttpResponse;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use lab_common::{explain, has_code};
use lab_plan::{Pace, Problem, Stop, retry_while};

/// A log group that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its ARN as tagging takes it.
    pub arn: String,
    /// Its tags, once they have been read.
    pub tags: BTreeMap<String, String>,
    /// How long its events are kept, in days; for ever where absent.
    pub retention: Option<i32>,
}

/// The log group of that name, whose tags are not known yet ([`read_tags`]).
///
/// # Errors
/// When AWS does not answer, or not to us.
pub async fn find_group(logs: &Client, name: &str) -> Result<Option<LogGroup>, Problem> {
    // Sorted by name: the one that is its own prefix comes first.
    let answer = logs.describe_log_groups().log_group_name_prefix(name).send().await;
    let found = answer.map_err(|error| explain("DescribeLogGroups", &error))?;
    let group = found.log_groups().iter().find(|group| group.log_group_name() == Some(name));
    Ok(group.map(|group| LogGroup {
        // `arn` ends in `:*`, which tagging does not take.
        arn: group.arn().unwrap_or_default().trim_end_matches(":*").to_owned(),
        tags: BTreeMap::new(),
        retention: group.retention_in_days(),
    }))
}

/// The log group with its tags; `None` where there is none (any more).
///
/// # Errors
/// When AWS does not answer, or not to us.
pub async fn read_tags(logs: &Client, group: Option<LogGroup>) -> Result<Option<LogGroup>, Problem> {
    let Some(group) = group else { return Ok(None) };
    match logs.list_tags_for_resource().resource_arn(&group.arn).send().await {
        Ok(found) => Ok(Some(LogGroup { tags: found.tags.unwrap_or_default().into_iter().collect(), ..group })),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(explain("ListTagsForResource", &error)),
    }
}

/// Makes a log group with its tags, so that a crash cannot lose it. `false` where one of that name is there: the answer to
/// our own call was lost, or somebody was faster.
///
/// # Errors
/// When AWS refuses.
pub async fn create_group(
    logs: &Client,
    name: &str,
    tags: impl IntoIterator<Item = (String, String)>,
    stop: &Stop,
) -> Result<bool, Problem> {
    let create = logs.create_log_group().log_group_name(name).set_tags(Some(tags.into_iter().collect()));
    match retry_while(Pace::MOMENT, stop, is_busy, async || create.clone().send().await).await {
        Ok(_) => Ok(true),
        Err(error) if has_code(&error, "ResourceAlreadyExistsException") => Ok(false),
        Err(error) => Err(explain("CreateLogGroup", &error)),
    }
}

/// Says for how many days events are kept.
///
/// # Errors
/// When AWS refuses, and when it does not show the log group within 20 seconds.
pub async fn set_retention(logs: &Client, name: &str, days: i32, stop: &Stop) -> Result<(), Problem> {
    let put = logs.put_retention_policy().log_group_name(name).retention_in_days(days);
    // A new group may not be visible yet.
    let answer = retry_while(Pace::MOMENT, stop, is_absent, async || put.clone().send().await).await;
    answer.map(drop).map_err(|error| explain("PutRetentionPolicy", &error))
}

/// Deletes a log group with everything in it. One that is gone is deleted.
///
/// # Errors
/// When AWS refuses.
pub async fn delete_group(logs: &Client, name: &str, stop: &Stop) -> Result<(), Problem> {
    let delete = logs.delete_log_group().log_group_name(name);
    match retry_while(Pace::MOMENT, stop, is_busy, async || delete.clone().send().await).await {
        Err(error) if !is_absent(&error) => Err(explain("DeleteLogGroup", &error)),
        _ => Ok(()),
    }
}

fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    has_code(error, "ResourceNotFoundException")
}

/// Whether another change of the same log group is under way.
fn is_busy<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    has_code(error, "OperationAbortedException")
}
