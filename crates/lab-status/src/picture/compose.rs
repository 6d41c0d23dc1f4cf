//! What was read and what lab.toml wants, as one scene. Pure.

mod also;
mod judge;
mod network;
mod pipeline;
mod vpn;

use std::collections::BTreeSet;

use lab_common::{Lab, Names};
use lab_picture::{Health, Part, Scene, View};
use lab_plan::Resource;
use serde_json::Value;

use crate::census::World;
use crate::inventory;
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

/// What has its place in the picture already, by kind and id; and cards for which there is none but below.
#[derive(Default)]
struct Stage {
    drawn: BTreeSet<(&'static str, String)>,
    others: Vec<Part>,
}

impl Stage {
    fn draw<'a>(&mut self, all: impl IntoIterator<Item = &'a Resource>) {
        self.drawn.extend(all.into_iter().map(|one| (one.kind, one.id.clone())));
    }

    fn has(&self, one: &Resource) -> bool {
        self.drawn.contains(&(one.kind, one.id.clone()))
    }
}

/// The scene.
pub(super) fn compose(facts: &Facts<'_>) -> Scene {
    let lab = facts.lab;
    let mut laptop = Part::new("Your laptop");
    if let Some(vpn) = &lab.vpn {
        laptop = laptop.line(format!("VPN clients: {}", vpn.clients.join(", ")));
    }
    let mut stage = Stage::default();
    let vpc = facts.vpc(&mut stage);
    let pipeline = facts.pipeline(&mut stage);
    facts.put_others(&mut stage);
    Scene {
        lab: lab.name.clone(),
        owner: lab.owner.clone(),
        region: facts.region.to_owned(),
        account: facts.account.and_then(last_four),
        at: facts.at.clone(),
        view: facts.view,
        usd_per_hour: facts.found.total.usd_per_hour,
        is_at_least: is_at_least(&facts.found.unread, facts.world),
        usd_per_hour_after: (facts.view == View::Plan).then(|| facts.usd_after()),
        laptop,
        vpc: Some(vpc),
        pipeline,
        others: stage.others,
        notes: tell_unread(&facts.found.unread).map(|note| facts.hide_account(&note)).collect(),
    }
}

/// Whether things may cost more than is known.
pub(super) fn is_at_least(unread: &[String], world: &World) -> bool {
    !unread.is_empty() || world.things.iter().any(|thing| thing.unpriced.is_some())
}

/// What could not be read, as the notes of a picture.
pub(super) fn tell_unread(unread: &[String]) -> impl Iterator<Item = String> + '_ {
    unread.iter().map(|unread| format!("not known: {unread}"))
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

/// The role of the table behind the internet gateway.
const PUBLIC_TABLE: &str = "route-table public-to-internet";
/// The role of the VPC's own table.
const MAIN_TABLE: &str = "route-table main";
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
        "vpc" => "VPC",
        "subnet" => "Subnet",
        "internet-gateway" => "Internet gateway",
        "route-table" => "Route table",
        "client-vpn-endpoint" => "Client VPN endpoint",
        "client-vpn-target-network" => "Client VPN association",
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

/// Private and public address of an instance.
pub(super) fn tell_addresses(one: &Resource) -> Option<String> {
    let addresses: Vec<_> = ["private_ip", "public_ip"].iter().filter_map(|key| text(one, key)).collect();
    (!addresses.is_empty()).then(|| addresses.join(" · "))
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
