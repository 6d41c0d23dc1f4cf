//! The lab's Client VPN: PKI, server certificate, endpoint, and a ready-to-import `.ovpn` file per person.

#[allow(dead_code, unused_imports, reason = "until the verbs use all of it")]
mod pki;
#[allow(dead_code, reason = "until the verbs use all of it")]
mod profile;
