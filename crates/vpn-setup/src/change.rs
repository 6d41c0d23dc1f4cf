//! What of an endpoint is not as lab.toml wants it, and can be changed in place. Pure.

use crate::endpoint::{Association, Endpoint};
use crate::scene::Scene;

/// What is to be changed of an endpoint; `None` for what stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub(crate) split_tunnel: Option<bool>,
    pub(crate) port: Option<i32>,
    pub(crate) session_hours: Option<i32>,
    pub(crate) description: Option<String>,
    /// Whether connections are logged.
    pub(crate) log: Option<bool>,
    /// The VPC and its security group for the clients.
    pub(crate) group: Option<(String, String)>,
    /// Whether some subnet is associated, and has a security group to change.
    pub(crate) is_associated: bool,
    /// Whether the server's certificate is another one now.
    pub(crate) server: bool,
}

/// What differs, and the same in words. What EC2 does not tell cannot be compared.
pub(crate) fn find_change(scene: Scene<'_>, endpoint: &Endpoint, vpc: &str, group: &str) -> (Change, Vec<String>) {
    let want = &scene.want.endpoint;
    let mut change = Change::default();
    let mut words = Vec::new();
    if endpoint.split_tunnel.is_some_and(|split| split != want.split_tunnel) {
        change.split_tunnel = Some(want.split_tunnel);
        words.push(format!("split tunnel {}", if want.split_tunnel { "on" } else { "off" }));
    }
    if let Some(port) = endpoint.port.filter(|port| *port != want.port) {
        change.port = Some(want.port);
        words.push(format!("port {port} → {}", want.port));
    }
    if endpoint.session_hours.is_some_and(|hours| hours != want.session_hours) {
        change.session_hours = Some(want.session_hours);
        words.push(format!("sessions of {} hours", want.session_hours));
    }
    if endpoint.description.as_ref().is_some_and(|description| *description != want.description) {
        change.description = Some(want.description.clone());
        words.push("description".into());
    }
    let log_group = want.log_days.map(|_| scene.names.vpn_log_group());
    if endpoint.log_group != log_group {
        change.log = Some(log_group.is_some());
        words.push(format!("connection log {}", if log_group.is_some() { "on" } else { "off" }));
    }
    if endpoint.groups != [group] {
        change.group = Some((vpc.into(), group.into()));
        change.is_associated = endpoint.associations.iter().any(Association::is_alive);
        words.push(format!("security group {group}"));
    }
    let arn = scene.live.certificate().map(|certificate| &certificate.arn);
    if endpoint.server.is_some() && endpoint.server.as_ref() != arn {
        change.server = true;
        words.push("the server's certificate".into());
    }
    (change, words)
}
