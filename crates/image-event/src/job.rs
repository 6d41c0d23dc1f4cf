//! One object to process, or why it is not.

/// One object to process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// The bucket the object lies in.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// The object's size in bytes, as the event has it.
    pub size: Option<u64>,
    /// The object's entity tag, without quotes.
    pub etag: Option<String>,
    /// S3's order of the events of one key: hexadecimal, compared from the right. A Batch task has none.
    pub sequencer: Option<String>,
    /// The object's version, where its bucket keeps versions.
    pub version: Option<String>,
}

/// What one record, event or task asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An object was made: process it.
    Process(Job),
    /// Nothing to do, with the reason.
    Ignore {
        /// The bucket, empty where there is none.
        bucket: String,
        /// The key as it stands in the event.
        key: String,
        /// Why there is nothing to do.
        why: &'static str,
    },
    /// This can never be processed.
    Refuse {
        /// The bucket, empty where there is none.
        bucket: String,
        /// The key as it stands in the event.
        key: String,
        /// Why not.
        reason: Refusal,
    },
}

/// Why what an event names can never be processed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key's bytes are not UTF-8: S3 has no such key.
    #[error("the key in the event is not UTF-8")]
    KeyNotUtf8,
    /// The record names no bucket or no key.
    #[error("the record names no {0}")]
    Incomplete(&'static str),
}

impl Refusal {
    /// A stable word for logs, metrics and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyNotUtf8 => "key_not_utf8",
            Self::Incomplete(_) => "incomplete_record",
        }
    }
}

/// What is read of an event before it is known to be complete.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) size: Option<u64>,
    pub(crate) etag: &'a str,
    pub(crate) sequencer: &'a str,
    pub(crate) version: &'a str,
}

impl Draft<'_> {
    pub(crate) fn ignore(&self, why: &'static str) -> Item {
        Item::Ignore { bucket: self.bucket.to_owned(), key: self.key.to_owned(), why }
    }

    fn refuse(&self, reason: Refusal) -> Item {
        Item::Refuse { bucket: self.bucket.to_owned(), key: self.key.to_owned(), reason }
    }

    /// The job, with the key decoded by `decode`.
    pub(crate) fn finish(&self, decode: impl Fn(&str) -> Result<String, Refusal>) -> Item {
        if let Some((missing, _)) = [("bucket", self.bucket), ("key", self.key)].iter().find(|part| part.1.is_empty()) {
            return self.refuse(Refusal::Incomplete(missing));
        }
        if self.key.ends_with('/') && self.size.unwrap_or(0) == 0 {
            return self.ignore("a folder's marker, not an image");
        }
        let non_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match decode(self.key) {
            Err(reason) => self.refuse(reason),
            Ok(key) => Item::Process(Job {
                bucket: self.bucket.to_owned(),
                key,
                size: self.size,
                etag: non_empty(self.etag.trim_matches('"')),
                sequencer: non_empty(self.sequencer),
                version: non_empty(self.version),
            }),
        }
    }
}
