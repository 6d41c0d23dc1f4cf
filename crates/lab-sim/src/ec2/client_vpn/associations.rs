//! Target networks: subnets that are associated with an endpoint, and routes through them.

use ipnet::Ipv4Net;

use super::endpoints::set_groups;
use super::records::{Association, Endpoint, Life, Origin, Route, Subnet, overlaps};
use super::request::{Request, incorrect_state, invalid, new_id, response, show_page, show_texts, status};
use super::subnets::{check_groups, create_interface, find_default_group, find_subnet, find_vpc};
use super::{find, find_mut};
use crate::faults::answers::ServiceError;
use crate::sim::StateTimes;
use crate::xml::Element;

/// "Must have a subnet with at least a /27 bitmask"
const SMALLEST_SUBNET: u8 = 27;

/// "… and must have at least 20 available IP addresses at all times."
const FREE_ADDRESSES: u32 = 20;

/// Routes of an endpoint's association.
const MAX_ROUTES: usize = 100;

pub(crate) async fn associate(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("ClientVpnEndpointId")?;
    let subnet_id = request.required("SubnetId")?;
    let endpoint = find_living(request, book, id)?;
    let subnet = find_subnet(request, subnet_id).await?;
    check_subnet(endpoint, &subnet, request.times())?;
    let vpc_cidr = find_vpc(request, &subnet.vpc).await?;
    if overlaps(endpoint.settings.client_cidr, vpc_cidr) {
        let message = format!(
            "The client CIDR block {} of endpoint {id} overlaps the CIDR block {vpc_cidr} of the target network's VPC.",
            endpoint.settings.client_cidr
        );
        return Err(ServiceError::new(400, "InvalidClientVpnSubnetId.OverlappingCidr", message));
    }
    let groups = if endpoint.settings.groups.is_empty() {
        find_default_group(request, &subnet.vpc).await.into_iter().collect()
    } else {
        endpoint.settings.groups.clone()
    };
    let association = Association {
        id: new_id("cvpn-assoc"),
        interface: create_interface(request, &subnet, &groups).await,
        life: Life::begin(request.now, request.fails),
        subnet,
    };
    let mut root = response("AssociateClientVpnTargetNetwork");
    root.push(Element::with_text("associationId", &association.id));
    root.push(status("associating"));

    let endpoint = find_mut(request, book, id)?;
    endpoint.settings.vpc = Some(association.subnet.vpc.clone());
    endpoint.settings.groups = groups;
    endpoint.routes.push(Route {
        cidr: vpc_cidr,
        target: association.subnet.id.clone(),
        origin: Origin::Associate,
        description: Some("Default Route".to_owned()),
        life: Life::begin(request.now, request.fails),
    });
    endpoint.associations.push(association);
    Ok(root)
}

/// An endpoint whose end has not begun.
pub(crate) fn find_living<'b>(
    request: &Request<'_>,
    book: &'b [Endpoint],
    id: &str,
) -> Result<&'b Endpoint, ServiceError> {
    let endpoint = find(request, book, id)?;
    if endpoint.life.has_ended() {
        return Err(incorrect_state(format!("Endpoint {id} is being deleted.")));
    }
    Ok(endpoint)
}

/// What AWS demands of a subnet before it is associated.
fn check_subnet(endpoint: &Endpoint, subnet: &Subnet, times: &StateTimes) -> Result<(), ServiceError> {
    let id = &subnet.id;
    let held: Vec<&Association> = endpoint.associations.iter().filter(|one| !one.is_disassociated(times)).collect();
    if let Some(same) = held.iter().find(|one| one.subnet.id == *id) {
        if same.life.has_ended() {
            return Err(incorrect_state(format!("The target network {id} is still being disassociated.")));
        }
        let message = format!("The target network {id} is already associated with endpoint {}.", endpoint.id);
        return Err(ServiceError::new(400, "InvalidClientVpnDuplicateAssociationException", message));
    }
    if let Some(vpc) = &endpoint.settings.vpc
        && *vpc != subnet.vpc
    {
        let message = format!("The subnet {id} is not in the VPC {vpc} of endpoint {}.", endpoint.id);
        return Err(ServiceError::new(400, "InvalidClientVpnSubnetId.NotFound", message));
    }
    if held.iter().any(|one| one.subnet.zone == subnet.zone) {
        let message = format!("A subnet of the Availability Zone {} is already associated.", subnet.zone);
        return Err(ServiceError::new(400, "InvalidClientVpnSubnetId.DuplicateAz", message));
    }
    if subnet.cidr.prefix_len() > SMALLEST_SUBNET {
        return Err(invalid(format!(
            "The subnet {id} is too small: its prefix length must be /{SMALLEST_SUBNET} or less."
        )));
    }
    if subnet.free_addresses < FREE_ADDRESSES {
        let message = format!("The subnet {id} must have at least {FREE_ADDRESSES} available IP addresses.");
        return Err(ServiceError::new(400, "InsufficientFreeAddressesInSubnet", message));
    }
    Ok(())
}

pub(crate) fn disassociate(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("AssociationId")?;
    let endpoint = find_mut(request, book, request.required("ClientVpnEndpointId")?)?;
    let times = request.times();
    let association = endpoint
        .associations
        .iter_mut()
        .find(|one| one.id == id && !one.is_disassociated(times))
        .ok_or_else(|| association_not_found(id))?;
    if association.state(times) == Some("associating") {
        let message = format!("The association {id} is in state associating. Wait until it is associated.");
        return Err(incorrect_state(message));
    }
    association.life.end(request.now);
    let mut root = response("DisassociateClientVpnTargetNetwork");
    root.push(Element::with_text("associationId", id));
    root.push(status("disassociating"));
    let subnet = association.subnet.id.clone();
    for route in endpoint.routes.iter_mut().filter(|route| route.target == subnet) {
        route.life.end(request.now);
    }
    Ok(root)
}

fn association_not_found(id: &str) -> ServiceError {
    let message = format!("The association ID '{id}' does not exist");
    ServiceError::new(400, "InvalidClientVpnAssociationIdNotFound", message)
}

pub(crate) fn describe(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let endpoint = find(request, book, request.required("ClientVpnEndpointId")?)?;
    let times = request.times();
    let ids = request.call.form.list("AssociationIds");
    if let Some(unknown) = ids.iter().find(|id| endpoint.association(id, times).is_none()) {
        return Err(association_not_found(unknown));
    }
    let shown = endpoint.associations.iter().filter_map(|one| Some((one, one.state(times)?)));
    let wanted = shown.filter(|(one, _)| ids.is_empty() || ids.contains(&one.id.as_str()));
    let known = ["association-id", "target-network-id", "vpc-id"];
    let page = request.list(wanted, &known, |(association, _), filter| {
        vec![match filter {
            "association-id" => association.id.clone(),
            "target-network-id" => association.subnet.id.clone(),
            _ => association.subnet.vpc.clone(),
        }]
    })?;
    Ok(show_page("DescribeClientVpnTargetNetworks", "clientVpnTargetNetworks", &page, |(association, state)| {
        let mut item = Element::new("item");
        item.push(Element::with_text("associationId", &association.id));
        item.push(Element::with_text("vpcId", &association.subnet.vpc));
        item.push(Element::with_text("targetNetworkId", &association.subnet.id));
        item.push(Element::with_text("clientVpnEndpointId", &endpoint.id));
        item.push(status(state));
        item.push(show_texts("securityGroups", endpoint.settings.groups.iter().map(String::as_str)));
        item
    }))
}

pub(crate) async fn apply_groups(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("ClientVpnEndpointId")?;
    let vpc = request.required("VpcId")?;
    find_living(request, book, id)?;
    let groups = request.call.form.list("SecurityGroupId");
    let groups = check_groups(request, vpc, &groups).await?;
    let endpoint = find_mut(request, book, id)?;
    if endpoint.settings.vpc.as_deref() != Some(vpc) {
        return Err(invalid(format!("The VPC {vpc} is not the VPC of endpoint {id}.")));
    }
    endpoint.settings.groups.clone_from(&groups);
    for interface in endpoint.associations.iter().filter_map(|one| one.interface.as_ref()).collect::<Vec<_>>() {
        set_groups(request, interface, &groups).await;
    }
    let mut root = response("ApplySecurityGroupsToClientVpnTargetNetwork");
    root.push(show_texts("securityGroupIds", groups.iter().map(String::as_str)));
    Ok(root)
}

pub(crate) async fn create_route(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("ClientVpnEndpointId")?;
    let target = request.required("TargetVpcSubnetId")?;
    let cidr = request.block("DestinationCidrBlock")?;
    let endpoint = find_living(request, book, id)?;
    if target != "local" {
        find_subnet(request, target).await?;
    }
    check_route(endpoint, cidr, target, request.times())?;
    let route = Route {
        cidr,
        target: target.to_owned(),
        origin: Origin::AddRoute,
        description: request.optional("Description").map(str::to_owned),
        life: Life::begin(request.now, request.fails),
    };
    find_mut(request, book, id)?.routes.push(route);
    let mut root = response("CreateClientVpnRoute");
    root.push(status("creating"));
    Ok(root)
}

fn check_route(endpoint: &Endpoint, cidr: Ipv4Net, target: &str, times: &StateTimes) -> Result<(), ServiceError> {
    let associated = |one: &Association| one.subnet.id == target && one.is_associated(times);
    if target != "local" && !endpoint.associations.iter().any(associated) {
        let message = format!("The subnet {target} has no active association with endpoint {}.", endpoint.id);
        return Err(ServiceError::new(400, "InvalidClientVpnActiveAssociationNotFound", message));
    }
    let routes: Vec<&Route> = endpoint.routes.iter().filter(|route| route.state(times).is_some()).collect();
    if routes.iter().any(|route| route.cidr == cidr && route.target == target) {
        let message = format!("The route {cidr} through {target} already exists on endpoint {}.", endpoint.id);
        return Err(ServiceError::new(400, "InvalidClientVpnDuplicateRoute", message));
    }
    let is_client_to_client = target == "local" && cidr == endpoint.settings.client_cidr;
    let is_everything = cidr.prefix_len() == 0;
    if !is_client_to_client && !is_everything && overlaps(cidr, endpoint.settings.client_cidr) {
        return Err(invalid(format!(
            "The destination {cidr} overlaps the client CIDR block of endpoint {}.",
            endpoint.id
        )));
    }
    if routes.len() >= MAX_ROUTES {
        let message = format!("Endpoint {} has {MAX_ROUTES} routes, which is the limit.", endpoint.id);
        return Err(ServiceError::new(400, "ClientVpnRouteLimitExceeded", message));
    }
    Ok(())
}

pub(crate) fn delete_route(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let cidr = request.block("DestinationCidrBlock")?;
    let target = request.optional("TargetVpcSubnetId");
    let times = request.times();
    let endpoint = find_mut(request, book, request.required("ClientVpnEndpointId")?)?;
    let id = endpoint.id.clone();
    let is_meant = |route: &&mut Route| {
        route.cidr == cidr && target.is_none_or(|target| route.target == target) && route.state(times).is_some()
    };
    let route = endpoint.routes.iter_mut().find(is_meant).ok_or_else(|| {
        ServiceError::new(400, "InvalidClientVpnRouteNotFound", format!("Endpoint {id} has no route {cidr}."))
    })?;
    if route.origin == Origin::Associate {
        return Err(invalid(format!("The route {cidr} was added automatically and cannot be deleted.")));
    }
    route.life.end(request.now);
    let mut root = response("DeleteClientVpnRoute");
    root.push(status("deleting"));
    Ok(root)
}

pub(crate) fn describe_routes(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let endpoint = find(request, book, request.required("ClientVpnEndpointId")?)?;
    let shown = endpoint.routes.iter().filter_map(|route| Some((route, route.state(request.times())?)));
    let known = ["destination-cidr", "origin", "target-subnet"];
    let page = request.list(shown, &known, |(route, _), filter| {
        vec![match filter {
            "destination-cidr" => route.cidr.to_string(),
            "origin" => route.origin.as_str().to_owned(),
            _ => route.target.clone(),
        }]
    })?;
    Ok(show_page("DescribeClientVpnRoutes", "routes", &page, |(route, state)| {
        let mut item = Element::new("item");
        item.push(Element::with_text("clientVpnEndpointId", &endpoint.id));
        item.push(Element::with_text("destinationCidr", &route.cidr.to_string()));
        item.push(Element::with_text("targetSubnet", &route.target));
        item.push(Element::with_text("type", "Nat"));
        item.push(Element::with_text("origin", route.origin.as_str()));
        item.push(status(state));
        if let Some(description) = &route.description {
            item.push(Element::with_text("description", description));
        }
        item
    }))
}
