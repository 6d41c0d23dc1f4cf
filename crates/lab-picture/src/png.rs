//! A picture as PNG, for where SVG is not welcome.

use std::collections::BTreeSet;
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

/// A picture, and the scripts whose letters stand in it as boxes: no font has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Png {
    /// The file.
    pub bytes: Vec<u8>,
    /// What is missing, in words, each with the package that has it: `Chinese (fonts-noto-cjk)`.
    pub missing: Vec<&'static str>,
}

/// What stands for a letter that no font has.
const BOX: char = '\u{fffd}';

/// Draws an SVG of ours in its light colours, `scale` times as large. Letters that the font that comes along does not have
/// are taken from this machine's fonts; those that none has are boxes.
///
/// # Errors
/// When it would be too large.
pub fn to_png(svg: &str, scale: f32) -> Result<Png, PngError> {
    let mut fonts = fontdb::Database::new();
    if !has_every_letter(svg) {
        fonts.load_system_fonts();
    }
    draw(svg, scale, fonts)
}

/// The same with `fonts` beside those that come along.
fn draw(svg: &str, scale: f32, mut fonts: fontdb::Database) -> Result<Png, PngError> {
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    let lost = find_lost_letters(svg, &fonts);
    let boxed: String;
    let svg = if lost.is_empty() {
        svg
    } else {
        boxed = svg.chars().map(|c| if lost.contains(&c) { BOX } else { c }).collect();
        &boxed
    };
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
    let bytes = pixels.encode_png().map_err(|error| PngError::Drawing(error.to_string()))?;
    let missing: BTreeSet<_> = lost.into_iter().map(name_script).collect();
    Ok(Png { bytes, missing: missing.into_iter().collect() })
}

/// The letters of `text` that none of these fonts has.
fn find_lost_letters(text: &str, fonts: &fontdb::Database) -> BTreeSet<char> {
    let mut lost: BTreeSet<char> = text.chars().filter(|c| !c.is_ascii() && !is_unseen(*c)).collect();
    lost.retain(|c| !has_every_letter(c.encode_utf8(&mut [0; 4])));
    for face in fonts.faces() {
        if lost.is_empty() {
            break;
        }
        fonts.with_face_data(face.id, |data, index| {
            let Ok(font) = ttf_parser::Face::parse(data, index) else { return };
            lost.retain(|c| font.glyph_index(*c).is_none());
        });
    }
    lost
}

/// What joins or changes other letters, and has no look of its own.
fn is_unseen(c: char) -> bool {
    unicode_width::UnicodeWidthChar::width(c) == Some(0) || c.is_whitespace()
}

/// A letter's script, and the package of Debian and Ubuntu that has its letters (blocks of the Unicode standard).
fn name_script(c: char) -> &'static str {
    match u32::from(c) {
        0x2e80..=0x2fff | 0x3000..=0x303f | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x323af => {
            "Chinese (fonts-noto-cjk)"
        }
        0x3040..=0x30ff | 0x31f0..=0x31ff | 0xff00..=0xffef => "Japanese (fonts-noto-cjk)",
        0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => "Korean (fonts-noto-cjk)",
        0x0600..=0x08ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => "Arabic (fonts-noto-core)",
        0x0900..=0x0dff => "Indian (fonts-noto-core)",
        0x0e00..=0x0eff => "Thai or Lao (fonts-noto-core)",
        0x2600..=0x27bf | 0x1f000..=0x1faff => "emoji (fonts-noto-color-emoji)",
        _ => "other (fonts-noto-core)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_no_font_has_are_boxes_and_are_told() {
        let svg = |text: &str| {
            format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='60' height='20'><text x='2' y='15'>{text}</text></svg>"
            )
        };
        let draw = |text: &str| draw(&svg(text), 1.0, fontdb::Database::new()).unwrap();
        let (blank, chinese) = (draw(" "), draw("研究"));
        assert_eq!(chinese.missing, ["Chinese (fonts-noto-cjk)"]);
        assert_ne!(blank.bytes, chinese.bytes, "something is seen");
        assert_eq!(draw("šžé · 研شש").missing, ["Arabic (fonts-noto-core)", "Chinese (fonts-noto-cjk)"]);
        assert!(draw("šžé · … ≠ −").missing.is_empty());
    }
}
