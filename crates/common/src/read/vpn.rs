//! `[vpn]`: the Client VPN endpoint.

use ipnet::Ipv4Net;

use super::{read_block, read_word};
use crate::table::{At, Table};
use crate::{Network, Protocol, Vpn};

/// Client VPN administrator guide, "Rules and best practices".
const CLIENT_BLOCK: std::ops::RangeInclusive<u8> = 12..=22;
const SESSION_HOURS: [i64; 4] = [8, 10, 12, 24];
const PORTS: [i64; 2] = [443, 1194];
/// An associated subnet is this large at least (the same).
const SMALLEST_SUBNET: u8 = 27;
/// The same guide, "Quotas".
const MOST_RULES: usize = 200;
const MOST_ROUTES: usize = 100;
/// No log, or what Amazon's `CloudWatch` Logs takes (API reference, `PutRetentionPolicy`).
const LOG_DAYS: [i64; 23] =
    [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

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
    check_subnets(table, &subnets, network);
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
    let log_days = read_choice(table, "log_days", &LOG_DAYS, 0);
    let port = read_choice(table, "port", &PORTS, 443);
    let transport = read_word(table, "transport", &[("udp", Protocol::Udp), ("tcp", Protocol::Tcp)], Protocol::Udp);
    let routes = read_blocks(table, "routes", MOST_ROUTES).unwrap_or_default();
    check_routes(table, &routes, client_cidr, network, split_tunnel);
    let allow_networks = read_rules(table, network);
    table.reject_unknown();
    Some(Vpn {
        client_cidr: client_cidr?,
        subnets: subnets.into_iter().map(|subnet| subnet.value).collect(),
        clients: clients.into_iter().map(|client| client.value).collect(),
        split_tunnel,
        session_hours: session_hours?,
        log_days: log_days?,
        port: port?,
        transport: transport?,
        routes: routes.into_iter().map(|route| route.value).collect(),
        allow_networks,
    })
}

/// Known, apart, large enough, and each in a zone of its own where zones are named.
fn check_subnets(table: &Table<'_>, names: &[At<String>], network: Option<&Network>) {
    let path = table.path_of("subnet");
    if names.is_empty() && table.string_or_strings("subnet").is_some() {
        let what = format!("{path} is empty");
        table.file.reject(&table.span_of("subnet"), what, "name a subnet of [network]: `subnet = \"public\"`");
    }
    let Some(network) = network else { return };
    let find = |name: &str| network.subnets.iter().find(|subnet| subnet.role == name);
    for (n, At { value: name, span }) in names.iter().enumerate() {
        if names[..n].iter().any(|earlier| earlier.value == *name) {
            table.file.reject(span, format!("{path} names \"{name}\" twice"), "remove one");
            continue;
        }
        let Some(subnet) = find(name) else {
            let known = network.subnets.iter().map(|subnet| subnet.role.as_str());
            let what = format!("{path} = \"{name}\" is not a subnet of [network]");
            table.file.reject(span, what, crate::table::describe_nearest(name, known));
            continue;
        };
        if subnet.cidr.prefix_len() > SMALLEST_SUBNET {
            let what = format!("{path} = \"{name}\": {} is too small for a Client VPN", subnet.cidr);
            table.file.reject(span, what, format!("name a subnet of /{SMALLEST_SUBNET} or larger"));
        }
        let earlier = names[..n].iter().filter_map(|earlier| find(&earlier.value));
        if let Some(other) = earlier.into_iter().find(|other| other.zone.is_some() && other.zone == subnet.zone) {
            let what = format!("{path}: \"{}\" and \"{name}\" are in one zone", other.role);
            table.file.reject(span, what, "an endpoint takes one subnet of a zone: name one of them only");
        }
    }
}

fn check_routes(
    table: &Table<'_>,
    routes: &[At<Ipv4Net>],
    client_cidr: Option<Ipv4Net>,
    network: Option<&Network>,
    split_tunnel: bool,
) {
    let path = table.path_of("routes");
    for At { value: route, span } in routes {
        if route.prefix_len() == 0 {
            if split_tunnel {
                let what = format!("{path} sends everything through a split tunnel");
                table.file.reject(span, what, "remove 0.0.0.0/0, or write `split_tunnel = false`");
            }
            continue;
        }
        if network.is_some_and(|network| network.cidr == *route) {
            let what = format!("{path} has \"{route}\", the VPC's own block");
            table.file.reject(span, what, "remove it: the route to the VPC comes with the association");
        }
        if let Some(clients) = client_cidr.filter(|clients| clients.contains(route) || route.contains(clients)) {
            let what = format!("{path} has \"{route}\", which overlaps the clients' {clients}");
            table.file.reject(span, what, "give the VPN's clients addresses of their own");
        }
    }
}

/// Without a rule a client reaches nothing; without the key it is the VPC.
fn read_rules(table: &Table<'_>, network: Option<&Network>) -> Vec<Ipv4Net> {
    let Some(rules) = read_blocks(table, "allow_networks", MOST_RULES) else {
        return network.map(|network| network.cidr).into_iter().collect();
    };
    if rules.is_empty() {
        let what = format!("{} lets clients reach nothing", table.path_of("allow_networks"));
        let fix = "write the VPC's block, or remove the line: then it is that";
        table.file.reject(&table.span_of("allow_networks"), what, fix);
    }
    rules.into_iter().map(|rule| rule.value).collect()
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

/// CIDR blocks, each once, and `most` of them.
fn read_blocks(table: &Table<'_>, key: &str, most: usize) -> Option<Vec<At<Ipv4Net>>> {
    let texts = table.strings(key)?;
    let path = table.path_of(key);
    if texts.len() > most {
        let what = format!("{path} has {} blocks, more than the {most} of an endpoint", texts.len());
        table.file.reject(&table.span_of(key), what, "write fewer and larger blocks");
    }
    let mut blocks: Vec<At<Ipv4Net>> = Vec::new();
    for text in &texts {
        let Some(value) = read_block(table, key, text, 0..=32) else { continue };
        if blocks.iter().any(|earlier| earlier.value == value) {
            table.file.reject(&text.span, format!("{path} has \"{value}\" twice"), "remove one");
            continue;
        }
        blocks.push(At { value, span: text.span.clone() });
    }
    Some(blocks)
}
