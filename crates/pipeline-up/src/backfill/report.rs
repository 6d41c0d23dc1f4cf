//! A job's report on the objects that failed, and what it says together.

use std::collections::BTreeMap;

use lab_plan::Problem;
use serde::Deserialize;
use serde_json::Value;

use super::FOLDER;
use crate::clients::Clients;
use crate::error::none_if;
use crate::want::Want;

/// Where a job says which files its report has (S3 user guide, "Examples: S3 Batch Operations completion reports").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    #[serde(default)]
    results: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    #[serde(default)]
    task_execution_status: String,
    key: String,
}

/// Where a job's report is.
pub(super) fn report_folder(want: &Want, job: &str) -> String {
    format!("s3://{}/{FOLDER}reports/job-{job}/", want.buckets.output)
}

/// Why objects failed, and how many for each reason; nothing where the job has no report.
pub(super) async fn read_report(clients: &Clients, want: &Want, job: &str) -> Result<BTreeMap<String, u64>, Problem> {
    let key = format!("{FOLDER}reports/job-{job}/manifest.json");
    let mut reasons = BTreeMap::new();
    let Some(manifest) = read_text(clients, &want.buckets.output, &key).await? else { return Ok(reasons) };
    let manifest: Manifest = serde_json::from_str(&manifest).map_err(|error| {
        Problem::failed(format!("the job's report {key} cannot be read")).because(error.to_string())
    })?;
    for part in manifest.results.iter().filter(|part| part.task_execution_status != "succeeded") {
        if let Some(rows) = read_text(clients, &want.buckets.output, &part.key).await? {
            count_reasons(&rows, &mut reasons);
        }
    }
    Ok(reasons)
}

async fn read_text(clients: &Clients, bucket: &str, key: &str) -> Result<Option<String>, Problem> {
    let answer = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let Some(found) = none_if("GetObject", &["NoSuchKey"], answer)? else { return Ok(None) };
    let bytes =
        found.body.collect().await.map_err(|error| {
            Problem::failed(format!("s3://{bucket}/{key} cannot be read")).because(error.to_string())
        })?;
    Ok(Some(String::from_utf8_lossy(&bytes.into_bytes()).into_owned()))
}

/// A row has bucket, key, version, status, error code, HTTP status and message. AWS's samples show the error code and the
/// HTTP status in either order.
fn count_reasons(rows: &str, reasons: &mut BTreeMap<String, u64>) {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(rows.as_bytes());
    for row in reader.records().filter_map(Result::ok) {
        let field = |n: usize| row.get(n).unwrap_or_default();
        if field(3).eq_ignore_ascii_case("failed") {
            let code = [field(4), field(5)].into_iter().find(|word| !word.is_empty() && word.parse::<u16>().is_err());
            let code = code.unwrap_or_default();
            *reasons.entry(read_reason(code, field(6))).or_default() += 1;
        }
    }
}

/// The kind of failure: the message differs with every object.
fn read_reason(code: &str, message: &str) -> String {
    let parsed: Value = serde_json::from_str(message).unwrap_or_default();
    let named = ["reason", "errorType"].iter().find_map(|field| parsed.get(field).and_then(Value::as_str));
    let named = named.or_else(|| {
        let word = message.split([':', ' ', '{']).next().unwrap_or_default();
        let is_a_name = word.len() > 2 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        is_a_name.then_some(word)
    });
    match (code, named) {
        ("", None) => "no reason is told".to_owned(),
        ("", Some(named)) => named.to_owned(),
        (code, None) => code.to_owned(),
        (code, Some(named)) if code == named => named.to_owned(),
        (code, Some(named)) => format!("{code}: {named}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rows: &str) -> Vec<(String, u64)> {
        let mut reasons = BTreeMap::new();
        count_reasons(rows, &mut reasons);
        reasons.into_iter().collect()
    }

    #[test]
    fn failures_are_counted_by_what_they_have_in_common() {
        let rows = "in,a.jpg,,failed,,PermanentFailure,\"too-many-pixels: 30000x30000 pixels\"\n\
                    in,b.jpg,,failed,PermanentFailure,200,\"too-many-pixels: 40000x30000 pixels\"\n\
                    in,c.jpg,,failed,PermanentFailure,200,\"{\"\"reason\"\":\"\"truncated\"\"}\"\n\
                    in,d.jpg,,failed,200,PermanentFailure,\"too-many-pixels: 50000x30000 pixels\"\n\
                    in,e.jpg,,failed,,,\"too-many-pixels: 50000x40000 pixels\"\n\
                    in,f.jpg,,succeeded,,200,done\n";
        let expected =
            [("PermanentFailure: too-many-pixels", 3), ("PermanentFailure: truncated", 1), ("too-many-pixels", 1)];
        assert_eq!(count(rows), expected.map(|(reason, count)| (reason.to_owned(), count)));
    }

    #[test]
    fn a_row_of_another_shape_is_no_reason_to_fail() {
        assert_eq!(count("nonsense\n\n"), []);
    }
}
