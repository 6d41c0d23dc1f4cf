//! EC2: one Describe call a kind, filtered by our tags.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{self, Filter};
use futures::FutureExt as _;
use lab_common::{Tags, explain};
use lab_ec2::{is_gone, list};
use lab_plan::Problem;

use read::{
    label, read_address, read_association, read_connection, read_endpoint, read_instance, read_interface,
    read_nat_gateway, read_table, read_volume,
};

use super::{Census, Reading};
use crate::thing::{Fate, Label, Thing, read_time};

/// What the ids of the kinds begin with that have a Describe call of their own below; a rule (`sgr`) goes with its group.
/// What else bears our tags is found by `DescribeTags`, which may also remember the tags of these after their end.
const DESCRIBED: [&str; 13] =
    ["cvpn-endpoint", "eipalloc", "eni", "i", "igw", "key", "nat", "rtb", "sg", "sgr", "subnet", "vol", "vpc"];

/// A filter takes so many values (API reference of `Filter`).
const MOST_VALUES: usize = 200;

/// Further kinds that can be made by hand and tagged.
const OTHERS: [&str; 14] = [
    "customer-gateway",
    "dhcp-options",
    "egress-only-internet-gateway",
    "image",
    "launch-template",
    "network-acl",
    "placement-group",
    "snapshot",
    "transit-gateway",
    "vpc-endpoint",
    "vpc-flow-log",
    "vpc-peering-connection",
    "vpn-connection",
    "vpn-gateway",
];

impl Census<'_> {
    /// Every kind with our tags.
    pub(super) fn list_ec2(&self) -> Vec<Reading<'_>> {
        vec![
            self.instances().boxed_local(),
            self.volumes().boxed_local(),
            self.interfaces(self.scope.ec2_filters()).boxed_local(),
            self.addresses().boxed_local(),
            self.nat_gateways(self.scope.ec2_filters()).boxed_local(),
            self.vpcs().boxed_local(),
            self.subnets(self.scope.ec2_filters()).boxed_local(),
            self.internet_gateways(self.scope.ec2_filters()).boxed_local(),
            self.route_tables(self.scope.ec2_filters()).boxed_local(),
            self.security_groups(self.scope.ec2_filters()).boxed_local(),
            self.key_pairs().boxed_local(),
            self.endpoints().boxed_local(),
        ]
        .into_iter()
        // A filter that an endpoint does not know must not make a stranger's thing ours.
        .map(|reading| {
            reading
                .map(|found| found.map(|things| things.into_iter().filter(|one| self.is_ours(one)).collect()))
                .boxed_local()
        })
        .collect()
    }

    fn is_ours(&self, thing: &Thing) -> bool {
        let lab = self.scope.lab();
        let has_our_name = thing.kind == "key-pair" && lab.is_some_and(|lab| thing.name == lab.names.key_pair());
        self.scope.claims(&thing.label, has_our_name)
    }

    /// Everything that stands in our VPCs, ours included: it may be in the way.
    pub(super) fn list_inhabitants(&self, things: &[Thing]) -> Vec<Reading<'_>> {
        let alive = things.iter().filter(|thing| thing.fate != Fate::Gone);
        let vpcs: BTreeSet<String> = alive
            .filter_map(|thing| if thing.kind == "vpc" { Some(thing.id.clone()) } else { thing.place.vpc.clone() })
            .collect();
        if vpcs.is_empty() {
            return Vec::new();
        }
        let in_vpcs =
            |name: &str| vec![Filter::builder().name(name).set_values(Some(vpcs.iter().cloned().collect())).build()];
        let filters = || in_vpcs("vpc-id");
        vec![
            self.interfaces(filters()).boxed_local(),
            self.subnets(filters()).boxed_local(),
            self.route_tables(filters()).boxed_local(),
            self.security_groups(filters()).boxed_local(),
            self.internet_gateways(in_vpcs("attachment.vpc-id")).boxed_local(),
            self.nat_gateways(in_vpcs("vpc-id")).boxed_local(),
            self.vpc_endpoints(in_vpcs("vpc-id")).boxed_local(),
            self.peerings(in_vpcs("requester-vpc-info.vpc-id")).boxed_local(),
            self.peerings(in_vpcs("accepter-vpc-info.vpc-id")).boxed_local(),
        ]
    }

    async fn instances(&self) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_instances().set_filters(Some(self.scope.ec2_filters()));
        let found = list("DescribeInstances", request.into_paginator().items().send().collect()).await?;
        Ok(found.iter().flat_map(types::Reservation::instances).filter_map(read_instance).collect())
    }

    async fn volumes(&self) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_volumes().set_filters(Some(self.scope.ec2_filters()));
        let found = list("DescribeVolumes", request.into_paginator().items().send().collect()).await?;
        Ok(found.iter().filter_map(read_volume).collect())
    }

    async fn interfaces(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_network_interfaces().set_filters(Some(filters));
        let found = list("DescribeNetworkInterfaces", request.into_paginator().items().send().collect()).await?;
        Ok(found.iter().filter_map(read_interface).collect())
    }

    async fn addresses(&self) -> Result<Vec<Thing>, Problem> {
        let answer = self.clients.ec2.describe_addresses().set_filters(Some(self.scope.ec2_filters())).send().await;
        let answer = answer.map_err(|error| explain("DescribeAddresses", &error))?;
        Ok(answer.addresses().iter().filter_map(read_address).collect())
    }

    async fn nat_gateways(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_nat_gateways().set_filter(Some(filters));
        let found = list("DescribeNatGateways", request.into_paginator().items().send().collect()).await?;
        Ok(found.iter().filter_map(read_nat_gateway).collect())
    }

    async fn vpcs(&self) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_vpcs().set_filters(Some(self.scope.ec2_filters()));
        let found = list("DescribeVpcs", request.into_paginator().items().send().collect()).await?;
        let read = |vpc: &types::Vpc| {
            let thing = Thing::new("vpc", vpc.vpc_id()?, label(vpc.tags()));
            let thing = thing.with("cidr", vpc.cidr_block().unwrap_or_default());
            Some(thing.state(vpc.state().map_or("available", types::VpcState::as_str), Fate::Stays))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    async fn subnets(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_subnets().set_filters(Some(filters));
        let found = list("DescribeSubnets", request.into_paginator().items().send().collect()).await?;
        let read = |subnet: &types::Subnet| {
            let thing = Thing::new("subnet", subnet.subnet_id()?, label(subnet.tags())).within(subnet.vpc_id(), None);
            let thing = thing.state(subnet.state().map_or("available", types::SubnetState::as_str), Fate::Stays);
            let thing = thing.with("cidr", subnet.cidr_block().unwrap_or_default());
            Some(thing.with("zone", subnet.availability_zone().unwrap_or_default()))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    async fn internet_gateways(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_internet_gateways().set_filters(Some(filters));
        let found = list("DescribeInternetGateways", request.into_paginator().items().send().collect()).await?;
        let read = |gateway: &types::InternetGateway| {
            let vpc = gateway.attachments().first().and_then(types::InternetGatewayAttachment::vpc_id);
            let thing = Thing::new("internet-gateway", gateway.internet_gateway_id()?, label(gateway.tags()));
            let state = if vpc.is_some() { "attached" } else { "detached" };
            Some(thing.within(vpc, None).state(state, Fate::Stays))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    async fn route_tables(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_route_tables().set_filters(Some(filters));
        let found = list("DescribeRouteTables", request.into_paginator().items().send().collect()).await?;
        Ok(found.iter().filter_map(read_table).collect())
    }

    async fn security_groups(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_security_groups().set_filters(Some(filters));
        let found = list("DescribeSecurityGroups", request.into_paginator().items().send().collect()).await?;
        let read = |group: &types::SecurityGroup| {
            let thing = Thing::new("security-group", group.group_id()?, label(group.tags()));
            let thing = thing.named(group.group_name().unwrap_or_default()).within(group.vpc_id(), None);
            Some(thing.with("rules", net_up::show_permissions(group.ip_permissions())))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    /// Doors into a VPC: a VPC goes only without them.
    async fn vpc_endpoints(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_vpc_endpoints().set_filters(Some(filters));
        let found = list("DescribeVpcEndpoints", request.into_paginator().items().send().collect()).await?;
        let read = |endpoint: &types::VpcEndpoint| {
            let state = endpoint.state().map_or("available", types::State::as_str);
            let fate = match state.to_ascii_lowercase().as_str() {
                "deleted" => Fate::Gone,
                "deleting" => Fate::Leaving,
                _ => Fate::Stays,
            };
            let thing = Thing::new("vpc-endpoint", endpoint.vpc_endpoint_id()?, label(endpoint.tags()));
            Some(thing.within(endpoint.vpc_id(), None).state(state, fate))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    async fn peerings(&self, filters: Vec<Filter>) -> Result<Vec<Thing>, Problem> {
        use types::VpcPeeringConnectionStateReasonCode::{Deleted, Deleting, Expired, Failed, Rejected};
        // The one of our VPC, whichever side it is.
        let asked = filters.first().map(|filter| filter.values().to_vec()).unwrap_or_default();
        let request = self.clients.ec2.describe_vpc_peering_connections().set_filters(Some(filters));
        let found = list("DescribeVpcPeeringConnections", request.into_paginator().items().send().collect()).await?;
        let read = |peering: &types::VpcPeeringConnection| {
            let state = peering.status().and_then(types::VpcPeeringConnectionStateReason::code);
            let fate = match state {
                Some(Deleted | Expired | Failed | Rejected) => Fate::Gone,
                Some(Deleting) => Fate::Leaving,
                _ => Fate::Stays,
            };
            let sides = [peering.requester_vpc_info(), peering.accepter_vpc_info()];
            let mut sides = sides.into_iter().flatten().filter_map(types::VpcPeeringConnectionVpcInfo::vpc_id);
            let ours = sides.find(|id| asked.iter().any(|vpc| vpc == id));
            let thing =
                Thing::new("vpc-peering-connection", peering.vpc_peering_connection_id()?, label(peering.tags()));
            let state = state.map_or("active", types::VpcPeeringConnectionStateReasonCode::as_str);
            Some(thing.within(ours, None).state(state, fate))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    /// All of them: one with our name may have lost its tags.
    async fn key_pairs(&self) -> Result<Vec<Thing>, Problem> {
        let answer = self.clients.ec2.describe_key_pairs().send().await;
        let answer = answer.map_err(|error| explain("DescribeKeyPairs", &error))?;
        let read = |pair: &types::KeyPairInfo| {
            let thing = Thing::new("key-pair", pair.key_pair_id()?, label(pair.tags()));
            Some(thing.named(pair.key_name().unwrap_or_default()).created(read_time(pair.create_time())))
        };
        Ok(answer.key_pairs().iter().filter_map(read).collect())
    }

    /// All of them: this call takes no tag as a filter.
    async fn endpoints(&self) -> Result<Vec<Thing>, Problem> {
        let pages = self.clients.ec2.describe_client_vpn_endpoints().into_paginator().items().send();
        let found = list("DescribeClientVpnEndpoints", pages.collect()).await?;
        Ok(found.iter().filter_map(read_endpoint).collect())
    }

    /// The associations of our endpoints, which bear no tags of their own.
    pub(super) fn look_into_endpoints(&self, things: &[Thing]) -> Vec<Reading<'_>> {
        let endpoints = things.iter().filter(|thing| thing.kind == "client-vpn-endpoint" && thing.fate == Fate::Stays);
        let names = subnet_names(things);
        let look = |endpoint: &Thing| {
            let connections = self.connections(endpoint.clone()).boxed_local();
            [self.associations(endpoint.clone(), names.clone()).boxed_local(), connections]
        };
        endpoints.flat_map(look).collect()
    }

    /// The clients that are connected to an endpoint: each costs by the hour.
    async fn connections(&self, endpoint: Thing) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_client_vpn_connections().client_vpn_endpoint_id(&endpoint.id);
        let found = match request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await {
            Ok(found) => found,
            Err(error) if is_gone(&error) => return Ok(Vec::new()),
            Err(error) => return Err(explain("DescribeClientVpnConnections", &error)),
        };
        Ok(found.iter().filter_map(|connection| read_connection(connection, &endpoint)).collect())
    }

    async fn associations(&self, endpoint: Thing, names: BTreeMap<String, String>) -> Result<Vec<Thing>, Problem> {
        let request = self.clients.ec2.describe_client_vpn_target_networks().client_vpn_endpoint_id(&endpoint.id);
        let found = match request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await {
            Ok(found) => found,
            Err(error) if is_gone(&error) => return Ok(Vec::new()),
            Err(error) => return Err(explain("DescribeClientVpnTargetNetworks", &error)),
        };
        Ok(found.iter().filter_map(|network| read_association(network, &endpoint, &names)).collect())
    }

    /// What bears our tags and is of no kind above. EC2 itself says so, so nothing more is to be confirmed.
    pub(super) async fn described_tags(&self) -> Result<Vec<Thing>, Problem> {
        let keys = [Tags::LAB, Tags::OWNER, Tags::ROLE].map(str::to_owned).to_vec();
        let mut found = self.describe_tags(vec![("key", keys)]).await?;
        found.retain(|tag| tag.resource_id().is_some_and(|id| !is_described(id)));
        let ids: BTreeSet<String> = found.iter().filter_map(|tag| tag.resource_id().map(str::to_owned)).collect();
        // Every second thing of an account has a Name: those of a few are asked for.
        for ids in ids.into_iter().collect::<Vec<_>>().chunks(MOST_VALUES) {
            let names = vec![("key", vec![Tags::NAME.to_owned()]), ("resource-id", ids.to_vec())];
            found.extend(self.describe_tags(names).await?);
        }
        let mut labels: BTreeMap<(String, &'static str), Vec<(&str, &str)>> = BTreeMap::new();
        for tag in &found {
            let kind = tag.resource_type().map_or("resource", |kind| name_kind(kind.as_str()));
            let Some((id, pair)) = tag.resource_id().zip(tag.key().zip(tag.value())) else { continue };
            labels.entry((id.to_owned(), kind)).or_default().push(pair);
        }
        let things = labels.into_iter().map(|((id, kind), tags)| {
            let thing = Thing::new(kind, id, Label::read(tags));
            let unpriced = matches!(kind, "snapshot" | "image" | "vpc-endpoint" | "vpn-connection" | "transit-gateway");
            Thing { unpriced: unpriced.then(|| format!("a {kind}")), ..thing }
        });
        Ok(things.filter(|thing| self.scope.owns(&thing.label)).collect())
    }

    async fn describe_tags(&self, filters: Vec<(&str, Vec<String>)>) -> Result<Vec<types::TagDescription>, Problem> {
        let filters = filters.into_iter().map(|(name, values)| Filter::builder().name(name).set_values(Some(values)));
        let filters = filters.map(types::builders::FilterBuilder::build).collect();
        let request = self.clients.ec2.describe_tags().set_filters(Some(filters));
        list("DescribeTags", request.into_paginator().items().send().collect()).await
    }
}

/// Whether a Describe call of its kind decides about it: `i-0123`.
fn is_described(id: &str) -> bool {
    id.rsplit_once('-').is_some_and(|(prefix, _)| DESCRIBED.contains(&prefix))
}

/// EC2's own name of a kind.
fn name_kind(kind: &str) -> &'static str {
    OTHERS.iter().find(|known| **known == kind).copied().unwrap_or("ec2-resource")
}

fn subnet_names(things: &[Thing]) -> BTreeMap<String, String> {
    let subnets = things.iter().filter(|thing| thing.kind == "subnet");
    subnets.map(|subnet| (subnet.id.clone(), subnet.name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_call_of_its_own_is_not_taken_from_the_tags() {
        for id in ["nat-0a1", "eipalloc-0a1", "cvpn-endpoint-0a1", "i-0a1"] {
            assert!(is_described(id), "{id}");
        }
        for id in ["snap-0a1", "vpce-0a1", "igwx-1"] {
            assert!(!is_described(id), "{id}");
        }
    }
}
