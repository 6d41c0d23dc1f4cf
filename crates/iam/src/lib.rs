//! What every concern that makes roles would write again: tags in IAM's shape, the codes of its errors, and a role from
//! its creation to its end.

mod code;
mod role;
mod tag;

pub use code::{ignore_absent, is_still_used, is_unseen};
pub use role::{NewRole, create_role, delete_role, put_role_policy};
pub use tag::to_tags;
