//! What `[images]` wants made of a picture, and how the results are called. The function's engine follows the same words
//! in its environment, in upper case. Pure.

use image_event::result_key;

/// What is made of a picture. What is absent is left to the function, which by default writes a PNG of the picture's own
/// size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The format of the results.
    pub format: Option<PictureFormat>,
    /// Pixels a row, 1 to 16,383.
    pub width: Option<u32>,
    /// Rows, 1 to 16,383.
    pub height: Option<u32>,
    /// What happens where the picture's shape is another.
    pub fit: Option<Fit>,
    /// Whether a smaller picture is enlarged.
    pub enlarge: Option<bool>,
    /// A thumbnail set: a result for each, whose longest side has so many pixels. At most 16, apart from each other.
    pub sizes: Vec<u32>,
    /// Whether colours are dropped.
    pub grayscale: Option<bool>,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: Option<u8>,
    /// What shows through transparent areas: `#rrggbb` in lower case.
    pub background: Option<String>,
    /// Text over the lower right corner: one line of at most 200 characters.
    pub watermark: Option<String>,
    /// Bits a sample.
    pub depth: Option<Depth>,
}

/// A format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG, without loss.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP, with loss.
    Webp,
}

impl PictureFormat {
    /// The word of lab.toml and of the function's environment.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }

    /// The ending of keys, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }
}

/// What happens where the picture's shape is not that of width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// All of it, inside of them.
    Fit,
    /// They are filled, and the rest is cut off.
    Cover,
    /// It is distorted.
    Exact,
}

impl Fit {
    /// The word of lab.toml and of the function's environment.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Cover => "cover",
            Self::Exact => "exact",
        }
    }
}

/// Bits a sample of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As many as the source has.
    Keep,
    /// 8.
    Eight,
}

impl Depth {
    /// The word of lab.toml and of the function's environment.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Eight => "8",
        }
    }
}

impl Recipe {
    /// The function's variables for a recipe's words, in lab.toml's order.
    pub const VARIABLES: [&'static str; 11] = [
        "FORMAT",
        "WIDTH",
        "HEIGHT",
        "FIT",
        "ENLARGE",
        "SIZES",
        "GRAYSCALE",
        "QUALITY",
        "BACKGROUND",
        "WATERMARK",
        "DEPTH",
    ];

    /// Whether nothing is said: the function does what it does by itself.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The function's variables, as far as their words are said.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        let sizes = self.sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let values = [
            self.format.map(|format| format.as_str().to_owned()),
            self.width.map(|width| width.to_string()),
            self.height.map(|height| height.to_string()),
            self.fit.map(|fit| fit.as_str().to_owned()),
            self.enlarge.map(|enlarge| enlarge.to_string()),
            Some(sizes).filter(|sizes| !sizes.is_empty()),
            self.grayscale.map(|grayscale| grayscale.to_string()),
            self.quality.map(|quality| quality.to_string()),
            self.background.clone(),
            self.watermark.clone(),
            self.depth.map(|depth| depth.as_str().to_owned()),
        ];
        Self::VARIABLES.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)))
    }

    /// The keys of the results of the object `key`: `<key without extension>-processed.png`, with the recipe's format and
    /// a size each where it has a thumbnail set.
    pub fn result_keys(&self, key: &str) -> Vec<String> {
        let extension = self.format.unwrap_or(PictureFormat::Png).extension();
        if self.sizes.is_empty() {
            return vec![result_key(key, None, extension)];
        }
        self.sizes.iter().map(|size| result_key(key, Some(*size), extension)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_in_the_environment() {
        assert_eq!(Recipe::default().environment().count(), 0);
        let recipe = Recipe {
            format: Some(PictureFormat::Jpeg),
            sizes: vec![200, 720],
            enlarge: Some(false),
            depth: Some(Depth::Eight),
            ..Recipe::default()
        };
        let expected = [("FORMAT", "jpeg"), ("ENLARGE", "false"), ("SIZES", "200,720"), ("DEPTH", "8")];
        assert!(recipe.environment().eq(expected.map(|(name, value)| (name, value.to_owned()))));
    }

    #[test]
    fn results_are_named_by_format_and_size() {
        let keys = |recipe: &Recipe, key: &str| recipe.result_keys(key);
        let plain = Recipe::default();
        for (key, result) in [
            ("lab-image.png", "lab-image-processed.png"),
            ("scan.v2/slide.01.tiff", "scan.v2/slide.01-processed.png"),
            ("folder.d/plain", "folder.d/plain-processed.png"),
            (".hidden", ".hidden-processed.png"),
            ("a/..png", "a/..png-processed.png"),
            ("trailing.", "trailing-processed.png"),
        ] {
            assert_eq!(keys(&plain, key), [result]);
        }
        let webp = Recipe { format: Some(PictureFormat::Webp), ..Recipe::default() };
        assert_eq!(keys(&webp, "a/b.png"), ["a/b-processed.webp"]);
        let set = Recipe { format: Some(PictureFormat::Jpeg), sizes: vec![200, 720], ..Recipe::default() };
        assert_eq!(keys(&set, "a/b.png"), ["a/b-200-processed.jpg", "a/b-720-processed.jpg"]);
        assert_eq!(image_event::report_key("a/b.png"), "a/b.png-failed.json");
    }
}
