//! A function's log lines, written to moto's `CloudWatch` Logs as Lambda writes them.

use serde_json::{Value, json};

use super::function::Function;
use super::metrics::put_metrics;
use crate::sim::Sim;

/// A log stream's name: date, version, and something unique.
pub(crate) fn new_stream_name() -> String {
    let date = jiff::Timestamp::now().strftime("%Y/%m/%d");
    format!("{date}/[$LATEST]{}", uuid::Uuid::new_v4().simple())
}

/// Makes the stream, and the group when it is missing: Lambda does so on first use.
pub(crate) async fn open_stream(sim: &Sim, function: &Function, stream: &str) {
    let group = &function.current().config.log_group;
    let region = &function.key.region;
    let names = json!({ "logGroupName": group, "logStreamName": stream });
    let made = sim.moto.json("logs", region, "Logs_20140328.CreateLogStream", &names).await;
    if made.status().is_success() || function.is_deleted() {
        return;
    }
    // What exists already answers an error, which is as good.
    sim.moto.json("logs", region, "Logs_20140328.CreateLogGroup", &json!({ "logGroupName": group })).await;
    sim.moto.json("logs", region, "Logs_20140328.CreateLogStream", &names).await;
}

/// Writes lines to a stream. A group that has been deleted meanwhile stays deleted.
pub(crate) async fn write_lines(sim: &Sim, function: &Function, stream: &str, lines: &[String]) {
    if lines.is_empty() || function.is_deleted() {
        return;
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let events: Vec<Value> =
        lines.iter().map(|line| json!({ "timestamp": now, "message": format!("{line}\n") })).collect();
    let group = &function.current().config.log_group;
    let body = json!({ "logGroupName": group, "logStreamName": stream, "logEvents": events });
    sim.moto.json("logs", &function.key.region, "Logs_20140328.PutLogEvents", &body).await;
    put_metrics(sim, &function.key.region, lines).await;
}
