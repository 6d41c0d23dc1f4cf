//! Credentials that end (`--session-ends`), and a clock that is off (`--clock-skew`).

use std::time::{Duration, Instant};

use http::{HeaderValue, header};

use crate::call::{Answer, Call};
use crate::faults::answers::ServiceError;
use crate::sim::StateTimes;

/// The session token of credentials that end.
const TOKEN: &str = "lab-sim-session-token";

/// Temporary credentials, from lab-sim's start on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionEnd {
    started: Instant,
    after: Duration,
    /// The same for people: the wall clock.
    expires: jiff::Timestamp,
}

impl SessionEnd {
    /// A session that begins now. A negative number of seconds has it end in the past.
    pub(crate) fn new(seconds: i64) -> Self {
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        Self { started: Instant::now(), after: Duration::from_secs(seconds.try_into().unwrap_or(0)), expires }
    }

    /// What the exports say of it.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        let expires = self.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        [("AWS_SESSION_TOKEN", TOKEN.to_owned()), ("AWS_CREDENTIAL_EXPIRATION", expires)]
    }

    /// The refusal of a call that bears the token after its end, by the clock of the state times.
    pub(crate) fn refuse(&self, call: &Call, times: &StateTimes) -> Option<Answer> {
        let over = call.header("x-amz-security-token") == Some(TOKEN) && times.since(self.started) >= self.after;
        over.then(|| ServiceError::expired_credentials(&call.class).to_answer(call.class.protocol))
    }
}

/// Dates an answer by a clock that is `skew` seconds ahead.
pub(crate) fn shift_date(answer: &mut Answer, skew: i64) {
    if skew == 0 {
        return;
    }
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(skew);
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        answer.headers_mut().insert(header::DATE, date);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::json_answer;

    #[test]
    fn a_shifted_date_is_an_http_date() {
        let mut answer = json_answer(200, &serde_json::json!({}));
        shift_date(&mut answer, 0);
        assert!(answer.headers().get(header::DATE).is_none());
        shift_date(&mut answer, -600);
        let date = answer.headers()[header::DATE].to_str().expect("text");
        assert!(date.ends_with(" GMT") && date.len() == "Thu, 26 Nov 2026 02:00:00 GMT".len(), "{date}");
    }
}
