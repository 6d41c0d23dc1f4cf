//! The command line of `lab-status`.

use clap::{Parser, Subcommand};
use lab_common::LabArgs;

const EXAMPLES: &str = "\
Examples:
  lab-status --lab hol02 --owner ada    everything of the lab, and what it costs
  lab-status leaks                      what is left after taking it down
  lab-status doctor                     what would stop it, before it is made

Exit codes: 0 done, for leaks only when nothing is left; 1 failed, something is
left, or doctor found what would stop the lab; 2 usage or lab.toml; 130 Ctrl-C; 143 SIGTERM.";

/// Shows what exists of the lab, across all of its parts, and what it costs.
/// It only reads.
#[derive(Debug, Clone, Parser)]
#[command(name = "lab-status", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which lab, and how to answer.
    #[command(flatten)]
    pub lab: LabArgs,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Everything that exists (the default)
    Show,
    /// What is left, what it costs, and the command that removes it
    Leaks,
    /// Would the lab come up here: credentials, limits, quotas, clock, tools
    Doctor {
        /// List the account's Regions too: name, endpoint, enabled
        #[arg(long)]
        regions: bool,
    },
}

impl Args {
    /// Whether only the account is to be examined; and whether its Regions are to be listed.
    pub(crate) fn doctor(&self) -> Option<bool> {
        match self.command {
            Some(Command::Doctor { regions }) => Some(regions),
            _ => None,
        }
    }

    /// Whether what is left counts as a failure.
    pub(crate) fn looks_for_leaks(&self) -> bool {
        matches!(self.command, Some(Command::Leaks))
    }
}
