//! Runs the steps of a plan: whatever is ready, a bounded number at a time.

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::{Exit, Ids, Line, Problem, Progress, Schedule, State, Step, Stop};

/// Steps under way at the same time. A lab's plan is seldom wider than ten; EC2's smallest bucket of mutating calls
/// holds fifty, so a burst of this size is never throttled.
const AT_ONCE: usize = 16;

/// What a step may use while it is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The ids known so far.
    pub ids: &'a Ids,
    /// Whether the user has asked us to stop; long waits look at it.
    pub stop: &'a Stop,
    /// The step's line on the user's screen; long waits say there what they wait for.
    pub line: &'a Line,
}

/// What became of each step, in the plan's order.
#[derive(Debug)]
pub struct Outcome {
    /// Where each step ended.
    pub states: Vec<State>,
    /// The id a step reported, where it made or changed something that has one.
    pub made: Vec<Option<String>>,
    /// When each step began and ended; `None` for what never began.
    pub times: Vec<Option<(Instant, Instant)>>,
    /// Steps that failed, with the reason, in the order in which they failed.
    pub failures: Vec<(usize, Problem)>,
    /// Set when the user stopped the run.
    pub stopped: Option<Exit>,
}

impl Outcome {
    /// Everything was done.
    pub fn is_complete(&self) -> bool {
        self.states.iter().all(|state| *state == State::Done)
    }
}

/// Carries out `steps`, each as soon as what it needs is done, and returns when nothing runs any more.
///
/// A failing step stops what needs it and lets the rest finish. When `stop` is asked, or a failure is one that every
/// further call would meet ([`Problem::ends_all`]), running steps finish and no other starts. `apply` answers with the
/// id of what it made, which is then known by the step's role in `ids`.
pub async fn run_steps<O>(
    steps: &[Step<O>],
    ids: &Ids,
    stop: &Stop,
    progress: &Progress,
    apply: impl AsyncFn(&Step<O>, Context<'_>) -> Result<Option<String>, Problem>,
) -> Outcome {
    let mut schedule = Schedule::new(steps.iter().map(|step| (step.role.as_str(), step.needs.as_slice())));
    let mut made = vec![None; steps.len()];
    let mut times = vec![None; steps.len()];
    let mut failures = Vec::new();
    let tree = progress.open(steps);
    let mut running = FuturesUnordered::new();
    let mut goes_on = true;
    loop {
        if goes_on && stop.asked().is_none() {
            let free = AT_ONCE - running.len();
            for index in schedule.ready().take(free).collect::<Vec<_>>() {
                schedule.start(index);
                let (carry_out, this, tree) = (&apply, &steps[index], &tree);
                running.push(async move {
                    let start = Instant::now();
                    let line = tree.begin(index);
                    let stop = stop.of_step();
                    let answer = carry_out(this, Context { ids, stop: &stop, line: &line }).await;
                    let answer = answer.map_err(|problem| stop.judge(problem));
                    line.end(answer.as_ref().map(Option::as_deref));
                    (index, answer, (start, Instant::now()))
                });
            }
        }
        let Some((index, answer, time)) = running.next().await else { break };
        times[index] = Some(time);
        match answer {
            Ok(id) => {
                if let Some(id) = &id {
                    ids.set(&steps[index].role, id);
                }
                made[index] = id;
                schedule.finish(index);
            }
            Err(problem) => {
                goes_on &= !problem.ends_all();
                failures.push((index, problem));
                schedule.fail(index);
            }
        }
    }
    drop(running);
    drop(tree);
    let states = schedule.states().to_vec();
    let unfinished = states.iter().any(|state| *state != State::Done);
    Outcome { states, made, times, failures, stopped: stop.asked().filter(|_| unfinished) }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{Action, Pace, retry_while};

    /// Steps `0..n`; step i needs some of the steps before it.
    fn any_steps() -> impl Strategy<Value = Vec<Step<u64>>> {
        prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1u64..50), 1..24).prop_map(
            |shape| {
                shape
                    .into_iter()
                    .enumerate()
                    .map(|(index, (needs, millis))| {
                        let needs = needs.iter().filter(|_| index > 0).map(|need| format!("r{}", need.index(index)));
                        let needs: Vec<_> = needs.collect();
                        Step::new(Action::Create, "thing", format!("r{index}"), format!("n{index}"), millis)
                            .needs(needs)
                    })
                    .collect()
            },
        )
    }

    /// What was started and what had been done by then.
    #[derive(Default)]
    struct Log {
        started: Vec<usize>,
        done_before: Vec<Vec<usize>>,
        done: Vec<usize>,
        most_at_once: usize,
        now: usize,
        took: Duration,
    }

    fn run(steps: &[Step<u64>], fails: &[usize], stop_after: Option<usize>) -> (Outcome, Log) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let log = RefCell::new(Log::default());
        let outcome = runtime.block_on(async {
            let (ids, stop) = (Ids::new(), Stop::new());
            let start = tokio::time::Instant::now();
            let outcome = run_steps(steps, &ids, &stop, &Progress::silent(), async |step, _| {
                let index: usize = step.role[1..].parse().unwrap();
                {
                    let mut log = log.borrow_mut();
                    log.started.push(index);
                    let done = log.done.clone();
                    log.done_before.push(done);
                    log.now += 1;
                    log.most_at_once = log.most_at_once.max(log.now);
                }
                tokio::time::sleep(Duration::from_millis(step.op)).await;
                let mut log = log.borrow_mut();
                log.now -= 1;
                if stop_after.is_some_and(|count| log.done.len() >= count) {
                    stop.ask(Exit::Interrupted);
                }
                if fails.contains(&index) {
                    return Err(Problem::failed("no"));
                }
                log.done.push(index);
                Ok(Some(format!("id-{index}")))
            })
            .await;
            log.borrow_mut().took = start.elapsed();
            outcome
        });
        (outcome, log.into_inner())
    }

    fn needs_of(steps: &[Step<u64>], index: usize) -> Vec<usize> {
        steps[index].needs.iter().map(|role| role[1..].parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_would_have_been_tried_again_is_stopped_and_no_failure() {
        let make = |role: &str| Step::new(Action::Create, "thing", role, role, ());
        let (ids, stop) = (Ids::new(), Stop::new());
        let apply = async |step: &Step<()>, context: Context<'_>| {
            if step.role == "broken" {
                tokio::time::sleep(Duration::from_millis(1)).await;
                stop.ask(Exit::Interrupted);
                return Err(Problem::failed("denied"));
            }
            let busy = async || Err::<(), _>("busy");
            retry_while(Pace::MINUTES, context.stop, |_| true, busy).await.map_err(Problem::failed)?;
            Ok(None)
        };
        let outcome = run_steps(&[make("retried"), make("broken")], &ids, &stop, &Progress::silent(), apply).await;
        let ends: Vec<_> = outcome.failures.iter().map(|(index, problem)| (*index, problem.exit())).collect();
        assert_eq!(ends, [(1, Exit::Failed), (0, Exit::Interrupted)]);
        assert_eq!(outcome.failures[1].1.why(), Some("it was to be tried again: busy"));
    }

    proptest! {
        #[test]
        fn every_step_runs_once_and_never_before_what_it_needs(steps in any_steps()) {
            let (outcome, log) = run(&steps, &[], None);
            prop_assert!(outcome.is_complete());
            let mut started = log.started.clone();
            started.sort_unstable();
            prop_assert_eq!(started, (0..steps.len()).collect::<Vec<_>>());
            for (index, done) in log.started.iter().zip(&log.done_before) {
                for need in needs_of(&steps, *index) {
                    prop_assert!(done.contains(&need), "step {} began before {}", index, need);
                }
            }
            prop_assert!(log.most_at_once <= AT_ONCE);
        }

        #[test]
        fn the_run_takes_no_longer_than_its_longest_chain(mut steps in any_steps()) {
            steps.truncate(AT_ONCE);
            let mut ends: Vec<u64> = Vec::new();
            for (index, step) in steps.iter().enumerate() {
                let start = needs_of(&steps, index).into_iter().map(|need| ends[need]).max().unwrap_or(0);
                ends.push(start + step.op);
            }
            let longest = ends.into_iter().max().unwrap_or(0);
            let (_, log) = run(&steps, &[], None);
            // tokio's timer rounds each step up by at most a millisecond.
            let took = log.took.as_millis();
            let slack = u64::try_from(steps.len()).unwrap_or(0);
            prop_assert!(took <= u128::from(longest + slack), "{took} ms instead of {longest} ms");
        }

        #[test]
        fn a_failure_stops_what_needs_it_and_lets_the_rest_finish(
            steps in any_steps(), broken in any::<prop::sample::Index>()
        ) {
            let broken = broken.index(steps.len());
            let (outcome, log) = run(&steps, &[broken], None);
            let mut lost: Vec<bool> = Vec::new();
            for (index, state) in outcome.states.iter().enumerate() {
                lost.push(index == broken || needs_of(&steps, index).iter().any(|&need| lost[need]));
                let expected = match (index == broken, lost[index]) {
                    (true, _) => State::Failed,
                    (false, true) => State::Blocked,
                    (false, false) => State::Done,
                };
                prop_assert_eq!(*state, expected);
                prop_assert_eq!(log.started.contains(&index), index == broken || !lost[index]);
            }
        }

        #[test]
        fn stopping_loses_nothing_that_was_started(steps in any_steps(), after in 0usize..6) {
            let (outcome, log) = run(&steps, &[], Some(after));
            let mut done = log.done.clone();
            let mut started = log.started.clone();
            done.sort_unstable();
            started.sort_unstable();
            prop_assert_eq!(&done, &started, "what was started has finished");
            for (index, state) in outcome.states.iter().enumerate() {
                prop_assert_eq!(*state == State::Done, done.contains(&index));
                prop_assert_eq!(outcome.made[index].is_some(), done.contains(&index), "every made id is reported");
            }
            prop_assert_eq!(outcome.stopped.is_some(), done.len() < steps.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_that_all_would_meet_nothing_new_starts() {
        let (ids, stop) = (Ids::new(), Stop::new());
        let make = |role: &str| Step::new(Action::Create, "thing", role, role, ());
        let steps = [make("expires"), make("runs"), make("waits").needs(["runs"])];
        let outcome = run_steps(&steps, &ids, &stop, &Progress::silent(), async |step, _| {
            let expires = step.role == "expires";
            tokio::time::sleep(Duration::from_millis(if expires { 1 } else { 5 })).await;
            if expires { Err(Problem::failed("expired").ending_all()) } else { Ok(None) }
        })
        .await;
        assert_eq!(outcome.states, [State::Failed, State::Done, State::Waiting]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_made_id_is_known_to_the_steps_behind_it() {
        let (ids, stop) = (Ids::new(), Stop::new());
        let steps = [
            Step::new(Action::Create, "vpc", "vpc", "lab-vpc", ()),
            Step::new(Action::Create, "subnet", "subnet public", "lab-public-subnet", ()).needs(["vpc", "elsewhere"]),
        ];
        let outcome = run_steps(&steps, &ids, &stop, &Progress::silent(), async |step, _| {
            Ok(Some(match step.role.as_str() {
                "vpc" => "vpc-1".to_owned(),
                _ => format!("subnet of {}", ids.get("vpc")?),
            }))
        })
        .await;
        assert_eq!(outcome.made, [Some("vpc-1".to_owned()), Some("subnet of vpc-1".to_owned())]);
    }
}
