//! SQS: moto keeps the queues. Its queues lose messages when two calls change them at once, so it gets one call at a
//! time, and waiting for a message happens here instead of there.

mod moves;
mod queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;

use crate::call::{Answer, Call};
use crate::classify::Protocol;
use crate::form::Form;
use crate::sim::Sim;

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
}

impl SqsOverlay {
    /// Forgets what is being moved.
    pub(crate) fn reset(&self) {
        self.moves.reset();
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
    let answer = sim.moto.forward(call).await;
    sim.sqs.tell();
    answer
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
    let url = call.json()["QueueUrl"].as_str().or_else(|| call.param("QueueUrl")).map(str::to_owned);
    let Some(queue) = url.and_then(|url| QueueRef::from_url(&url, &call.class.region)) else { return 0 };
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
