//! Questions that only the user can answer.

use std::io::{IsTerminal as _, Write as _};

use crate::program::fold_for_stderr;
use crate::{Problem, Stop};

/// Asks `question` on the terminal, and goes on with a yes only.
///
/// # Errors
/// When there is no terminal, when the answer is no, or when someone asks to stop: nothing was changed then.
pub async fn confirm(question: &str, stop: &Stop) -> Result<(), Problem> {
    require_someone_to_ask(question)?;
    let question = fold_for_stderr(question);
    let _ = write!(std::io::stderr(), "{question}\ngo on? [y/N] ");
    stop.set_idle(true);
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = tokio::select! {
        biased;
        exit = stop.wait() => {
            // The cursor stands behind the question.
            let _ = writeln!(std::io::stderr());
            return Err(Stop::unchanged(exit));
        }
        answer = answer => answer.ok().and_then(Result::ok).unwrap_or_default(),
    };
    stop.set_idle(false);
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Problem::usage("not confirmed: nothing was changed"))
}

/// Refuses, before the first call, a run that would have to ask about money, where nobody can be asked.
///
/// # Errors
/// When there is something to ask and stdin is no terminal.
pub(crate) fn require_someone_to_ask_about(questions: &[String]) -> Result<(), Problem> {
    if questions.is_empty() || std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Problem::usage(questions.join("\n"))
        .because("this needs a yes, and there is no terminal to ask on; lab.toml alone says so, and nothing was called")
        .fix("pass --yes, also where all of it is there already; or change [budget] in lab.toml"))
}

/// Refuses before any work when [`confirm`] would have nobody to ask.
///
/// # Errors
/// When stdin is no terminal.
pub fn require_someone_to_ask(question: &str) -> Result<(), Problem> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Problem::usage(format!("{question}: this needs a yes, and there is no terminal to ask on"))
        .fix("pass --yes to go on without being asked; nothing was changed"))
}
