//! IAM: how roles and profiles are called among the things that are not visible yet.

/// How a role is called among the hidden names; `role` is a name or an ARN.
pub(crate) fn role_name(role: &str) -> String {
    format!("role/{}", last_part(role))
}

/// How an instance profile is called among the hidden names; `profile` is a name or an ARN.
pub(crate) fn profile_name(profile: &str) -> String {
    format!("instance-profile/{}", last_part(profile))
}

/// The name at an ARN's end.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
