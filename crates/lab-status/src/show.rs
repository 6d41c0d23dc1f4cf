//! What exists and what is left, as text and as JSON. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use lab_ec2::show_age;
use lab_plan::{Heading, Look, Problem, Resource, TableRow, clean, round_usd};
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
pub(crate) fn to_text(look: Look, heading: &Heading, found: &Inventory) -> String {
    let Heading { lab, owner, region } = heading;
    let mut page = Page::new(look);
    let all: Vec<_> = found.all().collect();
    let rows = lay_out(look, &all);
    let (known, others) = rows.split_at(found.resources.len());
    page.rows(known);
    if !others.is_empty() {
        page.line("what only its tags or its name tell (lab-status leaks says how each is removed):");
    }
    page.rows(others);
    if let Some(line) = found.hour.as_ref().and_then(show_hour) {
        page.line(&line);
    }
    for leaving in &found.leaving {
        page.line(&format!("  leaving: {leaving}"));
    }
    for unread in &found.unread {
        page.line(&format!("  not known: {unread}"));
    }
    let count = found.count();
    if count == 0 && found.unread.is_empty() {
        let asked = name_asked(found.knows_tags);
        return Page::of(look, &format!("nothing of {lab} of {owner} exists in {region} ({asked})"));
    }
    let (noun, verb) = if count == 1 { ("thing", "exists") } else { ("things", "exist") };
    let total = show_total(found.total);
    page.line(&format!("{count} {noun} of {lab} of {owner} {verb} in {region}, costing {total}"));
    page.text
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
pub(crate) fn leaks_to_text(look: Look, heading: &Heading, left: &Left) -> String {
    let Heading { lab, owner, region } = heading;
    if left.is_nothing() {
        let asked = name_asked(left.knows_tags);
        return Page::of(look, &format!("nothing of {lab} of {owner} is left in {region} ({asked})"));
    }
    let mut page = Page::new(look);
    let resources: Vec<_> = left.leaks.iter().map(|leak| leak.thing.to_resource(left.now)).collect();
    let rows = lay_out(look, &resources.iter().collect::<Vec<_>>());
    let mut command = "";
    for (leak, row) in left.leaks.iter().zip(&rows) {
        if leak.remove != command {
            command = &leak.remove;
            page.line(&format!("{}: `{command}`:", leak.hint.unwrap_or("removed by")).replacen("by: `", "by `", 1));
        }
        page.rows(std::slice::from_ref(row));
        show_blocks(&mut page, leak);
    }
    for thing in &left.leaving {
        page.line(&format!("  leaving: {} is {}", thing.name, thing.state));
    }
    tell_unknown(&mut page, left);
    let count = left.leaks.len() + left.leaving.len();
    if count == 0 {
        page.line(&format!("nothing of {lab} of {owner} was found in {region}, but not all could be looked at"));
        return page.text;
    }
    let (noun, verb) = if count == 1 { ("thing", "is left") } else { ("things", "are left") };
    let total = show_total(left.total());
    page.line(&format!("{count} {noun} of {lab} of {owner} {verb} in {region}, costing {total}"));
    page.text
}

/// A leak below its lab.
pub(crate) fn show_leak(page: &mut Page, leak: &Leak, now: Timestamp) {
    page.rows(&lay_out(page.look, &[&leak.thing.to_resource(now)]));
    page.line(&format!("      {}: {}", leak.hint.unwrap_or("removed by"), leak.remove));
    show_blocks(page, leak);
}

fn show_blocks(page: &mut Page, leak: &Leak) {
    for block in &leak.blocks {
        let hint = block.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        page.line(&format!("      in the way: {}{hint}: {}", block.what, block.remove));
    }
}

/// What nobody could say is gone.
pub(crate) fn tell_unknown(page: &mut Page, left: &Left) {
    for unread in &left.unread {
        page.line(&format!("  not known: {unread}"));
    }
    for arn in &left.unconfirmed {
        page.line(&format!(
            "  perhaps left: {arn} (only the tagging API names it; look at it in its service's console)"
        ));
    }
    for what in left.unpriced() {
        page.line(&format!("  not counted: the price of {what}, which is not in the table"));
    }
}

/// An answer as it grows, within the terminal's width. Nothing that AWS says in it can move a cursor.
#[derive(Debug)]
pub(crate) struct Page {
    look: Look,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn new(look: Look) -> Self {
        Self { look, text: String::new() }
    }

    /// One line and nothing else.
    pub(crate) fn of(look: Look, line: &str) -> String {
        let mut page = Self::new(look);
        page.line(line);
        page.text
    }

    /// Adds a line of prose.
    pub(crate) fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", self.look.fold(&clean(line)));
    }

    /// Adds rows that are laid out already.
    pub(crate) fn rows(&mut self, rows: &[String]) {
        for row in rows {
            let _ = writeln!(self.text, "  {row}");
        }
    }
}

/// Resources as a table's rows.
fn lay_out(look: Look, resources: &[&Resource]) -> Vec<String> {
    let rows: Vec<_> = resources.iter().map(|resource| to_row(resource)).collect();
    look.lay_out(&rows, 2)
}

fn to_row(resource: &Resource) -> TableRow {
    let Resource { kind, name, id, state, usd_per_hour, more } = resource;
    let mut rest = Vec::new();
    if let Some(age) = more.get("age_s").and_then(Value::as_u64) {
        rest.push(show_age(Duration::from_secs(age)));
    }
    if *usd_per_hour > 0.0 {
        let so_far = more.get("usd_so_far").and_then(Value::as_f64);
        let so_far = so_far.map_or("so far unknown".into(), |usd| format!("so far ${usd:.4}"));
        rest.push(format!("{usd_per_hour:.4} $/h, {so_far}"));
    }
    TableRow { cells: [kind, name.as_str(), id, state].map(clean).to_vec(), rest: rest.join("  ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Block;
    use crate::census::World;
    use crate::leaks::find_leaks;
    use crate::testing::{hol02, label, plain};
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
        let text = leaks_to_text(Look::page(None), &heading(), &left(vec![]));
        assert!(text.starts_with("nothing of lab of ada is left in us-east-1 (asked: EC2, S3,"), "{text}");
        assert_eq!(text.lines().count(), 1);
        let text = leaks_to_text(Look::page(None), &heading(), &Left { knows_tags: false, ..left(vec![]) });
        assert!(text.ends_with("ACM and IAM; what else bears the lab's tags is not known)\n"), "{text}");
    }

    #[test]
    fn a_leak_has_its_cost_and_the_command_that_removes_it() {
        let left = left(vec![instance()]);
        let text = leaks_to_text(Look::page(None), &heading(), &left);
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
        let text = leaks_to_text(Look::page(None), &heading(), &left);
        assert!(text.contains("      in the way: eni-9 of bob: ask bob"), "{text}");
    }

    #[test]
    fn what_could_not_be_read_is_told_and_never_called_nothing_left() {
        let left = Left { unread: vec!["DescribeVolumes: UnauthorizedOperation: no".into()], ..left(vec![]) };
        let text = leaks_to_text(Look::page(None), &heading(), &left);
        assert!(text.contains("not known: DescribeVolumes"), "{text}");
        assert!(!text.contains("is left"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_lines_below_each_other_and_whole_commands() {
        let mut left = left(vec![instance()]);
        left.leaks[0].remove = "host-up down --lab a/long/path/to/lab.toml --owner ada --region us-east-1".into();
        for columns in [40, 80] {
            let text = leaks_to_text(Look::page(Some(columns)), &heading(), &left);
            let wide = |line: &&str| line.chars().count() > columns && !line.contains(&left.leaks[0].remove);
            assert_eq!(text.lines().find(wide), None, "{text}");
            assert!(
                text.contains("`host-up down --lab a/long/path/to/lab.toml --owner ada --region us-east-1`"),
                "{text}"
            );
        }
        let text = leaks_to_text(Look::page(Some(40)), &heading(), &left);
        assert!(
            text.contains("  instance lab-public-ec2\n      i-1 running 1 h 0 min 0.0104 $/h,\n      so far $0.0104\n"),
            "{text}"
        );
    }

    #[test]
    fn a_screen_reader_hears_commas_and_no_padding() {
        let vpc = Thing::new("vpc", "vpc-1", Label { name: Some("lab-vpc".into()), ..label("ada") });
        let look = plain();
        let text = leaks_to_text(look, &heading(), &left(vec![instance(), vpc]));
        assert!(
            text.contains("\n  instance, lab-public-ec2, i-1, running, 1 h 0 min  0.0104 $/h, so far $0.0104\n"),
            "{text}"
        );
        assert!(text.contains("\n  vpc, lab-vpc, vpc-1, "), "{text}");
    }

    #[test]
    fn names_of_others_cannot_clear_the_screen() {
        let label = Label { name: Some("evil\u{1b}[2J".into()), ..label("ada") };
        let mut left = left(vec![Thing::new("vpc", "vpc-1", label)]);
        left.unread.push("DescribeVolumes: \u{1b}[2J".into());
        let text = leaks_to_text(Look::page(None), &heading(), &left);
        assert!(!text.contains('\u{1b}') && text.contains("evil\u{fffd}[2J"), "{text:?}");
    }

    #[test]
    fn an_unknown_cost_makes_the_total_a_least_one() {
        let address = Thing::new("elastic-ip", "eipalloc-1", label("ada")).bill(Bill::new(0.005, None));
        let text = leaks_to_text(Look::page(None), &heading(), &left(vec![address]));
        assert!(text.contains("0.0050 $/h, so far unknown"), "{text}");
        assert!(text.contains("costing $0.0050 an hour, at least $0.0000 so far"), "{text}");
    }
}
