//! Draws the samples of the tests: `cargo run -p lab-picture --example samples -- DIRECTORY`.

#![allow(clippy::print_stdout, reason = "an example, read to its end")]

use std::path::Path;

#[path = "../tests/samples/mod.rs"]
mod samples;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: samples DIRECTORY")?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    for (name, scene) in samples::all() {
        keep(directory, name, &lab_picture::to_svg(&lab_picture::arrange(&scene)))?;
    }
    let class: Vec<_> = (0..30).map(|_| samples::hol02()).collect();
    keep(directory, "class", &lab_picture::to_svg(&lab_picture::arrange_all(&class, "All labs in us-east-1")))
}

fn keep(directory: &Path, name: &str, svg: &str) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::write(directory.join(name).with_extension("svg"), svg)?;
    let scale = if name == "class" { 0.5 } else { 1.5 };
    std::fs::write(directory.join(name).with_extension("png"), lab_picture::to_png(svg, scale)?.bytes)?;
    println!("{name}: {} kB of SVG", svg.len() / 1000);
    Ok(())
}
