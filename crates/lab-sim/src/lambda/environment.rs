//! An execution environment: one child process that runs a function's `bootstrap`, one event at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::sync::oneshot;

use super::function::{Code, FunctionConfig, FunctionError, FunctionKey, check_entrypoint};
use super::runtime_api::{InitEvent, Invocation, MAX_RESPONSE, Reply, RuntimeApi};
use crate::call::function_key;
use crate::guard::guarded_command;

/// Lambda gives the init phase ten seconds.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the memory of a running function is looked at.
const MEMORY_POLL: Duration = Duration::from_millis(10);

/// A process that waits for events or works on one. Dropping it kills the process and its children.
#[derive(Debug)]
pub(crate) struct Environment {
    child: Child,
    group: Pid,
    runtime: RuntimeApi,
    output: Output,
    memory_mb: u64,
    pub(crate) log_stream: String,
    /// What starting took; taken by the first invocation's report.
    pub(crate) init_duration: Option<Duration>,
}

/// How one event ended.
#[derive(Debug)]
pub(crate) struct RunResult {
    /// The payload for the caller, or what went wrong.
    pub(crate) outcome: Result<Bytes, Failure>,
    pub(crate) duration: Duration,
    /// The most memory that the process has used so far, in MB.
    pub(crate) max_memory_mb: u64,
    /// Whether the process may take another event.
    pub(crate) reusable: bool,
}

/// Why there is no response.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The function itself reported an error, in this payload.
    Reported(Bytes),
    /// Lambda's own words.
    Platform(FunctionError),
}

/// Where an environment finds what it needs.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) key: &'a FunctionKey,
    pub(crate) config: &'a FunctionConfig,
    pub(crate) code: &'a Code,
    /// A folder for the function's output and temporary files.
    pub(crate) folder: PathBuf,
    pub(crate) endpoint: &'a str,
    pub(crate) log_stream: String,
}

/// A start that failed, with what the process had printed until then.
#[derive(Debug)]
pub(crate) struct InitFailure {
    pub(crate) failure: Failure,
    pub(crate) lines: Vec<String>,
    pub(crate) duration: Duration,
}

impl Environment {
    /// Starts the function's process and waits until it asks for its first event.
    pub(crate) async fn start(place: Place<'_>) -> Result<Self, InitFailure> {
        let start = Instant::now();
        let fail = |failure: Failure, lines: Vec<String>| InitFailure { failure, lines, duration: start.elapsed() };
        let mut environment = spawn(place).await.map_err(|error| fail(Failure::Platform(error), Vec::new()))?;
        let failure = tokio::select! {
            // A runtime that reports its failure exits right after it: the report is the better reason.
            biased;
            event = environment.runtime.init_events.recv() => match event {
                Some(InitEvent::Failed(report)) => Some(Failure::Reported(report)),
                Some(InitEvent::Ready) | None => None,
            },
            status = environment.child.wait() => Some(Failure::Platform(exit_error(status.ok()))),
            () = tokio::time::sleep(INIT_TIMEOUT) => Some(Failure::Platform(FunctionError::new(
                "Sandbox.Timedout",
                "Task timed out after 10.00 seconds during its initialization",
            ))),
        };
        if let Some(failure) = failure {
            let lines = environment.output.new_lines(true);
            return Err(fail(failure, lines));
        }
        environment.init_duration = Some(start.elapsed());
        Ok(environment)
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What the function has printed since the last time.
    pub(crate) fn new_lines(&mut self, last: bool) -> Vec<String> {
        self.output.new_lines(last)
    }

    /// Gives the function one event and waits for its reply, its end or its timeout.
    pub(crate) async fn run(&mut self, request_id: &str, payload: Bytes, config: &FunctionConfig) -> RunResult {
        let start = Instant::now();
        let (reply, mut replied) = oneshot::channel();
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            payload,
            deadline: SystemTime::now() + config.timeout,
            function_arn: config.arn.clone(),
            reply,
        };
        let mut max_memory_mb = 0;
        let ended = tokio::select! {
            biased;
            ended = converse(&self.runtime, invocation, &mut replied) => ended,
            over = watch_memory(self.group, self.memory_mb, &mut max_memory_mb) => over,
            status = self.child.wait() => Ended::Exited(exit_error(status.ok())),
            () = tokio::time::sleep(config.timeout) => Ended::TimedOut,
        };
        let duration = start.elapsed();
        max_memory_mb = max_memory_mb.max(read_peak_memory(self.group)).min(self.memory_mb);
        let (outcome, reusable) = match ended {
            Ended::Replied(Reply::Response(body)) => (Ok(body), true),
            Ended::Replied(Reply::Error(report)) => (Err(Failure::Reported(report)), true),
            Ended::Replied(Reply::TooLarge(size)) => (Err(Failure::Platform(too_large(size))), true),
            Ended::Exited(error) => (Err(Failure::Platform(error)), false),
            Ended::OverMemory => {
                max_memory_mb = self.memory_mb;
                let error = FunctionError::new("Runtime.ExitError", "Runtime exited with error: signal: killed");
                (Err(Failure::Platform(error)), false)
            }
            Ended::TimedOut => (Err(Failure::Platform(timed_out(config.timeout))), false),
        };
        if !reusable {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
        RunResult { outcome, duration, max_memory_mb, reusable }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = fs::remove_dir_all(&self.output.folder);
    }
}

/// Ways in which an event can end.
enum Ended {
    Replied(Reply),
    Exited(FunctionError),
    OverMemory,
    TimedOut,
}

/// Hands the event over and waits for the reply; never returns when the process goes without one.
async fn converse(runtime: &RuntimeApi, invocation: Invocation, replied: &mut oneshot::Receiver<Reply>) -> Ended {
    // Either fails only when the process is about to end, and that is noticed elsewhere.
    let _ = runtime.invocations.send(invocation).await;
    match replied.await {
        Ok(reply) => Ended::Replied(reply),
        Err(_) => std::future::pending().await,
    }
}

fn timed_out(timeout: Duration) -> FunctionError {
    FunctionError::new("Sandbox.Timedout", format!("Task timed out after {:.2} seconds", timeout.as_secs_f64()))
}

fn too_large(size: usize) -> FunctionError {
    FunctionError::new(
        "Function.ResponseSizeTooLarge",
        format!("Response payload size ({size} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."),
    )
}

fn exit_error(status: Option<std::process::ExitStatus>) -> FunctionError {
    use std::os::unix::process::ExitStatusExt as _;
    let how = match status.map(|status| (status.code(), status.signal())) {
        Some((Some(0), _)) => "Runtime exited without providing a reason".to_owned(),
        Some((Some(code), _)) => format!("Runtime exited with error: exit status {code}"),
        Some((None, Some(signal))) => format!("Runtime exited with error: signal: {signal}"),
        _ => "Runtime exited".to_owned(),
    };
    FunctionError::new("Runtime.ExitError", how)
}

async fn spawn(place: Place<'_>) -> Result<Environment, FunctionError> {
    let task_root = place.code.unpack().await?;
    let bootstrap = check_entrypoint(task_root, place.config)?;
    let system = |error: std::io::Error| FunctionError::new("Runtime.InvalidEntrypoint", error.to_string());
    let runtime = RuntimeApi::listen().await.map_err(system)?;
    fs::create_dir_all(&place.folder).map_err(system)?;
    let output = Output::create(&place.folder).map_err(system)?;

    let mut command = guarded_command(bootstrap.as_os_str()).map_err(system)?;
    command.env_clear().envs(environment_variables(&place, task_root, &runtime));
    command.current_dir(task_root).stdin(std::process::Stdio::null());
    command.stdout(output.writer().map_err(system)?).stderr(output.writer().map_err(system)?);
    let child = command.spawn().map_err(system)?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .ok_or_else(|| FunctionError::new("Runtime.ExitError", "Runtime exited"))?;
    Ok(Environment {
        child,
        group,
        runtime,
        output,
        memory_mb: place.config.memory_mb,
        log_stream: place.log_stream,
        init_duration: None,
    })
}

/// The environment as the developer guide lists it, then the function's own variables.
fn environment_variables(
    place: &Place<'_>,
    task_root: &std::path::Path,
    runtime: &RuntimeApi,
) -> Vec<(String, String)> {
    let config = place.config;
    let task_root = task_root.display().to_string();
    let temporary = place.folder.display().to_string();
    let defined = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("LD_LIBRARY_PATH", format!("{task_root}:{task_root}/lib:/opt/lib")),
        ("LAMBDA_TASK_ROOT", task_root),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("_HANDLER", config.handler.clone()),
        ("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", place.key.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory_mb.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", config.log_group.clone()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", place.log_stream.clone()),
        ("AWS_REGION", place.key.region.clone()),
        ("AWS_DEFAULT_REGION", place.key.region.clone()),
        ("AWS_ACCESS_KEY_ID", function_key(account_of(&config.arn))),
        ("AWS_SECRET_ACCESS_KEY", "not-a-secret-lab-sim-checks-no-signature".to_owned()),
        ("AWS_SESSION_TOKEN", "lab-sim-function-session".to_owned()),
        ("AWS_ENDPOINT_URL", place.endpoint.to_owned()),
        ("TMPDIR", temporary),
    ];
    let own = config.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
    defined.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(own).collect()
}

/// The account in `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or(crate::moto::ACCOUNT)
}

/// Ends when the process uses more than `limit_mb`; `peak` keeps the most that was seen.
async fn watch_memory(process: Pid, limit_mb: u64, peak: &mut u64) -> Ended {
    loop {
        tokio::time::sleep(MEMORY_POLL).await;
        let used = read_memory(process, "VmRSS:");
        *peak = (*peak).max(used);
        if used > limit_mb {
            return Ended::OverMemory;
        }
    }
}

fn read_peak_memory(process: Pid) -> u64 {
    read_memory(process, "VmHWM:")
}

/// A memory figure of a process in MB, rounded up; 0 when it has ended.
fn read_memory(process: Pid, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap_or_default();
    parse_memory(&status, field)
}

fn parse_memory(status: &str, field: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes.div_ceil(1024))
}

/// The function's stdout and stderr: one file that both append to. What was written before the reply is in the file
/// when the reply arrives, so log lines belong to their invocation without any waiting.
#[derive(Debug)]
struct Output {
    folder: PathBuf,
    file: File,
    read: u64,
    partial: Vec<u8>,
}

impl Output {
    fn create(folder: &std::path::Path) -> std::io::Result<Self> {
        let path = folder.join("output");
        let file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        Ok(Self { folder: folder.to_owned(), file, read: 0, partial: Vec::new() })
    }

    fn writer(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }

    /// The lines since the last time; a line without its end only when it is the `last` time.
    fn new_lines(&mut self, last: bool) -> Vec<String> {
        let mut fresh = Vec::new();
        // The descriptor is shared with the process, which appends: seeking moves nobody else's writes.
        let _ = self.file.seek(SeekFrom::Start(self.read));
        let _ = self.file.read_to_end(&mut fresh);
        self.read += fresh.len() as u64;
        self.partial.extend(fresh);
        let mut lines: Vec<Vec<u8>> = self.partial.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        self.partial = if last { Vec::new() } else { lines.pop().unwrap_or_default() };
        lines.retain(|line| !line.is_empty());
        lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_come_whole_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut output = Output::create(folder.path()).expect("a file");
        let mut writer = output.writer().expect("a writer");
        write!(writer, "one\ntw").expect("written");
        assert_eq!(output.new_lines(false), ["one"]);
        write!(writer, "o\n\nthree").expect("written");
        assert_eq!(output.new_lines(false), ["two"]);
        assert_eq!(output.new_lines(true), ["three"]);
        assert!(output.new_lines(true).is_empty());
    }

    #[test]
    fn memory_is_read_in_megabytes() {
        assert_eq!(parse_memory("Name:\tx\nVmRSS:\t  2049 kB\n", "VmRSS:"), 3);
        assert_eq!(parse_memory("Name:\tx\n", "VmRSS:"), 0);
    }
}
