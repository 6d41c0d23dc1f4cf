//! One event source mapping: what it connects, and its states.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use super::settings::Settings;
use crate::lambda::FunctionKey;
use crate::sim::{StateTimes, lock};
use crate::sqs::QueueRef;

/// What was last asked of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Creating,
    Updating,
    Enabling,
    Disabling,
    Deleting,
}

/// A mapping of a queue to a function.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) uuid: String,
    pub(crate) arn: String,
    pub(crate) queue: QueueRef,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    function: FunctionKey,
    function_arn: String,
    settings: Settings,
    tags: BTreeMap<String, String>,
    change: Change,
    changed: Instant,
    modified: jiff::Timestamp,
    /// The account has been emptied.
    forgotten: bool,
}

/// What a poller needs to know at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Duty {
    pub(crate) function: FunctionKey,
    pub(crate) settings: Settings,
}

impl Mapping {
    pub(crate) fn new(
        uuid: String,
        arn: String,
        queue: QueueRef,
        (function, function_arn): (FunctionKey, String),
        settings: Settings,
        tags: BTreeMap<String, String>,
        now: Instant,
    ) -> Self {
        let inner = Inner {
            function,
            function_arn,
            settings,
            tags,
            change: Change::Creating,
            changed: now,
            modified: jiff::Timestamp::now(),
            forgotten: false,
        };
        Self { uuid, arn, queue, inner: Mutex::new(inner) }
    }

    /// `Creating`, `Enabled`, …; `None` once it is gone.
    pub(crate) fn state(&self, times: &StateTimes) -> Option<&'static str> {
        lock(&self.inner).state(times)
    }

    /// What its poller is to do; `None` while it has nothing to do.
    pub(crate) fn duty(&self, times: &StateTimes) -> Option<Duty> {
        let inner = lock(&self.inner);
        let works = matches!(inner.state(times), Some("Enabled" | "Updating")) && inner.settings.enabled;
        works.then(|| Duty { function: inner.function.clone(), settings: inner.settings.clone() })
    }

    pub(crate) fn settings(&self) -> Settings {
        lock(&self.inner).settings.clone()
    }

    pub(crate) fn function(&self) -> FunctionKey {
        lock(&self.inner).function.clone()
    }

    /// Puts new settings, and another function where one is named, into force.
    pub(crate) fn update(&self, settings: Settings, function: Option<(FunctionKey, String)>, now: Instant) {
        let mut inner = lock(&self.inner);
        inner.change = match (inner.settings.enabled, settings.enabled) {
            (false, true) => Change::Enabling,
            (true, false) => Change::Disabling,
            _ => Change::Updating,
        };
        if let Some((key, arn)) = function {
            (inner.function, inner.function_arn) = (key, arn);
        }
        inner.settings = settings;
        inner.changed = now;
        inner.modified = jiff::Timestamp::now();
    }

    pub(crate) fn delete(&self, now: Instant) {
        let mut inner = lock(&self.inner);
        inner.change = Change::Deleting;
        inner.changed = now;
    }

    /// It is gone at once, with its account.
    pub(crate) fn forget(&self) {
        lock(&self.inner).forgotten = true;
    }

    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        lock(&self.inner).tags.clone()
    }

    pub(crate) fn change_tags(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        change(&mut lock(&self.inner).tags);
    }

    /// As the API shows it.
    pub(crate) fn to_json(&self, times: &StateTimes) -> Value {
        let inner = lock(&self.inner);
        let settings = &inner.settings;
        let mut shown = json!({
            "UUID": self.uuid,
            "EventSourceMappingArn": self.arn,
            "EventSourceArn": self.queue.arn(),
            "FunctionArn": inner.function_arn,
            "BatchSize": settings.batch_size,
            "MaximumBatchingWindowInSeconds": settings.window,
            "FunctionResponseTypes": if settings.reports_failures { json!(["ReportBatchItemFailures"]) } else { json!([]) },
            "LastModified": inner.modified.as_second(),
            "State": inner.state(times).unwrap_or("Deleting"),
            "StateTransitionReason": "USER_INITIATED",
        });
        if let Some(bound) = settings.max_concurrency {
            shown["ScalingConfig"] = json!({ "MaximumConcurrency": bound });
        }
        if !settings.filters.is_empty() {
            let filters: Vec<Value> = settings.filters.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
            shown["FilterCriteria"] = json!({ "Filters": filters });
        }
        shown
    }
}

impl Inner {
    fn state(&self, times: &StateTimes) -> Option<&'static str> {
        if self.forgotten {
            return None;
        }
        let settled = times.since(self.changed) >= times.mapping_change();
        match self.change {
            Change::Deleting if settled => None,
            _ if settled => Some(if self.settings.enabled { "Enabled" } else { "Disabled" }),
            Change::Creating => Some("Creating"),
            Change::Updating => Some("Updating"),
            Change::Enabling => Some("Enabling"),
            Change::Disabling => Some("Disabling"),
            Change::Deleting => Some("Deleting"),
        }
    }
}
