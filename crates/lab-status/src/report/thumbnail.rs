//! A picture, small enough for a page.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

/// The longest side in a report, in pixels.
const SIDE: u32 = 240;

/// A small picture.
pub(super) struct Small {
    /// Of the large one, in pixels.
    pub(super) width: u32,
    /// Of the large one, in pixels.
    pub(super) height: u32,
    pub(super) png: Vec<u8>,
}

/// Makes a picture small; `None` for what is none, or a dangerous one.
pub(super) fn make_small(bytes: &[u8]) -> Option<Small> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(20_000);
    limits.max_image_height = Some(20_000);
    limits.max_alloc = Some(256 << 20);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let (width, height) = (picture.width(), picture.height());
    let small = if width.max(height) > SIDE { picture.thumbnail(SIDE, SIDE) } else { picture };
    let mut png = Cursor::new(Vec::new());
    small.into_rgba8().write_to(&mut png, ImageFormat::Png).ok()?;
    Some(Small { width, height, png: png.into_inner() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_picture_becomes_small_and_nonsense_nothing() {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(900, 300).write_to(&mut bytes, ImageFormat::Png).unwrap();
        let small = make_small(bytes.get_ref()).unwrap();
        assert_eq!((small.width, small.height), (900, 300));
        let again = image::load_from_memory(&small.png).unwrap();
        assert_eq!((again.width(), again.height()), (240, 80));
        assert!(make_small(b"hello").is_none());
    }
}
