//! Which sizes a recipe leads to for an image, before its pixels are decoded.

use crate::raster::swaps_sides;
use crate::recipe::{Fit, Recipe, Resize};
use image::metadata::Orientation;

/// A part of an image, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// One picture: a part of the image scaled to a size. Both are in the image's stored orientation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    /// As a share of the image: 0 to 1.
    pub(crate) part: Area,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Which of the recipe's `sizes` it is.
    pub(crate) size: Option<u32>,
}

impl Area {
    const WHOLE: Self = Self { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };

    /// The part of an image of these sides.
    pub(crate) fn of(self, (width, height): (f64, f64)) -> Self {
        Self {
            left: self.left * width,
            top: self.top * height,
            width: self.width * width,
            height: self.height * height,
        }
    }
}

impl Target {
    /// How large the whole image would be at this target's scale.
    pub(crate) fn whole(&self) -> (f64, f64) {
        (f64::from(self.width) / self.part.width, f64::from(self.height) / self.part.height)
    }

    fn upright(width: u32, height: u32, size: Option<u32>) -> Self {
        Self { part: Area::WHOLE, width, height, size }
    }

    fn turned_back(self, orientation: Orientation) -> Self {
        if !swaps_sides(orientation) {
            // What is cut off is the same on both sides, so mirroring changes nothing.
            return self;
        }
        let Area { left, top, width, height } = self.part;
        let part = Area { left: top, top: left, width: height, height: width };
        Self { part, width: self.height, height: self.width, size: self.size }
    }
}

/// The pictures that a recipe asks for of an image of these sides, as stored.
pub(crate) fn plan_targets(stored: (u32, u32), orientation: Orientation, recipe: &Recipe) -> Vec<Target> {
    let upright = if swaps_sides(orientation) { (stored.1, stored.0) } else { stored };
    let targets = if recipe.sizes.is_empty() {
        vec![recipe.resize.map_or(Target::upright(upright.0, upright.1, None), |resize| fit(upright, resize, None))]
    } else {
        let square = |size| Resize { width: Some(size), height: Some(size), fit: Fit::Fit, enlarge: false };
        recipe.sizes.iter().map(|&size| fit(upright, square(size), Some(size))).collect()
    };
    targets.into_iter().map(|target| target.turned_back(orientation)).collect()
}

fn fit((width, height): (u32, u32), resize: Resize, size: Option<u32>) -> Target {
    let (has_width, has_height) = (f64::from(width), f64::from(height));
    let by_width = resize.width.map(|wanted| f64::from(wanted) / has_width);
    let by_height = resize.height.map(|wanted| f64::from(wanted) / has_height);
    let (Some(by_width), Some(by_height)) = (by_width.or(by_height), by_height.or(by_width)) else {
        return Target::upright(width, height, size);
    };
    let (by_width, by_height) = match resize.fit {
        Fit::Fit => (by_width.min(by_height), by_width.min(by_height)),
        Fit::Cover => (by_width.max(by_height), by_width.max(by_height)),
        Fit::Exact => (by_width, by_height),
    };
    let keep = |by: f64| if resize.enlarge { by } else { by.min(1.0) };
    let (scaled_width, scaled_height) = (scale(width, keep(by_width)), scale(height, keep(by_height)));
    if resize.fit != Fit::Cover {
        return Target::upright(scaled_width, scaled_height, size);
    }
    let cut_width = resize.width.unwrap_or(scaled_width).min(scaled_width);
    let cut_height = resize.height.unwrap_or(scaled_height).min(scaled_height);
    let share = |cut: u32, of: u32| f64::from(cut) / f64::from(of);
    let (part_width, part_height) = (share(cut_width, scaled_width), share(cut_height, scaled_height));
    let part =
        Area { left: (1.0 - part_width) / 2.0, top: (1.0 - part_height) / 2.0, width: part_width, height: part_height };
    Target { part, width: cut_width, height: cut_height, size }
}

/// A side at a scale: rounded, at least one pixel, at most what any of the formats holds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the product is positive and bounded")]
fn scale(side: u32, by: f64) -> u32 {
    (f64::from(side) * by).round().clamp(1.0, 65_535.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(stored: (u32, u32), orientation: Orientation, resize: Resize) -> (u32, u32) {
        let recipe = Recipe { resize: Some(resize), ..Recipe::default() };
        let target = plan_targets(stored, orientation, &recipe)[0];
        (target.width, target.height)
    }

    #[test]
    fn sides_follow_the_fit() {
        let resize = |width, height, fit, enlarge| Resize { width, height, fit, enlarge };
        let upright = Orientation::NoTransforms;
        for (wanted, seen) in [
            (resize(Some(720), None, Fit::Fit, false), (720, 588)),
            (resize(None, Some(588), Fit::Fit, false), (720, 588)),
            (resize(Some(720), Some(720), Fit::Fit, false), (720, 588)),
            (resize(Some(720), Some(720), Fit::Cover, false), (720, 720)),
            (resize(Some(720), Some(720), Fit::Exact, false), (720, 720)),
            (resize(Some(5450), None, Fit::Fit, false), (2725, 2225)),
            (resize(Some(5450), None, Fit::Fit, true), (5450, 4450)),
            (resize(Some(4000), Some(1000), Fit::Cover, false), (2725, 1000)),
            (resize(Some(1), None, Fit::Fit, false), (1, 1)),
        ] {
            assert_eq!(sides((2725, 2225), upright, wanted), seen, "{wanted:?}");
        }
        // A camera held upright: the recipe means the picture as it is seen.
        assert_eq!(sides((2725, 2225), Orientation::Rotate90, resize(None, Some(720), Fit::Fit, false)), (720, 588));
    }

    #[test]
    fn cover_cuts_on_both_sides_alike() {
        let resize = Resize { width: Some(100), height: Some(100), fit: Fit::Cover, enlarge: false };
        let recipe = Recipe { resize: Some(resize), ..Recipe::default() };
        let part = plan_targets((400, 200), Orientation::NoTransforms, &recipe)[0].part;
        assert_eq!(part, Area { left: 0.25, top: 0.0, width: 0.5, height: 1.0 });
        let part = plan_targets((400, 200), Orientation::Rotate90, &recipe)[0].part;
        assert_eq!(part, Area { left: 0.25, top: 0.0, width: 0.5, height: 1.0 });
    }
}
