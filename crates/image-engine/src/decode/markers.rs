//! A walk over a JPEG's markers. What it tells is checked before the decoder sees a byte, which fills what is missing of
//! a truncated file with grey; a lab should hear of it instead.

use image::metadata::Orientation;
use memchr::memchr;

/// The largest ICC profile that is read, in bytes: a printer's has one or two megabytes.
pub(crate) const MAX_PROFILE: usize = 4 * 1024 * 1024;

const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const ADOBE: &[u8] = b"Adobe";

/// What the markers tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Markers {
    /// The end marker (EOI) follows the image data; what stands behind it (other pictures, maker data) does not count.
    pub(crate) complete: bool,
    /// The first frame.
    pub(crate) frame: Option<Frame>,
    /// Passes over the image data.
    pub(crate) scans: u32,
    /// EXIF's orientation.
    pub(crate) orientation: Option<Orientation>,
    /// The ICC profile, put together of its segments.
    pub(crate) profile: Option<Vec<u8>>,
    /// Adobe's segment is there, which means that CMYK is stored inverted.
    pub(crate) adobe: bool,
}

/// A frame header (SOF).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The marker's second byte.
    pub(crate) marker: u8,
    /// Bits a sample.
    pub(crate) depth: u8,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) components: u8,
    /// Samples of all components for one pixel of the image, in 1/16.
    pub(crate) samples: u32,
}

/// Walks the markers (ITU-T T.81, annex B). Segments are skipped by their length, so a thumbnail's markers inside EXIF
/// are not taken for the image's; in image data, FF is followed by 00 or a restart marker, so the next other marker ends it.
pub(crate) fn read_markers(bytes: &[u8]) -> Markers {
    let mut seen = Markers::default();
    let mut profile = Profile::default();
    let mut at = 2;
    while let Some(marker) = next_marker(bytes, &mut at) {
        match marker {
            // Stuffing, TEM, restarts and a start of image have no length.
            0x00 | 0x01 | 0xD0..=0xD8 => continue,
            0xD9 => {
                seen.complete = seen.scans > 0;
                break;
            }
            _ => {}
        }
        let Some(&[high, low]) = bytes.get(at..at + 2) else { break };
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let content = bytes.get(at + 2..at + length).unwrap_or_default();
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if seen.frame.is_none() => {
                seen.frame = read_frame(marker, content);
            }
            0xDA => seen.scans = seen.scans.saturating_add(1),
            0xE1 if seen.orientation.is_none() => {
                seen.orientation = content.strip_prefix(EXIF).and_then(Orientation::from_exif_chunk);
            }
            0xE2 => profile.add(content),
            0xEE => seen.adobe |= content.starts_with(ADOBE),
            _ => {}
        }
        at += length;
    }
    seen.profile = profile.finish();
    seen
}

/// The file without what the decoder stumbles over and no pixel needs: bytes between segments, and the segments of
/// applications but JFIF's and Adobe's. `None` where no image data follows.
pub(crate) fn strip_segments(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..2)?.to_vec();
    let mut at = 2;
    loop {
        let marker = next_marker(bytes, &mut at)?;
        if matches!(marker, 0x00 | 0x01 | 0xD0..=0xD9) {
            continue;
        }
        let start = at;
        at += usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])).max(2);
        if marker == 0xDA {
            kept.extend([0xFF, marker]);
            kept.extend_from_slice(&bytes[start..]);
            return Some(kept);
        }
        if !matches!(marker, 0xE1..=0xED | 0xEF | 0xFE) {
            kept.extend([0xFF, marker]);
            kept.extend_from_slice(bytes.get(start..at)?);
        }
    }
}

fn read_frame(marker: u8, content: &[u8]) -> Option<Frame> {
    let &[depth, h1, h2, w1, w2, components, ref rest @ ..] = content else { return None };
    let factors =
        || rest.chunks_exact(3).take(usize::from(components)).map(|component| (component[1] >> 4, component[1] & 15));
    let most = |of: fn((u8, u8)) -> u8| u32::from(factors().map(of).max().unwrap_or(1).max(1));
    let full = most(|factor| factor.0) * most(|factor| factor.1);
    let samples = factors().map(|(across, down)| u32::from(across) * u32::from(down)).sum::<u32>();
    let (width, height) = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
    Some(Frame { marker, depth, width, height, components, samples: samples * 16 / full })
}

/// The byte after the next run of FF; `at` moves behind it.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    let rest = bytes.get(*at..)?;
    let ff = memchr(0xFF, rest)?;
    let run = rest[ff..].iter().position(|&byte| byte != 0xFF)?;
    *at += ff + run + 1;
    Some(rest[ff + run])
}

/// A profile's segments: each says which of how many it is.
#[derive(Debug, Default)]
struct Profile<'a> {
    parts: Vec<(u8, &'a [u8])>,
    count: u8,
}

impl<'a> Profile<'a> {
    fn add(&mut self, content: &'a [u8]) {
        if let Some(&[index, count, ref data @ ..]) = content.strip_prefix(ICC)
            && self.parts.len() < 255
        {
            self.count = count;
            self.parts.push((index, data));
        }
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        self.parts.sort_by_key(|part| part.0);
        let whole = !self.parts.is_empty()
            && self.parts.len() == usize::from(self.count)
            && self.parts.iter().zip(1..=255).all(|(part, index)| part.0 == index)
            && self.parts.iter().map(|part| part.1.len()).sum::<usize>() <= MAX_PROFILE;
        whole.then(|| self.parts.iter().flat_map(|part| part.1).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOI: &[u8] = &[0xFF, 0xD8];
    const APP1_WITH_A_THUMBNAIL: &[u8] = &[0xFF, 0xE1, 0, 8, 0xFF, 0xDA, 0, 2, 0xFF, 0xD9];
    const SOF2: &[u8] = &[0xFF, 0xC2, 0, 17, 8, 0, 40, 0, 64, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
    const SOS: &[u8] = &[0xFF, 0xDA, 0, 3, 1];
    const DATA: &[u8] = &[1, 2, 0xFF, 0x00, 3, 0xFF, 0xD0, 4];
    const EOI: &[u8] = &[0xFF, 0xFF, 0xD9];

    #[test]
    fn the_end_marker_of_the_image_itself_counts() {
        let whole = read_markers(&[SOI, APP1_WITH_A_THUMBNAIL, SOF2, SOS, DATA, SOS, DATA, EOI, b"trailer"].concat());
        assert!(whole.complete);
        assert_eq!(whole.scans, 2);
        let frame = whole.frame.unwrap();
        assert_eq!((frame.width, frame.height, frame.components, frame.samples), (64, 40, 3, 24));
        assert_eq!(frame.marker, 0xC2);
        let cut = read_markers(&[SOI, APP1_WITH_A_THUMBNAIL, SOS, DATA].concat());
        assert!(!cut.complete && cut.frame.is_none());
    }

    #[test]
    fn what_no_pixel_needs_can_be_left_out() {
        let junk: &[u8] = &[1, 2, 0xFF, 0x00, 3];
        let file = [SOI, junk, APP1_WITH_A_THUMBNAIL, SOF2, junk, SOS, DATA, EOI].concat();
        assert_eq!(strip_segments(&file).unwrap(), [SOI, SOF2, SOS, DATA, EOI].concat());
        assert_eq!(strip_segments(&[SOI, SOF2].concat()), None);
    }

    #[test]
    fn no_length_leads_out_of_the_file() {
        for end in 0..8 {
            let bytes = [SOI, &[0xFF, 0xE1, 0xFF, 0xFF, 0xFF, 0xFF][..end.min(6)]].concat();
            assert!(!read_markers(&bytes).complete);
        }
    }

    #[test]
    fn a_profile_is_put_together_in_its_order_or_not_at_all() {
        let part = |index: u8, count: u8, data: &[u8]| {
            let length = u16::try_from(2 + 14 + data.len()).unwrap().to_be_bytes();
            [&[0xFF, 0xE2][..], &length, ICC, &[index, count], data].concat()
        };
        let (first, second) = (part(1, 2, b"ab"), part(2, 2, b"cd"));
        let profile = |parts: &[&[u8]]| read_markers(&[SOI, &parts.concat()].concat()).profile;
        assert_eq!(profile(&[&second, &first]).as_deref(), Some(&b"abcd"[..]));
        assert_eq!(profile(&[&second]), None);
        assert_eq!(profile(&[&first, &first]), None);
    }
}
