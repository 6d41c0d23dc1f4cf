//! `image-processor --in F --out F`: what the function does to an object, done to a file. The function's binary runs this
//! when it is called with arguments, so what is tried here is what Lambda runs.

mod cli;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use image_engine::{Engine, Format, Limits, Made, Picture, Recipe};
use serde_json::{Value, json};

pub use crate::cli::Cli;

/// `-` stands for standard input and output.
const STREAM: &str = "-";

/// Why there are no pictures.
enum Failure {
    /// The image or a file: exit code 1.
    Refused(String),
    /// The command line: exit code 2.
    Usage(String),
}

/// Runs the command with the process's arguments and streams.
pub fn run() -> ExitCode {
    let code = run_with(std::env::args_os(), &mut std::io::stdin(), &mut std::io::stdout(), &mut std::io::stderr());
    ExitCode::from(code)
}

/// Runs the command and answers its exit code: 0 done, 1 refused, 2 wrong usage.
pub fn run_with(
    arguments: impl IntoIterator<Item = OsString>,
    input: &mut impl Read,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let shown = error.render();
            // Help and version are what was asked for.
            let done = if error.use_stderr() { write!(errors, "{shown}") } else { write!(output, "{shown}") };
            return if done.is_ok() && !error.use_stderr() { 0 } else { 2 };
        }
    };
    let (message, code) = match make(&cli, input, output, errors) {
        Ok(()) => return 0,
        Err(Failure::Refused(message)) => (message, 1),
        Err(Failure::Usage(message)) => (message, 2),
    };
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(errors, "image-processor: {message}");
    code
}

fn make(cli: &Cli, input: &mut impl Read, output: &mut impl Write, errors: &mut impl Write) -> Result<(), Failure> {
    let recipe = Recipe::read(|word| cli.word(word)).map_err(|error| Failure::Usage(format!("--{error}")))?;
    if cli.to_stream() && recipe.sizes.len() > 1 {
        return Err(Failure::Usage("--out - takes one picture: name a file with --sizes".to_owned()));
    }
    let bytes = read(&cli.input, input).map_err(|error| refuse(&cli.input, &error))?;
    let limits = Limits { max_pixels: cli.max_pixels, ..Limits::default() };
    let made = Engine::new()
        .process(&bytes, &recipe, &limits)
        .map_err(|reason| Failure::Refused(format!("{}: {reason}", reason.code())))?;
    for picture in &made.pictures {
        let path = name(&cli.output, picture);
        write(&path, &picture.bytes, output).map_err(|error| refuse(&path, &error))?;
    }
    if cli.json {
        let report = report(&bytes, &made, &cli.output);
        let done = if cli.to_stream() { writeln!(errors, "{report}") } else { writeln!(output, "{report}") };
        done.map_err(|error| Failure::Refused(format!("the report cannot be written: {error}")))?;
    }
    Ok(())
}

fn refuse(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Refused(format!("{}: {error}", path.display()))
}

fn read(path: &Path, input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != STREAM {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8], output: &mut impl Write) -> std::io::Result<()> {
    if path.as_os_str() != STREAM {
        return std::fs::write(path, bytes);
    }
    output.write_all(bytes)?;
    output.flush()
}

/// Where a picture goes: one of a set has its size before the ending.
fn name(output: &Path, picture: &Picture) -> PathBuf {
    let Some(size) = picture.size.filter(|_| output.as_os_str() != STREAM) else { return output.to_owned() };
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{size}"));
    if let Some(ending) = output.extension() {
        name.push(".");
        name.push(ending);
    }
    output.with_file_name(name)
}

fn report(bytes: &[u8], made: &Made, output: &Path) -> Value {
    let milliseconds = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let pictures: Vec<Value> = made
        .pictures
        .iter()
        .map(|picture| {
            json!({
                "file": name(output, picture),
                "format": match picture.format {
                    Format::Png => "png",
                    Format::Jpeg => "jpeg",
                    Format::Webp => "webp",
                },
                "width": picture.width,
                "height": picture.height,
                "size": picture.size,
                "bytes": picture.bytes.len(),
            })
        })
        .collect();
    json!({
        "source": {
            "format": made.source.format.name(),
            "width": made.source.width,
            "height": made.source.height,
            "bytes": bytes.len(),
        },
        "pictures": pictures,
        "milliseconds": {
            "decode": milliseconds(made.times.decode),
            "resize": milliseconds(made.times.resize),
            "encode": milliseconds(made.times.encode),
        },
    })
}
