//! SQS: moto keeps the queues. Its queues lose messages when two calls change them at once, so it gets one call at a
//! time, and waiting for a message happens here instead of there.

mod moves;
mod queue;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::call::{Answer, Call};
use crate::classify::Protocol;
use crate::faults::answers::ServiceError;
use crate::form::Form;
use crate::sim::{Sim, lock};

use moves::Moves;
pub(crate) use queue::{Message, QueueRef};

/// How often an empty queue is looked at: what moto moves by itself (a visibility timeout that is over, a topic's message)
/// makes no noise.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The longest wait that SQS allows, in seconds (API reference, `ReceiveMessage`).
const LONGEST_WAIT: u64 = 20;

/// What lab-sim adds to the queues.
#[derive(Debug, Default)]
pub(crate) struct SqsOverlay {
    /// Some queue has got a message, or shows one again.
    changed: Notify,
    moves: Moves,
    /// Each queue's `RedriveAllowPolicy`, by Region and name.
    allowed: Mutex<HashMap<(String, String), String>>,
    /// Queues that another's redrive policy has named, by Region and name.
    dead_letters: Mutex<HashSet<(String, String)>>,
    /// The ids of messages that somebody sent into one of those by itself.
    strangers: Mutex<HashSet<String>>,
    /// When queues were deleted, by Region and name.
    deleted: Mutex<HashMap<(String, String), Instant>>,
}

impl SqsOverlay {
    /// Forgets what is being moved.
    pub(crate) fn reset(&self) {
        self.moves.reset();
        lock(&self.deleted).clear();
        lock(&self.allowed).clear();
        lock(&self.dead_letters).clear();
        lock(&self.strangers).clear();
    }

    /// Whether this message was sent into a queue of dead letters, and not moved there by a redrive policy.
    fn is_stranger(&self, id: &str) -> bool {
        lock(&self.strangers).contains(id)
    }

    /// Remembers the messages of an answer to `SendMessage` or `SendMessageBatch`, where they are strangers.
    fn note_sent(&self, queue: &QueueRef, answer: &Value) {
        if !lock(&self.dead_letters).contains(&queue.place()) {
            return;
        }
        let sent = answer["Successful"].as_array().into_iter().flatten().chain([answer]);
        let ids = sent.filter_map(|sent| sent["MessageId"].as_str().map(str::to_owned));
        lock(&self.strangers).extend(ids);
    }

    /// Remembers the queue of dead letters that a queue's attributes name.
    fn note_dead_letters(&self, attributes: &Value) {
        let policy = attributes["RedrivePolicy"].as_str().and_then(|policy| serde_json::from_str::<Value>(policy).ok());
        let target = policy.as_ref().and_then(|policy| policy["deadLetterTargetArn"].as_str());
        lock(&self.dead_letters).extend(target.and_then(QueueRef::from_arn).map(|queue| queue.place()));
    }

    /// Some queue has got a message.
    pub(crate) fn tell(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until a queue may have got a message, or for `at_most`.
    pub(crate) async fn wait_for_change(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most.min(LOOK_AGAIN), self.changed.notified()).await;
    }
}

/// Answers a call to SQS.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    if call.class.action == "ReceiveMessage" {
        return receive(sim, call).await;
    }
    if call.class.action.contains("MessageMoveTask") && call.class.protocol == Protocol::Json {
        return moves::answer_call(sim, call).await;
    }
    if let Some(refusal) = refuse_recently_deleted(sim, call) {
        return refusal;
    }
    let answer = sim.moto.forward(call).await;
    sim.sqs.tell();
    if !answer.status().is_success() {
        return answer;
    }
    let Some(queue) = named_queue(call) else { return answer };
    let place = queue.place();
    match call.class.action.as_str() {
        "DeleteQueue" => {
            lock(&sim.sqs.allowed).remove(&place);
            lock(&sim.sqs.deleted).insert(place, sim.times.now());
        }
        "SendMessage" | "SendMessageBatch" => {
            sim.sqs.note_sent(&queue, &serde_json::from_slice(answer.body()).unwrap_or_default());
        }
        "CreateQueue" | "SetQueueAttributes" => {
            sim.sqs.note_dead_letters(&call.json()["Attributes"]);
            if let Some(policy) = call.json()["Attributes"][REDRIVE_ALLOW].as_str() {
                lock(&sim.sqs.allowed).insert(place, policy.to_owned());
            }
        }
        "GetQueueAttributes" => {
            let policy = lock(&sim.sqs.allowed).get(&place).cloned().unwrap_or_default();
            return complete_attributes(&call.json()["AttributeNames"], &policy, answer);
        }
        _ => {}
    }
    answer
}

/// Which queues may send their dead letters to a queue: moto takes it and does not show it.
const REDRIVE_ALLOW: &str = "RedriveAllowPolicy";

/// The queue that a call is about.
fn named_queue(call: &Call) -> Option<QueueRef> {
    let region = &call.class.region;
    let by_url = read(call, "QueueUrl").and_then(|url| QueueRef::from_url(&url, region));
    by_url.or_else(|| QueueRef::from_url(&format!("/{}", read(call, "QueueName")?), region))
}

/// Adds what moto does not show, and writes times as SQS does: in whole seconds.
fn complete_attributes(wanted: &Value, policy: &str, answer: Answer) -> Answer {
    let Ok(mut body) = serde_json::from_slice::<Value>(answer.body()) else { return answer };
    let wants = |name: &str| wanted.as_array().is_some_and(|names| names.iter().any(|it| it == name || it == "All"));
    if wants(REDRIVE_ALLOW) && !policy.is_empty() {
        body["Attributes"][REDRIVE_ALLOW] = json!(policy);
    }
    for name in ["CreatedTimestamp", "LastModifiedTimestamp"] {
        let whole = body["Attributes"][name].as_str().and_then(|time| time.split('.').next()).map(str::to_owned);
        if let Some(whole) = whole {
            body["Attributes"][name] = json!(whole);
        }
    }
    let mut answer = answer.map(|_| Bytes::from(body.to_string()));
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer
}

/// A text in a call, whichever protocol it came in.
fn read(call: &Call, name: &str) -> Option<String> {
    call.json()[name].as_str().or_else(|| call.param(name)).map(str::to_owned)
}

/// The name of a deleted queue is free again after a minute.
fn refuse_recently_deleted(sim: &Sim, call: &Call) -> Option<Answer> {
    let name = read(call, "QueueName").filter(|_| call.class.action == "CreateQueue")?;
    let deleted = lock(&sim.sqs.deleted).get(&(call.class.region.clone(), name)).copied()?;
    if sim.times.since(deleted) >= sim.times.queue_name_free() {
        return None;
    }
    let message = "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
    let code = "AWS.SimpleQueueService.QueueDeletedRecently";
    let mut answer = ServiceError::new(400, code, message).to_answer(call.class.protocol);
    // Where SDKs of the JSON protocol find the code that the older protocol had.
    answer
        .headers_mut()
        .insert("x-amzn-query-error", HeaderValue::from_static("AWS.SimpleQueueService.QueueDeletedRecently;Sender"));
    Some(answer)
}

/// Asks moto again until there is a message or the time that the call wants to wait is over.
async fn receive(sim: &Arc<Sim>, call: &Call) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(wanted_wait(sim, call).await);
    let at_once = without_wait(call);
    loop {
        let answer = sim.moto.forward(&at_once).await;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !answer.status().is_success() || holds_message(&answer) {
            return answer;
        }
        sim.sqs.wait_for_change(left).await;
    }
}

/// In seconds: the call's own wish, else the queue's setting. What is too long is left to moto, which refuses it.
async fn wanted_wait(sim: &Arc<Sim>, call: &Call) -> u64 {
    let own = match call.class.protocol {
        Protocol::Json => call.json()["WaitTimeSeconds"].as_u64(),
        _ => call.param("WaitTimeSeconds").and_then(|wait| wait.parse().ok()),
    };
    let wait = match own {
        Some(own) => own,
        None => default_wait(sim, call).await,
    };
    if wait > LONGEST_WAIT { 0 } else { wait }
}

async fn default_wait(sim: &Arc<Sim>, call: &Call) -> u64 {
    let Some(queue) = read(call, "QueueUrl").and_then(|url| QueueRef::from_url(&url, &call.class.region)) else {
        return 0;
    };
    let attributes = queue.attributes(sim).await.unwrap_or_default();
    attributes["ReceiveMessageWaitTimeSeconds"].as_str().and_then(|wait| wait.parse().ok()).unwrap_or(0)
}

fn without_wait(call: &Call) -> Call {
    if call.class.protocol == Protocol::Json {
        let mut body = call.json();
        if !body.is_object() || body["WaitTimeSeconds"].as_u64().is_some_and(|wait| wait > LONGEST_WAIT) {
            return call.clone();
        }
        body["WaitTimeSeconds"] = json!(0);
        return call.with_body(body.to_string());
    }
    let rest = call.form.0.iter().filter(|(name, _)| name != "WaitTimeSeconds").cloned();
    let form: Form = rest.chain([("WaitTimeSeconds".to_owned(), "0".to_owned())]).collect();
    call.with_form(form)
}

fn holds_message(answer: &Answer) -> bool {
    let name = b"ReceiptHandle";
    answer.body().windows(name.len()).any(|part| part == name)
}
