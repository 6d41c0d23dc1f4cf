//! One event source mapping: its settings, the rules that Lambda checks them by, and its states.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faults::answers::ServiceError;
use crate::lambda::FunctionKey;
use crate::sim::{StateTimes, lock};
use crate::sqs::QueueRef;

/// What a caller sets; defaults and bounds are those of the API reference, `CreateEventSourceMapping`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    /// Messages in one event, at most.
    pub(crate) batch_size: usize,
    /// How long a batch is gathered, in seconds.
    pub(crate) window: u64,
    /// Whether the function's answer names the messages that failed.
    pub(crate) reports_failures: bool,
    /// How many of the function's instances the mapping may use at once.
    pub(crate) max_concurrency: Option<u32>,
    /// Event patterns; a message that matches none of them is thrown away. Without any, all pass.
    pub(crate) filters: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            batch_size: 10,
            window: 0,
            reports_failures: false,
            max_concurrency: None,
            filters: Vec::new(),
        }
    }
}

/// Settings that only streams take; a queue's mapping refuses them.
const OF_STREAMS: &[(&str, &str)] = &[
    ("DestinationConfig", "destinationConfig"),
    ("BisectBatchOnFunctionError", "bisectBatchOnFunctionError"),
    ("MaximumRecordAgeInSeconds", "maximumRecordAgeInSeconds"),
    ("MaximumRetryAttempts", "maximumRetryAttempts"),
    ("ParallelizationFactor", "parallelizationFactor"),
    ("TumblingWindowInSeconds", "tumblingWindowInSeconds"),
];

/// Settings of AWS's that lab-sim would have to ignore.
const UNKNOWN: &[&str] = &["ProvisionedPollerConfig", "MetricsConfig", "KMSKeyArn"];

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new(400, "InvalidParameterValueException", message)
}

/// A value outside of the API's own bounds, which is refused before the service looks at it.
fn out_of_bounds(value: &Value, name: &str, bound: &str) -> ServiceError {
    let message = format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have value {bound}"
    );
    ServiceError::new(400, "ValidationException", message)
}

/// A number within `low..=high`; `None` when the request does not have it.
fn read_number(value: &Value, name: &str, low: u64, high: u64) -> Result<Option<u64>, ServiceError> {
    if value.is_null() {
        return Ok(None);
    }
    match value.as_u64() {
        Some(number) if number > high => Err(out_of_bounds(value, name, &format!("less than or equal to {high}"))),
        Some(number) if number >= low => Ok(Some(number)),
        _ => Err(out_of_bounds(value, name, &format!("greater than or equal to {low}"))),
    }
}

impl Settings {
    /// These settings with a request's changes. What the request leaves out stays.
    pub(crate) fn changed(&self, request: &Value, queue: &QueueRef) -> Result<Self, ServiceError> {
        refuse_foreign(request)?;
        let mut new = self.clone();
        if let Some(enabled) = request["Enabled"].as_bool() {
            new.enabled = enabled;
        }
        if let Some(size) = read_number(&request["BatchSize"], "batchSize", 1, 10_000)? {
            new.batch_size = usize::try_from(size).unwrap_or(usize::MAX);
        }
        let window = &request["MaximumBatchingWindowInSeconds"];
        if let Some(window) = read_number(window, "maximumBatchingWindowInSeconds", 0, 300)? {
            new.window = window;
        }
        if let Some(types) = request["FunctionResponseTypes"].as_array() {
            if types.iter().any(|kind| kind != "ReportBatchItemFailures") {
                let message = "1 validation error detected: Value at 'functionResponseTypes' failed to satisfy constraint: \
                               Member must satisfy enum value set: [ReportBatchItemFailures]";
                return Err(ServiceError::new(400, "ValidationException", message));
            }
            new.reports_failures = !types.is_empty();
        }
        if let Some(scaling) = request["ScalingConfig"].as_object() {
            // An empty one takes the bound away.
            let wanted = scaling.get("MaximumConcurrency").unwrap_or(&Value::Null);
            let wanted = read_number(wanted, "scalingConfig.maximumConcurrency", 2, 1000)?;
            new.max_concurrency = wanted.and_then(|wanted| u32::try_from(wanted).ok());
        }
        if let Some(criteria) = request["FilterCriteria"].as_object() {
            let filters = criteria.get("Filters").and_then(Value::as_array).into_iter().flatten();
            new.filters = filters.map(read_filter).collect::<Result<_, _>>()?;
        }
        new.check(queue)?;
        Ok(new)
    }

    fn check(&self, queue: &QueueRef) -> Result<(), ServiceError> {
        if queue.is_fifo() && self.batch_size > 10 {
            return Err(invalid("Batch size must be less than or equal to 10 for FIFO queues."));
        }
        if queue.is_fifo() && self.window > 0 {
            return Err(invalid("Batching window is not supported for FIFO queues"));
        }
        if self.batch_size > 10 && self.window == 0 {
            return Err(invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            ));
        }
        Ok(())
    }
}

fn read_filter(filter: &Value) -> Result<String, ServiceError> {
    let pattern = filter["Pattern"].as_str().unwrap_or_default();
    match serde_json::from_str::<Value>(pattern) {
        Ok(Value::Object(_)) => Ok(pattern.to_owned()),
        _ => Err(invalid(format!("Invalid filter pattern definition. Pattern: {pattern}"))),
    }
}

fn refuse_foreign(request: &Value) -> Result<(), ServiceError> {
    if request.get("StartingPosition").is_some() {
        return Err(invalid("StartingPosition is not valid for SQS event sources."));
    }
    let is_set = |name: &str| request.get(name).is_some_and(|value| !value.is_null());
    if let Some((_, name)) = OF_STREAMS.iter().find(|(name, _)| is_set(name)) {
        return Err(invalid(format!("Unsupported '{name}' parameter for given event source mapping type.")));
    }
    match UNKNOWN.iter().find(|name| is_set(name)) {
        Some(name) => Err(invalid(format!("lab-sim does not do {name}: leave it out to try the rest locally"))),
        None => Ok(()),
    }
}

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

/// Lambda refuses a queue whose messages would come back while the function still works on them.
pub(crate) fn check_visibility(queue_attributes: &Value, function_timeout: Duration) -> Result<(), ServiceError> {
    let visibility = visibility_timeout(queue_attributes);
    if visibility >= function_timeout {
        return Ok(());
    }
    Err(invalid(format!(
        "Queue visibility timeout: {} seconds is less than Function timeout: {} seconds",
        visibility.as_secs(),
        function_timeout.as_secs()
    )))
}

/// How long a received message is kept from others.
pub(crate) fn visibility_timeout(queue_attributes: &Value) -> Duration {
    let seconds = queue_attributes["VisibilityTimeout"].as_str().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueRef {
        QueueRef::from_arn(&format!("arn:aws:sqs:us-east-1:1:{name}")).expect("a queue")
    }

    fn refusal(request: &Value, queue: &QueueRef) -> (String, String) {
        let error = Settings::default().changed(request, queue).expect_err("refused");
        (error.code, error.message)
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let request = json!({ "BatchSize": 5, "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": { "MaximumConcurrency": 2 } });
        let settings = Settings::default().changed(&request, &queue("q")).expect("valid");
        let again = settings.changed(&json!({ "Enabled": false }), &queue("q")).expect("valid");
        assert_eq!(again, Settings { enabled: false, ..settings.clone() });
        let unbound = settings.changed(&json!({ "ScalingConfig": {} }), &queue("q")).expect("valid");
        assert_eq!(unbound.max_concurrency, None);
    }

    #[test]
    fn lambdas_rules_are_kept() {
        let (standard, fifo) = (queue("q"), queue("q.fifo"));
        for (request, queue, code, words) in [
            (json!({ "BatchSize": 11 }), &standard, "InvalidParameterValueException", "must be greater than 0"),
            (
                json!({ "BatchSize": 11, "MaximumBatchingWindowInSeconds": 1 }),
                &fifo,
                "InvalidParameterValueException",
                "FIFO",
            ),
            (json!({ "BatchSize": 0 }), &standard, "ValidationException", "greater than or equal to 1"),
            (
                json!({ "MaximumBatchingWindowInSeconds": 301 }),
                &standard,
                "ValidationException",
                "less than or equal to 300",
            ),
            (
                json!({ "ScalingConfig": { "MaximumConcurrency": 1 } }),
                &standard,
                "ValidationException",
                "'scalingConfig.maximumConcurrency'",
            ),
            (json!({ "DestinationConfig": {} }), &standard, "InvalidParameterValueException", "'destinationConfig'"),
            (json!({ "StartingPosition": "LATEST" }), &standard, "InvalidParameterValueException", "StartingPosition"),
        ] {
            let (found, message) = refusal(&request, queue);
            assert!(found == code && message.contains(words), "{request}: {found} {message}");
        }
    }

    #[test]
    fn a_queue_that_shows_messages_too_soon_is_refused() {
        let attributes = json!({ "VisibilityTimeout": "30" });
        assert!(check_visibility(&attributes, Duration::from_secs(30)).is_ok());
        let error = check_visibility(&attributes, Duration::from_mins(1)).expect_err("refused");
        assert_eq!(error.message, "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds");
    }
}
