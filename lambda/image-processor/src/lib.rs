//! The lab's function: it is told of new objects, makes clean pictures of each (or copies it) and writes them into another
//! bucket.
//!
//! `image-event` reads what it is told and `image-engine` makes the pictures; neither knows AWS. Here, `wish` says what is
//! to be made of an object, `mark` what a result was made of, `store` talks to S3, `workshop` keeps engines, buffers and
//! the memory's bounds, `record` takes one object its whole way and `report` says why one had none, `answer` and
//! `metrics` tell what came of it, and `handler` puts them together for one invocation.

mod answer;
mod client;
mod handler;
mod mark;
mod metrics;
mod outcome;
mod reason;
mod record;
mod report;
mod settings;
mod store;
mod wish;
mod workshop;

pub use answer::{Answer, BatchAnswer, Failed, ItemFailure, Processed, QueueAnswer, Skipped, Summary, TaskResult};
pub use client::connect;
pub use handler::{Call, Handled, Processor};
pub use reason::Reason;
pub use settings::{Mode, Settings, SettingsError};
pub use store::Store;
