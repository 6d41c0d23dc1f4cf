//! The calls that take dead letters, and bring them where they belong.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, ListMessageMoveTasksResultEntry, Message};
use futures::future::try_join_all;
use lab_common::explain;
use lab_plan::{Line, Pace, Problem, Stop, wait_for};

use super::Redriven;
use super::letter::{Letter, Origin};
use crate::clients::Clients;
use crate::error::has_any;
use crate::queue::show_count;

/// As many messages as SQS takes and gives in one call.
const BATCH: i32 = 10;
/// How long a letter that is looked at is hidden from others, in seconds.
const HIDDEN: i32 = 300;
/// How long SQS may take to move everything. It moves up to 500 a second.
const MOVING: Pace = Pace { deadline: Duration::from_hours(1), ..Pace::MINUTES };

/// The queue of dead letters, and where they may go.
pub(super) struct Letters<'a> {
    pub(super) clients: &'a Clients,
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    pub(super) arn: String,
    /// The URL of the queue they came from, where the lab has one.
    pub(super) source: Option<&'a str>,
    pub(super) function: &'a str,
}

impl Letters<'_> {
    /// Takes up to ten; none when there are no more.
    pub(super) async fn take(&self) -> Result<Vec<Letter>, Problem> {
        let receive = self.clients.sqs.receive_message().queue_url(self.url).max_number_of_messages(BATCH);
        // Waiting makes SQS ask all of its servers; without it, a short queue may look empty.
        let answer = receive.visibility_timeout(HIDDEN).wait_time_seconds(1).send().await;
        let messages = answer.map_err(|error| explain("ReceiveMessage", &error))?.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(read).collect())
    }

    /// Sends a letter's event into the queue, and deletes the letter.
    pub(super) async fn send(&self, letter: &Letter) -> Result<(), Problem> {
        let send = self.clients.sqs.send_message().set_queue_url(self.source.map(str::to_owned));
        let answer = send.message_body(&letter.event).send().await;
        answer.map_err(|error| explain("SendMessage", &error))?;
        self.delete(letter).await
    }

    /// Invokes the function with a letter's event, without waiting for what it does, and deletes the letter.
    pub(super) async fn invoke(&self, letter: &Letter) -> Result<(), Problem> {
        let invoke = self.clients.lambda.invoke().function_name(self.function).invocation_type(InvocationType::Event);
        let answer = invoke.payload(Blob::new(letter.event.as_bytes())).send().await;
        answer.map_err(|error| explain("Invoke", &error))?;
        self.delete(letter).await
    }

    async fn delete(&self, letter: &Letter) -> Result<(), Problem> {
        let delete = self.clients.sqs.delete_message().queue_url(self.url).receipt_handle(&letter.receipt);
        delete.send().await.map(drop).map_err(|error| explain("DeleteMessage", &error))
    }

    /// Moves the letters that came from the queue back to it: SQS does it by itself where it can, and we one by one where
    /// it cannot.
    pub(super) async fn move_back(
        &self,
        letters: Vec<Letter>,
        redriven: &mut Redriven,
        stop: &Stop,
        line: &Line,
    ) -> Result<(), Problem> {
        self.show_again(&letters).await?;
        match self.clients.sqs.start_message_move_task().source_arn(&self.arn).send().await {
            Ok(_) => {}
            // Somebody's is under way: it does what ours would.
            Err(error) if is_under_way(&error) => {}
            Err(error) if has_any(&error, &CANNOT_MOVE) => return self.move_by_hand(redriven, stop, line).await,
            Err(error) => return Err(explain("StartMessageMoveTask", &error)),
        }
        redriven.moved += self.watch_task(stop, line).await?;
        Ok(())
    }

    /// Lets others see them again, SQS's own task among them.
    async fn show_again(&self, letters: &[Letter]) -> Result<(), Problem> {
        let calls = letters.chunks(10).map(async |letters| {
            let entries = letters.iter().enumerate().map(|(n, letter)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(n.to_string()).visibility_timeout(0);
                entry.receipt_handle(&letter.receipt).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>();
            let entries = entries
                .map_err(|error| Problem::failed("a request to SQS cannot be built").because(error.to_string()))?;
            let change = self.clients.sqs.change_message_visibility_batch().queue_url(self.url);
            let answer = change.set_entries(Some(entries)).send().await;
            answer.map(drop).map_err(|error| explain("ChangeMessageVisibilityBatch", &error))
        });
        try_join_all(calls).await.map(drop)
    }

    async fn watch_task(&self, stop: &Stop, line: &Line) -> Result<u64, Problem> {
        wait_for(MOVING, stop, format!("SQS to move the letters of {}", self.name), async || {
            let list = self.clients.sqs.list_message_move_tasks().source_arn(&self.arn).max_results(1);
            let answer = list.send().await.map_err(|error| explain("ListMessageMoveTasks", &error))?;
            let Some(task) = answer.results.unwrap_or_default().into_iter().next() else { return Ok(None) };
            let moved = u64::try_from(task.approximate_number_of_messages_moved).unwrap_or_default();
            match task.status() {
                Some("COMPLETED") => Ok(Some(moved)),
                Some("RUNNING" | "CANCELLING") => {
                    line.waits_for(&show_task(&task));
                    Ok(None)
                }
                status => Err(Problem::failed(format!(
                    "SQS has not moved all letters: {}, {} moved",
                    status.unwrap_or("in no state"),
                    show_count(moved, "letter")
                ))
                .because(task.failure_reason().unwrap_or("it does not say why"))
                .fix("run the same command again")),
            }
        })
        .await
    }

    async fn move_by_hand(&self, redriven: &mut Redriven, stop: &Stop, line: &Line) -> Result<(), Problem> {
        loop {
            let letters = self.take().await?;
            if letters.is_empty() {
                return Ok(());
            }
            for letter in letters {
                if let Some(exit) = stop.asked() {
                    return Err(Stop::problem(exit));
                }
                if letter.origin == Origin::Queue {
                    self.send(&letter).await?;
                    redriven.moved += 1;
                } else {
                    self.invoke(&letter).await?;
                    redriven.invoked += 1;
                }
                line.waits_for(&format!("{} back", show_count(redriven.moved + redriven.invoked, "letter")));
            }
        }
    }
}

/// That this account, or this service that is like SQS, does not move letters by itself.
const CANNOT_MOVE: [&str; 9] = [
    "AWS.SimpleQueueService.UnsupportedOperation",
    "UnsupportedOperation",
    "ResourceNotFoundException",
    "AccessDenied",
    "AccessDeniedException",
    "InvalidAction",
    "UnknownOperationException",
    "NotImplemented",
    "InternalFailure",
];

/// Whether a task that moves this queue's messages is running already.
fn is_under_way<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    message.contains("already") && message.contains("task")
}

fn read(message: Message) -> Option<Letter> {
    Some(Letter::read(message.message_id?, message.receipt_handle?, &message.body.unwrap_or_default()))
}

fn show_task(task: &ListMessageMoveTasksResultEntry) -> String {
    let moved = task.approximate_number_of_messages_moved;
    match task.approximate_number_of_messages_to_move {
        Some(all) => format!("{moved} of about {all} moved"),
        None => format!("{moved} moved"),
    }
}
