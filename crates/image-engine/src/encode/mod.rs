//! From pixels to a file. Nothing but pixels goes into it.

mod deflate;
mod png;

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp, YuvImage};

use crate::colour::to_colour;
use crate::raster::{Planes, Raster, Samples};
use crate::recipe::Format;

/// The longest side of a WebP.
const MAX_WEBP: u32 = 16_383;

/// What encoders keep between pictures.
#[derive(Default)]
pub(crate) struct Encoders {
    jpeg: Option<Compressor>,
    png: png::Buffers,
}

impl Encoders {
    /// The file of a picture. JPEG and WebP take eight bits a sample, JPEG no alpha.
    ///
    /// # Errors
    /// What the encoder said.
    pub(crate) fn encode(&mut self, raster: &Raster, format: Format, quality: u8) -> Result<Vec<u8>, String> {
        match format {
            Format::Png => Ok(png::encode(raster, &mut self.png)),
            Format::Jpeg => self.encode_jpeg(raster, quality),
            Format::Webp => encode_webp(raster, quality),
        }
    }

    fn jpeg(&mut self, quality: u8, share: Subsamp) -> turbojpeg::Result<Compressor> {
        let mut encoder = match self.jpeg.take() {
            Some(encoder) => encoder,
            None => Compressor::new()?,
        };
        encoder.set_quality(i32::from(quality))?;
        encoder.set_subsamp(share)?;
        // Codes made for this picture: a few per cent smaller, for half a millisecond.
        encoder.set_optimize(true)?;
        Ok(encoder)
    }

    fn encode_jpeg(&mut self, raster: &Raster, quality: u8) -> Result<Vec<u8>, String> {
        let Samples::Eight(samples) = &raster.samples else { return Err("JPEG has eight bits a sample".to_owned()) };
        let (format, share) = match raster.channels {
            1 => (PixelFormat::GRAY, Subsamp::Gray),
            3 => (PixelFormat::RGB, Subsamp::Sub2x2),
            _ => return Err("JPEG has no alpha".to_owned()),
        };
        let image = Image {
            pixels: &samples[..],
            width: raster.width as usize,
            pitch: raster.row_samples(),
            height: raster.height as usize,
            format,
        };
        let mut encoder = self.jpeg(quality, share).map_err(|error| error.to_string())?;
        let file = encoder.compress_to_vec(image).map_err(|error| error.to_string())?;
        self.jpeg = Some(encoder);
        Ok(file)
    }

    /// The JPEG of planes whose colour differences have half the sides of its brightness.
    ///
    /// # Errors
    /// What the encoder said.
    pub(crate) fn encode_planes(
        &mut self,
        planes: &Planes,
        (width, height): (u32, u32),
        quality: u8,
    ) -> Result<Vec<u8>, String> {
        let image = YuvImage {
            pixels: &planes.samples[..],
            width: width as usize,
            align: 1,
            height: height as usize,
            subsamp: Subsamp::Sub2x2,
        };
        let mut encoder = self.jpeg(quality, Subsamp::Sub2x2).map_err(|error| error.to_string())?;
        let file = encoder.compress_yuv_to_vec(image).map_err(|error| error.to_string())?;
        self.jpeg = Some(encoder);
        Ok(file)
    }
}

fn encode_webp(raster: &Raster, quality: u8) -> Result<Vec<u8>, String> {
    let coloured;
    let raster = if raster.has_colour() {
        raster
    } else {
        coloured = to_colour(raster.clone());
        &coloured
    };
    let Samples::Eight(samples) = &raster.samples else { return Err("WebP has eight bits a sample".to_owned()) };
    if raster.width.max(raster.height) > MAX_WEBP {
        return Err(format!("no side of a WebP has more than {MAX_WEBP} pixels"));
    }
    let layout = if raster.has_alpha() { webp::PixelLayout::Rgba } else { webp::PixelLayout::Rgb };
    let file = webp::Encoder::new(samples, layout, raster.width, raster.height)
        .encode_simple(false, f32::from(quality))
        .map_err(|error| format!("{error:?}"))?;
    Ok(file.to_vec())
}
