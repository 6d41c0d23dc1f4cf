//! Who we are.

use aws_config::SdkConfig;
use lab_common::{Account, Caller, explain};
use lab_plan::Problem;

/// Asks STS who we are: one call, for which nobody needs a permission.
///
/// # Errors
/// When there are no credentials, or AWS does not accept them.
pub async fn identify(sdk: &SdkConfig) -> Result<Caller, Problem> {
    identify_with(&aws_sdk_sts::Client::new(sdk)).await
}

/// [`identify`] with a client that is there already.
///
/// # Errors
/// As [`identify`].
pub async fn identify_with(sts: &aws_sdk_sts::Client) -> Result<Caller, Problem> {
    let answer = sts.get_caller_identity().send().await;
    let answer = answer.map_err(|error| explain("GetCallerIdentity", &error))?;
    Caller::new(answer.account(), answer.arn())
}

/// Where `account` of lab.toml says another kind of account than the caller's name does.
pub fn find_mismatch(account: Account, caller: &Caller) -> Option<String> {
    match (account, caller.is_academy()) {
        (Account::Academy, false) => Some(format!(
            "lab.toml says account = \"academy\", but {} is no Learner Lab's user (assumed-role/voclabs/…): LabRole is \
             used all the same; account = \"own\" makes roles of the lab's own",
            caller.arn
        )),
        (Account::Own, true) => Some(format!(
            "lab.toml says account = \"own\", but {} is a Learner Lab's user: AWS will refuse new roles; write account = \
             \"academy\" or \"auto\"",
            caller.arn
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_of_another_kind_than_said_is_a_mismatch() {
        let caller = |arn: &str| Caller { account: "123456789012".into(), arn: arn.into() };
        let student = caller("arn:aws:sts::123456789012:assumed-role/voclabs/user1=ada");
        let engineer = caller("arn:aws:iam::123456789012:user/ada");
        let told = |account, caller| find_mismatch(account, caller).is_some();
        assert!(told(Account::Academy, &engineer) && told(Account::Own, &student));
        assert!(!told(Account::Academy, &student) && !told(Account::Own, &engineer));
        assert!(!told(Account::Auto, &student) && !told(Account::Auto, &engineer));
    }
}
