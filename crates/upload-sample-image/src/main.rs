//! upload-sample-image.
fn main() {}
