//! A queue as lab-sim's own senders and pollers use it.

use serde_json::{Value, json};

use crate::call::Answer;
use crate::sim::Sim;

/// The most that one call of SQS's takes or gives.
const BATCH: usize = 10;

/// Where a queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueRef {
    pub(crate) region: String,
    account: String,
    name: String,
}

/// A received message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) handle: String,
    pub(crate) body: String,
    md5: String,
    attributes: Value,
    /// What the sender gave it, beside the body.
    given: Value,
}

impl QueueRef {
    /// From `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    pub(crate) fn from_arn(arn: &str) -> Option<Self> {
        match arn.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "sqs", region, account, name] => {
                Some(Self { region: (*region).to_owned(), account: (*account).to_owned(), name: (*name).to_owned() })
            }
            _ => None,
        }
    }

    /// From `…/ACCOUNT/NAME`.
    pub(crate) fn from_url(url: &str, region: &str) -> Option<Self> {
        let (rest, name) = url.rsplit_once('/')?;
        let account = rest.rsplit('/').next()?;
        Some(Self { region: region.to_owned(), account: account.to_owned(), name: name.to_owned() })
    }

    /// Its Region and name.
    pub(super) fn place(&self) -> (String, String) {
        (self.region.clone(), self.name.clone())
    }

    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:sqs:{}:{}:{}", self.region, self.account, self.name)
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.name.strip_suffix(".fifo").is_some()
    }

    /// Asks moto in the queue's own account.
    async fn ask(&self, sim: &Sim, action: &str, mut body: Value) -> Answer {
        body["QueueUrl"] = json!(format!("http://{}/{}/{}", sim.moto.address, self.account, self.name));
        let target = format!("AmazonSQS.{action}");
        sim.moto.for_account(&self.account).json("sqs", &self.region, &target, &body).await
    }

    /// All attributes; `None` when there is no such queue.
    pub(crate) async fn attributes(&self, sim: &Sim) -> Option<Value> {
        let answer = self.ask(sim, "GetQueueAttributes", json!({ "AttributeNames": ["All"] })).await;
        let mut answer = answer.status().is_success().then(|| read_json(&answer))?;
        Some(answer["Attributes"].take())
    }

    /// Sends a message. A queue that is gone gets none, as on AWS.
    pub(crate) async fn send(&self, sim: &Sim, body: &str) {
        let answer = self.ask(sim, "SendMessage", json!({ "MessageBody": body })).await;
        sim.sqs.note_sent(self, &read_json(&answer));
        sim.sqs.tell();
    }

    /// Sends a received message on, as a new one.
    pub(crate) async fn forward(&self, sim: &Sim, message: &Message) {
        let mut body = json!({ "MessageBody": message.body });
        if message.given.is_object() {
            body["MessageAttributes"] = message.given.clone();
        }
        self.ask(sim, "SendMessage", body).await;
        sim.sqs.tell();
    }

    /// The queues that have this one for their dead letters.
    pub(crate) async fn dead_letter_sources(&self, sim: &Sim) -> Vec<Self> {
        let answer = read_json(&self.ask(sim, "ListDeadLetterSourceQueues", json!({})).await);
        let urls = answer["queueUrls"].as_array().into_iter().flatten().filter_map(Value::as_str);
        urls.filter_map(|url| Self::from_url(url, &self.region)).collect()
    }

    /// Receives up to `count` messages, at most ten, without waiting.
    pub(crate) async fn receive(&self, sim: &Sim, count: usize) -> Vec<Message> {
        let wish = json!({
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
            "MaxNumberOfMessages": count.clamp(1, BATCH),
            "WaitTimeSeconds": 0,
        });
        let answer = read_json(&self.ask(sim, "ReceiveMessage", wish).await);
        answer["Messages"].as_array().into_iter().flatten().map(Message::read).collect()
    }

    /// Deletes messages by their receipt handles.
    pub(crate) async fn delete(&self, sim: &Sim, handles: &[String]) {
        for handles in handles.chunks(BATCH) {
            let entries: Vec<Value> = (0..)
                .zip(handles)
                .map(|(id, handle): (u32, _)| json!({ "Id": id.to_string(), "ReceiptHandle": handle }))
                .collect();
            self.ask(sim, "DeleteMessageBatch", json!({ "Entries": entries })).await;
        }
    }

    /// Makes received messages visible again.
    pub(crate) async fn show_again(&self, sim: &Sim, handles: &[String]) {
        for handles in handles.chunks(BATCH) {
            let entries: Vec<Value> = (0..)
                .zip(handles)
                .map(|(id, handle): (u32, _)| {
                    json!({ "Id": id.to_string(), "ReceiptHandle": handle, "VisibilityTimeout": 0 })
                })
                .collect();
            self.ask(sim, "ChangeMessageVisibilityBatch", json!({ "Entries": entries })).await;
        }
        sim.sqs.tell();
    }
}

fn read_json(answer: &Answer) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

impl Message {
    fn read(message: &Value) -> Self {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        Self {
            id: text("MessageId"),
            handle: text("ReceiptHandle"),
            body: text("Body"),
            md5: text("MD5OfBody"),
            attributes: message["Attributes"].clone(),
            given: message["MessageAttributes"].clone(),
        }
    }

    /// The record that a function gets (Lambda developer guide, "Using Lambda with Amazon SQS").
    pub(crate) fn to_record(&self, queue: &QueueRef) -> Value {
        let attributes = if self.attributes.is_object() { self.attributes.clone() } else { json!({}) };
        let own = self.given.as_object().into_iter().flatten();
        let own: serde_json::Map<String, Value> =
            own.map(|(name, value)| (name.clone(), spell_attribute(value))).collect();
        json!({
            "messageId": self.id,
            "receiptHandle": self.handle,
            "body": self.body,
            "attributes": attributes,
            "messageAttributes": own,
            "md5OfBody": self.md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.arn(),
            "awsRegion": queue.region,
        })
    }
}

/// A message attribute as functions see it: names begin small, and the lists are there, empty.
fn spell_attribute(value: &Value) -> Value {
    let mut spelled = json!({ "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"] });
    for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
        if let Some(text) = value[from].as_str() {
            spelled[to] = json!(text);
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_known_by_its_arn_and_by_its_url() {
        let queue = QueueRef::from_arn("arn:aws:sqs:eu-west-1:123456789012:q.fifo").expect("a queue");
        assert!(queue.is_fifo());
        assert_eq!(QueueRef::from_url("http://127.0.0.1:1/123456789012/q.fifo", "eu-west-1"), Some(queue));
        assert_eq!(QueueRef::from_arn("arn:aws:sns:eu-west-1:1:t"), None);
    }

    #[test]
    fn a_record_is_spelled_as_functions_read_it() {
        let queue = QueueRef::from_arn("arn:aws:sqs:us-east-1:1:q").expect("a queue");
        let message = Message::read(&json!({ "MessageId": "m", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "5",
            "Attributes": { "ApproximateReceiveCount": "2" },
            "MessageAttributes": { "kind": { "StringValue": "x", "DataType": "String" } } }));
        let record = message.to_record(&queue);
        assert_eq!(record["messageAttributes"]["kind"]["stringValue"], "x");
        assert_eq!(record["attributes"]["ApproximateReceiveCount"], "2");
        assert_eq!((&record["eventSource"], &record["eventSourceARN"]), (&json!("aws:sqs"), &json!(queue.arn())));
    }
}
