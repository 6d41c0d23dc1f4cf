//! What is left: everything found, what removes it, and what stands in the way. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lab_common::prices;

use crate::blocks::{Block, find_blocks};
use crate::census::World;
use crate::removal::{Removal, rank, suggest_removal};
use crate::scope::Scope;
use crate::thing::{Bill, Fate, Thing};

/// Something that is left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leak {
    pub(crate) thing: Thing,
    /// The command that removes it; that shows it, where it bears no tags of the lab.
    pub(crate) remove: String,
    /// What else there is to know; always there where the command only looks.
    pub(crate) hint: Option<&'static str>,
    pub(crate) blocks: Vec<Block>,
}

/// Everything that is left, in the order in which it is removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Left {
    pub(crate) now: Timestamp,
    pub(crate) leaks: Vec<Leak>,
    /// What needs nothing but time.
    pub(crate) leaving: Vec<Thing>,
    pub(crate) unread: Vec<String>,
    pub(crate) unconfirmed: Vec<String>,
    /// The tags of all services could be listed.
    pub(crate) knows_tags: bool,
    pub(crate) notes: Vec<String>,
}

/// What things cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Total {
    pub(crate) usd_per_hour: f64,
    pub(crate) usd_so_far: f64,
    /// Something has cost more, and nobody knows how much.
    pub(crate) is_at_least: bool,
}

impl Total {
    /// What is now known, without forgetting what was: a host that has been stopped since does not say any more what it
    /// cost while it ran.
    pub(crate) fn grow_to(self, now: Self) -> Self {
        if now.usd_so_far >= self.usd_so_far {
            return now;
        }
        Self { usd_so_far: self.usd_so_far, is_at_least: true, ..now }
    }
}

impl Left {
    /// Whether nothing is left, and everything could be looked at.
    pub(crate) fn is_nothing(&self) -> bool {
        self.leaks.is_empty() && self.leaving.is_empty() && self.unread.is_empty() && self.unconfirmed.is_empty()
    }

    pub(crate) fn total(&self) -> Total {
        sum_up(self.leaks.iter().map(|leak| &leak.thing), self.now)
    }

    /// What has no price, in words.
    pub(crate) fn unpriced(&self) -> Vec<String> {
        list_unpriced(self.leaks.iter().map(|leak| &leak.thing))
    }
}

/// The things that count, each with the command that removes it.
pub(crate) fn find_leaks(world: &World, scope: &Scope) -> Left {
    let world = tidy(world);
    let there = world.things.iter().filter(|thing| thing.fate == Fate::Stays);
    let mut leaks: Vec<Leak> = there
        .map(|thing| {
            let Removal { command, hint } = suggest_removal(thing, scope);
            Leak { blocks: find_blocks(thing, &command, &world, scope), remove: command, hint, thing: thing.clone() }
        })
        .collect();
    leaks.sort_by(|a, b| (rank(&a.remove), &a.remove).cmp(&(rank(&b.remove), &b.remove)));
    let leaving = world.things.iter().filter(|thing| thing.fate == Fate::Leaving).cloned().collect();
    let World { now, unread, unconfirmed, knows_tags, notes, .. } = world;
    Left { now, leaks, leaving, unread, unconfirmed, knows_tags, notes }
}

/// The world without what is only a part of something else: a volume or an interface of an instance of ours goes and costs
/// with it, as a connected client with its endpoint. A public address that is an Elastic IP of ours is billed there.
pub(crate) fn tidy(world: &World) -> World {
    let mut world = world.clone();
    let is_owner = |thing: &Thing| {
        thing.fate != Fate::Gone && matches!(thing.kind, "instance" | "natgateway" | "client-vpn-endpoint")
    };
    let owners: Vec<String> =
        world.things.iter().filter(|thing| is_owner(thing)).map(|thing| thing.id.clone()).collect();
    let is_part = |thing: &Thing| {
        matches!(thing.kind, "volume" | "network-interface" | "client-vpn-connection")
            && thing.place.holder.as_ref().is_some_and(|holder| owners.contains(holder))
    };
    let (parts, things): (Vec<_>, Vec<_>) = world.things.into_iter().partition(is_part);
    world.things = things;
    let mut bills: BTreeMap<String, Vec<Bill>> = BTreeMap::new();
    let mut unpriced: BTreeMap<String, String> = BTreeMap::new();
    for part in &parts {
        let holder = part.place.holder.clone().unwrap_or_default();
        bills.entry(holder.clone()).or_default().extend(&part.bills);
        unpriced.extend(part.unpriced.clone().map(|what| (holder, what)));
    }
    let addresses: Vec<_> = world
        .things
        .iter()
        .filter(|thing| thing.kind == "elastic-ip")
        .filter_map(|thing| thing.more.get("public_ip").cloned())
        .collect();
    for thing in &mut world.things {
        if thing.kind == "instance" && thing.more.get("public_ip").is_some_and(|address| addresses.contains(address)) {
            thing.bills.retain(|bill| (bill.usd_per_hour - prices::PUBLIC_IPV4).abs() > 1e-9);
        }
        thing.bills.extend(bills.remove(&thing.id).unwrap_or_default());
        thing.unpriced = thing.unpriced.take().or_else(|| unpriced.remove(&thing.id));
    }
    world
}

/// What these cost together.
pub(crate) fn sum_up<'a>(things: impl IntoIterator<Item = &'a Thing>, now: Timestamp) -> Total {
    let mut total = Total::default();
    for thing in things {
        total.usd_per_hour += thing.usd_per_hour();
        total.usd_so_far += thing.known_usd_so_far(now);
        total.is_at_least |= thing.usd_so_far(now).is_none() || thing.has_cost_before();
    }
    total
}

/// What has no price, in words.
pub(crate) fn list_unpriced<'a>(things: impl IntoIterator<Item = &'a Thing>) -> Vec<String> {
    let mut all: Vec<_> = things.into_iter().filter_map(|thing| thing.unpriced.clone()).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hol02, label};
    use crate::thing::Label;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn hours_ago(hours: i64) -> Timestamp {
        now() - jiff::SignedDuration::from_hours(hours)
    }

    fn instance(state: &str, fate: Fate) -> Thing {
        Thing::new("instance", "i-1", Label { role: Some("instance public".into()), ..label("ada") })
            .state(state, fate)
            .with("public_ip", "203.0.113.7")
            .bill(Bill::new(0.0104, Some(hours_ago(2))))
            .bill(Bill::new(prices::PUBLIC_IPV4, Some(hours_ago(2))))
    }

    fn world(things: Vec<Thing>) -> World {
        World { now: now(), things, ..World::default() }
    }

    #[test]
    fn what_aws_only_remembers_is_no_leak() {
        let gone = world(vec![instance("terminated", Fate::Gone)]);
        assert!(find_leaks(&gone, &hol02()).is_nothing());
        let leaving = find_leaks(&world(vec![instance("shutting-down", Fate::Leaving)]), &hol02());
        assert!(leaving.leaks.is_empty() && !leaving.is_nothing());
    }

    #[test]
    fn a_volume_counts_with_its_instance_and_a_loose_one_by_itself() {
        let volume = |id: &str, holder| {
            Thing::new("volume", id, label("ada")).held_by(holder).bill(Bill::new(0.001, Some(hours_ago(4))))
        };
        let left = find_leaks(
            &world(vec![instance("running", Fate::Stays), volume("vol-1", Some("i-1")), volume("vol-2", None)]),
            &hol02(),
        );
        let ids: Vec<_> = left.leaks.iter().map(|leak| leak.thing.id.as_str()).collect();
        assert_eq!(ids, ["i-1", "vol-2"], "{left:?}");
        let total = left.total();
        assert!((total.usd_per_hour - (0.0154 + 0.002)).abs() < 1e-9, "{total:?}");
        assert!((total.usd_so_far - (0.0308 + 0.008)).abs() < 1e-9 && !total.is_at_least, "{total:?}");
    }

    #[test]
    fn a_connected_client_costs_with_its_endpoint() {
        let endpoint = Thing::new("client-vpn-endpoint", "cvpn-endpoint-1", label("ada"));
        let client = Thing::new("client-vpn-connection", "cvpn-connection-1", label("ada"));
        let client =
            client.held_by(Some("cvpn-endpoint-1")).bill(Bill::new(prices::VPN_CONNECTION, Some(hours_ago(2))));
        let left = find_leaks(&world(vec![endpoint, client]), &hol02());
        assert_eq!(left.leaks.len(), 1);
        let total = left.total();
        assert!((total.usd_per_hour - 0.05).abs() < 1e-9 && (total.usd_so_far - 0.10).abs() < 1e-9, "{total:?}");
    }

    #[test]
    fn an_elastic_ip_of_ours_is_not_billed_twice() {
        let address = Thing::new("elastic-ip", "eipalloc-1", label("ada"))
            .with("public_ip", "203.0.113.7")
            .bill(Bill::new(prices::PUBLIC_IPV4, None));
        let total = find_leaks(&world(vec![instance("running", Fate::Stays), address]), &hol02()).total();
        assert!((total.usd_per_hour - 0.0154).abs() < 1e-9, "{total:?}");
        assert!(total.is_at_least, "since when the address is there, AWS does not tell");
    }

    #[test]
    fn a_part_that_could_not_be_read_is_not_nothing_left() {
        let unread = World { unread: vec!["DescribeVolumes: UnauthorizedOperation: no".into()], ..world(vec![]) };
        assert!(!find_leaks(&unread, &hol02()).is_nothing());
    }
}
