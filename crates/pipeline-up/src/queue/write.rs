//! Writing the queues.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;
use lab_common::explain;
use lab_plan::{Context, Pace, Problem, Stop, retry_while, wait_for};

use super::{show_count, taken};
use crate::clients::Clients;
use crate::error::{has_any, none_if};
use crate::live::{Claim, Counts, NO_QUEUE, find_claim, find_queue_url, read_counts, read_queue_tags};
use crate::plan::QueueParts;
use crate::want::{QueueKind, Want};

/// How long a queue must have been empty before it goes. S3 goes on telling it for some moments after it was told
/// otherwise, and what SQS counts is a moment old too ("eventual consistency within about 1 minute").
const QUIET: Duration = Duration::from_secs(30);
/// How long the function may take to empty the queue.
const DRAINING: Duration = Duration::from_mins(15);

/// Makes a queue. Its name is its identity: to make it again with the same attributes answers the one that is there.
pub(crate) async fn create(
    clients: &Clients,
    want: &Want,
    kind: QueueKind,
    parts: &QueueParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let name = want.delivery.name(kind);
    let tags: HashMap<_, _> = parts.tags.clone().into_iter().flatten().collect();
    let create = clients.sqs.create_queue().queue_name(name);
    let create = create.set_attributes(Some(to_attributes(&parts.attributes))).set_tags(Some(tags));
    match retry_while(Pace::SPREAD, stop, is_name_or_target_unsettled, async || create.clone().send().await).await {
        Ok(made) => Ok(made.queue_url.unwrap_or_else(|| name.to_owned())),
        // Another run was faster, with other attributes.
        Err(error) if has_any(&error, &["QueueAlreadyExists", "QueueNameExists"]) => {
            let url = require_ours(clients, want, name).await?;
            write(clients, &url, parts, stop).await?;
            Ok(url)
        }
        Err(error) => Err(explain("CreateQueue", &error)),
    }
}

/// Whether a queue of this name was deleted a moment ago (SQS wants 60 s between), or its dead letters' queue is so new
/// that SQS does not see it.
fn is_name_or_target_unsettled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    has_any(error, &["AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"])
        || message.contains("Dead letter target does not exist")
}

async fn require_ours(clients: &Clients, want: &Want, name: &str) -> Result<String, Problem> {
    let Some(url) = find_queue_url(clients, name).await? else {
        return Err(
            Problem::failed(format!("the queue {name} is there, and then it is not")).fix("run the same command again")
        );
    };
    let tags = read_queue_tags(clients, &url).await?.unwrap_or_default();
    if find_claim(&want.tags, &tags) == Claim::Ours { Ok(url) } else { Err(taken(name)) }
}

/// Writes the attributes and tags that differ.
pub(crate) async fn set(
    clients: &Clients,
    want: &Want,
    kind: QueueKind,
    parts: &QueueParts,
    stop: &Stop,
) -> Result<String, Problem> {
    let name = want.delivery.name(kind);
    let Some(url) = find_queue_url(clients, name).await? else {
        return Err(Problem::failed(format!("the queue {name} is gone")).fix("run the same command again"));
    };
    write(clients, &url, parts, stop).await?;
    Ok(url)
}

async fn write(clients: &Clients, url: &str, parts: &QueueParts, stop: &Stop) -> Result<(), Problem> {
    if !parts.attributes.is_empty() {
        let attributes = to_attributes(&parts.attributes);
        let set = clients.sqs.set_queue_attributes().queue_url(url).set_attributes(Some(attributes));
        let answer = retry_while(Pace::SPREAD, stop, is_name_or_target_unsettled, async || set.clone().send().await);
        answer.await.map_err(|error| explain("SetQueueAttributes", &error))?;
    }
    if let Some(tags) = &parts.tags {
        let tags = tags.clone().into_iter().collect();
        let tag = clients.sqs.tag_queue().queue_url(url).set_tags(Some(tags));
        tag.send().await.map_err(|error| explain("TagQueue", &error))?;
    }
    Ok(())
}

fn to_attributes(attributes: &BTreeMap<&'static str, String>) -> HashMap<QueueAttributeName, String> {
    attributes.iter().map(|(name, value)| (QueueAttributeName::from(*name), value.clone())).collect()
}

/// Deletes a queue with everything in it.
pub(crate) async fn delete(clients: &Clients, want: &Want, kind: QueueKind) -> Result<String, Problem> {
    let name = want.delivery.name(kind);
    if let Some(url) = find_queue_url(clients, name).await? {
        none_if("DeleteQueue", &NO_QUEUE, clients.sqs.delete_queue().queue_url(url).send().await)?;
    }
    Ok(name.to_owned())
}

/// Waits until the function has emptied the queue of images, and nothing comes any more.
///
/// # Errors
/// When it does not within a quarter of an hour: its events would be lost with it.
pub(crate) async fn drain(clients: &Clients, want: &Want, context: Context<'_>) -> Result<(), Problem> {
    let name = want.delivery.name(QueueKind::Images);
    let Some(url) = find_queue_url(clients, name).await? else { return Ok(()) };
    let mut empty_since = None;
    let mut last = Counts::default();
    let look = async || {
        let Some(counts) = read_counts(clients, &url).await? else { return Ok(Some(())) };
        last = counts;
        if counts.all() > 0 {
            empty_since = None;
            context.line.waits_for(&format!("{} left in it", show_count(counts.all(), "message")));
            return Ok(None);
        }
        context.line.waits_for("it is empty; S3 may still tell it something");
        let since = *empty_since.get_or_insert_with(tokio::time::Instant::now);
        Ok((since.elapsed() >= QUIET).then_some(()))
    };
    let pace = Pace { deadline: DRAINING, ..Pace::MINUTES };
    let waited = wait_for(pace, context.stop, format!("{name} to be empty"), look).await;
    waited.map_err(|problem| {
        if last.all() == 0 {
            return problem;
        }
        Problem::failed(format!("{name} still holds {}", show_count(last.all(), "message")))
            .because(problem.to_string())
            .fix("look at the function's log for why (pipeline-up status names it), then run the same command again")
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::Client;
    use aws_sdk_sqs::operation::create_queue::CreateQueueOutput;
    use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesOutput;
    use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlOutput;
    use aws_smithy_mocks::{Rule, mock};
    use lab_plan::{Ids, Progress};
    use tokio::time::Instant;

    use super::*;
    use crate::testing::{refuse_json, sqs_clients};
    use crate::want::sample;

    fn url() -> Rule {
        mock!(Client::get_queue_url).then_output(|| GetQueueUrlOutput::builder().queue_url("url").build())
    }

    fn parts() -> QueueParts {
        QueueParts { attributes: BTreeMap::from([("VisibilityTimeout", "360".into())]), tags: Some(BTreeMap::new()) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_was_deleted_just_now_is_waited_for() {
        let (want, _) = sample(|_| ());
        let create = mock!(Client::create_queue)
            .match_requests(|create| create.queue_name() == Some("lab-image-queue-ada"))
            .sequence()
            .http_response(|| refuse_json(400, "QueueDeletedRecently", "You must wait 60 seconds"))
            .times(20)
            .output(|| CreateQueueOutput::builder().queue_url("url").build())
            .build();
        let clients = sqs_clients(&[&create]);
        let made = create_it(&clients, &want).await;
        assert_eq!((made.as_deref(), create.num_calls()), (Ok("url"), 21));
    }

    async fn create_it(clients: &Clients, want: &Want) -> Result<String, Problem> {
        create(clients, want, QueueKind::Images, &parts(), &Stop::new()).await
    }

    #[tokio::test(start_paused = true)]
    async fn any_other_refusal_of_a_queue_is_final() {
        let (want, _) = sample(|_| ());
        let create = mock!(Client::create_queue)
            .then_http_response(|| refuse_json(400, "InvalidAttributeValue", "Invalid value for VisibilityTimeout"));
        let clients = sqs_clients(&[&create]);
        let refused = create_it(&clients, &want).await.unwrap_err();
        assert!(refused.to_string().contains("InvalidAttributeValue"), "{refused}");
        assert_eq!(create.num_calls(), 1);
    }

    fn counts(visible: &'static str) -> GetQueueAttributesOutput {
        GetQueueAttributesOutput::builder()
            .attributes(QueueAttributeName::ApproximateNumberOfMessages, visible)
            .attributes(QueueAttributeName::ApproximateNumberOfMessagesNotVisible, "0")
            .build()
    }

    async fn drain_it(clients: &Clients) -> Result<(), Problem> {
        let (want, _) = sample(|_| ());
        let (ids, stop, progress) = (Ids::new(), Stop::new(), Progress::silent());
        let line = progress.begin("delete", "");
        drain(clients, &want, Context { ids: &ids, stop: &stop, line: &line }).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_drained_when_it_has_been_empty_for_half_a_minute() {
        let looks = mock!(Client::get_queue_attributes)
            .sequence()
            .output(|| counts("3"))
            .times(2)
            .output(|| counts("0"))
            .repeatedly()
            .build();
        let start = Instant::now();
        assert_eq!(drain_it(&sqs_clients(&[&url(), &looks])).await, Ok(()));
        let took = start.elapsed().as_secs();
        assert!((30..45).contains(&took), "{took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_nobody_empties_is_not_given_up() {
        let looks = mock!(Client::get_queue_attributes).then_output(|| counts("7"));
        let problem = drain_it(&sqs_clients(&[&url(), &looks])).await.unwrap_err();
        assert!(problem.what().contains("lab-image-queue-ada still holds 7 messages"), "{problem}");
    }
}
