//! The log group of the connections. Its name is its identity, so every write may be repeated.

use lab_common::{explain, has_code};
use lab_plan::{Pace, Problem, retry_while};

use super::Worker;
use crate::roles;

impl Worker<'_> {
    pub(super) async fn create_log_group(&self, name: &str, days: i32) -> Result<String, Problem> {
        let tags = self.session.tags.of(roles::LOG_GROUP, name).map(|(key, value)| (key.to_owned(), value));
        let create = self.services.logs.create_log_group().log_group_name(name).set_tags(Some(tags.into()));
        let busy = |error: &_| has_code(error, "OperationAbortedException");
        let answer = retry_while(Pace::MOMENT, self.context.stop, busy, async || create.clone().send().await).await;
        match answer {
            // The answer to our own call was lost, or another run was faster: the plan has seen no other's.
            Err(error) if !has_code(&error, "ResourceAlreadyExistsException") => Err(explain("CreateLogGroup", &error)),
            _ => self.set_retention(name, days).await,
        }
    }

    pub(super) async fn set_retention(&self, name: &str, days: i32) -> Result<String, Problem> {
        let put = self.services.logs.put_retention_policy().log_group_name(name).retention_in_days(days);
        let answer = put.send().await;
        answer.map(|_| name.to_owned()).map_err(|error| explain("PutRetentionPolicy", &error))
    }

    pub(super) async fn delete_log_group(&self, name: &str) -> Result<(), Problem> {
        let delete = self.services.logs.delete_log_group().log_group_name(name);
        let busy = |error: &_| has_code(error, "OperationAbortedException");
        match retry_while(Pace::MOMENT, self.context.stop, busy, async || delete.clone().send().await).await {
            Err(error) if !has_code(&error, "ResourceNotFoundException") => Err(explain("DeleteLogGroup", &error)),
            _ => Ok(()),
        }
    }
}
