//! The SDK's errors as a user reads them, and as a program asks them.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lab_plan::{Cause, Problem};

/// What an API answers when the credentials have expired; it differs by protocol.
const EXPIRED: [&str; 4] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
/// What it answers when it does not know the credentials, which is also its answer in a Region that is not enabled.
const UNKNOWN: [&str; 5] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
];
const DENIED: [&str; 4] = ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError"];

/// What it answers when it has been asked too often.
const THROTTLED: [&str; 9] = [
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "EC2ThrottledException",
    "SlowDown",
];

const EXPIRED_CREDENTIALS: &str = "the AWS credentials have expired";

/// Whether `error` is AWS's answer with this code.
pub fn has_code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}

/// Whether AWS refuses these credentials altogether: expired, or not known.
pub fn is_unknown_caller<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().is_some_and(|error| {
        let code = error.code().unwrap_or_default();
        EXPIRED.contains(&code) || is_unknown(code, error.message().unwrap_or_default())
    })
}

/// EC2's `AuthFailure` has several meanings, an image or an address of somebody else among them; with this text it means
/// the credentials.
fn is_unknown(code: &str, message: &str) -> bool {
    UNKNOWN.contains(&code) || (code == "AuthFailure" && message.contains("validate the provided access credentials"))
}

/// Whether these credentials may not make this call.
pub fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code).is_some_and(|code| DENIED.contains(&code))
}

/// Whether a program's own words say that its credentials have expired.
pub fn tells_of_expiry(said: &str) -> bool {
    said.contains(EXPIRED_CREDENTIALS)
}

/// Whether AWS turned the call away for haste: it has not acted, so the call may be repeated whatever it does.
pub fn is_throttled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code.is_some_and(is_throttling)
}

/// Whether AWS says with this code that it has been asked too often.
pub(crate) fn is_throttling(code: &str) -> bool {
    THROTTLED.contains(&code)
}

/// Whether nobody knows if AWS has acted: the answer never came, or says only that something broke inside.
///
/// A call whose request provably never left (no connection, no credentials) is not lost, and neither is one that AWS
/// refused.
pub fn is_lost_answer<E>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::DispatchFailure(failure) => {
            !failure.is_user() && !failure.as_connector_error().is_some_and(|error| is_refused(error))
        }
        SdkError::ServiceError(answer) => answer.raw().status().is_server_error(),
        // No answer in time, or one that cannot be read.
        _ => true,
    }
}

/// `problem`, which a call that makes something ended with: where AWS has refused `error`'s call, nothing was made.
pub fn tell_whether_made<E>(problem: Problem, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    // A server's error (HTTP 500) that says that there is no room.
    let is_refused = !is_lost_answer(error) || code.starts_with("Insufficient");
    if is_refused { problem.having_made_nothing() } else { problem }
}

/// How to go on when the credentials have expired.
pub const RENEW_CREDENTIALS: &str = "get fresh ones (Academy: start the lab, copy \"AWS Details\")";

/// What went wrong in `call` (`CreateVpc`), why, and how to go on.
pub fn explain<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let Some(code) = answer.err().code() else {
                let status = answer.raw().status().as_u16();
                return Problem::failed(format!("{call}: HTTP {status}, and no error code in the answer"))
                    .fix("run the same command again; where it stays, look at what stands between here and AWS");
            };
            explain_code(call, code, answer.err().message().unwrap_or_default())
        }
        SdkError::TimeoutError(_) => Problem::failed(format!("{call}: no answer in time"))
            .because(describe(error))
            .fix("check the network, then run the same command again"),
        _ => explain_unsent(call, error),
    }
}

pub(crate) fn explain_code(call: &str, code: &str, message: &str) -> Problem {
    let problem = |what: String| Problem::failed(what).because(format!("{call}: {code}: {message}"));
    if EXPIRED.contains(&code) {
        // EC2 says the same of a request that was signed too long ago.
        let clock = "\nthey are fresh? then this machine's clock is off: timedatectl set-ntp true";
        let clock = if code == "RequestExpired" { clock } else { "" };
        return problem(EXPIRED_CREDENTIALS.into())
            .fix(format!(
                "{RENEW_CREDENTIALS}, then run the same command again: it goes on where this one stopped{clock}"
            ))
            .caused_by(Cause::Credentials)
            .ending_all();
    }
    if is_unknown(code, message) {
        return problem("AWS does not accept these credentials here".into())
            .caused_by(Cause::Credentials)
            .fix("check the key (aws sts get-caller-identity), and that the Region is enabled for your account (--region us-east-1 always is)");
    }
    if code == "OptInRequired" {
        return problem("this Region or service is not enabled for the account".into())
            .fix("use another --region, or enable it in the account's settings");
    }
    if DENIED.contains(&code) {
        return problem(format!("you may not call {call}")).caused_by(Cause::Denied).fix(
            "ask for the policy in docs/permissions/ of this command; in an Academy lab, set account = \"academy\"",
        );
    }
    if is_throttling(code) || code == "ServiceUnavailable" {
        return problem(format!("AWS has asked for patience with {call} all along"))
            .fix("wait a minute, then run the same command again: it goes on where this one stopped");
    }
    if code.ends_with("LimitExceeded") || code.starts_with("LimitExceeded") || code.contains("Quota") {
        return problem(format!("a limit of the account refuses {call}")).fix(
            "see what is there and not needed any more (lab-status leaks --all-labs), or ask for more in the console under \
             Service Quotas",
        );
    }
    Problem::failed(format!("{call}: {code}: {message}"))
        .fix("run the same command again; where it stays, look at what AWS says there, and at lab-status doctor")
}

fn explain_unsent<E: Error + 'static>(call: &str, error: &SdkError<E, HttpResponse>) -> Problem {
    let text = describe(error);
    if text.contains("credentials") {
        return no_credentials(text);
    }
    if is_refused(error) {
        return Problem::failed(format!("{call}: the endpoint refuses connections"))
            .because(text)
            .fix("check AWS_ENDPOINT_URL, --endpoint-url and HTTPS_PROXY; local AWS is started by lab-sim");
    }
    Problem::failed(format!("{call}: no usable answer"))
        .because(text)
        .fix("check the network and the Region's name, then run the same command again")
}

/// That there are no credentials, and where they come from.
pub fn no_credentials(why: impl Into<String>) -> Problem {
    Problem::failed("there are no AWS credentials that could be used").caused_by(Cause::Credentials).because(why).fix(
        "on AWS: aws configure, aws sso login, or paste Academy's \"AWS Details\" into ~/.aws/credentials;\n\
         on local AWS: lab-sim -- COMMAND",
    )
}

/// What an error and its causes say, each once, without the SDK's inner structures.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in chain(error).map(ToString::to_string) {
        if !cause.is_empty() && !said.iter().any(|earlier| earlier.contains(&cause)) {
            said.push(cause);
        }
    }
    said.join(": ")
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ec2_calls_an_authorization_failure_is_seldom_about_credentials() {
        let explain = |message| explain_code("RunInstances", "AuthFailure", message);
        assert!(explain("AWS was not able to validate the provided access credentials").is_about_credentials());
        let image = explain("Not authorized for images: [ami-0123]");
        assert!(!image.is_about_credentials() && image.what().contains("ami-0123"), "{image}");
    }

    #[test]
    fn a_denial_and_a_plea_for_patience_are_told_apart() {
        assert!(explain_code("CreateVpc", "UnauthorizedOperation", "no").is_denial());
        let busy = explain_code("SendMessage", "RequestThrottled", "slow down");
        assert!(!busy.is_denial() && busy.what().contains("asked for patience"), "{busy}");
    }
}
