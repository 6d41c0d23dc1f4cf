//! Windows bitmaps.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lab_fuzz::process_as(b"BM", bytes));
