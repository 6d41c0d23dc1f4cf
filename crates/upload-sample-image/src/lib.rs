//! The lab's notebook cell as a program: makes a picture, uploads it to the input bucket, and fetches the processed one.
//!
//! `want` turns the command line into uploads, `picture` draws, `bucket` talks to S3, `run` puts them together.

mod bucket;
mod cli;
mod picture;
mod report;
mod run;
mod want;

pub use cli::Args;
pub use picture::Size;
pub use report::{Processed, Report, Uploaded};
pub use run::run;
