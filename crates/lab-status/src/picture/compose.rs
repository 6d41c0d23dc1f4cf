//! What was read and what lab.toml wants, as one scene. Pure.

use std::collections::BTreeMap;

use lab_common::{Host, Image, Internet, Lab, Names, Runs};
use lab_picture::{Health, Part, Pipeline, Presence, Route, Scene, Subnet, View, Vpc, Vpn};
use lab_plan::{Action, Resource};
use serde_json::Value;

use super::rules::{Groups, list_inbound};
use crate::inventory::{self, Change};
use crate::show::Inventory;

/// What a scene is made from.
pub(super) struct Facts<'a> {
    pub(super) lab: &'a Lab,
    pub(super) names: &'a Names,
    pub(super) region: &'a str,
    /// The account's 12 digits; four of them are shown.
    pub(super) account: Option<&'a str>,
    pub(super) at: String,
    pub(super) view: View,
    pub(super) found: &'a Inventory,
    pub(super) parts: &'a [inventory::Part],
}

/// What kinds have a place of their own in the picture, or none because they cost nothing and are expected.
const DRAWN: [&str; 12] = [
    "vpc",
    "subnet",
    "internet-gateway",
    "route-table",
    "security-group",
    "instance",
    "natgateway",
    "client-vpn-endpoint",
    "client-vpn-target-network",
    "bucket",
    "function",
    "network-interface",
];

/// The scene.
pub(super) fn compose(facts: &Facts<'_>) -> Scene {
    let lab = facts.lab;
    let mut laptop = Part::new("Your laptop");
    if let Some(vpn) = &lab.vpn {
        laptop = laptop.line(format!("VPN clients: {}", vpn.clients.join(", ")));
    }
    Scene {
        lab: lab.name.clone(),
        owner: lab.owner.clone(),
        region: facts.region.to_owned(),
        account: facts.account.and_then(last_four),
        at: facts.at.clone(),
        view: facts.view,
        usd_per_hour: facts.found.total.usd_per_hour,
        laptop,
        vpc: Some(facts.vpc()),
        pipeline: facts.pipeline(),
        others: facts.others(),
    }
}

/// Who may see a picture need not see whose account it is.
pub(crate) fn last_four(account: &str) -> Option<String> {
    let from = account.len().checked_sub(4).filter(|_| account.is_ascii())?;
    Some(account[from..].to_owned())
}

impl Facts<'_> {
    fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.found.resources.iter()
    }

    fn find(&self, kind: &str, name: &str) -> Option<&Resource> {
        self.resources().find(|one| one.kind == kind && one.name == name)
    }

    fn changes<'b>(&'b self, kinds: &'b [&str], name: &'b str) -> impl Iterator<Item = &'b Change> {
        let changes = self.parts.iter().flat_map(|part| &part.changes);
        changes.filter(move |change| kinds.contains(&change.kind) && change.name == name)
    }

    fn absent(&self) -> Presence {
        if self.view == View::Plan { Presence::Add } else { Presence::Missing }
    }

    fn extra(&self) -> Presence {
        if self.view == View::Plan { Presence::Remove } else { Presence::Unexpected }
    }

    /// How something of lab.toml stands, and in what it differs: `kinds` are those whose changes are its own.
    fn judge(&self, kinds: &[&str], name: &str, there: bool) -> (Presence, Option<String>) {
        if !there {
            return (self.absent(), None);
        }
        if self.changes(kinds, name).any(|change| change.action == Action::Delete && change.kind == kinds[0]) {
            return (self.extra(), None);
        }
        // A host that is switched off says so itself; that is no difference from lab.toml.
        let is_start = |change: &&Change| self.view == View::Live && change.detail.starts_with("start it");
        let told: Vec<_> = self.changes(kinds, name).filter(|change| !is_start(change)).map(tell_change).collect();
        if !told.is_empty() {
            let presence = if self.view == View::Plan { Presence::Change } else { Presence::Drifted };
            return (presence, Some(told.join("; ")));
        }
        match self.find_refusal(name) {
            Some(why) => (Presence::Drifted, Some(why)),
            None => (Presence::There, None),
        }
    }

    /// What forbids the plan and names this: AWS cannot change it in place.
    fn find_refusal(&self, name: &str) -> Option<String> {
        let mut refused = self.parts.iter().flat_map(|part| &part.refused);
        let names_it = |why: &&String| why.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == name);
        refused.find(names_it).map(|why| why.lines().next().unwrap_or_default().to_owned())
    }

    /// A part of lab.toml with this name.
    fn part(&self, kinds: &[&str], name: &str) -> Part {
        let found = self.find(kinds[0], name);
        let (presence, why) = self.judge(kinds, name, found.is_some());
        let part = found.map_or_else(|| Part::new(name), to_part);
        Part { presence, why, ..part }
    }

    fn vpc(&self) -> Vpc {
        let (lab, names) = (self.lab, self.names);
        let name = names.vpc();
        let cidr = self.find("vpc", &name).and_then(|vpc| text(vpc, "cidr"));
        let public = lab.network.subnets.iter().any(|subnet| subnet.internet == Internet::Gateway);
        let nat = self.nat();
        let subnets = lab.network.subnets.iter().map(|subnet| self.subnet(subnet));
        let mut subnets: Vec<Subnet> = subnets.collect();
        if let Some(nat) = nat {
            let place = subnets.iter().position(|subnet| subnet.route == Route::Gateway).unwrap_or_default();
            if let Some(subnet) = subnets.get_mut(place) {
                subnet.nat = Some(nat);
            }
        }
        self.add_strays(&mut subnets);
        Vpc {
            part: self.part(&["vpc"], &name),
            cidr: cidr.unwrap_or_else(|| lab.network.cidr.to_string()),
            gateway: public.then(|| self.gateway()),
            subnets,
            vpn: self.vpn(),
        }
    }

    fn gateway(&self) -> Part {
        let name = self.names.internet_gateway();
        let mut part = self.part(&["internet-gateway"], &name);
        let table = self.names.public_route_table();
        let there = self.find("route-table", &table).is_some();
        part = part.line(format!("route table {table}"));
        let (presence, why) = self.judge(&["route-table"], &table, there);
        if part.presence == Presence::There && presence != Presence::There {
            part.presence = presence;
            part.why = Some(why.unwrap_or_else(|| format!("{table} is not there")));
        }
        part
    }

    /// Of several, those that are there at all.
    fn nat(&self) -> Option<Part> {
        let gateway = self.resources().find(|one| one.kind == "natgateway")?;
        let address = self.resources().find(|one| one.kind == "elastic-ip");
        let mut part = to_part(gateway).costs(gateway.usd_per_hour + address.map_or(0.0, |one| one.usd_per_hour));
        if let Some(address) = address.and_then(|one| text(one, "public_ip")) {
            part = part.line(address);
        }
        Some(part)
    }

    fn subnet(&self, wanted: &lab_common::Subnet) -> Subnet {
        let name = self.names.subnet(&wanted.role);
        let found = self.find("subnet", &name);
        let zone = wanted.zone.map(|letter| format!("{}{letter}", self.region));
        let hosts = self.lab.hosts.iter().filter(|host| host.subnet == wanted.role);
        let mut part = self.part(&["subnet"], &name);
        // A subnet's state says nothing that its being there does not say.
        part.state = part.state.filter(|(_, health)| *health != Health::Good);
        Subnet {
            part,
            role: wanted.role.clone(),
            cidr: found.and_then(|one| text(one, "cidr")).unwrap_or_else(|| wanted.cidr.to_string()),
            zone: found.and_then(|one| text(one, "zone")).or(zone),
            route: self.route(wanted.internet),
            hosts: hosts.map(|host| self.host(host)).collect(),
            nat: None,
        }
    }

    fn route(&self, internet: Internet) -> Route {
        match internet {
            Internet::Gateway => Route::Gateway,
            Internet::None => {
                let main = self.find("route-table", &self.names.main_route_table());
                let target = main.and_then(|table| text(table, "default_route")).unwrap_or_default();
                if target.starts_with("nat-") { Route::Nat } else { Route::None }
            }
        }
    }

    fn host(&self, wanted: &Host) -> lab_picture::Host {
        let name = self.names.host(&wanted.role);
        let found =
            self.resources().find(|one| one.kind == "instance" && text(one, "host").as_ref() == Some(&wanted.role));
        let (presence, why) = self.judge(&["instance"], &name, found.is_some());
        let size = found.and_then(|one| text(one, "size")).unwrap_or_else(|| wanted.size.clone());
        let runs = match wanted.runs {
            Some(Runs::Jupyter) => ", Jupyter",
            Some(Runs::Filegator) => ", FileGator",
            None => "",
        };
        let mut part = found.map_or_else(|| Part::new(&name), to_part).line(format!("{size}{runs}"));
        let addresses: Vec<_> = ["private_ip", "public_ip"].iter().filter_map(|key| text(found?, key)).collect();
        if !addresses.is_empty() {
            part = part.line(addresses.join(" · "));
        }
        if found.is_none() {
            part = part.line(tell_image(&wanted.image));
        }
        part = Part { presence, why, ..part };
        let mut group = self.part(&["security-group", "security-group-rule"], &name);
        group.state = None;
        let rules = self.find("security-group", &name).map(|group| texts(group, "rules"));
        let inbound = list_inbound(wanted, rules.as_deref(), &self.groups(), self.absent(), self.extra());
        let writes = wanted.runs == Some(Runs::Jupyter) && self.lab.images.is_some();
        lab_picture::Host { part, role: wanted.role.clone(), group, inbound, writes }
    }

    fn groups(&self) -> Groups<'_> {
        let groups = self.resources().filter(|one| one.kind == "security-group");
        let ids: BTreeMap<_, _> = groups.map(|group| (group.name.as_str(), group.id.as_str())).collect();
        let vpn = self.names.vpn_security_group();
        let vpn = ids.keys().find(|name| **name == vpn).copied().unwrap_or_default();
        let hosts = self.lab.hosts.iter().map(|host| (host.role.as_str(), self.names.host(&host.role))).collect();
        Groups { ids, vpn, hosts }
    }

    /// Instances with the lab's tags that no host of lab.toml is, in the first subnet: where they stand is not known here.
    fn add_strays(&self, subnets: &mut [Subnet]) {
        let hosts: Vec<&str> = self.lab.hosts.iter().map(|host| host.role.as_str()).collect();
        let all = self.resources().chain(&self.found.others).filter(|one| one.kind == "instance");
        let strays = all.filter(|one| text(one, "host").is_none_or(|host| !hosts.contains(&host.as_str())));
        let Some(subnet) = subnets.first_mut() else { return };
        subnet.hosts.extend(strays.map(|one| lab_picture::Host {
            part: to_part(one).presence(self.extra()),
            role: one.id.clone(),
            group: Part::new("not of lab.toml").presence(self.extra()),
            ..lab_picture::Host::default()
        }));
    }

    fn vpn(&self) -> Option<Vpn> {
        let wanted = self.lab.vpn.as_ref()?;
        let name = self.names.vpn_endpoint();
        let found = self.find("client-vpn-endpoint", &name);
        let mut part = self.part(&["client-vpn-endpoint"], &name);
        let clients = found.and_then(|one| text(one, "client_cidr")).unwrap_or_else(|| wanted.client_cidr.to_string());
        part = part.line(format!("clients {clients}"));
        let associations: Vec<&Resource> =
            self.resources().filter(|one| one.kind == "client-vpn-target-network").collect();
        part.usd_per_hour += associations.iter().map(|one| one.usd_per_hour).sum::<f64>();
        let subnets = wanted.subnets.iter().map(|role| {
            let name = self.names.subnet(role);
            let there = associations.iter().any(|one| one.name == name);
            (role.clone(), if there { Presence::There } else { self.absent() })
        });
        let transport =
            found.and_then(|one| text(one, "transport")).unwrap_or_else(|| wanted.transport.as_str().into());
        let number = found.and_then(|one| one.more.get("port")?.as_i64()).unwrap_or_else(|| wanted.port.into());
        Some(Vpn { part, carrier: format!("{} {number}", transport.to_uppercase()), subnets: subnets.collect() })
    }

    fn pipeline(&self) -> Option<Pipeline> {
        let images = self.lab.images.as_ref()?;
        let bucket = |name: &str| {
            let mut part = self.part(&["bucket"], name);
            let empty = self.find("bucket", name).and_then(|one| one.more.get("empty")?.as_bool());
            if let Some(empty) = empty {
                part = part.line(if empty { "empty" } else { "holds objects" });
            }
            part.state = None;
            part
        };
        let mut function = self.part(&["function"], &images.function);
        function.id = None;
        function = function.line(format!("{} MB, {} s", images.memory_mb, images.timeout_s));
        let notification = self.find("bucket-notification", &images.input);
        let (presence, why) = self.judge(&["bucket-notification"], &images.input, notification.is_some());
        let differs = notification.is_some_and(|one| one.state != "available") && presence == Presence::There;
        let which = match (images.prefix.as_str(), images.suffix.as_str()) {
            ("", "") => "every key".to_owned(),
            ("", suffix) => format!("keys ending in {suffix}"),
            (prefix, "") => format!("keys beginning with {prefix}"),
            (prefix, suffix) => format!("keys {prefix}…{suffix}"),
        };
        let trigger = Part {
            presence: if differs { Presence::Drifted } else { presence },
            why,
            ..Part::new("s3:ObjectCreated:*").line(which)
        };
        Some(Pipeline {
            input: bucket(&images.input),
            trigger,
            queue: self.queue(),
            function,
            output: bucket(&images.output),
        })
    }

    /// Where messages wait between the bucket and the function.
    fn queue(&self) -> Option<Part> {
        let queues: Vec<_> = self.resources().filter(|one| one.kind == "queue").collect();
        let queue = queues.iter().find(|one| !one.name.contains("dead"))?;
        let mut part = to_part(queue);
        part.id = None;
        for other in queues.iter().filter(|one| one.name != queue.name) {
            part = part.line(format!("dead letters: {}", other.name));
        }
        Some(part)
    }

    /// What costs and has no place, and what nobody expects.
    fn others(&self) -> Vec<Part> {
        let others = self.found.others.iter().filter(|one| one.kind != "instance");
        let address_of_nat = self.resources().any(|one| one.kind == "natgateway");
        let costly = self.resources().filter(|one| one.usd_per_hour > 0.0 && !DRAWN.contains(&one.kind));
        let costly = costly.filter(|one| !(one.kind == "elastic-ip" && address_of_nat));
        let shown = |one: &Resource| {
            let mut part = to_part(one);
            part.lines.insert(0, one.kind.to_owned());
            part
        };
        let strange = others.map(|one| shown(one).presence(self.extra()));
        costly.map(shown).chain(strange).collect()
    }
}

fn tell_change(change: &Change) -> String {
    let Change { action, detail, .. } = change;
    match (action, detail.as_str()) {
        (Action::Create, "") => "something is not there".to_owned(),
        (Action::Create, detail) => format!("not there: {detail}"),
        (Action::Delete, detail) => format!("too much: {detail}"),
        (Action::Update, detail) => detail.to_owned(),
    }
}

fn tell_image(image: &Image) -> String {
    match image {
        Image::AmazonLinux2023 => "amazon-linux-2023".to_owned(),
        Image::Ubuntu2404 => "ubuntu-24.04".to_owned(),
        Image::Ami(id) => id.clone(),
    }
}

/// What every resource says.
pub(super) fn to_part(resource: &Resource) -> Part {
    let Resource { name, id, state, usd_per_hour, .. } = resource;
    let mut part = Part::new(name).costs(*usd_per_hour);
    // Names that are ids, and ARNs, which are long and hold the account's number.
    if id != name && !id.starts_with("arn:") {
        part = part.id(id);
    }
    part.state(state, judge_health(state))
}

/// How AWS's word for a state is meant.
fn judge_health(state: &str) -> Health {
    let state = state.to_lowercase();
    match state.as_str() {
        "stopped" | "detached" | "deleted" | "terminated" | "inactive" => Health::Off,
        "different" => Health::Bad,
        state if state.contains("fail") || state.contains("error") || state.contains("expired") => Health::Bad,
        state if state.contains("pending") || state.ends_with("ing") && state != "running" => Health::Busy,
        _ => Health::Good,
    }
}

fn text(resource: &Resource, field: &str) -> Option<String> {
    resource.more.get(field)?.as_str().map(str::to_owned)
}

fn texts(resource: &Resource, field: &str) -> Vec<String> {
    let list = resource.more.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;
    use crate::testing::inventory;

    fn lab() -> Lab {
        read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
    }

    fn scene(view: View, resources: Vec<Resource>, changes: Vec<Change>, refused: Vec<String>) -> Scene {
        let (lab, found) = (lab(), inventory(resources));
        let part = inventory::Part { changes, refused, ..inventory::Part::default() };
        compose(&Facts {
            lab: &lab,
            names: &Names::new(&lab),
            region: "us-east-1",
            account: Some("123456789012"),
            at: String::new(),
            view,
            found: &found,
            parts: &[part],
        })
    }

    fn change(action: Action, kind: &'static str, name: &str, detail: &str) -> Change {
        Change { action, kind, name: name.into(), detail: detail.into(), usd_per_hour: 0.0 }
    }

    #[test]
    fn a_lab_that_is_not_there_is_drawn_whole_and_missing() {
        let scene = scene(View::Live, vec![], vec![], vec![]);
        let vpc = scene.vpc.unwrap();
        let subnets: Vec<_> = vpc.subnets.iter().map(|one| (one.part.name.as_str(), one.part.presence)).collect();
        let missing = Presence::Missing;
        assert_eq!(subnets, [("lab-public-subnet", missing), ("lab-private-subnet", missing)]);
        assert_eq!(vpc.subnets[0].hosts[0].inbound[0].presence, missing);
        assert_eq!(vpc.vpn.unwrap().subnets, [("public".to_owned(), missing)]);
        assert_eq!(scene.pipeline.unwrap().trigger.presence, missing);
        assert_eq!(scene.account.as_deref(), Some("9012"));
    }

    #[test]
    fn what_up_would_change_is_drift_in_the_one_view_and_a_change_in_the_other() {
        let vpc = || Resource::new("vpc", "lab-vpc", "vpc-1").with("cidr", "10.0.0.0/16");
        let changes = || vec![change(Action::Update, "vpc", "lab-vpc", "DNS hostnames on")];
        let of = |view| scene(view, vec![vpc()], changes(), vec![]).vpc.unwrap().part;
        assert_eq!((of(View::Live).presence, of(View::Plan).presence), (Presence::Drifted, Presence::Change));
        assert_eq!(of(View::Live).why.as_deref(), Some("DNS hostnames on"));
    }

    #[test]
    fn a_stopped_host_has_not_drifted() {
        let host = Resource::new("instance", "lab-public-ec2", "i-1").state("stopped").with("host", "public");
        let start = change(Action::Update, "instance", "lab-public-ec2", "start it: it is stopped");
        let of = |view| {
            let vpc = scene(view, vec![host.clone()], vec![start.clone()], vec![]).vpc.unwrap();
            vpc.subnets[0].hosts[0].part.clone()
        };
        assert_eq!((of(View::Live).presence, of(View::Plan).presence), (Presence::There, Presence::Change));
        assert_eq!(of(View::Live).state, Some(("stopped".into(), Health::Off)));
    }

    #[test]
    fn what_cannot_be_changed_in_place_is_marked_with_the_reason() {
        let subnet = Resource::new("subnet", "lab-public-subnet", "subnet-1").with("cidr", "10.0.9.0/24");
        let why = "subnet lab-public-subnet has 10.0.9.0/24, lab.toml says 10.0.1.0/24\nmore".to_owned();
        let vpc = scene(View::Live, vec![subnet], vec![], vec![why]).vpc.unwrap();
        assert_eq!(vpc.subnets[0].part.presence, Presence::Drifted);
        assert!(vpc.subnets[0].part.why.as_ref().unwrap().ends_with("10.0.1.0/24"), "{:?}", vpc.subnets[0].part);
        assert_eq!(vpc.subnets[0].cidr, "10.0.9.0/24");
    }

    #[test]
    fn no_account_number_and_no_arn_is_in_a_scene() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function";
        let function = Resource::new("function", "lab-lambda-function", arn).state("Active");
        let text = format!("{:?}", scene(View::Live, vec![function], vec![], vec![]));
        assert!(!text.contains("123456789012"), "{text}");
    }
}
