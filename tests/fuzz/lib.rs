//! What the targets share: one engine for many inputs, as in a warm function, and limits that keep the fuzzer fast.

use std::cell::RefCell;

use image_engine::{Engine, Limits, Reason, Recipe};

const LIMITS: Limits = Limits { max_pixels: 4_000_000, max_frames: 1000, memory: Some(512 << 20), deadline: None };

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new());
}

/// Puts `bytes` through a recipe.
///
/// # Panics
/// Where the engine lets a decoder's panic be its answer, and where a picture is larger than the limits.
pub fn process(bytes: &[u8], recipe: &Recipe) {
    let made = ENGINE.with_borrow_mut(|engine| engine.process(bytes, recipe, &LIMITS));
    match made {
        Ok(made) => {
            for picture in made.pictures {
                assert!(u64::from(picture.width) * u64::from(picture.height) <= LIMITS.max_pixels);
                assert!(!picture.bytes.is_empty());
            }
        }
        Err(Reason::DecoderPanicked(detail)) => panic!("{detail}"),
        Err(_) => {}
    }
}

/// Puts `bytes` through a decoder only: the file's first bytes are set to what that decoder is chosen by.
pub fn process_as(signature: &[u8], bytes: &[u8]) {
    let mut file = bytes.to_vec();
    if file.len() < signature.len() {
        return;
    }
    file[..signature.len()].copy_from_slice(signature);
    process(&file, &Recipe::default());
}
