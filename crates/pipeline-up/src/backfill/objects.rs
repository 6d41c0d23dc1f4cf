//! What is in the input bucket, and what of it has its results. Both buckets are listed side by side in the order of their
//! keys, which is that of their bytes (API reference, `ListObjectsV2`, general purpose buckets), and of both only a few
//! pages are in memory at a time. What is to be processed is kept whole.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::types::Object as Listed;
use image_event::report_key;
use lab_common::{Lab, explain};
use lab_plan::{Line, Problem, Stop};
use tokio::sync::mpsc::{Sender, channel};

use super::FOLDER;
use crate::Pipeline;
use crate::clients::Clients;
use crate::queue::show_count;
use crate::want::Filter;

/// How many pages, of 1,000 keys each, are listed ahead.
const PAGES_AHEAD: usize = 4;
/// So many keys of results are kept in mind before it is asked which of them are still needed.
const KEPT: usize = 4_000;

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

/// Lists both buckets and compares them, a few pages of each at a time.
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
    let (send_inputs, mut inputs) = channel::<Vec<Object>>(PAGES_AHEAD);
    let (send_results, mut results) = channel::<Vec<Object>>(PAGES_AHEAD);
    let result_keys = |key: &str| lab.images.as_ref().map_or(Vec::new(), |images| images.result_keys(key));
    let compare = async {
        let mut comparison = Comparison::new(&want.filter, result_keys);
        let mut listed = 0;
        while let Some(page) = inputs.recv().await {
            listed += page.len() as u64;
            for object in page {
                let wanted = comparison.begin(&object)?;
                while comparison.lacks(wanted.as_deref())
                    && let Some(page) = results.recv().await
                {
                    comparison.add_results(page)?;
                }
                comparison.decide(object);
            }
            line.waits_for(&show_count(listed, "object"));
        }
        // Nobody needs the rest of the results: their lister ends with its channel.
        drop(results);
        Ok(comparison.sorted)
    };
    let ((), (), sorted) = tokio::try_join!(
        list_bucket(clients, &want.buckets.input, common, stop, send_inputs),
        list_bucket(clients, &want.buckets.output, &stem, stop, send_results),
        compare,
    )?;
    Ok(sorted)
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

/// Sends a bucket's pages, in the order of their keys, until nobody takes them any more.
async fn list_bucket(
    clients: &Clients,
    bucket: &str,
    prefix: &str,
    stop: &Stop,
    pages_to: Sender<Vec<Object>>,
) -> Result<(), Problem> {
    let mut pages = clients.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    while let Some(page) =
        stop.or(async { pages.try_next().await.map_err(|error| explain("ListObjectsV2", &error)) }).await?
    {
        let objects = page.contents.unwrap_or_default().into_iter().filter_map(read).collect();
        if pages_to.send(objects).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn read(listed: Listed) -> Option<Object> {
    Some(Object {
        size: listed.size.unwrap_or_default(),
        etag: listed.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
        modified: listed.last_modified.and_then(|time| time.to_millis().ok()).unwrap_or_default(),
        key: listed.key?,
    })
}

/// The comparison under way. Of the results that were listed it keeps in mind only those that an object may still need.
/// Pure: whoever lists feeds it.
struct Comparison<'a, F> {
    filter: &'a Filter,
    result_keys: F,
    sorted: Sorted,
    /// What was listed of the output bucket and may still be asked for: when each was written, in milliseconds.
    results: BTreeMap<String, i64>,
    /// Results that an object has taken for its own: two keys that differ only in their extension share them.
    taken: BTreeSet<String>,
    /// The key of the object that is looked at, or was last.
    at: String,
    last_result: Option<String>,
    /// With so many results in mind, those that nobody needs any more are looked for.
    prune_at: usize,
}

impl<'a, F: Fn(&str) -> Vec<String>> Comparison<'a, F> {
    fn new(filter: &'a Filter, result_keys: F) -> Self {
        let (results, taken) = (BTreeMap::new(), BTreeSet::new());
        let (at, last_result) = (String::new(), None);
        let (sorted, prune_at) = (Sorted::default(), KEPT);
        Self { filter, result_keys, sorted, results, taken, at, last_result, prune_at }
    }

    /// Whether the trigger listens to it.
    fn counts(&self, object: &Object) -> bool {
        let (key, Filter { prefix, suffix }) = (&object.key, self.filter);
        let is_folder = key.ends_with('/') && object.size == 0;
        !is_folder && !key.starts_with(FOLDER) && key.starts_with(prefix.as_str()) && key.ends_with(suffix.as_str())
    }

    /// Comes to the next object. Answers with the last key of the output bucket that has to be listed before it can be
    /// decided; nobody has to list anything for what does not count.
    fn begin(&mut self, object: &Object) -> Result<Option<String>, Problem> {
        if self.at >= object.key {
            return Err(out_of_order(&object.key));
        }
        self.at.clone_from(&object.key);
        let keys = self.counts(object).then(|| (self.result_keys)(&object.key));
        Ok(keys.and_then(|keys| keys.into_iter().chain([report_key(&object.key)]).max()))
    }

    /// Whether the listing of the output bucket has not come to this key yet.
    fn lacks(&self, wanted: Option<&str>) -> bool {
        wanted.is_some_and(|wanted| self.last_result.as_deref().is_none_or(|last| last < wanted))
    }

    /// Takes a page of the output bucket.
    fn add_results(&mut self, page: Vec<Object>) -> Result<(), Problem> {
        for result in page {
            if self.last_result.as_ref().is_some_and(|last| *last >= result.key) {
                return Err(out_of_order(&result.key));
            }
            self.last_result = Some(result.key.clone());
            self.results.insert(result.key, result.modified);
        }
        self.prune_if_many();
        Ok(())
    }

    /// Says what is to be done about the object it has [come to](Self::begin), once all that it needs is there.
    fn decide(&mut self, object: Object) {
        if self.counts(&object) {
            self.sorted.all += 1;
            // S3 tells seconds: a result of the same second was made from it.
            let is_newer =
                |result: &String| self.results.get(result).is_some_and(|made| made / 1000 >= object.modified / 1000);
            let keys = (self.result_keys)(&object.key);
            let has_all = keys.iter().all(is_newer);
            let has_report = is_newer(&report_key(&object.key));
            let is_first = keys.into_iter().all(|result| self.taken.insert(result));
            if is_first && has_all {
                self.sorted.done += 1;
            } else if has_report {
                self.sorted.failed += 1;
            } else {
                self.sorted.todo.push(object);
            }
        }
        self.prune_if_many();
    }

    fn prune_if_many(&mut self) {
        if self.results.len() + self.taken.len() >= self.prune_at {
            self.prune();
            self.prune_at = KEPT.max(2 * (self.results.len() + self.taken.len()));
        }
    }

    /// Forgets what neither this object nor one after it asks for. A report begins with its object's key, so it is listed
    /// after it. A result begins with the key without its extension: where it is listed before an object that is still to
    /// come, all keys between the two begin so, this object's among them. `a-z.jpg` is listed before `a.jpg`, whose result
    /// is `a-processed.png`.
    fn prune(&mut self) {
        let at = self.at.as_str();
        let stems = at.char_indices().map(|(end, _)| &at[..end]).chain([at]);
        let late: BTreeSet<String> = stems.flat_map(|stem| (self.result_keys)(&format!("{stem}.x"))).collect();
        let may_be_needed = |key: &String| key.as_str() > at || late.contains(key);
        self.results.retain(|key, _| may_be_needed(key));
        self.taken.retain(may_be_needed);
    }
}

fn out_of_order(key: &str) -> Problem {
    Problem::failed(format!("`{key}` is not listed in the order of keys"))
        .because("the buckets are compared while they are listed, as S3 does it: in the order of the keys' bytes")
        .fix("name an endpoint that lists as S3 does")
}

#[cfg(test)]
mod tests {
    use lab_common::Recipe;
    use proptest::prelude::*;

    use super::*;

    fn object(key: &str, modified: i64) -> Object {
        Object { key: key.into(), size: 10, etag: "e".into(), modified }
    }

    /// Compares these, listed in pages of so many keys.
    fn compare(inputs: Vec<Object>, results: &[Object], filter: &Filter, recipe: &Recipe, page: usize) -> Sorted {
        let mut pages = results.chunks(page);
        let mut comparison = Comparison::new(filter, |key: &str| recipe.result_keys(key));
        for object in inputs {
            let wanted = comparison.begin(&object).unwrap();
            // Always, so that what is forgotten too early is missed.
            comparison.prune();
            while comparison.lacks(wanted.as_deref())
                && let Some(page) = pages.next()
            {
                comparison.add_results(page.to_vec()).unwrap();
                comparison.prune();
            }
            comparison.decide(object);
            comparison.prune();
        }
        comparison.sorted
    }

    fn listed(objects: &[(&str, i64)]) -> Vec<Object> {
        let mut listed: Vec<_> = objects.iter().map(|(key, time)| object(key, *time)).collect();
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        listed
    }

    fn sort_them(inputs: &[(&str, i64)], results: &[(&str, i64)], filter: &Filter) -> (Vec<String>, u64, u64, u64) {
        let sorted = compare(listed(inputs), &listed(results), filter, &Recipe::default(), 1);
        let todo = sorted.todo.into_iter().map(|object| object.key).collect();
        (todo, sorted.all, sorted.done, sorted.failed)
    }

    /// What the comparison is to answer, from everything at once.
    fn compare_at_once(inputs: &[Object], results: &[Object], recipe: &Recipe) -> Sorted {
        let results: BTreeMap<_, _> = results.iter().map(|result| (result.key.clone(), result.modified)).collect();
        let (mut sorted, mut taken) = (Sorted { all: inputs.len() as u64, ..Sorted::default() }, BTreeSet::new());
        for object in inputs {
            let is_newer = |key: &String| results.get(key).is_some_and(|made| made / 1000 >= object.modified / 1000);
            let keys = recipe.result_keys(&object.key);
            let is_first = taken.insert(keys.clone());
            if is_first && keys.iter().all(is_newer) {
                sorted.done += 1;
            } else if is_newer(&report_key(&object.key)) {
                sorted.failed += 1;
            } else {
                sorted.todo.push(object.clone());
            }
        }
        sorted
    }

    proptest! {
        #[test]
        fn page_by_page_is_as_good_as_all_at_once(
            keys in proptest::collection::btree_set("[a-]{1,3}(-200)?[ !-/a]{0,2}(\\.[ab]|/a)?[ä-]?", 1..30),
            chosen in proptest::collection::vec((0u8..6, 0i64..3), 30),
            page in 1usize..5,
            sizes in prop_oneof![Just(vec![]), Just(vec![200]), Just(vec![200, 720, 1])],
        ) {
            let recipe = Recipe { sizes, ..Recipe::default() };
            let inputs: Vec<_> = keys.iter().map(|key| object(key, 1000)).collect();
            let mut results = BTreeMap::new();
            for (object, (what, time)) in inputs.iter().zip(chosen) {
                let made = recipe.result_keys(&object.key);
                let made = match what {
                    0 => vec![],
                    1 => vec![report_key(&object.key)],
                    // Not all of them.
                    2 => made.into_iter().skip(1).collect(),
                    _ => made,
                };
                results.extend(made.into_iter().map(|key| (key, time * 1000)));
            }
            let results: Vec<_> = results.iter().map(|(key, time)| object(key, *time)).collect();
            let expected = compare_at_once(&inputs, &results, &recipe);
            prop_assert_eq!(compare(inputs, &results, &Filter::default(), &recipe, page), expected);
        }
    }

    #[test]
    fn of_a_large_bucket_a_few_pages_are_in_mind() {
        let name = |n: i64| format!("2026-01/img-{n:07}");
        let page = |n: i64| (n..n + 1_000).map(|n| object(&format!("{}-processed.png", name(n)), 6000)).collect();
        let (filter, recipe) = (Filter::default(), Recipe::default());
        // Of the second hundred thousand only the results are left.
        for (inputs, last) in [(0..100_000, "2026-01/img-0099999.jpg"), (0..0, "2026-01/img-0199999.jpg")] {
            let mut comparison = Comparison::new(&filter, |key: &str| recipe.result_keys(key));
            let (mut most, mut pages) = (0, (0..200_000).step_by(1_000).map(page));
            let mut keys: Vec<_> = inputs.map(|n| format!("{}.jpg", name(n))).collect();
            keys.retain(|key| key != last);
            for key in keys.iter().map(String::as_str).chain([last]) {
                let object = object(key, 5000);
                let wanted = comparison.begin(&object).unwrap();
                while comparison.lacks(wanted.as_deref())
                    && let Some(page) = pages.next()
                {
                    comparison.add_results(page).unwrap();
                    most = most.max(comparison.results.len() + comparison.taken.len());
                }
                comparison.decide(object);
            }
            assert_eq!((comparison.sorted.done, comparison.sorted.todo.len()), (keys.len() as u64 + 1, 0));
            assert!(most <= 6_000, "{most}");
        }
    }

    #[test]
    fn an_endpoint_that_lists_otherwise_is_refused() {
        let (filter, recipe) = (Filter::default(), Recipe::default());
        let mut comparison = Comparison::new(&filter, |key: &str| recipe.result_keys(key));
        assert!(comparison.begin(&object("b.jpg", 1)).is_ok());
        let refused = comparison.begin(&object("a.jpg", 1)).unwrap_err();
        assert!(refused.what().contains("`a.jpg` is not listed in the order"), "{refused}");
        assert!(comparison.add_results(vec![object("b", 1), object("a", 1)]).is_err());
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
