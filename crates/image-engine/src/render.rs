//! From the upright image to the pictures of a recipe.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::FilterType;
use image::{ColorType, DynamicImage, Rgba, RgbaImage};

use crate::picture::compress;
use crate::recipe::{Depth, Fit, Format, Recipe, Resize};

/// One picture's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) resize: Resize,
    pub(crate) size: Option<u32>,
}

/// What is cut out of the scaled image: left, top, width, height.
pub(crate) type Crop = Option<(u32, u32, u32, u32)>;

/// The pictures that a recipe asks for; `None` is one of the image's own size.
pub(crate) fn targets(recipe: &Recipe) -> Vec<Option<Target>> {
    if recipe.sizes.is_empty() {
        return vec![recipe.resize.map(|resize| Target { resize, size: None })];
    }
    let square = |size| Resize { width: Some(size), height: Some(size), fit: Fit::Fit, enlarge: false };
    recipe.sizes.iter().map(|&size| Some(Target { resize: square(size), size: Some(size) })).collect()
}

/// The size to scale to, and what to cut out then.
pub(crate) fn fit_size((width, height): (u32, u32), target: Option<&Target>) -> ((u32, u32), Crop) {
    let Some(Target { resize, .. }) = target else { return ((width, height), None) };
    let (has_width, has_height) = (f64::from(width), f64::from(height));
    let by_width = resize.width.map(|wanted| f64::from(wanted) / has_width);
    let by_height = resize.height.map(|wanted| f64::from(wanted) / has_height);
    let (Some(by_width), Some(by_height)) = (by_width.or(by_height), by_height.or(by_width)) else {
        return ((width, height), None);
    };
    let (by_width, by_height) = match resize.fit {
        Fit::Fit => (by_width.min(by_height), by_width.min(by_height)),
        Fit::Cover => (by_width.max(by_height), by_width.max(by_height)),
        Fit::Exact => (by_width, by_height),
    };
    let keep = |by: f64| if resize.enlarge { by } else { by.min(1.0) };
    let scaled = (scale(width, keep(by_width)), scale(height, keep(by_height)));
    let crop = (resize.fit == Fit::Cover).then(|| {
        let cut = (resize.width.unwrap_or(scaled.0).min(scaled.0), resize.height.unwrap_or(scaled.1).min(scaled.1));
        ((scaled.0 - cut.0) / 2, (scaled.1 - cut.1) / 2, cut.0, cut.1)
    });
    (scaled, crop)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides and scales are positive and bounded"
)]
fn scale(side: u32, by: f64) -> u32 {
    ((f64::from(side) * by).round() as u32).max(1)
}

/// Scales with Lanczos's window of three, then cuts.
pub(crate) fn resize(image: &DynamicImage, (width, height): (u32, u32), crop: Crop) -> Cow<'_, DynamicImage> {
    let scaled = if (width, height) == (image.width(), image.height()) {
        Cow::Borrowed(image)
    } else {
        Cow::Owned(image.resize_exact(width, height, FilterType::Lanczos3))
    };
    match crop {
        Some((left, top, width, height)) if (width, height) != (scaled.width(), scaled.height()) => {
            Cow::Owned(scaled.crop_imm(left, top, width, height))
        }
        _ => scaled,
    }
}

/// Background, grey and depth.
pub(crate) fn prepare<'a>(image: Cow<'a, DynamicImage>, recipe: &Recipe) -> Cow<'a, DynamicImage> {
    let mut image = image;
    let deep = image.color().bytes_per_pixel() / image.color().channel_count() > 1;
    if deep && (recipe.depth == Depth::Eight || recipe.format != Format::Png) {
        image = Cow::Owned(match (image.color().has_alpha(), image.color().has_color()) {
            (true, true) => image.to_rgba8().into(),
            (true, false) => image.to_luma_alpha8().into(),
            (false, true) => image.to_rgb8().into(),
            (false, false) => image.to_luma8().into(),
        });
    }
    let white = (recipe.format == Format::Jpeg).then_some([255; 3]);
    if let Some(background) = recipe.background.or(white)
        && image.color().has_alpha()
    {
        image = Cow::Owned(lay_on(&image, background));
    }
    if recipe.grayscale && image.color().has_color() {
        image = Cow::Owned(image.grayscale());
    }
    image
}

fn lay_on(image: &DynamicImage, [red, green, blue]: [u8; 3]) -> DynamicImage {
    let mut ground = RgbaImage::from_pixel(image.width(), image.height(), Rgba([red, green, blue, 255]));
    image::imageops::overlay(&mut ground, &image.to_rgba8(), 0, 0);
    let opaque = DynamicImage::from(ground);
    if image.color().has_color() { opaque.to_rgb8().into() } else { opaque.to_luma8().into() }
}

/// The picture's file.
///
/// # Errors
/// What the encoder said.
pub(crate) fn encode(image: &DynamicImage, recipe: &Recipe) -> Result<Vec<u8>, String> {
    let mut bytes = Cursor::new(Vec::new());
    match recipe.format {
        Format::Png => return compress(image).map_err(|error| error.to_string()),
        Format::Jpeg => image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, recipe.quality)),
        Format::Webp => {
            let image = match image.color() {
                ColorType::L8 => Cow::Owned(image.to_rgb8().into()),
                ColorType::La8 => Cow::Owned(image.to_rgba8().into()),
                _ => Cow::Borrowed(image),
            };
            image.write_with_encoder(WebPEncoder::new_lossless(&mut bytes))
        }
    }
    .map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}
