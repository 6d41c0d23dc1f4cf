//! GIF, WebP, BMP and TIFF by the `image` crate's decoders.

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};

use super::frames::{count_frames, has_tiled_planes};
use super::markers::MAX_PROFILE;
use super::{Kind, Opened, Pixels};
use crate::engine::{Source, SourceFormat};
use crate::limits::Limits;
use crate::raster::{Raster, Samples};
use crate::reason::Reason;

pub(crate) struct Other<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    format: &'static str,
}

/// Bytes that end when the time does, so that a decoder which reads on and on notices.
struct Timed<'a> {
    bytes: Cursor<&'a [u8]>,
    limits: &'a Limits,
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.limits.check_time().map_err(std::io::Error::other)?;
        self.bytes.read(into)
    }
}

impl BufRead for Timed<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.limits.check_time().map_err(std::io::Error::other)?;
        self.bytes.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for Timed<'_> {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.limits.check_time().map_err(std::io::Error::other)?;
        self.bytes.seek(position)
    }
}

pub(crate) fn open<'a>(bytes: &'a [u8], format: SourceFormat, limits: &'a Limits) -> Result<Opened<'a>, Reason> {
    let name = format.name();
    let explain = |error: ImageError| explain(name, &error, limits);
    limits.check_frames(name, count_frames(bytes, format, limits.max_frames))?;
    if format == SourceFormat::Tiff && has_tiled_planes(bytes) {
        return Err(Reason::Unsupported { format: name, detail: "tiles of separate planes".to_owned() });
    }
    let reader = Timed { bytes: Cursor::new(bytes), limits };
    let mut decoder: Box<dyn ImageDecoder + 'a> = match format {
        SourceFormat::Gif => Box::new(GifDecoder::new(reader).map_err(explain)?),
        SourceFormat::Webp => Box::new(WebPDecoder::new(reader).map_err(explain)?),
        SourceFormat::Bmp => Box::new(BmpDecoder::new(reader).map_err(explain)?),
        _ => Box::new(TiffDecoder::new(reader).map_err(explain)?),
    };
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Reason::Damaged { format: name, detail: "it has no pixels".to_owned() });
    }
    limits.check_pixels(width, height)?;
    limits.check_memory(bytes.len(), decoder.total_bytes().saturating_mul(2))?;
    if format == SourceFormat::Webp && !is_riff_complete(bytes) {
        return Err(Reason::Damaged { format: name, detail: "it ends too early".to_owned() });
    }
    let mut allowed = image::Limits::default();
    allowed.max_alloc = Some(limits.decoder_bytes());
    decoder.set_limits(allowed).map_err(explain)?;
    // Metadata that cannot be read is as good as none: the pixels may still be fine.
    let orientation = match format {
        SourceFormat::Webp => decoder.exif_metadata().ok().flatten().and_then(|exif| read_orientation(&exif)),
        _ => decoder.orientation().ok(),
    };
    let profile = decoder.icc_profile().unwrap_or(None).filter(|profile| profile.len() <= MAX_PROFILE);
    Ok(Opened {
        source: Source { format, width, height },
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        profile,
        kind: Kind::Other(Box::new(Other { decoder, format: name })),
    })
}

impl Other<'_> {
    pub(crate) fn read(self, limits: &Limits) -> Result<Pixels, Reason> {
        let (width, height) = self.decoder.dimensions();
        let colour = self.decoder.color_type();
        let length = usize::try_from(self.decoder.total_bytes()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        self.decoder.read_image_boxed(&mut bytes).map_err(|error| explain(self.format, &error, limits))?;
        let channels = colour.channel_count();
        let samples = match colour {
            ColorType::Rgb32F | ColorType::Rgba32F => Samples::Sixteen(bytes.chunks_exact(4).map(from_float).collect()),
            _ if colour.bytes_per_pixel() > channels => {
                Samples::Sixteen(bytes.chunks_exact(2).map(|two| u16::from_ne_bytes([two[0], two[1]])).collect())
            }
            _ => Samples::Eight(bytes),
        };
        Ok(Raster { width, height, channels, samples }.into_pixels())
    }
}

/// 0.0 to 1.0 becomes 0 to 65,535; what lies outside is cut off.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn from_float(four: &[u8]) -> u16 {
    let value = f32::from_ne_bytes([four[0], four[1], four[2], four[3]]);
    (value.clamp(0.0, 1.0) * 65_535.0).round() as u16
}

/// EXIF's orientation. Some programs put JPEG's prefix before it.
fn read_orientation(exif: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}

/// Whether the file is as long as its RIFF header says (the size stands at byte 4 and does not count those before it).
fn is_riff_complete(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, _, a, b, c, d, rest @ ..]
        if u32::from_le_bytes([*a, *b, *c, *d]) as usize <= rest.len())
}

/// Decoders wrap what a reader says in many ways, so the clock itself is asked whether it was the time.
fn explain(format: &'static str, error: &ImageError, limits: &Limits) -> Reason {
    if let Err(reason) = limits.check_time() {
        return reason;
    }
    let detail = error.to_string();
    match error {
        ImageError::Unsupported(_) => Reason::Unsupported { format, detail },
        _ => Reason::Damaged { format, detail },
    }
}
