//! EC2's error codes as questions (EC2 API reference, "Error codes").

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

/// Whether EC2 says that the thing is not there: not yet, right after its creation, or no more.
///
/// Nearly all such codes end alike: `InvalidVpcID.NotFound`, `InvalidGroup.NotFound`, `InvalidAllocationID.NotFound`, …
pub fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    find_code(error)
        .is_some_and(|code| code.ends_with(".NotFound") || matches!(code, "Gateway.NotAttached" | "NatGatewayNotFound"))
}

/// Whether EC2 says that what we want to make or attach is there already.
pub fn is_duplicate<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    const CODES: [&str; 6] = [
        "InvalidPermission.Duplicate",
        "InvalidGroup.Duplicate",
        "InvalidKeyPair.Duplicate",
        "InvalidSubnet.Conflict",
        "Resource.AlreadyAssociated",
        "RouteAlreadyExists",
    ];
    find_code(error).is_some_and(|code| CODES.contains(&code))
}

/// Whether EC2 refuses to delete something because something else still uses it.
pub fn is_dependency<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(find_code(error), Some("DependencyViolation" | "InvalidGroup.InUse"))
}

fn find_code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}
