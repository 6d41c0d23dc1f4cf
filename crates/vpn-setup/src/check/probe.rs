//! What can be seen from this machine: which ports answer, which names resolve, and which way packets would take.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long a port or a name server may take. What does not answer by then does not answer a user either.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a port says to a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It takes the connection.
    Open,
    /// The host, or something in front of it, refuses.
    Refused,
    /// Nothing comes back, or the network knows no way.
    Silent(String),
}

/// Connects to a port, for three seconds at most.
pub(super) async fn knock(address: SocketAddrV4) -> Answer {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Answer::Open,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => Answer::Refused,
        Ok(Err(error)) => Answer::Silent(error.to_string()),
        Err(_) => Answer::Silent(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

/// The addresses of a name, for three seconds at most.
pub(super) async fn resolve(name: &str) -> Result<Vec<String>, String> {
    match timeout(PATIENCE, lookup_host((name, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip().to_string()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

/// The address of this machine that packets to `destination` would carry: it tells the interface they leave by. Nothing
/// is sent.
pub(super) fn find_source(destination: Ipv4Addr) -> std::io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // Connecting a UDP socket only looks up the route; the port (discard) is never used.
    socket.connect((destination, 9))?;
    match socket.local_addr()? {
        SocketAddr::V4(address) => Ok(*address.ip()),
        SocketAddr::V6(_) => Err(std::io::Error::other("an IPv6 address for an IPv4 destination")),
    }
}

/// This machine's address inside `block`, on whatever interface.
pub(super) fn find_own_address(block: Ipv4Net) -> Option<Ipv4Addr> {
    list_own_addresses().into_iter().find(|address| block.contains(address))
}

/// Every IPv4 address of this machine, as the kernel's routing table knows them; elsewhere than on Linux as `ifconfig`
/// prints them.
pub(super) fn list_own_addresses() -> Vec<Ipv4Addr> {
    match std::fs::read_to_string("/proc/net/fib_trie") {
        Ok(table) => read_fib_trie(&table),
        Err(_) => std::process::Command::new("ifconfig")
            .output()
            .map(|output| read_ifconfig(&String::from_utf8_lossy(&output.stdout)))
            .unwrap_or_default(),
    }
}

/// Each local address is a leaf `|-- ADDRESS` with the line `/32 host LOCAL` below it.
fn read_fib_trie(table: &str) -> Vec<Ipv4Addr> {
    let mut leaf = None;
    let mut found = Vec::new();
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.filter(|address| !found.contains(address)));
        }
    }
    found
}

fn read_ifconfig(text: &str) -> Vec<Ipv4Addr> {
    let addresses = text.lines().filter_map(|line| line.trim().strip_prefix("inet ")?.split_whitespace().next());
    addresses.filter_map(|address| address.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.83.0.0/16 2 0 2
        |-- 10.83.0.2
           /32 host LOCAL
        |-- 10.83.255.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
  +-- 0.0.0.0/0 3 0 5
        |-- 10.83.0.2
           /32 host LOCAL
";

    #[test]
    fn local_addresses_are_those_that_the_kernel_calls_local() {
        let expected: Vec<Ipv4Addr> = vec![Ipv4Addr::new(10, 83, 0, 2), Ipv4Addr::LOCALHOST];
        assert_eq!(read_fib_trie(FIB_TRIE), expected);
        let ifconfig = "utun4: flags=8051\n\tinet 10.83.0.2 --> 10.83.0.1 netmask 0xffffffe0\n\tinet6 fe80::1\n\
                        lo0: flags=8049\n\tinet 127.0.0.1 netmask 0xff000000\n";
        assert_eq!(read_ifconfig(ifconfig), expected);
    }

    #[test]
    fn this_machine_reaches_itself_by_itself() {
        assert!(list_own_addresses().contains(&Ipv4Addr::LOCALHOST));
        assert_eq!(find_own_address("127.0.0.0/8".parse().unwrap()), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(find_source(Ipv4Addr::LOCALHOST).unwrap(), Ipv4Addr::LOCALHOST);
    }

    #[tokio::test]
    async fn an_open_port_and_a_closed_one_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("not IPv4") };
        assert_eq!(knock(address).await, Answer::Open);
        drop(listener);
        assert_eq!(knock(address).await, Answer::Refused);
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_told_with_the_reason() {
        assert!(!resolve("localhost").await.unwrap().is_empty());
        assert!(!resolve("no-such-name.invalid").await.unwrap_err().is_empty());
    }
}
