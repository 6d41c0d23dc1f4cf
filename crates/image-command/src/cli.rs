//! The command line. Its words are a recipe's.

use std::path::PathBuf;

use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  image-processor --in photo.jpg --out photo.png
  image-processor --in photo.jpg --out small.jpg --width 720 --quality 70
  image-processor --in scan.tiff --out thumb.webp --sizes 200,720
  image-processor --in - --out - --format jpeg --width 300 <a.png >a.jpg

Without arguments this is the Lambda function, which takes the same words from
its environment in upper case (WIDTH=720) and from an object's metadata or tags
(image-width=720).

Exit codes: 0 done; 1 refused, with the reason's code on stderr; 2 wrong usage";

/// Makes pictures of an image, as the function does: upright, in sRGB, without
/// metadata.
#[derive(Debug, Parser)]
#[command(name = "image-processor", bin_name = "image-processor", version, max_term_width = 80, after_help = EXAMPLES)]
pub struct Cli {
    /// Image to read: JPEG, PNG, GIF, WebP, BMP or TIFF; - is stdin
    #[arg(long = "in", value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Picture to write; - is stdout. With --sizes, each has its size in its name
    #[arg(long = "out", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// png, jpeg or webp; otherwise what --out ends in, otherwise png
    #[arg(long)]
    format: Option<String>,
    /// Pixels a row
    #[arg(long)]
    width: Option<String>,
    /// Rows
    #[arg(long)]
    height: Option<String>,
    /// fit inside of width and height, cover them, or be exact
    #[arg(long)]
    fit: Option<String>,
    /// Enlarge smaller images too
    #[arg(long)]
    enlarge: bool,
    /// Thumbnail set: longest sides, such as 200,720
    #[arg(long)]
    sizes: Option<String>,
    /// Drop colours
    #[arg(long)]
    grayscale: bool,
    /// Quality of JPEG and WebP, 1 to 100 [default: 80]
    #[arg(long)]
    quality: Option<String>,
    /// Colour under transparent areas, such as #ffffff
    #[arg(long)]
    background: Option<String>,
    /// Text over the lower right corner
    #[arg(long, value_name = "TEXT")]
    watermark: Option<String>,
    /// keep 16 bits a sample where there are, or 8
    #[arg(long)]
    depth: Option<String>,
    /// Largest image that is accepted, in pixels
    #[arg(long, value_name = "N", default_value_t = 50_000_000)]
    pub(crate) max_pixels: u64,
    /// Report as JSON on stdout, or on stderr with --out -
    #[arg(long)]
    pub(crate) json: bool,
}

impl Cli {
    pub(crate) fn to_stream(&self) -> bool {
        self.output.as_os_str() == crate::STREAM
    }

    /// A recipe's word as it was given.
    pub(crate) fn word(&self, word: &str) -> Option<String> {
        let switch = |on: bool| on.then(|| "true".to_owned());
        match word {
            "format" => self.format.clone().or_else(|| self.ending()),
            "width" => self.width.clone(),
            "height" => self.height.clone(),
            "fit" => self.fit.clone(),
            "enlarge" => switch(self.enlarge),
            "sizes" => self.sizes.clone(),
            "grayscale" => switch(self.grayscale),
            "quality" => self.quality.clone(),
            "background" => self.background.clone(),
            "watermark" => self.watermark.clone(),
            "depth" => self.depth.clone(),
            _ => None,
        }
    }

    /// The output's ending where it names a format.
    fn ending(&self) -> Option<String> {
        let ending = self.output.extension()?.to_str()?.to_ascii_lowercase();
        matches!(ending.as_str(), "png" | "jpg" | "jpeg" | "webp").then_some(ending)
    }
}
