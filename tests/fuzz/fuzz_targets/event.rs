//! Payloads of the function.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = serde_json::from_slice(bytes) {
        let _ = image_event::read_invocation(&payload);
    }
});
