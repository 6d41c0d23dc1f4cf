//! Writing what brings events to the function and failures away from it: the queue's mapping, and the destination of
//! asynchronous invocations that fail.

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::types::{DestinationConfig, FunctionResponseType, OnFailure, ScalingConfig};
use lab_common::{explain, has_code};
use lab_plan::{Context, Pace, Problem, Stop, retry_while};

use crate::clients::Clients;
use crate::error::{has_any, is_function_unsettled, none_if};
use crate::plan::{InvokeParts, MappingParts};
use crate::queue;
use crate::want::Want;

/// Whether Lambda cannot do it yet: what it concerns is being changed, or the role's new policy has not spread.
fn is_unsettled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    let lacks_permission =
        message.contains("does not have permissions to call") || message.contains("cannot be assumed");
    has_code(error, "ResourceInUseException")
        || (has_code(error, "InvalidParameterValueException") && lacks_permission)
        || (has_code(error, "ResourceConflictException") && !is_there_already(error))
}

/// Whether this queue and this function have a mapping: a run that was faster, or our own call whose answer was lost.
fn is_there_already<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    has_code(error, "ResourceConflictException") && message.contains("already exists")
}

fn scale(most: Option<i32>) -> Option<ScalingConfig> {
    most.map(|most| ScalingConfig::builder().maximum_concurrency(most).build())
}

/// Lets Lambda take messages from the queue for the function.
pub(crate) async fn create(
    clients: &Clients,
    want: &Want,
    parts: &MappingParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let create = clients
        .lambda
        .create_event_source_mapping()
        .function_name(&want.function.name)
        .event_source_arn(&parts.queue_arn)
        .batch_size(parts.batch_size)
        .function_response_types(FunctionResponseType::ReportBatchItemFailures)
        .set_scaling_config(scale(parts.most_at_once))
        .set_tags(parts.tags.clone().map(|tags| tags.into_iter().collect()));
    match retry_while(Pace::SPREAD, stop, is_unsettled, async || create.clone().send().await).await {
        Ok(made) => Ok(made.uuid.unwrap_or_default()),
        Err(error) if is_there_already(&error) => Ok(parts.queue_arn.clone()),
        Err(error) => Err(explain("CreateEventSourceMapping", &error)),
    }
}

/// Changes the mapping, and enables it.
pub(crate) async fn set(clients: &Clients, uuid: &str, parts: &MappingParts, stop: &Stop) -> Result<String, Problem> {
    let update = clients
        .lambda
        .update_event_source_mapping()
        .uuid(uuid)
        .enabled(true)
        .batch_size(parts.batch_size)
        .function_response_types(FunctionResponseType::ReportBatchItemFailures)
        // An empty one takes the bound away.
        .scaling_config(scale(parts.most_at_once).unwrap_or_else(|| ScalingConfig::builder().build()));
    let answer = retry_while(Pace::SPREAD, stop, is_unsettled, async || update.clone().send().await).await;
    answer.map_err(|error| explain("UpdateEventSourceMapping", &error))?;
    Ok(uuid.to_owned())
}

/// Deletes the mapping, after the function has taken all that is in the queue where `drains`.
pub(crate) async fn delete(
    clients: &Clients,
    want: &Want,
    uuid: &str,
    drains: bool,
    context: Context<'_>,
) -> Result<String, Problem> {
    if drains {
        queue::drain(clients, want, context).await?;
    }
    let delete = clients.lambda.delete_event_source_mapping().uuid(uuid);
    let busy = |error: &_| has_any(error, &["ResourceInUseException", "ResourceConflictException"]);
    let answer = retry_while(Pace::SPREAD, context.stop, busy, async || delete.clone().send().await).await;
    none_if("DeleteEventSourceMapping", &["ResourceNotFoundException"], answer)?;
    Ok(uuid.to_owned())
}

/// Says where asynchronous invocations end that fail.
pub(crate) async fn set_invoke(
    clients: &Clients,
    want: &Want,
    parts: &InvokeParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let name = &want.function.name;
    let destination = OnFailure::builder().destination(&parts.on_failure).build();
    let put = clients
        .lambda
        .put_function_event_invoke_config()
        .function_name(name)
        .maximum_retry_attempts(parts.retries)
        .maximum_event_age_in_seconds(parts.most_seconds)
        .destination_config(DestinationConfig::builder().on_failure(destination).build());
    let passing = |error: &_| is_unsettled(error) || is_function_unsettled(error);
    let answer = retry_while(Pace::SPREAD, stop, passing, async || put.clone().send().await).await;
    answer.map_err(|error| explain("PutFunctionEventInvokeConfig", &error))?;
    Ok(name.clone())
}

/// Lambda does by itself again what it does about failures.
pub(crate) async fn delete_invoke(clients: &Clients, want: &Want, stop: &Stop) -> Result<String, Problem> {
    let name = &want.function.name;
    let delete = clients.lambda.delete_function_event_invoke_config().function_name(name);
    let answer = retry_while(Pace::SPREAD, stop, is_function_unsettled, async || delete.clone().send().await).await;
    none_if("DeleteFunctionEventInvokeConfig", &["ResourceNotFoundException"], answer)?;
    Ok(name.clone())
}
