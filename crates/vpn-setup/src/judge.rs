//! What becomes of each certificate, list and file. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::local::Configuration;
use crate::pki::{Certificate, Client, RevocationList, Serial};
use crate::scene::Scene;

/// What ends within this time is renewed, where a run may do that, and warned of.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Whether what ends at `end` is to be renewed.
pub(crate) fn is_soon(end: Timestamp, now: Timestamp) -> bool {
    end.duration_since(now) < SOON
}

/// What becomes of the server's certificate in ACM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerVerdict {
    AsWanted,
    Absent,
    Renew { arn: String, why: String },
}

pub(crate) fn judge_server(scene: Scene<'_>) -> ServerVerdict {
    let Some(found) = scene.live.certificate() else { return ServerVerdict::Absent };
    let why = match &found.certificate {
        None => Some("ACM holds nothing".to_owned()),
        Some(certificate) => find_fault(scene, certificate, found.authority.as_ref()),
    };
    why.map_or(ServerVerdict::AsWanted, |why| ServerVerdict::Renew { arn: found.arn.clone(), why })
}

/// `issuer` is the certificate's authority, where this machine knows none.
fn find_fault(scene: Scene<'_>, certificate: &Certificate, issuer: Option<&Certificate>) -> Option<String> {
    if !certificate.dns_names.iter().any(|name| name == scene.server) {
        return Some(format!("it is not for {}", scene.server));
    }
    let authority = scene.local().signing_authority();
    if authority.is_some_and(|authority| !certificate.is_signed_by(authority)) {
        return Some("another authority signed it".to_owned());
    }
    let ends_soon = is_to_renew(certificate, authority.or(issuer), scene.live.now);
    ends_soon.then(|| format!("valid until {}", show_day(certificate.not_after)))
}

/// Whether a certificate ends soon, and a new one would not: none outlives its authority, so a renewal just before that
/// one's end gives nothing.
fn is_to_renew(certificate: &Certificate, authority: Option<&Certificate>, now: Timestamp) -> bool {
    let gains = authority.is_none_or(|authority| certificate.not_after < authority.not_after);
    is_soon(certificate.not_after, now) && (gains || certificate.is_expired(now))
}

/// Whether a server certificate of our authority can serve under this name for as long as a new one.
pub(crate) fn is_fresh_server(
    certificate: &Certificate,
    authority: &Certificate,
    server: &str,
    now: Timestamp,
) -> bool {
    certificate.dns_names.iter().any(|name| name == server) && !is_to_renew(certificate, Some(authority), now)
}

/// Whether the local server certificate can be imported as it is.
pub(crate) fn has_fresh_server(scene: Scene<'_>) -> bool {
    scene.local().server.as_ref().is_some_and(|server| find_fault(scene, server, None).is_none())
}

/// The clients of lab.toml that have no certificate here. Those that were revoked are not made again in silence.
pub(crate) fn find_missing_clients(scene: Scene<'_>) -> Vec<String> {
    let local = scene.local();
    let has_none = |name: &&String| local.client(name).is_none() && !local.is_revoked(name) && !local.is_offered(name);
    scene.want.clients.iter().filter(has_none).cloned().collect()
}

/// What becomes of the endpoint's list of revoked clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListVerdict {
    /// Nobody was ever revoked.
    NoneNeeded,
    AsWanted,
    Import {
        why: String,
    },
}

pub(crate) fn judge_list(scene: Scene<'_>) -> ListVerdict {
    let there = scene.live.endpoint().and_then(|endpoint| endpoint.revocation_list.as_ref());
    let revoked = list_revoked(scene);
    let missing = revoked.iter().filter(|serial| !there.is_some_and(|list| list.has(serial))).count();
    match there {
        None if revoked.is_empty() => ListVerdict::NoneNeeded,
        _ if missing > 0 => ListVerdict::Import { why: format!("{missing} revoked") },
        Some(list) if is_soon(list.next_update, scene.live.now) => {
            ListVerdict::Import { why: format!("valid until {}", show_day(list.next_update)) }
        }
        _ => ListVerdict::AsWanted,
    }
}

/// What is known to be revoked: here, and where the authority comes from that is to be taken over.
fn list_revoked(scene: Scene<'_>) -> BTreeSet<&Serial> {
    let local = scene.local();
    let buried = local.clients.iter().filter(|client| client.revoked).map(|client| &client.certificate.serial);
    let offered = local.offered.iter().flat_map(|offered| &offered.revoked);
    buried.chain(local.list.iter().flat_map(|list| list.revoked.keys())).chain(offered).collect()
}

/// Whether the local list can be imported as it is.
pub(crate) fn has_fresh_list(scene: Scene<'_>) -> bool {
    let local = scene.local();
    let exported = scene.live.endpoint().and_then(|endpoint| endpoint.revocation_list.as_ref());
    local.list.as_ref().is_some_and(|list| is_complete(list, &local.clients, exported, scene.live.now))
}

/// Whether a list holds all that is known to be revoked, on this machine and at the endpoint, and is valid for long.
pub(crate) fn is_complete(
    list: &RevocationList,
    clients: &[Client],
    exported: Option<&RevocationList>,
    now: Timestamp,
) -> bool {
    let here = clients.iter().filter(|client| client.revoked).map(|client| &client.certificate.serial);
    let mut revoked = here.chain(exported.iter().flat_map(|exported| exported.revoked.keys()));
    // A higher number at the endpoint was made elsewhere.
    let newest = exported.is_none_or(|exported| exported.number <= list.number);
    newest && !is_soon(list.next_update, now) && revoked.all(|serial| list.has(serial))
}

/// Whether something is to be signed, or to be imported with a key that is made here.
pub(crate) fn needs_authority(scene: Scene<'_>) -> bool {
    let server = judge_server(scene) != ServerVerdict::AsWanted && !has_fresh_server(scene);
    let list = matches!(judge_list(scene), ListVerdict::Import { .. }) && !has_fresh_list(scene);
    server || list || !find_missing_clients(scene).is_empty()
}

/// The clients whose `.ovpn` files are looked after: those of lab.toml with a certificate, and others that have a file.
pub(crate) fn list_configured_clients(scene: Scene<'_>) -> Vec<String> {
    let local = scene.local();
    let wanted = scene.want.clients.iter().filter(|name| !local.is_revoked(name));
    let others = local.configurations.keys().filter(|name| local.client(name).is_some());
    wanted.chain(others).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether a client's file connects to this endpoint with the client's own certificate. What an endpoint cannot change
/// needs no comparing.
pub(crate) fn is_current(scene: Scene<'_>, client: &str, there: &Configuration) -> bool {
    let Some(endpoint) = scene.live.endpoint() else { return false };
    let certificate = scene.local().client(client);
    if certificate.is_none() || there.certificate.as_ref() != certificate {
        return false;
    }
    let Some(remote) = &there.remote else { return false };
    let same_host =
        remote.host.contains(&endpoint.id) || endpoint.host().is_some_and(|host| remote.host.ends_with(host));
    let port = scene.want.endpoint.port.to_string();
    // What this run has just written is what the endpoint exports, whatever that looks like.
    there.just_written || (same_host && remote.port.as_ref().is_none_or(|there| *there == port))
}

/// `2027-03-01`
pub(crate) fn show_day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}
