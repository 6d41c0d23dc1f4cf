//! What stands in the way of a removal, whose it is, and what removes it. Pure.
//!
//! Only what another command removes is told: what goes with the thing itself, or by the same command, is in nobody's way.

use serde::Serialize;

use crate::census::{World, is_of_client_vpn};
use crate::removal::{Removal, ask_owner, empty_bucket, look_at, suggest_removal};
use crate::scope::Scope;
use crate::thing::{Fate, Label, Thing};

/// Something in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Block {
    /// What it is, and whose.
    pub(crate) what: String,
    pub(crate) id: String,
    /// The command that removes it; that shows it, where it is not of the lab.
    pub(crate) remove: String,
    /// What else there is to know; always there where the command only looks.
    pub(crate) hint: Option<&'static str>,
}

impl Block {
    fn new(what: String, id: &str, removal: Removal) -> Self {
        Self { what, id: id.to_owned(), remove: removal.command, hint: removal.hint }
    }
}

/// What stands in the way of removing `thing` by `command`.
pub(crate) fn find_blocks(thing: &Thing, command: &str, world: &World, scope: &Scope) -> Vec<Block> {
    let id = Some(&thing.id);
    let view = View { world, scope, command };
    match thing.kind {
        "vpc" => view.list(|other| other.place.vpc.as_ref() == id),
        "subnet" => view.list(|other| other.place.subnet.as_ref() == id),
        "security-group" => view.list(|other| other.place.groups.contains(&thing.id)),
        // It cannot be detached from a VPC while something in there has a public address.
        "internet-gateway" => view.list(|other| {
            other.place.vpc.is_some()
                && other.place.vpc == thing.place.vpc
                && (other.more.contains_key("public_ip") || other.kind == "natgateway")
        }),
        "client-vpn-endpoint" => view.associations(thing),
        "certificate" if thing.about.is_some() => view.users_of_certificate(),
        "elastic-ip" | "volume" | "network-interface" => view.holder(thing),
        "bucket" => view.contents(thing),
        _ => Vec::new(),
    }
}

struct View<'a> {
    world: &'a World,
    scope: &'a Scope,
    command: &'a str,
}

impl View<'_> {
    /// What is somewhere, ours and strangers', each once: an interface is told as what has it.
    fn list(&self, is_there: impl Fn(&Thing) -> bool) -> Vec<Block> {
        let ours = self.world.things.iter().filter(|other| other.fate != Fate::Gone && is_there(other));
        let mut blocks: Vec<Block> = ours.filter_map(|other| self.block_of_ours(other)).collect();
        let strangers = self.world.strangers.iter().filter(|other| other.fate != Fate::Gone && is_there(other));
        blocks.extend(strangers.filter_map(|other| self.block_of_stranger(other)));
        blocks.dedup_by(|a, b| a.id == b.id);
        blocks
    }

    fn block_of_ours(&self, other: &Thing) -> Option<Block> {
        let removal = suggest_removal(other, self.scope);
        if removal.command == self.command {
            return None;
        }
        let what = match other.kind {
            "client-vpn-target-network" => format!("VPN association {} with {}", other.id, other.name),
            _ => format!("{}, {}", other.title(), other.state),
        };
        let leaves = other.fate == Fate::Leaving;
        let removal = if leaves { Removal::nothing("it is on its way out") } else { removal };
        Some(Block::new(what, &other.id, removal))
    }

    fn block_of_stranger(&self, other: &Thing) -> Option<Block> {
        match other.kind {
            "network-interface" => self.block_of_interface(other),
            // The VPC's own, which go with it.
            "security-group" if other.name == "default" => None,
            "route-table" if other.more.get("main") == Some(&true.into()) => None,
            _ => {
                let what = format!("{}, {}", other.title(), tell_owner(other));
                Some(Block::new(what, &other.id, ask_owner(other, self.scope)))
            }
        }
    }

    /// An interface that something of ours has is told as that.
    fn block_of_interface(&self, interface: &Thing) -> Option<Block> {
        let about = interface.about.clone().unwrap_or_default();
        let what = format!("network-interface {} ({about}), which is not of this lab", interface.id);
        let block = |what: String, removal: Removal| Some(Block::new(what, &interface.id, removal));
        if is_of_client_vpn(interface) {
            let mut associations = self.world.things.iter().filter(|one| one.kind == "client-vpn-target-network");
            if associations.any(|one| one.fate != Fate::Gone && one.place.subnet == interface.place.subnet) {
                return None;
            }
            let what = format!("network-interface {} ({about})", interface.id);
            let why = "AWS removes it some minutes after the subnet's VPN association";
            return block(what, Removal::nothing(why));
        }
        let Some(holder) = &interface.place.holder else {
            return block(what, self.wait_or_ask(interface));
        };
        if self.world.things.iter().any(|thing| thing.id == *holder && thing.fate != Fate::Gone) {
            return None;
        }
        match holder.split('-').next() {
            Some("i") => {
                let what = format!(
                    "instance {holder}, which is not of this lab (network-interface {}, {about})",
                    interface.id
                );
                let instance = Thing::new("instance", holder, Label::default());
                Some(Block::new(what, holder, ask_owner(&instance, self.scope)))
            }
            Some("nat") => {
                let gateway = Thing::new("natgateway", holder, Label::default());
                block(what, ask_owner(&gateway, self.scope))
            }
            _ => block(what, self.wait_or_ask(interface)),
        }
    }

    fn wait_or_ask(&self, interface: &Thing) -> Removal {
        if interface.more.get("interface_type") == Some(&"lambda".into()) {
            return Removal::nothing("Lambda removes it up to 20 minutes after its function is gone");
        }
        ask_owner(interface, self.scope)
    }

    fn associations(&self, endpoint: &Thing) -> Vec<Block> {
        let of_it = self.world.things.iter().filter(|thing| thing.place.holder.as_ref() == Some(&endpoint.id));
        let there = of_it.filter(|thing| thing.kind == "client-vpn-target-network" && thing.fate != Fate::Gone);
        let tell = |thing: &Thing| {
            let what = format!("association {} with {}, {}", thing.id, thing.name, thing.state);
            Block::new(what, &thing.id, suggest_removal(thing, self.scope))
        };
        there.map(tell).collect()
    }

    fn users_of_certificate(&self) -> Vec<Block> {
        let endpoints = self.world.things.iter();
        let there = endpoints.filter(|thing| thing.kind == "client-vpn-endpoint" && thing.fate != Fate::Gone);
        let tell = |thing: &Thing| {
            Block::new(format!("{}, which uses it", thing.title()), &thing.id, suggest_removal(thing, self.scope))
        };
        there.map(tell).collect()
    }

    /// What an address, a volume or an interface is attached to.
    fn holder(&self, thing: &Thing) -> Vec<Block> {
        let Some(holder) = &thing.place.holder else { return Vec::new() };
        let all = self.world.things.iter().chain(&self.world.strangers);
        let known = all.clone().find(|other| other.id == *holder);
        // An address knows the interface that has it; who has that says more.
        let known = match known {
            Some(interface) if interface.kind == "network-interface" => interface
                .place
                .holder
                .as_ref()
                .and_then(|owner| all.clone().find(|other| other.id == *owner))
                .or(Some(interface)),
            known => known,
        };
        let (what, id, removal) = match known {
            Some(other) if self.scope.owns(&other.label) => {
                (other.title(), &other.id, suggest_removal(other, self.scope))
            }
            Some(other) => {
                let what = format!("{}, {}", other.title(), tell_owner(other));
                (what, &other.id, ask_owner(other, self.scope))
            }
            None => (holder.clone(), holder, self.detach(thing)),
        };
        if removal.command == self.command {
            return Vec::new();
        }
        vec![Block::new(format!("attached to {what}"), id, removal)]
    }

    fn contents(&self, bucket: &Thing) -> Vec<Block> {
        let Some(contents) = &bucket.about else { return Vec::new() };
        // A program empties it by itself, and what is not ours nobody empties.
        if !self.command.contains("aws s3 rb ") {
            return Vec::new();
        }
        let remove = empty_bucket(bucket, &self.scope.options().aws);
        vec![Block { what: format!("it {contents}"), id: bucket.id.clone(), remove, hint: None }]
    }

    /// From what nobody has found.
    fn detach(&self, thing: &Thing) -> Removal {
        if thing.kind == "volume" {
            let command = format!(
                "aws ec2 detach-volume --volume-id {}{}",
                lab_common::quote(&thing.id),
                self.scope.options().aws
            );
            return Removal { command, hint: None };
        }
        Removal { command: look_at(thing, self.scope), hint: Some("look what it is attached to") }
    }
}

/// Whose it is, by its tags.
fn tell_owner(thing: &Thing) -> String {
    match (&thing.label.lab, &thing.label.owner) {
        (Some(lab), Some(owner)) => format!("of lab {lab} of {owner}"),
        _ => "which is not of this lab".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hol02, label};

    fn ours(kind: &'static str, id: &str, role: &str) -> Thing {
        Thing::new(kind, id, Label { role: Some(role.into()), ..label("ada") })
    }

    fn interface(id: &str, holder: Option<&str>) -> Thing {
        Thing::new("network-interface", id, Label::default())
            .within(Some("vpc-1"), Some("subnet-1"))
            .held_by(holder)
            .about("interface, \"backup agent\", of account 123456789012")
            .with("interface_type", "interface")
    }

    fn blocks_of(thing: &Thing, things: Vec<Thing>, strangers: Vec<Thing>) -> Vec<Block> {
        let scope = hol02();
        let world = World { things, strangers, ..World::default() };
        find_blocks(thing, &suggest_removal(thing, &scope).command, &world, &scope)
    }

    #[test]
    fn a_stranger_s_interface_in_our_subnet_is_named_with_its_owner() {
        let subnet = ours("subnet", "subnet-1", "subnet public").within(Some("vpc-1"), None);
        let found = blocks_of(&subnet, vec![subnet.clone()], vec![interface("eni-9", None)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("eni-9") && found[0].what.contains("backup agent"), "{found:?}");
        assert!(found[0].remove.contains("eni-9"), "{found:?}");
    }

    #[test]
    fn an_instance_of_ours_is_told_once_and_with_its_program() {
        let subnet = ours("subnet", "subnet-1", "subnet public").within(Some("vpc-1"), None);
        let instance = ours("instance", "i-1", "instance public").within(Some("vpc-1"), Some("subnet-1"));
        let found = blocks_of(&subnet, vec![subnet.clone(), instance], vec![interface("eni-1", Some("i-1"))]);
        let told: Vec<_> = found.iter().map(|block| (block.id.as_str(), block.remove.as_str())).collect();
        assert_eq!(told, [("i-1", "host-up down")]);
    }

    #[test]
    fn an_unknown_instance_is_told_by_its_interface() {
        let vpc = ours("vpc", "vpc-1", "vpc");
        let found = blocks_of(&vpc, vec![vpc.clone()], vec![interface("eni-2", Some("i-77"))]);
        assert_eq!(found[0].id, "i-77");
        assert_eq!(found[0].remove, "aws ec2 describe-instances --instance-ids i-77", "named, never removed");
        assert!(found[0].hint.is_some_and(|hint| hint.contains("ask its owner")), "{found:?}");
    }

    #[test]
    fn what_the_same_command_removes_is_in_nobody_s_way() {
        let vpc = ours("vpc", "vpc-1", "vpc");
        let subnet = ours("subnet", "subnet-1", "subnet public").within(Some("vpc-1"), None);
        let default =
            Thing::new("security-group", "sg-0", Label::default()).named("default").within(Some("vpc-1"), None);
        let main = Thing::new("route-table", "rtb-0", Label::default()).within(Some("vpc-1"), None).with("main", true);
        assert_eq!(blocks_of(&vpc, vec![vpc.clone(), subnet], vec![default, main]), []);
    }

    #[test]
    fn a_stranger_s_thing_is_told_with_its_lab_and_not_removed() {
        let vpc = ours("vpc", "vpc-1", "vpc");
        let group = Thing::new("security-group", "sg-9", label("bob")).named("web").within(Some("vpc-1"), None);
        let found = blocks_of(&vpc, vec![vpc.clone()], vec![group]);
        assert_eq!(found[0].what, "security-group web (sg-9), of lab lab of bob");
        assert_eq!(found[0].remove, "aws ec2 describe-security-groups --group-ids sg-9");
    }

    #[test]
    fn what_a_stranger_has_put_between_our_vpc_and_others_is_told_while_it_is_there() {
        let vpc = ours("vpc", "vpc-1", "vpc");
        let strange = |kind, id, state, fate| {
            Thing::new(kind, id, Label::default()).within(Some("vpc-1"), None).state(state, fate)
        };
        let strangers = vec![
            strange("internet-gateway", "igw-9", "attached", Fate::Stays),
            strange("vpc-endpoint", "vpce-9", "available", Fate::Stays),
            strange("vpc-peering-connection", "pcx-9", "active", Fate::Stays),
            strange("natgateway", "nat-9", "deleted", Fate::Gone),
        ];
        let found = blocks_of(&vpc, vec![vpc.clone()], strangers);
        assert_eq!(found.iter().map(|block| block.id.as_str()).collect::<Vec<_>>(), ["igw-9", "vpce-9", "pcx-9"]);
        assert!(found.iter().all(|block| block.remove.starts_with("aws ec2 describe-")), "{found:?}");
    }

    #[test]
    fn a_bucket_that_its_program_empties_is_not_blocked() {
        let bucket = ours("bucket", "lab-input-bucket-ada", "bucket input").about("holds 3 object versions");
        assert_eq!(blocks_of(&bucket, vec![bucket.clone()], vec![]), []);
    }

    #[test]
    fn an_association_a_holder_and_a_bucket_s_contents_are_told() {
        let endpoint = ours("client-vpn-endpoint", "cvpn-endpoint-1", "client-vpn-endpoint");
        let association = ours("client-vpn-target-network", "cvpn-assoc-1", "").held_by(Some("cvpn-endpoint-1"));
        assert_eq!(blocks_of(&endpoint, vec![endpoint.clone(), association], vec![])[0].id, "cvpn-assoc-1");

        let gateway = ours("natgateway", "nat-1", "natgateway");
        let address = ours("elastic-ip", "eipalloc-1", "elastic-ip nat").held_by(Some("eni-5"));
        let of_gateway = interface("eni-5", Some("nat-1"));
        // `net-up nat close` removes both.
        assert_eq!(blocks_of(&address, vec![address.clone(), gateway], vec![of_gateway]), []);
        let volume = ours("volume", "vol-1", "").held_by(Some("i-9"));
        assert_eq!(blocks_of(&volume, vec![volume.clone()], vec![])[0].what, "attached to i-9");

        let bucket = ours("bucket", "old", "bucket input").about("holds 3 object versions");
        assert_eq!(blocks_of(&bucket, vec![bucket.clone()], vec![])[0].what, "it holds 3 object versions");
    }

    #[test]
    fn what_aws_still_has_to_remove_needs_only_time() {
        let subnet = ours("subnet", "subnet-1", "subnet public").within(Some("vpc-1"), None);
        let endpoint = ours("client-vpn-endpoint", "cvpn-endpoint-1", "client-vpn-endpoint");
        let lingering = interface("eni-3", None).with("description", "ClientVPN Endpoint resource");
        let found = blocks_of(&subnet, vec![subnet.clone(), endpoint], vec![lingering]);
        assert!(found[0].remove.starts_with("nothing: AWS removes it"), "{found:?}");
    }
}
