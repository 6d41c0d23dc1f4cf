//! Everything that exists: each part as its own program shows it, and with it what only tags tell.

use lab_common::Session;
use lab_plan::{Action, Concern, Goal, Plan, Problem, Resource, Verb};

use crate::census::{World, tell_unread};
use crate::leaks::{sum_up, tidy};
use crate::show::Inventory;
use crate::thing::{Bill, Fate, Label, Thing, with_age};

/// What one part of the lab has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Part {
    /// The program whose part it is.
    pub(crate) program: &'static str,
    pub(crate) resources: Vec<Resource>,
    /// What is on its way out, or stands outside of the lab but in its way.
    pub(crate) leaving: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// Why it could not be looked at.
    pub(crate) unread: Option<String>,
    /// In what it differs from lab.toml, where that was asked for, as what `up` would do.
    pub(crate) changes: Vec<Change>,
    /// Why `up` would not do it.
    pub(crate) refused: Vec<String>,
    /// Kinds of which nobody knows whether they are as wanted: what that takes could not be read.
    pub(crate) uncompared: Vec<&'static str>,
}

/// A step of what `up` would do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) kind: &'static str,
    /// Of what is removed it often holds the id.
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) usd_per_hour: f64,
}

/// What a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To show what exists.
    Show,
    /// To compare it with lab.toml, too: what `up` needs to know for that is read as well.
    Compare,
}

/// Asks all parts at the same time; they are shown as `scripts/down.sh` removes them, the most expensive first.
pub(crate) async fn look(session: &Session, purpose: Purpose) -> Result<Vec<Part>, Problem> {
    let compares = purpose == Purpose::Compare;
    let window = net_up::NatWindow::new(session);
    let network = async {
        let to_see = net_up::Network::to_look_at(session);
        let (live, to_make) = tokio::join!(to_see.observe(), async {
            if compares { Some(net_up::Network::to_make(session).await) } else { None }
        });
        let live = match permit(live)? {
            Ok(live) => live,
            Err(part) => return Ok(part),
        };
        Ok(match to_make {
            Some(Ok(network)) => tell(&network, &live, Purpose::Compare),
            // Where this machine's address cannot be found out, rules cannot be compared; all else can.
            Some(Err(problem)) => without_rules(tell(&to_see, &live, Purpose::Compare), &problem),
            None => tell(&to_see, &live, Purpose::Show),
        })
    };
    let vpn = async {
        let vpn = vpn_setup::ClientVpn::to_look_at(session);
        if !compares || session.lab.vpn.is_none() {
            return look_at(&vpn, Purpose::Show).await;
        }
        look_at(&vpn_setup::ClientVpn::to_make(session)?, purpose).await
    };
    let hosts = async {
        let part = match host_up::Hosts::to_make(session, &[]) {
            Ok(hosts) if compares => Some(look_at(&hosts.with_consoles(), purpose).await?),
            _ => None,
        };
        match part {
            Some(part) if part.unread.is_none() => Ok(part),
            // Who may not read what only `up` needs (images, consoles) can still see what exists.
            part => {
                let seen = look_at(&host_up::Hosts::to_look_at(session)?, Purpose::Show).await?;
                let refused = part.and_then(|part| part.unread).into_iter().collect();
                Ok(Part { refused, uncompared: if compares { vec!["instance"] } else { Vec::new() }, ..seen })
            }
        }
    };
    let pipeline = async {
        match &session.lab.images {
            Some(_) => look_at(&pipeline_up::Pipeline::new(session)?, purpose).await,
            None => Ok(Part::default()),
        }
    };
    let (vpn, window, hosts, pipeline, network) =
        tokio::try_join!(vpn, look_at(&window, Purpose::Show), hosts, pipeline, network)?;
    let named = |program, part| Part { program, ..part };
    Ok(vec![
        named("vpn-setup", vpn),
        named("net-up nat", window),
        named("host-up", hosts),
        named("pipeline-up", pipeline),
        named("net-up", network),
    ])
}

async fn look_at<C: Concern>(concern: &C, purpose: Purpose) -> Result<Part, Problem> {
    Ok(match permit(concern.observe().await)? {
        Ok(live) => tell(concern, &live, purpose),
        Err(part) => part,
    })
}

/// What was read, or a part that says why it could not be: what else exists, and what it costs, is not hidden by it.
fn permit<L>(live: Result<L, Problem>) -> Result<Result<L, Part>, Problem> {
    match live {
        Err(problem) if !problem.is_about_credentials() => {
            let unread = tell_unread(&problem);
            Ok(Err(Part { unread: Some(unread), ..Part::default() }))
        }
        live => live.map(Ok),
    }
}

fn tell<C: Concern>(concern: &C, live: &C::Live, purpose: Purpose) -> Part {
    let leaving = match concern.settling(live, Goal::Down) {
        Ok(leaving) => leaving,
        Err(problem) => vec![problem.what().to_owned()],
    };
    let part = Part {
        resources: concern.resources(live),
        leaving,
        notes: concern.notes(live, Verb::Status),
        ..Part::default()
    };
    if purpose == Purpose::Show {
        return part;
    }
    // What forbids a plan hides nothing of what is different.
    match concern.plan(live) {
        Ok(plan) => Part { changes: list_changes(plan), ..part },
        Err(problems) => {
            let refused = problems.iter().map(|problem| problem.what().to_owned()).collect();
            Part { refused, changes: list_changes(concern.compare(live)), ..part }
        }
    }
}

/// A part whose security group rules could not be compared, and why.
fn without_rules(part: Part, problem: &Problem) -> Part {
    const RULES: &str = "security-group-rule";
    let changes = part.changes.into_iter().filter(|change| change.kind != RULES).collect();
    Part { changes, refused: vec![problem.to_string()], uncompared: vec![RULES], ..part }
}

fn list_changes<O>(plan: Plan<O>) -> Vec<Change> {
    let steps = plan.steps.into_iter();
    steps
        .map(|step| Change {
            action: step.action,
            kind: step.kind,
            role: step.role,
            name: step.name,
            detail: step.detail,
            usd_per_hour: step.usd_per_hour,
        })
        .collect()
}

/// Both views as one. What only its tags tell of a resource, its role, is added. What the programs show is dated by what the census knows of the same thing.
pub(crate) fn merge(parts: Vec<Part>, world: &World) -> Inventory {
    let world = tidy(world);
    let mut things: Vec<Thing> = Vec::new();
    let mut inventory = Inventory {
        resources: Vec::new(),
        others: Vec::new(),
        leaving: Vec::new(),
        total: crate::leaks::Total::default(),
        unread: world.unread.clone(),
        knows_tags: world.knows_tags,
        notes: Vec::new(),
        hour: None,
    };
    for part in parts {
        inventory.leaving.extend(part.leaving);
        for note in part.notes {
            add_once(&mut inventory.notes, note);
        }
        if let Some(unread) = part.unread {
            add_once(&mut inventory.unread, unread);
        }
        for mut resource in part.resources {
            let known = world.things.iter().find(|thing| is_same(thing, &resource));
            let thing = known.cloned().unwrap_or_else(|| from_resource(&resource));
            // Its program does not ask who is connected.
            if thing.kind == "client-vpn-endpoint" {
                resource = resource.costs(thing.usd_per_hour());
            }
            resource = with_role(resource, &thing);
            inventory.resources.push(with_age(resource, thing.created, thing.usd_so_far(world.now), world.now));
            things.push(thing);
        }
    }
    let shown = |thing: &Thing| inventory.resources.iter().any(|resource| is_same(thing, resource));
    let others: Vec<_> =
        world.things.iter().filter(|thing| thing.fate == Fate::Stays && !shown(thing)).cloned().collect();
    inventory.others = others.iter().map(|thing| with_role(thing.to_resource(world.now), thing)).collect();
    things.extend(others);
    for note in &world.notes {
        add_once(&mut inventory.notes, note.clone());
    }
    for what in crate::leaks::list_unpriced(&things) {
        add_once(&mut inventory.notes, format!("the price of {what} is not in the table: it is not counted"));
    }
    inventory.total = sum_up(&things, world.now);
    inventory
}

/// Names may be changed by hand; its role tells what it is.
fn with_role(resource: Resource, thing: &Thing) -> Resource {
    match thing.label.role.as_deref().filter(|_| !resource.more.contains_key("role")) {
        Some(role) => resource.with("role", role),
        None => resource,
    }
}

fn add_once(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

/// Some names are ids to one and not to the other.
fn is_same(thing: &Thing, resource: &Resource) -> bool {
    thing.kind == resource.kind && (thing.id == resource.id || (thing.name == resource.id && thing.kind != "subnet"))
}

/// What only a program knows: free, or of an unknown age.
fn from_resource(resource: &Resource) -> Thing {
    let thing = Thing::new(resource.kind, &resource.id, Label::default()).named(&resource.name);
    if resource.usd_per_hour > 0.0 { thing.bill(Bill::new(resource.usd_per_hour, None)) } else { thing }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::testing::label;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_a_program_shows_is_dated_and_what_only_tags_tell_is_added() {
        let since = now() - jiff::SignedDuration::from_hours(2);
        let instance =
            Thing::new("instance", "i-1", label("ada")).created(Some(since)).bill(Bill::new(0.01, Some(since)));
        let bucket = Thing::new("bucket", "old-bucket", label("ada"));
        let world = World { now: now(), things: vec![instance, bucket], ..World::default() };
        let rule = Resource::new("client-vpn-authorization-rule", "10.0.0.0/16", "10.0.0.0/16");
        let resources = vec![Resource::new("instance", "lab-public-ec2", "i-1").costs(0.01), rule];
        let merged = merge(vec![Part { resources, ..Part::default() }], &world);
        assert_eq!(merged.resources[0].more["age_s"], 7200);
        assert_eq!(merged.resources[0].more["usd_so_far"], 0.02);
        assert_eq!((&merged.resources[1].more["created"], merged.others.len()), (&Value::Null, 1));
        assert_eq!(merged.others[0].id, "old-bucket");
        assert!((merged.total.usd_so_far - 0.02).abs() < 1e-9 && !merged.total.is_at_least, "{:?}", merged.total);
    }

    #[test]
    fn a_program_that_may_not_look_is_told_and_the_rest_is_shown() {
        let part = Part { unread: Some("GetRole: AccessDenied: no".into()), ..Part::default() };
        let merged = merge(vec![part.clone(), part], &World { now: now(), ..World::default() });
        assert_eq!(merged.unread, ["GetRole: AccessDenied: no"]);
    }
}
