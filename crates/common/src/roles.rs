//! The roles by which one binary finds what another has made. With names and tags they are the whole interface between
//! binaries, so they stand here and nowhere else.

/// The role of a subnet: `subnet public` for the key `public` of `[network.subnets]`. Made by net-up.
pub fn subnet(key: &str) -> String {
    format!("subnet {key}")
}

/// The role of a security group: a host's key, or `vpn` for the VPN's. Made by net-up.
pub fn security_group(key: &str) -> String {
    format!("security-group {key}")
}

/// The role of an instance: its host's key. Made by host-up.
pub fn instance(key: &str) -> String {
    format!("instance {key}")
}
