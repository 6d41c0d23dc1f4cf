//! How many instances of functions may work at once: the account's limit in each Region, what functions reserve of it, and
//! what the others share (Lambda developer guide, "Understanding Lambda function scaling").

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::FunctionKey;
use crate::sim::lock;

/// What must stay for functions without a reservation; in a smaller account, all of it.
const UNRESERVED: u32 = 100;

/// How long a waiter sleeps at most before it looks whether its function is still there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The instances that work, and those that are reserved.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(crate) limit: u32,
    counts: Mutex<Counts>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    running: HashMap<FunctionKey, u32>,
    reserved: HashMap<FunctionKey, u32>,
}

/// Whose limit an invocation has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The function's own reservation.
    Function,
    /// What the account has for functions without one.
    Account,
}

impl Full {
    /// The reason in Lambda's answer.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Function => "ReservedFunctionConcurrentInvocationLimitExceeded",
            Self::Account => "ConcurrentInvocationLimitExceeded",
        }
    }
}

/// A working instance; dropping it frees its slot.
#[derive(Debug)]
pub(crate) struct Running {
    slots: Arc<Slots>,
    key: FunctionKey,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(running) = lock(&self.slots.counts).running.get_mut(&self.key) {
            *running = running.saturating_sub(1);
        }
        self.slots.freed.notify_waiters();
    }
}

impl Slots {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, counts: Mutex::default(), freed: Notify::new() }
    }

    /// Takes a slot for one more instance of the function.
    pub(crate) fn begin(self: &Arc<Self>, key: &FunctionKey) -> Result<Running, Full> {
        let mut counts = lock(&self.counts);
        match counts.reserved.get(key) {
            Some(reserved) if counts.running_of(key) >= *reserved => return Err(Full::Function),
            None if counts.shared(&key.region) >= self.limit.saturating_sub(counts.reserved_in(&key.region)) => {
                return Err(Full::Account);
            }
            _ => {}
        }
        *counts.running.entry(key.clone()).or_default() += 1;
        Ok(Running { slots: Arc::clone(self), key: key.clone() })
    }

    /// Takes a slot as soon as there is one; `None` once `is_gone` says so.
    pub(crate) async fn wait(self: &Arc<Self>, key: &FunctionKey, is_gone: impl Fn() -> bool) -> Option<Running> {
        loop {
            let freed = self.freed.notified();
            if is_gone() {
                return None;
            }
            if let Ok(running) = self.begin(key) {
                return Some(running);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, freed).await;
        }
    }

    /// Reserves instances for a function.
    ///
    /// # Errors
    /// The number that must stay unreserved, when fewer would.
    pub(crate) fn reserve(&self, key: &FunctionKey, wanted: u32) -> Result<(), u32> {
        let mut counts = lock(&self.counts);
        let others = counts.reserved_in(&key.region) - counts.reserved.get(key).copied().unwrap_or(0);
        let least = self.limit.min(UNRESERVED);
        if wanted > 0 && self.limit.saturating_sub(others.saturating_add(wanted)) < least {
            return Err(least);
        }
        counts.reserved.insert(key.clone(), wanted);
        drop(counts);
        self.freed.notify_waiters();
        Ok(())
    }

    /// Gives a function's reservation back.
    pub(crate) fn release(&self, key: &FunctionKey) {
        lock(&self.counts).reserved.remove(key);
        self.freed.notify_waiters();
    }

    pub(crate) fn reserved(&self, key: &FunctionKey) -> Option<u32> {
        lock(&self.counts).reserved.get(key).copied()
    }

    /// What functions without a reservation share.
    pub(crate) fn unreserved(&self, region: &str) -> u32 {
        self.limit.saturating_sub(lock(&self.counts).reserved_in(region))
    }

    /// No function reserves anything.
    pub(crate) fn reset(&self) {
        lock(&self.counts).reserved.clear();
    }
}

impl Counts {
    fn running_of(&self, key: &FunctionKey) -> u32 {
        self.running.get(key).copied().unwrap_or(0)
    }

    fn reserved_in(&self, region: &str) -> u32 {
        self.reserved.iter().filter(|(key, _)| key.region == region).map(|(_, reserved)| reserved).sum()
    }

    /// Instances that work on the account's common share.
    fn shared(&self, region: &str) -> u32 {
        let shared = |key: &&FunctionKey| key.region == region && !self.reserved.contains_key(key);
        self.running.keys().filter(shared).map(|key| self.running_of(key)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> FunctionKey {
        FunctionKey { region: "us-east-1".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_reservation_bounds_its_function_and_takes_from_the_others() {
        let slots = Arc::new(Slots::new(102));
        slots.reserve(&key("own"), 2).expect("two are left");
        assert_eq!(slots.reserve(&key("other"), 1), Err(100));
        assert_eq!(slots.unreserved("us-east-1"), 100);
        let running: Vec<_> = (0..2).map(|_| slots.begin(&key("own")).expect("reserved")).collect();
        assert_eq!(slots.begin(&key("own")).expect_err("full"), Full::Function);
        let shared: Vec<_> = (0..100).map(|_| slots.begin(&key("other")).expect("shared")).collect();
        assert_eq!(slots.begin(&key("third")).expect_err("full"), Full::Account);
        drop((running, shared));
        slots.begin(&key("own")).expect("free again");
    }

    #[test]
    fn an_account_of_ten_reserves_nothing_but_zero() {
        let slots = Arc::new(Slots::new(10));
        assert_eq!(slots.reserve(&key("own"), 1), Err(10));
        slots.reserve(&key("own"), 0).expect("off");
        assert_eq!(slots.begin(&key("own")).expect_err("off"), Full::Function);
        slots.release(&key("own"));
        slots.begin(&key("own")).expect("on again");
    }
}
