//! `EventBridge`: moto keeps rules and targets; lab-sim brings S3's events to functions, queues and topics that a rule of the
//! default bus names. Events that programs put themselves are moto's.

pub(crate) mod pattern;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::lambda::{FunctionKey, invoke_async};
use crate::resource_policy::{Wish, permits, read_statements};
use crate::sim::Sim;
use crate::sqs::QueueRef;

/// Brings an event to the targets of every rule that it matches, in its own time.
pub(crate) fn emit(sim: &Arc<Sim>, region: &str, event: Value) {
    let (sim, region) = (Arc::clone(sim), region.to_owned());
    tokio::spawn(async move {
        for rule in list(&sim, &region, "ListRules", "Rules", &json!({})).await {
            let pattern: Value =
                serde_json::from_str(rule["EventPattern"].as_str().unwrap_or_default()).unwrap_or_default();
            if rule["State"] == "ENABLED" && pattern::matches(&pattern, &event) {
                send_to_targets(&sim, &region, &rule, &event).await;
            }
        }
    });
}

/// Every item of a list, over all its pages.
async fn list(sim: &Sim, region: &str, action: &str, items: &str, question: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut question = question.clone();
    loop {
        let answer = sim.moto.json("events", region, &format!("AWSEvents.{action}"), &question).await;
        let mut page: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if let Value::Array(list) = page[items].take() {
            found.extend(list);
        }
        question["NextToken"] = page["NextToken"].take();
        if question["NextToken"].is_null() {
            return found;
        }
    }
}

async fn send_to_targets(sim: &Arc<Sim>, region: &str, rule: &Value, event: &Value) {
    let question = json!({ "Rule": rule["Name"] });
    for target in list(sim, region, "ListTargetsByRule", "Targets", &question).await {
        let arn = target["Arn"].as_str().unwrap_or_default();
        match shape_input(&target, event) {
            Some(input) => send(sim, rule["Arn"].as_str().unwrap_or_default(), arn, &input).await,
            None => eprintln!("lab-sim: EventBridge's InputTransformer is not done: {arn} gets no event"),
        }
    }
}

/// What the target gets: the event, a part of it or a text of its own. `None` for what lab-sim does not do.
fn shape_input(target: &Value, event: &Value) -> Option<String> {
    if target.get("InputTransformer").is_some() {
        return None;
    }
    if let Some(input) = target["Input"].as_str() {
        return Some(input.to_owned());
    }
    let path = target["InputPath"].as_str().unwrap_or("$");
    let part = path.split('.').skip(1).fold(event, |part, name| &part[name]);
    Some(part.to_string())
}

/// Functions and queues must let `EventBridge` in; what they refuse is lost, as on AWS without a dead-letter queue.
async fn send(sim: &Arc<Sim>, rule: &str, arn: &str, input: &str) {
    let wish = |action| Wish { service: "events.amazonaws.com", action, source_arn: rule, account: &sim.account };
    match arn.split(':').nth(2) {
        Some("lambda") => {
            let key = FunctionKey::parse(arn, "us-east-1");
            if permits(&crate::lambda::read_policy(sim, &key).await, wish("lambda:InvokeFunction")) {
                invoke_async(sim, &key, Bytes::from(input.to_owned()));
            }
        }
        Some("sqs") => {
            let Some(queue) = QueueRef::from_arn(arn) else { return };
            let attributes = queue.attributes(sim).await.unwrap_or_default();
            if permits(&read_statements(attributes["Policy"].as_str().unwrap_or_default()), wish("sqs:SendMessage")) {
                queue.send(sim, input).await;
            }
        }
        Some("sns") => crate::sns::publish(sim, arn, input).await,
        _ => {
            eprintln!("lab-sim: {arn} is no target that S3's events can reach here (functions, queues and topics can)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_gets_the_event_or_what_it_asks_for() {
        let event = json!({ "detail": { "bucket": { "name": "in" } } });
        assert_eq!(shape_input(&json!({}), &event), Some(event.to_string()));
        assert_eq!(
            shape_input(&json!({ "InputPath": "$.detail.bucket" }), &event).as_deref(),
            Some(r#"{"name":"in"}"#)
        );
        assert_eq!(shape_input(&json!({ "Input": "{}" }), &event).as_deref(), Some("{}"));
        assert_eq!(shape_input(&json!({ "InputTransformer": {} }), &event), None);
    }
}
