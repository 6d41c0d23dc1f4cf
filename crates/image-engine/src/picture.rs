//! From the bytes of any supported image to upright pixels in sRGB.

use std::io::{Cursor, Write as _};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader};

use crate::colour::convert_to_srgb;
use crate::engine::{Source, SourceFormat};
use crate::jpeg::scan_jpeg;
use crate::limits::Limits;
use crate::reason::Reason;

const MIB: u64 = 1024 * 1024;

/// What the process needs besides the image: code, TLS, S3 client, buffers (9 MiB seen), and room for the allocator.
const BASE_MEMORY: u64 = 24 * MIB;

/// Below this many bytes a file's frame outweighs its pixels, and there is nothing to gain.
const SMALL: usize = 4096;

/// Compresses quickly, and not at all where that has made the picture larger (as it does noise).
pub(crate) fn compress(image: &DynamicImage) -> Result<Vec<u8>, png::EncodingError> {
    let fast = encode_png(image, png::Compression::Fast)?;
    if fast.len() <= image.as_bytes().len() || fast.len() < SMALL {
        return Ok(fast);
    }
    drop(fast);
    encode_png(image, png::Compression::NoCompression)
}

/// What the first look at the bytes tells.
pub(crate) struct File {
    format: SourceFormat,
    input_bytes: u64,
    /// Decoding keeps all coefficients beside the pixels.
    progressive: bool,
    complete: bool,
}

/// Looks at the bytes.
///
/// # Errors
/// [`Reason::Empty`] and [`Reason::NotAnImage`].
pub(crate) fn examine(bytes: &[u8]) -> Result<File, Reason> {
    if bytes.is_empty() {
        return Err(Reason::Empty);
    }
    let format = match image::guess_format(bytes).map_err(|_| Reason::NotAnImage)? {
        ImageFormat::Jpeg => SourceFormat::Jpeg,
        ImageFormat::Png => SourceFormat::Png,
        ImageFormat::Gif => SourceFormat::Gif,
        ImageFormat::WebP => SourceFormat::Webp,
        ImageFormat::Bmp => SourceFormat::Bmp,
        ImageFormat::Tiff => SourceFormat::Tiff,
        _ => return Err(Reason::NotAnImage),
    };
    let (complete, progressive) = match format {
        SourceFormat::Jpeg => {
            let scan = scan_jpeg(bytes);
            (scan.complete, scan.progressive)
        }
        SourceFormat::Webp => (is_riff_complete(bytes), false),
        // The other decoders notice a missing end themselves.
        _ => (true, false),
    };
    Ok(File { format, input_bytes: bytes.len() as u64, progressive, complete })
}

impl File {
    fn explain(&self, error: &ImageError) -> Reason {
        let format = self.format.name();
        let detail = error.to_string();
        match error {
            ImageError::Unsupported(_) => Reason::Unsupported { format, detail },
            _ => Reason::Damaged { format, detail },
        }
    }
}

/// Whether the file is as long as its RIFF header says (the size stands at byte 4 and does not count those before it).
fn is_riff_complete(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, _, a, b, c, d, rest @ ..]
        if u32::from_le_bytes([*a, *b, *c, *d]) as usize <= rest.len())
}

/// Decodes, converts to sRGB and sets upright.
///
/// # Errors
/// See [`Reason`].
pub(crate) fn decode(bytes: &[u8], file: &File, limits: &Limits) -> Result<(DynamicImage, Source), Reason> {
    let format = match file.format {
        SourceFormat::Jpeg => ImageFormat::Jpeg,
        SourceFormat::Png => ImageFormat::Png,
        SourceFormat::Gif => ImageFormat::Gif,
        SourceFormat::Webp => ImageFormat::WebP,
        SourceFormat::Bmp => ImageFormat::Bmp,
        SourceFormat::Tiff => ImageFormat::Tiff,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = image::Limits::default();
    allowed.max_alloc = Some(allocation_limit(limits));
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(|error| file.explain(&error))?;

    check_claimed_size(decoder.dimensions(), decoder.color_type(), file, limits)?;
    if !file.complete {
        return Err(Reason::Damaged { format: file.format.name(), detail: "it ends too early".to_owned() });
    }

    let (width, height) = decoder.dimensions();
    let source = Source { format: file.format, width, height };
    // Metadata that cannot be read is as good as none: the pixels may still be fine.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().unwrap_or(None);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| file.explain(&error))?;
    if let Some(profile) = profile {
        convert_to_srgb(&mut image, &profile);
    }
    image.apply_orientation(orientation);
    let image = match image {
        DynamicImage::ImageRgb32F(_) => DynamicImage::ImageRgb16(image.into_rgb16()),
        DynamicImage::ImageRgba32F(_) => DynamicImage::ImageRgba16(image.into_rgba16()),
        other => other,
    };
    Ok((image, source))
}

/// What the decoders may allocate between them: eight bytes a pixel, for the pixels and twice that for intermediate ones.
fn allocation_limit(limits: &Limits) -> u64 {
    limits.max_pixels.saturating_mul(3 * 8).min(limits.memory.unwrap_or(u64::MAX))
}

fn check_claimed_size(
    (width, height): (u32, u32),
    colour: ColorType,
    file: &File,
    limits: &Limits,
) -> Result<(), Reason> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels {
        return Err(Reason::TooManyPixels { width, height, max: limits.max_pixels });
    }
    let raw = pixels.saturating_mul(u64::from(colour.bytes_per_pixel()));
    let needs = estimate_peak_memory(raw, file);
    match limits.memory {
        Some(has) if needs > has => Err(Reason::TooMuchMemory { needs_mb: needs.div_ceil(MIB), has_mb: has / MIB }),
        _ => Ok(()),
    }
}

/// The most that is alive at one time: the pixels, and beside them their turned copy or the PNG (which is no larger for
/// anything but noise). Decoding a progressive JPEG holds 16-bit coefficients beside the pixels, a TIFF its own copy.
fn estimate_peak_memory(raw: u64, file: &File) -> u64 {
    let copies = if file.progressive { 3 } else { 2 };
    BASE_MEMORY.saturating_add(raw.saturating_mul(copies)).saturating_add(file.input_bytes.saturating_mul(2))
}

/// Streams the rows into the encoder: neither a second copy of 16-bit samples nor of the compressed data is ever held.
fn encode_png(image: &DynamicImage, compression: png::Compression) -> Result<Vec<u8>, png::EncodingError> {
    let (colour, depth) = match image.color() {
        ColorType::L8 => (png::ColorType::Grayscale, png::BitDepth::Eight),
        ColorType::La8 => (png::ColorType::GrayscaleAlpha, png::BitDepth::Eight),
        ColorType::Rgb8 => (png::ColorType::Rgb, png::BitDepth::Eight),
        ColorType::L16 => (png::ColorType::Grayscale, png::BitDepth::Sixteen),
        ColorType::La16 => (png::ColorType::GrayscaleAlpha, png::BitDepth::Sixteen),
        ColorType::Rgb16 => (png::ColorType::Rgb, png::BitDepth::Sixteen),
        ColorType::Rgba16 => (png::ColorType::Rgba, png::BitDepth::Sixteen),
        // Rgba8, and what `decode` has not let through.
        _ => (png::ColorType::Rgba, png::BitDepth::Eight),
    };
    let mut output = Vec::new();
    let mut encoder = png::Encoder::new(&mut output, image.width(), image.height());
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.set_compression(compression);
    let mut writer = encoder.write_header()?;
    let mut rows = writer.stream_writer_with_size(64 * 1024)?;
    if depth == png::BitDepth::Sixteen {
        write_big_endian(&mut rows, image.as_bytes())?;
    } else {
        rows.write_all(image.as_bytes())?;
    }
    rows.finish()?;
    drop(writer);
    Ok(output)
}

/// PNG's samples are big-endian, a [`DynamicImage`]'s are the machine's.
fn write_big_endian(writer: &mut impl std::io::Write, native: &[u8]) -> std::io::Result<()> {
    let mut block = Vec::with_capacity(64 * 1024);
    for samples in native.chunks(block.capacity()) {
        block.clear();
        block.extend(
            samples.chunks_exact(2).flat_map(|sample| u16::from_ne_bytes([sample[0], sample[1]]).to_be_bytes()),
        );
        writer.write_all(&block)?;
    }
    Ok(())
}
