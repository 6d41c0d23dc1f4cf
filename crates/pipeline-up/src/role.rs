//! Writing the function's role.

use lab_common::explain;
use lab_iam::{NewRole, create_role, put_role_policy, to_tags};
use lab_plan::{Problem, Stop};
use serde_json::Value;

use crate::clients::Clients;
use crate::live::ROLE_POLICY;
use crate::plan::RoleParts;
use crate::want::Want;

/// Makes the role, with its tags in the creating call, and then its policy.
pub(crate) async fn create(clients: &Clients, want: &Want, parts: &RoleParts, stop: &Stop) -> Result<String, Problem> {
    let role = NewRole {
        name: &want.role,
        description: format!("What {} may do", want.function.name),
        trust: parts.trust.as_ref().unwrap_or(&Value::Null),
        tags: to_tags(parts.tags.clone().unwrap_or_default())?,
    };
    let arn = create_role(&clients.iam, role, &want.tags, stop).await?;
    put_policy(clients, want, parts, stop).await?;
    Ok(arn)
}

/// Writes the parts that differ.
pub(crate) async fn set(clients: &Clients, want: &Want, parts: &RoleParts, stop: &Stop) -> Result<String, Problem> {
    let iam = &clients.iam;
    if let Some(trust) = &parts.trust {
        let update = iam.update_assume_role_policy().role_name(&want.role).policy_document(trust.to_string());
        update.send().await.map_err(|error| explain("UpdateAssumeRolePolicy", &error))?;
    }
    put_policy(clients, want, parts, stop).await?;
    if let Some(tags) = &parts.tags {
        let answer = iam.tag_role().role_name(&want.role).set_tags(Some(to_tags(tags.clone())?)).send().await;
        answer.map_err(|error| explain("TagRole", &error))?;
    }
    Ok(want.role.clone())
}

async fn put_policy(clients: &Clients, want: &Want, parts: &RoleParts, stop: &Stop) -> Result<(), Problem> {
    let Some(policy) = &parts.policy else { return Ok(()) };
    put_role_policy(&clients.iam, &want.role, ROLE_POLICY, policy, stop).await
}
