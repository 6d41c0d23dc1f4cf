//! `application/x-www-form-urlencoded`: the body of the query protocols, query strings, and the keys in S3 events.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What form encoding leaves as it is, next to letters and digits.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*');

/// Names and values in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(pub(crate) Vec<(String, String)>);

impl Form {
    /// Reads `a=1&b=two+words`. Never fails: a part without `=` is a name with an empty value.
    pub(crate) fn parse(source: &str) -> Self {
        Self(
            source
                .split('&')
                .filter(|part| !part.is_empty())
                .map(|part| {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    (decode_plus(name), decode_plus(value))
                })
                .collect(),
        )
    }

    /// The first value of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the name occurs, with a value or without.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The values of `Name.1`, `Name.2`, … in the order in which they came.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| {
                key.strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('.'))
                    .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The wire form again.
    pub(crate) fn encode(&self) -> String {
        let parts: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{}={}", encode_form(name), encode_form(value))).collect();
        parts.join("&")
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Form {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Form encoding: a space becomes `+`, everything but `A-Za-z0-9-_.*` becomes `%XX` of its UTF-8 bytes.
pub(crate) fn encode_form(text: &str) -> String {
    let spaced: Vec<String> = text.split(' ').map(|word| utf8_percent_encode(word, FORM).to_string()).collect();
    spaced.join("+")
}

/// An object's key as S3 writes it in an event: form-encoded, with `/` left as it is.
pub(crate) fn encode_event_key(key: &str) -> String {
    let folders: Vec<String> = key.split('/').map(encode_form).collect();
    folders.join("/")
}

/// Percent-decoding of a path segment; `+` stays `+`. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode_percent(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn decode_plus(text: &str) -> String {
    decode_percent(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_in_events_are_form_encoded() {
        assert_eq!(encode_event_key("a b/c+d%2F é.png"), "a+b/c%2Bd%252F+%C3%A9.png");
    }

    #[test]
    fn lists_are_numbered_names() {
        let form = Form::parse("SubnetId.1=a&SubnetId.2=b&SubnetIdx=c&SubnetId.n=d&Action=X");
        assert_eq!(form.list("SubnetId"), ["a", "b"]);
        assert_eq!(form.get("Action"), Some("X"));
        assert!(!form.has("SubnetId"));
    }

    proptest! {
        #[test]
        fn any_form_survives(pairs in proptest::collection::vec(("\\PC{1,12}", "\\PC{0,12}"), 0..6)) {
            let form: Form = pairs.into_iter().collect();
            prop_assert_eq!(Form::parse(&form.encode()), form);
        }
    }
}
