//! The services this concern speaks to.

use aws_sdk_s3::config::Builder as S3Config;
use lab_common::Session;

use crate::s3control;

/// One client a service, all over one HTTP client with one rate limit.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) s3control: aws_sdk_s3control::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) tagging: aws_sdk_resourcegroupstagging::Client,
    pub(crate) sts: aws_sdk_sts::Client,
}

impl Clients {
    pub(crate) fn new(session: &Session) -> Self {
        let sdk = &session.sdk;
        let s3 = S3Config::from(sdk).force_path_style(session.has_own_s3_endpoint()).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            s3control: s3control::connect(session),
            lambda: aws_sdk_lambda::Client::new(sdk),
            iam: aws_sdk_iam::Client::new(sdk),
            logs: aws_sdk_cloudwatchlogs::Client::new(sdk),
            sqs: aws_sdk_sqs::Client::new(sdk),
            tagging: aws_sdk_resourcegroupstagging::Client::new(sdk),
            sts: aws_sdk_sts::Client::new(sdk),
        }
    }
}
