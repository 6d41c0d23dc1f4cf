//! Bounded waits that poll adaptively, and the retry of passing errors.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Problem, Stop};

/// How often to look, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The first pause.
    pub first: Duration,
    /// The longest pause; pauses grow by a quarter until they reach it, so that the end of a wait is seen within a
    /// quarter of its length at most.
    pub longest: Duration,
    /// When to give up, counted from the first look.
    pub deadline: Duration,
}

impl Pace {
    /// For what takes a moment: a new id that is not visible yet, an answer that was lost.
    pub const MOMENT: Self =
        Self { first: Duration::from_millis(50), longest: Duration::from_secs(1), deadline: Duration::from_secs(20) };
    /// For a role, a policy or a permission that has to spread. IAM's guide says up to a minute; twice that is allowed.
    pub const SPREAD: Self =
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(4), deadline: Duration::from_mins(2) };
    /// For machines and gateways that start or stop: minutes.
    pub const MINUTES: Self =
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(5), deadline: Duration::from_mins(15) };

    /// Looks at an even beat, for what takes many minutes: the first look at once, then one each `beat`.
    pub const fn even(beat: Duration, deadline: Duration) -> Self {
        Self { first: beat, longest: beat, deadline }
    }

    /// The pauses, one after another, each with up to a fifth of jitter so that many runs do not knock together.
    /// Those of an even beat have none: the beat is a promise about the rate.
    pub fn pauses(self) -> impl Iterator<Item = Duration> {
        let mut next = self.first;
        let jitter = if self.first == self.longest { 0.0 } else { 0.2 };
        std::iter::repeat_with(move || {
            let pause = next.mul_f64(1.0 - jitter * fastrand::f64());
            next = next.mul_f64(1.25).min(self.longest);
            pause
        })
    }
}

/// Looks until `look` finds something, `pace.deadline` passes, or the user stops us.
///
/// # Errors
/// What `look` answers with an error, at once: an error is not "not yet". At the deadline, a problem that names
/// `what` was awaited and for how long.
pub async fn wait_for<T>(
    pace: Pace,
    stop: &Stop,
    what: impl Display,
    look: impl AsyncFnMut() -> Result<Option<T>, Problem>,
) -> Result<T, Problem> {
    let start = Instant::now();
    if let Some(found) = find_within(pace, stop, look).await? {
        return Ok(found);
    }
    let waited = start.elapsed().as_secs();
    Err(Problem::failed(format!("gave up waiting for {what} after {waited} s"))
        .fix("run the same command again: it goes on where this one stopped"))
}

/// Looks until `look` finds something; `None` when `pace.deadline` has passed and every look found nothing.
/// For whom "not there" is an answer, which a look that failed is not.
///
/// # Errors
/// What `look` answers with an error, at once; that the user stops us.
pub async fn find_within<T>(
    pace: Pace,
    stop: &Stop,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Problem>,
) -> Result<Option<T>, Problem> {
    let start = Instant::now();
    for pause in pace.pauses() {
        if let Some(found) = look().await? {
            return Ok(Some(found));
        }
        if start.elapsed() + pause > pace.deadline {
            break;
        }
        stop.sleep(pause).await?;
    }
    Ok(None)
}

/// Calls until it succeeds, answers with an error that is not passing, or `pace.deadline` has passed.
///
/// `passing` names the errors that time heals; everything else is answered at once.
///
/// # Errors
/// The last error of `call`. Where the user has stopped us before its next try, whoever runs the step or the program tells
/// it as that.
pub async fn retry_while<T, E>(
    pace: Pace,
    stop: &Stop,
    passing: impl Fn(&E) -> bool,
    mut call: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let start = Instant::now();
    let mut pauses = pace.pauses();
    loop {
        let error = match call().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let pause = pauses.next().unwrap_or(pace.longest);
        if !passing(&error) || start.elapsed() + pause > pace.deadline {
            return Err(error);
        }
        if stop.sleep(pause).await.is_err() {
            stop.note_cut_short();
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;
    use proptest::prelude::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_what_was_found_and_names_what_was_not() {
        let stop = Stop::new();
        let mut looks = 0;
        let found = wait_for(Pace::MINUTES, &stop, "a thing", async || {
            looks += 1;
            Ok((looks == 4).then_some("found"))
        })
        .await;
        assert_eq!((found.unwrap(), looks), ("found", 4));

        let start = Instant::now();
        let never = wait_for::<()>(Pace::MOMENT, &stop, "the VPC", async || Ok(None)).await.unwrap_err();
        assert!(never.what().starts_with("gave up waiting for the VPC after "), "{never}");
        assert!(start.elapsed() <= Pace::MOMENT.deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_passes_errors_on_and_ends_when_the_user_stops_it() {
        let stop = Stop::new();
        let broken = wait_for::<()>(Pace::MINUTES, &stop, "x", async || Err(Problem::failed("broken"))).await;
        assert_eq!(broken.unwrap_err().what(), "broken");
        stop.ask(Exit::Interrupted);
        let stopped = wait_for::<()>(Pace::MINUTES, &stop, "x", async || Ok(None)).await;
        assert_eq!(stopped.unwrap_err().exit(), Exit::Interrupted);
    }

    #[tokio::test(start_paused = true)]
    async fn only_passing_errors_are_retried() {
        let stop = Stop::new();
        let mut calls = 0;
        let done = retry_while(
            Pace::SPREAD,
            &stop,
            |e| *e == "not yet",
            async || {
                calls += 1;
                if calls < 3 { Err("not yet") } else { Ok(calls) }
            },
        );
        assert_eq!(done.await, Ok(3));
        let mut calls = 0;
        let failed: Result<(), _> = retry_while(
            Pace::SPREAD,
            &stop,
            |e| *e == "not yet",
            async || {
                calls += 1;
                Err("denied")
            },
        )
        .await;
        assert_eq!((failed, calls), (Err("denied"), 1));
    }

    #[test]
    fn an_even_beat_is_kept_to_the_second() {
        let beat = Duration::from_secs(5);
        let pace = Pace::even(beat, Duration::from_mins(30));
        assert!(pace.pauses().take(100).all(|pause| pause == beat));
    }

    proptest! {
        #[test]
        fn pauses_grow_and_stay_within_bounds(first in 1u64..1000, longest in 1u64..10_000) {
            let (first, longest) = (first.min(longest), longest);
            let pace = Pace {
                first: Duration::from_millis(first),
                longest: Duration::from_millis(longest),
                deadline: Duration::from_mins(1),
            };
            for pause in pace.pauses().take(40) {
                prop_assert!(pause <= pace.longest);
                prop_assert!(pause >= pace.first.mul_f64(0.79));
            }
        }
    }
}
