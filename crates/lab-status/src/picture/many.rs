//! Every lab of the account, each as its tags tell it: no lab.toml says what is wanted, so nothing is missing. Pure.

use std::collections::BTreeMap;

use lab_picture::{Host, Part, Pipeline, Presence, Scene, Subnet, View, Vpc, Vpn};
use serde_json::Value;

use super::compose::{IMAGE_QUEUE, hide_account, last_four, name_kind, tell_addresses, tell_unread, to_part};
use super::routes::read_route;
use super::rules::{Groups, read_inbound};
use super::show_time;
use crate::census::World;
use crate::leaks::{sum_up, tidy};
use crate::thing::{Fate, Thing};

/// A scene for each lab, by lab and owner: stud2 before stud10.
pub(super) fn list_scenes(world: &World, region: &str) -> Vec<Scene> {
    let world = tidy(world);
    let mut labs: BTreeMap<(&str, &str), Vec<&Thing>> = BTreeMap::new();
    for thing in world.things.iter().filter(|thing| thing.fate == Fate::Stays) {
        let (Some(lab), Some(owner)) = (&thing.label.lab, &thing.label.owner) else { continue };
        labs.entry((lab, owner)).or_default().push(thing);
    }
    let mut labs: Vec<_> = labs.into_iter().collect();
    labs.sort_by_cached_key(|((lab, owner), _)| (count_numbers(lab), count_numbers(owner)));
    let notes: Vec<_> = tell_unread(&world.unread).map(|note| hide_account(&note, &world.account)).collect();
    let scenes = labs.into_iter().map(|((lab, owner), things)| Scene {
        lab: lab.to_owned(),
        owner: owner.to_owned(),
        region: region.to_owned(),
        account: last_four(&world.account),
        at: show_time(world.now),
        view: View::Live,
        is_at_least: !world.unread.is_empty() || things.iter().any(|thing| thing.unpriced.is_some()),
        notes: notes.clone(),
        usd_per_hour: sum_up(things.iter().copied(), world.now).usd_per_hour,
        laptop: Part::new(owner),
        ..draw(&things, &world)
    });
    scenes.collect()
}

/// A text in pieces that are sorted as people do: words as words and numbers as numbers.
fn count_numbers(text: &str) -> Vec<(String, u64)> {
    let mut pieces = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for letter in text.chars() {
        if in_number && !letter.is_ascii_digit() {
            pieces.push((String::new(), 0));
        }
        in_number = letter.is_ascii_digit();
        if let Some((word, number)) = pieces.last_mut() {
            match letter.to_digit(10) {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
                None => word.push(letter),
            }
        }
    }
    pieces
}

fn draw(things: &[&Thing], world: &World) -> Scene {
    let part = |thing: &Thing| to_part(&thing.to_resource(world.now));
    let of_kind = |kind: &'static str| things.iter().copied().filter(move |thing| thing.kind == kind);
    let vpc = of_kind("vpc").find(|vpc| has_role(vpc, "vpc")).or_else(|| of_kind("vpc").next());
    let is_inside = |thing: &&Thing| vpc.is_some_and(|vpc| thing.place.vpc.as_ref() == Some(&vpc.id));
    let groups = of_kind("security-group").filter_map(|group| Some((group.id.as_str(), group.label.role.as_deref()?)));
    let look = Look { things, world, groups: Groups::new(groups) };
    let endpoint = of_kind("client-vpn-endpoint").next().filter(|_| vpc.is_some());
    // What has a place. Of several NAT gateways in a subnet, the first.
    let mut drawn: Vec<&str> = endpoint.iter().map(|endpoint| endpoint.id.as_str()).collect();
    let drawn_vpc = vpc.map(|vpc| {
        let gateway = of_kind("internet-gateway").find(is_inside).or_else(|| of_kind("internet-gateway").next());
        let subnets = of_kind("subnet").filter(is_inside);
        for subnet in subnets.clone() {
            drawn.extend(look.inside(subnet, "instance").map(|one| one.id.as_str()));
            drawn.extend(look.inside(subnet, "natgateway").next().map(|one| one.id.as_str()));
        }
        Vpc {
            part: part(vpc),
            cidr: text(vpc, "cidr"),
            gateway: gateway.map(part),
            subnets: subnets.map(|subnet| look.draw_subnet(subnet)).collect(),
            vpn: endpoint.map(|endpoint| look.draw_vpn(endpoint)),
        }
    });
    let pipeline = look.draw_pipeline();
    let mut costs = vec!["instance", "natgateway", "client-vpn-endpoint", "elastic-ip", "volume"];
    if pipeline.is_none() {
        costs.extend(["bucket", "function", "queue"]);
    }
    let others = things.iter().filter(|thing| costs.contains(&thing.kind) && !drawn.contains(&thing.id.as_str()));
    let others = others.map(|thing| {
        let part = match thing.kind {
            "client-vpn-endpoint" => look.draw_vpn(thing).part,
            "instance" => look.draw_instance(thing),
            _ => part(thing),
        };
        Part { service: Some(name_kind(thing.kind).to_owned()), ..part }
    });
    Scene { others: others.collect(), vpc: drawn_vpc, pipeline, ..Scene::default() }
}

/// What nobody has looked at.
fn unlooked() -> Part {
    Part::default().presence(Presence::Unknown)
}

fn has_role(thing: &Thing, role: &str) -> bool {
    thing.label.role.as_deref() == Some(role)
}

/// A field of it; nothing where it is not known.
fn text(thing: &Thing, field: &str) -> String {
    thing.more.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The things of a lab, and what else there is.
struct Look<'a> {
    things: &'a [&'a Thing],
    world: &'a World,
    groups: Groups,
}

impl<'a> Look<'a> {
    fn to_part(&self, thing: &Thing) -> Part {
        to_part(&thing.to_resource(self.world.now))
    }

    fn inside<'b>(&'b self, subnet: &'b Thing, kind: &'static str) -> impl Iterator<Item = &'a Thing> + 'b {
        let inside = move |thing: &&Thing| thing.kind == kind && thing.place.subnet.as_ref() == Some(&subnet.id);
        self.things.iter().copied().filter(inside)
    }

    /// Buckets and function, where all of them are there: nothing says that a lab wants more than it has.
    fn draw_pipeline(&self) -> Option<Pipeline> {
        let find = |kind: &str, role: &str| {
            let found =
                self.things.iter().find(|thing| thing.kind == kind && (role.is_empty() || has_role(thing, role)));
            found.map(|thing| self.to_part(thing))
        };
        Some(Pipeline {
            input: find("bucket", "bucket input")?,
            trigger: unlooked().line("its trigger is not looked at"),
            queue: find("queue", IMAGE_QUEUE),
            takes: unlooked(),
            function: find("function", "")?,
            writes: unlooked(),
            output: find("bucket", "bucket output")?,
        })
    }

    fn draw_subnet(&self, subnet: &Thing) -> Subnet {
        Subnet {
            part: self.to_part(subnet),
            role: subnet.id.clone(),
            cidr: text(subnet, "cidr"),
            zone: Some(text(subnet, "zone")).filter(|zone| !zone.is_empty()),
            route: read_route(self.world, &subnet.id),
            hosts: self.inside(subnet, "instance").map(|instance| self.draw_host(instance)).collect(),
            nat: self.inside(subnet, "natgateway").next().map(|nat| self.to_part(nat)),
        }
    }

    fn draw_host(&self, instance: &Thing) -> Host {
        let all = || self.world.things.iter().chain(&self.world.strangers);
        let groups: Vec<(&str, Option<&Thing>)> = instance
            .place
            .groups
            .iter()
            .map(|id| (id.as_str(), all().find(|thing| thing.kind == "security-group" && thing.id == *id)))
            .collect();
        let names: Vec<_> = groups.iter().map(|(id, group)| group.map_or(*id, |group| group.name.as_str())).collect();
        let mut group = Part::new(names.join(", "));
        if groups.iter().any(|(_, group)| group.is_none()) {
            group = group.because("its rules could not be read");
        }
        let rules = groups.iter().filter_map(|(_, group)| group.as_ref()?.more.get("rules")?.as_array());
        let rules = rules.flatten().filter_map(Value::as_str);
        let role = instance.label.role.as_deref().and_then(|role| role.strip_prefix("instance "));
        Host {
            part: self.draw_instance(instance),
            role: role.unwrap_or(&instance.id).to_owned(),
            group,
            inbound: read_inbound(rules, &self.groups),
            ..Host::default()
        }
    }

    fn draw_instance(&self, instance: &Thing) -> Part {
        let mut part = self.to_part(instance).line(text(instance, "size"));
        part.lines.extend(tell_addresses(&instance.to_resource(self.world.now)));
        part
    }

    fn draw_vpn(&self, endpoint: &Thing) -> Vpn {
        let associations = self.things.iter().filter(|thing| {
            thing.kind == "client-vpn-target-network" && thing.place.holder.as_ref() == Some(&endpoint.id)
        });
        let rate: f64 = associations.clone().map(|one| one.usd_per_hour()).sum();
        let carrier = match (text(endpoint, "transport"), endpoint.more.get("port").and_then(Value::as_i64)) {
            (transport, Some(port)) if !transport.is_empty() => format!("{} {port}", transport.to_uppercase()),
            _ => "VPN".to_owned(),
        };
        let subnets = associations.filter_map(|one| Some((one.place.subnet.clone()?, Presence::There)));
        let mut part = self.to_part(endpoint).costs(endpoint.usd_per_hour() + rate);
        part.lines.extend(endpoint.more.get("client_cidr").and_then(Value::as_str).map(|own| format!("clients {own}")));
        Vpn { part, carrier, subnets: subnets.collect() }
    }
}

#[cfg(test)]
mod tests {
    use lab_picture::{Route, Source};

    use super::*;
    use crate::testing::label;
    use crate::thing::Label;

    #[test]
    fn labs_are_told_apart_by_their_tags() {
        let thing = |kind, id: &str, owner| Thing::new(kind, id, label(owner));
        let things = vec![
            thing("vpc", "vpc-1", "ada"),
            thing("subnet", "subnet-1", "ada").within(Some("vpc-1"), None),
            thing("instance", "i-1", "ada").within(Some("vpc-1"), Some("subnet-1")),
            thing("instance", "i-2", "bob"),
        ];
        let scenes = list_scenes(&World { things, account: "123456789012".into(), ..World::default() }, "us-east-1");
        assert_eq!(scenes.iter().map(|scene| scene.owner.as_str()).collect::<Vec<_>>(), ["ada", "bob"]);
        assert_eq!(scenes[0].vpc.as_ref().unwrap().subnets[0].hosts[0].part.name, "i-1");
        assert_eq!((scenes[1].vpc.is_none(), scenes[1].others.len()), (true, 1));
        assert_eq!(scenes[1].account.as_deref(), Some("9012"));
    }

    fn with_role(kind: &'static str, id: &str, role: &str) -> Thing {
        Thing::new(kind, id, Label { role: Some(role.into()), ..label("deadlock") }).within(Some("vpc-1"), None)
    }

    /// Two hosts in subnets of two zones, one of them public, whatever their names say.
    fn lab() -> World {
        let subnet = |id, role, zone| with_role("subnet", id, role).named("my subnet").with("zone", zone);
        let host = |id, role, subnet, group: &str| {
            let mut host = with_role("instance", id, role).within(Some("vpc-1"), Some(subnet));
            host.place.groups = vec![group.to_owned()];
            host
        };
        let group = |id, role, rules: &[&str]| with_role("security-group", id, role).with("rules", rules.to_vec());
        let table = |id, target, main, subnets: &[&str]| {
            let table = with_role("route-table", id, "route-table").with("default_route", target);
            table.with("main", main).with("subnets", subnets.to_vec())
        };
        let things = vec![
            with_role("vpc", "vpc-1", "vpc").with("cidr", "10.0.0.0/16"),
            subnet("subnet-1", "subnet web", "us-east-1a").with("cidr", "10.0.1.0/24"),
            subnet("subnet-2", "subnet data", "us-east-1b").with("cidr", "10.0.2.0/24"),
            table("rtb-1", "igw-1", false, &["subnet-1"]),
            table("rtb-2", "none", true, &[]),
            group("sg-1", "security-group web", &["tcp/443 from 0.0.0.0/0"]),
            group("sg-2", "security-group data", &["tcp/5432 from sg-1"]),
            host("i-1", "instance web", "subnet-1", "sg-1"),
            host("i-2", "instance data", "subnet-2", "sg-2"),
            with_role("queue", "arn:q", "queue images").named("lab-image-queue-deadlock"),
            with_role("queue", "arn:d", "queue dead-letters").named("lab-image-dead-letters-deadlock"),
            with_role("bucket", "lab-in", "bucket input"),
            with_role("bucket", "lab-out", "bucket output"),
            with_role("function", "lab-lambda-function", "function"),
        ];
        World { things, account: "123456789012".into(), ..World::default() }
    }

    #[test]
    fn routes_rules_zones_and_queues_are_read_and_not_guessed_from_names() {
        let scene = list_scenes(&lab(), "us-east-1").remove(0);
        let vpc = scene.vpc.unwrap();
        let told: Vec<_> = vpc.subnets.iter().map(|one| (one.zone.as_deref(), one.cidr.as_str(), &one.route)).collect();
        let wanted =
            [(Some("us-east-1a"), "10.0.1.0/24", &Route::Gateway), (Some("us-east-1b"), "10.0.2.0/24", &Route::None)];
        assert_eq!((vpc.cidr.as_str(), told), ("10.0.0.0/16", wanted.to_vec()));
        let inbound = |at: usize| &vpc.subnets[at].hosts[0].inbound[0];
        assert_eq!((&inbound(0).from, inbound(0).ports.as_str()), (&Source::Anywhere, "TCP 443"));
        assert_eq!((&inbound(1).from, inbound(1).ports.as_str()), (&Source::Host("web".into()), "TCP 5432"));
        assert_eq!(vpc.subnets[0].hosts[0].role, "web");
        assert_eq!(scene.pipeline.unwrap().queue.unwrap().name, "lab-image-queue-deadlock");
    }

    #[test]
    fn nothing_is_missing_where_nobody_says_what_is_wanted() {
        let mut world = lab();
        world.things.retain(|thing| thing.kind != "function");
        let scene = list_scenes(&world, "us-east-1").remove(0);
        assert_eq!(scene.pipeline, None);
        assert!(
            scene
                .others
                .iter()
                .any(|part| part.name == "lab-in" && part.service.as_deref() == Some("Amazon S3 bucket"))
        );
        assert!(lab_picture::arrange(&scene).labels().all(|label| label.text != "missing"));
    }

    #[test]
    fn what_costs_and_stands_in_no_drawn_subnet_is_told_below() {
        let mut world = lab();
        world.things.retain(|thing| thing.id != "subnet-2");
        let nat = |id| with_role("natgateway", id, "natgateway").within(Some("vpc-1"), Some("subnet-1"));
        world.things.extend([nat("nat-1"), nat("nat-2")]);
        let scene = list_scenes(&world, "us-east-1").remove(0);
        let others: Vec<_> =
            scene.others.iter().map(|part| (part.name.as_str(), part.service.as_deref().unwrap())).collect();
        assert_eq!(others, [("i-2", "EC2 instance"), ("nat-2", "NAT gateway")]);
    }

    #[test]
    fn the_second_student_comes_before_the_tenth() {
        let things =
            ["stud10", "stud2", "ada", "stud2b"].map(|owner| Thing::new("vpc", format!("vpc-{owner}"), label(owner)));
        let scenes = list_scenes(&World { things: things.into(), ..World::default() }, "us-east-1");
        let owners: Vec<_> = scenes.iter().map(|scene| scene.owner.as_str()).collect();
        assert_eq!(owners, ["ada", "stud2", "stud2b", "stud10"]);
    }

    #[test]
    fn what_was_not_looked_at_is_not_told_as_working() {
        let world = World { unread: vec!["DescribeAddresses: denied".into()], ..lab() };
        let scene = list_scenes(&world, "us-east-1").remove(0);
        let pipeline = scene.pipeline.as_ref().unwrap();
        let unknown = [&pipeline.trigger, &pipeline.takes, &pipeline.writes].map(|hop| hop.presence);
        assert_eq!(unknown, [Presence::Unknown; 3]);
        assert!(scene.is_at_least && lab_picture::arrange(&scene).description.contains("at least $"));
    }

    #[test]
    fn rules_that_could_not_be_read_are_not_told_as_the_same() {
        let mut world = lab();
        world.things.retain(|thing| thing.kind != "security-group");
        let scene = list_scenes(&world, "us-east-1").remove(0);
        let host = &scene.vpc.as_ref().unwrap().subnets[0].hosts[0];
        assert_eq!((host.group.why.as_deref(), host.inbound.len()), (Some("its rules could not be read"), 0));
        let drawing = lab_picture::arrange(&scene);
        assert!(drawing.labels().all(|label| !label.text.contains("the same rules")));
        assert!(drawing.description.contains("its rules could not be read"), "{}", drawing.description);
    }
}
