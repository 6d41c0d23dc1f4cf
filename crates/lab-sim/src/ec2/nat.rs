//! NAT gateways: `pending` and `deleting` for a while, and what a deleted gateway must let go.

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
}

/// The gateways by id.
pub(crate) type NatBook = HashMap<String, NatRecord>;

impl NatRecord {
    /// The state to show now, or none when moto's is right.
    fn shown_state(self, times: &StateTimes) -> Option<&'static str> {
        match self.deleted {
            Some(deleted) => (times.since(deleted) < times.nat_end()).then_some("deleting"),
            None => (times.since(self.created) < times.nat_start()).then_some("pending"),
        }
    }
}

/// Takes note of what a successful call did.
pub(crate) async fn record_change(sim: &Arc<Sim>, call: &Call, root: &Element) {
    match call.class.action.as_str() {
        "CreateNatGateway" => {
            for id in super::late::created_ids("CreateNatGateway", root) {
                lock(&sim.ec2.nats).entry(id).or_insert(NatRecord { created: sim.times.now(), deleted: None });
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
        let state = element
            .child_text("natGatewayId")
            .and_then(|id| book.get(&id).copied())
            .and_then(|record| record.shown_state(&sim.times));
        if let (Some(state), Some(shown)) = (state, element.child_mut("state")) {
            shown.set_text(state);
        }
    });
}

/// Leaves out gateways whose shown state is not among `wanted`.
pub(crate) fn keep_states(root: &mut Element, wanted: &[String]) {
    if let Some(gateways) = root.child_mut("natGatewaySet") {
        gateways.retain(|gateway| gateway.child_text("state").is_some_and(|state| wanted.contains(&state)));
    }
}
