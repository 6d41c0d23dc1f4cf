//! What a step does: plain data.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::live::Guard;
use crate::notification::Trigger;
use crate::stray::Stray;
use crate::want::{QueueKind, Side};

/// What one step does, with everything it needs to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Makes a bucket and gives it these properties.
    CreateBucket(Side, Vec<Property>),
    /// Gives a bucket these properties.
    SetBucket(Side, Vec<Property>),
    /// Makes the function's role.
    CreateRole(RoleParts),
    /// Changes these parts of it.
    SetRole(RoleParts),
    /// Makes the function's log group.
    CreateLogGroup(LogGroupParts),
    /// Changes these parts of it.
    SetLogGroup(LogGroupParts),
    /// Configures the function as lab.toml says.
    SetFunction(FunctionParts),
    /// Lets the input bucket invoke the function.
    SetPermission(PermissionParts),
    /// Puts our entry into the input bucket's notification configuration.
    SetTrigger(Trigger),
    /// Makes a queue.
    CreateQueue(QueueKind, QueueParts),
    /// Changes these parts of it.
    SetQueue(QueueKind, QueueParts),
    /// Lets Lambda take messages from the queue for the function.
    CreateMapping(MappingParts),
    /// Changes how it does.
    SetMapping {
        /// The mapping's id.
        uuid: String,
        /// How it must become.
        parts: MappingParts,
    },
    /// Says where asynchronous invocations end that fail.
    SetInvoke(InvokeParts),
    /// Reserves so many of the account's concurrent functions, and bounds ours to them.
    Reserve(i32),
    /// Takes our entry out of it.
    DeleteTrigger,
    /// Ends the mapping.
    DeleteMapping {
        /// The mapping's id.
        uuid: String,
        /// Whether the queue is emptied by it first.
        drains: bool,
    },
    /// Lambda does by itself again what it does about failures.
    DeleteInvoke,
    /// Deletes a queue.
    DeleteQueue(QueueKind),
    /// Takes the permission back.
    DeletePermission,
    /// Deletes the function.
    DeleteFunction,
    /// Deletes the role with its policies.
    DeleteRole,
    /// Cancels the backfills that are under way, and deletes their role.
    DeleteBatchRole {
        /// The account they run in.
        account: String,
    },
    /// Deletes the log group.
    DeleteLogGroup,
    /// Empties and deletes a bucket.
    DeleteBucket(Side),
    /// Deletes what of ours lab.toml calls otherwise now.
    DeleteStray(Stray),
}

/// One property of a bucket, as it must become.
#[derive(Debug, Clone, PartialEq)]
pub enum Property {
    /// All tags, those of others included.
    Tags(BTreeMap<String, String>),
    /// A protection.
    Guard(Guard),
    /// The whole policy, statements of others included.
    Policy(Value),
}

impl Property {
    pub(super) const fn noun(&self) -> &'static str {
        match self {
            Self::Tags(_) => "tags",
            Self::Guard(Guard::PublicAccessBlock) => "public access block",
            Self::Guard(Guard::Encryption) => "encryption",
            Self::Guard(Guard::OwnerEnforced) => "ownership",
            Self::Policy(_) => "TLS-only policy",
        }
    }
}

/// The parts of a role that are written; an absent part is left alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoleParts {
    /// Who may assume it.
    pub trust: Option<Value>,
    /// What it may do.
    pub policy: Option<Value>,
    /// Whose it is.
    pub tags: Option<BTreeMap<String, String>>,
}

/// The parts of a log group that are written; an absent part is left alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogGroupParts {
    /// How long its events are kept, in days.
    pub retention: Option<i32>,
    /// Whose it is.
    pub tags: Option<BTreeMap<String, String>>,
    /// Its ARN, where it is there already.
    pub arn: Option<String>,
}

/// The function's configuration as it must become.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionParts {
    /// The ARN of its role.
    pub role: String,
    /// In MB.
    pub memory_mb: i32,
    /// In seconds.
    pub timeout_s: i32,
    /// Variables that are set; others stay.
    pub environment: BTreeMap<&'static str, String>,
    /// Variables that go: lab.toml no longer says them.
    pub clears: Vec<&'static str>,
}

/// The parts of a queue that are written; an absent part is left alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueParts {
    /// SQS's attributes, in its own words.
    pub attributes: BTreeMap<&'static str, String>,
    /// Whose it is.
    pub tags: Option<BTreeMap<String, String>>,
}

/// The mapping from the queue to the function as it must become.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingParts {
    /// The queue's ARN.
    pub queue_arn: String,
    /// Messages of one invocation, at most.
    pub batch_size: i32,
    /// Functions at work at once, at most.
    pub most_at_once: Option<i32>,
    /// Whose it is; written only where it is made.
    pub tags: Option<BTreeMap<String, String>>,
}

/// What Lambda is to do about asynchronous invocations that fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvokeParts {
    /// The ARN of the queue that gets a record of it.
    pub on_failure: String,
    /// How often it is tried again.
    pub retries: i32,
    /// For how long, in seconds.
    pub most_seconds: i32,
}

/// Who may invoke the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionParts {
    /// The input bucket's ARN.
    pub bucket_arn: String,
    /// The account that must own it.
    pub account: String,
    /// Whether a statement of ours says something else and must go first.
    pub replaces: bool,
}
