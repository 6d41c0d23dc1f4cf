//! The command line of `class-up`.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  class-up plan roster.csv              who gets what, where, and what it costs
  class-up up roster.csv --tasks 1      Task 1 for everybody
  class-up up roster.csv --failed       again, only for those that failed
  class-up status roster.csv            what each has now, and what it costs
  class-up down roster.csv --yes        everything of everybody gone
  class-up down roster.csv --only ada --only bob

The roster is a CSV file. Its first line names the columns: owner (the last part
of every name that AWS wants unique), and where wanted role_arn, region, lab and
name. docs/CLASS.md says more.

Exit codes: 0 done for everybody, 1 failed for somebody or refused for want of
quota, 2 usage, roster or lab.toml, 130 Ctrl-C, 143 SIGTERM.";

/// The same lab for each owner of a roster. Runs the other programs for each of
/// them, many owners at a time; running it again goes on where it stopped.
#[derive(Debug, Clone, Parser)]
#[command(name = "class-up", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    #[command(flatten)]
    pub(crate) class: ClassArgs,
}

/// What to do for each owner.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Verb {
    /// Make each owner's lab, or bring the difference
    Up {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        package: Package,
    },
    /// Check roster, names and quotas, and say what `up` would cost
    Plan {
        #[command(flatten)]
        who: Who,
    },
    /// What each owner has now, and what it costs
    Status {
        #[command(flatten)]
        who: Who,
    },
    /// Delete each owner's lab
    Down {
        #[command(flatten)]
        who: Who,
    },
}

impl Verb {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Up { .. } => "up",
            Self::Plan { .. } => "plan",
            Self::Status { .. } => "status",
            Self::Down { .. } => "down",
        }
    }

    pub(crate) fn who(&self) -> &Who {
        match self {
            Self::Up { who, .. } | Self::Plan { who } | Self::Status { who } | Self::Down { who } => who,
        }
    }
}

/// For whom.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Who {
    /// The roster, a CSV file with a line an owner
    #[arg(value_name = "ROSTER")]
    pub(crate) roster: PathBuf,
    /// Only this owner of the roster; may be repeated
    #[arg(long, value_name = "OWNER")]
    pub(crate) only: Vec<String>,
    /// Only those for whom the last run did not end well
    #[arg(long)]
    pub(crate) failed: bool,
}

/// Where the built function is.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Package {
    /// The built function [default: where scripts/class.sh builds it]
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// The workspace it was built in [default: an empty one]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: Option<PathBuf>,
}

/// Which parts of lab.toml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tasks {
    /// Public hosts and the image pipeline
    #[value(name = "1")]
    One,
    /// Private hosts and the VPN
    #[value(name = "2")]
    Two,
    /// All that lab.toml has
    #[default]
    Both,
}

/// Which lab, and how to answer. There is no `--owner`: the roster names them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which lab")]
pub(crate) struct ClassArgs {
    /// Lab file, or the built-in lab `hol02` [default: ./lab.toml]
    #[arg(long, value_name = "FILE", env = "LAB_FILE", hide_env_values = true, global = true)]
    pub(crate) lab: Option<PathBuf>,
    /// Which part of it: 1 public hosts and pipeline, 2 private hosts and VPN
    #[arg(long, value_name = "TASKS", value_enum, default_value_t, hide_possible_values = true, global = true)]
    pub(crate) tasks: Tasks,
    /// AWS Region [default: the roster's, then lab.toml's, then the SDK's]
    #[arg(long, value_name = "REGION", global = true)]
    pub(crate) region: Option<String>,
    /// At most so many owners at a time
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=500), global = true)]
    pub(crate) at_once: u16,
    /// Profile of ~/.aws/config
    #[arg(long, value_name = "NAME", global = true, help_heading = "AWS")]
    pub(crate) profile: Option<String>,
    /// Where AWS's API is answered, such as `http://127.0.0.1:4566`
    #[arg(long, value_name = "URL", global = true, help_heading = "AWS")]
    pub(crate) endpoint_url: Option<String>,
    /// One JSON document on stdout instead of text
    #[arg(long, global = true, help_heading = "Answers")]
    pub(crate) json: bool,
    /// Answer every question with yes
    #[arg(long, global = true, help_heading = "Answers")]
    pub(crate) yes: bool,
    /// One line an event, words, nothing drawn: for a screen reader
    #[arg(long, env = "LAB_PLAIN", hide_env_values = true, global = true, help_heading = "Answers",
          value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) plain: bool,
}

impl Args {
    /// A missing verb means `up`: `class-up roster.csv`.
    pub fn parse_with_default_verb(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Self {
        lab_common::parse_words(add_verb(arguments.into_iter().collect()))
    }
}

/// Puts `up` in front of a roster that no verb precedes.
fn add_verb(mut words: Vec<std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    let first = words.get(1).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let is_roster = !first.is_empty()
        && !first.starts_with('-')
        && !["up", "plan", "status", "down", "help"].contains(&first.as_str())
        && (first.contains(['.', '/']) || std::path::Path::new(&first).is_file());
    if is_roster {
        words.insert(1, "up".into());
    }
    words
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
    fn a_roster_alone_means_up() {
        let verb = |words: &[&str]| {
            let words = [&["class-up"], words].concat();
            let words = add_verb(words.into_iter().map(Into::into).collect());
            Args::try_parse_from(words).map(|args| args.verb.name())
        };
        assert_eq!(verb(&["roster.csv", "--tasks", "1"]).ok(), Some("up"));
        assert_eq!(verb(&["down", "roster.csv", "--failed", "--yes"]).ok(), Some("down"));
        assert!(verb(&["upp"]).is_err());
        assert!(verb(&[]).is_err());
    }
}
