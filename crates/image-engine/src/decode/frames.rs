//! How many pictures a file holds, without decoding any.

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

/// TIFF: directories, each with the place of the next. A chain that leads back to itself never ends.
fn count_tiff(bytes: &[u8], most: u32) -> u32 {
    let little = bytes.starts_with(b"II");
    let big = matches!(bytes.get(2..4), Some([43, 0] | [0, 43]));
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let fold = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        let number = if little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) };
        usize::try_from(number).ok()
    };
    let (place, tally, entry) = if big { (8, 8, 20) } else { (4, 2, 12) };
    let mut next = number(if big { 8 } else { 4 }, place);
    let mut count = 0;
    while let Some(at) = next.filter(|&at| at > 0 && count < most) {
        count += 1;
        next = number(at, tally)
            .and_then(|entries| entries.checked_mul(entry)?.checked_add(at)?.checked_add(tally))
            .and_then(|end| number(end, place));
    }
    count.max(1)
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
    fn a_ring_of_directories_ends_at_the_limit() {
        let ring = b"II*\0\x08\0\0\0\0\0\x08\0\0\0";
        assert_eq!(count_frames(ring, SourceFormat::Tiff, 100), 101);
        let chain = b"MM\0*\0\0\0\x08\0\0\0\0\0\x0E\0\0\0\0\0\0";
        assert_eq!(count_frames(chain, SourceFormat::Tiff, 100), 2);
        let big = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0";
        assert_eq!(count_frames(big, SourceFormat::Tiff, 100), 101);
    }
}
