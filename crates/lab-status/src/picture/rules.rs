//! Who may reach a host: what its security group says, beside what lab.toml wants. Pure.

use std::collections::BTreeMap;

use lab_common::roles::security_group;
use lab_common::{Allow, Host, Source as From};
use lab_picture::{Inbound, Presence, Source};

/// A rule as security groups show it: `tcp/22 from 203.0.113.5/32`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    /// `TCP`, `UDP`, or EC2's word.
    protocol: String,
    /// `22`, `8000-8010`, or nothing.
    ports: String,
    from: Source,
}

/// Whose the groups of a lab are, by their ids.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<String, Source>);

impl Groups {
    /// Groups by their ids and role tags. What has no role of ours lets nobody in that the picture knows.
    pub(super) fn new<'a>(groups: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let vpn = security_group("vpn");
        let known = groups.into_iter().filter_map(|(id, role)| {
            let source =
                if role == vpn { Source::Vpn } else { Source::Host(role.strip_prefix("security-group ")?.to_owned()) };
            Some((id.to_owned(), source))
        });
        Self(known.collect())
    }
}

/// The inbound rules of a host. `live` is what its group says, `None` where there is no group; `absent` is how a rule is
/// called that is wanted and not there, `extra` one that is there and not wanted.
pub(super) fn list_inbound(
    host: &Host,
    live: Option<&[String]>,
    groups: &Groups,
    absent: Presence,
    extra: Presence,
) -> Vec<Inbound> {
    let wanted: Vec<(Rule, &Allow)> = host.allow.iter().map(|allow| (want_rule(allow), allow)).collect();
    let mut rules: Vec<(Rule, Presence)> = Vec::new();
    let mut found = vec![false; wanted.len()];
    for text in live.unwrap_or_default() {
        let Some(rule) = read_rule(text, groups) else { continue };
        let same = wanted.iter().position(|(wanted, allow)| is_same(&rule, wanted, allow));
        match same {
            Some(at) => {
                found[at] = true;
                let from = if wanted[at].1.from == From::Me { to_laptop(rule.from) } else { rule.from };
                rules.push((Rule { from, ..rule }, Presence::There));
            }
            None => rules.push((rule, extra)),
        }
    }
    let missing = wanted.into_iter().zip(found).filter(|(_, found)| !found);
    rules.extend(missing.map(|((rule, _), _)| (rule, absent)));
    join_ports(rules)
}

/// The inbound rules of groups, where no lab.toml says what is wanted.
pub(super) fn read_inbound<'a>(live: impl IntoIterator<Item = &'a str>, groups: &Groups) -> Vec<Inbound> {
    let rules = live.into_iter().filter_map(|text| read_rule(text, groups));
    join_ports(rules.map(|rule| (rule, Presence::There)).collect())
}

fn want_rule(allow: &Allow) -> Rule {
    let from = match &allow.from {
        From::Me => Source::Laptop(String::new()),
        From::Vpn => Source::Vpn,
        From::Host(role) => Source::Host(role.clone()),
        From::Cidr(block) => Source::Network(block.to_string()),
        From::Anywhere => Source::Anywhere,
    };
    Rule { protocol: allow.protocol.as_str().to_uppercase(), ports: allow.port.to_string(), from }
}

fn read_rule(text: &str, groups: &Groups) -> Option<Rule> {
    let (what, from) = text.split_once(" from ")?;
    let (protocol, ports) = what.split_once('/').unwrap_or((what, ""));
    let from = match from {
        "0.0.0.0/0" | "::/0" => Source::Anywhere,
        group if group.starts_with("sg-") => {
            groups.0.get(group).cloned().unwrap_or_else(|| Source::Network(group.to_owned()))
        }
        network => Source::Network(network.to_owned()),
    };
    let protocol = if protocol == "everything" { "all ports".to_owned() } else { protocol.to_uppercase() };
    Some(Rule { protocol, ports: ports.to_owned(), from })
}

/// One address is the user's where lab.toml says `me`: which one it was when the rule was made, only the rule knows.
fn is_same(rule: &Rule, wanted: &Rule, allow: &Allow) -> bool {
    let from = match &rule.from {
        Source::Network(network) if allow.from == From::Me => network.ends_with("/32"),
        from => *from == wanted.from,
    };
    from && rule.protocol == wanted.protocol && rule.ports == wanted.ports
}

fn to_laptop(from: Source) -> Source {
    match from {
        Source::Network(network) => Source::Laptop(network),
        other => other,
    }
}

/// One arrow a source: `TCP 22, 8888`.
fn join_ports(rules: Vec<(Rule, Presence)>) -> Vec<Inbound> {
    let mut joined: BTreeMap<(Source, Presence), BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (Rule { protocol, ports, from }, presence) in rules {
        joined.entry((from, presence)).or_default().entry(protocol).or_default().push(ports);
    }
    let show = |protocols: BTreeMap<String, Vec<String>>| {
        let parts = protocols.into_iter().map(|(protocol, mut ports)| {
            ports.sort_by_key(|ports| ports.split('-').next().and_then(|first| first.parse::<u16>().ok()));
            ports.dedup();
            format!("{protocol} {}", ports.join(", ")).trim_end().to_owned()
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    joined.into_iter().map(|((from, presence), protocols)| Inbound { from, ports: show(protocols), presence }).collect()
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;

    fn inbound(role: &str, live: Option<&[&str]>) -> Vec<Inbound> {
        let lab = read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap();
        let groups = Groups::new([("sg-1", "security-group vpn"), ("sg-2", "security-group public")]);
        let live: Option<Vec<String>> = live.map(|live| live.iter().map(ToString::to_string).collect());
        let host = lab.host(role).unwrap();
        list_inbound(host, live.as_deref(), &groups, Presence::Missing, Presence::Unexpected)
    }

    #[test]
    fn what_is_as_wanted_is_one_arrow() {
        let found = inbound("public", Some(&["tcp/8888 from 203.0.113.5/32", "tcp/22 from 203.0.113.5/32"]));
        let from = Source::Laptop("203.0.113.5/32".into());
        assert_eq!(found, [Inbound { from, ports: "TCP 22, 8888".into(), presence: Presence::There }]);
        let found = inbound("private", Some(&["tcp/22 from sg-1", "tcp/8080 from sg-1"]));
        assert_eq!(found, [Inbound { from: Source::Vpn, ports: "TCP 22, 8080".into(), presence: Presence::There }]);
    }

    #[test]
    fn rules_that_nobody_has_asked_for_are_read_as_they_are() {
        let groups = Groups::new([("sg-1", "security-group vpn"), ("sg-2", "security-group web")]);
        let live = ["tcp/22 from sg-1", "tcp/5432 from sg-2", "everything from 0.0.0.0/0"];
        let found = read_inbound(live, &groups);
        let told: Vec<_> = found.into_iter().map(|one| (one.from, one.ports)).collect();
        let wanted = [
            (Source::Anywhere, "all ports".to_owned()),
            (Source::Vpn, "TCP 22".to_owned()),
            (Source::Host("web".into()), "TCP 5432".to_owned()),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_is_too_much_or_too_little_is_told_apart() {
        let found = inbound("public", Some(&["tcp/22 from 203.0.113.5/32", "tcp/3389 from 0.0.0.0/0", "-1 from sg-9"]));
        let told: Vec<_> = found.iter().map(|one| (one.ports.as_str(), one.presence)).collect();
        assert!(told.contains(&("TCP 22", Presence::There)), "{told:?}");
        assert!(told.contains(&("TCP 8888", Presence::Missing)), "{told:?}");
        assert!(told.contains(&("TCP 3389", Presence::Unexpected)), "{told:?}");
        let none = inbound("private", None);
        assert_eq!(none, [Inbound { from: Source::Vpn, ports: "TCP 22, 8080".into(), presence: Presence::Missing }]);
    }
}
