//! A running lab-sim for a test, and the plainest HTTP client that can speak to it.

#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod function;
pub(crate) mod pki;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const LAB_SIM: &str = env!("CARGO_BIN_EXE_lab-sim");

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lab-sim that serves; dropping it stops it.
pub(crate) struct Sim {
    child: Child,
    address: String,
    exports: HashMap<String, String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON expected: {}", self.text()))
    }

    /// The text of the first XML element of this name.
    pub(crate) fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_else(|| panic!("no <{name}> in {}", self.text()))
    }

    /// The texts of all XML elements of this name.
    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        let (text, start, end) = (self.text(), format!("<{name}>"), format!("</{name}>"));
        let parts = text.split(start.as_str()).skip(1);
        parts.filter_map(|part| part.split_once(end.as_str())).map(|(inner, _)| inner.to_owned()).collect()
    }

    /// The reply, when it is a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }

    /// Status and error code of a refusal.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String) {
        assert!(self.status >= 400, "refused: {}", self.text());
        let header = self.head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: ")).map(str::to_owned);
        (self.status, header.unwrap_or_else(|| self.element("Code")))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Sim {
    /// Starts lab-sim with these options and waits until it serves.
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut child = Command::new(LAB_SIM)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("lab-sim starts");
        let stdout = child.stdout.take().expect("its output");
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let exports: HashMap<String, String> = lines
            .take_while(|line| !line.starts_with("unset "))
            .filter_map(|line| {
                line.strip_prefix("export ")?.split_once('=').map(|(name, value)| (name.into(), value.into()))
            })
            .collect();
        let endpoint = exports.get("AWS_ENDPOINT_URL").and_then(|url| url.strip_prefix("http://")).map(str::to_owned);
        let Some(address) = endpoint else {
            let mut words = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                let _ = stderr.read_to_string(&mut words);
            }
            panic!("lab-sim did not start (moto comes from scripts/setup.sh): {words}");
        };
        Self { child, address, exports }
    }

    /// One of the variables that lab-sim prints.
    #[track_caller]
    pub(crate) fn export(&self, name: &str) -> &str {
        self.exports.get(name).unwrap_or_else(|| panic!("no {name} among {:?}", self.exports))
    }

    /// A request, signed as far as lab-sim looks. `None` when the connection closes without an answer.
    pub(crate) fn try_request(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Reply> {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        self.exchange(&scope, method, path, headers, body)
    }

    /// A form posted under another signature.
    #[track_caller]
    pub(crate) fn request_as(&self, authorization: &str, body: &str) -> Reply {
        self.exchange(authorization, "POST", "/", &FORM, body.as_bytes()).expect("an answer")
    }

    fn exchange(
        &self,
        authorization: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Reply> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        let _ = write!(head, "authorization: {authorization}\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(&self.address).expect("lab-sim listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(format!("{head}\r\n").as_bytes()).expect("sent");
        stream.write_all(body).expect("sent");
        let mut whole = Vec::new();
        stream.read_to_end(&mut whole).ok()?;
        let end = whole.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&whole[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Reply { status, head, body: whole[end + 4..].to_vec() })
    }

    #[track_caller]
    pub(crate) fn request(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.try_request(service, method, path, headers, body).expect("an answer")
    }

    /// A query-protocol call: EC2, IAM, STS.
    #[track_caller]
    pub(crate) fn query(&self, service: &str, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.request(service, "POST", "/", &FORM, form(service, action, parameters).as_bytes())
    }

    #[track_caller]
    pub(crate) fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.query("ec2", action, parameters)
    }

    /// A JSON call: SSM, Logs, SQS.
    #[track_caller]
    pub(crate) fn json(&self, service: &str, target: &str, body: &serde_json::Value) -> Reply {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.request(service, "POST", "/", &headers, body.to_string().as_bytes())
    }

    /// A call to lab-sim itself.
    #[track_caller]
    pub(crate) fn control(&self, method: &str, path: &str, body: &str) -> Reply {
        self.request("none", method, &format!("/_lab-sim/{path}"), &[], body.as_bytes())
    }

    /// Sets the fault rules.
    #[track_caller]
    pub(crate) fn set_faults(&self, rules: &serde_json::Value) {
        self.control("POST", "faults", &rules.to_string()).ok();
    }

    /// Puts the clock of the state times forward.
    #[track_caller]
    pub(crate) fn advance(&self, seconds: u32) {
        self.control("POST", &format!("advance?seconds={seconds}"), "").ok();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // SIGTERM, so that lab-sim stops what it has started.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

pub(crate) const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];

/// The body of a query-protocol call.
pub(crate) fn form(service: &str, action: &str, parameters: &[(&str, &str)]) -> String {
    let version = match service {
        "ec2" => "2016-11-15",
        "iam" => "2010-05-08",
        _ => "2011-06-15",
    };
    let mut body = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        let value: String = value
            .bytes()
            .map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        let _ = write!(body, "&{name}={value}");
    }
    body
}

/// Asks again until there is something; what never comes is a failure.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process is there and not merely waiting to be reaped.
pub(crate) fn is_running(pid: &str) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

/// The processes whose parent is `pid`.
pub(crate) fn children_of(pid: u32) -> Vec<String> {
    let path = format!("/proc/{pid}/task");
    let tasks = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|children| children.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
