//! `lab-manual SHARE`: writes completions and man pages of all programs below the folder SHARE.

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Writes shell completions and man pages of all programs below the folder SHARE.

Usage: lab-manual SHARE

Examples:
  lab-manual ~/.local/share    where bash, fish and man look for them

Exit codes: 0 done; 1 a file cannot be written; 2 usage.";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let share = match arguments.as_slice() {
        [share] if !share.as_encoded_bytes().starts_with(b"-") => PathBuf::from(share),
        _ => {
            eprintln!("lab-manual: which folder?\n  fix: lab-manual ~/.local/share");
            return ExitCode::from(2);
        }
    };
    match lab_manual::write_all(&share) {
        Ok(written) => {
            println!("{} files below {}", written.len(), share.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("lab-manual: cannot write below {}\n  why: {error}", share.display());
            ExitCode::FAILURE
        }
    }
}
