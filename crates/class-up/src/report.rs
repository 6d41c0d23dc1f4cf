//! What a run of a class answers: a table and one JSON document. Pure.

use std::fmt::Write as _;

use lab_plan::round_usd;
use serde::Serialize;

use crate::folder::End;

/// How it went for one owner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) result: End,
    pub(crate) seconds: f64,
    /// What the owner's lab costs an hour: once it stands, after `up`; now, for `status`; nothing, after `down`. For one
    /// that failed it is the most that may go on costing.
    pub(crate) usd_per_hour: f64,
    /// How many resources there are, for `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<usize>,
    /// What lab.toml wants and is not there, for `status`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failed: Vec<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<String>,
}

/// What failed for an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// The program (`host-up up public`), or what else was tried.
    pub(crate) step: String,
    pub(crate) reason: String,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) roster: String,
    pub(crate) verb: &'static str,
    pub(crate) owners: Vec<Outcome>,
    pub(crate) done: usize,
    pub(crate) not_done: usize,
    pub(crate) seconds: f64,
    pub(crate) usd_per_hour: f64,
    /// The command that goes on, where something is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) again: Option<String>,
}

impl Report {
    pub(crate) fn new(
        roster: String,
        verb: &'static str,
        owners: Vec<Outcome>,
        seconds: f64,
        again: impl FnOnce() -> String,
    ) -> Self {
        let done = owners.iter().filter(|owner| owner.result == End::Done).count();
        let not_done = owners.len() - done;
        let usd_per_hour = round_usd(owners.iter().map(|owner| owner.usd_per_hour).sum());
        Self {
            roster,
            verb,
            done,
            not_done,
            seconds: round_seconds(seconds),
            usd_per_hour,
            again: has_failed(&owners).then(again),
            owners,
        }
    }

    /// Whether something did not go as it should. A lab that is not complete is an answer.
    pub(crate) fn has_failed(&self) -> bool {
        has_failed(&self.owners)
    }

    /// A line an owner, and a sum.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let owners = self.owners.iter().map(|outcome| outcome.owner.len()).max().unwrap_or(0).max("owner".len());
        let _ = writeln!(text, "{:owners$}  {:11}  {:>7}  {:>8}", "owner", "result", "seconds", "$ an hour");
        for outcome in &self.owners {
            let Outcome { owner, result, seconds, usd_per_hour, .. } = outcome;
            let is_known = !matches!(result, End::Failed | End::Stopped | End::NotStarted);
            let may = if is_known || *usd_per_hour == 0.0 { " " } else { "<" };
            let mut line = format!("{owner:owners$}  {:11}  {seconds:7.1}  {may}{usd_per_hour:8.4}", word(*result));
            if let Some(resources) = outcome.resources {
                let noun = if resources == 1 { "resource" } else { "resources" };
                let _ = write!(line, "  {resources} {noun}");
            }
            if let Some(name) = &outcome.name {
                let _ = write!(line, "  {name}");
            }
            let _ = writeln!(text, "{}", line.trim_end());
            if !outcome.missing.is_empty() {
                let _ = writeln!(text, "{:owners$}    missing: {}", "", outcome.missing.join(", "));
            }
            for Failure { step, reason } in &outcome.failed {
                let _ = writeln!(text, "{:owners$}    {step}: {reason}", "");
            }
            if let (Some(log), false) = (&outcome.log, outcome.failed.is_empty()) {
                let _ = writeln!(text, "{:owners$}    log: {log}", "");
            }
        }
        let all = self.owners.len();
        let _ = writeln!(
            text,
            "{} of {all} {} in {:.1} s, costing up to ${:.4} an hour together",
            self.done,
            if self.verb == "status" { "complete, read" } else { "done" },
            self.seconds,
            self.usd_per_hour
        );
        if let Some(again) = &self.again {
            let _ = writeln!(text, "go on: {again}");
        }
        text
    }
}

fn has_failed(owners: &[Outcome]) -> bool {
    owners.iter().any(|owner| !matches!(owner.result, End::Done | End::Incomplete | End::Nothing))
}

fn word(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::Failed => "failed",
        End::Stopped => "stopped",
        End::NotStarted => "not started",
        End::Incomplete => "incomplete",
        End::Nothing => "nothing",
    }
}

/// To the tenth of a second.
pub(crate) fn round_seconds(seconds: f64) -> f64 {
    (seconds * 1e1).round() / 1e1 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(owner: &str, result: End) -> Outcome {
        let failure = Failure { step: "host-up up public".into(), reason: "no capacity".into() };
        Outcome {
            owner: owner.into(),
            name: None,
            account: "123456789012".into(),
            region: "us-east-1".into(),
            result,
            seconds: 12.34,
            usd_per_hour: 0.1,
            resources: None,
            missing: vec![],
            failed: if result == End::Failed { vec![failure] } else { vec![] },
            log: Some("/class/logs/x.log".into()),
        }
    }

    #[test]
    fn failures_stand_apart_with_their_reason_their_log_and_the_way_on() {
        let owners = vec![outcome("ada", End::Done), outcome("bob", End::Failed), outcome("cy", End::NotStarted)];
        let report = Report::new("r.csv".into(), "up", owners, 20.04, || "class-up up r.csv --failed".into());
        let text = report.to_text();
        for part in [
            "ada    done            12.3     0.1000\n",
            "bob    failed ",
            "host-up up public: no capacity",
            "log: /class/logs/x.log",
            "cy     not started",
            "1 of 3 done in 20.0 s, costing up to $0.3000 an hour together",
            "go on: class-up up r.csv --failed",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((json["done"].as_u64(), json["not_done"].as_u64()), (Some(1), Some(2)));
        assert_eq!(json["owners"][1]["failed"][0]["reason"], "no capacity");
        assert_eq!(json["owners"][2]["result"], "not-started");
    }

    #[test]
    fn a_lab_that_is_not_complete_is_no_failure_and_not_done() {
        let incomplete = Outcome { missing: vec!["instance lab-public-ec2".into()], ..outcome("bob", End::Incomplete) };
        let owners = vec![outcome("ada", End::Done), incomplete, outcome("cy", End::Nothing)];
        let report = Report::new("r.csv".into(), "status", owners, 1.0, || unreachable!());
        let text = report.to_text();
        assert!(text.contains("bob    incomplete ") && text.contains("missing: instance lab-public-ec2"), "{text}");
        assert!(text.contains("1 of 3 complete, read in 1.0 s") && !report.has_failed(), "{text}");
    }

    #[test]
    fn a_class_that_is_done_has_no_way_on() {
        let report = Report::new("r.csv".into(), "up", vec![outcome("ada", End::Done)], 1.0, || unreachable!());
        assert!(!report.to_text().contains("go on"));
    }
}
