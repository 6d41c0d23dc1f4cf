//! A deployed function: its configuration as moto keeps it, its code, and the environments that run it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use super::environment::Environment;
use crate::sim::{StateTimes, lock};

/// Where a function lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FunctionKey {
    pub(crate) region: String,
    pub(crate) name: String,
}

impl FunctionKey {
    /// From what the API takes as a function name: `name`, `name:qualifier`, `account:function:name` or an ARN. An ARN's
    /// Region wins over `region`.
    pub(crate) fn parse(reference: &str, region: &str) -> Self {
        let parts: Vec<&str> = reference.split(':').collect();
        let (region, name) = match parts.as_slice() {
            ["arn", _, "lambda", arn_region, _, "function", name, ..] => (*arn_region, *name),
            [_, "function", name, ..] | [name, ..] => (region, *name),
            [] => (region, ""),
        };
        Self { region: region.to_owned(), name: name.to_owned() }
    }
}

/// What of a function's configuration running it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionConfig {
    pub(crate) arn: String,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) architecture: String,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u64,
    pub(crate) log_group: String,
    pub(crate) variables: BTreeMap<String, String>,
}

impl FunctionConfig {
    /// From the configuration in an answer of the API. `log_group` is one that the caller chose.
    pub(crate) fn from_answer(answer: &Value, log_group: Option<&str>) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let variables = answer["Environment"]["Variables"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        Self {
            // An answer about a version carries its number behind the name.
            arn: text("FunctionArn").split(':').take(7).collect::<Vec<_>>().join(":"),
            runtime: text("Runtime"),
            handler: text("Handler"),
            architecture: answer["Architectures"][0].as_str().unwrap_or("x86_64").to_owned(),
            timeout: Duration::from_secs(answer["Timeout"].as_u64().unwrap_or(3)),
            memory_mb: answer["MemorySize"].as_u64().unwrap_or(128),
            log_group: log_group.map_or_else(|| format!("/aws/lambda/{}", text("FunctionName")), str::to_owned),
            variables,
        }
    }
}

/// A failure as the function's caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionError {
    pub(crate) kind: String,
    pub(crate) message: String,
}

impl FunctionError {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into() }
    }

    /// The payload that the caller gets.
    pub(crate) fn to_payload(&self, request_id: &str) -> Bytes {
        let message = format!("RequestId: {request_id} Error: {}", self.message);
        Bytes::from(json!({ "errorType": self.kind, "errorMessage": message }).to_string())
    }
}

/// A deployment package. It is unpacked once, when the first environment starts.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) zip: Bytes,
    folder: PathBuf,
    unpacked: tokio::sync::OnceCell<Result<(), String>>,
}

impl Code {
    /// The package `zip`, to be unpacked at `folder`.
    pub(crate) fn new(zip: Bytes, folder: PathBuf) -> Self {
        Self { zip, folder, unpacked: tokio::sync::OnceCell::new() }
    }

    /// The folder with the package's files, `/var/task` on AWS.
    pub(crate) async fn unpack(&self) -> Result<&Path, FunctionError> {
        let unpacked = self.unpacked.get_or_init(async || unpack_zip(&self.zip, &self.folder)).await;
        match unpacked {
            Ok(()) => Ok(&self.folder),
            Err(reason) => Err(FunctionError::new("Runtime.InvalidEntrypoint", reason.clone())),
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn unpack_zip(zip: &Bytes, folder: &Path) -> Result<(), String> {
    let unzip = || -> zip::result::ZipResult<()> {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip))?;
        fs::create_dir_all(folder)?;
        archive.extract(folder)
    };
    unzip().map_err(|error| format!("Could not unzip the deployment package: {error}"))
}

/// ELF's numbers for the architectures that Lambda has.
fn elf_machine(architecture: &str) -> u16 {
    if architecture == "arm64" { 183 } else { 62 }
}

/// Lambda's name for the machine that this runs on.
fn host_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// The package's `bootstrap`, made sure to be one that Lambda, and this machine, can run.
pub(crate) fn check_entrypoint(folder: &Path, config: &FunctionConfig) -> Result<PathBuf, FunctionError> {
    let invalid = |message: String| FunctionError::new("Runtime.InvalidEntrypoint", message);
    let bootstrap = folder.join("bootstrap");
    if !config.runtime.starts_with("provided") {
        return Err(invalid(format!("lab-sim runs provided.al2023 functions only, not {}", config.runtime)));
    }
    let Ok(metadata) = fs::metadata(&bootstrap) else {
        return Err(invalid("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]".to_owned()));
    };
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(invalid("fork/exec /var/task/bootstrap: permission denied".to_owned()));
    }
    match read_elf_machine(&bootstrap) {
        Some(machine) if machine != elf_machine(&config.architecture) => {
            Err(invalid("fork/exec /var/task/bootstrap: exec format error".to_owned()))
        }
        Some(_) if config.architecture != host_architecture() => Err(invalid(format!(
            "the function is built for {}, and this machine is {}: build it for {1} to run it locally",
            config.architecture,
            host_architecture()
        ))),
        _ => Ok(bootstrap),
    }
}

/// The machine in an ELF header; `None` for a script.
fn read_elf_machine(program: &Path) -> Option<u16> {
    let mut header = [0u8; 20];
    fs::File::open(program).ok()?.read_exact(&mut header).ok()?;
    header.starts_with(b"\x7fELF").then(|| u16::from_le_bytes([header[18], header[19]]))
}

/// One state of a function between two updates, with the environments that run it.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) config: FunctionConfig,
    pub(crate) code: Arc<Code>,
    idle: Mutex<Vec<Environment>>,
    retired: AtomicBool,
}

impl Version {
    pub(crate) fn new(config: FunctionConfig, code: Arc<Code>) -> Self {
        Self { config, code, idle: Mutex::new(Vec::new()), retired: AtomicBool::new(false) }
    }

    /// A warm environment whose process is still there.
    pub(crate) fn take_idle(&self) -> Option<Environment> {
        let mut idle = lock(&self.idle);
        while let Some(mut environment) = idle.pop() {
            if environment.is_alive() {
                return Some(environment);
            }
        }
        None
    }

    /// Keeps an environment warm for the next invocation; one of a retired version ends.
    pub(crate) fn put_idle(&self, environment: Environment) {
        let mut idle = lock(&self.idle);
        if !self.retired.load(Ordering::SeqCst) {
            idle.push(environment);
        }
    }

    /// Ends the idle environments; running ones end after their invocation.
    pub(crate) fn retire(&self) {
        let mut idle = lock(&self.idle);
        self.retired.store(true, Ordering::SeqCst);
        idle.clear();
    }
}

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) key: FunctionKey,
    current: Mutex<Arc<Version>>,
    changed: Mutex<Instant>,
    updated: AtomicBool,
    deleted: AtomicBool,
}

impl Function {
    pub(crate) fn new(key: FunctionKey, version: Version, now: Instant) -> Self {
        Self {
            key,
            current: Mutex::new(Arc::new(version)),
            changed: Mutex::new(now),
            updated: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
        }
    }

    pub(crate) fn current(&self) -> Arc<Version> {
        Arc::clone(&lock(&self.current))
    }

    /// Replaces configuration and code; the environments of before end.
    pub(crate) fn update(&self, version: Version, now: Instant) {
        let old = std::mem::replace(&mut *lock(&self.current), Arc::new(version));
        *lock(&self.changed) = now;
        self.updated.store(true, Ordering::SeqCst);
        old.retire();
    }

    /// Whether it has never been changed since it was created.
    pub(crate) fn is_new(&self) -> bool {
        !self.updated.load(Ordering::SeqCst)
    }

    /// Ends the function.
    pub(crate) fn delete(&self) {
        self.deleted.store(true, Ordering::SeqCst);
        self.current().retire();
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::SeqCst)
    }

    /// How long until the last create or update has settled; zero when it has.
    pub(crate) fn until_ready(&self, times: &StateTimes) -> Duration {
        times.function_ready().saturating_sub(times.since(*lock(&self.changed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(runtime: &str, architecture: &str) -> FunctionConfig {
        FunctionConfig::from_answer(
            &json!({ "FunctionArn": "arn:aws:lambda:us-east-1:1:function:f:7", "FunctionName": "f", "Runtime": runtime,
                "Architectures": [architecture], "Environment": { "Variables": { "A": "b" } } }),
            None,
        )
    }

    #[test]
    fn functions_are_named_in_every_way_the_api_takes() {
        for reference in
            ["f", "f:$LATEST", "123456789012:function:f", "arn:aws:lambda:us-east-1:123456789012:function:f:live"]
        {
            let key = FunctionKey::parse(reference, "us-east-1");
            assert_eq!((key.region.as_str(), key.name.as_str()), ("us-east-1", "f"), "{reference}");
        }
        assert_eq!(FunctionKey::parse("arn:aws:lambda:eu-west-1:1:function:g", "us-east-1").region, "eu-west-1");
    }

    #[test]
    fn defaults_are_lambdas_own() {
        let config = config("provided.al2023", "arm64");
        assert_eq!(config.arn, "arn:aws:lambda:us-east-1:1:function:f");
        assert_eq!((config.timeout, config.memory_mb), (Duration::from_secs(3), 128));
        assert_eq!(config.log_group, "/aws/lambda/f");
        assert_eq!(config.variables["A"], "b");
    }

    #[test]
    fn an_entrypoint_that_cannot_run_is_refused_before_it_starts() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |config: &FunctionConfig| check_entrypoint(folder.path(), config).expect_err("refused").message;
        assert!(error(&config("provided.al2023", "x86_64")).contains("Couldn't find valid bootstrap"));

        let bootstrap = folder.path().join("bootstrap");
        fs::write(&bootstrap, "#!/bin/sh\n").expect("a file");
        assert!(error(&config("provided.al2023", "x86_64")).contains("permission denied"));

        fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755)).expect("a mode");
        assert!(check_entrypoint(folder.path(), &config("provided.al2023", "x86_64")).is_ok());
        assert!(error(&config("python3.13", "x86_64")).contains("provided.al2023"));

        let mut elf = b"\x7fELF".to_vec();
        elf.resize(18, 0);
        elf.extend(elf_machine("arm64").to_le_bytes());
        fs::write(&bootstrap, elf).expect("a file");
        assert!(error(&config("provided.al2023", "x86_64")).contains("exec format error"));
    }
}
