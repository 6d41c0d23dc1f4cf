//! How many of the function may work at once: a part of the account's quota, reserved for it and bounding it.

use lab_common::explain;
use lab_plan::{Pace, Problem, Stop, retry_while};

use crate::clients::Clients;
use crate::error::is_function_unsettled;
use crate::want::Want;

/// The account's room for concurrent functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// The quota of the Region.
    pub(crate) limit: i32,
    /// What no function has reserved.
    pub(crate) unreserved: i32,
}

/// So many must stay unreserved (Lambda developer guide, "Configuring reserved concurrency"). A quota below that, as new
/// accounts and Learner Labs have it, cannot be reserved from.
const STAYS_UNRESERVED: i32 = 100;

impl Room {
    /// Whether a function that has reserved `now` can reserve `wanted`.
    pub(crate) const fn has(self, wanted: i32, now: i32) -> bool {
        self.unreserved + now - wanted >= STAYS_UNRESERVED
    }
}

/// Reserves `wanted`, which bounds the function too.
pub(crate) async fn reserve(clients: &Clients, want: &Want, wanted: i32, stop: &Stop) -> Result<String, Problem> {
    let name = &want.function.name;
    let put = clients.lambda.put_function_concurrency().function_name(name).reserved_concurrent_executions(wanted);
    let answer = retry_while(Pace::SPREAD, stop, is_function_unsettled, async || put.clone().send().await).await;
    answer.map_err(|error| explain("PutFunctionConcurrency", &error))?;
    Ok(name.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_account_with_the_quota_of_a_new_one_has_nothing_to_reserve() {
        assert!(!Room { limit: 10, unreserved: 10 }.has(1, 0));
        assert!(Room { limit: 1000, unreserved: 1000 }.has(900, 0));
        assert!(!Room { limit: 1000, unreserved: 1000 }.has(901, 0));
        assert!(Room { limit: 1000, unreserved: 100 }.has(50, 50), "what it has already counts");
    }

    proptest! {
        #[test]
        fn whoever_may_reserve_may_reserve_less(unreserved in 0i32..2000, now in 0i32..500, wanted in 1i32..1000) {
            let room = Room { limit: unreserved + now, unreserved };
            prop_assert!(!room.has(wanted, now) || room.has(wanted - 1, now));
        }
    }
}
