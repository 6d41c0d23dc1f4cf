//! The way to S3's control plane.

use aws_sdk_s3control::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3control::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3control::error::BoxError;
use lab_common::Session;

/// A client. AWS wants the account's number in front of the host's name; where the endpoint is one of our own, no name
/// server knows such a host, and an address has no host in front of it.
pub(crate) fn connect(session: &Session) -> aws_sdk_s3control::Client {
    let config = aws_sdk_s3control::config::Builder::from(&session.sdk);
    let config = if session.sdk.endpoint_url().is_some() { config.interceptor(WithoutAccount) } else { config };
    aws_sdk_s3control::Client::from_conf(config.build())
}

#[derive(Debug)]
struct WithoutAccount;

impl Intercept for WithoutAccount {
    fn name(&self) -> &'static str {
        "WithoutAccount"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let bare = strip_account(request.uri());
        request.set_uri(bare)?;
        Ok(())
    }
}

/// `http://123456789012.127.0.0.1:4566/…` without the account.
fn strip_account(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    match rest.split_once('.') {
        Some((account, host)) if account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{scheme}://{host}")
        }
        _ => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_in_front_of_the_host_is_taken_off() {
        for (uri, bare) in [
            ("http://123456789012.127.0.0.1:4566/v20180820/jobs", "http://127.0.0.1:4566/v20180820/jobs"),
            ("http://127.0.0.1:4566/v20180820/jobs", "http://127.0.0.1:4566/v20180820/jobs"),
            ("https://s3.lab.example/x", "https://s3.lab.example/x"),
        ] {
            assert_eq!(strip_account(uri), bare);
        }
    }
}
