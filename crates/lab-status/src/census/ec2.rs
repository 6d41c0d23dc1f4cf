//! EC2: one Describe call a kind, filtered by our tags.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    self, AssociationStatusCode, ClientVpnEndpointStatusCode, Filter, InstanceStateName, NatGatewayState, Tag,
    VolumeState,
};
use futures::FutureExt as _;
use lab_common::{Tags, explain, prices};
use lab_ec2::{is_gone, list};
use lab_plan::Problem;

use super::{Census, Reading};
use crate::thing::{Bill, Fate, Label, Thing, own, read_endpoint_time, read_time};

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

fn label(tags: &[Tag]) -> Label {
    Label::read(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))))
}

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

fn read_instance(instance: &types::Instance) -> Option<Thing> {
    let state = instance.state().and_then(types::InstanceState::name).cloned().unwrap_or(InstanceStateName::Pending);
    let fate = match state {
        InstanceStateName::Terminated => Fate::Gone,
        InstanceStateName::ShuttingDown => Fate::Leaving,
        _ => Fate::Stays,
    };
    // Since it was started last; its first network interface was attached when it was made.
    let launched = read_time(instance.launch_time());
    let first = instance.network_interfaces().iter().filter_map(types::InstanceNetworkInterface::attachment);
    let first = first.filter(|attachment| attachment.device_index() == Some(0));
    let made = first.filter_map(|attachment| read_time(attachment.attach_time())).chain(launched).min();
    let size = instance.instance_type().map(types::InstanceType::as_str).unwrap_or_default();
    let mut thing = Thing::new("instance", instance.instance_id()?, label(instance.tags()))
        .state(state.as_str(), fate)
        .created(made)
        .within(instance.vpc_id(), instance.subnet_id())
        .with("size", size);
    thing.place.groups = instance.security_groups().iter().filter_map(|group| own(group.group_id())).collect();
    if matches!(state, InstanceStateName::Running | InstanceStateName::Pending) {
        match prices::instance(size) {
            Some(usd) => thing.bills.push(Bill::new(usd, launched)),
            None => thing.unpriced = Some(format!("instance type {size}")),
        }
        if let Some(address) = own(instance.public_ip_address()) {
            thing = thing.bill(Bill::new(prices::PUBLIC_IPV4, launched)).with("public_ip", address);
        }
    }
    Some(thing)
}

fn read_volume(volume: &types::Volume) -> Option<Thing> {
    let state = volume.state().cloned().unwrap_or(VolumeState::Available);
    let fate = match state {
        VolumeState::Deleted => Fate::Gone,
        VolumeState::Deleting => Fate::Leaving,
        _ => Fate::Stays,
    };
    let (kind, size) = (volume.volume_type().map_or("standard", types::VolumeType::as_str), volume.size().unwrap_or(0));
    let created = read_time(volume.create_time());
    let instance = volume.attachments().iter().find_map(types::VolumeAttachment::instance_id);
    let thing = Thing::new("volume", volume.volume_id()?, label(volume.tags()))
        .state(state.as_str(), fate)
        .created(created)
        .held_by(instance)
        .with("size_gb", size)
        .with("volume_type", kind);
    Some(match prices::volume(kind, size) {
        _ if fate == Fate::Gone => thing,
        Some(usd) => thing.bill(Bill::new(usd, created)),
        None => Thing { unpriced: Some(format!("volume type {kind}")), ..thing },
    })
}

fn read_address(address: &types::Address) -> Option<Thing> {
    let holder = [address.instance_id(), address.network_interface_id(), address.association_id()];
    let holder = holder.into_iter().flatten().find(|id| !id.is_empty());
    let thing = Thing::new("elastic-ip", address.allocation_id()?, label(address.tags()))
        .state(if holder.is_some() { "associated" } else { "unassociated" }, Fate::Stays)
        .held_by(holder)
        .bill(Bill::new(prices::PUBLIC_IPV4, None));
    Some(thing.with("public_ip", address.public_ip().unwrap_or_default()))
}

fn read_nat_gateway(gateway: &types::NatGateway) -> Option<Thing> {
    let state = gateway.state().cloned().unwrap_or(NatGatewayState::Pending);
    let fate = match state {
        NatGatewayState::Deleted | NatGatewayState::Failed => Fate::Gone,
        NatGatewayState::Deleting => Fate::Leaving,
        _ => Fate::Stays,
    };
    let created = read_time(gateway.create_time());
    let thing = Thing::new("natgateway", gateway.nat_gateway_id()?, label(gateway.tags()))
        .state(state.as_str(), fate)
        .created(created)
        .within(gateway.vpc_id(), gateway.subnet_id());
    if fate != Fate::Stays {
        return Some(thing);
    }
    Some(thing.bill(Bill { usd_per_hour: prices::NAT_GATEWAY, since: created, whole_hours: true }))
}

fn read_endpoint(endpoint: &types::ClientVpnEndpoint) -> Option<Thing> {
    let state = endpoint.status().and_then(types::ClientVpnEndpointStatus::code).cloned();
    let state = state.unwrap_or(ClientVpnEndpointStatusCode::Pending);
    let fate = match state {
        ClientVpnEndpointStatusCode::Deleted => Fate::Gone,
        ClientVpnEndpointStatusCode::Deleting => Fate::Leaving,
        _ => Fate::Stays,
    };
    let created = endpoint.creation_time().and_then(read_endpoint_time);
    let mut thing = Thing::new("client-vpn-endpoint", endpoint.client_vpn_endpoint_id()?, label(endpoint.tags()));
    if let Some((transport, port)) = endpoint.transport_protocol().zip(endpoint.vpn_port()) {
        thing = thing.with("transport", transport.as_str()).with("port", port);
    }
    Some(thing.state(state.as_str(), fate).created(created).within(endpoint.vpc_id(), None))
}

/// With the subnets that name it, and where 0.0.0.0/0 goes: nowhere where its target is gone.
fn read_table(table: &types::RouteTable) -> Option<Thing> {
    let main = table.associations().iter().any(|association| association.main().unwrap_or(false));
    let subnets = table.associations().iter().filter_map(|association| own(association.subnet_id()));
    let mut routes = table.routes().iter().filter(|route| route.state() != Some(&types::RouteState::Blackhole));
    let default = routes.find(|route| route.destination_cidr_block() == Some("0.0.0.0/0"));
    let target = default.and_then(|route| {
        let targets = [
            route.gateway_id(),
            route.nat_gateway_id(),
            route.instance_id(),
            route.network_interface_id(),
            route.transit_gateway_id(),
            route.vpc_peering_connection_id(),
        ];
        targets.into_iter().find_map(own)
    });
    let target = target.or_else(|| default.map(|_| "something else".to_owned()));
    let thing = Thing::new("route-table", table.route_table_id()?, label(table.tags()));
    let thing = thing.within(table.vpc_id(), None).with("main", main).with("subnets", subnets.collect::<Vec<_>>());
    Some(thing.with("default_route", target.unwrap_or_else(|| "none".to_owned())))
}

/// A client that is connected; `None` once it is not.
fn read_connection(connection: &types::ClientVpnConnection, endpoint: &Thing) -> Option<Thing> {
    let state = connection.status().and_then(types::ClientVpnConnectionStatus::code);
    if state.is_some_and(|state| *state != types::ClientVpnConnectionStatusCode::Active) {
        return None;
    }
    let since = connection.connection_established_time().and_then(read_endpoint_time);
    let thing = Thing::new("client-vpn-connection", connection.connection_id()?, endpoint.label.clone());
    let thing = thing.named(connection.common_name().unwrap_or_default()).state("active", Fate::Stays);
    Some(thing.created(since).held_by(Some(&endpoint.id)).bill(Bill::new(prices::VPN_CONNECTION, since)))
}

/// It costs from the first moment to the last; AWS counts a failed one for nothing.
fn read_association(
    network: &types::TargetNetwork,
    endpoint: &Thing,
    names: &BTreeMap<String, String>,
) -> Option<Thing> {
    let state = network.status().and_then(types::AssociationStatus::code).cloned();
    let state = state.unwrap_or(AssociationStatusCode::Associating);
    let fate = match state {
        AssociationStatusCode::Disassociated => Fate::Gone,
        AssociationStatusCode::Disassociating => Fate::Leaving,
        _ => Fate::Stays,
    };
    let subnet = network.target_network_id()?;
    let label = Label { name: names.get(subnet).cloned(), ..endpoint.label.clone() };
    let thing = Thing::new("client-vpn-target-network", network.association_id()?, label)
        .named(names.get(subnet).map_or(subnet, |name| name.as_str()))
        .state(state.as_str(), fate)
        .within(network.vpc_id(), Some(subnet))
        .held_by(Some(&endpoint.id))
        .with("subnet", subnet);
    let free = fate == Fate::Gone || state == AssociationStatusCode::AssociationFailed;
    Some(if free { thing } else { thing.bill(Bill::new(prices::VPN_ASSOCIATION, None)) })
}

/// The holder is what it is attached to: an instance, or what its description names.
fn read_interface(interface: &types::NetworkInterface) -> Option<Thing> {
    let attachment = interface.attachment();
    let description = interface.description().unwrap_or_default();
    let instance =
        attachment.and_then(types::NetworkInterfaceAttachment::instance_id).filter(|id| id.starts_with("i-"));
    let holder = own(instance).or_else(|| find_holder(description));
    let kind = interface.interface_type().map_or("interface", types::NetworkInterfaceType::as_str);
    let mut thing = Thing::new("network-interface", interface.network_interface_id()?, label(interface.tag_set()))
        .state(interface.status().map_or("available", types::NetworkInterfaceStatus::as_str), Fate::Stays)
        .created(read_time(attachment.and_then(types::NetworkInterfaceAttachment::attach_time)))
        .within(interface.vpc_id(), interface.subnet_id())
        .held_by(holder.as_deref())
        .about(describe_interface(interface, kind, description))
        .with("interface_type", kind)
        .with("description", description);
    thing.place.groups = interface.groups().iter().filter_map(|group| own(group.group_id())).collect();
    if let Some(address) = interface.association().and_then(types::NetworkInterfaceAssociation::public_ip) {
        thing = thing.with("public_ip", address);
    }
    Some(thing)
}

/// The id in the description of an interface that a service has made: `Interface for NAT Gateway nat-0123`.
fn find_holder(description: &str) -> Option<String> {
    let words = description.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.into_iter().find(|word| word.starts_with("nat-")).map(str::to_owned)
}

/// Whom it belongs to, as far as EC2 tells.
fn describe_interface(interface: &types::NetworkInterface, kind: &str, description: &str) -> String {
    let mut words = vec![kind.to_owned()];
    if !description.is_empty() {
        words.push(format!("\"{description}\""));
    }
    let label = label(interface.tag_set());
    if let Some(owner) = &label.owner {
        words.push(format!("of lab {} of {owner}", label.lab.as_deref().unwrap_or("?")));
    } else if let Some(name) = &label.name {
        words.push(format!("named {name}"));
    }
    if let Some(requester) = interface.requester_id().filter(|id| !id.is_empty()) {
        let managed = if interface.requester_managed() == Some(true) { "managed by" } else { "made by" };
        words.push(format!("{managed} {requester}"));
    }
    if let Some(account) = interface.owner_id().filter(|id| !id.is_empty()) {
        words.push(format!("of account {account}"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_maker_of_an_interface_is_read_from_its_description() {
        assert_eq!(find_holder("Interface for NAT Gateway nat-0a1").as_deref(), Some("nat-0a1"));
        assert_eq!(find_holder("AWS Lambda VPC ENI-lab-0123"), None);
    }

    #[test]
    fn what_has_a_call_of_its_own_is_not_taken_from_the_tags() {
        for id in ["nat-0a1", "eipalloc-0a1", "cvpn-endpoint-0a1", "i-0a1"] {
            assert!(is_described(id), "{id}");
        }
        for id in ["snap-0a1", "vpce-0a1", "igwx-1"] {
            assert!(!is_described(id), "{id}");
        }
    }

    #[test]
    fn the_time_of_an_endpoint_is_utc_with_or_without_a_zone() {
        let time = read_endpoint_time("2026-11-20T10:00:00").unwrap();
        assert_eq!(Some(time), read_endpoint_time("2026-11-20T10:00:00Z"));
        assert_eq!(Some(time), read_endpoint_time("2026-11-20 10:00:00"));
        assert_eq!(read_endpoint_time("soon"), None);
    }

    #[test]
    fn a_terminated_instance_is_gone_and_a_stopped_one_costs_nothing_but_its_volumes() {
        let instance = |state: &str| {
            let state = types::InstanceState::builder().name(InstanceStateName::from(state)).build();
            let size = types::InstanceType::T3Micro;
            let built =
                types::Instance::builder().instance_id("i-1").instance_type(size).public_ip_address("203.0.113.7");
            read_instance(&built.state(state).build()).unwrap()
        };
        assert_eq!(instance("terminated").fate, Fate::Gone);
        assert_eq!(instance("shutting-down").fate, Fate::Leaving);
        assert_eq!(instance("stopped").bills, []);
        assert!((instance("running").usd_per_hour() - 0.0154).abs() < 1e-9);
    }

    #[test]
    fn an_instance_that_was_started_again_is_as_old_as_its_first_interface() {
        let time = |text: &str| aws_smithy_types::DateTime::from_secs(at(text).as_second());
        let at_index = |index, text| {
            let attachment = types::InstanceNetworkInterfaceAttachment::builder().device_index(index);
            let attachment = attachment.attach_time(time(text)).build();
            types::InstanceNetworkInterface::builder().attachment(attachment).build()
        };
        let state = types::InstanceState::builder().name(InstanceStateName::Running).build();
        let built = types::Instance::builder().instance_id("i-1").instance_type(types::InstanceType::T3Micro);
        let built = built.launch_time(time("2026-11-20T11:00:00Z")).state(state);
        let built = built.network_interfaces(at_index(1, "2026-11-19T10:00:00Z"));
        let thing = read_instance(&built.network_interfaces(at_index(0, "2026-11-20T08:00:00Z")).build()).unwrap();
        assert_eq!(thing.created, Some(at("2026-11-20T08:00:00Z")));
        assert_eq!(thing.bills[0].since, Some(at("2026-11-20T11:00:00Z")), "what it cost before nobody knows");
        assert!(thing.has_cost_before());
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_client_that_is_connected_costs() {
        let endpoint = Thing::new("client-vpn-endpoint", "cvpn-endpoint-1", Label::default());
        let connection = |state: &str| {
            let status = types::ClientVpnConnectionStatus::builder().code(state.into()).build();
            let built = types::ClientVpnConnection::builder().connection_id("cvpn-connection-1").status(status);
            read_connection(&built.connection_established_time("2026-11-20 10:00:00").build(), &endpoint)
        };
        let active = connection("active").unwrap();
        assert_eq!(active.bills, [Bill::new(prices::VPN_CONNECTION, Some(at("2026-11-20T10:00:00Z")))]);
        assert_eq!(connection("terminated"), None);
    }

    #[test]
    fn a_route_whose_target_is_gone_leads_nowhere() {
        let target = |state| {
            let route = types::Route::builder().destination_cidr_block("0.0.0.0/0").gateway_id("igw-1").state(state);
            let table = types::RouteTable::builder().route_table_id("rtb-1").routes(route.build());
            let used = types::RouteTableAssociation::builder().subnet_id("subnet-1").build();
            let table = read_table(&table.associations(used).build()).unwrap();
            assert_eq!(table.more["subnets"], serde_json::json!(["subnet-1"]));
            table.more["default_route"].clone()
        };
        assert_eq!(target(types::RouteState::Active), "igw-1");
        assert_eq!(target(types::RouteState::Blackhole), "none");
    }

    #[test]
    fn an_unknown_size_is_told_and_not_taken_for_free() {
        let state = types::InstanceState::builder().name(InstanceStateName::Running).build();
        let built = types::Instance::builder().instance_id("i-1").instance_type("x9.huge".into()).state(state).build();
        assert_eq!(read_instance(&built).unwrap().unpriced.as_deref(), Some("instance type x9.huge"));
    }
}
