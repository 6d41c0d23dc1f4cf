//! Runs a recipe on a file several times in one warm engine and prints the milliseconds and the result's size as JSON.
//!
//! Usage: measure FILE RUNS [WORD=VALUE…]; with OUT set, the first picture is written there.

use std::time::Instant;

use image_engine::{Engine, Limits, Recipe};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("FILE");
    let runs: usize = arguments.next().expect("RUNS").parse().expect("a number of runs");
    let words: Vec<(String, String)> = arguments
        .map(|word| word.split_once('=').map(|(word, value)| (word.to_owned(), value.to_owned())).expect("WORD=VALUE"))
        .collect();
    let recipe = Recipe::read(|word| words.iter().find(|(known, _)| known == word).map(|(_, value)| value.clone()))
        .unwrap_or_else(|error| panic!("{error}"));
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut engine = Engine::new();
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..runs {
        let start = Instant::now();
        let made = engine.process(&bytes, &recipe, &Limits::default()).unwrap_or_else(|reason| panic!("{reason}"));
        times.push(start.elapsed().as_secs_f64() * 1e3);
        last = Some(made);
    }
    let made = last.expect("at least one run");
    let picture = &made.pictures[0];
    if let Some(out) = std::env::var_os("OUT") {
        std::fs::write(out, &picture.bytes).expect("the picture is written");
    }
    let stages = [made.times.decode, made.times.resize, made.times.encode].map(|stage| stage.as_secs_f64() * 1e3);
    println!(
        "{{\"ms\": {times:?}, \"stages\": {stages:?}, \"bytes\": {}, \"width\": {}, \"height\": {}}}",
        picture.bytes.len(),
        picture.width,
        picture.height
    );
}
