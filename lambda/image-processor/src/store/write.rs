//! Writing, copying and deleting under a condition.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;
use bytes::Bytes;
use image_event::encode_for_header;

use super::error::status_of;
use super::{Store, StoreError, Unread};
use crate::mark::Mark;

/// What must hold at a key for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No object is there.
    Absent,
    /// The object with this entity tag is still there.
    Unchanged(String),
}

/// What is to be written.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Where, in the output bucket.
    pub(crate) key: String,
    /// Its content.
    pub(crate) bytes: Bytes,
    /// Its media type.
    pub(crate) content_type: &'static str,
}

/// Why a result was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The condition does not hold any more (or, for a copy, the source has changed): look again.
    Raced,
    /// S3 failed.
    Store(StoreError),
}

impl Store {
    /// Writes a file and returns its entity tag, as S3 gives it.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub(crate) async fn write(
        &self,
        bucket: &str,
        file: &File,
        mark: &Mark,
        condition: &Condition,
    ) -> Result<String, WriteError> {
        let put = self
            .client
            .put_object()
            .bucket(bucket)
            .key(&file.key)
            .content_type(file.content_type)
            .set_metadata(Some(mark.to_metadata()))
            .body(ByteStream::from(file.bytes.clone()));
        let answer = match condition {
            Condition::Absent => put.if_none_match("*"),
            Condition::Unchanged(etag) => put.if_match(etag),
        }
        .send()
        .await;
        answer
            .map(|written| written.e_tag.unwrap_or_default())
            .map_err(|error| sort_write_error("PutObject", bucket, &file.key, &error))
    }

    /// Lets S3 copy `source`, provided it still is the version that was looked at. Its bytes and media type stay, its
    /// metadata becomes `mark`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub(crate) async fn copy(
        &self,
        (source_bucket, source_key): (&str, &str),
        source: &Unread,
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
            .content_type(&source.content_type)
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

    /// Deletes an object, provided it still is the one with this entity tag. One that is gone counts as deleted; one that
    /// may not be deleted stays, with a warning: what it says is superseded, not wrong.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub(crate) async fn delete(&self, bucket: &str, key: &str, etag: &str) -> Result<(), WriteError> {
        let answer = self.client.delete_object().bucket(bucket).key(key).if_match(etag).send().await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if status_of(&error) == Some(404) => Ok(()),
            Err(error) if status_of(&error) == Some(403) => {
                let error = StoreError::from_sdk("DeleteObject", bucket, key, &error);
                tracing::warn!(%error, "a report that no longer holds stays");
                Ok(())
            }
            Err(error) => Err(sort_write_error("DeleteObject", bucket, key, &error)),
        }
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
