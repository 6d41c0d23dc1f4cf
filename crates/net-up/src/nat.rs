//! The NAT window: for as long as it is open, the private subnets reach the internet, and every started hour costs.
//!
//! An address, a NAT gateway with it in a public subnet, and 0.0.0.0/0 in the VPC's own route table, which the private
//! subnets use. Opening is `up` of this concern, closing is its `down`; `run` keeps it open for one command.

mod apply;
mod failure;
mod live;
mod plan;
mod run;

use std::cell::Cell;
use std::time::Duration;

use aws_sdk_ec2::types::NatGatewayState;
use lab_account::Preflight;
use lab_common::roles::subnet as subnet_role;
use lab_common::{Internet, Session, Tags, prices};
use lab_ec2::{NatGateway, note_open_nat};
use lab_plan::{Concern, Context, Cost, Goal, Ids, Pace, Plan, Problem, Resource, Settling, Step, Verb};

pub(crate) use live::{Address, find_addresses};
pub(crate) use run::{run_during, run_task};

use crate::want::MAIN_TABLE;
use live::NatLive;
use plan::NatOp;

/// The role of the NAT gateway.
const GATEWAY: &str = "natgateway";
/// The role of its address.
const ADDRESS: &str = "elastic-ip nat";

/// The command that closes the window, however little of it is there.
const CLOSE: &str = "net-up nat close";

/// What an open window is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NatWant {
    gateway: String,
    address: String,
    table: String,
    /// Role and name of the subnet it stands in: the first one behind the internet gateway.
    subnet: Option<(String, String)>,
}

/// The NAT window of one lab.
#[derive(Debug)]
pub struct NatWindow {
    ec2: aws_sdk_ec2::Client,
    tags: Tags,
    want: NatWant,
    preflight: Preflight,
    /// Whether this run has begun to open it: what it had to look at and to decide before is done.
    begun: Cell<bool>,
}

/// How long a window that is opened for something stays open at least: a gateway takes two to three minutes, and what it
/// is opened for installs. It also must be closed again.
const TAKES: Duration = Duration::from_mins(10);

impl NatWindow {
    /// For opening, closing and looking at it alike. Nothing is called.
    pub fn new(session: &Session) -> Self {
        let Session { lab, names, .. } = session;
        let public = lab.network.subnets.iter().find(|subnet| subnet.internet == Internet::Gateway);
        let want = NatWant {
            gateway: names.nat_gateway(),
            address: names.nat_address(),
            table: names.main_route_table(),
            subnet: public.map(|subnet| (subnet_role(&subnet.role), names.subnet(&subnet.role))),
        };
        Self {
            ec2: aws_sdk_ec2::Client::new(&session.sdk),
            tags: session.tags.clone(),
            want,
            preflight: Preflight::new(session, TAKES),
            begun: Cell::default(),
        }
    }

    /// Whether this run may have opened it, in part at least.
    fn has_begun(&self) -> bool {
        self.begun.get()
    }
}

impl Concern for NatWindow {
    type Live = NatLive;
    type Op = NatOp;

    async fn observe(&self) -> Result<NatLive, Problem> {
        live::observe(&self.ec2, &self.tags).await
    }

    fn plan(&self, live: &NatLive) -> Result<Plan<NatOp>, Vec<Problem>> {
        plan::plan(&self.want, live)
    }

    fn teardown(&self, live: &NatLive) -> Result<Plan<NatOp>, Vec<Problem>> {
        Ok(plan::teardown(live))
    }

    fn settling(&self, live: &NatLive, goal: Goal) -> Result<Settling, Problem> {
        // Without a step of its own too: a gateway that was on its way becomes this run's to wait for, and to close.
        self.begun.set(true);
        let leaving = |gateway: &&NatGateway| match goal {
            Goal::Up => gateway.state == NatGatewayState::Pending,
            Goal::Down => gateway.state == NatGatewayState::Deleting,
        };
        let on_its_way = live.gateways.iter().filter(leaving);
        Ok(on_its_way.map(|gateway| format!("{} is {}", gateway.name, gateway.state)).collect())
    }

    fn pace(&self) -> Pace {
        Pace::MINUTES
    }

    /// Who cannot close it again must not open it.
    async fn look_around(&self) -> Result<(), Problem> {
        self.preflight.look_around().await
    }

    fn suspect(&self) -> Option<Problem> {
        self.preflight.find_wrong_clock()
    }

    fn judge(&self, _: &NatLive, _: &Plan<NatOp>) -> Result<Vec<String>, Problem> {
        self.preflight.judge(None)
    }

    fn full_cost(&self) -> Cost {
        Cost { usd_per_hour: prices::NAT_GATEWAY + prices::PUBLIC_IPV4, unpriced: Vec::new() }
    }

    fn ids(&self, live: &NatLive) -> Ids {
        let known = [
            (MAIN_TABLE, live.main_table().map(|table| table.id.clone())),
            (GATEWAY, live.gateway().map(|gateway| gateway.id.clone())),
            (ADDRESS, live.address().map(|address| address.id.clone())),
        ];
        let known = known.into_iter().filter_map(|(role, id)| Some((role.to_owned(), id?)));
        known.chain(live.subnets.iter().map(|subnet| (subnet.role.clone(), subnet.id.clone()))).collect()
    }

    async fn apply(&self, step: &Step<NatOp>, context: Context<'_>) -> Result<Option<String>, Problem> {
        self.begun.set(true);
        apply::apply(&self.ec2, &self.tags, step, context).await
    }

    /// Who has just opened it hears what it costs and how it is closed, too.
    fn notes(&self, live: &NatLive, _: Verb) -> Vec<String> {
        note_open_nat(&live.gateways, Verb::Status)
    }

    fn resources(&self, live: &NatLive) -> Vec<Resource> {
        list_resources(&live.gateways, &live.addresses)
    }
}

/// The window's gateways and addresses, for people and programs.
pub(crate) fn list_resources(gateways: &[NatGateway], addresses: &[Address]) -> Vec<Resource> {
    let there = gateways.iter().filter(|gateway| !gateway.is_gone());
    let gateways = there.map(|gateway| {
        let usd = if gateway.is_open() { prices::NAT_GATEWAY } else { 0.0 };
        let mut resource =
            Resource::new("natgateway", &gateway.name, &gateway.id).state(gateway.state.as_str()).costs(usd);
        if let Some(address) = &gateway.public_ip {
            resource = resource.with("public_ip", address.as_str());
        }
        if let Some(age) = gateway.age {
            resource = resource.with("open_minutes", age.as_secs() / 60);
        }
        resource
    });
    let addresses = addresses.iter().map(|address| {
        let state = if address.in_use { "associated" } else { "unassociated" };
        Resource::new("elastic-ip", &address.name, &address.id)
            .state(state)
            .costs(prices::PUBLIC_IPV4)
            .with("public_ip", address.public_ip.as_str())
    });
    gateways.chain(addresses).collect()
}

/// What net-up's other verbs say of addresses that no gateway has: they cost, and nothing shows it.
pub(crate) fn note_lone_addresses(gateways: &[NatGateway], addresses: &[Address]) -> Vec<String> {
    find_lone_addresses(gateways, addresses)
        .iter()
        .map(|address| format!("{}: {CLOSE}", describe_lone(address)))
        .collect()
}

/// What `down` of the network says of them: afterwards nobody would look for them.
pub(crate) fn refuse_lone_addresses(gateways: &[NatGateway], addresses: &[Address]) -> Vec<Problem> {
    let refuse = |address| Problem::failed(format!("{}: nothing was deleted", describe_lone(address))).fix(CLOSE);
    find_lone_addresses(gateways, addresses).iter().map(refuse).collect()
}

/// The addresses, where no gateway is left that they could belong to.
fn find_lone_addresses<'a>(gateways: &[NatGateway], addresses: &'a [Address]) -> &'a [Address] {
    if gateways.iter().all(NatGateway::is_gone) { addresses } else { &[] }
}

fn describe_lone(address: &Address) -> String {
    let Address { name, public_ip, .. } = address;
    format!("{name} ({public_ip}) belongs to no NAT gateway and costs ${} an hour", prices::PUBLIC_IPV4)
}
