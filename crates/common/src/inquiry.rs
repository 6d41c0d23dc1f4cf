//! A look at AWS in which each question is asked once, and the next look in which all of them go out at the same moment.
//!
//! The parts of a look know nothing of each other, so several of them want to know the same: which VPC bears our tags? And
//! a second round of questions follows from the answers to the first: which rules has the endpoint that was found? Who
//! looks again a little later mostly asks the same in both. So the next look sends all that the last one has asked at once,
//! and whoever asks finds the answer on its way; only what is new needs a second round.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Headers, StatusCode};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::AggregatedBytes;
use tokio::sync::watch;

use crate::sdk::read_body;

/// A request is sent again as it was signed. AWS takes a signature for five minutes (IAM user guide, "Elements of an AWS API
/// request signature"); one is for the way and for clocks.
const SIGNED_FOR: Duration = Duration::from_mins(4);
/// What is larger is somebody's object, and not worth keeping.
const LARGEST: u64 = 1024 * 1024;
/// What differs between two requests for the same.
const PASSING: [&str; 7] = [
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "user-agent",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-user-agent",
];

/// What is asked in one look, and was in the look before. Only for those who read: a change would be sent again.
#[derive(Debug, Clone, Default)]
pub struct Inquiry {
    memory: Arc<Memory>,
}

impl Inquiry {
    /// An inquiry, and the way to AWS that asks through it.
    pub fn over(sdk: &SdkConfig) -> (Self, SdkConfig) {
        let inquiry = Self::default();
        let Some(inner) = sdk.http_client() else { return (inquiry, sdk.clone()) };
        let asking = Asking { inner, memory: Arc::clone(&inquiry.memory) };
        let sdk = sdk.clone().into_builder().http_client(asking).build();
        (inquiry, sdk)
    }

    /// Begins a new look: no answer of the last one counts any longer, and its questions are asked again at once. What
    /// nobody asked in the last look is left out.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn begin(&self) {
        let mut asked = self.memory.lock();
        let before = std::mem::take(&mut *asked);
        let again = before.into_iter().filter(|(_, entry)| entry.is_wanted && entry.is_fresh());
        asked.extend(again.filter_map(|(question, entry)| Some((question, entry.ask_again()?))));
    }
}

#[derive(Default)]
struct Memory {
    asked: Mutex<HashMap<Question, Entry>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Entry>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done for this request; `None` where it cannot be asked twice.
    fn take_turn(&self, request: &HttpRequest, connector: &SharedHttpConnector) -> Option<Turn> {
        let (question, request) = (Question::read(request)?, request.try_clone()?);
        let mut asked = self.lock();
        if let Some(entry) = asked.get_mut(&question) {
            // Signed later than the one that has gone out: the better one for the next look.
            (entry.request, entry.signed, entry.is_wanted) = (request, SystemTime::now(), true);
            return Some(Turn::Wait(entry.answer.clone()));
        }
        let (tell, answer) = watch::channel(None);
        let entry = Entry { request, connector: connector.clone(), signed: SystemTime::now(), is_wanted: true, answer };
        asked.insert(question, entry);
        Some(Turn::Ask(tell))
    }
}

/// What a request asks, whenever and by whom it was signed.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Question {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Question {
    fn read(request: &HttpRequest) -> Option<Self> {
        let headers = request.headers().iter().filter(|(name, _)| !PASSING.contains(name));
        let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.sort();
        let body = request.body().bytes()?.to_vec();
        Some(Self { method: request.method().to_owned(), uri: request.uri().to_owned(), headers, body })
    }
}

/// A question that has been asked.
struct Entry {
    request: HttpRequest,
    connector: SharedHttpConnector,
    signed: SystemTime,
    /// Somebody has asked it in this look.
    is_wanted: bool,
    answer: watch::Receiver<Option<Answer>>,
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.signed.elapsed().is_ok_and(|age| age < SIGNED_FOR)
    }

    /// Sends it once more, and waits for nobody.
    fn ask_again(self) -> Option<Self> {
        let request = self.request.try_clone()?;
        let (tell, answer) = watch::channel(None);
        let connector = self.connector.clone();
        tokio::spawn(async move {
            // Where it fails, whoever wants to know asks for themselves.
            let _ = ask(&connector, request, &tell).await;
        });
        Some(Self { is_wanted: false, answer, ..self })
    }
}

enum Turn {
    /// Nobody has asked: ask, and tell the others.
    Ask(watch::Sender<Option<Answer>>),
    /// The answer is known, or on its way.
    Wait(watch::Receiver<Option<Answer>>),
}

/// An answer that counts for everybody who asks the same.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: Headers,
    body: AggregatedBytes,
}

impl Answer {
    fn to_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status, SdkBody::from(self.body.clone().into_bytes()));
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// That a thing is there, or is not there. Every other refusal may be for who asked, or when.
    fn counts_for_all(&self) -> bool {
        match self.status.as_u16() {
            200..300 | 404 => true,
            400 => {
                let kind = self.headers.get("x-amzn-errortype").unwrap_or_default();
                let body = self.body.clone().into_bytes();
                let text = String::from_utf8_lossy(&body);
                ["NotFound", "NonExistent", "DoesNotExist"]
                    .iter()
                    .any(|word| kind.contains(word) || text.contains(word))
            }
            _ => false,
        }
    }
}

/// Asks, and tells the answer where it counts for all.
async fn ask(
    connector: &SharedHttpConnector,
    request: HttpRequest,
    tell: &watch::Sender<Option<Answer>>,
) -> Result<HttpResponse, ConnectorError> {
    let mut response = connector.call(request).await?;
    let length = response.headers().get("content-length").and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST) {
        return Ok(response);
    }
    let body = read_body(&mut response).await?;
    let answer = Answer { status: response.status(), headers: response.headers().clone(), body };
    if answer.counts_for_all() {
        tell.send_replace(Some(answer));
    }
    Ok(response)
}

/// The answer that somebody else is waiting for too; `None` where they got none that counts for all.
async fn wait(mut answer: watch::Receiver<Option<Answer>>) -> Option<HttpResponse> {
    let told = answer.wait_for(Option::is_some).await.ok()?;
    told.as_ref().map(Answer::to_response)
}

/// An HTTP client that asks each question of a look once.
#[derive(Debug)]
struct Asking {
    inner: SharedHttpClient,
    memory: Arc<Memory>,
}

impl HttpClient for Asking {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(AskingConnector { inner, memory: Arc::clone(&self.memory) })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct AskingConnector {
    inner: SharedHttpConnector,
    memory: Arc<Memory>,
}

impl HttpConnector for AskingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(turn) = self.memory.take_turn(&request, &self.inner) else { return self.inner.call(request) };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            match turn {
                Turn::Ask(tell) => ask(&inner, request, &tell).await,
                Turn::Wait(answer) => match wait(answer).await {
                    Some(response) => Ok(response),
                    None => inner.call(request).await,
                },
            }
        })
    }
}

#[cfg(test)]
mod tests;
