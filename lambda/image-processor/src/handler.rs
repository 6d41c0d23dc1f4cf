//! One invocation: every record is tried, many at a time, each gets one line in the log and its part of the answer.
//!
//! Permanent failures are reported and leave the invocation successful. What may work later comes back: the whole of a
//! direct event, the messages of a queue, the tasks of a Batch job. On the next try those that are done are found done.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant, SystemTime};

use futures::{FutureExt as _, StreamExt as _, stream};
use image_event::{Invocation, Item, Job, Message, read_invocation, strip_extension};
use lambda_runtime::Diagnostic;
use serde_json::Value;

use crate::answer::{Answer, ItemFailure, QueueAnswer, answer_batch, summarise};
use crate::metrics::measure;
use crate::outcome::{Measured, Outcome, Record, Trouble};
use crate::reason::Reason;
use crate::record::Errand;
use crate::settings::{Mode, Settings};
use crate::store::Store;
use crate::wish::Wish;
use crate::workshop::Workshop;

/// Records on their way at one time. Most of a record's time is waiting for S3.
const IN_FLIGHT: usize = 16;

/// What is left of an invocation's time for its answer: a tenth of it, within these bounds.
const SHORTEST_END: Duration = Duration::from_millis(200);
const LONGEST_END: Duration = Duration::from_secs(1);

/// What is known of an invocation besides its payload.
#[derive(Debug, Clone)]
pub struct Call {
    /// Lambda's identifier.
    pub request_id: String,
    /// When Lambda ends the process; unknown outside of Lambda.
    pub deadline: Option<SystemTime>,
}

/// What came of an invocation.
#[derive(Debug)]
pub struct Handled {
    /// The answer to give.
    pub answer: Result<Answer, Diagnostic>,
    /// Lines for the log, each one JSON document, out of which `CloudWatch` makes metrics.
    pub metrics: Vec<Value>,
}

/// The function: settings, S3, and what is kept between invocations.
#[derive(Debug)]
pub struct Processor {
    settings: Settings,
    store: Store,
    workshop: Workshop,
}

impl Processor {
    /// Puts the parts together.
    pub fn new(settings: Settings, store: Store) -> Self {
        Self { workshop: Workshop::new(settings.limits.memory), settings, store }
    }

    /// Handles one invocation.
    ///
    /// Its answer is an error (a [`Diagnostic`] of type `NotAnS3Event`, `S3Failed`, `OutOfTime` or `FunctionFailed`) where
    /// the whole payload is to be tried again: only for direct events, and for messages that have no identifier.
    pub async fn handle(&self, payload: &Value, call: &Call) -> Handled {
        match read_invocation(payload) {
            Err(error) => {
                tracing::error!(request_id = call.request_id, %error, "not an event");
                Handled {
                    answer: Err(diagnose("NotAnS3Event", error.to_string())),
                    metrics: measure(&self.settings.function, &call.request_id, &[], 1),
                }
            }
            Ok(Invocation::Direct(items)) => {
                let records = self.run(items, &self.settings.wish, call).await;
                self.finish(records, 0, call, |records| {
                    give_up(&records)?;
                    Ok(Answer::Summary(summarise(records, &self.settings.output_bucket)))
                })
            }
            Ok(Invocation::Queue(messages)) => self.handle_queue(messages, call).await,
            Ok(Invocation::Batch(batch)) => {
                let items: Vec<_> = batch.tasks.iter().map(|task| task.item.clone()).collect();
                let records = match self.wish_of_job(&batch.arguments) {
                    Ok(wish) => self.run(items, &wish, call).await,
                    Err(reason) => items.into_iter().map(|item| refuse(item, &reason)).collect(),
                };
                self.finish(records, 0, call, |records| {
                    Ok(Answer::Batch(answer_batch(batch, &records, &self.settings.output_bucket)))
                })
            }
        }
    }

    /// A message comes back when one of its records may work later. One that is no event never will be: it does not.
    async fn handle_queue(&self, messages: Vec<Message>, call: &Call) -> Handled {
        let mut strangers = 0;
        let mut owners = Vec::new();
        let mut items = Vec::new();
        for Message { id, content } in messages {
            match content {
                Ok(content) => {
                    owners.extend(content.iter().map(|_| id.clone()));
                    items.extend(content);
                }
                Err(error) => {
                    tracing::error!(request_id = call.request_id, message = id, %error, will_retry = false, "not an event");
                    strangers += 1;
                }
            }
        }
        let records = self.run(items, &self.settings.wish, call).await;
        self.finish(records, strangers, call, |records| {
            let failed = |record: &Record| matches!(record.outcome, Outcome::Failed(_));
            let mut back: Vec<_> =
                owners.into_iter().zip(&records).filter(|(_, record)| failed(record)).map(|(id, _)| id).collect();
            back.dedup();
            if back.iter().any(String::is_empty) {
                give_up(&records)?;
            }
            let failures = back.into_iter().map(|item_identifier| ItemFailure { item_identifier }).collect();
            Ok(Answer::Queue(QueueAnswer { batch_item_failures: failures }))
        })
    }

    fn wish_of_job(&self, arguments: &std::collections::BTreeMap<String, String>) -> Result<Wish, Reason> {
        match self.settings.mode {
            Mode::Png => self.settings.wish.with_arguments(arguments),
            Mode::Copy => Ok(self.settings.wish.clone()),
        }
    }

    /// Logs, measures, answers.
    fn finish(
        &self,
        records: Vec<Record>,
        strangers: usize,
        call: &Call,
        answer: impl FnOnce(Vec<Record>) -> Result<Answer, Diagnostic>,
    ) -> Handled {
        for record in &records {
            record.log(&call.request_id);
        }
        let metrics = measure(&self.settings.function, &call.request_id, &records, strangers);
        Handled { answer: answer(records), metrics }
    }

    /// Takes every record its way, and returns them in their order. Those that lead to the same results follow each other.
    async fn run(&self, items: Vec<Item>, wish: &Wish, call: &Call) -> Vec<Record> {
        let errand = Errand {
            settings: &self.settings,
            store: &self.store,
            workshop: &self.workshop,
            wish,
            cutoff: call.deadline.map(cutoff),
        };
        let mut records: Vec<_> = stream::iter(group(items))
            .map(|group| async move {
                let mut records = Vec::new();
                for (at, item) in group {
                    records.push((at, run_item(errand, item).await));
                }
                records
            })
            .buffer_unordered(IN_FLIGHT)
            .concat()
            .await;
        records.sort_by_key(|(at, _)| *at);
        records.into_iter().map(|(_, record)| record).collect()
    }
}

/// Items by the result they lead to, each with its place.
fn group(items: Vec<Item>) -> Vec<Vec<(usize, Item)>> {
    let mut groups: Vec<Vec<(usize, Item)>> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for (at, item) in items.into_iter().enumerate() {
        let new = groups.len();
        let group = match &item {
            Item::Process(job) => {
                *known.entry((job.bucket.clone(), strip_extension(&job.key).to_owned())).or_insert(new)
            }
            Item::Ignore { .. } | Item::Refuse { .. } => new,
        };
        if group == new {
            groups.push(Vec::new());
        }
        groups[group].push((at, item));
    }
    groups
}

async fn run_item(errand: Errand<'_>, item: Item) -> Record {
    let (bucket, key, outcome) = match item {
        Item::Ignore { bucket, key, why } => (bucket, key, Outcome::Skipped(why)),
        Item::Refuse { bucket, key, reason } => (bucket, key, Outcome::Refused(reason.into())),
        Item::Process(job) => return run_job(errand, job).await,
    };
    Record { bucket, key, outcome, measured: Measured::default() }
}

/// Neither a panic nor a record that takes too long keeps the others from their answer.
async fn run_job(errand: Errand<'_>, job: Job) -> Record {
    let mut measured = Measured::default();
    let way = AssertUnwindSafe(Box::pin(errand.run(&job, &mut measured))).catch_unwind();
    let ended = match errand.cutoff {
        Some(cutoff) => tokio::time::timeout_at(cutoff.into(), way).await,
        None => Ok(way.await),
    };
    let outcome = match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Failed(Trouble::Bug("it panicked; the log has the place".to_owned())),
        Err(_) => Outcome::Failed(Trouble::OutOfTime("the invocation's time ran out")),
    };
    Record { bucket: job.bucket, key: job.key, outcome, measured }
}

fn refuse(item: Item, reason: &Reason) -> Record {
    let (bucket, key) = match item {
        Item::Process(Job { bucket, key, .. })
        | Item::Ignore { bucket, key, .. }
        | Item::Refuse { bucket, key, .. } => (bucket, key),
    };
    Record { bucket, key, outcome: Outcome::Refused(reason.clone()), measured: Measured::default() }
}

/// When work must end so that there is time for the answer.
fn cutoff(deadline: SystemTime) -> Instant {
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub((left / 10).clamp(SHORTEST_END, LONGEST_END))
}

/// # Errors
/// Where a record may work later, with the causes of all of them.
fn give_up(records: &[Record]) -> Result<(), Diagnostic> {
    let troubles: Vec<_> = records
        .iter()
        .filter_map(|record| if let Outcome::Failed(trouble) = &record.outcome { Some(trouble) } else { None })
        .collect();
    let Some(first) = troubles.first() else {
        return Ok(());
    };
    let error_type = match first {
        Trouble::Store(_) => "S3Failed",
        Trouble::OutOfTime(_) => "OutOfTime",
        Trouble::Bug(_) => "FunctionFailed",
    };
    let causes: Vec<_> = troubles.iter().map(ToString::to_string).collect();
    Err(diagnose(
        error_type,
        format!("{} of {} records are not done, all others are: {}", troubles.len(), records.len(), causes.join("; ")),
    ))
}

fn diagnose(error_type: &str, error_message: String) -> Diagnostic {
    Diagnostic { error_type: error_type.to_owned(), error_message }
}
