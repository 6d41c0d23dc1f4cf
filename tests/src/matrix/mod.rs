//! The fault matrix (docs/RELIABILITY.md): every command of the lab's scripts, every fault, every call.

mod bench;
mod cases;
mod census;
mod chain;
mod hands;
mod outside;
mod rows;

pub use bench::{Bench, Ended, Running};
pub use cases::{every, run_act};
pub use census::Census;
pub use chain::{Act, DOWN, Do, UP, Way};
pub use outside::{run_gone, run_in_the_way, run_mended, run_stalled, run_two_ups, run_up_against_down};
pub use rows::{Row, Tally, make_table};
