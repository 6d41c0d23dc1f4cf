//! EC2: what AWS refuses and moto does not, and states that take time.

pub(crate) mod late;

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::call::{Answer, Call};
use crate::sim::Sim;

/// What lab-sim knows about EC2 resources that moto does not.
#[derive(Debug)]
pub(crate) struct Ec2Overlay {}

impl Ec2Overlay {
    pub(crate) fn new(_my_ip: Ipv4Addr) -> Self {
        Self {}
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {}
}

/// Answers a call to EC2.
pub(crate) async fn answer_call(
    sim: &Arc<Sim>,
    call: &Call,
    _late_visibility_ms: Option<u64>,
) -> Answer {
    sim.moto.forward(call).await
}
