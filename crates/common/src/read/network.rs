//! `[network]`: the VPC and its subnets.

use super::{check_role, read_block, read_word};
use crate::table::{At, Table};
use crate::{Internet, Network, Subnet};

/// VPC and subnet blocks are /16 to /28 (VPC user guide, "VPC CIDR blocks").
const BLOCK: std::ops::RangeInclusive<u8> = 16..=28;

pub(super) fn read(table: &Table<'_>) -> Option<Network> {
    let cidr =
        table.required_string("cidr", "\"10.0.0.0/16\"").and_then(|text| read_block(table, "cidr", &text, BLOCK));
    let subnets = match table.required(
        "subnets",
        "…, one line a subnet: `subnets.public = { cidr = \"10.0.1.0/24\", internet = \"gateway\" }`",
    ) {
        Some(()) => table.table("subnets").map(|subnets| read_subnets(&subnets)),
        None => None,
    };
    table.reject_unknown();
    let (subnets, sound) = subnets?;
    if let Some(vpc) = cidr {
        check_nesting(table, vpc, &subnets);
    }
    check_overlaps(table, &subnets);
    let subnets = subnets.into_iter().map(|subnet| subnet.value).collect();
    sound.then_some(Network { cidr: cidr?, subnets })
}

/// The subnets that can be read, and whether that is all of them.
fn read_subnets(table: &Table<'_>) -> (Vec<At<Subnet>>, bool) {
    let named = table.named_tables();
    let count = named.len();
    let subnets: Vec<_> = named
        .into_iter()
        .filter_map(|(role, subnet)| {
            let legal = check_role(table, &role);
            let subnet = read_subnet(role.value, &subnet);
            subnet.filter(|_| legal)
        })
        .collect();
    let sound = subnets.len() == count;
    (subnets, sound)
}

fn read_subnet(role: String, table: &Table<'_>) -> Option<At<Subnet>> {
    let text = table.required_string("cidr", "\"10.0.1.0/24\"");
    let cidr = text.as_ref().and_then(|text| read_block(table, "cidr", text, BLOCK));
    let words = [("gateway", Internet::Gateway), ("none", Internet::None)];
    let internet = read_word(table, "internet", &words, Internet::None);
    let zone = table.string("zone").map(|zone| read_zone(table, &zone).ok_or(())).transpose();
    table.reject_unknown();
    Some(At { value: Subnet { role, cidr: cidr?, internet: internet?, zone: zone.ok()? }, span: text?.span })
}

fn read_zone(table: &Table<'_>, zone: &At<String>) -> Option<char> {
    match zone.value.chars().collect::<Vec<_>>().as_slice() {
        [letter] if letter.is_ascii_lowercase() => Some(*letter),
        _ => {
            let what = format!("{} = \"{}\" is not the letter of a zone", table.path_of("zone"), zone.value);
            table.file.reject(&zone.span, what, "write the last letter only: \"a\" for us-east-1a");
            None
        }
    }
}

fn check_nesting(table: &Table<'_>, vpc: ipnet::Ipv4Net, subnets: &[At<Subnet>]) {
    for At { value: subnet, span } in subnets {
        if !vpc.contains(&subnet.cidr) {
            let what =
                format!("network.subnets.{}.cidr = \"{}\" is not inside the VPC's {vpc}", subnet.role, subnet.cidr);
            table.file.reject(span, what, format!("choose a block inside {vpc}"));
        }
    }
}

fn check_overlaps(table: &Table<'_>, subnets: &[At<Subnet>]) {
    for (index, At { value: later, span }) in subnets.iter().enumerate() {
        for At { value: earlier, .. } in &subnets[..index] {
            let overlap = earlier.cidr.contains(&later.cidr) || later.cidr.contains(&earlier.cidr);
            if overlap {
                let what = format!(
                    "network.subnets.{}.cidr = \"{}\" overlaps {} of subnet `{}`",
                    later.role, later.cidr, earlier.cidr, earlier.role
                );
                table.file.reject(span, what, "give each subnet addresses of its own");
            }
        }
    }
}
