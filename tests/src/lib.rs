//! What the end-to-end tests share: a lab on a local AWS of its own, and the programs as a user runs them.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what a test says is read where it fails")]
#![allow(clippy::missing_panics_doc, reason = "a test helper panics where the test fails")]

pub mod matrix;
pub mod pipeline;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The folder with the programs. `scripts/test.sh` builds them before it runs the tests.
///
/// # Panics
/// When they have not been built.
#[must_use]
pub fn find_programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.ancestors().nth(2).expect("target/debug/deps/TEST").to_owned();
    let built =
        ["net-up", "host-up", "pipeline-up", "vpn-setup", "upload-sample-image", "lab-status", "class-up", "lab-sim"];
    for program in built {
        assert!(
            folder.join(program).is_file(),
            "{program} is not built: run scripts/test.sh, or cargo build --workspace"
        );
    }
    folder
}

/// Waits until something is so; `what` names it for the failure.
///
/// # Panics
/// When it does not happen.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        // Each look may open a connection: those that are waited for need the processor more.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Where cargo and its toolchain are, for programs that run `cargo` in a home of their own.
#[must_use]
pub fn find_toolchain() -> BTreeMap<&'static str, PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let find = |variable, folder| {
        let path = std::env::var_os(variable).map_or_else(|| home.join(folder), PathBuf::from);
        (variable, path)
    };
    BTreeMap::from([find("CARGO_HOME", ".cargo"), find("RUSTUP_HOME", ".rustup")])
}

/// The project's root.
#[must_use]
pub fn find_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

/// A local AWS with one lab on it; dropping it stops everything.
#[derive(Debug)]
pub struct LocalAws {
    sim: Child,
    /// Kept open: a program whose stdout nobody reads any more may fail.
    _stdout: BufReader<ChildStdout>,
    address: String,
    exports: BTreeMap<String, String>,
    /// Whose lab the programs work on.
    pub owner: String,
    /// The user's current folder.
    pub folder: tempfile::TempDir,
}

/// What a program answered.
#[derive(Debug)]
pub struct Answer {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its data.
    pub stdout: String,
    /// All else it said.
    pub stderr: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Answer {
    /// The answer, which must have this exit code.
    #[track_caller]
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// stdout, which must be JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("stdout is no JSON: {self:#?}"))
    }

    /// Everything it said.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl LocalAws {
    /// Starts a local AWS with these options of lab-sim, and waits until it serves.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn start(options: &[&str]) -> Self {
        let mut sim = Command::new(find_programs().join("lab-sim"))
            .args(options)
            .current_dir(find_root())
            .stdout(Stdio::piped())
            .spawn()
            .expect("lab-sim starts");
        let mut stdout = BufReader::new(sim.stdout.take().expect("its output"));
        let mut exports = BTreeMap::new();
        for line in stdout.by_ref().lines().map_while(Result::ok) {
            let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) else { break };
            exports.insert(name.to_owned(), value.trim_matches('\'').to_owned());
        }
        let endpoint = exports.get("AWS_ENDPOINT_URL");
        let address = endpoint.and_then(|url| url.strip_prefix("http://")).map(str::to_owned);
        let Some(address) = address else { panic!("lab-sim did not start: run scripts/setup.sh") };
        Self {
            sim,
            _stdout: stdout,
            address,
            exports,
            owner: "ada".to_owned(),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A program in this lab's environment, with the built-in lab of `owner`. Nothing of the tester's own AWS
    /// configuration gets through.
    ///
    /// # Panics
    /// When the programs have not been built.
    #[must_use]
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let programs = find_programs();
        let mut command = Command::new(programs.join(program));
        // One program may run another, as `net-up nat -- host-up …` does.
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&others)));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path.expect("folders without a colon"))
            .env("HOME", self.folder.path())
            .env("LAB_HOME", self.folder.path().join("home"))
            .env("LAB_FILE", "hol02")
            .env("LAB_OWNER", &self.owner)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(&self.exports)
            .stdin(Stdio::null());
        command
    }

    /// The network namespace that is the user's machine, where lab-sim was started with `--vpn-netns`.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    #[must_use]
    pub fn laptop(&self) -> &str {
        self.exports.get("LAB_SIM_LAPTOP").expect("lab-sim runs with --vpn-netns")
    }

    /// The same program in the same environment, on the user's machine.
    #[track_caller]
    #[must_use]
    pub fn enter_laptop(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", self.laptop()]).arg(command.get_program()).args(command.get_args());
        inside.current_dir(command.get_current_dir().unwrap_or(self.folder.path())).env_clear().stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            inside.envs(value.map(|value| (name, value)));
        }
        inside
    }

    /// The variables that lead a program here.
    #[must_use]
    pub fn exports(&self) -> &BTreeMap<String, String> {
        &self.exports
    }

    /// Runs a program to its end.
    #[track_caller]
    #[must_use]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Answer {
        self.command(program, arguments).output().expect("the program starts").into()
    }

    /// Sets the fault rules of lab-sim (docs/LOCAL-AWS.md), as JSON.
    #[track_caller]
    pub fn set_faults(&self, rules: &Value) {
        let _ = self.control("POST", "faults", &rules.to_string());
    }

    /// No faults any more.
    #[track_caller]
    pub fn clear_faults(&self) {
        let _ = self.control("DELETE", "faults", "");
    }

    /// The rules in force with their counters (docs/LOCAL-AWS.md).
    #[track_caller]
    #[must_use]
    pub fn faults(&self) -> Value {
        self.control("GET", "faults", "")
    }

    /// An empty account, no rules, no calls.
    #[track_caller]
    pub fn reset(&self) {
        let _ = self.control("POST", "reset", "");
    }

    /// Forgets the calls so far.
    #[track_caller]
    pub fn clear_calls(&self) {
        let _ = self.control("DELETE", "calls", "");
    }

    /// The actions called so far, in order.
    #[track_caller]
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let action = |call: &Value| call["action"].as_str().unwrap_or_default().to_owned();
        self.call_log().iter().map(action).collect()
    }

    /// The actions called so far that may change something, in order.
    #[track_caller]
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        let reads = ["Describe", "Get", "Head", "List"];
        self.calls().into_iter().filter(|action| !reads.iter().any(|read| action.starts_with(read))).collect()
    }

    /// The calls so far, each with its time, action and status (docs/LOCAL-AWS.md).
    #[track_caller]
    #[must_use]
    pub fn call_log(&self) -> Vec<Value> {
        let log = self.control("GET", "calls", "");
        log.as_array().expect("a list of calls").clone()
    }

    /// How many things a Describe action of EC2 lists, whoever made them: `("DescribeVpcs", "vpcId")`.
    #[track_caller]
    #[must_use]
    pub fn count(&self, action: &str, element: &str) -> usize {
        self.act(&format!("Action={action}")).matches(&format!("<{element}>")).count()
    }

    /// Makes a call of EC2's as somebody else would: `Action=…&…`. Answers with the XML.
    #[track_caller]
    #[must_use]
    pub fn act(&self, form: &str) -> String {
        let reply = self.exchange("POST", "/", &format!("{form}&Version=2016-11-15"));
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        reply
    }

    /// Makes a call of `service` as somebody else would, in the format it speaks. Answers with status line and body.
    #[track_caller]
    #[must_use]
    pub fn send(&self, service: &str, method: &str, path: &str, body: &str) -> String {
        let reply = self.exchange_signed(service, method, path, body);
        assert!(reply.starts_with("HTTP/1.1 2"), "{method} {path}: {reply}");
        reply
    }

    /// Makes a call of a service that speaks JSON, such as ACM, as somebody else would. Answers with the body.
    #[track_caller]
    #[must_use]
    pub fn send_json(&self, service: &str, target: &str, body: &str) -> String {
        let head = format!("Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}");
        let reply = self.exchange_as(service, "POST", "/", &head, body);
        assert!(reply.starts_with("HTTP/1.1 2"), "{target}: {reply}");
        reply
    }

    /// Puts the clock of the states forward.
    #[track_caller]
    pub fn advance(&self, seconds: u32) {
        let _ = self.control("POST", &format!("advance?seconds={seconds}"), "");
    }

    /// Waits until `action` has been called.
    #[track_caller]
    pub fn wait_for_call(&self, action: &str) {
        wait_until(&format!("{action} is called"), || self.calls().iter().any(|called| called == action));
    }

    #[track_caller]
    fn control(&self, method: &str, path: &str, body: &str) -> Value {
        let reply = self.exchange(method, &format!("/_lab-sim/{path}"), body);
        assert!(reply.starts_with("HTTP/1.1 200"), "{method} {path} {body}: {reply}");
        let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {reply}"))
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> String {
        self.exchange_signed("ec2", method, path, body)
    }

    fn exchange_signed(&self, service: &str, method: &str, path: &str, body: &str) -> String {
        let kind = match service {
            "ec2" | "iam" => "application/x-www-form-urlencoded",
            "lambda" => "application/json",
            _ => "application/octet-stream",
        };
        self.exchange_as(service, method, path, &format!("Content-Type: {kind}"), body)
    }

    fn exchange_as(&self, service: &str, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("lab-sim serves");
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, \
             Signature=0"
        );
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {scope}\r\nConnection: close\r\n\
             {headers}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("lab-sim reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("lab-sim answers");
        reply
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        // lab-sim stops moto and the functions on SIGTERM.
        let pid = rustix::process::Pid::from_child(&self.sim);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.sim.wait();
    }
}
