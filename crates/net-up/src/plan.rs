//! Want and live → the steps between them. Pure.

use std::collections::BTreeSet;

use lab_plan::{Action, Plan, Problem, Step};

use crate::live::{Gateway, Group, Live, Subnet, Table, Tenant, Vpc};
use crate::nat::refuse_lone_addresses;
use crate::rule::Rule;
use crate::want::{GATEWAY, GatewayWant, GroupWant, MAIN_TABLE, PUBLIC_TABLE, SubnetWant, VPC, Want};

/// What one step does. What exists is named by id, what may not exist yet by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    CreateVpc {
        cidr: String,
    },
    EnableDnsHostnames,
    TagMainTable,
    CreateSubnet {
        cidr: String,
        zone: Option<String>,
    },
    MapPublicAddresses {
        subnet: String,
        public: bool,
    },
    CreateGateway,
    AttachGateway,
    CreateTable,
    RouteToGateway {
        replace: bool,
    },
    /// Puts a subnet behind the table, in place of this association where it has one.
    Associate {
        subnet: String,
        instead: Option<String>,
    },
    CreateGroup {
        description: String,
    },
    Authorize {
        group: String,
        rules: BTreeSet<Rule<String>>,
    },
    Revoke {
        group: String,
        rules: BTreeSet<Rule<String>>,
    },
    Disassociate {
        association: String,
    },
    DetachGateway {
        gateway: String,
        vpc: String,
    },
    DeleteVpc {
        id: String,
    },
    DeleteSubnet {
        id: String,
    },
    DeleteGateway {
        id: String,
    },
    DeleteTable {
        id: String,
    },
    DeleteGroup {
        id: String,
    },
}

/// The steps from `live` to `want`; or everything that cannot be changed in place.
pub(crate) fn plan(want: &Want, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
    let refusals = find_refusals(want, live);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(compare(want, live))
}

/// In what `live` differs from `want`, whether all of it can be changed in place or not.
pub(crate) fn compare(want: &Want, live: &Live) -> Plan<Op> {
    let mut changes = Changes { live, steps: Vec::new(), unchanged: 0 };
    changes.vpc(want);
    changes.gateway(want.gateway.as_ref());
    for subnet in &want.subnets {
        changes.subnet(subnet);
    }
    for group in &want.groups {
        changes.group(group);
    }
    changes.unwanted(want);
    Plan { steps: changes.steps, unchanged: changes.unchanged, usd_per_hour: 0.0 }
}

struct Changes<'a> {
    live: &'a Live,
    steps: Vec<Step<Op>>,
    unchanged: usize,
}

impl Changes<'_> {
    fn add(&mut self, step: Step<Op>) {
        self.steps.push(step);
    }

    fn vpc(&mut self, want: &Want) {
        let name = &want.vpc_name;
        let vpc = self.live.vpc();
        if vpc.is_some() {
            self.unchanged += 1;
        } else {
            let cidr = want.vpc_cidr.to_string();
            self.add(Step::new(Action::Create, "vpc", VPC, name, Op::CreateVpc { cidr: cidr.clone() }).detail(cidr));
        }
        if vpc.is_none_or(|vpc| vpc.dns_hostnames == Some(false)) {
            let step = Step::new(Action::Update, "vpc", "vpc dns-hostnames", name, Op::EnableDnsHostnames);
            self.add(step.needs([VPC]).detail("DNS hostnames on"));
        }
        let main = self.live.main_table();
        if main.is_some_and(|table| table.role.is_some()) {
            self.unchanged += 1;
        } else {
            let step = Step::new(Action::Update, "route-table", MAIN_TABLE, &want.main_table_name, Op::TagMainTable);
            self.add(step.needs([VPC]).detail("tag the VPC's own table"));
        }
    }

    fn gateway(&mut self, want: Option<&GatewayWant>) {
        let Some(want) = want else { return };
        let gateway = self.live.gateway();
        if gateway.is_some() {
            self.unchanged += 1;
        } else {
            self.add(Step::new(Action::Create, "internet-gateway", GATEWAY, &want.name, Op::CreateGateway));
        }
        if gateway.is_none_or(|gateway| gateway.vpc.is_none()) {
            let role = "internet-gateway attachment";
            let step = Step::new(Action::Update, "internet-gateway", role, &want.name, Op::AttachGateway);
            self.add(step.needs([GATEWAY, VPC]).detail("attach it to the VPC"));
        }
        let table = self.live.table(PUBLIC_TABLE);
        if table.is_some() {
            self.unchanged += 1;
        } else {
            let step = Step::new(Action::Create, "route-table", PUBLIC_TABLE, &want.table_name, Op::CreateTable);
            self.add(step.needs([VPC]));
        }
        let target = table.and_then(|table| table.default_route.as_deref());
        if target.is_none() || target != gateway.map(|gateway| gateway.id.as_str()) {
            let op = Op::RouteToGateway { replace: target.is_some() };
            let step = Step::new(Action::Update, "route-table", "route 0.0.0.0/0", &want.table_name, op);
            let needs = [PUBLIC_TABLE, GATEWAY, "internet-gateway attachment"];
            self.add(step.needs(needs).detail(format!("0.0.0.0/0 to {}", want.name)));
        }
    }

    fn subnet(&mut self, want: &SubnetWant) {
        let live = self.live.subnet(&want.role);
        if live.is_some() {
            self.unchanged += 1;
        } else {
            let cidr = want.cidr.to_string();
            let op = Op::CreateSubnet { cidr: cidr.clone(), zone: want.zone.clone() };
            let step = Step::new(Action::Create, "subnet", &want.role, &want.name, op).needs([VPC]).detail(cidr);
            // A subnet that lab.toml has no more may hold the addresses that this one wants.
            let overlaps = |subnet: &&Subnet| {
                let block = subnet.cidr.parse::<ipnet::Ipv4Net>();
                block.is_ok_and(|block| block.contains(&want.cidr) || want.cidr.contains(&block))
            };
            let in_the_way = self.live.subnets.iter().filter(overlaps).map(|subnet| format!("delete {}", subnet.id));
            self.add(step.needs(in_the_way));
        }
        if live.map_or(want.public, |subnet| subnet.public != want.public) {
            let op = Op::MapPublicAddresses { subnet: want.role.clone(), public: want.public };
            let step = Step::new(Action::Update, "subnet", format!("{} addresses", want.role), &want.name, op);
            let word = if want.public { "on" } else { "off" };
            self.add(step.needs([&want.role]).detail(format!("public addresses {word}")));
        }
        self.association(want, live);
    }

    /// A public subnet uses the table behind the gateway; every other one the VPC's own.
    fn association(&mut self, want: &SubnetWant, live: Option<&Subnet>) {
        let table = self.live.table(PUBLIC_TABLE);
        let find = |subnet: &Subnet| table?.associations.iter().find(|(_, id)| *id == subnet.id).cloned();
        let association = live.and_then(find).map(|(association, _)| association);
        let other = live.and_then(|subnet| self.live.other_association(subnet));
        let role = format!("{} association", want.role);
        if want.public && association.is_none() {
            let op = Op::Associate { subnet: want.role.clone(), instead: other.map(|(id, _)| id.to_owned()) };
            let step = Step::new(Action::Update, "subnet", role, &want.name, op);
            self.add(step.needs([PUBLIC_TABLE, &want.role]).detail("use the table behind the gateway"));
        } else if !want.public {
            // By name or by default: the VPC's own table is the same.
            let other = other.filter(|(_, main)| !main).map(|(id, _)| id.to_owned());
            let Some(association) = association.or(other) else { return };
            let op = Op::Disassociate { association };
            let step = Step::new(Action::Update, "subnet", role, &want.name, op);
            self.add(step.detail("use the VPC's own table"));
        }
    }

    fn group(&mut self, want: &GroupWant) {
        let live = self.live.group(&want.role);
        if live.is_some() {
            self.unchanged += 1;
        } else {
            let op = Op::CreateGroup { description: want.description.clone() };
            self.add(Step::new(Action::Create, "security-group", &want.role, &want.name, op).needs([VPC]));
        }
        let missing = find_missing(want, live, self.live);
        if !missing.is_empty() {
            let question = missing
                .iter()
                .find(|rule| rule.admits_everyone())
                .map(|rule| format!("{} would be open to everybody on the internet ({rule})", want.name));
            let needs =
                missing.iter().filter_map(Rule::group).cloned().chain([want.role.clone()]).collect::<BTreeSet<_>>();
            let detail = show_rules(&missing);
            let op = Op::Authorize { group: want.role.clone(), rules: missing };
            let role = format!("{} rules", want.role);
            let mut step = Step::new(Action::Create, "security-group-rule", role, &want.name, op);
            step.ask = question;
            self.add(step.needs(needs).detail(detail));
        }
        let extra = find_extra(want, live, self.live);
        if let (Some(group), false) = (live, extra.is_empty()) {
            let detail = show_rules(&extra);
            let op = Op::Revoke { group: group.id.clone(), rules: extra };
            let role = format!("{} other rules", want.role);
            self.add(Step::new(Action::Delete, "security-group-rule", role, &want.name, op).detail(detail));
        }
    }

    /// What bears our tags but is in lab.toml no more, and empty duplicates that a killed run has left.
    fn unwanted(&mut self, want: &Want) {
        let wanted = |role: &str| {
            want.subnets.iter().any(|subnet| subnet.role == role) || want.groups.iter().any(|group| group.role == role)
        };
        let spare_groups: Vec<_> = self.live.groups.iter().filter(|group| !wanted(&group.role)).collect();
        let spare_subnets: Vec<_> = self.live.subnets.iter().filter(|subnet| !wanted(&subnet.role)).collect();
        let counted = self.live.gateway().filter(|_| want.gateway.is_some()).map(|gateway| gateway.id.as_str());
        let spare_gateways: Vec<_> =
            self.live.gateways.iter().filter(|gateway| Some(gateway.id.as_str()) != counted).collect();
        let counted = self.live.table(PUBLIC_TABLE).filter(|_| want.gateway.is_some()).map(|table| table.id.as_str());
        let others = self.live.tables.iter().filter(|table| !table.main && Some(table.id.as_str()) != counted);
        // A second table keeps what it is used for until the one that counts has taken that over.
        let spare_tables: Vec<_> = others.filter(|table| counted.is_none() || table.associations.is_empty()).collect();
        let removal = Removal {
            vpcs: self.live.vpcs.iter().skip(1).collect(),
            subnets: spare_subnets,
            gateways: spare_gateways,
            tables: spare_tables,
            groups: spare_groups,
        };
        self.steps.extend(removal.steps(self.live));
    }
}

/// Things to delete, and the order in which AWS lets them go.
struct Removal<'a> {
    vpcs: Vec<&'a Vpc>,
    subnets: Vec<&'a Subnet>,
    gateways: Vec<&'a Gateway>,
    tables: Vec<&'a Table>,
    groups: Vec<&'a Group>,
}

impl Removal<'_> {
    /// Rules that name groups, associations and attachments first; then what they held; the VPC last.
    fn steps(&self, live: &Live) -> Vec<Step<Op>> {
        let delete = |kind, id: &str, name: &str, op| Step::new(Action::Delete, kind, format!("delete {id}"), name, op);
        let mut steps = Vec::new();
        let mut revoked = Vec::new();
        let going: BTreeSet<&str> = self.groups.iter().map(|group| group.id.as_str()).collect();
        for group in &live.groups {
            let rules: BTreeSet<_> = group
                .rules
                .iter()
                .filter(|rule| rule.group().is_some_and(|id| going.contains(id.as_str()) && *id != group.id))
                .cloned()
                .collect();
            if rules.is_empty() {
                continue;
            }
            let (role, detail) = (format!("revoke {}", group.id), show_rules(&rules));
            let op = Op::Revoke { group: group.id.clone(), rules };
            steps.push(Step::new(Action::Delete, "security-group-rule", &role, &group.name, op).detail(detail));
            revoked.push(role);
        }
        for group in &self.groups {
            let op = Op::DeleteGroup { id: group.id.clone() };
            steps.push(delete("security-group", &group.id, &group.name, op).needs(revoked.clone()));
        }
        for table in &self.tables {
            let mut needs = Vec::new();
            for (association, _) in &table.associations {
                let role = format!("delete {association}");
                let op = Op::Disassociate { association: association.clone() };
                let step = Step::new(Action::Update, "route-table", &role, &table.name, op);
                steps.push(step.detail("end the association with its subnet"));
                needs.push(role);
            }
            let op = Op::DeleteTable { id: table.id.clone() };
            steps.push(delete("route-table", &table.id, &table.name, op).needs(needs));
        }
        for gateway in &self.gateways {
            let mut needs = Vec::new();
            if let Some(vpc) = &gateway.vpc {
                let role = format!("detach {}", gateway.id);
                let op = Op::DetachGateway { gateway: gateway.id.clone(), vpc: vpc.clone() };
                let step = Step::new(Action::Update, "internet-gateway", &role, &gateway.name, op);
                steps.push(step.detail("detach it from the VPC"));
                needs.push(role);
            }
            let op = Op::DeleteGateway { id: gateway.id.clone() };
            steps.push(delete("internet-gateway", &gateway.id, &gateway.name, op).needs(needs));
        }
        for subnet in &self.subnets {
            let op = Op::DeleteSubnet { id: subnet.id.clone() };
            steps.push(delete("subnet", &subnet.id, &subnet.name, op));
        }
        for vpc in &self.vpcs {
            let needs: Vec<_> = steps.iter().map(|step| step.role.clone()).collect();
            let op = Op::DeleteVpc { id: vpc.id.clone() };
            steps.push(delete("vpc", &vpc.id, &vpc.name, op).needs(needs));
        }
        steps
    }
}

/// The steps that delete all of it; or everything of others that stands in the way.
pub(crate) fn teardown(live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
    let mut blocked: Vec<_> = live.tenants.iter().map(|tenant| refuse_tenant(tenant, "the VPC")).collect();
    blocked.extend(refuse_lone_addresses(&live.nat_gateways, &live.nat_addresses));
    if !blocked.is_empty() {
        return Err(blocked);
    }
    let removal = Removal {
        vpcs: live.vpcs.iter().collect(),
        subnets: live.subnets.iter().collect(),
        gateways: live.gateways.iter().collect(),
        tables: live.tables.iter().filter(|table| !table.main).collect(),
        groups: live.groups.iter().collect(),
    };
    Ok(Plan { steps: removal.steps(live), unchanged: 0, usd_per_hour: 0.0 })
}

fn refuse_tenant(tenant: &Tenant, place: &str) -> Problem {
    Problem::failed(format!("{} is still in {place}: nothing was deleted", tenant.what)).fix(&tenant.removal)
}

/// What lab.toml asks for but AWS cannot change in place, and what someone else has put where we must delete.
fn find_refusals(want: &Want, live: &Live) -> Vec<Problem> {
    let mut refusals = Vec::new();
    let way_out = "write the old value back into lab.toml, or take the lab down (scripts/down.sh) and make it again";
    if let Some(vpc) = live.vpc()
        && vpc.cidr != want.vpc_cidr.to_string()
    {
        let what = format!("{} has the block {}, lab.toml wants {}", vpc.name, vpc.cidr, want.vpc_cidr);
        refusals.push(Problem::failed(what).because("a VPC's block cannot be changed").fix(way_out));
    }
    for wanted in &want.subnets {
        let Some(subnet) = live.subnet(&wanted.role) else { continue };
        if subnet.cidr != wanted.cidr.to_string() {
            let what = format!("{} has the block {}, lab.toml wants {}", subnet.name, subnet.cidr, wanted.cidr);
            refusals.push(Problem::failed(what).because("a subnet's block cannot be changed").fix(way_out));
        }
        if let Some(zone) = wanted.zone.as_ref().filter(|zone| **zone != subnet.zone) {
            let what = format!("{} is in {}, lab.toml wants {zone}", subnet.name, subnet.zone);
            refusals.push(Problem::failed(what).because("a subnet's zone cannot be changed").fix(way_out));
        }
    }
    refusals.extend(find_duplicates(live));
    refusals.extend(find_occupied(want, live));
    refusals
}

/// Two VPCs that both hold something cannot be told apart by us.
fn find_duplicates(live: &Live) -> Vec<Problem> {
    let holds_something = |vpc: &&Vpc| {
        live.subnets.iter().any(|subnet| subnet.vpc == vpc.id)
            || live.groups.iter().any(|group| group.vpc == vpc.id)
            || live.tables.iter().any(|table| table.vpc == vpc.id && !table.main)
            || live.gateways.iter().any(|gateway| gateway.vpc.as_ref() == Some(&vpc.id))
    };
    let spare = live.vpcs.iter().skip(1).filter(holds_something);
    spare
        .map(|vpc| {
            Problem::failed(format!("there are two VPCs of this lab, and {} is not empty", vpc.id))
                .because("two runs made one each at the same moment, or someone copied our tags")
                .fix("take the lab down (scripts/down.sh) and make it again, or remove the wrong one's tags")
        })
        .collect()
}

/// Subnets and groups that lab.toml has no more, but that something still uses.
fn find_occupied(want: &Want, live: &Live) -> Vec<Problem> {
    let spare_subnets = live.subnets.iter().filter(|subnet| !want.subnets.iter().any(|w| w.role == subnet.role));
    let in_subnets = spare_subnets.flat_map(|subnet| {
        let inside = live.tenants.iter().filter(|tenant| tenant.subnet.as_ref() == Some(&subnet.id));
        inside.map(|tenant| refuse_tenant(tenant, &format!("{}, which lab.toml has no more", subnet.name)))
    });
    let spare_groups = live.groups.iter().filter(|group| !want.groups.iter().any(|w| w.role == group.role));
    let in_groups = spare_groups.flat_map(|group| {
        let inside = live.tenants.iter().filter(|tenant| tenant.groups.contains(&group.id));
        inside.map(|tenant| refuse_tenant(tenant, &format!("group {}, which lab.toml has no more", group.name)))
    });
    in_subnets.chain(in_groups).collect()
}

/// Wanted rules that are not there. A rule for a group that does not exist yet is missing too.
fn find_missing(want: &GroupWant, group: Option<&Group>, live: &Live) -> BTreeSet<Rule<String>> {
    let there = |rule: &Rule<String>| {
        let named = rule.clone().rename(|role| live.group(role).map(|group| group.id.clone()));
        named.is_some_and(|rule| group.is_some_and(|group| group.rules.contains(&rule)))
    };
    want.rules.iter().filter(|rule| !there(rule)).cloned().collect()
}

/// Rules that are there but not wanted, with groups named by id.
fn find_extra(want: &GroupWant, group: Option<&Group>, live: &Live) -> BTreeSet<Rule<String>> {
    let wanted: BTreeSet<_> = want
        .rules
        .iter()
        .filter_map(|rule| rule.clone().rename(|role| live.group(role).map(|group| group.id.clone())))
        .collect();
    group.map_or_else(BTreeSet::new, |group| group.rules.difference(&wanted).cloned().collect())
}

fn show_rules(rules: &BTreeSet<Rule<String>>) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
