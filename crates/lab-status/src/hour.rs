//! What the function did in the last hour, as its metrics tell it: how many records, what failed and why, and how long the
//! stages took. The metrics are the function's own, from its log (`CloudWatch` user guide, "Embedded metric format").

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_config::SdkConfig;
use jiff::Timestamp;
use lab_common::{JsonService, call_json};
use lab_plan::Problem;
use serde::Serialize;
use serde_json::{Value, json};

/// Where the metrics are asked for. Its SDK would carry a second HTTP stack for two calls.
const CLOUDWATCH: JsonService = JsonService {
    name: "monitoring",
    variable: "AWS_ENDPOINT_URL_CLOUDWATCH",
    target: "GraniteServiceVersion20100801",
};
/// The namespace that the function writes to.
const NAMESPACE: &str = "hybrid-lab";
/// The stages of one record, in their order, with their metrics.
const STAGES: [(&str, &str); 5] = [
    ("read", "MillisecondsRead"),
    ("decode", "MillisecondsDecode"),
    ("resize", "MillisecondsResize"),
    ("encode", "MillisecondsEncode"),
    ("write", "MillisecondsWrite"),
];
const HOUR: i64 = 3600;

/// The last hour of a function.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Hour {
    pub(crate) function: String,
    pub(crate) records: f64,
    pub(crate) failures: f64,
    /// How many failed for each reason.
    pub(crate) reasons: BTreeMap<String, f64>,
    pub(crate) ms: BTreeMap<&'static str, Spread>,
}

/// How long a stage took, in milliseconds: for half of the records no longer, and for 99 of 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Asks for it. AWS takes $0.01 for 1,000 metrics, of which this is about a dozen.
///
/// # Errors
/// Why it cannot be told.
pub(crate) async fn look(sdk: &SdkConfig, function: &str, now: Timestamp) -> Result<Hour, Problem> {
    let listed = call_json(sdk, &CLOUDWATCH, "ListMetrics", &list_reasons(function)).await?;
    let reasons = read_reasons(&listed);
    let data = call_json(sdk, &CLOUDWATCH, "GetMetricData", &ask(function, &reasons, now)).await?;
    Ok(read(function, &reasons, &data))
}

fn list_reasons(function: &str) -> Value {
    json!({
        "Namespace": NAMESPACE, "MetricName": "Failures",
        "Dimensions": [{"Name": "FunctionName", "Value": function}, {"Name": "Reason"}]
    })
}

fn read_reasons(listed: &Value) -> Vec<String> {
    let metrics = listed["Metrics"].as_array().into_iter().flatten();
    let dimensions = metrics.flat_map(|metric| metric["Dimensions"].as_array().into_iter().flatten());
    let reasons = dimensions.filter(|dimension| dimension["Name"] == "Reason").filter_map(|it| it["Value"].as_str());
    let mut reasons: Vec<_> = reasons.map(str::to_owned).collect();
    reasons.sort();
    reasons.dedup();
    // One call asks for 500 metrics at most; the function knows far fewer reasons.
    reasons.truncate(400);
    reasons
}

fn ask(function: &str, reasons: &[String], now: Timestamp) -> Value {
    let query = |id: String, metric: &str, stat: &str, reason: Option<&str>| {
        let mut dimensions = vec![json!({"Name": "FunctionName", "Value": function})];
        dimensions.extend(reason.map(|reason| json!({"Name": "Reason", "Value": reason})));
        let metric = json!({"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions});
        json!({"Id": id, "MetricStat": {"Metric": metric, "Period": HOUR, "Stat": stat}})
    };
    let mut queries =
        vec![query("records".into(), "Records", "Sum", None), query("failures".into(), "Failures", "Sum", None)];
    for (n, reason) in reasons.iter().enumerate() {
        queries.push(query(format!("reason{n}"), "Failures", "Sum", Some(reason)));
    }
    for (stage, metric) in STAGES {
        for stat in ["p50", "p99"] {
            queries.push(query(format!("{stage}_{stat}"), metric, stat, None));
        }
    }
    // Whole minutes, so that the hour is one period.
    let end = now.as_second() / 60 * 60 + 60;
    json!({"StartTime": end - HOUR, "EndTime": end, "MetricDataQueries": queries})
}

fn read(function: &str, reasons: &[String], data: &Value) -> Hour {
    let results = data["MetricDataResults"].as_array().map_or(&[][..], Vec::as_slice);
    let values = |id: &str| -> Vec<f64> {
        let of_it = results.iter().filter(|result| result["Id"] == id);
        of_it.flat_map(|result| result["Values"].as_array().into_iter().flatten().filter_map(Value::as_f64)).collect()
    };
    let sum = |id: &str| values(id).iter().sum::<f64>();
    // Where AWS cuts the hour in two, the slower part is told.
    let most = |id: &str| values(id).into_iter().reduce(f64::max);
    let spread = |stage: &str| {
        let (p50, p99) = (most(&format!("{stage}_p50"))?, most(&format!("{stage}_p99"))?);
        Some(Spread { p50, p99 })
    };
    let counted = reasons.iter().enumerate().map(|(n, reason)| (reason.clone(), sum(&format!("reason{n}"))));
    Hour {
        function: function.to_owned(),
        records: sum("records"),
        failures: sum("failures"),
        reasons: counted.filter(|(_, count)| *count > 0.0).collect(),
        ms: STAGES.iter().filter_map(|(stage, _)| Some((*stage, spread(stage)?))).collect(),
    }
}

/// A line; nothing where nothing was done.
pub(crate) fn show(hour: &Hour) -> Option<String> {
    let Hour { function, records, failures, reasons, ms } = hour;
    if *records <= 0.0 && *failures <= 0.0 {
        return None;
    }
    let mut line =
        format!("{function}, last hour: {records} record{}", if (*records - 1.0).abs() < 0.5 { "" } else { "s" });
    let _ = write!(line, ", {failures} failed");
    if !reasons.is_empty() {
        let reasons: Vec<_> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let _ = write!(line, " ({})", reasons.join(", "));
    }
    let spread = |(stage, _): &(&'static str, &str)| {
        ms.get(stage).map(|spread| format!("{stage} {:.0}/{:.0}", spread.p50, spread.p99))
    };
    let spreads: Vec<_> = STAGES.iter().filter_map(spread).collect();
    if !spreads.is_empty() {
        let _ = write!(line, "; ms p50/p99: {}", spreads.join(", "));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: &str, values: &[f64]) -> Value {
        json!({"Id": id, "Label": id, "Values": values, "StatusCode": "Complete"})
    }

    #[test]
    fn an_hour_is_told_with_reasons_and_stages() {
        let reasons = vec!["too_many_pixels".to_owned(), "truncated".to_owned()];
        let data = json!({"MetricDataResults": [
            result("records", &[1000.0, 204.0]), result("failures", &[3.0]), result("reason0", &[3.0]),
            result("reason1", &[]), result("decode_p50", &[35.2]), result("decode_p99", &[110.0, 120.4]),
            result("read_p50", &[]), result("read_p99", &[]),
        ]});
        let hour = read("lab-lambda-function", &reasons, &data);
        assert_eq!(
            show(&hour).unwrap(),
            "lab-lambda-function, last hour: 1204 records, 3 failed (too_many_pixels 3); ms p50/p99: decode 35/120"
        );
    }

    #[test]
    fn an_hour_of_nothing_is_no_line() {
        let hour = read("f", &[], &json!({"MetricDataResults": [result("records", &[]), result("failures", &[])]}));
        assert_eq!(show(&hour), None);
        assert!(hour.records.abs() < 1e-9);
    }

    #[test]
    fn the_whole_of_an_hour_is_asked_for_once_for_each_metric() {
        let now: Timestamp = "2026-11-20T12:34:56Z".parse().unwrap();
        let asked = ask("f", &["truncated".to_owned()], now);
        assert_eq!(asked["EndTime"].as_i64().unwrap() - asked["StartTime"].as_i64().unwrap(), 3600);
        assert!(asked["EndTime"].as_i64().unwrap() >= now.as_second());
        let ids: Vec<_> = asked["MetricDataQueries"].as_array().unwrap().iter().map(|it| it["Id"].clone()).collect();
        assert_eq!(ids.len(), 13);
        let reason = &asked["MetricDataQueries"][2]["MetricStat"]["Metric"]["Dimensions"][1];
        assert_eq!(*reason, json!({"Name": "Reason", "Value": "truncated"}));
    }

    #[test]
    fn reasons_are_listed_once() {
        let metric = |reason: &str| json!({"Dimensions": [{"Name": "Reason", "Value": reason}, {"Name": "FunctionName", "Value": "f"}]});
        let listed = json!({"Metrics": [metric("b"), metric("a"), metric("b")]});
        assert_eq!(read_reasons(&listed), ["a", "b"]);
        assert_eq!(read_reasons(&json!({})), Vec::<String>::new());
    }
}
