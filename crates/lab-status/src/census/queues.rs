//! Queues, and the mappings that bring their messages to functions. A mapping belongs to its queue, and bears its label.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::FutureExt as _;
use jiff::Timestamp;
use lab_common::{explain, has_code};
use lab_plan::Problem;

use super::tagging::Hints;
use super::{Census, Reading};
use crate::thing::{Fate, Label, Thing};

/// As many queues as one call lists.
const PAGE: i32 = 1000;
/// That there is no such queue, in the words of either of SQS's protocols.
const NO_QUEUE: [&str; 2] = ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"];

impl Census<'_> {
    /// The URLs of every queue of the Region.
    pub(super) async fn list_queues(&self) -> Result<Vec<String>, Problem> {
        let pages = self.clients.sqs.list_queues().max_results(PAGE).into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("ListQueues", &error))
    }

    /// Those that may be ours, each with its tags, what it holds, and its mappings.
    pub(super) fn look_into_queues(&self, urls: Vec<String>, hints: &Hints) -> Vec<Reading<'_>> {
        let worth = |url: &String| self.scope.suspects(name_of(url)) || hints.point_at_queue(name_of(url));
        urls.into_iter().filter(worth).map(|url| self.look_into_queue(url).boxed_local()).collect()
    }

    async fn look_into_queue(&self, url: String) -> Result<Vec<Thing>, Problem> {
        let sqs = &self.clients.sqs;
        let (tags, attributes) = tokio::join!(
            sqs.list_queue_tags().queue_url(&url).send(),
            sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All).send(),
        );
        let tags = match tags {
            Ok(answer) => answer.tags.unwrap_or_default(),
            Err(error) if NO_QUEUE.iter().any(|code| has_code(&error, code)) => return Ok(Vec::new()),
            Err(error) => return Err(explain("ListQueueTags", &error)),
        };
        let label = Label::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let name = name_of(&url).to_owned();
        let has_our_name = self.scope.lab().is_some_and(|lab| lab.is_queue(&name));
        if !self.scope.claims(&label, has_our_name) {
            return Ok(Vec::new());
        }
        let attributes = match attributes {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(error) if NO_QUEUE.iter().any(|code| has_code(&error, code)) => return Ok(Vec::new()),
            Err(error) => return Err(explain("GetQueueAttributes", &error)),
        };
        let read = |name: QueueAttributeName| attributes.get(&name).map(String::as_str);
        let Some(arn) = read(QueueAttributeName::QueueArn) else { return Ok(Vec::new()) };
        let number = |name| read(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        let held = number(QueueAttributeName::ApproximateNumberOfMessages)
            + number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            + number(QueueAttributeName::ApproximateNumberOfMessagesDelayed);
        let made = i64::try_from(number(QueueAttributeName::CreatedTimestamp)).ok();
        let mut queue = Thing::new("queue", arn, label.clone()).named(name).with("messages", held);
        queue.created = made.and_then(|seconds| Timestamp::from_second(seconds).ok());
        if held > 0 {
            queue = queue.about(format!("holds {held} message{}", if held == 1 { "" } else { "s" }));
        }
        let mappings = self.list_mappings(arn, &label).await?;
        let queue = if label.is_nobodys() { queue.with("tagged", false) } else { queue };
        Ok(std::iter::once(queue).chain(mappings).collect())
    }

    /// Mappings that are pointed at: their queue may be gone, or another one than the lab's.
    pub(super) fn look_into_mappings(&self, hints: &Hints) -> Vec<Reading<'_>> {
        let named = hints.of_kind("lambda", "event-source-mapping");
        let named: BTreeMap<String, Label> = named.map(|(_, uuid, label)| (uuid.to_owned(), label.clone())).collect();
        if named.is_empty() { Vec::new() } else { vec![self.find_mappings(named).boxed_local()] }
    }

    async fn find_mappings(&self, named: BTreeMap<String, Label>) -> Result<Vec<Thing>, Problem> {
        let pages = self.clients.lambda.list_event_source_mappings().into_paginator().items().send();
        let found = pages.collect::<Result<Vec<_>, _>>().await;
        let found = found.map_err(|error| explain("ListEventSourceMappings", &error))?;
        Ok(found.iter().filter_map(|mapping| read_mapping(mapping, named.get(mapping.uuid()?)?)).collect())
    }

    async fn list_mappings(&self, queue: &str, label: &Label) -> Result<Vec<Thing>, Problem> {
        let list = self.clients.lambda.list_event_source_mappings().event_source_arn(queue);
        let found = match list.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await {
            Ok(found) => found,
            Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(Vec::new()),
            Err(error) => return Err(explain("ListEventSourceMappings", &error)),
        };
        Ok(found.iter().filter_map(|mapping| read_mapping(mapping, label)).collect())
    }
}

fn read_mapping(mapping: &EventSourceMappingConfiguration, label: &Label) -> Option<Thing> {
    let function = mapping.function_arn().and_then(|arn| arn.split(':').nth(6)).unwrap_or_default();
    let state = mapping.state().unwrap_or_default();
    let fate = if state == "Deleting" { Fate::Leaving } else { Fate::Stays };
    let label = Label { role: Some("event-source-mapping".into()), ..label.clone() };
    Some(Thing::new("event-source-mapping", mapping.uuid()?, label).named(function).state(state, fate))
}

/// The last part of a queue's URL.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}
