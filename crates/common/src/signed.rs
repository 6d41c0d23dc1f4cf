//! A signed call to a service whose SDK would cost more than it gives: two calls are no reason to compile one.
//!
//! It is put together from the parts that an SDK is: the session's HTTP client with its rate limiter, the SDK's retries,
//! timeouts and signatures, and its correction of a wrong clock.

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{self, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use lab_plan::Problem;
use serde_json::Value;

use crate::explain::{explain, no_credentials};

/// A service that speaks AWS's JSON protocol, version 1.0.
#[derive(Debug, Clone, Copy)]
pub struct JsonService {
    /// Its name in signatures and in its host's name.
    pub name: &'static str,
    /// The variable that names an endpoint of its own, as the SDKs read it.
    pub variable: &'static str,
    /// What stands in front of an action in `X-Amz-Target`.
    pub target: &'static str,
}

/// Calls `action`, which must only read, with `body`. It is repeated as the SDK repeats its calls: an answer may be lost.
///
/// # Errors
/// When there are no credentials, when no answer comes, and when AWS refuses: in the words of [`crate::explain`].
pub async fn call_json(
    sdk: &SdkConfig,
    service: &JsonService,
    action: &'static str,
    body: &Value,
) -> Result<Value, Problem> {
    let operation = make_operation(sdk, service, action)?;
    operation.invoke(body.to_string()).await.map_err(|error| explain(action, &error))
}

type Call = Operation<String, Value, ErrorMetadata>;

fn make_operation(sdk: &SdkConfig, service: &JsonService, action: &'static str) -> Result<Call, Problem> {
    let region = sdk.region().map_or("us-east-1", |region| region.as_ref());
    let Some(client) = sdk.http_client() else { return Err(Problem::failed(format!("{action}: no way to AWS"))) };
    let target = format!("{}.{action}", service.target);
    let mut operation = Operation::builder()
        .service_name(service.name)
        .operation_name(action)
        .http_client(client)
        .endpoint_url(&find_endpoint(sdk, service, region))
        .runtime_plugin(sign_with(sdk, service, action)?)
        .interceptor(ServiceClockSkewInterceptor::new())
        .retry_classifier(HttpStatusCodeClassifier::default())
        .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
        .retry_classifier(ServiceClockSkewClassifier::<ErrorMetadata>::new());
    if let Some(retries) = sdk.retry_config() {
        operation = operation.standard_retry(retries);
    }
    if let Some(timeouts) = sdk.timeout_config() {
        operation = operation.timeout_config(timeouts.clone());
    }
    if let Some(sleep) = sdk.sleep_impl() {
        operation = operation.sleep_impl(sleep);
    }
    Ok(operation.serializer(move |body| write(&target, body)).deserializer(read).build())
}

/// What signs the call, with the session's credentials.
fn sign_with(sdk: &SdkConfig, service: &JsonService, action: &'static str) -> Result<StaticRuntimePlugin, Problem> {
    let provider = sdk.credentials_provider();
    let provider = provider.ok_or_else(|| no_credentials("no provider of credentials is configured"))?;
    let mut config = Layer::new(action);
    config.store_put(AuthSchemeOptionResolverParams::new(()));
    config.store_put(SigV4OperationSigningConfig {
        region: sdk.region().cloned().map(Into::into),
        name: Some(service.name.into()),
        ..SigV4OperationSigningConfig::default()
    });
    let components = RuntimeComponentsBuilder::new(action)
        .with_auth_scheme(SigV4AuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![sigv4::SCHEME_ID])))
        .with_identity_resolver(sigv4::SCHEME_ID, provider);
    Ok(StaticRuntimePlugin::new().with_config(config.freeze()).with_runtime_components(components))
}

fn write(target: &str, body: String) -> Result<HttpRequest, BoxError> {
    let request = http::Request::post("/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", target)
        .body(SdkBody::from(body))?;
    Ok(HttpRequest::try_from(request)?)
}

fn read(answer: &HttpResponse) -> Result<Value, OrchestratorError<ErrorMetadata>> {
    let body = answer.body().bytes().unwrap_or_default();
    if answer.status().is_success() {
        return serde_json::from_slice(body).map_err(|error| OrchestratorError::other(error.to_string()));
    }
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |names: [&str; 2]| names.iter().find_map(|name| document[*name].as_str());
    let mut error = ErrorMetadata::builder();
    if let Some(code) = field(["__type", "code"]).and_then(|kind| kind.rsplit('#').next()) {
        error = error.code(code);
    }
    if let Some(message) = field(["message", "Message"]) {
        error = error.message(message);
    }
    Err(OrchestratorError::operation(error.build()))
}

/// The service's own endpoint where a variable names one, the common one, or AWS's.
fn find_endpoint(sdk: &SdkConfig, service: &JsonService, region: &str) -> String {
    let own = std::env::var(service.variable).ok().filter(|url| !url.is_empty());
    own.or_else(|| sdk.endpoint_url().map(str::to_owned)).unwrap_or_else(|| {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}.{region}.{suffix}", service.name)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime};

    use super::*;
    use aws_config::retry::RetryConfig;
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_types::DateTime;
    use aws_smithy_types::date_time::Format;

    const SERVICE: JsonService = JsonService { name: "monitoring", variable: "NO_SUCH_VARIABLE", target: "T" };

    fn sdk(region: &'static str) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("token".into()), None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// Seconds that the clock is ahead, status and body.
    type Reply = (u64, u16, &'static str);

    /// Answers each request with the next of these.
    #[derive(Debug, Clone)]
    struct Script {
        answers: Arc<Mutex<Vec<Reply>>>,
        seen: Arc<Mutex<Vec<HttpRequest>>>,
    }

    impl HttpConnector for Script {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            self.seen.lock().unwrap().push(request);
            let (ahead, status, body) = self.answers.lock().unwrap().remove(0);
            let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            let date = DateTime::from(SystemTime::now() + Duration::from_secs(ahead)).fmt(Format::HttpDate).unwrap();
            answer.headers_mut().insert("date", date);
            HttpConnectorFuture::ready(Ok(answer))
        }
    }

    /// What is answered where the service answers so, and the requests that it saw.
    async fn call(answers: &[Reply]) -> (Result<Value, Problem>, Vec<HttpRequest>) {
        let script = Script { answers: Arc::new(Mutex::new(answers.to_vec())), seen: Arc::default() };
        let connector = SharedHttpConnector::new(script.clone());
        let sdk = sdk("eu-west-1")
            .into_builder()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .build();
        let answer = call_json(&sdk, &SERVICE, "ListMetrics", &serde_json::json!({"Namespace": "x"})).await;
        let seen = std::mem::take(&mut *script.seen.lock().unwrap());
        (answer, seen)
    }

    #[test]
    fn a_service_is_where_its_region_has_it_or_where_the_endpoint_says() {
        let at = |region| find_endpoint(&sdk(region), &SERVICE, region);
        assert_eq!(at("eu-west-1"), "https://monitoring.eu-west-1.amazonaws.com");
        assert_eq!(at("cn-north-1"), "https://monitoring.cn-north-1.amazonaws.com.cn");
        let own = sdk("us-east-1").into_builder().endpoint_url("http://127.0.0.1:4566").build();
        assert_eq!(find_endpoint(&own, &SERVICE, "us-east-1"), "http://127.0.0.1:4566");
    }

    #[tokio::test]
    async fn a_request_is_signed_for_its_service_and_region() {
        let (answer, seen) = call(&[(0, 200, r#"{"Metrics": []}"#)]).await;
        assert_eq!(answer, Ok(serde_json::json!({"Metrics": []})));
        let [request] = seen.as_slice() else { panic!("one request: {seen:?}") };
        let header = |name: &str| request.headers().get(name).unwrap();
        assert_eq!(request.uri(), "https://monitoring.eu-west-1.amazonaws.com/");
        assert_eq!(header("x-amz-target"), "T.ListMetrics");
        let authorization = header("authorization");
        assert!(authorization.contains("/eu-west-1/monitoring/aws4_request"), "{authorization}");
        assert!(authorization.contains("x-amz-security-token"), "{authorization}");
        assert_eq!(header("x-amz-security-token"), "token");
    }

    #[tokio::test]
    async fn what_passes_is_asked_again_and_what_does_not_is_told() {
        let throttled =
            r#"{"__type": "com.amazon.coral.availability#ThrottlingException", "message": "Rate exceeded"}"#;
        let (answer, seen) = call(&[(0, 400, throttled), (0, 500, ""), (0, 200, "{}")]).await;
        assert_eq!((answer, seen.len()), (Ok(serde_json::json!({})), 3));
        let denied = r#"{"__type": "AccessDeniedException", "Message": "not you"}"#;
        let (answer, seen) = call(&[(0, 400, denied)]).await;
        let problem = answer.unwrap_err();
        assert_eq!((problem.is_denial(), seen.len()), (true, 1), "{problem}");
        assert_eq!(problem.why(), Some("ListMetrics: AccessDeniedException: not you"));
    }

    #[tokio::test]
    async fn a_wrong_clock_is_corrected() {
        let skewed = r#"{"__type": "InvalidSignatureException", "message": "Signature expired"}"#;
        let (answer, seen) = call(&[(7200, 403, skewed), (7200, 200, "{}")]).await;
        assert_eq!(answer, Ok(serde_json::json!({})));
        let dates: Vec<_> = seen.iter().map(|request| request.headers().get("x-amz-date").unwrap()).collect();
        assert_ne!(dates[0], dates[1]);
    }
}
