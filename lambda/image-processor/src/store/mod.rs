//! S3 as this function needs it: look, read with a limit, write or copy under a condition.
//!
//! Every failure is sorted here, once: what can never work is a [`Reason`], a lost race is [`WriteError::Raced`], and the
//! rest is a [`StoreError`], which makes the record fail so that it is tried again.

mod error;
mod read;
mod write;

use aws_sdk_s3::Client;

pub(crate) use error::StoreError;
pub(crate) use read::{Existing, Opened, ReadError, Unread, Wanted};
pub(crate) use write::{Condition, File, WriteError};

/// The two buckets, through one client.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
}

impl Store {
    /// Takes a ready client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}
