//! Jobs of S3 Batch Operations, reserved concurrency, and metrics out of log lines.

mod support;

use serde_json::{Value, json};
use support::function::{FUNCTION, create_function, invoke, wait_until_active};
use support::{Reply, Sim, wait_for};

const ACCOUNT: [(&str, &str); 1] = [("x-amz-account-id", "123456789012")];

fn control(sim: &Sim, method: &str, path: &str, body: &str) -> Reply {
    sim.request("s3", method, &format!("/v20180820/{path}"), &ACCOUNT, body.as_bytes())
}

fn describe(sim: &Sim, job: &str) -> Reply {
    control(sim, "GET", &format!("jobs/{job}"), "").ok()
}

fn wait_for_status(sim: &Sim, job: &str, status: &str) -> Reply {
    wait_for(status, || Some(describe(sim, job)).filter(|reply| reply.element("Status") == status))
}

fn job(source: &str, token: &str, more: &str) -> String {
    format!(
        "<CreateJobRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\"><Operation><LambdaInvoke>\
         <FunctionArn>arn:aws:lambda:us-east-1:123456789012:function:echo</FunctionArn>\
         <InvocationSchemaVersion>2.0</InvocationSchemaVersion></LambdaInvoke></Operation>\
         <Report><Bucket>arn:aws:s3:::reports</Bucket><Prefix>done</Prefix><Format>Report_CSV_20180820</Format>\
         <Enabled>true</Enabled><ReportScope>AllTasks</ReportScope></Report>\
         <ClientRequestToken>{token}</ClientRequestToken>{source}<Priority>10</Priority>\
         <RoleArn>arn:aws:iam::123456789012:role/batch</RoleArn>{more}</CreateJobRequest>"
    )
}

fn manifest(etag: &str) -> String {
    format!(
        "<Manifest><Spec><Format>S3BatchOperations_CSV_20180820</Format><Fields><member>Bucket</member>\
         <member>Key</member></Fields></Spec><Location><ObjectArn>arn:aws:s3:::reports/todo.csv</ObjectArn>\
         <ETag>{etag}</ETag></Location></Manifest>"
    )
}

fn create(sim: &Sim, body: &str) -> String {
    control(sim, "POST", "jobs", body).ok().element("JobId")
}

/// A lab-sim with buckets and a function that keeps its state in `folder`.
fn start(folder: &tempfile::TempDir) -> Sim {
    let sim = Sim::start(&[]);
    for bucket in ["/input", "/reports"] {
        sim.request("s3", "PUT", bucket, &[], b"").ok();
    }
    create_function(&sim, 0o755, &json!({ "STATE": folder.path() })).ok();
    wait_until_active(&sim);
    sim
}

#[test]
fn a_job_brings_every_object_of_its_manifest_to_the_function_and_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    let sim = start(&folder);
    let rows = "input,in%20box/a.png\ninput,twice.png\ninput,never.png\n";
    let etag = sim.request("s3", "PUT", "/reports/todo.csv", &[], rows.as_bytes()).ok();
    let etag = etag.header("etag").expect("an ETag").trim_matches('"').to_owned();
    let body = job(&manifest(&etag), "first", "<ConfirmationRequired>true</ConfirmationRequired>");
    let id = create(&sim, &body);
    assert_eq!(create(&sim, &body), id, "the same token, the same job");
    let other = control(&sim, "POST", "jobs", &body.replace("<Priority>10", "<Priority>11"));
    assert_eq!(other.refusal(), (400, "IdempotencyException".to_owned()));

    let suspended = wait_for_status(&sim, &id, "Suspended");
    assert_eq!(
        (suspended.element("TotalNumberOfTasks"), suspended.element("SuspendedCause").as_str()),
        ("3".to_owned(), "Awaiting confirmation")
    );
    control(&sim, "POST", &format!("jobs/{id}/priority?priority=42"), "").ok();
    control(&sim, "POST", &format!("jobs/{id}/status?requestedJobStatus=Ready"), "").ok();
    let complete = wait_for_status(&sim, &id, "Complete");
    let count = |name: &str| complete.element(name);
    assert_eq!(
        (count("NumberOfTasksSucceeded"), count("NumberOfTasksFailed"), count("Priority")),
        ("2".into(), "1".into(), "42".into())
    );
    let again = control(&sim, "POST", &format!("jobs/{id}/status?requestedJobStatus=Ready"), "");
    assert_eq!(again.refusal(), (400, "JobStatusException".to_owned()));

    let report = sim.request("s3", "GET", &format!("/reports/done/job-{id}/manifest.json"), &[], b"").ok().json();
    assert_eq!(report["Format"], "Report_CSV_20180820");
    let rows = |status: &str| {
        let results = report["Results"].as_array().expect("results");
        let result = results.iter().find(|result| result["TaskExecutionStatus"] == status).expect(status);
        let key = result["Key"].as_str().expect("a key");
        sim.request("s3", "GET", &format!("/reports/{key}"), &[], b"").ok().text()
    };
    assert_eq!(rows("failed"), "input,never.png,,failed,200,PermanentFailure,\"said \"\"PermanentFailure\"\"\"\n");
    let mut succeeded: Vec<String> = rows("succeeded").lines().map(str::to_owned).collect();
    succeeded.sort();
    let message = "\"said \"\"Succeeded\"\"\"";
    assert_eq!(
        succeeded,
        [
            format!("input,in%20box/a.png,,succeeded,200,,{message}"),
            format!("input,twice.png,,succeeded,200,,{message}")
        ]
    );
    let listed = control(&sim, "GET", "jobs?jobStatuses=Complete&jobStatuses=Failed", "").ok();
    assert_eq!(listed.elements("JobId"), [id]);
    assert_eq!(listed.element("Operation"), "LambdaInvoke");
}

#[test]
fn a_job_finds_its_objects_itself_and_ends_where_it_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    let sim = start(&folder);
    for key in ["in/a.png", "in/b%20c.png", "in/d.gif", "out/e.png"] {
        sim.request("s3", "PUT", &format!("/input/{key}"), &[], b"picture").ok();
    }
    let generator = "<ManifestGenerator><S3JobManifestGenerator><SourceBucket>arn:aws:s3:::input</SourceBucket>\
        <EnableManifestOutput>false</EnableManifestOutput><Filter><KeyNameConstraint>\
        <MatchAnyPrefix><member>in/</member></MatchAnyPrefix><MatchAnySuffix><member>.png</member></MatchAnySuffix>\
        </KeyNameConstraint></Filter></S3JobManifestGenerator></ManifestGenerator>";
    let id = create(&sim, &job(generator, "generated", "<ConfirmationRequired>false</ConfirmationRequired>"));
    let complete = wait_for_status(&sim, &id, "Complete");
    assert_eq!(complete.element("NumberOfTasksSucceeded"), "2");

    sim.request("s3", "PUT", "/reports/todo.csv", &[], b"input,a\n").ok();
    let id = create(&sim, &job(&manifest("0123"), "stale", ""));
    let failed = wait_for_status(&sim, &id, "Failed");
    assert!(failed.element("FailureReason").contains("ETag mismatch. Expected ETag: 0123"), "{}", failed.text());

    // Who says nothing about it must confirm.
    let id = create(&sim, &job(generator, "unwanted", ""));
    wait_for_status(&sim, &id, "Suspended");
    control(&sim, "POST", &format!("jobs/{id}/status?requestedJobStatus=Cancelled&statusUpdateReason=enough"), "").ok();
    assert_eq!(wait_for_status(&sim, &id, "Cancelled").element("StatusUpdateReason"), "enough");

    let none = control(&sim, "GET", "jobs/00000000-0000-0000-0000-000000000000", "");
    assert_eq!(none.refusal(), (404, "NotFoundException".to_owned()));
    let calls = sim.control("GET", "calls", "").ok().json();
    let mine = |call: &&Value| call["service"] == "s3control" && call["action"] == "CreateJob";
    assert_eq!(calls.as_array().expect("a list").iter().filter(mine).count(), 3);
    sim.set_faults(&json!([{ "service": "s3control", "action": "ListJobs", "effect": "throttle" }]));
    assert_eq!(control(&sim, "GET", "jobs", "").refusal(), (503, "SlowDown".to_owned()));
}

#[test]
fn concurrency_is_reserved_where_enough_stays_for_the_others() {
    let path = "/2017-10-31/functions/echo/concurrency";
    let put = |sim: &Sim, wanted: u32| {
        let body = json!({ "ReservedConcurrentExecutions": wanted }).to_string();
        sim.request("lambda", "PUT", path, &[], body.as_bytes())
    };
    let small = Sim::start(&[]);
    create_function(&small, 0o755, &json!({})).ok();
    let refused = put(&small, 1);
    assert_eq!(refused.refusal(), (400, "InvalidParameterValueException".to_owned()));
    assert!(refused.text().contains("below its minimum value of [10]"), "{}", refused.text());

    let sim = Sim::start(&["--quota", "L-B99A9384=1000"]);
    create_function(&sim, 0o755, &json!({})).ok();
    wait_until_active(&sim);
    assert!(put(&sim, 901).text().contains("[100]"));
    put(&sim, 1).ok();
    let settings = sim.request("lambda", "GET", "/2016-08-19/account-settings", &[], b"").ok().json();
    let limit = &settings["AccountLimit"];
    assert_eq!((&limit["ConcurrentExecutions"], &limit["UnreservedConcurrentExecutions"]), (&json!(1000), &json!(999)));
    let function = sim.request("lambda", "GET", FUNCTION, &[], b"").ok().json();
    assert_eq!(function["Concurrency"]["ReservedConcurrentExecutions"], 1);

    // What is reserved bounds the function too.
    put(&sim, 0).ok();
    let throttled = invoke(&sim, "RequestResponse", "{}");
    assert_eq!(throttled.refusal(), (429, "TooManyRequestsException".to_owned()));
    assert_eq!(throttled.json()["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded");
    assert_eq!(sim.request("lambda", "DELETE", path, &[], b"").ok().status, 204);
    assert_eq!(sim.request("lambda", "GET", path, &[], b"").ok().json(), json!({}));
    invoke(&sim, "RequestResponse", "{}").ok();
}

#[test]
fn metrics_in_log_lines_are_found_in_cloudwatch() {
    let sim = Sim::start(&[]);
    create_function(&sim, 0o755, &json!({})).ok();
    wait_until_active(&sim);
    for _ in 0..2 {
        invoke(&sim, "RequestResponse", r#"{"measure":1}"#).ok();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let question = json!({ "StartTime": now - 600, "EndTime": now + 600, "MetricDataQueries": [{ "Id": "bytes", "MetricStat": {
        "Metric": { "Namespace": "hybrid-lab", "MetricName": "Bytes",
            "Dimensions": [{ "Name": "FunctionName", "Value": "echo" }] },
        "Period": 1200, "Stat": "Sum" } }] });
    let reply = sim.json("monitoring", "GraniteServiceVersion20100801.GetMetricData", &question).ok().json();
    assert_eq!(reply["MetricDataResults"][0]["Values"], json!([14.0]), "{reply}");

    // As newer SDKs ask: {"Namespace": "hybrid-lab"} in CBOR.
    let cbor = b"\xbf\x69Namespace\x6ahybrid-lab\xff";
    let headers = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    let path = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
    let listed = sim.request("monitoring", "POST", path, &headers, cbor).ok();
    assert_eq!(listed.header("smithy-protocol"), Some("rpc-v2-cbor"));
    assert!(listed.text().contains("MetricName") && listed.text().contains("Bytes"), "{}", listed.text());
}
