//! Any file through any recipe: the first line is the recipe's words, the rest is the file.

#![no_main]

use image_engine::Recipe;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let words = String::from_utf8_lossy(&bytes[..end]);
    let lookup = |wanted: &str| {
        words
            .split_whitespace()
            .find_map(|word| word.split_once('=').filter(|word| word.0 == wanted))
            .map(|word| word.1.to_owned())
    };
    if let Ok(recipe) = Recipe::read(lookup) {
        lab_fuzz::process(bytes.get(end + 1..).unwrap_or_default(), &recipe);
    }
});
