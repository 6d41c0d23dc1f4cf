//! Writing the function's role.

use std::collections::BTreeMap;

use aws_sdk_iam::error::BuildError;
use aws_sdk_iam::types::{Role, Tag};
use futures::future::try_join_all;
use lab_common::{explain, has_code};
use lab_plan::{Pace, Problem, Stop, retry_while};

use crate::clients::Clients;
use crate::error::none_if;
use crate::live::{Claim, ROLE_POLICY, find_claim};
use crate::plan::RoleParts;
use crate::want::Want;

/// Makes the role, with its tags in the creating call, and then its policy.
pub(crate) async fn create(clients: &Clients, want: &Want, parts: &RoleParts, stop: &Stop) -> Result<String, Problem> {
    let tags = to_tags(parts.tags.as_ref()).map_err(|error| unbuildable(&error))?;
    let create = clients
        .iam
        .create_role()
        .role_name(&want.role)
        .description(format!("What {} may do", want.function.name))
        .set_assume_role_policy_document(parts.trust.as_ref().map(ToString::to_string))
        .set_tags(Some(tags));
    let arn = match create.send().await {
        Ok(made) => made.role.map(|role| role.arn).unwrap_or_default(),
        // The answer to our own call was lost, or another run was faster.
        Err(error) if has_code(&error, "EntityAlreadyExists") => require_ours(clients, want, stop).await?,
        Err(error) => return Err(explain("CreateRole", &error)),
    };
    if let Some(policy) = &parts.policy {
        let put = clients.iam.put_role_policy().role_name(&want.role).policy_name(ROLE_POLICY);
        let put = put.policy_document(policy.to_string());
        let unseen = |error: &_| has_code(error, "NoSuchEntity");
        let answer = retry_while(Pace::MOMENT, stop, unseen, async || put.clone().send().await).await;
        answer.map_err(|error| explain("PutRolePolicy", &error))?;
    }
    Ok(arn)
}

async fn require_ours(clients: &Clients, want: &Want, stop: &Stop) -> Result<String, Problem> {
    // When our own call made it and its answer was lost, IAM may not show it yet.
    let unseen = |error: &_| has_code(error, "NoSuchEntity");
    let get = clients.iam.get_role().role_name(&want.role);
    let answer = retry_while(Pace::MOMENT, stop, unseen, async || get.clone().send().await).await;
    let role = answer.map_err(|error| explain("GetRole", &error))?.role;
    let tags = role.iter().flat_map(Role::tags);
    let tags = tags.map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    match role {
        Some(role) if find_claim(&want.tags, &tags) == Claim::Ours => Ok(role.arn),
        _ => Err(Problem::failed(format!("the role {} is there and does not bear the tags of this lab", want.role))
            .fix("choose another --owner, or delete that role")),
    }
}

/// Writes the parts that differ.
pub(crate) async fn set(clients: &Clients, want: &Want, parts: &RoleParts) -> Result<String, Problem> {
    let iam = &clients.iam;
    if let Some(trust) = &parts.trust {
        let update = iam.update_assume_role_policy().role_name(&want.role).policy_document(trust.to_string());
        update.send().await.map_err(|error| explain("UpdateAssumeRolePolicy", &error))?;
    }
    if let Some(policy) = &parts.policy {
        let put = iam.put_role_policy().role_name(&want.role).policy_name(ROLE_POLICY);
        let answer = put.policy_document(policy.to_string()).send().await;
        answer.map_err(|error| explain("PutRolePolicy", &error))?;
    }
    if parts.tags.is_some() {
        let tags = to_tags(parts.tags.as_ref()).map_err(|error| unbuildable(&error))?;
        let answer = iam.tag_role().role_name(&want.role).set_tags(Some(tags)).send().await;
        answer.map_err(|error| explain("TagRole", &error))?;
    }
    Ok(want.role.clone())
}

fn to_tags(tags: Option<&BTreeMap<String, String>>) -> Result<Vec<Tag>, BuildError> {
    let pairs = tags.into_iter().flatten();
    pairs.map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn unbuildable(error: &BuildError) -> Problem {
    Problem::failed("a request to IAM cannot be built").because(error.to_string())
}

/// Deletes the role. IAM wants its policies gone first, those that others have given it too: they are the role's.
pub(crate) async fn delete(clients: &Clients, name: &str, stop: &Stop) -> Result<String, Problem> {
    tokio::try_join!(delete_policies(clients, name), detach_policies(clients, name))?;
    let delete = clients.iam.delete_role().role_name(name);
    // A policy that is gone may be seen for a moment longer.
    let conflict = |error: &_| has_code(error, "DeleteConflict");
    let answer = retry_while(Pace::MOMENT, stop, conflict, async || delete.clone().send().await).await;
    none_if("DeleteRole", &["NoSuchEntity"], answer)?;
    Ok(name.to_owned())
}

async fn delete_policies(clients: &Clients, name: &str) -> Result<(), Problem> {
    let policies = clients.iam.list_role_policies().role_name(name).into_paginator().items().send();
    let policies = none_if("ListRolePolicies", &["NoSuchEntity"], policies.try_collect().await)?;
    let policies: Vec<String> = policies.unwrap_or_default();
    let deletes = policies.into_iter().map(async |policy| {
        let answer = clients.iam.delete_role_policy().role_name(name).policy_name(policy).send().await;
        none_if("DeleteRolePolicy", &["NoSuchEntity"], answer)
    });
    try_join_all(deletes).await.map(drop)
}

async fn detach_policies(clients: &Clients, name: &str) -> Result<(), Problem> {
    let attached = clients.iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
    let attached = none_if("ListAttachedRolePolicies", &["NoSuchEntity"], attached.try_collect().await)?;
    let attached: Vec<aws_sdk_iam::types::AttachedPolicy> = attached.unwrap_or_default();
    let arns = attached.into_iter().filter_map(|policy| policy.policy_arn);
    let detaches = arns.map(async |arn| {
        let answer = clients.iam.detach_role_policy().role_name(name).policy_arn(arn).send().await;
        none_if("DetachRolePolicy", &["NoSuchEntity"], answer)
    });
    try_join_all(detaches).await.map(drop)
}
