//! Resource policies: whether a function's, a queue's or a topic's own policy lets a service of AWS in. Pure.

use serde_json::Value;

use crate::faults::rules::matches_glob;

/// What a service wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// Such as `s3.amazonaws.com`.
    pub(crate) service: &'a str,
    /// Such as `sqs:SendMessage`.
    pub(crate) action: &'a str,
    /// On whose behalf: a bucket, a rule.
    pub(crate) source_arn: &'a str,
    /// The account of that.
    pub(crate) account: &'a str,
}

/// The statements of a policy document; none of what is no policy.
pub(crate) fn read_statements(document: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(document).unwrap_or_default();
    match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        statement @ Value::Object(_) => vec![statement.clone()],
        _ => Vec::new(),
    }
}

/// Whether some statement allows the wish and none denies it.
pub(crate) fn permits(statements: &[Value], wish: Wish<'_>) -> bool {
    let applies = |effect: &str| {
        statements.iter().any(|statement| {
            statement["Effect"] == effect
                && names_principal(&statement["Principal"], wish.service)
                && names_action(&statement["Action"], wish.action)
                && conditions_hold(&statement["Condition"], wish)
        })
    };
    applies("Allow") && !applies("Deny")
}

fn names_principal(principal: &Value, service: &str) -> bool {
    ["*", service].into_iter().any(|name| holds_text(principal, name) || holds_text(&principal["Service"], name))
        || holds_text(&principal["AWS"], "*")
}

fn names_action(actions: &Value, wanted: &str) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    texts(actions).any(|action| matches_glob(&action.to_ascii_lowercase(), &wanted))
}

/// A policy writes one text as it is and several as a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_str().into_iter().chain(list)
}

fn holds_text(value: &Value, wanted: &str) -> bool {
    texts(value).any(|text| text == wanted)
}

/// A condition on anything else than the source does not hold.
fn conditions_hold(condition: &Value, wish: Wish<'_>) -> bool {
    condition.as_object().into_iter().flatten().all(|(operator, keys)| {
        keys.as_object().into_iter().flatten().all(|(key, patterns)| {
            let actual = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" => wish.source_arn,
                "aws:sourceaccount" => wish.account,
                _ => return false,
            };
            texts(patterns).any(|pattern| matches_glob(pattern, actual)) != operator.contains("Not")
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const S3: Wish<'static> =
        Wish { service: "s3.amazonaws.com", action: "sqs:SendMessage", source_arn: "arn:aws:s3:::in", account: "1" };

    fn statement(arn: &str) -> Value {
        json!({ "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" }, "Action": "SQS:SendMessage",
            "Condition": { "ArnLike": { "AWS:SourceArn": arn }, "StringEquals": { "AWS:SourceAccount": "1" } } })
    }

    #[test]
    fn a_policy_permits_only_the_bucket_that_it_names() {
        assert!(permits(&[statement("arn:aws:s3:::in")], S3));
        assert!(permits(&[statement("arn:aws:s3:::*")], S3));
        assert!(!permits(&[statement("arn:aws:s3:::other")], S3));
        assert!(!permits(&[statement("arn:aws:s3:::in")], Wish { account: "2", ..S3 }));
        assert!(!permits(&[], S3));
        let mut events = statement("arn:aws:s3:::in");
        events["Principal"] = json!({ "Service": "events.amazonaws.com" });
        assert!(!permits(&[events], S3));
    }

    #[test]
    fn a_denial_counts_where_it_applies() {
        let deny =
            |condition: Value| json!({ "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Condition": condition });
        let allow = statement("arn:aws:s3:::in");
        let plain_http = deny(json!({ "Bool": { "aws:SecureTransport": "false" } }));
        assert!(permits(&[allow.clone(), plain_http], S3));
        let strangers = deny(json!({ "StringNotEquals": { "aws:SourceAccount": "1" } }));
        assert!(permits(&[allow.clone(), strangers.clone()], S3));
        assert!(!permits(
            &[json!({ "Effect": "Allow", "Principal": "*", "Action": "*" }), strangers],
            Wish { account: "2", ..S3 }
        ));
        assert!(!permits(&[allow, deny(json!({}))], S3));
    }

    #[test]
    fn one_statement_may_stand_without_a_list() {
        let document = json!({ "Statement": statement("arn:aws:s3:::in") }).to_string();
        assert!(permits(&read_statements(&document), S3));
        assert!(read_statements("no JSON").is_empty());
    }
}
