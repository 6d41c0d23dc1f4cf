//! `[vpn]`: the Client VPN endpoint.

use ipnet::Ipv4Net;

use super::{read_block, read_word};
use crate::table::{At, Table};
use crate::{Network, Protocol, Vpn};

/// Client VPN administrator guide, "Rules and best practices".
const CLIENT_BLOCK: std::ops::RangeInclusive<u8> = 12..=22;
const SESSION_HOURS: [i64; 4] = [8, 10, 12, 24];
const PORTS: [i64; 2] = [443, 1194];

pub(super) fn read(table: &Table<'_>, network: Option<&Network>) -> Option<Vpn> {
    let text = table.required_string("client_cidr", "\"10.83.0.0/16\"");
    let client_cidr = text.as_ref().and_then(|text| read_block(table, "client_cidr", text, CLIENT_BLOCK));
    if let (Some(block), Some(text), Some(network)) = (client_cidr, &text, network)
        && (block.contains(&network.cidr) || network.cidr.contains(&block))
    {
        let what = format!("{} = \"{block}\" overlaps the VPC's {}", table.path_of("client_cidr"), network.cidr);
        table.file.reject(&text.span, what, "give the VPN's clients addresses of their own");
    }
    table.required("subnet", "\"public\"");
    let subnets = table.string_or_strings("subnet").unwrap_or_default();
    for subnet in &subnets {
        check_subnet(table, subnet, network);
    }
    let clients = table.strings("clients").unwrap_or_default();
    for (n, client) in clients.iter().enumerate() {
        check_client(table, client);
        if clients[..n].iter().any(|earlier| earlier.value == client.value) {
            let what = format!("{} names \"{}\" twice", table.path_of("clients"), client.value.escape_debug());
            table.file.reject(&client.span, what, "remove one");
        }
    }
    let split_tunnel = table.boolean("split_tunnel").unwrap_or(true);
    let session_hours = read_choice(table, "session_hours", &SESSION_HOURS, 24);
    let log_days = table.integer("log_days", 0..=3653).map_or(0, |days| i32::try_from(days.value).unwrap_or(0));
    let port = read_choice(table, "port", &PORTS, 443);
    let transport = read_word(table, "transport", &[("udp", Protocol::Udp), ("tcp", Protocol::Tcp)], Protocol::Udp);
    let routes = read_blocks(table, "routes").unwrap_or_default();
    let allow_networks = read_blocks(table, "allow_networks")
        .unwrap_or_else(|| network.map(|network| network.cidr).into_iter().collect());
    if split_tunnel && routes.iter().any(|route| route.prefix_len() == 0) {
        let what = format!("{} sends everything through a split tunnel", table.path_of("routes"));
        table.file.reject(&table.span_of("routes"), what, "remove 0.0.0.0/0, or write `split_tunnel = false`");
    }
    table.reject_unknown();
    Some(Vpn {
        client_cidr: client_cidr?,
        subnets: subnets.into_iter().map(|subnet| subnet.value).collect(),
        clients: clients.into_iter().map(|client| client.value).collect(),
        split_tunnel,
        session_hours: session_hours?,
        log_days,
        port: port?,
        transport: transport?,
        routes,
        allow_networks,
    })
}

fn check_subnet(table: &Table<'_>, name: &At<String>, network: Option<&Network>) {
    let Some(network) = network else { return };
    let known = || network.subnets.iter().map(|subnet| subnet.role.as_str());
    if !known().any(|role| role == name.value) {
        let what = format!("{} = \"{}\" is not a subnet of [network]", table.path_of("subnet"), name.value);
        table.file.reject(&name.span, what, crate::table::describe_nearest(&name.value, known()));
    }
}

fn check_client(table: &Table<'_>, client: &At<String>) {
    if !Vpn::is_client_name(&client.value) {
        let name = client.value.escape_debug();
        let what = format!("{} has \"{name}\", which is no client name", table.path_of("clients"));
        table.file.reject(&client.span, what, Vpn::CLIENT_NAME);
    }
}

fn read_choice(table: &Table<'_>, key: &str, choices: &[i64], default: i32) -> Option<i32> {
    let Some(number) = table.integer(key, i64::MIN..=i64::MAX) else { return Some(default) };
    if choices.contains(&number.value) {
        return i32::try_from(number.value).ok();
    }
    let known = choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let what = format!("{} = {} is not possible", table.path_of(key), number.value);
    table.file.reject(&number.span, what, format!("write one of {known}"));
    None
}

fn read_blocks(table: &Table<'_>, key: &str) -> Option<Vec<Ipv4Net>> {
    let texts = table.strings(key)?;
    Some(texts.iter().filter_map(|text| read_block(table, key, text, 0..=32)).collect())
}
