//! Queues, mapping, what becomes of failures, and the bound: the parts between S3 and the function. Pure.

use lab_plan::{Action, Step};

use super::{Fate, InvokeParts, MappingParts, Op, QueueParts, bears};
use crate::live::{Claim, Live, LiveFunction, LiveMapping, LiveQueue, find_claim};
use crate::queue::{BATCH_SIZE, find_differences, show_attribute, show_count};
use crate::want::{QueueKind, Want};

/// What Lambda does by itself: two retries, within 6 hours (Lambda developer guide, "Asynchronous invocation").
const RETRIES: i32 = 2;
const MOST_SECONDS: i32 = 6 * 3600;

const MAPPING: &str = "event-source-mapping";
const INVOKE: &str = "function-event-invoke-config";
const CONCURRENCY: &str = "function-concurrency";

/// The queue, if it is there and ours.
pub(crate) fn find_our_queue<'a>(want: &Want, live: &'a Live, kind: QueueKind) -> Option<&'a LiveQueue> {
    live.queues.get(kind).filter(|queue| find_claim(&want.tags, &queue.tags) == Claim::Ours)
}

/// Only a function of ours is configured.
fn find_our_function<'a>(want: &Want, live: &'a Live) -> Option<&'a LiveFunction> {
    live.function.as_ref().filter(|function| find_claim(&want.tags, &function.tags) == Claim::Ours)
}

/// Until the queue is empty the role must let Lambda take from it.
pub(super) fn before_the_role(want: &Want, live: &Live) -> Option<&'static str> {
    (!want.delivery.queue && live.mapping.is_some()).then_some(MAPPING)
}

pub(super) fn plan_queue(want: &Want, live: &Live, kind: QueueKind) -> Fate {
    if !want.delivery.wants(kind) {
        return plan_queue_away(want, live, kind);
    }
    let (name, found, tags) = (want.delivery.name(kind), live.queues.get(kind), want.queue_tags(kind));
    let attributes = find_differences(want, &live.place, kind, found);
    // SQS wants to see the queue of dead letters before another names it.
    let needs = (kind == QueueKind::Images).then_some(QueueKind::DeadLetters.role());
    let Some(queue) = found else {
        let op = Op::CreateQueue(kind, QueueParts { attributes, tags: Some(tags) });
        let detail = match kind {
            QueueKind::Images => "encrypted; only the input bucket may send",
            QueueKind::DeadLetters => "encrypted; kept 14 days",
        };
        return Step::new(Action::Create, "queue", kind.role(), name, op).needs(needs).detail(detail).into();
    };
    let tags = (!bears(&queue.tags, &tags)).then_some(tags);
    let mut words: Vec<_> = attributes.keys().map(|name| show_attribute(name)).collect();
    words.extend(tags.is_some().then_some("tags"));
    if words.is_empty() {
        return Fate::Right;
    }
    let detail = words.join(", ");
    let op = Op::SetQueue(kind, QueueParts { attributes, tags });
    Step::new(Action::Update, "queue", kind.role(), name, op).needs(needs).detail(detail).into()
}

/// A queue that is no longer wanted goes once it is empty: messages are events that nobody else has.
fn plan_queue_away(want: &Want, live: &Live, kind: QueueKind) -> Fate {
    let Some(queue) = find_our_queue(want, live, kind) else { return Fate::NotWanted };
    let is_emptied_first = kind == QueueKind::Images && live.mapping.is_some();
    if queue.counts().all() > 0 && !is_emptied_first {
        return Fate::NotWanted;
    }
    let needs: &[&str] = match kind {
        QueueKind::Images => &["bucket-notification", MAPPING],
        QueueKind::DeadLetters => &[QueueKind::Images.role(), INVOKE],
    };
    Step::new(Action::Delete, "queue", kind.role(), want.delivery.name(kind), Op::DeleteQueue(kind))
        .needs(needs.iter().copied())
        .into()
}

pub(super) fn plan_mapping(want: &Want, live: &Live) -> Fate {
    let name = &want.function.name;
    let found = live.mapping.as_ref().filter(|mapping| mapping.state != "Deleting");
    if !want.delivery.queue {
        let Some(mapping) = found else { return Fate::NotWanted };
        let op = Op::DeleteMapping { uuid: mapping.uuid.clone(), drains: true };
        return Step::new(Action::Delete, MAPPING, MAPPING, name, op)
            .needs(["bucket-notification"])
            .detail("after the function has emptied the queue")
            .into();
    }
    if live.function.is_none() {
        return Fate::NotWanted;
    }
    let most = want.delivery.concurrency;
    let parts = MappingParts {
        queue_arn: want.queue_arn(&live.place, QueueKind::Images),
        batch_size: BATCH_SIZE,
        most_at_once: most,
        tags: found.is_none().then(|| want.mapping_tags()),
    };
    let Some(mapping) = found else {
        let bound = most.map_or("no bound on how many at once".to_owned(), |most| format!("at most {most} at once"));
        return Step::new(Action::Create, MAPPING, MAPPING, name, Op::CreateMapping(parts))
            // Lambda checks the role's rights, and the queue's visibility timeout against the function's timeout.
            .needs([QueueKind::Images.role(), "role", "function"])
            .detail(format!("{BATCH_SIZE} messages a call; {bound}"))
            .into();
    };
    let differences = list_mapping_differences(mapping, most);
    if differences.is_empty() {
        return Fate::Right;
    }
    let op = Op::SetMapping { uuid: mapping.uuid.clone(), parts };
    Step::new(Action::Update, MAPPING, MAPPING, name, op)
        .needs([QueueKind::Images.role(), "role", "function"])
        .detail(differences.join(", "))
        .into()
}

fn list_mapping_differences(mapping: &LiveMapping, most: Option<i32>) -> Vec<String> {
    let mut differences = Vec::new();
    if mapping.batch_size != BATCH_SIZE {
        differences.push(format!("batch {} -> {BATCH_SIZE}", mapping.batch_size));
    }
    if mapping.most_at_once != most {
        let show = |most: Option<i32>| most.map_or("no bound".to_owned(), |most| most.to_string());
        differences.push(format!("at once {} -> {}", show(mapping.most_at_once), show(most)));
    }
    if !mapping.reports_failures {
        differences.push("only failed messages come back".to_owned());
    }
    if ["Disabled", "Disabling"].contains(&mapping.state.as_str()) {
        differences.push("enabled".to_owned());
    }
    differences
}

/// Asynchronous invocations have no queue to go back to: what fails for good goes to the dead letters.
pub(super) fn plan_invoke(want: &Want, live: &Live) -> Fate {
    if find_our_function(want, live).is_none() {
        return Fate::NotWanted;
    }
    let name = &want.function.name;
    let letters = want.queue_arn(&live.place, QueueKind::DeadLetters);
    let found = live.invoke.as_ref();
    if !want.delivery.dead_letters {
        let ours = found.is_some_and(|invoke| invoke.on_failure.as_deref() == Some(&letters));
        let keeps = find_our_queue(want, live, QueueKind::DeadLetters).is_some_and(|queue| queue.counts().all() > 0);
        if !ours || keeps {
            return Fate::NotWanted;
        }
        return Step::new(Action::Delete, INVOKE, INVOKE, name, Op::DeleteInvoke).into();
    }
    let is_right = found.is_some_and(|invoke| {
        invoke.on_failure.as_deref() == Some(&letters)
            && invoke.retries.unwrap_or(RETRIES) == RETRIES
            && invoke.most_seconds.unwrap_or(MOST_SECONDS) == MOST_SECONDS
    });
    if is_right {
        return Fate::Right;
    }
    let action = if found.is_some() { Action::Update } else { Action::Create };
    let parts = InvokeParts { on_failure: letters, retries: RETRIES, most_seconds: MOST_SECONDS };
    Step::new(action, INVOKE, INVOKE, name, Op::SetInvoke(parts))
        .needs([QueueKind::DeadLetters.role(), "role", "function"])
        .detail(format!("what fails goes to {}", want.delivery.name(QueueKind::DeadLetters)))
        .into()
}

pub(super) fn plan_concurrency(want: &Want, live: &Live) -> Fate {
    let (Some(wanted), Some(function)) = (want.delivery.concurrency, find_our_function(want, live)) else {
        return Fate::NotWanted;
    };
    if function.reserved == Some(wanted) {
        return Fate::Right;
    }
    if !live.room.is_some_and(|room| room.has(wanted, function.reserved.unwrap_or(0))) {
        return Fate::NotWanted;
    }
    let action = if function.reserved.is_some() { Action::Update } else { Action::Create };
    Step::new(action, CONCURRENCY, CONCURRENCY, &want.function.name, Op::Reserve(wanted))
        .needs(["function"])
        .detail(format!("at most {wanted} at once, reserved"))
        .into()
}

/// What the user should know of it besides.
pub(crate) fn note_delivery(want: &Want, live: &Live) -> Vec<String> {
    let mut notes = Vec::new();
    let name = &want.function.name;
    if let Some(letters) = find_our_queue(want, live, QueueKind::DeadLetters).map(|queue| queue.counts().all())
        && letters > 0
    {
        let queue = want.delivery.name(QueueKind::DeadLetters);
        let stays = if want.delivery.dead_letters { "" } else { "; it stays until they are gone" };
        let verb = if letters == 1 { "waits" } else { "wait" };
        let letters = show_count(letters, "dead letter");
        notes.push(format!("{letters} {verb} in {queue}: `pipeline-up redrive` tries them again{stays}"));
    }
    if !want.delivery.queue
        && live.mapping.is_none()
        && let Some(queue) = find_our_queue(want, live, QueueKind::Images).filter(|queue| queue.counts().all() > 0)
    {
        let count = show_count(queue.counts().all(), "message");
        notes.push(format!(
            "{} holds {count} that nobody takes, so it stays: write `queue = true` in [images] of lab.toml and run \
             `pipeline-up` to process them",
            want.delivery.name(QueueKind::Images)
        ));
    }
    let Some(function) = find_our_function(want, live) else { return notes };
    match (want.delivery.concurrency, function.reserved) {
        (None, Some(reserved)) => notes.push(format!(
            "{name} may work {reserved} times at once, which somebody has reserved; `concurrency` of [images] in lab.toml \
             says nothing of it"
        )),
        (Some(wanted), reserved) if reserved != Some(wanted) => notes.extend(note_no_room(want, live, function, wanted)),
        _ => {}
    }
    notes
}

/// Why `concurrency` is not reserved, and what bounds the function instead.
fn note_no_room(want: &Want, live: &Live, function: &LiveFunction, wanted: i32) -> Option<String> {
    let why = match live.room {
        Some(room) if room.has(wanted, function.reserved.unwrap_or(0)) => return None,
        Some(room) => format!(
            "the account's quota of {} concurrent functions leaves no {wanted} to reserve ({} unreserved, of which AWS keeps \
             100)",
            room.limit, room.unreserved
        ),
        None => "the account's quota cannot be read (lambda:GetAccountSettings)".to_owned(),
    };
    let instead = if want.delivery.queue {
        "the queue's mapping bounds what comes through it all the same"
    } else {
        "nothing bounds the function: `queue = true` in [images] of lab.toml does"
    };
    Some(format!("concurrency = {wanted}: {why}; {instead}"))
}
