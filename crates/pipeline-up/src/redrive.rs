//! Bringing dead letters back: those that came from the queue go into it again, those of asynchronous invocations are
//! invoked again. A letter is deleted only once what it says is on its way.

mod letter;
mod mover;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lab_common::{LabArgs, Session};
use lab_plan::{Exit, Heading, Line, Problem, Progress, Stop, clean, print_out, to_json};
use serde::Serialize;

use crate::Pipeline;
use crate::live::Live;
use crate::queue::show_count;
use crate::want::QueueKind;
use letter::{Letter, Origin};
use mover::Letters;

/// So many letters are looked at before the rest is moved unseen: their reasons are known by then.
const MOST_LOOKED_AT: usize = 2_000;

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Redriven {
    /// Letters that were looked at.
    pub(crate) found: u64,
    /// Letters that are in the queue again.
    pub(crate) moved: u64,
    /// Letters whose event the function was invoked with.
    pub(crate) invoked: u64,
    /// Why they were dead, and how many for each reason.
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl Redriven {
    /// Counts a letter that is looked at.
    fn count(&mut self, letter: &Letter) {
        self.found += 1;
        *self.reasons.entry(letter.reason.clone()).or_default() += 1;
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    heading: Heading,
    #[serde(flatten)]
    redriven: &'a Redriven,
}

/// Redrives all dead letters and says so on stdout. `to_source`: those of asynchronous invocations go into the queue too.
///
/// # Errors
/// When there are none, when there is nothing to bring them to, and when AWS refuses; what was brought back before that is
/// no dead letter any more.
pub(crate) async fn run(
    pipeline: &Pipeline,
    session: &Session,
    to_source: bool,
    args: &LabArgs,
    stop: &Stop,
) -> Result<Exit, Problem> {
    let live = stop.or(lab_plan::Concern::observe(pipeline)).await?;
    let letters = find_letters(pipeline, &live, to_source)?;
    let progress = Progress::stderr(args.plain);
    let shown = progress.begin("redrive", letters.name);
    let mut redriven = Redriven::default();
    let answer = redrive(&letters, &mut redriven, stop, &shown).await;
    shown.end(answer.as_ref().map(|()| None));
    answer.map_err(|problem| after(&redriven, &problem))?;
    if args.json {
        print_out(&to_json(&Document { heading: session.heading(), redriven: &redriven })?)?;
    } else {
        print_out(&show(&redriven, letters.name))?;
    }
    Ok(Exit::Done)
}

/// What was brought back before it failed.
fn after(redriven: &Redriven, problem: &Problem) -> Problem {
    let done = redriven.moved + redriven.invoked;
    if done == 0 {
        return problem.clone();
    }
    Problem::failed(format!("{problem}\n{} had been brought back by then", show_count(done, "dead letter")))
        .exit_with(problem.exit())
}

fn find_letters<'a>(pipeline: &'a Pipeline, live: &'a Live, to_source: bool) -> Result<Letters<'a>, Problem> {
    let (want, clients) = (&pipeline.want, &pipeline.clients);
    let name = want.delivery.name(QueueKind::DeadLetters);
    let Some(queue) = pipeline.find_queue(live, QueueKind::DeadLetters) else {
        return Err(Problem::failed(format!("there is no queue of dead letters ({name})"))
            .fix("write `queue = true` or `dead_letters = true` in [images] of lab.toml, then run pipeline-up"));
    };
    let source = pipeline.find_queue(live, QueueKind::Images).filter(|_| want.delivery.queue);
    if to_source && source.is_none() {
        return Err(Problem::usage("--to-source: the lab has no queue that letters could go back to")
            .fix("write `queue = true` in [images] of lab.toml and run pipeline-up, or leave --to-source out"));
    }
    if live.function.is_none() {
        return Err(Problem::failed(format!(
            "the function {} is not deployed: nothing would take them",
            want.function.name
        ))
        .fix("pipeline-up deploy, then again"));
    }
    Ok(Letters {
        clients,
        name,
        url: &queue.url,
        arn: want.queue_arn(&live.place, QueueKind::DeadLetters),
        source: source.map(|queue| queue.url.as_str()),
        to_source,
        function: &want.function.name,
    })
}

async fn redrive(letters: &Letters<'_>, redriven: &mut Redriven, stop: &Stop, line: &Line) -> Result<(), Problem> {
    let mut of_queue: Vec<Letter> = Vec::new();
    while of_queue.len() < MOST_LOOKED_AT {
        let batch = letters.take().await?;
        if batch.is_empty() {
            break;
        }
        for letter in batch {
            if let Some(exit) = stop.asked() {
                return Err(Stop::problem(exit));
            }
            redriven.count(&letter);
            if letter.origin == Origin::Queue && letters.source.is_some() {
                of_queue.push(letter);
            } else {
                letters.bring_back(&letter, redriven).await?;
            }
            line.waits_for(&format!("{} back", show_count(redriven.moved + redriven.invoked, "letter")));
        }
    }
    if redriven.found == 0 {
        return Err(Problem::failed(format!("there are no dead letters in {}", letters.name))
            .because("or somebody else is looking at them: they are hidden for 5 minutes then"));
    }
    if !of_queue.is_empty() {
        letters.move_back(of_queue, redriven, stop, line).await?;
    }
    Ok(())
}

fn show(redriven: &Redriven, queue: &str) -> String {
    let Redriven { found, moved, invoked, reasons } = redriven;
    let mut text = String::new();
    for (reason, count) in reasons {
        // A letter's words: anybody may have sent it.
        let _ = writeln!(text, "  {count:>6}  {}", clean(reason));
    }
    let moved = (*moved > 0).then(|| format!("{moved} into the queue again"));
    let invoked = (*invoked > 0).then(|| format!("{invoked} invoked again"));
    let done: Vec<_> = moved.into_iter().chain(invoked).collect();
    let _ = writeln!(text, "{} of {queue}: {}", show_count(*found, "dead letter"), done.join(", "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_letter_says_cannot_move_the_cursor() {
        let record =
            r#"{"requestContext": {}, "requestPayload": 1, "responsePayload": {"errorType": "\u001b]0;x\u0007No"}}"#;
        let mut redriven = Redriven { invoked: 1, ..Redriven::default() };
        redriven.count(&Letter::read(String::new(), String::new(), record));
        let shown = show(&redriven, "letters");
        assert!(shown.contains("1  \u{fffd}]0;x\u{fffd}No: the invocation failed\n"), "{shown:?}");
    }

    #[test]
    fn a_failure_tells_what_is_no_dead_letter_any_more() {
        let problem = Problem::failed("Invoke: denied");
        assert_eq!(after(&Redriven::default(), &problem), problem);
        let redriven = Redriven { moved: 1, ..Redriven::default() };
        assert!(after(&redriven, &problem).what().ends_with("1 dead letter had been brought back by then"));
    }
}
