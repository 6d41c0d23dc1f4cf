//! lab-status.
fn main() {}
