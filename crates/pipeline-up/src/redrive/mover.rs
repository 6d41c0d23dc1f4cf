//! The calls that take dead letters, and bring them where they belong.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::list_message_move_tasks::builders::ListMessageMoveTasksFluentBuilder;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, ListMessageMoveTasksResultEntry, Message,
};
use futures::future::try_join_all;
use lab_common::explain;
use lab_plan::{Line, Pace, Problem, Stop, find_within, wait_for};

use super::Redriven;
use super::letter::{Letter, Origin};
use crate::clients::Clients;
use crate::error::has_any;
use crate::live::read_counts;
use crate::queue::show_count;

/// As many messages as SQS takes and gives in one call.
const BATCH: i32 = 10;
/// How long a letter that is looked at is hidden from others, in seconds.
const HIDDEN: i32 = 300;
/// How long SQS may take to move everything. It moves up to 500 a second.
const MOVING: Pace = Pace { deadline: Duration::from_hours(1), ..Pace::MINUTES };

/// How long letters may be hidden from us: a queue's own visibility timeout is 30 seconds, and counts need a minute to be
/// right.
const SETTLING: Pace =
    Pace { first: Duration::from_millis(500), longest: Duration::from_secs(5), deadline: Duration::from_secs(75) };

/// The queue of dead letters, and where they may go.
pub(super) struct Letters<'a> {
    pub(super) clients: &'a Clients,
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    pub(super) arn: String,
    /// The URL of the queue they came from, where the lab has one.
    pub(super) source: Option<&'a str>,
    /// Those of asynchronous invocations go into the queue too.
    pub(super) to_source: bool,
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

    /// Brings one letter back where it belongs.
    pub(super) async fn bring_back(&self, letter: &Letter, redriven: &mut Redriven) -> Result<(), Problem> {
        if self.source.is_some() && (self.to_source || letter.origin == Origin::Queue) {
            self.send(letter).await?;
            redriven.moved += 1;
        } else {
            self.invoke(letter).await?;
            redriven.invoked += 1;
        }
        Ok(())
    }

    /// Sends a letter's event into the queue, and deletes the letter.
    async fn send(&self, letter: &Letter) -> Result<(), Problem> {
        let send = self.clients.sqs.send_message().set_queue_url(self.source.map(str::to_owned));
        let answer = send.message_body(&letter.event).send().await;
        answer.map_err(|error| explain("SendMessage", &error))?;
        self.delete(letter).await
    }

    /// Invokes the function with a letter's event, without waiting for what it does, and deletes the letter.
    async fn invoke(&self, letter: &Letter) -> Result<(), Problem> {
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
        let counted = letters.into_iter().map(|letter| letter.id).collect();
        let Some(begun) = self.start_task().await? else {
            return self.move_by_hand(&counted, redriven, stop, line).await;
        };
        let task = self.watch_task(begun, stop, line).await?;
        redriven.moved += task.moved;
        match task.end {
            End::Moved => Ok(()),
            End::NoSource => self.move_by_hand(&counted, redriven, stop, line).await,
            End::Failed(problem) => Err(problem),
        }
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
            let answer = answer.map_err(|error| explain("ChangeMessageVisibilityBatch", &error))?;
            // The call succeeds also where single letters stay hidden: SQS's task would pass them by.
            Ok(answer.failed.into_iter().filter(|failed| !is_shown(failed)).collect::<Vec<_>>())
        });
        let hidden = try_join_all(calls).await?.concat();
        let Some(first) = hidden.first() else { return Ok(()) };
        let what = format!("SQS still hides {} of {}", show_count(hidden.len() as u64, "letter"), self.name);
        Err(Problem::failed(what)
            .because(format!("ChangeMessageVisibilityBatch: {}: {}", first.code(), first.message().unwrap_or_default()))
            .fix(SHOWN_BY_THEN))
    }

    /// Lets SQS move them by itself; answers which task does. `None` where it cannot.
    async fn start_task(&self) -> Result<Option<Begun>, Problem> {
        let last = match self.list_last_task().send().await {
            Ok(list) => list.results.unwrap_or_default().into_iter().next(),
            Err(error) if has_any(&error, &CANNOT_MOVE) => return Ok(None),
            Err(error) => return Err(explain("ListMessageMoveTasks", &error)),
        };
        let is_running = last.as_ref().is_some_and(is_running);
        let last = last.map_or(i64::MIN, |task| task.started_timestamp);
        match self.clients.sqs.start_message_move_task().source_arn(&self.arn).send().await {
            Ok(_) => Ok(Some(Begun::After(last))),
            // Somebody's is under way: it does what ours would.
            Err(error) if is_under_way(&error) && is_running => Ok(Some(Begun::At(last))),
            Err(error) if is_under_way(&error) => Ok(Some(Begun::After(last))),
            Err(error) if has_any(&error, &CANNOT_MOVE) => Ok(None),
            Err(error) => Err(explain("StartMessageMoveTask", &error)),
        }
    }

    /// SQS remembers ten tasks of a queue; the newest comes first.
    fn list_last_task(&self) -> ListMessageMoveTasksFluentBuilder {
        self.clients.sqs.list_message_move_tasks().source_arn(&self.arn).max_results(1)
    }

    async fn watch_task(&self, begun: Begun, stop: &Stop, line: &Line) -> Result<Task, Problem> {
        wait_for(MOVING, stop, format!("SQS to move the letters of {}", self.name), async || {
            let answer = self.list_last_task().send().await;
            let answer = answer.map_err(|error| explain("ListMessageMoveTasks", &error))?;
            let tasks = answer.results.unwrap_or_default().into_iter();
            let Some(task) = tasks.take(1).find(|task| begun.includes(task)) else { return Ok(None) };
            if is_running(&task) {
                line.waits_for(&show_task(&task));
                return Ok(None);
            }
            Ok(Some(Task::read(&task)))
        })
        .await
    }

    /// Takes all letters there are, and brings each back. Those whose ids are `counted` were looked at before.
    ///
    /// # Errors
    /// When letters are left that are hidden from us: by somebody who looks at them, or by a task that has failed.
    async fn move_by_hand(
        &self,
        counted: &HashSet<String>,
        redriven: &mut Redriven,
        stop: &Stop,
        line: &Line,
    ) -> Result<(), Problem> {
        let look = async || {
            while let Some(letters) = Some(self.take().await?).filter(|letters| !letters.is_empty()) {
                for letter in letters {
                    if let Some(exit) = stop.asked() {
                        return Err(Stop::problem(exit));
                    }
                    if !counted.contains(&letter.id) {
                        redriven.count(&letter);
                    }
                    self.bring_back(&letter, redriven).await?;
                    line.waits_for(&format!("{} back", show_count(redriven.moved + redriven.invoked, "letter")));
                }
            }
            let left = read_counts(self.clients, self.url).await?.unwrap_or_default().all();
            line.waits_for(&format!("{} that somebody else has taken", show_count(left, "letter")));
            Ok((left == 0).then_some(()))
        };
        if find_within(SETTLING, stop, look).await?.is_some() {
            return Ok(());
        }
        Err(Problem::failed(format!("letters are left in {} that nobody shows us", self.name))
            .because("somebody else looks at them, or SQS's own task had taken them before it failed")
            .fix(SHOWN_BY_THEN))
    }
}

/// What to do about letters that SQS hides.
const SHOWN_BY_THEN: &str = "run the same command again in 5 minutes: they are shown again by then";

/// Which task is meant, by when it began, in SQS's time: SQS tells a task's handle only while it runs, and an older one may
/// be shown until ours is.
#[derive(Debug, Clone, Copy)]
enum Begun {
    After(i64),
    At(i64),
}

impl Begun {
    fn includes(self, task: &ListMessageMoveTasksResultEntry) -> bool {
        match self {
            Self::After(last) => task.started_timestamp > last,
            Self::At(then) => task.started_timestamp >= then,
        }
    }
}

fn is_running(task: &ListMessageMoveTasksResultEntry) -> bool {
    matches!(task.status(), Some("RUNNING" | "CANCELLING"))
}

/// Whether a letter whose visibility could not be changed is visible already, or gone: what SQS says of a receipt that has
/// served its time.
fn is_shown(failed: &BatchResultErrorEntry) -> bool {
    let (code, message) = (failed.code(), failed.message().unwrap_or_default());
    code.ends_with("MessageNotInflight")
        || code.ends_with("ReceiptHandleIsInvalid")
        || message.contains("not available for visibility timeout change")
}

/// A task of SQS's that is over.
struct Task {
    /// Letters that it has moved, about.
    moved: u64,
    end: End,
}

enum End {
    Moved,
    /// It has met a letter that no redrive policy had brought: such a letter has no queue to go back to by itself.
    NoSource,
    Failed(Problem),
}

/// Why a task fails that meets a letter from `SendMessage`, or from a function's failures (SQS developer guide,
/// "Troubleshoot dead-letter queue and DLQ redrive issues").
const NO_SOURCE: &str = "CouldNotDetermineMessageSource";

impl Task {
    fn read(task: &ListMessageMoveTasksResultEntry) -> Self {
        let moved = u64::try_from(task.approximate_number_of_messages_moved).unwrap_or_default();
        let end = match (task.status(), task.failure_reason()) {
            (Some("COMPLETED"), _) => End::Moved,
            (_, Some(reason)) if reason.contains(NO_SOURCE) => End::NoSource,
            (status, reason) => End::Failed(
                Problem::failed(format!(
                    "SQS has not moved all letters: {}, {} moved",
                    status.unwrap_or("in no state"),
                    show_count(moved, "letter")
                ))
                .because(reason.unwrap_or("it does not say why"))
                .fix("run the same command again"),
            ),
        };
        Self { moved, end }
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

#[cfg(test)]
mod tests;
