//! A call to S3 that failed, in words that say what to do.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// A call to S3 that failed and may work later: throttled, unreachable, a permission or a bucket missing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} on s3://{bucket}/{key}: {cause}")]
pub(crate) struct StoreError {
    operation: &'static str,
    bucket: String,
    key: String,
    cause: String,
}

impl StoreError {
    pub(super) fn new(operation: &'static str, bucket: &str, key: &str, cause: impl Into<String>) -> Self {
        Self { operation, bucket: bucket.to_owned(), key: key.to_owned(), cause: cause.into() }
    }

    pub(super) fn from_sdk<E>(
        operation: &'static str,
        bucket: &str,
        key: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let cause = match (error.code(), status_of(error)) {
            (Some(code), _) => {
                let message = error.message().unwrap_or("no message");
                format!("{code}: {message}{}", remedy(code))
            }
            (None, Some(403)) => format!("HTTP 403{}", remedy("AccessDenied")),
            (None, Some(status)) => format!("HTTP {status}"),
            (None, None) => DisplayErrorContext(error).to_string(),
        };
        Self::new(operation, bucket, key, cause)
    }

    /// A result that other writers keep changing under our hands.
    pub(crate) fn contended(bucket: &str, key: &str) -> Self {
        Self::new("PutObject", bucket, key, "other invocations keep writing this object")
    }
}

fn remedy(code: &str) -> &'static str {
    match code {
        "AccessDenied" => {
            ". The function's role needs s3:GetObject and s3:ListBucket on both buckets, and s3:PutObject and s3:DeleteObject on the output bucket"
        }
        "NoSuchBucket" => ". Make the bucket (pipeline-up does) or correct OUTPUT_BUCKET",
        _ => "",
    }
}

pub(super) fn status_of<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
