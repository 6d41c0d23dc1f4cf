//! Starting and stopping: moto, the front, the command, and what happens on a signal.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::accounts::Accounts;
use crate::acm::AcmOverlay;
use crate::calls::CallLog;
use crate::cli::Cli;
use crate::ec2::Ec2Overlay;
use crate::faults::rules::FaultBook;
use crate::front::serve;
use crate::guard::{GUARD, become_guarded};
use crate::lambda::LambdaHost;
use crate::late::LateBook;
use crate::moto::{ACCOUNT, MotoError, MotoProcess, find_moto};
use crate::s3::S3Overlay;
use crate::s3control::S3ControlOverlay;
use crate::session::SessionEnd;
use crate::sim::{AccountSeed, CommandId, Sim, StateTimes, lock};
use crate::sqs::SqsOverlay;
use crate::tagging::TagMemory;
use crate::vpn::{JANITOR, MissingParts, Namespaces, become_janitor, check_requirements, enter, supervise};

/// Why lab-sim could not run. A command that fails is not among these: its exit code is passed on.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RunError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("port {port} cannot be listened on: {source}; choose another with --port, or leave it out")]
    Listen { port: u16, source: std::io::Error },
    #[error("the faults file {path} cannot be read: {source}")]
    ReadFaults { path: String, source: std::io::Error },
    #[error("the faults file {path} is wrong: {reason}; docs/LOCAL-AWS.md shows every kind of rule")]
    WrongFaults { path: String, reason: String },
    #[error("the call log {path} cannot be created: {source}")]
    CallLog { path: String, source: std::io::Error },
    #[error(transparent)]
    Moto(#[from] MotoError),
    #[error("{command} cannot be started: {source}")]
    Command { command: String, source: std::io::Error },
    #[error("--print-env needs the --port on which lab-sim serves")]
    NoPort,
    #[error(transparent)]
    MissingParts(#[from] MissingParts),
    #[error(
        "--vpn-netns: the network namespaces cannot be made: {0}; they need root and a kernel with veth and namespaces"
    )]
    Namespaces(std::io::Error),
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// When the arguments ask for a guard (see the `guard` module) or for the janitor of network namespaces, becomes it and
/// returns its exit code.
pub fn become_guard_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<u8> {
    let mut arguments = arguments.into_iter().skip(1);
    let first = arguments.next()?;
    match first.to_str()? {
        GUARD => Some(become_guarded(arguments)),
        JANITOR => Some(become_janitor(arguments)),
        _ => None,
    }
}

/// Runs lab-sim as `cli` says and returns its exit code.
///
/// # Errors
/// When the local AWS or the command could not be started.
pub fn run(cli: &Cli) -> Result<u8, RunError> {
    if cli.print_env {
        if cli.port == 0 {
            return Err(Cause::NoPort.into());
        }
        print_exports(cli, &format!("http://127.0.0.1:{}", cli.port), None, cli.session_ends.map(SessionEnd::new));
        return Ok(0);
    }
    // Two threads: one can carry on while the other rewrites a long answer. They live as long as the process, which
    // the guard relies on.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Cause::System)?;
    Ok(runtime.block_on(run_all(cli))?)
}

async fn run_all(cli: &Cli) -> Result<u8, Cause> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let faults = load_faults(cli)?;
    let calls = CallLog::create(cli.call_log.as_deref())
        .map_err(|source| Cause::CallLog { path: display(cli.call_log.as_deref()), source })?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, cli.port))
        .await
        .map_err(|source| Cause::Listen { port: cli.port, source })?;
    let address = listener.local_addr()?;
    let folder = tempfile::Builder::new().prefix("lab-sim-").tempdir()?;
    let namespaces = cli.vpn_netns.then(make_namespaces).transpose()?;

    let program = find_moto(cli.moto.as_deref(), &search_starts(), &std::env::var_os("PATH").unwrap_or_default())?;
    let mut moto = tokio::select! {
        moto = MotoProcess::start(&program, folder.path()) => moto?,
        _ = interrupts.recv() => return Ok(130),
        _ = terminations.recv() => return Ok(143),
    };
    let session_end = cli.session_ends.map(SessionEnd::new);
    let sim = Arc::new(new_sim(cli, &moto, address, folder.path(), calls, faults, session_end));
    let accounts = Arc::new(Accounts::new(Arc::clone(&sim), new_seed(cli, folder.path())));
    let mut tasks = vec![spawn(serve(Arc::clone(&accounts), listener, None))];
    if let Some(namespaces) = &namespaces {
        tasks.extend(serve_namespaces(&accounts, namespaces, address.port(), folder.path())?);
    }
    let warm_up = tokio::spawn(moto.client.clone().warm_up(region()));
    if cli.warm {
        // It only fails by a panic, which has been printed then.
        let _ = warm_up.await;
    }

    let code = if let Some((program, arguments)) = cli.command.split_first() {
        run_command(cli, &sim, namespaces.as_ref(), (program, arguments), &mut interrupts, &mut terminations).await
    } else {
        print_exports(cli, &sim.endpoint, namespaces.as_ref(), sim.session_end);
        Ok(tokio::select! {
            _ = interrupts.recv() => 130,
            _ = terminations.recv() => 143,
        })
    };
    for task in tasks {
        task.abort();
        // What it holds is let go before the namespaces are.
        let _ = task.await;
    }
    accounts.end_functions().await;
    moto.stop().await;
    code
}

fn make_namespaces() -> Result<Namespaces, Cause> {
    check_requirements()?;
    Namespaces::create().map_err(Cause::Namespaces)
}

/// Runs a task for as long as lab-sim runs.
fn spawn(task: impl Future<Output = Infallible> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        task.await;
    })
}

/// Serves the API on the laptop's loopback, and keeps the cloud like the account says.
fn serve_namespaces(
    accounts: &Arc<Accounts>,
    namespaces: &Namespaces,
    port: u16,
    folder: &Path,
) -> Result<Vec<JoinHandle<()>>, Cause> {
    let listener = enter(&namespaces.laptop, || {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    })
    .map_err(Cause::Namespaces)?;
    let laptop = Some(Arc::from(namespaces.laptop.as_str()));
    let api = spawn(serve(Arc::clone(accounts), TcpListener::from_std(listener)?, laptop));
    let cloud = supervise(Arc::clone(&accounts.home), namespaces.cloud.clone(), folder.join("vpn"));
    let cloud = tokio::spawn(async move {
        let Err(error) = cloud.await;
        eprintln!("lab-sim: --vpn-netns: {error}");
    });
    Ok(vec![api, cloud])
}

fn new_seed(cli: &Cli, folder: &Path) -> AccountSeed {
    AccountSeed {
        functions: folder.join("functions"),
        concurrency: cli.concurrent_executions(),
        foreign_buckets: cli.foreign_buckets.clone(),
        my_ip: cli.my_ip,
        tag_memory: cli.tag_memory,
    }
}

fn new_sim(
    cli: &Cli,
    moto: &MotoProcess,
    address: SocketAddr,
    folder: &Path,
    calls: CallLog,
    faults: FaultBook,
    session_end: Option<SessionEnd>,
) -> Sim {
    let endpoint = format!("http://{address}");
    let times = Arc::new(StateTimes::new(cli.time_scale()));
    Sim {
        account: ACCOUNT.to_owned(),
        moto: moto.client.clone(),
        times,
        disabled_regions: cli.disabled_regions.clone(),
        caller_arn: cli.caller_arn.clone(),
        quotas: cli.quotas.clone(),
        clock_skew: cli.clock_skew,
        session_end,
        calls: Arc::new(calls),
        faults: Arc::new(Mutex::new(faults)),
        command: Arc::new(Mutex::new(None)),
        lambda: LambdaHost::new(folder.join("functions").join(ACCOUNT), cli.concurrent_executions()),
        s3: S3Overlay::new(cli.foreign_buckets.clone()),
        ec2: Ec2Overlay::new(cli.my_ip),
        s3control: S3ControlOverlay::default(),
        sqs: SqsOverlay::default(),
        acm: AcmOverlay::default(),
        late: LateBook::default(),
        tag_memory: TagMemory::new(cli.tag_memory),
        changed: Arc::new(tokio::sync::Notify::new()),
        endpoint,
    }
}

fn load_faults(cli: &Cli) -> Result<FaultBook, Cause> {
    let mut faults = FaultBook::with_latency(cli.latency);
    if let Some(path) = &cli.faults {
        let name = path.display().to_string();
        let json = std::fs::read(path).map_err(|source| Cause::ReadFaults { path: name.clone(), source })?;
        faults.load(&json).map_err(|reason| Cause::WrongFaults { path: name, reason })?;
    }
    Ok(faults)
}

fn display(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

/// Where the search for the project's venv begins.
fn search_starts() -> Vec<PathBuf> {
    let program = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    std::env::current_dir().ok().into_iter().chain(program).collect()
}

fn region() -> String {
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "us-east-1".to_owned())
}

/// The environment that points every SDK and the CLI at lab-sim.
fn environment(
    cli: &Cli,
    endpoint: &str,
    namespaces: Option<&Namespaces>,
    session_end: Option<SessionEnd>,
) -> Vec<(&'static str, String)> {
    let no_proxy = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).unwrap_or_default();
    let no_proxy = if no_proxy.is_empty() { "127.0.0.1".to_owned() } else { format!("{no_proxy},127.0.0.1") };
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIALABSIMEXAMPLE000".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "not-a-secret-lab-sim-checks-no-signature".to_owned()),
        ("AWS_REGION", region()),
        ("AWS_DEFAULT_REGION", region()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ("LAB_MY_IP", cli.my_ip.to_string()),
        ("NO_PROXY", no_proxy.clone()),
        ("no_proxy", no_proxy),
    ];
    if let Some(end) = session_end {
        variables.extend(end.variables());
    }
    if let Some(namespaces) = namespaces {
        variables.push(("LAB_SIM_LAPTOP", namespaces.laptop.clone()));
        variables.push(("LAB_SIM_CLOUD", namespaces.cloud.clone()));
    }
    variables
}

/// Variables that would lead a call past lab-sim or change who makes it.
fn unwanted_variables(session_end: Option<SessionEnd>) -> Vec<String> {
    let fixed = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN", "AWS_CA_BUNDLE"];
    let of_a_session: &[&str] =
        if session_end.is_none() { &["AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"] } else { &[] };
    let endpoints = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("AWS_ENDPOINT_URL_") || name == "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    fixed.iter().chain(of_a_session).map(|name| (*name).to_owned()).chain(endpoints).collect()
}

fn print_exports(cli: &Cli, endpoint: &str, namespaces: Option<&Namespaces>, session_end: Option<SessionEnd>) {
    let mut lines: Vec<String> = environment(cli, endpoint, namespaces, session_end)
        .into_iter()
        .map(|(name, value)| format!("export {name}={value}"))
        .collect();
    lines.push(format!("unset {}", unwanted_variables(session_end).join(" ")));
    lines.push(String::new());
    // A reader that has seen enough may have gone: lab-sim serves all the same.
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(lines.join("\n").as_bytes()).and_then(|()| stdout.flush());
}

/// Runs the command to its end and returns its exit code.
async fn run_command(
    cli: &Cli,
    sim: &Sim,
    namespaces: Option<&Namespaces>,
    (program, arguments): (&OsString, &[OsString]),
    interrupts: &mut tokio::signal::unix::Signal,
    terminations: &mut tokio::signal::unix::Signal,
) -> Result<u8, Cause> {
    let cannot = |source| Cause::Command { command: program.to_string_lossy().into_owned(), source };
    let mut command = match namespaces {
        Some(namespaces) => namespaces.laptop_command(program).map_err(cannot)?,
        None => tokio::process::Command::new(program),
    };
    command.args(arguments).envs(environment(cli, &sim.endpoint, namespaces, sim.session_end));
    let (child, id) = start_command(sim, command).map_err(cannot)?;
    Ok(wait_for_command(child, id, interrupts, terminations).await?)
}

fn start_command(sim: &Sim, mut command: tokio::process::Command) -> std::io::Result<(Child, CommandId)> {
    for name in unwanted_variables(sim.session_end) {
        command.env_remove(name);
    }
    // In a group of its own a command cannot read from the terminal.
    let own_group = !std::io::stdin().is_terminal();
    if own_group {
        command.process_group(0);
    }
    let child = command.spawn()?;
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .ok_or_else(|| std::io::Error::other("it ended before it had a process id"))?;
    let id = if own_group { CommandId::Group(pid) } else { CommandId::Process(pid) };
    *lock(&sim.command) = Some(id);
    Ok((child, id))
}

/// Waits for the command's end and passes signals on meanwhile.
async fn wait_for_command(
    mut child: Child,
    command: CommandId,
    interrupts: &mut tokio::signal::unix::Signal,
    terminations: &mut tokio::signal::unix::Signal,
) -> std::io::Result<u8> {
    loop {
        tokio::select! {
            status = child.wait() => return Ok(exit_code(status?)),
            _ = interrupts.recv() => match command {
                CommandId::Group(_) => command.send(Signal::INT),
                // The terminal has sent it to the command as well.
                CommandId::Process(_) => {}
            },
            _ = terminations.recv() => command.send(Signal::TERM),
        }
    }
}

/// The command's exit code; 128 + N when signal N ended it, as a shell says it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
