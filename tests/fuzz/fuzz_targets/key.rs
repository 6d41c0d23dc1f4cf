//! Keys as events write them: what is decoded can be written into a header and a result's name.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(key) = image_event::decode_event_key(text) {
        assert!(image_event::encode_for_header(&key).is_ascii());
        assert!(key.starts_with(image_event::strip_extension(&key)));
    }
});
