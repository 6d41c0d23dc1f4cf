//! The answer as text and as JSON. Pure.

use std::fmt::Write as _;

use lab_plan::{Heading, Problem, Resource, sum_usd};
use serde::Serialize;
use serde_json::json;

use crate::{Part, list_notes};

#[derive(Serialize)]
struct Leak<'a> {
    #[serde(flatten)]
    resource: &'a Resource,
    /// The command that removes it.
    remove: &'static str,
}

/// One document: `resources`, or `leaks` with the command that removes each.
pub(crate) fn to_json(heading: &Heading, parts: &[Part], leaks: bool) -> Result<String, Problem> {
    let (field, resources) = if leaks {
        let leak = |remove| move |resource| Leak { resource, remove };
        let all: Vec<_> = parts.iter().flat_map(|part| part.resources.iter().map(leak(part.removal))).collect();
        ("leaks", json!(all))
    } else {
        ("resources", json!(parts.iter().flat_map(|part| &part.resources).collect::<Vec<_>>()))
    };
    let leaving: Vec<_> = parts.iter().flat_map(|part| &part.leaving).collect();
    let document = json!({
        "lab": heading.lab,
        "owner": heading.owner,
        "region": heading.region,
        field: resources,
        "leaving": leaving,
        "notes": list_notes(parts),
        "usd_per_hour": sum_parts(parts),
    });
    lab_plan::to_json(&document)
}

/// A table a part; for leaks the last line says whether anything is left.
pub(crate) fn to_text(heading: &Heading, parts: &[Part], leaks: bool) -> String {
    let Heading { lab, owner, region } = heading;
    let count: usize = parts.iter().map(|part| part.resources.len() + part.leaving.len()).sum();
    if count == 0 {
        let mut programs: Vec<_> = parts.iter().filter_map(|part| part.removal.split(' ').next()).collect();
        programs.sort_unstable();
        programs.dedup();
        let programs = programs.join(", ");
        let verb = if leaks { "is left" } else { "exists" };
        return format!("nothing of {lab} of {owner} {verb} in {region} (asked: all that {programs} make)\n");
    }
    let mut text = String::new();
    let all: Vec<_> = parts.iter().flat_map(|part| &part.resources).collect();
    let width = |field: fn(&Resource) -> &str| all.iter().map(|one| field(one).chars().count()).max().unwrap_or(0);
    let (kinds, names, ids) = (width(|one| one.kind), width(|one| &one.name), width(|one| &one.id));
    for part in parts {
        if leaks && !part.resources.is_empty() {
            let _ = writeln!(text, "removed by `{}`:", part.removal);
        }
        for Resource { kind, name, id, state, usd_per_hour, .. } in &part.resources {
            let cost = if *usd_per_hour == 0.0 { String::new() } else { format!("  {usd_per_hour:.4} $/h") };
            let _ = writeln!(text, "  {kind:kinds$}  {name:names$}  {id:ids$}  {state}{cost}");
        }
        for leaving in &part.leaving {
            let _ = writeln!(text, "  leaving: {leaving}");
        }
    }
    let usd = sum_parts(parts);
    let (noun, verb) = match (count, leaks) {
        (1, true) => ("thing", "is left"),
        (_, true) => ("things", "are left"),
        (1, false) => ("thing", "exists"),
        (_, false) => ("things", "exist"),
    };
    let _ = writeln!(text, "{count} {noun} of {lab} of {owner} {verb} in {region}, costing ${usd:.4} an hour");
    text
}

fn sum_parts(parts: &[Part]) -> f64 {
    sum_usd(parts.iter().flat_map(|part| &part.resources))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading() -> Heading {
        Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() }
    }

    fn part(resources: Vec<Resource>) -> Part {
        Part { removal: "host-up down", resources, leaving: vec![], notes: vec![] }
    }

    #[test]
    fn nothing_left_is_one_line_that_names_what_was_asked() {
        let text = to_text(&heading(), &[part(vec![])], true);
        assert_eq!(text, "nothing of lab of ada is left in us-east-1 (asked: all that host-up make)\n");
    }

    #[test]
    fn a_leak_has_its_cost_and_the_command_that_removes_it() {
        let parts = [part(vec![Resource::new("instance", "lab-public-ec2", "i-1").state("running").costs(0.0104)])];
        let text = to_text(&heading(), &parts, true);
        for part in ["removed by `host-up down`", "lab-public-ec2", "0.0104 $/h", "1 thing of lab of ada is left"] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        let document: serde_json::Value = serde_json::from_str(&to_json(&heading(), &parts, true).unwrap()).unwrap();
        assert_eq!(document["leaks"][0]["remove"], "host-up down");
        assert_eq!(document["usd_per_hour"], 0.0104);
    }
}
