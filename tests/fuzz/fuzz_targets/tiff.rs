//! TIFF files, of both byte orders.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let signature = if bytes.starts_with(b"M") { b"MM\0*" } else { b"II*\0" };
    lab_fuzz::process_as(signature, bytes);
});
