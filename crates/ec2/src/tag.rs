//! Our tags in EC2's shapes.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use lab_common::Tags;

use crate::Attempt;

/// The tags that a creating call carries, so that a crash cannot lose what it made.
pub fn specify_tags(
    kind: ResourceType,
    tags: &Tags,
    role: &str,
    name: &str,
    attempt: Option<&Attempt>,
) -> TagSpecification {
    let ours = tags.of(role, name).map(|(key, value)| (key, value));
    let attempt = attempt.map(|attempt| (Tags::ATTEMPT, attempt.to_string()));
    let all = ours.into_iter().chain(attempt).map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder().resource_type(kind).set_tags(Some(all.collect())).build()
}

/// Filters that only things of this lab pass.
pub fn lab_filters(tags: &Tags) -> Vec<Filter> {
    let filter = |(key, value): (&str, String)| Filter::builder().name(format!("tag:{key}")).values(value).build();
    tags.common().map(filter).into()
}

/// Whether what bears these tags belongs to this lab. Asked again of every answer: a filter that an endpoint does not
/// know must not make a stranger's thing ours.
pub fn is_ours(ours: &Tags, tags: &[Tag]) -> bool {
    ours.match_all(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))))
}

/// The role that these tags give to their resource.
pub fn find_role(tags: &[Tag]) -> Option<&str> {
    find_tag(tags, Tags::ROLE)
}

/// The value of one tag.
pub fn find_tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}
