//! EC2: what AWS refuses and moto does not, answers that a `ClientToken` repeats, and states that take time.

mod addresses;
pub(crate) mod client_vpn;
mod dependencies;
mod filters;
mod instances;
mod internet;
mod late;
mod nat;
mod regions;
mod tokens;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use crate::call::{Answer, Call, answer};
use crate::faults::answers::ServiceError;
use crate::faults::rules::Aftermath;
use crate::sim::{Sim, StateTimes, lock};
use crate::xml::{Element, with_document};
use addresses::AddressMap;
use client_vpn::ClientVpnOverlay;
use filters::take_filter;
use instances::InstanceBook;
use nat::NatBook;
use tokens::TokenBook;

/// What an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostState {
    pub(crate) runs: bool,
    /// What its user-data sets up answers.
    pub(crate) serves: bool,
}

/// What lab-sim knows about EC2 resources that moto does not.
#[derive(Debug)]
pub(crate) struct Ec2Overlay {
    my_ip: Ipv4Addr,
    addresses: Mutex<AddressMap>,
    instances: Mutex<InstanceBook>,
    nats: Mutex<NatBook>,
    tokens: TokenBook,
    pub(crate) vpn: ClientVpnOverlay,
}

impl Ec2Overlay {
    /// `my_ip` is the command's own address: no resource gets it.
    pub(crate) fn new(my_ip: Ipv4Addr) -> Self {
        Self {
            my_ip,
            addresses: Mutex::new(AddressMap::new(my_ip)),
            instances: Mutex::default(),
            nats: Mutex::default(),
            tokens: TokenBook::default(),
            vpn: ClientVpnOverlay::default(),
        }
    }

    /// Forgets everything.
    pub(crate) async fn reset(&self) {
        *lock(&self.addresses) = AddressMap::new(self.my_ip);
        lock(&self.instances).clear();
        lock(&self.nats).clear();
        self.tokens.reset().await;
        self.vpn.reset().await;
    }

    /// What an instance does now. One that lab-sim has not launched does nothing.
    pub(crate) fn host_state(&self, id: &str, times: &StateTimes) -> HostState {
        let instances = lock(&self.instances);
        let record = instances.get(id);
        HostState {
            runs: record.is_some_and(|record| record.runs(times)),
            serves: record.is_some_and(|record| record.serves(times)),
        }
    }

    /// Whether an instance's end has begun.
    fn has_ended(&self, id: &str) -> bool {
        lock(&self.instances).get(id).is_some_and(instances::InstanceRecord::has_ended)
    }
}

/// Answers a call to EC2.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call, aftermath: Aftermath) -> Answer {
    match try_answer(sim, call, aftermath).await {
        Ok(answer) => answer,
        Err(error) => error.to_answer(call.class.protocol),
    }
}

async fn try_answer(sim: &Arc<Sim>, call: &Call, aftermath: Aftermath) -> Result<Answer, ServiceError> {
    if call.param("DryRun") == Some("true") {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(ServiceError::new(412, "DryRunOperation", message));
    }
    if let Some(error) = late::refuse_hidden(&sim.late, call, sim.times.now()) {
        return Err(error);
    }
    client_vpn::sweep(sim).await;
    let restored = lock(&sim.ec2.addresses).restore(call);
    let call = restored.as_ref().unwrap_or(call);
    if let Some(error) = dependencies::refuse_in_use(sim, call).await {
        return Err(error);
    }
    if call.class.action == "GetConsoleOutput"
        && let Some(console) = instances::answer_console(sim, call)
    {
        return Ok(console);
    }
    let (question, wanted_states) = without_state_filter(call);
    let answer = ask(sim, &question, aftermath.fails).await?;
    if answer.status().is_success() && !call.class.action.starts_with("Describe") {
        sim.changed.notify_one();
    }
    if !answer.status().is_success() || !needs_reading(sim, &call.class.action) {
        return Ok(answer);
    }
    let Some(mut root) = Element::parse(answer.body()) else { return Ok(answer) };
    instances::record_change(sim, call, &root);
    nat::record_change(sim, call, &root, aftermath.fails).await;
    internet::record_change(sim, call).await;
    if let Some(ms) = aftermath.late_visibility_ms {
        for id in late::created_ids(&call.class.action, &root) {
            sim.late.hide(&id, ms, sim.times.now());
        }
    }
    match call.class.action.as_str() {
        "DescribeTags" => client_vpn::add_tags(sim, call, &mut root).await,
        "DescribeNetworkInterfaces" => client_vpn::show_interfaces(&mut root),
        _ => {}
    }
    edit(sim, call, &mut root, wanted_states.as_deref());
    Ok(with_document(answer, &root))
}

/// Has a call answered, once for each token.
async fn ask(sim: &Arc<Sim>, call: &Call, fails: bool) -> Result<Answer, ServiceError> {
    if tokens::has_token(call) {
        return tokens::answer_with_token(sim, call, act(sim, call, fails)).await;
    }
    act(sim, call, fails).await
}

/// Carries a call out: by ourselves where moto knows nothing, else by moto with what belongs before and after it.
async fn act(sim: &Arc<Sim>, call: &Call, fails: bool) -> Result<Answer, ServiceError> {
    if client_vpn::knows(call) {
        let root = client_vpn::answer_call(sim, call, fails).await?;
        return Ok(answer(200, "text/xml;charset=UTF-8", root.to_document()));
    }
    if call.class.action != "TerminateInstances" {
        return Ok(sim.moto.forward(call).await);
    }
    let interfaces = instances::find_interfaces(sim, call).await;
    let answer = sim.moto.forward(call).await;
    if answer.status().is_success() {
        instances::remove_interfaces(sim, &call.class.region, &interfaces).await;
    }
    Ok(answer)
}

/// moto knows final states only: a filter by state is applied here, to the states that are shown.
fn without_state_filter(call: &Call) -> (Call, Option<Vec<String>>) {
    let filter = match call.class.action.as_str() {
        "DescribeInstances" | "DescribeInstanceStatus" => "instance-state-name",
        "DescribeNatGateways" => "state",
        _ => return (call.clone(), None),
    };
    let (form, values) = take_filter(&call.form, filter);
    if values.is_some() { (call.with_form(form), values) } else { (call.clone(), None) }
}

/// Answers that are edited or taken note of; others pass unread.
fn needs_reading(sim: &Sim, action: &str) -> bool {
    const READ: &[&str] = &[
        "RunInstances",
        "StartInstances",
        "StopInstances",
        "TerminateInstances",
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeNetworkInterfaces",
        "DescribeAddresses",
        "AllocateAddress",
        "AssociateAddress",
        "AssociateClientVpnTargetNetwork",
        "DescribeTags",
        "CreateNatGateway",
        "DeleteNatGateway",
        "DescribeNatGateways",
        "DescribeRegions",
    ];
    let creates = action.starts_with("Create") || action.starts_with("Import");
    READ.contains(&action) || internet::is_turning_point(action) || creates || sim.late.hides_anything(sim.times.now())
}

fn edit(sim: &Sim, call: &Call, root: &mut Element, wanted_states: Option<&[String]>) {
    match call.class.action.as_str() {
        "DescribeInstances" | "RunInstances" => instances::show_states(sim, root),
        "DescribeInstanceStatus" => instances::show_statuses(sim, call, root),
        "DescribeNatGateways" | "CreateNatGateway" => nat::show_states(sim, root),
        "DescribeRegions" => regions::show_regions(sim, call, root),
        _ => {}
    }
    if let Some(wanted) = wanted_states {
        match call.class.action.as_str() {
            "DescribeNatGateways" => nat::keep_states(root, wanted),
            _ => instances::keep_states(root, wanted),
        }
    }
    if call.class.action.starts_with("Describe") && sim.late.hides_anything(sim.times.now()) {
        late::remove_hidden(&sim.late, root, sim.times.now());
    }
    lock(&sim.ec2.addresses).rewrite(root, &call.class.region);
}
