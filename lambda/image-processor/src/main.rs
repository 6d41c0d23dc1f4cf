//! image-processor.
fn main() {}
