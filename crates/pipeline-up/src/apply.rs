//! Carries out one step. Every call here may be repeated: names make them idempotent, and "it is there already" is
//! done once it has been seen to be ours.

use lab_plan::{Context, Problem, Step, Stop};

use crate::clients::Clients;
use crate::plan::Op;
use crate::stray::{Stray, StrayKind};
use crate::want::Want;
use crate::{backfill, bucket, concurrency, function, log_group, mapping, queue, role};

/// Answers with the name or ARN of what was made or changed.
pub(crate) async fn apply(
    clients: &Clients,
    want: &Want,
    step: &Step<Op>,
    context: Context<'_>,
) -> Result<Option<String>, Problem> {
    let id = match &step.op {
        Op::CreateBucket(side, properties) => bucket::create(clients, want, *side, properties, context.stop).await?,
        Op::SetBucket(side, properties) => {
            bucket::set(clients, want.buckets.get(*side), properties, context.stop).await?
        }
        Op::CreateRole(parts) => role::create(clients, want, parts, context.stop).await?,
        Op::SetRole(parts) => role::set(clients, want, parts, context.stop).await?,
        Op::CreateLogGroup(parts) => log_group::create(clients, want, parts, context.stop).await?,
        Op::SetLogGroup(parts) => log_group::set(clients, want, parts, context.stop).await?,
        Op::SetFunction(parts) => function::configure(clients, want, parts, context.stop).await?,
        Op::SetPermission(parts) => function::permit(clients, want, parts, context.stop).await?,
        Op::SetTrigger(trigger) => bucket::set_trigger(clients, want, trigger, context.stop).await?,
        Op::CreateQueue(kind, parts) => queue::create(clients, want, *kind, parts, context.stop).await?,
        Op::SetQueue(kind, parts) => queue::set(clients, want, *kind, parts, context.stop).await?,
        Op::CreateMapping(parts) => mapping::create(clients, want, parts, context.stop).await?,
        Op::SetMapping { uuid, parts } => mapping::set(clients, uuid, parts, context.stop).await?,
        Op::SetInvoke(parts) => mapping::set_invoke(clients, want, parts, context.stop).await?,
        Op::Reserve(wanted) => concurrency::reserve(clients, want, *wanted, context.stop).await?,
        Op::DeleteMapping { uuid, drains } => mapping::delete(clients, want, uuid, *drains, context).await?,
        Op::DeleteInvoke => mapping::delete_invoke(clients, want, context.stop).await?,
        Op::DeleteQueue(kind) => queue::delete(clients, want, *kind).await?,
        Op::DeleteTrigger => bucket::delete_trigger(clients, want, context.stop).await?,
        Op::DeletePermission => function::forbid(clients, want).await?,
        Op::DeleteFunction => function::delete(clients, &want.function.name, context.stop).await?,
        Op::DeleteRole => delete_role(clients, &want.role, context.stop).await?,
        Op::DeleteBatchRole { account } => {
            backfill::cancel_jobs(clients, want, account).await?;
            delete_role(clients, &want.batch_role, context.stop).await?
        }
        Op::DeleteLogGroup => log_group::delete(clients, &want.log_group, context.stop).await?,
        Op::DeleteStray(Stray { kind, name, .. }) => match kind {
            StrayKind::Bucket => bucket::delete(clients, name, context.stop).await?,
            StrayKind::Function => function::delete(clients, name, context.stop).await?,
            StrayKind::LogGroup => log_group::delete(clients, name, context.stop).await?,
            StrayKind::Mapping => mapping::delete(clients, want, name, false, context).await?,
        },
        Op::DeleteBucket(side) => bucket::delete(clients, want.buckets.get(*side), context.stop).await?,
    };
    Ok(Some(id))
}

async fn delete_role(clients: &Clients, name: &str, stop: &Stop) -> Result<String, Problem> {
    lab_iam::delete_role(&clients.iam, name, stop).await?;
    Ok(name.to_owned())
}
