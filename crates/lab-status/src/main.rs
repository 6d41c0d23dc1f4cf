//! The `lab-status` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: lab_status::Args = lab_common::parse_args();
    lab_plan::run_program("lab-status", async |stop| lab_status::run(&args, &stop).await)
}
