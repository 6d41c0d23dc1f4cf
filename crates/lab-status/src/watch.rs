//! Looking again and again: redrawn on a terminal, one after the other elsewhere.

use std::time::Duration;

use jiff::Timestamp;
use lab_plan::{Exit, Look, Problem, Progress, Stop, print_out};

/// Empties a terminal and goes to its top: ECMA-48's CUP and ED.
const CLEAR: &str = "\x1b[H\x1b[2J";

use crate::say_notes;

/// Shows what `look` answers, a text and notes, every so many seconds until someone asks to stop. A look that fails is told, and the next
/// one comes all the same; only wrong arguments and credentials that are not accepted end it.
///
/// # Errors
/// These, or stdout that cannot be written to.
pub(crate) async fn watch(
    seconds: u64,
    stop: &Stop,
    plain: bool,
    mut look: impl AsyncFnMut() -> Result<(String, Vec<String>), Problem>,
) -> Result<Exit, Problem> {
    let screen = Screen { keeps: Look::of_stdout(plain).live };
    let progress = Progress::stderr(plain);
    let mut last = String::new();
    loop {
        // Once something stands there, only a change is worth a word.
        let is_first = last.is_empty();
        let read = async { if is_first { progress.reading(look()).await } else { look().await } };
        let answer = tokio::select! {
            biased;
            exit = stop.wait() => return Ok(exit),
            answer = read => answer,
        };
        let time = Timestamp::now().strftime("%H:%M:%S UTC");
        let show = Look::of_stdout(plain);
        let head = show.fold(&format!("{time}, every {seconds} s, Ctrl-C ends")) + "\n";
        match answer {
            Ok((text, notes)) => {
                screen.show(&format!("{head}{text}"))?;
                // Below what they speak of: the screen has been cleared before.
                say_notes(&notes);
                last = text;
            }
            Err(problem) if problem.exit() != Exit::Failed || problem.is_about_credentials() => return Err(problem),
            Err(problem) => {
                screen.show(&format!("{head}{}", describe_failure(show, &problem, screen.keeps.then_some(&last))))?;
            }
        }
        if stop.sleep(Duration::from_secs(seconds)).await.is_err() {
            return Ok(stop.asked().unwrap_or(Exit::Interrupted));
        }
    }
}

/// On a terminal the last answer stays in sight.
fn describe_failure(show: Look, problem: &Problem, last: Option<&String>) -> String {
    let told = show.fold(&format!("not read this time: {problem}\n"));
    match last.filter(|last| !last.is_empty()) {
        Some(last) => format!("{told}before that:\n{last}"),
        None => told,
    }
}

/// Where it is shown.
struct Screen {
    /// Whether one answer takes the place of the one before it.
    keeps: bool,
}

impl Screen {
    fn show(&self, text: &str) -> Result<(), Problem> {
        if self.keeps { print_out(&format!("{CLEAR}{text}")) } else { print_out(&format!("{text}\n")) }
    }
}

#[cfg(test)]
mod tests {
    use lab_plan::Cause;

    use super::*;

    #[test]
    fn a_failed_look_is_told_above_the_last_one() {
        let problem = Problem::failed("DescribeVpcs: RequestLimitExceeded");
        let told = describe_failure(Look::page(None), &problem, Some(&"3 things\n".to_owned()));
        assert!(told.starts_with("not read this time: DescribeVpcs") && told.ends_with("3 things\n"), "{told}");
        assert!(!describe_failure(Look::page(None), &problem, None).contains("before that"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_after_a_failure_and_ends_when_asked() {
        let stop = Stop::new();
        let mut looks = 0;
        let exit = watch(5, &stop, false, async || {
            looks += 1;
            match looks {
                1 => Err(Problem::failed("throttled")),
                2 => Ok(("fine\n".to_owned(), vec![])),
                _ => {
                    stop.ask(Exit::Interrupted);
                    Ok((String::new(), vec![]))
                }
            }
        })
        .await;
        assert_eq!((exit, looks), (Ok(Exit::Interrupted), 3));
    }

    #[tokio::test]
    async fn expired_credentials_end_it() {
        let expired = || Problem::failed("the AWS credentials have expired").caused_by(Cause::Credentials);
        assert_eq!(watch(5, &Stop::new(), false, async || Err(expired())).await, Err(expired()));
    }
}
