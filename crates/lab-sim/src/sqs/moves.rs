//! Moving the messages of a dead-letter queue back (`StartMessageMoveTask`), which moto does not do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Message, QueueRef};
use crate::call::{Answer, Call, answer};
use crate::classify::Protocol;
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, lock};

const JSON: &str = "application/x-amz-json-1.0";

/// How many tasks of a queue SQS remembers (API reference, `ListMessageMoveTasks`).
const REMEMBERED: usize = 10;

/// The messages that are on their way, and those that were.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    tasks: Mutex<Vec<Arc<Task>>>,
}

#[derive(Debug)]
struct Task {
    handle: String,
    source: QueueRef,
    /// As the request named it; without one, messages go back to where they came from.
    destination: Option<QueueRef>,
    /// Messages in a second of AWS's time.
    rate: Option<u64>,
    started: i64,
    to_move: u64,
    moved: AtomicU64,
    cancelled: AtomicBool,
    /// It has met a letter of which SQS does not know where it came from.
    failed: AtomicBool,
    over: AtomicBool,
}

impl Moves {
    /// Forgets all tasks; those under way end.
    pub(crate) fn reset(&self) {
        for task in std::mem::take(&mut *lock(&self.tasks)) {
            task.cancelled.store(true, Ordering::SeqCst);
        }
    }

    /// The tasks of a queue, the newest first.
    fn of(&self, source: &QueueRef) -> Vec<Arc<Task>> {
        lock(&self.tasks).iter().rev().filter(|task| task.source == *source).cloned().collect()
    }
}

/// Answers a call about tasks.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    let request = call.json();
    let result = match call.class.action.as_str() {
        "StartMessageMoveTask" => start(sim, &request).await,
        "ListMessageMoveTasks" => list(sim, &request).await,
        _ => cancel(sim, &request),
    };
    match result {
        Ok(body) => answer(200, JSON, body.to_string()),
        Err(error) => error.to_answer(Protocol::Json),
    }
}

/// The queue of an ARN in the request, with its attributes.
async fn find_queue(sim: &Sim, arn: &Value) -> Result<(QueueRef, Value), ServiceError> {
    let queue = arn.as_str().and_then(QueueRef::from_arn).ok_or_else(|| {
        ServiceError::new(400, "InvalidParameterValue", "You must use this format to specify the ARN of a queue.")
    })?;
    let attributes = queue.attributes(sim).await.ok_or_else(|| {
        ServiceError::new(400, "ResourceNotFoundException", "The resource that you specified doesn't exist.")
    })?;
    Ok((queue, attributes))
}

async fn start(sim: &Arc<Sim>, request: &Value) -> Result<Value, ServiceError> {
    let (source, attributes) = find_queue(sim, &request["SourceArn"]).await?;
    let destination = match &request["DestinationArn"] {
        Value::Null => None,
        arn => Some(find_queue(sim, arn).await?.0),
    };
    let senders = source.dead_letter_sources(sim).await;
    let Some(sender) = senders.first() else {
        let message = "Source queue must be configured as a Dead Letter Queue.";
        return Err(ServiceError::new(400, "InvalidParameterValue", message));
    };
    if sim.sqs.moves.of(&source).iter().any(|task| !task.over.load(Ordering::SeqCst)) {
        let message =
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
        return Err(ServiceError::new(400, "AWS.SimpleQueueService.UnsupportedOperation", message));
    }
    let to_move = attributes["ApproximateNumberOfMessages"].as_str().and_then(|number| number.parse().ok());
    let target = destination.clone().unwrap_or_else(|| sender.clone());
    let task = Arc::new(Task {
        handle: uuid::Uuid::new_v4().to_string(),
        source,
        destination,
        rate: request["MaxNumberOfMessagesPerSecond"].as_u64().filter(|rate| *rate > 0),
        started: jiff::Timestamp::now().as_millisecond(),
        to_move: to_move.unwrap_or(0),
        moved: AtomicU64::new(0),
        cancelled: AtomicBool::new(false),
        failed: AtomicBool::new(false),
        over: AtomicBool::new(false),
    });
    lock(&sim.sqs.moves.tasks).push(Arc::clone(&task));
    let handle = task.handle.clone();
    let sim = Arc::clone(sim);
    tokio::spawn(async move { move_all(&sim, &task, &target).await });
    Ok(json!({ "TaskHandle": handle }))
}

/// Moves what is visible, until nothing is or somebody cancels. Without a destination it ends at the first letter that was
/// sent here by itself: nobody knows where that came from (SQS developer guide, "Troubleshoot dead-letter queue and DLQ
/// redrive issues").
async fn move_all(sim: &Sim, task: &Task, target: &QueueRef) {
    let is_stranger = |message: &Message| task.destination.is_none() && sim.sqs.is_stranger(&message.id);
    let handles = |messages: &[Message]| messages.iter().map(|message| message.handle.clone()).collect::<Vec<String>>();
    while !task.cancelled.load(Ordering::SeqCst) && !task.failed.load(Ordering::SeqCst) {
        let mut messages = task.source.receive(sim, usize::MAX).await;
        if messages.is_empty() {
            break;
        }
        if let Some(first) = messages.iter().position(is_stranger) {
            task.failed.store(true, Ordering::SeqCst);
            let stay = messages.split_off(first);
            task.source.show_again(sim, &handles(&stay)).await;
        }
        for message in &messages {
            target.forward(sim, message).await;
        }
        task.source.delete(sim, &handles(&messages)).await;
        task.moved.fetch_add(messages.len() as u64, Ordering::SeqCst);
        if let Some(rate) = task.rate {
            let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(sim.times.aws_seconds(1) * count / u32::try_from(rate).unwrap_or(u32::MAX)).await;
        }
    }
    task.over.store(true, Ordering::SeqCst);
}

async fn list(sim: &Arc<Sim>, request: &Value) -> Result<Value, ServiceError> {
    let (source, _) = find_queue(sim, &request["SourceArn"]).await?;
    let most = request["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
    let tasks = sim.sqs.moves.of(&source);
    let shown: Vec<Value> = tasks.iter().take(most.clamp(1, REMEMBERED)).map(|task| task.to_json()).collect();
    Ok(json!({ "Results": shown }))
}

fn cancel(sim: &Sim, request: &Value) -> Result<Value, ServiceError> {
    let handle = request["TaskHandle"].as_str().unwrap_or_default();
    let task = lock(&sim.sqs.moves.tasks).iter().find(|task| task.handle == handle).cloned();
    let task = task
        .filter(|task| !task.over.load(Ordering::SeqCst))
        .ok_or_else(|| ServiceError::new(400, "ResourceNotFoundException", "Task does not exist or is not running."))?;
    task.cancelled.store(true, Ordering::SeqCst);
    Ok(json!({ "ApproximateNumberOfMessagesMoved": task.moved.load(Ordering::SeqCst) }))
}

impl Task {
    fn to_json(&self) -> Value {
        let (cancelled, over) = (self.cancelled.load(Ordering::SeqCst), self.over.load(Ordering::SeqCst));
        let failed = self.failed.load(Ordering::SeqCst);
        let status = match (cancelled, over) {
            (_, true) if failed => "FAILED",
            (false, false) => "RUNNING",
            (false, true) => "COMPLETED",
            (true, false) => "CANCELLING",
            (true, true) => "CANCELLED",
        };
        let mut shown = json!({
            "Status": status,
            "SourceArn": self.source.arn(),
            "ApproximateNumberOfMessagesMoved": self.moved.load(Ordering::SeqCst),
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started,
        });
        if let Some(destination) = &self.destination {
            shown["DestinationArn"] = json!(destination.arn());
        }
        if let Some(rate) = self.rate {
            shown["MaxNumberOfMessagesPerSecond"] = json!(rate);
        }
        if status == "FAILED" {
            shown["FailureReason"] = json!("CouldNotDetermineMessageSource");
        }
        // A handle is good for cancelling only.
        if status == "RUNNING" {
            shown["TaskHandle"] = json!(self.handle);
        }
        shown
    }
}
