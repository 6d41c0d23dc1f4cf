//! From what is there to what is wanted, and back to nothing. Pure.

mod conflict;
mod delivery;
mod op;

use std::collections::BTreeMap;

use lab_logs::LogGroup;
use lab_plan::{Action, Plan, Problem, Step};
use serde_json::Value;

use crate::live::{Claim, Guard, HereBucket, Live, LiveRole, find_claim};
use crate::notification::{Found, Target, Trigger, find_trigger, has_entry};
use crate::policy::{Permission, check_permission, function_policy, merge_bucket_policy, says_same, trust_policy};
use crate::queue::show_count;
use crate::stray::{Stray, StrayKind};
use crate::want::{LOG_DAYS, QueueKind, Side, Want, WantedFunction};

use conflict::find_conflicts;
pub(crate) use delivery::{find_our_queue, note_delivery};
pub use op::Op;
pub(crate) use op::{
    FunctionParts, InvokeParts, LogGroupParts, MappingParts, PermissionParts, Property, QueueParts, RoleParts,
};

/// What is said of a thing that was renamed in lab.toml.
const STRAY: &str = "of this lab by its tags; lab.toml has another name now";

/// What becomes of one thing.
enum Fate {
    /// It needs this.
    Change(Box<Step<Op>>),
    /// It is as it should be.
    Right,
    /// Nothing is wanted of it here.
    NotWanted,
}

impl From<Step<Op>> for Fate {
    fn from(step: Step<Op>) -> Self {
        Self::Change(Box::new(step))
    }
}

/// The steps that make the pipeline as lab.toml says; or everything that forbids it.
pub(crate) fn make_plan(want: &Want, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
    let conflicts = find_conflicts(want, live);
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    Ok(compare(want, live))
}

/// In what `live` differs from `want`, whatever of others is in the way.
pub(crate) fn compare(want: &Want, live: &Live) -> Plan<Op> {
    let fates = [
        plan_bucket(want, live, Side::Input),
        plan_bucket(want, live, Side::Output),
        delivery::plan_queue(want, live, QueueKind::DeadLetters),
        delivery::plan_queue(want, live, QueueKind::Images),
        plan_role(want, live),
        plan_log_group(want, live),
        plan_function(want, live),
        delivery::plan_concurrency(want, live),
        delivery::plan_invoke(want, live),
        plan_permission(want, live),
        delivery::plan_mapping(want, live),
        plan_trigger(want, live),
    ];
    let mut plan = Plan::default();
    for fate in fates {
        match fate {
            Fate::Change(step) => plan.steps.push(*step),
            Fate::Right => plan.unchanged += 1,
            Fate::NotWanted => {}
        }
    }
    plan
}

/// The steps that remove all of ours. Of others nothing can stand in their way.
pub(crate) fn make_teardown(want: &Want, live: &Live) -> Plan<Op> {
    let mut steps = Vec::new();
    let mut delete = |kind, role: &str, name: &str, op, needs: &[&str], detail: &str| {
        steps.push(Step::new(Action::Delete, kind, role, name, op).needs(needs.iter().copied()).detail(detail));
    };
    if find_ours(want, live, Side::Input).is_some_and(|bucket| has_entry(&bucket.notifications)) {
        delete("bucket-notification", "bucket-notification", &want.buckets.input, Op::DeleteTrigger, &[], "");
    }
    if let Some(mapping) = live.mapping.as_ref().filter(|mapping| mapping.state != "Deleting") {
        let op = Op::DeleteMapping { uuid: mapping.uuid.clone(), drains: false };
        let needs = ["bucket-notification"];
        delete("event-source-mapping", "event-source-mapping", &want.function.name, op, &needs, "");
    }
    if let Some(function) = &live.function {
        let name = &want.function.name;
        // With the function goes its policy.
        if find_claim(&want.tags, &function.tags) == Claim::Ours {
            let needs = ["bucket-notification", "event-source-mapping"];
            delete("function", "function", name, Op::DeleteFunction, &needs, "");
        } else if check_permission(function.policy.as_ref(), &want.input_arn(&live.place), &live.place.account)
            == Permission::Right
        {
            let detail = "the function bears no tags of this lab and stays";
            let needs = ["bucket-notification"];
            delete("function-permission", "function-permission", name, Op::DeletePermission, &needs, detail);
        }
    }
    if live.log_group.as_ref().is_some_and(|group| find_claim(&want.tags, &group.tags) == Claim::Ours) {
        delete("log-group", "log-group", &want.log_group, Op::DeleteLogGroup, &["function"], "");
    }
    if live.role.as_ref().is_some_and(|role| find_claim(&want.tags, &role.tags) == Claim::Ours) {
        delete("role", "role", &want.role, Op::DeleteRole, &["function"], "");
    }
    if live.batch_role.as_ref().is_some_and(|role| find_claim(&want.tags, &role.tags) == Claim::Ours) {
        let op = Op::DeleteBatchRole { account: live.place.account.clone() };
        delete("role", "role batch", &want.batch_role, op, &[], "");
    }
    for kind in QueueKind::BOTH {
        if let Some(queue) = find_our_queue(want, live, kind) {
            let detail = match queue.counts().all() {
                0 => String::new(),
                count => format!("with {} in it", show_count(count, "message")),
            };
            let needs = ["bucket-notification", "event-source-mapping", "function"];
            delete("queue", kind.role(), want.delivery.name(kind), Op::DeleteQueue(kind), &needs, &detail);
        }
    }
    for side in Side::BOTH {
        if let Some(bucket) = find_ours(want, live, side) {
            // A running function still writes; and an event must not find its object gone.
            let needs = ["bucket-notification", "function"];
            let detail = if bucket.is_empty { "" } else { "with everything in it" };
            delete("bucket", side.role(), want.buckets.get(side), Op::DeleteBucket(side), &needs, detail);
        }
    }
    // A function of another name works with the same role and queue, and writes to the same bucket.
    let strays = plan_strays_away(live);
    let users = strays.iter().filter(|step| ["function", "event-source-mapping"].contains(&step.kind));
    let users: Vec<_> = users.map(|step| step.role.clone()).collect();
    let after_users = |step: Step<Op>| match step.kind {
        "bucket" | "queue" | "role" => step.needs(users.clone()),
        _ => step,
    };
    let steps = steps.into_iter().map(after_users).chain(strays).collect();
    Plan { steps, ..Plan::default() }
}

/// What lab.toml calls otherwise now: a mapping before its function, and that before its log and what it writes to.
fn plan_strays_away(live: &Live) -> Vec<Step<Op>> {
    let first: &[StrayKind] = &[StrayKind::Mapping];
    let before = |kind| match kind {
        StrayKind::Mapping => &[],
        StrayKind::Function => first,
        StrayKind::LogGroup | StrayKind::Bucket => &[StrayKind::Mapping, StrayKind::Function],
    };
    let step = |stray: &Stray| {
        let needs = live.strays.iter().filter(|other| before(stray.kind).contains(&other.kind)).map(Stray::role);
        Step::new(Action::Delete, stray.kind.noun(), stray.role(), &stray.name, Op::DeleteStray(stray.clone()))
            .needs(needs)
            .detail(STRAY)
    };
    live.strays.iter().map(step).collect()
}

/// The bucket of `side`, if it is there and ours.
pub(crate) fn find_ours<'a>(want: &Want, live: &'a Live, side: Side) -> Option<&'a HereBucket> {
    live.buckets.get(side).here().filter(|bucket| find_claim(&want.tags, &bucket.tags) == Claim::Ours)
}

fn plan_bucket(want: &Want, live: &Live, side: Side) -> Fate {
    let name = want.buckets.get(side);
    let Some(bucket) = live.buckets.get(side).here() else {
        let bare = HereBucket::bare();
        let properties = list_differences(want, live, side, &bare);
        let detail = "private, encrypted, TLS only";
        return Step::new(Action::Create, "bucket", side.role(), name, Op::CreateBucket(side, properties))
            .detail(detail)
            .into();
    };
    let properties = list_differences(want, live, side, bucket);
    if properties.is_empty() {
        return Fate::Right;
    }
    let detail = properties.iter().map(Property::noun).collect::<Vec<_>>().join(", ");
    Step::new(Action::Update, "bucket", side.role(), name, Op::SetBucket(side, properties)).detail(detail).into()
}

fn list_differences(want: &Want, live: &Live, side: Side, bucket: &HereBucket) -> Vec<Property> {
    let tags = merge_tags(&bucket.tags, &want.bucket_tags(side)).map(Property::Tags);
    let policy = merge_bucket_policy(want, &live.place, side, bucket.policy.as_ref()).map(Property::Policy);
    let guards = [Guard::PublicAccessBlock, Guard::Encryption, Guard::OwnerEnforced];
    let missing = guards.into_iter().filter(|guard| !bucket.guards.contains(guard)).map(Property::Guard);
    tags.into_iter().chain(missing).chain(policy).collect()
}

/// All tags as they must become; `None` where ours are right. AWS's own (`aws:`) cannot be written.
fn merge_tags(live: &BTreeMap<String, String>, ours: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    if bears(live, ours) {
        return None;
    }
    let others = live.iter().filter(|(key, _)| !key.starts_with("aws:"));
    Some(others.map(|(key, value)| (key.clone(), value.clone())).chain(ours.clone()).collect())
}

fn bears(live: &BTreeMap<String, String>, ours: &BTreeMap<String, String>) -> bool {
    ours.iter().all(|(key, value)| live.get(key) == Some(value))
}

fn plan_role(want: &Want, live: &Live) -> Fate {
    if live.place.academy {
        return Fate::NotWanted;
    }
    let (trust, policy, tags) = (trust_policy(), function_policy(want, &live.place), want.role_tags());
    let Some(LiveRole { trust: live_trust, policy: live_policy, tags: live_tags, .. }) = &live.role else {
        let parts = RoleParts { trust: Some(trust), policy: Some(policy), tags: Some(tags) };
        return Step::new(Action::Create, "role", "role", &want.role, Op::CreateRole(parts)).into();
    };
    let differs = |live: &Option<Value>, wanted: &Value| !live.as_ref().is_some_and(|live| says_same(live, wanted));
    let parts = RoleParts {
        trust: differs(live_trust, &trust).then_some(trust),
        policy: differs(live_policy, &policy).then_some(policy),
        tags: (!bears(live_tags, &tags)).then_some(tags),
    };
    let words = [("trust", parts.trust.is_some()), ("policy", parts.policy.is_some()), ("tags", parts.tags.is_some())];
    match join_changed(&words) {
        None => Fate::Right,
        Some(detail) => Step::new(Action::Update, "role", "role", &want.role, Op::SetRole(parts))
            .needs(delivery::before_the_role(want, live))
            .detail(detail)
            .into(),
    }
}

fn plan_log_group(want: &Want, live: &Live) -> Fate {
    let (name, tags) = (&want.log_group, want.log_group_tags());
    let Some(LogGroup { arn, tags: live_tags, retention }) = &live.log_group else {
        let parts = LogGroupParts { retention: Some(LOG_DAYS), tags: Some(tags), arn: None };
        let detail = format!("kept {LOG_DAYS} days");
        return Step::new(Action::Create, "log-group", "log-group", name, Op::CreateLogGroup(parts))
            .detail(detail)
            .into();
    };
    // Lambda makes an untagged one for a function that has none. Where the function is not ours, its log is neither.
    let ours = live.function.as_ref().is_some_and(|function| find_claim(&want.tags, &function.tags) == Claim::Ours);
    if find_claim(&want.tags, live_tags) == Claim::Nobodys && !ours {
        return Fate::NotWanted;
    }
    let parts = LogGroupParts {
        retention: (*retention != Some(LOG_DAYS)).then_some(LOG_DAYS),
        tags: (!bears(live_tags, &tags)).then_some(tags),
        arn: Some(arn.clone()),
    };
    match join_changed(&[("retention", parts.retention.is_some()), ("tags", parts.tags.is_some())]) {
        None => Fate::Right,
        Some(detail) => {
            Step::new(Action::Update, "log-group", "log-group", name, Op::SetLogGroup(parts)).detail(detail).into()
        }
    }
}

/// Only a function of ours is configured; its code is not our business.
fn plan_function(want: &Want, live: &Live) -> Fate {
    let Some(function) = &live.function else { return Fate::NotWanted };
    if find_claim(&want.tags, &function.tags) != Claim::Ours {
        return Fate::NotWanted;
    }
    let WantedFunction { name, memory_mb, timeout_s, environment, arch: _ } = &want.function;
    let parts = FunctionParts {
        role: live.place.role_arn(want),
        memory_mb: *memory_mb,
        timeout_s: *timeout_s,
        environment: environment.clone(),
        clears: function.environment.keys().filter(|key| !environment.contains_key(*key)).copied().collect(),
    };
    let mut differences = Vec::new();
    if function.role != parts.role {
        differences.push(format!("role -> {}", parts.role));
    }
    if function.memory_mb != *memory_mb {
        differences.push(format!("memory {} -> {memory_mb} MB", function.memory_mb));
    }
    if function.timeout_s != *timeout_s {
        differences.push(format!("timeout {} -> {timeout_s} s", function.timeout_s));
    }
    let changed = environment.iter().filter(|(key, value)| function.environment.get(*key) != Some(value));
    differences.extend(changed.map(|(key, value)| format!("{key} -> {value}")));
    differences.extend(parts.clears.iter().map(|key| format!("no {key}")));
    if differences.is_empty() {
        return Fate::Right;
    }
    Step::new(Action::Update, "function", "function", name, Op::SetFunction(parts))
        .needs(["role"])
        .detail(differences.join(", "))
        .into()
}

fn plan_permission(want: &Want, live: &Live) -> Fate {
    let Some(function) = &live.function else { return Fate::NotWanted };
    let found = check_permission(function.policy.as_ref(), &want.input_arn(&live.place), &live.place.account);
    let action = match found {
        Permission::Right => return Fate::Right,
        Permission::Absent => Action::Create,
        Permission::Different => Action::Update,
    };
    let parts = PermissionParts {
        bucket_arn: want.input_arn(&live.place),
        account: live.place.account.clone(),
        replaces: found == Permission::Different,
    };
    let op = Op::SetPermission(parts);
    Step::new(action, "function-permission", "function-permission", &want.function.name, op)
        .detail(format!("{} may invoke it", want.buckets.input))
        .into()
}

fn plan_trigger(want: &Want, live: &Live) -> Fate {
    let Some(function) = &live.function else { return Fate::NotWanted };
    let trigger = wanted_trigger(want, live, &function.arn);
    let found = live.buckets.input.here().map_or(Found::Absent, |it| find_trigger(&it.notifications, &trigger));
    let action = match found {
        Found::Right => return Fate::Right,
        Found::Absent => Action::Create,
        Found::Different => Action::Update,
    };
    let (told, needs): (_, &[&str]) = match &trigger.target {
        Target::Function(_) => (format!("new objects run {}", want.function.name), &["function-permission"]),
        Target::Queue(_) => {
            let queue = want.delivery.name(QueueKind::Images);
            (format!("new objects go to {queue}"), &["queue images", "event-source-mapping"])
        }
    };
    Step::new(action, "bucket-notification", "bucket-notification", &want.buckets.input, Op::SetTrigger(trigger))
        .needs([Side::Input.role()])
        .needs(needs.iter().copied())
        .detail(told)
        .into()
}

/// The entry that lab.toml wants for this function.
pub(crate) fn wanted_trigger(want: &Want, live: &Live, function: &str) -> Trigger {
    let target = if want.delivery.queue {
        Target::Queue(want.queue_arn(&live.place, QueueKind::Images))
    } else {
        Target::Function(function.to_owned())
    };
    Trigger { target, filter: want.filter.clone() }
}

/// The words whose part changes; `None` where none does.
fn join_changed(words: &[(&str, bool)]) -> Option<String> {
    let changed: Vec<_> = words.iter().filter(|(_, changed)| *changed).map(|(word, _)| *word).collect();
    (!changed.is_empty()).then(|| changed.join(", "))
}

#[cfg(test)]
mod tests;
