//! How events reach the function: queues, mapping, what becomes of failures, and the room for it. Read only.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType, ScalingConfig};
use aws_sdk_sqs::types::QueueAttributeName;
use lab_common::explain;
use lab_plan::Problem;

use super::Queues;
use crate::clients::Clients;
use crate::concurrency::Room;
use crate::error::none_if;
use crate::want::{Place, QueueKind, Want};

/// That there is no such queue, in the words of either of SQS's protocols.
pub(crate) const NO_QUEUE: [&str; 2] = ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"];

/// A queue in our account.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LiveQueue {
    pub(crate) url: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// All of SQS's attributes, as text.
    pub(crate) attributes: BTreeMap<String, String>,
}

impl LiveQueue {
    /// How many messages it holds.
    pub(crate) fn counts(&self) -> Counts {
        let read = |name: &str| self.attributes.get(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        Counts {
            waiting: read("ApproximateNumberOfMessages") + read("ApproximateNumberOfMessagesDelayed"),
            taken: read("ApproximateNumberOfMessagesNotVisible"),
        }
    }
}

/// How many messages a queue holds, as far as SQS knows at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// For somebody to take them.
    pub(crate) waiting: u64,
    /// By somebody who has not deleted them yet.
    pub(crate) taken: u64,
}

impl Counts {
    pub(crate) const fn all(self) -> u64 {
        self.waiting + self.taken
    }
}

/// The mapping from our queue to our function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LiveMapping {
    pub(crate) uuid: String,
    /// `Creating`, `Enabling`, `Enabled`, `Disabling`, `Disabled`, `Updating` or `Deleting`.
    pub(crate) state: String,
    pub(crate) batch_size: i32,
    pub(crate) most_at_once: Option<i32>,
    /// The function's answer names the messages that failed.
    pub(crate) reports_failures: bool,
}

/// What Lambda does about asynchronous invocations that fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LiveInvoke {
    /// The ARN of where a record of the failure goes.
    pub(crate) on_failure: Option<String>,
    pub(crate) retries: Option<i32>,
    pub(crate) most_seconds: Option<i32>,
}

/// A lab that wants no queue must not need the right to look for one.
fn unless_denied<T>(wanted: bool, found: Result<Option<T>, Problem>) -> Result<Option<T>, Problem> {
    match found {
        Err(problem) if !wanted && problem.is_denial() => Ok(None),
        found => found,
    }
}

/// Where the two queues are, by their names: wanted or not, for what is not wanted any more must go.
pub(super) async fn find_queues(clients: &Clients, want: &Want) -> Result<Queues<String>, Problem> {
    let find = async |kind: QueueKind| {
        let found = find_queue_url(clients, want.delivery.name(kind)).await;
        unless_denied(want.delivery.dead_letters, found)
    };
    let (images, dead_letters) = tokio::try_join!(find(QueueKind::Images), find(QueueKind::DeadLetters))?;
    Ok(Queues { images, dead_letters })
}

/// A queue's URL, by which SQS knows it.
pub(crate) async fn find_queue_url(clients: &Clients, name: &str) -> Result<Option<String>, Problem> {
    let answer = clients.sqs.get_queue_url().queue_name(name).send().await;
    Ok(none_if("GetQueueUrl", &NO_QUEUE, answer)?.and_then(|found| found.queue_url))
}

pub(super) async fn read_queues(clients: &Clients, urls: Queues<String>) -> Result<Queues<LiveQueue>, Problem> {
    let (images, dead_letters) =
        tokio::try_join!(read_queue(clients, urls.images), read_queue(clients, urls.dead_letters))?;
    Ok(Queues { images, dead_letters })
}

async fn read_queue(clients: &Clients, url: Option<String>) -> Result<Option<LiveQueue>, Problem> {
    let Some(url) = url else { return Ok(None) };
    let (attributes, tags) = tokio::try_join!(read_attributes(clients, &url), read_queue_tags(clients, &url))?;
    Ok(attributes.zip(tags).map(|(attributes, tags)| LiveQueue { url, tags, attributes }))
}

async fn read_attributes(clients: &Clients, url: &str) -> Result<Option<BTreeMap<String, String>>, Problem> {
    let get = clients.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let found = none_if("GetQueueAttributes", &NO_QUEUE, get.send().await)?;
    Ok(found.map(|found| to_text(found.attributes.unwrap_or_default())))
}

fn to_text(attributes: HashMap<QueueAttributeName, String>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
}

/// How many messages a queue holds; `None` where there is no such queue.
pub(crate) async fn read_counts(clients: &Clients, url: &str) -> Result<Option<Counts>, Problem> {
    let attributes = read_attributes(clients, url).await?;
    Ok(attributes.map(|attributes| LiveQueue { url: url.to_owned(), tags: BTreeMap::new(), attributes }.counts()))
}

pub(crate) async fn read_queue_tags(clients: &Clients, url: &str) -> Result<Option<BTreeMap<String, String>>, Problem> {
    let answer = clients.sqs.list_queue_tags().queue_url(url).send().await;
    let found = none_if("ListQueueTags", &NO_QUEUE, answer)?;
    Ok(found.map(|found| found.tags.unwrap_or_default().into_iter().collect()))
}

/// The mapping from our queue to our function, whether the function is still there or not.
pub(super) async fn read_mapping(
    clients: &Clients,
    want: &Want,
    place: &Place,
    has_queue: bool,
) -> Result<Option<LiveMapping>, Problem> {
    if !has_queue && !want.delivery.queue {
        return Ok(None);
    }
    let queue = want.queue_arn(place, QueueKind::Images);
    let list = clients.lambda.list_event_source_mappings().event_source_arn(queue);
    let found = list.into_paginator().items().send().try_collect().await;
    let found: Option<Vec<EventSourceMappingConfiguration>> =
        none_if("ListEventSourceMappings", &["ResourceNotFoundException"], found)?;
    let function = want.function_arn(place);
    let ours = |it: &EventSourceMappingConfiguration| it.function_arn().is_some_and(|arn| arn == function);
    Ok(found.unwrap_or_default().into_iter().find(ours).map(to_mapping))
}

fn to_mapping(found: EventSourceMappingConfiguration) -> LiveMapping {
    LiveMapping {
        reports_failures: found.function_response_types().contains(&FunctionResponseType::ReportBatchItemFailures),
        most_at_once: found.scaling_config().and_then(ScalingConfig::maximum_concurrency),
        batch_size: found.batch_size.unwrap_or_default(),
        uuid: found.uuid.unwrap_or_default(),
        state: found.state.unwrap_or_default(),
    }
}

/// Only asked for where a dead-letter queue is there or wanted: nothing else of it is our business.
pub(super) async fn read_invoke(
    clients: &Clients,
    want: &Want,
    has_dead_letters: bool,
) -> Result<Option<LiveInvoke>, Problem> {
    if !has_dead_letters && !want.delivery.dead_letters {
        return Ok(None);
    }
    let answer = clients.lambda.get_function_event_invoke_config().function_name(&want.function.name).send().await;
    let found = none_if("GetFunctionEventInvokeConfig", &["ResourceNotFoundException"], answer)?;
    Ok(found.map(|found| {
        let destination = found.destination_config.and_then(|config| config.on_failure);
        LiveInvoke {
            on_failure: destination.and_then(|destination| destination.destination),
            retries: found.maximum_retry_attempts,
            most_seconds: found.maximum_event_age_in_seconds,
        }
    }))
}

/// The account's room, where lab.toml bounds the function. `None` also where it cannot be known: then the bound is not
/// reserved, and that is told.
pub(super) async fn read_room(clients: &Clients, want: &Want) -> Result<Option<Room>, Problem> {
    if want.delivery.concurrency.is_none() {
        return Ok(None);
    }
    let answer = clients.lambda.get_account_settings().send().await;
    let found = match answer.map_err(|error| explain("GetAccountSettings", &error)) {
        Err(problem) if !problem.is_about_credentials() => None,
        answer => Some(answer?),
    };
    Ok(found.and_then(|found| found.account_limit).map(|limit| Room {
        limit: limit.concurrent_executions,
        unreserved: limit.unreserved_concurrent_executions.unwrap_or(limit.concurrent_executions),
    }))
}
