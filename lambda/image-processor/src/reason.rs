//! Why a record cannot be processed, now or ever.
//!
//! A [`Reason`] is permanent: the same object gives the same answer however often it is tried, so the invocation reports
//! it and succeeds. What may pass (S3 throttles, a permission is missing) is [`crate::store::StoreError`].

/// A permanent failure of one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The object has no bytes.
    #[error("the object is empty")]
    Empty,
    /// The bytes are none of the formats this function reads.
    #[error("this is not an image, or of a format other than JPEG, PNG, GIF, WebP, BMP and TIFF")]
    NotAnImage,
    /// The format is known, this use of it is not decoded.
    #[error("this kind of {format} is not supported: {detail}")]
    Unsupported {
        /// The format's name.
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// The file is truncated or damaged.
    #[error("the {format} file is damaged or incomplete: {detail}")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// The header claims more pixels than allowed; nothing was allocated for them.
    #[error("{width}x{height} pixels are more than the {max} that MAX_PIXELS allows")]
    TooManyPixels {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit, in pixels.
        max: u64,
    },
    /// The object is larger than allowed.
    #[error("the object has {bytes} bytes or more, MAX_BYTES allows {max}")]
    TooManyBytes {
        /// The object's size as far as it is known, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        max: u64,
    },
    /// The function's memory would not hold the image.
    #[error("the image needs about {needs_mb} MB of memory and the function has {has_mb}: raise the function's memory")]
    TooMuchMemory {
        /// An upper estimate, in MB.
        needs_mb: u64,
        /// The function's memory, in MB.
        has_mb: u64,
    },
    /// The decoder panicked: a fault of the decoder, set off by this file.
    #[error("the decoder failed on this file: {0}")]
    DecoderPanicked(String),
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
            Self::Empty => "empty",
            Self::NotAnImage => "not_an_image",
            Self::Unsupported { .. } => "unsupported_image",
            Self::Damaged { .. } => "damaged_image",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::TooMuchMemory { .. } => "too_much_memory",
            Self::DecoderPanicked(_) => "decoder_panicked",
            Self::KeyNotUtf8 => "key_not_utf8",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::WouldTriggerItself => "would_trigger_itself",
            Self::Incomplete(_) => "incomplete_record",
        }
    }
}
