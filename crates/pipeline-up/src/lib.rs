//! The S3 → Lambda → S3 pipeline of a lab: both buckets, the function's role and log group, and, once `cargo lambda
//! deploy` has brought the function, the permission and the notification that make uploads run it; where lab.toml wants
//! them, a queue between S3 and the function, and one for what the function could not do.
//!
//! Names are the identity of everything here, so every write may be repeated. What bears the lab's tags is ours; what
//! cannot bear tags (the permission, the notification entry) has a fixed id in a parent that does. A function that
//! bears no lab's tags is connected, but neither configured nor deleted: only its name in lab.toml says that it is
//! meant.

mod apply;
mod backfill;
mod bucket;
mod cli;
mod clients;
mod concurrency;
mod deploy;
mod empty;
mod error;
mod function;
mod live;
mod log_group;
mod mapping;
mod notification;
mod pipeline;
mod plan;
mod policy;
mod queue;
mod redrive;
mod role;
mod run;
mod s3control;
mod show;
mod simulate;
mod stray;
#[cfg(test)]
mod testing;
mod want;

pub use cli::Args;
pub use live::{Live, read_notifications};
pub use pipeline::Pipeline;
pub use plan::Op;
pub use run::run;
