//! What only a report reads: the newest picture in and out, the function's newest lines, who is connected. Two rounds.

use std::collections::BTreeMap;
use std::path::Path;

use aws_sdk_ec2::types::ClientVpnEndpointStatusCode::{Deleted, Deleting};
use aws_sdk_s3::types::Object;
use aws_smithy_types::DateTime;
use base64::Engine as _;
use image_event::SOURCE_ETAG;
use lab_common::{Images, Lab, Names, Session, explain};
use lab_plan::{Heading, Problem};
use serde::Deserialize;
use serde_json::Value;

use super::evidence::{Checked, Picture};
use super::thumbnail::make_small;
use crate::census::World;
use crate::clients::Clients;
use crate::thing::{Fate, read_endpoint_time};

/// What was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The newest key of the input bucket that has a processed one, and that one.
    pub(super) pair: Option<(String, String)>,
    /// The processed one bears the function's mark with the `ETag` of the original; `None` where it was not fetched.
    pub(super) is_marked: Option<bool>,
    /// How many objects the input bucket holds, as far as one call lists them.
    pub(super) originals: usize,
    /// One of the buckets holds more than one call lists: the rest was not looked at.
    pub(super) is_part: bool,
    pub(super) pictures: Vec<Picture>,
    pub(super) log: Vec<String>,
    /// How many lines of metrics are not among those of the log.
    pub(super) metric_lines: usize,
    /// Who is or was connected within the last hour: a line each.
    pub(super) connections: Vec<String>,
    /// What could not be read.
    pub(super) unread: Vec<String>,
}

/// A picture that is larger is not fetched for a report.
const LARGEST: i64 = 8_000_000;
/// How many of the function's lines are shown.
const LINES: i32 = 20;

/// Reads it. What cannot be read is told, and hides nothing else.
pub(super) async fn observe(session: &Session, clients: &Clients) -> Seen {
    let mut seen = Seen::default();
    let (pictures, log, connections) =
        tokio::join!(find_pictures(session, clients), read_log(session, clients), list_connections(session, clients));
    match pictures {
        Ok(found) => seen = found,
        Err(problem) => seen.unread.push(tell(&problem)),
    }
    match log {
        Ok(log) => (seen.log, seen.metric_lines) = sort_lines(log),
        Err(problem) => seen.unread.push(tell(&problem)),
    }
    match connections {
        Ok(connections) => seen.connections = connections,
        Err(problem) => seen.unread.push(tell(&problem)),
    }
    seen
}

fn tell(problem: &Problem) -> String {
    format!("not known: {}", problem.why().unwrap_or(problem.what()))
}

async fn find_pictures(session: &Session, clients: &Clients) -> Result<Seen, Problem> {
    let Some(images) = &session.lab.images else { return Ok(Seen::default()) };
    let (input, output) = tokio::try_join!(list(clients, &images.input), list(clients, &images.output))?;
    let is_part = input.is_part || output.is_part;
    let mut seen = Seen { originals: input.objects.len(), is_part, ..Seen::default() };
    let Some((before, after)) = find_pair(images, &input.objects, &output.objects) else { return Ok(seen) };
    let (one, two) = tokio::join!(fetch(clients, &images.input, before), fetch(clients, &images.output, after));
    let is_of = |mark: &str| before.e_tag().is_some_and(|etag| etag.trim_matches('"') == mark.trim_matches('"'));
    seen.is_marked = match &two {
        Ok(Some(fetched)) => Some(fetched.source_etag.as_deref().is_some_and(is_of)),
        _ => None,
    };
    for fetched in [one, two] {
        match fetched {
            Ok(Some(fetched)) => seen.pictures.extend(fetched.picture),
            Ok(None) => {}
            Err(problem) => seen.unread.push(tell(&problem)),
        }
    }
    seen.pair = before.key().zip(after.key()).map(|(one, two)| (one.to_owned(), two.to_owned()));
    Ok(seen)
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

struct Fetched {
    /// `None` where it is no picture.
    picture: Option<Picture>,
    source_etag: Option<String>,
}

/// `None` where it is too large.
async fn fetch(clients: &Clients, bucket: &str, object: &Object) -> Result<Option<Fetched>, Problem> {
    let (Some(key), size) = (object.key(), object.size().unwrap_or_default()) else { return Ok(None) };
    if size > LARGEST {
        return Ok(None);
    }
    let answer = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let answer = answer.map_err(|error| explain("GetObject", &error))?;
    let source_etag = answer.metadata().and_then(|all| all.get(SOURCE_ETAG)).cloned();
    let body = answer.body.collect().await;
    let bytes = body.map_err(|error| Problem::failed(format!("GetObject: {error}")))?.into_bytes();
    let picture = make_small(&bytes).map(|small| Picture {
        place: format!("s3://{bucket}/{key}"),
        bytes: bytes.len() as u64,
        width: small.width,
        height: small.height,
        png: base64::engine::general_purpose::STANDARD.encode(small.file),
    });
    Ok(Some(Fetched { picture, source_etag }))
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

async fn list_connections(session: &Session, clients: &Clients) -> Result<Vec<String>, Problem> {
    if session.lab.vpn.is_none() {
        return Ok(Vec::new());
    }
    let answer = clients.ec2.describe_client_vpn_endpoints().send().await;
    let answer = answer.map_err(|error| explain("DescribeClientVpnEndpoints", &error))?;
    let mut ours = answer.client_vpn_endpoints().iter().filter(|one| lab_ec2::is_ours(&session.tags, one.tags()));
    let is_leaving = |state| matches!(state, &Deleted | &Deleting);
    let ours = ours.find(|one| !one.status().and_then(|status| status.code()).is_some_and(is_leaving));
    let Some(id) = ours.and_then(|endpoint| endpoint.client_vpn_endpoint_id()) else { return Ok(Vec::new()) };
    let answer = clients.ec2.describe_client_vpn_connections().client_vpn_endpoint_id(id).send().await;
    let answer = answer.map_err(|error| explain("DescribeClientVpnConnections", &error))?;
    let connections = answer.connections().iter().map(|one| {
        let state = one.status().and_then(|status| status.code()).map_or("unknown", |code| code.as_str());
        let (name, address) = (one.common_name().unwrap_or("?"), one.client_ip().unwrap_or("no address"));
        let since = one.connection_established_time().map_or_else(|| "?".to_owned(), show_since);
        format!("{name} ({address}) {state}, connected at {since}")
    });
    Ok(connections.collect())
}

/// AWS tells it with or without its zone, which is UTC.
fn show_since(text: &str) -> String {
    let read = read_endpoint_time(text).map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    read.unwrap_or_else(|| text.to_owned())
}

/// What `vpn-setup check` leaves on this machine.
#[derive(Deserialize)]
struct LastCheck {
    #[serde(flatten)]
    heading: Heading,
    #[serde(flatten)]
    checked: Checked,
}

/// What `vpn-setup check` last said on this machine of this lab's endpoint; or why what it said does not count.
pub(super) fn read_check(folder: &Path, heading: &Heading, world: &World) -> (Option<Checked>, Option<String>) {
    let read = std::fs::read(folder.join("last-check.json")).ok();
    let last = read.and_then(|bytes| serde_json::from_slice::<LastCheck>(&bytes).ok());
    let Some(LastCheck { checked, .. }) = last.filter(|last| last.heading == *heading) else { return (None, None) };
    let is_there = |thing: &&crate::thing::Thing| thing.kind == "client-vpn-endpoint" && thing.fate == Fate::Stays;
    let why = match world.things.iter().find(is_there).map(|endpoint| endpoint.created) {
        None => "the lab has no endpoint",
        Some(Some(created)) if !checked.is_since(created) => "the lab's endpoint was made after it",
        Some(_) => return (Some(checked), None),
    };
    let note = format!("what vpn-setup check said at {} does not count: {why}", checked.at);
    (None, Some(note))
}

/// The clients of lab.toml whose `.ovpn` file is on this machine, with certificate and key in it.
pub(super) fn list_profiles(lab: &Lab, folder: &Path) -> Vec<String> {
    let clients = lab.vpn.iter().flat_map(|vpn| &vpn.clients);
    let whole = |client: &&String| {
        let text = std::fs::read_to_string(folder.join(format!("{client}.ovpn"))).unwrap_or_default();
        text.contains("<cert>") && text.contains("<key>")
    };
    clients.filter(whole).cloned().collect()
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;
    use crate::testing::label;
    use crate::thing::Thing;

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

    #[test]
    fn a_check_counts_only_for_the_lab_and_the_endpoint_that_it_was_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let heading = Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
        let kept = serde_json::json!({"lab": "lab", "owner": "ada", "region": "us-east-1", "tunnel": true, "checks": [],
            "causes": [], "at": "2026-11-26 05:10 UTC"});
        std::fs::write(folder.path().join("last-check.json"), kept.to_string()).unwrap();
        let world = |created: Option<&str>| {
            let made = created.map(|time| {
                let thing = Thing::new("client-vpn-endpoint", "cvpn-endpoint-1", label("ada"));
                thing.created(Some(time.parse().unwrap()))
            });
            World { things: made.into_iter().collect(), ..World::default() }
        };
        let read = |heading: &Heading, created| read_check(folder.path(), heading, &world(created));
        assert!(read(&heading, Some("2026-11-26T04:00:00Z")).0.is_some());
        for created in [Some("2026-11-26T06:00:00Z"), None] {
            let (check, note) = read(&heading, created);
            assert!(check.is_none() && note.unwrap().contains("does not count"), "{created:?}");
        }
        let other = Heading { region: "eu-west-1".into(), ..heading };
        assert_eq!(read(&other, Some("2026-11-26T04:00:00Z")), (None, None));
    }
}
