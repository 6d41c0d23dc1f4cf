//! The settings of a mapping, and the rules that Lambda checks them by. Pure.

use std::time::Duration;

use serde_json::Value;

use crate::faults::answers::ServiceError;
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

pub(crate) fn invalid(message: impl Into<String>) -> ServiceError {
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
    use serde_json::json;

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
