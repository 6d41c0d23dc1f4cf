//! What kinds of objects there are, how many of each, and how long each stage takes for one: measured, in a file.

use std::path::Path;

use lab_plan::Problem;
use serde::Deserialize;

/// The mix that is taken where no file is named: photos from phones and cameras, and screenshots. Its first lines say
/// where the times come from.
const BUILT_IN: &str = include_str!("../../mixes/photos.toml");
/// What the function needs beside a picture, in MB.
const IDLE_MB: f64 = 40.0;

/// Kinds of objects with their shares, which add up to 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mix {
    /// The file's name.
    pub(crate) name: String,
    /// How fast a core of arm64 is, as a multiple of the measured one.
    pub(crate) arm64_speed: f64,
    /// From the start of a function until it takes its first event, in milliseconds.
    pub(crate) cold_start_ms: f64,
    pub(crate) images: Vec<Kind>,
}

/// One kind of objects. Times are for one object, in milliseconds: reading and writing as S3 takes them, the rest on one
/// whole core.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    /// How many of all objects are of this kind, in any unit: shares are scaled.
    pub(crate) share: f64,
    #[serde(default)]
    pub(crate) format: String,
    #[serde(default)]
    pub(crate) megapixels: f64,
    /// Results an object.
    #[serde(default = "one")]
    pub(crate) results: f64,
    #[serde(default)]
    pub(crate) read_ms: f64,
    pub(crate) decode_ms: f64,
    #[serde(default)]
    pub(crate) resize_ms: f64,
    pub(crate) encode_ms: f64,
    #[serde(default)]
    pub(crate) write_ms: f64,
    /// The most memory that it takes above idle, in MB.
    #[serde(default)]
    pub(crate) memory_mb: f64,
}

const fn one() -> f64 {
    1.0
}

impl Kind {
    /// Milliseconds of waiting for S3.
    pub(crate) fn waits_ms(&self) -> f64 {
        self.read_ms + self.write_ms
    }

    /// Milliseconds of one whole core.
    pub(crate) fn works_ms(&self) -> f64 {
        self.decode_ms + self.resize_ms + self.encode_ms
    }

    fn numbers(&self) -> [(&'static str, f64); 9] {
        [
            ("share", self.share),
            ("megapixels", self.megapixels),
            ("results", self.results),
            ("read_ms", self.read_ms),
            ("decode_ms", self.decode_ms),
            ("resize_ms", self.resize_ms),
            ("encode_ms", self.encode_ms),
            ("write_ms", self.write_ms),
            ("memory_mb", self.memory_mb),
        ]
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "one")]
    arm64_speed: f64,
    #[serde(default)]
    cold_start_ms: f64,
    image: Vec<Kind>,
}

impl Mix {
    pub(crate) fn built_in() -> Self {
        // A test reads it: it cannot be wrong.
        Self::parse_toml("built-in photos", BUILT_IN).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Reads a file: CSV where its name ends so, else TOML.
    ///
    /// # Errors
    /// When it cannot be read, or says what makes no sense.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problem::usage(format!("--mix {name} cannot be read")).because(error.to_string()))?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if is_csv { Self::parse_csv(&name, &text) } else { Self::parse_toml(&name, &text) }
    }

    fn parse_toml(name: &str, text: &str) -> Result<Self, Problem> {
        let file: File = toml::from_str(text).map_err(|error| reject(name, error.to_string().trim_end()))?;
        let File { arm64_speed, cold_start_ms, image: images } = file;
        Self { name: name.to_owned(), arm64_speed, cold_start_ms, images }.check()
    }

    fn parse_csv(name: &str, text: &str) -> Result<Self, Problem> {
        let rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes()).into_deserialize();
        let images = rows.collect::<Result<_, _>>().map_err(|error| reject(name, &error.to_string()))?;
        Self { name: name.to_owned(), arm64_speed: 1.0, cold_start_ms: 0.0, images }.check()
    }

    fn check(mut self) -> Result<Self, Problem> {
        let own = [("arm64_speed", self.arm64_speed), ("cold_start_ms", self.cold_start_ms)];
        let all = own.into_iter().chain(self.images.iter().flat_map(Kind::numbers));
        if let Some((field, value)) = all.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
            return Err(reject(&self.name, &format!("{field} = {value} is no amount of anything")));
        }
        let sum: f64 = self.images.iter().map(|kind| kind.share).sum();
        if sum <= 0.0 {
            return Err(reject(&self.name, "no kind of images has a share"));
        }
        if self.arm64_speed <= 0.0 {
            return Err(reject(&self.name, "arm64_speed is 0"));
        }
        for kind in &mut self.images {
            kind.share /= sum;
        }
        Ok(self)
    }

    /// A mean over all objects.
    pub(crate) fn mean(&self, of: impl Fn(&Kind) -> f64) -> f64 {
        self.images.iter().map(|kind| kind.share * of(kind)).sum()
    }

    /// The least memory that each of its pictures fits in, in MB; `None` where the mix does not say.
    pub(crate) fn memory_needed(&self) -> Option<u32> {
        let most = self.images.iter().filter(|kind| kind.share > 0.0).map(|kind| kind.memory_mb).fold(0.0, f64::max);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float saturates, and it is no less"
        )]
        (most > 0.0).then(|| (most + IDLE_MB).ceil() as u32)
    }
}

const FORMAT: &str = "write a table [[image]] for each kind of objects: share, decode_ms and encode_ms, and as far as known \
                      resize_ms, read_ms, write_ms, memory_mb, results, format, megapixels (docs/PIPELINE.md)";

fn reject(name: &str, why: &str) -> Problem {
    Problem::usage(format!("the mix {name} cannot be used")).because(why).fix(FORMAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_mix_is_sound_and_its_shares_add_up() {
        let mix = Mix::built_in();
        assert!((mix.mean(|_| 1.0) - 1.0).abs() < 1e-9);
        assert!(mix.memory_needed().is_some());
        assert!(mix.images.iter().all(|kind| kind.works_ms() > 0.0 && !kind.format.is_empty()));
    }

    #[test]
    fn toml_and_csv_say_the_same() {
        let toml = "[[image]]\nshare = 3\ndecode_ms = 10\nencode_ms = 5\nread_ms = 20\n\
                    [[image]]\nshare = 1\ndecode_ms = 1\nencode_ms = 2.5\nread_ms = 0\n";
        let csv = "share, decode_ms, encode_ms, read_ms\n3, 10, 5, 20\n1, 1, 2.5, 0\n";
        let (toml, csv) = (Mix::parse_toml("a", toml).unwrap(), Mix::parse_csv("a", csv).unwrap());
        assert_eq!(toml, csv);
        assert!((toml.images[0].share - 0.75).abs() < 1e-9);
        assert!((toml.mean(Kind::works_ms) - (0.75 * 15.0 + 0.25 * 3.5)).abs() < 1e-9);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, told) in [
            ("[[image]]\nshare = 1\nencode_ms = 5\n", "decode_ms"),
            ("[[image]]\nshare = 0\ndecode_ms = 1\nencode_ms = 5\n", "no kind of images has a share"),
            ("[[image]]\nshare = 1\ndecode_ms = -1\nencode_ms = 5\n", "decode_ms = -1"),
            ("[[image]]\nshare = 1\ndecode_ms = 1\nencode_ms = 5\ndecod_ms = 1\n", "decod_ms"),
            ("arm64_speed = 0\n[[image]]\nshare = 1\ndecode_ms = 1\nencode_ms = 5\n", "arm64_speed is 0"),
            ("nonsense", "nonsense"),
        ] {
            let problem = Mix::parse_toml("m.toml", text).unwrap_err();
            assert_eq!(problem.exit().code(), 2);
            assert!(problem.to_string().contains(told), "{told:?} is missing from {problem}");
        }
    }
}
