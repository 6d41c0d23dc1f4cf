//! The `host-up` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: host_up::Args = lab_common::parse_args();
    lab_plan::run_program("host-up", async |stop| host_up::run(&args, &stop).await)
}
