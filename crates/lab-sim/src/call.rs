//! A request that has been read to its end, and the answer to it.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};

use crate::caller::Peer;
use crate::classify::{Class, classify, form_body};
use crate::faults::rules::CallerKind;
use crate::form::Form;

/// An answer with its whole body.
pub(crate) type Answer = Response<Bytes>;

/// What the access keys of functions begin with, which tells their calls from the command's; their account follows.
const FUNCTION_KEYS: &str = "ASIALABSIM";

/// The access key that the functions of an account sign with.
pub(crate) fn function_key(account: &str) -> String {
    format!("{FUNCTION_KEYS}{account}")
}

/// The account of the function that signs with this key; `None` when no function does.
pub(crate) fn function_account(key: &str) -> Option<&str> {
    key.strip_prefix(FUNCTION_KEYS)
}

/// A request as it came: method, path, headers and body bytes are unchanged.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The other end of the connection.
    pub(crate) peer: Peer,
    pub(crate) class: Class,
    /// The parameters of a query-protocol call, from its body or its query string.
    pub(crate) form: Form,
}

impl Call {
    /// Takes a request and says what it is.
    pub(crate) fn new(method: Method, uri: Uri, headers: HeaderMap, body: Bytes, peer: Peer) -> Self {
        let class = classify(&method, &uri, &headers, &body);
        let form = form_body(&headers, &body).unwrap_or_else(|| Form::parse(uri.query().unwrap_or_default()));
        Self { method, uri, headers, body, peer, class, form }
    }

    /// One of the call's query-protocol parameters.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.form.get(name)
    }

    /// A header's value, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The query string, read.
    pub(crate) fn query(&self) -> Form {
        Form::parse(self.uri.query().unwrap_or_default())
    }

    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Who made the call.
    pub(crate) fn caller(&self) -> CallerKind {
        if function_account(&self.class.access_key).is_some() { CallerKind::Function } else { CallerKind::Command }
    }

    /// The same call with other parameters, for a question to moto that the caller did not ask in these words.
    pub(crate) fn with_form(&self, form: Form) -> Self {
        Self { body: Bytes::from(form.encode()), form, ..self.clone() }
    }

    /// The same call with another body.
    pub(crate) fn with_body(&self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self.clone() }
    }
}

/// A request id of the shape that AWS uses.
pub(crate) fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// An answer of this status, content type and body.
pub(crate) fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    answer
}

/// A JSON answer.
pub(crate) fn json_answer(status: u16, value: &serde_json::Value) -> Answer {
    answer(status, "application/json", value.to_string())
}
