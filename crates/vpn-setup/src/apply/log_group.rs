//! The log group of the connections.

use lab_logs::{create_group, set_retention};
use lab_plan::Problem;

use super::Worker;
use crate::roles;

impl Worker<'_> {
    pub(super) async fn create_log_group(&self, name: &str, days: i32) -> Result<String, Problem> {
        let tags = self.session.tags.of(roles::LOG_GROUP, name).map(|(key, value)| (key.to_owned(), value));
        // One that is there by now is ours: the plan has seen no other's.
        create_group(&self.services.logs, name, tags, self.context.stop).await?;
        self.set_retention(name, days).await
    }

    pub(super) async fn set_retention(&self, name: &str, days: i32) -> Result<String, Problem> {
        set_retention(&self.services.logs, name, days, self.context.stop).await?;
        Ok(name.to_owned())
    }

    pub(super) async fn delete_log_group(&self, name: &str) -> Result<(), Problem> {
        lab_logs::delete_group(&self.services.logs, name, self.context.stop).await
    }
}
