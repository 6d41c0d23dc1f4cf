//! `pipeline-up`: parse, run, exit code.

use std::process::ExitCode;

use pipeline_up::Args;

fn main() -> ExitCode {
    let args: Args = lab_common::parse_args();
    lab_plan::run_program("pipeline-up", async |stop| pipeline_up::run(&args, &stop).await)
}
