//! Live → the steps that remove it. Pure.
//!
//! The order is AWS's: rules and routes, then the associations (which cost), then the endpoint, then what it used.

use aws_sdk_ec2::types::{AssociationStatusCode, ClientVpnEndpointStatusCode};
use lab_common::Names;
use lab_common::prices::VPN_ASSOCIATION;
use lab_plan::{Action, Plan, Step};

use crate::certificate::ServerCertificate;
use crate::endpoint::{Association, Endpoint, Route, Rule};
use crate::live::Live;
use crate::plan::Op;
use crate::roles;

/// The steps that delete everything of ours in AWS. What this machine keeps stays.
pub(crate) fn teardown(names: &Names, server: &str, live: &Live) -> Plan<Op> {
    let endpoints = live.endpoints.iter().filter(|endpoint| !endpoint.is_deleted());
    let mut steps: Vec<_> = endpoints.flat_map(|endpoint| remove_endpoint(live, endpoint)).collect();
    let deleted = steps.iter().filter(|step| matches!(step.op, Op::DeleteEndpoint { .. }));
    let deleted: Vec<_> = deleted.map(|step| step.role.clone()).collect();
    let certificates = live.certificates.iter();
    steps.extend(certificates.map(|certificate| remove_certificate(server, certificate).needs(deleted.clone())));
    if live.log_group.as_ref().is_some_and(|group| group.ours) {
        steps.push(remove_log_group(names).needs(deleted));
    }
    Plan { steps, unchanged: 0, usd_per_hour: 0.0 }
}

/// The steps that delete an endpoint with all that hangs on it.
pub(crate) fn remove_endpoint(live: &Live, endpoint: &Endpoint) -> Vec<Step<Op>> {
    let mut steps = Vec::new();
    if endpoint.is_alive() {
        steps.extend(endpoint.rules.iter().map(|rule| revoke_rule(endpoint, rule)));
        let added = endpoint.routes.iter().filter(|route| route.added);
        steps.extend(added.map(|route| delete_route(endpoint, route)));
        let before: Vec<_> = steps.iter().map(|step| step.role.clone()).collect();
        let associations = endpoint.associations.iter().filter(|association| !association.is_gone());
        steps.extend(associations.map(|association| disassociate(live, endpoint, association).needs(before.clone())));
    }
    let needs: Vec<_> = steps.iter().map(|step| step.role.clone()).collect();
    let under_way = endpoint.state == ClientVpnEndpointStatusCode::Deleting;
    let op = Op::DeleteEndpoint { id: endpoint.id.clone(), under_way };
    let role = roles::delete(&endpoint.id);
    let step = Step::new(Action::Delete, "client-vpn-endpoint", role, &endpoint.name, op).needs(needs);
    steps.push(if under_way { step.detail("is being deleted") } else { step });
    steps
}

pub(crate) fn revoke_rule(endpoint: &Endpoint, rule: &Rule) -> Step<Op> {
    let group = rule.group.as_deref().unwrap_or_default();
    let deletion = roles::delete(&format!("{} rule {} {group}", endpoint.id, rule.network));
    let op = Op::Revoke { endpoint: endpoint.id.clone(), network: rule.network.clone(), group: rule.group.clone() };
    Step::new(Action::Delete, "client-vpn-authorization-rule", deletion, &rule.network, op)
}

pub(crate) fn delete_route(endpoint: &Endpoint, route: &Route) -> Step<Op> {
    let op = Op::DeleteRoute {
        endpoint: endpoint.id.clone(),
        destination: route.destination.clone(),
        subnet: route.subnet.clone(),
    };
    let name = format!("{} via {}", route.destination, route.subnet);
    Step::new(Action::Delete, "client-vpn-route", name_delete_route(endpoint, route), name, op)
}

pub(crate) fn name_delete_route(endpoint: &Endpoint, route: &Route) -> String {
    roles::delete(&format!("{} route {} {}", endpoint.id, route.destination, route.subnet))
}

pub(crate) fn disassociate(live: &Live, endpoint: &Endpoint, association: &Association) -> Step<Op> {
    let Association { id, subnet: place, state, .. } = association;
    let under_way = *state == AssociationStatusCode::Disassociating;
    let op = Op::Disassociate { endpoint: endpoint.id.clone(), association: id.clone(), under_way };
    let name = live.name_subnet(place);
    let step = Step::new(Action::Delete, "client-vpn-target-network", roles::delete(id), name, op);
    let step = if *state == AssociationStatusCode::AssociationFailed { step } else { step.costs(-VPN_ASSOCIATION) };
    if *state == AssociationStatusCode::Associated { step } else { step.detail(format!("is {state}")) }
}

pub(crate) fn remove_certificate(server: &str, certificate: &ServerCertificate) -> Step<Op> {
    let op = Op::DeleteCertificate { arn: certificate.arn.clone() };
    Step::new(Action::Delete, "certificate", roles::delete(&certificate.arn), server, op)
}

pub(crate) fn remove_log_group(names: &Names) -> Step<Op> {
    let name = names.vpn_log_group();
    Step::new(Action::Delete, "log-group", roles::delete(&name), name, Op::DeleteLogGroup)
}
