//! What a report says: everything that is visible in it, and nothing else. Later versions read it again: a field that is added
//! has a default.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lab_picture::Scene;
use lab_plan::{Problem, RunRecord};
use serde::{Deserialize, Serialize};

/// Everything in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    /// Of the program that wrote the page.
    pub(super) version: String,
    pub(super) at: String,
    pub(super) lab: String,
    pub(super) owner: String,
    pub(super) region: String,
    /// The last four digits.
    pub(super) account: String,
    /// The last part of the caller's ARN.
    pub(super) caller: String,
    pub(super) scene: Scene,
    pub(super) tasks: Vec<Task>,
    pub(super) pictures: Vec<Picture>,
    /// The function's newest lines.
    pub(super) log: Vec<String>,
    /// How many lines of metrics are not among them.
    #[serde(default)]
    pub(super) metric_lines: usize,
    /// What `vpn-setup check` last said.
    pub(super) check: Option<Checked>,
    /// The last `up` of each program.
    pub(super) runs: Vec<RunRecord>,
    pub(super) cost: Cost,
    /// Everything that exists, as `lab-status leaks` lists it.
    pub(super) there: Vec<String>,
    /// What was left after `down`.
    pub(super) after: Option<After>,
    pub(super) notes: Vec<String>,
}

/// A task of the assignment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) title: String,
    pub(super) steps: Vec<Step>,
}

/// A step of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    /// In the assignment's words, shortened.
    pub(super) text: String,
    pub(super) verdict: Verdict,
    /// What proves it, or what is missing.
    pub(super) facts: Vec<String>,
}

/// Whether a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
    /// It is, and the facts prove it.
    Passed,
    /// It is not.
    Open,
    /// Nothing that can be read tells.
    Unseen,
}

impl Verdict {
    /// As people read it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Open => "not passed",
            Self::Unseen => "not seen",
        }
    }
}

/// A picture of a bucket, made small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Picture {
    /// `s3://BUCKET/KEY`
    pub(super) place: String,
    /// Its size before it was made small, in bytes.
    pub(super) bytes: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Base64 of a PNG or JPEG.
    pub(super) png: String,
}

/// What `vpn-setup check` leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Checked {
    pub(super) at: String,
    /// The tunnel was up.
    pub(super) tunnel: bool,
    pub(super) checks: Vec<Check>,
}

impl Checked {
    /// Whether it was made when this was there already. It tells its minute only.
    pub(super) fn is_since(&self, created: Timestamp) -> bool {
        let minute = DateTime::strptime("%Y-%m-%d %H:%M UTC", &self.at);
        let began = minute.ok().and_then(|minute| minute.to_zoned(TimeZone::UTC).ok());
        began.is_some_and(|began| began.timestamp().as_second() / 60 >= created.as_second() / 60)
    }
}

/// One thing that it tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) passed: bool,
    pub(super) detail: String,
    pub(super) ms: u64,
}

/// What the lab costs, in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cost {
    pub(super) usd_per_hour: f64,
    pub(super) usd_so_far: f64,
    pub(super) is_at_least: bool,
    /// For all the hours of `[budget]`.
    pub(super) expected_usd: f64,
    pub(super) budget_usd: f64,
    pub(super) prices: String,
    pub(super) items: Vec<CostItem>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CostItem {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) usd_per_hour: f64,
}

/// What was left after `down`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct After {
    pub(super) at: String,
    pub(super) left: Vec<String>,
    /// What needed nothing but time.
    pub(super) leaving: Vec<String>,
    /// What could not be looked at.
    pub(super) unread: Vec<String>,
    /// Whom "nothing" speaks of.
    #[serde(default)]
    pub(super) asked: String,
    #[serde(default)]
    pub(super) notes: Vec<String>,
    /// The digest of the report of before `down`, of which everything else in this one is.
    #[serde(default)]
    pub(super) before: String,
}

impl After {
    pub(super) fn is_nothing(&self) -> bool {
        self.left.is_empty() && self.leaving.is_empty() && self.unread.is_empty()
    }

    /// In one line: when, and what.
    pub(super) fn tell(&self) -> String {
        let Self { at, left, leaving, unread, asked, .. } = self;
        if self.is_nothing() {
            let asked = if asked.is_empty() { String::new() } else { format!(" ({asked})") };
            return format!("{at}: nothing is left{asked}");
        }
        let (left, leaving, unread) = (left.len(), leaving.len(), unread.len());
        format!("{at}: {left} left, {leaving} on their way out, {unread} could not be looked at")
    }
}

impl Evidence {
    /// Its one JSON.
    pub(super) fn to_json(&self) -> Result<String, Problem> {
        serde_json::to_string(self)
            .map_err(|error| Problem::failed("the evidence cannot be written as JSON").because(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_before_the_endpoint_is_none_of_its() {
        let check = Checked { at: "2026-11-26 05:10 UTC".into(), tunnel: true, checks: Vec::new() };
        let created = |text: &str| text.parse().unwrap();
        assert!(check.is_since(created("2026-11-26T05:10:40Z")), "it may have been made after it in the same minute");
        assert!(!check.is_since(created("2026-11-26T05:11:00Z")));
        assert!(!Checked { at: "soon".into(), ..check }.is_since(created("2020-01-01T00:00:00Z")));
    }
}
