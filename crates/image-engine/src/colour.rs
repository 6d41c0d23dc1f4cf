//! Colour profiles. A PNG without a profile means sRGB, so pixels of another RGB space (a phone's Display P3, a
//! camera's Adobe RGB) are converted rather than left to be shown wrong.
//!
//! Grey and CMYK profiles are not applied: grey values stay as they are, and the decoder has already turned CMYK into RGB.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

/// Converts RGB pixels from `profile` (ICC) to sRGB, in place. A profile that cannot be read or is not RGB changes
/// nothing, and neither does one that is sRGB in all but name.
pub(crate) fn convert_to_srgb(image: &mut DynamicImage, profile: &[u8]) {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else {
        return;
    };
    if profile.color_space != DataColorSpace::Rgb || is_srgb(&profile) {
        return;
    }
    let layout = if image.color().has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let row = image.width() as usize * usize::from(image.color().channel_count());
    let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
    let to_srgb_8 = || profile.create_transform_8bit(layout, &srgb, layout, options);
    let to_srgb_16 = || profile.create_transform_16bit(layout, &srgb, layout, options);
    match image {
        DynamicImage::ImageRgb8(pixels) => convert_rows(pixels, row, to_srgb_8().ok().as_deref()),
        DynamicImage::ImageRgba8(pixels) => convert_rows(pixels, row, to_srgb_8().ok().as_deref()),
        DynamicImage::ImageRgb16(pixels) => convert_rows(pixels, row, to_srgb_16().ok().as_deref()),
        DynamicImage::ImageRgba16(pixels) => {
            convert_rows(pixels, row, to_srgb_16().ok().as_deref());
        }
        _ => {}
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

/// One row at a time, since a transform does not work in place and a second image would double the memory.
fn convert_rows<T: Copy + Default>(
    samples: &mut [T],
    row: usize,
    transform: Option<&(dyn TransformExecutor<T> + Send + Sync)>,
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
