//! The VPN's endpoint with what hangs on it, and who is or was connected.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::ClientVpnEndpointStatusCode::{Deleted, Deleting};
use aws_sdk_ec2::types::{self, AssociationStatusCode};
use futures::future::join_all;
use lab_common::{Session, Tags};
use lab_ec2::{find_tag, is_ours, list};

use super::{Read, unread};
use crate::clients::Clients;
use crate::thing::{own, read_endpoint_time};

/// The lab's endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Endpoint {
    pub(in super::super) id: String,
    pub(in super::super) name: String,
    pub(in super::super) state: String,
    pub(in super::super) client_cidr: String,
    pub(in super::super) vpc: Option<String>,
    /// Ids of the security groups that its clients' traffic bears.
    pub(in super::super) groups: Vec<String>,
    pub(in super::super) associations: Read<Vec<Association>>,
    pub(in super::super) rules: Read<Vec<Rule>>,
    pub(in super::super) routes: Read<Vec<Way>>,
    pub(in super::super) connections: Read<Vec<Connection>>,
}

/// A subnet's association with it.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Association {
    pub(in super::super) id: String,
    pub(in super::super) subnet: String,
    pub(in super::super) state: String,
    /// Why it is so, in EC2's words.
    pub(in super::super) message: Option<String>,
}

/// A network that clients may reach.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Rule {
    pub(in super::super) network: String,
    /// The group it is for; `None` for all clients.
    pub(in super::super) group: Option<String>,
    pub(in super::super) state: String,
}

/// A destination, and the subnet it is reached through.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Way {
    pub(in super::super) destination: String,
    pub(in super::super) subnet: String,
    pub(in super::super) state: String,
}

/// Who is or was connected within the last hour.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Connection {
    pub(in super::super) is_active: bool,
    /// `laptop (10.83.0.2) active, connected at 2026-11-26 05:10:00 UTC`
    pub(in super::super) told: String,
}

/// Of several, the one that something is associated with, else the first: as `vpn-setup` chooses.
pub(super) async fn find_endpoint(session: &Session, clients: &Clients) -> Read<Option<Endpoint>> {
    if session.lab.vpn.is_none() {
        return Ok(None);
    }
    let pages = clients.ec2.describe_client_vpn_endpoints().into_paginator().items().send();
    let found: Vec<types::ClientVpnEndpoint> =
        list("DescribeClientVpnEndpoints", pages.collect()).await.map_err(unread)?;
    let is_leaving = |one: &types::ClientVpnEndpoint| {
        matches!(one.status().and_then(|status| status.code()), Some(Deleted | Deleting))
    };
    let ours = found.iter().filter(|one| is_ours(&session.tags, one.tags()) && !is_leaving(one));
    let mut endpoints = join_all(ours.filter_map(|one| Some(look_closer(&clients.ec2, read_endpoint(one)?)))).await;
    endpoints.sort_by(|one, other| one.id.cmp(&other.id));
    let is_associated = |one: &Endpoint| one.associations.as_ref().is_ok_and(|all| !all.is_empty());
    let at = endpoints.iter().position(is_associated).unwrap_or_default();
    Ok((at < endpoints.len()).then(|| endpoints.swap_remove(at)))
}

fn read_endpoint(endpoint: &types::ClientVpnEndpoint) -> Option<Endpoint> {
    let id = endpoint.client_vpn_endpoint_id()?.to_owned();
    Some(Endpoint {
        name: find_tag(endpoint.tags(), Tags::NAME).unwrap_or(&id).to_owned(),
        id,
        state: endpoint.status().and_then(|status| status.code()).map_or("available", |code| code.as_str()).to_owned(),
        client_cidr: endpoint.client_cidr_block().unwrap_or_default().to_owned(),
        vpc: own(endpoint.vpc_id()),
        groups: endpoint.security_group_ids().to_vec(),
        associations: Ok(Vec::new()),
        rules: Ok(Vec::new()),
        routes: Ok(Vec::new()),
        connections: Ok(Vec::new()),
    })
}

async fn look_closer(ec2: &Client, endpoint: Endpoint) -> Endpoint {
    let id = &endpoint.id;
    let (associations, rules, routes, connections) =
        tokio::join!(find_associations(ec2, id), find_rules(ec2, id), find_routes(ec2, id), find_connections(ec2, id));
    Endpoint { associations, rules, routes, connections, ..endpoint }
}

async fn find_associations(ec2: &Client, endpoint: &str) -> Read<Vec<Association>> {
    let request = ec2.describe_client_vpn_target_networks().client_vpn_endpoint_id(endpoint);
    let found = list("DescribeClientVpnTargetNetworks", request.into_paginator().items().send().collect()).await;
    let found: Vec<types::TargetNetwork> = found.map_err(unread)?;
    let read = |one: &types::TargetNetwork| {
        let status = one.status();
        let state = status.and_then(|status| status.code()).unwrap_or(&AssociationStatusCode::Associated);
        Some(Association {
            id: one.association_id()?.to_owned(),
            subnet: one.target_network_id().unwrap_or_default().to_owned(),
            state: state.as_str().to_owned(),
            message: own(status.and_then(|status| status.message())),
        })
    };
    let is_gone = |one: &Association| one.state == AssociationStatusCode::Disassociated.as_str();
    Ok(found.iter().filter_map(read).filter(|one| !is_gone(one)).collect())
}

async fn find_rules(ec2: &Client, endpoint: &str) -> Read<Vec<Rule>> {
    let request = ec2.describe_client_vpn_authorization_rules().client_vpn_endpoint_id(endpoint);
    let found = list("DescribeClientVpnAuthorizationRules", request.into_paginator().items().send().collect()).await;
    let found: Vec<types::AuthorizationRule> = found.map_err(unread)?;
    let read = |one: &types::AuthorizationRule| {
        Some(Rule {
            network: one.destination_cidr()?.to_owned(),
            group: own(one.group_id()).filter(|_| one.access_all() != Some(true)),
            state: one.status().and_then(|status| status.code()).map_or("active", |code| code.as_str()).to_owned(),
        })
    };
    Ok(found.iter().filter_map(read).collect())
}

async fn find_routes(ec2: &Client, endpoint: &str) -> Read<Vec<Way>> {
    let request = ec2.describe_client_vpn_routes().client_vpn_endpoint_id(endpoint);
    let found = list("DescribeClientVpnRoutes", request.into_paginator().items().send().collect()).await;
    let found: Vec<types::ClientVpnRoute> = found.map_err(unread)?;
    let read = |one: &types::ClientVpnRoute| {
        Some(Way {
            destination: one.destination_cidr()?.to_owned(),
            subnet: one.target_subnet().unwrap_or_default().to_owned(),
            state: one.status().and_then(|status| status.code()).map_or("active", |code| code.as_str()).to_owned(),
        })
    };
    Ok(found.iter().filter_map(read).collect())
}

async fn find_connections(ec2: &Client, endpoint: &str) -> Read<Vec<Connection>> {
    let request = ec2.describe_client_vpn_connections().client_vpn_endpoint_id(endpoint);
    let found = list("DescribeClientVpnConnections", request.into_paginator().items().send().collect()).await;
    let found: Vec<types::ClientVpnConnection> = found.map_err(unread)?;
    let read = |one: &types::ClientVpnConnection| {
        let state = one.status().and_then(|status| status.code()).map_or("unknown", |code| code.as_str());
        let (name, address) = (one.common_name().unwrap_or("?"), one.client_ip().unwrap_or("no address"));
        let since = one.connection_established_time().map_or_else(|| "?".to_owned(), show_since);
        Connection {
            is_active: state == types::ClientVpnConnectionStatusCode::Active.as_str(),
            told: format!("{name} ({address}) {state}, connected at {since}"),
        }
    };
    Ok(found.iter().map(read).collect())
}

/// AWS tells it with or without its zone, which is UTC.
fn show_since(text: &str) -> String {
    let read = read_endpoint_time(text).map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    read.unwrap_or_else(|| text.to_owned())
}
