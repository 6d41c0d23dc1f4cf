//! Every lab of the account: what is left, sorted by lab and owner. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use lab_ec2::show_age;
use lab_plan::{Look, Problem, round_usd, to_json};
use serde_json::{Value, json};

use crate::leaks::{Leak, Left, Total, sum_up};
use crate::show::{Page, show_leak, tell_unknown, to_leak};

/// One lab, of one owner.
#[derive(Debug, Clone)]
struct Lab<'a> {
    name: &'a str,
    owner: &'a str,
    leaks: Vec<&'a Leak>,
    /// When the oldest of its things was made that AWS tells the time of.
    since: Option<Timestamp>,
    total: Total,
}

fn sort_by_lab(left: &Left) -> Vec<Lab<'_>> {
    let mut labs: BTreeMap<(&str, &str), Vec<&Leak>> = BTreeMap::new();
    for leak in &left.leaks {
        let label = &leak.thing.label;
        let key = (label.lab.as_deref().unwrap_or("?"), label.owner.as_deref().unwrap_or("?"));
        labs.entry(key).or_default().push(leak);
    }
    let labs = labs.into_iter().map(|((name, owner), leaks)| Lab {
        name,
        owner,
        since: leaks.iter().filter_map(|leak| leak.thing.created).min(),
        total: sum_up(leaks.iter().map(|leak| &leak.thing), left.now),
        leaks,
    });
    labs.collect()
}

/// One document: the labs, each with its leaks.
pub(crate) fn to_document(region: &str, left: &Left) -> Result<String, Problem> {
    let labs: Vec<Value> = sort_by_lab(left)
        .into_iter()
        .map(|lab| {
            let leaks: Vec<_> = lab.leaks.iter().map(|leak| to_leak(leak, left.now)).collect();
            json!({
                "lab": lab.name,
                "owner": lab.owner,
                "count": lab.leaks.len(),
                "created": lab.since.map(|since| since.to_string()),
                "age_s": lab.since.map(|since| left.now.duration_since(since).as_secs().max(0)),
                "usd_per_hour": round_usd(lab.total.usd_per_hour),
                "usd_so_far": round_usd(lab.total.usd_so_far),
                "usd_so_far_is_at_least": lab.total.is_at_least,
                "leaks": leaks,
            })
        })
        .collect();
    let total = left.total();
    to_json(&json!({
        "region": region,
        "labs": labs,
        "leaving": left.leaving.iter().map(|thing| format!("{} is {}", thing.title(), thing.state)).collect::<Vec<_>>(),
        "unread": left.unread,
        "unconfirmed": left.unconfirmed,
        "notes": left.notes,
        "usd_per_hour": round_usd(total.usd_per_hour),
        "usd_so_far": round_usd(total.usd_so_far),
        "usd_so_far_is_at_least": total.is_at_least,
    }))
}

/// A line a lab, with what is left of it below.
pub(crate) fn to_text(look: Look, region: &str, left: &Left) -> String {
    let labs = sort_by_lab(left);
    let mut page = Page::new(look);
    for lab in &labs {
        let age = lab.since.map(|since| left.now.duration_since(since));
        let age = age
            .and_then(|age| Duration::try_from(age).ok())
            .map_or("of unknown age".into(), |age| format!("{} old", show_age(age)));
        let count = lab.leaks.len();
        let noun = if count == 1 { "thing" } else { "things" };
        page.line(&format!("{} of {}: {count} {noun}, {age}, {}", lab.name, lab.owner, show_total(lab.total)));
        for leak in &lab.leaks {
            show_leak(&mut page, leak, left.now);
        }
    }
    for thing in &left.leaving {
        let owner = thing.label.owner.as_deref().unwrap_or("?");
        page.line(&format!("  leaving: {} of {owner} is {}", thing.title(), thing.state));
    }
    tell_unknown(&mut page, left);
    if left.is_nothing() {
        return Page::of(look, &format!("nothing of any lab is left in {region}"));
    }
    if !labs.is_empty() {
        let noun = if labs.len() == 1 { "lab has" } else { "labs have" };
        page.line(&format!("{} {noun} something left in {region}, {}", labs.len(), show_total(left.total())));
        page.line("FILE-OF-… stands for the lab.toml of that lab: without it a program works on another one");
    }
    page.text
}

/// `$0.0154 an hour, at least $0.0308 so far`
pub(crate) fn show_total(total: Total) -> String {
    let at_least = if total.is_at_least { "at least " } else { "" };
    format!("${:.4} an hour, {at_least}${:.4} so far", round_usd(total.usd_per_hour), round_usd(total.usd_so_far))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::World;
    use crate::leaks::find_leaks;
    use crate::scope::{Options, Scope};
    use crate::testing::label;
    use crate::thing::{Bill, Thing};

    fn left() -> Left {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let since = now - jiff::SignedDuration::from_hours(3);
        let gateway = Thing::new("natgateway", "nat-1", label("ada")).created(Some(since));
        let bill = Bill { usd_per_hour: 0.045, since: Some(since), whole_hours: true };
        let things = vec![gateway.bill(bill), Thing::new("vpc", "vpc-2", label("bob"))];
        find_leaks(&World { now, things, ..World::default() }, &Scope::All(Options::default()))
    }

    #[test]
    fn each_lab_has_its_owner_age_count_and_cost() {
        let document: Value = serde_json::from_str(&to_document("us-east-1", &left()).unwrap()).unwrap();
        let labs = document["labs"].as_array().unwrap();
        assert_eq!(labs.iter().map(|lab| &lab["owner"]).collect::<Vec<_>>(), ["ada", "bob"]);
        assert_eq!((&labs[0]["age_s"], &labs[0]["usd_so_far"]), (&10_800.into(), &0.135.into()));
        assert_eq!((&labs[1]["age_s"], &labs[1]["count"]), (&Value::Null, &1.into()));
        assert_eq!(labs[0]["leaks"][0]["remove"], "net-up nat close --lab FILE-OF-lab --owner ada");
    }

    #[test]
    fn the_text_has_a_line_a_lab_and_the_sum() {
        let text = to_text(Look::page(None), "us-east-1", &left());
        for part in [
            "lab of ada: 1 thing, 3 h 0 min old, $0.0450 an hour, $0.1350 so far",
            "lab of bob: 1 thing, of unknown age",
            "2 labs have something left in us-east-1",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        assert_eq!(
            to_text(Look::page(None), "us-east-1", &Left::default()),
            "nothing of any lab is left in us-east-1\n"
        );
    }
}
