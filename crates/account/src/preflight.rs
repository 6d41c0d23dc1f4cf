//! What an `up` looks at before its first write: the part of `lab-status doctor` that can stop a disaster.

use std::cell::RefCell;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::{SignedDuration, Timestamp};
use lab_common::{Caller, Clock, Lab, RENEW_CREDENTIALS, Session, find_breaches};
use lab_plan::Problem;

use crate::clock::{ClockCheck, check_clock};
use crate::lifetime::{Lifetime, find_lifetime, show_time};
use crate::{find_mismatch, identify};

/// Credentials that end sooner than this are not worth a start.
pub const LAST_MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// The look around of one run.
#[derive(Debug)]
pub struct Preflight {
    sdk: SdkConfig,
    clock: Clock,
    lab: Lab,
    region: String,
    /// How long the run is likely to take.
    takes: Duration,
    caller: RefCell<Option<Caller>>,
    notes: RefCell<Vec<String>>,
}

impl Preflight {
    /// For a run that is likely to take this long. Nothing is called.
    pub fn new(session: &Session, takes: Duration) -> Self {
        Self {
            sdk: session.sdk.clone(),
            clock: session.clock.clone(),
            lab: session.lab.clone(),
            region: session.region.clone(),
            takes,
            caller: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// The run is likely to take this long instead.
    #[must_use]
    pub fn taking(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    /// Whether the credentials last: no call of AWS's API. Credentials that cannot be had are left to the first call,
    /// which says best why.
    ///
    /// # Errors
    /// When whoever issued them says that they have expired, or will within a minute. What only stands beside the keys
    /// may be a leftover, and is a note.
    pub async fn check_credentials(&self) -> Result<(), Problem> {
        if let Ok(lifetime) = find_lifetime(&self.sdk).await {
            let note = judge_lifetime(lifetime, self.takes, Timestamp::now())?;
            self.notes.replace(note.into_iter().collect());
        }
        Ok(())
    }

    /// [`Preflight::check_credentials`], and one call that asks who we are. For those who do not need to know it
    /// otherwise: an STS that cannot be asked is a note.
    ///
    /// # Errors
    /// When the credentials do not last, or have expired.
    pub async fn look_around(&self) -> Result<(), Problem> {
        self.check_credentials().await?;
        match identify(&self.sdk).await {
            Ok(caller) => {
                self.caller.replace(Some(caller));
            }
            Err(problem) if problem.ends_all() => return Err(problem),
            Err(problem) => {
                let why = problem.why().unwrap_or(problem.what());
                self.notes.borrow_mut().push(format!("not known whose account this is, nor what it forbids: {why}"));
            }
        }
        Ok(())
    }

    /// A clock that is too wrong to go on, as far as an answer has told the time: what lies behind refused signatures.
    pub fn find_wrong_clock(&self) -> Option<Problem> {
        match check_clock(self.clock.skew()) {
            ClockCheck::Wrong(problem) => Some(problem),
            ClockCheck::Off(_) | ClockCheck::Right(_) | ClockCheck::Unknown => None,
        }
    }

    /// What is to be known before anything is changed, from what has been looked at. `caller` is who we are, where
    /// somebody else has asked.
    ///
    /// # Errors
    /// When the account forbids something in the lab, or the clock is too wrong to go on.
    pub fn judge(&self, caller: Option<&Caller>) -> Result<Vec<String>, Problem> {
        let asked = self.caller.borrow();
        let caller = caller.or(asked.as_ref());
        let mut notes = self.notes.take();
        match check_clock(self.clock.skew()) {
            ClockCheck::Wrong(problem) => return Err(problem),
            ClockCheck::Off(note) => notes.push(note),
            ClockCheck::Right(_) | ClockCheck::Unknown => {}
        }
        notes.extend(caller.and_then(|caller| find_mismatch(self.lab.account, caller)));
        if self.lab.account.has_academy_limits(caller)
            && let Some(problem) = Problem::all(&forbid_breaches(&self.lab, &self.region))
        {
            return Err(problem);
        }
        Ok(notes)
    }
}

/// What a Learner Lab forbids of this lab, as problems of lab.toml.
pub fn forbid_breaches(lab: &Lab, region: &str) -> Vec<Problem> {
    let forbid =
        |breach: lab_common::Breach| Problem::usage(format!("{}: {}", breach.path, breach.what)).fix(breach.fix);
    find_breaches(lab, Some(region)).into_iter().map(forbid).collect()
}

/// A note where credentials may end before the run does.
fn judge_lifetime(lifetime: Lifetime, takes: Duration, now: Timestamp) -> Result<Option<String>, Problem> {
    let (end, by) = match lifetime {
        Lifetime::Until(end) => (end, None),
        Lifetime::Said { end, by } => (end, Some(by)),
        Lifetime::Lasting | Lifetime::Unknown => return Ok(None),
    };
    let (time, left) = (show_time(end, now), end.duration_since(now));
    if let Some(by) = by.filter(|_| left < LAST_MINUTE) {
        return Ok(Some(format!(
            "by {by} the AWS credentials end at {time}: either they have, or that is a leftover of older ones (remove it)"
        )));
    }
    if left < LAST_MINUTE {
        let verb = if left.is_negative() { "have expired at" } else { "expire within a minute, at" };
        return Err(Problem::failed(format!("the AWS credentials {verb} {time}: nothing was changed"))
            .fix(format!("{RENEW_CREDENTIALS}, then run the same command again"))
            .ending_all());
    }
    if left.unsigned_abs() >= takes {
        return Ok(None);
    }
    let (left, takes) = (left.as_mins(), takes.as_secs().div_ceil(60));
    Ok(Some(format!(
        "the AWS credentials expire at {time}, in {left} min, and this may take {takes} min: if they end first, get fresh \
         ones and run the same command again"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_end_within_a_minute_are_refused_and_a_tight_end_is_told() {
        let now: Timestamp = "2026-11-26T13:50:00Z".parse().unwrap();
        let judge = |end: &str, minutes| {
            judge_lifetime(Lifetime::Until(end.parse().unwrap()), Duration::from_mins(minutes), now)
        };
        assert_eq!(judge("2026-11-26T14:05:00Z", 15), Ok(None));
        let note = judge("2026-11-26T14:05:00Z", 20).unwrap().unwrap();
        assert!(note.contains("expire at 14:05 UTC, in 15 min, and this may take 20 min"), "{note}");
        let soon = judge("2026-11-26T13:50:59Z", 1).unwrap_err();
        assert!(soon.what().contains("within a minute"), "{soon}");
        let gone = judge("2026-11-26T12:50:00Z", 1).unwrap_err();
        assert!(gone.what().contains("have expired at 12:50 UTC"), "{gone}");
        let said = Lifetime::Said { end: "2026-11-26T12:50:00Z".parse().unwrap(), by: "AWS_CREDENTIAL_EXPIRATION" };
        let note = judge_lifetime(said, Duration::from_mins(1), now).unwrap().unwrap();
        assert!(note.contains("AWS_CREDENTIAL_EXPIRATION") && note.contains("leftover"), "{note}");
        for lifetime in [Lifetime::Lasting, Lifetime::Unknown] {
            assert_eq!(judge_lifetime(lifetime, Duration::from_hours(9), now), Ok(None));
        }
    }
}
