//! What exists, for people and programs. Pure.

use lab_plan::{Goal, Problem, Resource, Settling};

use crate::live::{Claim, Live, LiveFunction, find_claim};
use crate::notification::{ENTRY_ID, EVENTS, Found, Said, Target, find_trigger, read_entry};
use crate::plan::{find_ours, wanted_trigger};
use crate::policy::{PERMISSION_SID, Permission, check_permission};
use crate::want::{QueueKind, Side, Want};

/// Everything of ours, and a function that is connected though it is not ours.
pub(crate) fn list_resources(want: &Want, live: &Live) -> Vec<Resource> {
    let buckets = Side::BOTH.into_iter().filter_map(|side| {
        let bucket = find_ours(want, live, side)?;
        let name = want.buckets.get(side);
        let resource = Resource::new("bucket", name, name).with("role", side.role()).with("empty", bucket.is_empty);
        Some(resource)
    });
    let mut resources: Vec<_> = buckets.collect();
    let ours = |tags| find_claim(&want.tags, tags) == Claim::Ours;
    for kind in QueueKind::BOTH {
        let Some(queue) = live.queues.get(kind).filter(|queue| ours(&queue.tags)) else { continue };
        let counts = queue.counts();
        resources.push(
            Resource::new("queue", want.delivery.name(kind), want.queue_arn(&live.place, kind))
                .with("role", kind.role())
                .with("messages", counts.waiting)
                .with("in_flight", counts.taken),
        );
    }
    if let Some(role) = live.role.as_ref().filter(|role| ours(&role.tags)) {
        resources.push(Resource::new("role", &want.role, &role.arn));
    }
    if let Some(role) = live.batch_role.as_ref().filter(|role| ours(&role.tags)) {
        resources.push(Resource::new("role", &want.batch_role, &role.arn));
    }
    if let Some(group) = live.log_group.as_ref().filter(|group| ours(&group.tags)) {
        let resource = Resource::new("log-group", &want.log_group, &group.arn);
        resources.push(match group.retention {
            Some(days) => resource.with("retention_days", days),
            None => resource,
        });
    }
    if let Some(function) = &live.function {
        let permission = check_permission(function.policy.as_ref(), &want.input_arn(&live.place), &live.place.account);
        if ours(&function.tags) || permission == Permission::Right {
            resources.push(show_function(want, function, ours(&function.tags)));
        }
        if permission != Permission::Absent {
            let state = if permission == Permission::Right { "available" } else { "different" };
            let name = &want.function.name;
            resources.push(Resource::new("function-permission", name, PERMISSION_SID).state(state));
        }
    }
    if let Some(mapping) = &live.mapping {
        let mut resource = Resource::new("event-source-mapping", &want.function.name, &mapping.uuid)
            .state(&mapping.state)
            .with("batch_size", mapping.batch_size)
            .with("queue", want.queue_arn(&live.place, QueueKind::Images));
        if let Some(most) = mapping.most_at_once {
            resource = resource.with("maximum_concurrency", most);
        }
        resources.push(resource);
    }
    resources.extend(show_trigger(want, live));
    resources.extend(live.strays.iter().map(|stray| Resource::new(stray.kind.noun(), &stray.name, &stray.arn)));
    resources
}

fn show_function(want: &Want, function: &LiveFunction, ours: bool) -> Resource {
    let resource = Resource::new("function", &want.function.name, &function.arn)
        .state(&function.state)
        .with("memory_mb", function.memory_mb)
        .with("timeout_s", function.timeout_s)
        .with("code_bytes", function.code_bytes)
        .with("last_modified", function.modified.clone())
        .with("role", function.role.clone());
    let resource = match function.reserved {
        Some(reserved) => resource.with("reserved_concurrency", reserved),
        None => resource,
    };
    if ours { resource } else { resource.with("tagged", false) }
}

fn show_trigger(want: &Want, live: &Live) -> Option<Resource> {
    let bucket = find_ours(want, live, Side::Input)?;
    let function = live.function.as_ref().map(|function| function.arn.clone()).unwrap_or_default();
    let trigger = wanted_trigger(want, live, &function);
    let found = find_trigger(&bucket.notifications, &trigger);
    // Right under another id, it says what is wanted; else what our entry says counts.
    let wanted = || Said { events: EVENTS.to_owned(), filter: trigger.filter.clone(), target: trigger.target.clone() };
    let said = if found == Found::Right { wanted() } else { read_entry(&bucket.notifications)? };
    let state = if found == Found::Right { "available" } else { "different" };
    let told = match said.target {
        Target::Function(_) => "function",
        Target::Queue(_) => "queue",
    };
    let resource = Resource::new("bucket-notification", &want.buckets.input, ENTRY_ID).state(state);
    let resource = resource.with("events", said.events).with("prefix", said.filter.prefix);
    Some(resource.with("suffix", said.filter.suffix).with(told, said.target.arn()))
}

/// What is on its way: a function or a mapping that Lambda is still making or changing.
pub(crate) fn list_settling(want: &Want, live: &Live, goal: Goal) -> Result<Settling, Problem> {
    let mut settling = Settling::new();
    let passing: &[&str] = match goal {
        Goal::Up => &["Creating", "Enabling", "Updating", "Deleting"],
        Goal::Down => &["Deleting"],
    };
    if let Some(mapping) = live.mapping.as_ref().filter(|mapping| passing.contains(&mapping.state.as_str())) {
        settling.push(format!("the mapping to {} is {}", want.function.name, mapping.state));
    }
    let Some(function) = live.function.as_ref().filter(|_| goal == Goal::Up) else { return Ok(settling) };
    let name = &want.function.name;
    let update = function.update.as_deref();
    if function.state == "Failed" || update == Some("Failed") {
        return Err(Problem::failed(format!("the function {name} is in state Failed"))
            .because(function.reason.clone().unwrap_or_default())
            .fix("deploy it again (pipeline-up deploy), or remove it (pipeline-up down)"));
    }
    if function.state == "Pending" || update == Some("InProgress") {
        settling.push(format!("{name} is being changed by Lambda"));
    }
    Ok(settling)
}
