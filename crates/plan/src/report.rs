//! What a verb answers: one document that serves text and JSON alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Action, Outcome, Plan, State, Step};

/// Which lab a document speaks of; the first fields of every JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// The lab's name.
    pub lab: String,
    /// Whose it is.
    pub owner: String,
    /// The AWS Region it is in.
    pub region: String,
}

/// Something that exists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resource {
    /// EC2's `ResourceType` name where one exists, else the service's own noun.
    pub kind: &'static str,
    /// Its name, as the console shows it.
    pub name: String,
    /// Its id, or its name where names are ids.
    pub id: String,
    /// Its state in AWS's word, `available` where AWS has none.
    pub state: String,
    /// What it costs, in US dollars an hour.
    pub usd_per_hour: f64,
    /// What else is worth knowing about this kind.
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, Value>,
}

impl Resource {
    /// A resource that is there and costs nothing.
    pub fn new(kind: &'static str, name: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            id: id.into(),
            state: "available".into(),
            usd_per_hour: 0.0,
            more: BTreeMap::new(),
        }
    }

    /// In this state.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = state.into();
        self
    }

    /// Costing this many US dollars an hour.
    #[must_use]
    pub fn costs(mut self, usd_per_hour: f64) -> Self {
        self.usd_per_hour = round_usd(usd_per_hour);
        self
    }

    /// With one more field in its JSON.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(field, value.into());
        self
    }
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// What was done.
    pub action: Action,
    /// The kind of resource.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its id, where the change reported one.
    pub id: Option<String>,
}

/// The changes of a run that were carried out, in the plan's order.
pub(crate) fn list_changed<O>(steps: &[Step<O>], outcome: &Outcome) -> Vec<Changed> {
    let all = steps.iter().zip(&outcome.states).zip(&outcome.made);
    all.filter(|((_, state), _)| **state == State::Done)
        .map(|((step, _), id)| Changed {
            action: step.action,
            kind: step.kind,
            name: step.name.clone(),
            id: id.clone(),
        })
        .collect()
}

#[derive(Serialize)]
#[serde(bound = "")]
pub(crate) struct PlanDocument<'a, O> {
    #[serde(flatten)]
    heading: &'a Heading,
    changes: &'a [Step<O>],
    unchanged: usize,
    usd_per_hour: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

impl<'a, O> PlanDocument<'a, O> {
    pub(crate) fn new(heading: &'a Heading, plan: &'a Plan<O>, next: Option<&'a str>, notes: &'a [String]) -> Self {
        let usd_per_hour = round_usd(plan.usd_per_hour);
        Self { heading, changes: &plan.steps, unchanged: plan.unchanged, usd_per_hour, next, notes }
    }
}

#[derive(Serialize)]
pub(crate) struct StatusDocument<'a> {
    #[serde(flatten)]
    heading: &'a Heading,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<&'a [Changed]>,
    resources: &'a [Resource],
    usd_per_hour: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

impl<'a> StatusDocument<'a> {
    pub(crate) fn new(
        heading: &'a Heading,
        resources: &'a [Resource],
        changed: Option<&'a [Changed]>,
        next: Option<&'a str>,
        notes: &'a [String],
    ) -> Self {
        Self { heading, changed, resources, usd_per_hour: sum_usd(resources), next, notes }
    }
}

#[derive(Serialize)]
pub(crate) struct FailureDocument<'a> {
    #[serde(flatten)]
    pub(crate) heading: &'a Heading,
    pub(crate) changed: &'a [Changed],
    pub(crate) error: String,
}

/// What these resources cost together, in US dollars an hour.
pub fn sum_usd<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> f64 {
    round_usd(resources.into_iter().map(|resource| resource.usd_per_hour).sum())
}

/// Prices have at most six digits behind the point; sums must not show binary dust.
pub fn round_usd(usd: f64) -> f64 {
    // The sum of nothing is -0.0, which `+ 0.0` makes plain zero.
    (usd * 1e6).round() / 1e6 + 0.0
}

/// `$0.0104 an hour`
pub(crate) fn show_usd(usd: f64) -> String {
    let usd = round_usd(usd);
    if usd == 0.0 { "nothing by the hour".to_owned() } else { format!("${usd:.4} an hour") }
}

/// Where the figures come from; nothing where there are none.
fn note_prices(usd: f64, prices: &str) -> String {
    if usd == 0.0 { String::new() } else { format!(" ({prices})") }
}

/// A plan as a reader likes it: one line a change, with its sign.
pub(crate) fn show_plan<O>(heading: &Heading, plan: &Plan<O>, prices: &str) -> String {
    let Heading { lab, owner, region } = heading;
    let mut text = format!("{lab} of {owner} in {region}: ");
    if plan.is_empty() {
        let _ = writeln!(text, "nothing to change, {} as wanted", count(plan.unchanged, "resource"));
        return text;
    }
    let _ = writeln!(text, "{}, {} as wanted", count(plan.steps.len(), "change"), count(plan.unchanged, "resource"));
    let kinds = plan.steps.iter().map(|step| step.kind.len()).max().unwrap_or(0);
    for step in &plan.steps {
        let detail = if step.detail.is_empty() { String::new() } else { format!("  ({})", step.detail) };
        let cost = if step.usd_per_hour == 0.0 { String::new() } else { format!("  {:+.4} $/h", step.usd_per_hour) };
        let _ = writeln!(text, "  {} {:kinds$}  {}{detail}{cost}", step.action.sign(), step.kind, step.name);
    }
    let usd = plan.usd_per_hour;
    let _ = writeln!(text, "this part costs {} once applied{}", show_usd(usd), note_prices(usd, prices));
    text
}

/// What exists, as a table.
pub(crate) fn show_status(heading: &Heading, resources: &[Resource], prices: &str) -> String {
    let Heading { lab, owner, region } = heading;
    if resources.is_empty() {
        return format!("{lab} of {owner} in {region}: nothing of this part exists\n");
    }
    let mut text = format!("{lab} of {owner} in {region}: {}\n", count(resources.len(), "resource"));
    let width = |field: fn(&Resource) -> &str| resources.iter().map(|r| field(r).chars().count()).max().unwrap_or(0);
    let (kinds, names) = (width(|r| r.kind), width(|r| &r.name));
    let (ids, states) = (width(|r| &r.id), width(|r| &r.state));
    for resource in resources {
        let Resource { kind, name, id, state, usd_per_hour, more } = resource;
        let cost = if *usd_per_hour == 0.0 { String::new() } else { format!("  {usd_per_hour:.4} $/h") };
        let mut line = format!("  {kind:kinds$}  {name:names$}  {id:ids$}  {state:states$}{cost}");
        for (field, value) in more {
            let _ = write!(line, "  {field}={}", show_value(value));
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let usd = sum_usd(resources);
    let _ = writeln!(text, "this part costs {}{}", show_usd(usd), note_prices(usd, prices));
    text
}

fn show_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `1 change`, `2 changes`
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// What was done, what was not and why, what may remain and cost money, and the command that continues.
pub(crate) fn show_failure<O>(steps: &[Step<O>], outcome: &Outcome, ways_on: &str) -> String {
    let with = |wanted: &[State]| -> Vec<&Step<O>> {
        let pairs = steps.iter().zip(&outcome.states);
        pairs.filter(|(_, state)| wanted.contains(state)).map(|(step, _)| step).collect()
    };
    let done = with(&[State::Done]);
    let mut text = format!("done: {} of {}\n", done.len(), count(steps.len(), "step"));
    for (index, problem) in &outcome.failures {
        let reason = problem.to_string().replace('\n', "\n    ");
        let _ = writeln!(text, "failed: {}\n    {reason}", steps[*index].title());
    }
    for step in with(&[State::Blocked, State::Waiting]) {
        let _ = writeln!(text, "not started: {}", step.title());
    }
    let made = with(&[State::Done, State::Failed]).into_iter().filter(|step| step.usd_per_hour > 0.0);
    for step in made {
        let _ = writeln!(text, "may exist and cost {}: {} {}", show_usd(step.usd_per_hour), step.kind, step.name);
    }
    let kept =
        with(&[State::Failed, State::Blocked, State::Waiting]).into_iter().filter(|step| step.usd_per_hour < 0.0);
    for step in kept {
        let _ = writeln!(text, "still exists and costs {}: {} {}", show_usd(-step.usd_per_hour), step.kind, step.name);
    }
    text + ways_on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    fn heading() -> Heading {
        Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() }
    }

    #[test]
    fn the_plan_document_has_the_contracts_fields_and_no_others() {
        let step = Step::new(Action::Create, "vpc", "vpc", "lab-vpc", ()).needs(["x"]).costs(0.1);
        let plan = Plan { steps: vec![step], unchanged: 2, usd_per_hour: 0.1 + 0.2 };
        let json = serde_json::to_value(PlanDocument::new(&heading(), &plan, None, &[])).unwrap();
        let expected = serde_json::json!({
            "lab": "lab", "owner": "ada", "region": "us-east-1",
            "changes": [{"action": "create", "kind": "vpc", "name": "lab-vpc", "needs": ["x"], "usd_per_hour": 0.1}],
            "unchanged": 2, "usd_per_hour": 0.3
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn the_status_document_flattens_what_else_is_known() {
        let resources =
            [Resource::new("instance", "lab-public-ec2", "i-1").state("running").costs(0.01).with("zone", "a")];
        let json = serde_json::to_value(StatusDocument::new(&heading(), &resources, None, None, &[])).unwrap();
        let expected = serde_json::json!({
            "lab": "lab", "owner": "ada", "region": "us-east-1", "usd_per_hour": 0.01,
            "resources": [{"kind": "instance", "name": "lab-public-ec2", "id": "i-1", "state": "running",
                           "usd_per_hour": 0.01, "zone": "a"}]
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_failed_teardown_names_what_goes_on_costing() {
        let steps = [Step::new(Action::Delete, "instance", "a", "one", ()).costs(-0.0104)];
        let failures = vec![(0, Problem::failed("denied"))];
        let outcome =
            Outcome { states: vec![State::Failed], made: vec![None], times: vec![None], failures, stopped: None };
        let text = show_failure(&steps, &outcome, "go on: host-up down");
        assert!(text.contains("still exists and costs $0.0104 an hour: instance one"), "{text}");
    }

    #[test]
    fn a_failure_names_what_was_done_what_not_and_what_costs() {
        let steps = [
            Step::new(Action::Create, "instance", "a", "one", ()).costs(0.0104),
            Step::new(Action::Create, "instance", "b", "two", ()),
            Step::new(Action::Create, "instance", "c", "three", ()),
        ];
        let outcome = Outcome {
            states: vec![State::Done, State::Failed, State::Blocked],
            made: vec![Some("i-1".into()), None, None],
            times: vec![None; 3],
            failures: vec![(1, Problem::failed("no capacity").fix("try another zone"))],
            stopped: None,
        };
        let text = show_failure(&steps, &outcome, "go on: host-up up");
        for part in [
            "done: 1 of 3 steps",
            "failed: create instance two\n    no capacity\n      fix: try another zone",
            "not started: create instance three",
            "may exist and cost $0.0104 an hour: instance one",
            "go on: host-up up",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
    }
}
