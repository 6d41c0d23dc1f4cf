//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use lab_common::LabArgs;

use crate::picture::Size;

const EXAMPLES: &str = "\
Examples:
  upload-sample-image                     the seed's picture, as lab-image.png
  upload-sample-image --wait --out results
                                          and fetch what the function made of it
  upload-sample-image --text 'Hola!' --size 320x120 --key test/hola.png
  upload-sample-image --file scans/*.tiff --key scans/
                                          files of your own, into a folder
  upload-sample-image --count 50 --wait=2m --json
                                          lab-image-1.png to lab-image-50.png

The buckets are those of [images] in the lab file; pipeline-up makes them.
Exit codes: 0 done, 1 failed, 2 usage or lab.toml, 130 Ctrl-C, 143 SIGTERM.";

/// Makes a sample image, uploads it to the lab's input bucket, and fetches the processed one
#[derive(Debug, Parser)]
#[command(name = "upload-sample-image", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Args {
    /// What is written on the picture, in Latin letters (ISO 8859-15)
    #[arg(long, value_name = "TEXT", default_value = "Hello!")]
    pub text: String,
    /// The picture's width and height in pixels
    #[arg(long, value_name = "WxH", default_value = "200x100")]
    pub size: Size,
    /// The object's key, or the folder for several files [default: lab-image.png, or each file's name]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Upload these files as they are instead of a picture of our own
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["text", "size", "count"])]
    pub file: Vec<PathBuf>,
    /// Upload N numbered pictures, several at a time: lab-image-1.png and so on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: Option<u32>,
    /// Wait until the function has processed the image, and save the result
    #[arg(long, value_name = "TIMEOUT", num_args = 0..=1, require_equals = true, default_missing_value = "60s",
          value_parser = parse_timeout)]
    pub wait: Option<Duration>,
    /// Where results are saved; nothing that is there is overwritten
    #[arg(long, value_name = "DIR", default_value = ".", requires = "wait")]
    pub out: PathBuf,
    /// Which lab, whose, where
    #[command(flatten)]
    pub lab: LabArgs,
}

/// `90`, `90s` or `2m`; at most a day.
fn parse_timeout(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60.0),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .map(|number| number * unit)
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "write seconds or minutes, such as 90s or 2m, at most a day".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_timeout_is_seconds_or_minutes() {
        for (text, seconds) in [("60", 60.0), ("1.5s", 1.5), ("2m", 120.0)] {
            assert_eq!(parse_timeout(text), Ok(Duration::from_secs_f64(seconds)));
        }
        for text in ["", "0", "-1", "soon", "1h", "NaN", "inf", "25000m"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wait_stands_alone_or_with_its_timeout() {
        let parse = |arguments: &[&str]| Args::try_parse_from([&["upload-sample-image"], arguments].concat());
        assert_eq!(parse(&["--wait"]).unwrap().wait, Some(Duration::from_mins(1)));
        assert_eq!(parse(&["--wait=5", "--json"]).unwrap().wait, Some(Duration::from_secs(5)));
        assert!(parse(&["--out", "x"]).is_err(), "--out says nothing without --wait");
        assert!(parse(&["--file", "a.png", "--count", "2"]).is_err());
        assert_eq!(parse(&["--file", "a.png", "b.png"]).unwrap().file.len(), 2);
    }
}
