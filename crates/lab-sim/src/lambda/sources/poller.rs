//! The poller of one mapping: it receives, invokes, deletes what succeeded and lets the rest come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::mapping::{Duty, Mapping};
use super::report::failed_messages;
use super::settings::visibility_timeout;
use crate::events::pattern::matches;
use crate::lambda::invoke_when_free;
use crate::sim::Sim;
use crate::sqs::Message;

/// The largest event of a synchronous invocation; a batch ends before it.
const MAX_EVENT: usize = 6 * 1024 * 1024;

/// How often a mapping that has nothing to do looks at its state.
const STATE_POLL: Duration = Duration::from_millis(10);

/// How long an idle queue is left alone.
const IDLE: Duration = Duration::from_millis(200);

/// A batch before it is worked on.
struct Batch {
    messages: Vec<Message>,
    /// When the first of them was received, by the clock of the states and by ours.
    received: (Instant, Instant),
}

/// Serves a mapping until it is gone; what is being worked on then is finished.
pub(crate) async fn serve(sim: Arc<Sim>, mapping: Arc<Mapping>) {
    let mut working = JoinSet::new();
    while mapping.state(&sim.times).is_some() {
        while working.try_join_next().is_some() {}
        let Some(duty) = mapping.duty(&sim.times).filter(|duty| sim.lambda.find(&duty.function).is_some()) else {
            tokio::time::sleep(STATE_POLL).await;
            continue;
        };
        let at_once = duty.settings.max_concurrency.unwrap_or(sim.lambda.slots.limit) as usize;
        if working.len() >= at_once {
            let _ = tokio::time::timeout(IDLE, working.join_next()).await;
            continue;
        }
        let batch = gather(&sim, &mapping, &duty).await;
        if batch.messages.is_empty() {
            sim.sqs.wait_for_change(IDLE).await;
            continue;
        }
        working.spawn(work(Arc::clone(&sim), Arc::clone(&mapping), duty, batch));
    }
    while working.join_next().await.is_some() {}
}

/// Receives until the batch is full, its window is over, or, without a window, once.
async fn gather(sim: &Arc<Sim>, mapping: &Mapping, duty: &Duty) -> Batch {
    let settings = &duty.settings;
    let mut messages = mapping.queue.receive(sim, settings.batch_size).await;
    let received = (sim.times.now(), Instant::now());
    let window = sim.times.aws_seconds(settings.window);
    let size = |messages: &[Message]| messages.iter().map(|message| message.body.len()).sum::<usize>();
    while !messages.is_empty()
        && messages.len() < settings.batch_size
        && sim.times.since(received.0) < window
        && size(&messages) < MAX_EVENT / 2
    {
        let more = mapping.queue.receive(sim, settings.batch_size - messages.len()).await;
        if more.is_empty() {
            sim.sqs.wait_for_change(window).await;
        }
        messages.extend(more);
    }
    Batch { messages, received }
}

async fn work(sim: Arc<Sim>, mapping: Arc<Mapping>, duty: Duty, mut batch: Batch) {
    let queue = &mapping.queue;
    let attributes = queue.attributes(&sim).await.unwrap_or_default();
    let unwanted = filter(&mut batch, &mapping, &duty.settings.filters);
    queue.delete(&sim, &unwanted).await;
    if batch.messages.is_empty() {
        return;
    }
    let failed = invoke(&sim, &mapping, &duty, &batch, &attributes).await;
    let handles = |wanted: bool| -> Vec<String> {
        let chosen = batch.messages.iter().enumerate().filter(|(place, _)| failed.contains(place) == wanted);
        chosen.map(|(_, message)| message.handle.clone()).collect()
    };
    queue.delete(&sim, &handles(false)).await;
    let back = handles(true);
    if !back.is_empty() {
        // The function's instance is free meanwhile.
        let sim = Arc::clone(&sim);
        tokio::spawn(async move { let_come_back(&sim, &mapping, &attributes, batch.received, &back).await });
    }
}

/// Takes the messages out that no filter lets through, and returns their receipt handles.
fn filter(batch: &mut Batch, mapping: &Mapping, filters: &[String]) -> Vec<String> {
    if filters.is_empty() {
        return Vec::new();
    }
    let patterns: Vec<Value> = filters.iter().filter_map(|pattern| serde_json::from_str(pattern).ok()).collect();
    let passes = |message: &Message| {
        let record = message.to_record(&mapping.queue);
        patterns.iter().any(|pattern| matches(pattern, &with_read_body(record.clone(), pattern)))
    };
    let (wanted, unwanted): (Vec<_>, Vec<_>) = std::mem::take(&mut batch.messages).into_iter().partition(passes);
    batch.messages = wanted;
    unwanted.into_iter().map(|message| message.handle).collect()
}

/// The record as a filter sees it: a filter of fields reads the body as JSON, and one of texts passes no JSON (Lambda
/// developer guide, "Using event filtering with an Amazon SQS event source").
fn with_read_body(mut record: Value, pattern: &Value) -> Value {
    let text = record["body"].as_str().unwrap_or_default();
    let read = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    match (&pattern["body"], read) {
        (Value::Object(_), read) => record["body"] = read.unwrap_or_default(),
        (Value::Array(_), Some(_)) => record["body"] = Value::Null,
        _ => {}
    }
    record
}

/// The places of the messages that failed.
async fn invoke(sim: &Arc<Sim>, mapping: &Mapping, duty: &Duty, batch: &Batch, attributes: &Value) -> Vec<usize> {
    let all = (0..batch.messages.len()).collect();
    let Some(function) = sim.lambda.find(&duty.function) else { return all };
    let records: Vec<Value> = batch.messages.iter().map(|message| message.to_record(&mapping.queue)).collect();
    let event = Bytes::from(json!({ "Records": records }).to_string());
    // Lambda tries a throttled batch again until its messages would be visible anyway.
    let patience = visibility_timeout(attributes).saturating_sub(batch.received.1.elapsed());
    let Some(invoked) = invoke_when_free(sim, &function, event, patience).await else { return all };
    if invoked.failed {
        return all;
    }
    if !duty.settings.reports_failures {
        return Vec::new();
    }
    let ids: Vec<&str> = batch.messages.iter().map(|message| message.id.as_str()).collect();
    failed_messages(&invoked.payload, &ids)
}

/// Shows messages again when their visibility timeout is over by the clock of the states. moto, whose clock is the real
/// one, would do so later, or at the same time with `--real-times`.
async fn let_come_back(
    sim: &Arc<Sim>,
    mapping: &Mapping,
    attributes: &Value,
    received: (Instant, Instant),
    handles: &[String],
) {
    let real = visibility_timeout(attributes);
    let scaled = sim.times.aws_seconds(real.as_secs());
    while sim.times.since(received.0) < scaled {
        tokio::time::sleep(STATE_POLL.min(scaled)).await;
    }
    if received.1.elapsed() < real {
        mapping.queue.show_again(sim, handles).await;
    }
}
