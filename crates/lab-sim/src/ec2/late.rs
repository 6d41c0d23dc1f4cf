//! Late visibility.
use std::sync::Arc;

use crate::call::{Answer, Call};
use crate::sim::Sim;

/// IAM.
pub(crate) async fn answer_iam_call(
    sim: &Arc<Sim>,
    call: &Call,
    _late_visibility_ms: Option<u64>,
) -> Answer {
    sim.moto.forward(call).await
}
