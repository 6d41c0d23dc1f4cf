//! upload-sample-image: parse, run, exit code.

use std::process::ExitCode;

use upload_sample_image::{Args, run};

fn main() -> ExitCode {
    let args: Args = lab_common::parse_args();
    lab_plan::run_program("upload-sample-image", async |stop| run(&args, &stop).await)
}
