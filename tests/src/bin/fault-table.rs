//! Prints the fault matrix's table from the rows that its tests have written (docs/RELIABILITY.md).

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a tool of the tests, which knows none of the labs' crates"
)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: fault-table FOLDER");
        return ExitCode::from(2);
    };
    match lab_tests::matrix::make_table(Path::new(&folder)) {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("fault-table: {problem}");
            ExitCode::FAILURE
        }
    }
}
