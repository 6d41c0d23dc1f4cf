//! The HTTP client through which every request of a process goes, at a rate that learns from the answers.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use lab_plan::Limiter;
use serde_json::Value;

use super::read_body;
use crate::Clock;
use crate::explain::is_throttling;

/// An HTTP client all of whose requests, the SDK's retries included, pass one rate limiter.
pub(super) struct Paced {
    inner: SharedHttpClient,
    limiter: Arc<Limiter>,
    clock: Clock,
}

impl Paced {
    pub(super) fn new(inner: SharedHttpClient, limiter: Limiter, clock: Clock) -> Self {
        Self { inner, limiter: Arc::new(limiter), clock }
    }
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
            let mut answer = inner.call(request).await?;
            clock.read(&answer);
            if asks_for_patience(&mut answer).await? {
                limiter.throttled();
            } else {
                limiter.succeeded();
            }
            Ok(answer)
        })
    }
}

/// Whether AWS asks for patience: 429 and 503 do by their status, the JSON protocols by a header or their body, EC2, IAM
/// and STS by their body alone. The SDK reads the body of a refusal whole, too.
async fn asks_for_patience(answer: &mut HttpResponse) -> Result<bool, ConnectorError> {
    let status = answer.status();
    if matches!(status.as_u16(), 429 | 503) {
        return Ok(true);
    }
    if !status.is_client_error() {
        return Ok(false);
    }
    if answer.headers().get("x-amzn-errortype").is_some_and(|kind| is_throttling(strip_kind(kind))) {
        return Ok(true);
    }
    let body = read_body(answer).await?.into_bytes();
    Ok(find_code(&String::from_utf8_lossy(&body)).is_some_and(|code| is_throttling(&code)))
}

/// The error code in the body of a refusal: `<Code>` in XML, `__type` or `code` in JSON.
fn find_code(body: &str) -> Option<String> {
    if let Some((_, rest)) = body.split_once("<Code>") {
        return rest.split('<').next().map(|code| code.trim().to_owned());
    }
    let document: Value = serde_json::from_str(body).ok()?;
    let kind = ["__type", "code"].iter().find_map(|name| document[*name].as_str())?;
    Some(strip_kind(kind).to_owned())
}

/// `Throttling` of `aws.protocol#Throttling:http://internal.amazon.com/coral/…`.
fn strip_kind(kind: &str) -> &str {
    let kind = kind.split(':').next().unwrap_or_default();
    kind.rsplit('#').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;
    use tokio::time::{Duration, Instant};

    use super::*;

    /// Answers everything alike.
    #[derive(Debug, Clone)]
    struct Always(u16, &'static [(&'static str, &'static str)], &'static str);

    impl HttpConnector for Always {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let Self(status, headers, body) = *self;
            let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            for (name, value) in headers {
                answer.headers_mut().insert(*name, *value);
            }
            HttpConnectorFuture::ready(Ok(answer))
        }
    }

    /// How long the calls after a first one take that was answered so, and the body as it was handed on.
    async fn time_after(first: Always) -> (Duration, String) {
        let connector = PacedConnector {
            inner: SharedHttpConnector::new(first),
            limiter: Arc::new(Limiter::new()),
            clock: Clock::default(),
        };
        let mut answer = connector.call(HttpRequest::empty()).await.unwrap();
        let body = read_body(&mut answer).await.unwrap().into_bytes();
        let start = Instant::now();
        for _ in 0..10 {
            connector.limiter.permit().await;
        }
        (start.elapsed(), String::from_utf8(body.to_vec()).unwrap())
    }

    const STS: &str = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                       <Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    const EC2: &str = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>RequestLimitExceeded</Code>\
                       <Message>Request limit exceeded.</Message></Error></Errors></Response>";
    const JSON: &str = r#"{"__type" : "com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"}"#;

    #[tokio::test(start_paused = true)]
    async fn every_way_in_which_aws_asks_for_patience_slows_down_and_no_other_answer_does() {
        let kind = &[("x-amzn-errortype", "ThrottlingException:http://internal.amazon.com/coral/")];
        for asks in [
            Always(400, &[], STS),
            Always(400, &[], EC2),
            Always(503, &[], EC2),
            Always(400, &[], JSON),
            Always(400, kind, "{}"),
            Always(429, &[], ""),
        ] {
            let (took, body) = time_after(asks.clone()).await;
            assert!(took >= Duration::from_millis(900), "10 calls took {took:?} after {asks:?}");
            assert_eq!(body, asks.2, "whoever asked reads the answer");
        }
        let missing = "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>not Throttling</Message>";
        let denied = &[("x-amzn-errortype", "AccessDeniedException")];
        for other in [
            Always(200, &[], "<Code>Throttling</Code>"),
            Always(400, &[], missing),
            Always(403, denied, r#"{"message":"Throttling"}"#),
            Always(404, &[], ""),
            Always(400, &[], "{\"__type\""),
            Always(500, &[], "<Code>InternalError</Code>"),
        ] {
            let (took, body) = time_after(other.clone()).await;
            assert_eq!((took, body.as_str()), (Duration::ZERO, other.2), "{other:?}");
        }
    }
}
