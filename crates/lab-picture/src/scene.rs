//! What is drawn: a lab as plain data. Whoever reads AWS fills it in; nothing here knows AWS.

use serde::{Deserialize, Serialize};

/// A lab, or what `up` would make of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// The lab's name.
    pub lab: String,
    /// Whose it is.
    pub owner: String,
    /// The AWS Region.
    pub region: String,
    /// The last four digits of the account's number; never more.
    pub account: Option<String>,
    /// When it was looked at, as it is shown.
    pub at: String,
    /// Whether it shows what is, or what would be.
    pub view: View,
    /// What everything costs, in US dollars an hour; parts that are not drawn included.
    pub usd_per_hour: f64,
    /// It costs that at least: something could not be looked at, or has no known price.
    #[serde(default)]
    pub is_at_least: bool,
    /// What everything would cost after `up`, in US dollars an hour, where that is shown.
    #[serde(default)]
    pub usd_per_hour_after: Option<f64>,
    /// The user's own machine.
    pub laptop: Part,
    /// The network, where the lab has or wants one.
    pub vpc: Option<Vpc>,
    /// Buckets and function, where the lab has or wants them.
    pub pipeline: Option<Pipeline>,
    /// What else exists and deserves to be seen: it costs money, or nobody expects it.
    pub others: Vec<Part>,
    /// What whoever sees the picture must know besides: what could not be read.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What a picture shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// What exists.
    #[default]
    Live,
    /// What `up` would do.
    Plan,
}

/// How a part stands to what lab.toml wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// It is there, as wanted.
    #[default]
    There,
    /// Wanted, and not there.
    Missing,
    /// There, and different from what is wanted.
    Drifted,
    /// There, and in no lab.toml.
    Unexpected,
    /// `up` would make it.
    Add,
    /// `up` would change it.
    Change,
    /// `up` would remove it.
    Remove,
    /// `up` would neither make nor change it: it stops here.
    Blocked,
    /// Nobody could read whether it is there, or whether it is as wanted.
    Unknown,
}

/// How well something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// It works.
    #[default]
    Good,
    /// It is on its way to somewhere.
    Busy,
    /// It does not work.
    Bad,
    /// It is switched off.
    Off,
}

/// What every drawn thing has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What AWS calls it, where its place in the picture does not say that.
    #[serde(default)]
    pub service: Option<String>,
    /// Its Name tag, or its name.
    pub name: String,
    /// Its id, where AWS gave it one.
    pub id: Option<String>,
    /// What else there is to say, a short text each.
    pub lines: Vec<String>,
    /// Its state in AWS's word, and how that is.
    pub state: Option<(String, Health)>,
    /// How it stands to what is wanted.
    pub presence: Presence,
    /// In what it differs; what `up` would change.
    pub why: Option<String>,
    /// What it costs, in US dollars an hour.
    pub usd_per_hour: f64,
}

impl Part {
    /// Something that is there as wanted.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With its id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// With one more thing to say.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// With its state.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>, health: Health) -> Self {
        self.state = Some((state.into(), health));
        self
    }

    /// With how it stands to what is wanted.
    #[must_use]
    pub fn presence(mut self, presence: Presence) -> Self {
        self.presence = presence;
        self
    }

    /// With in what it differs.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// With what it costs, in US dollars an hour.
    #[must_use]
    pub fn costs(mut self, usd_per_hour: f64) -> Self {
        self.usd_per_hour = usd_per_hour;
        self
    }
}

/// The network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vpc {
    /// The VPC itself.
    pub part: Part,
    /// Its IPv4 block.
    pub cidr: String,
    /// Its internet gateway.
    pub gateway: Option<Part>,
    /// Its subnets, in lab.toml's order.
    pub subnets: Vec<Subnet>,
    /// The Client VPN endpoint.
    pub vpn: Option<Vpn>,
}

/// A subnet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// The subnet itself.
    pub part: Part,
    /// Its key in lab.toml.
    pub role: String,
    /// Its IPv4 block.
    pub cidr: String,
    /// Its Availability Zone, where that is known.
    pub zone: Option<String>,
    /// Where its traffic to the internet goes.
    pub route: Route,
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// The NAT gateway that stands in it.
    pub nat: Option<Part>,
}

/// Where 0.0.0.0/0 goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// Nowhere.
    #[default]
    None,
    /// To the internet gateway.
    Gateway,
    /// To the NAT gateway.
    Nat,
    /// To something else: its id.
    Other(String),
    /// Nobody could read it.
    Unknown,
}

/// A host, with its security group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The instance.
    pub part: Part,
    /// Its key in lab.toml.
    pub role: String,
    /// Its security group.
    pub group: Part,
    /// What that lets in; where its `why` is set and this is empty, that tells the reason.
    pub inbound: Vec<Inbound>,
    /// It may write to the input bucket, or should.
    pub writes: bool,
    /// How that stands to what is wanted.
    #[serde(default)]
    pub writing: Presence,
}

/// Ports that one source may reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Inbound {
    /// Who.
    pub from: Source,
    /// Which ports, as they are shown (`TCP 22, 8888`).
    pub ports: String,
    /// How these rules stand to what is wanted.
    pub presence: Presence,
}

/// Who may reach a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// Everybody.
    Anywhere,
    /// The user's machine, through the internet: its address, as it is shown.
    Laptop(String),
    /// These addresses, through the internet.
    Network(String),
    /// These addresses or this group, which no way from the internet leads to: a private block, another security group.
    Inside(String),
    /// Whoever is connected to the VPN.
    Vpn,
    /// The host of this role.
    Host(String),
}

/// The Client VPN endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vpn {
    /// The endpoint.
    pub part: Part,
    /// What carries the tunnel (`UDP 443`).
    pub carrier: String,
    /// The roles of the associated subnets, and how each association stands.
    pub subnets: Vec<(String, Presence)>,
}

/// Buckets and function.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// The bucket that is watched.
    pub input: Part,
    /// What makes the function run: `s3:ObjectCreated:*`, and which keys.
    pub trigger: Part,
    /// The queue between, where there is one.
    pub queue: Option<Part>,
    /// How the function takes messages from the queue; its presence and reason count.
    #[serde(default)]
    pub takes: Part,
    /// The function.
    pub function: Part,
    /// How it writes to the bucket behind it; its presence and reason count.
    #[serde(default)]
    pub writes: Part,
    /// The bucket it writes to.
    pub output: Part,
}
