//! What AWS and this machine say, for a check to be compared with. Reads only.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use aws_sdk_ec2::types::{Instance, InstanceStateName, IpPermission};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use lab_common::{Lab, Protocol, Session, Source, explain, roles};
use lab_ec2::{find_role, is_ours, lab_filters};
use lab_plan::Problem;

use super::probe;
use crate::endpoint::{self, Endpoint};
use crate::files::Files;
use crate::pki::Certificate;
use crate::profile::Profile;

/// Everything that a diagnosis looks at.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    /// The VPC's block.
    pub(super) vpc: Ipv4Net,
    /// Where clients get their addresses.
    pub(super) client_cidr: Ipv4Net,
    /// The endpoint that counts, with what hangs on it.
    pub(super) endpoint: Option<Endpoint>,
    /// The hosts that only the VPN reaches, in lab.toml's order.
    pub(super) hosts: Vec<Host>,
    /// Who connects.
    pub(super) client: Client,
    /// This machine's addresses while no tunnel is up.
    pub(super) own_addresses: Vec<Ipv4Addr>,
}

/// A host that allows `from = "vpn"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// Its key in lab.toml.
    pub(super) role: String,
    /// Whether it installs something and its subnet has no way out: without a NAT window it would wait for one.
    pub(super) needs_window: bool,
    /// The TCP ports that the VPN may reach.
    pub(super) ports: Vec<u16>,
    /// `None` when there is no such instance.
    pub(super) state: Option<InstanceStateName>,
    pub(super) address: Option<Ipv4Addr>,
    /// What its security groups let in.
    pub(super) openings: Vec<Opening>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// `None` for every port.
    pub(super) ports: Option<(i32, i32)>,
    /// The security groups it is for.
    pub(super) groups: Vec<String>,
    /// The addresses it is for.
    pub(super) blocks: Vec<Ipv4Net>,
}

/// What this machine has for the client that connects.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) name: String,
    /// The `.ovpn` file.
    pub(super) profile: Option<Profile>,
    /// The certificates of that name that were revoked here.
    pub(super) revoked: Vec<Certificate>,
    /// The certificate that counts.
    pub(super) current: Option<Certificate>,
    /// The CA, where this machine knows it.
    pub(super) authority: Option<Certificate>,
}

impl Opening {
    /// Whether it lets this port in from a group or from a block.
    pub(super) fn admits(&self, port: u16, groups: &[String], from: &[Ipv4Net]) -> bool {
        let has_port = self.ports.is_none_or(|(first, last)| (first..=last).contains(&i32::from(port)));
        let has_group = self.groups.iter().any(|group| groups.contains(group));
        let has_block = from.iter().any(|block| self.blocks.iter().any(|ours| ours.contains(block)));
        has_port && (has_group || has_block)
    }
}

impl Host {
    /// Its private address, while it runs.
    pub(super) fn reachable_address(&self) -> Option<Ipv4Addr> {
        self.address.filter(|_| self.state == Some(InstanceStateName::Running))
    }

    /// Why it has none; `None` when it has.
    pub(super) fn describe_absence(&self) -> Option<&str> {
        match &self.state {
            _ if self.reachable_address().is_some() => None,
            None => Some("not there"),
            Some(InstanceStateName::Running) => Some("running without a private address"),
            Some(state) => Some(state.as_str()),
        }
    }
}

/// Reads all of it. `client` is the name that the command line gives, if it gives one.
pub(super) async fn gather(
    session: &Session,
    ec2: &aws_sdk_ec2::Client,
    files: &Files,
    vpn: &lab_common::Vpn,
    client: Option<&str>,
) -> Result<Facts, Problem> {
    let (endpoint, instances) =
        tokio::try_join!(endpoint::find_endpoint(ec2, &session.tags), find_instances(session, ec2))?;
    let groups: Vec<_> = instances.iter().flat_map(list_groups).collect();
    let closer = async {
        match endpoint {
            Some(endpoint) => endpoint::look_closer(ec2, endpoint).await.map(Some),
            None => Ok(None),
        }
    };
    let (endpoint, openings) = tokio::try_join!(closer, find_openings(ec2, groups))?;
    let (wanted, named) = (vpn.clients.clone(), client.map(str::to_owned));
    let client = files.block(move |files| read_client(files, &wanted, named)).await?;
    Ok(Facts {
        now: Timestamp::now(),
        vpc: session.lab.network.cidr,
        client_cidr: vpn.client_cidr,
        endpoint,
        hosts: list_hosts(&session.lab, &instances, &openings),
        client,
        own_addresses: probe::list_own_addresses(),
    })
}

/// The hosts of lab.toml that allow `from = "vpn"`, with what is there of each.
fn list_hosts(lab: &Lab, instances: &[Instance], openings: &BTreeMap<String, Vec<Opening>>) -> Vec<Host> {
    let mut hosts = Vec::new();
    for host in &lab.hosts {
        let from_vpn = host.allow.iter().filter(|allow| allow.from == Source::Vpn && allow.protocol == Protocol::Tcp);
        let ports: Vec<_> = from_vpn.map(|allow| allow.port).collect();
        if ports.is_empty() {
            continue;
        }
        let instance = choose_instance(instances, &roles::instance(&host.role));
        let groups = instance.map(list_groups).unwrap_or_default();
        hosts.push(Host {
            role: host.role.clone(),
            needs_window: lab.needs_window(host),
            ports,
            state: instance.map(|instance| find_state(instance).unwrap_or(InstanceStateName::Pending)),
            address: instance.and_then(|instance| instance.private_ip_address()?.parse().ok()),
            openings: groups.iter().filter_map(|group| openings.get(group)).flatten().cloned().collect(),
        });
    }
    hosts
}

/// The instance of that role: one that runs, else one that is not gone.
fn choose_instance<'a>(instances: &'a [Instance], role: &str) -> Option<&'a Instance> {
    let of_role = || instances.iter().filter(|instance| find_role(instance.tags()) == Some(role));
    let running = of_role().find(|instance| find_state(instance) == Some(InstanceStateName::Running));
    running.or_else(|| of_role().find(|instance| find_state(instance) != Some(InstanceStateName::Terminated)))
}

fn find_state(instance: &Instance) -> Option<InstanceStateName> {
    instance.state()?.name().cloned()
}

fn list_groups(instance: &Instance) -> Vec<String> {
    instance.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect()
}

async fn find_instances(session: &Session, ec2: &aws_sdk_ec2::Client) -> Result<Vec<Instance>, Problem> {
    let request = ec2.describe_instances().set_filters(Some(lab_filters(&session.tags)));
    let found = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(|error| explain("DescribeInstances", &error))?;
    let all = found.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    Ok(all.filter(|instance| is_ours(&session.tags, instance.tags())).collect())
}

/// What these security groups let in.
async fn find_openings(
    ec2: &aws_sdk_ec2::Client,
    mut groups: Vec<String>,
) -> Result<BTreeMap<String, Vec<Opening>>, Problem> {
    groups.sort();
    groups.dedup();
    if groups.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = ec2.describe_security_groups().set_group_ids(Some(groups)).send().await;
    let answer = answer.map_err(|error| explain("DescribeSecurityGroups", &error))?;
    let read = answer.security_groups().iter().filter_map(|group| {
        Some((group.group_id()?.to_owned(), group.ip_permissions().iter().filter_map(read_opening).collect()))
    });
    Ok(read.collect())
}

/// A rule for TCP, or for every protocol.
fn read_opening(rule: &IpPermission) -> Option<Opening> {
    let ports = match rule.ip_protocol()? {
        "-1" => None,
        "tcp" | "6" => Some((rule.from_port()?, rule.to_port()?)),
        _ => return None,
    };
    Some(Opening {
        ports,
        groups: rule.user_id_group_pairs().iter().filter_map(|pair| pair.group_id().map(str::to_owned)).collect(),
        blocks: rule.ip_ranges().iter().filter_map(|range| range.cidr_ip()?.parse().ok()).collect(),
    })
}

/// The client that is named; else the first of lab.toml with an `.ovpn` file; else the first that has a certificate.
fn read_client(files: &Files, wanted: &[String], named: Option<String>) -> Result<Client, Problem> {
    let clients = files.store.clients()?;
    let known = clients.iter().filter(|client| !client.revoked).map(|client| &client.name);
    let candidates: Vec<&String> = wanted.iter().chain(known).collect();
    let mut name = named;
    for candidate in &candidates {
        if name.is_none() && Profile::find(&files.home, candidate)?.is_some() {
            name = Some((*candidate).clone());
        }
    }
    let name = name.or_else(|| candidates.first().map(|name| (*name).clone())).unwrap_or_default();
    let (revoked, current): (Vec<_>, Vec<_>) =
        clients.into_iter().filter(|client| client.name == name).partition(|client| client.revoked);
    Ok(Client {
        profile: if name.is_empty() { None } else { Profile::find(&files.home, &name)? },
        revoked: revoked.into_iter().map(|client| client.certificate).collect(),
        current: current.into_iter().next().map(|client| client.certificate),
        authority: files.store.authority()?.map(|authority| authority.certificate),
        name,
    })
}
