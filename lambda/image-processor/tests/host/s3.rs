//! An S3 over HTTP: strongly consistent, with conditions, and failing as often as it is told to.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::http::{Delivery, Reply, Request, serve};

#[derive(Debug, Clone)]
pub struct Object {
    pub content: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

impl Object {
    pub fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.content.hash(&mut hasher);
        format!("\"{:016x}{:016x}\"", hasher.finish(), self.content.len())
    }
}

#[derive(Debug, Default)]
pub struct State {
    /// By `/bucket/key`, as it stands in a request's path.
    pub objects: BTreeMap<String, Object>,
    /// Every call, as `METHOD /bucket/key`.
    pub calls: Vec<String>,
    /// Of a hundred calls so many fail.
    pub failing: u64,
    random: u64,
}

#[derive(Debug, Clone)]
pub struct S3 {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl S3 {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State { random: 0x9E37_79B9, ..State::default() }));
        let own = Arc::clone(&state);
        let address = serve(move |request| own.lock().unwrap().answer(&request));
        Self { address, state }
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    pub fn put(&self, path: &str, content: Vec<u8>) -> String {
        let object = Object { content, headers: BTreeMap::new() };
        let etag = object.etag();
        self.with(|state| state.objects.insert(path.to_owned(), object));
        etag
    }

    pub fn get(&self, path: &str) -> Option<Object> {
        self.with(|state| state.objects.get(path).cloned())
    }
}

fn error(status: u16, code: &str) -> Reply {
    Reply::new(status, format!("<Error><Code>{code}</Code><Message>as told</Message></Error>"))
}

impl State {
    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn answer(&mut self, request: &Request) -> Reply {
        self.calls.push(format!("{} {}", request.method, request.path));
        let fails = self.draw(100) < self.failing;
        let how = if fails { self.draw(5) } else { 9 };
        match how {
            0 => error(503, "SlowDown"),
            1 => error(500, "InternalError"),
            2 => Reply { delivery: Delivery::Nothing, ..Reply::new(200, "") },
            3 => Reply { delivery: Delivery::Nothing, ..self.act(request) },
            4 => Reply { delivery: Delivery::Half, ..self.act(request) },
            _ => self.act(request),
        }
    }

    fn act(&mut self, request: &Request) -> Reply {
        let there = self.objects.get(&request.path);
        let etag = there.map(Object::etag);
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        if header("if-match").is_some_and(|wanted| etag.as_deref() != Some(wanted)) {
            return if there.is_some() { error(412, "PreconditionFailed") } else { error(404, "NoSuchKey") };
        }
        match (request.method.as_str(), there) {
            ("PUT", Some(_)) if header("if-none-match") == Some("*") => error(412, "PreconditionFailed"),
            ("PUT", _) => {
                let kept = |name: &str| name.starts_with("x-amz-meta-") || name == "content-type";
                let headers = request.headers.iter().filter(|(name, _)| kept(name));
                let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
                let object = Object { content: request.body.clone(), headers };
                let etag = object.etag();
                self.objects.insert(request.path.clone(), object);
                Reply::new(200, "").with("ETag", etag)
            }
            ("DELETE", _) => {
                self.objects.remove(&request.path);
                Reply::new(204, "")
            }
            (_, None) => error(404, "NoSuchKey"),
            (_, Some(object)) if header("if-none-match") == etag.as_deref() => {
                Reply::new(304, "").with("ETag", object.etag())
            }
            (_, Some(object)) => {
                let mut reply = Reply::new(200, object.content.clone()).with("ETag", object.etag());
                for (name, value) in &object.headers {
                    reply = reply.with(name, value);
                }
                if request.method == "HEAD" {
                    reply = reply.with("Content-Length", object.content.len().to_string());
                }
                reply
            }
        }
    }
}
