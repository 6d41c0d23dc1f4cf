//! SSM's public parameters under `/aws/service/` that moto lacks.

use std::sync::Arc;

use crate::call::{Answer, Call};
use crate::sim::Sim;

/// Answers a call to SSM.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    sim.moto.forward(call).await
}
