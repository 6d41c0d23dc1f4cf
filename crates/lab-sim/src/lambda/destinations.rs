//! Where the record of a finished asynchronous invocation goes: SQS, SNS, S3 or another function.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::body_json;
use super::function::{Function, FunctionKey};
use super::invoke::{Invoked, invoke_async};
use crate::form::encode_form;
use crate::sim::Sim;
use crate::sqs::QueueRef;

/// How a function's asynchronous events are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventSettings {
    /// Repetitions after the first attempt.
    pub(crate) retries: u32,
    pub(crate) on_success: Option<String>,
    pub(crate) on_failure: Option<String>,
}

/// The function's event-invoke configuration as moto keeps it. For a success only a success destination matters, and
/// most functions have none: they are asked for all the same, since a destination may be set at any time.
pub(crate) async fn read_settings(sim: &Sim, key: &FunctionKey, failed: bool) -> EventSettings {
    let path = format!("/2019-09-25/functions/{}/event-invoke-config", encode_form(&key.name));
    let answer = sim.moto.rest("lambda", &key.region, Method::GET, &path, Bytes::new()).await;
    let config = if answer.status().is_success() { body_json(&answer) } else { Value::Null };
    let mut settings = parse_settings(&config);
    if failed && settings.on_failure.is_none() {
        settings.on_failure = read_dead_letter_queue(sim, key).await;
    }
    settings
}

fn parse_settings(config: &Value) -> EventSettings {
    let destination = |name: &str| config["DestinationConfig"][name]["Destination"].as_str().map(str::to_owned);
    EventSettings {
        retries: config["MaximumRetryAttempts"].as_u64().and_then(|retries| u32::try_from(retries).ok()).unwrap_or(2),
        on_success: destination("OnSuccess"),
        on_failure: destination("OnFailure"),
    }
}

async fn read_dead_letter_queue(sim: &Sim, key: &FunctionKey) -> Option<String> {
    let path = format!("/2015-03-31/functions/{}/configuration", encode_form(&key.name));
    let answer = sim.moto.rest("lambda", &key.region, Method::GET, &path, Bytes::new()).await;
    body_json(&answer)["DeadLetterConfig"]["TargetArn"].as_str().map(str::to_owned)
}

/// The record that AWS documents for destinations.
fn make_record(arn: &str, request_id: &str, attempts: u32, payload: &Bytes, invoked: &Invoked) -> Value {
    let event: Value = serde_json::from_slice(payload).unwrap_or_default();
    let mut response_context = json!({ "statusCode": 200, "executedVersion": "$LATEST" });
    if invoked.failed {
        response_context["functionError"] = json!("Unhandled");
    }
    json!({
        "version": "1.0",
        "timestamp": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "requestContext": {
            "requestId": request_id,
            "functionArn": format!("{arn}:$LATEST"),
            "condition": if invoked.failed { "RetriesExhausted" } else { "Success" },
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": response_context,
        "responsePayload": invoked.json(),
    })
}

/// Sends the record of a finished invocation to `destination`, an ARN.
pub(crate) async fn send_record(
    sim: &Arc<Sim>,
    function: &Function,
    destination: &str,
    request_id: &str,
    attempts: u32,
    payload: &Bytes,
    invoked: &Invoked,
) {
    let arn = function.current().config.arn.clone();
    let record = make_record(&arn, request_id, attempts, payload, invoked).to_string();
    let parts: Vec<&str> = destination.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "sqs", ..] => {
            if let Some(queue) = QueueRef::from_arn(destination) {
                queue.send(sim, &record).await;
            }
        }
        ["arn", _, "sns", ..] => crate::sns::publish(sim, destination, &record).await,
        ["arn", _, "s3", _, _, bucket] => {
            let now = jiff::Timestamp::now();
            let name = format!("{}-{}", now.strftime("%Y-%m-%dT%H.%M.%S"), uuid::Uuid::new_v4());
            let folder = format!("aws/lambda/async/{}/{}", function.key.name, now.strftime("%Y/%m/%d"));
            let path = format!("/{bucket}/{folder}/{name}");
            sim.moto.rest("s3", &function.key.region, Method::PUT, &path, Bytes::from(record)).await;
        }
        ["arn", _, "lambda", ..] => {
            let key = FunctionKey::parse(destination, &function.key.region);
            invoke_async(sim, &key, Bytes::from(record));
        }
        _ => eprintln!("lab-sim: {destination} is no destination that lab-sim knows (SQS, SNS, S3, Lambda)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_configuration_lambda_repeats_twice() {
        let settings = parse_settings(&Value::Null);
        assert_eq!(settings, EventSettings { retries: 2, on_success: None, on_failure: None });
    }

    #[test]
    fn settings_are_read_as_they_stand() {
        let config = json!({ "MaximumRetryAttempts": 0,
            "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:sqs:us-east-1:1:q" } } });
        let settings = parse_settings(&config);
        assert_eq!((settings.retries, settings.on_failure.as_deref()), (0, Some("arn:aws:sqs:us-east-1:1:q")));
    }
}
