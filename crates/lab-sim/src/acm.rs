//! ACM: the private keys that AWS never shows again and a VPN server needs, chains as they were imported, and
//! certificates that are in use.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::call::{Answer, Call, answer};
use crate::classify::Protocol;
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, lock};

/// What lab-sim knows of certificates that moto does not.
#[derive(Debug, Default)]
pub(crate) struct AcmOverlay {
    imports: Mutex<HashMap<String, Import>>,
}

/// What came with a certificate, by its ARN.
#[derive(Debug, Clone)]
struct Import {
    key: PrivateKey,
    /// moto adds a certificate of Amazon's to every chain.
    chain: Option<String>,
}

/// An imported private key in PEM. It is kept in memory only, and no format shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivateKey(String);

impl PrivateKey {
    /// The PEM text, for the one program that must have it.
    pub(crate) fn as_pem(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn for_tests(pem: &str) -> Self {
        Self(pem.to_owned())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateKey(…)")
    }
}

impl AcmOverlay {
    /// The key that was imported with a certificate.
    pub(crate) fn find_key(&self, arn: &str) -> Option<PrivateKey> {
        lock(&self.imports).get(arn).map(|import| import.key.clone())
    }

    /// The chain that was imported with a certificate.
    fn find_chain(&self, arn: &str) -> Option<String> {
        lock(&self.imports).get(arn)?.chain.clone()
    }

    /// Forgets every import.
    pub(crate) fn reset(&self) {
        lock(&self.imports).clear();
    }
}

/// A certificate with its chain, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bundle {
    pub(crate) certificate: String,
    pub(crate) chain: Option<String>,
}

/// A certificate that ACM has in a Region.
pub(crate) async fn find_certificate(sim: &Sim, region: &str, arn: &str) -> Option<Bundle> {
    if sim.late.is_hidden(arn, sim.times.now()) {
        return None;
    }
    let question = json!({ "CertificateArn": arn });
    let reply = sim.moto.json("acm", region, "CertificateManager.GetCertificate", &question).await;
    let body: Value = serde_json::from_slice(reply.body()).ok()?;
    let certificate = body["Certificate"].as_str()?.to_owned();
    Some(Bundle { certificate, chain: sim.acm.find_chain(arn) })
}

const JSON: &str = "application/x-amz-json-1.1";

/// Answers a call to ACM.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    match call.class.action.as_str() {
        "ImportCertificate" => import(sim, call).await,
        "DeleteCertificate" => delete(sim, call).await,
        "GetCertificate" => get(sim, call).await,
        "DescribeCertificate" | "ListCertificates" => show_use(sim, sim.moto.forward(call).await).await,
        _ => sim.moto.forward(call).await,
    }
}

async fn import(sim: &Arc<Sim>, call: &Call) -> Answer {
    let request = call.json();
    let again = request["CertificateArn"].as_str().is_some_and(|arn| !arn.is_empty());
    if again && request["Tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
        let message = "Tagging is not permitted on re-import.";
        return ServiceError::new(400, "ValidationException", message).to_answer(Protocol::Json);
    }
    let reply = sim.moto.forward(call).await;
    let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
    if let (Some(arn), Some(import)) = (body["CertificateArn"].as_str(), read_import(&request)) {
        lock(&sim.acm.imports).insert(arn.to_owned(), import);
        sim.changed.notify_one();
    }
    reply
}

fn read_import(request: &Value) -> Option<Import> {
    let text = |name: &str| String::from_utf8(STANDARD.decode(request[name].as_str()?).ok()?).ok();
    Some(Import { key: PrivateKey(text("PrivateKey")?), chain: text("CertificateChain") })
}

async fn get(sim: &Arc<Sim>, call: &Call) -> Answer {
    let reply = sim.moto.forward(call).await;
    let request = call.json();
    let arn = request["CertificateArn"].as_str().unwrap_or_default();
    let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(reply.body()) else { return reply };
    if !reply.status().is_success() || !lock(&sim.acm.imports).contains_key(arn) {
        return reply;
    }
    match sim.acm.find_chain(arn) {
        Some(chain) => body.insert("CertificateChain".to_owned(), chain.into()),
        None => body.remove("CertificateChain"),
    };
    answer(200, JSON, Value::Object(body).to_string())
}

async fn delete(sim: &Arc<Sim>, call: &Call) -> Answer {
    let request = call.json();
    let arn = request["CertificateArn"].as_str().unwrap_or_default();
    let exists = find_certificate(sim, &call.class.region, arn).await.is_some();
    if exists && !sim.ec2.vpn.users_of(&sim.times, arn).await.is_empty() {
        let message = format!("Certificate {arn} in account {} is in use.", sim.account);
        return ServiceError::new(400, "ResourceInUseException", message).to_answer(Protocol::Json);
    }
    let reply = sim.moto.forward(call).await;
    if reply.status().is_success() {
        lock(&sim.acm.imports).remove(arn);
    }
    reply
}

/// Names the endpoints that use a certificate, in the two answers that show it.
async fn show_use(sim: &Arc<Sim>, reply: Answer) -> Answer {
    let Ok(mut body) = serde_json::from_slice::<Value>(reply.body()) else { return reply };
    if let Some(certificate) = body.get_mut("Certificate") {
        let users = sim.ec2.vpn.users_of(&sim.times, certificate["CertificateArn"].as_str().unwrap_or_default()).await;
        certificate["InUseBy"] = json!(users);
    }
    for summary in body["CertificateSummaryList"].as_array_mut().into_iter().flatten() {
        let users = sim.ec2.vpn.users_of(&sim.times, summary["CertificateArn"].as_str().unwrap_or_default()).await;
        summary["InUse"] = json!(!users.is_empty());
    }
    if !reply.status().is_success() {
        return reply;
    }
    answer(200, JSON, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_formatted() {
        let request = json!({ "PrivateKey": STANDARD.encode("-----BEGIN PRIVATE KEY-----") });
        let import = read_import(&request).expect("a key");
        assert_eq!(format!("{import:?}"), "Import { key: PrivateKey(…), chain: None }");
        assert!(import.key.as_pem().starts_with("-----BEGIN"));
        assert!(read_import(&json!({ "PrivateKey": "not base64!" })).is_none());
    }
}
