//! What only a report reads: the newest picture in and out, the function's newest lines, who is connected. Two rounds.

mod hosts;
mod local;
mod pipeline;
mod vpn;

use std::collections::BTreeMap;

use aws_sdk_s3::types::Object;
use aws_smithy_types::DateTime;
use base64::Engine as _;
use image_event::SOURCE_ETAG;
use lab_common::{Images, Names, Session, explain};
use lab_plan::Problem;
use serde_json::Value;

use super::evidence::Picture;
use super::thumbnail::make_small;
use crate::census::tell_unread;
use crate::clients::Clients;

pub(super) use hosts::{Machine, find_task_host, software};
pub(super) use local::{Checks, Profile, list_profiles, read_checks};
pub(super) use pipeline::{Function, Pipeline, Trigger};
pub(super) use vpn::{Association, Endpoint};
#[cfg(test)]
pub(super) use vpn::{Connection, Rule, Way};

/// What was asked for; or, where it could not be read, AWS's words for why.
pub(super) type Read<T> = Result<T, String>;

/// What was seen, each by its own reading: one that is refused hides no other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) originals: Read<Originals>,
    /// The newest original that has a result; `None` where none of what was looked at has.
    pub(super) pair: Read<Option<Pair>>,
    /// One of the buckets holds more than one call lists: the rest was not looked at.
    pub(super) is_part: bool,
    pub(super) pictures: Vec<Picture>,
    /// The function's newest lines.
    pub(super) log: Read<Vec<String>>,
    /// How many lines of metrics are not among them.
    pub(super) metric_lines: usize,
    pub(super) hosts: Read<Vec<Machine>>,
    pub(super) pipeline: Pipeline,
    pub(super) endpoint: Read<Option<Endpoint>>,
    /// What could not be read.
    pub(super) unread: Vec<String>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            originals: Ok(Originals::default()),
            pair: Ok(None),
            is_part: false,
            pictures: Vec::new(),
            log: Ok(Vec::new()),
            metric_lines: 0,
            hosts: Ok(Vec::new()),
            pipeline: Pipeline::default(),
            endpoint: Ok(None),
            unread: Vec::new(),
        }
    }
}

/// What the input bucket holds, as far as one call lists it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Originals {
    pub(super) count: usize,
    /// It holds more.
    pub(super) is_part: bool,
    /// The newest one that bears a picture's name, and whether it is one.
    pub(super) picture: Option<(String, Read<bool>)>,
}

/// An original and what was made from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) before: String,
    pub(super) after: String,
    /// The result bears the function's mark with the `ETag` of the original.
    pub(super) is_marked: Read<bool>,
}

/// A picture that is larger is not fetched for a report.
const LARGEST: i64 = 8_000_000;
/// How many of the function's lines are shown.
const LINES: i32 = 20;
/// What the names of pictures end in.
const PICTURES: [&str; 10] = ["png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "avif", "heic"];

/// Reads it. What cannot be read is told, and hides nothing else.
pub(super) async fn observe(session: &Session, clients: &Clients) -> Seen {
    let pipeline = async {
        match &session.lab.images {
            Some(images) => pipeline::find_pipeline(images, &session.names, clients).await,
            None => Pipeline::default(),
        }
    };
    let (seen, log, hosts, pipeline, endpoint) = tokio::join!(
        Box::pin(find_pictures(session, clients)),
        read_log(session, clients),
        Box::pin(hosts::find_machines(session, clients)),
        pipeline,
        Box::pin(vpn::find_endpoint(session, clients)),
    );
    let (log, metric_lines) = match log.map(sort_lines) {
        Ok((log, count)) => (Ok(log), count),
        Err(problem) => (Err(unread(problem)), 0),
    };
    let mut seen = Seen { log, metric_lines, hosts, pipeline, endpoint, ..seen };
    let refused = list_unread(&seen);
    for why in refused {
        let note = format!("not known: {why}");
        if !seen.unread.contains(&note) {
            seen.unread.push(note);
        }
    }
    seen
}

#[expect(clippy::needless_pass_by_value, reason = "so that it stands in `map_err` as it is")]
fn unread(problem: Problem) -> String {
    tell_unread(&problem)
}

/// All that could not be read.
fn list_unread(seen: &Seen) -> Vec<String> {
    fn why<T>(read: &Read<T>) -> Option<&String> {
        read.as_ref().err()
    }
    let Pipeline { function, policy, triggers, may_upload } = &seen.pipeline;
    let mut all = vec![why(&seen.originals), why(&seen.pair), why(&seen.log), why(&seen.hosts), why(&seen.endpoint)];
    all.extend([why(function), why(policy), why(triggers), why(may_upload)]);
    for host in seen.hosts.iter().flatten() {
        all.extend([why(&host.is_ready), why(&host.is_told)]);
    }
    if let Ok(Some(endpoint)) = &seen.endpoint {
        let Endpoint { associations, rules, routes, connections, .. } = endpoint;
        all.extend([why(associations), why(rules), why(routes), why(connections)]);
    }
    if let Ok(Some(pair)) = &seen.pair {
        all.push(why(&pair.is_marked));
    }
    all.into_iter().flatten().cloned().collect()
}

async fn find_pictures(session: &Session, clients: &Clients) -> Seen {
    let Some(images) = &session.lab.images else { return Seen::default() };
    let (input, output) = tokio::join!(list(clients, &images.input), list(clients, &images.output));
    let input = match input {
        Ok(input) => input,
        Err(problem) => {
            let why = unread(problem);
            return Seen { originals: Err(why.clone()), pair: Err(why), ..Seen::default() };
        }
    };
    let is_part = input.is_part || output.as_ref().is_ok_and(|output| output.is_part);
    let originals = Originals { count: input.objects.len(), is_part: input.is_part, picture: None };
    let mut seen = Seen { is_part, ..Seen::default() };
    let found = output.as_ref().ok().and_then(|output| find_pair(images, &input.objects, &output.objects));
    let named = || input.objects.iter().filter(|one| one.key().is_some_and(is_named_as_picture));
    let before = found
        .map(|(before, _)| before)
        .or_else(|| named().max_by_key(|one| one.last_modified().map(DateTime::as_nanos)));
    let after = found.map(|(_, after)| after);
    let (one, two, is_marked) = tokio::join!(
        fetch(clients, &images.input, before),
        fetch(clients, &images.output, after),
        read_mark(clients, &images.output, found),
    );
    let is_picture = match &one {
        Ok(picture) => Ok(picture.is_some()),
        Err(why) => Err(why.clone()),
    };
    let key = before.and_then(|before| before.key()).map(str::to_owned);
    seen.originals = Ok(Originals { picture: key.clone().map(|key| (key, is_picture)), ..originals });
    for fetched in [one, two] {
        match fetched {
            Ok(picture) => seen.pictures.extend(picture),
            Err(why) => seen.unread.push(format!("not shown: {why}")),
        }
    }
    let pair = key.zip(after.and_then(|after| after.key()).map(str::to_owned));
    seen.pair = match output {
        Ok(_) => Ok(pair.map(|(before, after)| Pair { before, after, is_marked })),
        Err(problem) => Err(unread(problem)),
    };
    seen
}

fn is_named_as_picture(key: &str) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| PICTURES.contains(&ending.as_str()))
}

/// Whether the result bears the mark of that original. The mark is read without the picture, however large it is.
async fn read_mark(clients: &Clients, bucket: &str, pair: Option<(&Object, &Object)>) -> Read<bool> {
    let Some((before, after)) = pair else { return Ok(false) };
    let request = clients.s3.head_object().bucket(bucket).key(after.key().unwrap_or_default());
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Err(unread(explain("HeadObject", &error))),
    };
    let mark = answer.metadata().and_then(|all| all.get(SOURCE_ETAG)).map(|mark| mark.trim_matches('"').to_owned());
    Ok(mark.is_some() && mark.as_deref() == before.e_tag().map(|etag| etag.trim_matches('"')))
}

/// What a bucket holds, as far as one call lists it: a thousand objects. More calls would be more rounds.
#[derive(Default)]
struct Listing {
    objects: Vec<Object>,
    is_part: bool,
}

/// A bucket that is not there holds nothing.
async fn list(clients: &Clients, bucket: &str) -> Result<Listing, Problem> {
    match clients.s3.list_objects_v2().bucket(bucket).send().await {
        Ok(answer) => {
            let is_part = answer.is_truncated().unwrap_or(false);
            Ok(Listing { objects: answer.contents.unwrap_or_default(), is_part })
        }
        Err(error) if lab_common::has_code(&error, "NoSuchBucket") => Ok(Listing::default()),
        Err(error) => Err(explain("ListObjectsV2", &error)),
    }
}

/// The newest result, by the lab's own rule, and the newest picture that it may have been made from.
fn find_pair<'a>(images: &Images, input: &'a [Object], output: &'a [Object]) -> Option<(&'a Object, &'a Object)> {
    let results: BTreeMap<&str, &Object> = output.iter().filter_map(|after| Some((after.key()?, after))).collect();
    let when = |object: &Object| object.last_modified().map(DateTime::as_nanos);
    let pairs = input.iter().filter_map(|before| {
        let keys = images.result_keys(before.key()?);
        let made = keys.iter().filter_map(|key| results.get(key.as_str()).copied());
        Some((before, made.max_by_key(|after| when(after))?))
    });
    pairs.max_by_key(|(before, after)| (when(after), when(before)))
}

/// `None` where there is none, or it is no picture.
async fn fetch(clients: &Clients, bucket: &str, object: Option<&Object>) -> Read<Option<Picture>> {
    let Some((key, size)) = object.and_then(|one| Some((one.key()?, one.size().unwrap_or_default()))) else {
        return Ok(None);
    };
    if size > LARGEST {
        return Err(format!("s3://{bucket}/{key} has {size} bytes, too many to be fetched for a report"));
    }
    let answer = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let answer = answer.map_err(|error| unread(explain("GetObject", &error)))?;
    let bytes = answer.body.collect().await.map_err(|error| format!("GetObject: {error}"))?.into_bytes();
    Ok(make_small(&bytes).map(|small| Picture {
        place: format!("s3://{bucket}/{key}"),
        bytes: bytes.len() as u64,
        width: small.width,
        height: small.height,
        png: base64::engine::general_purpose::STANDARD.encode(small.file),
    }))
}

async fn read_log(session: &Session, clients: &Clients) -> Result<Vec<String>, Problem> {
    let Some(images) = &session.lab.images else { return Ok(Vec::new()) };
    let group = Names::function_log_group(&images.function);
    let streams = clients.logs.describe_log_streams().log_group_name(&group);
    let streams = streams.order_by(aws_sdk_cloudwatchlogs::types::OrderBy::LastEventTime).descending(true).limit(1);
    let answer = match streams.send().await {
        Ok(answer) => answer,
        Err(error) if lab_common::has_code(&error, "ResourceNotFoundException") => return Ok(Vec::new()),
        Err(error) => return Err(explain("DescribeLogStreams", &error)),
    };
    let Some(stream) = answer.log_streams().first().and_then(|stream| stream.log_stream_name()) else {
        return Ok(Vec::new());
    };
    let events = clients.logs.get_log_events().log_group_name(&group).log_stream_name(stream).limit(LINES).send().await;
    let events = events.map_err(|error| explain("GetLogEvents", &error))?;
    let lines = events.events().iter().filter_map(|event| event.message());
    Ok(lines.map(|line| line.trim_end().to_owned()).collect())
}

/// The lines that are for people, and how many hold metrics (the embedded metric
/// format: a document with `_aws`).
fn sort_lines(lines: Vec<String>) -> (Vec<String>, usize) {
    let is_metrics =
        |line: &String| serde_json::from_str::<Value>(line).is_ok_and(|document| document.get("_aws").is_some());
    let (metrics, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_metrics);
    (lines, metrics.len())
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;

    fn object(key: &str, second: i64) -> Object {
        Object::builder().key(key).last_modified(DateTime::from_secs(second)).build()
    }

    fn pair(more: &str, input: &[Object], output: &[Object]) -> Option<(String, String)> {
        let text = HOL02.replace("[images]", &format!("[images]\n{more}"));
        let overrides = Overrides { owner: Some("ada".into()), region: None };
        let lab = read_lab("hol02", &text, &overrides).unwrap();
        let (before, after) = find_pair(lab.images.as_ref().unwrap(), input, output)?;
        Some((before.key()?.to_owned(), after.key()?.to_owned()))
    }

    #[test]
    fn a_picture_is_paired_with_what_the_lab_calls_its_result() {
        let input = [object("photo.jpg", 1), object("photo-200.jpg", 2), object(".hidden", 3)];
        let output = [object("photo-200-processed.png", 9)];
        assert_eq!(pair("", &input, &output), Some(("photo-200.jpg".into(), "photo-200-processed.png".into())));
        assert_eq!(
            pair("sizes = [200]", &input, &output),
            Some(("photo.jpg".into(), "photo-200-processed.png".into()))
        );
        let hidden = [object(".hidden-processed.png", 9)];
        assert_eq!(pair("", &input, &hidden), Some((".hidden".into(), ".hidden-processed.png".into())));
        assert_eq!(pair("", &input, &[object("other-processed.png", 9)]), None);
    }

    #[test]
    fn the_newest_result_is_shown() {
        let input = [object("a.jpg", 1), object("b.jpg", 2)];
        let output = [object("a-processed.png", 9), object("b-processed.png", 8)];
        assert_eq!(pair("", &input, &output), Some(("a.jpg".into(), "a-processed.png".into())));
    }

    #[test]
    fn lines_of_metrics_are_counted_and_left_out() {
        let metrics = "{\"_aws\":{\"CloudWatchMetrics\":[]},\"Bytes\":1}";
        let (lines, left_out) = sort_lines(vec!["START".to_owned(), metrics.to_owned()]);
        assert_eq!((lines, left_out), (vec!["START".to_owned()], 1));
    }
}
