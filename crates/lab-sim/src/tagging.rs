//! The Resource Groups Tagging API: what moto lists of all services, and the Client VPN endpoints it does not know. On wish
//! it remembers what is deleted for a while, as AWS does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::call::{Answer, Call, answer};
use crate::sim::{Sim, lock};

const JSON: &str = "application/x-amz-json-1.1";
/// What a page holds where the request does not say (API reference, `GetResources`).
const PAGE: usize = 50;

/// What was listed, and when last.
#[derive(Debug, Default)]
pub(crate) struct TagMemory {
    /// How long something stays listed after it was deleted.
    lasts: Duration,
    /// By Region and ARN.
    seen: Mutex<BTreeMap<(String, String), (Value, Instant)>>,
}

impl TagMemory {
    pub(crate) fn new(seconds: u64) -> Self {
        Self { lasts: Duration::from_secs(seconds), seen: Mutex::default() }
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        lock(&self.seen).clear();
    }

    /// What is there, and what was until not long ago.
    fn remember(&self, region: &str, there: Vec<Value>, now: Instant) -> Vec<Value> {
        let mut seen = lock(&self.seen);
        for entry in there {
            let arn = entry["ResourceARN"].as_str().unwrap_or_default().to_owned();
            seen.insert((region.to_owned(), arn), (entry, now));
        }
        seen.retain(|_, (_, last)| now.saturating_duration_since(*last) <= self.lasts);
        let here = seen.iter().filter(|((place, _), _)| place == region);
        here.map(|(_, (entry, _))| entry.clone()).collect()
    }
}

/// Answers a call to the tagging API.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    if call.class.action != "GetResources" {
        return sim.moto.forward(call).await;
    }
    let region = &call.class.region;
    let mut there = sim.moto.list_tagged(region).await;
    for endpoint in sim.ec2.vpn.endpoints().await {
        if endpoint.region == *region && endpoint.state(&sim.times).is_some() {
            let tags = endpoint.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
            there.push(json!({ "ResourceARN": endpoint.arn(), "Tags": tags.collect::<Vec<_>>() }));
        }
    }
    for (arn, tags) in sim.lambda.mappings.tagged(sim, region) {
        let tags = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
        there.push(json!({ "ResourceARN": arn, "Tags": tags.collect::<Vec<_>>() }));
    }
    let all = sim.tag_memory.remember(region, there, sim.times.now());
    let page = cut_page(&call.json(), all);
    answer(200, JSON, page.to_string())
}

/// Those that the request wants, from where its token points.
fn cut_page(request: &Value, all: Vec<Value>) -> Value {
    let filters = request["TagFilters"].as_array().cloned().unwrap_or_default();
    let wanted: Vec<Value> =
        all.into_iter().filter(|entry| filters.iter().all(|filter| passes(entry, filter))).collect();
    let token = request["PaginationToken"].as_str().unwrap_or_default();
    let start = token.parse::<usize>().unwrap_or(0).min(wanted.len());
    let size = request["ResourcesPerPage"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(PAGE);
    let end = (start + size.max(1)).min(wanted.len());
    let next = if end < wanted.len() { end.to_string() } else { String::new() };
    json!({ "ResourceTagMappingList": wanted[start..end], "PaginationToken": next })
}

/// A filter wants its key, and one of its values where it has any.
fn passes(entry: &Value, filter: &Value) -> bool {
    let tags = entry["Tags"].as_array().cloned().unwrap_or_default();
    let values = filter["Values"].as_array().cloned().unwrap_or_default();
    tags.iter().any(|tag| tag["Key"] == filter["Key"] && (values.is_empty() || values.contains(&tag["Value"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(arn: &str, owner: &str) -> Value {
        json!({ "ResourceARN": arn, "Tags": [{ "Key": "owner", "Value": owner }] })
    }

    #[test]
    fn pages_follow_each_other_until_the_token_is_empty() {
        let all = vec![entry("a", "ada"), entry("b", "bob"), entry("c", "ada"), entry("d", "ada")];
        let filters = json!([{ "Key": "owner", "Values": ["ada"] }]);
        let first = cut_page(&json!({ "TagFilters": filters, "ResourcesPerPage": 2 }), all.clone());
        assert_eq!(first["ResourceTagMappingList"][1]["ResourceARN"], "c");
        let token = &first["PaginationToken"];
        let second = cut_page(&json!({ "TagFilters": filters, "ResourcesPerPage": 2, "PaginationToken": token }), all);
        assert_eq!(second["ResourceTagMappingList"].as_array().map(Vec::len), Some(1));
        assert_eq!(second["PaginationToken"], "");
    }

    #[test]
    fn what_is_deleted_stays_listed_as_long_as_was_asked_for() {
        let start = Instant::now();
        let (at_once, slow) = (TagMemory::new(0), TagMemory::new(60));
        for memory in [&at_once, &slow] {
            assert_eq!(memory.remember("us-east-1", vec![entry("a", "ada")], start).len(), 1);
        }
        let later = start + Duration::from_secs(30);
        assert_eq!(at_once.remember("us-east-1", vec![], later).len(), 0);
        assert_eq!(slow.remember("us-east-1", vec![], later).len(), 1);
        assert_eq!(slow.remember("us-east-1", vec![], start + Duration::from_mins(2)).len(), 0);
    }
}
