//! Bucket policies that ask for TLS. lab-sim speaks plain HTTP and stands for an endpoint that speaks TLS, so such a
//! statement never applies; moto, which reads no conditions of a policy, would refuse every object for it. Pure.

use serde_json::Value;

/// What stands for everybody while moto keeps the statement. moto takes an unknown principal for nobody.
const NOBODY: &str = "lab-sim:nobody-without-tls";

/// The policy as moto keeps it: statements that only refuse plain HTTP apply to nobody.
pub(crate) fn spare_tls(policy: &[u8]) -> Vec<u8> {
    edit_statements(policy, |statement| {
        if statement["Effect"] == "Deny" && refuses_plain_http(&statement["Condition"]) && statement["Principal"] == "*"
        {
            statement["Principal"] = NOBODY.into();
        }
    })
}

/// The policy as it was put.
pub(crate) fn restore_tls(policy: &[u8]) -> Vec<u8> {
    edit_statements(policy, |statement| {
        if statement["Principal"] == NOBODY {
            statement["Principal"] = "*".into();
        }
    })
}

/// What is no policy stays as it is: moto says what is wrong with it.
fn edit_statements(policy: &[u8], edit: impl Fn(&mut Value)) -> Vec<u8> {
    let Ok(mut document) = serde_json::from_slice::<Value>(policy) else { return policy.to_owned() };
    match document.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.iter_mut().filter(|it| it.is_object()).for_each(edit),
        Some(statement @ Value::Object(_)) => edit(statement),
        _ => return policy.to_owned(),
    }
    document.to_string().into_bytes()
}

fn refuses_plain_http(condition: &Value) -> bool {
    let secure = &condition["Bool"]["aws:SecureTransport"];
    let value = secure.as_array().and_then(|values| values.first()).unwrap_or(secure);
    value == "false" || value == &Value::Bool(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tls_only_statement_applies_to_nobody_and_is_read_as_it_was_put() {
        let put = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "*"},
        ]});
        let read = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
        let kept = read(spare_tls(put.to_string().as_bytes()));
        assert_ne!(kept["Statement"][0]["Principal"], "*");
        assert_eq!(kept["Statement"][1], put["Statement"][1]);
        assert_eq!(read(restore_tls(kept.to_string().as_bytes())), put);
    }

    #[test]
    fn what_is_no_policy_is_left_to_moto() {
        assert_eq!(spare_tls(b"not JSON"), b"not JSON");
        assert_eq!(spare_tls(b"[]"), b"[]");
    }
}
