//! IAM's error codes as questions. Each is the documented code of one state; nothing else counts.

use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use lab_common::{explain, has_code};
use lab_plan::Problem;

/// Whether IAM does not show (yet) what the call names.
pub fn is_unseen<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    has_code(error, "NoSuchEntity")
}

/// Whether something hangs on what should be deleted, or is still shown although it has just been taken out.
pub fn is_still_used<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    has_code(error, "DeleteConflict")
}

/// What `call` answered; nothing where IAM says that there is no such thing, which is what a deletion wants.
///
/// # Errors
/// Every other failure.
pub fn ignore_absent<T, E>(call: &str, answer: Result<T, SdkError<E, HttpResponse>>) -> Result<Option<T>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_unseen(&error) => Ok(None),
        Err(error) => Err(explain(call, &error)),
    }
}
