//! The one SDK configuration: Region, endpoint, trust store, retries, and the shared rate limit.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use lab_plan::{Limiter, Problem};

use crate::explain::describe;
use crate::{Clock, LabArgs};

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
    let limiter = Arc::new(Limiter::from_env());
    let clock = Clock::default();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Paced { inner: make_client()?, limiter, clock: clock.clone() })
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
        // The SDK would prefer keys of the environment, and work in their account.
        let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(provider);
    }
    if let Some(url) = &args.endpoint_url {
        check_endpoint(url)?;
        loader = loader.endpoint_url(url);
    }
    let sdk = loader.load().await;
    let sdk = match sdk.credentials_provider() {
        Some(inner) => {
            let remembering = Remembering { inner, last: Mutex::default() };
            sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(remembering)).build()
        }
        None => sdk,
    };
    Ok(Connection { sdk, clock })
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

/// The certificates that are trusted: the system's, or those of `AWS_CA_BUNDLE`, which the Rust SDK does not read.
fn find_trust() -> Result<TrustStore, Problem> {
    let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else {
        return Ok(TrustStore::default());
    };
    let show = std::path::Path::new(&path).display();
    let fix = "point AWS_CA_BUNDLE at a PEM file of certificates, or unset it";
    let pem = std::fs::read(&path).map_err(|error| {
        Problem::usage(format!("cannot read AWS_CA_BUNDLE {show}")).because(error.to_string()).fix(fix)
    })?;
    if !pem.windows(27).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
        return Err(Problem::usage(format!("AWS_CA_BUNDLE {show} holds no certificate")).fix(fix));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

fn make_context() -> Result<TlsContext, Problem> {
    TlsContext::builder()
        .with_trust_store(find_trust()?)
        .build()
        .map_err(|error| Problem::usage("the trusted certificates cannot be used").because(error.to_string()))
}

fn make_client() -> Result<SharedHttpClient, Problem> {
    let provider = tls::Provider::Rustls(CryptoMode::AwsLc);
    Ok(aws_smithy_http_client::Builder::new().tls_provider(provider).tls_context(make_context()?).build_https())
}

/// One connection for a call that is not AWS's API.
pub(crate) fn make_connector() -> Result<impl HttpConnector, Problem> {
    let provider = tls::Provider::Rustls(CryptoMode::AwsLc);
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(CONNECT).build();
    Ok(aws_smithy_http_client::Connector::builder()
        .tls_provider(provider)
        .tls_context(make_context()?)
        .connector_settings(settings)
        .build())
}

/// An HTTP client all of whose requests, the SDK's retries included, pass one rate limiter.
struct Paced {
    inner: SharedHttpClient,
    limiter: Arc<Limiter>,
    clock: Clock,
}

impl fmt::Debug for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Paced")
    }
}

impl HttpClient for Paced {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(PacedConnector {
            inner: self.inner.http_connector(settings, components),
            limiter: Arc::clone(&self.limiter),
            clock: self.clock.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

struct PacedConnector {
    inner: SharedHttpConnector,
    limiter: Arc<Limiter>,
    clock: Clock,
}

impl fmt::Debug for PacedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacedConnector")
    }
}

impl HttpConnector for PacedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, limiter, clock) = (self.inner.clone(), Arc::clone(&self.limiter), self.clock.clone());
        HttpConnectorFuture::new(async move {
            limiter.permit().await;
            let answer = inner.call(request).await;
            if let Ok(answer) = &answer {
                clock.read(answer);
                if is_throttled(answer) { limiter.throttled() } else { limiter.succeeded() }
            }
            answer
        })
    }
}

/// Whether AWS asks for patience: 429 and 503 do by their status, the JSON protocols by their error type.
fn is_throttled(answer: &HttpResponse) -> bool {
    let kind = answer.headers().get("x-amzn-errortype").unwrap_or_default();
    matches!(answer.status().as_u16(), 429 | 503) || kind.contains("Throttl") || kind.contains("TooManyRequests")
}
