//! The frame of every binary: a runtime, the signals, the error on stderr, the exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::progress::{pause, print_line};
use crate::text::clean_lines;
use crate::{Exit, Look, Problem, Signals, Stop};

/// Runs a program on one thread: Ctrl-C and SIGTERM ask its [`Stop`], its problem goes to stderr as `NAME: …`, and
/// its exit code is the contract's.
pub fn run_program(name: &str, program: impl AsyncFnOnce(Stop) -> Result<Exit, Problem>) -> ExitCode {
    run_with_signals(name, async |signals| {
        let stop = Stop::on(signals);
        let exit = program(stop.clone()).await.map_err(|problem| stop.judge(problem))?;
        match stop.asked() {
            // Who pressed Ctrl-C wants what comes next to stop too, also when this program was done already.
            Some(asked) => Err(Stop::problem(asked).because("what was under way is done, and nothing was left to do")),
            None => Ok(exit),
        }
    })
}

/// Like [`run_program`], for a program that decides itself what each signal means to it.
pub fn run_with_signals(name: &str, program: impl AsyncFnOnce(Signals) -> Result<Exit, Problem>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(name, Err(Problem::failed("cannot start").because(error.to_string()))),
    };
    let answer = runtime.block_on(async {
        let signals = Signals::listen()
            .map_err(|error| Problem::failed("cannot listen for Ctrl-C").because(error.to_string()))?;
        program(signals).await
    });
    // A question that nobody answered still reads stdin: do not wait for it.
    runtime.shutdown_background();
    end(name, answer)
}

/// A document as `--json` prints it, with a newline at its end.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn to_json(document: &impl Serialize) -> Result<String, Problem> {
    match serde_json::to_string_pretty(document) {
        Ok(json) => Ok(json + "\n"),
        Err(error) => Err(Problem::failed("the answer is no JSON").because(error.to_string())),
    }
}

/// Whether something has been written to stdout, which holds one document only.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of stdout has gone: who works for it alone can end.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// Whether nobody reads stdout any more (`| head`), as the last [`print_out`] has found.
pub fn is_unread() -> bool {
    UNREAD.load(Ordering::Relaxed)
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure; [`is_unread`] tells.
///
/// # Errors
/// When stdout cannot be written to for another reason.
pub fn print_out(text: &str) -> Result<(), Problem> {
    ANSWERED.store(true, Ordering::Relaxed);
    match pause(|| std::io::stdout().write_all(text.as_bytes())) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Problem::failed("cannot write to stdout").because(error.to_string()))
        }
        Err(_) => {
            UNREAD.store(true, Ordering::Relaxed);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Writes a line to stderr. Where nobody reads it any more (a terminal that was closed, `2>&1 | head`), the work it speaks
/// of goes on all the same. What AWS says may stand in it: it is [`crate::clean`], but keeps its lines. On a terminal it
/// keeps to its width, unless the user wants plain lines.
pub fn print_err(line: &str) {
    print_line(&fold_for_stderr(line));
}

/// `text` as stderr shows it best.
pub(crate) fn fold_for_stderr(text: &str) -> String {
    Look::of_stderr(wants_plain()).fold(&clean_lines(text))
}

/// Whether the command line or the environment asks for plain lines: also where neither could be understood.
fn wants_plain() -> bool {
    let is_set =
        std::env::var("LAB_PLAIN").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "n" | "no" | "false"));
    is_set || has_flag("--plain")
}

/// Whether a flag is on our command line. What stands behind `--` is another program's.
fn has_flag(flag: &str) -> bool {
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == flag)
}

/// What `--json` prints where there is nothing but an error to tell.
#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: &'a str,
}

/// Where the command line says `--json` and stdout has no document yet, it gets one that holds the error: also where the
/// command line or lab.toml is what is wrong.
pub fn answer_error(error: &str) {
    if has_flag("--json")
        && !ANSWERED.load(Ordering::Relaxed)
        && let Ok(document) = to_json(&ErrorDocument { error })
    {
        // The error goes to stderr whatever becomes of this.
        let _ = print_out(&document);
    }
}

fn end(name: &str, answer: Result<Exit, Problem>) -> ExitCode {
    match answer {
        Ok(exit) => exit.into(),
        Err(problem) => {
            answer_error(&problem.to_string());
            print_err(&format!("{name}: {problem}"));
            problem.exit().into()
        }
    }
}
