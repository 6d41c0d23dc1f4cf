//! Things that exist already and that AWS does not show yet. Only a fault rule (`late-visibility-ms`) makes some.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::call::{Answer, Call};
use crate::classify::split_s3_path;
use crate::faults::answers::ServiceError;
use crate::iam::{profile_name, role_name};
use crate::sim::{Sim, lock};

/// The names and ids that are not visible yet.
#[derive(Debug, Default)]
pub(crate) struct LateBook {
    hidden: Mutex<HashMap<String, Instant>>,
}

impl LateBook {
    /// Hides `name` for `ms` milliseconds from `now` on.
    pub(crate) fn hide(&self, name: &str, ms: u64, now: Instant) {
        lock(&self.hidden).insert(name.to_owned(), now + Duration::from_millis(ms));
    }

    /// Whether `name` is still hidden.
    pub(crate) fn is_hidden(&self, name: &str, now: Instant) -> bool {
        lock(&self.hidden).get(name).is_some_and(|until| now < *until)
    }

    /// Whether anything is hidden; what has become visible is forgotten.
    pub(crate) fn hides_anything(&self, now: Instant) -> bool {
        let mut hidden = lock(&self.hidden);
        hidden.retain(|_, until| now < *until);
        !hidden.is_empty()
    }

    /// Everything is visible again.
    pub(crate) fn reset(&self) {
        lock(&self.hidden).clear();
    }
}

/// Hides what a call has just made, where it is none of EC2's (which looks after its own). What IAM, ACM, S3 and
/// the logs hide is known by a name with its kind in front, or by its ARN.
pub(crate) fn hide_created(sim: &Sim, call: &Call, reply: &Answer, ms: u64) {
    let json = || call.json();
    let created = match (call.class.service.as_str(), call.class.action.as_str()) {
        ("iam", "CreateRole") => call.param("RoleName").map(role_name),
        ("iam", "CreateInstanceProfile") => call.param("InstanceProfileName").map(profile_name),
        ("s3", "CreateBucket") => Some(bucket_name(call)),
        ("logs", "CreateLogGroup") => json()["logGroupName"].as_str().map(log_group_name),
        ("acm", "ImportCertificate") if json()["CertificateArn"].is_null() => {
            let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
            body["CertificateArn"].as_str().map(str::to_owned)
        }
        _ => None,
    };
    if let Some(created) = created {
        sim.late.hide(&created, ms, sim.times.now());
    }
}

/// The error for a call that names something which is not visible yet; EC2's calls are judged elsewhere.
pub(crate) fn refuse_hidden(sim: &Sim, call: &Call) -> Option<ServiceError> {
    let now = sim.times.now();
    let action = call.class.action.as_str();
    if !sim.late.hides_anything(now) || action.starts_with("Create") {
        return None;
    }
    let is_hidden = |name: &str| sim.late.is_hidden(name, now);
    match call.class.service.as_str() {
        "iam" => {
            let role = call.param("RoleName").filter(|role| is_hidden(&role_name(role)));
            let profile = call.param("InstanceProfileName").filter(|profile| is_hidden(&profile_name(profile)));
            let message = match (role, profile) {
                (Some(role), _) => format!("The role with name {role} cannot be found."),
                (_, Some(profile)) => format!("Instance Profile {profile} cannot be found."),
                _ => return None,
            };
            Some(ServiceError::new(404, "NoSuchEntity", message))
        }
        "s3" if is_hidden(&bucket_name(call)) => {
            Some(ServiceError::new(404, "NoSuchBucket", "The specified bucket does not exist"))
        }
        "logs" => {
            let json = call.json();
            let group = json["logGroupName"].as_str().filter(|group| is_hidden(&log_group_name(group)))?;
            let message = format!("The specified log group does not exist: {group}");
            Some(ServiceError::new(400, "ResourceNotFoundException", message))
        }
        "acm" => {
            let json = call.json();
            let arn = json["CertificateArn"].as_str().filter(|arn| is_hidden(arn))?;
            let message = format!("Could not find certificate {arn}.");
            Some(ServiceError::new(400, "ResourceNotFoundException", message))
        }
        _ => None,
    }
}

/// Takes what is hidden out of the lists of certificates and log groups.
pub(crate) fn remove_hidden(sim: &Sim, call: &Call, mut reply: Answer) -> Answer {
    let now = sim.times.now();
    let list = match (call.class.service.as_str(), call.class.action.as_str()) {
        ("acm", "ListCertificates") => "CertificateSummaryList",
        ("logs", "DescribeLogGroups") => "logGroups",
        _ => return reply,
    };
    if !sim.late.hides_anything(now) {
        return reply;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(reply.body()) else { return reply };
    if let Some(items) = body[list].as_array_mut() {
        items.retain(|item| {
            let arn = item["CertificateArn"].as_str().unwrap_or_default();
            let group = item["logGroupName"].as_str().map(log_group_name).unwrap_or_default();
            !sim.late.is_hidden(arn, now) && !sim.late.is_hidden(&group, now)
        });
    }
    reply.headers_mut().remove(http::header::CONTENT_LENGTH);
    reply.map(|_| bytes::Bytes::from(body.to_string()))
}

fn bucket_name(call: &Call) -> String {
    format!("bucket/{}", split_s3_path(call.uri.path()).0)
}

fn log_group_name(name: &str) -> String {
    format!("log-group/{name}")
}
