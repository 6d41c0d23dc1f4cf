//! What is to be made of an object: the environment's words, a Batch job's arguments, the object's own tags and metadata.
//!
//! The nearer to the object, the stronger: its tags before its metadata, these before a job's arguments, and the
//! environment last.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use image_engine::{Depth, Fit, Recipe, RecipeError};
use image_event::{encode_for_header, name_result};

use crate::reason::Reason;

/// What a word's name starts with in metadata and tags.
const PREFIX: &str = "image-";

/// The longest description of a recipe in a result's metadata, in bytes.
const MAX_DESCRIPTION: usize = 200;

/// A recipe's words as they were found, by their name in lower case.
pub(crate) type Words = BTreeMap<String, String>;

/// A recipe, and how results name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What to make.
    pub recipe: Recipe,
    /// The same in words, at most 200 bytes of ASCII. Two recipes that differ have different descriptions.
    pub description: String,
    words: Words,
}

impl Wish {
    /// Reads the words of the environment (`FORMAT`, `WIDTH`, …).
    pub(crate) fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, RecipeError> {
        let find = |word: &&str| Some(((*word).to_owned(), lookup(&word.to_ascii_uppercase())?));
        Self::of(Recipe::WORDS.iter().filter_map(find).collect())
    }

    fn of(words: Words) -> Result<Self, RecipeError> {
        let recipe = Recipe::read(|word| words.get(word).cloned())?;
        Ok(Self { description: describe(&recipe), recipe, words })
    }

    /// Nothing is made: S3 copies.
    pub(crate) fn copy(&self) -> Self {
        Self { description: "copy".to_owned(), ..self.clone() }
    }

    /// This wish with the arguments of a Batch job. Those that are no words of a recipe are the job's own business.
    pub(crate) fn with_arguments(&self, arguments: &Words) -> Result<Self, Reason> {
        let words = arguments.iter().filter(|(name, _)| is_word(name));
        self.with(words.map(|(name, value)| (name.clone(), value.clone())), "the job's userArguments")
    }

    /// This wish with an object's own words, as S3 gives its metadata or tags.
    ///
    /// # Errors
    /// [`Reason::BadWord`], and [`Reason::UnknownWord`] for a name that starts with `image-` and is no word: a
    /// misspelled one would be a wrong picture that nobody notices.
    pub(crate) fn with_own<'a>(
        &self,
        own: impl IntoIterator<Item = (&'a str, &'a str)>,
        place: &'static str,
    ) -> Result<Self, Reason> {
        let mut words = Vec::new();
        for (name, value) in own {
            let lower = name.to_ascii_lowercase();
            match lower.strip_prefix(PREFIX) {
                None => {}
                Some(word) if is_word(word) => words.push((word.to_owned(), value.to_owned())),
                Some(_) => return Err(Reason::UnknownWord { place, name: name.to_owned() }),
            }
        }
        self.with(words, place)
    }

    fn with(&self, nearer: impl IntoIterator<Item = (String, String)>, place: &'static str) -> Result<Self, Reason> {
        let mut words = self.words.clone();
        words.extend(nearer);
        if words == self.words {
            return Ok(self.clone());
        }
        Self::of(words).map_err(|error| Reason::BadWord { place, error })
    }

    /// The keys of the results, in the order of the recipe's sizes. The first of them stands for all: it is looked at
    /// first and written last.
    pub(crate) fn name_results(&self, key: &str) -> Result<Vec<String>, Reason> {
        let extension = self.recipe.format.extension();
        if self.recipe.sizes.is_empty() {
            return Ok(vec![name_result(key, None, extension)?]);
        }
        let names = self.recipe.sizes.iter().map(|size| name_result(key, Some(*size), extension));
        names.map(|name| name.map_err(Reason::from)).collect()
    }
}

fn is_word(name: &str) -> bool {
    Recipe::WORDS.contains(&name)
}

/// The names that metadata and tags may have.
pub(crate) fn known_words() -> String {
    Recipe::WORDS.map(|word| format!("{PREFIX}{word}")).join(", ")
}

/// The words of a recipe that differ from the default, and always its format.
fn describe(recipe: &Recipe) -> String {
    let default = Recipe::default();
    let mut words = vec![format!("format={}", recipe.format.extension())];
    let mut add = |word: &str, value: String| words.push(format!("{word}={value}"));
    if let Some(resize) = recipe.resize {
        for (word, side) in [("width", resize.width), ("height", resize.height)] {
            if let Some(side) = side {
                add(word, side.to_string());
            }
        }
        match resize.fit {
            Fit::Fit => {}
            Fit::Cover => add("fit", "cover".into()),
            Fit::Exact => add("fit", "exact".into()),
        }
        if resize.enlarge {
            add("enlarge", "true".into());
        }
    }
    if !recipe.sizes.is_empty() {
        add("sizes", recipe.sizes.iter().map(u32::to_string).collect::<Vec<_>>().join("+"));
    }
    if recipe.grayscale {
        add("grayscale", "true".into());
    }
    if recipe.quality != default.quality {
        add("quality", recipe.quality.to_string());
    }
    if let Some([red, green, blue]) = recipe.background {
        add("background", format!("{red:02x}{green:02x}{blue:02x}"));
    }
    if let Some(text) = &recipe.watermark {
        add("watermark", encode_for_header(text));
    }
    if recipe.depth == Depth::Eight {
        add("depth", "8".into());
    }
    shorten(words.join(","))
}

/// What is too long ends in a hash of the whole.
fn shorten(mut description: String) -> String {
    if description.len() > MAX_DESCRIPTION {
        // FNV-1a: the same on every machine and in every release, which the standard library's hashes are not.
        let hash = description
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        description.truncate(MAX_DESCRIPTION - 17);
        let _ = write!(description, "~{hash:016x}");
    }
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(words: &[(&str, &str)]) -> Wish {
        Wish::from_environment(|name| {
            words.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn what_is_nearer_to_the_object_wins() {
        let environment = environment(&[("FORMAT", "jpeg"), ("WIDTH", "720"), ("QUALITY", "70")]);
        assert_eq!(environment.description, "format=jpg,width=720,quality=70");
        let arguments = [("width", "100"), ("k1", "v1")].map(|(name, value)| (name.into(), value.into()));
        let job = environment.with_arguments(&arguments.into()).unwrap();
        assert_eq!(job.description, "format=jpg,width=100,quality=70");
        let own = job.with_own([("image-format", "webp"), ("camera", "x")], "the metadata").unwrap();
        assert_eq!(own.description, "format=webp,width=100,quality=70");
        assert_eq!(own.with_own([("Image-Width", "50")], "the tags").unwrap().recipe.resize.unwrap().width, Some(50));
        assert_eq!(own.with_own([], "the tags").unwrap(), own);
    }

    #[test]
    fn a_bad_word_is_named_with_its_place() {
        let wish = environment(&[]);
        let bad = wish.with_own([("image-width", "wide")], "the object's metadata").unwrap_err();
        assert_eq!(bad.code(), "bad_recipe");
        for part in ["the object's metadata", "width", "\"wide\""] {
            assert!(bad.to_string().contains(part), "{bad}");
        }
        let unknown = wish.with_own([("image-widht", "5")], "the object's tags").unwrap_err().to_string();
        assert!(unknown.contains("image-widht") && unknown.contains("image-width,"), "{unknown}");
    }

    #[test]
    fn results_are_named_after_format_and_sizes() {
        let one = environment(&[("FORMAT", "webp")]);
        assert_eq!(one.name_results("a/b.png").unwrap(), ["a/b-processed.webp"]);
        let set = environment(&[("FORMAT", "jpeg"), ("SIZES", "200,720")]);
        assert_eq!(set.name_results("b.png").unwrap(), ["b-200-processed.jpg", "b-720-processed.jpg"]);
        assert_eq!(set.name_results(&"k".repeat(1020)).unwrap_err().code(), "key_too_long");
    }

    #[test]
    fn a_long_description_is_cut_and_stays_its_own() {
        let marked = |text: &str| environment(&[("WATERMARK", text)]).description;
        let (one, other) = (marked(&"é".repeat(150)), marked(&format!("{}x", "é".repeat(150))));
        assert_eq!((one.len(), other.len()), (MAX_DESCRIPTION, MAX_DESCRIPTION));
        assert_ne!(one, other);
    }
}
