//! A lab and its parts, for tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_ec2::types::InstanceStateName;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lab_common::{Caller, HOL02, Lab, Names, Overrides, Session, Tags, read_lab};

use crate::live::{Instance, Live};

/// HOL 02 of the owner `ada`.
pub(crate) fn lab() -> Lab {
    read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
}

pub(crate) fn names() -> Names {
    Names::new(&lab())
}

/// An instance of HOL 02 as `up` leaves it.
pub(crate) fn running(host: &str) -> Instance {
    Instance {
        id: format!("i-{host}"),
        host: host.into(),
        name: names().host(host),
        state: InstanceStateName::Running,
        reason: None,
        size: "t3.micro".into(),
        subnet: Some(format!("subnet-{host}")),
        key: Some(names().key_pair()),
        groups: vec![format!("sg-{host}")],
        profile: Some(format!("arn:aws:iam::123456789012:instance-profile/{}", names().host_profile())),
        ami: "ami-12345678".into(),
        image: Some("amazon-linux-2023".into()),
        runs: Some("jupyter".into()),
        public_ip: Some("203.0.113.7".into()),
        private_ip: Some("10.0.1.4".into()),
        token: Some("token".into()),
        made_by_run: true,
        number: Some(1),
        root_volume: Some(format!("vol-{host}")),
        checks: Some("ok".into()),
        marker: None,
    }
}

/// These instances and the network, and nothing else.
pub(crate) fn live_with(instances: impl IntoIterator<Item = Instance>) -> Live {
    let instances: Vec<_> = instances.into_iter().collect();
    Live {
        caller: Some(Caller { account: "123456789012".into(), arn: "arn:aws:iam::123456789012:user/ada".into() }),
        volumes: instances.iter().filter_map(|instance| Some((instance.root_volume.clone()?, 8))).collect(),
        instances,
        network: BTreeMap::from([
            ("subnet public".into(), vec!["subnet-public".into()]),
            ("security-group public".into(), vec!["sg-public".into()]),
        ]),
        ..Live::default()
    }
}

/// A stand-in for AWS: gives stored answers in turn, and keeps the forms that were sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<(u16, String)>,
    forms: Vec<Form>,
}

/// What one request sent, field by field.
pub(crate) type Form = BTreeMap<String, String>;

impl Wire {
    pub(crate) fn new<'a>(answers: impl IntoIterator<Item = (u16, &'a str)>) -> Self {
        let answers = answers.into_iter().map(|(status, body)| (status, body.to_owned())).collect();
        Self(Arc::new(Mutex::new(Script { answers, forms: Vec::new() })))
    }

    /// What was sent, in order.
    pub(crate) fn forms(&self) -> Vec<Form> {
        self.0.lock().unwrap().forms.clone()
    }

    /// A session of HOL 02 whose every call comes here.
    pub(crate) fn session(&self) -> Session {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(self.clone())
            .sleep_impl(aws_sdk_ec2::config::SharedAsyncSleep::new(Sleep))
            .build();
        let lab = lab();
        Session {
            names: names(),
            tags: Tags::new(&lab),
            region: "us-east-1".into(),
            lab,
            sdk,
            clock: lab_common::Clock::default(),
        }
    }
}

/// Tokio's clock, which tests can stop.
#[derive(Debug)]
struct Sleep;

impl aws_sdk_ec2::config::AsyncSleep for Sleep {
    fn sleep(&self, duration: std::time::Duration) -> aws_sdk_ec2::config::Sleep {
        aws_sdk_ec2::config::Sleep::new(tokio::time::sleep(duration))
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut script = self.0.lock().unwrap();
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        script.forms.push(read_form(&body));
        let (status, body) = script.answers.pop_front().expect("one call more than there are answers");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))))
    }
}

fn read_form(body: &str) -> Form {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decode(key), decode(value))).collect()
}

/// EC2's answer to a refused call.
pub(crate) fn ec2_error(code: &str, message: &str) -> String {
    format!("<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>")
}

/// IAM's answer to a refused call.
pub(crate) fn iam_error(code: &str) -> String {
    format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>")
}
