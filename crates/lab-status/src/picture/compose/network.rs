//! The network: VPC, subnets, hosts, gateways, each where it really stands. Pure.

use lab_common::roles::{security_group as group_role, subnet as subnet_role};
use lab_common::{Billed, Host, Image, Internet, Runs};
use lab_picture::{Health, Part, Presence, Route, Subnet, View, Vpc};
use lab_plan::{Action, Resource};

use super::{Facts, MAIN_TABLE, PUBLIC_TABLE, Stage, name_kind, tell_addresses, text, texts, to_part};
use crate::inventory::Change;
use crate::picture::find::find_groups_of;
use crate::picture::routes::read_route;
use crate::picture::rules::{Groups, Verdicts, list_inbound, read_inbound};
use crate::thing::Thing;

/// A subnet of the picture, and its id where it is there.
pub(super) struct Area {
    pub(super) id: Option<String>,
    pub(super) subnet: Subnet,
}

impl Facts<'_> {
    pub(super) fn vpc(&self, stage: &mut Stage) -> Vpc {
        let name = self.names.vpc();
        let found = self.find_role("vpc", "vpc", &name);
        stage.draw(found);
        let cidr = found.and_then(|vpc| text(vpc, "cidr"));
        let public = self.lab.network.subnets.iter().any(|subnet| subnet.internet == Internet::Gateway);
        let mut areas: Vec<Area> = self.lab.network.subnets.iter().map(|subnet| self.subnet(subnet, stage)).collect();
        areas.extend(found.into_iter().flat_map(|vpc| self.other_subnets(&vpc.id, stage)));
        self.put_hosts(&mut areas, stage);
        self.put_strays(&mut areas, stage);
        self.put_nats(&mut areas, stage);
        let gateway = public.then(|| self.gateway(stage));
        let vpn = self.vpn(&areas, stage);
        let main = self.all().find(|one| one.kind == "route-table" && text(one, "role").as_deref() == Some(MAIN_TABLE));
        let groups = self.wanted_groups();
        stage.draw(main.into_iter().chain(groups.into_iter().map(|(group, _)| group)));
        Vpc {
            part: self.part(&["vpc"], found, &name, &[]),
            cidr: cidr.unwrap_or_else(|| self.lab.network.cidr.to_string()),
            gateway,
            subnets: areas.into_iter().map(|area| area.subnet).collect(),
            vpn,
        }
    }

    fn gateway(&self, stage: &mut Stage) -> Part {
        let name = self.names.internet_gateway();
        let found = self.find_role("internet-gateway", "internet-gateway", &name);
        let mut part = self.part(&["internet-gateway"], found, &name, &[]);
        let table = self.names.public_route_table();
        let route_table = self.find_role("route-table", PUBLIC_TABLE, &table);
        stage.draw(found.into_iter().chain(route_table));
        let shown = route_table.map(|found| found.name.as_str()).filter(|name| !name.trim().is_empty());
        part = part.line(format!("route table {}", shown.unwrap_or(&table)));
        let (presence, why) = self.judge(&["route-table"], &table, route_table, &[]);
        if part.presence == Presence::There && presence != Presence::There {
            part.presence = presence;
            part.why = Some(why.unwrap_or_else(|| format!("{table} is not there")));
        } else if let Some(why) = why.filter(|why| part.why.as_ref() != Some(why)) {
            part.why = Some(part.why.map_or_else(|| why.clone(), |own| format!("{own}; {why}")));
        }
        part
    }

    /// NAT gateways, one in a subnet; what finds no place is told below.
    fn put_nats(&self, areas: &mut [Area], stage: &mut Stage) {
        let nats: Vec<&Resource> = self.all().filter(|one| one.kind == "natgateway").collect();
        for nat in nats {
            let place = self.find_subnet_of(&nat.id);
            let public = |area: &Area| area.subnet.route == Route::Gateway;
            let at = match &place {
                Some(_) => areas.iter().position(|area| area.id == place),
                None => areas.iter().position(public).or((!areas.is_empty()).then_some(0)),
            };
            if let Some(area) = at.map(|at| &mut areas[at]).filter(|area| area.subnet.nat.is_none()) {
                area.subnet.nat = Some(self.nat(nat, stage));
            }
        }
    }

    /// A NAT gateway with the address that it has.
    pub(super) fn nat(&self, nat: &Resource, stage: &mut Stage) -> Part {
        let address_of = |one: &&Resource| one.kind == "elastic-ip" && !stage.has(one);
        let known = text(nat, "public_ip");
        let is_alone = self.all().filter(|one| one.kind == "natgateway").count() == 1;
        // The tags alone do not tell a gateway's address.
        let is_its = |one: &&Resource| match &known {
            Some(known) => text(one, "public_ip").as_ref() == Some(known),
            None => is_alone && one.state == "associated",
        };
        let address = self.all().filter(address_of).find(is_its);
        let mut part = to_part(nat);
        part.usd_per_hour += address.map_or(0.0, |one| one.usd_per_hour);
        if let Some(address) = known.or_else(|| text(address?, "public_ip")) {
            part = part.line(address);
        }
        stage.draw([nat].into_iter().chain(address));
        part.presence(if self.is_removed(nat) { self.extra(nat) } else { Presence::There })
    }

    fn find_thing(&self, kind: &str, id: &str) -> Option<&Thing> {
        self.world.things.iter().chain(&self.world.strangers).find(|thing| thing.kind == kind && thing.id == id)
    }

    /// The id of the subnet that something stands in.
    fn find_subnet_of(&self, id: &str) -> Option<String> {
        self.world.things.iter().find(|thing| thing.id == id)?.place.subnet.clone()
    }

    fn subnet(&self, wanted: &lab_common::Subnet, stage: &mut Stage) -> Area {
        let name = self.names.subnet(&wanted.role);
        let found = self.find_role("subnet", &subnet_role(&wanted.role), &name);
        stage.draw(found);
        let zone = wanted.zone.map(|letter| format!("{}{letter}", self.region));
        let subnet = Subnet {
            part: without_good_state(self.part(&["subnet"], found, &name, &[])),
            role: wanted.role.clone(),
            cidr: found.and_then(|one| text(one, "cidr")).unwrap_or_else(|| wanted.cidr.to_string()),
            zone: found.and_then(|one| text(one, "zone")).or(zone),
            route: self.route(found, wanted.internet),
            ..Subnet::default()
        };
        Area { id: found.map(|one| one.id.clone()), subnet }
    }

    /// Subnets of this VPC that lab.toml does not know: the lab's by their tags, or with something of the lab in them.
    fn other_subnets(&self, vpc: &str, stage: &mut Stage) -> Vec<Area> {
        let mut areas: Vec<Area> = Vec::new();
        let ours = self.all().filter(|one| one.kind == "subnet");
        for one in ours {
            let place = self.find_thing("subnet", &one.id).and_then(|thing| thing.place.vpc.as_deref());
            if stage.has(one) || place != Some(vpc) {
                continue;
            }
            stage.draw([one]);
            areas.push(self.other_subnet(one, self.extra(one)));
        }
        let inside = self.all().filter(|one| ["instance", "natgateway"].contains(&one.kind));
        for id in inside.filter_map(|one| self.find_subnet_of(&one.id)) {
            let Some(thing) = self.find_thing("subnet", &id).filter(|one| one.place.vpc.as_deref() == Some(vpc)) else {
                continue;
            };
            let one = thing.to_resource(self.world.now);
            if !stage.has(&one) {
                stage.draw([&one]);
                let mut area = self.other_subnet(&one, Presence::There);
                area.subnet.part.why = Some("not of this lab by its tags".to_owned());
                areas.push(area);
            }
        }
        areas
    }

    fn other_subnet(&self, one: &Resource, presence: Presence) -> Area {
        let subnet = Subnet {
            part: without_good_state(to_part(one)).presence(presence),
            role: one.id.clone(),
            cidr: text(one, "cidr").unwrap_or_default(),
            zone: text(one, "zone").filter(|zone| !zone.is_empty()),
            route: read_route(self.world, &one.id),
            ..Subnet::default()
        };
        Area { id: Some(one.id.clone()), subnet }
    }

    /// What is so, of a subnet that is there; what `up` makes of one behind the internet gateway.
    fn route(&self, subnet: Option<&Resource>, internet: Internet) -> Route {
        match (subnet, internet) {
            (None, _) if self.is_unread("subnet") => Route::Unknown,
            (None, Internet::None) => Route::None,
            (None, Internet::Gateway) => Route::Gateway,
            (Some(_), Internet::Gateway) if self.plans("subnet") => Route::Gateway,
            (Some(subnet), _) => read_route(self.world, &subnet.id),
        }
    }

    /// The instance of a host: of several the first.
    pub(super) fn find_instance(&self, role: &str) -> Option<&Resource> {
        let tag = lab_common::roles::instance(role);
        let is_its = |one: &&Resource| {
            one.kind == "instance"
                && (text(one, "host").as_deref() == Some(role) || text(one, "role").as_deref() == Some(tag.as_str()))
        };
        let known = self.found.resources.iter().find(is_its);
        known.or_else(|| self.found.others.iter().filter(|_| self.is_unread("instance")).find(is_its))
    }

    /// Every host of lab.toml, in the subnet that it stands in; where it is not there, in that where it should.
    fn put_hosts(&self, areas: &mut [Area], stage: &mut Stage) {
        for wanted in &self.lab.hosts {
            let found = self.find_instance(&wanted.role);
            stage.draw(found);
            let place = found.and_then(|one| self.find_subnet_of(&one.id));
            let host = self.host(wanted, found);
            let at = match &place {
                Some(_) => areas.iter().position(|area| area.id == place),
                None => areas.iter().position(|area| area.subnet.role == wanted.subnet),
            };
            match at {
                Some(at) => areas[at].subnet.hosts.push(host),
                None => stage.others.push(tell_place(host.part, place)),
            }
        }
    }

    fn host(&self, wanted: &Host, found: Option<&Resource>) -> lab_picture::Host {
        let name = self.names.host(&wanted.role);
        let size = found.and_then(|one| text(one, "size")).unwrap_or_else(|| wanted.size.clone());
        let runs = match wanted.runs {
            Some(Runs::Jupyter) => ", Jupyter",
            Some(Runs::Filegator) => ", FileGator",
            None => "",
        };
        let mut part = self.part(&["instance"], found, &name, &[]).line(format!("{size}{runs}"));
        part.usd_per_hour = self.rate_to_add(&part, &name, Billed::Always);
        part.lines.extend(found.and_then(tell_addresses));
        if found.is_none() {
            part = part.line(tell_image(&wanted.image));
        }
        let own = self.find_role("security-group", &group_role(&wanted.role), &name);
        let mut group = self.part(&["security-group", "security-group-rule"], own, &name, &[]);
        group.state = None;
        let rules = own.map(|group| texts(group, "rules"));
        let mut verdicts = self.judge_rules(&name);
        let mut live = rules.as_deref();
        // Somebody may have put the host into other groups: those decide.
        let others = found.filter(|_| self.view == View::Live).and_then(|host| find_groups_of(self.world, &host.id));
        let others = others.filter(|(names, _)| own.is_none_or(|group| *names != group.name));
        if let Some((names, others)) = &others {
            group = Part::new(names).presence(Presence::Drifted);
            verdicts.too_much = None;
            live = Some(others);
        }
        let inbound = list_inbound(wanted, live, &self.groups(), &verdicts);
        let writes = wanted.runs == Some(Runs::Jupyter) && self.lab.images.is_some();
        // A line of what is not there stands as that does.
        let (writing, why) =
            if writes && found.is_some() { self.judge_writing(&name) } else { (Presence::There, None) };
        if let Some(why) = why.filter(|_| found.is_some() && part.presence == Presence::There) {
            part.presence = writing;
            part.why = Some(why);
        }
        lab_picture::Host { part, role: wanted.role.clone(), group, inbound, writes, writing }
    }

    /// What net-up says of the rules of a host's group.
    fn judge_rules(&self, name: &str) -> Verdicts {
        const RULE: &str = "security-group-rule";
        let unread = self.is_unread(RULE);
        let removed = self.changes(&[RULE], name).into_iter().filter(|change| change.action == Action::Delete);
        let removed = removed.flat_map(|change| change.detail.split(", ")).map(str::to_owned).collect();
        let compared = !unread && self.parts.iter().all(|part| !part.uncompared.contains(&RULE));
        Verdicts {
            absent: self.absent(RULE),
            there: if unread { Presence::Unknown } else { Presence::There },
            extra: match () {
                () if unread => Presence::Unknown,
                () if self.plans(RULE) => Presence::Remove,
                () => Presence::Unexpected,
            },
            too_much: compared.then_some(removed),
        }
    }

    /// Whether a host may write pictures: by its instance profile, and the role with its policy in that.
    fn judge_writing(&self, name: &str) -> (Presence, Option<String>) {
        let is_of_it = |change: &&Change| match change.kind {
            "role" | "role-policy" | "instance-profile" => true,
            "instance" => change.name == name && change.detail.starts_with("profile "),
            _ => false,
        };
        let changes: Vec<&Change> = self.changes_of("host-up").filter(is_of_it).collect();
        self.judge_changes("instance", &changes)
    }

    /// The groups of lab.toml that are there, with their roles.
    fn wanted_groups(&self) -> Vec<(&Resource, String)> {
        let hosts = self.lab.hosts.iter().map(|host| (group_role(&host.role), self.names.host(&host.role)));
        let wanted = hosts.chain([(group_role("vpn"), self.names.vpn_security_group())]);
        wanted.filter_map(|(role, name)| Some((self.find_role("security-group", &role, &name)?, role))).collect()
    }

    fn groups(&self) -> Groups {
        let found = self.wanted_groups();
        Groups::new(found.iter().map(|(group, role)| (group.id.as_str(), role.as_str())))
    }

    /// Instances with the lab's tags that no host of lab.toml is, each in its subnet; those that stand elsewhere are told
    /// below.
    fn put_strays(&self, areas: &mut [Area], stage: &mut Stage) {
        for one in self.all().filter(|one| one.kind == "instance") {
            if stage.has(one) {
                continue;
            }
            stage.draw([one]);
            let mut part = to_part(one).presence(self.extra(one));
            part.lines.extend(text(one, "size").into_iter().chain(tell_addresses(one)));
            let place = self.find_subnet_of(&one.id);
            let Some(area) = areas.iter_mut().find(|area| place.is_some() && area.id == place) else {
                stage.others.push(tell_place(part, place));
                continue;
            };
            let (group, rules) = match find_groups_of(self.world, &one.id) {
                Some((names, rules)) => (Part::new(names), rules),
                None => (Part::new("of unknown name").because("its rules could not be read"), Vec::new()),
            };
            area.subnet.hosts.push(lab_picture::Host {
                part,
                role: one.id.clone(),
                group,
                inbound: read_inbound(rules.iter().map(String::as_str), &self.groups()),
                ..lab_picture::Host::default()
            });
        }
    }
}

/// A card below the network: it stands in no drawn subnet.
fn tell_place(part: Part, place: Option<String>) -> Part {
    let part = Part { service: Some(name_kind("instance").to_owned()), ..part };
    match place {
        Some(subnet) => part.line(format!("in {subnet}, which is not of this lab's VPC")),
        None => part.line("in which subnet is not known"),
    }
}

/// A subnet's state says nothing that its being there does not say.
fn without_good_state(part: Part) -> Part {
    Part { state: part.state.filter(|(_, health)| *health != Health::Good), ..part }
}

fn tell_image(image: &Image) -> String {
    match image {
        Image::AmazonLinux2023 => "amazon-linux-2023".to_owned(),
        Image::Ubuntu2404 => "ubuntu-24.04".to_owned(),
        Image::Ami(id) => id.clone(),
    }
}
