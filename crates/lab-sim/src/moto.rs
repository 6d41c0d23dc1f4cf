//! The moto server behind the front: found, started, asked, stopped.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::{Mutex, MutexGuard};

use crate::call::{Answer, Call, answer};
use crate::form::Form;
use crate::guard::guarded_command;
use crate::images::moto_catalogue;
use crate::sim::lock;
use crate::xml::Element;

/// The account that moto plays.
pub(crate) const ACCOUNT: &str = "123456789012";

/// Python and moto need one to three seconds; a loaded machine may need many more.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// How often a starting moto is tried.
const START_POLL: Duration = Duration::from_millis(20);

/// Checks that moto makes only when asked to; AWS always makes them.
const VALIDATION: &[(&str, &str)] = &[
    ("MOTO_ENABLE_AMI_VALIDATION", "true"),
    ("MOTO_ENABLE_KEYPAIR_VALIDATION", "true"),
    ("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true"),
    ("MOTO_IAM_LOAD_MANAGED_POLICIES", "true"),
];

/// What makes moto faster; Python imports a module of this name before anything else.
const HASTE: (&str, &str) = ("sitecustomize.py", include_str!("../moto/sitecustomize.py"));

/// Why there is no moto.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MotoError {
    #[error(
        "moto_server was not found: not in .venv/bin of this folder, of the program's folder or of one above them, and not on \
         PATH; run scripts/setup.sh, or name it with --moto PATH or LAB_MOTO"
    )]
    NotFound,
    #[error(
        "{path} is not a file that can be run; run scripts/setup.sh, or name moto_server with --moto PATH or LAB_MOTO"
    )]
    NotAProgram { path: String },
    #[error("{path} cannot be started: {source}")]
    Spawn { path: String, source: std::io::Error },
    #[error(
        "{path} stopped before it answered ({status}); its last words:\n{log}\nRun scripts/setup.sh to install it again."
    )]
    Stopped { path: String, status: String, log: String },
    #[error("{path} did not answer within {} s; its last words:\n{log}", START_DEADLINE.as_secs())]
    Silent { path: String, log: String },
}

/// Finds `moto_server`: `named`, else in `.venv/bin` of `starts` and of the folders above them, else on `path`.
///
/// # Errors
/// When there is none, or when `named` is not a program.
pub(crate) fn find_moto(named: Option<&Path>, starts: &[PathBuf], path: &OsStr) -> Result<PathBuf, MotoError> {
    if let Some(named) = named {
        return if named.is_file() {
            Ok(named.to_owned())
        } else {
            Err(MotoError::NotAProgram { path: named.display().to_string() })
        };
    }
    let in_venvs = starts.iter().flat_map(|start| start.ancestors()).map(|folder| folder.join(".venv/bin"));
    in_venvs
        .chain(std::env::split_paths(path))
        .map(|folder| folder.join("moto_server"))
        .find(|program| program.is_file())
        .ok_or(MotoError::NotFound)
}

/// A running `moto_server`; dropping it kills it.
#[derive(Debug)]
pub(crate) struct MotoProcess {
    child: Child,
    pub(crate) client: MotoClient,
}

impl MotoProcess {
    /// Starts `program` on a free loopback port, its output in `folder`, and waits until it answers.
    pub(crate) async fn start(program: &Path, folder: &Path) -> Result<Self, MotoError> {
        let path = program.display().to_string();
        let (log_file, image_file) = (folder.join("moto.log"), folder.join("images.json"));
        let haste = folder.join("python");
        std::fs::write(&image_file, moto_catalogue().to_string())
            .and_then(|()| std::fs::create_dir_all(&haste))
            .and_then(|()| std::fs::write(haste.join(HASTE.0), HASTE.1))
            .map_err(|source| MotoError::Spawn { path: path.clone(), source })?;
        // A port that was free a moment ago can be taken by somebody else: then another one is tried.
        for _ in 0..5 {
            let port = free_port().map_err(|source| MotoError::Spawn { path: path.clone(), source })?;
            let mut child = spawn_moto(program, port, &log_file, &image_file, &haste)
                .map_err(|source| MotoError::Spawn { path: path.clone(), source })?;
            let client = MotoClient::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            match wait_until_ready(&mut child, &client).await {
                Ready::Yes => {
                    client.stay_without_containers().await;
                    return Ok(Self { child, client });
                }
                Ready::Stopped(status) => {
                    let log = last_words(&log_file);
                    if !log.contains("Address already in use") {
                        return Err(MotoError::Stopped { path, status, log });
                    }
                }
                Ready::Silent => {
                    return Err(MotoError::Silent { path, log: last_words(&log_file) });
                }
            }
        }
        Err(MotoError::Stopped { path, status: "no free port".to_owned(), log: last_words(&log_file) })
    }

    /// Kills moto and waits for its end.
    pub(crate) async fn stop(&mut self) {
        let _ = self.child.kill().await;
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn spawn_moto(program: &Path, port: u16, log_file: &Path, image_file: &Path, haste: &Path) -> std::io::Result<Child> {
    let log = std::fs::File::create(log_file)?;
    let mut command = guarded_command(program.as_os_str())?;
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    for (name, _) in std::env::vars_os() {
        // moto uses boto3 itself: nothing of the user's AWS configuration may reach it.
        if name.to_string_lossy().starts_with("AWS_") || name == "MOTO_PORT" {
            command.env_remove(name);
        }
    }
    command
        .envs(VALIDATION.iter().copied())
        .env("MOTO_AMIS_PATH", image_file)
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONPATH", haste);
    command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn()
}

enum Ready {
    Yes,
    Stopped(String),
    Silent,
}

async fn wait_until_ready(child: &mut Child, client: &MotoClient) -> Ready {
    let deadline = Instant::now() + START_DEADLINE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Ready::Stopped(status.to_string());
        }
        if TcpStream::connect(client.address).await.is_ok() {
            return Ready::Yes;
        }
        tokio::time::sleep(START_POLL).await;
    }
    let _ = child.kill().await;
    Ready::Silent
}

fn last_words(log_file: &Path) -> String {
    let text = std::fs::read(log_file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// The services whose calls moto gets one at a time: it answers in threads, but its resources are plain dictionaries,
/// and a list that grows while another thread reads it fails the call, or loses what was added.
const ONE_AT_A_TIME: &[&str] = &["ec2", "events", "iam", "lambda", "logs", "monitoring", "s3", "sqs", "ssm", "sts"];

/// A connection to moto.
type Connection = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

/// Asks moto, over connections that are kept unless it closes them.
#[derive(Debug, Clone)]
pub(crate) struct MotoClient {
    pub(crate) address: SocketAddr,
    idle: Arc<std::sync::Mutex<Vec<Connection>>>,
    turns: Arc<[Mutex<()>; ONE_AT_A_TIME.len()]>,
    /// The account in which moto is asked.
    account: HeaderValue,
}

impl MotoClient {
    fn new(address: SocketAddr) -> Self {
        Self { address, idle: Arc::default(), turns: Arc::default(), account: HeaderValue::from_static(ACCOUNT) }
    }

    /// Asks the same moto in another account.
    pub(crate) fn for_account(&self, account: &str) -> Self {
        let account = HeaderValue::from_str(account).unwrap_or(HeaderValue::from_static(ACCOUNT));
        Self { account, ..self.clone() }
    }

    /// Waits for the service's turn.
    async fn take_turn(&self, service: &str) -> Option<MutexGuard<'_, ()>> {
        let index = ONE_AT_A_TIME.iter().position(|known| *known == service)?;
        Some(self.turns[index].lock().await)
    }

    /// Passes a call on as it came and returns moto's answer; 502 when moto cannot be reached.
    pub(crate) async fn forward(&self, call: &Call) -> Answer {
        let _turn = self.take_turn(&call.class.service).await;
        self.send(call.method.clone(), call.uri.clone(), call.headers.clone(), call.body.clone()).await
    }

    async fn send(&self, method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes) -> Answer {
        // The body is whole here: these would promise another framing.
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::EXPECT);
        headers.remove(header::CONNECTION);
        headers.insert("x-moto-account-id", self.account.clone());
        if !body.is_empty() || method == Method::POST || method == Method::PUT {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        match self.exchange(method, uri, headers, body).await {
            Ok(answer) => answer,
            Err(error) => answer(502, "text/plain", format!("lab-sim: moto did not answer: {error}\n")),
        }
    }

    /// A connection that is open already, or a new one.
    async fn connect(&self) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        loop {
            let Some(mut idle) = lock(&self.idle).pop() else { break };
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn exchange(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut sender = self.connect().await?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let (mut parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if !parts.headers.contains_key(header::CONNECTION) {
            lock(&self.idle).push(sender);
        }
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.remove(header::CONNECTION);
        parts.version = http::Version::HTTP_11;
        Ok(Answer::from_parts(parts, body))
    }

    /// A call of our own, signed as far as moto looks (it reads the credential scope only).
    async fn call(&self, ask: Ask<'_>) -> Answer {
        let mut headers = HeaderMap::new();
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AKIALABSIMINTERNAL00/20260101/{}/{}/aws4_request, SignedHeaders=host, Signature=0",
            ask.region, ask.service
        );
        let host = self.address.to_string();
        for (name, value) in [(header::AUTHORIZATION, scope.as_str()), (header::HOST, host.as_str())] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        if let Some(kind) = ask.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(Ok(target)) = ask.target.map(HeaderValue::from_str) {
            headers.insert("x-amz-target", target);
        }
        let Ok(uri) = ask.path.parse::<Uri>() else {
            return answer(502, "text/plain", format!("lab-sim: {} is not a path\n", ask.path));
        };
        let _turn = self.take_turn(ask.service).await;
        self.send(ask.method, uri, headers, ask.body).await
    }

    /// An EC2 call of our own; `None` when moto refused it.
    pub(crate) async fn ec2(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> Option<Element> {
        let answer = self.query("ec2", region, "2016-11-15", action, parameters).await;
        answer.status().is_success().then(|| Element::parse(answer.body())).flatten()
    }

    /// A query-protocol call of our own.
    pub(crate) async fn query(
        &self,
        service: &str,
        region: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Answer {
        let form: Form =
            [("Action", action), ("Version", version)].into_iter().chain(parameters.iter().copied()).collect();
        self.call(Ask {
            method: Method::POST,
            path: "/",
            content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
            body: Bytes::from(form.encode()),
            ..Ask::new(service, region)
        })
        .await
    }

    /// A JSON call of our own, to an action named by `target`.
    pub(crate) async fn json(&self, service: &str, region: &str, target: &str, body: &Value) -> Answer {
        self.call(Ask {
            method: Method::POST,
            path: "/",
            content_type: Some("application/x-amz-json-1.1"),
            target: Some(target),
            body: Bytes::from(body.to_string()),
            ..Ask::new(service, region)
        })
        .await
    }

    /// Everything of a Region that bears tags, in the tagging API's form. It looks into every service at once, so it
    /// takes the turn of each.
    pub(crate) async fn list_tagged(&self, region: &str) -> Vec<Value> {
        let mut turns = Vec::new();
        for turn in self.turns.iter() {
            turns.push(turn.lock().await);
        }
        let mut found = Vec::new();
        let mut token = Value::Null;
        loop {
            let question = serde_json::json!({ "ResourcesPerPage": 100, "PaginationToken": token });
            let target = "ResourceGroupsTaggingAPI_20170126.GetResources";
            let reply = self.json("tagging", region, target, &question).await;
            let mut page: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
            if let Value::Array(list) = page["ResourceTagMappingList"].take() {
                found.extend(list);
            }
            token = page["PaginationToken"].take();
            if token.as_str().is_none_or(str::is_empty) {
                return found;
            }
        }
    }

    /// A call of our own by method and path (S3, Lambda).
    pub(crate) async fn rest(&self, service: &str, region: &str, method: Method, path: &str, body: Bytes) -> Answer {
        self.call(Ask { method, path, body, ..Ask::new(service, region) }).await
    }

    /// Forgets every resource.
    pub(crate) async fn reset(&self) {
        let nothing = Bytes::new();
        self.send(Method::POST, Uri::from_static("/moto-api/reset"), self.host_header(), nothing).await;
        self.stay_without_containers().await;
    }

    /// Keeps moto from looking for a container engine: functions are run by us.
    async fn stay_without_containers(&self) {
        let config = Bytes::from_static(br#"{"lambda": {"use_docker": false}, "batch": {"use_docker": false}}"#);
        self.send(Method::POST, Uri::from_static("/moto-api/config"), self.host_header(), config).await;
    }

    fn host_header(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(host) = HeaderValue::from_str(&self.address.to_string()) {
            headers.insert(header::HOST, host);
        }
        headers
    }

    /// Makes moto load the services of a first lab; it does so on first use, which takes it a second or two.
    pub(crate) async fn warm_up(self, region: String) {
        self.ec2(&region, "DescribeRegions", &[]).await;
        self.query("sts", &region, "2011-06-15", "GetCallerIdentity", &[]).await;
        self.query("iam", "us-east-1", "2010-05-08", "ListRoles", &[]).await;
        self.rest("s3", &region, Method::GET, "/", Bytes::new()).await;
        self.rest("lambda", &region, Method::GET, "/2015-03-31/functions", Bytes::new()).await;
        self.json("logs", &region, "Logs_20140328.DescribeLogGroups", &Value::Object(serde_json::Map::new())).await;
    }
}

/// The parts of a call of our own.
struct Ask<'a> {
    service: &'a str,
    region: &'a str,
    method: Method,
    path: &'a str,
    content_type: Option<&'static str>,
    target: Option<&'a str>,
    body: Bytes,
}

impl<'a> Ask<'a> {
    fn new(service: &'a str, region: &'a str) -> Self {
        Self { service, region, method: Method::GET, path: "/", content_type: None, target: None, body: Bytes::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moto_is_found_in_a_folder_above() {
        let root = tempfile::tempdir().expect("a folder");
        let venv = root.path().join(".venv/bin");
        let deep = root.path().join("a/b/c");
        std::fs::create_dir_all(&venv).expect("a folder");
        std::fs::create_dir_all(&deep).expect("a folder");
        std::fs::write(venv.join("moto_server"), "").expect("a file");
        let found = find_moto(None, std::slice::from_ref(&deep), OsStr::new("")).expect("found");
        assert_eq!(found, venv.join("moto_server"));
    }

    #[test]
    fn a_missing_moto_names_the_setup_script() {
        let empty = tempfile::tempdir().expect("a folder");
        let named = empty.path().join("no_moto");
        for result in [
            find_moto(Some(&named), &[], OsStr::new("")),
            find_moto(None, &[PathBuf::from("relative")], empty.path().as_os_str()),
        ] {
            let message = result.expect_err("not found").to_string();
            assert!(message.contains("scripts/setup.sh"), "{message}");
        }
    }
}
