//! The steps of the assignment (HOL 02) in its order, each with what proves it. Pure.
//!
//! A step is passed only by what was read and proves it, and not passed only by what was read and disproves it. Each fact
//! rests on as few readings as it can; where one of them was refused, the fact is not seen, and the step is not either.

mod facts;
mod first;
mod network;
mod second;

use lab_common::{Internet, Lab, Names};
use lab_plan::{Resource, RunRecord};

use super::evidence::Task;
use super::look::{Checks, Machine, Profile, Read, Seen, find_task_host, software};
use crate::census::World;
use crate::show::Inventory;
use crate::thing::Thing;
use facts::Facts;
use network::admits;

/// What is looked at.
pub(super) struct Proof<'a> {
    pub(super) lab: &'a Lab,
    pub(super) names: &'a Names,
    /// What the programs show.
    pub(super) found: &'a Inventory,
    /// Why the pipeline could not be looked at as `pipeline-up` does.
    pub(super) pipeline_unread: Option<&'a str>,
    /// What the census has seen, whoever made it.
    pub(super) world: &'a World,
    pub(super) seen: &'a Seen,
    pub(super) runs: &'a [RunRecord],
    pub(super) checks: &'a Checks,
    /// The `.ovpn` files on this machine.
    pub(super) profiles: Vec<Profile>,
}

/// Both tasks; the second one only where the lab has it.
pub(super) fn list_tasks(proof: &Proof<'_>) -> Vec<Task> {
    let mut tasks = vec![Task { title: "Task 1".to_owned(), steps: proof.first_task() }];
    if proof.lab.vpn.is_some() {
        tasks.push(Task { title: "Task 2".to_owned(), steps: proof.second_task() });
    }
    tasks
}

impl Proof<'_> {
    fn of_kind<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b Resource> {
        self.found.resources.iter().filter(move |one| one.kind == kind)
    }

    /// The task's host, running before stopped.
    fn machine(&self, internet: Internet) -> Read<Option<&Machine>> {
        let machines = self.seen.hosts.as_ref().map_err(Clone::clone)?;
        let Some(host) = find_task_host(self.lab, internet) else { return Ok(None) };
        Ok(machines.iter().find(|machine| machine.host == host.role))
    }

    /// The host stands where it should and runs, and its groups let in these ports.
    fn reachable_host(&self, internet: Internet, ports: &[u16]) -> Facts {
        let Some(host) = find_task_host(self.lab, internet) else {
            return Facts::default().lacks("lab.toml has no such host");
        };
        let name = self.names.host(&host.role);
        let machine = match self.machine(internet) {
            Ok(Some(machine)) => machine,
            Ok(None) => return Facts::default().lacks(format!("{name} is not there")),
            Err(why) => return Facts::default().unread(&name, &why),
        };
        let facts = Facts::default().note(tell_machine(machine));
        let facts = facts.must(machine.state == "running", format!("it is {}", machine.state));
        let mut facts = self.add_place(facts, machine, internet);
        if internet == Internet::Gateway && machine.state == "running" && machine.public_ip.is_none() {
            facts = facts.lacks("it has no public address: nobody reaches it from the internet");
        }
        let rules = match self.rules(machine) {
            Ok(rules) => rules,
            Err(why) => return facts.unread("who is let in by its security groups", &why),
        };
        for port in ports {
            let letting: Vec<_> = rules.iter().filter(|rule| admits(rule, *port)).collect();
            let told: Vec<_> = letting.iter().map(|rule| self.name_source(rule)).collect();
            let told = told.join(", ");
            facts = if letting.is_empty() {
                let all: Vec<_> = rules.iter().map(|rule| self.name_source(rule)).collect();
                let all = if all.is_empty() { "nobody".to_owned() } else { all.join(", ") };
                facts.lacks(format!("its security groups do not allow TCP port {port}; they let in {all}"))
            } else {
                facts.proves(format!("port {port}: its security groups allow {told}"))
            };
        }
        facts
    }

    /// It stands in the subnet that lab.toml gives it.
    fn add_place(&self, facts: Facts, machine: &Machine, internet: Internet) -> Facts {
        let Some(host) = find_task_host(self.lab, internet) else { return facts };
        let name = self.names.subnet(&host.subnet);
        match self.subnet_of(&host.subnet) {
            Ok(Some(subnet)) if machine.subnet.as_ref() == Some(&subnet.id) => {
                facts.proves(format!("it stands in {}", subnet.name))
            }
            Ok(_) => facts.lacks(format!("it stands in {}, not in {name}", self.name_subnet(machine))),
            Err(why) => facts.unread(&name, &why),
        }
    }

    fn name_subnet(&self, machine: &Machine) -> String {
        let Some(id) = &machine.subnet else { return "no subnet".to_owned() };
        let known = self.all_things().find(|thing| thing.kind == "subnet" && thing.id == *id);
        known.map_or_else(|| id.clone(), tell_thing)
    }

    /// The host was told to install it, and says on its console that its setup is done.
    fn set_up(&self, internet: Internet, what: &str) -> Facts {
        let machine = match self.machine(internet) {
            Ok(Some(machine)) => machine,
            Ok(None) => return Facts::default().lacks("the host is not there"),
            Err(why) => return Facts::default().unread("the host", &why),
        };
        let runs = find_task_host(self.lab, internet).and_then(|host| host.runs);
        if runs != Some(software(internet)) {
            let told =
                format!("lab.toml does not let {} run {what}: what is on it cannot be seen from AWS", machine.name);
            return Facts::default().unseen(told);
        }
        let Machine { id, state, .. } = machine;
        let (facts, is_told) = match &machine.is_told {
            Ok(true) => (Facts::default().proves(format!("its user-data is host-up's, which installs {what}")), true),
            Ok(false) => {
                let told = "its user-data is not what this version of host-up writes: what it installs cannot be told";
                (Facts::default().unseen(told), false)
            }
            Err(why) => (Facts::default().unread("its user-data", why), false),
        };
        match &machine.is_ready {
            _ if state != "running" => facts.unseen(format!("{id} is {state}: its console says nothing")),
            Ok(true) => facts.proves(format!("the console of {id} says that the setup is done")),
            Ok(false) if is_told => facts.lacks(format!("the console of {id} does not say that the setup is done")),
            Ok(false) => facts.unseen(format!("the console of {id} does not say that the setup is done")),
            Err(why) => facts.unread(&format!("the console of {id}"), why),
        }
    }
}

impl Machine {
    /// It runs what host-up has told it to, and says that it does.
    fn is_working(&self) -> Read<bool> {
        if self.state != "running" {
            return Ok(false);
        }
        Ok(self.is_ready.clone()? && self.is_told.clone()?)
    }
}

/// `lab-public-ec2 (i-1), t3.micro, 10.0.1.4, 203.0.113.1`
fn tell_machine(machine: &Machine) -> String {
    let Machine { name, id, size, private_ip, public_ip, .. } = machine;
    let more = [Some(size), private_ip.as_ref(), public_ip.as_ref()];
    let more: Vec<&str> = more.into_iter().flatten().map(String::as_str).filter(|text| !text.is_empty()).collect();
    format!("{name} ({id}), {}", more.join(", "))
}

fn text<'a>(thing: &'a Thing, field: &str) -> Option<&'a str> {
    thing.more.get(field)?.as_str()
}

/// `lab-vpc (vpc-1)`
fn tell_thing(thing: &Thing) -> String {
    let Thing { name, id, .. } = thing;
    if id == name || id.starts_with("arn:") { name.clone() } else { format!("{name} ({id})") }
}

/// A count with its noun.
fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests;
