//! How a part stands to what lab.toml wants: missing, different, too much, not known; or what `up` would do with it. Pure.

use lab_common::{Billed, estimate};
use lab_picture::{Part, Presence, View};
use lab_plan::{Action, Resource};

use super::{Facts, PUBLIC_TABLE, hide_account, text, to_part};
use crate::inventory::Change;
use crate::picture::differ::{tell_attached, tell_difference, tell_step};
use crate::picture::find::{find_groups_of, find_resource};
use crate::picture::refusals::{list_refusals, name_program, waits_for_others};
use crate::picture::routes::find_table;

impl<'a> Facts<'a> {
    /// Everything that is known to exist.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Resource> {
        self.found.resources.iter().chain(&self.found.others)
    }

    /// The changes of a program.
    pub(super) fn changes_of(&self, program: &'static str) -> impl Iterator<Item = &'a Change> {
        self.parts.iter().filter(move |part| part.program == program).flat_map(|part| &part.changes)
    }

    pub(super) fn changes(&self, kinds: &[&str], name: &str) -> Vec<&'a Change> {
        let changes = self.parts.iter().flat_map(|part| &part.changes);
        changes.filter(|change| kinds.contains(&change.kind) && change.name == name).collect()
    }

    /// What its name makes what it is: of kinds whose names cannot be changed.
    pub(super) fn find(&self, kind: &str, name: &str) -> Option<&'a Resource> {
        let is_it = |one: &&Resource| one.kind == kind && one.name == name;
        let known = self.found.resources.iter().find(is_it);
        known.or_else(|| self.found.others.iter().filter(|_| self.is_unread(kind)).find(is_it))
    }

    /// What plays this role. Where its program could not look, what only the tags tell.
    pub(super) fn find_role(&self, kind: &str, role: &str, name: &str) -> Option<&'a Resource> {
        let tagged = |one: &&Resource| one.kind == kind && text(one, "role").as_deref() == Some(role);
        let known = find_resource(self.found, kind, role, name);
        known.or_else(|| self.found.others.iter().filter(|_| self.is_unread(kind)).find(tagged))
    }

    /// Whether the program that makes this kind could not look at what there is.
    pub(super) fn is_unread(&self, kind: &str) -> bool {
        let program = name_program(kind);
        self.parts.iter().any(|part| part.program == program && part.unread.is_some())
    }

    fn is_uncompared(&self, kind: &str) -> bool {
        self.parts.iter().any(|part| part.uncompared.contains(&kind))
    }

    /// Whether `up` would carry out what it has to do with this kind: what it refuses as a whole it does not.
    pub(super) fn plans(&self, kind: &str) -> bool {
        let program = name_program(kind);
        let stops = || list_refusals(self.parts).iter().any(|refusal| refusal.program == program);
        self.view == View::Plan && !self.is_unread(kind) && !stops()
    }

    /// How something of this kind is called that is wanted and not there.
    pub(super) fn absent(&self, kind: &str) -> Presence {
        match kind {
            kind if self.is_unread(kind) => Presence::Unknown,
            kind if self.plans(kind) => Presence::Add,
            _ => Presence::Missing,
        }
    }

    /// How something of this kind is called that is not as wanted.
    pub(super) fn differing(&self, kind: &str) -> Presence {
        if self.plans(kind) { Presence::Change } else { Presence::Drifted }
    }

    /// How something is called that is there and not wanted: only what a program removes is removed.
    pub(super) fn extra(&self, one: &Resource) -> Presence {
        match one.kind {
            kind if self.is_unread(kind) => Presence::Unknown,
            kind if self.plans(kind) && self.is_removed(one) => Presence::Remove,
            _ => Presence::Unexpected,
        }
    }

    /// Whether a program's plan removes it: the step names its id, or there is but one of its name.
    pub(super) fn is_removed(&self, one: &Resource) -> bool {
        let names_it = |text: &str| text.split([' ', ':', ',']).any(|word| word == one.id);
        let alone = || self.all().filter(|other| other.kind == one.kind && other.name == one.name).count() == 1;
        let steps = self.parts.iter().flat_map(|part| &part.changes);
        let mut steps = steps.filter(|change| change.action == Action::Delete && change.kind == one.kind);
        steps.any(|step| names_it(&step.role) || names_it(&step.detail) || (step.name == one.name && alone()))
    }

    /// How something of lab.toml stands, and in what it differs: `kinds` are those whose changes are its own by name,
    /// `attached` are changes of what only it has.
    pub(super) fn judge(
        &self,
        kinds: &[&str],
        name: &str,
        found: Option<&Resource>,
        attached: &[&Change],
    ) -> (Presence, Option<String>) {
        let kind = kinds[0];
        if self.is_unread(kind) {
            return (Presence::Unknown, found.map(|_| "not compared with lab.toml".to_owned()));
        }
        let refusal = self.find_refusal(kind, name);
        let Some(found) = found else {
            return match refusal {
                Some(why) if self.view == View::Plan => (Presence::Blocked, Some(why)),
                Some(why) => (Presence::Missing, Some(why)),
                None => (self.absent(kind), None),
            };
        };
        if self.is_removed(found) {
            return (self.extra(found), None);
        }
        let is_own = |change: &&&Change| change.action != Action::Delete || change.kind != kind;
        // A host that is switched off says so itself; that is no difference from lab.toml.
        let is_start = |change: &&Change| self.view == View::Live && change.detail.starts_with("start it");
        let own = self.changes(kinds, name);
        let own = own.iter().filter(is_own).filter(|change| !is_start(change)).map(|change| self.tell(change));
        let told: Vec<_> = own.chain(attached.iter().map(|change| self.tell_attached(change))).collect();
        match refusal {
            Some(why) if self.view == View::Plan => (Presence::Blocked, Some(why)),
            Some(why) => (Presence::Drifted, Some(join([why].into_iter().chain(told)))),
            None if !told.is_empty() => (self.differing(kind), Some(join(told))),
            None if self.is_uncompared(kind) => (Presence::Unknown, Some("not compared with lab.toml".to_owned())),
            None => (Presence::There, None),
        }
    }

    /// How something without a card of its own stands: an arrow of this kind with these changes.
    pub(super) fn judge_changes(&self, kind: &str, changes: &[&Change]) -> (Presence, Option<String>) {
        match changes {
            _ if self.is_unread(kind) => (Presence::Unknown, None),
            [] if self.is_uncompared(kind) => (Presence::Unknown, None),
            [] => (Presence::There, None),
            changes => (self.differing(kind), Some(join(changes.iter().map(|change| self.tell_attached(change))))),
        }
    }

    /// A step, as what it will do or as what is different now.
    fn tell(&self, change: &Change) -> String {
        let told = if self.plans(change.kind) {
            tell_step(change)
        } else {
            tell_difference(change, self.find_present(change).as_deref())
        };
        self.hide_account(&told)
    }

    /// The same of what has no card of its own.
    pub(super) fn tell_attached(&self, change: &Change) -> String {
        self.hide_account(&tell_attached(change, self.plans(change.kind)))
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
                let role = lab_common::roles::subnet(&wanted.role);
                let table = find_table(self.world, &self.find_role("subnet", &role, &change.name)?.id)?;
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

    pub(super) fn hide_account(&self, text: &str) -> String {
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

    /// A part of lab.toml, found or not; `name` is what it is called there.
    pub(super) fn part(&self, kinds: &[&str], found: Option<&Resource>, name: &str, attached: &[&Change]) -> Part {
        let (presence, why) = self.judge(kinds, name, found, attached);
        let mut part = found.map_or_else(|| Part::new(name), to_part);
        if found.is_some_and(|found| found.name.trim().is_empty()) {
            let id = std::mem::replace(&mut part.name, name.to_owned());
            part = part.id(id);
        }
        Part { presence, why, ..part }
    }

    /// What all would cost after `up`, in US dollars an hour: what is planned, and what waits for the network.
    pub(super) fn usd_after(&self) -> f64 {
        // What is refused is not done.
        let goes = self.parts.iter().filter(|part| part.refused.is_empty());
        let planned: f64 = goes.flat_map(|part| &part.changes).map(|change| change.usd_per_hour).sum();
        let waits = |program| self.parts.iter().any(|part| part.program == program && waits_for_others(part));
        let is_there = |kind: &str, name: &str| {
            let kind = if kind.starts_with("client-vpn") { "client-vpn-target-network" } else { "instance" };
            self.all().any(|one| one.kind == kind && (kind != "instance" || one.name == name))
        };
        let items = estimate(self.lab).items.into_iter();
        let items = items.filter(|item| matches!(item.billed, Billed::Always | Billed::Vpn));
        let items = items.filter(|item| waits(name_program(item.kind)) && !is_there(item.kind, &item.name));
        let waiting: f64 = items.filter_map(|item| item.usd_per_hour).sum();
        // Sums of floats may miss 0 by a little.
        (self.found.total.usd_per_hour + planned + waiting).max(0.0)
    }

    /// What a part will cost that `up` makes, in US dollars an hour: a host with its disk and address, or all of the VPN.
    pub(super) fn rate_to_add(&self, part: &Part, name: &str, billed: Billed) -> f64 {
        if part.presence != Presence::Add {
            return part.usd_per_hour;
        }
        let items = estimate(self.lab).items.into_iter();
        let own = items.filter(|item| item.billed == billed && (billed == Billed::Vpn || item.name == name));
        own.filter_map(|item| item.usd_per_hour).sum()
    }
}

fn join(told: impl IntoIterator<Item = String>) -> String {
    told.into_iter().collect::<Vec<_>>().join("; ")
}
