//! Why a check fails: the usual causes, most of which AWS itself can tell. Pure.

use std::net::Ipv4Addr;

use aws_sdk_ec2::types::{
    AssociationStatusCode, ClientVpnAuthorizationRuleStatusCode, ClientVpnEndpointStatusCode, ClientVpnRouteStatusCode,
};
use ipnet::Ipv4Net;

use super::facts::{Facts, Host};
use super::report::{Check, Subject};
use crate::endpoint::Endpoint;
use crate::judge::show_day;
use crate::pki::{Certificate, Purpose};

/// The causes that apply, each with what helps, the more likely ones first.
pub(super) fn find_causes(facts: &Facts, failed: &[&Check]) -> Vec<String> {
    let mut causes = Vec::new();
    let Some(endpoint) = &facts.endpoint else {
        return vec!["there is no endpoint: vpn-setup up".to_owned()];
    };
    let has = |subject| failed.iter().any(|check| check.subject == subject);
    let reaches = !has(Subject::Name) && !has(Subject::Tunnel);
    if !reaches || has(Subject::Through) {
        causes.extend(find_endpoint_faults(endpoint));
    }
    if !reaches {
        causes.extend(find_profile_faults(facts, endpoint));
        causes.extend(find_certificate_faults(facts, endpoint));
    }
    if has(Subject::Through) || has(Subject::Without) {
        causes.extend(facts.hosts.iter().filter_map(find_absence));
    }
    if has(Subject::Through) {
        causes.extend(facts.hosts.iter().flat_map(|host| find_host_faults(facts, endpoint, host)));
    }
    causes.extend(find_overlap(facts));
    if causes.is_empty() {
        causes.extend(failed.iter().map(|check| guess(facts, endpoint, check)));
        causes.dedup();
    }
    causes
}

fn find_endpoint_faults(endpoint: &Endpoint) -> Vec<String> {
    let mut faults = Vec::new();
    let alive: Vec<_> = endpoint.associations.iter().filter(|association| association.is_alive()).collect();
    if !alive.iter().any(|association| association.state == AssociationStatusCode::Associated) {
        faults.push(match alive.first() {
            Some(association) => format!(
                "the association with {} is {}, not ready: it takes AWS 5 to 10 minutes; vpn-setup up waits for it",
                association.subnet, association.state
            ),
            None => "no subnet is associated with the endpoint: vpn-setup resume".to_owned(),
        });
    }
    let failed = endpoint.associations.iter().filter(|one| one.state == AssociationStatusCode::AssociationFailed);
    faults.extend(failed.map(|association| {
        let why = association.message.as_deref().unwrap_or("AWS does not say why");
        format!("the association with {} failed ({why}): vpn-setup up", association.subnet)
    }));
    // It is pending-associate without an association, which is said already.
    if endpoint.state == ClientVpnEndpointStatusCode::Pending {
        faults.push("the endpoint is still pending: vpn-setup up waits for it".to_owned());
    }
    faults
}

fn find_profile_faults(facts: &Facts, endpoint: &Endpoint) -> Vec<String> {
    let name = &facts.client.name;
    let again = format!("vpn-setup client show {name}");
    let Some(profile) = &facts.client.profile else {
        return vec![format!("there is no .ovpn file for {name}: {again}")];
    };
    let mut faults = Vec::new();
    match profile.remote() {
        Some(remote) => {
            let known = endpoint.host().is_some_and(|host| remote.host.ends_with(host));
            if !known && !remote.host.contains(&endpoint.id) {
                let host = endpoint.host().unwrap_or(&endpoint.id);
                faults.push(format!("{name}.ovpn connects to {}, the endpoint is {host}: {again}", remote.host));
            }
            if let (Some(there), Some(port)) = (remote.port, endpoint.port)
                && there != port.to_string()
            {
                faults.push(format!("{name}.ovpn connects to port {there}, the endpoint has {port}: {again}"));
            }
            if !profile.has_random_hostname() && remote.host.parse::<Ipv4Addr>().is_err() {
                faults.push(format!(
                    "{name}.ovpn lacks `remote-random-hostname`, without which the endpoint's name is not found: {again}"
                ));
            }
        }
        None => faults.push(format!("{name}.ovpn has no `remote`: {again}")),
    }
    let same = |current: &Certificate| profile.certificate().as_ref() == Some(current);
    if facts.client.current.as_ref().is_some_and(|current| !same(current)) {
        faults.push(format!("{name}.ovpn holds another certificate than {name}'s own: {again}"));
    }
    faults
}

fn find_certificate_faults(facts: &Facts, endpoint: &Endpoint) -> Vec<String> {
    let client = &facts.client;
    let name = &client.name;
    let mut faults = Vec::new();
    let shown =
        client.profile.as_ref().and_then(crate::profile::Profile::certificate).or_else(|| client.current.clone());
    if let Some(list) = endpoint.revocation_list.as_ref().filter(|list| list.is_expired(facts.now)) {
        let day = show_day(list.next_update);
        faults
            .push(format!("the endpoint's revocation list expired on {day}, which locks everybody out: vpn-setup up"));
    }
    let Some(certificate) = shown else {
        faults.push(format!("there is no certificate for {name}: vpn-setup client add {name}"));
        return faults;
    };
    let renew = format!("vpn-setup client revoke {name}, then vpn-setup client add {name}");
    let listed = endpoint.revocation_list.as_ref().is_some_and(|list| list.has(&certificate.serial));
    if listed || client.revoked.iter().any(|revoked| revoked.serial == certificate.serial) {
        faults.push(format!("the certificate of {name} is revoked: vpn-setup client add {name}"));
    }
    if certificate.is_expired(facts.now) {
        let day = show_day(certificate.not_after);
        faults.push(format!("the certificate of {name} expired on {day}: {renew}"));
    }
    if certificate.not_before > facts.now {
        faults.push(format!("the certificate of {name} is not valid yet: check this machine's clock"));
    }
    if !certificate.purposes.contains(&Purpose::Client) {
        faults.push(format!("the certificate of {name} is none for a client: {renew}"));
    }
    if client.authority.as_ref().is_some_and(|authority| !certificate.is_signed_by(authority)) {
        faults.push(format!("the certificate of {name} is of another CA: {renew}"));
    }
    faults
}

/// A host that does not run answers nobody.
fn find_absence(host: &Host) -> Option<String> {
    let (role, state) = (&host.role, host.describe_absence()?);
    // A new one installs something first, and only a window lets it.
    if host.state.is_none() && host.needs_window {
        return Some(format!("host {role} is {state}: net-up nat -- host-up up {role} --wait-ready"));
    }
    Some(format!("host {role} is {state}: host-up up {role}"))
}

/// What keeps the VPN's clients from a host that runs.
fn find_host_faults(facts: &Facts, endpoint: &Endpoint, host: &Host) -> Vec<String> {
    let role = &host.role;
    let Some(address) = host.reachable_address() else { return Vec::new() };
    let mut faults = Vec::new();
    faults.extend(find_rule_fault(endpoint, address));
    let route = endpoint.routes.iter().filter(|route| route.state == ClientVpnRouteStatusCode::Active);
    if !endpoint.routes.is_empty() && !contains(route.map(|route| &route.destination), address) {
        faults.push(format!("the endpoint has no active route to {address}: vpn-setup up"));
    }
    if endpoint.groups.is_empty() {
        faults.push("the endpoint has no security group of the lab: vpn-setup up".to_owned());
    }
    for port in &host.ports {
        if !host.openings.iter().any(|opening| opening.admits(*port, &endpoint.groups, &[facts.vpc])) {
            faults.push(format!(
                "no security group rule lets the VPN's clients reach port {port} of host {role}: net-up up, then vpn-setup up"
            ));
        }
    }
    faults
}

fn find_rule_fault(endpoint: &Endpoint, address: Ipv4Addr) -> Option<String> {
    use ClientVpnAuthorizationRuleStatusCode::{Active, Authorizing};
    let with = |state| endpoint.rules.iter().filter(move |rule| rule.state == state).map(|rule| &rule.network);
    if contains(with(Active), address) {
        None
    } else if contains(with(Authorizing), address) {
        Some(format!("the authorization rule for {address} is still being made: try again in a minute"))
    } else {
        Some(format!("no authorization rule lets clients reach {address}: vpn-setup up"))
    }
}

/// An address of this machine inside the VPC's block: packets for the VPC never leave the own network.
fn find_overlap(facts: &Facts) -> Option<String> {
    let own = facts.own_addresses.iter().find(|address| facts.vpc.contains(*address))?;
    let vpc = facts.vpc;
    Some(format!(
        "this machine has {own}, an address of the VPC's block {vpc}: it is in a network that uses the same addresses; \
         connect from another one, or give the lab another [network] cidr"
    ))
}

/// What is left when AWS explains nothing.
fn guess(facts: &Facts, endpoint: &Endpoint, failed: &Check) -> String {
    match failed.subject {
        Subject::Name => "this machine's name server does not find the endpoint: right after it was made that takes \
                          minutes; some routers and VPNs filter such names"
            .to_owned(),
        // What openvpn says when the other side is not who the file expects.
        Subject::Tunnel if failed.detail.contains("VERIFY") => format!(
            "the server shows another certificate than {name}.ovpn expects: vpn-setup client show {name}; if it stays \
             so, something else answers as the endpoint",
            name = facts.client.name
        ),
        Subject::Tunnel => {
            let (transport, port) = (endpoint.transport.as_deref().unwrap_or("udp"), endpoint.port.unwrap_or(443));
            format!(
                "nothing in AWS explains it: the network of this machine may block {transport}/{port}; try another one"
            )
        }
        Subject::Through => "nothing in AWS explains it: the host may still be starting, or its service is down \
                             (host-up status)"
            .to_owned(),
        Subject::Without => "something else answers at this address, or another way leads into the VPC (a peering, \
                             another VPN)"
            .to_owned(),
    }
}

fn contains<'a>(networks: impl Iterator<Item = &'a String>, address: Ipv4Addr) -> bool {
    networks.filter_map(|network| network.parse::<Ipv4Net>().ok()).any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests;
