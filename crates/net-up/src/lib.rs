//! The lab's network: VPC, subnets, internet gateway, route tables, every security group.
//!
//! With them comes the NAT window (`nat`), which is open only while the private subnets need the internet.
//!
//! `want` turns the lab into what should be there, `live` reads what is, `plan` compares the two and `apply` carries
//! out one step. Only `live` and `apply` talk to AWS.

mod apply;
mod cli;
mod live;
mod nat;
mod plan;
mod rule;
mod want;

use std::ffi::OsString;
use std::time::Duration;

use lab_account::Preflight;
use lab_common::{Session, Tags, find_my_ip};
use lab_ec2::note_open_nat;
use lab_plan::{
    Concern, Context, Exit, Goal, Ids, Plan, Problem, Resource, Settling, Signals, Step, Stop, Verb, run_verb,
};

pub use cli::Args;
pub use nat::NatWindow;
pub use rule::show_permissions;

use cli::Task;
use live::Live;
use plan::Op;
use want::{GATEWAY, MAIN_TABLE, VPC, Want};

/// Runs the program as its arguments say: all but [`run_in_window`]'s part.
///
/// # Errors
/// What stopped it, ready to be shown.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let session = stop.or(Session::open(&args.lab)).await?;
    let verb = match args.task() {
        Task::Network(verb) => verb,
        Task::Nat(task) => return nat::run_task(&session, args, task, stop).await,
    };
    let network = match verb {
        Verb::Up | Verb::Plan { .. } => stop.or(Network::to_make(&session)).await?,
        Verb::Status | Verb::Down => Network::to_look_at(&session),
    };
    run_verb(&network.showing_window(), verb, &session.request(&args.lab, "net-up"), stop).await
}

/// Runs a command while the NAT window is open, and closes it whatever happens.
///
/// # Errors
/// When the window could not be opened, or not closed.
pub async fn run_in_window(args: &Args, command: &[OsString], signals: Signals) -> Result<Exit, Problem> {
    nat::run_during(args, command, signals).await
}

/// The network of one lab.
#[derive(Debug)]
pub struct Network {
    ec2: aws_sdk_ec2::Client,
    tags: Tags,
    want: Want,
    /// The NAT window counts among the resources.
    shows_window: bool,
    preflight: Preflight,
}

/// How long `up` may take: some twenty calls, most of them at once.
const TAKES: Duration = Duration::from_mins(2);

impl Network {
    /// For `up` and `plan`: finds out this machine's address where a rule needs it.
    ///
    /// # Errors
    /// When the address is needed and cannot be found out.
    pub async fn to_make(session: &Session) -> Result<Self, Problem> {
        let my_ip = if want::needs_my_ip(&session.lab) { Some(find_my_ip().await?) } else { None };
        Ok(Self::new(session, my_ip))
    }

    /// For reading and for taking down.
    pub fn to_look_at(session: &Session) -> Self {
        Self::new(session, None)
    }

    /// The NAT window is shown too, which is else a concern of its own ([`NatWindow`]).
    #[must_use]
    pub fn showing_window(self) -> Self {
        Self { shows_window: true, ..self }
    }

    fn new(session: &Session, my_ip: Option<std::net::Ipv4Addr>) -> Self {
        Self {
            ec2: aws_sdk_ec2::Client::new(&session.sdk),
            tags: session.tags.clone(),
            want: want::want(&session.lab, &session.names, &session.region, my_ip),
            shows_window: false,
            preflight: Preflight::new(session, TAKES),
        }
    }
}

impl Concern for Network {
    type Live = Live;
    type Op = Op;

    async fn observe(&self) -> Result<Live, Problem> {
        live::observe(&self.ec2, &self.tags).await
    }

    fn plan(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        plan::plan(&self.want, live)
    }

    fn compare(&self, live: &Live) -> Plan<Op> {
        plan::compare(&self.want, live)
    }

    fn teardown(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        plan::teardown(live)
    }

    fn settling(&self, live: &Live, goal: Goal) -> Result<Settling, Problem> {
        let pending = |state: &str| goal == Goal::Up && state == "pending";
        let vpcs = live.vpcs.iter().filter(|vpc| pending(&vpc.state)).map(|vpc| &vpc.name);
        let subnets = live.subnets.iter().filter(|subnet| pending(&subnet.state)).map(|subnet| &subnet.name);
        Ok(vpcs.chain(subnets).map(|name| format!("{name} is pending")).collect())
    }

    async fn look_around(&self) -> Result<(), Problem> {
        self.preflight.look_around().await
    }

    fn suspect(&self) -> Option<Problem> {
        self.preflight.find_wrong_clock()
    }

    fn judge(&self, _: &Live, _: &Plan<Op>) -> Result<Vec<String>, Problem> {
        self.preflight.judge(None)
    }

    fn ids(&self, live: &Live) -> Ids {
        let Live { subnets, groups, tables, .. } = live;
        let roles = [(VPC, live.vpc().map(|vpc| &vpc.id)), (GATEWAY, live.gateway().map(|gateway| &gateway.id))];
        let roles = roles.into_iter().filter_map(|(role, id)| Some((role.to_owned(), id?.clone())));
        let main = live.main_table().map(|table| (MAIN_TABLE.to_owned(), table.id.clone()));
        let tables = tables.iter().filter_map(|table| Some((table.role.clone()?, table.id.clone())));
        let subnets = subnets.iter().map(|subnet| (subnet.role.clone(), subnet.id.clone()));
        let groups = groups.iter().map(|group| (group.role.clone(), group.id.clone()));
        roles.chain(tables).chain(main).chain(subnets).chain(groups).collect()
    }

    async fn apply(&self, step: &Step<Op>, context: Context<'_>) -> Result<Option<String>, Problem> {
        apply::apply(&self.ec2, &self.tags, step, context).await
    }

    fn notes(&self, live: &Live, verb: Verb) -> Vec<String> {
        let lone = nat::note_lone_addresses(&live.nat_gateways, &live.nat_addresses);
        note_open_nat(&live.nat_gateways, verb).into_iter().chain(lone).collect()
    }

    fn resources(&self, live: &Live) -> Vec<Resource> {
        let Live { vpcs, subnets, gateways, tables, groups, .. } = live;
        let vpcs = vpcs
            .iter()
            .map(|vpc| Resource::new("vpc", &vpc.name, &vpc.id).state(&vpc.state).with("cidr", vpc.cidr.as_str()));
        let subnets = subnets.iter().map(|subnet| {
            Resource::new("subnet", &subnet.name, &subnet.id)
                .state(&subnet.state)
                .with("cidr", subnet.cidr.as_str())
                .with("zone", subnet.zone.as_str())
        });
        let gateways = gateways.iter().map(|gateway| {
            let state = if gateway.vpc.is_some() { "attached" } else { "detached" };
            Resource::new("internet-gateway", &gateway.name, &gateway.id).state(state)
        });
        // An untagged main table is the VPC's, not yet ours.
        let tables = tables.iter().filter(|table| table.role.is_some()).map(|table| {
            let route = table.default_route.as_deref().unwrap_or("none");
            Resource::new("route-table", &table.name, &table.id).with("default_route", route)
        });
        let groups = groups.iter().map(|group| {
            let rules: Vec<_> = group.rules.iter().map(ToString::to_string).collect();
            Resource::new("security-group", &group.name, &group.id).with("rules", rules)
        });
        let window =
            if self.shows_window { nat::list_resources(&live.nat_gateways, &live.nat_addresses) } else { Vec::new() };
        vpcs.chain(subnets).chain(gateways).chain(tables).chain(groups).chain(window).collect()
    }
}
