//! Service Quotas: what a new account has of the things that a lab is made of. moto knows those of VPC only.

use std::sync::Arc;

use serde_json::json;

use crate::call::{Answer, Call, answer};
use crate::sim::Sim;

const JSON: &str = "application/x-amz-json-1.1";

/// How many instances of functions may work at once. New accounts have fewer than the default.
pub(crate) const CONCURRENCY: &str = "L-B99A9384";

/// Service, code, name, and what a new account has.
const QUOTAS: [(&str, &str, &str, f64); 6] = [
    ("vpc", "L-F678F1CE", "VPCs per Region", 5.0),
    ("vpc", "L-A4707A72", "Internet gateways per Region", 5.0),
    ("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5.0),
    ("ec2", "L-8EA77D34", "Client VPN endpoints per Region", 5.0),
    ("lambda", CONCURRENCY, "Concurrent executions", 1000.0),
    ("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 32.0),
];

/// A value that `--quota CODE=VALUE` gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quota {
    pub(crate) code: String,
    pub(crate) value: f64,
}

/// `L-F678F1CE=20`
pub(crate) fn parse_quota(text: &str) -> Result<Quota, String> {
    let wrong = || "a code and a value are needed, such as L-F678F1CE=20".to_owned();
    let (code, value) = text.split_once('=').ok_or_else(wrong)?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0).ok_or_else(wrong)?;
    Ok(Quota { code: code.to_owned(), value })
}

/// What `--quota` says of a quota.
fn own_quota(sim: &Sim, code: &str) -> Option<f64> {
    sim.quotas.iter().find(|quota| quota.code == code).map(|quota| quota.value)
}

/// Answers a call to Service Quotas.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    let request = call.json();
    let code = request["QuotaCode"].as_str().unwrap_or_default();
    let known = QUOTAS.iter().find(|(service, known, ..)| request["ServiceCode"] == *service && *known == code);
    let limit = (code == CONCURRENCY).then(|| f64::from(sim.lambda.slots.limit));
    let own = limit.or_else(|| own_quota(sim, code));
    let (value, known) = match (call.class.action.as_str(), known) {
        ("GetServiceQuota", Some(known)) => (own.unwrap_or(known.3), known),
        ("GetAWSDefaultServiceQuota", Some(known)) => (known.3, known),
        _ => return sim.moto.forward(call).await,
    };
    let (service, code, name, _) = known;
    let quota = json!({
        "ServiceCode": service,
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": "None",
        "Adjustable": true,
        "GlobalQuota": false,
    });
    answer(200, JSON, json!({ "Quota": quota }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_code_and_a_value() {
        assert_eq!(parse_quota("L-F678F1CE=20"), Ok(Quota { code: "L-F678F1CE".into(), value: 20.0 }));
        for wrong in ["L-F678F1CE", "L-F678F1CE=", "L-F678F1CE=-1", "L-F678F1CE=nan"] {
            assert!(parse_quota(wrong).is_err(), "{wrong}");
        }
    }
}
