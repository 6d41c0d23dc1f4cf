//! Steps against stored answers, on a clock that tests turn.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::Client as Ec2;
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::associate_client_vpn_target_network::{
    AssociateClientVpnTargetNetworkError, AssociateClientVpnTargetNetworkOutput,
};
use aws_sdk_ec2::operation::describe_client_vpn_target_networks::{
    DescribeClientVpnTargetNetworksError, DescribeClientVpnTargetNetworksOutput,
};
use aws_sdk_ec2::operation::disassociate_client_vpn_target_network::{
    DisassociateClientVpnTargetNetworkError, DisassociateClientVpnTargetNetworkOutput,
};
use aws_sdk_ec2::types::{AssociationStatus, AssociationStatusCode, TargetNetwork};
use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use lab_common::{Home, Names, Session, Tags};
use lab_plan::{Action, Ids, Progress, Stop};
use tokio::time::Instant;

use super::*;
use crate::pki::Store;
use crate::testing::{lab, strange_papers};
use AssociationStatusCode::{Associated, Associating, AssociationFailed, Disassociating};

/// Carries out steps against rules, in a home of its own.
struct Bench {
    session: Session,
    services: Services,
    files: Files,
    ids: Ids,
    stop: Stop,
    export: Export,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(rules: &[&Rule]) -> Self {
        let interceptor = || {
            let empty = MockResponseInterceptor::new().rule_mode(RuleMode::MatchAny);
            rules.iter().fold(empty, |all, rule| all.with_rule(rule))
        };
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(create_mock_http_client())
            .retry_config(RetryConfig::disabled())
            .build();
        let lab = lab("");
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        let ec2 = aws_sdk_ec2::config::Builder::from(&sdk).interceptor(interceptor()).build();
        let acm = aws_sdk_acm::config::Builder::from(&sdk).interceptor(interceptor()).build();
        Self {
            services: Services {
                acm: aws_sdk_acm::Client::from_conf(acm),
                ec2: Ec2::from_conf(ec2),
                logs: aws_sdk_cloudwatchlogs::Client::new(&sdk),
            },
            files: Files {
                store: Store::at(&home),
                home,
                ca_dir: None,
                authority: "ours".into(),
                server: "lab-ada.internal".into(),
            },
            ids: [(roles::ENDPOINT, "cvpn-endpoint-1")].into_iter().collect(),
            session: Session {
                names: Names::new(&lab),
                tags: Tags::new(&lab),
                region: "us-east-1".into(),
                lab,
                sdk,
                clock: lab_common::Clock::default(),
            },
            stop: Stop::new(),
            export: Export::default(),
            _directory: directory,
        }
    }

    async fn apply(&self, op: Op) -> Result<Option<String>, Problem> {
        let progress = Progress::silent();
        let line = progress.begin("a step", "");
        let worker = Worker {
            session: &self.session,
            services: &self.services,
            files: Some(&self.files),
            want: None,
            export: &self.export,
            context: Context { ids: &self.ids, stop: &self.stop, line: &line },
        };
        worker.apply(&Step::new(Action::Create, "a-kind", "role", "lab-public-subnet", op)).await
    }
}

fn associate() -> Op {
    Op::Associate { subnet: "subnet-1".into(), known: vec![], leaving: vec![] }
}

fn target(id: &str, state: AssociationStatusCode) -> DescribeClientVpnTargetNetworksOutput {
    let status = AssociationStatus::builder().code(state).message("no room").build();
    let network = TargetNetwork::builder().association_id(id).target_network_id("subnet-1").status(status).build();
    DescribeClientVpnTargetNetworksOutput::builder().client_vpn_target_networks(network).build()
}

fn answered(id: &str) -> AssociateClientVpnTargetNetworkOutput {
    AssociateClientVpnTargetNetworkOutput::builder().association_id(id).build()
}

fn error(code: &str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("no").build()
}

#[tokio::test(start_paused = true)]
async fn an_association_is_looked_at_at_once_and_then_every_five_seconds() {
    let associates = mock!(Ec2::associate_client_vpn_target_network).then_output(|| answered("cvpn-assoc-1"));
    let looks = mock!(Ec2::describe_client_vpn_target_networks)
        .sequence()
        .output(|| target("cvpn-assoc-1", Associating))
        .times(3)
        .output(|| target("cvpn-assoc-1", Associated))
        .build();
    let start = Instant::now();
    let made = Bench::new(&[&associates, &looks]).apply(associate()).await.unwrap();
    assert_eq!((made.as_deref(), looks.num_calls(), associates.num_calls()), (Some("cvpn-assoc-1"), 4, 1));
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(15) && took < Duration::from_secs(16), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_used_token_gives_way_to_an_unused_one() {
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tokens);
    let associates = mock!(Ec2::associate_client_vpn_target_network).then_compute_output(move |request| {
        let mut seen = seen.lock().unwrap();
        seen.push(request.client_token().unwrap().to_owned());
        answered(if seen.len() == 1 { "cvpn-assoc-old" } else { "cvpn-assoc-new" })
    });
    // EC2 has answered with all associations of an endpoint, whatever id it was asked for.
    let looks = mock!(Ec2::describe_client_vpn_target_networks).then_output(|| target("cvpn-assoc-new", Associated));
    let bench = Bench::new(&[&associates, &looks]);
    assert_eq!(bench.apply(associate()).await.unwrap().as_deref(), Some("cvpn-assoc-new"));
    bench.apply(associate()).await.unwrap();
    let tokens = tokens.lock().unwrap();
    assert_eq!(tokens[0], tokens[2], "another run's first token is the same");
    assert_ne!(tokens[0], tokens[1]);
    assert!(tokens.iter().all(|token| token.len() == 64));
}

#[tokio::test(start_paused = true)]
async fn an_association_that_exists_already_is_taken() {
    let associates = mock!(Ec2::associate_client_vpn_target_network).then_error(|| {
        AssociateClientVpnTargetNetworkError::generic(error("InvalidClientVpnDuplicateAssociationException"))
    });
    let looks = mock!(Ec2::describe_client_vpn_target_networks).then_output(|| target("cvpn-assoc-1", Associated));
    let made = Bench::new(&[&associates, &looks]).apply(associate()).await.unwrap();
    assert_eq!(made.as_deref(), Some("cvpn-assoc-1"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_association_says_why_and_how_to_go_on() {
    let associates = mock!(Ec2::associate_client_vpn_target_network).then_output(|| answered("cvpn-assoc-1"));
    let looks =
        mock!(Ec2::describe_client_vpn_target_networks).then_output(|| target("cvpn-assoc-1", AssociationFailed));
    let problem = Bench::new(&[&associates, &looks]).apply(associate()).await.unwrap_err();
    assert_eq!(problem.why(), Some("no room"));
    assert!(problem.remedy().unwrap().contains("run the same command again"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_expire_in_the_wait_are_not_asked_for_twice() {
    let associates = mock!(Ec2::associate_client_vpn_target_network).then_output(|| answered("cvpn-assoc-1"));
    let looks = mock!(Ec2::describe_client_vpn_target_networks)
        .sequence()
        .output(|| target("cvpn-assoc-1", Associating))
        .error(|| DescribeClientVpnTargetNetworksError::generic(error("RequestExpired")))
        .build();
    let problem = Bench::new(&[&associates, &looks]).apply(associate()).await.unwrap_err();
    assert_eq!((problem.what(), looks.num_calls()), ("the AWS credentials have expired", 2));
    assert!(problem.remedy().unwrap().contains("goes on where this one stopped"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn what_is_still_associating_is_waited_for_before_it_is_disassociated() {
    let ends = mock!(Ec2::disassociate_client_vpn_target_network)
        .sequence()
        .error(|| DisassociateClientVpnTargetNetworkError::generic(error("IncorrectState")))
        .output(|| DisassociateClientVpnTargetNetworkOutput::builder().build())
        .build();
    let looks = mock!(Ec2::describe_client_vpn_target_networks)
        .sequence()
        .output(|| target("cvpn-assoc-1", Associating))
        .output(|| target("cvpn-assoc-1", Associated))
        .output(|| target("cvpn-assoc-1", Disassociating))
        .error(|| DescribeClientVpnTargetNetworksError::generic(error("InvalidClientVpnAssociationIdNotFound")))
        .build();
    let bench = Bench::new(&[&ends, &looks]);
    let op =
        Op::Disassociate { endpoint: "cvpn-endpoint-1".into(), association: "cvpn-assoc-1".into(), under_way: false };
    bench.apply(op).await.unwrap();
    assert_eq!((ends.num_calls(), looks.num_calls()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn another_refusal_to_disassociate_is_passed_on() {
    let ends = mock!(Ec2::disassociate_client_vpn_target_network)
        .then_error(|| DisassociateClientVpnTargetNetworkError::generic(error("UnauthorizedOperation")));
    let looks = mock!(Ec2::describe_client_vpn_target_networks).then_output(|| target("cvpn-assoc-1", Associated));
    let op =
        Op::Disassociate { endpoint: "cvpn-endpoint-1".into(), association: "cvpn-assoc-1".into(), under_way: false };
    let problem = Bench::new(&[&ends, &looks]).apply(op).await.unwrap_err();
    assert!(problem.what().contains("you may not call DisassociateClientVpnTargetNetwork"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn associations_get_a_new_security_group_before_the_endpoint_says_it_has_it() {
    use aws_sdk_ec2::operation::apply_security_groups_to_client_vpn_target_network as apply_groups;
    use aws_sdk_ec2::operation::modify_client_vpn_endpoint::ModifyClientVpnEndpointOutput;
    for is_associated in [true, false] {
        let calls: Arc<Mutex<Vec<&str>>> = Arc::default();
        let (first, second) = (Arc::clone(&calls), Arc::clone(&calls));
        let applies = mock!(Ec2::apply_security_groups_to_client_vpn_target_network)
            .match_requests(|request| request.security_group_ids() == ["sg-new"] && request.vpc_id() == Some("vpc-1"))
            .then_compute_output(move |_| {
                first.lock().unwrap().push("apply");
                apply_groups::ApplySecurityGroupsToClientVpnTargetNetworkOutput::builder().build()
            });
        let modifies = mock!(Ec2::modify_client_vpn_endpoint).then_compute_output(move |_| {
            second.lock().unwrap().push("modify");
            ModifyClientVpnEndpointOutput::builder().build()
        });
        let group = Some(("vpc-1".to_owned(), "sg-new".to_owned()));
        let change = crate::change::Change { group, is_associated, ..Default::default() };
        let op = Op::ModifyEndpoint { id: "cvpn-endpoint-1".into(), change };
        Bench::new(&[&applies, &modifies]).apply(op).await.unwrap();
        let expected: &[_] = if is_associated { &["apply", "modify"] } else { &["modify"] };
        assert_eq!(*calls.lock().unwrap(), expected);
    }
}

mod export;

mod acm {
    use aws_sdk_acm::Client as Acm;
    use aws_sdk_acm::config::http::HttpResponse;
    use aws_sdk_acm::operation::add_tags_to_certificate::AddTagsToCertificateOutput;
    use aws_sdk_acm::operation::delete_certificate::{DeleteCertificateError, DeleteCertificateOutput};
    use aws_sdk_acm::operation::get_certificate::GetCertificateOutput;
    use aws_sdk_acm::operation::import_certificate::ImportCertificateOutput;
    use aws_sdk_acm::operation::list_certificates::ListCertificatesOutput;
    use aws_sdk_acm::operation::list_tags_for_certificate::ListTagsForCertificateOutput;
    use aws_sdk_acm::types::{CertificateSummary, Tag};

    use super::*;

    #[tokio::test]
    async fn an_import_whose_answer_was_lost_is_found_by_its_attempt_and_not_made_again() {
        let tags: Arc<Mutex<Vec<Tag>>> = Arc::default();
        let (sent, known) = (Arc::clone(&tags), Arc::clone(&tags));
        let imports = mock!(Acm::import_certificate)
            .match_requests(move |request| {
                *sent.lock().unwrap() = request.tags().to_vec();
                request.certificate_arn().is_none()
            })
            .then_http_response(|| HttpResponse::new(500.try_into().unwrap(), SdkBody::from("{}")));
        let there = Arc::clone(&tags);
        let lists = mock!(Acm::list_certificates).then_compute_output(move |_| {
            let made = !there.lock().unwrap().is_empty();
            let summary = CertificateSummary::builder().certificate_arn("arn:1").domain_name("lab-ada.internal");
            let list = made.then(|| vec![summary.build()]);
            ListCertificatesOutput::builder().set_certificate_summary_list(list).build()
        });
        let asks = mock!(Acm::list_tags_for_certificate).then_compute_output(move |_| {
            ListTagsForCertificateOutput::builder().set_tags(Some(known.lock().unwrap().clone())).build()
        });
        let drawn = Arc::clone(&tags);
        let numbers = mock!(Acm::add_tags_to_certificate).then_compute_output(move |request| {
            drawn.lock().unwrap().extend(request.tags().to_vec());
            AddTagsToCertificateOutput::builder().build()
        });
        let bench = Bench::new(&[&imports, &lists, &asks, &numbers]);
        let arn = bench.apply(Op::ImportCertificate { arn: None }).await.unwrap();
        assert_eq!((arn.as_deref(), imports.num_calls()), (Some("arn:1"), 1));
        let tags = tags.lock().unwrap();
        for (key, value) in [
            ("hybrid-lab:lab", "lab"),
            ("hybrid-lab:owner", "ada"),
            ("hybrid-lab:role", "certificate vpn"),
            ("hybrid-lab:number", "1"),
        ] {
            assert!(tags.iter().any(|tag| tag.key() == key && tag.value() == Some(value)), "{key} in {tags:?}");
        }
    }

    #[tokio::test]
    async fn a_certificate_of_another_authority_is_no_server_of_ours() {
        let imports = mock!(Acm::import_certificate)
            .then_output(|| ImportCertificateOutput::builder().certificate_arn("arn:2").build());
        let lists = mock!(Acm::list_certificates).then_output(|| {
            let summary = CertificateSummary::builder().certificate_arn("arn:1").domain_name("lab-ada.internal");
            ListCertificatesOutput::builder().certificate_summary_list(summary.build()).build()
        });
        let asks = mock!(Acm::list_tags_for_certificate).then_output(|| {
            let tags = Tags::new(&lab("")).of(roles::CERTIFICATE, "lab-ada.internal").into_iter();
            let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build().unwrap()).collect();
            ListTagsForCertificateOutput::builder().set_tags(Some(tags)).build()
        });
        let reads = mock!(Acm::get_certificate)
            .then_output(|| GetCertificateOutput::builder().certificate(&strange_papers().server.pem).build());
        let bench = Bench::new(&[&imports, &lists, &asks, &reads]);
        let problem = bench.apply(Op::ImportCertificate { arn: None }).await.unwrap_err();
        assert!(problem.what().contains("arn:1") && problem.remedy().unwrap().contains("--ca-dir"), "{problem}");
        assert_eq!(imports.num_calls(), 0);
    }

    #[tokio::test]
    async fn a_renewal_goes_into_the_same_arn_without_tags() {
        let imports = mock!(Acm::import_certificate)
            .match_requests(|request| {
                let chain = request.certificate_chain().map(|chain| chain.as_ref().to_vec()).unwrap_or_default();
                request.certificate_arn() == Some("arn:1")
                    && request.tags().is_empty()
                    && chain.starts_with(b"-----BEGIN")
            })
            .then_output(|| ImportCertificateOutput::builder().certificate_arn("arn:1").build());
        let bench = Bench::new(&[&imports]);
        let arn = bench.apply(Op::ImportCertificate { arn: Some("arn:1".into()) }).await.unwrap();
        assert_eq!((arn.as_deref(), imports.num_calls()), (Some("arn:1"), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_still_counts_as_used_is_deleted_once_it_does_not() {
        let used = || {
            let error = ErrorMetadata::builder().code("ResourceInUseException").message("in use").build();
            DeleteCertificateError::generic(error)
        };
        let deletes = mock!(Acm::delete_certificate)
            .sequence()
            .error(used)
            .times(2)
            .output(|| DeleteCertificateOutput::builder().build())
            .build();
        let start = Instant::now();
        Bench::new(&[&deletes]).apply(Op::DeleteCertificate { arn: "arn:1".into() }).await.unwrap();
        assert_eq!((deletes.num_calls(), start.elapsed().as_secs()), (3, 10));
    }
}
