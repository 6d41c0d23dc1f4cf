//! PNG by the `png` crate. Where the picture is smaller, rows are made narrow as they come, so that the image is never
//! held at its full size.

use std::io::Cursor;

use ::png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Reader, Transformations};
use fast_image_resize::Resizer;
use image::metadata::Orientation;

use super::markers::MAX_PROFILE;
use super::{Kind, Need, Opened, Pixels, Tools};
use crate::engine::{Source, SourceFormat};
use crate::limits::Limits;
use crate::plan::{Area, Target};
use crate::raster::{Raster, Samples};
use crate::reason::Reason;
use crate::scale::scale_raster;

const NAME: &str = "PNG";

/// What the decoder may allocate beside the pixels: two rows, and the profile.
const DECODER_BYTES: usize = 16 * 1024 * 1024;

/// Rows that are decoded before they are made narrow.
const STRIP: u32 = 64;

pub(crate) struct Png<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
}

pub(crate) fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Opened<'a>, Reason> {
    let (width, height) = match bytes {
        // The header is the first chunk: length, name, width, height.
        [_, _, _, _, _, _, _, _, _, _, _, _, b'I', b'H', b'D', b'R', sides @ ..] if sides.len() >= 8 => {
            let side = |at: usize| u32::from_be_bytes([sides[at], sides[at + 1], sides[at + 2], sides[at + 3]]);
            (side(0), side(4))
        }
        _ => return Err(Reason::Damaged { format: NAME, detail: "it has no header".to_owned() }),
    };
    limits.check_pixels(width, height)?;
    let mut options = DecodeOptions::default();
    // Texts may be compressed a thousandfold, and nobody reads them.
    options.set_ignore_text_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(::png::Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    let reader = decoder.read_info().map_err(|error| explain(&error))?;
    // What stands behind the pixels is not read, but must be there.
    if !has_end(bytes) {
        return Err(Reason::Damaged { format: NAME, detail: "it ends too early".to_owned() });
    }
    let info = reader.info();
    if let Some(animation) = info.animation_control() {
        limits.check_frames(NAME, animation.num_frames)?;
    }
    let orientation = info.exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    let profile = info.icc_profile.as_deref().filter(|profile| profile.len() <= MAX_PROFILE && info.srgb.is_none());
    let profile = profile.map(<[u8]>::to_vec);
    let row = reader.output_line_size(width).unwrap_or(usize::MAX) as u64;
    limits.check_memory(bytes.len(), row.saturating_mul(u64::from(height)).saturating_mul(2))?;
    Ok(Opened {
        source: Source { format: SourceFormat::Png, width, height },
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        profile,
        kind: Kind::Png(Box::new(Png { reader })),
    })
}

/// Whether the chunks lead to the last one.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let Some([a, b, c, d, name @ ..]) = bytes.get(at..at + 8).and_then(|head| head.first_chunk::<8>()) {
        if name == b"IEND" {
            return bytes.len() >= at + 12;
        }
        at = at.saturating_add(12 + u32::from_be_bytes([*a, *b, *c, *d]) as usize);
    }
    false
}

impl Png<'_> {
    pub(crate) fn read(mut self, need: &Need, limits: &Limits, tools: &mut Tools) -> Result<Pixels, Reason> {
        let (colour, depth) = self.reader.output_color_type();
        let channels = match colour {
            ColorType::Grayscale => 1,
            ColorType::GrayscaleAlpha => 2,
            ColorType::Rgba => 4,
            ColorType::Rgb | ColorType::Indexed => 3,
        };
        let (width, height) = self.reader.info().size();
        let deep = depth == BitDepth::Sixteen;
        let narrow = narrow_width(width, need).filter(|_| !self.reader.info().interlaced);
        let strip = if narrow.is_some() { STRIP } else { height };
        let row = width as usize * usize::from(channels) * if deep { 2 } else { 1 };
        let mut rows = Vec::new();
        let mut whole: Option<Raster> = None;
        for top in (0..height).step_by(strip as usize) {
            let count = strip.min(height - top);
            rows.resize(row * count as usize, 0);
            self.read_rows(&mut rows, row, limits)?;
            let samples = if deep {
                Samples::Sixteen(rows.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect())
            } else {
                Samples::Eight(std::mem::take(&mut rows))
            };
            let raster = Raster { width, height: count, channels, samples };
            let Some(narrow) = narrow else {
                whole = Some(raster);
                break;
            };
            let narrowed = make_narrow(&mut tools.resizer, &raster, narrow);
            match &mut whole {
                None => whole = Some(narrowed),
                Some(whole) => whole.append(narrowed),
            }
            if let Samples::Eight(samples) = raster.samples {
                rows = samples;
            }
        }
        whole.map(Raster::into_pixels).ok_or(Reason::Damaged { format: NAME, detail: "it has no pixels".to_owned() })
    }

    fn read_rows(&mut self, rows: &mut [u8], row: usize, limits: &Limits) -> Result<(), Reason> {
        if self.reader.info().interlaced {
            limits.check_time()?;
            return self.reader.next_frame(rows).map(drop).map_err(|error| explain(&error));
        }
        for (index, row) in rows.chunks_exact_mut(row).enumerate() {
            if index % 64 == 0 {
                limits.check_time()?;
            }
            self.reader.read_row(row).map_err(|error| explain(&error))?;
        }
        Ok(())
    }
}

/// How narrow rows can become before the rest of them is there: as wide as the one picture needs, or twice the widest of
/// several.
fn narrow_width(width: u32, need: &Need) -> Option<u32> {
    let spare = if need.targets.len() > 1 { 2.0 } else { 1.0 };
    let wanted = need.targets.iter().map(|target| target.whole().0 * spare).fold(0.0, f64::max).ceil();
    if wanted * 1.5 >= f64::from(width) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the width")]
    Some(wanted as u32)
}

fn make_narrow(resizer: &mut Resizer, raster: &Raster, width: u32) -> Raster {
    let part = Area { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
    let target = Target { part, width, height: raster.height, size: None };
    scale_raster(resizer, raster, (f64::from(raster.width), f64::from(raster.height)), &target)
}

fn explain(error: &DecodingError) -> Reason {
    let detail = error.to_string();
    match error {
        DecodingError::LimitsExceeded => Reason::Unsupported { format: NAME, detail },
        _ => Reason::Damaged { format: NAME, detail },
    }
}
