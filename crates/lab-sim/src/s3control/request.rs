//! A request for a job, read and checked by the rules of the API reference, `CreateJob`. Pure.

use crate::faults::answers::ServiceError;
use crate::xml::Element;

/// The function's part of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) function_arn: String,
    /// `1.0` or `2.0`.
    pub(crate) schema: String,
    pub(crate) arguments: Vec<(String, String)>,
}

/// A manifest in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) fields: Vec<String>,
}

/// Where the objects of a job come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Manifest(Manifest),
    Generator { bucket: String, filter: Filter },
}

/// Which objects a generator takes. An empty list lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    prefixes: Vec<String>,
    suffixes: Vec<String>,
    substrings: Vec<String>,
    larger_than: Option<u64>,
    smaller_than: Option<u64>,
    after: Option<jiff::Timestamp>,
    before: Option<jiff::Timestamp>,
    storage_classes: Vec<String>,
}

/// Where the report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportPlace {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) failed_only: bool,
}

/// What a job is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobRequest {
    pub(crate) token: String,
    pub(crate) operation: Operation,
    pub(crate) source: Source,
    pub(crate) report: Option<ReportPlace>,
    pub(crate) priority: u32,
    pub(crate) needs_confirmation: bool,
    pub(crate) tags: Vec<Element>,
    /// What `DescribeJob` shows as it came.
    pub(crate) shown: Vec<Element>,
}

/// The parts of a request that a description repeats.
const SHOWN: &[&str] = &["Description", "Manifest", "ManifestGenerator", "Operation", "Report", "RoleArn"];

pub(crate) fn bad_request(message: impl Into<String>) -> ServiceError {
    ServiceError::new(400, "BadRequestException", message)
}

fn text(element: &Element, path: &[&str]) -> String {
    element.descend(path).map(Element::text).unwrap_or_default()
}

/// The members of a list.
fn members(element: &Element, path: &[&str]) -> Vec<Element> {
    element.descend(path).into_iter().flat_map(Element::elements).cloned().collect()
}

fn texts(element: &Element, path: &[&str]) -> Vec<String> {
    members(element, path).iter().map(Element::text).collect()
}

/// The name in `arn:aws:s3:::NAME`.
fn bucket_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:aws:s3:::").filter(|bucket| !bucket.is_empty() && !bucket.contains('/'))
}

impl JobRequest {
    /// Reads the document of a request.
    pub(crate) fn read(root: &Element) -> Result<Self, ServiceError> {
        let priority = text(root, &["Priority"]);
        let role = text(root, &["RoleArn"]);
        if !role.starts_with("arn:aws:iam::") {
            return Err(bad_request("RoleArn is not the ARN of a role"));
        }
        let token = text(root, &["ClientRequestToken"]);
        if token.is_empty() {
            return Err(bad_request("ClientRequestToken is missing"));
        }
        Ok(Self {
            token,
            operation: read_operation(root)?,
            source: read_source(root)?,
            report: read_report(root)?,
            priority: parse_priority(&priority)?,
            // Where it is missing, S3 asks for one, whatever its API's model says (aws/aws-sdk-go-v2, issue 1814).
            needs_confirmation: text(root, &["ConfirmationRequired"]) != "false",
            tags: members(root, &["Tags"]),
            shown: root.elements().filter(|element| SHOWN.contains(&element.name.as_str())).cloned().collect(),
        })
    }
}

pub(crate) fn parse_priority(text: &str) -> Result<u32, ServiceError> {
    text.parse::<i32>()
        .ok()
        .and_then(|priority| u32::try_from(priority).ok())
        .ok_or_else(|| bad_request("Priority must be a number from 0 to 2147483647"))
}

fn read_operation(root: &Element) -> Result<Operation, ServiceError> {
    let operation = root.child("Operation").ok_or_else(|| bad_request("Operation is missing"))?;
    let Some(invoke) = operation.child("LambdaInvoke") else {
        let name = operation.elements().next().map(|element| element.name.clone()).unwrap_or_default();
        return Err(bad_request(format!("lab-sim's jobs do LambdaInvoke, not {name}")));
    };
    let function_arn = text(invoke, &["FunctionArn"]);
    if !function_arn.starts_with("arn:aws:lambda:") {
        return Err(bad_request("FunctionArn is not the ARN of a function"));
    }
    let schema = Some(text(invoke, &["InvocationSchemaVersion"])).filter(|version| !version.is_empty());
    let schema = schema.unwrap_or_else(|| "1.0".to_owned());
    if !["1.0", "2.0"].contains(&schema.as_str()) {
        return Err(bad_request("InvocationSchemaVersion must be 1.0 or 2.0"));
    }
    let entries = members(invoke, &["UserArguments"]);
    let arguments: Vec<_> = entries.iter().map(|entry| (text(entry, &["key"]), text(entry, &["value"]))).collect();
    if !arguments.is_empty() && schema == "1.0" {
        return Err(bad_request("UserArguments need InvocationSchemaVersion 2.0"));
    }
    if arguments.len() > 10 {
        return Err(bad_request("There may be at most 10 UserArguments"));
    }
    Ok(Operation { function_arn, schema, arguments })
}

fn read_source(root: &Element) -> Result<Source, ServiceError> {
    match (root.child("Manifest"), root.descend(&["ManifestGenerator", "S3JobManifestGenerator"])) {
        (Some(manifest), None) => read_manifest(manifest),
        (None, Some(generator)) => read_generator(generator),
        _ => Err(bad_request("Either a Manifest or a ManifestGenerator is needed")),
    }
}

fn read_manifest(manifest: &Element) -> Result<Source, ServiceError> {
    let format = text(manifest, &["Spec", "Format"]);
    if format != "S3BatchOperations_CSV_20180820" {
        return Err(bad_request(format!(
            "lab-sim reads manifests of the format S3BatchOperations_CSV_20180820, not {format}"
        )));
    }
    let fields = texts(manifest, &["Spec", "Fields"]);
    if !["Bucket", "Key"].iter().all(|name| fields.iter().any(|field| field == name)) {
        return Err(bad_request("The manifest's Fields must name Bucket and Key"));
    }
    let arn = text(manifest, &["Location", "ObjectArn"]);
    let object = arn.strip_prefix("arn:aws:s3:::").and_then(|object| object.split_once('/'));
    let (bucket, key) = object.ok_or_else(|| bad_request("The manifest's ObjectArn is not the ARN of an object"))?;
    let etag = text(manifest, &["Location", "ETag"]).trim_matches('"').to_owned();
    if etag.is_empty() {
        return Err(bad_request("The manifest's ETag is missing"));
    }
    Ok(Source::Manifest(Manifest { bucket: bucket.to_owned(), key: key.to_owned(), etag, fields }))
}

fn read_generator(generator: &Element) -> Result<Source, ServiceError> {
    if text(generator, &["EnableManifestOutput"]) == "true" {
        return Err(bad_request("lab-sim does not write generated manifests: EnableManifestOutput must be false"));
    }
    let arn = text(generator, &["SourceBucket"]);
    let bucket = bucket_of(&arn).ok_or_else(|| bad_request("SourceBucket is not the ARN of a bucket"))?;
    let filter = match generator.child("Filter") {
        Some(filter) => Filter::read(filter)?,
        None => Filter::default(),
    };
    Ok(Source::Generator { bucket: bucket.to_owned(), filter })
}

fn read_report(root: &Element) -> Result<Option<ReportPlace>, ServiceError> {
    let report = root.child("Report").ok_or_else(|| bad_request("Report is missing"))?;
    if text(report, &["Enabled"]) != "true" {
        return Ok(None);
    }
    let arn = text(report, &["Bucket"]);
    let bucket = bucket_of(&arn).ok_or_else(|| bad_request("The report's Bucket is not the ARN of a bucket"))?;
    if text(report, &["Format"]) != "Report_CSV_20180820" {
        return Err(bad_request("The report's Format must be Report_CSV_20180820"));
    }
    let failed_only = match text(report, &["ReportScope"]).as_str() {
        "AllTasks" => false,
        "FailedTasksOnly" => true,
        _ => return Err(bad_request("The report's ReportScope must be AllTasks or FailedTasksOnly")),
    };
    let prefix = text(report, &["Prefix"]).trim_end_matches('/').to_owned();
    Ok(Some(ReportPlace { bucket: bucket.to_owned(), prefix, failed_only }))
}

impl Filter {
    fn read(filter: &Element) -> Result<Self, ServiceError> {
        for name in ["EligibleForReplication", "ObjectReplicationStatuses", "MatchAnyObjectEncryption"] {
            if filter.child(name).is_some() {
                return Err(bad_request(format!("lab-sim's generator does not filter by {name}")));
            }
        }
        let time = |name: &str| filter.child_text(name).and_then(|time| time.parse().ok());
        let names = |name: &str| texts(filter, &["KeyNameConstraint", name]);
        Ok(Self {
            prefixes: names("MatchAnyPrefix"),
            suffixes: names("MatchAnySuffix"),
            substrings: names("MatchAnySubstring"),
            larger_than: filter.child_text("ObjectSizeGreaterThanBytes").and_then(|size| size.parse().ok()),
            smaller_than: filter.child_text("ObjectSizeLessThanBytes").and_then(|size| size.parse().ok()),
            after: time("CreatedAfter"),
            before: time("CreatedBefore"),
            storage_classes: texts(filter, &["MatchAnyStorageClass"]),
        })
    }

    /// Whether an object is taken: its key, size in bytes, time and storage class.
    pub(crate) fn passes(&self, key: &str, size: u64, modified: &str, class: &str) -> bool {
        let any =
            |wanted: &[String], test: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|it| test(it));
        let modified = modified.parse::<jiff::Timestamp>().ok();
        any(&self.prefixes, &|prefix| key.starts_with(prefix))
            && any(&self.suffixes, &|suffix| key.ends_with(suffix))
            && any(&self.substrings, &|part| key.contains(part))
            && any(&self.storage_classes, &|wanted| wanted == class)
            && self.larger_than.is_none_or(|bound| size > bound)
            && self.smaller_than.is_none_or(|bound| size < bound)
            && self.after.is_none_or(|bound| modified.is_some_and(|time| time > bound))
            && self.before.is_none_or(|bound| modified.is_some_and(|time| time < bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "<CreateJobRequest><Operation><LambdaInvoke>\
        <FunctionArn>arn:aws:lambda:us-east-1:1:function:f</FunctionArn><InvocationSchemaVersion>2.0</InvocationSchemaVersion>\
        <UserArguments><entry><key>k</key><value>v</value></entry></UserArguments></LambdaInvoke></Operation>\
        <Report><Enabled>false</Enabled></Report><ClientRequestToken>t</ClientRequestToken>\
        <ManifestGenerator><S3JobManifestGenerator><SourceBucket>arn:aws:s3:::in</SourceBucket>\
        <EnableManifestOutput>false</EnableManifestOutput><Filter><KeyNameConstraint><MatchAnySuffix><member>.png</member>\
        <member>.jpg</member></MatchAnySuffix></KeyNameConstraint><ObjectSizeGreaterThanBytes>5</ObjectSizeGreaterThanBytes>\
        </Filter></S3JobManifestGenerator></ManifestGenerator><Priority>7</Priority>\
        <RoleArn>arn:aws:iam::1:role/r</RoleArn><ConfirmationRequired>true</ConfirmationRequired></CreateJobRequest>";

    fn read(xml: &str) -> Result<JobRequest, ServiceError> {
        JobRequest::read(&Element::parse(xml.as_bytes()).expect("XML"))
    }

    #[test]
    fn a_request_is_read() {
        let job = read(REQUEST).expect("a request");
        assert_eq!((job.priority, job.needs_confirmation, job.report), (7, true, None));
        assert_eq!(job.operation.arguments, [("k".to_owned(), "v".to_owned())]);
        let Source::Generator { bucket, filter } = job.source else { panic!("a generator") };
        assert_eq!(bucket, "in");
        let passes = |key: &str, size| filter.passes(key, size, "2026-01-01T00:00:00Z", "STANDARD");
        assert!(passes("a.png", 6) && passes("b/c.jpg", 9));
        assert!(!passes("a.png", 5) && !passes("a.gif", 6));
    }

    #[test]
    fn what_a_job_needs_is_asked_for() {
        for (from, to, words) in [
            ("<Priority>7</Priority>", "<Priority>-1</Priority>", "Priority"),
            ("arn:aws:iam::1:role/r", "r", "RoleArn"),
            ("<InvocationSchemaVersion>2.0</InvocationSchemaVersion>", "", "UserArguments"),
            ("arn:aws:s3:::in", "in", "SourceBucket"),
            ("<Report><Enabled>false</Enabled></Report>", "", "Report"),
            ("LambdaInvoke>", "S3PutObjectTagging>", "LambdaInvoke"),
            ("<ClientRequestToken>t</ClientRequestToken>", "", "ClientRequestToken"),
        ] {
            let error = read(&REQUEST.replace(from, to)).expect_err("refused");
            assert!(error.code == "BadRequestException" && error.message.contains(words), "{from}: {}", error.message);
        }
    }
}
