//! The command line of `client`.

use std::path::PathBuf;

use clap::Subcommand;

/// Examples for the help of `client`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  vpn-setup client add bob ann
  vpn-setup client list
  vpn-setup client show ann --out /media/stick/ann.ovpn
  vpn-setup client revoke bob

A file holds a private key: one for each person, over a channel you trust.";

/// What to do with the people of the VPN.
#[derive(Debug, Clone, Subcommand)]
pub enum ClientVerb {
    /// Make a certificate and an .ovpn file for each name
    Add {
        /// Up to 48 letters, digits, hyphens and underscores, a letter or
        /// digit first; not `ca`, not `server`
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Show names, serial numbers, expiry, and who is revoked
    List,
    /// Let a certificate count no more; the name is free again
    Revoke {
        /// Whose
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Write NAME.ovpn again and say where
    Show {
        /// Whose
        #[arg(value_name = "NAME")]
        name: String,
        /// Write it there [default: NAME.ovpn among the lab's own files]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}
