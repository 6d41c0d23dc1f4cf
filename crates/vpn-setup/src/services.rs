//! The three services this concern speaks to.

use aws_config::SdkConfig;

/// A client for each.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) acm: aws_sdk_acm::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
}

impl Services {
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        Self {
            acm: aws_sdk_acm::Client::new(sdk),
            ec2: aws_sdk_ec2::Client::new(sdk),
            logs: aws_sdk_cloudwatchlogs::Client::new(sdk),
        }
    }
}
