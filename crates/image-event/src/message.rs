//! Messages of an SQS queue, as Lambda's event source mapping hands them over.
//!
//! Source: Lambda developer guide, "Using Lambda with Amazon SQS" and "Implementing partial batch responses".

use serde_json::Value;

use crate::job::Item;
use crate::notification::read_text;
use crate::{NotAnEvent, text};

/// How many envelopes lie around the event in a message at most.
const MAX_ENVELOPES: usize = 5;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What the queue knows it by.
    pub id: String,
    /// What it asks for. A message that is no event never will be one.
    pub content: Result<Vec<Item>, NotAnEvent>,
}

/// The messages of a payload (`EventBridge` Pipes leave out the `Records` around them), where it is made of messages.
pub(crate) fn read_messages(payload: &Value) -> Option<Vec<Message>> {
    let records = payload.get("Records").unwrap_or(payload).as_array()?;
    let is_message = |record: &Value| record.get("messageId").is_some() && record.get("body").is_some();
    if records.is_empty() || !records.iter().all(is_message) {
        return None;
    }
    Some(records.iter().map(read_message).collect())
}

fn read_message(record: &Value) -> Message {
    Message { id: text(record, "/messageId").to_owned(), content: read_text(text(record, "/body"), MAX_ENVELOPES) }
}
