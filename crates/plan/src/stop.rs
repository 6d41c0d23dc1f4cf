//! Ctrl-C, Ctrl-\, SIGTERM and SIGHUP: the current calls finish, nothing new starts.

use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::{Exit, Problem, print_err};

/// The signals by which a user ends a program, as they come.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on these signals do not end the process.
    ///
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// The next signal, as the exit it asks for. SIGQUIT (Ctrl-\) and a terminal that was closed ask for what SIGTERM
    /// asks for.
    pub async fn next(&mut self) -> Exit {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.quit.recv() => Exit::Terminated,
            _ = hangup => Exit::Terminated,
        }
    }
}

/// Whether whoever started us wants us to go on when the terminal is closed (`nohup`). Asked before we listen ourselves.
fn ignores_hangup() -> bool {
    match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => reads_as_ignored(&status),
        // Not Linux: without a terminal nobody hangs up.
        Err(_) => !(stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal()),
    }
}

/// `proc_pid_status(5)`: ``SigIgn`` is a mask in hexadecimal digits, whose lowest bit is signal 1, SIGHUP.
fn reads_as_ignored(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Whether the user has asked us to stop, and how.
///
/// Cheap to clone; all clones see the same answer.
#[derive(Debug, Clone)]
pub struct Stop {
    asked: watch::Receiver<Option<Exit>>,
    ask: Arc<watch::Sender<Option<Exit>>>,
    /// Nothing is under way: a question waits for its answer.
    idle: Arc<AtomicBool>,
    /// Something would have been tried again, but for the user.
    cut_short: Arc<AtomicBool>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Stops only when [`Stop::ask`] is called.
    pub fn new() -> Self {
        let (ask, asked) = watch::channel(None);
        Self { asked, ask: Arc::new(ask), idle: Arc::default(), cut_short: Arc::default() }
    }

    /// Stops at the first signal. A second one ends the process at once.
    ///
    /// Must be called inside a tokio runtime.
    pub fn on(mut signals: Signals) -> Self {
        let stop = Self::new();
        let asker = stop.clone();
        tokio::spawn(async move {
            loop {
                let exit = signals.next().await;
                if asker.asked().is_some() {
                    print_err(
                        "stopped at once: what was under way may have been made, and may cost; the same command again goes on, \
                         down removes it",
                    );
                    std::process::exit(i32::from(exit.code()));
                }
                asker.ask(exit);
                if asker.idle.load(Ordering::Relaxed) {
                    continue;
                }
                print_err("stopping: the calls under way finish, nothing new starts (again to stop at once)");
            }
        });
        stop
    }

    /// Says whether nothing is under way, so that nothing has to finish when someone asks.
    pub(crate) fn set_idle(&self, is_idle: bool) {
        self.idle.store(is_idle, Ordering::Relaxed);
    }

    /// The same for one step: what is cut short in it is no other's.
    pub(crate) fn of_step(&self) -> Self {
        Self { cut_short: Arc::default(), ..self.clone() }
    }

    /// Says that something would have been tried again, but for the user.
    pub(crate) fn note_cut_short(&self) {
        self.cut_short.store(true, Ordering::Relaxed);
    }

    /// `problem`, in which work under this stop has ended: an error that would have passed is no failure, only what was the
    /// matter when the user stopped it.
    pub(crate) fn judge(&self, problem: Problem) -> Problem {
        match self.asked().filter(|_| self.cut_short.load(Ordering::Relaxed)) {
            Some(exit) if problem.exit() == Exit::Failed => {
                let why = problem.why().map(|why| format!(": {why}")).unwrap_or_default();
                let stopped = Self::problem(exit).because(format!("it was to be tried again: {}{why}", problem.what()));
                if problem.has_made_nothing() { stopped.having_made_nothing() } else { stopped }
            }
            _ => problem,
        }
    }

    /// Asks everybody who holds a clone to stop.
    pub fn ask(&self, exit: Exit) {
        self.ask.send_replace(Some(exit));
    }

    /// How we are to end, once someone has asked.
    pub fn asked(&self) -> Option<Exit> {
        *self.asked.borrow()
    }

    /// Resolves when someone asks.
    pub async fn wait(&self) -> Exit {
        let mut asked = self.asked.clone();
        loop {
            if let Some(exit) = *asked.borrow_and_update() {
                return exit;
            }
            // The sender lives in `self`: it cannot go away while we wait.
            let _ = asked.changed().await;
        }
    }

    /// Sleeps for `time`, or until someone asks.
    ///
    /// # Errors
    /// [`Stop::problem`] when someone has asked.
    pub async fn sleep(&self, time: Duration) -> Result<(), Problem> {
        tokio::select! {
            biased;
            exit = self.wait() => Err(Self::problem(exit)),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Does `work` unless someone asks us to stop before it is done. For work that only reads: it is dropped then.
    ///
    /// # Errors
    /// What `work` answers; [`Stop::problem`] when someone has asked.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        tokio::select! {
            biased;
            exit = self.wait() => Err(Self::unchanged(exit)),
            answer = work => answer,
        }
    }

    /// The problem of having been stopped.
    pub fn problem(exit: Exit) -> Problem {
        let what = if exit == Exit::Terminated { "stopped by SIGTERM" } else { "stopped by Ctrl-C" };
        Problem::failed(what).exit_with(exit)
    }

    /// The problem of having been stopped before anything was changed.
    pub(crate) fn unchanged(exit: Exit) -> Problem {
        Problem::failed(format!("{}: nothing was changed", Self::problem(exit).what())).exit_with(exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_is_ignored_where_nohup_says_so() {
        assert!(reads_as_ignored("Name:\tnet-up\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"));
        assert!(!reads_as_ignored("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!reads_as_ignored(""));
    }
}
