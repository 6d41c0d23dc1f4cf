//! Tags of endpoints: moto keeps those of everything else, and does not know these ids.

use std::collections::BTreeMap;

use super::endpoints::tags_mut;
use super::records::Endpoint;
use super::request::{Request, invalid, response};
use crate::call::Call;
use crate::ec2::filters::Filters;
use crate::faults::answers::ServiceError;
use crate::form::Form;
use crate::xml::Element;

const PREFIX: &str = "cvpn-endpoint-";
const RESOURCE_TYPE: &str = "client-vpn-endpoint";

/// Tags by key.
type Tags = BTreeMap<String, String>;

/// The tags that a creating request has for what it creates.
pub(crate) fn read_tag_specification(form: &Form, kind: &str) -> Result<Tags, ServiceError> {
    let mut tags = Tags::new();
    for number in 1.. {
        let name = format!("TagSpecification.{number}");
        let Some(named) = form.get(&format!("{name}.ResourceType")) else { break };
        if named != kind {
            let message = format!("'{named}' is not a valid taggable resource type for this operation.");
            return Err(invalid(message));
        }
        tags.extend(
            read_tags(form, &format!("{name}.Tag"))?.into_iter().map(|(key, value)| (key, value.unwrap_or_default())),
        );
    }
    Ok(tags)
}

/// `NAME.1.Key`, `NAME.1.Value`, …: a value may be missing where tags are deleted.
fn read_tags(form: &Form, name: &str) -> Result<Vec<(String, Option<String>)>, ServiceError> {
    let mut tags = Vec::new();
    for number in 1.. {
        let Some(key) = form.get(&format!("{name}.{number}.Key")) else { break };
        if key.starts_with("aws:") {
            return Err(invalid("Tag keys starting with 'aws:' are reserved for internal use".to_owned()));
        }
        tags.push((key.to_owned(), form.get(&format!("{name}.{number}.Value")).map(str::to_owned)));
    }
    Ok(tags)
}

/// `<tagSet>`
pub(crate) fn show_tags(tags: &Tags) -> Element {
    let mut set = Element::new("tagSet");
    for (key, value) in tags {
        let mut item = Element::new("item");
        item.push(Element::with_text("key", key));
        item.push(Element::with_text("value", value));
        set.push(item);
    }
    set
}

/// What the filters `tag:KEY` and `tag-key` look at.
pub(crate) fn values_of_tag_filter(tags: &Tags, filter: &str) -> Vec<String> {
    match filter.strip_prefix("tag:") {
        Some(key) => tags.get(key).cloned().into_iter().collect(),
        None => tags.keys().cloned().collect(),
    }
}

/// Whether a tagging call names an endpoint.
pub(crate) fn names_endpoint(call: &Call) -> bool {
    call.form.list("ResourceId").iter().any(|id| id.starts_with(PREFIX))
}

/// Applies `CreateTags` or `DeleteTags` to the endpoints that it names; the rest of the call is moto's.
pub(crate) async fn change(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let (ours, others): (Vec<&str>, Vec<&str>) =
        request.call.form.list("ResourceId").into_iter().partition(|id| id.starts_with(PREFIX));
    let changes = read_tags(&request.call.form, "Tag")?;
    for id in &ours {
        tags_mut(request, book, id)?;
    }
    if !others.is_empty() {
        let answer =
            request.sim.moto.forward(&request.call.with_form(with_resources(&request.call.form, &others))).await;
        if !answer.status().is_success() {
            return Err(ServiceError::from_ec2(&answer));
        }
    }
    let action = request.call.class.action.as_str();
    for id in ours {
        let tags = tags_mut(request, book, id)?;
        if action == "CreateTags" {
            tags.extend(changes.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())));
        } else if changes.is_empty() {
            tags.clear();
        } else {
            tags.retain(|key, value| {
                !changes.iter().any(|(gone, only)| gone == key && only.as_ref().is_none_or(|only| only == value))
            });
        }
    }
    let mut root = response(action);
    root.push(Element::with_text("return", "true"));
    Ok(root)
}

fn with_resources(form: &Form, ids: &[&str]) -> Form {
    let rest = form.0.iter().filter(|(name, _)| !name.starts_with("ResourceId.")).cloned();
    let named = ids.iter().enumerate().map(|(n, id)| (format!("ResourceId.{}", n + 1), (*id).to_owned()));
    rest.chain(named).collect()
}

/// Adds the endpoints' tags to moto's answer to `DescribeTags`.
pub(crate) fn add_to_list(call: &Call, endpoints: &[&Endpoint], root: &mut Element) {
    let filters = Filters::parse(&call.form);
    if root.child_text("nextToken").is_some_and(|token| !token.is_empty()) {
        return;
    }
    let Some(set) = root.child_mut("tagSet") else { return };
    for endpoint in endpoints {
        for (key, value) in &endpoint.tags {
            let takes = filters.take(|filter| {
                vec![match filter {
                    "key" => key.clone(),
                    "value" => value.clone(),
                    "resource-id" => endpoint.id.clone(),
                    "resource-type" => RESOURCE_TYPE.to_owned(),
                    filter if filter.strip_prefix("tag:") == Some(key) => value.clone(),
                    _ => return Vec::new(),
                }]
            });
            if takes {
                let mut item = Element::new("item");
                let fields = [
                    ("resourceId", endpoint.id.as_str()),
                    ("resourceType", RESOURCE_TYPE),
                    ("key", key),
                    ("value", value),
                ];
                for (name, text) in fields {
                    item.push(Element::with_text(name, text));
                }
                set.push(item);
            }
        }
    }
}
