//! Colours: profiles to sRGB, JPEG's and printers' colours to RGB, grey, backgrounds.
//!
//! A picture without a profile means sRGB, so pixels of another space (a phone's Display P3, a camera's Adobe RGB, a
//! printer's CMYK) are converted rather than left to be shown wrong.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

use crate::raster::{Planes, Raster, Samples};

/// A conversion to sRGB, for the profile it was made from.
#[derive(Default)]
pub(crate) struct Conversion {
    profile: Vec<u8>,
    to_srgb: Option<ColorProfile>,
}

impl Conversion {
    /// Takes over another profile; nothing is computed where it is the last one's again. A profile that cannot be read
    /// changes no pixel, and neither does one that is sRGB in all but name.
    pub(crate) fn set(&mut self, profile: Option<&[u8]>) {
        let profile = profile.unwrap_or_default();
        if self.profile == profile {
            return;
        }
        self.to_srgb = ColorProfile::new_from_slice(profile).ok().filter(|profile| match profile.color_space {
            DataColorSpace::Rgb => !is_srgb(profile),
            DataColorSpace::Gray => true,
            _ => false,
        });
        self.profile = profile.to_vec();
    }

    /// Whether pixels change.
    pub(crate) fn changes(&self) -> bool {
        self.to_srgb.is_some()
    }

    /// Converts the pixels in place where the profile is of their kind.
    pub(crate) fn apply(&self, raster: &mut Raster) {
        let Some(profile) = &self.to_srgb else { return };
        match (profile.color_space, raster.has_colour()) {
            (DataColorSpace::Rgb, true) => convert_rgb(raster, profile),
            (DataColorSpace::Gray, false) => convert_grey(raster, profile),
            _ => {}
        }
    }
}

fn convert_rgb(raster: &mut Raster, profile: &ColorProfile) {
    let layout = if raster.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let (srgb, options, row) = (ColorProfile::new_srgb(), TransformOptions::default(), raster.row_samples());
    match &mut raster.samples {
        Samples::Eight(samples) => {
            convert_rows(samples, row, profile.create_transform_8bit(layout, &srgb, layout, options).ok());
        }
        Samples::Sixteen(samples) => {
            convert_rows(samples, row, profile.create_transform_16bit(layout, &srgb, layout, options).ok());
        }
    }
}

/// One row at a time, since a transform does not work in place and a second image would double the memory.
fn convert_rows<T: Copy + Default>(
    samples: &mut [T],
    row: usize,
    transform: Option<Arc<dyn TransformExecutor<T> + Send + Sync>>,
) {
    let Some(transform) = transform else { return };
    let mut before = vec![T::default(); row];
    for after in samples.chunks_exact_mut(row) {
        before.copy_from_slice(after);
        if transform.transform(&before, after).is_err() {
            return;
        }
    }
}

/// Grey stays one channel: what a grey profile means by each of the 65,536 or 256 values is asked once.
fn convert_grey(raster: &mut Raster, profile: &ColorProfile) {
    let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
    let Ok(transform) = profile.create_transform_16bit(Layout::Gray, &srgb, Layout::Rgb, options) else { return };
    let values: Vec<u16> = (0..=u16::MAX).collect();
    let mut rgb = vec![0; values.len() * 3];
    if transform.transform(&values, &mut rgb).is_err() {
        return;
    }
    let step = usize::from(raster.channels);
    match &mut raster.samples {
        Samples::Eight(samples) => {
            for sample in samples.iter_mut().step_by(step) {
                *sample = crate::raster::narrow(rgb[usize::from(*sample) * 257 * 3 + 1]);
            }
        }
        Samples::Sixteen(samples) => {
            for sample in samples.iter_mut().step_by(step) {
                *sample = rgb[usize::from(*sample) * 3 + 1];
            }
        }
    }
}

/// Whether the profile moves no colour by more than rounding does: most cameras and programs embed some sRGB, and its
/// pixels are better left exactly as they are.
fn is_srgb(profile: &ColorProfile) -> bool {
    const STEPS: [u8; 5] = [0, 64, 128, 192, 255];
    let probe: Vec<u8> = STEPS
        .iter()
        .flat_map(|&red| STEPS.iter().flat_map(move |&green| STEPS.iter().flat_map(move |&blue| [red, green, blue])))
        .collect();
    let mut seen = vec![0; probe.len()];
    profile
        .create_transform_8bit(Layout::Rgb, &ColorProfile::new_srgb(), Layout::Rgb, TransformOptions::default())
        .and_then(|transform| transform.transform(&probe, &mut seen))
        .is_ok_and(|()| probe.iter().zip(&seen).all(|(&a, &b)| a.abs_diff(b) <= 1))
}

/// Four inks to RGB: by the profile where there is one that can be read, else as if inks were ideal. Adobe's files have
/// them inverted.
pub(crate) fn cmyk_to_rgb(raster: Raster, inverted: bool, profile: Option<&[u8]>) -> Raster {
    let (width, height) = (raster.width, raster.height);
    let Samples::Eight(mut inks) = raster.samples else { unreachable!("JPEG has eight bits") };
    if inverted {
        for ink in &mut inks {
            *ink = 255 - *ink;
        }
    }
    let mut rgb = vec![0; inks.len() / 4 * 3];
    let transform = profile
        .and_then(|profile| ColorProfile::new_from_slice(profile).ok())
        .filter(|profile| profile.color_space == DataColorSpace::Cmyk)
        .and_then(|profile| {
            let srgb = ColorProfile::new_srgb();
            profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, TransformOptions::default()).ok()
        });
    let converted = transform.is_some_and(|transform| {
        let row = width as usize;
        inks.chunks_exact(row * 4)
            .zip(rgb.chunks_exact_mut(row * 3))
            .all(|(inks, rgb)| transform.transform(inks, rgb).is_ok())
    });
    if !converted {
        for (inks, rgb) in inks.as_chunks::<4>().0.iter().zip(rgb.as_chunks_mut::<3>().0) {
            let light = u16::from(255 - inks[3]);
            for (ink, value) in inks.iter().zip(rgb) {
                *value = divide_by_255(u16::from(255 - ink) * light);
            }
        }
    }
    Raster::eight(width, height, 3, rgb)
}

/// Rounded; exact for products of two bytes.
#[expect(clippy::cast_possible_truncation, reason = "a product of two bytes divided by 255 is a byte")]
fn divide_by_255(product: u16) -> u8 {
    let sum = u32::from(product) + 128;
    ((sum + (sum >> 8)) >> 8) as u8
}

/// JFIF's `YCbCr` (ITU-T T.871) to RGB. All planes have the same sides.
pub(crate) fn planes_to_rgb(planes: &Planes) -> Raster {
    let [brightness, blues, reds] = planes.split();
    let (width, height) = planes.sides[0];
    let mut rgb = vec![0; brightness.len() * 3];
    let pixels = rgb.as_chunks_mut::<3>().0.iter_mut();
    for (pixel, ((&y, &cb), &cr)) in pixels.zip(brightness.iter().zip(blues).zip(reds)) {
        let (y, cb, cr) = ((i32::from(y) << 16) + (1 << 15), i32::from(cb) - 128, i32::from(cr) - 128);
        *pixel = [
            clamp((y + 91_881 * cr) >> 16),
            clamp((y - 22_554 * cb - 46_802 * cr) >> 16),
            clamp((y + 116_130 * cb) >> 16),
        ];
    }
    Raster::eight(width, height, 3, rgb)
}

#[expect(clippy::cast_sign_loss, reason = "clamped")]
fn clamp(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

/// Drops colours: brightness as JPEG weighs it (ITU-R BT.601), which is what Pillow's `L` is.
pub(crate) fn to_grey(raster: Raster) -> Raster {
    if !raster.has_colour() {
        return raster;
    }
    let (channels, alpha) = (usize::from(raster.channels), raster.has_alpha());
    let samples = match raster.samples {
        Samples::Eight(samples) => Samples::Eight(grey_of(&samples, channels, alpha)),
        Samples::Sixteen(samples) => Samples::Sixteen(grey_of(&samples, channels, alpha)),
    };
    Raster { channels: raster.channels - 2, samples, ..raster }
}

fn grey_of<T: Copy + Into<u64> + TryFrom<u64> + Default>(samples: &[T], channels: usize, alpha: bool) -> Vec<T> {
    let mut grey = Vec::with_capacity(samples.len() / channels * (channels - 2));
    for pixel in samples.chunks_exact(channels) {
        let weighed = 19_595 * pixel[0].into() + 38_470 * pixel[1].into() + 7_471 * pixel[2].into();
        grey.push(T::try_from((weighed + 32_768) >> 16).unwrap_or_default());
        if alpha {
            grey.push(pixel[3]);
        }
    }
    grey
}

/// Lays the pixels on a ground of one colour. Alpha is gone then.
pub(crate) fn lay_on(raster: Raster, ground: [u8; 3]) -> Raster {
    if !raster.has_alpha() {
        return raster;
    }
    // A colour under grey pixels makes them colours, unless it is grey itself.
    let grey_ground = ground[0] == ground[1] && ground[1] == ground[2];
    let raster = if raster.has_colour() || grey_ground { raster } else { to_colour(raster) };
    let channels = usize::from(raster.channels);
    let samples =
        match raster.samples {
            Samples::Eight(samples) => {
                let mut laid = Vec::with_capacity(samples.len() / channels * (channels - 1));
                for pixel in samples.chunks_exact(channels) {
                    let alpha = u16::from(pixel[channels - 1]);
                    let mixed = pixel[..channels - 1].iter().zip(ground);
                    laid.extend(mixed.map(|(&over, under)| {
                        divide_by_255(u16::from(over) * alpha + u16::from(under) * (255 - alpha))
                    }));
                }
                Samples::Eight(laid)
            }
            Samples::Sixteen(samples) => {
                let mut laid = Vec::with_capacity(samples.len() / channels * (channels - 1));
                for pixel in samples.chunks_exact(channels) {
                    let alpha = u64::from(pixel[channels - 1]);
                    let mixed = pixel[..channels - 1].iter().zip(ground);
                    laid.extend(mixed.map(|(&over, under)| {
                        let sum = u64::from(over) * alpha + u64::from(under) * 257 * (65_535 - alpha);
                        u16::try_from((sum + 32_767) / 65_535).unwrap_or(u16::MAX)
                    }));
                }
                Samples::Sixteen(laid)
            }
        };
    Raster { channels: raster.channels - 1, samples, ..raster }
}

/// Grey pixels, each as red, green and blue alike.
pub(crate) fn to_colour(raster: Raster) -> Raster {
    fn spread<T: Copy>(samples: &[T], channels: usize) -> Vec<T> {
        samples
            .chunks_exact(channels)
            .flat_map(|pixel| std::iter::repeat_n(pixel[0], 3).chain(pixel[1..].iter().copied()))
            .collect()
    }
    if raster.has_colour() {
        return raster;
    }
    let channels = usize::from(raster.channels);
    let samples = match &raster.samples {
        Samples::Eight(samples) => Samples::Eight(spread(samples, channels)),
        Samples::Sixteen(samples) => Samples::Sixteen(spread(samples, channels)),
    };
    Raster { channels: raster.channels + 2, samples, ..raster }
}
