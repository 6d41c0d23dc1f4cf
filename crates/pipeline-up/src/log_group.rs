//! Writing the function's log group. Lambda would make it on first use, untagged and for ever.

use lab_common::{explain, has_code};
use lab_plan::{Pace, Problem, Stop, retry_while};

use crate::clients::Clients;
use crate::error::none_if;
use crate::live::{Claim, find_claim, find_log_group, read_log_group_tags};
use crate::plan::LogGroupParts;
use crate::want::Want;

/// Makes the log group, with its tags in the creating call, and then its retention.
pub(crate) async fn create(
    clients: &Clients,
    want: &Want,
    parts: &LogGroupParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let tags = parts.tags.clone().map(|tags| tags.into_iter().collect());
    let create = clients.logs.create_log_group().log_group_name(&want.log_group).set_tags(tags);
    let busy = |error: &_| has_code(error, "OperationAbortedException");
    match retry_while(Pace::MOMENT, stop, busy, async || create.clone().send().await).await {
        Ok(_) => {
            let retention = LogGroupParts { tags: None, ..parts.clone() };
            set(clients, want, &retention, stop).await
        }
        // The answer to our own call was lost, another run was faster, or the function ran just now.
        Err(error) if has_code(&error, "ResourceAlreadyExistsException") => take_over(clients, want, parts, stop).await,
        Err(error) => Err(explain("CreateLogGroup", &error)),
    }
}

async fn take_over(clients: &Clients, want: &Want, parts: &LogGroupParts, stop: &Stop) -> Result<String, Problem> {
    let found = read_log_group_tags(clients, find_log_group(clients, want).await?).await?;
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
    // A new group may not be visible yet.
    let unseen = |error: &_| has_code(error, "ResourceNotFoundException");
    if let Some(days) = parts.retention {
        let put = clients.logs.put_retention_policy().log_group_name(name).retention_in_days(days);
        let answer = retry_while(Pace::MOMENT, stop, unseen, async || put.clone().send().await).await;
        answer.map_err(|error| explain("PutRetentionPolicy", &error))?;
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
    let delete = clients.logs.delete_log_group().log_group_name(name);
    let busy = |error: &_| has_code(error, "OperationAbortedException");
    let answer = retry_while(Pace::MOMENT, stop, busy, async || delete.clone().send().await).await;
    none_if("DeleteLogGroup", &["ResourceNotFoundException"], answer)?;
    Ok(name.to_owned())
}
