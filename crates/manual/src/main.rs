//! `lab-manual SHARE`: writes completions and man pages of all programs below the folder SHARE.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use lab_plan::{Problem, print_err, print_out};

const HELP: &str = "\
Writes shell completions and man pages of all programs below the folder SHARE.

Usage: lab-manual SHARE

Examples:
  lab-manual ~/.local/share    where bash, fish and man look for them

Exit codes: 0 done; 1 a file cannot be written; 2 usage.";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            print_err(&format!("lab-manual: {problem}"));
            problem.exit().into()
        }
    }
}

fn run(arguments: &[OsString]) -> Result<(), Problem> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return print_out(&format!("{HELP}\n"));
    }
    let share = match arguments {
        [share] if !share.as_encoded_bytes().starts_with(b"-") => Path::new(share),
        _ => return Err(Problem::usage("which folder?").fix("lab-manual ~/.local/share")),
    };
    let written = lab_manual::write_all(share).map_err(|error| {
        Problem::failed(format!("cannot write below {}", share.display())).because(error.to_string())
    })?;
    print_out(&format!("{} files below {}\n", written.len(), share.display()))
}
