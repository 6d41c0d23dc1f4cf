//! Client VPN, which moto does not know at all: endpoints with their associations, rules and routes, in AWS's states
//! and with AWS's refusals. A subnet that is associated holds a network interface in moto, so that subnet, groups and
//! VPC are in use as on AWS.
//!
//! The records hold moments only; which state a thing is in follows from the clock whenever somebody asks.

mod associations;
mod certificates;
mod connections;
mod endpoints;
mod export;
pub(crate) mod records;
mod request;
mod rules;
mod subnets;
mod tags;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex as SyncMutex};

use tokio::sync::Mutex;

use crate::call::Call;
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, StateTimes, lock};
use crate::xml::Element;
pub(crate) use certificates::trust_of;
use connections::Connection;
pub(crate) use connections::Seen;
pub(crate) use records::{Endpoint, Transport};
use request::Request;
pub(crate) use subnets::INTERFACE_DESCRIPTION;

/// The endpoints of the account, in every Region.
#[derive(Debug, Default)]
pub(crate) struct ClientVpnOverlay {
    // Held while moto is asked: of two associations at the same time, the second sees the first.
    endpoints: Mutex<Vec<Endpoint>>,
    /// Clients that are connected to a real server, or were.
    connections: SyncMutex<Vec<Connection>>,
}

impl ClientVpnOverlay {
    /// Forgets everything.
    pub(crate) async fn reset(&self) {
        self.endpoints.lock().await.clear();
        lock(&self.connections).clear();
    }

    /// The endpoints as they are now.
    pub(crate) async fn endpoints(&self) -> Vec<Endpoint> {
        self.endpoints.lock().await.clone()
    }

    /// Takes over which clients an endpoint's server sees, and returns the addresses of those whose sessions are to end.
    pub(crate) fn update_connections(&self, endpoint: &str, seen: &[Seen]) -> Vec<Ipv4Addr> {
        let mut book = lock(&self.connections);
        connections::update(&mut book, endpoint, seen);
        connections::list_unwanted(&book, endpoint)
    }

    /// The ARNs of the endpoints that use a certificate.
    pub(crate) async fn users_of(&self, times: &StateTimes, certificate: &str) -> Vec<String> {
        let book = self.endpoints.lock().await;
        let users = book.iter().filter(|endpoint| endpoint.uses_certificate(certificate));
        users.filter(|endpoint| endpoint.state(times).is_some()).map(Endpoint::arn).collect()
    }
}

/// Whether a call is answered here and not by moto.
pub(crate) fn knows(call: &Call) -> bool {
    match call.class.action.as_str() {
        "CreateTags" | "DeleteTags" => tags::names_endpoint(call),
        action => action.contains("ClientVpn"),
    }
}

/// Answers a call that [`knows`] says is ours. With `fails`, what it begins comes to nothing.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call, fails: bool) -> Result<Element, ServiceError> {
    let mut book = sim.ec2.vpn.endpoints.lock().await;
    let request = Request { sim, call, now: sim.times.now(), fails };
    match call.class.action.as_str() {
        "CreateTags" | "DeleteTags" => tags::change(&request, &mut book).await,
        "CreateClientVpnEndpoint" => endpoints::create(&request, &mut book).await,
        "DescribeClientVpnEndpoints" => endpoints::describe(&request, &book),
        "ModifyClientVpnEndpoint" => endpoints::modify(&request, &mut book).await,
        "DeleteClientVpnEndpoint" => endpoints::delete(&request, &mut book),
        "ExportClientVpnClientConfiguration" => endpoints::export(&request, &book).await,
        "AssociateClientVpnTargetNetwork" => associations::associate(&request, &mut book).await,
        "DisassociateClientVpnTargetNetwork" => associations::disassociate(&request, &mut book),
        "DescribeClientVpnTargetNetworks" => associations::describe(&request, &book),
        "ApplySecurityGroupsToClientVpnTargetNetwork" => associations::apply_groups(&request, &mut book).await,
        "CreateClientVpnRoute" => associations::create_route(&request, &mut book).await,
        "DeleteClientVpnRoute" => associations::delete_route(&request, &mut book),
        "DescribeClientVpnRoutes" => associations::describe_routes(&request, &book),
        "AuthorizeClientVpnIngress" => rules::authorize(&request, &mut book),
        "RevokeClientVpnIngress" => rules::revoke(&request, &mut book),
        "DescribeClientVpnAuthorizationRules" => rules::describe(&request, &book),
        "ImportClientVpnClientCertificateRevocationList" => rules::import_crl(&request, &mut book).await,
        "ExportClientVpnClientCertificateRevocationList" => rules::export_crl(&request, &book),
        "DescribeClientVpnConnections" => connections::describe(&request, &book),
        "TerminateClientVpnConnections" => connections::terminate(&request, &book),
        action => Err(ServiceError::new(501, "NotImplemented", format!("lab-sim: {action} is not answered here."))),
    }
}

/// Forgets what is gone by now, and takes the network interfaces of disassociated subnets out of moto.
pub(crate) async fn sweep(sim: &Arc<Sim>) {
    let times = &sim.times;
    let mut book = sim.ec2.vpn.endpoints.lock().await;
    for endpoint in book.iter_mut() {
        for association in endpoint.associations.iter_mut().filter(|one| one.is_disassociated(times)) {
            if let Some(interface) = association.interface.take() {
                let parameters = [("NetworkInterfaceId", interface.id.as_str())];
                sim.moto.ec2(&endpoint.region, "DeleteNetworkInterface", &parameters).await;
            }
        }
        endpoint.associations.retain(|association| association.state(times).is_some());
        endpoint.rules.retain(|rule| rule.state(times).is_some());
        endpoint.routes.retain(|route| route.state(times).is_some());
    }
    book.retain(|endpoint| endpoint.state(times).is_some());
}

/// Adds the endpoints' tags to an answer to `DescribeTags`.
pub(crate) async fn add_tags(sim: &Arc<Sim>, call: &Call, root: &mut Element) {
    let book = sim.ec2.vpn.endpoints.lock().await;
    let here: Vec<&Endpoint> = book.iter().filter(|endpoint| endpoint.region == call.class.region).collect();
    tags::add_to_list(call, &here, root);
}

/// Shows the network interfaces of associated subnets as AWS's own: in use, and not the caller's to change.
pub(crate) fn show_interfaces(root: &mut Element) {
    let Some(set) = root.child_mut("networkInterfaceSet") else { return };
    for interface in set.elements_mut() {
        if interface.child_text("description").as_deref() == Some(INTERFACE_DESCRIPTION) {
            interface.set_child_text("requesterId", "amazon-clientvpn");
            interface.set_child_text("requesterManaged", "true");
            interface.set_child_text("status", "in-use");
        }
    }
}

/// An endpoint of the call's Region that is not gone.
fn find<'b>(request: &Request<'_>, book: &'b [Endpoint], id: &str) -> Result<&'b Endpoint, ServiceError> {
    let is_meant = |endpoint: &&Endpoint| is_here(request, endpoint, id);
    book.iter().find(is_meant).ok_or_else(|| endpoint_not_found(id))
}

/// The same, to change.
fn find_mut<'b>(request: &Request<'_>, book: &'b mut [Endpoint], id: &str) -> Result<&'b mut Endpoint, ServiceError> {
    let is_meant = |endpoint: &&mut Endpoint| is_here(request, endpoint, id);
    book.iter_mut().find(is_meant).ok_or_else(|| endpoint_not_found(id))
}

fn is_here(request: &Request<'_>, endpoint: &Endpoint, id: &str) -> bool {
    endpoint.id == id && endpoint.region == request.region() && endpoint.state(request.times()).is_some()
}

fn endpoint_not_found(id: &str) -> ServiceError {
    ServiceError::new(400, "InvalidClientVpnEndpointId.NotFound", format!("Endpoint {id} does not exist"))
}
