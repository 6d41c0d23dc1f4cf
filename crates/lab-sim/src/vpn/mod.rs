//! `--vpn-netns`: the Client VPN endpoints that were made, as real `OpenVPN` servers in network namespaces.
//!
//! The namespace *cloud* plays AWS: the servers, the private addresses of the instances with something that answers on
//! them, and the DNS of the endpoints. The namespace *laptop* plays the user's machine. A veth pair joins them, and
//! nothing in the machine's own namespace changes. The API is served in the laptop's loopback too, on the same port.
//!
//! Every few moments the supervisor compares what should be there, which follows from the account (`picture`), with what
//! is there, and changes the difference: addresses and listeners (`hosts`), packet filter (`firewall`), names (`dns`),
//! servers (`server`).

mod dns;
mod firewall;
mod hosts;
mod netns;
mod picture;
mod requirements;
mod server;
mod supervisor;

use std::net::Ipv4Addr;

pub(crate) use netns::{JANITOR, Namespaces, become_janitor, enter};
pub(crate) use requirements::{MissingParts, check_requirements};
pub(crate) use supervisor::supervise;

/// The cloud's end of the veth pair, where DNS answers too. TEST-NET-1 (RFC 5737): it is nobody's.
pub(crate) const CLOUD_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The laptop's end.
pub(crate) const LAPTOP_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The interface that joins the namespaces, on both sides.
pub(crate) const UPLINK: &str = "uplink";

/// The public address of the server in a slot, counted from 0.
fn server_address(slot: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 10 + slot)
}

/// The tunnel's device of the server in a slot.
fn tunnel_device(slot: u8) -> String {
    format!("vpn{slot}")
}
