//! Clients that answer from rules, for tests.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use crate::clients::Clients;

/// Clients whose S3 answers by these rules; the other services refuse every call.
pub(crate) fn s3_clients(rules: &[&Rule]) -> Clients {
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
    let s3 = aws_sdk_s3::config::Builder::from(&sdk).interceptor(interceptor).build();
    Clients {
        s3: aws_sdk_s3::Client::from_conf(s3),
        lambda: aws_sdk_lambda::Client::new(&sdk),
        iam: aws_sdk_iam::Client::new(&sdk),
        logs: aws_sdk_cloudwatchlogs::Client::new(&sdk),
        sts: aws_sdk_sts::Client::new(&sdk),
    }
}

/// S3's refusal.
pub(crate) fn refuse(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}
