//! Why no picture can be made of a file, now or ever.

/// A permanent failure: the same bytes give the same answer however often they are tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There are no bytes.
    #[error("the object is empty")]
    Empty,
    /// The bytes are none of the formats that are read.
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
    /// The file holds more pictures than allowed.
    #[error("the {format} file holds {frames} pictures, more than the {max} that are allowed")]
    TooManyFrames {
        /// The format's name.
        format: &'static str,
        /// How many there are, as far as they were counted.
        frames: u32,
        /// The limit.
        max: u32,
    },
    /// The memory would not hold the image.
    #[error("the image needs about {needs_mb} MB of memory and the function has {has_mb}: raise the function's memory")]
    TooMuchMemory {
        /// An upper estimate, in MB.
        needs_mb: u64,
        /// The memory, in MB.
        has_mb: u64,
    },
    /// The deadline passed before the pictures were made.
    #[error("the image took longer than it may")]
    TookTooLong,
    /// The decoder panicked: a fault of the decoder, set off by this file.
    #[error("the decoder failed on this file: {0}")]
    DecoderPanicked(String),
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
            Self::TooManyFrames { .. } => "too_many_frames",
            Self::TooMuchMemory { .. } => "too_much_memory",
            Self::TookTooLong => "took_too_long",
            Self::DecoderPanicked(_) => "decoder_panicked",
        }
    }
}
