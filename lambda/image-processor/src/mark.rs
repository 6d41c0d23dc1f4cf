//! Which version of which source a result was made from, and by which recipe, written into the result's metadata. It is
//! what makes the same event twice write once, and a late event not overwrite a newer result.

use std::cmp::Ordering;
use std::collections::HashMap;

use image_event::{Job, SOURCE_ETAG, encode_for_metadata};

const SOURCE_BUCKET: &str = "source-bucket";
const SOURCE_KEY: &str = "source-key";
const SOURCE_SEQUENCER: &str = "source-sequencer";
const RECIPE: &str = "recipe";
const RECIPE_ASKED: &str = "recipe-asked";

/// The source's version and the recipe, as the result's metadata names them. Absent entries are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    bucket: String,
    key: String,
    /// The version that was read.
    pub(crate) etag: String,
    sequencer: String,
    /// What was made, the object's own words included.
    recipe: String,
    /// What the environment or the job asked for. The object's own words belong to its version, so this is what can
    /// change without a new version.
    asked: String,
}

/// What to do about a result that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is older, was made by another recipe, or is another source's: write.
    Write,
    /// It was made from this very version by this recipe.
    Same,
    /// It was made from a later version of the same source.
    Newer,
}

impl Mark {
    /// The mark of a job's source, of which `etag` is known, for what the environment or the job `asked` for.
    pub(crate) fn of(job: &Job, asked: &str) -> Self {
        Self {
            bucket: job.bucket.clone(),
            key: encode_for_metadata(&job.key),
            etag: job.etag.clone().unwrap_or_default(),
            sequencer: job.sequencer.clone().unwrap_or_default(),
            recipe: asked.to_owned(),
            asked: asked.to_owned(),
        }
    }

    /// The same for the version that was really read, and what is really made.
    #[must_use]
    pub(crate) fn made(self, etag: &str, recipe: &str) -> Self {
        Self { etag: etag.to_owned(), recipe: recipe.to_owned(), ..self }
    }

    /// A job without a sequencer that makes a result again of the same version keeps that version's place in the order.
    pub(crate) fn keep_order_of(&mut self, existing: &Self) {
        if self.sequencer.is_empty() && self.is_of_same_version(existing) {
            self.sequencer.clone_from(&existing.sequencer);
        }
    }

    /// Whether the order of the source's versions is known.
    pub(crate) fn is_ordered(&self) -> bool {
        !self.sequencer.is_empty()
    }

    /// Reads a result's user metadata.
    pub(crate) fn read(metadata: &HashMap<String, String>) -> Self {
        let get = |name: &str| metadata.get(name).cloned().unwrap_or_default();
        let recipe = get(RECIPE);
        Self {
            bucket: get(SOURCE_BUCKET),
            key: get(SOURCE_KEY),
            etag: get(SOURCE_ETAG),
            sequencer: get(SOURCE_SEQUENCER),
            asked: metadata.get(RECIPE_ASKED).cloned().unwrap_or_else(|| recipe.clone()),
            recipe,
        }
    }

    /// The user metadata to write, without S3's `x-amz-meta-`.
    pub(crate) fn to_metadata(&self) -> HashMap<String, String> {
        let asked = if self.asked == self.recipe { "" } else { &self.asked };
        [
            (SOURCE_BUCKET, self.bucket.as_str()),
            (SOURCE_KEY, &self.key),
            (SOURCE_ETAG, &self.etag),
            (SOURCE_SEQUENCER, &self.sequencer),
            (RECIPE, &self.recipe),
            (RECIPE_ASKED, asked),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    /// Whether both name the same object, in whatever version. Two keys that differ only in their extension share a
    /// result; their sequencers say nothing about each other, so the last to come wins.
    pub(crate) fn is_of_same_source(&self, other: &Self) -> bool {
        self.bucket == other.bucket && self.key == other.key
    }

    fn is_of_same_version(&self, other: &Self) -> bool {
        self.is_of_same_source(other) && !self.etag.is_empty() && self.etag == other.etag
    }

    /// Where this job does not say which version it means: the version that `existing` was made from, if nothing but
    /// another version would be a reason to make it again.
    pub(crate) fn version_to_expect<'a>(&self, existing: &'a Self) -> Option<&'a str> {
        let nameless = self.etag.is_empty() && self.sequencer.is_empty();
        let fits = self.is_of_same_source(existing) && self.asked == existing.asked && !existing.etag.is_empty();
        (nameless && fits).then_some(existing.etag.as_str())
    }

    /// Decides about a result that bears `existing`, for a source of this mark.
    pub(crate) fn decide(&self, existing: &Self) -> Decision {
        if !self.is_of_same_source(existing) {
            return Decision::Write;
        }
        let same_version = if self.sequencer.is_empty() || existing.sequencer.is_empty() {
            self.is_of_same_version(existing)
        } else {
            match compare_sequencers(&existing.sequencer, &self.sequencer) {
                Ordering::Less => false,
                Ordering::Equal => true,
                Ordering::Greater => return Decision::Newer,
            }
        };
        if same_version && self.asked == existing.asked { Decision::Same } else { Decision::Write }
    }
}

/// S3's rule: the shorter is padded with zeros on the left, then both are compared as text (S3 user guide, "Event
/// message structure"). Hexadecimal digits come in either case.
fn compare_sequencers(a: &str, b: &str) -> Ordering {
    let width = a.len().max(b.len());
    let pad = |text: &str| format!("{:0>width$}", text.to_ascii_uppercase());
    pad(a).cmp(&pad(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(key: &str, etag: &str, sequencer: &str) -> Mark {
        Mark {
            bucket: "in".into(),
            key: key.into(),
            etag: etag.into(),
            sequencer: sequencer.into(),
            recipe: "format=png".into(),
            asked: "format=png".into(),
        }
    }

    #[test]
    fn the_sequencer_decides() {
        let now = mark("a.png", "e", "0065");
        for (existing, decision) in [
            (mark("a.png", "e", "0065"), Decision::Same),
            (mark("a.png", "d", "64"), Decision::Write),
            (mark("a.png", "f", "66"), Decision::Newer),
            (mark("a.png", "f", "100"), Decision::Newer),
            (mark("a.jpg", "f", "66"), Decision::Write),
            (Mark::default(), Decision::Write),
        ] {
            assert_eq!(now.decide(&existing), decision, "{existing:?}");
        }
    }

    #[test]
    fn without_a_sequencer_the_etag_decides() {
        let now = mark("a.png", "e", "");
        assert_eq!(now.decide(&mark("a.png", "e", "")), Decision::Same);
        assert_eq!(now.decide(&mark("a.png", "d", "5")), Decision::Write);
        assert_eq!(mark("a", "", "").decide(&mark("a", "", "")), Decision::Write);
    }

    #[test]
    fn another_recipe_is_a_reason_to_write_again_unless_the_version_is_old() {
        let asked = |asked: &str, sequencer: &str| Mark { asked: asked.into(), ..mark("a", "e", sequencer) };
        assert_eq!(asked("format=jpg", "5").decide(&mark("a", "e", "5")), Decision::Write);
        assert_eq!(asked("format=jpg", "").decide(&mark("a", "e", "5")), Decision::Write);
        assert_eq!(asked("format=jpg", "4").decide(&mark("a", "e", "5")), Decision::Newer);
        // The object's own words are part of its version: they alone are no reason.
        let own = mark("a", "", "5").made("e", "format=webp");
        assert_eq!(own.decide(&mark("a", "e", "5")), Decision::Same);
    }

    #[test]
    fn a_job_without_version_and_order_takes_the_results() {
        let mut batch = mark("a", "", "");
        assert_eq!(batch.version_to_expect(&mark("a", "e", "5")), Some("e"));
        assert_eq!(batch.version_to_expect(&mark("b", "e", "5")), None);
        assert_eq!(mark("a", "", "6").version_to_expect(&mark("a", "e", "5")), None);
        batch.etag = "e".into();
        batch.keep_order_of(&mark("a", "d", "4"));
        assert!(!batch.is_ordered());
        batch.keep_order_of(&mark("a", "e", "5"));
        assert_eq!(batch, mark("a", "e", "5"));
    }

    #[test]
    fn all_of_it_fits_into_s3s_two_kilobytes() {
        let job = Job {
            bucket: "b".repeat(63),
            key: "é".repeat(512),
            etag: Some("e".repeat(40)),
            sequencer: Some("F".repeat(40)),
            ..Job::default()
        };
        let metadata = Mark::of(&job, &"r".repeat(200)).made(&"e".repeat(40), &"s".repeat(200)).to_metadata();
        assert_eq!(metadata.len(), 6);
        // S3 counts names without their prefix; with it there is room, too.
        let bytes: usize = metadata.iter().map(|(name, value)| "x-amz-meta-".len() + name.len() + value.len()).sum();
        assert!(bytes <= 2048, "{bytes}");
    }

    proptest! {
        #[test]
        fn sequencers_are_ordered_as_numbers(a in 0u128.., b in 0u128.., pad in 0usize..8) {
            let (left, right) = (format!("{:0pad$}{a:X}", 0), format!("{b:x}"));
            prop_assert_eq!(compare_sequencers(&left, &right), a.cmp(&b));
        }

        #[test]
        fn metadata_reads_back(
            key in "[a-z%0-9/]{1,30}", etag in "[0-9a-f]{32}", sequencer in "[0-9A-F]{0,18}", recipe in "[a-z=]{1,9}",
        ) {
            let written = mark(&key, &etag, &sequencer).made(&etag, &recipe);
            prop_assert_eq!(Mark::read(&written.to_metadata()), written);
        }
    }
}
