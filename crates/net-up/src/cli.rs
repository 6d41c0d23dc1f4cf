//! The command line of `net-up`.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use lab_common::LabArgs;
use lab_plan::Verb;

const EXAMPLES: &str = "\
Examples:
  net-up plan --lab hol02 --owner ada   what it would make, and what it costs
  net-up                                make or mend the network of ./lab.toml
  net-up status --json                  what is there, for programs
  net-up nat -- COMMAND                 private subnets reach the internet while
                                        COMMAND runs
  net-up down                           take it away; hosts must be gone before

Exit codes: 0 done, 1 failed, 2 usage or lab.toml, 3 plan --check found changes,
130 Ctrl-C, 143 SIGTERM.";

const NAT_USAGE: &str = "\
net-up nat [OPTIONS] -- <COMMAND>...
       net-up nat [OPTIONS] <open|close|status>";

const NAT_EXAMPLES: &str = "\
Examples:
  net-up nat -- host-up up private --wait-ready
                        open, install the private host, close
  net-up nat open       open it until `net-up nat close`
  net-up nat status     is it open, since when, what does it cost
  net-up nat close      close it; goes on where an earlier close stopped

With a COMMAND the exit code is COMMAND's (128 + N when signal N ended it), or 1
when the window could not be closed. Ctrl-C asks COMMAND to end, a second one
kills it; then the window closes. stdout is COMMAND's alone.";

/// Makes the lab's network: VPC, subnets, internet gateway, route tables and
/// every security group. Running it again brings only the difference.
#[derive(Debug, Clone, Parser)]
#[command(name = "net-up", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which lab, and how to answer.
    #[command(flatten)]
    pub lab: LabArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Make the network, or bring the difference (the default)
    Up,
    /// Say what `up` would change; nothing is written
    Plan {
        /// Exit with 3 when there is something to change
        #[arg(long)]
        check: bool,
    },
    /// Say what is there
    Status,
    /// Delete the network; refuses while something else is still in it
    Down,
    /// Let the private subnets reach the internet for a while
    ///
    /// Makes an address and a NAT gateway, and sends the private subnets' way
    /// out through it. That costs 5 cents for each started hour. A window that
    /// is open already closes with COMMAND too.
    #[command(after_help = NAT_EXAMPLES, override_usage = NAT_USAGE, max_term_width = 80)]
    Nat {
        #[command(subcommand)]
        task: Option<NatTask>,
        /// Open, run this, and close whatever happens
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

/// What is to become of the NAT window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum NatTask {
    /// Open it, until it is closed
    Open,
    /// Close it, however little of it is there; never asks
    Close,
    /// Say whether it is open, since when, and what it costs
    Status,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Network(Verb),
    /// `None` where neither a task nor a command is named.
    Nat(Option<NatTask>),
}

impl Args {
    /// What is asked for; what is to be done in an open window, [`Args::command_in_window`] says.
    pub(crate) fn task(&self) -> Task {
        match &self.command {
            None | Some(Command::Up) => Task::Network(Verb::Up),
            Some(Command::Plan { check }) => Task::Network(Verb::Plan { check: *check }),
            Some(Command::Status) => Task::Network(Verb::Status),
            Some(Command::Down) => Task::Network(Verb::Down),
            Some(Command::Nat { task, .. }) => Task::Nat(*task),
        }
    }

    /// The command that is to run while the NAT window is open.
    pub fn command_in_window(&self) -> Option<&[OsString]> {
        match &self.command {
            Some(Command::Nat { task: None, command }) if !command.is_empty() => Some(command),
            _ => None,
        }
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
        let nat = command.find_subcommand("nat").expect("nat").clone();
        for mut page in [command, nat] {
            let help = page.render_long_help().to_string();
            let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
            assert!(widest.chars().count() <= 80, "{widest}");
        }
    }

    #[test]
    fn what_follows_two_dashes_is_the_command_and_keeps_its_options() {
        let args = Args::parse_from(["net-up", "nat", "--yes", "--owner", "ada", "--", "sh", "-c", "true", "--json"]);
        assert_eq!(args.command_in_window(), Some(["sh", "-c", "true", "--json"].map(OsString::from).as_slice()));
        assert!(args.lab.yes && !args.lab.json);
        let close = Args::parse_from(["net-up", "nat", "close", "--yes"]);
        assert_eq!((close.task(), close.command_in_window()), (Task::Nat(Some(NatTask::Close)), None));
        assert!(Args::try_parse_from(["net-up", "nat", "close", "--", "true"]).is_err());
    }
}
