//! The function's settings: its environment, read once at init. A function that cannot work says so then, not at the
//! first image.

use std::time::Duration;

use image_engine::{Limits, RecipeError};

use crate::wish::Wish;

const MIB: u64 = 1024 * 1024;

/// Lambda's own limit of an invocation, in seconds.
const MAX_SECONDS: u64 = 900;

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Make pictures of it, by the recipe.
    Png,
    /// Let S3 copy its bytes unchanged.
    Copy,
}

/// The validated environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `OUTPUT_BUCKET`: where results are written.
    pub output_bucket: String,
    /// `MODE`: `png` (the default: pictures by the recipe) or `copy`.
    pub mode: Mode,
    /// `FORMAT`, `WIDTH`, `SIZES` and the recipe's other words: what is made where an object says nothing else.
    pub wish: Wish,
    /// `READ_TAGS`: whether an object's tags are asked for words of the recipe.
    pub read_tags: bool,
    /// `MAX_BYTES`: the largest object that is read, in bytes; 50 MiB by default. Mode `copy` reads none.
    pub max_bytes: u64,
    /// `MAX_PIXELS` (50 million by default) and the function's memory.
    pub limits: Limits,
    /// `RECORD_SECONDS`: how long reading an object and making its pictures may take together; 30 s by default.
    pub record_time: Duration,
    /// The function's name, for its metrics.
    pub function: String,
}

/// A setting that is missing or makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The variable must be set.
    #[error("the environment variable {name} is not set: {fix}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What to set it to.
        fix: &'static str,
    },
    /// The variable's value is not one of those allowed.
    #[error("the environment variable {name} is {value:?}: it must be {allowed}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A word of the recipe makes no sense.
    #[error("the environment variables for the recipe (in capitals): {0}")]
    Recipe(#[from] RecipeError),
}

impl Settings {
    /// Reads the settings through `lookup`, which is the environment outside of tests. An empty value counts as unset.
    ///
    /// # Errors
    /// [`SettingsError`] for the first variable that is missing or invalid.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let output_bucket = lookup("OUTPUT_BUCKET").ok_or(SettingsError::Missing {
            name: "OUTPUT_BUCKET",
            fix: "set it to the bucket for the results, for example with \
                  `cargo lambda deploy --env-var OUTPUT_BUCKET=lab-output-bucket-<owner>`",
        })?;
        let mode = match lookup("MODE").as_deref() {
            None | Some("png") => Mode::Png,
            Some("copy") => Mode::Copy,
            Some(other) => {
                return Err(SettingsError::Invalid { name: "MODE", value: other.to_owned(), allowed: "png or copy" });
            }
        };
        let number = |name: &'static str, default: u64| match lookup(name) {
            None => Ok(default),
            Some(value) => match value.trim().parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(SettingsError::Invalid { name, value, allowed: "a whole number above 0" }),
            },
        };
        let read_tags = match lookup("READ_TAGS").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                let value = other.to_owned();
                return Err(SettingsError::Invalid { name: "READ_TAGS", value, allowed: "true or false" });
            }
        };
        let wish = Wish::from_environment(lookup)?;
        Ok(Self {
            output_bucket,
            wish: if mode == Mode::Copy { wish.copy() } else { wish },
            mode,
            read_tags,
            record_time: Duration::from_secs(number("RECORD_SECONDS", 30)?.min(MAX_SECONDS)),
            function: lookup("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "image-processor".to_owned()),
            max_bytes: number("MAX_BYTES", 50 * MIB)?,
            limits: Limits {
                max_pixels: number("MAX_PIXELS", 50_000_000)?,
                memory: lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
                    .and_then(|megabytes| megabytes.trim().parse::<u64>().ok())
                    .map(|megabytes| megabytes.saturating_mul(MIB)),
                ..Limits::default()
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn only_the_output_bucket_is_needed() {
        let settings = read(&[("OUTPUT_BUCKET", "out")]).unwrap();
        assert_eq!(settings.mode, Mode::Png);
        assert_eq!(settings.max_bytes, 52_428_800);
        assert_eq!(settings.limits.max_pixels, 50_000_000);
        assert_eq!(settings.limits.memory, None);
        assert_eq!(settings.wish.description, "format=png");
        assert_eq!(settings.record_time, Duration::from_secs(30));
        assert!(!settings.read_tags);
    }

    #[test]
    fn everything_can_be_set() {
        let settings = read(&[
            ("OUTPUT_BUCKET", "out"),
            ("MODE", "copy"),
            ("MAX_BYTES", "10"),
            ("MAX_PIXELS", "20"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_NAME", "lab-lambda-function"),
            ("READ_TAGS", "true"),
            ("RECORD_SECONDS", "5"),
            ("FORMAT", "jpeg"),
        ])
        .unwrap();
        assert_eq!(settings.mode, Mode::Copy);
        assert_eq!((settings.max_bytes, settings.limits.max_pixels), (10, 20));
        assert_eq!(settings.limits.memory, Some(512 * MIB));
        assert_eq!((settings.read_tags, settings.record_time), (true, Duration::from_secs(5)));
        assert_eq!(settings.function, "lab-lambda-function");
        assert_eq!(settings.wish.description, "copy");
        let jpeg = read(&[("OUTPUT_BUCKET", "out"), ("FORMAT", "jpeg")]).unwrap();
        assert_eq!(jpeg.wish.description, "format=jpg");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (variables, says) in [
            (&[][..], "OUTPUT_BUCKET"),
            (&[("OUTPUT_BUCKET", " ")][..], "is not set"),
            (&[("OUTPUT_BUCKET", "o"), ("MODE", "PNG")][..], "png or copy"),
            (&[("OUTPUT_BUCKET", "o"), ("MAX_BYTES", "0")][..], "above 0"),
            (&[("OUTPUT_BUCKET", "o"), ("MAX_PIXELS", "1e6")][..], "\"1e6\""),
            (&[("OUTPUT_BUCKET", "o"), ("READ_TAGS", "yes")][..], "true or false"),
            (&[("OUTPUT_BUCKET", "o"), ("QUALITY", "101")][..], "quality is \"101\""),
        ] {
            let error = read(variables).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
