//! The `net-up` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: net_up::Args = lab_common::parse_args();
    match args.command_in_window() {
        Some(command) => {
            lab_plan::run_with_signals("net-up", async |signals| net_up::run_in_window(&args, command, signals).await)
        }
        // Boxed: the compiler's own depth has a limit, which a chain of futures this long may meet.
        None => lab_plan::run_program("net-up", async |stop| Box::pin(net_up::run(&args, &stop)).await),
    }
}
