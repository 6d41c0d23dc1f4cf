//! Open and closed, each as the steps that lead there. Pure.

use lab_common::prices;
use lab_ec2::NatGateway;
use lab_plan::{Action, Plan, Problem, Step, Usual};

use super::live::{Address, NatLive};
use super::{ADDRESS, GATEWAY, NatWant};
use crate::live::Table;
use crate::want::MAIN_TABLE;

/// The role of the private subnets' way out.
const ROUTE: &str = "route 0.0.0.0/0";

/// AWS gives no figure. Twelve logs of Terraform that people have published say 1:25 to 2:05.
const OPENS: Usual = Usual::minutes(1, 3, "published logs of Terraform, for a NAT gateway");

/// AWS gives no figure for this either. Five published logs of Terraform say 20 s to 1:01.
const CLOSES: Usual = Usual::seconds(20, 60, "published logs of Terraform, for a NAT gateway's deletion");

/// What one step does. What exists is named by id, what may not exist yet by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatOp {
    /// Allocates the address.
    Allocate,
    /// Makes the gateway.
    CreateGateway {
        /// The role of its subnet.
        subnet: String,
        /// Gateways that are gone: a client token answered with one of them is used up.
        gone: Vec<String>,
    },
    /// Waits for the gateway and sends 0.0.0.0/0 to it.
    Route {
        /// There is a 0.0.0.0/0 already.
        replace: bool,
    },
    /// Takes 0.0.0.0/0 out of a table.
    DeleteRoute {
        /// The table's id.
        table: String,
    },
    /// Deletes a gateway and waits until it is gone.
    DeleteGateway {
        /// Its id.
        id: String,
    },
    /// Waits until a gateway is gone that is being deleted already.
    AwaitDeleted {
        /// Its id.
        id: String,
    },
    /// Gives an address back.
    Release {
        /// Its allocation's id.
        id: String,
    },
}

/// The steps that open the window; or everything that forbids it.
pub(crate) fn plan(want: &NatWant, live: &NatLive) -> Result<Plan<NatOp>, Vec<Problem>> {
    let obstacles = find_obstacles(want, live);
    let Some((subnet, _)) = want.subnet.as_ref().filter(|_| obstacles.is_empty()) else { return Err(obstacles) };
    let (gateway, address) = (live.gateway(), live.address());
    let mut plan = Plan { usd_per_hour: prices::NAT_GATEWAY + prices::PUBLIC_IPV4, ..Plan::default() };
    let mut add = |wanted: bool, step: Step<NatOp>| if wanted { plan.steps.push(step) } else { plan.unchanged += 1 };

    let allocate = Step::new(Action::Create, "elastic-ip", ADDRESS, &want.address, NatOp::Allocate);
    add(address.is_none(), allocate.costs(prices::PUBLIC_IPV4));
    let losers = remove_losers(live);
    // One that is still being deleted may hold the address.
    let leaving = losers.iter().filter(|step| matches!(step.op, NatOp::AwaitDeleted { .. }));
    let gone = live.gateways.iter().filter(|gateway| !gateway.is_open()).map(|gateway| gateway.id.clone()).collect();
    let op = NatOp::CreateGateway { subnet: subnet.clone(), gone };
    let create = Step::new(Action::Create, "natgateway", GATEWAY, &want.gateway, op);
    let needs = leaving.map(|step| step.role.clone()).chain([ADDRESS.to_owned()]);
    add(gateway.is_none(), create.needs(needs).costs(prices::NAT_GATEWAY).detail("a started hour is billed whole"));
    let table = live.main_table();
    let target = table.and_then(|table| table.default_route.as_deref());
    let routed = gateway.is_some_and(|gateway| target == Some(&gateway.id)) && !table.is_some_and(|t| t.blackhole);
    let op = NatOp::Route { replace: target.is_some() };
    let route = Step::new(Action::Update, "route-table", ROUTE, &want.table, op);
    add(
        !routed,
        // It waits for the gateway.
        route
            .needs([GATEWAY, MAIN_TABLE])
            .usually(OPENS)
            .detail(format!("0.0.0.0/0 to {}, once it is available", want.gateway)),
    );

    plan.steps.extend(losers);
    Ok(plan)
}

/// What runs that did not see each other, or were killed, have left: all but the gateway and the address that count.
fn remove_losers(live: &NatLive) -> Vec<Step<NatOp>> {
    let counted = live.gateway();
    let others = live.gateways.iter().filter(|other| !other.is_gone() && counted.is_none_or(|one| one.id != other.id));
    let mut steps: Vec<_> = others
        .map(|other| {
            let needs = if other.is_open() { vec![ROUTE] } else { Vec::new() };
            remove_gateway(other).needs(needs)
        })
        .collect();
    // A gateway that does not say which address is its own could have any of them.
    let counted = live.address().filter(|_| counted.is_none_or(|gateway| gateway.allocation.is_some()));
    let spare = live.addresses.iter().filter(|address| counted.is_some_and(|counted| counted.id != address.id));
    let needs: Vec<_> = steps.iter().map(|step| step.role.clone()).collect();
    steps.extend(spare.map(|address| release(address).needs(needs.clone())));
    steps
}

/// The steps that close the window, however little of it is there.
///
/// The route and the gateway need not wait for each other: what costs goes at once, whatever becomes of the route.
pub(crate) fn teardown(live: &NatLive) -> Plan<NatOp> {
    let routes = live.tables.iter().filter(|table| live.leads_through_us(table)).map(remove_route);
    let gateways: Vec<_> = live.gateways.iter().filter(|gateway| !gateway.is_gone()).map(remove_gateway).collect();
    let needs: Vec<_> = gateways.iter().map(|step| step.role.clone()).collect();
    let addresses = live.addresses.iter().map(|address| release(address).needs(needs.clone()));
    let steps: Vec<_> = routes.chain(gateways.iter().cloned()).chain(addresses).collect();
    Plan { steps, ..Plan::default() }
}

fn role_of_removal(id: &str) -> String {
    format!("delete {id}")
}

fn remove_route(table: &Table) -> Step<NatOp> {
    let target = table.default_route.as_deref().unwrap_or_default();
    let op = NatOp::DeleteRoute { table: table.id.clone() };
    let step = Step::new(Action::Update, "route-table", format!("{ROUTE} of {}", table.id), &table.name, op);
    step.detail(format!("no more 0.0.0.0/0 to {target}"))
}

fn remove_gateway(gateway: &NatGateway) -> Step<NatOp> {
    let (id, role) = (gateway.id.clone(), role_of_removal(&gateway.id));
    let delete = |op| Step::new(Action::Delete, "natgateway", role, &gateway.name, op).usually(CLOSES);
    if gateway.is_open() {
        delete(NatOp::DeleteGateway { id }).costs(-prices::NAT_GATEWAY).detail("and wait until it is gone")
    } else {
        delete(NatOp::AwaitDeleted { id }).detail("it is on its way out: wait until it is gone")
    }
}

fn release(address: &Address) -> Step<NatOp> {
    let op = NatOp::Release { id: address.id.clone() };
    let step = Step::new(Action::Delete, "elastic-ip", role_of_removal(&address.id), &address.name, op);
    step.costs(-prices::PUBLIC_IPV4).detail(address.public_ip.clone())
}

/// What is missing around the window, and what stands in its way.
fn find_obstacles(want: &NatWant, live: &NatLive) -> Vec<Problem> {
    let Some((role, name)) = &want.subnet else {
        return vec![
            Problem::usage("no subnet of lab.toml is behind the internet gateway: a NAT gateway has no place to stand")
                .fix("add one to [network]: subnets.public = { cidr = \"10.0.1.0/24\", internet = \"gateway\" }"),
        ];
    };
    let missing = |what: String| Problem::failed(what).fix("make the network first: net-up");
    let Some(vpc) = live.vpcs.first() else { return vec![missing("there is no VPC yet".into())] };
    let mut obstacles = Vec::new();
    if live.subnet(role).is_none_or(|subnet| subnet.vpc != vpc.id) {
        obstacles.push(missing(format!("there is no subnet {name} yet")));
    }
    match live.main_table() {
        None => obstacles.push(missing(format!("the VPC's own route table is not tagged as {} yet", want.table))),
        Some(table) if table.default_route.is_some() && !live.leads_through_us(table) => {
            let target = table.default_route.as_deref().unwrap_or_default();
            let what = format!("{} sends 0.0.0.0/0 to {target}, which is not of this lab", table.name);
            let fix = format!(
                "if nobody needs it: aws ec2 delete-route --route-table-id {} --destination-cidr-block 0.0.0.0/0",
                table.id
            );
            obstacles.push(Problem::failed(what).fix(fix));
        }
        Some(_) => {}
    }
    obstacles
}

#[cfg(test)]
mod tests;
