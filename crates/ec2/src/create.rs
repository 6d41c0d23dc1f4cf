//! Creating things exactly once where the API takes no client token.
//!
//! `CreateVpc`, `CreateInternetGateway` and `AllocateAddress` make a second one when they are repeated, so the SDK's own
//! retries are off for them. Each attempt carries a tag of its own; when an answer is lost, that tag is looked for, and
//! only when it stays unfound is the call made again.

use std::fmt;
use std::time::Duration;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use lab_common::{explain, is_lost_answer};
use lab_plan::{Pace, Problem, Stop, retry_while, wait_for};

use crate::is_throttled;

/// How long a created thing may take to be found by its tag. EC2 shows new things within a second or two; its
/// developer guide ("Eventual consistency") names no bound.
const APPEARS: Pace =
    Pace { first: Duration::from_millis(50), longest: Duration::from_secs(1), deadline: Duration::from_secs(8) };
/// Creating calls made before giving up.
const TRIES: usize = 3;

/// The tag value of one attempt to create something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt(uuid::Uuid);

impl Attempt {
    fn new() -> Self {
        Self(uuid::Uuid::new_v4())
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
/// tag.
///
/// # Errors
/// What AWS answers, unless it is throttling; when three answers are lost and nothing was made.
pub async fn create_once<E>(
    call: &str,
    stop: &Stop,
    create: impl AsyncFn(&Attempt) -> Result<String, SdkError<E, HttpResponse>>,
    find: impl AsyncFn(&Attempt) -> Result<Vec<String>, Problem>,
) -> Result<String, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let attempt = Attempt::new();
    let mut tries = 1;
    loop {
        let answer = retry_while(Pace::SPREAD, stop, is_throttled, async || create(&attempt).await).await;
        let error = match answer {
            Ok(id) => return Ok(id),
            Err(error) => error,
        };
        if !is_lost_answer(&error) {
            return Err(explain(call, &error));
        }
        let found =
            wait_for(APPEARS, stop, "what may have been made", async || Ok(find(&attempt).await?.into_iter().min()));
        match found.await {
            Ok(id) => return Ok(id),
            // Who cannot look cannot know whether something was made.
            Err(problem) if stop.asked().is_some() || problem.ends_all() => return Err(problem),
            Err(_) if tries < TRIES => tries += 1,
            Err(_) => return Err(explain(call, &error)),
        }
    }
}

/// Of several things with one role, made by runs that did not see each other, the smallest id wins.
/// Every run decides alike, whatever it sees first. `own` counts also while it is not visible yet.
pub fn choose_winner(own: &str, seen: impl IntoIterator<Item = String>) -> String {
    seen.into_iter().chain([own.to_owned()]).min().unwrap_or_else(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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

    /// Answers one after another, and counts the calls.
    async fn run(answers: Vec<fn() -> Answer>, found_after_look: Option<usize>) -> (Result<String, Problem>, usize) {
        let (calls, looks) = (Cell::new(0), Cell::new(0));
        let made = create_once(
            "CreateVpc",
            &Stop::new(),
            async |_| {
                calls.set(calls.get() + 1);
                answers[calls.get() - 1]()
            },
            async |_| {
                looks.set(looks.get() + 1);
                let visible = found_after_look.is_some_and(|look| looks.get() > look);
                Ok(if visible { vec!["vpc-found".to_owned()] } else { vec![] })
            },
        )
        .await;
        (made, calls.get())
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
    async fn a_refusal_is_final() {
        let (made, calls) = run(vec![|| refused("VpcLimitExceeded", 400)], Some(0)).await;
        assert!(made.unwrap_err().what().contains("VpcLimitExceeded"));
        assert_eq!(calls, 1);
    }

    #[test]
    fn the_smallest_id_wins_also_when_our_own_is_not_visible() {
        assert_eq!(choose_winner("vpc-2", ["vpc-1".to_owned(), "vpc-3".to_owned()]), "vpc-1");
        assert_eq!(choose_winner("vpc-0", ["vpc-1".to_owned()]), "vpc-0");
        assert_eq!(choose_winner("vpc-0", []), "vpc-0");
    }
}
