//! How often to look at something that takes AWS minutes, and for how long.

use std::time::Duration;

use lab_plan::Pace;

/// Between two looks at one thing. AWS shares its rate limits among all of an account's programs, and a wait that costs
/// five seconds more than it must is not felt in ten minutes.
const BEAT: Duration = Duration::from_secs(5);

/// An association, and its end: minutes, seldom more than ten; Terraform gives it 30.
pub(crate) const ASSOCIATION: Duration = Duration::from_mins(30);
/// A route: AWS's guide says nothing, Terraform's users see 90 s to 3 min.
pub(crate) const ROUTE: Duration = Duration::from_mins(10);
/// An authorization rule: seconds, seldom minutes.
pub(crate) const RULE: Duration = Duration::from_mins(10);
/// What is busy with other changes, or still counts as used by what was just deleted.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);
/// What EC2 has just made may not be visible yet.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(20);

/// For what is on its way out, which takes from seconds to minutes: soon at first, then once a beat. The lab is down only
/// when the last of these waits is over, one after the other.
pub(crate) const fn ending(deadline: Duration) -> Pace {
    Pace { first: Duration::from_millis(200), longest: BEAT, deadline }
}

/// Looks at once, and then once a beat.
pub(crate) const fn every(deadline: Duration) -> Pace {
    Pace::even(BEAT, deadline)
}
