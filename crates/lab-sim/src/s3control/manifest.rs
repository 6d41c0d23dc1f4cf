//! What a job works on: the rows of a manifest, or the objects that a generator finds.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::request::{Filter, Manifest, Source};
use crate::call::Answer;
use crate::sim::Sim;
use crate::xml::Element;

/// What stays as it is in a path, and in the key of a manifest.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// One object that a job works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) bucket: String,
    /// As it stands in the manifest: percent-encoded.
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

/// Why there are no tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestError {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

fn error(code: &'static str, reason: impl Into<String>) -> ManifestError {
    ManifestError { code, reason: reason.into() }
}

/// An object in moto, by its key as it is.
pub(crate) async fn ask_object(
    sim: &Sim,
    region: &str,
    method: Method,
    bucket: &str,
    key: &str,
    body: Bytes,
) -> Answer {
    let path = format!("/{bucket}/{}", utf8_percent_encode(key, PATH));
    sim.moto.rest("s3", region, method, &path, body).await
}

/// The object's MD5, as its `ETag` says it.
pub(crate) fn etag_of(answer: &Answer) -> String {
    let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default();
    etag.trim_matches('"').to_owned()
}

/// Finds the tasks of a job.
pub(crate) async fn find_tasks(sim: &Sim, region: &str, source: &Source) -> Result<Vec<Task>, ManifestError> {
    match source {
        Source::Manifest(manifest) => read_manifest(sim, region, manifest).await,
        Source::Generator { bucket, filter } => list_objects(sim, region, bucket, filter).await,
    }
}

async fn read_manifest(sim: &Sim, region: &str, manifest: &Manifest) -> Result<Vec<Task>, ManifestError> {
    let object = ask_object(sim, region, Method::GET, &manifest.bucket, &manifest.key, Bytes::new()).await;
    if !object.status().is_success() {
        return Err(error(
            "ManifestNotFound",
            "Error reading the manifest. Caused by: The specified key does not exist.",
        ));
    }
    let etag = etag_of(&object);
    if etag != manifest.etag {
        let reason = format!("Error reading the manifest. Caused by: ETag mismatch. Expected ETag: {}", manifest.etag);
        return Err(error("ManifestETagMismatch", reason));
    }
    let text = std::str::from_utf8(object.body())
        .map_err(|_| error("InvalidManifest", "Error reading the manifest. Caused by: it is not UTF-8."))?;
    parse_manifest(text, &manifest.fields)
}

/// Reads the rows of a manifest. All must be of one bucket.
pub(crate) fn parse_manifest(text: &str, fields: &[String]) -> Result<Vec<Task>, ManifestError> {
    let place = |name: &str| fields.iter().position(|field| field == name);
    let (bucket, key, version) = (place("Bucket"), place("Key"), place("VersionId"));
    let mut tasks = Vec::new();
    for (number, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
        let cells = split_row(row);
        let cell = |place: Option<usize>| place.and_then(|place| cells.get(place)).filter(|cell| !cell.is_empty());
        let (Some(bucket), Some(key)) = (cell(bucket), cell(key)) else {
            let reason = format!(
                "Error reading the manifest. Caused by: row {number} has not the fields {}.",
                fields.join(", ")
            );
            return Err(error("InvalidManifest", reason));
        };
        tasks.push(Task { bucket: bucket.clone(), key: key.clone(), version: cell(version).cloned() });
    }
    if tasks.iter().any(|task| task.bucket != tasks[0].bucket) {
        return Err(error("InvalidManifest", "Error reading the manifest. Caused by: it names more than one bucket."));
    }
    if tasks.is_empty() {
        return Err(error("InvalidManifest", "Error reading the manifest. Caused by: it is empty."));
    }
    Ok(tasks)
}

/// The cells of a CSV row; a quoted one may hold commas, and quotes that are doubled.
fn split_row(row: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut signs = row.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => cell.extend(signs.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            sign => cell.push(sign),
        }
    }
    cells.push(cell);
    cells
}

/// Every object of the bucket that the filter lets through.
async fn list_objects(sim: &Sim, region: &str, bucket: &str, filter: &Filter) -> Result<Vec<Task>, ManifestError> {
    let mut tasks = Vec::new();
    let mut token = String::new();
    loop {
        let more = if token.is_empty() {
            String::new()
        } else {
            format!("&continuation-token={}", utf8_percent_encode(&token, NON_ALPHANUMERIC))
        };
        let path = format!("/{bucket}?list-type=2{more}");
        let page = sim.moto.rest("s3", region, Method::GET, &path, Bytes::new()).await;
        let root = page.status().is_success().then(|| Element::parse(page.body())).flatten().ok_or_else(|| {
            error("ManifestGenerationFailure", format!("The objects of {bucket} cannot be listed: {}", page.status()))
        })?;
        for object in root.elements().filter(|element| element.name == "Contents") {
            let text = |name: &str| object.child_text(name).unwrap_or_default();
            if filter.passes(
                &text("Key"),
                text("Size").parse().unwrap_or(0),
                &text("LastModified"),
                &text("StorageClass"),
            ) {
                let key = utf8_percent_encode(&text("Key"), PATH).to_string();
                tasks.push(Task { bucket: bucket.to_owned(), key, version: None });
            }
        }
        token = root.child_text("NextContinuationToken").unwrap_or_default();
        if token.is_empty() {
            return Ok(tasks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn rows_are_read_by_their_fields() {
        let text = "in,a%20b.png\r\n\"in\",\"c,d\"\"e\",v1\n\nin,plus+sign\n";
        let tasks = parse_manifest(text, &fields(&["Bucket", "Key", "VersionId"])).expect("rows");
        assert_eq!(tasks.len(), 3);
        assert_eq!(tasks[0].key, "a%20b.png", "as it stands there");
        assert_eq!((tasks[1].key.as_str(), tasks[1].version.as_deref()), ("c,d\"e", Some("v1")));
        let ignored = parse_manifest("k,in,x\n", &fields(&["Key", "Bucket", "Ignore"])).expect("rows");
        assert_eq!((ignored[0].bucket.as_str(), ignored[0].key.as_str()), ("in", "k"));
    }

    #[test]
    fn a_manifest_without_keys_or_of_two_buckets_is_refused() {
        let reason = |text: &str| parse_manifest(text, &fields(&["Bucket", "Key"])).expect_err("refused").reason;
        assert!(reason("in\n").contains("row 1"));
        assert!(reason("in,a\nout,b\n").contains("more than one bucket"));
        assert!(reason("\n").contains("empty"));
    }
}
