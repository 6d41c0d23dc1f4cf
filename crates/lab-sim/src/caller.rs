//! Which process is at the other end of a loopback connection: for faults that kill the caller of one certain call.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};

use crate::vpn::enter;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The network namespace in which the connection is; `None` is our own.
    pub(crate) namespace: Option<Arc<str>>,
}

/// Sends SIGKILL to the process that holds the connection from `peer` to `endpoint` (`http://127.0.0.1:PORT`).
///
/// # Errors
/// When no process of this user holds that connection.
pub(crate) fn kill_caller(peer: &Peer, endpoint: &str) -> io::Result<()> {
    let port = endpoint.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or_default()));
    let table = read_connections(peer.namespace.as_deref())?;
    let inode = find_inode(&table, peer.address, server);
    let caller = inode.and_then(|inode| find_owner(&inode)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no process holds the connection from {}", peer.address))
    })?;
    kill_process(caller, Signal::KILL).map_err(io::Error::from)
}

/// The kernel's table of TCP connections in a namespace.
fn read_connections(namespace: Option<&str>) -> io::Result<String> {
    let read = || fs::read_to_string("/proc/thread-self/net/tcp");
    match namespace {
        Some(namespace) => enter(namespace, read),
        None => read(),
    }
}

/// A socket's inode from the table.
fn find_inode(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<String> {
    let (local, remote) = (table_address(local)?, table_address(remote)?);
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1) == Some(&local.as_str()) && fields.get(2) == Some(&remote.as_str()))
            .then(|| fields.get(9).map(|inode| (*inode).to_owned()))
            .flatten()
    })
}

/// An address as `/proc/net/tcp` writes it: the address in the machine's byte order, the port, both in hexadecimal.
fn table_address(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let number = u32::from_ne_bytes(address.ip().octets());
    Some(format!("{number:08X}:{:04X}", address.port()))
}

fn find_owner(inode: &str) -> Option<Pid> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        holds(&entry.path().join("fd"), &wanted).then(|| Pid::from_raw(pid)).flatten()
    })
}

fn holds(descriptors: &Path, wanted: &str) -> bool {
    let Ok(entries) = fs::read_dir(descriptors) else {
        return false;
    };
    entries.filter_map(Result::ok).any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_with_its_owner() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("its address")).expect("connected");
        let table = read_connections(None).expect("the table");
        let (local, remote) = (client.local_addr().expect("an address"), client.peer_addr().expect("an address"));
        let inode = find_inode(&table, local, remote).expect("in the table");
        let owner = find_owner(&inode).expect("an owner");
        assert_eq!(owner.as_raw_nonzero().get().unsigned_abs(), std::process::id());
    }
}
