//! Errors as each AWS protocol writes them, and the codes that services give to the passing states.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::json;

use crate::call::{Answer, new_request_id};
use crate::cbor::{Kind, encode};
use crate::classify::{Class, Protocol};
use crate::xml::Element;

/// An error of a service: HTTP status, code and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// What Lambda says besides.
    pub(crate) reason: Option<&'static str>,
}

impl ServiceError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), reason: None }
    }

    /// The error that an answer of EC2's holds.
    pub(crate) fn from_ec2(answer: &Answer) -> Self {
        let root = Element::parse(answer.body()).unwrap_or_default();
        let error = root.descend(&["Errors", "Error"]);
        let text = |name: &str| error.and_then(|error| error.child_text(name)).unwrap_or_default();
        Self::new(answer.status().as_u16(), &text("Code"), text("Message"))
    }

    /// The service's throttling error.
    pub(crate) fn throttled(class: &Class) -> Self {
        match class.protocol {
            Protocol::Ec2 => Self::new(503, "RequestLimitExceeded", "Request limit exceeded."),
            Protocol::S3 | Protocol::RestXml => Self::new(503, "SlowDown", "Please reduce your request rate."),
            Protocol::Query | Protocol::Cbor => Self::new(400, "Throttling", "Rate exceeded"),
            Protocol::Json if class.service == "sqs" => Self::new(400, "RequestThrottled", "Request is throttled."),
            Protocol::Json => Self::new(400, "ThrottlingException", "Rate exceeded"),
            Protocol::RestJson => Self::new(429, "TooManyRequestsException", "Rate exceeded"),
        }
    }

    /// The service's HTTP 500.
    pub(crate) fn internal(class: &Class) -> Self {
        let message = "An internal error has occurred.";
        match class.protocol {
            Protocol::Ec2 => Self::new(500, "InternalError", message),
            Protocol::RestXml => Self::new(500, "InternalServiceException", message),
            Protocol::S3 => Self::new(500, "InternalError", "We encountered an internal error. Please try again."),
            Protocol::Query | Protocol::Cbor => Self::new(500, "InternalFailure", message),
            Protocol::Json => Self::new(500, "InternalServerError", message),
            Protocol::RestJson => Self::new(500, "ServiceException", message),
        }
    }

    /// The service's HTTP 503.
    pub(crate) fn unavailable(class: &Class) -> Self {
        let message = "The service is unavailable. Please try again shortly.";
        match class.protocol {
            Protocol::Ec2 => Self::new(503, "Unavailable", message),
            Protocol::S3 | Protocol::RestXml | Protocol::Query | Protocol::Cbor => {
                Self::new(503, "ServiceUnavailable", message)
            }
            Protocol::Json | Protocol::RestJson => Self::new(503, "ServiceUnavailableException", message),
        }
    }

    /// What a session token answers once it has expired.
    pub(crate) fn expired_credentials(class: &Class) -> Self {
        let message = "The security token included in the request is expired";
        match class.protocol {
            Protocol::Ec2 => Self::new(400, "RequestExpired", "Request has expired."),
            Protocol::S3 | Protocol::RestXml => Self::new(400, "ExpiredToken", "The provided token has expired."),
            Protocol::Query | Protocol::Cbor => Self::new(403, "ExpiredToken", message),
            Protocol::Json => Self::new(400, "ExpiredTokenException", message),
            Protocol::RestJson => Self::new(403, "ExpiredTokenException", message),
        }
    }

    /// What a Region answers that the account has not enabled.
    pub(crate) fn region_not_enabled(class: &Class) -> Self {
        let message = "The security token included in the request is invalid";
        match class.protocol {
            Protocol::Ec2 => {
                Self::new(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
            }
            Protocol::S3 | Protocol::RestXml => {
                Self::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
            }
            Protocol::Query | Protocol::Cbor => Self::new(403, "InvalidClientTokenId", message),
            Protocol::Json => Self::new(400, "UnrecognizedClientException", message),
            Protocol::RestJson => Self::new(403, "UnrecognizedClientException", message),
        }
    }

    /// The error in the protocol's own form.
    pub(crate) fn to_answer(&self, protocol: Protocol) -> Answer {
        let id = new_request_id();
        let body = match protocol {
            Protocol::Ec2 => self.ec2_document(&id).into_bytes(),
            Protocol::Query | Protocol::RestXml => self.query_document(&id).into_bytes(),
            Protocol::S3 => self.s3_document(&id).into_bytes(),
            Protocol::Json => json!({ "__type": self.code, "message": self.message }).to_string().into_bytes(),
            Protocol::Cbor => encode(&json!({ "__type": self.code, "message": self.message }), |_| Kind::Plain),
            Protocol::RestJson => self.rest_json().to_string().into_bytes(),
        };
        let kind = match protocol {
            Protocol::Ec2 | Protocol::Query => "text/xml;charset=UTF-8",
            Protocol::S3 | Protocol::RestXml => "application/xml",
            Protocol::Json => "application/x-amz-json-1.1",
            Protocol::Cbor => "application/cbor",
            Protocol::RestJson => "application/json",
        };
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::BAD_REQUEST);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let id_header = if protocol == Protocol::S3 { "x-amz-request-id" } else { "x-amzn-requestid" };
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(id_header, id);
        }
        if protocol == Protocol::Cbor {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        if protocol == Protocol::RestJson
            && let Ok(code) = HeaderValue::from_str(&self.code)
        {
            headers.insert("x-amzn-errortype", code);
        }
        answer
    }

    fn rest_json(&self) -> serde_json::Value {
        let side = if self.status < 500 { "User" } else { "Service" };
        let mut error = json!({ "Type": side, "Message": self.message, "message": self.message });
        if let Some(reason) = self.reason {
            error["Reason"] = json!(reason);
        }
        error
    }

    fn code_and_message(&self, element: &mut Element) {
        element.push(Element::with_text("Code", &self.code));
        element.push(Element::with_text("Message", &self.message));
    }

    fn ec2_document(&self, id: &str) -> String {
        let mut error = Element::new("Error");
        self.code_and_message(&mut error);
        let mut errors = Element::new("Errors");
        errors.push(error);
        let mut root = Element::new("Response");
        root.push(errors);
        root.push(Element::with_text("RequestID", id));
        root.to_document()
    }

    fn query_document(&self, id: &str) -> String {
        let mut error = Element::new("Error");
        error.push(Element::with_text("Type", if self.status < 500 { "Sender" } else { "Receiver" }));
        self.code_and_message(&mut error);
        let mut root = Element::new("ErrorResponse");
        root.push(error);
        root.push(Element::with_text("RequestId", id));
        root.to_document()
    }

    fn s3_document(&self, id: &str) -> String {
        let mut root = Element::new("Error");
        self.code_and_message(&mut root);
        root.push(Element::with_text("RequestId", id));
        root.push(Element::with_text("HostId", "lab-sim"));
        root.to_document()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(service: &str, protocol: Protocol) -> Class {
        Class {
            service: service.to_owned(),
            region: "us-east-1".to_owned(),
            action: "Any".to_owned(),
            protocol,
            access_key: String::new(),
        }
    }

    #[test]
    fn throttling_has_each_services_own_code() {
        for (service, protocol, status, code) in [
            ("ec2", Protocol::Ec2, 503, "RequestLimitExceeded"),
            ("s3", Protocol::S3, 503, "SlowDown"),
            ("iam", Protocol::Query, 400, "Throttling"),
            ("ssm", Protocol::Json, 400, "ThrottlingException"),
            ("lambda", Protocol::RestJson, 429, "TooManyRequestsException"),
        ] {
            let error = ServiceError::throttled(&class(service, protocol));
            assert_eq!((error.status, error.code.as_str()), (status, code));
        }
    }

    #[test]
    fn an_ec2_error_is_found_where_the_sdk_looks() {
        let answer = ServiceError::new(400, "InvalidVpcID.NotFound", "no <vpc>").to_answer(Protocol::Ec2);
        let root = Element::parse(answer.body()).expect("XML");
        let error = root.descend(&["Errors", "Error"]).expect("the error");
        assert_eq!(error.child_text("Code").as_deref(), Some("InvalidVpcID.NotFound"));
        assert_eq!(error.child_text("Message").as_deref(), Some("no <vpc>"));
    }

    #[test]
    fn a_lambda_error_names_its_type_in_a_header() {
        let answer = ServiceError::new(404, "ResourceNotFoundException", "none").to_answer(Protocol::RestJson);
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["x-amzn-errortype"], "ResourceNotFoundException");
    }
}
