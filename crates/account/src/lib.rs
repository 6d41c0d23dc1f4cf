//! Who calls AWS, for how long, and what the account allows.
//!
//! Everything here only reads. It counts nothing itself: what is in use, the caller counts with the service that knows
//! it, so that this crate compiles without `aws-sdk-ec2`, which takes minutes.

mod caller;
mod clock;
mod lifetime;
mod preflight;
pub mod quotas;

pub use caller::{find_mismatch, identify, identify_with};
pub use clock::{ClockCheck, check_clock};
pub use lifetime::{Lifetime, find_lifetime, show_time};
pub use preflight::{LAST_MINUTE, Preflight, forbid_breaches};
pub use quotas::{Quota, QuotaLimit, Source, find_limits};
