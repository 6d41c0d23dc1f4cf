//! Pixels in memory.

use image::metadata::Orientation;

/// The samples of a [`Raster`], row by row without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Samples {
    /// Eight bits each.
    Eight(Vec<u8>),
    /// Sixteen bits each.
    Sixteen(Vec<u16>),
}

/// Pixels whose channels lie beside each other. Alpha is not premultiplied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    pub(crate) channels: u8,
    pub(crate) samples: Samples,
}

/// Pixels as JPEG has them (`YCbCr`, full range): brightness, and two colour differences that may be smaller. One plane
/// after the other, without gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Planes {
    pub(crate) samples: Vec<u8>,
    pub(crate) sides: [(u32, u32); 3],
}

impl Raster {
    pub(crate) fn eight(width: u32, height: u32, channels: u8, samples: Vec<u8>) -> Self {
        Self { width, height, channels, samples: Samples::Eight(samples) }
    }

    pub(crate) fn has_alpha(&self) -> bool {
        self.channels.is_multiple_of(2)
    }

    pub(crate) fn has_colour(&self) -> bool {
        self.channels > 2
    }

    pub(crate) fn row_samples(&self) -> usize {
        self.width as usize * usize::from(self.channels)
    }

    /// The memory of the samples, for others to use.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        match self.samples {
            Samples::Eight(samples) => samples,
            Samples::Sixteen(_) => Vec::new(),
        }
    }

    /// Puts the rows of another raster of the same kind below.
    pub(crate) fn append(&mut self, below: Self) {
        match (&mut self.samples, below.samples) {
            (Samples::Eight(above), Samples::Eight(below)) => above.extend_from_slice(&below),
            (Samples::Sixteen(above), Samples::Sixteen(below)) => above.extend_from_slice(&below),
            _ => unreachable!("a file has one depth"),
        }
        self.height += below.height;
    }

    /// The raster with eight bits a sample, rounded.
    pub(crate) fn into_eight(self) -> Self {
        let samples = match self.samples {
            Samples::Sixteen(deep) => deep.into_iter().map(narrow).collect(),
            Samples::Eight(samples) => samples,
        };
        Self { samples: Samples::Eight(samples), ..self }
    }

    /// Turned and mirrored as `orientation` says.
    pub(crate) fn into_upright(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let (width, height, channels) = (self.width as usize, self.height as usize, usize::from(self.channels));
        let samples = match &self.samples {
            Samples::Eight(samples) => Samples::Eight(turn(samples, width, height, channels, orientation)),
            Samples::Sixteen(samples) => Samples::Sixteen(turn(samples, width, height, channels, orientation)),
        };
        let (width, height) = turned((self.width, self.height), orientation);
        Self { width, height, samples, ..self }
    }
}

impl Planes {
    /// Takes `samples` for planes of these sides; what it held is of no use any more.
    pub(crate) fn new(mut samples: Vec<u8>, sides: [(u32, u32); 3]) -> Self {
        samples.resize(sides.iter().map(|&side| area(side)).sum(), 0);
        Self { samples, sides }
    }

    pub(crate) fn split(&self) -> [&[u8]; 3] {
        let (brightness, colours) = self.samples.split_at(area(self.sides[0]));
        let (blue, red) = colours.split_at(area(self.sides[1]));
        [brightness, blue, red]
    }

    pub(crate) fn split_mut(&mut self) -> [&mut [u8]; 3] {
        let (brightness, colours) = self.samples.split_at_mut(area(self.sides[0]));
        let (blue, red) = colours.split_at_mut(area(self.sides[1]));
        [brightness, blue, red]
    }

    /// Turned and mirrored as `orientation` says.
    pub(crate) fn into_upright(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let planes = self.split().into_iter().zip(self.sides);
        let samples = planes
            .flat_map(|(plane, (width, height))| turn(plane, width as usize, height as usize, 1, orientation))
            .collect();
        let sides = self.sides.map(|sides| turned(sides, orientation));
        Self { samples, sides }
    }
}

fn area((width, height): (u32, u32)) -> usize {
    width as usize * height as usize
}

/// 65,535 parts to 255, rounded.
#[expect(clippy::cast_possible_truncation, reason = "the quotient is at most 255")]
pub(crate) fn narrow(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

/// Whether rows become columns.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

/// Sides after turning.
pub(crate) fn turned((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    if swaps_sides(orientation) { (height, width) } else { (width, height) }
}

fn turn<T: Copy + Default>(from: &[T], width: usize, height: usize, channels: usize, how: Orientation) -> Vec<T> {
    // Where a row begins in the result, and how far apart its pixels are: index = base + x * step_x + y * step_y.
    let (w, h) = (width.cast_signed(), height.cast_signed());
    let (base, step_x, step_y) = match how {
        Orientation::NoTransforms => (0, 1, w),
        Orientation::FlipHorizontal => (w - 1, -1, w),
        Orientation::Rotate180 => (w * h - 1, -1, -w),
        Orientation::FlipVertical => (w * (h - 1), 1, -w),
        Orientation::Rotate90FlipH => (0, h, 1),
        Orientation::Rotate90 => (h - 1, h, -1),
        Orientation::Rotate270FlipH => (h * w - 1, -h, -1),
        Orientation::Rotate270 => (h * (w - 1), -h, 1),
    };
    let mut to = vec![T::default(); from.len()];
    for (row, y) in from.chunks_exact(width * channels).zip(0..h) {
        let mut at = base + y * step_y;
        for pixel in row.chunks_exact(channels) {
            let start = at.cast_unsigned() * channels;
            to[start..start + channels].copy_from_slice(pixel);
            at += step_x;
        }
    }
    to
}
