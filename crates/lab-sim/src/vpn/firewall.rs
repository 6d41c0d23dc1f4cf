//! What the cloud lets in: from the laptop DNS and the servers only, and from a tunnel what an authorization rule and
//! the security groups allow. Pure: the text for `nft -f`.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::{CLOUD_ADDRESS, UPLINK};
use crate::ec2::client_vpn::Transport;

/// Where a server waits for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) address: Ipv4Addr,
    pub(crate) transport: Transport,
    pub(crate) port: u16,
}

/// What a client of one tunnel reaches of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) device: String,
    pub(crate) host: Ipv4Addr,
    pub(crate) ports: Vec<RangeInclusive<u16>>,
}

/// The whole packet filter, which replaces the one before in one step. No rule depends on a connection's past: what a
/// revoked rule no longer allows ends at once.
pub(crate) fn write_rules(doors: &[Door], openings: &[Opening]) -> String {
    let mut text = String::from(
        "table inet lab_sim {}\ndelete table inet lab_sim\ntable inet lab_sim {\n  chain input {\n    type filter hook \
         input priority 0; policy drop;\n    iifname \"lo\" accept\n",
    );
    let _ = writeln!(text, "    iifname \"{UPLINK}\" ip daddr {CLOUD_ADDRESS} udp dport 53 accept");
    for Door { address, transport, port } in doors {
        let protocol = transport.as_str();
        let _ = writeln!(text, "    iifname \"{UPLINK}\" ip daddr {address} {protocol} dport {port} accept");
    }
    for Opening { device, host, ports } in openings.iter().filter(|opening| !opening.ports.is_empty()) {
        let ports: Vec<String> = ports.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
        let _ = writeln!(text, "    iifname \"{device}\" ip daddr {host} tcp dport {{ {} }} accept", ports.join(", "));
    }
    text.push_str("  }\n  chain forward {\n    type filter hook forward priority 0; policy drop;\n  }\n}\n");
    text
}

/// Ranges in order, with none inside or beside another: sets of nft take no overlaps.
pub(crate) fn join_ranges(mut ranges: Vec<RangeInclusive<u16>>) -> Vec<RangeInclusive<u16>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<u16>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_opened_is_accepted() {
        let door = Door { address: Ipv4Addr::new(192, 0, 2, 10), transport: Transport::Udp, port: 443 };
        let opening =
            Opening { device: "vpn0".into(), host: Ipv4Addr::new(10, 0, 2, 5), ports: vec![22..=22, 8080..=8081] };
        let nothing = Opening { ports: vec![], host: Ipv4Addr::new(10, 0, 2, 6), ..opening.clone() };
        let text = write_rules(&[door], &[opening, nothing]);
        assert!(text.contains("iifname \"uplink\" ip daddr 192.0.2.10 udp dport 443 accept"), "{text}");
        assert!(text.contains("iifname \"vpn0\" ip daddr 10.0.2.5 tcp dport { 22-22, 8080-8081 } accept"), "{text}");
        assert!(!text.contains("10.0.2.6"));
        assert_eq!(text.matches("policy drop").count(), 2);
    }

    proptest! {
        #[test]
        fn joined_ranges_hold_the_same_ports_and_do_not_touch(
            ranges in proptest::collection::vec((0u16..60, 0u16..60), 0..8), port in 0u16..70
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(one, other)| one..=other).collect();
            let joined = join_ranges(ranges.clone());
            let holds = |ranges: &[RangeInclusive<u16>]| ranges.iter().any(|range| range.contains(&port));
            prop_assert_eq!(holds(&joined), holds(&ranges));
            prop_assert!(joined.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()));
        }
    }
}
