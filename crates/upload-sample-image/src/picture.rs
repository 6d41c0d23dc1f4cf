//! The sample picture: black text on white. Pure.

use std::io::Cursor;
use std::str::FromStr;

use embedded_graphics::Drawable as _;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::mono_font::iso_8859_15::FONT_10X20;
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, Rgb, RgbImage};
use lab_plan::Problem;

/// Where the text begins: its upper left corner, in pixels from the picture's.
const ORIGIN: Point = Point::new(50, 40);

/// The X Window System's 10x20: it needs no font file, and every pixel of it is either ink or paper.
const FONT: MonoFont<'static> = FONT_10X20;

/// The largest side, in pixels. Its square still fits into any machine's memory.
const MAX_SIDE: u32 = 8192;

/// A picture's size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    width: u32,
    height: u32,
}

impl FromStr for Size {
    type Err = String;

    /// `200x100`: each side 1 to 8192 pixels.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
        text.split_once(['x', 'X'])
            .and_then(|(width, height)| Some(Self { width: side(width)?, height: side(height)? }))
            .ok_or_else(|| format!("write WIDTHxHEIGHT such as 200x100, each from 1 to {MAX_SIDE} pixels"))
    }
}

/// Refuses a text that the font cannot show.
pub(crate) fn check_text(text: &str) -> Result<(), Problem> {
    let unknown = FONT.glyph_mapping.index('?');
    let missing = |c: &char| !matches!(c, '?' | '\n') && FONT.glyph_mapping.index(*c) == unknown;
    match text.chars().find(missing) {
        None => Ok(()),
        Some(c) => Err(Problem::usage(format!("--text: the picture's font has no {c:?}"))
            .fix("write it in Latin letters (ISO 8859-15), or upload a picture of your own with --file")),
    }
}

/// Draws the picture and encodes it as PNG. What reaches beyond the picture is cut off.
pub(crate) fn draw_png(text: &str, size: Size) -> Result<Vec<u8>, Problem> {
    let mut page = Page(RgbImage::from_pixel(size.width, size.height, Rgb([255; 3])));
    let Ok(_) =
        Text::with_baseline(text, ORIGIN, MonoTextStyle::new(&FONT, BinaryColor::On), Baseline::Top).draw(&mut page);
    let mut png = Cursor::new(Vec::new());
    PngEncoder::new(&mut png)
        .write_image(page.0.as_raw(), size.width, size.height, ExtendedColorType::Rgb8)
        .map_err(|error| Problem::failed("cannot encode the picture").because(error.to_string()))?;
    Ok(png.into_inner())
}

/// White paper that takes black ink.
struct Page(RgbImage);

impl OriginDimensions for Page {
    fn size(&self) -> embedded_graphics::geometry::Size {
        embedded_graphics::geometry::Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Page {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = embedded_graphics::Pixel<Self::Color>>,
    {
        for embedded_graphics::Pixel(at, colour) in pixels {
            let pixel = u32::try_from(at.x)
                .ok()
                .zip(u32::try_from(at.y).ok())
                .and_then(|(x, y)| self.0.get_pixel_mut_checked(x, y));
            if let Some(pixel) = pixel.filter(|_| colour.is_on()) {
                *pixel = Rgb([0; 3]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(text: &str, size: &str) -> RgbImage {
        let png = draw_png(text, size.parse().unwrap()).unwrap();
        image::load_from_memory_with_format(&png, image::ImageFormat::Png).unwrap().to_rgb8()
    }

    /// Left, top, right, bottom of the ink, both ends included.
    fn ink(picture: &RgbImage) -> Option<[u32; 4]> {
        let inked = || picture.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == [0; 3]);
        Some([
            inked().map(|(x, ..)| x).min()?,
            inked().map(|(_, y, _)| y).min()?,
            inked().map(|(x, ..)| x).max()?,
            inked().map(|(_, y, _)| y).max()?,
        ])
    }

    #[test]
    fn the_seeds_picture_is_black_on_white_with_its_text_at_50_40() {
        let picture = draw("Hello!", "200x100");
        assert_eq!(picture.dimensions(), (200, 100));
        assert!(picture.pixels().all(|pixel| matches!(pixel.0, [0, 0, 0] | [255, 255, 255])));
        let [left, top, right, bottom] = ink(&picture).unwrap();
        assert!((50..60).contains(&left) && (40..50).contains(&top), "{left},{top}");
        assert!((100..110).contains(&right) && (50..60).contains(&bottom), "{right},{bottom}");
    }

    #[test]
    fn letters_differ() {
        assert_ne!(draw("Hello!", "200x100"), draw("Hallo!", "200x100"));
        assert_eq!(ink(&draw("", "200x100")), None);
    }

    #[test]
    fn what_the_font_lacks_is_named() {
        assert!(check_text("¿Qué tal, señor? 5 €\nÀ bientôt").is_ok());
        let problem = check_text("日本").unwrap_err();
        assert!(problem.what().contains('日'), "{problem}");
    }

    #[test]
    fn sizes_have_bounds() {
        for wrong in ["", "200", "x", "0x5", "5x0", "-1x5", "8193x1", "1x99999999999", "2 x 3"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        assert_eq!("8192X1".parse(), Ok(Size { width: 8192, height: 1 }));
    }

    proptest! {
        #[test]
        fn any_size_and_text_make_a_png(width in 1u32..300, height in 1u32..200, text in "[ -~éñ€\n]{0,40}") {
            let picture = draw(&text, &format!("{width}x{height}"));
            prop_assert_eq!(picture.dimensions(), (width, height));
        }
    }
}
