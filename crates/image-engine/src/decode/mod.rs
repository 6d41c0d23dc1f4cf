//! From a file's bytes to pixels: first its header, then, once it is known what is wanted, the pixels.

mod frames;
mod jpeg;
mod markers;
mod others;
mod png;

use fast_image_resize::Resizer;
use image::metadata::Orientation;
use turbojpeg::Decompressor;

use crate::engine::{Source, SourceFormat};
use crate::limits::Limits;
use crate::plan::Target;
use crate::raster::{Planes, Raster};
use crate::reason::Reason;

/// A file whose header was read and found to be within the limits.
pub(crate) struct Opened<'a> {
    pub(crate) source: Source,
    pub(crate) orientation: Orientation,
    /// The ICC profile as it stands in the file.
    pub(crate) profile: Option<Vec<u8>>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Jpeg(jpeg::Jpeg<'a>),
    Png(Box<png::Png<'a>>),
    Other(Box<others::Other<'a>>),
}

/// What the pictures need of the pixels, so that no more is decoded.
pub(crate) struct Need<'a> {
    /// In the stored orientation. Not empty.
    pub(crate) targets: &'a [Target],
    /// Colours are dropped anyway.
    pub(crate) grayscale: bool,
    /// Planes can go into the pictures as they are.
    pub(crate) planes: bool,
}

/// Decoded pixels. `extent` is how many of them the image covers; a decoder that scales leaves a part of the last column
/// and row over.
pub(crate) enum Pixels {
    Raster { raster: Raster, extent: (f64, f64) },
    Planes { planes: Planes, extents: [(f64, f64); 3] },
}

/// What decoders keep between images.
pub(crate) struct Tools {
    pub(crate) jpeg: Option<Decompressor>,
    pub(crate) resizer: Resizer,
    /// Memory for pixels, to be used again.
    pub(crate) spare: Vec<u8>,
}

impl Default for Tools {
    fn default() -> Self {
        Self { jpeg: None, resizer: Resizer::new(), spare: Vec::new() }
    }
}

/// Memory that is not kept for the next image, in bytes: a 20-megapixel image's pixels are.
const MOST_KEPT: usize = 64 * 1024 * 1024;

impl Tools {
    /// Takes back what is not needed any more.
    pub(crate) fn keep(&mut self, pixels: Pixels) {
        let memory = match pixels {
            Pixels::Planes { planes, .. } => planes.samples,
            Pixels::Raster { raster, .. } => raster.into_memory(),
        };
        if memory.capacity() > self.spare.capacity() && memory.capacity() <= MOST_KEPT {
            self.spare = memory;
        }
    }
}

/// Reads a file's header.
///
/// # Errors
/// [`Reason`]: no image, damaged, or past the limits.
pub(crate) fn open<'a>(bytes: &'a [u8], limits: &'a Limits) -> Result<Opened<'a>, Reason> {
    if bytes.is_empty() {
        return Err(Reason::Empty);
    }
    match recognise(bytes).ok_or(Reason::NotAnImage)? {
        SourceFormat::Jpeg => jpeg::open(bytes, limits),
        SourceFormat::Png => png::open(bytes, limits),
        format => others::open(bytes, format, limits),
    }
}

impl Opened<'_> {
    /// Decodes.
    ///
    /// # Errors
    /// [`Reason`]: damaged, unsupported, out of time.
    pub(crate) fn read(self, need: &Need, limits: &Limits, tools: &mut Tools) -> Result<Pixels, Reason> {
        match self.kind {
            Kind::Jpeg(jpeg) => jpeg.read(need, limits, tools),
            Kind::Png(png) => png.read(need, limits, tools),
            Kind::Other(other) => other.read(limits),
        }
    }
}

/// The format by its first bytes.
fn recognise(bytes: &[u8]) -> Option<SourceFormat> {
    Some(match bytes {
        [0xFF, 0xD8, 0xFF, ..] => SourceFormat::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => SourceFormat::Png,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => SourceFormat::Gif,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => SourceFormat::Webp,
        [b'B', b'M', ..] => SourceFormat::Bmp,
        // 42 is TIFF, 43 its form with 64-bit offsets.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => SourceFormat::Tiff,
        _ => return None,
    })
}

impl Raster {
    /// These pixels are the image, no more and no less.
    pub(crate) fn into_pixels(self) -> Pixels {
        let extent = (f64::from(self.width), f64::from(self.height));
        Pixels::Raster { raster: self, extent }
    }
}
