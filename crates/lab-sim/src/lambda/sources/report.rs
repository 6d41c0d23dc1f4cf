//! What a function's answer says about the messages of its batch (Lambda developer guide, "Implementing partial batch
//! responses"). Pure.

use serde_json::Value;

/// Which messages, by their place in `ids`, are to come back. An answer that cannot be understood, or that names a message
/// which was not in the batch, means all of them.
pub(crate) fn failed_messages(answer: &[u8], ids: &[&str]) -> Vec<usize> {
    find_failed(answer, ids).unwrap_or_else(|| (0..ids.len()).collect())
}

fn find_failed(answer: &[u8], ids: &[&str]) -> Option<Vec<usize>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let failures = match &answer {
        Value::Null => return Some(Vec::new()),
        Value::Object(fields) => fields.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return None,
    };
    match failures {
        Value::Null => Some(Vec::new()),
        Value::Array(failures) => failures
            .iter()
            .map(|failure| {
                let id = failure["itemIdentifier"].as_str()?;
                ids.iter().position(|known| *known == id)
            })
            .collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_the_developer_guide_says() {
        let ids = ["a", "b", "c"];
        for none in ["null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(failed_messages(none.as_bytes(), &ids), [0; 0], "{none}");
        }
        assert_eq!(
            failed_messages(br#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"}]}"#, &ids),
            [2, 0]
        );
        for all in [
            "",
            "{",
            "\"done\"",
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"messageId":"a"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"d"}]}"#,
            r#"{"batchItemFailures":7}"#,
        ] {
            assert_eq!(failed_messages(all.as_bytes(), &ids), [0, 1, 2], "{all}");
        }
    }
}
