//! Looking again and again: redrawn on a terminal, one after the other elsewhere.

use std::time::Duration;

use jiff::Timestamp;
use lab_plan::{Exit, Look, Problem, Progress, Stop, is_unread, print_out};

use crate::say_notes;

/// The same place again, line by line, and nothing behind it (ECMA-48's CUP, EL and ED). A screen that is emptied first
/// flickers, and many terminals keep what was on it in their history.
fn redraw(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

/// Shows what `look` answers, a text and notes, every so many seconds until someone asks to stop, or nobody reads it any more. A look that fails is told, and the next
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
                if screen.keeps {
                    let notes: String = notes.iter().map(|note| show.fold(&format!("note: {note}")) + "\n").collect();
                    screen.show(&fit(&head, &text, &notes, show.size().map(|(_, rows)| rows)))?;
                } else {
                    screen.show(&format!("{head}{text}"))?;
                    say_notes(&notes);
                }
                last = text;
            }
            Err(problem) if problem.exit() != Exit::Failed || problem.is_about_credentials() => return Err(problem),
            Err(problem) => {
                let failure = describe_failure(show, &problem, screen.keeps.then_some(&last));
                screen.show(&fit(&head, &failure, "", show.size().map(|(_, rows)| rows)))?;
            }
        }
        if is_unread() {
            return Ok(Exit::Done);
        }
        if stop.sleep(Duration::from_secs(seconds)).await.is_err() {
            return Ok(stop.asked().unwrap_or(Exit::Interrupted));
        }
    }
}

/// What of `text` has room between `head` and `notes` on a screen of so many rows, the last of which stays free: what goes
/// past a screen would scroll its first lines away at every look.
fn fit(head: &str, text: &str, notes: &str, rows: Option<usize>) -> String {
    let (Some(rows), lines) = (rows, text.lines().count()) else { return format!("{head}{text}{notes}") };
    let room = rows.saturating_sub(1 + head.lines().count() + notes.lines().count());
    if lines <= room {
        return format!("{head}{text}{notes}");
    }
    let shown = room.saturating_sub(1);
    let top: String = text.split_inclusive('\n').take(shown).collect();
    format!("{head}{top}… {} more lines: in a higher window, or without --watch\n{notes}", lines - shown)
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
        if self.keeps { print_out(&redraw(text)) } else { print_out(&format!("{text}\n")) }
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

    #[test]
    fn a_low_screen_keeps_the_head_and_the_notes() {
        let lines = "a\nb\nc\nd\n";
        let shown = fit("12:00\n", lines, "note: x\n", Some(6));
        assert_eq!(shown, "12:00\na\nb\n… 2 more lines: in a higher window, or without --watch\nnote: x\n");
        assert_eq!(fit("12:00\n", lines, "note: x\n", Some(7)), format!("12:00\n{lines}note: x\n"));
        assert_eq!(fit("h\n", lines, "", None), format!("h\n{lines}"));
        assert_eq!(redraw("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
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
