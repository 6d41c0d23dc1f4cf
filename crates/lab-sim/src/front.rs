//! The front: it reads a request to its end, lets the fault rules have their say, has it answered and records it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::accounts::Accounts;
use crate::call::{Answer, Call};
use crate::caller::{Peer, kill_caller};
use crate::calls::CallRecord;
use crate::control;
use crate::faults::answers::ServiceError;
use crate::faults::print::print_call;
use crate::faults::rules::{Effect, Subject, Verdict, Victim};
use crate::overlay::answer_call;
use crate::session::shift_date;
use crate::sim::{Sim, lock};
use crate::xml::Element;

/// The connection closes without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed by a fault rule")]
struct Closed;

/// Serves connections until the task is dropped. `namespace` is where the listener is, when it is not our own.
pub(crate) async fn serve(accounts: Arc<Accounts>, listener: TcpListener, namespace: Option<Arc<str>>) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let peer = Peer { address, namespace: namespace.clone() };
                tokio::spawn(serve_connection(Arc::clone(&accounts), stream, peer));
            }
            // Out of file descriptors, most likely: the next connection may find some again.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve_connection(accounts: Arc<Accounts>, stream: TcpStream, peer: Peer) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (accounts, peer) = (Arc::clone(&accounts), peer.clone());
        async move {
            let Ok(call) = read_call(request, peer).await else {
                return Err(Closed);
            };
            // A task of its own: what AWS has received it carries out, also when the caller is gone meanwhile.
            let outcome = tokio::spawn(async move { handle(&accounts, call).await }).await;
            outcome.ok().flatten().map(|answer| answer.map(Full::new)).ok_or(Closed)
        }
    });
    // An error here is the client's end of the connection, or a fault on purpose.
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn read_call(request: Request<Incoming>, peer: Peer) -> Result<Call, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Call::new(parts.method, parts.uri, parts.headers, body, peer))
}

/// Answers and records a call; `None` closes the connection.
async fn handle(accounts: &Accounts, call: Call) -> Option<Answer> {
    if let Some(path) = call.uri.path().strip_prefix(control::PREFIX) {
        return Some(control::answer_control(accounts, &call, path).await);
    }
    let sim = &accounts.of(&call);
    let time = jiff::Timestamp::now().to_string();
    let start = Instant::now();
    let verdict = sim.faults().judge(describe_subject(&call));
    let mut answer = apply_verdict(sim, &call, &verdict).await;
    if let Some(answer) = &mut answer {
        accounts.learn(&call, answer);
        shift_date(answer, sim.clock_skew);
    }
    sim.calls.add(record_call(&call, answer.as_ref(), &verdict, time, start.elapsed()));
    answer
}

fn describe_subject(call: &Call) -> Subject<'_> {
    Subject { service: &call.class.service, action: &call.class.action, caller: call.caller(), print: print_call(call) }
}

async fn apply_verdict(sim: &Arc<Sim>, call: &Call, verdict: &Verdict) -> Option<Answer> {
    if verdict.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(verdict.latency_ms)).await;
    }
    let refuse = |error: ServiceError| Some(without_body_for_head(call, error.to_answer(call.class.protocol)));
    let act = answer_call(sim, call, verdict.aftermath);
    match &verdict.effect {
        None | Some(Effect::LatencyMs(_) | Effect::LateVisibilityMs(_) | Effect::FailLater) => {
            Some(without_body_for_head(call, translate_page(call, act.await)))
        }
        Some(Effect::Throttle) => refuse(ServiceError::throttled(&call.class)),
        Some(Effect::InternalError) => refuse(ServiceError::internal(&call.class)),
        Some(Effect::Unavailable) => refuse(ServiceError::unavailable(&call.class)),
        Some(Effect::ExpiredCredentials) => refuse(ServiceError::expired_credentials(&call.class)),
        Some(Effect::Error { code, status, message }) => refuse(ServiceError::new(*status, code, message.clone())),
        Some(Effect::ResetBefore) => None,
        Some(Effect::ResetAfter) => {
            act.await;
            None
        }
        Some(Effect::StallMs(ms)) => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            None
        }
        Some(Effect::Kill(victim)) => {
            act.await;
            kill(sim, call, *victim);
            None
        }
        Some(Effect::KillBefore(victim)) => {
            kill(sim, call, *victim);
            None
        }
    }
}

fn kill(sim: &Sim, call: &Call, victim: Victim) {
    match victim {
        Victim::Caller => {
            if let Err(error) = kill_caller(&call.peer, &sim.endpoint) {
                eprintln!("lab-sim: the caller of {} was not killed: {error}", call.class.action);
            }
        }
        Victim::Command => match *lock(&sim.command) {
            Some(command) => command.send(rustix::process::Signal::KILL),
            None => eprintln!("lab-sim: a rule kills the command, but there is none"),
        },
    }
}

/// moto's server answers a page for what moto does not know or fails at; SDKs can only read the service's own errors.
fn translate_page(call: &Call, answer: Answer) -> Answer {
    let is_page = answer
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/html"));
    if !is_page || answer.status().as_u16() < 500 {
        return answer;
    }
    let mut error = ServiceError::internal(&call.class);
    error.message = format!("lab-sim: moto cannot answer {} {}.", call.class.service, call.class.action);
    error.to_answer(call.class.protocol)
}

/// An answer to HEAD keeps its headers, the length too, and has no body.
fn without_body_for_head(call: &Call, mut answer: Answer) -> Answer {
    if call.method == http::Method::HEAD && !answer.body().is_empty() {
        answer.headers_mut().remove(http::header::CONTENT_LENGTH);
        *answer.body_mut() = Bytes::new();
    }
    answer
}

fn record_call(call: &Call, answer: Option<&Answer>, verdict: &Verdict, time: String, took: Duration) -> CallRecord {
    CallRecord {
        time,
        service: call.class.service.clone(),
        action: call.class.action.clone(),
        status: answer.map(|answer| answer.status().as_u16()),
        ms: (took.as_secs_f64() * 100_000.0).round() / 100.0,
        region: call.class.region.clone(),
        caller: call.caller(),
        code: answer.and_then(error_code),
        fault: verdict.effect.as_ref().map(effect_name),
        request_id: answer.and_then(request_id),
    }
}

fn effect_name(effect: &Effect) -> String {
    match serde_json::to_value(effect) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(serde_json::Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

fn request_id(answer: &Answer) -> Option<String> {
    ["x-amzn-requestid", "x-amz-request-id"]
        .iter()
        .find_map(|name| answer.headers().get(*name))
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

/// The error code in a refusal, wherever the protocol puts it.
fn error_code(answer: &Response<Bytes>) -> Option<String> {
    if answer.status().as_u16() < 400 {
        return None;
    }
    if let Some(kind) = answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok()) {
        return kind.split(':').next().map(str::to_owned);
    }
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(answer.body()) {
        return json["__type"].as_str().and_then(|kind| kind.rsplit('#').next()).map(str::to_owned);
    }
    let root = Element::parse(answer.body())?;
    let error = root.descend(&["Errors", "Error"]).or_else(|| root.child("Error")).unwrap_or(&root);
    error.child_text("Code")
}
