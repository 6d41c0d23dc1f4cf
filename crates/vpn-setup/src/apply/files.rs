//! What is made on this machine, away from the thread that waits for AWS.

use lab_plan::Problem;

use super::Worker;
use crate::endpoint;
use crate::files::Files;
use crate::profile::Profile;

impl Worker<'_> {
    /// Does blocking work on a thread of its own.
    pub(super) async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.files()?.block(work).await
    }

    pub(super) async fn make_authority(&self) -> Result<(), Problem> {
        self.block(Files::make_authority).await
    }

    pub(super) async fn make_clients(&self, clients: &[String]) -> Result<(), Problem> {
        let clients = clients.to_vec();
        self.block(move |files| files.make_clients(&clients)).await
    }

    /// Answers where the file is.
    pub(super) async fn write_configuration(&self, client: &str, associating: bool) -> Result<String, Problem> {
        let exported = self.export_configuration(associating).await?;
        let client = client.to_owned();
        self.block(move |files| {
            let issued = files.store.client(&client)?.ok_or_else(|| {
                Problem::failed(format!("there is no certificate of {client}"))
                    .fix(format!("make one: vpn-setup client add {client}"))
            })?;
            let profile = Profile::assemble(&exported, &issued)?;
            Ok(profile.write(&files.home, &client)?.display().to_string())
        })
        .await
    }

    /// Another machine may have revoked in the meantime: what the endpoint has is asked for again.
    pub(super) async fn import_revocation_list(&self) -> Result<String, Problem> {
        let endpoint = self.endpoint_id()?;
        let exported = endpoint::export_revocation_list(&self.services.ec2, &endpoint).await?;
        let list = self.block(move |files| files.prepare_list(exported.as_ref())).await?;
        endpoint::import_revocation_list(&self.services.ec2, &endpoint, &list, self.context.stop).await?;
        Ok(endpoint)
    }
}
