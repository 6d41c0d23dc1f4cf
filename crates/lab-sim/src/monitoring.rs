//! `CloudWatch`: moto's. Newer SDKs speak CBOR to it, which moto does not know, so such a call is asked in JSON.

use std::sync::Arc;

use http::{HeaderValue, Method, Uri, header};
use serde_json::Value;

use crate::call::{Answer, Call, answer};
use crate::cbor::{Kind, decode, encode};
use crate::classify::Protocol;
use crate::faults::answers::ServiceError;
use crate::sim::Sim;

/// Answers a call to `CloudWatch`.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    if call.class.protocol != Protocol::Cbor {
        return sim.moto.forward(call).await;
    }
    let Some(request) = decode(&call.body) else {
        return ServiceError::new(400, "SerializationException", "The body is not CBOR").to_answer(Protocol::Cbor);
    };
    let reply = sim.moto.forward(&in_json(call, &request)).await;
    let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
    if reply.status().is_success() {
        let body = if body.is_object() { body } else { Value::Object(serde_json::Map::new()) };
        return to_cbor(answer(reply.status().as_u16(), "application/cbor", encode(&body, kind_of)));
    }
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let code = text("__type").and_then(|kind| kind.rsplit('#').next().map(str::to_owned));
    let message = text("message").or_else(|| text("Message")).unwrap_or_default();
    ServiceError::new(reply.status().as_u16(), &code.unwrap_or_else(|| "InternalFailure".to_owned()), message)
        .to_answer(Protocol::Cbor)
}

/// The same call as the JSON protocol writes it.
fn in_json(call: &Call, request: &Value) -> Call {
    let mut asked = call.with_body(request.to_string());
    asked.method = Method::POST;
    asked.uri = Uri::from_static("/");
    for name in ["smithy-protocol", "accept"] {
        asked.headers.remove(name);
    }
    asked.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    if let Ok(target) = HeaderValue::try_from(format!("GraniteServiceVersion20100801.{}", call.class.action)) {
        asked.headers.insert("x-amz-target", target);
    }
    asked
}

fn to_cbor(mut answer: Answer) -> Answer {
    answer.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    answer
}

/// How the numbers of `CloudWatch`'s fields are written.
fn kind_of(name: &str) -> Kind {
    const FLOATS: &[&str] =
        &["Values", "Value", "Sum", "Average", "Minimum", "Maximum", "SampleCount", "Threshold", "Counts"];
    if name.ends_with("Timestamp") || ["Timestamps", "LastModified", "StartTime", "EndTime"].contains(&name) {
        Kind::Time
    } else if FLOATS.contains(&name) {
        Kind::Float
    } else {
        Kind::Plain
    }
}
