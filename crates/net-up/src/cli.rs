//! The command line of `net-up`.

use clap::{Parser, Subcommand};
use lab_common::LabArgs;
use lab_plan::Verb;

const EXAMPLES: &str = "\
Examples:
  net-up plan --lab hol02 --owner ada   what it would make, and what it costs
  net-up                                make or mend the network of ./lab.toml
  net-up status --json                  what is there, for programs
  net-up down                           take it away; hosts must be gone before

Exit codes: 0 done, 1 failed, 2 usage or lab.toml, 3 plan --check found changes,
130 Ctrl-C, 143 SIGTERM.";

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

#[derive(Debug, Clone, Copy, Subcommand)]
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
}

impl Args {
    /// What is asked for.
    pub fn verb(&self) -> Verb {
        match self.command {
            None | Some(Command::Up) => Verb::Up,
            Some(Command::Plan { check }) => Verb::Plan { check },
            Some(Command::Status) => Verb::Status,
            Some(Command::Down) => Verb::Down,
        }
    }
}
