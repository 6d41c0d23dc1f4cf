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

/// How rules are called.
#[derive(Debug, Clone)]
pub(super) struct Verdicts {
    /// One that is wanted and not there.
    pub(super) absent: Presence,
    /// One that is there and wanted.
    pub(super) there: Presence,
    /// One that is there and not wanted.
    pub(super) extra: Presence,
    /// The rules that net-up would take back; `None` where it could not compare: which address is the user's, nobody knows.
    pub(super) too_much: Option<Vec<String>>,
}

/// The inbound rules of a host. `live` is what its group says, `None` where there is no group.
pub(super) fn list_inbound(host: &Host, live: Option<&[String]>, groups: &Groups, verdicts: &Verdicts) -> Vec<Inbound> {
    let Verdicts { absent, there, extra, too_much } = verdicts;
    let is_too_much = |text: &String| too_much.as_ref().is_some_and(|rules| rules.contains(text));
    let wanted: Vec<(Rule, &Allow)> = host.allow.iter().map(|allow| (want_rule(allow), allow)).collect();
    let mut rules: Vec<(Rule, Presence)> = Vec::new();
    let mut found = vec![false; wanted.len()];
    for text in live.unwrap_or_default() {
        let Some(rule) = read_rule(text, groups) else { continue };
        let same = wanted.iter().position(|(wanted, allow)| is_same(&rule, wanted, allow));
        match same.filter(|_| !is_too_much(text)) {
            Some(at) => {
                found[at] = true;
                let is_own = wanted[at].1.from == From::Me;
                rules.push(match (is_own, too_much) {
                    (true, None) => (rule, Presence::Unknown),
                    (true, Some(_)) => (Rule { from: to_laptop(rule.from), ..rule }, *there),
                    (false, _) => (rule, *there),
                });
            }
            None => rules.push((rule, *extra)),
        }
    }
    let missing = wanted.into_iter().zip(found).filter(|(_, found)| !found);
    rules.extend(missing.map(|((rule, _), _)| (rule, *absent)));
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
        From::Cidr(block) => from_block(&block.to_string()),
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
            groups.0.get(group).cloned().unwrap_or_else(|| Source::Inside(group.to_owned()))
        }
        network => from_block(network),
    };
    let (protocol, ports) = match (protocol, ports) {
        ("everything", _) => ("all ports".to_owned(), String::new()),
        // Type and code; -1 is every one (API reference of `IpPermission`).
        ("icmp" | "icmpv6", ports) if ports.starts_with("-1") => {
            (format!("{}, all types", protocol.to_uppercase()), String::new())
        }
        ("icmp" | "icmpv6", ports) if !ports.is_empty() => {
            let kind = ports.split('-').next().unwrap_or_default();
            (format!("{}, type {kind}", protocol.to_uppercase()), String::new())
        }
        (protocol, ports) => (protocol.to_uppercase(), ports.to_owned()),
    };
    Some(Rule { protocol, ports, from })
}

/// From private addresses (RFC 1918, RFC 6598, RFC 4193) nothing comes through the internet.
fn from_block(block: &str) -> Source {
    let address = block.split('/').next().unwrap_or_default();
    let is_inside = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => {
            let [first, second, ..] = address.octets();
            address.is_private() || (first == 100 && (64..128).contains(&second))
        }
        Ok(std::net::IpAddr::V6(address)) => address.is_unique_local(),
        // A prefix list: whose addresses it has, it does not say.
        Err(_) => false,
    };
    if is_inside { Source::Inside(block.to_owned()) } else { Source::Network(block.to_owned()) }
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
        list_inbound(host, live.as_deref(), &groups, &verdicts(Some(vec!["tcp/22 from 198.51.100.7/32".into()])))
    }

    fn verdicts(too_much: Option<Vec<String>>) -> Verdicts {
        let (absent, there, extra) = (Presence::Missing, Presence::There, Presence::Unexpected);
        Verdicts { absent, there, extra, too_much }
    }

    #[test]
    fn the_address_of_a_stranger_is_not_the_user_s() {
        let found = inbound("public", Some(&["tcp/22 from 198.51.100.7/32", "tcp/8888 from 203.0.113.5/32"]));
        let told: Vec<_> = found.into_iter().map(|one| (one.from, one.ports, one.presence)).collect();
        let wanted = [
            (Source::Laptop(String::new()), "TCP 22".to_owned(), Presence::Missing),
            (Source::Laptop("203.0.113.5/32".into()), "TCP 8888".to_owned(), Presence::There),
            (Source::Network("198.51.100.7/32".into()), "TCP 22".to_owned(), Presence::Unexpected),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn where_nobody_knows_the_user_s_address_none_is_told_as_theirs() {
        let lab = read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap();
        let live = ["tcp/22 from 198.51.100.7/32".to_owned()];
        let host = lab.host("public").unwrap();
        let found = list_inbound(host, Some(&live), &Groups::default(), &verdicts(None));
        let from = Source::Network("198.51.100.7/32".into());
        assert!(found.contains(&Inbound { from, ports: "TCP 22".into(), presence: Presence::Unknown }), "{found:?}");
    }

    #[test]
    fn what_comes_from_inside_does_not_come_from_the_internet() {
        let live =
            ["tcp/22 from 10.0.2.0/24", "tcp/23 from sg-9", "icmp/-1 from 100.64.0.0/10", "icmp/8--1 from fd00::/8"];
        let found = read_inbound(live, &Groups::default());
        assert!(found.iter().all(|rule| matches!(rule.from, Source::Inside(_))), "{found:?}");
        let ports: Vec<_> = found.iter().map(|rule| rule.ports.as_str()).collect();
        assert_eq!(ports, ["TCP 22", "ICMP, all types", "ICMP, type 8", "TCP 23"]);
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
