//! Something that exists, whatever it is: what it is called, whose it is, where it stands, and what it costs. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lab_common::Tags;
use lab_plan::{Resource, round_usd};
use serde_json::Value;

/// Who a thing belongs to, by its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) name: Option<String>,
    pub(crate) lab: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) role: Option<String>,
}

impl Label {
    /// What these tags, each with its key, say.
    pub(crate) fn read<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut label = Self::default();
        for (key, value) in tags {
            let field = match key {
                Tags::NAME => &mut label.name,
                Tags::LAB => &mut label.lab,
                Tags::OWNER => &mut label.owner,
                Tags::ROLE => &mut label.role,
                _ => continue,
            };
            *field = Some(value.to_owned());
        }
        label
    }

    /// Whether no lab claims it.
    pub(crate) fn is_nobodys(&self) -> bool {
        self.lab.is_none() && self.owner.is_none()
    }
}

/// How far a thing is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays until somebody removes it.
    Stays,
    /// It needs nothing but time.
    Leaving,
    /// AWS only remembers it.
    Gone,
}

/// Something that costs by the hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bill {
    pub(crate) usd_per_hour: f64,
    /// `None` where AWS does not tell.
    pub(crate) since: Option<Timestamp>,
    /// A started hour is billed whole.
    pub(crate) whole_hours: bool,
}

impl Bill {
    /// By the second.
    pub(crate) fn new(usd_per_hour: f64, since: Option<Timestamp>) -> Self {
        Self { usd_per_hour, since, whole_hours: false }
    }

    /// US dollars until `now`; `None` where nobody knows since when.
    fn usd_so_far(&self, now: Timestamp) -> Option<f64> {
        let hours = hours_between(self.since?, now);
        Some(self.usd_per_hour * if self.whole_hours { hours.ceil().max(1.0) } else { hours })
    }
}

/// Where a thing stands, and what it is held by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) vpc: Option<String>,
    pub(crate) subnet: Option<String>,
    pub(crate) groups: Vec<String>,
    /// The id of what it is attached to or belongs to.
    pub(crate) holder: Option<String>,
}

/// Something that exists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Thing {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) label: Label,
    pub(crate) fate: Fate,
    pub(crate) created: Option<Timestamp>,
    pub(crate) bills: Vec<Bill>,
    /// What of it has no known price (`instance type x9.huge`).
    pub(crate) unpriced: Option<String>,
    pub(crate) place: Place,
    /// What it holds or what holds it, in words: what its kind alone does not say.
    pub(crate) about: Option<String>,
    /// More fields of its JSON.
    pub(crate) more: BTreeMap<&'static str, Value>,
}

impl Thing {
    /// A free thing that is there.
    pub(crate) fn new(kind: &'static str, id: impl Into<String>, label: Label) -> Self {
        let id = id.into();
        Self {
            kind,
            name: label.name.clone().unwrap_or_else(|| id.clone()),
            id,
            state: "available".into(),
            label,
            fate: Fate::Stays,
            created: None,
            bills: Vec::new(),
            unpriced: None,
            place: Place::default(),
            about: None,
            more: BTreeMap::new(),
        }
    }

    #[must_use]
    pub(crate) fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    #[must_use]
    pub(crate) fn state(mut self, state: impl Into<String>, fate: Fate) -> Self {
        self.state = state.into();
        self.fate = fate;
        self
    }

    #[must_use]
    pub(crate) fn created(mut self, created: Option<Timestamp>) -> Self {
        self.created = created;
        self
    }

    #[must_use]
    pub(crate) fn within(mut self, vpc: Option<&str>, subnet: Option<&str>) -> Self {
        self.place.vpc = own(vpc);
        self.place.subnet = own(subnet);
        self
    }

    #[must_use]
    pub(crate) fn held_by(mut self, holder: Option<&str>) -> Self {
        self.place.holder = own(holder);
        self
    }

    #[must_use]
    pub(crate) fn about(mut self, about: impl Into<String>) -> Self {
        self.about = Some(about.into());
        self
    }

    #[must_use]
    pub(crate) fn bill(mut self, bill: Bill) -> Self {
        self.bills.push(bill);
        self
    }

    #[must_use]
    pub(crate) fn with(mut self, field: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(field, value.into());
        self
    }

    pub(crate) fn usd_per_hour(&self) -> f64 {
        self.bills.iter().map(|bill| bill.usd_per_hour).sum()
    }

    /// US dollars until `now`; `None` where AWS does not tell since when, or the price is not known.
    pub(crate) fn usd_so_far(&self, now: Timestamp) -> Option<f64> {
        if self.unpriced.is_some() {
            return None;
        }
        self.bills.iter().map(|bill| bill.usd_so_far(now)).sum()
    }

    /// What is known of that: the parts whose price and age are.
    pub(crate) fn known_usd_so_far(&self, now: Timestamp) -> f64 {
        self.bills.iter().filter_map(|bill| bill.usd_so_far(now)).sum()
    }

    /// Whether it has cost more than its bills tell: a host that is stopped, or was before it was started last. AWS does not
    /// tell how long it ran.
    pub(crate) fn has_cost_before(&self) -> bool {
        let runs_since = self.bills.iter().filter_map(|bill| bill.since).max();
        let was_stopped = self.created.zip(runs_since).is_some_and(|(made, since)| {
            // An interface is attached some seconds after the launch, or before.
            since.duration_since(made) > jiff::SignedDuration::from_mins(2)
        });
        self.kind == "instance" && (self.state.starts_with("stop") || was_stopped)
    }

    /// `vpc lab-vpc (vpc-1)`; the id alone where it is the name.
    pub(crate) fn title(&self) -> String {
        let Self { kind, name, id, .. } = self;
        if name == id || name.is_empty() { format!("{kind} {id}") } else { format!("{kind} {name} ({id})") }
    }

    /// As the documents show it.
    pub(crate) fn to_resource(&self, now: Timestamp) -> Resource {
        let mut resource = Resource::new(self.kind, &self.name, &self.id).state(&self.state).costs(self.usd_per_hour());
        for (field, value) in &self.more {
            resource = resource.with(field, value.clone());
        }
        if let Some(about) = &self.about {
            resource = resource.with("about", about.as_str());
        }
        with_age(resource, self.created, self.usd_so_far(now), now)
    }
}

/// Adds since when it is there and what it has cost, null where that is not known.
pub(crate) fn with_age(
    resource: Resource,
    created: Option<Timestamp>,
    usd_so_far: Option<f64>,
    now: Timestamp,
) -> Resource {
    let age = created.map(|created| now.duration_since(created).as_secs().max(0));
    resource
        .with("created", created.map_or(Value::Null, |time| to_seconds(time).to_string().into()))
        .with("age_s", age.map_or(Value::Null, Value::from))
        .with("usd_so_far", usd_so_far.map_or(Value::Null, |usd| round_usd(usd).into()))
}

/// AWS tells some times to the millisecond; nobody needs more than seconds.
fn to_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Never negative: a clock that is behind AWS's makes nothing younger than new.
fn hours_between(since: Timestamp, now: Timestamp) -> f64 {
    (now.duration_since(since).as_secs_f64() / 3600.0).max(0.0)
}

/// AWS's time as ours.
pub(crate) fn read_time(time: Option<&aws_smithy_types::DateTime>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or(0)).ok()
}

/// A time that Client VPN tells as text: `2026-11-20T10:00:00` or, of a connection, `2026-11-20 10:00:00`, with or without the zone, which is UTC.
pub(crate) fn read_endpoint_time(text: &str) -> Option<Timestamp> {
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// A text that says something.
pub(crate) fn own(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn near(found: Option<f64>, wanted: f64) -> bool {
        found.is_some_and(|found| (found - wanted).abs() < 1e-9)
    }

    #[test]
    fn a_nat_gateway_has_cost_its_started_hours() {
        let bill = Bill { usd_per_hour: 0.045, since: Some(at("2026-11-20T10:00:00Z")), whole_hours: true };
        let thing = Thing::new("natgateway", "nat-1", Label::default()).bill(bill);
        assert!(near(thing.usd_so_far(at("2026-11-20T10:00:05Z")), 0.045));
        assert!(near(thing.usd_so_far(at("2026-11-20T11:00:05Z")), 0.09));
    }

    #[test]
    fn what_has_no_known_start_has_no_known_cost_and_a_free_thing_has_cost_nothing() {
        let now = at("2026-11-20T12:00:00Z");
        let address = Thing::new("elastic-ip", "eipalloc-1", Label::default()).bill(Bill::new(0.005, None));
        assert_eq!(address.usd_so_far(now), None);
        assert!(near(Thing::new("vpc", "vpc-1", Label::default()).usd_so_far(now), 0.0));
        let json = serde_json::to_value(address.to_resource(now)).unwrap();
        assert_eq!((&json["created"], &json["age_s"], &json["usd_so_far"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!(json["usd_per_hour"], 0.005);
    }

    #[test]
    fn each_part_of_a_thing_counts_from_its_own_start() {
        let instance = Thing::new("instance", "i-1", Label::default())
            .created(Some(at("2026-11-20T10:00:00Z")))
            .bill(Bill::new(0.0104, Some(at("2026-11-20T10:00:00Z"))))
            .bill(Bill::new(0.001, Some(at("2026-11-20T08:00:00Z"))));
        let now = at("2026-11-20T12:00:00.5Z");
        assert!(instance.usd_so_far(now).is_some_and(|usd| (usd - (0.0208 + 0.004)).abs() < 1e-5));
        let json = serde_json::to_value(instance.to_resource(now)).unwrap();
        assert_eq!((&json["created"], &json["age_s"]), (&"2026-11-20T10:00:00Z".into(), &7200.into()));
    }

    #[test]
    fn a_clock_that_is_behind_makes_nothing_cheaper_than_nothing() {
        let bill = Bill::new(1.0, Some(at("2026-11-20T10:00:00Z")));
        assert!(near(bill.usd_so_far(at("2026-11-20T09:00:00Z")), 0.0));
    }
}
