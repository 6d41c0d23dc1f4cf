//! What was read and what lab.toml wants, as one scene. Pure.

use lab_common::roles::{security_group as group_role, subnet as subnet_role};
use lab_common::{Billed, Host, Image, Internet, Lab, Names, Runs, estimate};
use lab_picture::{Health, Part, Pipeline, Presence, Route, Scene, Subnet, View, Vpc, Vpn};
use lab_plan::{Action, Resource};
use serde_json::Value;

use super::differ::{tell_difference, tell_step};
use super::find::{find_groups_of, find_resource};
use super::refusals::{list_refusals, name_program, waits_for_others};
use super::routes::{find_table, read_route};
use super::rules::{Groups, list_inbound};
use crate::census::World;
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
    /// What the tags tell: routes, and what stands in which subnet.
    pub(super) world: &'a World,
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
        usd_per_hour_after: (facts.view == View::Plan).then(|| facts.usd_after()),
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

/// The account's number, cut to four digits wherever a text holds it.
pub(super) fn hide_account(text: &str, account: &str) -> String {
    match last_four(account) {
        Some(digits) if account.len() == 12 => text.replace(account, &format!("…{digits}")),
        _ => text.to_owned(),
    }
}

impl Facts<'_> {
    fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.found.resources.iter()
    }

    /// What its name makes what it is: of kinds whose names cannot be changed.
    fn find(&self, kind: &str, name: &str) -> Option<&Resource> {
        self.resources().find(|one| one.kind == kind && one.name == name)
    }

    fn changes<'b>(&'b self, kinds: &'b [&str], name: &'b str) -> impl Iterator<Item = &'b Change> {
        let changes = self.parts.iter().flat_map(|part| &part.changes);
        changes.filter(move |change| kinds.contains(&change.kind) && change.name == name)
    }

    /// How something of this kind is called that is wanted and not there: what `up` refuses as a whole it does not add.
    fn absent(&self, kind: &str) -> Presence {
        let stops = || list_refusals(self.parts).iter().any(|refusal| refusal.program == name_program(kind));
        if self.view == View::Plan && !stops() { Presence::Add } else { Presence::Missing }
    }

    /// What all would cost after `up`, in US dollars an hour: what is planned, and what waits for the network.
    fn usd_after(&self) -> f64 {
        let planned: f64 = self.parts.iter().flat_map(|part| &part.changes).map(|change| change.usd_per_hour).sum();
        let waits = |program| self.parts.iter().any(|part| part.program == program && waits_for_others(part));
        let is_there = |kind: &str, name: &str| {
            let kind = if kind.starts_with("client-vpn") { "client-vpn-target-network" } else { "instance" };
            self.resources().any(|one| one.kind == kind && (kind != "instance" || one.name == name))
        };
        let items = estimate(self.lab).items.into_iter();
        let items = items.filter(|item| matches!(item.billed, Billed::Always | Billed::Vpn));
        let items = items.filter(|item| waits(name_program(item.kind)) && !is_there(item.kind, &item.name));
        let waiting: f64 = items.filter_map(|item| item.usd_per_hour).sum();
        // Sums of floats may miss 0 by a little.
        (self.found.total.usd_per_hour + planned + waiting).max(0.0)
    }

    fn extra(&self) -> Presence {
        if self.view == View::Plan { Presence::Remove } else { Presence::Unexpected }
    }

    /// How something of lab.toml stands, and in what it differs: `kinds` are those whose changes are its own.
    fn judge(&self, kinds: &[&str], name: &str, there: bool) -> (Presence, Option<String>) {
        let refusal = self.find_refusal(kinds[0], name);
        if !there {
            return match refusal {
                Some(why) if self.view == View::Plan => (Presence::Blocked, Some(why)),
                Some(why) => (Presence::Missing, Some(why)),
                None => (self.absent(kinds[0]), None),
            };
        }
        if self.changes(kinds, name).any(|change| change.action == Action::Delete && change.kind == kinds[0]) {
            return (self.extra(), None);
        }
        // A host that is switched off says so itself; that is no difference from lab.toml.
        let is_start = |change: &&Change| self.view == View::Live && change.detail.starts_with("start it");
        let told: Vec<_> =
            self.changes(kinds, name).filter(|change| !is_start(change)).map(|change| self.tell(change)).collect();
        if !told.is_empty() {
            let presence = if self.view == View::Plan { Presence::Change } else { Presence::Drifted };
            return (presence, Some(told.join("; ")));
        }
        match refusal {
            Some(why) if self.view == View::Plan => (Presence::Blocked, Some(why)),
            Some(why) => (Presence::Drifted, Some(why)),
            None => (Presence::There, None),
        }
    }

    /// A step, as what it will do or as what is different now.
    fn tell(&self, change: &Change) -> String {
        let told = match self.view {
            View::Plan => tell_step(change),
            View::Live => tell_difference(change, self.find_present(change).as_deref()),
        };
        self.hide_account(&told)
    }

    /// What stands in the place of what a step wants, where that can be told.
    fn find_present(&self, change: &Change) -> Option<String> {
        match (change.kind, change.detail.as_str()) {
            ("route-table", detail) if detail.starts_with("0.0.0.0/0 to ") => {
                let table = self.find_role("route-table", PUBLIC_TABLE, &change.name)?;
                let target = text(table, "default_route").filter(|target| target != "none")?;
                Some(format!("0.0.0.0/0 goes to {target}"))
            }
            ("subnet", detail) if detail.starts_with("use ") => {
                let wanted = self.lab.network.subnets.iter().find(|one| self.names.subnet(&one.role) == change.name)?;
                let subnet = self.find_role("subnet", &subnet_role(&wanted.role), &change.name)?;
                let table = find_table(self.world, &subnet.id)?;
                let own = table.more.get("main") == Some(&true.into());
                let told = if own { "the VPC's own".to_owned() } else { table.title() };
                Some(format!("its route table is {told}"))
            }
            ("instance", detail) if detail.starts_with("security group ") => {
                let host = self.lab.hosts.iter().find(|host| self.names.host(&host.role) == change.name)?;
                let (names, _) = find_groups_of(self.world, &self.find_instance(&host.role)?.id)?;
                Some(format!("it is in security group {names}"))
            }
            _ => None,
        }
    }

    fn hide_account(&self, text: &str) -> String {
        self.account.map_or_else(|| text.to_owned(), |account| hide_account(text, account))
    }

    /// What forbids the plan and names this: AWS cannot change it in place, or it is somebody else's.
    fn find_refusal(&self, kind: &str, name: &str) -> Option<String> {
        // A bucket may have dots in its name, and a sentence ends in one; `/aws/lambda/NAME` is a log group.
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        let names_it = |why: &str| why.split(|c: char| !is_part(c)).any(|word| word.trim_end_matches('.') == name);
        let refusals = list_refusals(self.parts).into_iter();
        let mut own = refusals.filter(|refusal| refusal.program == name_program(kind) && names_it(refusal.why));
        own.next().map(|refusal| self.hide_account(refusal.why.lines().next().unwrap_or_default()))
    }

    fn find_role(&self, kind: &str, role: &str, name: &str) -> Option<&Resource> {
        find_resource(self.found, kind, role, name)
    }

    /// A part of lab.toml with this role; `name` is what it is called there.
    fn part(&self, kinds: &[&str], role: &str, name: &str) -> Part {
        self.to_part(kinds, self.find_role(kinds[0], role, name), name)
    }

    fn to_part(&self, kinds: &[&str], found: Option<&Resource>, name: &str) -> Part {
        let (presence, why) = self.judge(kinds, name, found.is_some());
        let mut part = found.map_or_else(|| Part::new(name), to_part);
        if found.is_some_and(|found| found.name.trim().is_empty()) {
            let id = std::mem::replace(&mut part.name, name.to_owned());
            part = part.id(id);
        }
        Part { presence, why, ..part }
    }

    fn vpc(&self) -> Vpc {
        let (lab, names) = (self.lab, self.names);
        let name = names.vpc();
        let cidr = self.find_role("vpc", "vpc", &name).and_then(|vpc| text(vpc, "cidr"));
        let public = lab.network.subnets.iter().any(|subnet| subnet.internet == Internet::Gateway);
        let subnets = lab.network.subnets.iter().map(|subnet| self.subnet(subnet));
        let mut subnets: Vec<Subnet> = subnets.collect();
        if let Some((nat, subnet)) = self.nat() {
            let at = subnets.iter().position(|one| subnet.is_some() && one.part.id == subnet);
            let at = at.or_else(|| subnets.iter().position(|one| one.route == Route::Gateway)).unwrap_or_default();
            if let Some(subnet) = subnets.get_mut(at) {
                subnet.nat = Some(nat);
            }
        }
        self.add_strays(&mut subnets);
        Vpc {
            part: self.part(&["vpc"], "vpc", &name),
            cidr: cidr.unwrap_or_else(|| lab.network.cidr.to_string()),
            gateway: public.then(|| self.gateway()),
            subnets,
            vpn: self.vpn(),
        }
    }

    fn gateway(&self) -> Part {
        let name = self.names.internet_gateway();
        let mut part = self.part(&["internet-gateway"], "internet-gateway", &name);
        let table = self.names.public_route_table();
        let found = self.find_role("route-table", PUBLIC_TABLE, &table);
        let shown = found.map(|found| found.name.as_str()).filter(|name| !name.trim().is_empty()).unwrap_or(&table);
        part = part.line(format!("route table {shown}"));
        let (presence, why) = self.judge(&["route-table"], &table, found.is_some());
        if part.presence == Presence::There && presence != Presence::There {
            part.presence = presence;
            part.why = Some(why.unwrap_or_else(|| format!("{table} is not there")));
        } else if let Some(why) = why {
            part.why = Some(part.why.map_or_else(|| why.clone(), |own| format!("{own}; {why}")));
        }
        part
    }

    /// The NAT gateway, and the id of its subnet where that is known.
    fn nat(&self) -> Option<(Part, Option<String>)> {
        let gateway = self.resources().find(|one| one.kind == "natgateway")?;
        let address = self.resources().find(|one| one.kind == "elastic-ip");
        let mut part = to_part(gateway).costs(gateway.usd_per_hour + address.map_or(0.0, |one| one.usd_per_hour));
        if let Some(address) = address.and_then(|one| text(one, "public_ip")) {
            part = part.line(address);
        }
        Some((part, self.find_subnet_of(&gateway.id)))
    }

    /// The id of the subnet that something stands in.
    fn find_subnet_of(&self, id: &str) -> Option<String> {
        self.world.things.iter().find(|thing| thing.id == id)?.place.subnet.clone()
    }

    fn subnet(&self, wanted: &lab_common::Subnet) -> Subnet {
        let name = self.names.subnet(&wanted.role);
        let role = subnet_role(&wanted.role);
        let found = self.find_role("subnet", &role, &name);
        let zone = wanted.zone.map(|letter| format!("{}{letter}", self.region));
        let hosts = self.lab.hosts.iter().filter(|host| host.subnet == wanted.role);
        let mut part = self.part(&["subnet"], &role, &name);
        // A subnet's state says nothing that its being there does not say.
        part.state = part.state.filter(|(_, health)| *health != Health::Good);
        Subnet {
            part,
            role: wanted.role.clone(),
            cidr: found.and_then(|one| text(one, "cidr")).unwrap_or_else(|| wanted.cidr.to_string()),
            zone: found.and_then(|one| text(one, "zone")).or(zone),
            route: self.route(found, wanted.internet),
            hosts: hosts.map(|host| self.host(host)).collect(),
            nat: None,
        }
    }

    /// What is so, of a subnet that is there; what `up` makes of one behind the internet gateway.
    fn route(&self, subnet: Option<&Resource>, internet: Internet) -> Route {
        match (subnet, internet) {
            (None, Internet::None) => Route::None,
            (None, Internet::Gateway) => Route::Gateway,
            (Some(_), Internet::Gateway) if self.view == View::Plan => Route::Gateway,
            (Some(subnet), _) => read_route(self.world, &subnet.id),
        }
    }

    /// The instance of a host.
    fn find_instance(&self, role: &str) -> Option<&Resource> {
        self.resources().find(|one| one.kind == "instance" && text(one, "host").as_deref() == Some(role))
    }

    fn host(&self, wanted: &Host) -> lab_picture::Host {
        let name = self.names.host(&wanted.role);
        let found = self.find_instance(&wanted.role);
        let size = found.and_then(|one| text(one, "size")).unwrap_or_else(|| wanted.size.clone());
        let runs = match wanted.runs {
            Some(Runs::Jupyter) => ", Jupyter",
            Some(Runs::Filegator) => ", FileGator",
            None => "",
        };
        let mut part = self.to_part(&["instance"], found, &name).line(format!("{size}{runs}"));
        let addresses: Vec<_> = ["private_ip", "public_ip"].iter().filter_map(|key| text(found?, key)).collect();
        if !addresses.is_empty() {
            part = part.line(addresses.join(" · "));
        }
        if found.is_none() {
            part = part.line(tell_image(&wanted.image));
        }
        let live = self.find_role("security-group", &group_role(&wanted.role), &name);
        let mut group = self.to_part(&["security-group", "security-group-rule"], live, &name);
        group.state = None;
        let mut rules = live.map(|group| texts(group, "rules"));
        // Somebody may have put the host into other groups: those decide.
        let others = found.filter(|_| self.view == View::Live).and_then(|host| find_groups_of(self.world, &host.id));
        if let Some((names, others)) = others.filter(|(names, _)| live.is_none_or(|group| *names != group.name)) {
            group = Part::new(names).presence(Presence::Drifted);
            rules = Some(others);
        }
        let absent = self.absent("security-group");
        let inbound = list_inbound(wanted, rules.as_deref(), &self.groups(), absent, self.extra());
        let writes = wanted.runs == Some(Runs::Jupyter) && self.lab.images.is_some();
        lab_picture::Host { part, role: wanted.role.clone(), group, inbound, writes }
    }

    fn groups(&self) -> Groups {
        let hosts = self.lab.hosts.iter().map(|host| (group_role(&host.role), self.names.host(&host.role)));
        let wanted = hosts.chain([(group_role("vpn"), self.names.vpn_security_group())]);
        let found: Vec<_> = wanted
            .filter_map(|(role, name)| Some((self.find_role("security-group", &role, &name)?.id.clone(), role)))
            .collect();
        Groups::new(found.iter().map(|(id, role)| (id.as_str(), role.as_str())))
    }

    /// Instances with the lab's tags that no host of lab.toml is, each in its subnet; in the first one where that is not known.
    fn add_strays(&self, subnets: &mut [Subnet]) {
        let hosts: Vec<&str> = self.lab.hosts.iter().map(|host| host.role.as_str()).collect();
        let all = self.resources().chain(&self.found.others).filter(|one| one.kind == "instance");
        let strays = all.filter(|one| text(one, "host").is_none_or(|host| !hosts.contains(&host.as_str())));
        for one in strays {
            let place = self.find_subnet_of(&one.id);
            let at = subnets.iter().position(|subnet| place.is_some() && subnet.part.id == place).unwrap_or_default();
            let Some(subnet) = subnets.get_mut(at) else { return };
            subnet.hosts.push(lab_picture::Host {
                part: to_part(one).presence(self.extra()),
                role: one.id.clone(),
                group: Part::new("not of lab.toml").presence(self.extra()).because("its rules are not compared"),
                ..lab_picture::Host::default()
            });
        }
    }

    fn vpn(&self) -> Option<Vpn> {
        let wanted = self.lab.vpn.as_ref()?;
        let name = self.names.vpn_endpoint();
        let found = self.find_role("client-vpn-endpoint", "client-vpn-endpoint", &name);
        let mut part = self.to_part(&["client-vpn-endpoint"], found, &name);
        let clients = found.and_then(|one| text(one, "client_cidr")).unwrap_or_else(|| wanted.client_cidr.to_string());
        part = part.line(format!("clients {clients}"));
        let associations: Vec<&Resource> =
            self.resources().filter(|one| one.kind == "client-vpn-target-network").collect();
        part.usd_per_hour += associations.iter().map(|one| one.usd_per_hour).sum::<f64>();
        let subnets = wanted.subnets.iter().map(|role| {
            let name = self.names.subnet(role);
            let subnet = self.find_role("subnet", &subnet_role(role), &name).map(|subnet| subnet.id.as_str());
            let is_its = |one: &&Resource| match (text(one, "subnet"), subnet) {
                (Some(id), Some(subnet)) => id == subnet,
                _ => one.name == name,
            };
            let there = associations.iter().copied().any(|one| is_its(&one));
            (role.clone(), if there { Presence::There } else { self.absent("client-vpn-target-network") })
        });
        let transport =
            found.and_then(|one| text(one, "transport")).unwrap_or_else(|| wanted.transport.as_str().into());
        let number = found.and_then(|one| one.more.get("port")?.as_i64()).unwrap_or_else(|| wanted.port.into());
        Some(Vpn { part, carrier: format!("{} {number}", transport.to_uppercase()), subnets: subnets.collect() })
    }

    fn pipeline(&self) -> Option<Pipeline> {
        let images = self.lab.images.as_ref()?;
        let bucket = |name: &str| {
            let mut part = self.to_part(&["bucket"], self.find("bucket", name), name);
            let empty = self.find("bucket", name).and_then(|one| one.more.get("empty")?.as_bool());
            if let Some(empty) = empty {
                part = part.line(if empty { "empty" } else { "holds objects" });
            }
            part.state = None;
            part
        };
        let mut function = self.to_part(&["function"], self.find("function", &images.function), &images.function);
        function.id = None;
        function = function.line(format!("{} MB, {} s", images.memory_mb, images.timeout_s));
        let notification = self.find("bucket-notification", &images.input);
        let (presence, why) = self.judge(&["bucket-notification"], &images.input, notification.is_some());
        let differs = notification.is_some_and(|one| one.state != "available") && presence == Presence::There;
        let which = match (images.prefix.as_str(), images.suffix.as_str()) {
            ("", "") => "every key".to_owned(),
            (prefix, suffix) => format!("keys {prefix}*{suffix}"),
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
        let queue = queues.iter().find(|one| text(one, "role").as_deref() == Some(IMAGE_QUEUE))?;
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
            part.lines.insert(0, name_kind(one.kind).to_owned());
            part
        };
        let strange = others.map(|one| shown(one).presence(self.extra()));
        costly.map(shown).chain(strange).collect()
    }
}

/// The role of the table behind the internet gateway.
const PUBLIC_TABLE: &str = "route-table public-to-internet";
/// The role of the queue that S3 tells of new objects; the other one's is `queue dead-letters`.
pub(super) const IMAGE_QUEUE: &str = "queue images";

/// What AWS calls a kind, for cards whose sign does not say it.
pub(super) fn name_kind(kind: &str) -> &str {
    match kind {
        "instance" => "EC2 instance",
        "volume" => "EBS volume",
        "elastic-ip" => "Elastic IP address",
        "natgateway" => "NAT gateway",
        "network-interface" => "Network interface",
        "security-group" => "Security group",
        "key-pair" => "EC2 key pair",
        "client-vpn-endpoint" => "Client VPN endpoint",
        "bucket" => "Amazon S3 bucket",
        "function" => "AWS Lambda function",
        "queue" => "Amazon SQS queue",
        "role" => "IAM role",
        "instance-profile" => "IAM instance profile",
        "log-group" => "CloudWatch log group",
        "certificate" => "ACM certificate",
        kind => kind,
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
    let name = if name.trim().is_empty() { id } else { name };
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
mod tests;
