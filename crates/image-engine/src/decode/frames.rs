//! How many pictures a file holds, without decoding any.

use std::collections::HashSet;

use crate::engine::SourceFormat;

/// Counts the pictures of an animation or a document, at most `most` and one. What cannot be followed ends the count: the
/// decoder will say what is wrong.
pub(crate) fn count_frames(bytes: &[u8], format: SourceFormat, most: u32) -> u32 {
    let most = most.saturating_add(1);
    match format {
        SourceFormat::Gif => count_gif(bytes, most),
        SourceFormat::Webp => count_webp(bytes, most),
        SourceFormat::Tiff => count_tiff(bytes, most),
        SourceFormat::Jpeg | SourceFormat::Png | SourceFormat::Bmp => 1,
    }
}

/// `GIF89a`: blocks after the screen's descriptor and its colours.
fn count_gif(bytes: &[u8], most: u32) -> u32 {
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut count = 0;
    let mut at = 13 + bytes.get(10).map_or(0, |&flags| colours(flags));
    while count < most {
        at = match bytes.get(at) {
            // An extension: its label, then data.
            Some(0x21) => skip_gif_data(bytes, at + 2),
            // A picture: its descriptor, its colours, the size of its codes, then data.
            Some(0x2C) => {
                count += 1;
                skip_gif_data(bytes, at + 11 + bytes.get(at + 9).map_or(0, |&flags| colours(flags)))
            }
            _ => break,
        };
    }
    count
}

/// Behind blocks that each say how long they are, up to an empty one.
fn skip_gif_data(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&length) = bytes.get(at) {
        at += usize::from(length) + 1;
        if length == 0 {
            break;
        }
    }
    at
}

/// WebP: chunks after the RIFF header, padded to even lengths.
fn count_webp(bytes: &[u8], most: u32) -> u32 {
    let mut count = 0;
    let mut at = 12;
    while let Some(&[a, b, c, d, e, f, g, h]) = bytes.get(at..at + 8).and_then(|head| head.first_chunk())
        && count < most
    {
        count += u32::from([a, b, c, d] == *b"ANMF");
        let length = u32::from_le_bytes([e, f, g, h]) as usize;
        at = at.saturating_add(8 + length + length % 2);
    }
    count.max(1)
}

/// TIFF: directories, each with the place of the next. A chain that leads back to itself ends there.
fn count_tiff(bytes: &[u8], most: u32) -> u32 {
    let tiff = Tiff::new(bytes);
    let mut seen = HashSet::new();
    let mut count = 0;
    let mut next = tiff.first();
    while let Some(at) = next.filter(|&at| at > 0 && count < most && seen.insert(at)) {
        count += 1;
        next = tiff.next(at);
    }
    count.max(1)
}

/// Whether a TIFF's first page has tiles whose colours lie in planes: the decoder fails on them.
pub(crate) fn has_tiled_planes(bytes: &[u8]) -> bool {
    const PLANAR: usize = 284;
    const TILE_WIDTH: usize = 322;
    let tiff = Tiff::new(bytes);
    tiff.first().is_some_and(|at| tiff.tag(at, PLANAR) == Some(2) && tiff.tag(at, TILE_WIDTH).is_some())
}

/// A TIFF's directories, in either byte order, with places of 32 or 64 bits.
struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let big = matches!(bytes.get(2..4), Some([43, 0] | [0, 43]));
        Self { bytes, little: bytes.starts_with(b"II"), big }
    }

    fn number(&self, at: usize, length: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let fold = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        let number = if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) };
        usize::try_from(number).ok()
    }

    /// The bytes of a place, of a directory's number of entries, and of an entry.
    fn sizes(&self) -> (usize, usize, usize) {
        if self.big { (8, 8, 20) } else { (4, 2, 12) }
    }

    fn first(&self) -> Option<usize> {
        let (place, ..) = self.sizes();
        self.number(place, place)
    }

    fn next(&self, at: usize) -> Option<usize> {
        let (place, tally, entry) = self.sizes();
        let end = self.number(at, tally)?.checked_mul(entry)?.checked_add(at)?.checked_add(tally)?;
        self.number(end, place)
    }

    /// The value of a tag whose one value is a number of 16 bits, or the lower half of one of 32 in little-endian files.
    fn tag(&self, at: usize, tag: usize) -> Option<usize> {
        let (place, tally, entry) = self.sizes();
        let entries = self.number(at, tally)?.min(self.bytes.len() / entry);
        let first = at.checked_add(tally)?;
        let found = (0..entries).map(|index| first + index * entry).find(|&at| self.number(at, 2) == Some(tag))?;
        self.number(found + 4 + place, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_counted_up_to_the_limit() {
        let picture = [&[0x2C][..], &[0; 9], &[2, 1, 0, 0]].concat();
        let gif = [&b"GIF89a"[..], &[1, 0, 1, 0, 0, 0, 0], &picture.repeat(5), &[0x3B]].concat();
        assert_eq!(count_frames(&gif, SourceFormat::Gif, 10), 5);
        assert_eq!(count_frames(&gif, SourceFormat::Gif, 3), 4);
        let webp = [&b"RIFF\0\0\0\0WEBP"[..], &b"ANMF\x01\0\0\0..".repeat(7)].concat();
        assert_eq!(count_frames(&webp, SourceFormat::Webp, 10), 7);
    }

    #[test]
    fn a_ring_of_directories_is_counted_once() {
        let ring = b"II*\0\x08\0\0\0\0\0\x08\0\0\0";
        assert_eq!(count_frames(ring, SourceFormat::Tiff, 100), 1);
        let chain = b"MM\0*\0\0\0\x08\0\0\0\0\0\x0E\0\0\0\0\0\0";
        assert_eq!(count_frames(chain, SourceFormat::Tiff, 100), 2);
        assert_eq!(count_frames(chain, SourceFormat::Tiff, 1), 2);
        assert!(!has_tiled_planes(chain));
        let planes = b"II*\0\x08\0\0\0\x02\0\x1C\x01\x03\0\x01\0\0\0\x02\0\0\0\x42\x01\x03\0\x01\0\0\0\x10\0\0\0";
        assert!(has_tiled_planes(planes));
        let big = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0";
        assert_eq!(count_frames(big, SourceFormat::Tiff, 100), 1);
    }
}
