//! Clients that are connected. There are some only where a real server runs (`--vpn-netns`).

use std::net::Ipv4Addr;

use super::find;
use super::records::Endpoint;
use super::request::{Request, missing, new_id, response, show_page, status};
use crate::faults::answers::ServiceError;
use crate::sim::lock;
use crate::xml::Element;

/// A client's session, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) endpoint: String,
    pub(crate) id: String,
    pub(crate) common_name: String,
    /// The client's address in the tunnel.
    pub(crate) address: Ipv4Addr,
    /// RFC 3339.
    pub(crate) since: String,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) state: ConnectionState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionState {
    Active,
    /// Asked for, and not yet done by the server.
    Terminating,
    Terminated,
}

impl ConnectionState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
        }
    }
}

/// What the server says of a client that is connected now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) common_name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) since: String,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Takes over what the server of an endpoint says: new clients appear, those that are not seen any more have ended.
pub(crate) fn update(book: &mut Vec<Connection>, endpoint: &str, seen: &[Seen]) {
    for connection in book.iter_mut().filter(|connection| connection.endpoint == endpoint) {
        let still = seen.iter().find(|one| is_same(connection, one));
        match still {
            Some(one) => (connection.bytes_in, connection.bytes_out) = (one.bytes_in, one.bytes_out),
            None => connection.state = ConnectionState::Terminated,
        }
    }
    for one in seen {
        let known = book.iter().any(|known| {
            known.endpoint == endpoint && known.state != ConnectionState::Terminated && is_same(known, one)
        });
        if !known {
            book.push(Connection {
                endpoint: endpoint.to_owned(),
                id: new_id("cvpn-connection"),
                common_name: one.common_name.clone(),
                address: one.address,
                since: one.since.clone(),
                bytes_in: one.bytes_in,
                bytes_out: one.bytes_out,
                state: ConnectionState::Active,
            });
        }
    }
}

/// The addresses of the clients whose sessions are to end.
pub(crate) fn list_unwanted(book: &[Connection], endpoint: &str) -> Vec<Ipv4Addr> {
    let here = book.iter().filter(|connection| connection.endpoint == endpoint);
    here.filter(|connection| connection.state == ConnectionState::Terminating).map(|one| one.address).collect()
}

fn is_same(connection: &Connection, seen: &Seen) -> bool {
    connection.address == seen.address && connection.since == seen.since && connection.common_name == seen.common_name
}

pub(crate) fn describe(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let endpoint = find(request, book, request.required("ClientVpnEndpointId")?)?;
    let connections = lock(&request.sim.ec2.vpn.connections).clone();
    let here = connections.into_iter().filter(|connection| connection.endpoint == endpoint.id);
    let page = request.list(here, &["connection-id", "username"], |connection, filter| match filter {
        "connection-id" => vec![connection.id.clone()],
        _ => Vec::new(),
    })?;
    Ok(show_page("DescribeClientVpnConnections", "connections", &page, |connection| {
        let mut item = Element::new("item");
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        for (name, text) in [
            ("clientVpnEndpointId", endpoint.id.as_str()),
            ("timestamp", &now),
            ("connectionId", &connection.id),
            ("connectionEstablishedTime", &connection.since),
            ("ingressBytes", &connection.bytes_in.to_string()),
            ("egressBytes", &connection.bytes_out.to_string()),
            ("clientIp", &connection.address.to_string()),
            ("commonName", &connection.common_name),
        ] {
            item.push(Element::with_text(name, text));
        }
        item.push(status(connection.state.as_str()));
        item
    }))
}

pub(crate) fn terminate(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let endpoint = find(request, book, request.required("ClientVpnEndpointId")?)?;
    if let Some(user) = request.optional("Username") {
        let message = format!("The user {user} has no active connection: mutual authentication has no users.");
        return Err(ServiceError::new(400, "InvalidClientVpnConnection.UserNotFound", message));
    }
    let id = request.optional("ConnectionId").ok_or_else(|| missing("ConnectionId"))?;
    let mut connections = lock(&request.sim.ec2.vpn.connections);
    let is_meant =
        |one: &&mut Connection| one.id == id && one.endpoint == endpoint.id && one.state != ConnectionState::Terminated;
    let connection = connections.iter_mut().find(is_meant).ok_or_else(|| {
        let message = format!("The connection ID '{id}' does not exist");
        ServiceError::new(400, "InvalidClientVpnConnection.IdNotFound", message)
    })?;
    connection.state = ConnectionState::Terminating;
    request.sim.changed.notify_one();
    let rename = |name: &str, code: &str| {
        let mut element = status(code);
        name.clone_into(&mut element.name);
        element
    };
    let mut item = Element::new("item");
    item.push(Element::with_text("connectionId", id));
    item.push(rename("previousStatus", "active"));
    item.push(rename("currentStatus", "terminating"));
    let mut statuses = Element::new("connectionStatuses");
    statuses.push(item);
    let mut root = response("TerminateClientVpnConnections");
    root.push(Element::with_text("clientVpnEndpointId", &endpoint.id));
    root.push(statuses);
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, last: u8) -> Seen {
        Seen {
            common_name: name.to_owned(),
            address: Ipv4Addr::new(10, 83, 0, last),
            since: "2026-11-20 18:00:00".to_owned(),
            bytes_in: 1,
            bytes_out: 2,
        }
    }

    #[test]
    fn clients_appear_once_and_end_when_they_are_seen_no_more() {
        let mut book = Vec::new();
        update(&mut book, "e", &[seen("laptop", 2)]);
        update(&mut book, "e", &[seen("laptop", 2), seen("phone", 3)]);
        assert_eq!(book.len(), 2);
        update(&mut book, "other", &[]);
        assert!(book.iter().all(|connection| connection.state == ConnectionState::Active));
        update(&mut book, "e", &[seen("phone", 3)]);
        assert_eq!(book[0].state, ConnectionState::Terminated);
        assert_eq!(book[1].state, ConnectionState::Active);
    }
}
