//! Until when the credentials are good.

use std::path::PathBuf;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use jiff::{SignedDuration, Timestamp};
use lab_common::{describe, no_credentials};
use lab_plan::Problem;

/// What `aws configure export-credentials` and its kin export beside the keys.
const VARIABLE: &str = "AWS_CREDENTIAL_EXPIRATION";
/// What log-in helpers write beside the keys they put into ~/.aws/credentials.
const FILE_KEYS: [&str; 3] = ["x_security_token_expires", "aws_expiration", "expiration"];

/// How their file is called in a message.
const FILE: &str = "the credentials file";

/// Until when credentials are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until this moment: whoever issued them says so.
    Until(Timestamp),
    /// Until this moment, as something says that stands beside the keys. It may be a leftover of older ones.
    Said {
        /// Until when.
        end: Timestamp,
        /// Where it stands.
        by: &'static str,
    },
    /// Until somebody deletes the key.
    Lasting,
    /// They are temporary, and nobody says until when. Academy's "AWS Details" are such.
    Unknown,
}

impl Lifetime {
    /// How long they are still good; negative once they have expired, `None` where nobody says.
    pub fn left(self, now: Timestamp) -> Option<SignedDuration> {
        match self {
            Self::Until(end) | Self::Said { end, .. } => Some(end.duration_since(now)),
            Self::Lasting | Self::Unknown => None,
        }
    }
}

/// `14:05 UTC`, with the day where it is not `now`'s.
pub fn show_time(time: Timestamp, now: Timestamp) -> String {
    let form =
        if time.strftime("%F").to_string() == now.strftime("%F").to_string() { "%H:%M UTC" } else { "%F %H:%M UTC" };
    time.strftime(form).to_string()
}

/// Resolves the credentials, and says until when they are good. The SDK knows it of those that it fetches itself; of keys
/// in variables or in a file, what stands beside them is looked at.
///
/// # Errors
/// When there are no credentials that could be used.
pub async fn find_lifetime(sdk: &SdkConfig) -> Result<Lifetime, Problem> {
    let provider = sdk.credentials_provider();
    let provider = provider.ok_or_else(|| no_credentials("no source of credentials is configured"))?;
    let found = provider.provide_credentials().await.map_err(|error| no_credentials(describe(&error)))?;
    let in_variable = read_variable(&found).map(|end| Lifetime::Said { end, by: VARIABLE });
    let in_file = || read_file(&found).map(|end| Lifetime::Said { end, by: FILE });
    Ok(judge_credentials(&found, in_variable.or_else(in_file)))
}

fn judge_credentials(found: &Credentials, beside: Option<Lifetime>) -> Lifetime {
    if let Some(end) = found.expiry().and_then(|end| Timestamp::try_from(end).ok()) {
        return Lifetime::Until(end);
    }
    let lasting = found.session_token().is_none_or(str::is_empty);
    beside.unwrap_or(if lasting { Lifetime::Lasting } else { Lifetime::Unknown })
}

/// The variable speaks of the keys in the variables, and of no others.
fn read_variable(found: &Credentials) -> Option<Timestamp> {
    let key = std::env::var("AWS_ACCESS_KEY_ID").ok()?;
    (key == found.access_key_id()).then(|| std::env::var(VARIABLE).ok()?.parse().ok()).flatten()
}

fn read_file(found: &Credentials) -> Option<Timestamp> {
    let named = std::env::var_os("AWS_SHARED_CREDENTIALS_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".aws/credentials")))?;
    find_in_file(&std::fs::read_to_string(path).ok()?, found.access_key_id())
}

/// The time in the section that holds this access key.
fn find_in_file(text: &str, key_id: &str) -> Option<Timestamp> {
    text.split("\n[").find_map(|section| {
        let value = |wanted: &str| {
            let mut pairs = section.lines().filter_map(|line| line.split_once('='));
            pairs.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim())
        };
        if value("aws_access_key_id") != Some(key_id) {
            return None;
        }
        FILE_KEYS.iter().find_map(|name| value(name)?.parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_sdk_knows_best_then_what_stands_beside_the_keys() {
        let end = UNIX_EPOCH + Duration::from_hours(500_000);
        let sso = Credentials::new("AKIA", "s", Some("t".into()), Some(end), "test");
        let stands = Lifetime::Said { end: time("2026-11-26T14:05:00Z"), by: VARIABLE };
        let beside = Some(stands);
        assert_eq!(judge_credentials(&sso, beside), Lifetime::Until(Timestamp::from_second(1_800_000_000).unwrap()));
        let pasted = Credentials::new("ASIA", "s", Some("t".into()), None, "test");
        assert_eq!(judge_credentials(&pasted, beside), stands);
        assert_eq!(judge_credentials(&pasted, None), Lifetime::Unknown);
        let user = Credentials::new("AKIA", "s", None, None, "test");
        assert_eq!(judge_credentials(&user, None), Lifetime::Lasting);
    }

    #[test]
    fn the_files_time_is_that_of_the_section_with_the_key() {
        let file = "[default]\naws_access_key_id = ASIAONE\nx_security_token_expires = 2026-01-01T00:00:00Z\n\n\
                    [lab]\naws_access_key_id=ASIATWO\nregion = us-east-1\nx_security_token_expires=2026-11-26T16:05:00+02:00\n";
        assert_eq!(find_in_file(file, "ASIATWO"), Some(time("2026-11-26T14:05:00Z")));
        assert_eq!(find_in_file(file, "ASIAONE"), Some(time("2026-01-01T00:00:00Z")));
        assert_eq!(find_in_file(file, "ASIATHREE"), None);
        assert_eq!(find_in_file("[x]\naws_access_key_id = A\nexpiration = soon\n", "A"), None);
    }

    #[test]
    fn a_time_names_the_day_only_where_it_is_another() {
        let now = time("2026-11-26T13:00:00Z");
        assert_eq!(show_time(time("2026-11-26T14:05:09Z"), now), "14:05 UTC");
        assert_eq!(show_time(time("2026-11-27T01:00:00Z"), now), "2026-11-27 01:00 UTC");
    }
}
