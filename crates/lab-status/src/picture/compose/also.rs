//! What else exists: it costs, or nobody expects it, and it has no place in the picture. Pure.

use lab_picture::{Part, Presence};
use lab_plan::Resource;

use super::vpn::add_associations;
use super::{Facts, Stage, name_kind, text, to_part};

/// Kinds of which each has a card in the picture, unless nobody expects it.
const CARDS: [&str; 10] = [
    "vpc",
    "subnet",
    "internet-gateway",
    "route-table",
    "security-group",
    "instance",
    "client-vpn-endpoint",
    "bucket",
    "function",
    "queue",
];

impl Facts<'_> {
    /// Cards for all that has none yet.
    pub(super) fn put_others(&self, stage: &mut Stage) {
        let all: Vec<&Resource> = self.all().collect();
        // These bring what is only a part of them: an association, an address.
        let first = |one: &&Resource| ["client-vpn-endpoint", "natgateway"].contains(&one.kind);
        let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(first);
        for one in first.into_iter().chain(rest) {
            if !stage.has(one) && self.is_worth_telling(one) {
                let part = self.other(one, stage);
                stage.draw([one]);
                stage.others.push(Part { service: Some(name_kind(one.kind).to_owned()), ..part });
            }
        }
    }

    fn is_worth_telling(&self, one: &Resource) -> bool {
        // Told at the endpoint.
        if ["client-vpn-route", "client-vpn-authorization-rule"].contains(&one.kind) {
            return false;
        }
        let is_expected = || self.is_unread(one.kind) && !CARDS.contains(&one.kind);
        one.usd_per_hour > 0.0
            || CARDS.contains(&one.kind)
            || self.is_removed(one)
            || (self.found.others.contains(one) && !is_expected())
    }

    fn other(&self, one: &Resource, stage: &mut Stage) -> Part {
        if one.kind == "natgateway" {
            return self.nat(one, stage);
        }
        let mut part = to_part(one);
        if one.kind == "client-vpn-endpoint" {
            part.lines.extend(text(one, "client_cidr").map(|clients| format!("clients {clients}")));
            part = add_associations(part, &self.associations(one), stage);
        }
        // Only the tags of the NAT window's address speak of lab.toml, which never names it.
        let is_window = one.kind == "elastic-ip" && self.found.resources.contains(one);
        let presence = if is_window && !self.is_removed(one) { Presence::There } else { self.extra(one) };
        part.presence(presence)
    }
}
