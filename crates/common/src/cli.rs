//! The options every binary of the lab has.

use std::path::PathBuf;

use lab_plan::{Problem, answer_error};

use crate::{HOL02, Lab, Overrides, read_lab};

const DEFAULT_LAB_FILE: &str = "lab.toml";

/// Which lab, whose, where, and how to answer. Flatten it into a binary's own arguments.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which lab")]
pub struct LabArgs {
    /// Lab file, or the built-in lab `hol02` [default: ./lab.toml]
    #[arg(long, value_name = "FILE", env = "LAB_FILE", hide_env_values = true, global = true)]
    pub lab: Option<PathBuf>,
    /// Last part of every name that AWS wants unique
    #[arg(long, value_name = "NAME", env = "LAB_OWNER", hide_env_values = true, global = true)]
    pub owner: Option<String>,
    /// AWS Region [default: lab.toml's, then the SDK's]
    #[arg(long, value_name = "REGION", global = true)]
    pub region: Option<String>,
    /// Profile of ~/.aws/config
    #[arg(long, value_name = "NAME", global = true, help_heading = "AWS")]
    pub profile: Option<String>,
    /// Where AWS's API is answered, such as `http://127.0.0.1:4566`
    #[arg(long, value_name = "URL", global = true, help_heading = "AWS")]
    pub endpoint_url: Option<String>,
    /// One JSON document on stdout instead of text
    #[arg(long, global = true, help_heading = "Answers")]
    pub json: bool,
    /// Answer every question with yes
    #[arg(long, global = true, help_heading = "Answers")]
    pub yes: bool,
    /// One line an event, words, nothing drawn: for a screen reader
    #[arg(long, env = "LAB_PLAIN", hide_env_values = true, global = true, help_heading = "Answers",
          value_parser = clap::builder::FalseyValueParser::new())]
    pub plain: bool,
}

/// The program's arguments. What is wrong with them ends the program as clap does; with `--json` stdout holds it too.
pub fn parse_args<A: clap::Parser>() -> A {
    parse_words(std::env::args_os())
}

/// Like [`parse_args`], for a program that completes its own command line first.
pub fn parse_words<A: clap::Parser>(words: impl IntoIterator<Item = std::ffi::OsString>) -> A {
    A::try_parse_from(words).unwrap_or_else(|error| {
        // Help and version are no errors.
        if error.use_stderr() {
            answer_error(error.to_string().trim_end());
        }
        error.exit()
    })
}

impl LabArgs {
    /// Whether no lab file is named, and none is where it is looked for then.
    pub(crate) fn has_no_lab_file(&self) -> bool {
        self.lab.is_none() && !std::path::Path::new(DEFAULT_LAB_FILE).exists()
    }

    /// The lab these options name, whoever its owner is; `None` where no file is named and none is there.
    ///
    /// # Errors
    /// As [`LabArgs::read_lab`].
    pub fn read_lab_of_anyone(&self) -> Result<Option<Lab>, Problem> {
        if self.has_no_lab_file() {
            return Ok(None);
        }
        let owner = self.owner.clone().or_else(|| Some("anyone".into()));
        Self { owner, ..self.clone() }.read_lab().map(Some)
    }

    /// Reads and checks the lab these options name. Nothing is called.
    ///
    /// # Errors
    /// When there is no such file, or something is wrong in it.
    pub fn read_lab(&self) -> Result<Lab, Problem> {
        let overrides = Overrides { owner: self.owner.clone(), region: self.region.clone() };
        let path = self.lab.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_LAB_FILE));
        let name = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => read_lab(&name, &text, &overrides),
            Err(_) if name == "hol02" => read_lab("hol02", HOL02, &overrides),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(Problem::usage(format!("the lab file {name} is not UTF-8 text")).fix("save it as UTF-8"))
            }
            Err(error) => Err(Problem::usage(format!("cannot read the lab file {name}"))
                .because(error.to_string())
                .fix("name one with --lab FILE or LAB_FILE, or take the built-in lab with --lab hol02 --owner NAME")),
        }
    }
}
