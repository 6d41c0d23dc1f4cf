//! The network's parts as EC2 shows them, each by the call that lists its kind. Pure.

use lab_common::Internet;
use lab_common::roles::{security_group, subnet as subnet_role};
use serde_json::Value;

use super::super::look::{Machine, Read};
use super::{Facts, Proof, tell_thing, text};
use crate::thing::{Fate, Thing};

/// What the assignment asks for.
const ASSIGNED_VPC: &str = "10.0.0.0/16";
const ASSIGNED_PUBLIC: &str = "10.0.1.0/24";
const ASSIGNED_PRIVATE: &str = "10.0.2.0/24";

impl Proof<'_> {
    /// The lab's and, in its VPC, everybody's.
    pub(super) fn all_things(&self) -> impl Iterator<Item = &Thing> {
        let all = self.world.things.iter().chain(&self.world.strangers);
        all.filter(|thing| matches!(thing.fate, Fate::Stays | Fate::Leaving))
    }

    /// The lab's thing of that role; where none has it, the one with that name.
    fn find_part<'b>(&'b self, kind: &str, role: &str, name: &str, vpc: Option<&str>) -> Option<&'b Thing> {
        let ours = || self.world.things.iter().filter(|one| one.kind == kind && one.fate == Fate::Stays);
        let is_here = |one: &&Thing| vpc.is_some() && one.place.vpc.as_deref() == vpc;
        let plays = |one: &&Thing| one.label.role.as_deref() == Some(role);
        let is_named = |one: &&Thing| one.name == name;
        ours().filter(plays).find(is_here).or_else(|| ours().find(plays)).or_else(|| ours().find(is_named))
    }

    /// What was found; nothing, where the whole list could be read and does not have it.
    fn read_part(&self, call: &str, kind: &str, role: &str, name: &str) -> Read<Option<&Thing>> {
        let vpc = if kind == "vpc" { None } else { self.vpc().ok().flatten().map(|vpc| vpc.id.as_str()) };
        match (self.find_part(kind, role, name, vpc), self.world.find_unread(call)) {
            (None, Some(why)) => Err(why.to_owned()),
            (found, _) => Ok(found),
        }
    }

    /// The lab's VPC; of several, the one that most of the lab stands in.
    pub(super) fn vpc(&self) -> Read<Option<&Thing>> {
        let name = self.names.vpc();
        let ours = || self.world.things.iter().filter(|one| one.kind == "vpc" && one.fate == Fate::Stays);
        let count =
            |vpc: &&Thing| self.world.things.iter().filter(|one| one.place.vpc.as_ref() == Some(&vpc.id)).count();
        let playing = ours().filter(|one| one.label.role.as_deref() == Some("vpc")).max_by_key(count);
        match (playing.or_else(|| ours().find(|one| one.name == name)), self.world.find_unread("DescribeVpcs")) {
            (None, Some(why)) => Err(why.to_owned()),
            (found, _) => Ok(found),
        }
    }

    pub(super) fn subnet_of(&self, role: &str) -> Read<Option<&Thing>> {
        self.read_part("DescribeSubnets", "subnet", &subnet_role(role), &self.names.subnet(role))
    }

    /// The role of the first subnet of that sort.
    pub(super) fn subnet_role(&self, internet: Internet) -> Option<&str> {
        let mut subnets = self.lab.network.subnets.iter();
        subnets.find(|subnet| subnet.internet == internet).map(|subnet| subnet.role.as_str())
    }

    /// The first subnet of that sort.
    pub(super) fn subnet(&self, internet: Internet) -> Read<Option<&Thing>> {
        self.subnet_role(internet).map_or(Ok(None), |role| self.subnet_of(role))
    }

    pub(super) fn internet_gateway(&self) -> Read<Option<&Thing>> {
        let name = self.names.internet_gateway();
        self.read_part("DescribeInternetGateways", "internet-gateway", "internet-gateway", &name)
    }

    pub(super) fn public_table(&self) -> Read<Option<&Thing>> {
        let name = self.names.public_route_table();
        self.read_part("DescribeRouteTables", "route-table", "route-table public-to-internet", &name)
    }

    pub(super) fn vpn_group(&self) -> Read<Option<&Thing>> {
        let name = self.names.vpn_security_group();
        self.read_part("DescribeSecurityGroups", "security-group", &security_group("vpn"), &name)
    }

    pub(super) fn add_vpc(&self, facts: Facts) -> Facts {
        let name = self.names.vpc();
        match self.vpc() {
            Ok(Some(vpc)) => add_block(facts, vpc, &self.lab.network.cidr.to_string(), ASSIGNED_VPC),
            Ok(None) => facts.lacks(format!("{name} is not there")),
            Err(why) => facts.unread(&name, &why),
        }
    }

    pub(super) fn add_subnet(&self, facts: Facts, internet: Internet) -> Facts {
        let Some(role) = self.subnet_role(internet) else { return facts.lacks("lab.toml has no such subnet") };
        let (name, wanted) = (self.names.subnet(role), self.lab.subnet(role).map(|one| one.cidr.to_string()));
        let assigned = if internet == Internet::Gateway { ASSIGNED_PUBLIC } else { ASSIGNED_PRIVATE };
        match self.subnet(internet) {
            Ok(Some(subnet)) => {
                let facts = add_block(facts, subnet, &wanted.unwrap_or_default(), assigned);
                self.add_vpc_of(facts, subnet.place.vpc.as_deref())
            }
            Ok(None) => facts.lacks(format!("{name} is not there")),
            Err(why) => facts.unread(&name, &why),
        }
    }

    /// That something is in another VPC than the lab's. That it is in the lab's needs no words.
    pub(super) fn add_vpc_of(&self, facts: Facts, vpc: Option<&str>) -> Facts {
        match self.vpc() {
            Ok(Some(ours)) if vpc == Some(&ours.id) => facts,
            Ok(Some(ours)) => facts.lacks(format!("it is in {}, not in {}", vpc.unwrap_or("no VPC"), tell_thing(ours))),
            Ok(None) => facts.lacks("there is no VPC of the lab for it to be in"),
            Err(why) => facts.unread(&self.names.vpc(), &why),
        }
    }

    /// Who is let in by the groups that the host is in, whoever has put it there.
    pub(super) fn rules(&self, machine: &Machine) -> Read<Vec<String>> {
        let mut all = Vec::new();
        for id in &machine.groups {
            let group = self.all_things().find(|one| one.kind == "security-group" && one.id == *id);
            let Some(group) = group else {
                let why = self.world.find_unread("DescribeSecurityGroups");
                return Err(why.map_or_else(|| format!("EC2 does not list {id}"), str::to_owned));
            };
            let rules = group.more.get("rules").and_then(Value::as_array).into_iter().flatten();
            all.extend(rules.filter_map(|rule| rule.as_str().map(str::to_owned)));
        }
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// A rule with its group's name for its id.
    pub(super) fn name_source(&self, rule: &str) -> String {
        let Some((what, id)) = rule.rsplit_once(" from ") else { return rule.to_owned() };
        let group = self.all_things().find(|group| group.kind == "security-group" && group.id == id);
        group.map_or_else(|| rule.to_owned(), |group| format!("{what} from {}", group.name))
    }
}

/// Its address block, which lab.toml decides; another one than the assignment's is told.
fn add_block(facts: Facts, thing: &Thing, wanted: &str, assigned: &str) -> Facts {
    let (block, zone) = (text(thing, "cidr").unwrap_or_default(), text(thing, "zone").filter(|zone| !zone.is_empty()));
    let zone = zone.map(|zone| format!(", {zone}")).unwrap_or_default();
    let facts = facts.proves(format!("{}, {block}{zone}", tell_thing(thing)));
    if block != wanted {
        facts.lacks(format!("its block is {block}; lab.toml says {wanted}"))
    } else if block != assigned {
        facts.note(format!("lab.toml says {block} so; the assignment asks for {assigned}"))
    } else {
        facts
    }
}

/// Whether a rule (`tcp/20-30 from 203.0.113.5/32`, `everything from sg-1`) lets TCP in at this port.
pub(super) fn admits(rule: &str, port: u16) -> bool {
    let Some((what, _)) = rule.split_once(" from ") else { return false };
    if what == "everything" {
        return true;
    }
    let Some(ports) = what.strip_prefix("tcp/") else { return false };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
    bounds.is_some_and(|(first, last)| (first..=last).contains(&port))
}
