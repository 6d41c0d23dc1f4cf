//! What a dead letter says. Pure.

use serde_json::Value;

/// Where a dead letter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the queue: it is the message that S3 sent.
    Queue,
    /// From Lambda: the record of an asynchronous invocation that failed, with the event in it.
    Invocation,
}

/// A dead letter that was taken to look at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Letter {
    /// SQS's id of the message.
    pub(crate) id: String,
    /// What it takes to delete it.
    pub(crate) receipt: String,
    pub(crate) origin: Origin,
    /// What the function was to work on.
    pub(crate) event: String,
    /// Why it is dead, the same for all of one kind.
    pub(crate) reason: String,
}

const FROM_QUEUE: &str = "failed each time the function took it from the queue (its log says why)";

impl Letter {
    /// Reads a message's body (Lambda developer guide, "Capturing records of asynchronous invocations").
    pub(crate) fn read(id: String, receipt: String, body: &str) -> Self {
        let record: Value = serde_json::from_str(body).unwrap_or_default();
        let is_record = record.get("requestContext").is_some_and(Value::is_object);
        let event = record.get("requestPayload").filter(|event| is_record && !event.is_null());
        match event {
            Some(event) => {
                let (event, reason) = (event.to_string(), read_reason(&record));
                Self { id, receipt, origin: Origin::Invocation, event, reason }
            }
            None => Self { id, receipt, origin: Origin::Queue, event: body.to_owned(), reason: FROM_QUEUE.to_owned() },
        }
    }
}

/// The function's error by its kind, and when Lambda gave up. Messages differ with every object.
fn read_reason(record: &Value) -> String {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let condition = match text("/requestContext/condition") {
        Some("RetriesExhausted") => "failed each time",
        Some("EventAgeExceeded") => "waited for too long",
        Some(other) => other,
        None => "failed",
    };
    let error = text("/responsePayload/errorType").or_else(|| text("/responseContext/functionError"));
    match error {
        Some(error) => format!("{error}: the invocation {condition}"),
        None => format!("the invocation {condition}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Letter {
        Letter::read("id".into(), "receipt".into(), &body.to_string())
    }

    #[test]
    fn a_record_of_lambda_s_holds_the_event_and_its_reason() {
        let event = json!({"Records": [{"s3": {"object": {"key": "a.png"}}}]});
        let record = json!({
            "version": "1.0", "timestamp": "2026-11-20T12:00:00.000Z",
            "requestContext": {"requestId": "1", "functionArn": "f", "condition": "RetriesExhausted",
                               "approximateInvokeCount": 3},
            "requestPayload": event,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorType": "S3Failed", "errorMessage": "a.png: SlowDown"}
        });
        let letter = read(&record);
        assert_eq!(
            (letter.origin, letter.reason.as_str()),
            (Origin::Invocation, "S3Failed: the invocation failed each time")
        );
        assert_eq!(serde_json::from_str::<Value>(&letter.event).unwrap(), event);
        let old = json!({"requestContext": {"condition": "EventAgeExceeded"}, "requestPayload": event});
        assert_eq!(read(&old).reason, "the invocation waited for too long");
    }

    #[test]
    fn a_message_of_s3_s_is_the_event_itself() {
        let event = json!({"Records": [{"eventName": "ObjectCreated:Put"}]});
        let letter = read(&event);
        assert_eq!((letter.origin, letter.reason.as_str()), (Origin::Queue, FROM_QUEUE));
        assert_eq!(letter.event, event.to_string());
    }

    proptest! {
        #[test]
        fn whatever_somebody_sent_goes_back_as_it_came(body in "\\PC{0,60}") {
            let letter = Letter::read(String::new(), String::new(), &body);
            prop_assert_eq!(letter.origin, Origin::Queue);
            prop_assert_eq!(letter.event, body);
        }
    }
}
