//! `pipeline-up`: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use pipeline_up::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    lab_plan::run_program("pipeline-up", async |stop| pipeline_up::run(&args, &stop).await)
}
