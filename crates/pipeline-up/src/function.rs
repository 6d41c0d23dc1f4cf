//! Writing to the deployed function: its configuration and who may invoke it.

use aws_sdk_lambda::types::Environment;
use lab_common::{explain, has_code};
use lab_plan::{Pace, Problem, Stop, retry_while, wait_for};

use crate::clients::Clients;
use crate::error::{is_function_unsettled, none_if};
use crate::live::read_function_policy;
use crate::plan::{FunctionParts, PermissionParts};
use crate::policy::{PERMISSION_SID, Permission, check_permission};
use crate::want::Want;

/// Configures the function. Variables that lab.toml does not know stay as they are.
pub(crate) async fn configure(
    clients: &Clients,
    want: &Want,
    parts: &FunctionParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let name = &want.function.name;
    let live = clients.lambda.get_function_configuration().function_name(name).send().await;
    let live = live.map_err(|error| explain("GetFunctionConfiguration", &error))?;
    if let Some(error) = live.environment().and_then(|environment| environment.error()) {
        return Err(Problem::failed(format!("the environment of {name} cannot be read, so it cannot be kept"))
            .because(error.message().unwrap_or_default())
            .fix("allow kms:Decrypt with the function's key, then run the same command again"));
    }
    let mut variables = live.environment.and_then(|environment| environment.variables).unwrap_or_default();
    variables.retain(|key, _| !parts.clears.contains(&key.as_str()));
    variables.extend(parts.environment.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let update = clients
        .lambda
        .update_function_configuration()
        .function_name(name)
        .role(&parts.role)
        .memory_size(parts.memory_mb)
        .timeout(parts.timeout_s)
        .environment(Environment::builder().set_variables(Some(variables)).build());
    let answer = retry_while(Pace::SPREAD, stop, is_function_unsettled, async || update.clone().send().await).await;
    let updated = answer.map_err(|error| explain("UpdateFunctionConfiguration", &error))?;
    Ok(updated.function_arn.unwrap_or_else(|| name.clone()))
}

/// Lets the input bucket invoke the function, provided this account owns it.
pub(crate) async fn permit(
    clients: &Clients,
    want: &Want,
    parts: &PermissionParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let name = &want.function.name;
    if parts.replaces {
        forbid(clients, want).await?;
    }
    let add = clients
        .lambda
        .add_permission()
        .function_name(name)
        .statement_id(PERMISSION_SID)
        .action("lambda:InvokeFunction")
        .principal("s3.amazonaws.com")
        .source_arn(&parts.bucket_arn)
        .source_account(&parts.account);
    wait_for(Pace::SPREAD, stop, format!("{name} to take a permission"), async || {
        match add.clone().send().await {
            Ok(_) => Ok(Some(())),
            // It has one of this id, from an answer that was lost; or it is busy.
            Err(error) if has_code(&error, "ResourceConflictException") => {
                let policy = read_function_policy(clients, want).await?;
                match check_permission(policy.as_ref(), &parts.bucket_arn, &parts.account) {
                    Permission::Right => Ok(Some(())),
                    Permission::Different => forbid(clients, want).await.map(|_| None),
                    Permission::Absent => Ok(None),
                }
            }
            Err(error) => Err(explain("AddPermission", &error)),
        }
    })
    .await?;
    Ok(PERMISSION_SID.to_owned())
}

/// Takes the permission back.
pub(crate) async fn forbid(clients: &Clients, want: &Want) -> Result<String, Problem> {
    let remove = clients.lambda.remove_permission().function_name(&want.function.name).statement_id(PERMISSION_SID);
    none_if("RemovePermission", &["ResourceNotFoundException"], remove.send().await)?;
    Ok(PERMISSION_SID.to_owned())
}

/// Deletes the function with all its versions and its policy.
pub(crate) async fn delete(clients: &Clients, name: &str, stop: &Stop) -> Result<String, Problem> {
    let delete = clients.lambda.delete_function().function_name(name);
    let busy = |error: &_| has_code(error, "ResourceConflictException");
    let answer = retry_while(Pace::SPREAD, stop, busy, async || delete.clone().send().await).await;
    none_if("DeleteFunction", &["ResourceNotFoundException"], answer)?;
    Ok(name.to_owned())
}
