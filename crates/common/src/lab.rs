//! A lab, validated: plain data that every concern starts from.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use crate::{Caller, Recipe};

/// What `lab.toml` says, checked once and completely by [`crate::read_lab`].
#[derive(Debug, Clone, PartialEq)]
pub struct Lab {
    /// The first part of every name.
    pub name: String,
    /// The last part of every name that AWS wants unique.
    pub owner: String,
    /// The AWS Region, where the command line or the file names one.
    pub region: Option<String>,
    /// Whose rules the account has.
    pub account: Account,
    /// The VPC and its subnets.
    pub network: Network,
    /// The hosts, in the file's order.
    pub hosts: Vec<Host>,
    /// The image pipeline, where the lab has one.
    pub images: Option<Images>,
    /// The Client VPN, where the lab has one.
    pub vpn: Option<Vpn>,
    /// How much it may cost.
    pub budget: Budget,
}

impl Lab {
    /// The host of that role.
    pub fn host(&self, role: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.role == role)
    }

    /// The subnet of that role. Every reference in a validated lab resolves.
    pub fn subnet(&self, role: &str) -> Option<&Subnet> {
        self.network.subnets.iter().find(|subnet| subnet.role == role)
    }

    /// Whether a host's subnet is behind the internet gateway. It has a public address then, and the internet at once.
    pub fn is_public(&self, host: &Host) -> bool {
        self.subnet(&host.subnet).is_some_and(|subnet| subnet.internet == Internet::Gateway)
    }

    /// Whether a host can install what it runs only while a NAT window is open.
    pub fn needs_window(&self, host: &Host) -> bool {
        host.runs.is_some() && !self.is_public(host)
    }
}

/// Whose rules the account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Look at who the caller is.
    Auto,
    /// An AWS Academy Learner Lab.
    Academy,
    /// An account of one's own.
    Own,
}

impl Account {
    /// Whether it is a Learner Lab: as lab.toml says, else as the caller's name says. An unknown caller is none.
    pub fn is_academy(self, caller: Option<&Caller>) -> bool {
        match self {
            Self::Academy => true,
            Self::Own => false,
            Self::Auto => caller.is_some_and(Caller::is_academy),
        }
    }

    /// Whether a Learner Lab's limits hold: lab.toml or the caller's name says that it is one. Who goes past some of them
    /// loses the account, so a word in lab.toml does not switch them off.
    pub fn has_academy_limits(self, caller: Option<&Caller>) -> bool {
        self.is_academy(caller) || caller.is_some_and(Caller::is_academy)
    }
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The VPC's IPv4 block, /16 to /28.
    pub cidr: Ipv4Net,
    /// Its subnets, in the file's order; inside the VPC and apart from each other.
    pub subnets: Vec<Subnet>,
}

/// One subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its key in the file (`public`).
    pub role: String,
    /// Its IPv4 block, /16 to /28.
    pub cidr: Ipv4Net,
    /// How it reaches the internet.
    pub internet: Internet,
    /// The letter of its Availability Zone; AWS chooses where none is given.
    pub zone: Option<char>,
}

/// How a subnet reaches the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Internet {
    /// Through the internet gateway; its hosts get public addresses.
    Gateway,
    /// Not at all, but for the time of a NAT window.
    None,
}

/// `[hosts.ROLE]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its key in the file (`public`).
    pub role: String,
    /// The role of its subnet.
    pub subnet: String,
    /// What it boots.
    pub image: Image,
    /// Its instance type (`t3.micro`).
    pub size: String,
    /// What its user-data installs; nothing when absent.
    pub runs: Option<Runs>,
    /// Who may reach it.
    pub allow: Vec<Allow>,
    /// An existing key pair to use instead of one of our own.
    pub key: Option<String>,
    /// Its root volume in GB, 8 to 16,384.
    pub disk_gb: i32,
}

/// What a host boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// The current Amazon Linux 2023.
    AmazonLinux2023,
    /// The current Ubuntu 24.04 LTS.
    Ubuntu2404,
    /// This image.
    Ami(String),
}

/// What a host's user-data installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// A Jupyter server on port 8888, with boto3 and Pillow.
    Jupyter,
    /// A `FileGator` file server in Docker on port 8080.
    Filegator,
}

/// One `allow` entry: a port and who may reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The port, 1 to 65,535.
    pub port: u16,
    /// TCP unless said otherwise.
    pub protocol: Protocol,
    /// Who may reach it.
    pub from: Source,
}

/// A transport protocol of a security group's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// EC2's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Who may reach a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This machine's public address.
    Me,
    /// Whoever is connected to the VPN.
    Vpn,
    /// The host of this role.
    Host(String),
    /// These addresses.
    Cidr(Ipv4Net),
    /// Everybody; asked about before it is applied.
    Anywhere,
}

/// `[images]`: the S3 → Lambda → S3 pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The bucket that is watched, `{owner}` substituted.
    pub input: String,
    /// The bucket the function writes to; never the input bucket.
    pub output: String,
    /// The function's name, `{owner}` substituted.
    pub function: String,
    /// What the function does.
    pub mode: Mode,
    /// Only keys that begin with this trigger the function; may be empty.
    pub prefix: String,
    /// Only keys that end with this trigger the function; may be empty.
    pub suffix: String,
    /// The function's memory in MB, 128 to 10,240.
    pub memory_mb: i32,
    /// The function's time limit in seconds, 1 to 900.
    pub timeout_s: i32,
    /// What it makes of a picture; empty where it copies.
    pub recipe: Recipe,
    /// Whether S3 tells a queue, and the queue the function.
    pub queue: bool,
    /// Whether what the function could not do is kept in a queue of its own; always with `queue`.
    pub dead_letters: bool,
    /// How many of the function may work at once, 1 to 1,000, with a queue 2 at least; no bound where absent.
    pub concurrency: Option<i32>,
    /// What the function is built for.
    pub arch: Arch,
    /// The largest picture it decodes, in pixels; the function's own limit where absent.
    pub max_pixels: Option<u64>,
    /// How long it may work on one picture, in seconds; at most `timeout_s`; the function's own limit where absent.
    pub record_seconds: Option<u32>,
}

impl Images {
    /// The variables of the function's environment that lab.toml decides. One that is not among [`Images::environment`]
    /// must not be set.
    pub fn variables() -> impl Iterator<Item = &'static str> {
        ["OUTPUT_BUCKET", "MODE", "MAX_PIXELS", "RECORD_SECONDS"].into_iter().chain(Recipe::VARIABLES)
    }

    /// The function's variables with their values.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let bounds = [
            ("MAX_PIXELS", self.max_pixels.map(|pixels| pixels.to_string())),
            ("RECORD_SECONDS", self.record_seconds.map(|seconds| seconds.to_string())),
        ];
        [("OUTPUT_BUCKET", self.output.clone()), ("MODE", self.mode.as_str().to_owned())]
            .into_iter()
            .chain(bounds.into_iter().filter_map(|(name, value)| Some((name, value?))))
            .chain(self.recipe.environment())
            .collect()
    }

    /// The keys of the results of the object `key`.
    pub fn result_keys(&self, key: &str) -> Vec<String> {
        self.recipe.result_keys(key)
    }
}

/// What a function is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// Intel and AMD.
    X86,
    /// AWS Graviton.
    Arm,
}

impl Arch {
    /// Lambda's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        }
    }
}

/// What the function does with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Writes it as PNG, upright and without metadata.
    Png,
    /// Copies its bytes unchanged.
    Copy,
}

impl Mode {
    /// The word of lab.toml and of the function's environment.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Copy => "copy",
        }
    }
}

/// `[vpn]`: the Client VPN endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpn {
    /// Where clients get their addresses, /12 to /22, apart from the VPC.
    pub client_cidr: Ipv4Net,
    /// The roles of the associated subnets, one per zone.
    pub subnets: Vec<String>,
    /// The names of the client certificates.
    pub clients: Vec<String>,
    /// Only the VPC's traffic takes the tunnel.
    pub split_tunnel: bool,
    /// When a session ends: 8, 10, 12 or 24 hours.
    pub session_hours: i32,
    /// How long connections are logged, in days; 0 for no log.
    pub log_days: i32,
    /// 443 or 1194.
    pub port: i32,
    /// UDP or TCP.
    pub transport: Transport,
    /// Routes beyond the VPC's own.
    pub routes: Vec<Ipv4Net>,
    /// The networks clients may reach.
    pub allow_networks: Vec<Ipv4Net>,
}

impl Vpn {
    /// What a client's name may be, as a fix.
    pub const CLIENT_NAME: &str =
        "use up to 48 letters, digits, hyphens and underscores, a letter or digit first; not `ca`, not `server`";

    /// Whether a client may have this name. It becomes a file's name and a certificate's common name, beside those of
    /// the CA and the server.
    pub fn is_client_name(name: &str) -> bool {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= 48
            && name.chars().all(legal)
            && !["ca", "server"].iter().any(|taken| name.eq_ignore_ascii_case(taken))
    }
}

/// What carries the tunnel.
pub type Transport = Protocol;

/// `[budget]`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// What the whole lab may cost, in US dollars.
    pub usd: f64,
    /// A part of the lab (a program) asks before it adds to its costs, when all of it would cost more than this
    /// afterwards, in US dollars an hour.
    pub ask_above: f64,
    /// How long the lab is expected to stand, in hours; more than 0.
    pub hours: f64,
}
