//! Which version of which source a result was made from, written into the result's metadata. It is what makes the same
//! event twice write once, and a late event not overwrite a newer result.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::event::Job;
use crate::key::encode_for_metadata;

const SOURCE_BUCKET: &str = "source-bucket";
const SOURCE_KEY: &str = "source-key";
const SOURCE_ETAG: &str = "source-etag";
const SOURCE_SEQUENCER: &str = "source-sequencer";

/// The source's version, as the result's metadata names it. Absent entries are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    bucket: String,
    key: String,
    etag: String,
    sequencer: String,
}

/// What to do about a result that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is older, or another source's: write.
    Write,
    /// It was made from this very version.
    Same,
    /// It was made from a later version of the same source.
    Newer,
}

impl Mark {
    /// The mark of a job's source. `etag` is the version that was really read.
    pub(crate) fn of(job: &Job, etag: &str) -> Self {
        Self {
            bucket: job.bucket.clone(),
            key: encode_for_metadata(&job.key),
            etag: etag.to_owned(),
            sequencer: job.sequencer.clone().unwrap_or_default(),
        }
    }

    /// Reads a result's user metadata.
    pub fn read(metadata: &HashMap<String, String>) -> Self {
        let get = |name: &str| metadata.get(name).cloned().unwrap_or_default();
        Self {
            bucket: get(SOURCE_BUCKET),
            key: get(SOURCE_KEY),
            etag: get(SOURCE_ETAG),
            sequencer: get(SOURCE_SEQUENCER),
        }
    }

    /// The user metadata to write, without S3's `x-amz-meta-`.
    pub fn to_metadata(&self) -> HashMap<String, String> {
        [
            (SOURCE_BUCKET, &self.bucket),
            (SOURCE_KEY, &self.key),
            (SOURCE_ETAG, &self.etag),
            (SOURCE_SEQUENCER, &self.sequencer),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
    }

    /// Whether both name the same object, in whatever version. Two keys that differ only in their extension share a
    /// result; their sequencers say nothing about each other, so the last to come wins.
    pub fn is_of_same_source(&self, other: &Self) -> bool {
        self.bucket == other.bucket && self.key == other.key
    }

    /// Decides about a result that bears `existing`, for a source of this mark.
    pub fn decide(&self, existing: &Self) -> Decision {
        if !self.is_of_same_source(existing) {
            return Decision::Write;
        }
        if self.sequencer.is_empty() || existing.sequencer.is_empty() {
            let same = !self.etag.is_empty() && self.etag == existing.etag;
            return if same { Decision::Same } else { Decision::Write };
        }
        match compare_sequencers(&existing.sequencer, &self.sequencer) {
            Ordering::Less => Decision::Write,
            Ordering::Equal => Decision::Same,
            Ordering::Greater => Decision::Newer,
        }
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
        Mark { bucket: "in".into(), key: key.into(), etag: etag.into(), sequencer: sequencer.into() }
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

    proptest! {
        #[test]
        fn sequencers_are_ordered_as_numbers(a in 0u128.., b in 0u128.., pad in 0usize..8) {
            let (left, right) = (format!("{:0pad$}{a:X}", 0), format!("{b:x}"));
            prop_assert_eq!(compare_sequencers(&left, &right), a.cmp(&b));
        }

        #[test]
        fn metadata_reads_back(key in "[a-z%0-9/]{1,30}", etag in "[0-9a-f]{32}", sequencer in "[0-9A-F]{0,18}") {
            let written = mark(&key, &etag, &sequencer);
            prop_assert_eq!(Mark::read(&written.to_metadata()), written);
        }
    }
}
