//! What EC2 answers as things of a lab. Pure.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    self, AssociationStatusCode, ClientVpnEndpointStatusCode, InstanceStateName, NatGatewayState, Tag, VolumeState,
};
use lab_common::prices;

use crate::thing::{Bill, Fate, Label, Thing, own, read_endpoint_time, read_time};

pub(super) fn label(tags: &[Tag]) -> Label {
    Label::read(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))))
}

pub(super) fn read_instance(instance: &types::Instance) -> Option<Thing> {
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
    if let Some(address) = own(instance.private_ip_address()) {
        thing = thing.with("private_ip", address);
    }
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

pub(super) fn read_volume(volume: &types::Volume) -> Option<Thing> {
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

pub(super) fn read_address(address: &types::Address) -> Option<Thing> {
    let holder = [address.instance_id(), address.network_interface_id(), address.association_id()];
    let holder = holder.into_iter().flatten().find(|id| !id.is_empty());
    let thing = Thing::new("elastic-ip", address.allocation_id()?, label(address.tags()))
        .state(if holder.is_some() { "associated" } else { "unassociated" }, Fate::Stays)
        .held_by(holder)
        .bill(Bill::new(prices::PUBLIC_IPV4, None));
    Some(thing.with("public_ip", address.public_ip().unwrap_or_default()))
}

pub(super) fn read_nat_gateway(gateway: &types::NatGateway) -> Option<Thing> {
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

pub(super) fn read_endpoint(endpoint: &types::ClientVpnEndpoint) -> Option<Thing> {
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
    if let Some(clients) = own(endpoint.client_cidr_block()) {
        thing = thing.with("client_cidr", clients);
    }
    Some(thing.state(state.as_str(), fate).created(created).within(endpoint.vpc_id(), None))
}

/// With the subnets that name it, where 0.0.0.0/0 goes, and what else of the internet it leads to: nowhere where its target
/// is gone.
pub(super) fn read_table(table: &types::RouteTable) -> Option<Thing> {
    let main = table.associations().iter().any(|association| association.main().unwrap_or(false));
    let subnets = table.associations().iter().filter_map(|association| own(association.subnet_id()));
    let routes = || table.routes().iter().filter(|route| route.state() != Some(&types::RouteState::Blackhole));
    let default = routes().find(|route| route.destination_cidr_block() == Some(EVERYWHERE));
    let target = default.and_then(read_target);
    let target = target.or_else(|| default.map(|_| "something else".to_owned()));
    let others = routes().filter_map(|route| {
        let destination = own(route.destination_cidr_block()).or_else(|| own(route.destination_ipv6_cidr_block()))?;
        let target = read_target(route).filter(|target| leads_out(target))?;
        (destination != EVERYWHERE).then(|| format!("{destination} to {target}"))
    });
    let others: Vec<_> = others.collect();
    let thing = Thing::new("route-table", table.route_table_id()?, label(table.tags()));
    let thing = thing.within(table.vpc_id(), None).with("main", main).with("subnets", subnets.collect::<Vec<_>>());
    let thing = thing.with("default_route", target.unwrap_or_else(|| "none".to_owned()));
    Some(if others.is_empty() { thing } else { thing.with("other_ways_out", others) })
}

const EVERYWHERE: &str = "0.0.0.0/0";

fn read_target(route: &types::Route) -> Option<String> {
    let targets = [
        route.gateway_id(),
        route.nat_gateway_id(),
        route.egress_only_internet_gateway_id(),
        route.instance_id(),
        route.network_interface_id(),
        route.transit_gateway_id(),
        route.vpc_peering_connection_id(),
    ];
    targets.into_iter().find_map(own)
}

/// Whether what stands there may be on the internet: gateways are, and an instance or an interface may pass packets on.
fn leads_out(target: &str) -> bool {
    ["igw-", "nat-", "eigw-", "i-", "eni-"].iter().any(|kind| target.starts_with(kind))
}

/// A client that is connected; `None` once it is not.
pub(super) fn read_connection(connection: &types::ClientVpnConnection, endpoint: &Thing) -> Option<Thing> {
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
pub(super) fn read_association(
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
pub(super) fn read_interface(interface: &types::NetworkInterface) -> Option<Thing> {
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
    fn two_halves_of_the_internet_are_a_way_out_and_the_vpc_is_none() {
        let route = |block: &str, gateway: &str| {
            types::Route::builder().destination_cidr_block(block).gateway_id(gateway).build()
        };
        let table = types::RouteTable::builder().route_table_id("rtb-1").routes(route("10.0.0.0/16", "local"));
        let six = types::Route::builder().destination_ipv6_cidr_block("::/0").egress_only_internet_gateway_id("eigw-1");
        let table = table.routes(route("0.0.0.0/1", "igw-1")).routes(six.build());
        let thing = read_table(&table.build()).unwrap();
        assert_eq!(thing.more["default_route"], "none");
        assert_eq!(thing.more["other_ways_out"], serde_json::json!(["0.0.0.0/1 to igw-1", "::/0 to eigw-1"]));
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
