//! The Client VPN endpoint with what only it has: associations, authorization rules, routes. Pure.

use lab_common::Billed;
use lab_common::roles::subnet as subnet_role;
use lab_picture::{Part, Presence, Vpn};
use lab_plan::{Action, Resource};

use super::network::Area;
use super::{Facts, Stage, text};
use crate::inventory::Change;

const ENDPOINT: &str = "client-vpn-endpoint";
const ASSOCIATION: &str = "client-vpn-target-network";
/// What stands in no card of its own, and makes the endpoint what it is.
const ATTACHED: [&str; 6] = [
    "client-vpn-authorization-rule",
    "client-vpn-route",
    ASSOCIATION,
    "certificate",
    "certificate-revocation-list",
    "log-group",
];

impl Facts<'_> {
    pub(super) fn vpn(&self, areas: &[Area], stage: &mut Stage) -> Option<Vpn> {
        let wanted = self.lab.vpn.as_ref()?;
        let name = self.names.vpn_endpoint();
        let found = self.find_role(ENDPOINT, ENDPOINT, &name);
        let attached: Vec<&Change> =
            self.changes_of("vpn-setup").filter(|change| ATTACHED.contains(&change.kind)).collect();
        let mut part = self.part(&[ENDPOINT], found, &name, &attached);
        part.usd_per_hour = self.rate_to_add(&part, &name, Billed::Vpn);
        let clients = found.and_then(|one| text(one, "client_cidr")).unwrap_or_else(|| wanted.client_cidr.to_string());
        part = part.line(format!("clients {clients}"));
        let associations = found.map(|found| self.associations(found)).unwrap_or_default();
        part = add_associations(part, &associations, stage);
        stage.draw(found);
        let mut subnets = Vec::new();
        for role in &wanted.subnets {
            let subnet = self.find_role("subnet", &subnet_role(role), &self.names.subnet(role));
            let its = |one: &&&Resource| is_of(one, subnet, &self.names.subnet(role));
            subnets.push((role.clone(), self.judge_association(role, associations.iter().find(its).copied())));
        }
        let is_wanted = |one: &&&Resource| {
            wanted.subnets.iter().any(|role| {
                let name = self.names.subnet(role);
                is_of(one, self.find_role("subnet", &subnet_role(role), &name), &name)
            })
        };
        for other in associations.iter().filter(|one| !is_wanted(one)) {
            let id = text(other, "subnet");
            match areas.iter().find(|area| id.is_some() && area.id == id) {
                Some(area) => subnets.push((area.subnet.role.clone(), self.extra(other))),
                None => part = part.line(format!("also associated with {}", other.name)),
            }
        }
        let transport =
            found.and_then(|one| text(one, "transport")).unwrap_or_else(|| wanted.transport.as_str().into());
        let number = found.and_then(|one| one.more.get("port")?.as_i64()).unwrap_or_else(|| wanted.port.into());
        Some(Vpn { part, carrier: format!("{} {number}", transport.to_uppercase()), subnets })
    }

    /// The associations of an endpoint; all of them, where there is one endpoint only.
    pub(super) fn associations(&self, endpoint: &Resource) -> Vec<&Resource> {
        let is_alone = self.all().filter(|one| one.kind == ENDPOINT).count() < 2;
        let holder = |one: &Resource| {
            let thing = self.world.things.iter().find(|thing| thing.kind == one.kind && thing.id == one.id);
            thing.and_then(|thing| thing.place.holder.clone())
        };
        let is_its = |one: &&Resource| holder(one).map_or(is_alone, |holder| holder == endpoint.id);
        self.all().filter(|one| one.kind == ASSOCIATION).filter(is_its).collect()
    }

    fn judge_association(&self, role: &str, found: Option<&Resource>) -> Presence {
        let made = self.changes(&[ASSOCIATION], &self.names.subnet(role));
        let fails = made.iter().any(|change| change.action == Action::Create && !change.detail.contains("associating"));
        match found {
            None => self.absent(ASSOCIATION),
            Some(_) if self.is_unread(ASSOCIATION) => Presence::Unknown,
            Some(_) if fails => self.differing(ASSOCIATION),
            Some(_) => Presence::There,
        }
    }
}

/// An endpoint's card with what its associations cost.
pub(super) fn add_associations(mut part: Part, associations: &[&Resource], stage: &mut Stage) -> Part {
    stage.draw(associations.iter().copied());
    part.usd_per_hour += associations.iter().map(|one| one.usd_per_hour).sum::<f64>();
    part
}

/// Whether an association is that of a subnet.
fn is_of(association: &Resource, subnet: Option<&Resource>, name: &str) -> bool {
    match (text(association, "subnet"), subnet) {
        (Some(id), Some(subnet)) => id == subnet.id,
        _ => association.name == name,
    }
}
