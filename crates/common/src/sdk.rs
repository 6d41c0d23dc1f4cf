//! The one SDK configuration: Region, endpoint, trust store, retries, and the shared rate limit.

mod paced;
mod wire;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::{AggregatedBytes, ByteStream};
use lab_plan::{Limiter, Problem};
use tokio::time::timeout;

use crate::explain::describe;
use crate::{Clock, LabArgs};

use paced::Paced;
pub(crate) use wire::connect_directly;

/// Attempts of a call that is safe to repeat. With the pauses below they span about ten seconds of trouble.
const ATTEMPTS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// AWS answers its slowest calls within seconds. Counted from a request's first byte to its answer's, so whoever uploads
/// much turns it off.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);

/// The way to AWS, and the clock seen on it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// For the clients of AWS's services.
    pub sdk: SdkConfig,
    /// What all their answers say of the time.
    pub clock: Clock,
}

/// Loads the SDK's configuration as `args` and the environment say, without any lab. No call is made but those of the
/// credential chain. `region` is the one that lab.toml names.
///
/// # Errors
/// When an option cannot be used: the profile, the endpoint, the trusted certificates.
pub async fn connect(args: &LabArgs, region: Option<&str>) -> Result<Connection, Problem> {
    let connection = prepare(args, region).await?;
    if let (Some(profile), Some(provider)) = (&args.profile, connection.sdk.credentials_provider()) {
        provider.provide_credentials().await.map_err(|error| {
            Problem::usage(format!("the profile {profile} gives no credentials"))
                .because(describe(&error))
                .fix("see `aws configure list-profiles`; for SSO: aws sso login --profile NAME")
        })?;
    }
    Ok(connection)
}

/// [`connect`], for those who want to find out themselves whether the profile gives credentials.
///
/// # Errors
/// When an option cannot be used: the endpoint, the trusted certificates.
pub async fn prepare(args: &LabArgs, region: Option<&str>) -> Result<Connection, Problem> {
    let clock = Clock::default();
    let client = SharedHttpClient::new(Paced::new(wire::make_client()?, Limiter::from_env(), clock.clone()));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_PAUSE)
                .with_max_backoff(LONGEST_PAUSE),
        )
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build())
        // It would take a request that the rate limiter holds back for one whose upload has stalled, and end it.
        // `SILENCE` bounds requests as well, and whoever uploads much turns the protection on again.
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().upload_enabled(false).build());
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(profile) = &args.profile {
        loader = loader.profile_name(profile).no_credentials();
    }
    if let Some(url) = &args.endpoint_url {
        check_endpoint(url)?;
        loader = loader.endpoint_url(url);
    }
    let sdk = loader.load().await;
    let provider = match &args.profile {
        Some(profile) => Some(provide_from_profile(&sdk, profile)),
        None => sdk.credentials_provider(),
    };
    let sdk = match provider {
        Some(inner) => {
            let remembering = Remembering { inner, last: Mutex::default() };
            sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(remembering)).build()
        }
        None => sdk,
    };
    Ok(Connection { sdk, clock })
}

/// The credentials of `profile`, which the SDK's chain would ask for only after keys of the environment, and work in their
/// account. Roles and single sign-on are calls too: they take the same way, to the same Region.
fn provide_from_profile(sdk: &SdkConfig, profile: &str) -> SharedCredentialsProvider {
    let mut way = ProviderConfig::without_region().with_region(sdk.region().cloned()).with_use_fips(sdk.use_fips());
    if let Some(client) = sdk.http_client() {
        way = way.with_http_client(client);
    }
    if let Some(retries) = sdk.retry_config() {
        way = way.with_retry_config(retries.clone());
    }
    if let Some(timeouts) = sdk.timeout_config() {
        way = way.with_timeout_config(timeouts.clone());
    }
    SharedCredentialsProvider::new(
        ProfileFileCredentialsProvider::builder().configure(&way).profile_name(profile).build(),
    )
}

/// Long enough for a program to look at its credentials before its first call, and far too short to outlive them.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Credentials that are asked for once, although both we (when do they expire?) and the SDK want them. A chain may run a
/// process or ask another service for each.
#[derive(Debug)]
struct Remembering {
    inner: SharedCredentialsProvider,
    last: Mutex<Option<(Instant, Credentials)>>,
}

impl ProvideCredentials for Remembering {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        future::ProvideCredentials::new(async move {
            let fresh = last().as_ref().filter(|(when, _)| when.elapsed() < REMEMBERED).map(|(_, found)| found.clone());
            if let Some(found) = fresh {
                return Ok(found);
            }
            let found = self.inner.provide_credentials().await?;
            *last() = Some((Instant::now(), found.clone()));
            Ok(found)
        })
    }
}

fn check_endpoint(url: &str) -> Result<(), Problem> {
    let uri = url.parse::<http::Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    if uri.is_some_and(|uri| uri.host().is_some()) {
        return Ok(());
    }
    Err(Problem::usage(format!("--endpoint-url {url} is not a URL")).fix("write one like http://127.0.0.1:4566"))
}

/// The body of `answer`, which stays in it.
pub(crate) async fn read_body(answer: &mut HttpResponse) -> Result<AggregatedBytes, ConnectorError> {
    let body = timeout(SILENCE, ByteStream::new(answer.take_body()).collect()).await;
    let body = body.map_err(|late| ConnectorError::timeout(late.into()))?;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?;
    *answer.body_mut() = SdkBody::from(body.clone().into_bytes());
    Ok(body)
}
