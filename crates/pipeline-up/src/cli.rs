//! The command line.

use lab_common::LabArgs;
use lab_plan::Verb;

const EXAMPLES: &str = "\
Examples:
  pipeline-up                          make it so (the same as `pipeline-up up`)
  pipeline-up plan --check             only say what would change; 3 if anything
  pipeline-up status --json            what is there, as one JSON document
  deploy=$(pipeline-up deploy-command) && eval \"$deploy\"
                                       deploy the function, then run
                                       `pipeline-up` again: it sets the trigger
  pipeline-up down --yes               remove it all, with what is in the buckets

Exit codes: 0 done, 1 failed, 2 usage or lab.toml, 3 `plan --check` found changes,
130 Ctrl-C, 143 SIGTERM.";

/// The S3 -> Lambda -> S3 pipeline of a lab: both buckets, the function's role and
/// log group, and the trigger.
///
/// The function's code is deployed by `cargo lambda deploy`. Without it, `up` does
/// everything else and says the exact command.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "pipeline-up", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Args {
    /// What to do [default: up]
    #[command(subcommand)]
    command: Option<Command>,
    /// Which lab.
    #[command(flatten)]
    pub lab: LabArgs,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum Command {
    /// Make the pipeline as lab.toml says; nothing is written where it already is
    Up,
    /// Say what `up` would do
    Plan {
        /// Exit with 3 when there is something to do
        #[arg(long)]
        check: bool,
    },
    /// Say what is there
    Status,
    /// Remove the trigger, the function, its role and logs, and both buckets
    Down,
    /// Print the `cargo lambda deploy` command of this lab, quoted for a shell
    DeployCommand,
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// One of the verbs that every concern has.
    Verb(Verb),
    /// The command that deploys the function.
    DeployCommand,
}

impl Args {
    pub(crate) fn task(&self) -> Task {
        match self.command {
            None | Some(Command::Up) => Task::Verb(Verb::Up),
            Some(Command::Plan { check }) => Task::Verb(Verb::Plan { check }),
            Some(Command::Status) => Task::Verb(Verb::Status),
            Some(Command::Down) => Task::Verb(Verb::Down),
            Some(Command::DeployCommand) => Task::DeployCommand,
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
        assert_eq!(task(&["deploy-command"]), Task::DeployCommand);
    }
}
