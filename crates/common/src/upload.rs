//! How long a request may take that carries much.

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;

use crate::sdk::SILENCE;

/// Bytes a second. Nobody works with AWS over a line that is slower.
const SLOWEST: u64 = 4 * 1024;

/// What a request with a body of `bytes` needs in place of the usual limits, as overrides for that one call.
///
/// The SDK counts a read timeout from a request's first byte to its answer's: the usual one would end each large upload
/// over a slow line, at every try. Its protection against stalled streams ends what stands still while the body is sent.
pub fn upload_limits(bytes: u64) -> (TimeoutConfig, StalledStreamProtectionConfig) {
    // In powers of two: connections are shared only by requests with the same timeout.
    let silences = (1 + bytes / (SILENCE.as_secs() * SLOWEST)).next_power_of_two();
    let timeout = SILENCE.saturating_mul(u32::try_from(silences).unwrap_or(u32::MAX));
    (TimeoutConfig::builder().read_timeout(timeout).build(), StalledStreamProtectionConfig::enabled().build())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn timeout(bytes: u64) -> Duration {
        upload_limits(bytes).0.read_timeout().unwrap()
    }

    #[test]
    fn the_time_grows_with_the_body() {
        assert_eq!(timeout(20_000), SILENCE, "a sample shares its connections with other calls");
        // A manifest of a million objects, at 10 Mbit/s and much slower.
        assert!(timeout(65_000_000) > Duration::from_secs(65_000_000 / SLOWEST));
        assert!(timeout(65_000_000) < Duration::from_hours(12));
        assert!(timeout(u64::MAX) > Duration::from_hours(24 * 365));
    }
}
