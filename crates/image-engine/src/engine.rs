//! One image through a recipe, with the times of its stages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::decode::{Need, open};
use crate::limits::{Limits, MIB};
use crate::picture::{Workshop, make_picture};
use crate::plan::plan_targets;
use crate::reason::Reason;
use crate::recipe::{Format, Recipe};

/// Makes pictures. It keeps decoders, encoders and buffers for the next image: one engine is for many images, one after
/// another.
#[derive(Default)]
pub struct Engine {
    workshop: Workshop,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        out.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// What was made of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What the image was.
    pub source: Source,
    /// One picture, or one for each of the recipe's `sizes` in their order.
    pub pictures: Vec<Picture>,
    /// How long the stages took.
    pub times: Times,
}

/// An image as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its format.
    pub format: SourceFormat,
    /// Pixels a row, as stored: before EXIF's orientation is applied.
    pub width: u32,
    /// Rows, as stored.
    pub height: u32,
}

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
}

/// A picture that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its format.
    pub format: Format,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Which of the recipe's `sizes` it is.
    pub size: Option<u32>,
}

/// How long the stages took, all pictures of an image together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From bytes to pixels, colours and orientation included.
    pub decode: Duration,
    /// Sizes, background, grey, watermark.
    pub resize: Duration,
    /// From pixels to bytes.
    pub encode: Duration,
}

impl SourceFormat {
    /// The format's name as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Webp => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }
}

impl Engine {
    /// An engine without buffers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What [`Engine::process`] takes at most for this image beside [`Limits::BASE_MEMORY`], in bytes and rounded up to
    /// whole MiB. What is refused before that is known takes nothing.
    pub fn estimate_memory(&mut self, bytes: &[u8], recipe: &Recipe, limits: &Limits) -> u64 {
        // With less memory than any image needs, the header alone is read.
        let too_little = Limits { memory: Some(Limits::BASE_MEMORY / 2), ..*limits };
        match self.process(bytes, recipe, &too_little) {
            Err(Reason::TooMuchMemory { needs_mb, .. }) => {
                needs_mb.saturating_mul(MIB).saturating_sub(Limits::BASE_MEMORY)
            }
            _ => 0,
        }
    }

    /// Makes the pictures of a recipe.
    ///
    /// Grey, alpha and 16 bits a sample are kept unless the recipe says otherwise; palettes become colours;
    /// floating-point samples become 16 bits; of an animation the first picture is taken. The orientation of EXIF or TIFF
    /// is applied, a colour profile is applied and dropped, and nothing else of the source's metadata goes into the
    /// pictures.
    ///
    /// # Errors
    /// A [`Reason`]: not an image, damaged, unsupported, or past `limits`. All of them are permanent. A decoder that panics
    /// is one of them; the engine can be used again.
    pub fn process(&mut self, bytes: &[u8], recipe: &Recipe, limits: &Limits) -> Result<Made, Reason> {
        catch_unwind(AssertUnwindSafe(|| make(&mut self.workshop, bytes, recipe, limits))).unwrap_or_else(|panic| {
            *self = Self::default();
            Err(Reason::DecoderPanicked(describe_panic(panic.as_ref())))
        })
    }
}

fn make(workshop: &mut Workshop, bytes: &[u8], recipe: &Recipe, limits: &Limits) -> Result<Made, Reason> {
    let mut times = Times::default();
    let start = Instant::now();
    let opened = open(bytes, limits)?;
    let (source, orientation) = (opened.source, opened.orientation);
    let targets = plan_targets((source.width, source.height), orientation, recipe);
    for target in &targets {
        limits.check_pixels(target.width, target.height)?;
    }
    workshop.conversion.set(opened.profile.as_deref());
    let pure = !workshop.conversion.changes();
    let need = Need {
        targets: &targets,
        grayscale: recipe.grayscale && pure,
        planes: recipe.format == Format::Jpeg && recipe.watermark.is_none() && pure,
    };
    let mut pixels = Some(opened.read(&need, limits, &mut workshop.tools)?);
    times.decode = start.elapsed();

    let mut pictures = Vec::with_capacity(targets.len());
    for (index, target) in targets.iter().enumerate() {
        limits.check_time()?;
        let last = index + 1 == targets.len();
        let picture = make_picture(workshop, &mut pixels, last, target, orientation, recipe, &mut times)
            .map_err(|detail| Reason::Unsupported { format: source.format.name(), detail })?;
        pictures.push(picture);
    }
    limits.check_time()?;
    if let Some(pixels) = pixels {
        workshop.tools.keep(pixels);
    }
    Ok(Made { source, pictures, times })
}

fn describe_panic(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked without a message".to_owned())
}
