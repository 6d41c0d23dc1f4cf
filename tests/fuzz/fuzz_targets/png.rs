//! PNG files.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lab_fuzz::process_as(b"\x89PNG\r\n\x1a\n", bytes));
