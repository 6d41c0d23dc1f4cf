//! How much a file may ask for.

use std::time::Instant;

use crate::reason::Reason;

pub(crate) const MIB: u64 = 1024 * 1024;

/// The largest image that is accepted, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width × height, in pixels.
    pub max_pixels: u64,
    /// How many pictures a file may hold; only the first is decoded.
    pub max_frames: u32,
    /// The whole process's memory in bytes, where it is known.
    pub memory: Option<u64>,
    /// When the work must have ended. It is looked at between rows and between the steps of the work.
    pub deadline: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 50_000_000, max_frames: 10_000, memory: None, deadline: None }
    }
}

impl Limits {
    /// What the process needs besides the image, in bytes: code, TLS, S3 client, buffers (9 MiB seen), and room for the
    /// allocator.
    pub const BASE_MEMORY: u64 = 24 * MIB;

    /// # Errors
    /// [`Reason::TookTooLong`] where the deadline has passed.
    pub(crate) fn check_time(&self) -> Result<(), Reason> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Reason::TookTooLong),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// [`Reason::TooManyPixels`].
    pub(crate) fn check_pixels(&self, width: u32, height: u32) -> Result<(), Reason> {
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(Reason::TooManyPixels { width, height, max: self.max_pixels });
        }
        Ok(())
    }

    /// # Errors
    /// [`Reason::TooManyFrames`].
    pub(crate) fn check_frames(&self, format: &'static str, frames: u32) -> Result<(), Reason> {
        if frames > self.max_frames {
            return Err(Reason::TooManyFrames { format, frames, max: self.max_frames });
        }
        Ok(())
    }

    /// Whether a file of `input` bytes and `decoded` bytes beside it, which are the most that is alive at one time, fit.
    ///
    /// # Errors
    /// [`Reason::TooMuchMemory`].
    pub(crate) fn check_memory(&self, input: usize, decoded: u64) -> Result<(), Reason> {
        let needs = Self::BASE_MEMORY.saturating_add(decoded).saturating_add((input as u64).saturating_mul(2));
        match self.memory {
            Some(has) if needs > has => Err(Reason::TooMuchMemory { needs_mb: needs.div_ceil(MIB), has_mb: has / MIB }),
            _ => Ok(()),
        }
    }

    /// What a decoder may allocate: eight bytes a pixel, for the pixels and twice that for intermediate ones.
    pub(crate) fn decoder_bytes(&self) -> u64 {
        self.max_pixels.saturating_mul(3 * 8).min(self.memory.unwrap_or(u64::MAX))
    }
}
