//! Client VPN's and ACM's error codes as questions, and what helps where AWS's message puzzles
//! (EC2 API reference, "Error codes").

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use lab_common::{explain, has_code, is_unknown_caller};
use lab_plan::Problem;

/// Whether EC2 says that an endpoint, association, rule or route is not there. Unlike EC2's other codes, some of these
/// have no dot.
pub(crate) fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = find_code(error);
    lab_ec2::is_gone(error) || (code.starts_with("InvalidClientVpn") && code.ends_with("NotFound") && !is_idle(error))
}

/// Whether EC2 says of anything at all that it is not there.
pub(crate) fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    find_code(error).ends_with("NotFound")
}

/// Whether EC2 says that the association, rule or route is there already.
pub(crate) fn is_duplicate<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    const CODES: [&str; 4] = [
        "ClientVpnEndpointAssociationExists",
        "InvalidClientVpnDuplicateAssociationException",
        "InvalidClientVpnDuplicateAuthorizationRule",
        "InvalidClientVpnDuplicateRoute",
    ];
    CODES.contains(&find_code(error))
}

/// Whether the endpoint is busy with other changes: it takes ten at a time, and an account one new endpoint.
pub(crate) fn is_busy<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match find_code(error) {
        "ConcurrentMutationLimitExceeded" => true,
        "OperationNotPermitted" => find_message(error).contains("while another endpoint is being created"),
        _ => false,
    }
}

/// Whether the endpoint cannot do it while no subnet is associated.
pub(crate) fn is_idle<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    has_code(error, "InvalidClientVpnActiveAssociationNotFound")
}

/// Whether the endpoint cannot do it in the state that it is in, which passes.
pub(crate) fn is_too_early<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    is_idle(error) || is_busy(error) || matches!(find_code(error), "IncorrectState" | "InvalidState")
}

/// Whether the answer is about who asks, or how often, and would be the same for every call.
pub(crate) fn is_about_us<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    lab_common::is_throttled(error) || is_unknown_caller(error)
}

/// Whether something still hangs on the endpoint or on the certificate.
pub(crate) fn is_in_use<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(find_code(error), "ClientVpnEndpointAssociationExists" | "ResourceInUseException" | "DependencyViolation")
        || is_busy(error)
}

fn find_code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default()
}

fn find_message<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default()
}

/// Why AWS refused, and what helps.
pub(crate) fn explain_vpn<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let problem = explain(call, error);
    match find_fix(find_code(error), find_message(error)) {
        Some(fix) => problem.fix(fix),
        None => problem,
    }
}

fn find_fix(code: &str, message: &str) -> Option<&'static str> {
    if message.contains("does not have a domain") {
        return Some(
            "the server's certificate needs a name with a dot in it, as common name and as DNS name: one made by \
             vpn-setup has it. Take the VPN down and make it again: vpn-setup down, vpn-setup up",
        );
    }
    Some(match code {
        "ClientVpnEndpointLimitExceeded" => {
            "an account has 5 Client VPN endpoints in a Region: delete one (aws ec2 describe-client-vpn-endpoints), or \
             ask for more in Service Quotas"
        }
        "ClientVpnEndpointAssociationExists" => {
            "a subnet is still associated with the endpoint: run the same command again, it disassociates first"
        }
        "ClientVpnAuthorizationRuleLimitExceeded" => "write fewer and larger blocks into vpn.allow_networks",
        "ClientVpnRouteLimitExceeded" => "write fewer and larger blocks into vpn.routes",
        "ClientVpnCertificateRevocationListLimitExceeded" => {
            "an endpoint takes 20,000 revocations: make the VPN again with a new authority"
        }
        "InvalidClientVpnSubnetId.DuplicateAz" => {
            "an endpoint takes one subnet of a zone: give the subnets of vpn.subnet different zones in [network]"
        }
        "InvalidClientVpnSubnetId.OverlappingCidr" => {
            "give the VPN's clients addresses of their own (vpn.client_cidr), then: vpn-setup down, vpn-setup up"
        }
        "InvalidClientVpnSubnetId.NotFound" | "InvalidClientVpnSubnetId.DifferentAccount" => {
            "see that the network is as lab.toml wants it: net-up plan"
        }
        "InvalidClientVpnActiveAssociationNotFound" => {
            "no subnet is associated: vpn-setup resume (or up), then the same command again"
        }
        "ResourceInUseException" => {
            "ACM still counts the certificate as used; that passes some minutes after the endpoint is gone. Run the \
             same command again"
        }
        "LimitExceededException" => {
            "ACM takes no more imported certificates this year: delete unused ones, or ask for more in Service Quotas"
        }
        "ConcurrentMutationLimitExceeded" | "IncorrectState" => {
            "the endpoint is busy with other changes: run the same command again in some minutes"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::delete_client_vpn_route::DeleteClientVpnRouteError;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn refused(code: &str, message: &str) -> SdkError<DeleteClientVpnRouteError, HttpResponse> {
        let error = DeleteClientVpnRouteError::generic(ErrorMetadata::builder().code(code).message(message).build());
        SdkError::service_error(error, HttpResponse::new(400.try_into().unwrap(), SdkBody::empty()))
    }

    #[test]
    fn client_vpn_s_codes_for_absent_are_known_with_and_without_a_dot() {
        for code in [
            "InvalidClientVpnRouteNotFound",
            "InvalidClientVpnEndpointAuthorizationRuleNotFound",
            "InvalidClientVpnEndpointId.NotFound",
            "InvalidClientVpnAssociationIdNotFound",
            "InvalidClientVpnAssociationId.NotFound",
        ] {
            assert!(is_gone(&refused(code, "")), "{code}");
        }
        assert!(!is_gone(&refused("InvalidClientVpnActiveAssociationNotFound", "")), "that one is only idle");
    }

    #[test]
    fn puzzling_refusals_say_how_to_go_on() {
        for (code, message, fix) in [
            ("InvalidParameterValue", "Certificate arn:x does not have a domain", "a name with a dot"),
            ("ClientVpnEndpointLimitExceeded", "no", "5 Client VPN endpoints"),
            ("InvalidClientVpnSubnetId.DuplicateAz", "no", "different zones"),
        ] {
            let problem = explain_vpn("CreateClientVpnEndpoint", &refused(code, message));
            assert!(problem.remedy().is_some_and(|text| text.contains(fix)), "{problem}");
            assert!(problem.to_string().contains(code), "{problem}");
        }
    }

    #[test]
    fn only_the_busy_kind_of_not_permitted_passes() {
        let busy = "Endpoint cannot be created while another endpoint is being created";
        assert!(is_busy(&refused("OperationNotPermitted", busy)));
        assert!(!is_busy(&refused("OperationNotPermitted", "you may not")));
    }
}
