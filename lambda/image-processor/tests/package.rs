//! The function as it is deployed: how large it is, how soon it asks for its first event, and what an invocation takes
//! beyond the work. `scripts/test.sh` builds it before it runs the tests.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what a test says is read where it fails")]

mod host;

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::lambda::Function;
use host::s3::S3;
use image::RgbImage;
use serde_json::json;
use zip::write::SimpleFileOptions;

/// What `cargo lambda build --release` has made; `None` outside of CI where it has not been run.
fn find_bootstrap() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_image-processor")).ancestors().nth(2).unwrap();
    let bootstrap = target.join("lambda/image-processor/bootstrap");
    if !bootstrap.is_file() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: run scripts/test.sh", bootstrap.display());
        eprintln!("not tested: {} is missing; scripts/test.sh builds it", bootstrap.display());
        return None;
    }
    Some(bootstrap)
}

#[test]
fn the_package_has_less_than_6_mb() {
    let Some(bootstrap) = find_bootstrap() else { return };
    let mut package = zip::ZipWriter::new(Cursor::new(Vec::new()));
    package.start_file("bootstrap", SimpleFileOptions::default()).unwrap();
    package.write_all(&std::fs::read(bootstrap).unwrap()).unwrap();
    let bytes = package.finish().unwrap().into_inner().len();
    println!("{bytes} bytes zipped");
    assert!(bytes < 6_000_000, "{bytes} bytes");
}

/// The fastest of several: what else the machine does is no part of it.
#[test]
fn it_asks_for_its_first_event_within_20_ms() {
    let Some(bootstrap) = find_bootstrap() else { return };
    let s3 = S3::start();
    let start = |_| {
        let start = Instant::now();
        let function = Function::run(&bootstrap, &s3, 60, &[]);
        function.wait_until_ready();
        start.elapsed()
    };
    let fastest = (0..20).map(start).min().unwrap();
    println!("{fastest:?} from spawn to the first GET /next");
    assert!(fastest < Duration::from_millis(20), "{fastest:?}");
}

/// From the event to the answer, with HEAD, GET and PUT between them, for a picture that is no work.
#[test]
fn a_warm_invocation_takes_less_than_3_ms_beyond_the_work() {
    let Some(bootstrap) = find_bootstrap() else { return };
    let s3 = S3::start();
    let function = Function::run(&bootstrap, &s3, 60, &[]);
    let mut png = Cursor::new(Vec::new());
    RgbImage::new(8, 8).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let etag = s3.put("/in/a.png", png.clone());
    let invoke = |sequencer: u32| {
        let event = json!({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "in"}, "object": {
            "key": "a.png", "size": png.len(), "eTag": etag.trim_matches('"'), "sequencer": format!("{sequencer:08X}")}}}]});
        let start = Instant::now();
        let summary = function.invoke(&event.to_string()).unwrap();
        let taken = start.elapsed();
        assert_eq!(summary["processed"].as_array().unwrap().len(), 1, "{summary}");
        taken
    };
    let mut taken: Vec<_> = (1..=200).map(invoke).collect();
    taken.sort();
    println!("{:?} at the fastest, {:?} in the middle", taken[0], taken[100]);
    assert!(taken[0] < Duration::from_millis(3), "{:?}", taken[0]);
}
