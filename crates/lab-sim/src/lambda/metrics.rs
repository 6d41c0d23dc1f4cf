//! Metrics in log lines, as `CloudWatch` Logs takes them out of what functions print (`CloudWatch` user guide, "Specification:
//! Embedded metric format"). Pure, but for the call to moto.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::Sim;

/// The most dimensions that a set may have.
const MAX_DIMENSIONS: usize = 30;

/// Puts the metrics of log lines into moto's `CloudWatch`.
pub(crate) async fn put_metrics(sim: &Sim, region: &str, lines: &[String]) {
    let mut data: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (namespace, datum) in lines.iter().flat_map(|line| read_metrics(line)) {
        data.entry(namespace).or_default().push(datum);
    }
    for (namespace, data) in data {
        for data in data.chunks(1000) {
            let body = json!({ "Namespace": namespace, "MetricData": data });
            sim.moto.json("monitoring", region, "GraniteServiceVersion20100801.PutMetricData", &body).await;
        }
    }
}

/// The namespace and the datum of each metric in a line; none where the line is no JSON with metrics.
fn read_metrics(line: &str) -> Vec<(String, Value)> {
    let Some(root) = line.contains("\"_aws\"").then(|| serde_json::from_str::<Value>(line).ok()).flatten() else {
        return Vec::new();
    };
    let seconds = root["_aws"]["Timestamp"].as_f64().map(|milliseconds| milliseconds / 1000.0);
    let Some(seconds) = seconds else { return Vec::new() };
    let directives = root["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten();
    directives.flat_map(|directive| read_directive(&root, directive, seconds)).collect()
}

fn read_directive(root: &Value, directive: &Value, seconds: f64) -> Vec<(String, Value)> {
    let Some(namespace) = directive["Namespace"].as_str() else { return Vec::new() };
    let sets: Vec<Vec<Value>> =
        directive["Dimensions"].as_array().into_iter().flatten().filter_map(|set| read_dimensions(root, set)).collect();
    let mut found = Vec::new();
    for metric in directive["Metrics"].as_array().into_iter().flatten() {
        let Some(name) = metric["Name"].as_str() else { continue };
        let values: Vec<f64> = match &root[name] {
            Value::Array(values) => values.iter().filter_map(Value::as_f64).collect(),
            value => value.as_f64().into_iter().collect(),
        };
        if values.is_empty() {
            continue;
        }
        for dimensions in &sets {
            let mut datum = json!({ "MetricName": name, "Dimensions": dimensions, "Timestamp": seconds,
                "Unit": metric["Unit"].as_str().unwrap_or("None") });
            match values.as_slice() {
                [value] => datum["Value"] = json!(value),
                values => {
                    datum["Values"] = json!(values);
                    datum["Counts"] = json!(vec![1.0; values.len()]);
                }
            }
            found.push((namespace.to_owned(), datum));
        }
    }
    found
}

/// The dimensions of a set; `None` when the line does not give each of them a text.
fn read_dimensions(root: &Value, set: &Value) -> Option<Vec<Value>> {
    let names = set.as_array()?;
    if names.len() > MAX_DIMENSIONS {
        return None;
    }
    names.iter().map(|name| Some(json!({ "Name": name, "Value": root[name.as_str()?].as_str()? }))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_put_under_each_set_of_dimensions() {
        let line = json!({
            "_aws": { "Timestamp": 1_767_225_600_500_u64, "CloudWatchMetrics": [{
                "Namespace": "hybrid-lab",
                "Dimensions": [["FunctionName"], ["FunctionName", "Reason"], ["Missing"]],
                "Metrics": [{ "Name": "Bytes", "Unit": "Bytes" }, { "Name": "Decode" }, { "Name": "Absent" }],
            }] },
            "FunctionName": "echo", "Reason": "truncated", "Bytes": 7, "Decode": [1.5, 2.5],
        });
        let found = read_metrics(&line.to_string());
        assert_eq!(found.len(), 4, "two metrics, two sets: {found:?}");
        let (namespace, datum) = &found[0];
        assert_eq!((namespace.as_str(), &datum["Value"], &datum["Unit"]), ("hybrid-lab", &json!(7.0), &json!("Bytes")));
        assert_eq!(datum["Timestamp"], json!(1_767_225_600.5));
        assert_eq!(datum["Dimensions"], json!([{ "Name": "FunctionName", "Value": "echo" }]));
        assert_eq!((&found[2].1["Values"], &found[2].1["Counts"]), (&json!([1.5, 2.5]), &json!([1.0, 1.0])));
    }

    #[test]
    fn other_lines_hold_no_metrics() {
        for line in
            ["", "START RequestId", r#"{"_aws":7}"#, r#"{"_aws":{"CloudWatchMetrics":[{}]}}"#, r#"{"a":"_aws"}"#]
        {
            assert!(read_metrics(line).is_empty(), "{line}");
        }
    }
}
