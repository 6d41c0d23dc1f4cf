//! PNG, in the time that reading the pixels a few times takes.
//!
//! A photograph's filtered bytes hardly ever repeat, so looking for repetitions (what deflate's usual encoders spend
//! their time on) gains nothing there. What gains is a good filter and codes that fit each strip of rows.

use simd_adler32::Adler32;

use super::deflate::Deflater;
use crate::raster::{Raster, Samples};

/// Filtered bytes that share a set of codes: small enough to stay in the cache, large enough to outweigh the codes.
const STRIP: usize = 128 * 1024;
/// Rows that share a filter. Neighbours are alike, and trying all filters costs more than using one.
const GROUP: usize = 8;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Memory to be used again.
#[derive(Default)]
pub(crate) struct Buffers {
    filtered: Vec<u8>,
    trial: Vec<u8>,
    deep: [Vec<u8>; 2],
    deflater: Deflater,
}

/// Encodes without loss.
pub(crate) fn encode(raster: &Raster, buffers: &mut Buffers) -> Vec<u8> {
    let depth = if matches!(raster.samples, Samples::Eight(_)) { 1 } else { 2 };
    let (row, step) = (raster.row_samples() * depth, usize::from(raster.channels) * depth);
    let mut file = Vec::with_capacity(row * raster.height as usize / 2 + 1024);
    file.extend_from_slice(SIGNATURE);
    let colour = [0, 4, 2, 6][usize::from(raster.channels) - 1];
    let depth = if depth == 1 { 8 } else { 16 };
    write_chunk(&mut file, *b"IHDR", |file| {
        file.extend_from_slice(&raster.width.to_be_bytes());
        file.extend_from_slice(&raster.height.to_be_bytes());
        file.extend_from_slice(&[depth, colour, 0, 0, 0]);
    });
    write_rows(&mut file, raster, row, step, buffers);
    write_chunk(&mut file, *b"IEND", |_| {});
    file
}

fn write_rows(file: &mut Vec<u8>, raster: &Raster, row: usize, step: usize, buffers: &mut Buffers) {
    let Buffers { filtered, trial, deep, deflater } = buffers;
    let height = raster.height as usize;
    let strip_rows = (STRIP / (row + 1)).max(1).next_multiple_of(GROUP);
    let [above, current] = deep;
    above.clear();
    above.resize(row, 0);
    let mut checksum = Adler32::new();
    let mut filter = Filter::Paeth;
    for top in (0..height).step_by(strip_rows) {
        let end = height.min(top + strip_rows);
        filtered.clear();
        for y in top..end {
            let (above, current) = match &raster.samples {
                Samples::Eight(samples) => {
                    let current = &samples[y * row..][..row];
                    (if y == 0 { &above[..] } else { &samples[(y - 1) * row..][..row] }, current)
                }
                Samples::Sixteen(samples) => {
                    if y > 0 {
                        std::mem::swap(above, current);
                    }
                    current.clear();
                    current.extend(samples[y * row / 2..][..row / 2].iter().flat_map(|sample| sample.to_be_bytes()));
                    (&above[..], &current[..])
                }
            };
            if y % GROUP == 0 {
                filter = choose_filter(above, current, step, trial);
            }
            filtered.push(filter as u8);
            let start = filtered.len();
            filtered.resize(start + row, 0);
            filter.apply(above, current, step, &mut filtered[start..]);
        }
        checksum.write(filtered);
        let last = end == height;
        write_chunk(file, *b"IDAT", |file| {
            if top == 0 {
                // Deflate with a window of 32 KB.
                file.extend_from_slice(&[0x78, 0x01]);
            }
            deflater.write_block(filtered, last, file);
            if last {
                file.extend_from_slice(&checksum.finish().to_be_bytes());
            }
        });
    }
}

fn write_chunk(file: &mut Vec<u8>, name: [u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let start = file.len();
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&name);
    content(file);
    let length = u32::try_from(file.len() - start - 8).expect("a strip is far below 4 GB");
    file[start..start + 4].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32fast::hash(&file[start + 4..]);
    file.extend_from_slice(&checksum.to_be_bytes());
}

/// PNG's filters, with their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    None = 0,
    Sub = 1,
    Up = 2,
    Average = 3,
    Paeth = 4,
}

/// The filter that leaves the least, as PNG's authors recommend: the sum of the bytes taken as signed.
fn choose_filter(above: &[u8], current: &[u8], step: usize, trial: &mut Vec<u8>) -> Filter {
    trial.resize(current.len(), 0);
    [Filter::Paeth, Filter::Average, Filter::Up, Filter::Sub, Filter::None]
        .into_iter()
        .min_by_key(|filter| {
            filter.apply(above, current, step, trial);
            trial.iter().map(|&byte| u64::from(byte.min(byte.wrapping_neg()))).sum::<u64>()
        })
        .unwrap_or(Filter::Paeth)
}

impl Filter {
    /// Filters a row. `step` is the bytes of a pixel.
    fn apply(self, above: &[u8], current: &[u8], step: usize, out: &mut [u8]) {
        // Left of the first pixel are zeros.
        let (first, rest) = out.split_at_mut(step.min(current.len()));
        for (index, byte) in first.iter_mut().enumerate() {
            let up = above[index];
            let predicted = match self {
                Self::None | Self::Sub => 0,
                Self::Up | Self::Paeth => up,
                Self::Average => up / 2,
            };
            *byte = current[index].wrapping_sub(predicted);
        }
        let length = rest.len();
        let (here, left) = (&current[step..][..length], &current[..length]);
        let (up, corner) = (&above[step..][..length], &above[..length]);
        match self {
            Self::None => rest.copy_from_slice(here),
            Self::Sub => {
                for ((byte, &here), &left) in rest.iter_mut().zip(here).zip(left) {
                    *byte = here.wrapping_sub(left);
                }
            }
            Self::Up => {
                for ((byte, &here), &up) in rest.iter_mut().zip(here).zip(up) {
                    *byte = here.wrapping_sub(up);
                }
            }
            Self::Average => {
                for (((byte, &here), &left), &up) in rest.iter_mut().zip(here).zip(left).zip(up) {
                    *byte = here.wrapping_sub((left & up) + ((left ^ up) >> 1));
                }
            }
            Self::Paeth => {
                for ((((byte, &here), &left), &up), &corner) in rest.iter_mut().zip(here).zip(left).zip(up).zip(corner)
                {
                    *byte = here.wrapping_sub(predict(left, up, corner));
                }
            }
        }
    }
}

/// Whichever of the three neighbours is nearest to left + up - corner.
fn predict(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let (by_left, by_up) = ((b - c).abs(), (a - c).abs());
    let by_corner = (a + b - c - c).abs();
    let other = if by_up <= by_corner { up } else { corner };
    if by_left <= by_up && by_left <= by_corner { left } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        reader.finish().unwrap();
        (reader.info().width, reader.info().height, pixels)
    }

    fn noise(length: usize, mask: u8) -> Vec<u8> {
        let mut state = 1_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & mask
        })
        .take(length)
        .collect()
    }

    #[test]
    fn a_picture_of_several_strips_comes_back() {
        let samples = noise(1000 * 400 * 3, 15);
        let file = encode(&Raster::eight(1000, 400, 3, samples.clone()), &mut Buffers::default());
        assert_eq!(decode(&file), (1000, 400, samples));
    }

    #[test]
    fn every_shape_and_kind_comes_back() {
        let mut buffers = Buffers::default();
        for (width, height) in [(1, 1), (1, 300), (300, 1), (7, 9), (257, 129)] {
            for channels in 1..=4 {
                for mask in [0, 3, 255] {
                    let length = (width * height) as usize * usize::from(channels);
                    let samples = noise(length, mask);
                    let file = encode(&Raster::eight(width, height, channels, samples.clone()), &mut buffers);
                    assert_eq!(decode(&file), (width, height, samples), "{width}x{height}, {channels}, {mask}");
                    assert!(
                        file.len() < length + height as usize + length / 100 + 200,
                        "{} bytes for {length}",
                        file.len()
                    );
                    let deep: Vec<u16> = noise(length, mask).iter().map(|&byte| u16::from(byte) * 251).collect();
                    let bytes: Vec<u8> = deep.iter().flat_map(|sample| sample.to_be_bytes()).collect();
                    let raster = Raster { width, height, channels, samples: Samples::Sixteen(deep) };
                    assert_eq!(decode(&encode(&raster, &mut buffers)), (width, height, bytes));
                }
            }
        }
    }
}
