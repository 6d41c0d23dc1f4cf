//! Writing the function's log group. Lambda would make it on first use, untagged and for ever.

use lab_common::explain;
use lab_logs::{create_group, delete_group, find_group, read_tags, set_retention};
use lab_plan::{Problem, Stop};

use crate::clients::Clients;
use crate::live::{Claim, find_claim};
use crate::plan::LogGroupParts;
use crate::want::Want;

/// Makes the log group, with its tags in the creating call, and then its retention.
pub(crate) async fn create(
    clients: &Clients,
    want: &Want,
    parts: &LogGroupParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let tags = parts.tags.clone().unwrap_or_default();
    if create_group(&clients.logs, &want.log_group, tags, stop).await? {
        return set(clients, want, &LogGroupParts { tags: None, ..parts.clone() }, stop).await;
    }
    // Ours, another run's, or the function ran just now.
    take_over(clients, want, parts, stop).await
}

async fn take_over(clients: &Clients, want: &Want, parts: &LogGroupParts, stop: &Stop) -> Result<String, Problem> {
    let found = read_tags(&clients.logs, find_group(&clients.logs, &want.log_group).await?).await?;
    match found {
        Some(found) if find_claim(&want.tags, &found.tags) != Claim::Anothers => {
            set(clients, want, &LogGroupParts { arn: Some(found.arn), ..parts.clone() }, stop).await
        }
        _ => Err(Problem::failed(format!("the log group {} bears the tags of another lab", want.log_group))
            .fix("give the function a name of your own in [images] of lab.toml")),
    }
}

/// Writes the parts that differ.
pub(crate) async fn set(clients: &Clients, want: &Want, parts: &LogGroupParts, stop: &Stop) -> Result<String, Problem> {
    let name = &want.log_group;
    if let Some(days) = parts.retention {
        set_retention(&clients.logs, name, days, stop).await?;
    }
    if let (Some(arn), Some(tags)) = (&parts.arn, &parts.tags) {
        let tags = tags.clone().into_iter().collect();
        let tag = clients.logs.tag_resource().resource_arn(arn).set_tags(Some(tags));
        tag.send().await.map_err(|error| explain("TagResource", &error))?;
    }
    Ok(name.clone())
}

/// Deletes the log group with everything in it.
pub(crate) async fn delete(clients: &Clients, name: &str, stop: &Stop) -> Result<String, Problem> {
    delete_group(&clients.logs, name, stop).await?;
    Ok(name.to_owned())
}
