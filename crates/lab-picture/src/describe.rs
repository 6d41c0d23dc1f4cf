//! A picture in words, for whoever cannot see it.

use std::fmt::Write as _;

use crate::layout::{tell, tell_mark, tell_rate};
use crate::scene::{Host, Part, Presence, Route, Scene, Source, Subnet};
use crate::text::clean;

/// Everything the picture shows, from outside to inside.
pub(crate) fn describe(scene: &Scene) -> String {
    let mut text = format!("In Region {}", scene.region);
    if let Some(account) = &scene.account {
        let _ = write!(text, ", account ending in {account}");
    }
    let _ = write!(text, ", costing {}.", tell_rate(scene));
    if let Some(vpc) = &scene.vpc {
        let _ = write!(text, " VPC {}{}.", tell(&vpc.part), follow(&vpc.cidr));
        if let Some(gateway) = &vpc.gateway {
            let _ = write!(text, " Internet gateway {}.", tell(gateway));
        }
        for subnet in &vpc.subnets {
            describe_subnet(&mut text, subnet);
        }
        if let Some(vpn) = &vpc.vpn {
            let told = |(role, how): &(String, Presence)| format!("{}{}", clean(role), tell_mark(*how));
            let subnets: Vec<_> = vpn.subnets.iter().map(told).collect();
            let with =
                if subnets.is_empty() { "no subnet".to_owned() } else { format!("subnet {}", subnets.join(", ")) };
            let _ = write!(text, " VPN endpoint {}, {}, associated with {with}.", tell(&vpn.part), vpn.carrier);
        }
    }
    if let Some(pipeline) = &scene.pipeline {
        let _ = write!(text, " Input bucket {}.", tell(&pipeline.input));
        let _ = write!(text, " Trigger: {}.", tell(&pipeline.trigger));
        if let Some(queue) = &pipeline.queue {
            let _ = write!(text, " Queue {}.{}", tell(queue), tell_hop("It takes messages", &pipeline.takes));
        }
        let writes = tell_hop("It writes", &pipeline.writes);
        let _ = write!(text, " Function {}.{writes}", tell(&pipeline.function));
        let _ = write!(text, " Output bucket {}.", tell(&pipeline.output));
    }
    for other in &scene.others {
        let _ = write!(text, " Also: {}.", tell(other));
    }
    for note in &scene.notes {
        let _ = write!(text, " {}.", clean(note).trim_end_matches('.'));
    }
    text
}

/// How a line stands that is not as wanted.
fn tell_hop(what: &str, hop: &Part) -> String {
    let why = hop.why.as_ref().map(|why| format!(": {}", clean(why))).unwrap_or_default();
    let how = tell_mark(hop.presence);
    if how.is_empty() { String::new() } else { format!(" {what}{how}{why}.") }
}

fn describe_subnet(text: &mut String, subnet: &Subnet) {
    let way = match &subnet.route {
        Route::None => "no way to the internet".to_owned(),
        Route::Gateway => "the internet gateway as its way to the internet".to_owned(),
        Route::Nat => "the NAT gateway as its way to the internet".to_owned(),
        Route::Other(target) => format!("0.0.0.0/0 to {}", clean(target)),
        Route::Unknown => "a way to the internet that is not known".to_owned(),
    };
    let zone = subnet.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    let _ = write!(text, " Subnet {}{}{zone}, with {way}.", tell(&subnet.part), follow(&subnet.cidr));
    if let Some(nat) = &subnet.nat {
        let _ = write!(text, " In it: NAT gateway {}.", tell(nat));
    }
    for host in &subnet.hosts {
        let _ = write!(text, " In it: host {}{}.", tell(&host.part), describe_rules(host));
    }
}

/// `, 10.0.1.0/24`; nothing where it is not known.
fn follow(cidr: &str) -> String {
    if cidr.is_empty() { String::new() } else { format!(", {cidr}") }
}

fn describe_rules(host: &Host) -> String {
    if host.inbound.is_empty() {
        let why = host.group.why.as_ref().map(|why| format!("; {}", clean(why)));
        return why.unwrap_or_else(|| "; nobody may reach it".to_owned());
    }
    let rules = host.inbound.iter().map(|rule| {
        let from = match &rule.from {
            Source::Anywhere => "anywhere".to_owned(),
            Source::Laptop(_) => "your laptop".to_owned(),
            Source::Network(source) | Source::Inside(source) => clean(source),
            Source::Vpn => "VPN clients".to_owned(),
            Source::Host(role) => format!("host {}", clean(role)),
        };
        let missing = tell_mark(rule.presence);
        format!("{} from {from}{missing}", rule.ports)
    });
    format!("; it lets in {}", rules.collect::<Vec<_>>().join(", "))
}
