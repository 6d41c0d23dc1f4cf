//! A line of text over the lower right corner: white with a dark edge, so that it is read on any ground.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{
    MonoFont, MonoTextStyle, iso_8859_1, iso_8859_2, iso_8859_5, iso_8859_7, iso_8859_15,
};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};
use fast_image_resize::Resizer;

use crate::plan::{Area, Target};
use crate::raster::{Raster, Samples};
use crate::scale::scale_raster;

/// A letter's sides in the font.
const LETTER: (u32, u32) = (10, 20);
/// The edge around letters, in the font's pixels.
const EDGE: u32 = 2;
/// A letter's height as a part of the picture's shorter side, where the text is not too long for that.
const HEIGHT: f64 = 1.0 / 20.0;
/// The most of the picture's width that the text takes.
const WIDTH: f64 = 0.9;
/// How much of the ground the text covers.
const STRENGTH: f64 = 0.85;

/// Fonts of the same letters' size, whose alphabets complete each other: western, central European, Cyrillic, Greek, and
/// the Euro sign. What is in none of them becomes a question mark.
const FONTS: [&MonoFont<'static>; 5] = [
    &iso_8859_1::FONT_10X20,
    &iso_8859_2::FONT_10X20,
    &iso_8859_5::FONT_10X20,
    &iso_8859_7::FONT_10X20,
    &iso_8859_15::FONT_10X20,
];

/// Letters as the font has them.
struct Mask {
    width: u32,
    height: u32,
    set: Vec<bool>,
}

impl OriginDimensions for Mask {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for Mask {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
                && x < self.width
                && y < self.height
            {
                self.set[(y * self.width + x) as usize] = colour.is_on();
            }
        }
        Ok(())
    }
}

impl Mask {
    fn of(text: &str) -> Self {
        let letters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let (width, height) = (letters * LETTER.0 + 2 * EDGE, LETTER.1 + 2 * EDGE);
        let mut mask = Self { width, height, set: vec![false; (width * height) as usize] };
        for (letter, index) in text.chars().zip(0_u32..) {
            let mut bytes = [0; 4];
            let font = FONTS.iter().find(|font| has(font, letter)).unwrap_or(&FONTS[0]);
            let at = Point::new((EDGE + index * LETTER.0).cast_signed(), EDGE.cast_signed());
            let style = MonoTextStyle::new(font, BinaryColor::On);
            let Ok(_) = Text::with_baseline(letter.encode_utf8(&mut bytes), at, style, Baseline::Top).draw(&mut mask);
        }
        mask
    }

    /// How bright and how opaque each pixel is: letters bright and opaque, their edge dark and opaque.
    fn to_raster(&self) -> Raster {
        let edge = EDGE.cast_signed();
        let is_set = |x: i32, y: i32| {
            x >= 0
                && y >= 0
                && x < self.width.cast_signed()
                && y < self.height.cast_signed()
                && self.set[y.cast_unsigned() as usize * self.width as usize + x.cast_unsigned() as usize]
        };
        let near = |x: i32, y: i32| {
            (-edge..=edge).any(|down| {
                (-edge..=edge)
                    .any(|right| right * right + down * down <= edge * edge + 1 && is_set(x + right, y + down))
            })
        };
        let mut samples = Vec::with_capacity(self.set.len() * 2);
        for y in 0..self.height.cast_signed() {
            for x in 0..self.width.cast_signed() {
                samples.extend(match (is_set(x, y), near(x, y)) {
                    (true, _) => [255, 255],
                    (false, true) => [0, 255],
                    (false, false) => [0, 0],
                });
            }
        }
        Raster::eight(self.width, self.height, 2, samples)
    }
}

/// Whether a font has a letter of its own for `letter`; for others it shows a question mark.
fn has(font: &MonoFont, letter: char) -> bool {
    letter == '?' || font.glyph_mapping.index(letter) != font.glyph_mapping.index('?')
}

/// Writes `text` over the picture. A picture too small for a readable letter stays as it is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides of a picture")]
pub(crate) fn write_watermark(raster: &mut Raster, text: &str, resizer: &mut Resizer) {
    let mask = Mask::of(text);
    let (width, height) = (f64::from(raster.width), f64::from(raster.height));
    let by_height = width.min(height) * HEIGHT / f64::from(LETTER.1);
    let by_width = width * WIDTH / f64::from(mask.width);
    // Five pixels are the least that is a letter.
    let scale = by_height.max(0.5).min(by_width).min(height / f64::from(mask.height));
    let (mark_width, mark_height) = (f64::from(mask.width) * scale, f64::from(mask.height) * scale);
    if mark_height < 5.0 || mark_width < 1.0 {
        return;
    }
    let part = Area { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
    let target = Target { part, width: mark_width as u32, height: mark_height as u32, size: None };
    let written = scale_raster(resizer, &mask.to_raster(), (f64::from(mask.width), f64::from(mask.height)), &target);
    let margin = (mark_height / 2.0) as u32;
    let left = raster.width.saturating_sub(written.width + margin);
    let top = raster.height.saturating_sub(written.height + margin);
    lay_over(raster, &written, left as usize, top as usize);
}

fn lay_over(raster: &mut Raster, mark: &Raster, left: usize, top: usize) {
    let Samples::Eight(marks) = &mark.samples else { return };
    let (row, channels, alpha) = (raster.row_samples(), usize::from(raster.channels), raster.has_alpha());
    for (line, y) in marks.chunks_exact(mark.row_samples()).zip(top..) {
        for (&[bright, opaque], x) in line.as_chunks::<2>().0.iter().zip(left..) {
            let strength = f64::from(opaque) / 255.0 * STRENGTH;
            let pixel = y * row + x * channels..y * row + (x + 1) * channels;
            match &mut raster.samples {
                Samples::Eight(samples) => mix(&mut samples[pixel], alpha, u32::from(bright), 255, strength),
                Samples::Sixteen(samples) => {
                    mix(&mut samples[pixel], alpha, u32::from(bright) * 257, 65_535, strength);
                }
            }
        }
    }
}

/// Mixes one pixel with the mark's brightness; where there is alpha, the mark makes the pixel opaque.
fn mix<T: Copy + Into<f64> + Narrow>(pixel: &mut [T], alpha: bool, bright: u32, most: u32, strength: f64) {
    let bright = f64::from(bright);
    let most = f64::from(most);
    let mut share = strength;
    let colours = pixel.len() - usize::from(alpha);
    if alpha {
        let before: f64 = pixel[colours].into() / most;
        let after = strength + before * (1.0 - strength);
        share = if after > 0.0 { strength / after } else { 0.0 };
        pixel[colours] = T::narrow(after * most);
    }
    for value in &mut pixel[..colours] {
        let before: f64 = (*value).into();
        *value = T::narrow(before + (bright - before) * share);
    }
}

/// A sample from a number that was computed from samples.
trait Narrow {
    fn narrow(value: f64) -> Self;
}

impl Narrow for u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    fn narrow(value: f64) -> Self {
        value.round() as Self
    }
}

impl Narrow for u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    fn narrow(value: f64) -> Self {
        value.round() as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ground: u8, text: &str) -> Vec<u8> {
        let mut raster = Raster::eight(400, 300, 3, vec![ground; 400 * 300 * 3]);
        write_watermark(&mut raster, text, &mut Resizer::new());
        let Samples::Eight(samples) = raster.samples else { unreachable!() };
        samples
    }

    #[test]
    fn letters_stand_out_on_any_ground() {
        for ground in [0, 90, 128, 180, 255] {
            let samples = written(ground, "Lab 02");
            let (least, most) = (samples.iter().min().unwrap(), samples.iter().max().unwrap());
            assert!(most - least > 150, "{least} to {most} on {ground}");
            // The left upper quarter has none of it.
            assert!(samples[..400 * 3 * 100].iter().all(|&sample| sample == ground));
        }
    }

    #[test]
    fn letters_of_several_alphabets_differ() {
        let question = written(128, "?");
        for letter in ["é", "Ž", "Я", "λ", "€", "©"] {
            assert_ne!(written(128, letter), question, "{letter}");
        }
        assert_eq!(written(128, "図"), question);
    }

    #[test]
    fn no_picture_is_too_small_and_no_text_too_long() {
        for (width, height) in [(1, 1), (3, 200), (200, 3), (20, 20), (10, 10)] {
            for channels in 1..=4 {
                let samples = vec![9; (width * height) as usize * usize::from(channels)];
                let mut raster = Raster::eight(width, height, channels, samples);
                write_watermark(&mut raster, &"W".repeat(200), &mut Resizer::new());
            }
        }
    }
}
