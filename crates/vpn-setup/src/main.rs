//! The `vpn-setup` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = vpn_setup::Args::parse();
    lab_plan::run_program("vpn-setup", async |stop| vpn_setup::run(&args, &stop).await)
}
