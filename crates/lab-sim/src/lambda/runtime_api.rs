//! The Lambda Runtime API for one execution environment: what a `bootstrap` asks for its next event and reports to.
//!
//! Paths and headers are those of the Lambda developer guide, "Using the Lambda runtime API". The API's paths do not
//! say which environment asks, so each environment has a listener of its own on a free loopback port.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::sim::lock;

/// The API's version in its paths.
const VERSION: &str = "2018-06-01";

/// The largest answer of a function: 6 MB and a little.
pub(crate) const MAX_RESPONSE: usize = 6_291_556;

/// One event on its way to the function.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    pub(crate) deadline: SystemTime,
    pub(crate) function_arn: String,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What the function reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Response(Bytes),
    Error(Bytes),
    /// The response was larger than [`MAX_RESPONSE`].
    TooLarge(usize),
}

/// What happens before the first event.
#[derive(Debug)]
pub(crate) enum InitEvent {
    /// The runtime asked for its first event.
    Ready,
    /// The runtime reported that it cannot start.
    Failed(Bytes),
}

/// The API's side that lab-sim holds.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    pub(crate) invocations: mpsc::Sender<Invocation>,
    pub(crate) init_events: mpsc::UnboundedReceiver<InitEvent>,
    server: JoinHandle<Infallible>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug)]
struct Shared {
    queue: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    in_flight: Mutex<HashMap<String, oneshot::Sender<Reply>>>,
    init_events: mpsc::UnboundedSender<InitEvent>,
}

impl RuntimeApi {
    /// Listens on a free loopback port.
    pub(crate) async fn listen() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (invocations, queue) = mpsc::channel(1);
        let (events, init_events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queue: tokio::sync::Mutex::new(queue),
            in_flight: Mutex::new(HashMap::new()),
            init_events: events,
        });
        let server = tokio::spawn(serve(listener, shared));
        Ok(Self { address, invocations, init_events, server })
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer_runtime(&shared, request).await) }
            });
            // The connection ends with the process that holds it.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer_runtime(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return refuse(400, "InvalidRequest", "the body broke off");
    };
    let body = body.to_bytes();
    let path: Vec<&str> = parts.uri.path().split('/').filter(|part| !part.is_empty()).collect();
    match (&parts.method, path.as_slice()) {
        (&Method::GET, [VERSION, "runtime", "invocation", "next"]) => next_invocation(shared).await,
        (&Method::POST, [VERSION, "runtime", "invocation", id, "response"]) => {
            if body.len() > MAX_RESPONSE {
                finish(shared, id, Reply::TooLarge(body.len()));
                return refuse(413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).");
            }
            let body = if is_broken_off(&parts.headers) { Reply::Error(body) } else { Reply::Response(body) };
            accept(finish(shared, id, body))
        }
        (&Method::POST, [VERSION, "runtime", "invocation", id, "error"]) => {
            accept(finish(shared, id, Reply::Error(body)))
        }
        (&Method::POST, [VERSION, "runtime", "init", "error"]) => {
            let _ = shared.init_events.send(InitEvent::Failed(body));
            accept(true)
        }
        _ => refuse(404, "InvalidRequest", "no such path in the Runtime API"),
    }
}

/// A streaming runtime reports a failure in the middle of its response this way.
fn is_broken_off(headers: &HeaderMap) -> bool {
    headers.contains_key("lambda-runtime-function-error-type")
}

async fn next_invocation(shared: &Shared) -> Response<Full<Bytes>> {
    let _ = shared.init_events.send(InitEvent::Ready);
    let Some(invocation) = shared.queue.lock().await.recv().await else {
        return refuse(410, "Gone", "the environment ends");
    };
    let deadline = invocation.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.request_id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", &invocation.function_arn)
        .header("lambda-runtime-trace-id", new_trace_id())
        .body(Full::new(invocation.payload));
    lock(&shared.in_flight).insert(invocation.request_id, invocation.reply);
    response.unwrap_or_else(|_| refuse(500, "InternalError", "the event has no legal headers"))
}

/// An X-Ray header that says that nothing is sampled.
fn new_trace_id() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let random = fastrand::u128(..) >> 32;
    format!("Root=1-{seconds:08x}-{random:024x};Parent={:016x};Sampled=0", fastrand::u64(..))
}

/// Hands the reply to whoever waits for it; `false` when nobody does.
fn finish(shared: &Shared, id: &str, reply: Reply) -> bool {
    lock(&shared.in_flight).remove(id).is_some_and(|waiting| waiting.send(reply).is_ok())
}

fn accept(known: bool) -> Response<Full<Bytes>> {
    if !known {
        return refuse(400, "InvalidRequestID", "Invalid request ID");
    }
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"status":"OK"}"#)));
    *response.status_mut() = http::StatusCode::ACCEPTED;
    response
}

fn refuse(status: u16, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "errorType": kind, "errorMessage": message }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_REQUEST);
    response
}
