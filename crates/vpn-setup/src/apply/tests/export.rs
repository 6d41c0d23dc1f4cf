//! What endpoints export: configurations, and lists of revoked clients.

use aws_sdk_ec2::operation::export_client_vpn_client_certificate_revocation_list::{
    ExportClientVpnClientCertificateRevocationListError, ExportClientVpnClientCertificateRevocationListOutput,
};
use aws_sdk_ec2::operation::export_client_vpn_client_configuration::{
    ExportClientVpnClientConfigurationError, ExportClientVpnClientConfigurationOutput,
};
use aws_sdk_ec2::types::ClientVpnEndpointStatusCode;

use super::*;
use crate::endpoint::{Endpoint, export_revocation_list, look_closer};
use crate::testing::bare_endpoint;

const CONFIGURATION: &str = "client\nremote cvpn-endpoint-1.example 443\n<ca>\nan authority\n</ca>\n";

fn write() -> Op {
    Op::WriteConfiguration { client: "laptop".into(), associating: true }
}

fn bench(rules: &[&Rule]) -> Bench {
    let bench = Bench::new(rules);
    bench.files.make_clients(&["laptop".to_owned()]).unwrap();
    bench
}

fn exported() -> ExportClientVpnClientConfigurationOutput {
    ExportClientVpnClientConfigurationOutput::builder().client_configuration(CONFIGURATION).build()
}

fn refused(code: &str) -> ExportClientVpnClientConfigurationError {
    ExportClientVpnClientConfigurationError::generic(error(code))
}

#[tokio::test(start_paused = true)]
async fn a_file_that_aws_exports_at_once_waits_for_no_association() {
    let exports = mock!(Ec2::export_client_vpn_client_configuration).then_output(exported);
    let (bench, start) = (bench(&[&exports]), Instant::now());
    let abandoned = bench.files.home.path(".draft-of-a-killed-run");
    let draft = std::fs::File::create(&abandoned).unwrap();
    draft.set_modified(std::time::SystemTime::now() - Duration::from_hours(2)).unwrap();
    for _ in 0..2 {
        let path = bench.apply(write()).await.unwrap().unwrap();
        assert!(std::fs::read_to_string(path).unwrap().starts_with("client\n"));
    }
    assert_eq!((exports.num_calls(), start.elapsed().as_secs()), (1, 0), "asked once for all clients");
    assert!(!abandoned.exists(), "half a file with a private key does not stay");
}

#[tokio::test]
async fn an_export_that_was_not_answered_is_asked_for_again_by_the_next_client_and_a_denied_one_is_not() {
    let exports = mock!(Ec2::export_client_vpn_client_configuration).then_output(exported);
    let mut bench_of_two = bench(&[&exports]);
    // Nothing listens there.
    let mut nowhere = bench_of_two.session.sdk.clone().into_builder().endpoint_url("http://127.0.0.1:9");
    nowhere.set_http_client(None);
    let answering = std::mem::replace(&mut bench_of_two.services.ec2, Ec2::new(&nowhere.build()));
    assert!(bench_of_two.apply(write()).await.is_err());
    bench_of_two.services.ec2 = answering;
    assert!(bench_of_two.apply(write()).await.is_ok());

    let denied = mock!(Ec2::export_client_vpn_client_configuration).then_error(|| refused("UnauthorizedOperation"));
    let bench_of_two = bench(&[&denied]);
    for _ in 0..2 {
        assert!(bench_of_two.apply(write()).await.is_err());
    }
    assert_eq!(denied.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_export_that_is_refused_before_the_association_is_asked_for_every_five_seconds() {
    for code in ["InvalidClientVpnActiveAssociationNotFound", "IncorrectState", "NeverHeardOfThat"] {
        let exports = mock!(Ec2::export_client_vpn_client_configuration)
            .sequence()
            .error(move || refused(code))
            .times(3)
            .output(exported)
            .build();
        let (bench, start) = (bench(&[&exports]), Instant::now());
        let path = bench.apply(write()).await.unwrap().unwrap();
        assert!(std::path::Path::new(&path).is_file());
        assert_eq!((exports.num_calls(), start.elapsed().as_secs()), (4, 15), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_that_stays_refused_ends_with_the_association_and_says_why() {
    let exports = mock!(Ec2::export_client_vpn_client_configuration).then_error(|| refused("IncorrectState"));
    let associates = mock!(Ec2::associate_client_vpn_target_network).then_output(|| answered("cvpn-assoc-1"));
    let looks = mock!(Ec2::describe_client_vpn_target_networks)
        .sequence()
        .output(|| target("cvpn-assoc-1", Associating))
        .output(|| target("cvpn-assoc-1", AssociationFailed))
        .build();
    let (bench, start) = (bench(&[&exports, &associates, &looks]), Instant::now());
    let (file, association) = tokio::join!(bench.apply(write()), bench.apply(associate()));
    assert!(association.is_err());
    assert!(file.unwrap_err().what().contains("IncorrectState"));
    assert!(start.elapsed().as_secs() <= 10, "{:?}", start.elapsed());

    let problem = bench_of_one_refusal("UnauthorizedOperation").await;
    assert!(problem.what().contains("you may not call ExportClientVpnClientConfiguration"), "{problem}");
}

/// What becomes of a file whose export is refused so, which is not waited for.
async fn bench_of_one_refusal(code: &'static str) -> Problem {
    let exports = mock!(Ec2::export_client_vpn_client_configuration).then_error(move || refused(code));
    let problem = bench(&[&exports]).apply(write()).await.unwrap_err();
    assert_eq!(exports.num_calls(), 1);
    problem
}

/// Nothing hangs on it but what its revocation list is.
async fn look_at(endpoint: Endpoint, list: &Rule) -> Result<Endpoint, Problem> {
    use aws_sdk_ec2::operation::describe_client_vpn_authorization_rules::DescribeClientVpnAuthorizationRulesOutput as Rules;
    use aws_sdk_ec2::operation::describe_client_vpn_routes::DescribeClientVpnRoutesOutput as Routes;
    let associations =
        mock!(Ec2::describe_client_vpn_target_networks).then_output(|| target("cvpn-assoc-1", Associated));
    let rules = mock!(Ec2::describe_client_vpn_authorization_rules).then_output(|| Rules::builder().build());
    let routes = mock!(Ec2::describe_client_vpn_routes).then_output(|| Routes::builder().build());
    let bench = Bench::new(&[&associations, &rules, &routes, list]);
    look_closer(&bench.services.ec2, endpoint).await
}

#[tokio::test]
async fn a_revocation_list_that_cannot_be_read_keeps_nobody_from_what_costs() {
    type Failure = ExportClientVpnClientCertificateRevocationListError;
    for code in ["IncorrectState", "UnauthorizedOperation", "NeverHeardOfThat"] {
        let fails = mock!(Ec2::export_client_vpn_client_certificate_revocation_list)
            .then_error(move || Failure::generic(error(code)));
        let seen = look_at(bare_endpoint(), &fails).await.unwrap();
        assert_eq!((seen.associations.len(), &seen.revocation_list), (1, &None), "{code}");
        assert!(seen.list_unread.is_some(), "{code} is told");
        let bench = Bench::new(&[&fails]);
        assert!(export_revocation_list(&bench.services.ec2, "cvpn-endpoint-1").await.is_err(), "who replaces it stops");
    }
    for code in ["InvalidClientVpnActiveAssociationNotFound", "ClientVpnCertificateRevocationListNotFound"] {
        let none = mock!(Ec2::export_client_vpn_client_certificate_revocation_list)
            .then_error(move || Failure::generic(error(code)));
        let seen = look_at(bare_endpoint(), &none).await.unwrap();
        assert_eq!((seen.revocation_list, seen.list_unread), (None, None), "{code} says that there is none");
    }
    let damaged = mock!(Ec2::export_client_vpn_client_certificate_revocation_list).then_output(|| {
        ExportClientVpnClientCertificateRevocationListOutput::builder().certificate_revocation_list("not one").build()
    });
    assert!(look_at(bare_endpoint(), &damaged).await.unwrap().list_unread.is_some());
    let expired = mock!(Ec2::export_client_vpn_client_certificate_revocation_list)
        .then_error(|| Failure::generic(error("RequestExpired")));
    assert_eq!(look_at(bare_endpoint(), &expired).await.unwrap_err().what(), "the AWS credentials have expired");
}

#[tokio::test]
async fn nothing_is_asked_of_an_endpoint_that_is_being_deleted() {
    let leaving = Endpoint { state: ClientVpnEndpointStatusCode::Deleting, ..bare_endpoint() };
    let bench = Bench::new(&[]);
    assert_eq!(look_closer(&bench.services.ec2, leaving.clone()).await.unwrap(), leaving);
}
