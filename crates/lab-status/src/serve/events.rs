//! What has changed between two looks. Pure.

use std::collections::BTreeSet;

use lab_plan::Resource;
use serde_json::Value;

/// What changes by itself from look to look: no event.
const RESTLESS: [&str; 3] = ["age_s", "usd_so_far", "usd_so_far_is_at_least"];

/// What has come, gone, changed its state or what is known of it. `is_whole`: both looks could read everything; else
/// what is missing in one of them may just not have been read.
pub(super) fn find_events(before: &[Resource], now: &[Resource], is_whole: bool) -> Vec<String> {
    let same = |one: &Resource, other: &Resource| is_same(one, other, before, now);
    let mut events = Vec::new();
    for one in now {
        let title = format!("{} {}", one.kind, one.name);
        match before.iter().find(|other| same(one, other)) {
            None if is_whole => events.push(format!("{title} is there, {}", one.state)),
            None => {}
            Some(other) => {
                if other.name != one.name {
                    events.push(format!("{} {} is called {} now", one.kind, other.name, one.name));
                }
                if other.state != one.state {
                    events.push(format!("{title}: {} → {}", other.state, one.state));
                }
                events.extend(list_changes(other, one).into_iter().map(|change| format!("{title}: {change}")));
            }
        }
    }
    if is_whole {
        let gone = before.iter().filter(|one| !now.iter().any(|other| same(other, one)));
        events.extend(gone.map(|one| format!("{} {} is gone", one.kind, one.name)));
    }
    events
}

/// Whether `one` of now was `other` before. Some things share an id, a rule with its group for one; they are told apart by
/// their names, and all else may be renamed.
fn is_same(one: &Resource, other: &Resource, before: &[Resource], now: &[Resource]) -> bool {
    let has_id = |thing: &&Resource| thing.kind == one.kind && thing.id == one.id;
    let is_only = |list: &[Resource]| list.iter().filter(has_id).count() == 1;
    has_id(&other) && (one.name == other.name || (!one.id.is_empty() && is_only(before) && is_only(now)))
}

fn list_changes(before: &Resource, now: &Resource) -> Vec<String> {
    let keys: BTreeSet<&str> = before.more.keys().chain(now.more.keys()).copied().collect();
    let keys = keys.into_iter().filter(|key| !RESTLESS.contains(key));
    let (none, mut changes) = (Value::Null, Vec::new());
    for key in keys {
        let (old, new) = (before.more.get(key).unwrap_or(&none), now.more.get(key).unwrap_or(&none));
        match (old, new) {
            _ if old == new => {}
            (Value::Array(old), Value::Array(new)) => {
                let (added, removed) = (list_without(new, old), list_without(old, new));
                changes.extend(added.map(|one| format!("{key} + {one}")));
                changes.extend(removed.map(|one| format!("{key} - {one}")));
            }
            (_, Value::Null) => changes.push(format!("{key} was {}", show(old))),
            (Value::Null, _) => changes.push(format!("{key} is {}", show(new))),
            _ => changes.push(format!("{key}: {} → {}", show(old), show(new))),
        }
    }
    changes
}

fn list_without<'a>(list: &'a [Value], others: &'a [Value]) -> impl Iterator<Item = String> + 'a {
    list.iter().filter(|one| !others.contains(one)).map(show)
}

fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(state: &str) -> Resource {
        Resource::new("instance", "lab-public-ec2", "i-1").state(state)
    }

    fn vpc() -> Resource {
        Resource::new("vpc", "lab-vpc", "vpc-1")
    }

    #[test]
    fn what_comes_changes_and_goes_is_an_event() {
        assert_eq!(find_events(&[vpc()], &[vpc()], true), Vec::<String>::new());
        assert_eq!(
            find_events(&[vpc()], &[host("pending")], true),
            ["instance lab-public-ec2 is there, pending", "vpc lab-vpc is gone"]
        );
        assert_eq!(
            find_events(&[host("pending")], &[host("running")], true),
            ["instance lab-public-ec2: pending → running"]
        );
    }

    #[test]
    fn a_new_name_is_told_as_one() {
        let renamed = Resource::new("vpc", "our-vpc", "vpc-1");
        assert_eq!(find_events(&[vpc()], &[renamed], true), ["vpc lab-vpc is called our-vpc now"]);
        let rule = |name| Resource::new("client-vpn-route", name, "cvpn-endpoint-1");
        assert_eq!(
            find_events(&[rule("10.0.0.0/16"), rule("10.1.0.0/16")], &[rule("10.0.0.0/16"), rule("0.0.0.0/0")], true),
            ["client-vpn-route 0.0.0.0/0 is there, available", "client-vpn-route 10.1.0.0/16 is gone"]
        );
    }

    #[test]
    fn what_could_not_be_read_has_not_gone() {
        assert_eq!(find_events(&[vpc()], &[], false), Vec::<String>::new());
        assert_eq!(find_events(&[], &[vpc()], false), Vec::<String>::new());
    }

    #[test]
    fn a_rule_for_the_whole_world_is_an_event_and_an_age_is_none() {
        let group = |rules: &[&str], age: u32| {
            Resource::new("security-group", "lab-public-ec2", "sg-1").with("rules", rules).with("age_s", age)
        };
        let (ssh, rdp) = ("tcp/22 from 203.0.113.5/32", "tcp/3389 from 0.0.0.0/0");
        assert_eq!(
            find_events(&[group(&[ssh], 10)], &[group(&[ssh, rdp], 20)], true),
            ["security-group lab-public-ec2: rules + tcp/3389 from 0.0.0.0/0"]
        );
        assert_eq!(find_events(&[group(&[ssh], 20)], &[group(&[ssh], 30)], true), Vec::<String>::new());
    }
}
