//! Which process is at the other end of a loopback connection: for faults that kill the caller of one certain call.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// Sends SIGKILL to the process that holds the connection from `peer` to `endpoint` (`http://127.0.0.1:PORT`).
///
/// # Errors
/// When no process of this user holds that connection.
pub(crate) fn kill_caller(peer: SocketAddr, endpoint: &str) -> io::Result<()> {
    let port = endpoint.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or_default()));
    let caller = find_inode(peer, server)?.and_then(|inode| find_owner(&inode)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no process holds the connection from {peer}"))
    })?;
    kill_process(caller, Signal::KILL).map_err(io::Error::from)
}

/// The socket's inode from the kernel's table of TCP connections.
fn find_inode(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<String>> {
    Ok(find_inode_in(&fs::read_to_string("/proc/net/tcp")?, local, remote))
}

fn find_inode_in(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<String> {
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
        let inode = find_inode(client.local_addr().expect("an address"), client.peer_addr().expect("an address"))
            .expect("the table")
            .expect("in the table");
        let owner = find_owner(&inode).expect("an owner");
        assert_eq!(owner.as_raw_nonzero().get().unsigned_abs(), std::process::id());
    }
}
