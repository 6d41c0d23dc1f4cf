//! Ingress rules of security groups, in a form that can be compared.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, UserIdGroupPair};

/// One ingress rule: who may reach which ports. `G` is how a group is named: by role where it is wanted, by id where
/// it exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule<G> {
    /// EC2's word: `tcp`, `udp`, `icmp`, a number, or `-1` for all.
    pub(crate) protocol: String,
    /// First and last port; `None` where the protocol has none.
    pub(crate) ports: Option<(i32, i32)>,
    pub(crate) source: Source<G>,
}

/// Who may reach it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source<G> {
    Ipv4(String),
    Ipv6(String),
    Group(G),
    PrefixList(String),
}

impl<G> Rule<G> {
    /// The same rule with its group named otherwise; `None` when that group has no other name.
    pub(crate) fn rename<H>(self, name: impl FnOnce(&G) -> Option<H>) -> Option<Rule<H>> {
        let source = match self.source {
            Source::Ipv4(block) => Source::Ipv4(block),
            Source::Ipv6(block) => Source::Ipv6(block),
            Source::Group(group) => Source::Group(name(&group)?),
            Source::PrefixList(list) => Source::PrefixList(list),
        };
        Some(Rule { protocol: self.protocol, ports: self.ports, source })
    }

    /// The group this rule lets in, if it lets in a group.
    pub(crate) fn group(&self) -> Option<&G> {
        match &self.source {
            Source::Group(group) => Some(group),
            _ => None,
        }
    }

    /// Whether everybody on the internet may come in.
    pub(crate) fn admits_everyone(&self) -> bool {
        matches!(&self.source, Source::Ipv4(block) if block == "0.0.0.0/0")
            || matches!(&self.source, Source::Ipv6(block) if block == "::/0")
    }
}

impl<G: fmt::Display> fmt::Display for Rule<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.protocol.as_str(), self.ports) {
            ("-1", _) => f.write_str("everything")?,
            (protocol, None) => f.write_str(protocol)?,
            (protocol, Some((first, last))) if first == last => write!(f, "{protocol}/{first}")?,
            (protocol, Some((first, last))) => write!(f, "{protocol}/{first}-{last}")?,
        }
        match &self.source {
            Source::Ipv4(source) | Source::Ipv6(source) | Source::PrefixList(source) => write!(f, " from {source}"),
            Source::Group(group) => write!(f, " from {group}"),
        }
    }
}

/// The rules in EC2's shape, for one call.
pub(crate) fn to_permissions(rules: &BTreeSet<Rule<String>>) -> Vec<IpPermission> {
    rules.iter().map(to_permission).collect()
}

fn to_permission(rule: &Rule<String>) -> IpPermission {
    let permission = IpPermission::builder()
        .ip_protocol(&rule.protocol)
        .set_from_port(rule.ports.map(|ports| ports.0))
        .set_to_port(rule.ports.map(|ports| ports.1));
    let permission = match &rule.source {
        Source::Ipv4(block) => permission.ip_ranges(IpRange::builder().cidr_ip(block).build()),
        Source::Ipv6(block) => permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(block).build()),
        Source::Group(group) => permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(group).build()),
        Source::PrefixList(list) => permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(list).build()),
    };
    permission.build()
}

/// A group's rules, one for each source, from EC2's shape.
pub(crate) fn from_permissions(permissions: &[IpPermission]) -> BTreeSet<Rule<String>> {
    permissions.iter().flat_map(from_permission).collect()
}

/// The rules of a group in words, one for each source: `tcp/22 from 203.0.113.5/32`.
pub fn show_permissions(permissions: &[IpPermission]) -> Vec<String> {
    from_permissions(permissions).iter().map(ToString::to_string).collect()
}

fn from_permission(permission: &IpPermission) -> Vec<Rule<String>> {
    let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let ipv4 = permission.ip_ranges().iter().map(|range| Source::Ipv4(own(range.cidr_ip())));
    let ipv6 = permission.ipv6_ranges().iter().map(|range| Source::Ipv6(own(range.cidr_ipv6())));
    let groups = permission.user_id_group_pairs().iter().map(|pair| Source::Group(own(pair.group_id())));
    let lists = permission.prefix_list_ids().iter().map(|list| Source::PrefixList(own(list.prefix_list_id())));
    let protocol = own(permission.ip_protocol());
    let ports = permission.from_port().zip(permission.to_port()).filter(|_| protocol != "-1");
    let sources = ipv4.chain(ipv6).chain(groups).chain(lists);
    sources.map(|source| Rule { protocol: protocol.clone(), ports, source }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_rule() -> impl Strategy<Value = Rule<String>> {
        let source = prop_oneof![
            "10\\.[0-9]{1,2}\\.0\\.0/16".prop_map(Source::Ipv4),
            "2001:db8:[0-9]{1,3}::/48".prop_map(Source::Ipv6),
            "sg-[0-9a-f]{8}".prop_map(Source::Group),
            "pl-[0-9a-f]{8}".prop_map(Source::PrefixList),
        ];
        let ports = prop_oneof![
            (1i32..65_535, 0i32..9).prop_map(|(first, more)| ("tcp".to_owned(), Some((first, first + more)))),
            Just(("-1".to_owned(), None)),
        ];
        (ports, source).prop_map(|((protocol, ports), source)| Rule { protocol, ports, source })
    }

    proptest! {
        #[test]
        fn rules_survive_the_way_to_ec2_and_back(rules in prop::collection::btree_set(any_rule(), 0..8)) {
            prop_assert_eq!(from_permissions(&to_permissions(&rules)), rules);
        }
    }

    #[test]
    fn a_rule_reads_like_a_sentence() {
        let source = Source::<String>::Ipv4("198.51.100.7/32".into());
        let rule = Rule { protocol: "tcp".into(), ports: Some((22, 22)), source };
        assert_eq!(rule.to_string(), "tcp/22 from 198.51.100.7/32");
    }
}
