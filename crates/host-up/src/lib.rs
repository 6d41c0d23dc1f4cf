//! The hosts of a lab: the key pair that opens them, the role and profile that let their programs use the lab's
//! buckets, and the instances themselves with the user-data that sets them up.
//!
//! Subnets and security groups are net-up's; they are found by their tags. Which image, which key and which permissions
//! a host gets is decided here.

mod apply;
mod cli;
mod clients;
mod console;
mod error;
mod hosts;
mod image;
mod live;
mod plan;
mod resources;
mod roles;
mod run;
mod secrets;
mod ssh;
#[cfg(test)]
mod testing;
mod user_data;
mod want;

pub use cli::{Args, Verb};
pub use hosts::Hosts;
pub use live::{Live, is_set_up};
pub use plan::{Launch, Op};
pub use roles::HOST_POLICY;
pub use run::run;
pub use user_data::is_user_data_of;
