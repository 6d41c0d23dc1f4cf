//! What is to be made of an image, in words that mean the same wherever they stand: the function's environment, an
//! object's metadata or tags, lab.toml, the command line.

use std::ops::RangeInclusive;

/// What is made of an image. The default is a PNG of the image's own size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The format of the pictures.
    pub format: Format,
    /// The size of the one picture, where `sizes` is empty.
    pub resize: Option<Resize>,
    /// A thumbnail set: one picture for each, whose longest side has so many pixels. Smaller images stay as they are.
    pub sizes: Vec<u32>,
    /// Whether colours are dropped.
    pub grayscale: bool,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: u8,
    /// What shows through transparent areas, as red, green, blue. JPEG has none of them: white there, if this is absent.
    pub background: Option<[u8; 3]>,
    /// Text written over the lower right corner.
    pub watermark: Option<String>,
    /// Bits a sample.
    pub depth: Depth,
}

/// A format that pictures are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// PNG, without loss.
    Png,
    /// Baseline JPEG.
    Jpeg,
    /// WebP, with loss.
    Webp,
}

/// The size of the one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// Pixels a row; follows from the height where absent.
    pub width: Option<u32>,
    /// Rows; follows from the width where absent.
    pub height: Option<u32>,
    /// What happens where the shapes differ.
    pub fit: Fit,
    /// Whether a smaller image is enlarged.
    pub enlarge: bool,
}

/// What happens where the image's shape is not that of width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The whole image inside of width and height.
    Fit,
    /// Width and height filled, the rest cut off on both sides alike.
    Cover,
    /// Width and height to the pixel; the image is distorted.
    Exact,
}

/// Bits a sample of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// 16 where the source has more than 8 and the format can.
    Keep,
    /// 8.
    Eight,
}

/// A word of a recipe whose value makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word} is {value:?}: it must be {allowed}")]
pub struct RecipeError {
    /// The word, in lower case.
    pub word: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

/// The longest side of a picture: what WebP can hold.
const MAX_SIDE: u32 = 16_383;
const MAX_SIZES: usize = 16;
const MAX_WATERMARK: usize = 200;

const A_SIDE: &str = "a whole number from 1 to 16383";
const A_SWITCH: &str = "true or false";

impl Default for Recipe {
    fn default() -> Self {
        Self {
            format: Format::Png,
            resize: None,
            sizes: Vec::new(),
            grayscale: false,
            quality: 80,
            background: None,
            watermark: None,
            depth: Depth::Keep,
        }
    }
}

impl Recipe {
    /// All words that [`Recipe::read`] asks for.
    pub const WORDS: [&'static str; 11] = [
        "format",
        "width",
        "height",
        "fit",
        "enlarge",
        "sizes",
        "grayscale",
        "quality",
        "background",
        "watermark",
        "depth",
    ];

    /// Reads a recipe through `lookup`, which is asked for each of [`Recipe::WORDS`]. An empty value counts as absent.
    ///
    /// # Errors
    /// [`RecipeError`] for the first word whose value is not allowed.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, RecipeError> {
        let words = Words(|word: &str| lookup(word).filter(|value| !value.trim().is_empty()));
        let default = Self::default();
        let sizes = words.sizes()?;
        let resize = words.resize()?;
        if let Some(value) = (!sizes.is_empty() && resize.is_some()).then(|| words.text("sizes")).flatten() {
            return Err(RecipeError { word: "sizes", value, allowed: "absent where width or height is given" });
        }
        Ok(Self {
            format: words
                .one_of(
                    "format",
                    &[("png", Format::Png), ("jpeg", Format::Jpeg), ("jpg", Format::Jpeg), ("webp", Format::Webp)],
                    "png, jpeg or webp",
                )?
                .unwrap_or(default.format),
            resize,
            sizes,
            grayscale: words.switch("grayscale")?.unwrap_or(default.grayscale),
            quality: words.number("quality", 1..=100, "a whole number from 1 to 100")?.unwrap_or(default.quality),
            background: words.colour("background")?,
            watermark: words.watermark()?,
            depth: words
                .one_of("depth", &[("keep", Depth::Keep), ("8", Depth::Eight)], "keep or 8")?
                .unwrap_or(default.depth),
        })
    }
}

impl Format {
    /// The ending of file names, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

/// The words' values, by their kinds.
struct Words<L>(L);

impl<L: Fn(&str) -> Option<String>> Words<L> {
    fn text(&self, word: &'static str) -> Option<String> {
        self.0(word).map(|value| value.trim().to_owned())
    }

    fn one_of<T: Copy>(
        &self,
        word: &'static str,
        choices: &[(&str, T)],
        allowed: &'static str,
    ) -> Result<Option<T>, RecipeError> {
        let Some(value) = self.text(word) else { return Ok(None) };
        let lower = value.to_ascii_lowercase();
        match choices.iter().find(|(name, _)| *name == lower) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => Err(RecipeError { word, value, allowed }),
        }
    }

    fn switch(&self, word: &'static str) -> Result<Option<bool>, RecipeError> {
        self.one_of(word, &[("true", true), ("false", false)], A_SWITCH)
    }

    fn number<T>(
        &self,
        word: &'static str,
        range: RangeInclusive<T>,
        allowed: &'static str,
    ) -> Result<Option<T>, RecipeError>
    where
        T: std::str::FromStr + PartialOrd,
    {
        let Some(value) = self.text(word) else { return Ok(None) };
        match value.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(RecipeError { word, value, allowed }),
        }
    }

    fn resize(&self) -> Result<Option<Resize>, RecipeError> {
        let width = self.number("width", 1..=MAX_SIDE, A_SIDE)?;
        let height = self.number("height", 1..=MAX_SIDE, A_SIDE)?;
        let fit = self
            .one_of("fit", &[("fit", Fit::Fit), ("cover", Fit::Cover), ("exact", Fit::Exact)], "fit, cover or exact")?
            .unwrap_or(Fit::Fit);
        let enlarge = self.switch("enlarge")?.unwrap_or(false);
        Ok((width.is_some() || height.is_some()).then_some(Resize { width, height, fit, enlarge }))
    }

    /// `200,720`, with or without brackets and blanks. The order is kept, a repeated size is named once.
    fn sizes(&self) -> Result<Vec<u32>, RecipeError> {
        const ALLOWED: &str = "up to 16 whole numbers from 1 to 16383 with commas between them, such as 200,720";
        let Some(value) = self.text("sizes") else { return Ok(Vec::new()) };
        let mut sizes = Vec::new();
        for part in value.trim_matches(['[', ']']).split(',') {
            match part.trim().parse() {
                Ok(size) if (1..=MAX_SIDE).contains(&size) && sizes.len() < MAX_SIZES => {
                    if !sizes.contains(&size) {
                        sizes.push(size);
                    }
                }
                _ => return Err(RecipeError { word: "sizes", value, allowed: ALLOWED }),
            }
        }
        Ok(sizes)
    }

    /// `#rrggbb`, `rrggbb`, `white` or `black`.
    fn colour(&self, word: &'static str) -> Result<Option<[u8; 3]>, RecipeError> {
        let Some(value) = self.text(word) else { return Ok(None) };
        let lower = value.to_ascii_lowercase();
        let digits = match lower.as_str() {
            "white" => "ffffff",
            "black" => "000000",
            other => other.trim_start_matches('#'),
        };
        if digits.len() == 6
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            && let Ok(number) = u32::from_str_radix(digits, 16)
        {
            let [_, red, green, blue] = number.to_be_bytes();
            return Ok(Some([red, green, blue]));
        }
        Err(RecipeError { word, value, allowed: "a colour such as #ffffff, or white or black" })
    }

    fn watermark(&self) -> Result<Option<String>, RecipeError> {
        match self.text("watermark") {
            Some(value) if value.chars().count() > MAX_WATERMARK || value.chars().any(char::is_control) => {
                Err(RecipeError { word: "watermark", value, allowed: "one line of at most 200 characters" })
            }
            other => Ok(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[(&str, &str)]) -> Result<Recipe, RecipeError> {
        Recipe::read(|word| words.iter().find(|(known, _)| *known == word).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_words_it_is_a_png_of_full_size() {
        assert_eq!(read(&[]).unwrap(), Recipe::default());
        assert_eq!(read(&[("width", " "), ("sizes", "")]).unwrap(), Recipe::default());
    }

    #[test]
    fn every_word_is_read() {
        let recipe = read(&[
            ("format", "JPEG"),
            ("width", "720"),
            ("fit", "cover"),
            ("enlarge", "true"),
            ("grayscale", "true"),
            ("quality", "70"),
            ("background", "#0a0B0c"),
            ("watermark", " © Lab "),
            ("depth", "8"),
        ])
        .unwrap();
        assert_eq!(
            recipe,
            Recipe {
                format: Format::Jpeg,
                resize: Some(Resize { width: Some(720), height: None, fit: Fit::Cover, enlarge: true }),
                sizes: vec![],
                grayscale: true,
                quality: 70,
                background: Some([10, 11, 12]),
                watermark: Some("© Lab".to_owned()),
                depth: Depth::Eight,
            }
        );
        assert_eq!(read(&[("sizes", "[200, 720,200]")]).unwrap().sizes, [200, 720]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, says) in [
            (&[("format", "gif")][..], "png, jpeg or webp"),
            (&[("width", "0")][..], "width is \"0\""),
            (&[("height", "16384")][..], "1 to 16383"),
            (&[("fit", "contain")][..], "fit, cover or exact"),
            (&[("enlarge", "yes")][..], "true or false"),
            (&[("sizes", "200;720")][..], "200,720"),
            (&[("sizes", "200"), ("width", "5")][..], "absent where"),
            (&[("quality", "101")][..], "1 to 100"),
            (&[("background", "#fff")][..], "#ffffff"),
            (&[("watermark", "a\nb")][..], "one line"),
            (&[("depth", "16")][..], "keep or 8"),
        ] {
            let error = read(words).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
