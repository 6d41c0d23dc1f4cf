//! The command line of `lab-status`.

use clap::{Parser, Subcommand};
use lab_common::LabArgs;

const EXAMPLES: &str = "\
Examples:
  lab-status --lab hol02 --owner ada    everything of the lab, and what it costs
  lab-status leaks                      what is left after taking it down

Exit codes: 0 done, for leaks only when nothing is left; 1 failed, or something
is left; 2 usage or lab.toml; 130 Ctrl-C; 143 SIGTERM.";

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
}

impl Args {
    /// Whether what is left counts as a failure.
    pub(crate) fn looks_for_leaks(&self) -> bool {
        matches!(self.command, Some(Command::Leaks))
    }
}
