//! The call log: one JSON object a line for each call that came through the front.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::faults::rules::CallerKind;

/// One call. The order of the fields is the order in the log.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CallRecord {
    /// When the call had been read, RFC 3339 in UTC.
    pub(crate) time: String,
    pub(crate) service: String,
    pub(crate) action: String,
    /// The HTTP status; null when the connection was closed without an answer.
    pub(crate) status: Option<u16>,
    /// From the call's end to the answer's start, in milliseconds.
    pub(crate) ms: f64,
    pub(crate) region: String,
    pub(crate) caller: CallerKind,
    /// The error code of a refused call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// The fault that was injected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
}

/// The log in memory and, where one is wanted, in a file.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: Vec<CallRecord>,
    file: Option<File>,
}

impl CallLog {
    /// A log that also writes to `file`, which starts empty.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn create(file: Option<&Path>) -> std::io::Result<Self> {
        let file = file.map(File::create).transpose()?;
        Ok(Self { inner: Mutex::new(Inner { records: Vec::new(), file }) })
    }

    /// Adds a call. A file that cannot be written is named once on stderr; the run goes on.
    pub(crate) fn add(&self, record: CallRecord) {
        let mut inner = self.lock();
        if let Some(file) = &mut inner.file {
            let line = serde_json::to_string(&record).unwrap_or_default();
            if let Err(error) = writeln!(file, "{line}") {
                eprintln!("lab-sim: the call log cannot be written any more: {error}");
                inner.file = None;
            }
        }
        inner.records.push(record);
    }

    /// The calls from the `since`-th on, counted from 0.
    pub(crate) fn since(&self, since: usize) -> Vec<CallRecord> {
        self.lock().records.get(since..).map(<[CallRecord]>::to_vec).unwrap_or_default()
    }

    /// Forgets the calls in memory; the file keeps its lines.
    pub(crate) fn clear(&self) {
        self.lock().records.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
