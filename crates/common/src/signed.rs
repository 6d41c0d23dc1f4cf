//! A signed call to a service whose SDK would cost more than it gives: two calls are no reason to compile one.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use lab_plan::{Limiter, Problem};
use serde_json::Value;

use crate::explain::{describe, explain_code, no_credentials};
use crate::sdk::make_connector;

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

/// Calls `action` with `body`, once.
///
/// # Errors
/// When there are no credentials, when no answer comes, and when AWS refuses: in the words of [`crate::explain`].
pub async fn call_json(sdk: &SdkConfig, service: &JsonService, action: &str, body: &Value) -> Result<Value, Problem> {
    let unsent = |why: String| {
        Problem::failed(format!("{action}: no usable answer"))
            .because(why)
            .fix("check the network and the Region's name, then run the same command again")
    };
    let (status, text) = send(sdk, service, action, body.to_string()).await.map_err(|fault| match fault {
        Fault::Credentials(why) => no_credentials(why),
        Fault::Other(why) => unsent(why),
    })?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let field = |names: [&str; 2]| names.iter().find_map(|name| answer[*name].as_str()).map(str::to_owned);
    let code = field(["__type", "code"]).and_then(|kind| kind.rsplit('#').next().map(str::to_owned));
    let message = field(["message", "Message"]).unwrap_or_default();
    Err(match code {
        Some(code) => explain_code(action, &code, &message),
        None => unsent(format!("HTTP {status}")),
    })
}

enum Fault {
    Credentials(String),
    Other(String),
}

async fn send(sdk: &SdkConfig, service: &JsonService, action: &str, body: String) -> Result<(u16, String), Fault> {
    let other = |error: &(dyn std::error::Error + 'static)| Fault::Other(describe(error));
    let region = sdk.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
    let request = http::Request::post(find_endpoint(sdk, service, &region))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("{}.{action}", service.target))
        .body(body)
        .map_err(|error| other(&error))?;
    let request = sign_request(sdk, service.name, &region, request).await?;
    let connector = make_connector().map_err(|problem| Fault::Other(problem.to_string()))?;
    Limiter::from_env().permit().await;
    let request = HttpRequest::try_from(request.map(SdkBody::from)).map_err(|error| other(&error))?;
    let answer = connector.call(request).await.map_err(|error| other(&error))?;
    let status = answer.status().as_u16();
    let body = ByteStream::new(answer.into_body()).collect().await.map_err(|error| other(&error))?;
    Ok((status, String::from_utf8_lossy(&body.into_bytes()).into_owned()))
}

/// The service's own endpoint where a variable names one, the common one, or AWS's.
fn find_endpoint(sdk: &SdkConfig, service: &JsonService, region: &str) -> String {
    let own = std::env::var(service.variable).ok().filter(|url| !url.is_empty());
    let url = own.or_else(|| sdk.endpoint_url().map(str::to_owned)).unwrap_or_else(|| {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}.{region}.{suffix}", service.name)
    });
    format!("{}/", url.trim_end_matches('/'))
}

async fn sign_request(
    sdk: &SdkConfig,
    name: &str,
    region: &str,
    mut request: http::Request<String>,
) -> Result<http::Request<String>, Fault> {
    let credentials = match sdk.credentials_provider() {
        Some(provider) => provider.provide_credentials().await.map_err(|error| Fault::Credentials(describe(&error)))?,
        None => return Err(Fault::Credentials("no provider of credentials is configured".to_owned())),
    };
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(name)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| Fault::Other(describe(&error)))?;
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let uri = request.uri().to_string();
    let signable = SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(request.body().as_bytes()));
    let signable = signable.map_err(|error| Fault::Other(describe(&error)))?;
    let signed = sign(signable, &params.into()).map_err(|error| Fault::Other(describe(&error)))?;
    signed.into_parts().0.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;

    const SERVICE: JsonService = JsonService { name: "monitoring", variable: "NO_SUCH_VARIABLE", target: "T" };

    fn sdk(region: &'static str) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("token".into()), None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    #[test]
    fn a_service_is_where_its_region_has_it_or_where_the_endpoint_says() {
        let at = |region| find_endpoint(&sdk(region), &SERVICE, region);
        assert_eq!(at("eu-west-1"), "https://monitoring.eu-west-1.amazonaws.com/");
        assert_eq!(at("cn-north-1"), "https://monitoring.cn-north-1.amazonaws.com.cn/");
        let own = sdk("us-east-1").into_builder().endpoint_url("http://127.0.0.1:4566").build();
        assert_eq!(find_endpoint(&own, &SERVICE, "us-east-1"), "http://127.0.0.1:4566/");
    }

    #[tokio::test]
    async fn a_request_is_signed_for_its_service_and_region() {
        let request = http::Request::post("https://monitoring.eu-west-1.amazonaws.com/").body("{}".to_owned()).unwrap();
        let Ok(signed) = sign_request(&sdk("eu-west-1"), "monitoring", "eu-west-1", request).await else {
            panic!("it is signed")
        };
        let header = |name: &str| signed.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let authorization = header("authorization");
        assert!(authorization.contains("/eu-west-1/monitoring/aws4_request"), "{authorization}");
        assert!(authorization.contains("x-amz-security-token"), "{authorization}");
        assert_eq!(header("x-amz-security-token"), "token");
    }
}
