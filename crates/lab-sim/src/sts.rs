//! STS: the identity that `--caller-arn` gives the caller, to play a role such as AWS Academy's `voclabs`.

use std::sync::Arc;

use crate::call::{Answer, Call};
use crate::sim::Sim;
use crate::xml::edit_answer;

/// Answers a call to STS.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    let answer = sim.moto.forward(call).await;
    let Some(arn) = &sim.caller_arn else { return answer };
    if call.class.action != "GetCallerIdentity" || !answer.status().is_success() {
        return answer;
    }
    edit_answer(answer, |root| {
        if let Some(identity) = root.child_mut("GetCallerIdentityResult") {
            identity.set_child_text("Arn", arn);
        }
    })
}
