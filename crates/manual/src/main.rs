//! `lab-manual SHARE`: writes completions and man pages of all programs below the folder SHARE.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(share), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        eprintln!("lab-manual: which folder?\n  fix: lab-manual ~/.local/share");
        return ExitCode::from(2);
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
