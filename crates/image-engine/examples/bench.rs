//! The engine for scripts/bench-images.sh: a process that makes a picture for each line it is given and answers how long
//! that took.
//!
//! A line is `FILE OUT WORD=VALUE…`, the answer JSON: `ms`, `cpu` (both milliseconds), `bytes`. One engine serves all
//! lines, as in a warm function.

#![allow(clippy::print_stdout, reason = "an example, read to its end")]

use std::io::BufRead as _;
use std::time::Instant;

use image_engine::{Engine, Limits, Recipe};

fn main() {
    let mut engine = Engine::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let mut parts = line.split(' ');
        let (file, out) = (parts.next().expect("FILE"), parts.next().expect("OUT"));
        let words: Vec<(&str, &str)> = parts.filter_map(|word| word.split_once('=')).collect();
        let find = |wanted: &str| words.iter().find(|word| word.0 == wanted).map(|word| word.1.to_owned());
        let recipe = Recipe::read(find).unwrap_or_else(|error| panic!("{error}"));
        let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (start, cpu) = (Instant::now(), cpu_milliseconds());
        let made = engine.process(&bytes, &recipe, &Limits::default()).unwrap_or_else(|reason| panic!("{reason}"));
        let (milliseconds, cpu) = (start.elapsed().as_secs_f64() * 1e3, cpu_milliseconds() - cpu);
        let picture = &made.pictures[0].bytes;
        std::fs::write(out, picture).unwrap_or_else(|error| panic!("{out}: {error}"));
        let stages = [made.times.decode, made.times.resize, made.times.encode].map(|stage| stage.as_secs_f64() * 1e3);
        println!("{{\"ms\": {milliseconds}, \"cpu\": {cpu}, \"bytes\": {}, \"stages\": {stages:?}}}", picture.len());
    }
}

/// This process's time on the processor (proc(5), schedstat). The kernel adds to it at every tick, so single runs are a few
/// milliseconds off in either direction, and a median is not.
fn cpu_milliseconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}
