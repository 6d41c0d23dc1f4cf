//! The roles of everything this concern makes, and of what it takes from the network. A role names a step in a plan;
//! for what can bear tags it is also the value of the tag by which the thing is found again.

use ipnet::Ipv4Net;

pub(crate) use lab_common::roles::{security_group, subnet};

/// The authority that signs the server's and the clients' certificates. On this machine only.
pub(crate) const AUTHORITY: &str = "certificate-authority";
/// The server's certificate in ACM.
pub(crate) const CERTIFICATE: &str = "certificate vpn";
/// The log group of the connections.
pub(crate) const LOG_GROUP: &str = "log-group vpn";
/// The endpoint.
pub(crate) const ENDPOINT: &str = "client-vpn-endpoint";
/// What `ModifyClientVpnEndpoint` changes.
pub(crate) const SETTINGS: &str = "client-vpn-endpoint settings";
/// The list of revoked clients that the endpoint knows.
pub(crate) const REVOCATION_LIST: &str = "certificate-revocation-list";

/// The certificate of a client. On this machine only.
pub(crate) fn client(name: &str) -> String {
    format!("client-certificate {name}")
}

/// The `.ovpn` file of a client. On this machine only.
pub(crate) fn configuration(name: &str) -> String {
    format!("client-configuration {name}")
}

/// The association with a subnet of lab.toml. Associations, rules and routes bear no tags: they belong to the endpoint.
pub(crate) fn association(subnet: &str) -> String {
    format!("client-vpn-target-network {subnet}")
}

pub(crate) fn rule(network: Ipv4Net) -> String {
    format!("client-vpn-authorization-rule {network}")
}

pub(crate) fn route(destination: Ipv4Net, subnet: &str) -> String {
    format!("client-vpn-route {destination} {subnet}")
}

/// A step that deletes what has this id.
pub(crate) fn delete(id: &str) -> String {
    format!("delete {id}")
}
