//! One image through a recipe, with the times of its stages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::limits::Limits;
use crate::picture::{decode, examine};
use crate::reason::Reason;
use crate::recipe::{Format, Recipe};
use crate::render::{encode, fit_size, prepare, resize, targets};

/// Makes pictures. Keep one for many images.
#[derive(Debug, Default)]
pub struct Engine {}

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
        catch_unwind(AssertUnwindSafe(|| make(bytes, recipe, limits))).unwrap_or_else(|panic| {
            *self = Self::default();
            Err(Reason::DecoderPanicked(describe_panic(panic.as_ref())))
        })
    }
}

fn make(bytes: &[u8], recipe: &Recipe, limits: &Limits) -> Result<Made, Reason> {
    let mut times = Times::default();
    let start = Instant::now();
    let file = examine(bytes)?;
    let (image, source) = decode(bytes, &file, limits)?;
    times.decode = start.elapsed();
    limits.check_time()?;

    if recipe.watermark.is_some() {
        return Err(Reason::Unsupported {
            format: source.format.name(),
            detail: "watermarks are not drawn yet".into(),
        });
    }
    let mut pictures = Vec::new();
    for target in targets(recipe) {
        let start = Instant::now();
        let (scale, crop) = fit_size((image.width(), image.height()), target.as_ref());
        let picture = prepare(resize(&image, scale, crop), recipe);
        times.resize += start.elapsed();
        limits.check_time()?;
        let start = Instant::now();
        let bytes =
            encode(&picture, recipe).map_err(|detail| Reason::Unsupported { format: source.format.name(), detail })?;
        times.encode += start.elapsed();
        limits.check_time()?;
        let size = target.and_then(|target| target.size);
        pictures.push(Picture { bytes, format: recipe.format, width: picture.width(), height: picture.height(), size });
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
