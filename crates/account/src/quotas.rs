//! How much of each thing the account allows in a Region.
//!
//! Service Quotas tells the account's own value, else AWS's default; where neither may be asked, the documented default is
//! taken, and said to be that. Codes and defaults: AWS General Reference, "Amazon EC2 / VPC endpoints and quotas"; Client
//! VPN administrator guide, "Quotas".

use aws_config::SdkConfig;
use aws_sdk_servicequotas::Client;
use aws_sdk_servicequotas::config::http::HttpResponse;
use aws_sdk_servicequotas::error::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lab_common::{has_code, is_denied};
use lab_plan::Problem;

/// One quota of AWS's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What is counted, in the plural (`VPCs`).
    pub what: &'static str,
    /// Service Quotas' code of the service.
    pub service: &'static str,
    /// Service Quotas' code of the quota.
    pub code: &'static str,
    /// What AWS documents for a new account.
    pub default: u32,
}

/// VPCs per Region; the default VPC counts.
pub const VPCS: Quota = Quota { what: "VPCs", service: "vpc", code: "L-F678F1CE", default: 5 };
/// Internet gateways per Region; it follows that of VPCs.
pub const INTERNET_GATEWAYS: Quota =
    Quota { what: "internet gateways", service: "vpc", code: "L-A4707A72", default: 5 };
/// Elastic IP addresses per Region.
pub const ELASTIC_IPS: Quota = Quota { what: "Elastic IP addresses", service: "ec2", code: "L-0263D0A3", default: 5 };
/// Client VPN endpoints per Region.
pub const VPN_ENDPOINTS: Quota = Quota { what: "Client VPN endpoints", service: "ec2", code: "L-8EA77D34", default: 5 };
/// Virtual CPUs of running on-demand standard instances (A, C, D, H, I, M, R, T, Z).
pub const STANDARD_VCPUS: Quota =
    Quota { what: "vCPUs of on-demand standard instances", service: "ec2", code: "L-1216C47A", default: 5 };

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Service Quotas says it of this account.
    Account,
    /// Service Quotas says it of every account, and nothing else of this one.
    AwsDefault,
    /// Service Quotas could not be asked: AWS documents it. Why not, in a few words.
    Documented(String),
}

/// How much of something the account allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaLimit {
    /// Of what.
    pub quota: Quota,
    /// How much.
    pub value: u32,
    /// Who says so.
    pub source: Source,
}

impl QuotaLimit {
    /// Who says so, in a few words.
    pub fn origin(&self) -> String {
        match &self.source {
            Source::Account => "the account's quota".to_owned(),
            Source::AwsDefault => "AWS's default".to_owned(),
            Source::Documented(why) => format!("AWS's documented default; Service Quotas: {why}"),
        }
    }

    /// Whether `wanted` more fit beside the `used` ones.
    ///
    /// # Errors
    /// When they do not, with both figures and the ways out.
    pub fn check(&self, used: u32, wanted: u32) -> Result<(), Problem> {
        let Quota { what, service, code, .. } = self.quota;
        if wanted == 0 || used.saturating_add(wanted) <= self.value {
            return Ok(());
        }
        let value = self.value;
        Err(Problem::failed(format!("{what}: {used} of {value} are in use, and {wanted} more are wanted"))
            .because(self.origin())
            .fix(format!(
                "remove some that nobody needs, use another --region, or ask for more: aws service-quotas \
                 request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {}",
                used.saturating_add(wanted)
            )))
    }
}

/// Looks all of them up at once, in the configuration's Region; in the order of `quotas`. It never fails: what cannot be
/// asked has the documented default, and says so.
pub async fn find_limits(sdk: &SdkConfig, quotas: &[Quota]) -> Vec<QuotaLimit> {
    let client = Client::new(sdk);
    let asked: Vec<_> = quotas.iter().map(|quota| tokio::spawn(find_limit(client.clone(), *quota))).collect();
    let mut limits = Vec::with_capacity(quotas.len());
    for (answer, quota) in asked.into_iter().zip(quotas) {
        limits.push(answer.await.unwrap_or_else(|_| document(*quota, "no answer".to_owned())));
    }
    limits
}

async fn find_limit(client: Client, quota: Quota) -> QuotaLimit {
    let answer = client.get_service_quota().service_code(quota.service).quota_code(quota.code).send().await;
    match answer {
        Ok(answer) => match answer.quota().and_then(|quota| read_value(quota.value())) {
            Some(value) => QuotaLimit { quota, value, source: Source::Account },
            None => document(quota, "the answer holds no value".to_owned()),
        },
        // The account has no value of its own.
        Err(error) if has_code(&error, "NoSuchResourceException") => find_default(&client, quota).await,
        Err(error) => document(quota, describe_refusal("GetServiceQuota", &error)),
    }
}

async fn find_default(client: &Client, quota: Quota) -> QuotaLimit {
    let answer = client.get_aws_default_service_quota().service_code(quota.service).quota_code(quota.code).send().await;
    match answer {
        Ok(answer) => match answer.quota().and_then(|quota| read_value(quota.value())) {
            Some(value) => QuotaLimit { quota, value, source: Source::AwsDefault },
            None => document(quota, "the answer holds no value".to_owned()),
        },
        Err(error) => document(quota, describe_refusal("GetAWSDefaultServiceQuota", &error)),
    }
}

fn document(quota: Quota, why: String) -> QuotaLimit {
    QuotaLimit { quota, value: quota.default, source: Source::Documented(why) }
}

fn describe_refusal<E: ProvideErrorMetadata>(call: &str, error: &SdkError<E, HttpResponse>) -> String {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some(code) if is_denied(error) => format!("you may not call {call} ({code})"),
        Some(code) => format!("{call} answers {code}"),
        None => format!("{call}: no usable answer"),
    }
}

/// AWS's values are floating-point numbers; those of things that are counted are whole.
fn read_value(value: Option<f64>) -> Option<u32> {
    let value = value.filter(|value| (0.0..=f64::from(u32::MAX)).contains(value))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    Some(value.floor() as u32)
}

#[cfg(test)]
mod tests {
    use aws_sdk_servicequotas::config::retry::RetryConfig;
    use aws_sdk_servicequotas::config::{BehaviorVersion, Config, Credentials, Region};
    use aws_sdk_servicequotas::operation::get_aws_default_service_quota::GetAwsDefaultServiceQuotaOutput;
    use aws_sdk_servicequotas::operation::get_service_quota::GetServiceQuotaOutput;
    use aws_sdk_servicequotas::types::ServiceQuota;
    use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn quota(value: f64) -> ServiceQuota {
        ServiceQuota::builder().value(value).build()
    }

    fn refuse(code: &'static str) -> Rule {
        mock!(Client::get_service_quota).then_http_response(move || {
            let body = format!("{{\"__type\": \"{code}\"}}");
            HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body))
        })
    }

    async fn ask(rules: &[&Rule]) -> QuotaLimit {
        let interceptor = rules
            .iter()
            .fold(MockResponseInterceptor::new().rule_mode(RuleMode::MatchAny), |all, rule| all.with_rule(rule));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
            .http_client(create_mock_http_client())
            .interceptor(interceptor)
            .retry_config(RetryConfig::disabled());
        find_limit(Client::from_conf(config.build()), VPCS).await
    }

    #[tokio::test]
    async fn the_accounts_value_counts_before_the_default_and_a_refusal_is_told() {
        let own = mock!(Client::get_service_quota)
            .match_requests(|get| (get.service_code(), get.quota_code()) == (Some("vpc"), Some("L-F678F1CE")))
            .then_output(|| GetServiceQuotaOutput::builder().quota(quota(20.0)).build());
        let limit = ask(&[&own]).await;
        assert_eq!((limit.value, &limit.source), (20, &Source::Account));

        let default = mock!(Client::get_aws_default_service_quota)
            .then_output(|| GetAwsDefaultServiceQuotaOutput::builder().quota(quota(6.0)).build());
        let limit = ask(&[&refuse("NoSuchResourceException"), &default]).await;
        assert_eq!((limit.value, &limit.source), (6, &Source::AwsDefault));

        let limit = ask(&[&refuse("AccessDeniedException")]).await;
        assert_eq!(limit.value, 5);
        assert!(limit.origin().contains("you may not call GetServiceQuota (AccessDeniedException)"), "{limit:?}");
    }

    #[test]
    fn what_fits_is_fine_and_what_does_not_names_both_figures_and_the_code() {
        let limit = QuotaLimit { quota: VPCS, value: 5, source: Source::Account };
        assert_eq!(limit.check(4, 1), Ok(()));
        assert_eq!(limit.check(7, 0), Ok(()), "nothing is wanted");
        let problem = limit.check(3, 30).unwrap_err().to_string();
        for part in ["3 of 5 are in use", "30 more", "L-F678F1CE", "--desired-value 33"] {
            assert!(problem.contains(part), "{part:?} is missing from\n{problem}");
        }
    }
}
