//! Children that never outlive us, not even after `kill -9`.
//!
//! The kernel can send a process a signal when its parent dies, but only the child itself can ask for that, after the
//! fork and before the exec. So a child is started as `lab-sim __guard PARENT PROGRAM ARG…`: it asks, makes sure that
//! the parent is still there, and becomes PROGRAM. The signal is tied to the thread that forked: children are started
//! from the runtime's own threads only, which live as long as the process.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The first argument that makes this program a guard.
pub(crate) const GUARD: &str = "__guard";

/// The exit code when PROGRAM cannot be started; a shell uses the same.
const CANNOT_START: u8 = 126;

/// A command that runs `program` under the guard, in a process group of its own.
///
/// # Errors
/// When this program's own path cannot be found.
pub(crate) fn guarded_command(program: &OsStr) -> std::io::Result<tokio::process::Command> {
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.arg(GUARD).arg(std::process::id().to_string()).arg(program);
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

/// Becomes the program that `arguments` name (`PARENT PROGRAM ARG…`). Returns only on failure, with the exit code.
pub(crate) fn become_guarded(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let parent = arguments.next().and_then(|parent| parent.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, arguments.next()) else {
        eprintln!("lab-sim {GUARD}: is for lab-sim's own use");
        return 2;
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("lab-sim {GUARD}: {error}");
        return CANNOT_START;
    }
    if getppid().map(Pid::as_raw_nonzero).is_none_or(|ppid| ppid.get() != parent) {
        return CANNOT_START;
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("lab-sim: {} cannot be started: {error}", program.display());
    CANNOT_START
}
