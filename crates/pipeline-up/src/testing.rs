//! Clients that answer from rules, for tests.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use crate::clients::Clients;

/// Clients whose S3 answers by these rules; the other services refuse every call.
pub(crate) fn s3_clients(rules: &[&Rule]) -> Clients {
    let (sdk, interceptor) = prepare(rules);
    let s3 = aws_sdk_s3::config::Builder::from(&sdk).interceptor(interceptor).build();
    Clients { s3: aws_sdk_s3::Client::from_conf(s3), ..silent_clients(&sdk) }
}

/// Clients whose S3 Control answers by these rules; the other services refuse every call.
pub(crate) fn s3control_clients(rules: &[&Rule]) -> Clients {
    let (sdk, interceptor) = prepare(rules);
    let s3control = aws_sdk_s3control::config::Builder::from(&sdk).interceptor(interceptor).build();
    Clients { s3control: aws_sdk_s3control::Client::from_conf(s3control), ..silent_clients(&sdk) }
}

/// Clients whose SQS answers by these rules; the other services refuse every call.
pub(crate) fn sqs_clients(rules: &[&Rule]) -> Clients {
    let (sdk, interceptor) = prepare(rules);
    let sqs = aws_sdk_sqs::config::Builder::from(&sdk).interceptor(interceptor).build();
    Clients { sqs: aws_sdk_sqs::Client::from_conf(sqs), ..silent_clients(&sdk) }
}

fn prepare(rules: &[&Rule]) -> (aws_config::SdkConfig, MockResponseInterceptor) {
    let interceptor = rules
        .iter()
        .fold(MockResponseInterceptor::new().rule_mode(RuleMode::MatchAny), |all, rule| all.with_rule(rule));
    let sdk = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(Credentials::new(
            "AKIDEXAMPLE",
            "secret",
            None,
            None,
            "test",
        )))
        .http_client(create_mock_http_client())
        .retry_config(RetryConfig::disabled())
        .build();
    (sdk, interceptor)
}

fn silent_clients(sdk: &aws_config::SdkConfig) -> Clients {
    Clients {
        s3: aws_sdk_s3::Client::new(sdk),
        s3control: aws_sdk_s3control::Client::new(sdk),
        lambda: aws_sdk_lambda::Client::new(sdk),
        iam: aws_sdk_iam::Client::new(sdk),
        logs: aws_sdk_cloudwatchlogs::Client::new(sdk),
        sqs: aws_sdk_sqs::Client::new(sdk),
        tagging: aws_sdk_resourcegroupstagging::Client::new(sdk),
        sts: aws_sdk_sts::Client::new(sdk),
    }
}

/// The refusal of a service that speaks JSON.
pub(crate) fn refuse_json(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"{message}"}}"#);
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

/// S3 Control's refusal.
pub(crate) fn refuse_xml(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>");
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

/// S3's refusal.
pub(crate) fn refuse(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}
