//! The command line.

use std::path::PathBuf;

use lab_common::LabArgs;
use lab_plan::Verb;

use crate::backfill::Backfill;
use crate::simulate::Simulate;

const EXAMPLES: &str = "\
Examples:
  pipeline-up                    make it so (the same as `pipeline-up up`)
  pipeline-up plan --check       only say what would change; 3 if anything
  pipeline-up deploy             deploy the function that `cargo lambda build`
                                 made; then `pipeline-up` sets the trigger
  pipeline-up status --json      what is there, for programs
  pipeline-up redrive            try again what the function could not do
  pipeline-up backfill --dry-run what is in the input bucket without a result
  pipeline-up simulate --objects 1e6   what a million objects take and cost
  pipeline-up down --yes         remove it all, with what is in the buckets

Exit codes: 0 done, 1 failed, 2 usage or lab.toml, 3 plan --check found changes,
130 Ctrl-C, 143 SIGTERM.";

/// Makes the lab's S3 -> Lambda -> S3 pipeline: both buckets, the function's role
/// and log group, and the trigger. The function's code comes by `cargo lambda
/// deploy`; without it, `up` does everything else and says the exact command.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "pipeline-up", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which lab, and how to answer.
    #[command(flatten)]
    pub lab: LabArgs,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    /// Make the pipeline, or bring the difference (the default)
    Up,
    /// Say what `up` would change; nothing is written
    Plan {
        /// Exit with 3 when there is something to change
        #[arg(long)]
        check: bool,
    },
    /// Say what is there
    Status,
    /// Delete the trigger, the function, its role and log, queues and both buckets
    Down,
    /// Deploy the function with `cargo lambda deploy`; wait for its new role
    Deploy(Deploy),
    /// Bring dead letters back: into the queue, or to the function itself
    Redrive {
        /// Into the queue also those of asynchronous invocations
        #[arg(long)]
        to_source: bool,
    },
    /// Process what is in the input bucket already, with S3 Batch Operations
    Backfill(Backfill),
    /// Compute what N objects take and cost; no credentials, no call
    Simulate(Simulate),
}

/// How the function is deployed.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) package: Package,
    /// Only print the command, quoted for a shell
    #[arg(long)]
    pub(crate) print: bool,
}

/// Where the built function is.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Package {
    /// The built function [default: where `cargo lambda build` puts it]
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// The workspace it was built in [default: ./Cargo.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: Option<PathBuf>,
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Task {
    /// One of the verbs that every concern has.
    Verb(Verb),
    /// The function's deployment.
    Deploy(Deploy),
    /// Dead letters are brought back.
    Redrive {
        /// All of them into the queue.
        to_source: bool,
    },
    /// What is there already is processed.
    Backfill(Backfill),
    /// Time and money are computed.
    Simulate(Simulate),
}

impl Args {
    pub(crate) fn task(&self) -> Task {
        match &self.command {
            None | Some(Command::Up) => Task::Verb(Verb::Up),
            Some(Command::Plan { check }) => Task::Verb(Verb::Plan { check: *check }),
            Some(Command::Status) => Task::Verb(Verb::Status),
            Some(Command::Down) => Task::Verb(Verb::Down),
            Some(Command::Deploy(deploy)) => Task::Deploy(deploy.clone()),
            Some(Command::Backfill(backfill)) => Task::Backfill(backfill.clone()),
            Some(Command::Simulate(simulate)) => Task::Simulate(simulate.clone()),
            Some(Command::Redrive { to_source }) => Task::Redrive { to_source: *to_source },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_help_fits_80_columns() {
        let mut command = Args::command();
        command.clone().debug_assert();
        let help = command.render_long_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn no_verb_is_up() {
        let task = |words: &[&str]| Args::parse_from([&["pipeline-up"], words].concat()).task();
        assert_eq!(task(&[]), Task::Verb(Verb::Up));
        assert_eq!(task(&["plan", "--check"]), Task::Verb(Verb::Plan { check: true }));
        assert_eq!(task(&["deploy", "--print"]), Task::Deploy(Deploy { package: Package::default(), print: true }));
    }
}
