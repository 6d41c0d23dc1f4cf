//! Looking at objects and reading them.

use std::collections::HashMap;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;

use super::error::status_of;
use super::{Store, StoreError};
use crate::mark::Mark;

const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What stands at a key of the output bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Existing {
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

/// A source whose head has come and whose body has not been read.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Its entity tag, without quotes.
    pub(crate) etag: String,
    /// Its version, where the bucket keeps versions.
    pub(crate) version: Option<String>,
    /// Its user metadata, names in lower case.
    pub(crate) metadata: HashMap<String, String>,
    /// Whether it has tags, as far as the role may know.
    pub(crate) has_tags: bool,
    /// Its size in bytes, as announced.
    pub(crate) bytes: u64,
    body: ByteStream,
}

/// What S3 says about an object that was not read.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    /// Its entity tag, without quotes.
    pub(crate) etag: String,
    /// Its version, where the bucket keeps versions.
    pub(crate) version: Option<String>,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Its media type.
    pub(crate) content_type: String,
}

/// Why a source was not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It was deleted since the event.
    Gone,
    /// It is the version that is known already.
    NotModified,
    /// It is another version than the one asked for.
    OtherVersion,
    /// It has more bytes than allowed: so many at least.
    TooLong(u64),
    /// S3 failed.
    Store(StoreError),
}

/// Which version of a source is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// The current one.
    Any,
    /// The current one, unless it is this one.
    NotThis(&'a str),
    /// This one, if it still is the current one.
    This(&'a str),
}

impl Store {
    /// Looks at a key of the output bucket. A role without `s3:ListBucket` is told 403 where nothing is there: that counts
    /// as absent, and the condition of the write keeps an object that is there after all from being overwritten.
    ///
    /// # Errors
    /// [`StoreError`] for anything but 200, 403 and 404.
    pub(crate) async fn look_at(&self, bucket: &str, key: &str) -> Result<Existing, StoreError> {
        let answer = self.client.head_object().bucket(bucket).key(key).send().await;
        match answer {
            Ok(head) => Ok(Existing::Present {
                etag: head.e_tag().unwrap_or_default().to_owned(),
                mark: Mark::read(head.metadata().unwrap_or(&HashMap::new())),
            }),
            Err(error) if matches!(status_of(&error), Some(403 | 404)) => Ok(Existing::Absent),
            Err(error) => Err(StoreError::from_sdk("HeadObject", bucket, key, &error)),
        }
    }

    /// Asks for a source, and returns once its head has come.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub(crate) async fn open(&self, bucket: &str, key: &str, wanted: Wanted<'_>) -> Result<Opened, ReadError> {
        let get = self.client.get_object().bucket(bucket).key(key);
        let get = match wanted {
            Wanted::Any => get,
            Wanted::NotThis(etag) => get.if_none_match(format!("\"{etag}\"")),
            Wanted::This(etag) => get.if_match(format!("\"{etag}\"")),
        };
        match get.send().await {
            Ok(object) => Ok(Opened {
                etag: unquote(object.e_tag()),
                version: object.version_id().map(str::to_owned),
                bytes: object.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
                has_tags: object.tag_count().is_some_and(|count| count > 0),
                metadata: object.metadata.unwrap_or_default(),
                body: object.body,
            }),
            Err(error) if error.code() == Some("NoSuchKey") => Err(ReadError::Gone),
            Err(error) if status_of(&error) == Some(304) => Err(ReadError::NotModified),
            Err(error) if status_of(&error) == Some(412) => Err(ReadError::OtherVersion),
            Err(error) => Err(ReadError::Store(StoreError::from_sdk("GetObject", bucket, key, &error))),
        }
    }

    /// Reads an object's tags. A role that may not is as good as no tags.
    ///
    /// # Errors
    /// [`StoreError`] for anything but 200, 403 and 404.
    pub(crate) async fn read_tags(&self, bucket: &str, key: &str) -> Result<Vec<(String, String)>, StoreError> {
        match self.client.get_object_tagging().bucket(bucket).key(key).send().await {
            Ok(answer) => Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()),
            Err(error) if matches!(status_of(&error), Some(403 | 404)) => Ok(Vec::new()),
            Err(error) => Err(StoreError::from_sdk("GetObjectTagging", bucket, key, &error)),
        }
    }

    /// Looks at a source without reading it.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub(crate) async fn examine(&self, bucket: &str, key: &str) -> Result<Unread, ReadError> {
        let answer = self.client.head_object().bucket(bucket).key(key).send().await;
        match answer {
            Ok(head) => Ok(Unread {
                etag: unquote(head.e_tag()),
                version: head.version_id().map(str::to_owned),
                bytes: head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
                content_type: name_content_type(head.content_type(), key),
            }),
            Err(error) if status_of(&error) == Some(404) => Err(ReadError::Gone),
            Err(error) => Err(ReadError::Store(StoreError::from_sdk("HeadObject", bucket, key, &error))),
        }
    }
}

impl Opened {
    /// Reads the body into `buffer`, which is emptied first, and which grows once: to the announced size. The body is cut
    /// off where it outgrows `max` all the same.
    ///
    /// # Errors
    /// [`ReadError::TooLong`]; [`ReadError::Store`] where the body breaks off.
    pub(crate) async fn read_into(
        mut self,
        (bucket, key): (&str, &str),
        buffer: &mut Vec<u8>,
        max: u64,
    ) -> Result<(), ReadError> {
        buffer.clear();
        buffer.reserve_exact(usize::try_from(self.bytes.min(max)).unwrap_or(0));
        while let Some(chunk) = self.body.try_next().await.map_err(|error| {
            ReadError::Store(StoreError::new("GetObject", bucket, key, format!("the body broke off: {error}")))
        })? {
            let seen = buffer.len() as u64 + chunk.len() as u64;
            if seen > max {
                return Err(ReadError::TooLong(seen));
            }
            buffer.extend_from_slice(&chunk);
        }
        Ok(())
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
