//! The policies as documents, and the question whether two documents say the same. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::want::{Place, QueueKind, Side, Want};

/// The `Sid` of our statement in a bucket's policy. Other statements are kept.
const TLS_SID: &str = "HybridLabTlsOnly";
/// The `Sid` of the statement that lets the input bucket send into the queue.
const QUEUE_SID: &str = "HybridLabInputBucket";
/// The id of our statement in the function's policy: the only one of it that we touch.
pub(crate) const PERMISSION_SID: &str = "hybrid-lab-input-bucket";
const VERSION: &str = "2012-10-17";

/// Who may assume the function's role.
pub(crate) fn trust_policy() -> Value {
    json!({"Version": VERSION, "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"
    }]})
}

/// What the function may do: read the input, read and write the output, write its log, and with a queue what Lambda does
/// there in its name. Listing makes S3 answer 404 for an object that is not there; without it the answer is 403.
pub(crate) fn function_policy(want: &Want, place: &Place) -> Value {
    let (input, output) = (place.bucket_arn(&want.buckets.input), place.bucket_arn(&want.buckets.output));
    let Place { partition, account, .. } = place;
    let log = format!("arn:{partition}:logs:{}:{account}:log-group:{}:*", want.region, want.log_group);
    // A server-side copy brings the object's tags along, and asks for the right to do so where there are any.
    let (mut read, mut write) = (vec!["s3:GetObject"], vec!["s3:GetObject", "s3:PutObject"]);
    if want.copies {
        read.push("s3:GetObjectTagging");
        write.push("s3:PutObjectTagging");
    }
    let allow = |sid: &str, action: &[&str], resource: &[&str]| -> Value {
        json!({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource})
    };
    let mut statements = vec![
        allow("ReadInput", &read, &[&format!("{input}/*")]),
        allow("WriteOutput", &write, &[&format!("{output}/*")]),
        // A report that an object cannot be processed goes when a later version can.
        allow("WithdrawReport", &["s3:DeleteObject"], &[&format!("{output}/*-failed.json")]),
        allow("TellAbsent", &["s3:ListBucket"], &[&input, &output]),
        allow("WriteLog", &["logs:CreateLogStream", "logs:PutLogEvents"], &[&log]),
    ];
    // Lambda developer guide, "Creating and configuring an Amazon SQS event source mapping".
    if want.delivery.queue {
        let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
        statements.push(allow("TakeFromQueue", &actions, &[&want.queue_arn(place, QueueKind::Images)]));
    }
    if want.delivery.dead_letters {
        let letters = want.queue_arn(place, QueueKind::DeadLetters);
        statements.push(allow("KeepDeadLetters", &["sqs:SendMessage"], &[&letters]));
    }
    json!({"Version": VERSION, "Statement": statements})
}

/// What others may do with a queue: nothing over plain HTTP, and into the queue of images our input bucket may send.
pub(crate) fn queue_statements(want: &Want, place: &Place, kind: QueueKind) -> Vec<Value> {
    let arn = want.queue_arn(place, kind);
    let tls = json!({
        "Sid": TLS_SID, "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}
    });
    // S3 user guide, "Granting permissions to publish event notification messages to a destination".
    let bucket = json!({
        "Sid": QUEUE_SID, "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": want.input_arn(place)},
            "StringEquals": {"aws:SourceAccount": place.account}
        }
    });
    match kind {
        QueueKind::Images => vec![tls, bucket],
        QueueKind::DeadLetters => vec![tls],
    }
}

/// The statement that refuses plain HTTP (S3 user guide, "Security best practices").
fn tls_statement(arn: &str) -> Value {
    json!({
        "Sid": TLS_SID, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}
    })
}

/// The bucket's policy as it must become: `live` with our statement in it. `None` when it is there already.
pub(crate) fn merge_bucket_policy(want: &Want, place: &Place, side: Side, live: Option<&Value>) -> Option<Value> {
    merge_policy(&[tls_statement(&place.bucket_arn(want.buckets.get(side)))], live)
}

/// The policy with all of `ours` in it, each in place of one with its `Sid`; all else stays. `None` when they are there.
pub(crate) fn merge_policy(ours: &[Value], live: Option<&Value>) -> Option<Value> {
    let statements = live.map_or(Vec::new(), list_statements);
    if ours.iter().all(|our| statements.iter().any(|statement| says_same(statement, our))) {
        return None;
    }
    let is_ours = |statement: &Value| ours.iter().any(|our| sid(our) == sid(statement));
    let others = statements.into_iter().filter(|statement| !is_ours(statement)).cloned();
    let all: Vec<_> = others.chain(ours.iter().cloned()).collect();
    let version = live.and_then(|policy| policy.get("Version")).cloned().unwrap_or_else(|| VERSION.into());
    Some(json!({"Version": version, "Statement": all}))
}

/// Whether the function's policy lets the input bucket, and no other account's of that name, invoke it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// There is no statement of ours.
    Absent,
    /// Our statement says something else.
    Different,
    /// It is as it should be.
    Right,
}

/// Compares our statement in a function's policy with what it must say.
pub(crate) fn check_permission(policy: Option<&Value>, bucket_arn: &str, account: &str) -> Permission {
    let found = policy.map_or(Vec::new(), list_statements).into_iter().find(|it| sid(it) == Some(PERMISSION_SID));
    let Some(statement) = found else { return Permission::Absent };
    let conditions = list_conditions(statement);
    let says = |pointer: &str, wanted: &str| {
        statement.pointer(pointer).is_some_and(|value| says_same(value, &Value::from(wanted)))
    };
    let on = |key: &str, wanted: &str| conditions.iter().any(|(name, value)| name == key && value == wanted);
    let right = says("/Effect", "Allow")
        && says("/Principal/Service", "s3.amazonaws.com")
        && says("/Action", "lambda:InvokeFunction")
        && on("aws:sourcearn", bucket_arn)
        && on("aws:sourceaccount", account);
    if right { Permission::Right } else { Permission::Different }
}

/// Keys (lower case: IAM compares them so) and values of a statement's conditions, whatever their operator.
fn list_conditions(statement: &Value) -> Vec<(String, String)> {
    let operators =
        statement.get("Condition").and_then(Value::as_object).map_or(Vec::new(), |it| it.values().collect());
    let pairs = operators.into_iter().filter_map(Value::as_object).flatten();
    let text = |value: &Value| Some(as_list(value).first()?.as_str()?.to_owned());
    pairs.filter_map(|(key, value)| Some((key.to_ascii_lowercase(), text(value)?))).collect()
}

fn list_statements(policy: &Value) -> Vec<&Value> {
    policy.get("Statement").map_or(Vec::new(), as_list)
}

fn sid(statement: &Value) -> Option<&str> {
    statement.get("Sid").and_then(Value::as_str)
}

fn as_list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

/// Whether two policies, or parts of them, say the same. In this language a list is a set, and a list of one may be
/// written without brackets (IAM user guide, "Grammar of the IAM JSON policy language").
pub(crate) fn says_same(a: &Value, b: &Value) -> bool {
    canonical(a) == canonical(b)
}

/// One text for all spellings of the same thing.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let set: BTreeSet<_> = list.iter().map(canonical).collect();
            match Vec::from_iter(set).as_slice() {
                [one] => one.clone(),
                several => Value::from(several).to_string(),
            }
        }
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().map(|(key, value)| (key, canonical(value))).collect();
            json!(fields).to_string()
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use lab_common::Mode;
    use proptest::prelude::*;

    use super::*;
    use crate::want::sample;

    #[test]
    fn the_function_may_do_exactly_this() {
        let (want, place) = sample(|_| ());
        let expected = json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "ReadInput", "Effect": "Allow", "Action": ["s3:GetObject"],
             "Resource": ["arn:aws:s3:::lab-input-bucket-ada/*"]},
            {"Sid": "WriteOutput", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
             "Resource": ["arn:aws:s3:::lab-output-bucket-ada/*"]},
            {"Sid": "WithdrawReport", "Effect": "Allow", "Action": ["s3:DeleteObject"],
             "Resource": ["arn:aws:s3:::lab-output-bucket-ada/*-failed.json"]},
            {"Sid": "TellAbsent", "Effect": "Allow", "Action": ["s3:ListBucket"],
             "Resource": ["arn:aws:s3:::lab-input-bucket-ada", "arn:aws:s3:::lab-output-bucket-ada"]},
            {"Sid": "WriteLog", "Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
             "Resource": ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/lab-lambda-function:*"]},
        ]});
        assert_eq!(function_policy(&want, &place), expected);
    }

    #[test]
    fn copying_brings_tags_along() {
        let (want, place) = sample(|lab| lab.images.as_mut().unwrap().mode = Mode::Copy);
        let policy = function_policy(&want, &place);
        assert_eq!(policy["Statement"][0]["Action"], json!(["s3:GetObject", "s3:GetObjectTagging"]));
        assert_eq!(policy["Statement"][1]["Action"], json!(["s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"]));
    }

    #[test]
    fn with_a_queue_lambda_may_take_from_it_and_keep_dead_letters() {
        let (want, place) = sample(|lab| {
            let images = lab.images.as_mut().unwrap();
            (images.queue, images.dead_letters) = (true, true);
        });
        let policy = function_policy(&want, &place);
        assert_eq!(
            policy["Statement"][5],
            json!({"Sid": "TakeFromQueue", "Effect": "Allow",
                   "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                   "Resource": ["arn:aws:sqs:us-east-1:123456789012:lab-image-queue-ada"]})
        );
        assert_eq!(
            policy["Statement"][6]["Resource"],
            json!(["arn:aws:sqs:us-east-1:123456789012:lab-image-dead-letters-ada"])
        );
    }

    #[test]
    fn only_our_bucket_of_our_account_may_send_into_the_queue() {
        let (want, place) = sample(|_| ());
        let statements = queue_statements(&want, &place, QueueKind::Images);
        assert_eq!(
            statements[1]["Condition"],
            json!({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::lab-input-bucket-ada"},
                   "StringEquals": {"aws:SourceAccount": "123456789012"}})
        );
        assert!(statements.iter().all(|it| it["Resource"] == "arn:aws:sqs:us-east-1:123456789012:lab-image-queue-ada"));
        let letters = queue_statements(&want, &place, QueueKind::DeadLetters);
        assert!(letters.iter().all(|statement| statement["Effect"] == "Deny"), "nobody else may send there");
        let merged = merge_policy(&statements, None).unwrap();
        assert_eq!(merge_policy(&statements, Some(&merged)), None);
    }

    #[test]
    fn a_bucket_policy_keeps_the_statements_of_others() {
        let (want, place) = sample(|_| ());
        let other = json!({"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"},
                           "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lab-input-bucket-ada/*"});
        let stale = json!({"Sid": TLS_SID, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"});
        let live = json!({"Version": "2012-10-17", "Statement": [stale, other]});
        let merged = merge_bucket_policy(&want, &place, Side::Input, Some(&live)).unwrap();
        let ours = tls_statement("arn:aws:s3:::lab-input-bucket-ada");
        assert_eq!(merged, json!({"Version": "2012-10-17", "Statement": [other, ours]}));
        assert_eq!(merge_bucket_policy(&want, &place, Side::Input, Some(&merged)), None);
    }

    #[test]
    fn a_policy_that_aws_writes_in_other_words_is_the_same() {
        let (want, place) = sample(|_| ());
        let live = json!({"Version": "2012-10-17", "Statement": {
            "Sid": TLS_SID, "Effect": "Deny", "Principal": "*", "Action": ["s3:*"],
            "Resource": ["arn:aws:s3:::lab-output-bucket-ada/*", "arn:aws:s3:::lab-output-bucket-ada"],
            "Condition": {"Bool": {"aws:SecureTransport": ["false"]}}
        }});
        assert_eq!(merge_bucket_policy(&want, &place, Side::Output, Some(&live)), None);
        assert!(!says_same(&live, &json!({"Version": "2012-10-17", "Statement": []})));
    }

    /// As `AddPermission` writes it (Lambda developer guide, "Resource-based policy examples").
    fn permission() -> Value {
        json!({"Version": "2012-10-17", "Id": "default", "Statement": [{
            "Sid": "hybrid-lab-input-bucket", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function",
            "Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012"},
                          "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::lab-input-bucket-ada"}}
        }]})
    }

    #[test]
    fn a_permission_is_right_only_with_both_its_conditions() {
        let (bucket, account) = ("arn:aws:s3:::lab-input-bucket-ada", "123456789012");
        let check = |policy: &Value| check_permission(Some(policy), bucket, account);
        assert_eq!(check(&permission()), Permission::Right);
        assert_eq!(check_permission(None, bucket, account), Permission::Absent);
        for (pointer, value) in [
            ("/Statement/0/Condition/StringEquals/AWS:SourceAccount", "999999999999"),
            ("/Statement/0/Condition/ArnLike/AWS:SourceArn", "arn:aws:s3:::another"),
            ("/Statement/0/Principal/Service", "sns.amazonaws.com"),
            ("/Statement/0/Effect", "Deny"),
        ] {
            let mut changed = permission();
            *changed.pointer_mut(pointer).unwrap() = json!(value);
            assert_eq!(check(&changed), Permission::Different, "{pointer}");
        }
        let mut renamed = permission();
        renamed["Statement"][0]["Sid"] = json!("theirs");
        assert_eq!(check(&renamed), Permission::Absent);
    }

    proptest! {
        #[test]
        fn the_order_of_a_list_means_nothing(mut list in prop::collection::vec("[a-z]{1,3}", 1..6), by in 0usize..6) {
            let before = json!({"Action": list});
            let middle = by % list.len();
            list.rotate_left(middle);
            let turned = json!({"Action": list});
            prop_assert!(says_same(&before, &turned));
            list.push("another".into());
            let longer = json!({"Action": list});
            prop_assert!(!says_same(&before, &longer));
        }
    }
}
