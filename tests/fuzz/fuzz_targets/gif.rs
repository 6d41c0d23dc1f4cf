//! GIF files.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lab_fuzz::process_as(b"GIF89a", bytes));
