//! Credentials of a role for each owner, from STS, kept fresh as long as the owner's programs run.
//!
//! The programs never see them in their environment or arguments: a private profile names `cat` of a private file as its
//! `credential_process`, and the SDK reads that again when what it has is about to expire.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use lab_common::{Secret, explain};
use lab_plan::Problem;
use serde_json::json;

use crate::folder::Folder;
use crate::roster::RoleArn;

/// Roles grant at least an hour to everybody, and no more to who has a role already (IAM user guide, "role chaining").
const LASTS: i32 = 3600;
/// A third of the time may pass in vain tries before a program is without credentials.
const RENEWED_BEFORE: Duration = Duration::from_mins(20);
const TRIED_AGAIN: Duration = Duration::from_secs(20);

/// Asks STS for credentials of an owner's role.
///
/// # Errors
/// When it refuses, or cannot be asked.
pub(crate) async fn assume(sts: &aws_sdk_sts::Client, owner: &str, role: &RoleArn) -> Result<Credentials, Problem> {
    let request = sts.assume_role().role_arn(&role.arn).role_session_name(session_name(owner)).duration_seconds(LASTS);
    let answer = request.send().await.map_err(|error| {
        let (what, problem) =
            (format!("the role {} cannot be assumed for {owner}", role.arn), explain("AssumeRole", &error));
        // The caller's own credentials: no role is to blame.
        if problem.ends_all() {
            return problem.naming(&format!("{what}: "));
        }
        let fix = "the role must exist and trust the caller (docs/CLASS.md shows the policy); the caller needs \
                   sts:AssumeRole on it";
        Problem::failed(what).because(problem.to_string()).fix(fix)
    })?;
    let Some(got) = answer.credentials else {
        return Err(Problem::failed(format!("STS gives no credentials for {owner}")));
    };
    let expires = SystemTime::try_from(*got.expiration()).ok();
    let (key, secret, token) = (got.access_key_id(), got.secret_access_key(), got.session_token());
    Ok(Credentials::new(key, secret, Some(token.to_owned()), expires, "AssumeRole"))
}

/// The owner; STS wants two characters at least.
fn session_name(owner: &str) -> String {
    if owner.len() < 2 { format!("owner-{owner}") } else { owner.to_owned() }
}

/// Hands credentials to an owner's programs.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn hand_over(folder: &Folder, owner: &str, credentials: &Credentials) -> Result<(), Problem> {
    let expiry = credentials.expiry().and_then(|expiry| jiff::Timestamp::try_from(expiry).ok());
    let document = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id(),
        "SecretAccessKey": credentials.secret_access_key(),
        "SessionToken": credentials.session_token(),
        "Expiration": expiry.map(|expiry| expiry.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    });
    folder.write_credentials(owner, &Secret::new(document.to_string()))
}

/// Renews an owner's credentials before they expire, for ever.
pub(crate) async fn keep_fresh(
    sts: &aws_sdk_sts::Client,
    folder: &Folder,
    owner: &str,
    role: &RoleArn,
    mut current: Credentials,
) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(time_until_renewal(current.expiry(), SystemTime::now())).await;
        let renewed = match assume(sts, owner, role).await {
            Ok(new) => hand_over(folder, owner, &new).map(|()| current = new),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = renewed {
            let _ = folder.add_to_log(owner, format!("class-up: {problem}\n").as_bytes());
            tokio::time::sleep(TRIED_AGAIN).await;
        }
    }
}

/// Short-lived ones are renewed at half of their time.
fn time_until_renewal(expiry: Option<SystemTime>, now: SystemTime) -> Duration {
    let Some(expiry) = expiry else { return Duration::from_hours(24 * 365) };
    let left = expiry.duration_since(now).unwrap_or_default();
    left.saturating_sub(RENEWED_BEFORE.min(left / 2))
}

/// The profiles of those who have a role, in the format of `~/.aws/config`. No secret is in it.
pub(crate) fn write_profiles<'a>(
    folder: &Folder,
    owners: impl Iterator<Item = &'a str>,
    endpoint: Option<&str>,
) -> Result<(), Problem> {
    let profile = |owner: &str| {
        let path = folder.credentials_of(owner).display().to_string();
        let endpoint = endpoint.map(|url| format!("endpoint_url = {url}\n")).unwrap_or_default();
        format!("[profile {owner}]\ncredential_process = cat {}\n{endpoint}", lab_common::quote(&path))
    };
    folder.write("aws-config", &owners.map(profile).collect::<String>()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_renewed_long_before_they_expire() {
        let now = SystemTime::now();
        let after = |seconds| time_until_renewal(Some(now + Duration::from_secs(seconds)), now).as_secs();
        assert_eq!(after(3600), 2400);
        assert_eq!(after(900), 450);
        assert_eq!(after(0), 0);
        assert_eq!(time_until_renewal(Some(now - Duration::from_secs(5)), now), Duration::ZERO);
    }

    #[test]
    fn sessions_bear_their_owners_names() {
        assert_eq!((session_name("ada").as_str(), session_name("x").as_str()), ("ada", "owner-x"));
    }

    #[test]
    fn the_file_is_what_the_sdk_reads_and_the_profile_has_no_secret() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let expiry = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let credentials = Credentials::new("ASIA1", "hush", Some("token".into()), Some(expiry), "test");
        hand_over(&folder, "ada", &credentials).unwrap();
        let text = std::fs::read_to_string(folder.credentials_of("ada")).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((document["Version"].as_i64(), &document["Expiration"]), (Some(1), &json!("2027-01-15T08:00:00Z")));
        write_profiles(&folder, ["ada"].into_iter(), None).unwrap();
        let profiles = std::fs::read_to_string(folder.path("aws-config")).unwrap();
        assert!(profiles.starts_with("[profile ada]\ncredential_process = cat /") && !profiles.contains("hush"));
    }
}
