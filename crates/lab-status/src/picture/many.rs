//! Every lab of the account, each as its tags tell it: no lab.toml says what is wanted, so nothing is missing. Pure.

use std::collections::BTreeMap;

use lab_picture::{Host, Part, Pipeline, Presence, Route, Scene, Subnet, View, Vpc, Vpn};

use super::compose::{last_four, to_part};
use super::show_time;
use crate::census::World;
use crate::leaks::{sum_up, tidy};
use crate::thing::{Fate, Thing};

/// A scene for each lab, by lab and owner.
pub(super) fn list_scenes(world: &World, region: &str) -> Vec<Scene> {
    let world = tidy(world);
    let mut labs: BTreeMap<(&str, &str), Vec<&Thing>> = BTreeMap::new();
    for thing in world.things.iter().filter(|thing| thing.fate == Fate::Stays) {
        let (Some(lab), Some(owner)) = (&thing.label.lab, &thing.label.owner) else { continue };
        labs.entry((lab, owner)).or_default().push(thing);
    }
    let scenes = labs.into_iter().map(|((lab, owner), things)| Scene {
        lab: lab.to_owned(),
        owner: owner.to_owned(),
        region: region.to_owned(),
        account: last_four(&world.account),
        at: show_time(world.now),
        view: View::Live,
        usd_per_hour: sum_up(things.iter().copied(), world.now).usd_per_hour,
        laptop: Part::new(owner),
        ..draw(&things, &world)
    });
    scenes.collect()
}

fn draw(things: &[&Thing], world: &World) -> Scene {
    let part = |thing: &Thing| to_part(&thing.to_resource(world.now));
    let of_kind = |kind: &'static str| things.iter().copied().filter(move |thing| thing.kind == kind);
    let vpc = of_kind("vpc").next().map(|vpc| Vpc {
        part: part(vpc),
        cidr: String::new(),
        gateway: of_kind("internet-gateway").next().map(part),
        subnets: of_kind("subnet").map(|subnet| draw_subnet(subnet, things, &part)).collect(),
        vpn: of_kind("client-vpn-endpoint").next().map(|endpoint| {
            let associations = of_kind("client-vpn-target-network");
            let rate: f64 = associations.clone().map(Thing::usd_per_hour).sum();
            let subnets = associations.filter_map(|one| Some((one.place.subnet.clone()?, Presence::There)));
            Vpn { part: part(endpoint).costs(rate), carrier: "VPN".to_owned(), subnets: subnets.collect() }
        }),
    });
    let role = |thing: &&Thing, role: &str| thing.label.role.as_deref() == Some(role);
    let bucket = |wanted: &str| of_kind("bucket").find(|thing| role(thing, wanted)).map(part);
    let function = of_kind("function").next().map(part);
    let pipeline = (bucket("bucket input").is_some() || function.is_some()).then(|| Pipeline {
        input: bucket("bucket input").unwrap_or_else(|| absent("input bucket")),
        trigger: Part::new("s3:ObjectCreated:*"),
        queue: of_kind("queue").find(|thing| !thing.name.contains("dead")).map(part),
        function: function.unwrap_or_else(|| absent("function")),
        output: bucket("bucket output").unwrap_or_else(|| absent("output bucket")),
    });
    // What stands in no drawn VPC, and what costs and has no place.
    let drawn = vpc.is_some();
    let has_place = |thing: &Thing| match thing.kind {
        "instance" => drawn && thing.place.subnet.is_some(),
        "natgateway" => drawn,
        _ => false,
    };
    let others = things
        .iter()
        .filter(|thing| matches!(thing.kind, "instance" | "natgateway" | "elastic-ip" | "volume") && !has_place(thing));
    Scene { vpc, pipeline, others: others.map(|thing| part(thing)).collect(), ..Scene::default() }
}

fn absent(what: &str) -> Part {
    Part::new(what).presence(Presence::Missing)
}

fn draw_subnet(subnet: &Thing, things: &[&Thing], part: &impl Fn(&Thing) -> Part) -> Subnet {
    let inside = |kind: &'static str| {
        things.iter().filter(move |thing| thing.kind == kind && thing.place.subnet.as_ref() == Some(&subnet.id))
    };
    let hosts = inside("instance").map(|instance| {
        let size = instance.more.get("size").and_then(serde_json::Value::as_str).unwrap_or_default();
        let groups = instance.place.groups.iter().map(|id| {
            let known = things.iter().find(|thing| thing.id == *id);
            known.map_or(id.as_str(), |group| group.name.as_str())
        });
        let group = Part::new(groups.collect::<Vec<_>>().join(", "));
        Host { part: part(instance).line(size), role: instance.id.clone(), group, ..Host::default() }
    });
    let is_public = subnet.name.contains("public");
    Subnet {
        part: part(subnet),
        role: subnet.id.clone(),
        route: if is_public { Route::Gateway } else { Route::None },
        hosts: hosts.collect(),
        nat: inside("natgateway").next().map(|nat| part(nat)),
        ..Subnet::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::label;

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
}
