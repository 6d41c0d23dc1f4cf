//! What exists and what is left, as text and as JSON. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use lab_ec2::show_age;
use lab_plan::{Heading, Problem, Resource, round_usd};
use serde_json::{Value, json};

use crate::hour::{Hour, show as show_hour};
use crate::labs::show_total;
use crate::leaks::{Leak, Left, Total};

/// Everything that exists, as its programs show it, and what only its tags tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inventory {
    pub(crate) resources: Vec<Resource>,
    /// What bears our tags or names and no program shows.
    pub(crate) others: Vec<Resource>,
    /// What is on its way out, or stands outside of the lab but in its way.
    pub(crate) leaving: Vec<String>,
    pub(crate) total: Total,
    /// What could not be looked at.
    pub(crate) unread: Vec<String>,
    /// The tags of all services could be listed.
    pub(crate) knows_tags: bool,
    pub(crate) notes: Vec<String>,
    /// What the function did in the last hour, as far as it is known.
    pub(crate) hour: Option<Hour>,
}

impl Inventory {
    /// Whether the lab's function is there.
    pub(crate) fn has_function(&self) -> bool {
        self.all().any(|resource| resource.kind == "function")
    }

    fn all(&self) -> impl Iterator<Item = &Resource> + Clone {
        self.resources.iter().chain(&self.others)
    }

    fn count(&self) -> usize {
        self.all().count() + self.leaving.len()
    }
}

/// One document.
pub(crate) fn to_json(heading: &Heading, found: &Inventory) -> Result<String, Problem> {
    lab_plan::to_json(&json!({
        "lab": heading.lab,
        "owner": heading.owner,
        "region": heading.region,
        "resources": found.all().collect::<Vec<_>>(),
        "leaving": found.leaving,
        "unread": found.unread,
        "notes": found.notes,
        "last_hour": found.hour.as_ref().filter(|_| found.has_function()),
        "usd_per_hour": round_usd(found.total.usd_per_hour),
        "usd_so_far": round_usd(found.total.usd_so_far),
        "usd_so_far_is_at_least": found.total.is_at_least,
    }))
}

/// A line each, and what they cost together.
pub(crate) fn to_text(heading: &Heading, found: &Inventory) -> String {
    let Heading { lab, owner, region } = heading;
    let mut text = String::new();
    let widths = Widths::of(&found.all());
    for resource in &found.resources {
        show_resource(&mut text, resource, widths);
    }
    if !found.others.is_empty() {
        let _ = writeln!(text, "what only its tags or its name tell (lab-status leaks says how each is removed):");
    }
    for resource in &found.others {
        show_resource(&mut text, resource, widths);
    }
    if let Some(line) = found.hour.as_ref().and_then(show_hour) {
        let _ = writeln!(text, "{line}");
    }
    for leaving in &found.leaving {
        let _ = writeln!(text, "  leaving: {leaving}");
    }
    for unread in &found.unread {
        let _ = writeln!(text, "  not known: {unread}");
    }
    let count = found.count();
    if count == 0 && found.unread.is_empty() {
        return format!("nothing of {lab} of {owner} exists in {region} ({})\n", name_asked(found.knows_tags));
    }
    let (noun, verb) = if count == 1 { ("thing", "exists") } else { ("things", "exist") };
    let _ =
        writeln!(text, "{count} {noun} of {lab} of {owner} {verb} in {region}, costing {}", show_total(found.total));
    text
}

/// Whom "nothing" speaks of.
pub(crate) fn name_asked(knows_tags: bool) -> &'static str {
    if knows_tags {
        "asked: EC2, S3, Lambda, Logs, SQS, ACM, IAM and the tags of all services"
    } else {
        "asked: EC2, S3, Lambda, Logs, SQS, ACM and IAM; what else bears the lab's tags is not known"
    }
}

/// One document: `leaks`, each with the command that removes it and what is in the way.
pub(crate) fn leaks_to_json(heading: &Heading, left: &Left) -> Result<String, Problem> {
    let leaks: Vec<_> = left.leaks.iter().map(|leak| to_leak(leak, left.now)).collect();
    let total = left.total();
    lab_plan::to_json(&json!({
        "lab": heading.lab,
        "owner": heading.owner,
        "region": heading.region,
        "leaks": leaks,
        "leaving": left.leaving.iter().map(|thing| format!("{} is {}", thing.name, thing.state)).collect::<Vec<_>>(),
        "unread": left.unread,
        "unconfirmed": left.unconfirmed,
        "unpriced": left.unpriced(),
        "notes": left.notes,
        "usd_per_hour": round_usd(total.usd_per_hour),
        "usd_so_far": round_usd(total.usd_so_far),
        "usd_so_far_is_at_least": total.is_at_least,
    }))
}

/// A leak's fields.
pub(crate) fn to_leak(leak: &Leak, now: Timestamp) -> Value {
    let mut value = json!(leak.thing.to_resource(now));
    if let Value::Object(fields) = &mut value {
        fields.insert("remove".into(), leak.remove.clone().into());
        fields.insert("hint".into(), json!(leak.hint));
        fields.insert("blocks".into(), json!(leak.blocks));
    }
    value
}

/// What is left, by the command that removes it; the last line says whether anything is.
pub(crate) fn leaks_to_text(heading: &Heading, left: &Left) -> String {
    let Heading { lab, owner, region } = heading;
    if left.is_nothing() {
        return format!("nothing of {lab} of {owner} is left in {region} ({})\n", name_asked(left.knows_tags));
    }
    let mut text = String::new();
    let resources: Vec<_> = left.leaks.iter().map(|leak| leak.thing.to_resource(left.now)).collect();
    let widths = Widths::of(&resources.iter());
    let mut command = "";
    for (leak, resource) in left.leaks.iter().zip(&resources) {
        if leak.remove != command {
            command = &leak.remove;
            let _ = match leak.hint {
                Some(hint) => writeln!(text, "{hint}: `{command}`:"),
                None => writeln!(text, "removed by `{command}`:"),
            };
        }
        show_resource(&mut text, resource, widths);
        show_blocks(&mut text, leak);
    }
    for thing in &left.leaving {
        let _ = writeln!(text, "  leaving: {} is {}", thing.name, thing.state);
    }
    tell_unknown(&mut text, left);
    let count = left.leaks.len() + left.leaving.len();
    if count == 0 {
        let _ = writeln!(text, "nothing of {lab} of {owner} was found in {region}, but not all could be looked at");
        return text;
    }
    let (noun, verb) = if count == 1 { ("thing", "is left") } else { ("things", "are left") };
    let total = show_total(left.total());
    let _ = writeln!(text, "{count} {noun} of {lab} of {owner} {verb} in {region}, costing {total}");
    text
}

/// A leak below its lab.
pub(crate) fn show_leak(text: &mut String, leak: &Leak, now: Timestamp) {
    show_resource(text, &leak.thing.to_resource(now), Widths::default());
    let _ = writeln!(text, "      {}: {}", leak.hint.unwrap_or("removed by"), leak.remove);
    show_blocks(text, leak);
}

fn show_blocks(text: &mut String, leak: &Leak) {
    for block in &leak.blocks {
        let hint = block.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let _ = writeln!(text, "      in the way: {}{hint}: {}", block.what, block.remove);
    }
}

/// What nobody could say is gone.
pub(crate) fn tell_unknown(text: &mut String, left: &Left) {
    for unread in &left.unread {
        let _ = writeln!(text, "  not known: {unread}");
    }
    for arn in &left.unconfirmed {
        let _ = writeln!(
            text,
            "  perhaps left: {arn} (only the tagging API names it; look at it in its service's console)"
        );
    }
    for what in left.unpriced() {
        let _ = writeln!(text, "  not counted: the price of {what}, which is not in the table");
    }
}

/// How wide the columns are.
#[derive(Debug, Clone, Copy, Default)]
struct Widths {
    kinds: usize,
    names: usize,
    ids: usize,
    states: usize,
}

impl Widths {
    fn of<'a>(resources: &(impl Iterator<Item = &'a Resource> + Clone)) -> Self {
        let width =
            |field: fn(&Resource) -> &str| resources.clone().map(|one| field(one).chars().count()).max().unwrap_or(0);
        Self {
            kinds: width(|one| one.kind),
            names: width(|one| &one.name),
            ids: width(|one| &one.id),
            states: width(|one| &one.state),
        }
    }
}

fn show_resource(text: &mut String, resource: &Resource, widths: Widths) {
    let Widths { kinds, names, ids, states } = widths;
    let Resource { kind, name, id, state, usd_per_hour, more } = resource;
    let mut line = format!("  {kind:kinds$}  {name:names$}  {id:ids$}  {state:states$}");
    if let Some(age) = more.get("age_s").and_then(Value::as_u64) {
        let _ = write!(line, "  {}", show_age(Duration::from_secs(age)));
    }
    if *usd_per_hour > 0.0 {
        let so_far = more.get("usd_so_far").and_then(Value::as_f64);
        let so_far = so_far.map_or("so far unknown".into(), |usd| format!("so far ${usd:.4}"));
        let _ = write!(line, "  {usd_per_hour:.4} $/h, {so_far}");
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Block;
    use crate::census::World;
    use crate::leaks::find_leaks;
    use crate::testing::{hol02, label};
    use crate::thing::{Bill, Label, Thing};

    fn heading() -> Heading {
        Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() }
    }

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn left(things: Vec<Thing>) -> Left {
        find_leaks(&World { now: now(), things, knows_tags: true, ..World::default() }, &hol02())
    }

    fn instance() -> Thing {
        let since = Some(now() - jiff::SignedDuration::from_hours(1));
        let label = Label { name: Some("lab-public-ec2".into()), role: Some("instance public".into()), ..label("ada") };
        Thing::new("instance", "i-1", label)
            .state("running", crate::thing::Fate::Stays)
            .created(since)
            .bill(Bill::new(0.0104, since))
    }

    #[test]
    fn nothing_left_is_one_line_that_names_what_was_asked() {
        let text = leaks_to_text(&heading(), &left(vec![]));
        assert!(text.starts_with("nothing of lab of ada is left in us-east-1 (asked: EC2, S3,"), "{text}");
        assert_eq!(text.lines().count(), 1);
        let text = leaks_to_text(&heading(), &Left { knows_tags: false, ..left(vec![]) });
        assert!(text.ends_with("ACM and IAM; what else bears the lab's tags is not known)\n"), "{text}");
    }

    #[test]
    fn a_leak_has_its_cost_and_the_command_that_removes_it() {
        let left = left(vec![instance()]);
        let text = leaks_to_text(&heading(), &left);
        for part in [
            "removed by `host-up down`",
            "lab-public-ec2",
            "1 h 0 min  0.0104 $/h, so far $0.0104",
            "1 thing of lab of ada is left in us-east-1, costing $0.0104 an hour, $0.0104 so far",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        let document: Value = serde_json::from_str(&leaks_to_json(&heading(), &left).unwrap()).unwrap();
        let leak = &document["leaks"][0];
        assert_eq!((&leak["remove"], &leak["blocks"]), (&"host-up down".into(), &json!([])));
        assert_eq!((&leak["created"], &leak["age_s"]), (&"2026-11-20T11:00:00Z".into(), &3600.into()));
        assert_eq!(document["usd_per_hour"], 0.0104);
    }

    #[test]
    fn what_is_in_the_way_stands_below_it() {
        let mut left = left(vec![instance()]);
        left.leaks[0].blocks.push(Block {
            what: "eni-9 of bob".into(),
            id: "eni-9".into(),
            remove: "ask bob".into(),
            hint: None,
        });
        let text = leaks_to_text(&heading(), &left);
        assert!(text.contains("      in the way: eni-9 of bob: ask bob"), "{text}");
    }

    #[test]
    fn what_could_not_be_read_is_told_and_never_called_nothing_left() {
        let left = Left { unread: vec!["DescribeVolumes: UnauthorizedOperation: no".into()], ..left(vec![]) };
        let text = leaks_to_text(&heading(), &left);
        assert!(text.contains("not known: DescribeVolumes"), "{text}");
        assert!(!text.contains("is left"), "{text}");
    }

    #[test]
    fn an_unknown_cost_makes_the_total_a_least_one() {
        let address = Thing::new("elastic-ip", "eipalloc-1", label("ada")).bill(Bill::new(0.005, None));
        let text = leaks_to_text(&heading(), &left(vec![address]));
        assert!(text.contains("0.0050 $/h, so far unknown"), "{text}");
        assert!(text.contains("costing $0.0050 an hour, at least $0.0000 so far"), "{text}");
    }
}
