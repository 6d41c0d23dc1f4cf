//! A walk over a JPEG's markers. The decoder fills what is missing of a truncated file with grey; a lab should hear of
//! it instead.

/// What the markers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JpegScan {
    /// The end marker (EOI) follows the image data; what stands behind it (other pictures, maker data) does not count.
    pub(crate) complete: bool,
    /// The frame is progressive (SOF2, 6, 10, 14).
    pub(crate) progressive: bool,
}

/// Walks the markers (ITU-T T.81, annex B). Segments are skipped by their length, so a thumbnail's markers inside EXIF
/// are not taken for the image's; in image data, FF is followed by 00 or a restart marker, so the next other marker ends it.
pub(crate) fn scan_jpeg(bytes: &[u8]) -> JpegScan {
    let mut scan = JpegScan { complete: false, progressive: false };
    let mut image_data_seen = false;
    let mut at = 2;
    while let Some(marker) = next_marker(bytes, &mut at) {
        match marker {
            // Stuffing, TEM, restarts and a start of image have no length.
            0x00 | 0x01 | 0xD0..=0xD8 => continue,
            0xD9 => {
                scan.complete = image_data_seen;
                break;
            }
            0xC2 | 0xC6 | 0xCA | 0xCE => scan.progressive = true,
            0xDA => image_data_seen = true,
            _ => {}
        }
        let Some(&[high, low]) = bytes.get(at..at + 2) else {
            break;
        };
        at += usize::from(u16::from_be_bytes([high, low])).max(2);
    }
    scan
}

/// The byte after the next run of FF; `at` moves behind it.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    let rest = bytes.get(*at..)?;
    let ff = rest.iter().position(|&byte| byte == 0xFF)?;
    let run = rest[ff..].iter().position(|&byte| byte != 0xFF)?;
    *at += ff + run + 1;
    Some(rest[ff + run])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOI: &[u8] = &[0xFF, 0xD8];
    const APP1_WITH_A_THUMBNAIL: &[u8] = &[0xFF, 0xE1, 0, 8, 0xFF, 0xDA, 0, 2, 0xFF, 0xD9];
    const SOF2: &[u8] = &[0xFF, 0xC2, 0, 3, 8];
    const SOS: &[u8] = &[0xFF, 0xDA, 0, 3, 1];
    const DATA: &[u8] = &[1, 2, 0xFF, 0x00, 3, 0xFF, 0xD0, 4];
    const EOI: &[u8] = &[0xFF, 0xFF, 0xD9];

    #[test]
    fn the_end_marker_of_the_image_itself_counts() {
        let whole = [SOI, APP1_WITH_A_THUMBNAIL, SOF2, SOS, DATA, EOI, b"trailer"].concat();
        assert_eq!(scan_jpeg(&whole), JpegScan { complete: true, progressive: true });
        let cut = [SOI, APP1_WITH_A_THUMBNAIL, SOS, DATA].concat();
        assert_eq!(scan_jpeg(&cut), JpegScan { complete: false, progressive: false });
    }

    #[test]
    fn no_length_leads_out_of_the_file() {
        for end in 0..8 {
            let bytes = [SOI, &[0xFF, 0xE1, 0xFF, 0xFF, 0xFF, 0xFF][..end.min(6)]].concat();
            assert!(!scan_jpeg(&bytes).complete);
        }
    }
}
