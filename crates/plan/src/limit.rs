//! One rate limiter for all calls of a process, or of all processes that share a file.

mod bucket;
mod shared;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use bucket::{Bucket, CLASS, PROCESS};
use shared::SharedBucket;

/// The variable that names the file by which processes share one rate. `class-up` sets it, a file for each account and
/// Region.
pub const RATE_FILE: &str = "LAB_RATE_FILE";

/// A token bucket that slows down when AWS throttles and recovers as calls succeed.
#[derive(Debug)]
pub struct Limiter {
    start: Instant,
    own: Mutex<Bucket>,
    shared: Option<SharedBucket>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// A full bucket of this process's own.
    pub fn new() -> Self {
        Self { start: Instant::now(), own: Mutex::new(Bucket::full(&PROCESS, 0.0)), shared: None }
    }

    /// The bucket that [`RATE_FILE`] names, else one of this process's own.
    pub fn from_env() -> Self {
        let path = std::env::var_os(RATE_FILE).filter(|path| !path.is_empty());
        path.map_or_else(Self::new, |path| Self::sharing(Path::new(&path)))
    }

    /// The bucket in the file `path`, which is made where it does not exist. Where it cannot be used, calls go by a
    /// bucket of this process's own: a rate is a courtesy, and no reason to fail.
    pub fn sharing(path: &Path) -> Self {
        Self { shared: SharedBucket::open(path), ..Self::new() }
    }

    /// Resolves when one more call may go out.
    pub async fn permit(&self) {
        let wait = self.change(Bucket::take);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Says that AWS throttled a call: the rate halves and the burst is spent.
    pub fn throttled(&self) {
        self.change(Bucket::slow_down);
    }

    /// Says that a call went through: the rate recovers a little.
    pub fn succeeded(&self) {
        self.change(|bucket, rules, _| bucket.speed_up(rules));
    }

    fn change<T>(&self, change: impl Fn(&mut Bucket, &bucket::Rules, f64) -> T) -> T {
        if let Some(answer) = self.shared.as_ref().and_then(|shared| shared.change(|b, now| change(b, &CLASS, now))) {
            return answer;
        }
        let mut own = self.own.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut own, &PROCESS, self.start.elapsed().as_secs_f64())
    }
}

/// Seconds as a pause; what is no pause is none.
fn pause(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
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
        assert_eq!(time_calls(&limiter, 100).await, Duration::ZERO);
        let hundred = time_calls(&limiter, 100).await.as_secs_f64();
        assert!((4.9..5.2).contains(&hundred), "100 calls at 20 a second took {hundred} s");
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_slows_down_and_success_recovers() {
        let limiter = Limiter::new();
        // Two answers of one moment, and a third.
        tokio::time::advance(Duration::from_secs(1)).await;
        limiter.throttled();
        limiter.throttled();
        tokio::time::advance(Duration::from_secs(1)).await;
        limiter.throttled();
        // What the seconds before have refilled is spent first.
        time_calls(&limiter, 10).await;
        let slow = time_calls(&limiter, 20).await.as_secs_f64();
        assert!((3.9..4.2).contains(&slow), "20 calls at 5 a second took {slow} s");
        for _ in 0..100 {
            limiter.succeeded();
        }
        let again = time_calls(&limiter, 20).await.as_secs_f64();
        assert!((0.8..1.2).contains(&again), "20 calls at 20 a second took {again} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_used_leaves_the_process_its_own_rate() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("no/such/folder/rate")] {
            let limiter = Limiter::sharing(&path);
            assert_eq!(time_calls(&limiter, 100).await, Duration::ZERO, "{}", path.display());
            assert!(time_calls(&limiter, 20).await > Duration::from_millis(900));
        }
    }
}
