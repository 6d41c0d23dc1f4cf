//! The `net-up` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: net_up::Args = lab_common::parse_args();
    match args.command_in_window() {
        Some(command) => {
            lab_plan::run_with_signals("net-up", async |signals| net_up::run_in_window(&args, command, signals).await)
        }
        None => lab_plan::run_program("net-up", async |stop| net_up::run(&args, &stop).await),
    }
}
