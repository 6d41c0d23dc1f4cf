//! Which service and which action a request is: pure, from what SDKs and the CLI send.
//!
//! The service and the Region come from the `SigV4` credential scope (header or presigned query). The action comes from
//! where the service's protocol puts it: `Action=` (query), `X-Amz-Target` (JSON), method and path (S3, Lambda).

use http::{HeaderMap, Method, Uri};

use crate::form::{Form, decode_percent};

/// How a service writes requests and, above all, errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// EC2's own dialect of the query protocol.
    Ec2,
    /// The query protocol of IAM, STS, SNS, ELB, …
    Query,
    /// JSON with `X-Amz-Target`: SSM, Logs, ACM, SQS, `DynamoDB`, …
    Json,
    /// JSON over method and path: Lambda and most newer services.
    RestJson,
    /// S3's XML over method and path.
    S3,
    /// XML over method and path, as S3 Control writes it.
    RestXml,
    /// CBOR, with the action in the path: `CloudWatch`, from newer SDKs.
    Cbor,
}

/// What a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    /// The signing name: `ec2`, `s3`, `lambda`, `iam`, …
    pub(crate) service: String,
    /// The Region of the signature; `us-east-1` for an unsigned request.
    pub(crate) region: String,
    /// The API's action, as AWS documents it: `CreateVpc`, `PutObject`, …
    pub(crate) action: String,
    pub(crate) protocol: Protocol,
    /// The access key that signed; empty for an unsigned request.
    pub(crate) access_key: String,
}

/// The parts of `AKID/20260101/us-east-1/ec2/aws4_request` that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    access_key: String,
    region: Option<String>,
    service: String,
}

/// Says what a request is. Never fails: an unsigned request of no known shape is one to S3, as a browser's would be.
pub(crate) fn classify(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Class {
    let query = Form::parse(uri.query().unwrap_or_default());
    let form = form_body(headers, body);
    let scope = find_scope(headers, &query);
    let target = header(headers, "x-amz-target").map(str::to_owned);
    let form_action = form
        .as_ref()
        .and_then(|form| form.get("Action"))
        .or_else(|| query.get("Action"))
        .filter(|action| !action.is_empty())
        .map(str::to_owned);

    let service = match &scope {
        // S3 Control is signed as S3; its own are the version in the path and the account in a header.
        Some(scope) if scope.service == "s3" && is_s3control(uri.path(), headers) => "s3control".to_owned(),
        Some(scope) => scope.service.clone(),
        None if form_action.as_deref().is_some_and(|action| action.starts_with("AssumeRoleWith")) => "sts".to_owned(),
        None => "s3".to_owned(),
    };
    let region = scope
        .as_ref()
        .and_then(|scope| scope.region.clone())
        .or_else(|| header(headers, "x-amz-region-set").filter(|set| !set.contains(['*', ','])).map(str::to_owned))
        .unwrap_or_else(|| "us-east-1".to_owned());

    let (protocol, action) = match (service.as_str(), form_action, target) {
        ("s3control", _, _) => (Protocol::RestXml, s3control_action(method, uri.path())),
        ("s3", _, _) => (Protocol::S3, s3_action(method, uri.path(), &query, headers)),
        ("lambda", _, _) => (Protocol::RestJson, lambda_action(method, uri.path())),
        ("ec2", Some(action), _) => (Protocol::Ec2, action),
        (_, Some(action), _) => (Protocol::Query, action),
        (_, None, Some(target)) => (Protocol::Json, last_part(&target, '.')),
        (_, None, None) if header(headers, "smithy-protocol") == Some("rpc-v2-cbor") => {
            (Protocol::Cbor, rest_action(method, uri.path()))
        }
        (_, None, None) => (Protocol::RestJson, rest_action(method, uri.path())),
    };
    let access_key = scope.map(|scope| scope.access_key).unwrap_or_default();
    Class { service, region, action, protocol, access_key }
}

/// The form in a body, when the content type says that it is one.
pub(crate) fn form_body(headers: &HeaderMap, body: &[u8]) -> Option<Form> {
    let is_form =
        header(headers, "content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return None;
    }
    std::str::from_utf8(body).ok().map(Form::parse)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn find_scope(headers: &HeaderMap, query: &Form) -> Option<Scope> {
    let from_header = header(headers, "authorization")
        .and_then(|value| value.split_once("Credential="))
        .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default().to_owned());
    parse_scope(&from_header.or_else(|| query.get("X-Amz-Credential").map(str::to_owned))?)
}

fn parse_scope(credential: &str) -> Option<Scope> {
    // An access key never holds a slash, so the parts count from the left; SigV4a leaves the Region out.
    let parts: Vec<&str> = credential.split('/').collect();
    let (access_key, region, service) = match parts.as_slice() {
        [access_key, _, region, service, "aws4_request"] => (access_key, Some((*region).to_owned()), service),
        [access_key, _, service, "aws4_request"] => (access_key, None, service),
        _ => return None,
    };
    Some(Scope { access_key: (*access_key).to_owned(), region, service: service.to_ascii_lowercase() })
}

fn last_part(text: &str, separator: char) -> String {
    text.rsplit(separator).next().unwrap_or(text).to_owned()
}

/// Newer services name the operation in the path; for the rest, method and path say more than nothing.
fn rest_action(method: &Method, path: &str) -> String {
    match path.rsplit_once("/operation/") {
        Some((_, operation)) => operation.to_owned(),
        None => format!("{method} {path}"),
    }
}

/// A bucket and a key from a path-style S3 path, percent-decoded. Both are empty where they are missing.
pub(crate) fn split_s3_path(path: &str) -> (String, String) {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    (decode_percent(bucket), decode_percent(key))
}

/// The version in the paths of S3 Control.
const S3CONTROL: &str = "/v20180820/";

fn is_s3control(path: &str, headers: &HeaderMap) -> bool {
    path.starts_with(S3CONTROL) && headers.contains_key("x-amz-account-id")
}

/// The parts of an S3 Control path behind its version: `["jobs", "ID", "status"]`.
pub(crate) fn s3control_path(path: &str) -> Vec<String> {
    let path = path.strip_prefix(S3CONTROL).unwrap_or_default();
    path.split('/').filter(|part| !part.is_empty()).map(decode_percent).collect()
}

fn s3control_action(method: &Method, path: &str) -> String {
    let parts = s3control_path(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let action = match (method.as_str(), parts.as_slice()) {
        ("POST", ["jobs"]) => "CreateJob",
        ("GET", ["jobs"]) => "ListJobs",
        ("GET", ["jobs", _]) => "DescribeJob",
        ("POST", ["jobs", _, "status"]) => "UpdateJobStatus",
        ("POST", ["jobs", _, "priority"]) => "UpdateJobPriority",
        ("GET", ["jobs", _, "tagging"]) => "GetJobTagging",
        ("PUT", ["jobs", _, "tagging"]) => "PutJobTagging",
        ("DELETE", ["jobs", _, "tagging"]) => "DeleteJobTagging",
        _ => return rest_action(method, path),
    };
    action.to_owned()
}

/// Subresources of a bucket: the query name, and the action's noun for GET, PUT and DELETE.
const BUCKET_SUBRESOURCES: &[(&str, &str)] = &[
    ("notification", "BucketNotificationConfiguration"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("encryption", "BucketEncryption"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("policyStatus", "BucketPolicyStatus"),
    ("policy", "BucketPolicy"),
    ("tagging", "BucketTagging"),
    ("versioning", "BucketVersioning"),
    ("location", "BucketLocation"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("acl", "BucketAcl"),
    ("cors", "BucketCors"),
    ("logging", "BucketLogging"),
    ("website", "BucketWebsite"),
    ("replication", "BucketReplication"),
    ("accelerate", "BucketAccelerateConfiguration"),
    ("requestPayment", "BucketRequestPayment"),
    ("object-lock", "ObjectLockConfiguration"),
    ("inventory", "BucketInventoryConfiguration"),
    ("metrics", "BucketMetricsConfiguration"),
    ("analytics", "BucketAnalyticsConfiguration"),
];

/// Subresources of an object.
const OBJECT_SUBRESOURCES: &[(&str, &str)] = &[
    ("tagging", "ObjectTagging"),
    ("acl", "ObjectAcl"),
    ("attributes", "ObjectAttributes"),
    ("retention", "ObjectRetention"),
    ("legal-hold", "ObjectLegalHold"),
    ("torrent", "ObjectTorrent"),
];

fn s3_action(method: &Method, path: &str, query: &Form, headers: &HeaderMap) -> String {
    let (bucket, key) = split_s3_path(path);
    let action = match (bucket.is_empty(), key.is_empty()) {
        (true, _) => return "ListBuckets".to_owned(),
        (false, true) => bucket_action(method, query),
        (false, false) => object_action(method, query, headers),
    };
    action.unwrap_or_else(|| rest_action(method, path))
}

fn verb(method: &Method) -> Option<&'static str> {
    match *method {
        Method::GET => Some("Get"),
        Method::PUT => Some("Put"),
        Method::DELETE => Some("Delete"),
        _ => None,
    }
}

fn subresource_action(method: &Method, query: &Form, names: &[(&str, &str)]) -> Option<String> {
    let noun = names.iter().find(|(name, _)| query.has(name)).map(|(_, noun)| *noun)?;
    Some(format!("{}{noun}", verb(method)?))
}

fn bucket_action(method: &Method, query: &Form) -> Option<String> {
    if let Some(action) = subresource_action(method, query, BUCKET_SUBRESOURCES) {
        return Some(action);
    }
    let action = match *method {
        Method::GET if query.has("uploads") => "ListMultipartUploads",
        Method::GET if query.has("versions") => "ListObjectVersions",
        Method::GET if query.get("list-type") == Some("2") => "ListObjectsV2",
        Method::GET => "ListObjects",
        Method::PUT => "CreateBucket",
        Method::DELETE => "DeleteBucket",
        Method::HEAD => "HeadBucket",
        Method::POST if query.has("delete") => "DeleteObjects",
        Method::POST => "PostObject",
        _ => return None,
    };
    Some(action.to_owned())
}

fn object_action(method: &Method, query: &Form, headers: &HeaderMap) -> Option<String> {
    if let Some(action) = subresource_action(method, query, OBJECT_SUBRESOURCES) {
        return Some(action);
    }
    let copies = headers.contains_key("x-amz-copy-source");
    let part = query.has("partNumber") && query.has("uploadId");
    let action = match *method {
        Method::GET if query.has("uploadId") => "ListParts",
        Method::GET => "GetObject",
        Method::PUT if part && copies => "UploadPartCopy",
        Method::PUT if part => "UploadPart",
        Method::PUT if copies => "CopyObject",
        Method::PUT => "PutObject",
        Method::DELETE if query.has("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        Method::HEAD => "HeadObject",
        Method::POST if query.has("uploads") => "CreateMultipartUpload",
        Method::POST if query.has("uploadId") => "CompleteMultipartUpload",
        Method::POST if query.has("restore") => "RestoreObject",
        Method::POST if query.has("select") => "SelectObjectContent",
        _ => return None,
    };
    Some(action.to_owned())
}

/// The parts of a Lambda path behind its date: `["functions", "name", "code"]`.
pub(crate) fn lambda_path(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).skip(1).map(decode_percent).collect()
}

fn lambda_action(method: &Method, path: &str) -> String {
    let parts = lambda_path(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let action = match (method.as_str(), parts.as_slice()) {
        ("GET", ["account-settings"]) => "GetAccountSettings",
        ("GET", ["functions"]) => "ListFunctions",
        ("POST", ["functions"]) => "CreateFunction",
        ("GET", ["functions", _]) => "GetFunction",
        ("DELETE", ["functions", _]) => "DeleteFunction",
        ("PUT", ["functions", _, "code"]) => "UpdateFunctionCode",
        ("GET", ["functions", _, "configuration"]) => "GetFunctionConfiguration",
        ("PUT", ["functions", _, "configuration"]) => "UpdateFunctionConfiguration",
        ("POST", ["functions", _, "invocations"]) => "Invoke",
        ("POST", ["functions", _, "invoke-async"]) => "InvokeAsync",
        ("GET", ["functions", _, "policy"]) => "GetPolicy",
        ("POST", ["functions", _, "policy"]) => "AddPermission",
        ("DELETE", ["functions", _, "policy", _]) => "RemovePermission",
        ("GET", ["functions", _, "versions"]) => "ListVersionsByFunction",
        ("POST", ["functions", _, "versions"]) => "PublishVersion",
        ("GET", ["functions", _, "aliases"]) => "ListAliases",
        ("POST", ["functions", _, "aliases"]) => "CreateAlias",
        ("GET", ["functions", _, "aliases", _]) => "GetAlias",
        ("PUT", ["functions", _, "aliases", _]) => "UpdateAlias",
        ("DELETE", ["functions", _, "aliases", _]) => "DeleteAlias",
        ("GET", ["functions", _, "concurrency"]) => "GetFunctionConcurrency",
        ("PUT", ["functions", _, "concurrency"]) => "PutFunctionConcurrency",
        ("DELETE", ["functions", _, "concurrency"]) => "DeleteFunctionConcurrency",
        ("GET", ["functions", _, "event-invoke-config"]) => "GetFunctionEventInvokeConfig",
        ("PUT", ["functions", _, "event-invoke-config"]) => "PutFunctionEventInvokeConfig",
        ("POST", ["functions", _, "event-invoke-config"]) => "UpdateFunctionEventInvokeConfig",
        ("DELETE", ["functions", _, "event-invoke-config"]) => "DeleteFunctionEventInvokeConfig",
        ("GET", ["functions", _, "url"]) => "GetFunctionUrlConfig",
        ("POST", ["functions", _, "url"]) => "CreateFunctionUrlConfig",
        ("DELETE", ["functions", _, "url"]) => "DeleteFunctionUrlConfig",
        ("GET", ["tags", _]) => "ListTags",
        ("POST", ["tags", _]) => "TagResource",
        ("DELETE", ["tags", _]) => "UntagResource",
        ("GET", ["event-source-mappings"]) => "ListEventSourceMappings",
        ("POST", ["event-source-mappings"]) => "CreateEventSourceMapping",
        ("GET", ["event-source-mappings", _]) => "GetEventSourceMapping",
        ("PUT", ["event-source-mappings", _]) => "UpdateEventSourceMapping",
        ("DELETE", ["event-source-mappings", _]) => "DeleteEventSourceMapping",
        ("GET", ["layers"]) => "ListLayers",
        _ => return rest_action(method, path),
    };
    action.to_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn signed(service: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        );
        headers.insert("authorization", HeaderValue::from_str(&value).expect("a header value"));
        headers
    }

    fn classify_signed(service: &str, method: &str, path: &str) -> Class {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        classify(&method, &path.parse().expect("a path"), &signed(service), b"")
    }

    #[test]
    fn ec2_calls_are_named_by_their_form() {
        let mut headers = signed("ec2");
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
        let class = classify(
            &Method::POST,
            &Uri::from_static("/"),
            &headers,
            b"Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16",
        );
        assert_eq!(class.service, "ec2");
        assert_eq!(class.region, "eu-west-1");
        assert_eq!(class.action, "CreateVpc");
        assert_eq!(class.protocol, Protocol::Ec2);
        assert_eq!(class.access_key, "AKIDEXAMPLE");
    }

    #[test]
    fn json_calls_are_named_by_their_target() {
        let mut headers = signed("ssm");
        headers.insert("x-amz-target", HeaderValue::from_static("AmazonSSM.GetParameter"));
        let class = classify(&Method::POST, &Uri::from_static("/"), &headers, b"{}");
        assert_eq!((class.action.as_str(), class.protocol), ("GetParameter", Protocol::Json));
    }

    #[test]
    fn s3_calls_are_named_by_method_and_path() {
        for (method, path, action) in [
            ("GET", "/", "ListBuckets"),
            ("PUT", "/b", "CreateBucket"),
            ("PUT", "/b/", "CreateBucket"),
            ("HEAD", "/b", "HeadBucket"),
            ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2"),
            ("GET", "/b?versions", "ListObjectVersions"),
            ("PUT", "/b?notification", "PutBucketNotificationConfiguration"),
            ("GET", "/b?notification", "GetBucketNotificationConfiguration"),
            ("PUT", "/b?publicAccessBlock", "PutPublicAccessBlock"),
            ("POST", "/b?delete", "DeleteObjects"),
            ("POST", "/b", "PostObject"),
            ("PUT", "/b/a%20b/c.png", "PutObject"),
            ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
            ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
            ("GET", "/b/k?x-id=GetObject", "GetObject"),
            ("HEAD", "/b/k", "HeadObject"),
            ("DELETE", "/b/k?tagging", "DeleteObjectTagging"),
        ] {
            assert_eq!(classify_signed("s3", method, path).action, action, "{method} {path}");
        }
        let mut headers = signed("s3");
        headers.insert("x-amz-copy-source", HeaderValue::from_static("/a/b"));
        assert_eq!(classify(&Method::PUT, &Uri::from_static("/b/k"), &headers, b"").action, "CopyObject");
    }

    #[test]
    fn lambda_calls_are_named_by_method_and_path() {
        for (method, path, action) in [
            ("POST", "/2015-03-31/functions", "CreateFunction"),
            ("GET", "/2015-03-31/functions/", "ListFunctions"),
            ("POST", "/2015-03-31/functions/f/invocations", "Invoke"),
            ("POST", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Af/policy", "AddPermission"),
            ("DELETE", "/2015-03-31/functions/f/policy/s", "RemovePermission"),
            ("PUT", "/2019-09-25/functions/f/event-invoke-config", "PutFunctionEventInvokeConfig"),
        ] {
            assert_eq!(classify_signed("lambda", method, path).action, action, "{method} {path}");
        }
    }

    #[test]
    fn s3_control_is_told_from_s3_and_cbor_from_json() {
        let mut headers = signed("s3");
        let class = |headers: &HeaderMap, method: Method, path: &'static str| {
            classify(&method, &Uri::from_static(path), headers, b"")
        };
        assert_eq!(class(&headers, Method::PUT, "/v20180820/jobs").action, "PutObject");
        headers.insert("x-amz-account-id", HeaderValue::from_static("123456789012"));
        let update = class(&headers, Method::POST, "/v20180820/jobs/0f8f/status?requestedJobStatus=Ready");
        assert_eq!((update.service.as_str(), update.action.as_str()), ("s3control", "UpdateJobStatus"));
        assert_eq!(update.protocol, Protocol::RestXml);

        let mut headers = signed("monitoring");
        headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        let get = class(&headers, Method::POST, "/service/GraniteServiceVersion20100801/operation/GetMetricData");
        assert_eq!((get.action.as_str(), get.protocol), ("GetMetricData", Protocol::Cbor));
    }

    #[test]
    fn presigned_and_unsigned_requests_are_s3() {
        let uri = Uri::from_static(
            "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260101%2Fus-west-2%2Fs3%2Faws4_request&X-Amz-Signature=0",
        );
        let class = classify(&Method::GET, &uri, &HeaderMap::new(), b"");
        assert_eq!(
            (class.service.as_str(), class.region.as_str(), class.action.as_str()),
            ("s3", "us-west-2", "GetObject")
        );
        let class = classify(&Method::GET, &Uri::from_static("/b/k"), &HeaderMap::new(), b"");
        assert_eq!((class.service.as_str(), class.access_key.as_str()), ("s3", ""));
    }

    proptest! {
        #[test]
        fn classifying_never_panics(method in "[A-Z]{1,7}", path in "/[\\x21-\\x7e&&[^#<>\"]]{0,40}", auth in "\\PC{0,60}", body in "\\PC{0,60}") {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&auth) {
                headers.insert("authorization", value);
            }
            headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            if let Ok(uri) = path.parse::<Uri>() {
                prop_assert!(!classify(&method, &uri, &headers, body.as_bytes()).action.is_empty());
            }
        }

        #[test]
        fn keys_of_any_letters_are_read_back(key in "\\PC{1,20}") {
            let path = format!("/bucket/{}", percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC));
            prop_assert_eq!(split_s3_path(&path), ("bucket".to_owned(), key));
        }
    }
}
