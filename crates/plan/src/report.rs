//! What a verb answers: one document that serves text and JSON alike.

use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
