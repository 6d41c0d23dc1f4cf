//! The command line of `lab-status`.

use clap::{Parser, Subcommand};
use lab_common::LabArgs;

use crate::cost::CostArgs;
use crate::picture::PictureArgs;
use crate::report::ReportArgs;
use crate::serve::ServeArgs;

const EXAMPLES: &str = "\
Examples:
  lab-status --lab hol02 --owner ada    everything of the lab, and what it costs
  lab-status --watch                    the same every 5 seconds, until Ctrl-C
  lab-status leaks                      what is left after taking it down
  lab-status leaks --all-labs           what every lab of the account has left
  lab-status cost                       what it costs, until [budget] is spent
  lab-status doctor                     what would stop it, before it is made
  lab-status picture --svg lab.svg      the lab as a picture
  lab-status report --out report.html   what was done, with evidence, to hand in
  lab-status serve                      the lab in a browser, followed live

Exit codes: 0 done, for leaks only when nothing is left; 1 failed, something is
left, or doctor found what would stop the lab; 2 usage or lab.toml; 130 Ctrl-C;
143 SIGTERM.";

/// Shows what exists of the lab, across all services, and what it costs.
/// It only reads.
#[derive(Debug, Clone, Parser)]
#[command(name = "lab-status", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Look again every so many seconds (5) until Ctrl-C; for show and leaks
    #[arg(
        long,
        value_name = "SECONDS",
        global = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5",
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        conflicts_with = "json",
        help_heading = "Answers"
    )]
    pub(crate) watch: Option<u64>,
    /// Which lab, and how to answer.
    #[command(flatten)]
    pub lab: LabArgs,
}

#[derive(Debug, Clone, Default, Subcommand)]
pub(crate) enum Command {
    /// Everything that exists (the default)
    #[default]
    Show,
    /// What is left, what it costs, what blocks it, and the command that removes it
    Leaks {
        /// Of every lab of the account in this Region; needs no lab file
        #[arg(long)]
        all_labs: bool,
    },
    /// What the lab will cost, what it costs now, and how long [budget] lasts
    Cost(CostArgs),
    /// Draws the lab: what exists beside what lab.toml wants
    Picture(PictureArgs),
    /// Every step of the assignment with what proves it, as a page or PDF
    Report(ReportArgs),
    /// A page in a browser on this machine that follows the lab, until Ctrl-C
    Serve(ServeArgs),
    /// Would the lab come up here: credentials, limits, quotas, clock, tools
    Doctor {
        /// List the account's Regions too: name, endpoint, enabled
        #[arg(long)]
        regions: bool,
    },
}

impl Args {
    pub(crate) fn command(&self) -> Command {
        self.command.clone().unwrap_or_default()
    }
}
