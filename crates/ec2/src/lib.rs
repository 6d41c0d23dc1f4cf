//! What every EC2 concern would write again: tags, filters, the codes of errors, and creating things exactly once.

mod code;
mod create;
mod tag;
mod token;

pub use code::{is_dependency, is_duplicate, is_gone, is_throttled};
pub use create::{Attempt, choose_winner, create_once, without_retries};
pub use tag::{find_role, find_tag, lab_filters, specify_tags};
pub use token::client_token;
