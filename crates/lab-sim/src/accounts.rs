//! Several accounts in one local AWS: who has assumed a role of another account works in that account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::call::{Answer, Call, function_account};
use crate::moto::ACCOUNT;
use crate::sim::{AccountSeed, Sim, lock};
use crate::xml::Element;

/// The accounts, the first of them at once and the others when somebody assumes a role of theirs.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) home: Arc<Sim>,
    seed: AccountSeed,
    others: Mutex<HashMap<String, Arc<Sim>>>,
    /// The account of each access key that `AssumeRole` gave out.
    keys: Mutex<HashMap<String, String>>,
}

impl Accounts {
    pub(crate) fn new(home: Arc<Sim>, seed: AccountSeed) -> Self {
        Self { home, seed, others: Mutex::default(), keys: Mutex::default() }
    }

    /// The account in which a call is made.
    pub(crate) fn of(&self, call: &Call) -> Arc<Sim> {
        let key = &call.class.access_key;
        let account = function_account(key).map(str::to_owned).or_else(|| lock(&self.keys).get(key).cloned());
        match account {
            Some(account) if account != ACCOUNT => self.get(&account),
            _ => Arc::clone(&self.home),
        }
    }

    fn get(&self, account: &str) -> Arc<Sim> {
        let mut others = lock(&self.others);
        let new = || Arc::new(self.home.new_account(account, &self.seed));
        Arc::clone(others.entry(account.to_owned()).or_insert_with(new))
    }

    /// Takes note of the key that an answer gives out.
    pub(crate) fn learn(&self, call: &Call, answer: &Answer) {
        if call.class.service != "sts" || !answer.status().is_success() {
            return;
        }
        let account = call.param("RoleArn").and_then(account_of_arn);
        if let (Some(account), Some(key)) = (account, find_key(answer.body())) {
            lock(&self.keys).insert(key, account.to_owned());
        }
    }

    /// Forgets everything in all accounts, and all accounts but the first.
    pub(crate) async fn reset(&self) {
        let others: Vec<_> = lock(&self.others).drain().collect();
        for (_, sim) in others {
            sim.lambda.reset().await;
        }
        lock(&self.keys).clear();
        self.home.reset().await;
    }

    /// Ends every function.
    pub(crate) async fn end_functions(&self) {
        let others: Vec<_> = lock(&self.others).values().cloned().collect();
        for sim in others {
            sim.lambda.reset().await;
        }
        self.home.lambda.reset().await;
    }

    /// Every account there is.
    pub(crate) fn all(&self) -> Vec<Arc<Sim>> {
        let others: Vec<_> = lock(&self.others).values().cloned().collect();
        std::iter::once(Arc::clone(&self.home)).chain(others).collect()
    }
}

/// The account in `arn:aws:iam::ACCOUNT:role/NAME`.
fn account_of_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The key in an answer of `AssumeRole` and its relatives.
fn find_key(body: &[u8]) -> Option<String> {
    let root = Element::parse(body)?;
    root.elements().find_map(|result| result.descend(&["Credentials", "AccessKeyId"]).map(Element::text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roles_account_and_the_key_to_it_are_read() {
        assert_eq!(account_of_arn("arn:aws:iam::210987654321:role/Lab"), Some("210987654321"));
        assert_eq!(account_of_arn("arn:aws:iam::x:role/Lab"), None);
        let body = b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId></Credentials>\
                     </AssumeRoleResult></AssumeRoleResponse>";
        assert_eq!(find_key(body).as_deref(), Some("ASIA1"));
    }
}
