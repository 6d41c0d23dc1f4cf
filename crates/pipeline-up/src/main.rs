//! pipeline-up.
fn main() {}
