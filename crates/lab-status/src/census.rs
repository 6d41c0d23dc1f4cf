//! Everything that bears our tags, or one of our names that AWS wants unique: two rounds of reads, none of which writes.
//!
//! The first round asks every service for what it has with our tags. EC2's own calls decide what of EC2 exists; the
//! Resource Groups Tagging API only says where else to look, for it lags and remembers what is deleted. The second round
//! confirms what was pointed at, and asks what stands in the way of its removal.

mod ec2;
mod iam;
mod other;
mod queues;
mod s3;
mod tagging;

use std::cell::{Cell, RefCell};

use futures::future::{LocalBoxFuture, join_all};
use jiff::Timestamp;
use lab_common::{Caller, explain};
use lab_plan::Problem;

use crate::clients::Clients;
use crate::scope::Scope;
use crate::thing::Thing;
use tagging::Hints;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct World {
    /// When it was looked at.
    pub(crate) now: Timestamp,
    /// The account's 12 digits: for calls, never for showing.
    pub(crate) account: String,
    /// Who has looked: the last part of the caller's ARN.
    pub(crate) caller: String,
    /// Ours, what AWS only remembers too.
    pub(crate) things: Vec<Thing>,
    /// What stands in our VPCs and is not ours.
    pub(crate) strangers: Vec<Thing>,
    /// What could not be looked at: whether something of it is left is not known.
    pub(crate) unread: Vec<String>,
    /// What the tagging API names, and no call of ours can confirm: ARNs.
    pub(crate) unconfirmed: Vec<String>,
    /// The tags of all services could be listed.
    pub(crate) knows_tags: bool,
    /// What the user should know besides.
    pub(crate) notes: Vec<String>,
}

impl World {
    /// AWS's words, where some answer to this call (`DescribeVpcs`) could not be read.
    pub(crate) fn find_unread(&self, call: &str) -> Option<&str> {
        let is_of = |said: &&String| said.strip_prefix(call).is_some_and(|rest| rest.starts_with(':'));
        self.unread.iter().find(is_of).map(String::as_str)
    }
}

/// Whom to ask, and for whose things.
struct Census<'a> {
    clients: &'a Clients,
    scope: &'a Scope,
    unread: RefCell<Vec<String>>,
    /// How many buckets nobody names as a lab's, and these credentials may not look at.
    unlooked: Cell<usize>,
}

type Reading<'a> = LocalBoxFuture<'a, Result<Vec<Thing>, Problem>>;

/// Reads all of it. A part that these credentials may not read is left out and told in `unread`.
///
/// # Errors
/// When AWS does not answer, or not to us.
pub(crate) async fn observe(clients: &Clients, scope: &Scope) -> Result<World, Problem> {
    let census = Census { clients, scope, unread: RefCell::default(), unlooked: Cell::default() };
    let (caller, ec2, ec2_tags, hints, buckets, functions, log_groups, certificates, queues, iam) = tokio::join!(
        census.identify_caller(),
        join_all(census.list_ec2()),
        census.described_tags(),
        census.hints(),
        census.list_buckets(),
        census.list_functions(),
        census.list_log_groups(),
        census.list_certificates(),
        census.list_queues(),
        census.list_iam(),
    );
    // The caller first: without credentials every call fails, and this one says so best.
    let caller = caller?;
    let mut things = Vec::new();
    for part in ec2 {
        things.extend(census.permit(part)?);
    }
    let hints = Census::permit_hints(hints)?;
    things.extend(census.permit(ec2_tags)?);
    let (buckets, functions) = (census.permit(buckets)?, census.permit(functions)?);
    let (log_groups, certificates) = (census.permit(log_groups)?, census.permit(certificates)?);
    let queues = census.permit(queues)?;
    let iam = census.permit_iam(iam, &caller)?;

    let second: Vec<Reading<'_>> = census
        .look_into_buckets(buckets, &hints)
        .into_iter()
        .chain(census.look_into_functions(functions, &hints))
        .chain(census.look_into_log_groups(log_groups, &hints))
        .chain(census.look_into_certificates(certificates, &hints))
        .chain(census.look_into_queues(queues, &hints))
        .chain(census.look_into_mappings(&hints))
        .chain(census.look_into_iam(iam))
        .chain(census.look_into_endpoints(&things))
        .collect();
    let (second, inhabitants) = tokio::join!(join_all(second), join_all(census.list_inhabitants(&things)));
    for part in second {
        things.extend(census.permit(part)?);
    }
    let mut strangers = Vec::new();
    for part in inhabitants {
        strangers.extend(census.permit(part)?);
    }
    date_associations(&mut things, &strangers);
    strangers.retain(|stranger| !things.iter().any(|thing| thing.id == stranger.id));
    things.sort_by(|a, b| (a.kind, &a.name, &a.id).cmp(&(b.kind, &b.name, &b.id)));
    things.dedup_by(|a, b| a.id == b.id && a.kind == b.kind);
    let (unconfirmed, knows_tags) = (hints.list_unconfirmed(scope), !hints.is_denied());
    let mut notes = hints.notes;
    notes.extend(tell_unlooked(census.unlooked.get()));
    let name = caller.arn.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    Ok(World {
        now: Timestamp::now(),
        account: caller.account,
        caller: name,
        things,
        strangers,
        unread: census.unread.into_inner(),
        unconfirmed,
        knows_tags,
        notes,
    })
}

impl Census<'_> {
    async fn identify_caller(&self) -> Result<Caller, Problem> {
        let answer = self.clients.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| explain("GetCallerIdentity", &error))?;
        Caller::new(answer.account(), answer.arn())
    }

    /// A part that cannot be read is empty, and told: what else exists, and what it costs, is not hidden by it.
    fn permit<T>(&self, part: Result<Vec<T>, Problem>) -> Result<Vec<T>, Problem> {
        match part {
            Err(problem) if !problem.is_about_credentials() => {
                let said = tell_unread(&problem);
                let mut unread = self.unread.borrow_mut();
                if !unread.contains(&said) {
                    unread.push(said);
                }
                Ok(Vec::new())
            }
            part => part,
        }
    }

    /// The tagging API only points at things: where it may not be asked, the services are.
    fn permit_hints(hints: Result<Hints, Problem>) -> Result<Hints, Problem> {
        match hints {
            Err(problem) if !problem.is_about_credentials() => Ok(Hints::denied(&problem)),
            hints => hints,
        }
    }

    /// A Learner Lab may forbid even to look; nothing of ours can be there.
    fn permit_iam(&self, iam: Result<Vec<Thing>, Problem>, caller: &Caller) -> Result<Vec<Thing>, Problem> {
        match iam {
            Err(problem) if problem.is_denial() && self.scope.account().is_academy(Some(caller)) => Ok(Vec::new()),
            iam => self.permit(iam),
        }
    }
}

/// AWS's words, which begin with the call; where it has said nothing, ours do.
pub(crate) fn tell_unread(problem: &Problem) -> String {
    let call = problem.what().split_once(": ").map(|(call, _)| call).filter(|call| !call.contains(' '));
    match (call, problem.why()) {
        (Some(call), Some(why)) if !why.starts_with(call) => format!("{}: {why}", problem.what()),
        (_, why) => why.unwrap_or(problem.what()).to_owned(),
    }
}

fn tell_unlooked(count: usize) -> Option<String> {
    let noun = if count == 1 { "bucket" } else { "buckets" };
    (count > 0).then(|| {
        format!(
            "{count} {noun} could not be looked at (GetBucketTagging is denied), and the tagging API names none of them as \
             a lab's"
        )
    })
}

/// Whether a network interface is of a Client VPN association. It names no endpoint (`ClientVPN Endpoint resource`), only
/// its subnet says of which.
pub(crate) fn is_of_client_vpn(thing: &Thing) -> bool {
    let description = thing.more.get("description").and_then(serde_json::Value::as_str);
    thing.kind == "network-interface" && description.is_some_and(|text| text.contains("ClientVPN"))
}

/// EC2 does not tell when a subnet was associated. The association's network interface was attached then.
fn date_associations(things: &mut [Thing], strangers: &[Thing]) {
    for thing in things.iter_mut().filter(|thing| thing.kind == "client-vpn-target-network") {
        let mut interfaces = strangers.iter().filter(|other| is_of_client_vpn(other));
        let interface = interfaces.find(|other| other.place.subnet == thing.place.subnet);
        let Some(since) = interface.and_then(|interface| interface.created) else { continue };
        thing.created = Some(since);
        for bill in &mut thing.bills {
            bill.since = Some(since);
        }
    }
}
