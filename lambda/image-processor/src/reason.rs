//! Why a record cannot be processed, now or ever.
//!
//! A [`Reason`] is permanent: the same object gives the same answer however often it is tried, so the invocation reports
//! it and succeeds. What may pass (S3 throttles, a permission is missing) is [`crate::store::StoreError`].

/// A permanent failure of one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// No picture can be made of the object's bytes.
    #[error(transparent)]
    Picture(#[from] image_engine::Reason),
    /// The object is larger than allowed.
    #[error("the object has {bytes} bytes or more, MAX_BYTES allows {max}")]
    TooManyBytes {
        /// The object's size as far as it is known, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        max: u64,
    },
    /// The key's bytes are not UTF-8.
    #[error("the key in the event is not UTF-8")]
    KeyNotUtf8,
    /// The result's key would be longer than S3 allows.
    #[error("the result's key would have {bytes} bytes, S3 allows 1024")]
    KeyTooLong {
        /// The result's key's length in bytes.
        bytes: usize,
    },
    /// The result would be written to the bucket that the trigger listens to, and trigger the function again.
    #[error(
        "OUTPUT_BUCKET is the bucket the event came from: writing there would trigger the function again and again"
    )]
    WouldTriggerItself,
    /// The record names no bucket or no key.
    #[error("the record names no {0}")]
    Incomplete(&'static str),
}

impl Reason {
    /// A stable word for logs, metrics and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Picture(reason) => reason.code(),
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::KeyNotUtf8 => "key_not_utf8",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::WouldTriggerItself => "would_trigger_itself",
            Self::Incomplete(_) => "incomplete_record",
        }
    }
}
