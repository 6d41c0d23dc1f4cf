//! The `host-up` binary.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = host_up::Args::parse();
    lab_plan::run_program("host-up", async |stop| host_up::run(&args, &stop).await)
}
