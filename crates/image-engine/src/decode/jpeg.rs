//! JPEG by libjpeg-turbo, at the smallest of its scales that leaves enough to resample from.

use std::borrow::Cow;

use image::metadata::Orientation;
use turbojpeg::{
    Colorspace, DecompressHeader, Decompressor, Error, Image, PixelFormat, ScalingFactor, Subsamp, YuvImage,
    yuv_pixels_len,
};

use super::markers::{Frame, Markers, read_markers, strip_segments};
use super::{Kind, Need, Opened, Pixels, Tools};
use crate::colour::cmyk_to_rgb;
use crate::engine::{Source, SourceFormat};
use crate::limits::Limits;
use crate::raster::{Planes, Raster};
use crate::reason::Reason;

const NAME: &str = "JPEG";

/// Passes that a file may make over its pixels. Encoders write about ten; a few bytes for each further one cost the
/// decoder a walk over the whole image.
const MAX_SCANS: u32 = 64;
/// Pixels times passes.
const MAX_SCANNED: u64 = 1_500_000_000;

/// The scales, in eighths, that libjpeg-turbo decodes quickly; from 5 on, decoding takes as long as without one.
const SCALES: [u8; 4] = [1, 2, 3, 4];
/// How many times larger than the picture a scaled image must be. Below this the picture visibly loses sharpness.
const LEAST_REST: f64 = 1.25;

pub(crate) struct Jpeg<'a> {
    bytes: Cow<'a, [u8]>,
    frame: Frame,
    inverted: bool,
    profile: Option<Vec<u8>>,
}

/// Reads the markers.
pub(crate) fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Opened<'a>, Reason> {
    let Markers { complete, frame, scans, orientation, profile, adobe } = read_markers(bytes);
    let damaged = |detail: &str| Reason::Damaged { format: NAME, detail: detail.to_owned() };
    let Some(frame) = frame else { return Err(damaged("it has no frame header")) };
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    if width == 0 || height == 0 {
        return Err(damaged("it has no pixels"));
    }
    limits.check_pixels(width, height)?;
    let unsupported = |detail: String| Reason::Unsupported { format: NAME, detail };
    match (frame.marker, frame.depth) {
        (0xC0..=0xC2, 8) => {}
        (0xC0..=0xC2, depth) => return Err(unsupported(format!("{depth} bits a sample"))),
        (0xC9..=0xCF, _) => return Err(unsupported("arithmetic coding".to_owned())),
        _ => return Err(unsupported("lossless or hierarchical coding".to_owned())),
    }
    let pixels = u64::from(width) * u64::from(height);
    if scans > MAX_SCANS || pixels.saturating_mul(u64::from(scans)) > MAX_SCANNED.max(pixels * 4) {
        return Err(unsupported(format!("{scans} passes over {pixels} pixels")));
    }
    if !complete {
        return Err(damaged("it ends too early"));
    }
    // All coefficients of a file of several passes are held, at two bytes each.
    let coefficients = if scans > 1 { pixels * u64::from(frame.samples) / 16 * 2 } else { 0 };
    let decoded = pixels * u64::from(frame.components);
    limits.check_memory(bytes.len(), coefficients.saturating_add(decoded.saturating_mul(2)))?;
    Ok(Opened {
        source: Source { format: SourceFormat::Jpeg, width, height },
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        profile: profile.clone(),
        kind: Kind::Jpeg(Jpeg { bytes: Cow::Borrowed(bytes), frame, inverted: adobe, profile }),
    })
}

impl Jpeg<'_> {
    pub(crate) fn read(mut self, need: &Need, limits: &Limits, tools: &mut Tools) -> Result<Pixels, Reason> {
        limits.check_time()?;
        let mut decoder = match tools.jpeg.take() {
            Some(decoder) => decoder,
            None => Decompressor::new().map_err(explain)?,
        };
        decoder.set_scan_limit(MAX_SCANS).map_err(explain)?;
        let header = match decoder.read_header(&self.bytes) {
            Ok(header) => header,
            // Cameras and programs leave bytes between segments, or half of a profile: what the pixels need may be whole.
            Err(error) => {
                self.bytes = strip_segments(&self.bytes).ok_or_else(|| explain(error))?.into();
                decoder.read_header(&self.bytes).map_err(explain)?
            }
        };
        if (header.width, header.height) != (usize::from(self.frame.width), usize::from(self.frame.height)) {
            return Err(Reason::Damaged { format: NAME, detail: "it has two sizes".to_owned() });
        }
        let scale = self.choose_scale(need);
        decoder.set_scaling_factor(scale).map_err(explain)?;
        let pixels = self.decode(&mut decoder, &header, scale, need, tools)?;
        tools.jpeg = Some(decoder);
        Ok(pixels)
    }

    fn choose_scale(&self, need: &Need) -> ScalingFactor {
        let (width, height) = (f64::from(self.frame.width), f64::from(self.frame.height));
        let needs = |share: f64| {
            need.targets.iter().all(|target| {
                let whole = target.whole();
                share * width >= whole.0 * LEAST_REST && share * height >= whole.1 * LEAST_REST
            })
        };
        SCALES
            .iter()
            .find(|&&eighths| needs(f64::from(eighths) / 8.0))
            .map_or(ScalingFactor::ONE, |&eighths| ScalingFactor::new(usize::from(eighths), 8))
    }

    fn decode(
        &self,
        decoder: &mut Decompressor,
        header: &DecompressHeader,
        scale: ScalingFactor,
        need: &Need,
        tools: &mut Tools,
    ) -> Result<Pixels, Reason> {
        let grey = header.colorspace == Colorspace::Gray || (need.grayscale && header.colorspace == Colorspace::YCbCr);
        let resized = need
            .targets
            .iter()
            .any(|target| target.whole() != (f64::from(self.frame.width), f64::from(self.frame.height)));
        let known = !matches!(header.subsamp, Subsamp::Unknown | Subsamp::Gray);
        if header.colorspace == Colorspace::YCbCr && !grey && known && (resized || need.planes) {
            return self.decode_planes(decoder, header, scale, tools);
        }
        let (format, channels) = match header.colorspace {
            _ if grey => (PixelFormat::GRAY, 1),
            Colorspace::CMYK | Colorspace::YCCK => (PixelFormat::CMYK, 4),
            _ => (PixelFormat::RGB, 3),
        };
        let scaled = header.scaled(scale);
        let mut pixels = std::mem::take(&mut tools.spare);
        pixels.resize(scaled.width * scaled.height * usize::from(channels), 0);
        let pitch = scaled.width * usize::from(channels);
        let image = Image { pixels: &mut pixels[..], width: scaled.width, pitch, height: scaled.height, format };
        accept(decoder.decompress(&self.bytes, image))?;
        let (width, height) = (side(scaled.width), side(scaled.height));
        let mut raster = Raster::eight(width, height, channels, pixels);
        if format == PixelFormat::CMYK {
            raster = cmyk_to_rgb(raster, self.inverted, self.profile.as_deref());
        }
        Ok(Pixels::Raster { raster, extent: self.extent(scale) })
    }

    fn decode_planes(
        &self,
        decoder: &mut Decompressor,
        header: &DecompressHeader,
        scale: ScalingFactor,
        tools: &mut Tools,
    ) -> Result<Pixels, Reason> {
        let scaled = header.scaled(scale);
        let length = yuv_pixels_len(scaled.width, 1, scaled.height, header.subsamp).map_err(explain)?;
        let mut samples = std::mem::take(&mut tools.spare);
        samples.resize(length, 0);
        let image = YuvImage {
            pixels: &mut samples[..],
            width: scaled.width,
            align: 1,
            height: scaled.height,
            subsamp: header.subsamp,
        };
        let (brightness, colour) = (image.as_deref().y_size(), image.as_deref().uv_size());
        accept(decoder.decompress_to_yuv(&self.bytes, image))?;
        let sides = [brightness, colour, colour].map(|(width, height)| (side(width), side(height)));
        let (width, height) = self.extent(scale);
        let colours = (shared(width, header.subsamp.width()), shared(height, header.subsamp.height()));
        let planes = Planes::new(samples, sides);
        Ok(Pixels::Planes { planes, extents: [(width, height), colours, colours] })
    }

    /// How many of the scaled pixels the image covers: the last ones stand for less than they could.
    fn extent(&self, scale: ScalingFactor) -> (f64, f64) {
        let share = f64::from(side(scale.num())) / f64::from(side(scale.denom()));
        (f64::from(self.frame.width) * share, f64::from(self.frame.height) * share)
    }
}

fn shared(length: f64, by: usize) -> f64 {
    length / f64::from(side(by))
}

/// A side of a JPEG has 16 bits.
fn side(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn explain(error: Error) -> Reason {
    let detail = match error {
        Error::TurboJpegError(message) => message,
        other => other.to_string(),
    };
    Reason::Damaged { format: NAME, detail }
}

/// Bytes that stand between the image data and the next marker are a fault of many cameras, and no pixel is missing.
fn accept(result: turbojpeg::Result<()>) -> Result<(), Reason> {
    match result {
        Err(Error::TurboJpegError(message)) if message.contains("extraneous bytes before marker") => Ok(()),
        other => other.map_err(explain),
    }
}
