//! Why a window does not open or close, and what helps.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use lab_common::{explain, has_code, tell_whether_made};
use lab_ec2::NatGateway;
use lab_plan::Problem;

/// Why EC2 made no address or no gateway.
pub(crate) fn explain_create<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let problem = tell_whether_made(explain(call, error), error);
    if has_code(error, "AddressLimitExceeded") {
        return problem.fix(
            "release an address that nobody uses (aws ec2 describe-addresses), or ask for a higher quota (Service \
             Quotas, \"EC2-VPC Elastic IPs\")",
        );
    }
    if has_code(error, "NatGatewayLimitExceeded") {
        return problem.fix(
            "delete a NAT gateway that nobody uses (aws ec2 describe-nat-gateways), or ask for a higher quota (Service \
             Quotas, \"NAT gateways per Availability Zone\")",
        );
    }
    problem
}

/// Why a gateway failed, as EC2 says it afterwards (VPC user guide, "Troubleshoot NAT gateways").
pub(crate) fn explain_failed(gateway: &NatGateway) -> Problem {
    let why = gateway.failure.as_deref().unwrap_or("EC2 gives no reason");
    let fix = match why.split(':').next().unwrap_or_default() {
        "Gateway.NotAttached" => "the internet gateway is not attached to the VPC: net-up, then open it again",
        "InsufficientFreeAddressesInSubnet" => "free an address in the public subnet, then open it again",
        _ => "open it again; EC2 removes the failed gateway within an hour, and it costs nothing",
    };
    Problem::failed(format!("{} ({}) has failed", gateway.name, gateway.id)).because(why).fix(fix)
}

/// Whether EC2 refuses to release an address because its gateway still holds it. `AuthFailure` is its answer while the
/// gateway is being deleted; nobody's permissions are meant.
pub(crate) fn is_held<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    has_code(error, "AuthFailure") || has_code(error, "InvalidIPAddress.InUse")
}

/// Why an address could not be released in the end.
pub(crate) fn explain_held<E>(id: &str, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    Problem::failed(format!("something still holds the address {id}"))
        .because(format!("ReleaseAddress: {code}: {message}"))
        .fix("if it is not the NAT gateway, see who has it (aws ec2 describe-addresses); then: net-up nat close")
}
