//! Lab → the network that is wanted. Pure.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use lab_common::roles::{security_group as group_role, subnet as subnet_role};
use lab_common::{Internet, Lab, Names, Source as From};

use crate::rule::{Rule, Source};

/// The role of the table behind the internet gateway.
pub(crate) const PUBLIC_TABLE: &str = "route-table public-to-internet";
/// The role of the VPC's own table.
pub(crate) const MAIN_TABLE: &str = "route-table main";
/// The role of the internet gateway.
pub(crate) const GATEWAY: &str = "internet-gateway";
/// The role of the VPC.
pub(crate) const VPC: &str = "vpc";

/// The network a lab asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) vpc_name: String,
    pub(crate) vpc_cidr: Ipv4Net,
    pub(crate) main_table_name: String,
    /// The gateway and its table, where some subnet is behind it.
    pub(crate) gateway: Option<GatewayWant>,
    pub(crate) subnets: Vec<SubnetWant>,
    pub(crate) groups: Vec<GroupWant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayWant {
    pub(crate) name: String,
    pub(crate) table_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubnetWant {
    /// The role tag: `subnet public`.
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) cidr: Ipv4Net,
    /// The whole name of the zone, where lab.toml names one.
    pub(crate) zone: Option<String>,
    /// Behind the internet gateway, with public addresses.
    pub(crate) public: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupWant {
    /// The role tag: `security-group public`.
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Groups are named by role.
    pub(crate) rules: BTreeSet<Rule<String>>,
}

/// Whether some rule of the lab needs this machine's address.
pub(crate) fn needs_my_ip(lab: &Lab) -> bool {
    lab.hosts.iter().flat_map(|host| &host.allow).any(|allow| allow.from == From::Me)
}

/// The network of `lab` in `region`. `my_ip` must be there when [`needs_my_ip`] says so; without it such rules are
/// left out, which is right only where rules are not looked at (`status`, `down`).
pub(crate) fn want(lab: &Lab, names: &Names, region: &str, my_ip: Option<Ipv4Addr>) -> Want {
    let subnets: Vec<_> = lab
        .network
        .subnets
        .iter()
        .map(|subnet| SubnetWant {
            role: subnet_role(&subnet.role),
            name: names.subnet(&subnet.role),
            cidr: subnet.cidr,
            zone: subnet.zone.map(|letter| format!("{region}{letter}")),
            public: subnet.internet == Internet::Gateway,
        })
        .collect();
    let gateway = subnets
        .iter()
        .any(|subnet| subnet.public)
        .then(|| GatewayWant { name: names.internet_gateway(), table_name: names.public_route_table() });
    let hosts = lab.hosts.iter().map(|host| GroupWant {
        role: group_role(&host.role),
        name: names.host(&host.role),
        description: format!("Who may reach {}", names.host(&host.role)),
        rules: host.allow.iter().filter_map(|allow| want_rule(allow, my_ip)).collect(),
    });
    let vpn = lab.vpn.as_ref().map(|_| GroupWant {
        role: group_role("vpn"),
        name: names.vpn_security_group(),
        description: "Clients of the VPN endpoint".into(),
        rules: BTreeSet::new(),
    });
    Want {
        vpc_name: names.vpc(),
        vpc_cidr: lab.network.cidr,
        main_table_name: names.main_route_table(),
        gateway,
        groups: hosts.chain(vpn).collect(),
        subnets,
    }
}

fn want_rule(allow: &lab_common::Allow, my_ip: Option<Ipv4Addr>) -> Option<Rule<String>> {
    let source = match &allow.from {
        From::Me => Source::Ipv4(format!("{}/32", my_ip?)),
        From::Vpn => Source::Group(group_role("vpn")),
        From::Host(role) => Source::Group(group_role(role)),
        From::Cidr(block) => Source::Ipv4(block.to_string()),
        From::Anywhere => Source::Ipv4("0.0.0.0/0".into()),
    };
    let port = i32::from(allow.port);
    Some(Rule { protocol: allow.protocol.as_str().into(), ports: Some((port, port)), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_common::{HOL02, Overrides, read_lab};

    #[test]
    fn hol02_bears_the_names_of_its_assignment() {
        let lab = read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap();
        assert!(needs_my_ip(&lab));
        let want = want(&lab, &Names::new(&lab), "us-east-1", Some(Ipv4Addr::new(198, 51, 100, 7)));
        let gateway = want.gateway.unwrap();
        assert_eq!(
            [want.vpc_name.as_str(), &gateway.name, &gateway.table_name],
            ["lab-vpc", "lab-igw", "lab-public-to-internet"]
        );
        let subnets: Vec<_> = want.subnets.iter().map(|s| (s.name.as_str(), s.cidr.to_string(), s.public)).collect();
        assert_eq!(
            subnets,
            [("lab-public-subnet", "10.0.1.0/24".into(), true), ("lab-private-subnet", "10.0.2.0/24".into(), false)]
        );
        let rules = |group: &GroupWant| group.rules.iter().map(ToString::to_string).collect::<Vec<_>>();
        let groups: Vec<_> = want.groups.iter().map(|group| (group.name.as_str(), rules(group))).collect();
        let own = |rules: [&str; 2]| rules.map(str::to_owned).to_vec();
        assert_eq!(
            groups,
            [
                ("lab-public-ec2", own(["tcp/22 from 198.51.100.7/32", "tcp/8888 from 198.51.100.7/32"])),
                ("lab-private-ec2", own(["tcp/22 from security-group vpn", "tcp/8080 from security-group vpn"])),
                ("lab-client-vpn", vec![]),
            ]
        );
    }
}
