//! Invoking functions: at once and waiting for the answer, or later with Lambda's retries and destinations.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;

use super::destinations::{EventSettings, read_settings, send_record};
use super::environment::{Environment, Failure, InitFailure, Place, RunResult};
use super::function::{Function, FunctionKey, Version};
use super::slots::Running;
use super::{body_json, key_of, logs, not_found};
use crate::call::{Answer, Call, answer, new_request_id};
use crate::faults::answers::ServiceError;
use crate::sim::Sim;

/// The largest event of a synchronous invocation.
const MAX_SYNC_PAYLOAD: usize = 6 * 1024 * 1024;

/// The largest event of an asynchronous invocation.
const MAX_ASYNC_PAYLOAD: usize = 1024 * 1024;

/// The tail of the log that `LogType=Tail` asks for.
const LOG_TAIL: usize = 4096;

/// What came of one invocation.
#[derive(Debug, Clone)]
pub(crate) struct Invoked {
    pub(crate) payload: Bytes,
    /// Whether `payload` is an error.
    pub(crate) failed: bool,
    lines: Vec<String>,
}

/// Answers `Invoke`.
pub(crate) async fn answer_invoke(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = key_of(call);
    let function = sim.lambda.find(&key).ok_or_else(|| not_found(sim, &key))?;
    let kind = call.header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let limit = if kind == "Event" { MAX_ASYNC_PAYLOAD } else { MAX_SYNC_PAYLOAD };
    check_payload(&call.body, limit)?;
    match kind {
        "DryRun" => Ok(answer(204, "application/json", Bytes::new())),
        "Event" => {
            invoke_async(sim, &key, call.body.clone());
            Ok(answer(202, "application/json", Bytes::new()))
        }
        _ => {
            let tail = call.header("x-amz-log-type") == Some("Tail");
            Ok(answer_invoked(invoke_now(sim, &function, call.body.clone()).await?, tail))
        }
    }
}

/// Answers the old `InvokeAsync`.
pub(crate) fn answer_invoke_async(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = key_of(call);
    sim.lambda.find(&key).ok_or_else(|| not_found(sim, &key))?;
    check_payload(&call.body, MAX_ASYNC_PAYLOAD)?;
    invoke_async(sim, &key, call.body.clone());
    Ok(answer(202, "application/json", r#"{"Status":202}"#))
}

fn check_payload(body: &Bytes, limit: usize) -> Result<(), ServiceError> {
    if body.len() > limit {
        let message = format!("Request must be smaller than {limit} bytes for the InvokeFunction operation");
        return Err(ServiceError::new(413, "RequestTooLargeException", message));
    }
    if !body.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        let message = "Could not parse request body into json";
        return Err(ServiceError::new(400, "InvalidRequestContentException", message));
    }
    Ok(())
}

fn answer_invoked(invoked: Invoked, tail: bool) -> Answer {
    let mut answer = answer(200, "application/json", invoked.payload);
    let headers = answer.headers_mut();
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if invoked.failed {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    if let Ok(id) = HeaderValue::from_str(&new_request_id()) {
        headers.insert("x-amzn-requestid", id);
    }
    if tail {
        let log = (invoked.lines.join("\n") + "\n").into_bytes();
        let log = &log[log.len().saturating_sub(LOG_TAIL)..];
        if let Ok(value) = HeaderValue::from_str(&STANDARD.encode(log)) {
            headers.insert("x-amz-log-result", value);
        }
    }
    answer
}

/// Invokes and waits. Refused while the function settles and when all slots are taken.
async fn invoke_now(sim: &Arc<Sim>, function: &Arc<Function>, payload: Bytes) -> Result<Invoked, ServiceError> {
    if !function.until_ready(&sim.times).is_zero() && function.is_new() {
        let message =
            "The operation cannot be performed at this time. The function is currently in the following state: Pending";
        return Err(ServiceError::new(409, "ResourceConflictException", message));
    }
    let _running = sim.lambda.slots.begin(&function.key).map_err(|full| ServiceError {
        reason: Some(full.reason()),
        ..ServiceError::new(429, "TooManyRequestsException", "Rate Exceeded.")
    })?;
    Ok(run_once(sim, function, payload, &new_request_id()).await)
}

/// Invokes for a poller, as soon as the function has settled and an instance is free; `None` when that takes longer than
/// `patience`.
pub(crate) async fn invoke_when_free(
    sim: &Arc<Sim>,
    function: &Arc<Function>,
    payload: Bytes,
    patience: Duration,
) -> Option<Invoked> {
    let turn = async {
        tokio::time::sleep(function.until_ready(&sim.times)).await;
        wait_for_slot(sim, function).await
    };
    let _running = tokio::time::timeout(patience, turn).await.ok().flatten()?;
    Some(run_once(sim, function, payload, &new_request_id()).await)
}

/// Takes an event and returns; the function gets it as soon as it can, and again when it fails.
pub(crate) fn invoke_async(sim: &Arc<Sim>, key: &FunctionKey, payload: Bytes) {
    let (sim, key) = (Arc::clone(sim), key.clone());
    tokio::spawn(async move { deliver(&sim, &key, payload).await });
}

async fn deliver(sim: &Arc<Sim>, key: &FunctionKey, payload: Bytes) {
    let request_id = new_request_id();
    let mut attempt = 0;
    loop {
        // A function that is gone gets no event any more.
        let Some(function) = sim.lambda.find(key) else {
            return;
        };
        tokio::time::sleep(function.until_ready(&sim.times)).await;
        let running = wait_for_slot(sim, &function).await;
        if function.is_deleted() {
            return;
        }
        let invoked = run_once(sim, &function, payload.clone(), &request_id).await;
        drop(running);
        attempt += 1;
        let settings = read_settings(sim, key, invoked.failed).await;
        if !invoked.failed || attempt > settings.retries {
            finish(sim, &function, &settings, &request_id, attempt, &payload, &invoked).await;
            return;
        }
        tokio::time::sleep(sim.times.retry_delay(attempt)).await;
    }
}

async fn finish(
    sim: &Arc<Sim>,
    function: &Arc<Function>,
    settings: &EventSettings,
    request_id: &str,
    attempts: u32,
    payload: &Bytes,
    invoked: &Invoked,
) {
    let destination = if invoked.failed { &settings.on_failure } else { &settings.on_success };
    if let Some(destination) = destination {
        send_record(sim, function, destination, request_id, attempts, payload, invoked).await;
    }
}

/// An asynchronous event waits for its turn. Lambda does so for six hours; here, as long as lab-sim runs.
async fn wait_for_slot(sim: &Arc<Sim>, function: &Arc<Function>) -> Option<Running> {
    sim.lambda.slots.wait(&function.key, || function.is_deleted()).await
}

/// One attempt, in a warm environment or a new one, with its log lines written before it counts as done.
async fn run_once(sim: &Arc<Sim>, function: &Arc<Function>, payload: Bytes, request_id: &str) -> Invoked {
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    let version = function.current();
    let (environment, stream, started) = match version.take_idle() {
        Some(environment) => {
            let stream = environment.log_stream.clone();
            (Ok(environment), stream, Vec::new())
        }
        None => start_environment(sim, function, &version).await,
    };
    let (invoked, environment) = match environment {
        Ok(environment) => run_in(environment, &version, payload, request_id, started).await,
        Err(failure) => (fail_init(failure, &version, request_id, started), None),
    };
    logs::write_lines(sim, function, &stream, &invoked.lines).await;
    if let Some(environment) = environment {
        version.put_idle(environment);
    }
    invoked
}

async fn start_environment(
    sim: &Arc<Sim>,
    function: &Arc<Function>,
    version: &Version,
) -> (Result<Environment, InitFailure>, String, Vec<String>) {
    let stream = logs::new_stream_name();
    let place = Place {
        key: &function.key,
        config: &version.config,
        code: &version.code,
        folder: sim.lambda.new_folder("environment"),
        endpoint: &sim.endpoint,
        log_stream: stream.clone(),
    };
    let ((), started) = tokio::join!(logs::open_stream(sim, function, &stream), Environment::start(place));
    let first_line = format!("INIT_START Runtime Version: {} lab-sim", version.config.runtime);
    (started, stream, vec![first_line])
}

async fn run_in(
    mut environment: Environment,
    version: &Version,
    payload: Bytes,
    request_id: &str,
    mut lines: Vec<String>,
) -> (Invoked, Option<Environment>) {
    lines.extend(environment.new_lines(false));
    lines.push(format!("START RequestId: {request_id} Version: $LATEST"));
    let result = environment.run(request_id, payload, &version.config).await;
    lines.extend(environment.new_lines(!result.reusable));
    lines.extend(failure_line(&result, request_id));
    lines.push(format!("END RequestId: {request_id}"));
    lines.push(report_line(&result, environment.init_duration.take(), version, request_id));
    let reusable = result.reusable;
    let (payload, failed) = match result.outcome {
        Ok(payload) => (payload, false),
        Err(Failure::Reported(payload)) => (payload, true),
        Err(Failure::Platform(error)) => (error.to_payload(request_id), true),
    };
    (Invoked { payload, failed, lines }, reusable.then_some(environment))
}

fn failure_line(result: &RunResult, request_id: &str) -> Option<String> {
    match &result.outcome {
        Err(Failure::Platform(error)) if error.kind == "Sandbox.Timedout" => {
            let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
            Some(format!("{time} {request_id} {}", error.message))
        }
        Err(Failure::Platform(error)) => {
            Some(format!("RequestId: {request_id} Error: {}\n{}", error.message, error.kind))
        }
        _ => None,
    }
}

fn report_line(result: &RunResult, init: Option<Duration>, version: &Version, request_id: &str) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let billed = ms(result.duration + init.unwrap_or_default()).ceil();
    let init = init.map(|init| format!("Init Duration: {:.2} ms\t", ms(init))).unwrap_or_default();
    format!(
        "REPORT RequestId: {request_id}\tDuration: {:.2} ms\tBilled Duration: {billed} ms\tMemory Size: {} MB\tMax Memory Used: {} \
         MB\t{init}",
        ms(result.duration),
        version.config.memory_mb,
        result.max_memory_mb,
    )
}

/// An environment that did not start: its caller gets an error, and the log says why.
fn fail_init(failure: InitFailure, version: &Version, request_id: &str, mut lines: Vec<String>) -> Invoked {
    let (kind, payload) = match failure.failure {
        Failure::Platform(error) => (format!("{}: {}", error.kind, error.message), error.to_payload(request_id)),
        Failure::Reported(report) => (String::from_utf8_lossy(&report).into_owned(), report),
    };
    lines.extend(failure.lines);
    let ms = failure.duration.as_secs_f64() * 1000.0;
    lines.push(format!("INIT_REPORT Init Duration: {ms:.2} ms\tPhase: init\tStatus: error\tError: {kind}"));
    lines.push(format!("START RequestId: {request_id} Version: $LATEST"));
    lines.push(format!("END RequestId: {request_id}"));
    lines.push(format!(
        "REPORT RequestId: {request_id}\tDuration: {ms:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: 0 MB\t",
        ms.ceil(),
        version.config.memory_mb
    ));
    Invoked { payload, failed: true, lines }
}

impl Invoked {
    /// The payload as JSON; null when it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        body_json(&Answer::new(self.payload.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::function::FunctionError;

    #[test]
    fn a_timeout_reads_as_lambda_writes_it() {
        let result = RunResult {
            outcome: Err(Failure::Platform(FunctionError::new(
                "Sandbox.Timedout",
                "Task timed out after 3.00 seconds",
            ))),
            duration: Duration::from_secs(3),
            max_memory_mb: 9,
            reusable: false,
        };
        let line = failure_line(&result, "id-1").expect("a line");
        assert!(line.ends_with(" id-1 Task timed out after 3.00 seconds"), "{line}");
    }

    #[test]
    fn payloads_are_json_of_a_bounded_size() {
        assert!(check_payload(&Bytes::new(), 10).is_ok());
        assert!(check_payload(&Bytes::from_static(b"[1]"), 10).is_ok());
        assert_eq!(check_payload(&Bytes::from_static(b"[1"), 10).expect_err("no JSON").status, 400);
        assert_eq!(check_payload(&Bytes::from_static(b"[1,2,3,4,5]"), 10).expect_err("too large").status, 413);
    }
}
