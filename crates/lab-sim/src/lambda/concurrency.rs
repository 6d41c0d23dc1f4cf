//! Reserved concurrency, and the account's limits as Lambda shows them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::{FunctionKey, key_of, not_found};
use crate::call::{Answer, Call, answer, json_answer};
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, lock};

fn find(sim: &Sim, call: &Call) -> Result<FunctionKey, ServiceError> {
    let key = key_of(call);
    match sim.lambda.find(&key) {
        Some(_) => Ok(key),
        None => Err(not_found(sim, &key)),
    }
}

/// Reserves, as long as enough stays for the account's other functions.
pub(crate) fn put(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = find(sim, call)?;
    let wanted = &call.json()["ReservedConcurrentExecutions"];
    let Some(wanted) = wanted.as_u64().and_then(|wanted| u32::try_from(wanted).ok()) else {
        let message = format!(
            "1 validation error detected: Value '{wanted}' at 'reservedConcurrentExecutions' failed to satisfy constraint: \
             Member must have value greater than or equal to 0"
        );
        return Err(ServiceError::new(400, "ValidationException", message));
    };
    sim.lambda.slots.reserve(&key, wanted).map_err(|least| {
        let message = format!(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
             minimum value of [{least}]."
        );
        ServiceError::new(400, "InvalidParameterValueException", message)
    })?;
    Ok(json_answer(200, &json!({ "ReservedConcurrentExecutions": wanted })))
}

pub(crate) fn get(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = find(sim, call)?;
    let shown = match sim.lambda.slots.reserved(&key) {
        Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }),
        None => json!({}),
    };
    Ok(json_answer(200, &shown))
}

pub(crate) fn delete(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    sim.lambda.slots.release(&find(sim, call)?);
    Ok(answer(204, "application/json", Bytes::new()))
}

/// Answers `GetAccountSettings`. The sizes are those of a new account.
pub(crate) fn account_settings(sim: &Arc<Sim>, call: &Call) -> Answer {
    let region = &call.class.region;
    let functions = lock(&sim.lambda.functions);
    let here: Vec<_> = functions.values().filter(|function| function.key.region == *region).collect();
    let size: usize = here.iter().map(|function| function.current().code.zip.len()).sum();
    json_answer(
        200,
        &json!({
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800_u64,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": sim.lambda.slots.limit,
                "UnreservedConcurrentExecutions": sim.lambda.slots.unreserved(region),
            },
            "AccountUsage": { "TotalCodeSize": size, "FunctionCount": here.len() },
        }),
    )
}
