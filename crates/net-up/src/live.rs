//! What is there: two rounds of reads, batched, everything else pure.

use std::collections::BTreeSet;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, Filter, VpcAttributeName};
use lab_common::{Tags, explain};
use lab_ec2::{
    NatGateway, find_nat_gateways, find_number, find_role, find_tag, is_gone, is_ours, lab_filters, list, turn_of,
};
use lab_plan::Problem;

use crate::nat::{Address, find_addresses};
use crate::rule::{Rule, from_permissions};
use crate::want::{MAIN_TABLE, PUBLIC_TABLE, VPC};

/// Everything of this lab's network that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// In turn, so that the first one is the one that counts.
    pub(crate) vpcs: Vec<Vpc>,
    pub(crate) subnets: Vec<Subnet>,
    /// In turn.
    pub(crate) gateways: Vec<Gateway>,
    /// Tables with our tags, in turn, and the main table of our VPC whether tagged or not.
    pub(crate) tables: Vec<Table>,
    /// The associations of subnets with tables that others have put into our VPC: each one's id, and its subnet.
    pub(crate) strange_associations: Vec<(String, String)>,
    pub(crate) groups: Vec<Group>,
    /// What others have put into our VPC.
    pub(crate) tenants: Vec<Tenant>,
    /// The NAT window's gateways, deleted ones that EC2 still lists included.
    pub(crate) nat_gateways: Vec<NatGateway>,
    /// The NAT window's addresses.
    pub(crate) nat_addresses: Vec<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) cidr: String,
    pub(crate) state: String,
    /// Known of the first VPC only.
    pub(crate) dns_hostnames: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) vpc: String,
    pub(crate) cidr: String,
    pub(crate) zone: String,
    pub(crate) state: String,
    /// Hosts get public addresses.
    pub(crate) public: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gateway {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The VPC it is attached to.
    pub(crate) vpc: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) id: String,
    /// `None` while it is not tagged.
    pub(crate) role: Option<String>,
    pub(crate) name: String,
    pub(crate) vpc: String,
    /// Id of the association and of its subnet.
    pub(crate) associations: Vec<(String, String)>,
    /// Where 0.0.0.0/0 goes.
    pub(crate) default_route: Option<String>,
    /// What is there is gone.
    pub(crate) blackhole: bool,
    /// It is its VPC's own table.
    pub(crate) main: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) vpc: String,
    /// Groups are named by id.
    pub(crate) rules: BTreeSet<Rule<String>>,
}

/// Something in our VPC that is not ours to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) vpc: String,
    pub(crate) subnet: Option<String>,
    /// `instance lab-public-ec2 (i-0123)`
    pub(crate) what: String,
    /// The command that removes it.
    pub(crate) removal: String,
    pub(crate) groups: Vec<String>,
}

impl Live {
    /// The VPC that counts: of several, every run chooses the same one.
    pub(crate) fn vpc(&self) -> Option<&Vpc> {
        self.vpcs.first()
    }

    /// The gateway that counts: the one that is attached to our VPC, else the first one in turn.
    pub(crate) fn gateway(&self) -> Option<&Gateway> {
        let vpc = self.vpc().map(|vpc| vpc.id.as_str());
        let attached = self.gateways.iter().find(|gateway| vpc.is_some() && gateway.vpc.as_deref() == vpc);
        attached.or_else(|| self.gateways.iter().find(|gateway| gateway.vpc.is_none()))
    }

    pub(crate) fn subnet(&self, role: &str) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.role == role)
    }

    pub(crate) fn table(&self, role: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.role.as_deref() == Some(role))
    }

    pub(crate) fn main_table(&self) -> Option<&Table> {
        let vpc = self.vpc()?;
        self.tables.iter().find(|table| table.main && table.vpc == vpc.id)
    }

    /// The association of a subnet with a table other than the one behind the gateway, and whether that table is the VPC's
    /// own.
    pub(crate) fn other_association(&self, subnet: &Subnet) -> Option<(&str, bool)> {
        let counted = self.table(PUBLIC_TABLE).map(|table| &table.id);
        let ours = self.tables.iter().filter(|table| Some(&table.id) != counted);
        let ours = ours.flat_map(|table| table.associations.iter().map(|one| (one, table.main)));
        let mut all = ours.chain(self.strange_associations.iter().map(|one| (one, false)));
        let ((association, _), main) = all.find(|((_, id), _)| *id == subnet.id)?;
        Some((association, main))
    }

    pub(crate) fn group(&self, role: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.role == role)
    }
}

/// Reads all of it. The second round asks what needs the VPC's id.
pub(crate) async fn observe(ec2: &Client, tags: &Tags) -> Result<Live, Problem> {
    let reader = Reader { ec2, tags };
    let (vpcs, subnets, gateways, tables, groups, nat_gateways, nat_addresses) = tokio::try_join!(
        reader.vpcs(),
        reader.subnets(),
        reader.gateways(),
        reader.tables(),
        reader.groups(),
        find_nat_gateways(ec2, tags),
        find_addresses(ec2, tags, None),
    )?;
    let mut live = Live { vpcs, subnets, gateways, tables, groups, nat_gateways, nat_addresses, ..Live::default() };
    let Some(vpc) = live.vpc().map(|vpc| vpc.id.clone()) else { return Ok(live) };
    let (dns_hostnames, tables, instances, interfaces, subnets, groups) = tokio::try_join!(
        reader.dns_hostnames(&vpc),
        reader.find_tables(vec![filter("vpc-id", &vpc)]),
        reader.instances(&vpc),
        reader.interfaces(&vpc),
        reader.strange_subnets(&vpc),
        reader.strange_groups(&vpc),
    )?;
    live.vpcs[0].dns_hostnames = dns_hostnames;
    let (main, others): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.main);
    if live.main_table().is_none() {
        live.tables.extend(main);
    }
    let strange_tables: Vec<_> = others.iter().filter(|table| table.role.is_none()).collect();
    live.strange_associations = strange_tables.iter().flat_map(|table| table.associations.clone()).collect();
    let strange_tables = strange_tables.into_iter().map(|table| strange_thing(&vpc, "route-table", &table.id));
    live.tenants = list_tenants(&vpc, &instances, &interfaces, &live.nat_gateways, tags);
    live.tenants.extend(strange_tables.chain(subnets).chain(groups));
    Ok(live)
}

/// Whom to ask, and for whose things.
pub(crate) struct Reader<'a> {
    pub(crate) ec2: &'a Client,
    pub(crate) tags: &'a Tags,
}

impl Reader<'_> {
    pub(crate) async fn vpcs(&self) -> Result<Vec<Vpc>, Problem> {
        let pages = self.ec2.describe_vpcs().set_filters(Some(lab_filters(self.tags))).into_paginator().items().send();
        let found = list("DescribeVpcs", pages.collect()).await?;
        let mut ours: Vec<_> = found.iter().filter(|vpc| find_role(vpc.tags()) == Some(VPC)).collect();
        ours.sort_by_cached_key(|vpc| read_turn(vpc.tags(), vpc.vpc_id()));
        let vpcs = ours
            .into_iter()
            .map(|vpc| Vpc {
                id: own(vpc.vpc_id()),
                name: own(find_tag(vpc.tags(), Tags::NAME)),
                cidr: own(vpc.cidr_block()),
                state: own(vpc.state().map(types::VpcState::as_str)),
                dns_hostnames: None,
            })
            .collect();
        Ok(vpcs)
    }

    pub(crate) async fn subnets(&self) -> Result<Vec<Subnet>, Problem> {
        let pages =
            self.ec2.describe_subnets().set_filters(Some(lab_filters(self.tags))).into_paginator().items().send();
        let found = list("DescribeSubnets", pages.collect()).await?;
        let mut subnets: Vec<_> = found
            .iter()
            .map(|subnet| Subnet {
                id: own(subnet.subnet_id()),
                role: own(find_role(subnet.tags())),
                name: own(find_tag(subnet.tags(), Tags::NAME)),
                vpc: own(subnet.vpc_id()),
                cidr: own(subnet.cidr_block()),
                zone: own(subnet.availability_zone()),
                state: own(subnet.state().map(types::SubnetState::as_str)),
                public: subnet.map_public_ip_on_launch().unwrap_or(false),
            })
            .collect();
        subnets.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(subnets)
    }

    async fn gateways(&self) -> Result<Vec<Gateway>, Problem> {
        let request = self.ec2.describe_internet_gateways().set_filters(Some(lab_filters(self.tags)));
        let found = list("DescribeInternetGateways", request.into_paginator().items().send().collect()).await?;
        let mut found: Vec<_> = found.iter().collect();
        found.sort_by_cached_key(|gateway| read_turn(gateway.tags(), gateway.internet_gateway_id()));
        let gateways = found
            .into_iter()
            .map(|gateway| Gateway {
                id: own(gateway.internet_gateway_id()),
                name: own(find_tag(gateway.tags(), Tags::NAME)),
                vpc: gateway.attachments().first().and_then(|attachment| attachment.vpc_id()).map(str::to_owned),
            })
            .collect();
        Ok(gateways)
    }

    pub(crate) async fn tables(&self) -> Result<Vec<Table>, Problem> {
        self.find_tables(lab_filters(self.tags)).await
    }

    /// Subnets that someone else has put into our VPC.
    async fn strange_subnets(&self, vpc: &str) -> Result<Vec<Tenant>, Problem> {
        let request = self.ec2.describe_subnets().filters(filter("vpc-id", vpc));
        let found = list("DescribeSubnets", request.into_paginator().items().send().collect()).await?;
        let strange = found.iter().filter(|subnet| !is_ours(self.tags, subnet.tags()));
        Ok(strange.map(|subnet| strange_thing(vpc, "subnet", &own(subnet.subnet_id()))).collect())
    }

    /// Security groups that someone else has put into our VPC. Its default group goes with it.
    async fn strange_groups(&self, vpc: &str) -> Result<Vec<Tenant>, Problem> {
        let request = self.ec2.describe_security_groups().filters(filter("vpc-id", vpc));
        let found = list("DescribeSecurityGroups", request.into_paginator().items().send().collect()).await?;
        let strange =
            found.iter().filter(|group| group.group_name() != Some("default") && !is_ours(self.tags, group.tags()));
        Ok(strange.map(|group| strange_thing(vpc, "security-group", &own(group.group_id()))).collect())
    }

    async fn find_tables(&self, filters: Vec<Filter>) -> Result<Vec<Table>, Problem> {
        let pages = self.ec2.describe_route_tables().set_filters(Some(filters)).into_paginator().items().send();
        let found = list("DescribeRouteTables", pages.collect()).await?;
        let mut found: Vec<_> = found.iter().collect();
        found.sort_by_cached_key(|table| read_turn(table.tags(), table.route_table_id()));
        Ok(found.into_iter().map(|table| read_table(table, self.tags)).collect())
    }

    async fn groups(&self) -> Result<Vec<Group>, Problem> {
        let request = self.ec2.describe_security_groups().set_filters(Some(lab_filters(self.tags)));
        let found = list("DescribeSecurityGroups", request.into_paginator().items().send().collect()).await?;
        let mut groups: Vec<_> = found
            .iter()
            .map(|group| Group {
                id: own(group.group_id()),
                role: own(find_role(group.tags())),
                name: own(group.group_name()),
                vpc: own(group.vpc_id()),
                rules: from_permissions(group.ip_permissions()),
            })
            .collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(groups)
    }

    /// `None` when the VPC is gone by now.
    async fn dns_hostnames(&self, vpc: &str) -> Result<Option<bool>, Problem> {
        let request = self.ec2.describe_vpc_attribute().vpc_id(vpc).attribute(VpcAttributeName::EnableDnsHostnames);
        match request.send().await {
            Ok(answer) => Ok(answer.enable_dns_hostnames().and_then(types::AttributeBooleanValue::value)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(explain("DescribeVpcAttribute", &error)),
        }
    }

    async fn instances(&self, vpc: &str) -> Result<Vec<types::Instance>, Problem> {
        let alive = ["pending", "running", "stopping", "stopped"].map(str::to_owned).to_vec();
        let request = self
            .ec2
            .describe_instances()
            .filters(filter("vpc-id", vpc))
            .filters(Filter::builder().name("instance-state-name").set_values(Some(alive)).build());
        let found = list("DescribeInstances", request.into_paginator().items().send().collect()).await?;
        Ok(found.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).collect())
    }

    async fn interfaces(&self, vpc: &str) -> Result<Vec<types::NetworkInterface>, Problem> {
        let request = self.ec2.describe_network_interfaces().filters(filter("vpc-id", vpc));
        list("DescribeNetworkInterfaces", request.into_paginator().items().send().collect()).await
    }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// By this, the one comes first that counts of several (see [`lab_ec2::take_turn`]).
fn read_turn(tags: &[types::Tag], id: Option<&str>) -> (u32, String) {
    let (number, id) = turn_of(find_number(tags), id.unwrap_or_default());
    (number, id.to_owned())
}

fn own(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

fn read_table(table: &types::RouteTable, tags: &Tags) -> Table {
    let ours = is_ours(tags, table.tags());
    let associations = table.associations().iter();
    let main = associations.clone().any(|association| association.main().unwrap_or(false));
    let role = find_role(table.tags()).filter(|_| ours);
    let default = table.routes().iter().find(|route| route.destination_cidr_block() == Some("0.0.0.0/0"));
    let target =
        default.and_then(|route| route.gateway_id().or(route.nat_gateway_id()).or(route.network_interface_id()));
    Table {
        id: own(table.route_table_id()),
        role: role.map(str::to_owned),
        name: own(find_tag(table.tags(), Tags::NAME)),
        vpc: own(table.vpc_id()),
        associations: associations
            .filter_map(|a| Some((a.route_table_association_id()?.to_owned(), a.subnet_id()?.to_owned())))
            .collect(),
        default_route: default.map(|_| own(target)),
        blackhole: default.and_then(|route| route.state()) == Some(&types::RouteState::Blackhole),
        main: main || role == Some(MAIN_TABLE),
    }
}

/// Something of a kind that we make too, but without our tags.
fn strange_thing(vpc: &str, kind: &str, id: &str) -> Tenant {
    let option = if kind == "security-group" { "group" } else { kind };
    Tenant {
        vpc: vpc.to_owned(),
        subnet: None,
        what: format!("{kind} {id}, which is not of this lab,"),
        removal: format!("aws ec2 delete-{kind} --{option}-id {id}"),
        groups: Vec::new(),
    }
}

/// Instances by their names, the NAT window's gateways, and what else has an interface. A host that is shutting down needs
/// no command any more.
fn list_tenants(
    vpc: &str,
    instances: &[types::Instance],
    interfaces: &[types::NetworkInterface],
    gateways: &[NatGateway],
    tags: &Tags,
) -> Vec<Tenant> {
    let hosts = instances.iter().map(|instance| {
        let id = own(instance.instance_id());
        let removal = if is_ours(tags, instance.tags()) {
            "host-up down".to_owned()
        } else {
            format!("aws ec2 terminate-instances --instance-ids {id} (it is not of this lab)")
        };
        let name = find_tag(instance.tags(), Tags::NAME).map(|name| format!("{name} ")).unwrap_or_default();
        Tenant {
            vpc: vpc.to_owned(),
            subnet: instance.subnet_id().map(str::to_owned),
            what: format!("instance {name}({id})"),
            removal,
            groups: instance.security_groups().iter().map(|group| own(group.group_id())).collect(),
        }
    });
    let others = interfaces.iter().filter(|interface| {
        let attached = interface.attachment().and_then(|attachment| attachment.instance_id());
        // The interface of a gateway that is gone goes too, and is waited for.
        let of_window = gateways.iter().any(|gateway| {
            own(interface.description()).contains(&gateway.id)
                || gateway.interface.as_deref() == interface.network_interface_id()
        });
        attached.is_none_or(|id| !id.starts_with("i-")) && !of_window
    });
    let others = others.map(|interface| {
        let id = own(interface.network_interface_id());
        let description = own(interface.description());
        let kind = interface.interface_type().map_or("interface", types::NetworkInterfaceType::as_str);
        Tenant {
            vpc: vpc.to_owned(),
            subnet: interface.subnet_id().map(str::to_owned),
            what: format!("network interface {id} ({kind}: {description})"),
            removal: suggest_removal(&id, kind, &description),
            groups: interface.groups().iter().map(|group| own(group.group_id())).collect(),
        }
    });
    let window = gateways.iter().filter(|gateway| !gateway.is_gone());
    let window = window.filter(|gateway| gateway.vpc.as_deref().is_none_or(|id| id == vpc));
    let window = window.map(|gateway| Tenant {
        vpc: vpc.to_owned(),
        subnet: gateway.subnet.clone(),
        what: format!("NAT gateway {} ({}, {})", gateway.name, gateway.id, gateway.state),
        removal: "net-up nat close".into(),
        groups: Vec::new(),
    });
    window.chain(hosts).chain(others).collect()
}

/// What removes the owner of an interface that no instance has.
fn suggest_removal(id: &str, kind: &str, description: &str) -> String {
    let named = |prefix: &str| description.split_whitespace().find(|word| word.starts_with(prefix));
    if let Some(nat) = named("nat-") {
        return format!("aws ec2 delete-nat-gateway --nat-gateway-id {nat}");
    }
    if description.contains("ClientVPN") || description.contains("cvpn-endpoint-") {
        return "vpn-setup down".into();
    }
    if kind == "lambda" {
        return "nothing: Lambda removes it up to 20 minutes after its function is gone".into();
    }
    format!("look at it: aws ec2 describe-network-interfaces --network-interface-ids {id}")
}
