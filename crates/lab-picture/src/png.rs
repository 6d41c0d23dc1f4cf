//! A picture as PNG, for where SVG is not welcome.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::drawing::Drawing;
use crate::text::{BOLD, FAMILY, REGULAR, has_every_letter};

/// Why there is no PNG.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// It would be longer than 16,384 pixels, or have more than 64 million of them.
    #[error("a PNG of {width} by {height} pixels is too large")]
    TooLarge {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The renderer refused it.
    #[error("the picture could not be drawn: {0}")]
    Drawing(String),
}

/// The longest side of a PNG, in pixels: what image programs open without trouble.
const MAX_SIDE: u32 = 16_384;
/// How many pixels a PNG has at most. Each takes 4 bytes twice, once drawn and once to be encoded: 512 MB.
const MAX_PIXELS: u32 = 64_000_000;

/// How much larger than in the SVG a drawing is best drawn: twice, for screens of today and for print; less where the PNG
/// would be too large.
#[expect(clippy::cast_possible_truncation, reason = "a factor between 0 and 2")]
pub fn choose_scale(drawing: &Drawing) -> f32 {
    // Sizes are rounded up to whole pixels.
    let side = f64::from(MAX_SIDE - 2) / drawing.width.max(drawing.height).max(1.0);
    let area = (f64::from(MAX_PIXELS) / (drawing.width * drawing.height).max(1.0)).sqrt() * 0.999;
    side.min(area).min(2.0) as f32
}

/// Draws an SVG of ours in its light colours, `scale` times as large. Letters that the font that comes along does not have
/// are taken from this machine's fonts.
///
/// # Errors
/// When it would be too large.
pub fn to_png(svg: &str, scale: f32) -> Result<Vec<u8>, PngError> {
    let mut fonts = fontdb::Database::new();
    if !has_every_letter(svg) {
        fonts.load_system_fonts();
    }
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    let options = Options { font_family: FAMILY.to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| PngError::Drawing(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(scale);
    let size = size.ok_or_else(|| PngError::Drawing("it has no size".to_owned()))?;
    let (width, height) = (size.width(), size.height());
    let too_large = || PngError::TooLarge { width, height };
    if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > u64::from(MAX_PIXELS) {
        return Err(too_large());
    }
    let mut pixels = Pixmap::new(width, height).ok_or_else(too_large)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| PngError::Drawing(error.to_string()))
}
