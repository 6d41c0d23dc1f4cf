//! One rate limiter for all calls of a process.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Calls a second that every account grants, to begin with. EC2 refills its mutating calls at 5 a second and its
/// describing ones at 20 (EC2 developer guide, "Request throttling"); bursts below cover a lab's few dozen calls.
const STEADY: f64 = 20.0;
/// Calls that may go out at once. EC2's smallest bucket for mutating calls holds 50.
const BURST: f64 = 50.0;
/// However much AWS throttles, one call a second still goes out.
const SLOWEST: f64 = 1.0;

/// A token bucket that slows down when AWS throttles and recovers as calls succeed.
#[derive(Debug)]
pub struct Limiter(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    rate: f64,
    tokens: f64,
    seen: Instant,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// A full bucket.
    pub fn new() -> Self {
        Self(Mutex::new(Bucket { rate: STEADY, tokens: BURST, seen: Instant::now() }))
    }

    /// Resolves when one more call may go out.
    pub async fn permit(&self) {
        let wait = self.lock().take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Says that AWS throttled a call: the rate halves and the burst is spent.
    pub fn throttled(&self) {
        let mut bucket = self.lock();
        bucket.rate = (bucket.rate / 2.0).max(SLOWEST);
        bucket.tokens = bucket.tokens.min(0.0);
    }

    /// Says that a call went through: the rate recovers a little.
    pub fn succeeded(&self) {
        let mut bucket = self.lock();
        bucket.rate = (bucket.rate * 1.05).min(STEADY);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Bucket {
    /// Takes one token, on credit if need be; answers how long the caller waits for it.
    fn take(&mut self, now: Instant) -> Duration {
        let refill = now.saturating_duration_since(self.seen).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + refill).min(BURST) - 1.0;
        self.seen = now;
        Duration::from_secs_f64((-self.tokens / self.rate).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn time_calls(limiter: &Limiter, calls: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..calls {
            limiter.permit().await;
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_what_follows_keeps_the_rate() {
        let limiter = Limiter::new();
        assert_eq!(time_calls(&limiter, 50).await, Duration::ZERO);
        let hundred = time_calls(&limiter, 100).await.as_secs_f64();
        assert!((4.9..5.2).contains(&hundred), "100 calls at 20 a second took {hundred} s");
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_slows_down_and_success_recovers() {
        let limiter = Limiter::new();
        limiter.throttled();
        limiter.throttled();
        let slow = time_calls(&limiter, 20).await.as_secs_f64();
        assert!((3.9..4.2).contains(&slow), "20 calls at 5 a second took {slow} s");
        for _ in 0..100 {
            limiter.succeeded();
        }
        let again = time_calls(&limiter, 20).await.as_secs_f64();
        assert!((0.8..1.2).contains(&again), "20 calls at 20 a second took {again} s");
    }
}
