//! Files in bad hands: every one gets an answer, in time and within the limits, and the engine goes on.

mod corpus;

use std::time::{Duration, Instant};

use corpus::{FORMATS, bombs, burdens, busy, cut, encode, flip, good, png_chunk, png_file, zeros};
use image_engine::{Engine, Format, Limits, Reason, Recipe, Resize};

fn recipes() -> Vec<Recipe> {
    let small = Resize { width: Some(13), height: Some(9), fit: image_engine::Fit::Cover, enlarge: true };
    vec![
        Recipe::default(),
        Recipe { format: Format::Jpeg, resize: Some(small), ..Recipe::default() },
        Recipe { format: Format::Webp, sizes: vec![5, 30], watermark: Some("x".into()), ..Recipe::default() },
        Recipe { grayscale: true, background: Some([1, 2, 3]), sizes: vec![8], ..Recipe::default() },
    ]
}

/// Seconds that no file of the corpus may take, in a build without optimisation on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// A function keeps engines for whichever thread has work.
#[test]
fn an_engine_goes_to_other_threads() {
    fn check<T: Send>() {}
    check::<Engine>();
}

#[test]
fn every_good_file_goes_through_every_recipe() {
    let mut engine = Engine::new();
    for file in good() {
        for recipe in recipes() {
            let made = engine.process(&file.bytes, &recipe, &Limits::default());
            let made = made.unwrap_or_else(|reason| panic!("{} {}: {reason}", file.format, file.name));
            assert_eq!(made.pictures.len(), recipe.sizes.len().max(1));
            for picture in made.pictures {
                let decoded = image::load_from_memory(&picture.bytes).unwrap();
                assert_eq!((decoded.width(), decoded.height()), (picture.width, picture.height), "{}", file.name);
            }
        }
    }
}

#[test]
fn bombs_are_refused_for_what_they_are() {
    let mut engine = Engine::new();
    for file in bombs() {
        let start = Instant::now();
        let reason = engine.process(&file.bytes, &Recipe::default(), &Limits::default()).unwrap_err();
        assert!(!matches!(reason, Reason::DecoderPanicked(_)), "{} {}: {reason}", file.format, file.name);
        assert!(start.elapsed() < LONG, "{} {}", file.format, file.name);
        let expected = match file.name.as_str() {
            "lying-header" | "pixels-from-nothing" => "too_many_pixels",
            "thousand-scans" => "unsupported_image",
            _ => "damaged_image",
        };
        assert_eq!(reason.code(), expected, "{} {}: {reason}", file.format, file.name);
    }
}

#[test]
fn metadata_that_is_a_burden_is_left_behind() {
    let mut engine = Engine::new();
    for file in burdens() {
        let start = Instant::now();
        let made = engine.process(&file.bytes, &Recipe::default(), &Limits::default());
        assert!(made.is_ok(), "{} {}: {:?}", file.format, file.name, made.err());
        assert!(made.unwrap().pictures[0].bytes.len() < 20_000);
        assert!(start.elapsed() < LONG, "{} {}", file.format, file.name);
    }
}

/// Wherever a file is cut, it is refused, or nothing of the picture was missing.
#[test]
fn a_truncated_file_is_refused() {
    let mut engine = Engine::new();
    let mut process = |bytes: &[u8]| {
        engine.process(bytes, &Recipe::default(), &Limits::default()).map(|mut made| made.pictures.remove(0).bytes)
    };
    for (format, large) in FORMATS {
        let file = encode(busy(150, 100), large);
        let whole = process(&file).unwrap();
        for part in cut(&file, 1024) {
            match process(part) {
                Ok(picture) => assert_eq!(picture, whole, "{format} cut at {}", part.len()),
                Err(reason) => assert!(!matches!(reason, Reason::DecoderPanicked(_)), "{format}: {reason}"),
            }
        }
    }
}

#[test]
fn a_turned_bit_gets_an_answer_and_the_engine_goes_on() {
    let mut engine = Engine::new();
    let limits = Limits { max_pixels: 1_000_000, ..Limits::default() };
    let recipes = recipes();
    for file in good() {
        for (index, damaged) in flip(&file.bytes, 60).enumerate() {
            let _ = engine.process(&damaged, &recipes[index % recipes.len()], &limits);
        }
        assert!(engine.process(&file.bytes, &recipes[0], &limits).is_ok(), "{} {}", file.format, file.name);
    }
}

#[test]
fn a_deadline_that_has_passed_ends_the_work() {
    let limits = Limits { deadline: Some(Instant::now()), ..Limits::default() };
    for file in good() {
        let reason = Engine::new().process(&file.bytes, &Recipe::default(), &limits).unwrap_err();
        assert_eq!(reason, Reason::TookTooLong, "{} {}", file.format, file.name);
    }
}

#[test]
fn enlarging_stays_within_the_limit() {
    let resize = Resize { width: Some(16_000), height: None, fit: image_engine::Fit::Fit, enlarge: true };
    let recipe = Recipe { resize: Some(resize), ..Recipe::default() };
    let file = png_file(10, 10, [8, 2, 0], &[png_chunk(*b"IDAT", &zeros(310))]);
    let reason = Engine::new().process(&file, &recipe, &Limits::default()).unwrap_err();
    assert_eq!(reason.code(), "too_many_pixels");
}

#[test]
fn too_many_pictures_are_refused_by_their_number() {
    let limits = Limits { max_frames: 1, ..Limits::default() };
    let file = include_bytes!("data/animated.gif");
    let reason = Engine::new().process(file, &Recipe::default(), &limits).unwrap_err();
    assert_eq!(reason.code(), "too_many_frames");
}
