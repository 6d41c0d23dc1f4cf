//! NAT gateways: `pending` and `deleting` for a while, `failed` where AWS would fail, and what a gateway that is gone must
//! let go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::call::Call;
use crate::sim::{Sim, StateTimes, lock};
use crate::xml::Element;

/// What lab-sim knows of a NAT gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NatRecord {
    created: Instant,
    deleted: Option<Instant>,
    failure: Option<Failure>,
}

/// Why a gateway never becomes available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Its VPC has no internet gateway.
    NotAttached,
    /// A fault rule says so.
    OnPurpose,
}

impl Failure {
    fn code(self) -> &'static str {
        match self {
            Self::NotAttached => "Gateway.NotAttached",
            Self::OnPurpose => "InternalError",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::NotAttached => "The VPC has no Internet gateway attached",
            Self::OnPurpose => "Network interface could not be created",
        }
    }
}

/// The gateways by id.
pub(crate) type NatBook = HashMap<String, NatRecord>;

impl NatRecord {
    /// The state to show now, or none when moto's is right.
    fn shown_state(self, times: &StateTimes) -> Option<&'static str> {
        match self.deleted {
            Some(deleted) => (times.since(deleted) < times.nat_end()).then_some("deleting"),
            None if times.since(self.created) < times.nat_start() => Some("pending"),
            None => self.failure.map(|_| "failed"),
        }
    }

    /// When it becomes available, or became so; `None` when its end has begun or it fails.
    pub(crate) fn available_from(self, times: &StateTimes) -> Option<Instant> {
        (self.deleted.is_none() && self.failure.is_none()).then(|| self.created + times.nat_start())
    }
}

/// Whether a gateway, as it is shown, still holds its subnet and its address.
pub(crate) fn holds_parts(gateway: &Element) -> bool {
    !matches!(gateway.child_text("state").as_deref(), Some("deleted" | "failed"))
}

/// Takes note of what a successful call did.
pub(crate) async fn record_change(sim: &Arc<Sim>, call: &Call, root: &Element, fails: bool) {
    match call.class.action.as_str() {
        "CreateNatGateway" => {
            for id in super::late::created_ids("CreateNatGateway", root) {
                if lock(&sim.ec2.nats).contains_key(&id) {
                    // A call repeated with its token creates nothing new.
                    continue;
                }
                let failure = if fails { Some(Failure::OnPurpose) } else { find_failure(sim, call, root).await };
                let record = NatRecord { created: sim.times.now(), deleted: None, failure };
                lock(&sim.ec2.nats).insert(id.clone(), record);
                if failure.is_some() {
                    release_parts(sim, call, &id).await;
                }
            }
        }
        "DeleteNatGateway" => {
            let Some(id) = call.param("NatGatewayId") else { return };
            if let Some(record) = lock(&sim.ec2.nats).get_mut(id) {
                record.deleted.get_or_insert_with(|| sim.times.now());
            }
            release_parts(sim, call, id).await;
        }
        _ => {}
    }
}

/// A public gateway needs an internet gateway in its VPC.
async fn find_failure(sim: &Arc<Sim>, call: &Call, root: &Element) -> Option<Failure> {
    let vpc = root.descend(&["natGateway", "vpcId"])?.text();
    let filter = [("Filter.1.Name", "attachment.vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let attached = sim.moto.ec2(&call.class.region, "DescribeInternetGateways", &filter).await?;
    let public = call.param("ConnectivityType") != Some("private");
    (public && attached.items("internetGatewaySet").is_empty()).then_some(Failure::NotAttached)
}

/// moto keeps a deleted gateway's interface and its hold on the address, which would block subnet and address for ever.
async fn release_parts(sim: &Arc<Sim>, call: &Call, id: &str) {
    let region = &call.class.region;
    let root = sim.moto.ec2(region, "DescribeNatGateways", &[("NatGatewayId.1", id)]).await.unwrap_or_default();
    for gateway in root.items("natGatewaySet") {
        for address in gateway.items("natGatewayAddressSet") {
            if let Some(association) = address.child_text("associationId") {
                sim.moto.ec2(region, "DisassociateAddress", &[("AssociationId", &association)]).await;
            }
            if let Some(nic) = address.child_text("networkInterfaceId") {
                sim.moto.ec2(region, "DeleteNetworkInterface", &[("NetworkInterfaceId", &nic)]).await;
            }
        }
    }
}

/// Gives the gateways of an answer their states.
pub(crate) fn show_states(sim: &Sim, root: &mut Element) {
    let book = lock(&sim.ec2.nats);
    root.visit_mut(&mut |element| {
        let record = element.child_text("natGatewayId").and_then(|id| book.get(&id).copied());
        let Some(record) = record else { return };
        if let (Some(state), Some(shown)) = (record.shown_state(&sim.times), element.child_mut("state")) {
            shown.set_text(state);
            if let ("failed", Some(failure)) = (state, record.failure) {
                element.set_child_text("failureCode", failure.code());
                element.set_child_text("failureMessage", failure.message());
            }
        }
    });
}

/// Leaves out gateways whose shown state is not among `wanted`.
pub(crate) fn keep_states(root: &mut Element, wanted: &[String]) {
    if let Some(gateways) = root.child_mut("natGatewaySet") {
        gateways.retain(|gateway| gateway.child_text("state").is_some_and(|state| wanted.contains(&state)));
    }
}
