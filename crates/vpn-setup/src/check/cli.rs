//! The command line of `check`.

/// How to check.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Start openvpn, check with and without the tunnel, and end it
    #[arg(long)]
    pub connect: bool,
    /// Connect as this client [default: the first with an .ovpn file]
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
}

/// Examples for the help of `check`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  vpn-setup check                what holds now, tunnel or not
  vpn-setup check --connect      without the tunnel, then with it: openvpn
                                 needs root, sudo asks for it
  vpn-setup check --connect --client bob --json

Exit codes: 0 all passed, 1 something failed.";
