//! A picture, small enough for a page.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};

/// The longest side in a report, in pixels.
const SIDE: u32 = 240;

/// Of JPEG, from 1 to 100.
const QUALITY: u8 = 85;

/// A small picture.
pub(super) struct Small {
    /// Of the large one as it is looked at (EXIF's orientation), in pixels.
    pub(super) width: u32,
    /// The same.
    pub(super) height: u32,
    /// PNG, or JPEG where that is smaller.
    pub(super) file: Vec<u8>,
}

/// Makes a picture small; `None` for what is none, or a dangerous one.
pub(super) fn make_small(bytes: &[u8]) -> Option<Small> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(20_000);
    limits.max_image_height = Some(20_000);
    limits.max_alloc = Some(256 << 20);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    // Few formats have one, and one that cannot be read turns nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width(), picture.height());
    let small = if width.max(height) > SIDE { picture.thumbnail(SIDE, SIDE) } else { picture };
    Some(Small { width, height, file: encode(&small)? })
}

/// Photographs are far smaller as JPEG, drawings and screenshots as PNG; what is transparent has to stay it.
fn encode(small: &DynamicImage) -> Option<Vec<u8>> {
    let rgba = small.to_rgba8();
    let mut png = Cursor::new(Vec::new());
    rgba.write_to(&mut png, ImageFormat::Png).ok()?;
    let png = png.into_inner();
    if rgba.pixels().any(|pixel| pixel[3] < u8::MAX) {
        return Some(png);
    }
    let mut jpeg = Vec::new();
    small.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY)).ok()?;
    Some(if jpeg.len() < png.len() { jpeg } else { png })
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
        let again = image::load_from_memory(&small.file).unwrap();
        assert_eq!((again.width(), again.height()), (240, 80));
        assert!(make_small(b"hello").is_none());
    }

    #[test]
    fn noise_is_kept_small_and_what_is_transparent_stays_it() {
        let noise = |alpha: u8| {
            let mut random = fastrand::Rng::with_seed(1);
            let picture = image::RgbaImage::from_fn(240, 240, |_, _| {
                image::Rgba([random.u8(..), random.u8(..), random.u8(..), alpha])
            });
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
            make_small(bytes.get_ref()).unwrap().file
        };
        assert!(noise(255).len() < 120_000, "two of them, twice each and in Base64, leave a page below 1 MB");
        assert_eq!(image::load_from_memory(&noise(9)).unwrap().to_rgba8().get_pixel(0, 0)[3], 9);
    }

    #[test]
    fn a_photograph_stands_as_it_was_taken() {
        use image::ImageEncoder as _;

        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new(&mut jpeg);
        // TIFF, little-endian, one entry: orientation (0x0112), SHORT, 1, "turn right" (6); no further directory.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        image::RgbImage::new(60, 40).write_with_encoder(encoder).unwrap();
        let small = make_small(&jpeg).unwrap();
        assert_eq!((small.width, small.height), (40, 60));
    }
}
