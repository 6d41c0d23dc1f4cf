//! What exists in AWS, and what the user should know besides. Pure.

use aws_sdk_ec2::types::ClientVpnEndpointStatusCode;
use aws_sdk_ec2::types::{AssociationStatusCode, ClientVpnAuthorizationRuleStatusCode, ClientVpnRouteStatusCode};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use lab_common::Names;
use lab_common::prices::VPN_ASSOCIATION;
use lab_plan::{Resource, Settling};

use crate::endpoint::{Association, Endpoint};
use crate::judge::{is_soon, show_day};
use crate::live::Live;
use crate::local::Local;
use crate::want::Want;

/// Everything of ours in AWS. An endpoint that is being deleted is [`list_leaving`]'s.
pub(crate) fn list_resources(names: &Names, server: &str, live: &Live) -> Vec<Resource> {
    let certificates = live.certificates.iter().map(|found| {
        let resource = Resource::new("certificate", server, &found.arn);
        match &found.certificate {
            Some(certificate) => resource.with("expires", show_day(certificate.not_after)),
            None => resource.state("pending"),
        }
    });
    let mut resources: Vec<_> = certificates.collect();
    for endpoint in live.endpoints.iter().filter(|endpoint| endpoint.is_alive()) {
        list_endpoint(live, endpoint, &mut resources);
    }
    if let Some(group) = live.log_group.as_ref().filter(|group| group.ours) {
        let resource = Resource::new("log-group", names.vpn_log_group(), &group.arn);
        resources.push(match group.retention {
            Some(days) => resource.with("retention_days", days),
            None => resource,
        });
    }
    resources
}

fn list_endpoint(live: &Live, endpoint: &Endpoint, resources: &mut Vec<Resource>) {
    let mut resource =
        Resource::new("client-vpn-endpoint", &endpoint.name, &endpoint.id).state(endpoint.state.as_str());
    let words = [
        ("dns_name", endpoint.dns_name.clone()),
        ("client_cidr", endpoint.client_cidr.clone()),
        ("transport", endpoint.transport.clone()),
        ("log_group", endpoint.log_group.clone()),
        ("revocation_list_expires", endpoint.revocation_list.as_ref().map(|list| show_day(list.next_update))),
    ];
    for (field, value) in words {
        resource = if let Some(value) = value { resource.with(field, value) } else { resource };
    }
    if let Some(port) = endpoint.port {
        resource = resource.with("port", port);
    }
    if let Some(split) = endpoint.split_tunnel {
        resource = resource.with("split_tunnel", split);
    }
    if let Some(list) = &endpoint.revocation_list {
        resource = resource.with("revoked", list.revoked.len());
    }
    resources.push(resource);
    let there = endpoint.associations.iter().filter(|association| !association.is_gone());
    resources.extend(there.map(|association| show_association(live, association)));
    resources.extend(endpoint.rules.iter().map(|rule| {
        let resource = Resource::new("client-vpn-authorization-rule", &rule.network, &rule.network);
        with_message(
            resource.state(rule.state.as_str()),
            rule.message.as_deref(),
            rule.state == ClientVpnAuthorizationRuleStatusCode::Failed,
        )
    }));
    resources.extend(endpoint.routes.iter().map(|route| {
        let name = format!("{} via {}", route.destination, live.name_subnet(&route.subnet));
        let resource = Resource::new("client-vpn-route", name, &route.destination).state(route.state.as_str());
        let origin = if route.added { "add-route" } else { "associate" };
        with_message(
            resource.with("origin", origin),
            route.message.as_deref(),
            route.state == ClientVpnRouteStatusCode::Failed,
        )
    }));
}

/// It costs from the first moment to the last; AWS counts a failed one for nothing.
fn show_association(live: &Live, association: &Association) -> Resource {
    let name = live.name_subnet(&association.subnet);
    let resource = Resource::new("client-vpn-target-network", name, &association.id).state(association.state.as_str());
    let failed = association.state == AssociationStatusCode::AssociationFailed;
    let resource = if failed { resource } else { resource.costs(VPN_ASSOCIATION) };
    with_message(resource.with("subnet", association.subnet.as_str()), association.message.as_deref(), failed)
}

fn with_message(resource: Resource, message: Option<&str>, failed: bool) -> Resource {
    match message.filter(|_| failed) {
        Some(message) => resource.with("message", message),
        None => resource,
    }
}

/// What is on its way out and needs nothing but time.
pub(crate) fn list_leaving(live: &Live) -> Settling {
    let leaving = live.endpoints.iter().filter(|endpoint| endpoint.state == ClientVpnEndpointStatusCode::Deleting);
    leaving.map(|endpoint| format!("{} ({}) is deleting", endpoint.name, endpoint.id)).collect()
}

/// What is on its way and needs nothing but time.
pub(crate) fn list_coming(live: &Live) -> Settling {
    use ClientVpnAuthorizationRuleStatusCode::{Authorizing, Revoking};
    use ClientVpnRouteStatusCode::{Creating, Deleting};
    let Some(endpoint) = live.endpoint() else { return Settling::new() };
    let mut coming = Settling::new();
    if endpoint.state == ClientVpnEndpointStatusCode::Pending {
        coming.push(format!("{} is pending", endpoint.name));
    }
    let associations = endpoint.associations.iter();
    let associations = associations.filter(|one| one.state == AssociationStatusCode::Disassociating);
    coming.extend(associations.map(|one| format!("{} is disassociating", live.name_subnet(&one.subnet))));
    let rules = endpoint.rules.iter().filter(|rule| matches!(rule.state, Authorizing | Revoking));
    coming.extend(rules.map(|rule| format!("the rule for {} is {}", rule.network, rule.state)));
    let routes = endpoint.routes.iter().filter(|route| route.added && matches!(route.state, Creating | Deleting));
    coming.extend(routes.map(|route| format!("the route to {} is {}", route.destination, route.state)));
    coming
}

/// That nothing is associated, and what that saves.
pub(crate) fn note_paused(want: Option<&Want>, live: &Live) -> Option<String> {
    let endpoint = live.endpoint().filter(|endpoint| !endpoint.is_associated())?;
    let subnets = want.map_or(1, |want| want.subnets.len());
    let saved = f64::from(u32::try_from(subnets).unwrap_or(u32::MAX)) * VPN_ASSOCIATION;
    Some(format!(
        "{} is paused: no subnet is associated, nobody can connect, and ${saved:.2} an hour are saved; \
         vpn-setup resume associates again",
        endpoint.name
    ))
}

/// What the user does with what `up` has made.
pub(crate) fn note_import(want: Option<&Want>, home: &str, live: &Live) -> Option<String> {
    live.endpoint().filter(|endpoint| endpoint.is_associated())?;
    let (want, local) = (want?, live.local.as_ref()?);
    let client = want.clients.iter().find(|client| local.configurations.contains_key(*client))?;
    let path = std::path::Path::new(home).join(crate::profile::file_name(client));
    Some(format!("import {} into a VPN client, connect, and see what it reaches: vpn-setup check", path.display()))
}

/// What is about to expire, who is revoked, and what this machine keeps.
pub(crate) fn list_notes(want: Option<&Want>, directory: &str, live: &Live) -> Vec<String> {
    let mut notes = list_expiries(live);
    notes.extend(
        live.endpoints
            .iter()
            .filter_map(|endpoint| endpoint.list_unread.as_ref())
            .map(|why| format!("the endpoint's list of revoked clients could not be read: {why}")),
    );
    notes.extend(want.and_then(note_no_way_out));
    notes.extend(want.into_iter().flat_map(note_unreachable));
    notes.extend(live.unread.iter().map(|why| format!("this machine's certificates could not be looked at: {why}")));
    if let Some(local) = &live.local {
        notes.extend(want.iter().flat_map(|want| note_revoked(want, local)));
        let keeps = local.authority.is_some() && live.endpoints.iter().all(|endpoint| !endpoint.is_alive());
        notes.extend(keeps.then(|| note_kept(local, directory)));
    }
    notes
}

fn list_expiries(live: &Live) -> Vec<String> {
    let renewed = "vpn-setup up renews it";
    let now = live.now;
    let mut notes = Vec::new();
    let mut note = |what: String, end: Timestamp, way_on: &str| {
        if is_soon(end, now) {
            let verb = if end < now { "expired on" } else { "expires on" };
            notes.push(format!("{what} {verb} {}: {way_on}", show_day(end)));
        }
    };
    for certificate in live.certificates.iter().filter_map(|found| found.certificate.as_ref()) {
        note("the server's certificate".into(), certificate.not_after, renewed);
    }
    for list in live.endpoints.iter().filter_map(|endpoint| endpoint.revocation_list.as_ref()) {
        note("the list of revoked clients, without which nobody may connect,".into(), list.next_update, renewed);
    }
    let Some(local) = &live.local else { return notes };
    if let Some(authority) = &local.authority {
        let anew = "make the VPN anew with a new one: vpn-setup down, move the pki directory away, vpn-setup up";
        note("the authority".into(), authority.not_after, anew);
    }
    for client in local.clients.iter().filter(|client| !client.revoked) {
        let name = &client.name;
        let way_on = format!("vpn-setup client revoke {name}, then vpn-setup client add {name}");
        note(format!("the certificate of {name}"), client.certificate.not_after, &way_on);
    }
    notes
}

/// All traffic into the tunnel, and none out of it again.
fn note_no_way_out(want: &Want) -> Option<String> {
    let has_way_out = want.routes.iter().any(|route| route.prefix_len() == 0);
    (!want.endpoint.split_tunnel && !has_way_out).then(|| {
        "vpn.split_tunnel is false and vpn.routes has no 0.0.0.0/0: while connected, clients reach nothing but the VPC"
            .into()
    })
}

/// A route without a rule lets nobody through.
fn note_unreachable(want: &Want) -> Vec<String> {
    let allowed = |route: &&Ipv4Net| !want.rules.iter().any(|rule| rule.contains(*route) || route.contains(rule));
    let note = |route: &Ipv4Net| {
        format!("vpn.routes has {route}, but no block of vpn.allow_networks is in it: clients may not use that route")
    };
    want.routes.iter().filter(allowed).map(note).collect()
}

/// lab.toml still names them; to make them again must be someone's will.
fn note_revoked(want: &Want, local: &Local) -> Vec<String> {
    let revoked = want.clients.iter().filter(|name| local.is_revoked(name));
    let note = |name: &String| {
        format!("{name} is revoked and not made again: remove it from vpn.clients, or: vpn-setup client add {name}")
    };
    revoked.map(note).collect()
}

fn note_kept(local: &Local, directory: &str) -> String {
    let clients = local.clients.iter().filter(|client| !client.revoked).count();
    format!(
        "this machine keeps the authority and {clients} client certificate{} in {directory}, for the next \
         vpn-setup up; remove them by hand when they are needed no more",
        if clients == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::certificate::ServerCertificate;
    use crate::pki::Client;
    use crate::testing::{bare, lab, papers};
    use crate::want::want;

    fn notes(more: &str, live: &Live) -> Vec<String> {
        let lab = lab(more);
        let want = want(&lab, lab.vpn.as_ref().unwrap(), &Names::new(&lab));
        list_notes(Some(&want), "/home/ada/pki", live)
    }

    fn made() -> Live {
        let mut live = bare();
        let certificate = Some(papers().server.clone());
        live.certificates.push(ServerCertificate { arn: "arn:1".into(), number: None, certificate, authority: None });
        let local = live.local.as_mut().unwrap();
        let certificate = papers().laptop.clone();
        local.clients.push(Client { name: "laptop".into(), certificate, revoked: false });
        live
    }

    #[test]
    fn thirty_days_before_something_ends_a_note_says_so_and_how_it_goes_on() {
        let mut live = made();
        assert_eq!(notes("", &live), [] as [String; 0]);
        live.now = papers().server.not_after - SignedDuration::from_hours(24 * 29);
        let day = show_day(papers().server.not_after);
        let expected = [
            format!("the server's certificate expires on {day}: vpn-setup up renews it"),
            format!(
                "the certificate of laptop expires on {day}: vpn-setup client revoke laptop, then vpn-setup client add laptop"
            ),
        ];
        assert_eq!(notes("", &live), expected);
        live.now = papers().server.not_after + SignedDuration::from_hours(1);
        assert!(notes("", &live)[0].contains("expired on"));
    }

    #[test]
    fn a_revoked_client_of_lab_toml_is_named() {
        let mut live = made();
        live.local.as_mut().unwrap().clients[0].revoked = true;
        let notes = notes("", &live);
        assert!(notes[0].starts_with("laptop is revoked and not made again"), "{notes:?}");
    }

    #[test]
    fn without_an_endpoint_the_note_says_what_this_machine_keeps() {
        let mut live = made();
        live.local.as_mut().unwrap().authority = Some(papers().authority.clone());
        let notes = notes("", &live);
        assert!(notes[0].contains("keeps the authority and 1 client certificate in /home/ada/pki"), "{notes:?}");
    }

    #[test]
    fn routes_that_lead_nowhere_are_told() {
        let live = bare();
        assert!(notes("routes = [\"192.168.7.0/24\"]", &live)[0].contains("clients may not use that route"));
        let allowed = "routes = [\"192.168.7.0/24\"]\nallow_networks = [\"10.0.0.0/16\", \"192.168.0.0/16\"]";
        assert_eq!(notes(allowed, &live), [] as [String; 0]);
        assert!(notes("split_tunnel = false", &live)[0].contains("reach nothing but the VPC"));
    }
}
