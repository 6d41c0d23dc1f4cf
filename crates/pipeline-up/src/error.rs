//! AWS's error codes as questions. Each is the documented code of one state; nothing else counts.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use lab_common::{explain, has_code};
use lab_plan::Problem;

/// `None` where AWS answers with one of `codes`, which say that there is no such thing.
pub(crate) fn none_if<T, E>(
    call: &str,
    codes: &[&str],
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Option<T>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if has_any(&error, codes) => Ok(None),
        Err(error) => Err(explain(call, &error)),
    }
}

/// Whether `error` is AWS's answer with one of these codes.
pub(crate) fn has_any<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, codes: &[&str]) -> bool {
    codes.iter().any(|code| has_code(error, code))
}

/// Whether a bucket is busy with another change of its own, or is so new that not all of S3 knows it.
pub(crate) fn is_bucket_unsettled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    has_any(error, &["OperationAborted", "NoSuchBucket"])
}

/// Whether S3 cannot reach the function yet. The permission spreads within seconds; the same code and message also
/// stand for entries that overlap, which were excluded before.
pub(crate) fn is_destination_unvalidated<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    has_code(error, "InvalidArgument")
        && message.contains("Unable to validate the following destination configurations")
}

/// Whether Lambda cannot change the function now: it is busy, or its new role has not spread yet.
pub(crate) fn is_function_unsettled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    has_code(error, "ResourceConflictException")
        || (has_code(error, "InvalidParameterValueException") && message.contains("cannot be assumed"))
}
