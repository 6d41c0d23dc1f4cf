//! A role, from its creation to its end.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{AttachedPolicy, Tag};
use futures::future::try_join_all;
use lab_common::{Tags, explain, has_code};
use lab_plan::{Pace, Problem, Stop, retry_while};
use serde_json::Value;

use crate::code::{ignore_absent, is_still_used, is_unseen};

/// What a role is made of.
#[derive(Debug, Clone)]
pub struct NewRole<'a> {
    /// Its name, which IAM keeps unique in an account.
    pub name: &'a str,
    /// What the console shows.
    pub description: String,
    /// Who may assume it.
    pub trust: &'a Value,
    /// All its tags, from its first moment on: a crash cannot lose it.
    pub tags: Vec<Tag>,
}

/// Makes a role, without a policy; answers with its ARN. One of this name that bears the tags of the lab counts as made:
/// the answer to our own call was lost, or another run was faster.
///
/// # Errors
/// When IAM refuses, and when a role of this name is somebody else's.
pub async fn create_role(iam: &Client, new: NewRole<'_>, ours: &Tags, stop: &Stop) -> Result<String, Problem> {
    let create = iam.create_role().role_name(new.name).description(new.description);
    let create = create.assume_role_policy_document(new.trust.to_string()).set_tags(Some(new.tags));
    match create.send().await {
        Ok(made) => Ok(made.role.map(|role| role.arn).unwrap_or_default()),
        Err(error) if has_code(&error, "EntityAlreadyExists") => require_ours(iam, new.name, ours, stop).await,
        Err(error) => Err(explain("CreateRole", &error)),
    }
}

async fn require_ours(iam: &Client, name: &str, ours: &Tags, stop: &Stop) -> Result<String, Problem> {
    // When our own call made it, IAM may not show it yet.
    let get = iam.get_role().role_name(name);
    let answer = retry_while(Pace::MOMENT, stop, is_unseen, async || get.clone().send().await).await;
    let role = answer.map_err(|error| explain("GetRole", &error))?.role;
    match role.filter(|role| ours.match_all(role.tags().iter().map(|tag| (tag.key(), tag.value())))) {
        Some(role) => Ok(role.arn),
        None => Err(Problem::failed(format!("the role {name} is there and does not bear the tags of this lab"))
            .fix("choose another --owner, or delete that role")),
    }
}

/// Writes an inline policy of a role, which may be too new to be seen.
///
/// # Errors
/// When IAM refuses, and when it does not show the role within two minutes.
pub async fn put_role_policy(
    iam: &Client,
    role: &str,
    policy: &str,
    document: &Value,
    stop: &Stop,
) -> Result<(), Problem> {
    let put = iam.put_role_policy().role_name(role).policy_name(policy).policy_document(document.to_string());
    let answer = retry_while(Pace::SPREAD, stop, is_unseen, async || put.clone().send().await).await;
    answer.map(drop).map_err(|error| explain("PutRolePolicy", &error))
}

/// Deletes a role. IAM wants its policies gone first, those too that others have given it (Systems Manager attaches one
/// of its own): they are the role's. A role that is gone is deleted.
///
/// # Errors
/// When IAM refuses: an instance profile that is not ours may hold it.
pub async fn delete_role(iam: &Client, name: &str, stop: &Stop) -> Result<(), Problem> {
    tokio::try_join!(delete_policies(iam, name), detach_policies(iam, name))?;
    let delete = iam.delete_role().role_name(name);
    // A policy that is gone may be seen for a moment longer.
    let answer = retry_while(Pace::MOMENT, stop, is_still_used, async || delete.clone().send().await).await;
    ignore_absent("DeleteRole", answer).map(drop)
}

async fn delete_policies(iam: &Client, name: &str) -> Result<(), Problem> {
    let policies = iam.list_role_policies().role_name(name).into_paginator().items().send();
    let policies: Option<Vec<String>> = ignore_absent("ListRolePolicies", policies.try_collect().await)?;
    let deletes = policies.unwrap_or_default().into_iter().map(async |policy| {
        let answer = iam.delete_role_policy().role_name(name).policy_name(policy).send().await;
        ignore_absent("DeleteRolePolicy", answer)
    });
    try_join_all(deletes).await.map(drop)
}

async fn detach_policies(iam: &Client, name: &str) -> Result<(), Problem> {
    let attached = iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
    let attached: Option<Vec<AttachedPolicy>> =
        ignore_absent("ListAttachedRolePolicies", attached.try_collect().await)?;
    let arns = attached.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn);
    let detaches = arns.map(async |arn| {
        let answer = iam.detach_role_policy().role_name(name).policy_arn(arn).send().await;
        ignore_absent("DetachRolePolicy", answer)
    });
    try_join_all(detaches).await.map(drop)
}
