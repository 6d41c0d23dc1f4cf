//! The `lab-status` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = lab_status::Args::parse();
    lab_plan::run_program("lab-status", async |stop| lab_status::run(&args, &stop).await)
}
