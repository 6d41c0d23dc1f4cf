//! What is in the input bucket, and what of it has its results. Both buckets are listed in the order of their keys.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_s3::types::Object as Listed;
use image_event::report_key;
use lab_common::{Lab, explain};
use lab_plan::{Line, Problem, Stop};

use super::FOLDER;
use crate::Pipeline;
use crate::clients::Clients;
use crate::queue::show_count;
use crate::want::Filter;

/// One object to process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) key: String,
    /// In bytes.
    pub(super) size: i64,
    /// Without quotes.
    pub(super) etag: String,
    /// When it was written, in milliseconds since 1970.
    modified: i64,
}

/// The objects of a bucket by what is to be done about them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    /// All that the trigger would listen to.
    pub(super) all: u64,
    /// Their results are there, and no older than they are.
    pub(super) done: u64,
    /// The report that they cannot be processed is.
    pub(super) failed: u64,
    pub(super) todo: Vec<Object>,
}

/// Lists both buckets and compares them.
pub(super) async fn list(
    pipeline: &Pipeline,
    lab: &Lab,
    prefix: &str,
    stop: &Stop,
    line: &Line,
) -> Result<Sorted, Problem> {
    let (want, clients) = (&pipeline.want, &pipeline.clients);
    let Some(common) = narrow(prefix, &want.filter.prefix) else { return Ok(Sorted::default()) };
    let stem = stem_of(common);
    let (inputs, results) = tokio::try_join!(
        list_bucket(clients, &want.buckets.input, common, stop, Some(line)),
        list_bucket(clients, &want.buckets.output, &stem, stop, None),
    )?;
    let results: HashMap<String, i64> = results.into_iter().map(|object| (object.key, object.modified)).collect();
    let result_keys = |key: &str| lab.images.as_ref().map_or(Vec::new(), |images| images.result_keys(key));
    Ok(sort(inputs, &results, &want.filter, result_keys))
}

/// The longer of two prefixes, where one begins with the other; no key has both else.
fn narrow<'a>(a: &'a str, b: &'a str) -> Option<&'a str> {
    if a.starts_with(b) { Some(a) } else { b.starts_with(a).then_some(b) }
}

/// A result's key has the object's without its extension: a prefix may end within that.
fn stem_of(prefix: &str) -> String {
    let folder = prefix.rfind('/').map_or(0, |slash| slash + 1);
    match prefix[folder..].find('.') {
        Some(dot) => prefix[..folder + dot].to_owned(),
        None => prefix.to_owned(),
    }
}

async fn list_bucket(
    clients: &Clients,
    bucket: &str,
    prefix: &str,
    stop: &Stop,
    line: Option<&Line>,
) -> Result<Vec<Object>, Problem> {
    let mut pages = clients.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut objects = Vec::new();
    while let Some(page) =
        stop.or(async { pages.try_next().await.map_err(|error| explain("ListObjectsV2", &error)) }).await?
    {
        objects.extend(page.contents.unwrap_or_default().into_iter().filter_map(read));
        if let Some(line) = line {
            line.waits_for(&show_count(objects.len() as u64, "object"));
        }
    }
    Ok(objects)
}

fn read(listed: Listed) -> Option<Object> {
    Some(Object {
        size: listed.size.unwrap_or_default(),
        etag: listed.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
        modified: listed.last_modified.and_then(|time| time.to_millis().ok()).unwrap_or_default(),
        key: listed.key?,
    })
}

fn sort(
    inputs: Vec<Object>,
    results: &HashMap<String, i64>,
    filter: &Filter,
    result_keys: impl Fn(&str) -> Vec<String>,
) -> Sorted {
    let mut sorted = Sorted::default();
    // Two keys that differ only in their extension share a result: it is of one of them only.
    let mut taken = BTreeSet::new();
    for object in inputs {
        let key = &object.key;
        let is_folder = key.ends_with('/') && object.size == 0;
        if is_folder || key.starts_with(FOLDER) || !key.starts_with(&filter.prefix) || !key.ends_with(&filter.suffix) {
            continue;
        }
        sorted.all += 1;
        // S3 tells seconds: a result of the same second was made from it.
        let is_newer = |result: &String| results.get(result).is_some_and(|made| made / 1000 >= object.modified / 1000);
        let keys = result_keys(key);
        let is_first = keys.iter().all(|result| taken.insert(result.clone()));
        if is_first && keys.iter().all(is_newer) {
            sorted.done += 1;
        } else if is_newer(&report_key(key)) {
            sorted.failed += 1;
        } else {
            sorted.todo.push(object);
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, modified: i64) -> Object {
        Object { key: key.into(), size: 10, etag: "e".into(), modified }
    }

    fn sort_them(inputs: &[(&str, i64)], results: &[(&str, i64)], filter: &Filter) -> (Vec<String>, u64, u64, u64) {
        let inputs = inputs.iter().map(|(key, time)| object(key, *time)).collect();
        let results = results.iter().map(|(key, time)| ((*key).to_owned(), *time)).collect();
        let sorted = sort(inputs, &results, filter, |key| lab_common::Recipe::default().result_keys(key));
        let todo = sorted.todo.into_iter().map(|object| object.key).collect();
        (todo, sorted.all, sorted.done, sorted.failed)
    }

    #[test]
    fn what_has_its_result_is_done_unless_it_was_written_again() {
        let inputs = [("a.jpg", 5000), ("b.jpg", 5000), ("c.jpg", 5000), ("d.jpg", 5900)];
        let results = [
            ("a-processed.png", 6000),
            ("b-processed.png", 4000),
            ("c.jpg-failed.json", 7000),
            ("d-processed.png", 5000),
        ];
        let (todo, all, done, failed) = sort_them(&inputs, &results, &Filter::default());
        assert_eq!((todo, all, done, failed), (vec!["b.jpg".to_owned()], 4, 2, 1));
    }

    #[test]
    fn of_two_that_share_a_result_the_second_is_not_taken_for_done() {
        let inputs = [("a.jpg", 5000), ("a.png", 5000)];
        let (todo, _, done, _) = sort_them(&inputs, &[("a-processed.png", 6000)], &Filter::default());
        assert_eq!((todo, done), (vec!["a.png".to_owned()], 1));
    }

    #[test]
    fn only_what_the_trigger_listens_to_counts() {
        let filter = Filter { prefix: "in/".into(), suffix: ".jpg".into() };
        let inputs = [("in/a.jpg", 1), ("in/a.txt", 1), ("out/a.jpg", 1), (".hybrid-lab/x.jpg", 1)];
        assert_eq!(sort_them(&inputs, &[], &filter).0, ["in/a.jpg"]);
    }

    #[test]
    fn the_longer_prefix_is_listed_and_none_where_they_exclude_each_other() {
        assert_eq!(narrow("in/2026", "in/"), Some("in/2026"));
        assert_eq!(narrow("", "in/"), Some("in/"));
        assert_eq!(narrow("out/", "in/"), None);
        for (prefix, stem) in [("in/", "in/"), ("in/a.jp", "in/a"), ("v1.2/a", "v1.2/a"), ("", "")] {
            assert_eq!(stem_of(prefix), stem);
        }
    }
}
