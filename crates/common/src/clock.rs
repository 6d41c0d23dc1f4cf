//! AWS's clock beside this machine's.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// How far AWS's clock is from this machine's, by the first answer that tells the time.
///
/// The SDK corrects its signatures by the same header, so a wrong clock is felt only where the user reads a time.
/// All clones know the same.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<OnceLock<i64>>);

impl Clock {
    /// Seconds that AWS's clock is ahead; negative where it is behind. `None` before an answer told the time.
    pub fn skew(&self) -> Option<i64> {
        self.0.get().copied()
    }

    /// Reads the `Date` of an answer that has just come. Of a cache it would be old.
    pub(crate) fn read(&self, answer: &HttpResponse) {
        if answer.headers().get("age").is_some() {
            return;
        }
        let date = answer.headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| i64::try_from(now.as_secs()).ok());
        if let (Some(date), Some(now)) = (date, now) {
            // Only the first one counts.
            let _ = self.0.set(date.secs() - now);
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(headers: &[(&'static str, String)]) -> HttpResponse {
        let mut answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
        for (name, value) in headers {
            answer.headers_mut().insert(*name, value.clone());
        }
        answer
    }

    fn date(ahead: i64) -> String {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        DateTime::from_secs(now + ahead).fmt(Format::HttpDate).unwrap()
    }

    #[test]
    fn the_first_answer_that_tells_the_time_counts() {
        let clock = Clock::default();
        clock.read(&answer(&[]));
        clock.read(&answer(&[("date", "noon".into())]));
        clock.read(&answer(&[("date", date(9000)), ("age", "9000".into())]));
        assert_eq!(clock.skew(), None);
        clock.clone().read(&answer(&[("date", date(-600))]));
        clock.read(&answer(&[("date", date(0))]));
        assert!(clock.skew().is_some_and(|skew| (-602..=-598).contains(&skew)), "{:?}", clock.skew());
    }
}
