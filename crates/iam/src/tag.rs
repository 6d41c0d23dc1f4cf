//! Tags in IAM's shape.

use aws_sdk_iam::types::Tag;
use lab_plan::Problem;

/// Keys and values as IAM takes them.
///
/// # Errors
/// When the SDK refuses one.
pub fn to_tags<K: Into<String>>(tags: impl IntoIterator<Item = (K, String)>) -> Result<Vec<Tag>, Problem> {
    let built = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let built: Result<Vec<_>, _> = built.collect();
    built.map_err(|error| Problem::failed("a request to IAM cannot be built").because(error.to_string()))
}
