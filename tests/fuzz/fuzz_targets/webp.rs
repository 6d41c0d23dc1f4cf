//! WebP files. The file's length, which it states, is always right, or nothing behind it would be looked at.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(length) = bytes.len().checked_sub(8).filter(|length| *length > 4) else { return };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    lab_fuzz::process_as(&[&b"RIFF"[..], &length.to_le_bytes(), b"WEBP"].concat(), bytes);
});
