//! `lab-sim`: parse, run, exit code.

#![allow(clippy::print_stderr, reason = "its stderr is its log; it depends on none of the labs' crates")]

use std::process::ExitCode;

use clap::Parser as _;
use lab_sim::{cli::Cli, run};

fn main() -> ExitCode {
    if let Some(code) = run::become_guard_if_asked(std::env::args_os()) {
        return ExitCode::from(code);
    }
    match run::run(&Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("lab-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
