//! The steps of the assignment (HOL 02) in its order, each with what proves it. Pure.

mod first;
mod second;

use lab_common::{Host, Internet, Lab, Names, Runs};
use lab_plan::{Resource, RunRecord};
use serde_json::Value;

use super::evidence::{Checked, Step, Task, Verdict};
use super::look::Seen;
use crate::census::World;
use crate::picture::find::{find_groups_of, find_resource};
use crate::show::Inventory;

/// What is looked at.
pub(super) struct Proof<'a> {
    pub(super) lab: &'a Lab,
    pub(super) names: &'a Names,
    pub(super) found: &'a Inventory,
    /// What the census has seen of it: which groups a host is in, which table a subnet uses.
    pub(super) world: &'a World,
    pub(super) seen: &'a Seen,
    pub(super) runs: &'a [RunRecord],
    pub(super) check: Option<&'a Checked>,
    /// Clients whose `.ovpn` file is on this machine.
    pub(super) profiles: Vec<String>,
}

/// Facts of a step, and whether each is as it should be.
#[derive(Debug, Default)]
struct Facts(Vec<(Option<bool>, String)>);

impl Facts {
    /// Something that must be so.
    fn must(mut self, is_so: bool, fact: impl Into<String>) -> Self {
        self.0.push((Some(is_so), fact.into()));
        self
    }

    /// Something that must be there: what is told of it, or what is missing.
    fn must_be(self, found: Option<String>, missing: &str) -> Self {
        match found {
            Some(fact) => self.must(true, fact),
            None => self.must(false, format!("{missing} is not there")),
        }
    }

    /// Something that must be there and in one of these states: what is told of it, with its state.
    fn must_work(self, found: Option<&Resource>, fields: &[&str], states: &[&str], missing: &str) -> Self {
        let Some(found) = found else { return self.must_be(None, missing) };
        let why = text(found, "message").map(|why| format!(" ({why})")).unwrap_or_default();
        self.must(states.contains(&found.state.as_str()), format!("{}: {}{why}", tell(found, fields), found.state))
    }

    /// Something worth knowing.
    fn note(mut self, fact: impl Into<String>) -> Self {
        self.0.push((None, fact.into()));
        self
    }

    fn is_passed(&self) -> bool {
        let mut judged = self.0.iter().filter_map(|(is_so, _)| *is_so).peekable();
        judged.peek().is_some() && judged.all(|is_so| is_so)
    }

    /// All of it together: passed only where something must be so, and all of that is.
    fn judge(self, text: &str) -> Step {
        let judged: Vec<bool> = self.0.iter().filter_map(|(is_so, _)| *is_so).collect();
        let verdict = match judged.as_slice() {
            [] => Verdict::Unseen,
            all if all.iter().all(|is_so| *is_so) => Verdict::Passed,
            _ => Verdict::Open,
        };
        let tell =
            |(is_so, fact): (Option<bool>, String)| if is_so == Some(false) { format!("✗ {fact}") } else { fact };
        Step { text: text.to_owned(), verdict, facts: self.0.into_iter().map(tell).collect() }
    }
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
    fn find(&self, kind: &str, name: &str) -> Option<&Resource> {
        self.found.resources.iter().find(|one| one.kind == kind && one.name == name)
    }

    /// A part of the network, whatever its Name tag says by now.
    fn find_part(&self, kind: &str, role: &str, name: &str) -> Option<&Resource> {
        find_resource(self.found, kind, role, name)
    }

    fn of_kind<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b Resource> {
        self.found.resources.iter().filter(move |one| one.kind == kind)
    }

    /// The role of the first subnet of that sort.
    fn subnet(&self, internet: Internet) -> Option<&str> {
        let mut subnets = self.lab.network.subnets.iter();
        subnets.find(|subnet| subnet.internet == internet).map(|subnet| subnet.role.as_str())
    }

    /// The task's host: the one in such a subnet that runs what the task asks for, else the first one there.
    fn host(&self, internet: Internet) -> Option<&Host> {
        let is_there = |host: &&Host| self.lab.is_public(host) == (internet == Internet::Gateway);
        let hosts = || self.lab.hosts.iter().filter(is_there);
        hosts().find(|host| host.runs == Some(software(internet))).or_else(|| hosts().next())
    }

    fn instance(&self, internet: Internet) -> Option<&Resource> {
        let role = self.host(internet)?.role.as_str();
        self.of_kind("instance").find(|one| text(one, "host") == Some(role))
    }

    fn add_vpc(&self, facts: Facts) -> Facts {
        let name = self.names.vpc();
        let told = self.find_part("vpc", "vpc", &name).map(|vpc| tell(vpc, &["cidr"]));
        facts.must_be(told, &name)
    }

    fn add_subnet(&self, facts: Facts, internet: Internet) -> Facts {
        let Some(role) = self.subnet(internet) else { return facts.must(false, "lab.toml has no such subnet") };
        let name = self.names.subnet(role);
        let subnet = self.find_part("subnet", &format!("subnet {role}"), &name);
        facts.must_be(subnet.map(|subnet| tell(subnet, &["cidr", "zone"])), &name)
    }

    /// The host runs, and its group lets in these ports.
    fn reachable_host(&self, internet: Internet, ports: &[u16]) -> Facts {
        let Some(host) = self.host(internet) else { return Facts::default().must(false, "lab.toml has no such host") };
        let name = self.names.host(&host.role);
        let instance = self.instance(internet);
        let told = instance.map(|one| tell(one, &["size", "private_ip", "public_ip"]));
        let mut facts = Facts::default().must_be(told, &name);
        if let Some(instance) = instance {
            facts = facts.must(instance.state == "running", format!("it is {}", instance.state));
        }
        let rules = self.rules(instance, &host.role);
        for port in ports {
            let wanted = format!("tcp/{port} from ");
            let found = rules.iter().find(|rule| rule.starts_with(&wanted));
            facts = facts.must_be(
                found.map(|rule| format!("its security group allows {}", self.name_source(rule))),
                &format!("a rule for port {port}"),
            );
        }
        facts
    }

    /// Who is let in by the groups that the host is in, whoever has put it there; by the one that lab.toml gives it where
    /// that is not known.
    fn rules(&self, instance: Option<&Resource>, role: &str) -> Vec<String> {
        if let Some((_, rules)) = instance.and_then(|one| find_groups_of(self.world, &one.id)) {
            return rules;
        }
        let group = self.find_part("security-group", &format!("security-group {role}"), &self.names.host(role));
        let rules = group.and_then(|group| group.more.get("rules")?.as_array());
        rules.into_iter().flatten().filter_map(|rule| rule.as_str().map(str::to_owned)).collect()
    }

    /// A rule with its group's name for its id.
    fn name_source(&self, rule: &str) -> String {
        let Some((what, id)) = rule.rsplit_once(" from ") else { return rule.to_owned() };
        let group = self.of_kind("security-group").find(|group| group.id == id);
        group.map_or_else(|| rule.to_owned(), |group| format!("{what} from {}", group.name))
    }

    /// The host says on its console that its setup is done.
    fn set_up(&self, internet: Internet, what: &str) -> Facts {
        let Some(instance) = self.instance(internet) else {
            return Facts::default().must(false, "the host is not there");
        };
        let runs = self.host(internet).and_then(|host| host.runs);
        if runs != Some(software(internet)) {
            return Facts::default().must(false, format!("lab.toml does not let {} run {what}", instance.name));
        }
        let ready = instance.more.get("ready").and_then(Value::as_bool);
        let facts = Facts::default().note(format!("its user-data installs {what}"));
        match ready {
            Some(ready) => {
                let told = if ready { "says that this is done" } else { "does not say yet that this is done" };
                facts.must(ready, format!("the console of {} {told}", instance.id))
            }
            None => facts.must(false, format!("{} is {}: its console says nothing", instance.id, instance.state)),
        }
    }
}

/// What the task's host in such a subnet runs.
fn software(internet: Internet) -> Runs {
    match internet {
        Internet::Gateway => Runs::Jupyter,
        Internet::None => Runs::Filegator,
    }
}

fn text<'a>(resource: &'a Resource, field: &str) -> Option<&'a str> {
    resource.more.get(field)?.as_str()
}

/// `lab-vpc (vpc-1), 10.0.0.0/16`
fn tell(resource: &Resource, fields: &[&str]) -> String {
    let Resource { name, id, .. } = resource;
    let mut told = if id == name || id.starts_with("arn:") { name.clone() } else { format!("{name} ({id})") };
    for value in fields.iter().filter_map(|field| text(resource, field)) {
        told.push_str(", ");
        told.push_str(value);
    }
    told
}

#[cfg(test)]
mod tests;
