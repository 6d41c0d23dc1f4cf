//! Task 2: a file server in a private subnet that only the VPN reaches.

use ipnet::Ipv4Net;
use lab_common::Internet;
use lab_picture::Route;
use lab_plan::{RunEnd, RunRecord};
use serde_json::Value;

use super::super::evidence::{Check, Checked, Step};
use super::super::look::{Association, Endpoint, Machine, Profile, Read, find_task_host};
use super::{Facts, Proof, admits, tell_thing, text};
use crate::picture::{find_table, read_route};
use crate::thing::{Fate, Thing};

/// What the assignment asks for.
const ASSIGNED_CLIENTS: &str = "10.83.0.0/16";

impl Proof<'_> {
    pub(super) fn second_task(&self) -> Vec<Step> {
        let private = Internet::None;
        vec![
            self.add_subnet(Facts::default(), private).judge("Create the private subnet."),
            self.reachable_host(private, &[22, 8080]).judge(
                "Create an EC2 instance in the private subnet; its security group allows SSH (port 22) and HTTP on port 8080.",
            ),
            self.had_internet().judge("Temporarily give the private instance internet access by a NAT Gateway."),
            self.certificates().judge("Generate server and client certificates and import them to AWS."),
            self.endpoint().judge("Add the Client VPN endpoint to the VPC and associate it with the public subnet."),
            self.vpn_rules().judge("Configure its Route Table and its Authorization Rules."),
            self.profile().judge("Make the .ovpn configuration, with the client's certificate and key."),
            self.client().judge("Install a VPN client and import the configuration."),
            self.connected().judge("Connect to the VPN and reach the private instance."),
            self.set_up(private, "Docker and the FileGator server").judge("Install Docker and run the FileGator server."),
            self.closed_again().judge("Remove the NAT Gateway and the private subnet's way to the internet."),
            self.only_through_vpn().judge("The FileGator server is accessible only through the VPN."),
        ]
    }

    /// Open now, recorded on this machine, or proved by what could not have been installed without.
    fn had_internet(&self) -> Facts {
        let mut facts = Facts::default();
        let mut is_proved = false;
        for gateway in self.nat_gateways() {
            let told = format!("{}: {}", tell_thing(gateway), gateway.state);
            let is_way = matches!(self.subnet(Internet::None), Ok(Some(subnet)) if read_route(self.world, &subnet.id) == Route::Nat);
            let is_open = gateway.state == "available" && is_way;
            is_proved |= is_open;
            facts = if is_open { facts.proves(told) } else { facts.note(told) };
        }
        // Of several runs the last one counts.
        if let Some(record) = self.runs.iter().rfind(|run| run.program == "net-up nat") {
            let seconds = record.took.div_ceil(1000);
            let is_done = record.end == RunEnd::Done && self.is_of_this_vpc(record);
            is_proved |= is_done;
            facts = match record.end {
                _ if !self.is_of_this_vpc(record) => {
                    facts.note("what this machine has recorded of net-up nat is not known to be of this VPC")
                }
                RunEnd::Done => facts.proves(format!(
                    "this machine has recorded that net-up nat opened the window, which took {seconds} s"
                )),
                RunEnd::Failed => facts.note("the last net-up nat failed"),
                RunEnd::Stopped => facts.note("the last net-up nat was stopped before the window was open"),
            };
        }
        let machine = self.machine(Internet::None).ok().flatten();
        if let Some(machine) = machine.filter(|machine| machine.is_working() == Ok(true)) {
            is_proved = true;
            let told = "the private host has installed its software, which it cannot without the internet";
            facts = facts.proves(format!("{told} ({})", machine.id));
        }
        if is_proved {
            facts
        } else {
            facts.unseen("nothing that can be read tells that a NAT gateway ever was in use")
        }
    }

    /// NAT gateways where the private subnet is, whoever made them, that are not gone.
    fn nat_gateways(&self) -> impl Iterator<Item = &Thing> {
        let vpc = self.vpc_of_private().ok().flatten();
        self.all_things()
            .filter(move |one| one.kind == "natgateway" && vpc.is_some() && one.place.vpc.as_deref() == vpc)
    }

    /// The VPC that the private subnet is in, which should be the lab's.
    fn vpc_of_private(&self) -> Read<Option<&str>> {
        match self.subnet(Internet::None) {
            Ok(Some(subnet)) => Ok(subnet.place.vpc.as_deref()),
            _ => Ok(self.vpc()?.map(|vpc| vpc.id.as_str())),
        }
    }

    /// Records outlive their lab: something that the run has seen or made must be in the VPC of now.
    fn is_of_this_vpc(&self, record: &RunRecord) -> bool {
        let Ok(Some(vpc)) = self.vpc() else { return false };
        let is_here = |thing: &Thing| thing.id == vpc.id || thing.place.vpc.as_ref() == Some(&vpc.id);
        self.all_things().filter(|thing| is_here(thing)).any(|thing| record.ids.values().any(|id| *id == thing.id))
    }

    fn certificates(&self) -> Facts {
        let shown = self.of_kind("certificate").next();
        let seen = self.world.things.iter().find(|one| one.kind == "certificate" && one.fate == Fate::Stays);
        let unread =
            ["ListCertificates", "ListTagsForCertificate"].iter().find_map(|call| self.world.find_unread(call));
        let facts = match (shown, seen, unread) {
            (Some(one), ..) => {
                let until = one.more.get("expires").and_then(Value::as_str);
                let until = until.map(|day| format!(", valid until {day}")).unwrap_or_default();
                let state = if one.state == "available" { String::new() } else { format!(": {}", one.state) };
                let told = format!("server certificate {} in ACM{until}{state}", one.name);
                Facts::default().must(one.state == "available", told)
            }
            (None, Some(one), _) => {
                // Without its name, the end of its ARN.
                let name = one.name.rsplit(':').next().unwrap_or(&one.name);
                Facts::default().proves(format!("server certificate {name} in ACM"))
            }
            (None, None, Some(why)) => Facts::default().unread("the server's certificate", why),
            (None, None, None) => Facts::default().lacks("the server's certificate is not there"),
        };
        let whole: Vec<_> = self.profiles.iter().filter(|one| one.is_whole).map(|one| one.file.as_str()).collect();
        facts.note(match whole.join(", ") {
            none if none.is_empty() => "no client's certificate is in an .ovpn file on this machine".to_owned(),
            files => format!("client certificates are in .ovpn files on this machine: {files}"),
        })
    }

    /// The endpoint, or why the step that needs it ends here.
    fn find_endpoint(&self) -> Result<&Endpoint, Facts> {
        let name = self.names.vpn_endpoint();
        match &self.seen.endpoint {
            Ok(Some(endpoint)) => Ok(endpoint),
            Ok(None) => Err(Facts::default().lacks(format!("{name} is not there"))),
            Err(why) => Err(Facts::default().unread(&name, why)),
        }
    }

    fn endpoint(&self) -> Facts {
        let endpoint = match self.find_endpoint() {
            Ok(endpoint) => endpoint,
            Err(facts) => return facts,
        };
        let Endpoint { name, id, state, client_cidr, .. } = endpoint;
        let facts = Facts::default().must(state == "available", format!("{name} ({id}), {client_cidr}: {state}"));
        let facts = match self.lab.vpn.as_ref().map(|vpn| vpn.client_cidr.to_string()) {
            Some(wanted) if wanted != *client_cidr => facts.lacks(format!("lab.toml gives its clients {wanted}")),
            Some(_) if client_cidr != ASSIGNED_CLIENTS => {
                facts.note(format!("lab.toml says {client_cidr} so; the assignment asks for {ASSIGNED_CLIENTS}"))
            }
            _ => facts,
        };
        let facts = if endpoint.vpc.is_some() { self.add_vpc_of(facts, endpoint.vpc.as_deref()) } else { facts };
        self.add_associations(facts, endpoint)
    }

    /// One that works and is where lab.toml wants it is enough; what another is at, or why it failed, is told.
    fn add_associations(&self, facts: Facts, endpoint: &Endpoint) -> Facts {
        let all = match &endpoint.associations {
            Ok(all) if all.is_empty() => return facts.lacks("no subnet is associated with it"),
            Ok(all) => all,
            Err(why) => return facts.unread("with which subnets it is associated", why),
        };
        let wanted = self.lab.vpn.iter().flat_map(|vpn| &vpn.subnets).map(|role| self.subnet_of(role));
        let wanted: Read<Vec<_>> = wanted.collect();
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(why) => return facts.unread("the public subnet", &why),
        };
        let wanted: Vec<_> = wanted.into_iter().flatten().map(|subnet| subnet.id.as_str()).collect();
        let works = |one: &&_| is_associated(one) && wanted.contains(&one.subnet.as_str());
        let is_any = all.iter().any(|one| works(&one));
        all.iter().fold(facts, |facts, one| {
            let known = self.all_things().find(|thing| thing.kind == "subnet" && thing.id == one.subnet);
            let why = one.message.as_ref().filter(|_| one.state.contains("fail"));
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let told = format!("{} ({}): {}{why}", known.map_or(&one.subnet, |known| &known.name), one.id, one.state);
            match (works(&one), is_any) {
                (true, _) => facts.proves(told),
                (false, true) => facts.note(told),
                (false, false) if is_associated(one) => facts.lacks(format!("{told}, which is not the subnet for it")),
                (false, false) => facts.lacks(told),
            }
        })
    }

    /// Both must cover the private subnet, the rules for whoever has a certificate.
    fn vpn_rules(&self) -> Facts {
        let endpoint = match self.find_endpoint() {
            Ok(endpoint) => endpoint,
            Err(facts) => return facts,
        };
        let (name, block) = match self.subnet(Internet::None) {
            Ok(Some(subnet)) => {
                (tell_thing(subnet), text(subnet, "cidr").and_then(|block| block.parse::<Ipv4Net>().ok()))
            }
            Ok(None) => return Facts::default().lacks("there is no private subnet that they could lead to"),
            Err(why) => return Facts::default().unread("the private subnet", &why),
        };
        let covers =
            |network: &str| network.parse::<Ipv4Net>().ok().zip(block).is_some_and(|(all, one)| all.contains(&one));
        let mut facts = match &endpoint.routes {
            Err(why) => Facts::default().unread("its routes", why),
            Ok(routes) => {
                let told = routes.iter().map(|one| {
                    let subnet = self.all_things().find(|thing| thing.kind == "subnet" && thing.id == one.subnet);
                    let via = subnet.map_or(&one.subnet, |subnet| &subnet.name);
                    format!("route {} via {via}: {}", one.destination, one.state)
                });
                let facts = told.fold(Facts::default(), Facts::note);
                let is_way = routes.iter().any(|one| one.state == "active" && covers(&one.destination));
                facts.must(is_way, tell_cover("active route", is_way, &name))
            }
        };
        facts = match &endpoint.rules {
            Err(why) => facts.unread("its authorization rules", why),
            Ok(rules) => {
                let told = rules.iter().map(|one| {
                    let who = one.group.as_ref().map_or("all clients".to_owned(), |group| format!("the group {group}"));
                    format!("authorization rule {} for {who}: {}", one.network, one.state)
                });
                let facts = told.fold(facts, Facts::note);
                let is_way =
                    rules.iter().any(|one| one.state == "active" && one.group.is_none() && covers(&one.network));
                facts.must(is_way, tell_cover("active authorization rule for all clients", is_way, &name))
            }
        };
        facts
    }

    fn profile(&self) -> Facts {
        if self.profiles.is_empty() {
            return Facts::default().unseen("no .ovpn file is on this machine");
        }
        let endpoint = match &self.seen.endpoint {
            Ok(endpoint) => endpoint.as_ref().map(|endpoint| endpoint.id.as_str()),
            Err(why) => return Facts::default().unread("the endpoint that it must lead to", why),
        };
        let is_good = |one: &&Profile| one.is_whole && endpoint.is_some() && one.endpoint.as_deref() == endpoint;
        let is_any = self.profiles.iter().any(|one| is_good(&one));
        self.profiles.iter().fold(Facts::default(), |facts, one| {
            let Profile { file, .. } = one;
            let whole = if one.is_whole { "certificate and key in it" } else { "no certificate and key in it" };
            let leads = one.endpoint.as_deref().map_or("no Client VPN endpoint", |id| id);
            let told = format!("{file} on this machine leads to {leads}, with {whole}");
            match (is_good(&one), is_any) {
                (true, _) => facts.proves(told),
                (false, true) => facts.note(told),
                (false, false) if one.endpoint.as_deref() == endpoint => facts.lacks(told),
                (false, false) => facts.lacks(format!("{told}: that is not the lab's endpoint")),
            }
        })
    }

    /// Whoever was connected has a client.
    fn client(&self) -> Facts {
        let facts = self.add_connections(Facts::default());
        let facts = match self.checks.through() {
            Some(check) => facts.proves(format!("{}: a tunnel was up", tell_check(check))),
            None => facts,
        };
        if facts.is_passed() {
            return facts;
        }
        facts.unseen("what is installed on a student's machine cannot be read from AWS; a connection would prove it")
    }

    fn add_connections(&self, facts: Facts) -> Facts {
        let Ok(Some(Endpoint { connections: Ok(connections), .. })) = &self.seen.endpoint else { return facts };
        connections.iter().fold(facts, |facts, one| facts.proves(format!("AWS lists the connection of {}", one.told)))
    }

    /// AWS lists who is connected; that the host answered, only a check tells.
    fn connected(&self) -> Facts {
        let facts = self.add_connections(Facts::default());
        let facts = match &self.seen.endpoint {
            Err(why) | Ok(Some(Endpoint { connections: Err(why), .. })) => {
                facts.note(format!("who is connected could not be read: {why}"))
            }
            _ => facts,
        };
        let Some(host) = find_task_host(self.lab, Internet::None) else {
            return facts.lacks("lab.toml has no such host");
        };
        let Some(check) = self.checks.through() else {
            return facts.unseen(
                "that the private instance answered, no vpn-setup check with a tunnel has said on this machine",
            );
        };
        let mut tried =
            check.of("through the tunnel").filter(|one| one.name.starts_with(&format!("{} ", host.role))).peekable();
        if tried.peek().is_none() {
            return facts.unseen(format!("{}: nothing of the private instance", tell_check(check)));
        }
        let wanted = format!("{} 22 ", host.role);
        let facts = tried.fold(facts, |facts, one| {
            let told = tell_tried(check, one);
            if one.passed {
                facts.proves(told)
            } else if one.name.starts_with(&wanted) {
                facts.lacks(told)
            } else {
                facts.note(told)
            }
        });
        facts.note("whether somebody has logged in to it through SSH cannot be seen from AWS")
    }

    fn closed_again(&self) -> Facts {
        let mut facts = Facts::default();
        let mut is_open = false;
        for gateway in self.nat_gateways() {
            is_open = true;
            facts = facts.lacks(format!("{} is still there: {}", tell_thing(gateway), gateway.state));
        }
        // What never was open was not closed: nothing of it counts.
        if !is_open && !self.had_internet().is_passed() {
            facts = facts.unseen("nothing that can be read tells that there ever was a NAT gateway");
        }
        if !is_open {
            facts = match (self.world.find_unread("DescribeNatGateways"), self.vpc_of_private()) {
                (Some(why), _) => facts.unread("whether there is a NAT gateway", why),
                (None, Ok(Some(vpc))) => facts.proves(format!("there is no NAT gateway in {vpc}")),
                (None, Ok(None)) => facts.unseen("there is no VPC of the lab"),
                (None, Err(why)) => facts.unread(&self.names.vpc(), &why),
            };
        }
        self.add_ways_out(facts)
    }

    /// Where the table that the private subnet uses leads, whoever has made it.
    fn add_ways_out(&self, facts: Facts) -> Facts {
        let subnet = match self.subnet(Internet::None) {
            Ok(Some(subnet)) => subnet,
            Ok(None) => return facts.unseen("there is no private subnet"),
            Err(why) => return facts.unread("the private subnet", &why),
        };
        if let Some(why) = self.world.find_unread("DescribeRouteTables") {
            return facts.unread("which table the private subnet uses", why);
        }
        let Some(table) = find_table(self.world, &subnet.id) else {
            return facts.unseen("EC2 lists no table for the private subnet");
        };
        let (name, table_name) = (&subnet.name, tell_thing(table));
        let default = text(table, "default_route").filter(|target| *target != "none");
        let default = default.map(|target| format!("0.0.0.0/0 to {target}"));
        let others = table.more.get("other_ways_out").and_then(Value::as_array).into_iter().flatten();
        let ways: Vec<_> =
            default.into_iter().chain(others.filter_map(|way| way.as_str().map(str::to_owned))).collect();
        if ways.is_empty() {
            return facts.proves(format!("{name} uses {table_name}, which has no route to the internet"));
        }
        facts.lacks(format!("{name} uses {table_name}, which leads out: {}", ways.join(", ")))
    }

    fn only_through_vpn(&self) -> Facts {
        let Some(host) = find_task_host(self.lab, Internet::None) else {
            return Facts::default().lacks("lab.toml has no such host");
        };
        let machine = match self.machine(Internet::None) {
            Ok(Some(machine)) => machine,
            Ok(None) => return Facts::default().lacks("the private host is not there"),
            Err(why) => return Facts::default().unread("the private host", &why),
        };
        let facts = add_server(Facts::default(), machine);
        let facts = match &machine.public_ip {
            None => facts.proves("the host has no public address"),
            Some(address) => facts.lacks(format!("the host has the public address {address}")),
        };
        let facts = self.add_admitted(facts, machine);
        let facts = self.add_way_in(facts);
        let server = format!("{} 8080 ", host.role);
        let through = self.checks.through().into_iter();
        let through = through.flat_map(|check| check.of("through the tunnel").map(move |one| (check, one)));
        let through = through.filter(|(_, one)| one.name.starts_with(&server));
        let without = self.checks.without().into_iter();
        let without = without.flat_map(|check| check.of("without the tunnel").map(move |one| (check, one)));
        let facts =
            through.chain(without).fold(facts, |facts, (check, one)| facts.must(one.passed, tell_tried(check, one)));
        if self.checks.best().is_some() {
            return facts;
        }
        facts.note("vpn-setup check has not tried it from this machine")
    }

    /// Who is let in: the VPN at 8080, and nobody else at all.
    fn add_admitted(&self, facts: Facts, machine: &Machine) -> Facts {
        let rules = match self.rules(machine) {
            Ok(rules) => rules,
            Err(why) => return facts.unread("who is let in by its security groups", &why),
        };
        let vpn = match self.vpn_group() {
            Ok(Some(group)) => group.id.as_str(),
            Ok(None) => return facts.lacks(format!("there is no security group {}", self.names.vpn_security_group())),
            Err(why) => return facts.unread(&self.names.vpn_security_group(), &why),
        };
        let from_vpn = |rule: &&String| rule.rsplit_once(" from ").is_some_and(|(_, from)| from == vpn);
        let (vpns, others): (Vec<_>, Vec<_>) = rules.iter().partition(from_vpn);
        let show = |rules: &[&String]| rules.iter().map(|rule| self.name_source(rule)).collect::<Vec<_>>().join(", ");
        let facts = match (vpns.as_slice(), others.as_slice()) {
            ([], []) => return facts.lacks("its security groups let in nobody, not even the VPN's clients"),
            (vpns, []) => facts.proves(format!("its security groups let in nobody but the VPN's: {}", show(vpns))),
            (_, others) => facts.lacks(format!("its security groups let in others, too: {}", show(others))),
        };
        if vpns.iter().any(|rule| admits(rule, 8080)) {
            return facts;
        }
        facts.lacks("its security groups do not let in the VPN's clients at port 8080")
    }

    /// The endpoint whose clients they are.
    fn add_way_in(&self, facts: Facts) -> Facts {
        let endpoint = match &self.seen.endpoint {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return facts.lacks("there is no VPN endpoint: nobody reaches it"),
            Err(why) => return facts.unread("the VPN endpoint", why),
        };
        let facts = match &endpoint.associations {
            Ok(all) => {
                let is_any = all.iter().any(is_associated);
                let verb = if is_any {
                    "is associated with a subnet"
                } else {
                    "is associated with no subnet: nobody can connect"
                };
                facts.must(is_any, format!("{} {verb}", endpoint.name))
            }
            Err(why) => facts.unread("with which subnets the VPN endpoint is associated", why),
        };
        match self.vpn_group() {
            Ok(Some(group)) if endpoint.groups.contains(&group.id) => {
                facts.proves(format!("its clients are in {}", tell_thing(group)))
            }
            Ok(_) => {
                let groups = endpoint.groups.join(", ");
                facts.lacks(format!("its clients are in {groups}, not in {}", self.names.vpn_security_group()))
            }
            Err(why) => facts.unread(&self.names.vpn_security_group(), &why),
        }
    }
}

/// What would answer at 8080.
fn add_server(facts: Facts, machine: &Machine) -> Facts {
    let id = &machine.id;
    match machine.is_working() {
        Ok(true) => facts.proves(format!("the console of {id} says that the file server answers")),
        Ok(false) if machine.state != "running" => {
            facts.lacks(format!("{id} is {}: no file server runs", machine.state))
        }
        Ok(false) => facts.unseen("nothing proves that a file server runs: see step 10"),
        Err(why) => facts.unread("whether a file server runs", &why),
    }
}

fn is_associated(one: &Association) -> bool {
    one.state == "associated"
}

fn tell_cover(what: &str, is_there: bool, name: &str) -> String {
    let article = if is_there { "an" } else { "no" };
    format!("{article} {what} covers {name}")
}

/// Whose word it is: a file of this machine's, which whoever owns the machine can write.
fn tell_check(check: &Checked) -> String {
    format!("vpn-setup check, in a file of this machine of {}", check.at)
}

fn tell_tried(check: &Checked, one: &Check) -> String {
    format!("{}: {}: {} ({} ms)", tell_check(check), one.name, one.detail, one.ms)
}
