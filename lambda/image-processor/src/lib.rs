//! The lab's function: S3 tells it of new objects, it makes a clean PNG of each (or copies it) into another bucket.
//!
//! `event` reads what S3 sent, `key` and `mark` name and mark results, `store` talks to S3, and `handler`
//! puts them together for one invocation. All but the last two are pure. The pictures are made by `image-engine`.

mod event;
mod handler;
mod key;
mod mark;
mod reason;
mod settings;
mod store;

pub use handler::{Failed, Processed, Processor, Skipped, Summary};
pub use reason::Reason;
pub use settings::{Mode, Settings, SettingsError};
pub use store::Store;
