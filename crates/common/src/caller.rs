//! Who calls AWS, read from STS's answer.

use lab_plan::Problem;

/// The caller's account and identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's 12 digits.
    pub account: String,
    /// The caller's ARN.
    pub arn: String,
}

impl Caller {
    /// From the fields of STS's `GetCallerIdentity`.
    ///
    /// # Errors
    /// When a field is missing.
    pub fn new(account: Option<&str>, arn: Option<&str>) -> Result<Self, Problem> {
        match (account, arn) {
            (Some(account), Some(arn)) => Ok(Self { account: account.into(), arn: arn.into() }),
            _ => Err(Problem::failed("STS does not say who we are").because("GetCallerIdentity left out a field")),
        }
    }

    /// Whether this is an AWS Academy Learner Lab: its users are sessions of the role `voclabs`.
    pub fn is_academy(&self) -> bool {
        self.arn.contains(":assumed-role/voclabs/")
    }

    /// The ARN's partition: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws")
    }
}
