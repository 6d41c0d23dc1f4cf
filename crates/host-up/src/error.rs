//! EC2's refusals to start an instance, with what helps; and the refusals that pass by themselves.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use lab_common::{explain, tell_whether_made};
use lab_plan::Problem;

/// Whether EC2 does not know yet what has just been made: IAM's profile needs up to a minute, the key pair and
/// net-up's groups and subnets some seconds.
pub(crate) fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    const UNSEEN: [&str; 3] = ["InvalidKeyPair.NotFound", "InvalidGroup.NotFound", "InvalidSubnetID.NotFound"];
    let Some(error) = error.as_service_error() else { return false };
    match error.code() {
        Some("InvalidParameterValue") => {
            error.message().is_some_and(|message| message.contains("IAM Instance Profile"))
        }
        Some(code) => UNSEEN.contains(&code),
        None => false,
    }
}

/// Whether an instance is in a state that it is about to leave.
pub(crate) fn is_in_between<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("IncorrectInstanceState")
}

/// Why an instance was not started, and what helps.
pub(crate) fn explain_launch<E>(call: &str, host: &str, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let problem = tell_whether_made(explain(call, error), error);
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let fix = match code {
        "InsufficientInstanceCapacity" => {
            format!("try later, another size in [hosts.{host}], or a subnet in another zone")
        }
        "Unsupported" => format!(
            "this zone has no such size: choose another size in [hosts.{host}], or take the lab down (scripts/down.sh) and \
             give its subnet another zone (zone = \"a\")"
        ),
        "VcpuLimitExceeded" | "InstanceLimitExceeded" => {
            "terminate other instances in this Region, or ask for a higher quota (Service Quotas, \"Running On-Demand\")".into()
        }
        "InvalidBlockDeviceMapping" => {
            format!("the image needs a larger disk: set disk_gb in [hosts.{host}]")
        }
        "InvalidParameterValue" if is_passing(error) => {
            "EC2 still does not know the instance profile: run the same command again in a minute".into()
        }
        _ => return problem,
    };
    problem.fix(fix)
}
