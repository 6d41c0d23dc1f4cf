//! One program of one owner: started, watched, stopped, and what it said put into the owner's log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use lab_plan::{Exit, PROGRAMS, Problem, exit_code};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use tokio::sync::watch;

use crate::chain::{Job, Kind, add_options};
use crate::folder::Folder;

/// What the programs of one owner have in common.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) owner: &'a str,
    /// Where the programs are.
    pub(crate) programs: Option<&'a Path>,
    pub(crate) options: Vec<String>,
    pub(crate) variables: Vec<(&'static str, std::ffi::OsString)>,
    /// Variables that would lead past the owner's credentials.
    pub(crate) unset: &'a [&'static str],
    /// Held by every program as its stdin, so that it is free only when none runs any more.
    pub(crate) hold: File,
    /// The signals of the user so far, as they are to be passed on.
    pub(crate) signals: watch::Receiver<Vec<Exit>>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// Why it failed, in its own words.
    pub(crate) reason: String,
    /// Its stdout, where that was asked for.
    pub(crate) answer: String,
}

impl Desk<'_> {
    /// Runs a program to its end. Signals that come meanwhile reach it and what it has started.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn run(&self, number: usize, job: &Job) -> Result<Ended, Problem> {
        let program = self.find(job.program);
        let (path, output) = self.folder.open_output(self.owner, number)?;
        let cannot = |error: std::io::Error| {
            Problem::failed(format!("cannot run {}", program.display()))
                .because(error.to_string())
                .fix("build the programs: cargo build --workspace")
        };
        let asked = job.kind == Kind::Asked;
        let mut command = Command::new(&program);
        command.args(add_options(&job.arguments, &self.options));
        for name in self.unset {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(self.hold.try_clone().map_err(cannot)?).stderr(output.try_clone().map_err(cannot)?);
        command.stdout(if asked { Stdio::piped() } else { output.into() });
        // Ctrl-C on a terminal reaches us alone: each program gets it once, from us.
        command.process_group(0);
        let begun = jiff::Timestamp::now();
        let child = command.spawn().map_err(cannot)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let output = self.attend(group, child.wait_with_output()).await.map_err(cannot)?;
        let code = i32::from(exit_code(output.status));
        let said = std::fs::read(&path).unwrap_or_default();
        let head = format!("--- {begun:.0} {}: {code}\n", job.title());
        self.folder.add_to_log(self.owner, &[head.as_bytes(), said.as_slice()].concat())?;
        let _ = std::fs::remove_file(&path);
        Ok(Ended {
            code,
            reason: if code == 0 { String::new() } else { find_reason(&String::from_utf8_lossy(&said)) },
            answer: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }

    /// Waits for `work` and passes on each signal that comes meanwhile.
    async fn attend<T>(&self, group: Option<Pid>, work: impl Future<Output = T>) -> T {
        let mut signals = self.signals.clone();
        let mut passed = signals.borrow_and_update().len();
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                changed = signals.changed() => {
                    if changed.is_err() {
                        return work.await;
                    }
                    let all = signals.borrow_and_update().clone();
                    for exit in all.iter().skip(passed) {
                        let signal = if *exit == Exit::Interrupted { Signal::INT } else { Signal::TERM };
                        // A group that has ended needs no signal.
                        let _ = group.map(|group| kill_process_group(group, signal));
                    }
                    passed = all.len();
                }
            }
        }
    }

    fn find(&self, program: &str) -> PathBuf {
        let beside = self.programs.map(|folder| folder.join(program));
        beside.filter(|path| path.is_file()).unwrap_or_else(|| program.into())
    }
}

/// Why a program failed: its complaint (`PROGRAM: …`), the first step that failed where the complaint only says that one
/// did, and the reason behind it; else its last line.
fn find_reason(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let complaint = |line: &str| {
        PROGRAMS.iter().find_map(|program| line.strip_prefix(program)?.strip_prefix(": ").map(str::to_owned))
    };
    let Some(place) = lines.iter().rposition(|line| complaint(line).is_some()) else {
        return lines.last().map(|line| line.trim().to_owned()).unwrap_or_default();
    };
    let rest = &lines[place + 1..];
    if let Some(failed) = rest.iter().position(|line| line.starts_with("failed: ")) {
        let why = rest.get(failed + 1).map(|line| line.trim()).unwrap_or_default();
        return format!("{}: {why}", rest[failed].trim_start_matches("failed: "));
    }
    let what = complaint(lines[place]).unwrap_or_default();
    // cargo lambda says it in a frame of its own.
    if let Some(above) =
        lines[..place].iter().rev().find_map(|line| line.split_once("× ")).filter(|_| what.ends_with("above"))
    {
        return format!("{what}: {}", above.1);
    }
    match rest.first().and_then(|line| line.trim().strip_prefix("why: ")) {
        Some(why) => format!("{what} ({why})"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_a_reader_of_the_log_would_look_for() {
        let plan = "lab of ada\n  done    create vpc  vpc-1  0.1 s\n";
        for (said, reason) in [
            ("host-up: there is no network\n  why: no VPC\n  fix: net-up\n", "there is no network (no VPC)"),
            (
                "net-up: not everything could be done\ndone: 1 of 3 steps\nfailed: create vpc lab-vpc\n    CreateVpc: VpcLimitExceeded: x\n      fix: y\ngo on: net-up up\n",
                "create vpc lab-vpc: CreateVpc: VpcLimitExceeded: x",
            ),
            ("something\nlast words\n\n", "last words"),
            ("", ""),
        ] {
            assert_eq!(find_reason(&format!("{}{said}", if said.is_empty() { "" } else { plan })), reason);
        }
    }
}
