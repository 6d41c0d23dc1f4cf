//! A job's report, in the form of the S3 user guide, "Examples: S3 Batch Operations completion reports".

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::manifest::{Task, ask_object, etag_of};
use super::request::ReportPlace;
use crate::sim::Sim;

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskEnd {
    pub(crate) task: Task,
    /// `None` when it succeeded, else `PermanentFailure` or `TemporaryFailure`.
    pub(crate) failure: Option<&'static str>,
    pub(crate) message: String,
}

/// The order of the columns, as a report's manifest says it. AWS's own rows have the status before the error's code, and so
/// have these.
const SCHEMA: &str = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage";

/// Writes the report: a file for each kind of end, and a manifest that names them.
pub(crate) async fn write_report(sim: &Sim, region: &str, job: &str, place: &ReportPlace, ends: &[TaskEnd]) {
    let root = if place.prefix.is_empty() { format!("job-{job}") } else { format!("{}/job-{job}", place.prefix) };
    let mut results = Vec::new();
    for (name, failed) in [("succeeded", false), ("failed", true)] {
        let ends: Vec<&TaskEnd> = ends.iter().filter(|end| end.failure.is_some() == failed).collect();
        if ends.is_empty() || (place.failed_only && !failed) {
            continue;
        }
        // Real names are hashes; nobody can know them beforehand either way.
        let key = format!("{root}/results/{}.csv", uuid::Uuid::new_v4().simple());
        let text: String = ends.iter().map(|end| make_row(end, name)).collect();
        let put = ask_object(sim, region, Method::PUT, &place.bucket, &key, Bytes::from(text)).await;
        results.push(json!({
            "TaskExecutionStatus": name,
            "Bucket": place.bucket,
            "MD5Checksum": etag_of(&put),
            "Key": key,
        }));
    }
    let manifest = make_manifest(&results).to_string();
    let key = format!("{root}/manifest.json");
    let put = ask_object(sim, region, Method::PUT, &place.bucket, &key, Bytes::from(manifest)).await;
    let checksum = Bytes::from(etag_of(&put));
    ask_object(sim, region, Method::PUT, &place.bucket, &format!("{key}.md5"), checksum).await;
}

fn make_manifest(results: &[Value]) -> Value {
    json!({
        "Format": "Report_CSV_20180820",
        "ReportCreationDate": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "Results": results,
        "ReportSchema": SCHEMA,
    })
}

fn make_row(end: &TaskEnd, status: &str) -> String {
    let message =
        if end.message.is_empty() { String::new() } else { format!("\"{}\"", end.message.replace('"', "\"\"")) };
    let version = end.task.version.as_deref().unwrap_or_default();
    let code = end.failure.unwrap_or_default();
    format!("{},{},{version},{status},200,{code},{message}\n", end.task.bucket, quote(&end.task.key))
}

/// A key that holds what divides cells is quoted.
fn quote(key: &str) -> String {
    if key.contains([',', '"']) { format!("\"{}\"", key.replace('"', "\"\"")) } else { key.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_look_like_aws_own() {
        let task = Task { bucket: "in".to_owned(), key: "a%20b.png".to_owned(), version: None };
        let end = TaskEnd { task, failure: Some("PermanentFailure"), message: r#"said {"no": 1}"#.to_owned() };
        assert_eq!(make_row(&end, "failed"), "in,a%20b.png,,failed,200,PermanentFailure,\"said {\"\"no\"\": 1}\"\n");
        let end = TaskEnd { failure: None, message: String::new(), ..end };
        assert_eq!(make_row(&end, "succeeded"), "in,a%20b.png,,succeeded,200,,\n");
    }
}
