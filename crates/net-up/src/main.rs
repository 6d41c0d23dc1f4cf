//! net-up.
fn main() {}
