//! `CloudWatch` metrics in the embedded metric format: lines of the log that `CloudWatch` turns into metrics, without a call.
//!
//! Source: `CloudWatch` user guide, "Specification: Embedded metric format".

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::outcome::Record;

const NAMESPACE: &str = "hybrid-lab";

/// The most values that one line may hold of one metric.
const MAX_VALUES: usize = 100;

/// How a metric is read off a record; `None` where the record has nothing to say about it.
type Read = fn(&Record) -> Option<f64>;

/// Each with its unit. A record that was skipped has read nothing, and must not pull an average down.
const MEASURED: [(&str, &str, Read); 7] = [
    ("Bytes", "Bytes", |record| positive(record.measured.bytes)),
    ("Pixels", "Count", |record| positive(record.measured.pixels)),
    ("MillisecondsRead", "Milliseconds", |record| milliseconds(record.measured.read)),
    ("MillisecondsDecode", "Milliseconds", |record| milliseconds(record.measured.made.decode)),
    ("MillisecondsResize", "Milliseconds", |record| milliseconds(record.measured.made.resize)),
    ("MillisecondsEncode", "Milliseconds", |record| milliseconds(record.measured.made.encode)),
    ("MillisecondsWrite", "Milliseconds", |record| milliseconds(record.measured.write)),
];

#[allow(clippy::cast_precision_loss, reason = "metrics are doubles")]
fn positive(number: u64) -> Option<f64> {
    (number > 0).then_some(number as f64)
}

fn milliseconds(duration: std::time::Duration) -> Option<f64> {
    // Microseconds are kept, and no more digits than that.
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    (micros > 0).then(|| f64::from(micros) / 1000.0)
}

/// The lines of one invocation: one for all its records (one for each hundred of them), and one for each reason of
/// failures. `strangers` are messages that were no event.
pub(crate) fn measure(function: &str, request_id: &str, records: &[Record], strangers: usize) -> Vec<Value> {
    let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in records.iter().filter_map(Record::failure) {
        *failures.entry(reason).or_default() += 1;
    }
    if strangers > 0 {
        failures.insert("not_an_event", strangers);
    }
    let stamp = Stamp { function, request_id, millis: now() };
    let mut lines: Vec<_> = records.chunks(MAX_VALUES).map(|records| stamp.measure_records(records)).collect();
    if lines.is_empty() && strangers > 0 {
        lines.push(stamp.measure_records(&[]));
    }
    if let (Some(first), true) = (lines.first_mut(), strangers > 0) {
        for name in ["Records", "Failures"] {
            first[name] = json!(first[name].as_u64().unwrap_or(0) + strangers as u64);
        }
    }
    lines.extend(failures.into_iter().map(|(reason, count)| stamp.count_failures(reason, count)));
    lines
}

/// What all lines of an invocation have in common.
struct Stamp<'a> {
    function: &'a str,
    request_id: &'a str,
    millis: u64,
}

impl Stamp<'_> {
    fn measure_records(&self, records: &[Record]) -> Value {
        let mut definitions = vec![json!({"Name": "Records", "Unit": "Count"})];
        let mut values = Map::new();
        values.insert("Records".to_owned(), records.len().into());
        for (name, unit, read) in MEASURED {
            let mut measured: Vec<_> = records.iter().filter_map(read).collect();
            let value = match measured.len() {
                0 => continue,
                1 => json!(measured.remove(0)),
                _ => json!(measured),
            };
            definitions.push(json!({"Name": name, "Unit": unit}));
            values.insert(name.to_owned(), value);
        }
        definitions.push(json!({"Name": "Failures", "Unit": "Count"}));
        let failed = records.iter().filter(|record| record.failure().is_some()).count();
        values.insert("Failures".to_owned(), failed.into());
        self.line(&json!(["FunctionName"]), &definitions, values)
    }

    fn count_failures(&self, reason: &str, count: usize) -> Value {
        let mut values = Map::new();
        values.insert("Failures".to_owned(), count.into());
        values.insert("Reason".to_owned(), reason.into());
        self.line(&json!(["FunctionName", "Reason"]), &[json!({"Name": "Failures", "Unit": "Count"})], values)
    }

    fn line(&self, dimensions: &Value, definitions: &[Value], values: Map<String, Value>) -> Value {
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions});
        let mut line = json!({
            "_aws": {"Timestamp": self.millis, "CloudWatchMetrics": [directive]},
            "FunctionName": self.function,
            "RequestId": self.request_id,
        });
        for (name, value) in values {
            line[name] = value;
        }
        line
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::{Measured, Outcome, Written};
    use crate::reason::Reason;

    /// The specification's rules, as far as a line can break them.
    #[track_caller]
    fn validate(line: &Value) {
        const UNITS: [&str; 4] = ["Count", "Bytes", "Milliseconds", "None"];
        let text = serde_json::to_string(line).unwrap();
        assert!(text.len() <= 256 * 1024 && !text.contains('\n'));
        let aws = line["_aws"].as_object().unwrap();
        assert!(aws.keys().all(|name| ["Timestamp", "CloudWatchMetrics"].contains(&name.as_str())));
        assert!(aws["Timestamp"].as_u64().unwrap() > 1_600_000_000_000);
        for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
            let directive = directive.as_object().unwrap();
            assert!(directive.keys().all(|name| ["Namespace", "Dimensions", "Metrics"].contains(&name.as_str())));
            assert!((1..=1024).contains(&directive["Namespace"].as_str().unwrap().len()));
            let sets = directive["Dimensions"].as_array().unwrap();
            assert!(!sets.is_empty());
            for name in sets.iter().flat_map(|set| set.as_array().unwrap()) {
                let value = line[name.as_str().unwrap()].as_str().expect("a dimension's value is a text");
                assert!((1..=1024).contains(&value.len()));
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()));
                let value = &line[metric["Name"].as_str().unwrap()];
                match value.as_array() {
                    Some(values) => assert!((1..=100).contains(&values.len()) && values.iter().all(Value::is_number)),
                    None => assert!(value.is_number(), "{metric} has no value"),
                }
            }
        }
    }

    fn record(outcome: Outcome, bytes: u64) -> Record {
        let mut measured =
            Measured { bytes, pixels: bytes * 10, read: Duration::from_micros(1234), ..Measured::default() };
        measured.made.decode = Duration::from_millis(bytes);
        Record { bucket: "in".into(), key: "k".into(), outcome, measured }
    }

    fn written() -> Outcome {
        Outcome::Written(vec![Written { key: "k".into(), bytes: 1 }])
    }

    #[test]
    fn an_invocation_is_one_line_and_one_for_each_reason() {
        let refused = || Outcome::Refused(Reason::WouldTriggerItself);
        let skipped = Record { measured: Measured::default(), ..record(Outcome::Skipped("done"), 0) };
        let records = [record(written(), 5), record(refused(), 7), record(refused(), 9), skipped];
        let lines = measure("f", "r", &records, 0);
        lines.iter().for_each(validate);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["Records"], 4);
        assert_eq!(lines[0]["Bytes"], json!([5.0, 7.0, 9.0]), "a skipped record has read nothing");
        assert_eq!(lines[0]["MillisecondsRead"][0], 1.234);
        assert_eq!(lines[0]["Failures"], 2);
        assert_eq!((&lines[1]["Failures"], &lines[1]["Reason"]), (&json!(2), &json!("would_trigger_itself")));
        assert_eq!(lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["FunctionName", "Reason"]]));
    }

    #[test]
    fn many_records_are_cut_into_lines_of_a_hundred() {
        let records: Vec<_> = (0..250).map(|at| record(written(), at + 1)).collect();
        let lines = measure("f", "r", &records, 0);
        lines.iter().for_each(validate);
        let counts: Vec<_> = lines.iter().map(|line| line["Records"].as_u64().unwrap()).collect();
        assert_eq!(counts, [100, 100, 50]);
    }

    #[test]
    fn what_is_no_event_is_counted() {
        let lines = measure("f", "r", &[], 3);
        lines.iter().for_each(validate);
        assert_eq!((&lines[0]["Records"], &lines[0]["Failures"]), (&json!(3), &json!(3)));
        assert_eq!(lines[1]["Reason"], "not_an_event");
        assert_eq!(measure("f", "r", &[], 0), Vec::<Value>::new());
    }
}
