//! The command line.

use clap::{Parser, Subcommand};
use lab_common::LabArgs;

const EXAMPLES: &str = "\
Examples:
  host-up up public --wait-ready    make the host and wait until Jupyter answers
  host-up status --show-url         addresses, costs, and how to log in
  host-up ssh public                a shell on the host
  host-up ssh public -- df -h       one command there
  net-up nat -- host-up up private --wait-ready
                                    a private host, which installs through a
                                    NAT window
  host-up ssh private               a shell there, over the VPN
  host-up ssh private --via public  the same without the VPN
  host-up down public               terminate one host, keep what others share
  host-up --lab hol02 --owner ada plan public

The network comes first: net-up.
Exit codes: 0 done, 1 failed, 2 usage or lab.toml, 3 plan --check found changes
or status --check-ready a host that is not ready, 130 Ctrl-C, 143 SIGTERM.";

/// The hosts of a lab: key pair, permissions and instances
#[derive(Debug, Clone, Parser)]
#[command(name = "host-up", version, max_term_width = 80, after_help = EXAMPLES)]
pub struct Args {
    /// What to do; `up` when nothing is said
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The options every binary of the lab has.
    #[command(flatten)]
    pub lab: LabArgs,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Make the hosts, start stopped ones, and wait until AWS's checks pass
    Up {
        /// Only these hosts of lab.toml
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
        /// Also wait until each host's own setup is done
        #[arg(long)]
        wait_ready: bool,
    },
    /// Say what `up` would change; nothing is written
    Plan {
        /// Only these hosts of lab.toml
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
        /// Exit with 3 when there is something to change
        #[arg(long)]
        check: bool,
    },
    /// Show addresses, states and costs
    Status {
        /// Show how to log in: Jupyter's token, the file server's password
        #[arg(long)]
        show_url: bool,
        /// Exit with 3 unless this host is there and its setup is done
        #[arg(long, value_name = "HOST")]
        check_ready: Vec<String>,
    },
    /// Terminate the hosts; with the last one go key pair, role and profile
    Down {
        /// Only these hosts
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// Log in to a host, or run a command there
    Ssh {
        /// The host
        #[arg(value_name = "HOST")]
        host: String,
        /// Log in as this user [default: the image's own]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Go through this public host, where the VPN is not connected
        #[arg(long, value_name = "HOST")]
        via: Option<String>,
        /// Private key file, for a host with `key = …` [default: ssh's own]
        #[arg(long, value_name = "FILE")]
        identity: Option<std::path::PathBuf>,
        /// What to run there [default: a shell]
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print a block for ~/.ssh/config for each host
    SshConfig {
        /// Reach private hosts through this public one
        #[arg(long, value_name = "HOST")]
        via: Option<String>,
    },
}

impl Default for Verb {
    fn default() -> Self {
        Self::Up { hosts: Vec::new(), wait_ready: false }
    }
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
        pages.extend(command.get_subcommands().cloned());
        for mut page in pages {
            let help = page.render_long_help().to_string();
            let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
            assert!(widest.chars().count() <= 80, "{widest}");
        }
    }

    #[test]
    fn nothing_means_up_and_a_remote_command_keeps_its_options() {
        assert!(matches!(Args::parse_from(["host-up"]).verb.unwrap_or_default(), Verb::Up { .. }));
        let args = Args::parse_from(["host-up", "ssh", "public", "--", "ls", "--json"]);
        let Some(Verb::Ssh { command, .. }) = args.verb else { panic!("not ssh") };
        assert_eq!(command, ["ls", "--json"]);
        assert!(!args.lab.json);
    }
}
