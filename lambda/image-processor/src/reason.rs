//! Why a record cannot be processed, now or ever.
//!
//! A [`Reason`] is permanent: the same object gives the same answer however often it is tried, so the invocation reports
//! it and succeeds. What may pass (S3 throttles, a permission is missing, time ran out) is [`crate::outcome::Trouble`].

use image_engine::RecipeError;
use image_event::{KeyTooLong, Refusal};

/// A permanent failure of one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// No picture can be made of the object's bytes.
    #[error(transparent)]
    Picture(#[from] image_engine::Reason),
    /// The object is larger than allowed.
    #[error("the object has {bytes} bytes or more, {limit} allows {max}")]
    TooManyBytes {
        /// The object's size as far as it is known, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        max: u64,
        /// Whose limit it is.
        limit: &'static str,
    },
    /// The event names nothing that could be read.
    #[error(transparent)]
    Event(#[from] Refusal),
    /// The result's key would be longer than S3 allows.
    #[error(transparent)]
    KeyTooLong(#[from] KeyTooLong),
    /// The result would be written to the bucket that the trigger listens to, and trigger the function again.
    #[error(
        "OUTPUT_BUCKET is the bucket the event came from: writing there would trigger the function again and again"
    )]
    WouldTriggerItself,
    /// A word of the recipe makes no sense.
    #[error("in {place}, {error}")]
    BadWord {
        /// Where the recipe's words come from.
        place: &'static str,
        /// The word, its value and what is allowed.
        error: RecipeError,
    },
    /// The object's metadata or tags name a word that no recipe has.
    #[error("{place} has {name}, which is no word of a recipe: those are {}", crate::wish::known_words())]
    UnknownWord {
        /// Where it stands.
        place: &'static str,
        /// The name as it stands there.
        name: String,
    },
}

impl Reason {
    /// A stable word for logs, metrics and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Picture(reason) => reason.code(),
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::Event(refusal) => refusal.code(),
            Self::KeyTooLong(_) => "key_too_long",
            Self::WouldTriggerItself => "would_trigger_itself",
            Self::BadWord { .. } | Self::UnknownWord { .. } => "bad_recipe",
        }
    }
}
