//! Event patterns, as `EventBridge`'s rules and the filters of event source mappings write them (`EventBridge` user guide,
//! "Creating event patterns"). Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::faults::rules::matches_glob;

/// Whether an event has all that a pattern asks for.
pub(crate) fn matches(pattern: &Value, event: &Value) -> bool {
    let Some(fields) = pattern.as_object() else { return false };
    fields.iter().all(|(name, wanted)| match wanted {
        Value::Array(alternatives) if name == "$or" => alternatives.iter().any(|pattern| matches(pattern, event)),
        Value::Array(filters) => matches_any(filters, event.get(name)),
        Value::Object(_) => match event.get(name) {
            Some(Value::Array(items)) => items.iter().any(|item| matches(wanted, item)),
            value => matches(wanted, value.unwrap_or(&Value::Null)),
        },
        _ => false,
    })
}

/// A field with several values matches when one of them does.
fn matches_any(filters: &[Value], value: Option<&Value>) -> bool {
    filters.iter().any(|filter| match value {
        Some(Value::Array(items)) => items.iter().any(|item| passes(filter, Some(item))),
        value => passes(filter, value),
    })
}

fn passes(filter: &Value, value: Option<&Value>) -> bool {
    let Some((operator, operand)) = filter.as_object().and_then(|filter| filter.iter().next()) else {
        return value.is_some_and(|value| is_same(filter, value));
    };
    if operator == "exists" {
        return operand.as_bool() == Some(value.is_some());
    }
    value.is_some_and(|value| compare(operator, operand, value))
}

/// 300 and 300.0 are the same number.
fn is_same(one: &Value, two: &Value) -> bool {
    one == two || matches!((one.as_f64(), two.as_f64()), (Some(one), Some(two)) if one.total_cmp(&two).is_eq())
}

fn compare(operator: &str, operand: &Value, value: &Value) -> bool {
    let text = value.as_str();
    let fold = |text: &str| text.to_lowercase();
    match (operator, text) {
        ("prefix" | "suffix", Some(text)) => {
            let (text, operand) = match operand["equals-ignore-case"].as_str() {
                Some(operand) => (fold(text), fold(operand)),
                None => (text.to_owned(), operand.as_str().unwrap_or("\u{0}").to_owned()),
            };
            if operator == "prefix" { text.starts_with(&operand) } else { text.ends_with(&operand) }
        }
        ("equals-ignore-case", Some(text)) => operand.as_str().is_some_and(|operand| fold(operand) == fold(text)),
        ("wildcard", Some(text)) => operand.as_str().is_some_and(|operand| matches_glob(operand, text)),
        ("cidr", Some(text)) => {
            let net = operand.as_str().and_then(|operand| operand.parse::<IpNet>().ok());
            net.zip(text.parse::<IpAddr>().ok()).is_some_and(|(net, address)| net.contains(&address))
        }
        ("numeric", _) => value.as_f64().is_some_and(|number| is_within(operand, number)),
        ("anything-but", _) => match operand {
            Value::Object(inner) => !inner.iter().any(|(operator, operand)| {
                let operands = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
                operands.iter().any(|operand| compare(operator, operand, value))
            }),
            Value::Array(list) => !list.iter().any(|item| is_same(item, value)),
            item => !is_same(item, value),
        },
        _ => false,
    }
}

/// `[">", 0, "<=", 5]`
fn is_within(bounds: &Value, number: f64) -> bool {
    bounds.as_array().is_some_and(|bounds| {
        bounds.chunks(2).all(|bound| match bound {
            [operator, bound] => bound.as_f64().is_some_and(|bound| match operator.as_str() {
                Some("=") => number.total_cmp(&bound).is_eq(),
                Some("<") => number < bound,
                Some("<=") => number <= bound,
                Some(">") => number > bound,
                Some(">=") => number >= bound,
                _ => false,
            }),
            _ => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_match_as_the_user_guide_says() {
        let event = json!({ "source": "aws.s3", "detail-type": "Object Created", "resources": ["a", "b"],
            "detail": { "bucket": { "name": "in" }, "object": { "key": "photos/Cat.JPG", "size": 12 }, "source-ip-address": "10.0.0.7" } });
        let object = |filter: Value| json!({ "detail": { "object": { "key": [filter] } } });
        for (pattern, expected) in [
            (json!({ "source": ["aws.s3"], "detail": { "bucket": { "name": ["in"] } } }), true),
            (json!({ "source": ["aws.ec2", "aws.s3"] }), true),
            (json!({ "source": ["aws.ec2"] }), false),
            (json!({ "resources": ["b"] }), true),
            (object(json!({ "prefix": "photos/" })), true),
            (object(json!({ "suffix": ".jpg" })), false),
            (object(json!({ "suffix": { "equals-ignore-case": ".jpg" } })), true),
            (object(json!({ "wildcard": "photos/*.JPG" })), true),
            (object(json!({ "anything-but": { "prefix": "photos/" } })), false),
            (object(json!({ "anything-but": ["x", "y"] })), true),
            (object(json!({ "exists": false })), false),
            (json!({ "detail": { "object": { "etag": [{ "exists": false }] } } }), true),
            (json!({ "detail": { "object": { "size": [{ "numeric": [">", 0, "<=", 12] }] } } }), true),
            (json!({ "detail": { "object": { "size": [12.0] } } }), true),
            (json!({ "detail": { "source-ip-address": [{ "cidr": "10.0.0.0/24" }] } }), true),
            (json!({ "$or": [{ "source": ["x"] }, { "detail-type": ["Object Created"] }] }), true),
            (json!({ "detail": { "missing": { "deep": ["x"] } } }), false),
            (json!({}), true),
            (json!("text"), false),
        ] {
            assert_eq!(matches(&pattern, &event), expected, "{pattern}");
        }
    }
}
