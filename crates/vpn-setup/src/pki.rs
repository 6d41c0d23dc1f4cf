//! The lab's public key infrastructure: one CA, the endpoint's server certificate, and a certificate per client.
//!
//! It lives in `$LAB_HOME/pki`, laid out as easy-rsa's `pki/` is, so that one reader serves both. Private keys are made
//! once and never overwritten; a certificate that is missing beside its key is issued for that key, so a run that was
//! killed between the two is finished by the next. The CA's key is the one thing that AWS cannot give back.
//!
//! Everything here reads and writes files or computes; nothing calls AWS, and everything blocks.

mod adopt;
mod authority;
mod certificate;
mod crl;
mod issue;
mod key;
mod make;
mod pem;
mod revoke;
mod serial;
mod store;

pub(crate) use adopt::Offer;
pub(crate) use authority::Authority;
pub(crate) use certificate::{Certificate, PublicKey, Purpose};
pub(crate) use crl::RevocationList;
pub(crate) use make::Wanted;
pub(crate) use serial::Serial;
pub(crate) use store::{Client, Issued, Store};

use lab_common::Lab;

/// The common name of a lab's CA (`lab-ada VPN CA`), 64 characters at most whatever the lab is called.
pub(crate) fn authority_name(lab: &Lab) -> String {
    format!("{}-{} VPN CA", lab.name, lab.owner)
}

/// The server's common name and DNS name (`lab-ada.internal`). Client VPN wants a domain, so it has a dot; `internal` is
/// the top level that is kept for private use.
///
/// lab.toml keeps name and owner to letters, digits and hyphens and to 51 characters together: the first label stays
/// below DNS's 63, and the whole below X.509's 64 (RFC 5280, `ub-common-name`).
pub(crate) fn server_name(lab: &Lab) -> String {
    format!("{}-{}.internal", lab.name, lab.owner)
}

#[cfg(test)]
mod tests;
