//! Without Batch Operations: an event for each object into the queue, or to the function itself, at a rate.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::future::try_join_all;
use lab_common::explain;
use lab_plan::{Problem, Stop};
use tokio::time::Instant;

use super::events::make_event;
use super::objects::Object;
use super::{Ended, Way, Work};
use crate::queue::show_count;
use crate::want::QueueKind;

/// As many messages as SQS takes in one call.
const BATCH: usize = 10;

impl Work<'_> {
    /// Hands all objects over, not more than `rate` a second.
    pub(super) async fn hand_over(&self, objects: &[Object], way: Way, rate: f64) -> Result<Ended, Problem> {
        let line = self.progress.begin("hand over", &format!("{rate} objects a second at most"));
        let start = Instant::now();
        let mut done = 0;
        // A small rate has small batches, so that it is kept from the first second on.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded from 1 to 10")]
        let size = rate.ceil().clamp(1.0, 10.0) as usize;
        for batch in objects.chunks(size.min(BATCH)) {
            let due = start + Duration::from_secs_f64(f64::from(done) / rate);
            let pause = due.saturating_duration_since(Instant::now());
            let stopped = self.stop.asked().is_some() || self.stop.sleep(pause).await.is_err();
            let answer = if stopped {
                Err(Stop::problem(self.stop.asked().unwrap_or(lab_plan::Exit::Interrupted)))
            } else {
                self.hand_over_batch(batch, way).await
            };
            if let Err(problem) = answer {
                let problem = tell_done(problem, done);
                line.end(Err(&problem));
                return Err(problem);
            }
            done += u32::try_from(batch.len()).unwrap_or_default();
            line.waits_for(&format!("{done} of {}", show_count(objects.len() as u64, "object")));
        }
        line.end(Ok(None));
        Ok(Ended { succeeded: u64::from(done), ..Ended::default() })
    }

    async fn hand_over_batch(&self, objects: &[Object], way: Way) -> Result<(), Problem> {
        let (want, place) = (&self.pipeline.want, &self.live.place);
        let event =
            |object: &Object| make_event(&want.region, &want.buckets.input, &want.input_arn(place), object).to_string();
        let events: Vec<String> = objects.iter().map(event).collect();
        if way == Way::Queue { self.send(events).await } else { self.invoke(events).await }
    }

    async fn send(&self, events: Vec<String>) -> Result<(), Problem> {
        let queue = self.pipeline.find_queue(self.live, QueueKind::Images).map(|queue| queue.url.clone());
        let entries = events.into_iter().enumerate();
        let entries = entries
            .map(|(n, event)| SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(event).build());
        let entries = entries.collect::<Result<Vec<_>, _>>();
        let entries =
            entries.map_err(|error| Problem::failed("a request to SQS cannot be built").because(error.to_string()))?;
        let send = self.pipeline.clients.sqs.send_message_batch().set_queue_url(queue).set_entries(Some(entries));
        let answer = send.send().await.map_err(|error| explain("SendMessageBatch", &error))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(failed) => Err(Problem::failed(format!(
                "SQS has not taken {}",
                show_count(answer.failed().len() as u64, "message")
            ))
            .because(failed.message().unwrap_or(failed.code()))),
        }
    }

    async fn invoke(&self, events: Vec<String>) -> Result<(), Problem> {
        let lambda = &self.pipeline.clients.lambda;
        let calls = events.into_iter().map(async |event| {
            let invoke = lambda.invoke().function_name(self.function).invocation_type(InvocationType::Event);
            let answer = invoke.payload(Blob::new(event.into_bytes())).send().await;
            answer.map(drop).map_err(|error| explain("Invoke", &error))
        });
        try_join_all(calls).await.map(drop)
    }
}

/// What AWS said stays; what was done before comes after it.
fn tell_done(problem: Problem, done: u32) -> Problem {
    let handed = show_count(u64::from(done), "object");
    let handed = format!("{handed} had been handed over; the same command goes on with those without a result");
    let why = problem.why().map(|why| format!("{why}\n{handed}"));
    problem.because(why.unwrap_or(handed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_it_stopped_is_told_with_what_was_done() {
        let denied = Problem::failed("you may not call Invoke").because("Invoke: AccessDenied: no").fix("ask for it");
        let told = tell_done(denied, 30);
        let why = told.why().unwrap_or_default();
        assert!(why.starts_with("Invoke: AccessDenied: no\n30 objects had been handed over;"), "{why}");
        assert_eq!((told.what(), told.remedy()), ("you may not call Invoke", Some("ask for it")));
        let stopped = tell_done(Problem::failed("stopped"), 1);
        assert!(stopped.why().is_some_and(|why| why.starts_with("1 object had")), "{stopped}");
    }
}
