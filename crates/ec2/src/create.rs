//! Creating things exactly once.
//!
//! `CreateVpc`, `CreateInternetGateway` and `AllocateAddress` make a second one when they are repeated, so the SDK's own
//! retries are off for them. All tries of one creation carry one tag, whose value nothing else has. When an answer is
//! lost, that tag is looked for, and only when it stays unfound is the call made again. Whoever could not look does not
//! call again either: what may exist is the next run's to find.
//!
//! Calls that take a client token go the same way. Their attempt is the token: EC2 compares a repeated call with the
//! first one, tags included. The token alone is enough on AWS; not everything that speaks its API keeps that promise, and
//! who looks first depends on nobody's memory.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::Filter;
use lab_common::{Tags, explain, is_lost_answer, is_throttled, tell_whether_made};
use lab_plan::{Pace, Problem, Stop, find_within, retry_while};

/// How long a created thing may take to be found by its tag. EC2 shows new things within a second or two; its
/// developer guide ("Eventual consistency") names no bound.
const APPEARS: Pace =
    Pace { first: Duration::from_millis(50), longest: Duration::from_secs(1), deadline: Duration::from_secs(8) };
/// Creating calls made before giving up.
const TRIES: usize = 3;

/// The tag value of one attempt to create something, however many tries it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt(String);

impl Attempt {
    /// One that nothing else shares.
    pub fn unique() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// The one of all calls with this client token.
    pub fn of_token(token: &str) -> Self {
        Self(token.to_owned())
    }

    /// The filter that only what this attempt made passes.
    pub fn filter(&self) -> Filter {
        Filter::builder().name(format!("tag:{}", Tags::ATTEMPT)).values(&self.0).build()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The configuration of a call that must not be repeated by the SDK.
pub fn without_retries() -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Builder::default().retry_config(RetryConfig::disabled())
}

/// Creates one thing, whatever becomes of the answers, and returns its id.
///
/// `create` makes the call ([`without_retries`]) with the attempt's tag; `find` looks for the ids of things with that
/// tag; `remove` takes one away that was made too many, because a try turned up after the next one was made.
///
/// # Errors
/// What AWS answers, unless it is throttling. When it stays open whether something was made, the problem says so.
pub async fn create_once<E>(
    call: &str,
    stop: &Stop,
    create: impl AsyncFn(&Attempt) -> Result<String, SdkError<E, HttpResponse>>,
    find: impl AsyncFn(&Attempt) -> Result<Vec<String>, Problem>,
    remove: impl AsyncFn(&str) -> Result<(), Problem>,
) -> Result<String, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let made = create_in_attempt(call, &Attempt::unique(), stop, create, find, remove).await?;
    made.map_err(|error| tell_whether_made(explain(call, &error), &error))
}

/// Like [`create_once`], with the token that `create` sends: all runs that send it make the same thing. What turns out to
/// be there twice stays, for one of them may be another run's: see [`crate::take_turn`].
///
/// # Errors
/// When it stays open whether something was made. What AWS refuses is the inner error, for the caller to read.
pub async fn create_with_token<E>(
    call: &str,
    token: &str,
    stop: &Stop,
    create: impl AsyncFn(&Attempt) -> Result<String, SdkError<E, HttpResponse>>,
    find: impl AsyncFn(&Attempt) -> Result<Vec<String>, Problem>,
) -> Result<Result<String, SdkError<E, HttpResponse>>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    create_in_attempt(call, &Attempt::of_token(token), stop, create, find, async |_| Ok(())).await
}

async fn create_in_attempt<E>(
    call: &str,
    attempt: &Attempt,
    stop: &Stop,
    create: impl AsyncFn(&Attempt) -> Result<String, SdkError<E, HttpResponse>>,
    find: impl AsyncFn(&Attempt) -> Result<Vec<String>, Problem>,
    remove: impl AsyncFn(&str) -> Result<(), Problem>,
) -> Result<Result<String, SdkError<E, HttpResponse>>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let mut lost = None;
    for _ in 0..TRIES {
        let answer = retry_while(Pace::SPREAD, stop, is_throttled, async || create(attempt).await).await;
        let error = match answer {
            Ok(id) if lost.is_none() => return Ok(Ok(id)),
            Ok(id) => {
                let seen = find(attempt).await.map_err(|problem| leave_open(call, &problem))?;
                return keep_one(call, seen.into_iter().chain([id]), remove).await.map(Ok);
            }
            Err(error) => error,
        };
        if !is_lost_answer(&error) || is_short_of(&error) {
            return if lost.is_some() { Err(leave_open(call, &explain(call, &error))) } else { Ok(Err(error)) };
        }
        let look = async || Ok(Some(find(attempt).await?).filter(|found| !found.is_empty()));
        // Who cannot look cannot know whether something was made.
        match find_within(APPEARS, stop, look).await.map_err(|problem| leave_open(call, &problem))? {
            Some(found) => return keep_one(call, found, remove).await.map(Ok),
            None => lost = Some(explain(call, &error)),
        }
    }
    let problem = lost.unwrap_or_else(|| Problem::failed(format!("{call} was not tried")));
    Err(leave_open(call, &problem))
}

/// Whether EC2 has no room for it: a server's error (HTTP 500) that says that nothing was made.
fn is_short_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code.is_some_and(|code| code.starts_with("Insufficient"))
}

/// Keeps the smallest of the ids and removes the others.
async fn keep_one(
    call: &str,
    made: impl IntoIterator<Item = String>,
    remove: impl AsyncFn(&str) -> Result<(), Problem>,
) -> Result<String, Problem> {
    let mut made: BTreeSet<String> = made.into_iter().collect();
    let kept = made.pop_first().ok_or_else(|| Problem::failed(format!("{call} made nothing")))?;
    for other in made {
        remove(&other).await?;
    }
    Ok(kept)
}

/// `problem`, and that `call` may have made something all the same.
fn leave_open(call: &str, problem: &Problem) -> Problem {
    let hint = format!("{call} may have made something: the same command again finds it by its tags");
    let fix = problem.remedy().map_or_else(|| hint.clone(), |fix| format!("{fix}\n{hint}"));
    problem.clone().fix(fix)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::create_vpc::CreateVpcError;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    type Answer = Result<String, SdkError<CreateVpcError, HttpResponse>>;

    fn lost() -> Answer {
        Err(SdkError::timeout_error("no answer"))
    }

    fn refused(code: &str, status: u16) -> Answer {
        let error = CreateVpcError::generic(ErrorMetadata::builder().code(code).message("no").build());
        Err(SdkError::service_error(error, HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())))
    }

    /// What became of it, the creating calls, and what was removed.
    type Outcome = (Result<String, Problem>, usize, Vec<String>);

    /// Answers one call after another. `look` gets its own number and that of the calls so far.
    async fn run_with(
        answers: Vec<fn() -> Answer>,
        look: impl Fn(usize, usize) -> Result<Vec<String>, Problem>,
    ) -> Outcome {
        let (calls, looks, removed) = (Cell::new(0), Cell::new(0), RefCell::new(vec![]));
        let made = create_once(
            "CreateVpc",
            &Stop::new(),
            async |_| {
                calls.set(calls.get() + 1);
                answers[calls.get() - 1]()
            },
            async |_| {
                looks.set(looks.get() + 1);
                look(looks.get(), calls.get())
            },
            async |id| {
                removed.borrow_mut().push(id.to_owned());
                Ok(())
            },
        )
        .await;
        (made, calls.get(), removed.into_inner())
    }

    async fn run(answers: Vec<fn() -> Answer>, found_after_look: Option<usize>) -> (Result<String, Problem>, usize) {
        let visible = |look| found_after_look.is_some_and(|after| look > after);
        let look = |look, _| Ok(if visible(look) { vec!["vpc-found".to_owned()] } else { vec![] });
        let (made, calls, _) = run_with(answers, look).await;
        (made, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_makes_nothing_again_and_says_what_may_be_there() {
        let broken = |_, _| Err(Problem::failed("DescribeVpcs: no answer in time").fix("check the network"));
        let (made, calls, _) = run_with(vec![lost, lost, lost], broken).await;
        let problem = made.unwrap_err();
        assert_eq!((problem.what(), calls), ("DescribeVpcs: no answer in time", 1));
        let fix = problem.remedy().unwrap();
        assert!(fix.contains("check the network") && fix.contains("CreateVpc may have made something"), "{fix}");

        let (made, calls, _) = run_with(vec![lost], |_, _| Err(Problem::failed("expired").ending_all())).await;
        assert!(made.unwrap_err().ends_all());
        assert_eq!(calls, 1);

        let (made, calls, _) = run_with(vec![lost, lost, lost], |_, _| Ok(vec![])).await;
        assert!(made.unwrap_err().remedy().unwrap().contains("may have made something"));
        assert_eq!(calls, TRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn what_turns_up_beside_a_second_try_is_removed_whichever_is_smaller() {
        for (early, kept, gone) in [("vpc-1", "vpc-1", "vpc-2"), ("vpc-3", "vpc-2", "vpc-3")] {
            // What the first call made is shown only when the second one has been made.
            let look = |_, calls| Ok(if calls == 2 { vec![early.to_owned()] } else { vec![] });
            let (made, calls, removed) = run_with(vec![lost, || Ok("vpc-2".into())], look).await;
            assert_eq!((made.unwrap().as_str(), calls, removed), (kept, 2, vec![gone.to_owned()]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_found_by_its_tag_and_not_made_again() {
        let (made, calls) = run(vec![lost], Some(5)).await;
        assert_eq!((made.unwrap().as_str(), calls), ("vpc-found", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_arrived_is_made_again() {
        let (made, calls) = run(vec![lost, || Ok("vpc-2".into())], None).await;
        assert_eq!((made.unwrap().as_str(), calls), ("vpc-2", 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_internal_error_leaves_the_outcome_open_but_throttling_does_not() {
        let (made, calls) = run(vec![|| refused("InternalError", 500)], Some(0)).await;
        assert_eq!((made.unwrap().as_str(), calls), ("vpc-found", 1));
        let (made, calls) = run(vec![|| refused("RequestLimitExceeded", 503), || Ok("vpc-2".into())], Some(0)).await;
        assert_eq!((made.unwrap().as_str(), calls), ("vpc-2", 2));
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_token_all_tries_bear_it_and_what_another_run_made_is_not_removed() {
        let (seen, stop) = (RefCell::new(vec![]), Stop::new());
        let made = create_with_token(
            "CreateVpc",
            "token",
            &stop,
            async |attempt| {
                seen.borrow_mut().push(attempt.to_string());
                lost()
            },
            async |attempt| {
                seen.borrow_mut().push(attempt.to_string());
                Ok(vec!["vpc-theirs".to_owned(), "vpc-1".to_owned()])
            },
        );
        assert_eq!(made.await.unwrap().unwrap(), "vpc-1");
        assert_eq!(seen.into_inner(), ["token", "token"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final() {
        let (made, calls) = run(vec![|| refused("VpcLimitExceeded", 400)], Some(0)).await;
        assert!(made.unwrap_err().why().is_some_and(|why| why.contains("VpcLimitExceeded")));
        assert_eq!(calls, 1);
        let (made, calls) = run(vec![|| refused("InsufficientAddressCapacity", 500)], Some(0)).await;
        assert!(made.unwrap_err().what().contains("InsufficientAddressCapacity"));
        assert_eq!(calls, 1);
    }
}
