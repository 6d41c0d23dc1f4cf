//! `[hosts.ROLE]`: the machines.

use super::{check_role, find_word, read_block};
use crate::table::{At, Table, describe_nearest};
use crate::{Allow, Host, Image, Protocol, Runs, Source};

/// Root volumes: the images of Amazon Linux and Ubuntu need 8 GB, gp3 ends at 16 TiB.
const DISK_GB: std::ops::RangeInclusive<i64> = 8..=16_384;

pub(super) fn read(table: &Table<'_>, root: &Table<'_>) -> Option<Vec<Host>> {
    let named = table.named_tables();
    let roles: Vec<String> = named.iter().map(|(role, _)| role.value.clone()).collect();
    let count = named.len();
    let hosts: Vec<_> = named
        .into_iter()
        .filter_map(|(role, host)| {
            let legal = check_role(table, &role) && check_not_vpn(table, &role);
            let host = read_host(role.value, &host, root, &roles);
            host.filter(|_| legal)
        })
        .collect();
    (hosts.len() == count).then_some(hosts)
}

/// The VPN's security group has the role `vpn`; a host's group has its host's.
fn check_not_vpn(table: &Table<'_>, role: &At<String>) -> bool {
    let free = role.value != "vpn";
    if !free {
        let what = "a host cannot be called `vpn`: that is the VPN's own name".to_owned();
        table.file.reject(&role.span, what, "give it another name");
    }
    free
}

fn read_host(role: String, table: &Table<'_>, root: &Table<'_>, roles: &[String]) -> Option<Host> {
    let subnet = table.required_string("subnet", "\"public\"").filter(|name| check_subnet(table, "subnet", name, root));
    let image = table.required_string("image", "\"amazon-linux-2023\"").and_then(|image| read_image(table, &image));
    let size = table.string("size");
    let size = size.map_or(Some("t3.micro".to_owned()), |size| read_size(table, size));
    let words = [("jupyter", Runs::Jupyter), ("filegator", Runs::Filegator)];
    let runs = table.string("runs").map(|word| find_word(table, "runs", &word, &words).ok_or(())).transpose();
    let allow = table.tables("allow").map_or(Some(Vec::new()), |entries| {
        let count = entries.len();
        let allow: Vec<_> = entries.iter().filter_map(|entry| read_allow(entry, root, roles)).collect();
        (allow.len() == count).then_some(allow)
    });
    let key = table.string("key").map(|key| key.value);
    let disk_gb = table.integer("disk_gb", DISK_GB);
    let disk_gb = disk_gb.map_or(8, |number| i32::try_from(number.value).unwrap_or(8));
    table.reject_unknown();
    Some(Host {
        role,
        subnet: subnet?.value,
        image: image?,
        size: size?,
        runs: runs.ok()?,
        allow: allow?,
        key,
        disk_gb,
    })
}

/// Whether a subnet of that name stands in `[network]`.
pub(super) fn check_subnet(table: &Table<'_>, key: &str, name: &At<String>, root: &Table<'_>) -> bool {
    let Some(subnets) = root.table("network").and_then(|network| network.table("subnets")) else { return true };
    let known: Vec<String> = subnets.named_tables().into_iter().map(|(role, _)| role.value).collect();
    if known.contains(&name.value) {
        return true;
    }
    let what = format!("{} = \"{}\" is not a subnet of [network]", table.path_of(key), name.value);
    table.file.reject(&name.span, what, describe_nearest(&name.value, known.iter().map(String::as_str)));
    false
}

fn read_image(table: &Table<'_>, image: &At<String>) -> Option<Image> {
    let is_ami = |id: &str| {
        id.strip_prefix("ami-").is_some_and(|hex| hex.len() >= 8 && hex.chars().all(|c| c.is_ascii_hexdigit()))
    };
    match image.value.as_str() {
        "amazon-linux-2023" => Some(Image::AmazonLinux2023),
        "ubuntu-24.04" => Some(Image::Ubuntu2404),
        ami if is_ami(ami) => Some(Image::Ami(ami.to_owned())),
        other => {
            let what = format!("{} = \"{other}\" is not an image", table.path_of("image"));
            let near = describe_nearest(other, ["amazon-linux-2023", "ubuntu-24.04"].into_iter());
            table.file.reject(&image.span, what, format!("{near}, or an id like ami-0123456789abcdef0"));
            None
        }
    }
}

/// The sizes of instance types that have no number (EC2 instance types guide, "Naming conventions").
const SIZES: [&str; 7] = ["nano", "micro", "small", "medium", "large", "xlarge", "metal"];

/// An instance type has a family and a size: `t3.micro`. New families come every year; the sizes stay.
fn read_size(table: &Table<'_>, size: At<String>) -> Option<String> {
    let word =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let parts = size.value.split_once('.').filter(|(family, size)| word(family) && word(size));
    let fix = match parts {
        Some((_, one)) if is_size(one) => return Some(size.value),
        Some((family, one)) => describe_nearest(one, SIZES.into_iter()).replacen('`', &format!("`{family}."), 1),
        None => "write one like \"t3.micro\"".to_owned(),
    };
    let what = format!("{} = \"{}\" is not an instance type", table.path_of("size"), size.value);
    table.file.reject(&size.span, what, fix);
    None
}

/// `micro`, `16xlarge`, `metal`, `metal-24xl`.
fn is_size(size: &str) -> bool {
    let number =
        size.strip_suffix("xlarge").or_else(|| size.strip_prefix("metal-").and_then(|rest| rest.strip_suffix("xl")));
    SIZES.contains(&size)
        || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
}

fn read_allow(table: &Table<'_>, root: &Table<'_>, roles: &[String]) -> Option<Allow> {
    table.required("port", "22");
    let port = table.integer("port", 1..=65_535).and_then(|port| u16::try_from(port.value).ok());
    let words = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
    let protocol = super::read_word(table, "protocol", &words, Protocol::Tcp);
    let from = table.required_string("from", "\"me\"").and_then(|from| read_source(table, &from, root, roles));
    table.reject_unknown();
    Some(Allow { port: port?, protocol: protocol?, from: from? })
}

fn read_source(table: &Table<'_>, from: &At<String>, root: &Table<'_>, roles: &[String]) -> Option<Source> {
    let At { value, span } = from;
    match value.as_str() {
        "me" => Some(Source::Me),
        "anywhere" => Some(Source::Anywhere),
        "vpn" => {
            if root.table("vpn").is_none() {
                let what = format!("{} = \"vpn\", but the lab has no VPN", table.path_of("from"));
                table.file.reject(span, what, "add a [vpn] section, or name another source");
                return None;
            }
            Some(Source::Vpn)
        }
        _ if value.contains('/') => match read_block(table, "from", from, 0..=32)? {
            everyone if everyone.prefix_len() == 0 => Some(Source::Anywhere),
            block => Some(Source::Cidr(block)),
        },
        _ => match value.strip_prefix("host:") {
            Some(host) if roles.iter().any(|role| role == host) => Some(Source::Host(host.to_owned())),
            Some(host) => {
                let what = format!("{} = \"{value}\" names no host of this lab", table.path_of("from"));
                table.file.reject(span, what, describe_nearest(host, roles.iter().map(String::as_str)));
                None
            }
            None => {
                let what = format!("{} = \"{value}\" is not a source", table.path_of("from"));
                table.file.reject(span, what, "write me, vpn, anywhere, host:NAME or a CIDR block");
                None
            }
        },
    }
}
