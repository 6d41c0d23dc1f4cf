//! What only a report reads: the newest picture in and out, the function's newest lines, who is connected. Two rounds.

use std::cmp::Reverse;
use std::path::Path;

use aws_sdk_s3::types::Object;
use aws_smithy_types::DateTime;
use base64::Engine as _;
use lab_common::{Lab, Names, Session, explain};
use lab_plan::Problem;

use super::evidence::{Checked, Picture};
use super::thumbnail::make_small;
use crate::clients::Clients;

/// What was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The newest key of the input bucket that has a processed one, and that one.
    pub(super) pair: Option<(String, String)>,
    /// How many objects each bucket holds, a thousand at most.
    pub(super) objects: (usize, usize),
    pub(super) pictures: Vec<Picture>,
    pub(super) log: Vec<String>,
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
        Ok(log) => seen.log = log,
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
    let mut seen = Seen { objects: (input.len(), output.len()), ..Seen::default() };
    let Some((before, after)) = find_pair(&input, &output) else { return Ok(seen) };
    let (one, two) = tokio::join!(fetch(clients, &images.input, before), fetch(clients, &images.output, after));
    for picture in [one, two] {
        match picture {
            Ok(Some(picture)) => seen.pictures.push(picture),
            Ok(None) => {}
            Err(problem) => seen.unread.push(tell(&problem)),
        }
    }
    seen.pair = before.key().zip(after.key()).map(|(one, two)| (one.to_owned(), two.to_owned()));
    Ok(seen)
}

/// A bucket that is not there holds nothing.
async fn list(clients: &Clients, bucket: &str) -> Result<Vec<Object>, Problem> {
    match clients.s3.list_objects_v2().bucket(bucket).send().await {
        Ok(answer) => Ok(answer.contents.unwrap_or_default()),
        Err(error) if lab_common::has_code(&error, "NoSuchBucket") => Ok(Vec::new()),
        Err(error) => Err(explain("ListObjectsV2", &error)),
    }
}

/// The newest processed picture whose original is there.
fn find_pair<'a>(input: &'a [Object], output: &'a [Object]) -> Option<(&'a Object, &'a Object)> {
    let mut newest: Vec<&Object> = output.iter().collect();
    newest.sort_by_key(|object| Reverse(object.last_modified().map(DateTime::secs)));
    newest.into_iter().find_map(|after| {
        let (stem, _) = after.key()?.rsplit_once("-processed.")?;
        let before = input.iter().find(|before| before.key().is_some_and(|key| is_original(key, stem)))?;
        Some((before, after))
    })
}

/// `a/b.jpg` is the original of `a/b-processed.png`, and of `a/b-200-processed.png`, which is one of several sizes.
fn is_original(key: &str, stem: &str) -> bool {
    let own = key.rsplit_once('.').filter(|(_, extension)| !extension.contains('/')).map_or(key, |(own, _)| own);
    let sized = stem.rsplit_once('-').filter(|(_, size)| size.chars().all(|c| c.is_ascii_digit()));
    own == stem || sized.is_some_and(|(base, _)| base == own)
}

async fn fetch(clients: &Clients, bucket: &str, object: &Object) -> Result<Option<Picture>, Problem> {
    let (Some(key), size) = (object.key(), object.size().unwrap_or_default()) else { return Ok(None) };
    if size > LARGEST {
        return Ok(None);
    }
    let answer = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let body = answer.map_err(|error| explain("GetObject", &error))?.body.collect().await;
    let bytes = body.map_err(|error| Problem::failed(format!("GetObject: {error}")))?.into_bytes();
    Ok(make_small(&bytes).map(|small| Picture {
        place: format!("s3://{bucket}/{key}"),
        bytes: bytes.len() as u64,
        width: small.width,
        height: small.height,
        png: base64::engine::general_purpose::STANDARD.encode(small.png),
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
    Ok(lines.map(|line| line.trim_end().chars().take(400).collect()).collect())
}

async fn list_connections(session: &Session, clients: &Clients) -> Result<Vec<String>, Problem> {
    if session.lab.vpn.is_none() {
        return Ok(Vec::new());
    }
    let answer = clients.ec2.describe_client_vpn_endpoints().send().await;
    let answer = answer.map_err(|error| explain("DescribeClientVpnEndpoints", &error))?;
    let ours = answer.client_vpn_endpoints().iter().find(|endpoint| lab_ec2::is_ours(&session.tags, endpoint.tags()));
    let Some(id) = ours.and_then(|endpoint| endpoint.client_vpn_endpoint_id()) else { return Ok(Vec::new()) };
    let answer = clients.ec2.describe_client_vpn_connections().client_vpn_endpoint_id(id).send().await;
    let answer = answer.map_err(|error| explain("DescribeClientVpnConnections", &error))?;
    let connections = answer.connections().iter().map(|one| {
        let state = one.status().and_then(|status| status.code()).map_or("unknown", |code| code.as_str());
        let (name, since) = (one.common_name().unwrap_or("?"), one.connection_established_time().unwrap_or("?"));
        let address = one.client_ip().unwrap_or("no address");
        format!("{name} ({address}) {state}, connected at {since}")
    });
    Ok(connections.collect())
}

/// What `vpn-setup check` last said on this machine.
pub(super) fn read_check(folder: &Path) -> Option<Checked> {
    serde_json::from_slice(&std::fs::read(folder.join("last-check.json")).ok()?).ok()
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
    use super::*;

    #[test]
    fn an_original_is_found_by_its_stem_with_and_without_a_size() {
        for (key, stem) in [("a/b.jpg", "a/b"), ("a/b.jpg", "a/b-200"), ("b", "b"), ("x.y/b", "x.y/b")] {
            assert!(is_original(key, stem), "{key} of {stem}");
        }
        assert!(!is_original("b.jpg", "a") && !is_original("b.jpg", "b-big"));
    }
}
