//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use lab_common::LabArgs;

use crate::check::{self, CheckArgs};
use crate::client::{self, ClientVerb};

const EXAMPLES: &str = "\
Examples:
  vpn-setup plan                 what it would make, and what it costs
  vpn-setup                      make the VPN, and an .ovpn file a client
  vpn-setup client add bob       one more client, with a file of its own
  vpn-setup check --connect      show that only the tunnel reaches the hosts
  vpn-setup pause                end the hourly cost, keep all the rest
  vpn-setup resume               associate the subnets again
  vpn-setup status --json        what is there, for programs
  vpn-setup down                 remove it from AWS; keys and certificates
                                 stay on this machine
  vpn-setup --ca-dir pki         with the authority of easy-rsa's pki/

The network comes first: net-up.
Exit codes: 0 done, 1 failed, 2 usage or lab.toml, 3 plan --check found changes,
130 Ctrl-C, 143 SIGTERM.";

/// Makes the lab's Client VPN: certificates, endpoint, associations, rules, and a
/// ready-to-import .ovpn file for each client. Running it again brings only the
/// difference.
#[derive(Debug, Clone, Parser)]
#[command(name = "vpn-setup", version, max_term_width = 80, after_help = EXAMPLES)]
pub struct Args {
    /// What to do; `up` when nothing is said
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Which lab, and how to answer.
    #[command(flatten)]
    pub lab: LabArgs,
    /// Take over the authority in this directory: easy-rsa's pki/
    #[arg(long, value_name = "DIR", global = true, help_heading = "Which lab")]
    pub(crate) ca_dir: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Make the VPN, or bring the difference (the default)
    Up,
    /// Say what `up` would change; nothing is written
    Plan {
        /// Exit with 3 when there is something to change
        #[arg(long)]
        check: bool,
    },
    /// Say what is there, what it costs, and what expires soon
    Status,
    /// Remove it from AWS; keys and certificates stay on this machine
    Down,
    /// End the associations, and with them what costs by the hour
    Pause,
    /// Associate the subnets again after `pause`
    Resume,
    /// Try from this machine what the tunnel opens, and what it does not
    #[command(after_help = check::EXAMPLES)]
    Check(CheckArgs),
    /// Say who may connect: add, list, revoke, show
    #[command(after_help = client::EXAMPLES)]
    Client {
        #[command(subcommand)]
        verb: ClientVerb,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_help_fits_a_terminal() {
        let mut command = Args::command();
        command.build();
        command.clone().debug_assert();
        let mut pages = vec![command.clone()];
        pages.extend(command.get_subcommands().flat_map(|verb| verb.get_subcommands().chain([verb])).cloned());
        for mut page in pages {
            let help = page.render_long_help().to_string();
            let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
            assert!(widest.chars().count() <= 80, "{widest}");
        }
    }

    #[test]
    fn nothing_means_up_and_the_authority_s_directory_goes_anywhere() {
        assert!(Args::parse_from(["vpn-setup"]).command.is_none());
        let args = Args::parse_from(["vpn-setup", "plan", "--check", "--ca-dir", "pki"]);
        assert!(matches!(args.command, Some(Command::Plan { check: true })));
        assert_eq!(args.ca_dir, Some("pki".into()));
    }
}
