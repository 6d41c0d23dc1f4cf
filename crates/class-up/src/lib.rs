//! The same lab for each of many owners: in one account, or in an account each through a role.
//!
//! The roster is checked entirely before anything is called (`roster`, `class`), then whether all of them fit into their
//! accounts (`room`), and only then the lab's own programs run, for many owners at a time (`run`, `chain`, `child`), each
//! owner with a folder, a log and, where the roster names a role, credentials of its own (`folder`, `assume`). All programs
//! of one account and Region share a rate, so that throttling slows the whole class down.

mod assume;
mod chain;
mod child;
mod class;
mod cli;
mod complete;
mod folder;
mod prepare;
mod report;
mod room;
mod roster;
mod run;

pub use cli::Args;
pub use run::run;
