//! Functions that really run, and S3 events that reach them.

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::function::{FUNCTION, change_configuration, create_function, invoke, package, wait_until_active};
use support::{Reply, Sim, wait_for};

fn log_of(reply: &Reply) -> String {
    let log = STANDARD.decode(reply.header("x-amz-log-result").expect("the log's tail")).expect("base64");
    String::from_utf8(log).expect("text")
}

#[test]
fn a_function_answers_logs_and_fails_as_on_lambda() {
    let sim = Sim::start(&[]);
    create_function(&sim, 0o755, &json!({})).ok();
    wait_until_active(&sim);

    let first = invoke(&sim, "RequestResponse", r#"{"n":1}"#).ok();
    assert_eq!((first.text().as_str(), first.header("x-amz-function-error")), (r#"{"n":1}"#, None));
    let log = log_of(&first);
    for part in
        ["started for echo in us-east-1", "START RequestId: ", "event {\"n\":1}", "END RequestId: ", "Init Duration: "]
    {
        assert!(log.contains(part), "{part} in\n{log}");
    }
    let second = log_of(&invoke(&sim, "RequestResponse", r#"{"n":2}"#).ok());
    assert!(!second.contains("started for"), "the environment is kept warm: {second}");

    let error = |event: &str| {
        let reply = invoke(&sim, "RequestResponse", event).ok();
        assert_eq!(reply.header("x-amz-function-error"), Some("Unhandled"), "{}", reply.text());
        reply.json()
    };
    assert_eq!(error(r#"{"fail":1}"#), json!({ "errorType": "Asked", "errorMessage": "as asked" }));
    let crash = error(r#"{"crash":1}"#);
    assert_eq!(crash["errorType"], "Runtime.ExitError");
    assert!(crash["errorMessage"].as_str().is_some_and(|text| text.ends_with("exit status 3")), "{crash}");

    let swollen = invoke(&sim, "RequestResponse", r#"{"swell":1}"#).ok();
    assert!(swollen.text().contains("signal: killed"), "{}", swollen.text());
    assert!(log_of(&swollen).contains("Max Memory Used: 128 MB"), "{}", log_of(&swollen));

    change_configuration(&sim, &json!({ "Timeout": 1 }));
    let late = invoke(&sim, "RequestResponse", r#"{"sleep":1}"#).ok();
    assert_eq!(late.json()["errorType"], "Sandbox.Timedout");
    assert!(log_of(&late).contains("Task timed out after 1.00 seconds"), "{}", log_of(&late));

    assert_eq!(invoke(&sim, "DryRun", "{}").status, 204);
    assert_eq!(invoke(&sim, "RequestResponse", "{").refusal(), (400, "InvalidRequestContentException".to_owned()));

    let streams = sim.json("logs", "Logs_20140328.DescribeLogStreams", &json!({ "logGroupName": "/aws/lambda/echo" }));
    let streams = streams.ok().json()["logStreams"].as_array().map(Vec::len);
    assert!(streams.is_some_and(|count| count >= 2), "one stream for each environment: {streams:?}");

    change_configuration(&sim, &json!({ "Environment": { "Variables": { "INIT": "fails" } } }));
    assert_eq!(error("{}"), json!({ "errorType": "Init.Failed", "errorMessage": "as asked" }));

    let code = sim.request("lambda", "GET", FUNCTION, &[], b"").ok().json();
    let location = code["Code"]["Location"].as_str().expect("a location");
    let path = &location[location.find("/_lab-sim").expect("on lab-sim")..];
    assert_eq!(STANDARD.encode(sim.request("none", "GET", path, &[], b"").ok().body), package(0o755));

    sim.request("lambda", "DELETE", FUNCTION, &[], b"").ok();
    assert_eq!(invoke(&sim, "RequestResponse", "{}").refusal(), (404, "ResourceNotFoundException".to_owned()));
}

#[test]
fn a_package_that_cannot_run_says_so_and_an_event_that_fails_goes_to_its_destination() {
    let sim = Sim::start(&[]);
    sim.set_faults(&json!([{ "action": "CreateRole", "effect": { "late-visibility-ms": 600_000 } }]));
    let too_early = create_function(&sim, 0o644, &json!({}));
    assert_eq!(too_early.refusal(), (400, "InvalidParameterValueException".to_owned()));
    assert!(too_early.text().contains("cannot be assumed"), "{}", too_early.text());
    sim.advance(600);
    create_function(&sim, 0o644, &json!({})).ok();
    wait_until_active(&sim);
    let error = invoke(&sim, "RequestResponse", "{}").ok().json();
    assert_eq!(error["errorType"], "Runtime.InvalidEntrypoint");
    assert!(error["errorMessage"].as_str().is_some_and(|text| text.contains("permission denied")), "{error}");

    let update = json!({ "ZipFile": package(0o755) });
    sim.request("lambda", "PUT", &format!("{FUNCTION}/code"), &[], update.to_string().as_bytes()).ok();
    wait_until_active(&sim);
    let queue = sim.json("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": "failed" })).ok().json();
    let settings =
        json!({ "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:sqs:us-east-1:123456789012:failed" } } });
    let path = "/2019-09-25/functions/echo/event-invoke-config";
    sim.request("lambda", "PUT", path, &[], settings.to_string().as_bytes()).ok();
    assert_eq!(invoke(&sim, "Event", r#"{"fail":7}"#).status, 202);
    let message = wait_for("the record of the failure", || {
        let reply = sim.json("sqs", "AmazonSQS.ReceiveMessage", &json!({ "QueueUrl": queue["QueueUrl"] })).ok().json();
        reply["Messages"][0]["Body"].as_str().map(str::to_owned)
    });
    let record: Value = serde_json::from_str(&message).expect("JSON");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3, "two retries");
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestPayload"], json!({ "fail": 7 }));
    assert_eq!(record["responsePayload"]["errorType"], "Asked");
}

fn notification(prefix: &str) -> String {
    format!(
        "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><CloudFunctionConfiguration>\
         <CloudFunction>arn:aws:lambda:us-east-1:123456789012:function:echo</CloudFunction><Event>s3:ObjectCreated:*</Event>\
         <Filter><S3Key><FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule></S3Key></Filter>\
         </CloudFunctionConfiguration></NotificationConfiguration>"
    )
}

fn permit(sim: &Sim, statement: &str) -> Reply {
    let body = json!({ "StatementId": statement, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::input", "SourceAccount": "123456789012" });
    sim.request("lambda", "POST", &format!("{FUNCTION}/policy"), &[], body.to_string().as_bytes())
}

/// The object that the function wrote for one event.
fn written_event(sim: &Sim) -> Value {
    let key = wait_for("the function's object", || {
        sim.request("s3", "GET", "/output?list-type=2", &[], b"").ok().elements("Key").pop()
    });
    let event = sim.request("s3", "GET", &format!("/output/{key}"), &[], b"").ok().json();
    sim.request("s3", "DELETE", &format!("/output/{key}"), &[], b"").ok();
    event["Records"][0].clone()
}

#[test]
fn an_upload_reaches_the_function_that_the_bucket_names() {
    let sim = Sim::start(&["--foreign-bucket", "taken"]);
    assert_eq!(sim.request("s3", "PUT", "/taken", &[], b"").refusal(), (409, "BucketAlreadyExists".to_owned()));
    assert_eq!(sim.request("s3", "HEAD", "/taken", &[], b"").status, 403);
    sim.request("s3", "PUT", "/input", &[], b"").ok();
    sim.request("s3", "PUT", "/output", &[], b"").ok();
    let put_notification = |xml: &str| sim.request("s3", "PUT", "/input?notification", &[], xml.as_bytes());

    let invalid = (400, "InvalidArgument".to_owned());
    assert_eq!(put_notification(&notification("")).refusal(), invalid, "there is no such function");
    create_function(&sim, 0o755, &json!({ "OUTPUT_BUCKET": "output" })).ok();
    wait_until_active(&sim);
    let refused = put_notification(&notification(""));
    assert_eq!(refused.refusal(), invalid, "the function does not permit it");
    assert!(
        refused.text().contains("Unable to validate the following destination configurations"),
        "{}",
        refused.text()
    );
    permit(&sim, "s3").ok();
    assert_eq!(permit(&sim, "s3").refusal(), (409, "ResourceConflictException".to_owned()));
    put_notification(&notification("in box/")).ok();
    let shown = sim.request("s3", "GET", "/input?notification", &[], b"").ok();
    assert!(shown.text().contains("<Value>in box/</Value>"), "{}", shown.text());

    // As SDKs upload: chunks with a checksum behind them, which are not part of the object.
    let body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let chunked = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    sim.request("s3", "PUT", "/input/elsewhere.png", &chunked, body.as_bytes()).ok();
    sim.request("s3", "PUT", "/input/in%20box/a%2Bb%20%C3%BC%252F.png", &chunked, body.as_bytes()).ok();
    let record = written_event(&sim);
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["object"]["key"], "in+box/a%2Bb+%C3%BC%252F.png", "and not the key outside the prefix");
    assert_eq!(record["s3"]["object"]["size"], 5);
    assert_eq!(record["s3"]["object"]["eTag"], "5d41402abc4b2a76b9719d911017c592");

    let head = sim.request("s3", "HEAD", "/input/elsewhere.png", &[], b"").ok();
    assert_eq!((head.header("content-length"), head.body.len()), (Some("5"), 0));
    let range = sim.request("s3", "GET", "/input/elsewhere.png", &[("range", "bytes=1-3")], b"");
    assert_eq!((range.status, range.text().as_str()), (206, "ell"));

    sim.request("s3", "PUT", "/input/in%20box/copy", &[("x-amz-copy-source", "/input/elsewhere.png")], b"").ok();
    let record = written_event(&sim);
    assert_eq!((&record["eventName"], &record["s3"]["object"]["size"]), (&json!("ObjectCreated:Copy"), &json!(5)));

    let overlapping = notification("a").replace("</NotificationConfiguration>", "")
        + notification("ab").split_once("xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">").expect("a part").1;
    assert_eq!(put_notification(&overlapping).refusal(), invalid);

    put_notification("<NotificationConfiguration/>").ok();
    let shown = sim.request("s3", "GET", "/input?notification", &[], b"").ok();
    assert!(!shown.text().contains("CloudFunction"), "{}", shown.text());

    // The function's own calls are told apart from the command's.
    let calls = sim.control("GET", "calls", "").ok().json();
    let by_function = |call: &&Value| call["action"] == "PutObject" && call["caller"] == "function";
    assert_eq!(calls.as_array().expect("a list").iter().filter(by_function).count(), 2);
}
