//! S3 as this function needs it: look, read with a limit, write or copy under a condition.
//!
//! Every failure is sorted here, once: what can never work is a [`Reason`], a lost race is [`WriteError::Raced`], and the
//! rest is a [`StoreError`], which makes the invocation fail so that Lambda tries it again.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;
use bytes::Bytes;

use crate::key::encode_for_header;
use crate::mark::Mark;
use crate::reason::Reason;

/// Tries of one call, the first included. Lambda itself tries the invocation twice more, minutes later.
const ATTEMPTS: u32 = 3;
/// Within a Region a connection takes a millisecond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Until the first byte of an answer. Three of them stay inside the function's 60 s.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

const PNG: &str = "image/png";
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A call to S3 that failed and may work later: throttled, unreachable, a permission or a bucket missing.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on s3://{bucket}/{key}: {cause}")]
pub struct StoreError {
    operation: &'static str,
    bucket: String,
    key: String,
    cause: String,
}

impl StoreError {
    fn new(operation: &'static str, bucket: &str, key: &str, cause: impl Into<String>) -> Self {
        Self { operation, bucket: bucket.to_owned(), key: key.to_owned(), cause: cause.into() }
    }

    fn from_sdk<E>(operation: &'static str, bucket: &str, key: &str, error: &SdkError<E, HttpResponse>) -> Self
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
            ". The function's role needs s3:GetObject and s3:ListBucket on both buckets and s3:PutObject on the output bucket"
        }
        "NoSuchBucket" => ". Make the bucket (pipeline-up does) or correct OUTPUT_BUCKET",
        _ => "",
    }
}

fn status_of<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What stands at the result's key.
#[derive(Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Absent,
    /// An object with this entity tag and mark.
    Present {
        /// As S3 gives it, with quotes.
        etag: String,
        /// What it was made from.
        mark: Mark,
    },
}

/// What must hold at the result's key for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No object is there.
    Absent,
    /// The object with this entity tag is still there.
    Unchanged(String),
}

/// A source that was looked at or read.
#[derive(Debug)]
pub struct Source<T> {
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its content.
    pub content: T,
}

/// What S3 says about an object that it will copy itself.
#[derive(Debug, Clone)]
pub struct Unread {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its media type.
    pub content_type: String,
}

/// Why a source was not read.
#[derive(Debug)]
pub enum ReadError {
    /// It was deleted since the event.
    Gone,
    /// It can never be read.
    Refused(Reason),
    /// S3 failed.
    Store(StoreError),
}

/// Why a result was not written.
#[derive(Debug)]
pub enum WriteError {
    /// The condition does not hold any more (or, for a copy, the source has changed): look again.
    Raced,
    /// S3 failed.
    Store(StoreError),
}

/// The two buckets, through one client.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
}

impl Store {
    /// Takes a ready client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Builds the client: few tries, short timeouts. With an endpoint of one's own the bucket goes into the path, since
    /// no DNS knows `bucket.127.0.0.1`.
    pub fn connect(config: &SdkConfig) -> Self {
        let own_endpoint = config.endpoint_url().is_some()
            || ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
                .iter()
                .any(|name| std::env::var_os(name).is_some_and(|url| !url.is_empty()));
        let settings = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(own_endpoint)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build(),
            )
            .build();
        Self::new(Client::from_conf(settings))
    }

    /// Looks at the result's key. A role without `s3:ListBucket` is told 403 where nothing is there: that counts as
    /// absent, and the condition of the write keeps an object that is there after all from being overwritten.
    ///
    /// # Errors
    /// [`StoreError`] for anything but 200, 403 and 404.
    pub async fn look_at(&self, bucket: &str, key: &str) -> Result<Existing, StoreError> {
        let answer = self.client.head_object().bucket(bucket).key(key).send().await;
        match answer {
            Ok(head) => Ok(Existing::Present {
                etag: head.e_tag().unwrap_or_default().to_owned(),
                mark: Mark::read(head.metadata().unwrap_or(&std::collections::HashMap::new())),
            }),
            Err(error) if matches!(status_of(&error), Some(403 | 404)) => Ok(Existing::Absent),
            Err(error) => Err(StoreError::from_sdk("HeadObject", bucket, key, &error)),
        }
    }

    /// Reads a source of at most `max` bytes. The announced size is checked before the body is touched, and the body is
    /// cut off where it outgrows the limit all the same.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read(&self, bucket: &str, key: &str, max: u64) -> Result<Source<Vec<u8>>, ReadError> {
        let answer = self.client.get_object().bucket(bucket).key(key).send().await;
        let object = match answer {
            Ok(object) => object,
            Err(error) if error.code() == Some("NoSuchKey") => return Err(ReadError::Gone),
            Err(error) => {
                return Err(ReadError::Store(StoreError::from_sdk("GetObject", bucket, key, &error)));
            }
        };
        let announced = object.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        let etag = unquote(object.e_tag());
        let too_many = |bytes| ReadError::Refused(Reason::TooManyBytes { bytes, max });
        if announced > max {
            return Err(too_many(announced));
        }
        let mut body = object.body;
        let mut content = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = body.try_next().await.map_err(|error| {
            ReadError::Store(StoreError::new("GetObject", bucket, key, format!("the body broke off: {error}")))
        })? {
            let seen = content.len() as u64 + chunk.len() as u64;
            if seen > max {
                return Err(too_many(seen));
            }
            content.extend_from_slice(&chunk);
        }
        Ok(Source { etag, content })
    }

    /// Looks at a source that S3 is to copy.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn examine(&self, bucket: &str, key: &str) -> Result<Source<Unread>, ReadError> {
        let answer = self.client.head_object().bucket(bucket).key(key).send().await;
        match answer {
            Ok(head) => Ok(Source {
                etag: unquote(head.e_tag()),
                content: Unread {
                    bytes: head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
                    content_type: name_content_type(head.content_type(), key),
                },
            }),
            Err(error) if status_of(&error) == Some(404) => Err(ReadError::Gone),
            Err(error) => Err(ReadError::Store(StoreError::from_sdk("HeadObject", bucket, key, &error))),
        }
    }

    /// Writes a PNG.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write_png(
        &self,
        bucket: &str,
        key: &str,
        png: Bytes,
        mark: &Mark,
        condition: &Condition,
    ) -> Result<(), WriteError> {
        let put = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(PNG)
            .set_metadata(Some(mark.to_metadata()))
            .body(ByteStream::from(png));
        let answer = match condition {
            Condition::Absent => put.if_none_match("*"),
            Condition::Unchanged(etag) => put.if_match(etag),
        }
        .send()
        .await;
        answer.map(drop).map_err(|error| sort_write_error("PutObject", bucket, key, &error))
    }

    /// Lets S3 copy `source`, provided it still is the version with `etag`. Its bytes and media type stay, its metadata
    /// becomes `mark`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn copy(
        &self,
        (source_bucket, source_key): (&str, &str),
        source: &Source<Unread>,
        (bucket, key): (&str, &str),
        mark: &Mark,
        condition: &Condition,
    ) -> Result<(), WriteError> {
        let copy = self
            .client
            .copy_object()
            .copy_source(encode_for_header(&format!("{source_bucket}/{source_key}")))
            .copy_source_if_match(format!("\"{}\"", source.etag))
            .bucket(bucket)
            .key(key)
            .content_type(&source.content.content_type)
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(Some(mark.to_metadata()));
        let answer = match condition {
            Condition::Absent => copy.if_none_match("*"),
            Condition::Unchanged(etag) => copy.if_match(etag),
        }
        .send()
        .await;
        answer.map(drop).map_err(|error| sort_write_error("CopyObject", bucket, key, &error))
    }
}

/// S3 answers 412 where a condition does not hold, 409 `ConditionalRequestConflict` where another write is under way, and
/// 404 `NoSuchKey` where the object to match (or to copy) was deleted meanwhile.
fn sort_write_error<E>(
    operation: &'static str,
    bucket: &str,
    key: &str,
    error: &SdkError<E, HttpResponse>,
) -> WriteError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (error.code(), status_of(error)) {
        (Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey"), _) | (_, Some(412)) => {
            WriteError::Raced
        }
        _ => WriteError::Store(StoreError::from_sdk(operation, bucket, key, error)),
    }
}

fn unquote(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

/// The source's media type. S3's own default says nothing, so then the key's extension is asked.
fn name_content_type(stated: Option<&str>, key: &str) -> String {
    if let Some(stated) = stated.filter(|stated| !matches!(*stated, "" | UNKNOWN_TYPE | "binary/octet-stream")) {
        return stated.to_owned();
    }
    let extension = key.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("bmp") => "image/bmp",
        Some("tif" | "tiff") => "image/tiff",
        _ => UNKNOWN_TYPE,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_a_meaningful_media_type() {
        for (stated, key, expected) in [
            (Some("image/jpeg"), "a.png", "image/jpeg"),
            (Some("binary/octet-stream"), "a.JPG", "image/jpeg"),
            (None, "a/b.tiff", "image/tiff"),
            (Some(""), "notes", UNKNOWN_TYPE),
        ] {
            assert_eq!(name_content_type(stated, key), expected);
        }
    }
}
