//! host-up.
fn main() {}
