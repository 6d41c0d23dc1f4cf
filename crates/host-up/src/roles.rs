//! The roles of everything this concern makes, and of what it takes from the network. A role names a step in a plan
//! and is the value of the tag by which the thing is found again.

pub(crate) use lab_common::roles::{instance, security_group, subnet};

pub(crate) const KEY_PAIR: &str = "key-pair";
pub(crate) const HOST_ROLE: &str = "host-role";
/// The role's inline policy. It bears no tags: it belongs to its role.
pub const HOST_POLICY: &str = "host-policy";
pub(crate) const HOST_PROFILE: &str = "host-profile";
/// The link between profile and role. It bears no tags: it belongs to the profile.
pub(crate) const PROFILE_ROLE: &str = "host-profile host-role";

pub(crate) fn network_interface(host: &str) -> String {
    format!("network-interface {host}")
}

pub(crate) fn volume(host: &str) -> String {
    format!("volume {host}")
}
