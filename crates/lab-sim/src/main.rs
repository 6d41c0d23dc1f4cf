//! lab-sim.
fn main() {}
