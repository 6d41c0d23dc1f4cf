//! The `vpn-setup` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: vpn_setup::Args = lab_common::parse_args();
    lab_plan::run_program("vpn-setup", async |stop| vpn_setup::run(&args, &stop).await)
}
