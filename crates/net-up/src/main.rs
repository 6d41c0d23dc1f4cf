//! The `net-up` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = net_up::Args::parse();
    lab_plan::run_program("net-up", async |stop| net_up::run(&args, &stop).await)
}
