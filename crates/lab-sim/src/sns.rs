//! SNS: moto's, with messages of lab-sim's own.

use crate::sim::Sim;
use crate::xml::Element;

const VERSION: &str = "2010-03-31";

/// The Region in a topic's ARN.
fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or("us-east-1")
}

/// Publishes a message to a topic. One that is gone gets none.
pub(crate) async fn publish(sim: &Sim, arn: &str, message: &str) {
    let parameters = [("TopicArn", arn), ("Message", message)];
    sim.moto.query("sns", region_of(arn), VERSION, "Publish", &parameters).await;
    sim.sqs.tell();
}

/// A topic's policy; `None` when there is no such topic.
pub(crate) async fn read_policy(sim: &Sim, arn: &str) -> Option<String> {
    let answer = sim.moto.query("sns", region_of(arn), VERSION, "GetTopicAttributes", &[("TopicArn", arn)]).await;
    let root = answer.status().is_success().then(|| Element::parse(answer.body())).flatten()?;
    let attributes = root.descend(&["GetTopicAttributesResult", "Attributes"])?;
    let policy = attributes.elements().find(|entry| entry.child_text("key").as_deref() == Some("Policy"));
    Some(policy.and_then(|entry| entry.child_text("value")).unwrap_or_default())
}
