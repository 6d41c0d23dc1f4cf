//! The S3 client, from the variables that Lambda gives every function.
//!
//! The SDK's own configuration looks further (profiles, single sign-on, instance metadata), which a function never needs
//! and which would be a quarter of its size.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

/// Tries of one call, the first included. Lambda itself tries the invocation twice more, minutes later.
const ATTEMPTS: u32 = 3;
/// Before the second try of a call, at most. The SDK's own second is paid for, and S3 is well again sooner.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Within a Region a connection takes a millisecond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Until the first byte of an answer. Three of them stay inside the function's 60 s.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// Builds the client: few tries, short timeouts. Without credentials every call is refused, with S3's words.
///
/// With an endpoint of one's own (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`) the bucket goes into the path, since no DNS
/// knows `bucket.127.0.0.1`.
pub fn connect(lookup: impl Fn(&str) -> Option<String>) -> Client {
    let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    let switched_on = |name: &str| set(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let endpoint = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL"));
    let credentials = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).map(Region::new))
        .force_path_style(endpoint.is_some())
        .use_fips(switched_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(switched_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_PAUSE))
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build())
        .http_client(
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https(),
        );
    config.set_endpoint_url(endpoint);
    if let Some((id, secret)) = credentials {
        config =
            config.credentials_provider(Credentials::new(id, secret, set("AWS_SESSION_TOKEN"), None, "environment"));
    }
    Client::from_conf(config.build())
}
