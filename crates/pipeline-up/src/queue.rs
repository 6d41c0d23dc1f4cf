//! What the two queues are to be, and how what AWS says of one compares with it. Pure.

mod write;

use std::collections::BTreeMap;

use lab_plan::Problem;
use serde_json::{Value, json};

use crate::live::LiveQueue;
use crate::policy::{merge_policy, queue_statements, says_same};
use crate::want::{Place, QueueKind, Want};

pub(crate) use write::{create, delete, drain, set};

/// How often a message is taken from the queue before it is a dead letter. Lambda's guide asks for 5 at least: a busy
/// function sends messages back that nothing is wrong with.
const MOST_RECEIVES: i32 = 5;
/// How many messages Lambda takes for one invocation. The function works on them concurrently, and sends back only those
/// that failed.
pub(crate) const BATCH_SIZE: i32 = 10;
/// How long a message waits in the queue, in seconds: 4 days.
const WAITS: i32 = 4 * 86_400;
/// How long a dead letter is kept, in seconds: 14 days, the longest SQS has. Its age counts from when S3 sent it.
const KEPT: i32 = 14 * 86_400;
/// The queue's visibility timeout is this many times the function's timeout (Lambda developer guide, "Configuring a queue
/// to use with Lambda").
const TIMEOUTS: i32 = 6;

/// SQS's own names of the attributes.
pub(crate) const POLICY: &str = "Policy";

/// The attributes that a queue must have but its policy, in SQS's words.
fn list_attributes(want: &Want, place: &Place, kind: QueueKind) -> BTreeMap<&'static str, Value> {
    let (images, letters) = (want.queue_arn(place, QueueKind::Images), want.queue_arn(place, QueueKind::DeadLetters));
    let encrypted = ("SqsManagedSseEnabled", json!(true));
    match kind {
        QueueKind::Images => BTreeMap::from([
            encrypted,
            ("VisibilityTimeout", json!(TIMEOUTS * want.function.timeout_s)),
            ("MessageRetentionPeriod", json!(WAITS)),
            ("RedrivePolicy", json!({"deadLetterTargetArn": letters, "maxReceiveCount": MOST_RECEIVES})),
        ]),
        QueueKind::DeadLetters => {
            // Without a queue only the function itself sends here.
            let allow = if want.delivery.queue {
                json!({"redrivePermission": "byQueue", "sourceQueueArns": [images]})
            } else {
                json!({"redrivePermission": "denyAll"})
            };
            BTreeMap::from([encrypted, ("MessageRetentionPeriod", json!(KEPT)), ("RedriveAllowPolicy", allow)])
        }
    }
}

/// The attributes that must be written so that the queue is as wanted; all of them where it is not there.
pub(crate) fn find_differences(
    want: &Want,
    place: &Place,
    kind: QueueKind,
    live: Option<&LiveQueue>,
) -> BTreeMap<&'static str, String> {
    let read = |name: &str| live.and_then(|live| live.attributes.get(name)).map(|text| read_value(text));
    let mut differences: BTreeMap<_, _> = list_attributes(want, place, kind)
        .into_iter()
        .filter(|(name, wanted)| !read(name).is_some_and(|found| says_same(&found, wanted)))
        .map(|(name, wanted)| (name, wanted.to_string()))
        .collect();
    let policy = merge_policy(&queue_statements(want, place, kind), read(POLICY).as_ref());
    differences.extend(policy.map(|policy| (POLICY, policy.to_string())));
    differences
}

/// What people call an attribute.
pub(crate) fn show_attribute(name: &str) -> &str {
    match name {
        "SqsManagedSseEnabled" => "encryption",
        "VisibilityTimeout" => "visibility timeout",
        "MessageRetentionPeriod" => "retention",
        "RedrivePolicy" => "dead letters",
        "RedriveAllowPolicy" => "whose dead letters",
        POLICY => "policy",
        other => other,
    }
}

/// An attribute's text: numbers, truth values and documents as what they are.
fn read_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// What a queue says of its messages, as a problem or a detail names it: `3 messages`.
pub(crate) fn show_count(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A queue's name is taken by something that is not ours.
pub(crate) fn taken(name: &str) -> Problem {
    Problem::failed(format!("the queue {name} is there and does not bear the tags of this lab"))
        .fix("choose another --owner, or delete that queue")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::want::sample;

    fn queued() -> (Want, Place) {
        sample(|lab| {
            let images = lab.images.as_mut().unwrap();
            (images.queue, images.dead_letters, images.timeout_s) = (true, true, 30);
        })
    }

    fn as_live(attributes: BTreeMap<&'static str, String>) -> LiveQueue {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        LiveQueue { url: String::new(), tags: BTreeMap::new(), attributes }
    }

    #[test]
    fn a_message_is_hidden_for_six_timeouts_and_dead_after_five_receives() {
        let (want, place) = queued();
        let attributes = find_differences(&want, &place, QueueKind::Images, None);
        assert_eq!(attributes["VisibilityTimeout"], "180");
        assert_eq!(
            attributes["RedrivePolicy"],
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:lab-image-dead-letters-ada","maxReceiveCount":5}"#
        );
        let letters = find_differences(&want, &place, QueueKind::DeadLetters, None);
        assert_eq!(letters["MessageRetentionPeriod"], "1209600");
        assert!(letters["RedriveAllowPolicy"].contains("lab-image-queue-ada"), "{letters:?}");
        let (want, place) = sample(|lab| lab.images.as_mut().unwrap().dead_letters = true);
        let letters = find_differences(&want, &place, QueueKind::DeadLetters, None);
        assert!(letters["RedriveAllowPolicy"].contains("denyAll"), "{letters:?}");
    }

    #[test]
    fn what_was_written_is_right_in_whatever_words_sqs_answers() {
        let (want, place) = queued();
        for kind in QueueKind::BOTH {
            let mut live = as_live(find_differences(&want, &place, kind, None));
            assert_eq!(find_differences(&want, &place, kind, Some(&live)), BTreeMap::new());
            if let Some(redrive) = live.attributes.get_mut("RedrivePolicy") {
                *redrive = redrive.replace(":5", ":\"5\"");
            }
            assert_eq!(find_differences(&want, &place, kind, Some(&live)), BTreeMap::new());
            live.attributes.insert("MessageRetentionPeriod".into(), "60".into());
            let differences = find_differences(&want, &place, kind, Some(&live));
            assert_eq!(differences.into_keys().collect::<Vec<_>>(), ["MessageRetentionPeriod"]);
        }
    }
}
