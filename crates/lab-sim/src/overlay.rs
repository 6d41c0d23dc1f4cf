//! Which part of lab-sim answers a call: an overlay where AWS does more than moto, else moto.

use std::sync::Arc;

use crate::call::{Answer, Call};
use crate::faults::answers::ServiceError;
use crate::faults::rules::Aftermath;
use crate::late;
use crate::sim::Sim;

/// Answers a call. `aftermath` says what becomes of what it begins.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call, aftermath: Aftermath) -> Answer {
    if sim.disabled_regions.contains(&call.class.region) {
        return ServiceError::region_not_enabled(&call.class).to_answer(call.class.protocol);
    }
    if let Some(refusal) = sim.session_end.and_then(|end| end.refuse(call, &sim.times)) {
        return refusal;
    }
    if let Some(error) = late::refuse_hidden(sim, call) {
        return error.to_answer(call.class.protocol);
    }
    let answer = act(sim, call, aftermath).await;
    if let Some(ms) = aftermath.late_visibility_ms
        && answer.status().is_success()
    {
        late::hide_created(sim, call, &answer, ms);
    }
    late::remove_hidden(sim, call, answer)
}

async fn act(sim: &Arc<Sim>, call: &Call, aftermath: Aftermath) -> Answer {
    match call.class.service.as_str() {
        "acm" => crate::acm::answer_call(sim, call).await,
        "ec2" => crate::ec2::answer_call(sim, call, aftermath).await,
        "s3" => crate::s3::answer_call(sim, call).await,
        "lambda" => crate::lambda::answer_call(sim, call).await,
        "monitoring" => crate::monitoring::answer_call(sim, call).await,
        "s3control" => crate::s3control::answer_call(sim, call).await,
        "sqs" => crate::sqs::answer_call(sim, call).await,
        "ssm" => crate::ssm::answer_call(sim, call).await,
        "servicequotas" => crate::quotas::answer_call(sim, call).await,
        "sts" => crate::sts::answer_call(sim, call).await,
        "tagging" => crate::tagging::answer_call(sim, call).await,
        _ => sim.moto.forward(call).await,
    }
}
