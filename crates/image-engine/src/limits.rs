//! How much a file may ask for.

use std::time::Instant;

use crate::reason::Reason;

/// The largest image that is accepted, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width × height, in pixels.
    pub max_pixels: u64,
    /// How many pictures a file may hold; only the first is decoded.
    pub max_frames: u32,
    /// The whole process's memory in bytes, where it is known.
    pub memory: Option<u64>,
    /// When the work must have ended. It is looked at between the steps of the work.
    pub deadline: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 50_000_000, max_frames: 10_000, memory: None, deadline: None }
    }
}

impl Limits {
    /// # Errors
    /// [`Reason::TookTooLong`] where the deadline has passed.
    pub(crate) fn check_time(&self) -> Result<(), Reason> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Reason::TookTooLong),
            _ => Ok(()),
        }
    }
}
