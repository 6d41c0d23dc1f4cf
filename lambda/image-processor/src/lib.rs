//! The lab's function: S3 tells it of new objects, it makes a clean PNG of each (or copies it) into another bucket.
//!
//! `event` reads what S3 sent, `key` and `mark` name and mark results, `picture` makes one out of bytes, `store` talks to
//! S3, and `handler` puts them together for one invocation. All but the last two are pure.

mod colour;
mod event;
mod handler;
mod jpeg;
mod key;
mod mark;
mod picture;
mod reason;
mod settings;
mod store;

pub use handler::{Failed, Processed, Processor, Skipped, Summary};
pub use picture::{Limits, process_image};
pub use reason::Reason;
pub use settings::{Mode, Settings, SettingsError};
pub use store::Store;
