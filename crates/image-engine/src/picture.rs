//! From decoded pixels to one picture: size, orientation, colours, ground, text, depth, file.

use std::time::Instant;

use image::metadata::Orientation;

use crate::colour::{Conversion, lay_on, planes_to_rgb, to_grey};
use crate::decode::{Pixels, Tools};
use crate::encode::Encoders;
use crate::engine::{Picture, Times};
use crate::plan::Target;
use crate::raster::{Raster, Samples};
use crate::recipe::{Depth, Format, Recipe};
use crate::scale::{scale_planes, scale_raster};
use crate::watermark::write_watermark;

/// What is kept between images.
#[derive(Default)]
pub(crate) struct Workshop {
    pub(crate) tools: Tools,
    pub(crate) conversion: Conversion,
    encoders: Encoders,
    /// Memory for scaled planes, to be used again.
    planes: Vec<u8>,
}

/// Makes a picture; the last one may use the pixels up.
///
/// # Errors
/// What the encoder said.
pub(crate) fn make_picture(
    workshop: &mut Workshop,
    pixels: &mut Option<Pixels>,
    last: bool,
    target: &Target,
    orientation: Orientation,
    recipe: &Recipe,
    times: &mut Times,
) -> Result<Picture, String> {
    let start = Instant::now();
    if let Some(Pixels::Planes { planes, extents }) = pixels
        && stay_planes(workshop, target, orientation, recipe)
    {
        let buffer = std::mem::take(&mut workshop.planes);
        let scaled = scale_planes(&mut workshop.tools.resizer, planes, *extents, target, 2, buffer);
        let sides = crate::raster::turned((target.width, target.height), orientation);
        let scaled = scaled.into_upright(orientation);
        times.resize += start.elapsed();
        let start = Instant::now();
        let bytes = workshop.encoders.encode_planes(&scaled, sides, recipe.quality)?;
        times.encode += start.elapsed();
        workshop.planes = scaled.samples;
        return Ok(Picture { bytes, format: recipe.format, width: sides.0, height: sides.1, size: target.size });
    }
    let scaled = scale(workshop, pixels, last, target).into_upright(orientation);
    let raster = finish(workshop, scaled, recipe);
    times.resize += start.elapsed();
    let start = Instant::now();
    let (width, height) = (raster.width, raster.height);
    let bytes = workshop.encoders.encode(&raster, recipe.format, recipe.quality)?;
    times.encode += start.elapsed();
    if last && pixels.is_none() {
        *pixels = Some(raster.into_pixels());
    }
    Ok(Picture { bytes, format: recipe.format, width, height, size: target.size })
}

/// Whether planes go into a JPEG without becoming RGB in between. Mirrored, planes of odd sides would begin with half of
/// a colour sample.
fn stay_planes(workshop: &Workshop, target: &Target, orientation: Orientation, recipe: &Recipe) -> bool {
    let even = target.width.is_multiple_of(2) && target.height.is_multiple_of(2);
    recipe.format == Format::Jpeg
        && recipe.watermark.is_none()
        && !recipe.grayscale
        && !workshop.conversion.changes()
        && (even || orientation == Orientation::NoTransforms)
}

fn scale(workshop: &mut Workshop, pixels: &mut Option<Pixels>, last: bool, target: &Target) -> Raster {
    let resizer = &mut workshop.tools.resizer;
    match pixels {
        Some(Pixels::Planes { planes, extents }) => {
            let buffer = std::mem::take(&mut workshop.planes);
            let scaled = scale_planes(resizer, planes, *extents, target, 1, buffer);
            let raster = planes_to_rgb(&scaled);
            workshop.planes = scaled.samples;
            raster
        }
        Some(Pixels::Raster { raster, extent }) => {
            let sides = (f64::from(raster.width), f64::from(raster.height));
            let same = (raster.width, raster.height) == (target.width, target.height);
            if !(same && *extent == sides && target.whole() == sides) {
                return scale_raster(resizer, raster, *extent, target);
            }
            if !last {
                return raster.clone();
            }
            let Some(Pixels::Raster { raster, .. }) = pixels.take() else { unreachable!("it was a raster") };
            raster
        }
        None => unreachable!("only the last picture uses the pixels up"),
    }
}

fn finish(workshop: &mut Workshop, mut raster: Raster, recipe: &Recipe) -> Raster {
    workshop.conversion.apply(&mut raster);
    if matches!(raster.samples, Samples::Sixteen(_)) && (recipe.depth == Depth::Eight || recipe.format != Format::Png) {
        raster = raster.into_eight();
    }
    let white = (recipe.format == Format::Jpeg).then_some([255; 3]);
    if let Some(ground) = recipe.background.or(white) {
        raster = lay_on(raster, ground);
    }
    if recipe.grayscale {
        raster = to_grey(raster);
    }
    if let Some(text) = &recipe.watermark {
        write_watermark(&mut raster, text, &mut workshop.tools.resizer);
    }
    raster
}
