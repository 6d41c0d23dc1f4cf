//! Scaling with Lanczos's window of three, on the values as they are stored (gamma-encoded), as sharp and Pillow do.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::plan::{Area, Target};
use crate::raster::{Planes, Raster, Samples};

/// Scales the part of `raster` that `target` names. `extent` is how many of the raster's pixels the image covers: a decoder
/// that scales leaves a part of the last column and row over.
pub(crate) fn scale_raster(resizer: &mut Resizer, raster: &Raster, extent: (f64, f64), target: &Target) -> Raster {
    let (width, height, channels) = (target.width, target.height, raster.channels);
    let area = clamp(target.part.of(extent), raster.width, raster.height);
    let length = width as usize * height as usize * usize::from(channels);
    let samples = match &raster.samples {
        Samples::Eight(from) => {
            let kind = [PixelType::U8, PixelType::U8x2, PixelType::U8x3, PixelType::U8x4][usize::from(channels) - 1];
            let mut to = vec![0; length];
            scale(resizer, (from, raster.width, raster.height), (&mut to, width, height), kind, area);
            Samples::Eight(to)
        }
        Samples::Sixteen(from) => {
            let kind =
                [PixelType::U16, PixelType::U16x2, PixelType::U16x3, PixelType::U16x4][usize::from(channels) - 1];
            let mut to = vec![0_u16; length];
            let bytes = bytemuck::cast_slice_mut(&mut to);
            scale(
                resizer,
                (bytemuck::cast_slice(from), raster.width, raster.height),
                (bytes, width, height),
                kind,
                area,
            );
            Samples::Sixteen(to)
        }
    };
    Raster { width, height, channels, samples }
}

/// Scales the part of the planes that `target` names: brightness to its size, colour differences to that divided by
/// `share`. Where that does not go up, all planes stand for a little more than the picture, as JPEG has it.
pub(crate) fn scale_planes(
    resizer: &mut Resizer,
    from: &Planes,
    extents: [(f64, f64); 3],
    target: &Target,
    share: u32,
    buffer: Vec<u8>,
) -> Planes {
    let small = (target.width.div_ceil(share), target.height.div_ceil(share));
    let mut to = Planes::new(buffer, [(small.0 * share, small.1 * share), small, small]);
    let grown = |small: u32, side: u32| f64::from(small * share) / f64::from(side);
    let part = Area {
        width: target.part.width * grown(small.0, target.width),
        height: target.part.height * grown(small.1, target.height),
        ..target.part
    };
    let sides = to.sides;
    let planes = from.split().into_iter().zip(from.sides).zip(extents);
    for (((from, from_sides), extent), (to, to_sides)) in planes.zip(to.split_mut().into_iter().zip(sides)) {
        let area = clamp(part.of(extent), from_sides.0, from_sides.1);
        if from_sides == to_sides && is_about(area.width, to_sides.0) && is_about(area.height, to_sides.1) {
            to.copy_from_slice(from);
        } else {
            scale(resizer, (from, from_sides.0, from_sides.1), (to, to_sides.0, to_sides.1), PixelType::U8, area);
        }
    }
    to
}

fn is_about(length: f64, side: u32) -> bool {
    (length - f64::from(side)).abs() < 0.01
}

type From<'a> = (&'a [u8], u32, u32);
type To<'a> = (&'a mut [u8], u32, u32);

fn scale(
    resizer: &mut Resizer,
    (from, from_width, from_height): From,
    (to, width, height): To,
    kind: PixelType,
    area: Area,
) {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).crop(
        area.left,
        area.top,
        area.width,
        area.height,
    );
    let from = ImageRef::new(from_width, from_height, from, kind).expect("the sides are the samples'");
    let mut to = Image::from_slice_u8(width, height, to, kind).expect("the sides are the samples'");
    resizer.resize(&from, &mut to, &options).expect("both have the same kind of pixel, and the area lies inside");
}

/// The area inside of the pixels that are there.
fn clamp(area: Area, width: u32, height: u32) -> Area {
    let (most_width, most_height) = (f64::from(width), f64::from(height));
    let (left, top) = (area.left.min(most_width - 1.0), area.top.min(most_height - 1.0));
    Area { left, top, width: area.width.min(most_width - left), height: area.height.min(most_height - top) }
}
