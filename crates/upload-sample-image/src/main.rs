//! upload-sample-image: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use upload_sample_image::{Args, run};

fn main() -> ExitCode {
    let args = Args::parse();
    lab_plan::run_program("upload-sample-image", async |stop| run(&args, &stop).await)
}
