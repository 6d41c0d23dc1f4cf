//! The `class-up` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = class_up::Args::parse_with_default_verb(std::env::args_os());
    lab_plan::run_with_signals("class-up", async |signals| class_up::run(&args, signals).await)
}
