//! Opening, closing, and a command for whose time the window is open.
//!
//! The one thing that must not happen is a window that stays open unnoticed. So a signal never ends this program while the
//! window is open: it ends what goes on in it, and then the window is closed.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lab_common::{Session, prices};
use lab_plan::{Exit, Problem, Request, Signals, Stop, Verb, exit_code, print_err, run_verb};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use super::NatWindow;
use crate::cli::{Args, NatTask};

/// Opens, closes or shows the window.
pub(crate) async fn run_task(
    session: &Session,
    args: &Args,
    task: Option<NatTask>,
    stop: &Stop,
) -> Result<Exit, Problem> {
    let (window, request) = (NatWindow::new(session), make_request(session, args));
    match task {
        Some(NatTask::Open) => run_verb(&window, Verb::Up, &request, stop).await,
        // Closing loses nothing and saves money: there is nothing to ask.
        Some(NatTask::Close) => run_verb(&window, Verb::Down, &Request { yes: true, ..request }, stop).await,
        Some(NatTask::Status) => run_verb(&window, Verb::Status, &request, stop).await,
        None => Err(Problem::usage("what is to become of the NAT window?")
            .fix("net-up nat -- COMMAND, net-up nat open, net-up nat close, or net-up nat status")),
    }
}

/// The verbs of the window have names of their own.
fn make_request(session: &Session, args: &Args) -> Request {
    let request = session.request(&args.lab, "net-up");
    let rename = |command: &str, old: &str, new: &str| command.replacen(old, new, 1);
    Request {
        program: format!("{} nat", request.program),
        again: rename(&request.again, "net-up up", "net-up nat open"),
        down: rename(&request.down, "net-up down", "net-up nat close"),
        ..request
    }
}

/// Opens the window, runs `command`, and closes the window whatever happens.
pub(crate) async fn run_during(args: &Args, command: &[OsString], mut signals: Signals) -> Result<Exit, Problem> {
    if args.lab.json {
        return Err(Problem::usage("--json has nothing to say here: stdout is the command's")
            .fix("ask afterwards: net-up nat status --json"));
    }
    let (program, arguments) = command.split_first().ok_or_else(|| Problem::usage("no command is named"))?;
    check_program(program)?;
    let session = open_session(args, &mut signals).await?;
    let request = Request { quiet: true, ..make_request(&session, args) };
    let guard = Guard { window: NatWindow::new(&session), request, name: program.to_string_lossy().into_owned() };

    if let Err(problem) = guard.open(&mut signals).await {
        // Where opening did not begin, nothing has to be closed; a window that somebody else opened stays as it is.
        if !guard.window.has_begun() {
            return Err(problem);
        }
        print_err(&format!("net-up: {problem}\nclosing what has been opened"));
        guard.close(&mut signals).await?;
        return Err(Problem::failed(format!("{} was not run: the NAT window did not open", guard.name))
            .exit_with(problem.exit()));
    }
    print_err(&format!("running {}", guard.name));
    let ended = guard.run(program, arguments, &mut signals).await;
    match &ended {
        Ok(code) => print_err(&format!("{} ended with {code}; closing the NAT window", guard.name)),
        Err(problem) => print_err(&format!("net-up: {problem}\nclosing the NAT window")),
    }
    guard.close(&mut signals).await?;
    ended.map(Exit::Command)
}

/// Nothing is open yet: the first signal ends it. A profile's credentials may wait for somebody to log in.
async fn open_session(args: &Args, signals: &mut Signals) -> Result<Session, Problem> {
    let stop = Stop::new();
    attend(stop.or(Session::open(&args.lab)), signals, |exit, _| stop.ask(exit)).await
}

/// Refuses a command that cannot run before anything is opened and paid.
fn check_program(program: &OsString) -> Result<(), Problem> {
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let found = if Path::new(program).components().count() > 1 {
        runs(Path::new(program))
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| runs(&folder.join(program)))
    };
    if found {
        return Ok(());
    }
    let what = format!("there is no program {}: the NAT window was not opened", program.to_string_lossy());
    Err(Problem::usage(what).fix("check its spelling and PATH"))
}

/// What keeps the window from staying open.
struct Guard {
    window: NatWindow,
    request: Request,
    /// The command's name, for messages.
    name: String,
}

impl Guard {
    async fn open(&self, signals: &mut Signals) -> Result<(), Problem> {
        let stop = Stop::new();
        let work = Box::pin(run_verb(&self.window, Verb::Up, &self.request, &stop));
        let opened = attend(work, signals, |exit, _| {
            stop.ask(exit);
            print_err("stopping: the calls under way finish, then the NAT window is closed");
        });
        opened.await.map(|_| ())
    }

    /// Goes on through one signal; a second one leaves the window as it is, and says so.
    async fn close(&self, signals: &mut Signals) -> Result<(), Problem> {
        let stop = Stop::new();
        let request = Request { yes: true, ..self.request.clone() };
        let work = Box::pin(run_verb(&self.window, Verb::Down, &request, &stop));
        let closed = attend(work, signals, |exit, count| {
            if count == 1 {
                print_err("the NAT window is being closed: wait (once more to leave it, open and costing)");
            } else {
                stop.ask(exit);
            }
        });
        closed.await.map(|_| ()).map_err(|problem| {
            let usd = prices::NAT_GATEWAY + prices::PUBLIC_IPV4;
            let what =
                format!("the NAT window may still be open, and cost ${usd:.2} an hour until it is closed\n{problem}");
            Problem::failed(what).fix(format!("close it: {}", request.down))
        })
    }

    /// Runs the command to its end; answers with its exit code.
    async fn run(&self, program: &OsString, arguments: &[OsString], signals: &mut Signals) -> Result<u8, Problem> {
        let cannot = |error: std::io::Error| {
            Problem::failed(format!("{} could not be run", self.name)).because(error.to_string())
        };
        let (mut child, process) = start(program, arguments).map_err(cannot)?;
        let ended = attend(child.wait(), signals, |exit, count| {
            if count == 1 {
                process.ask_to_end(exit);
                print_err(&format!("{} is asked to end, then the NAT window closes (again to kill it)", self.name));
            } else {
                process.kill();
                print_err(&format!("{} is killed; the NAT window closes", self.name));
            }
        });
        ended.await.map(exit_code).map_err(cannot)
    }
}

/// Does `work` to its end, and tells `on_signal` of each signal meanwhile and how many there have been.
async fn attend<T>(work: impl Future<Output = T>, signals: &mut Signals, mut on_signal: impl FnMut(Exit, u32)) -> T {
    let mut work = std::pin::pin!(work);
    let mut count = 0;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            exit = signals.next() => {
                count += 1;
                on_signal(exit, count);
            }
        }
    }
}

/// How signals reach the command.
#[derive(Debug, Clone, Copy)]
enum Process {
    /// It leads a process group of its own.
    Group(Pid),
    /// It shares ours, so that it can read from the terminal, which sends Ctrl-C to both of us.
    Shared(Pid),
}

impl Process {
    fn ask_to_end(self, exit: Exit) {
        let signal = if exit == Exit::Interrupted { Signal::INT } else { Signal::TERM };
        // One that has ended already needs no signal.
        let _ = match self {
            Self::Group(leader) => kill_process_group(leader, signal),
            Self::Shared(_) if signal == Signal::INT => Ok(()),
            Self::Shared(process) => kill_process(process, signal),
        };
    }

    fn kill(self) {
        let _ = match self {
            Self::Group(leader) => kill_process_group(leader, Signal::KILL),
            Self::Shared(process) => kill_process(process, Signal::KILL),
        };
    }
}

fn start(program: &OsString, arguments: &[OsString]) -> std::io::Result<(Child, Process)> {
    let mut command = Command::new(program);
    command.args(arguments);
    let shares_terminal = std::io::stdin().is_terminal();
    if !shares_terminal {
        command.process_group(0);
    }
    let child = command.spawn()?;
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .ok_or_else(|| std::io::Error::other("it ended before it had a process id"))?;
    Ok((child, if shares_terminal { Process::Shared(pid) } else { Process::Group(pid) }))
}
