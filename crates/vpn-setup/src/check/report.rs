//! How a check is shown.

use std::fmt::Write as _;
use std::time::Instant;

use lab_plan::Heading;
use serde::Serialize;

/// What a check is about: each has causes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The endpoint's name is found.
    Name,
    /// Nothing answers while no tunnel is up.
    Without,
    /// The tunnel comes up.
    Tunnel,
    /// What should take the tunnel does, and answers.
    Through,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    #[serde(skip)]
    pub(super) subject: Subject,
    pub(super) name: String,
    pub(super) passed: bool,
    /// What was seen.
    pub(super) detail: String,
    /// How long it took.
    pub(super) ms: u64,
}

/// What was seen, and whether it is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) passed: bool,
    pub(super) detail: String,
}

impl Seen {
    pub(super) fn new(passed: bool, detail: impl Into<String>) -> Self {
        Self { passed, detail: detail.into() }
    }
}

impl Check {
    /// Something that was tried since `start`.
    pub(super) fn new(subject: Subject, name: impl Into<String>, start: Instant, seen: Seen) -> Self {
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Self { subject, name: name.into(), passed: seen.passed, detail: seen.detail, ms }
    }
}

/// The document that `check` answers.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    heading: Heading,
    /// Whether the tunnel was up.
    pub(super) tunnel: bool,
    checks: &'a [Check],
    /// What explains the failures, with what helps.
    causes: &'a [String],
}

impl<'a> Document<'a> {
    pub(super) fn new(heading: Heading, tunnel: bool, checks: &'a [Check], causes: &'a [String]) -> Self {
        Self { heading, tunnel, checks, causes }
    }

    /// As text: a line a check, then the causes.
    pub(super) fn show(&self) -> String {
        let Heading { lab, owner, region } = &self.heading;
        let passed = self.checks.iter().filter(|check| check.passed).count();
        let mut text = format!("{lab} of {owner} in {region}: {passed} of {} checks passed\n", self.checks.len());
        let names = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        for Check { name, passed, detail, ms, .. } in self.checks {
            let word = if *passed { "passed" } else { "FAILED" };
            let _ = writeln!(text, "  {word}  {name:names$}  {detail}  ({ms} ms)");
        }
        if !self.causes.is_empty() {
            text.push_str("what explains it:\n");
        }
        for cause in self.causes {
            let _ = writeln!(text, "  - {cause}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_fields_of_the_contract_and_reads_as_text() {
        let check = |name: &str, passed| {
            let (subject, detail) = (Subject::Through, "10.0.2.9: refused".into());
            Check { subject, name: name.into(), passed, detail, ms: 7 }
        };
        let checks = [check("private 22 answers", true), check("private 8080 answers", false)];
        let causes = ["host private is stopped: host-up up private".to_owned()];
        let heading = Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
        let document = Document::new(heading, true, &checks, &causes);
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!((&json["lab"], &json["tunnel"]), (&"lab".into(), &true.into()));
        assert_eq!(json["checks"][1]["passed"], false);
        assert_eq!((&json["checks"][0]["ms"], &json["causes"][0]), (&7.into(), &causes[0].as_str().into()));
        let text = document.show();
        assert!(text.starts_with("lab of ada in us-east-1: 1 of 2 checks passed\n"), "{text}");
        assert!(text.contains("FAILED  private 8080 answers") && text.ends_with("host-up up private\n"), "{text}");
    }
}
