//! What becomes of a job: it reads its manifest, waits for its confirmation, invokes the function for each object and writes
//! its report.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::job::{Job, Progress, Status};
use super::manifest::{Task, find_tasks};
use super::report::{TaskEnd, write_report};
use super::request::Operation;
use crate::lambda::{FunctionKey, invoke_when_free};
use crate::sim::Sim;

/// How often a task that fails for a while is tried; AWS does not say how often it does.
const ATTEMPTS: u32 = 6;

/// AWS's time before a task is tried again, in seconds.
const PAUSE: u64 = 10;

/// From how many tasks on a job fails when more than half of them do (S3 user guide, "Managing S3 Batch Operations jobs").
const MANY: usize = 1000;

/// How long one task waits for an instance of the function.
const PATIENCE: Duration = Duration::from_hours(6);

/// How often a job looks whether one of a higher priority is done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Takes a job from `New` to its end.
pub(crate) async fn run(sim: Arc<Sim>, job: Arc<Job>) {
    let times = &sim.times;
    tokio::time::sleep(times.aws_seconds(2)).await;
    if !job.step(Status::New, Status::Preparing, times) {
        return end_cancelled(&sim, &job, &[]).await;
    }
    tokio::time::sleep(times.aws_seconds(5)).await;
    let tasks = match find_tasks(&sim, &job.region, &job.request.source).await {
        Ok(tasks) => tasks,
        Err(error) => {
            job.fail(error.code, &error.reason);
            job.step(Status::Preparing, Status::Failing, times);
            job.step(Status::Failing, Status::Failed, times);
            return end_cancelled(&sim, &job, &[]).await;
        }
    };
    job.set_total(tasks.len());
    let next = if job.request.needs_confirmation { Status::Suspended } else { Status::Ready };
    job.step(Status::Preparing, next, times);
    wait_for_confirmation(&job).await;
    tokio::time::sleep(times.aws_seconds(2)).await;
    let ends = if job.step(Status::Ready, Status::Active, times) { work(&sim, &job, tasks).await } else { Vec::new() };
    finish(&sim, &job, &ends).await;
}

async fn wait_for_confirmation(job: &Job) {
    loop {
        let changed = job.changed.notified();
        if job.status() != Status::Suspended {
            return;
        }
        changed.await;
    }
}

async fn finish(sim: &Sim, job: &Job, ends: &[TaskEnd]) {
    let times = &sim.times;
    job.step(Status::Active, Status::Completing, times);
    if job.status() == Status::Cancelling {
        return end_cancelled(sim, job, ends).await;
    }
    tokio::time::sleep(times.aws_seconds(2)).await;
    report(sim, job, ends).await;
    job.step(Status::Completing, Status::Complete, times);
    job.step(Status::Failing, Status::Failed, times);
}

async fn end_cancelled(sim: &Sim, job: &Job, ends: &[TaskEnd]) {
    report(sim, job, ends).await;
    job.step(Status::Cancelling, Status::Cancelled, &sim.times);
}

/// A job of which no task was tried has no report.
async fn report(sim: &Sim, job: &Job, ends: &[TaskEnd]) {
    if let Some(place) = job.request.report.as_ref().filter(|_| !ends.is_empty()) {
        write_report(sim, &job.region, &job.id, place, ends).await;
    }
}

/// Invokes the function for every task, as many at once as the account allows, until all have ended or somebody cancels.
async fn work(sim: &Arc<Sim>, job: &Arc<Job>, tasks: Vec<Task>) -> Vec<TaskEnd> {
    let mut waiting: VecDeque<Task> = tasks.into();
    let (mut working, mut ends) = (JoinSet::new(), Vec::new());
    loop {
        while job.status() == Status::Active && working.len() < sim.lambda.slots.limit as usize && !outranked(sim, job)
        {
            let Some(task) = waiting.pop_front() else { break };
            let (sim, job) = (Arc::clone(sim), Arc::clone(job));
            working.spawn(async move { try_task(&sim, &job, task).await });
        }
        let is_cancelled = job.status() != Status::Active;
        match working.join_next().await {
            Some(end) => {
                let Ok(end) = end else { continue };
                job.count(end.failure.is_some());
                ends.push(end);
                fail_if_hopeless(sim, job);
            }
            None if waiting.is_empty() || is_cancelled => return ends,
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Whether a job of a higher priority is at work.
fn outranked(sim: &Sim, job: &Job) -> bool {
    let is_higher =
        |other: &Arc<Job>| other.id != job.id && other.status() == Status::Active && other.priority() > job.priority();
    sim.s3control.jobs().iter().any(is_higher)
}

fn fail_if_hopeless(sim: &Sim, job: &Job) {
    let Progress { succeeded, failed, .. } = job.progress();
    if succeeded + failed >= MANY && failed > succeeded {
        job.fail("JobFailureThresholdExceeded", "Job failed: more than 50% of the tasks failed.");
        job.step(Status::Active, Status::Failing, &sim.times);
    }
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Succeeded(String),
    Permanent(String),
    Temporary(String),
}

/// Tries a task until it succeeds, fails for good, or has been tried often enough.
async fn try_task(sim: &Arc<Sim>, job: &Job, task: Task) -> TaskEnd {
    let mut attempt = 1;
    loop {
        let (failure, message) = match invoke(sim, job, &task).await {
            Outcome::Succeeded(message) => (None, message),
            Outcome::Permanent(message) => (Some("PermanentFailure"), message),
            Outcome::Temporary(message) if attempt == ATTEMPTS || job.status() != Status::Active => {
                (Some("TemporaryFailure"), message)
            }
            Outcome::Temporary(_) => {
                tokio::time::sleep(sim.times.aws_seconds(PAUSE * u64::from(attempt))).await;
                attempt += 1;
                continue;
            }
        };
        return TaskEnd { task, failure, message };
    }
}

async fn invoke(sim: &Arc<Sim>, job: &Job, task: &Task) -> Outcome {
    let operation = &job.request.operation;
    let key = FunctionKey::parse(&operation.function_arn, &job.region);
    let Some(function) = sim.lambda.find(&key) else {
        return Outcome::Permanent(format!("Function not found: {}", operation.function_arn));
    };
    let task_id = uuid::Uuid::new_v4().simple().to_string();
    let event = Bytes::from(make_event(operation, &job.id, task, &task_id).to_string());
    match invoke_when_free(sim, &function, event, PATIENCE).await {
        None => Outcome::Temporary("Lambda throttled the invocation".to_owned()),
        Some(invoked) if invoked.failed => {
            Outcome::Permanent(format!("Lambda returned function error: {}", String::from_utf8_lossy(&invoked.payload)))
        }
        Some(invoked) => read_result(&invoked.payload, &task_id),
    }
}

/// The event that the function gets (S3 user guide, "Invoke AWS Lambda function"): one task, its key as the manifest has it.
fn make_event(operation: &Operation, job: &str, task: &Task, task_id: &str) -> Value {
    let mut event = json!({
        "invocationSchemaVersion": operation.schema,
        "invocationId": uuid::Uuid::new_v4().simple().to_string(),
        "job": { "id": job },
        "tasks": [{ "taskId": task_id, "s3Key": task.key, "s3VersionId": task.version }],
    });
    if operation.schema == "1.0" {
        event["tasks"][0]["s3BucketArn"] = json!(format!("arn:aws:s3:::{}", task.bucket));
    } else {
        event["tasks"][0]["s3Bucket"] = json!(task.bucket);
        let arguments = operation.arguments.iter().map(|(name, value)| (name.clone(), json!(value)));
        event["job"]["userArguments"] = Value::Object(arguments.collect());
    }
    event
}

/// What the function says of the task. A task that it does not name ends as `treatMissingKeysAs` says.
fn read_result(payload: &[u8], task_id: &str) -> Outcome {
    let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
    let Some(results) = answer["results"].as_array() else {
        let text = String::from_utf8_lossy(payload);
        return Outcome::Permanent(format!(
            "Lambda returned a response that is not one for S3 Batch Operations: {text}"
        ));
    };
    let own = results.iter().find(|result| result["taskId"] == task_id);
    let code = own.map_or(&answer["treatMissingKeysAs"], |result| &result["resultCode"]);
    let message = own.and_then(|result| result["resultString"].as_str()).unwrap_or_default().to_owned();
    match code.as_str() {
        Some("Succeeded") => Outcome::Succeeded(message),
        Some("PermanentFailure") => Outcome::Permanent(message),
        // What a function forgets to say is tried again, unless it says otherwise.
        Some("TemporaryFailure") | None => Outcome::Temporary(message),
        Some(other) => Outcome::Permanent(format!("Lambda returned the unknown result code {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(schema: &str) -> Operation {
        Operation {
            function_arn: "arn:aws:lambda:us-east-1:1:function:f".to_owned(),
            schema: schema.to_owned(),
            arguments: vec![("width".to_owned(), "720".to_owned())],
        }
    }

    #[test]
    fn both_shapes_of_the_event_are_made() {
        let task = Task { bucket: "in".to_owned(), key: "a%20b".to_owned(), version: None };
        let one = make_event(&operation("1.0"), "j", &task, "t");
        assert_eq!(one["tasks"][0]["s3BucketArn"], "arn:aws:s3:::in");
        assert!(one["job"].get("userArguments").is_none());
        let two = make_event(&operation("2.0"), "j", &task, "t");
        assert_eq!((&two["tasks"][0]["s3Bucket"], &two["tasks"][0]["s3Key"]), (&json!("in"), &json!("a%20b")));
        assert_eq!(two["job"], json!({ "id": "j", "userArguments": { "width": "720" } }));
    }

    #[test]
    fn an_answer_is_read_by_its_task() {
        let result = |code: &str, id: &str| {
            read_result(
                json!({ "treatMissingKeysAs": "PermanentFailure",
                    "results": [{ "taskId": id, "resultCode": code, "resultString": "said" }] })
                .to_string()
                .as_bytes(),
                "t",
            )
        };
        assert_eq!(result("Succeeded", "t"), Outcome::Succeeded("said".to_owned()));
        assert_eq!(result("TemporaryFailure", "t"), Outcome::Temporary("said".to_owned()));
        assert_eq!(result("Succeeded", "other"), Outcome::Permanent(String::new()));
        assert!(matches!(result("Done", "t"), Outcome::Permanent(_)));
        assert!(matches!(read_result(b"null", "t"), Outcome::Permanent(_)));
    }
}
