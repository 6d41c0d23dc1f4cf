//! What should be there: which servers run, which hosts answer, and who reaches what. Drawn from the account at a
//! moment; asking moto is one function, the rest is pure.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::firewall::join_ranges;
use super::hosts::{SSH, Service};
use super::server::ServerSettings;
use crate::acm::{Bundle, PrivateKey, find_certificate};
use crate::ec2::HostState;
use crate::ec2::client_vpn::{Endpoint, trust_of};
use crate::sim::{Sim, StateTimes};
use crate::xml::Element;

/// What moto says about the network. It is asked again only when something may have changed.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    instances: Vec<Instance>,
    groups: HashMap<String, Group>,
    certificates: HashMap<String, Secrets>,
}

#[derive(Debug)]
struct Secrets {
    bundle: Bundle,
    /// The client root's key is nobody's business.
    key: Option<PrivateKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Instance {
    id: String,
    name: String,
    address: Ipv4Addr,
    vpc: String,
    groups: Vec<String>,
}

/// A security group's rules, as far as TCP is concerned.
#[derive(Debug, Default, PartialEq, Eq)]
struct Group {
    ingress: Vec<Permission>,
    egress: Vec<Permission>,
}

#[derive(Debug, PartialEq, Eq)]
struct Permission {
    ports: RangeInclusive<u16>,
    blocks: Vec<Ipv4Net>,
    groups: Vec<String>,
}

/// What should be there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) gates: Vec<Gate>,
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
    pub(crate) services: BTreeSet<Service>,
}

/// An endpoint to which clients can connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) endpoint: String,
    pub(crate) domain: String,
    pub(crate) server: ServerSettings,
    /// What a client is told when it connects.
    pub(crate) pushes: Vec<String>,
    pub(crate) crl: Option<String>,
    /// Which ports of which hosts its clients reach.
    pub(crate) openings: Vec<(Ipv4Addr, Vec<RangeInclusive<u16>>)>,
}

/// Asks moto about all that the endpoints touch.
pub(crate) async fn collect_facts(sim: &Arc<Sim>, endpoints: &[Endpoint]) -> Facts {
    let mut facts = Facts::default();
    let regions: BTreeSet<&str> = endpoints.iter().map(|endpoint| endpoint.region.as_str()).collect();
    for region in regions {
        let reservations = sim.moto.ec2(region, "DescribeInstances", &[]).await.unwrap_or_default();
        facts.instances.extend(read_instances(&reservations));
        let groups = sim.moto.ec2(region, "DescribeSecurityGroups", &[]).await.unwrap_or_default();
        facts.groups.extend(groups.items("securityGroupInfo").into_iter().filter_map(read_group));
    }
    for endpoint in endpoints {
        for arn in [&endpoint.settings.server_certificate, &endpoint.settings.client_root] {
            if let Some(bundle) = find_certificate(sim, &endpoint.region, arn).await {
                facts.certificates.insert(arn.clone(), Secrets { bundle, key: sim.acm.find_key(arn) });
            }
        }
    }
    facts
}

fn read_instances(root: &Element) -> Vec<Instance> {
    let instances = root.items("reservationSet").into_iter().flat_map(|one| one.items("instancesSet"));
    instances.filter_map(read_instance).collect()
}

fn read_instance(item: &Element) -> Option<Instance> {
    let id = item.child_text("instanceId")?;
    let tags = item.items("tagSet");
    let name = tags.iter().find(|tag| tag.child_text("key").as_deref() == Some("Name"));
    let own = item.items("groupSet").into_iter();
    let of_interfaces = item.items("networkInterfaceSet").into_iter().flat_map(|nic| nic.items("groupSet"));
    let groups: BTreeSet<String> = own.chain(of_interfaces).filter_map(|group| group.child_text("groupId")).collect();
    Some(Instance {
        name: name.and_then(|tag| tag.child_text("value")).unwrap_or_else(|| id.clone()),
        address: item.child_text("privateIpAddress")?.parse().ok()?,
        vpc: item.child_text("vpcId")?,
        groups: groups.into_iter().collect(),
        id,
    })
}

fn read_group(item: &Element) -> Option<(String, Group)> {
    let read = |list: &str| item.items(list).into_iter().filter_map(read_permission).collect();
    Some((item.child_text("groupId")?, Group { ingress: read("ipPermissions"), egress: read("ipPermissionsEgress") }))
}

/// A permission that concerns TCP; `-1` stands for every protocol and every port.
fn read_permission(item: &Element) -> Option<Permission> {
    let port = |name: &str| item.child_text(name).and_then(|text| text.parse::<u16>().ok());
    let ports = match item.child_text("ipProtocol")?.as_str() {
        "-1" => 0..=u16::MAX,
        "tcp" | "6" => port("fromPort")?..=port("toPort")?,
        _ => return None,
    };
    let blocks = item.items("ipRanges").into_iter().filter_map(|range| range.child_text("cidrIp")?.parse().ok());
    let groups = item.items("groups").into_iter().filter_map(|group| group.child_text("groupId"));
    Some(Permission { ports, blocks: blocks.collect(), groups: groups.collect() })
}

/// Draws the picture of this moment.
pub(crate) fn draw(
    endpoints: &[Endpoint],
    facts: &Facts,
    times: &StateTimes,
    state_of: impl Fn(&str) -> HostState,
) -> Picture {
    let mut picture = Picture::default();
    let vpcs: BTreeSet<&str> = endpoints.iter().filter_map(|endpoint| endpoint.settings.vpc.as_deref()).collect();
    let hosts: Vec<(&Instance, HostState)> = facts
        .instances
        .iter()
        .filter(|instance| vpcs.contains(instance.vpc.as_str()))
        .map(|instance| (instance, state_of(&instance.id)))
        .filter(|(_, state)| state.runs)
        .collect();
    for (host, state) in &hosts {
        // Two VPCs may use the same addresses: the first host has it.
        if !picture.addresses.insert(host.address) {
            continue;
        }
        let ports = if state.serves { service_ports(host, facts) } else { BTreeSet::from([SSH]) };
        let services = ports.into_iter().map(|port| Service { address: host.address, port, host: host.name.clone() });
        picture.services.extend(services);
    }
    let hosts: Vec<&Instance> = hosts.into_iter().map(|(host, _)| host).collect();
    let available = endpoints.iter().filter(|endpoint| endpoint.is_available(times));
    picture.gates = available.filter_map(|endpoint| draw_gate(endpoint, facts, times, &hosts)).collect();
    picture
}

/// SSH, and every single port that the host's groups name.
fn service_ports(host: &Instance, facts: &Facts) -> BTreeSet<u16> {
    let groups = host.groups.iter().filter_map(|group| facts.groups.get(group));
    let single = groups.flat_map(|group| &group.ingress).map(|permission| &permission.ports);
    single.filter(|ports| ports.start() == ports.end()).map(|ports| *ports.start()).chain([SSH]).collect()
}

fn draw_gate(endpoint: &Endpoint, facts: &Facts, times: &StateTimes, hosts: &[&Instance]) -> Option<Gate> {
    let settings = &endpoint.settings;
    let server = facts.certificates.get(&settings.server_certificate)?;
    let root = facts.certificates.get(&settings.client_root)?;
    let routes: BTreeSet<Ipv4Net> =
        endpoint.routes.iter().filter(|route| route.state(times) == Some("active")).map(|route| route.cidr).collect();
    let openings = hosts.iter().filter(|host| settings.vpc.as_ref() == Some(&host.vpc)).map(|host| {
        let authorized = endpoint.rules.iter().any(|rule| {
            rule.state(times) == Some("active") && rule.group.is_none() && rule.cidr.contains(&host.address)
        });
        let has_way = routes.iter().any(|route| route.contains(&host.address));
        let ports = if authorized && has_way { open_ports(endpoint, host, facts) } else { Vec::new() };
        (host.address, ports)
    });
    let active_crl = endpoint.crl.as_ref().filter(|crl| crl.state(times) == "active");
    Some(Gate {
        endpoint: endpoint.id.clone(),
        domain: endpoint.domain(),
        server: ServerSettings {
            client_cidr: settings.client_cidr,
            transport: settings.transport,
            port: settings.port,
            client_root: trust_of(&root.bundle).to_owned(),
            certificate: format!(
                "{}\n{}",
                server.bundle.certificate.trim_end(),
                server.bundle.chain.as_deref().unwrap_or_default()
            ),
            key: server.key.clone()?,
        },
        pushes: write_pushes(endpoint, &routes),
        crl: active_crl.map(|crl| crl.pem.clone()),
        openings: openings.collect(),
    })
}

fn write_pushes(endpoint: &Endpoint, routes: &BTreeSet<Ipv4Net>) -> Vec<String> {
    let settings = &endpoint.settings;
    let ways: Vec<String> = if settings.split_tunnel {
        routes.iter().map(|route| format!("route {} {}", route.network(), route.netmask())).collect()
    } else {
        vec!["redirect-gateway def1".to_owned()]
    };
    let dns = settings.dns_servers.iter().map(|server| format!("dhcp-option DNS {server}"));
    ways.into_iter().chain(dns).collect()
}

/// The TCP ports of a host that an endpoint's network interfaces reach: its groups let out, the host's let in.
fn open_ports(endpoint: &Endpoint, host: &Instance, facts: &Facts) -> Vec<RangeInclusive<u16>> {
    let interfaces = endpoint.associations.iter().filter_map(|association| association.interface.as_ref());
    let sources: Vec<Ipv4Addr> = interfaces.filter_map(|interface| interface.address).collect();
    let permissions = |groups: &[String], pick: fn(&Group) -> &Vec<Permission>| {
        groups.iter().filter_map(|group| facts.groups.get(group)).flat_map(pick).collect::<Vec<&Permission>>()
    };
    let out = permissions(&endpoint.settings.groups, |group| &group.egress);
    let out = out.into_iter().filter(|one| one.allows(&[host.address], &host.groups));
    let inward = permissions(&host.groups, |group| &group.ingress);
    let inward: Vec<_> = inward.into_iter().filter(|one| one.allows(&sources, &endpoint.settings.groups)).collect();
    let both = out.flat_map(|out| inward.iter().map(move |inward| intersect(&out.ports, &inward.ports)));
    join_ranges(both.collect())
}

impl Permission {
    /// Whether it names one of the addresses or one of the groups.
    fn allows(&self, addresses: &[Ipv4Addr], groups: &[String]) -> bool {
        self.blocks.iter().any(|block| addresses.iter().any(|address| block.contains(address)))
            || self.groups.iter().any(|group| groups.contains(group))
    }
}

fn intersect(one: &RangeInclusive<u16>, other: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    *one.start().max(other.start())..=*one.end().min(other.end())
}

#[cfg(test)]
mod tests;
