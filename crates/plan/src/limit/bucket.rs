//! The token bucket itself: pure, with the time handed in.

use std::time::Duration;

use super::pause;

/// However much AWS throttles, one call a second still goes out.
const SLOWEST: f64 = 1.0;
/// After AWS has throttled a class, its rate grows by so many calls a second in each second, as TCP's does after a loss.
const CAREFUL_GROWTH: f64 = 5.0;

/// How a bucket behaves. Rates are calls a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The rate to begin with.
    steady: f64,
    /// Calls that may go out at once.
    burst: f64,
    /// The highest rate.
    fastest: f64,
    /// By which factor each success lets the rate grow.
    growth: f64,
    /// Seconds in which several throttled calls count as one: they went out before anybody knew.
    blindness: f64,
}

/// One process. EC2 refills its mutating calls at 5 a second and its describing ones at 20, each action for itself
/// (EC2 developer guide, "Request throttling"), and EC2's smallest bucket holds 50. The 80 calls of a look at a whole lab go
/// out at once: no action has more than a handful of them.
/// A plan's first calls go out together, and where AWS throttles one it throttles all: without blindness seven answers of one
/// moment would leave a call a second.
pub(super) const PROCESS: Rules = Rules { steady: 20.0, burst: 100.0, fastest: 20.0, growth: 1.1, blindness: 0.5 };

/// A class. Thirty labs call some sixty different actions, each with a bucket of its own, so that together they may do a
/// multiple of what one action may; how much, nobody says: the rate grows until AWS objects, and then halves.
pub(super) const CLASS: Rules = Rules { steady: 60.0, burst: 200.0, fastest: 1000.0, growth: 1.02, blindness: 0.5 };

/// How many calls may go out now, and at what rate more come. Times are seconds on any one clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) rate: f64,
    pub(super) tokens: f64,
    /// When `tokens` was counted.
    pub(super) seen: f64,
    /// When it was last slowed down; 0 for never.
    pub(super) slowed: f64,
}

impl Bucket {
    pub(super) fn full(rules: &Rules, now: f64) -> Self {
        Self { rate: rules.steady, tokens: rules.burst, seen: now, slowed: 0.0 }
    }

    /// Whether these figures can come from a bucket with these rules.
    pub(super) fn is_sound(&self, rules: &Rules) -> bool {
        (SLOWEST..=rules.fastest).contains(&self.rate)
            && self.tokens <= rules.burst
            && [self.tokens, self.seen, self.slowed].iter().all(|number| number.is_finite())
    }

    /// Takes one token, on credit if need be; answers how long the caller waits for it.
    pub(super) fn take(&mut self, rules: &Rules, now: f64) -> Duration {
        // A clock that was put back refills nothing.
        let refill = (now - self.seen).max(0.0) * self.rate;
        self.tokens = (self.tokens + refill).min(rules.burst) - 1.0;
        self.seen = now;
        pause(-self.tokens / self.rate)
    }

    /// Halves the rate and spends the burst; once for what went out before anybody knew.
    pub(super) fn slow_down(&mut self, rules: &Rules, now: f64) -> Duration {
        let knew = self.slowed <= 0.0 || !(0.0..rules.blindness).contains(&(now - self.slowed));
        if knew {
            self.rate = (self.rate / 2.0).max(SLOWEST);
            self.slowed = now;
        }
        self.tokens = self.tokens.min(0.0);
        Duration::ZERO
    }

    /// Lets the rate grow: by a factor until AWS has once objected to a class, and carefully from then on.
    pub(super) fn speed_up(&mut self, rules: &Rules) -> Duration {
        let careful = self.slowed > 0.0 && rules.fastest > rules.steady;
        let grown = if careful { self.rate + (CAREFUL_GROWTH / self.rate).min(1.0) } else { self.rate * rules.growth };
        self.rate = grown.min(rules.fastest);
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until `calls` calls have gone out, each successful, from `now` on.
    fn time_calls(bucket: &mut Bucket, calls: u32, now: f64) -> f64 {
        let mut last = now;
        for _ in 0..calls {
            last += bucket.take(&CLASS, last).as_secs_f64();
            bucket.speed_up(&CLASS);
        }
        last - now
    }

    #[test]
    fn a_class_of_thirty_is_not_slowed_while_aws_does_not_object() {
        let mut bucket = Bucket::full(&CLASS, 1.0);
        let seconds = time_calls(&mut bucket, 4500, 1.0);
        assert!(seconds < 6.0, "30 owners of 150 calls took {seconds} s");
    }

    #[test]
    fn throttled_calls_of_one_moment_count_once_and_later_ones_again() {
        let mut bucket = Bucket::full(&CLASS, 1.0);
        for call in 0..30 {
            bucket.slow_down(&CLASS, 1.0 + f64::from(call) / 100.0);
        }
        assert_eq!((bucket.rate, bucket.tokens), (30.0, 0.0));
        bucket.slow_down(&CLASS, 2.0);
        assert!((bucket.rate - 15.0).abs() < 1e-9);
        for _ in 0..20 {
            bucket.slow_down(&CLASS, bucket.slowed + 1.0);
        }
        assert!((bucket.rate - SLOWEST).abs() < 1e-9, "it never stops");
    }

    #[test]
    fn after_throttling_the_rate_grows_by_five_a_second() {
        let mut bucket = Bucket::full(&CLASS, 1.0);
        bucket.slow_down(&CLASS, 1.0);
        let seconds = time_calls(&mut bucket, 400, 1.0);
        assert!((5.0..12.0).contains(&seconds), "400 calls from 30 a second took {seconds} s");
        assert!((50.0..90.0).contains(&bucket.rate), "{bucket:?}");
    }

    #[test]
    fn a_clock_that_jumps_grants_no_more_than_a_burst() {
        let mut bucket = Bucket::full(&CLASS, 1000.0);
        assert_eq!(bucket.take(&CLASS, 5.0), Duration::ZERO);
        bucket.take(&CLASS, 1e9);
        assert!(bucket.tokens <= CLASS.burst);
        assert!(!Bucket { rate: f64::NAN, ..bucket }.is_sound(&CLASS));
        assert!(!Bucket { tokens: 1e9, ..bucket }.is_sound(&CLASS));
    }
}
