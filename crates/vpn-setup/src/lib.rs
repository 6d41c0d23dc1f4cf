//! The lab's Client VPN: PKI, server certificate, endpoint, and a ready-to-import `.ovpn` file per person.
//!
//! `want` turns the lab into what should be there, `live` reads what is in AWS and `local` what is on this machine;
//! `judge` says what becomes of each certificate, `change` what of the endpoint, `refuse` what forbids a plan, `plan` and `teardown` compare, and
//! `apply` carries out one step. Subnets and the security group are net-up's; they are found by their tags.

mod apply;
mod beat;
mod certificate;
mod change;
mod check;
mod cli;
mod client;
mod endpoint;
mod error;
mod files;
mod judge;
mod live;
mod local;
mod pki;
mod plan;
mod profile;
mod refuse;
mod roles;
mod run;
mod scene;
mod services;
mod show;
mod teardown;
#[cfg(test)]
mod testing;
mod vpn;
mod want;

pub use check::CheckArgs;
pub use cli::Args;
pub use client::ClientVerb;
pub use run::run;
pub use vpn::ClientVpn;
