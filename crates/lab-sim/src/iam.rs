//! IAM: new roles and profiles that other services do not know yet, where a fault rule says so.

use std::sync::Arc;

use crate::call::{Answer, Call};
use crate::faults::rules::Aftermath;
use crate::sim::Sim;

/// Answers a call to IAM.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call, aftermath: Aftermath) -> Answer {
    let answer = sim.moto.forward(call).await;
    if let Some(ms) = aftermath.late_visibility_ms
        && answer.status().is_success()
    {
        let created = match call.class.action.as_str() {
            "CreateRole" => call.param("RoleName").map(role_name),
            "CreateInstanceProfile" => call.param("InstanceProfileName").map(profile_name),
            _ => None,
        };
        if let Some(created) = created {
            sim.late.hide(&created, ms, sim.times.now());
        }
    }
    answer
}

/// How a role is called among the hidden names; `role` is a name or an ARN.
pub(crate) fn role_name(role: &str) -> String {
    format!("role/{}", last_part(role))
}

/// How an instance profile is called among the hidden names; `profile` is a name or an ARN.
pub(crate) fn profile_name(profile: &str) -> String {
    format!("instance-profile/{}", last_part(profile))
}

/// The name at an ARN's end.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
