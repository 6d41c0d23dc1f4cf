//! One step → the calls that carry it out, and the waits until it is so.

mod access;
mod association;
mod certificate;
mod endpoint;
mod export;
mod files;
mod log_group;

pub(crate) use export::Export;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use lab_common::Session;
use lab_ec2::client_token;
use lab_plan::{Context, Pace, Problem, Step, retry_while};

use crate::beat::{self, PATIENCE};
use crate::error::{explain_vpn, is_busy, is_gone};
use crate::files::Files;
use crate::plan::Op;
use crate::roles;
use crate::services::Services;
use crate::want::Want;

/// The client tokens for what EC2 refuses to make twice: associations, rules and routes. The first is the same in every
/// run. EC2 may remember it for something that is gone since (`pause` and `resume` many times an hour): the second has
/// never been used.
fn make_tokens(parts: &[&str]) -> [String; 2] {
    let unused = uuid::Uuid::new_v4().to_string();
    [client_token(parts, 0), client_token(&[parts, &[&unused]].concat(), 0)]
}

/// What carries out one step.
pub(crate) struct Worker<'a> {
    pub(crate) session: &'a Session,
    pub(crate) services: &'a Services,
    pub(crate) files: Option<&'a Files>,
    pub(crate) want: Option<&'a Want>,
    /// The endpoint's configuration, once it has been asked for.
    pub(crate) export: &'a Export,
    pub(crate) context: Context<'a>,
}

impl Worker<'_> {
    /// Carries out one step; answers with the id of what it made or changed.
    pub(crate) async fn apply(&self, step: &Step<Op>) -> Result<Option<String>, Problem> {
        let name = &step.name;
        match &step.op {
            Op::MakeAuthority => self.make_authority().await.map(|()| None),
            Op::ImportCertificate { arn } => self.import_certificate(arn.as_deref()).await.map(Some),
            Op::MakeClients { clients } => self.make_clients(clients).await.map(|()| None),
            Op::WriteConfiguration { client, associating } => {
                self.write_configuration(client, *associating).await.map(Some)
            }
            Op::CreateLogGroup { days } => self.create_log_group(name, *days).await.map(Some),
            Op::SetRetention { days } => self.set_retention(name, *days).await.map(Some),
            Op::CreateEndpoint { vpc, group, known } => self.create_endpoint(name, vpc, group, known).await.map(Some),
            Op::ModifyEndpoint { id, change } => self.modify_endpoint(id, change).await.map(|()| Some(id.clone())),
            Op::ImportRevocationList => self.import_revocation_list().await.map(Some),
            Op::Associate { subnet, known, leaving } => {
                let answer = self.associate(name, subnet, known, leaving).await;
                self.export.note_association(answer.is_ok());
                answer.map(Some)
            }
            Op::AwaitAssociation { association } => {
                let answer = self.await_under_way(name, association).await;
                self.export.note_association(answer.is_ok());
                answer.map(Some)
            }
            Op::Authorize { network, leaving } => self.authorize(*network, *leaving).await.map(|()| None),
            Op::CreateRoute { destination, subnet, leaving } => {
                self.create_route(*destination, subnet, *leaving).await.map(|()| None)
            }
            Op::Disassociate { endpoint, association, under_way } => {
                self.disassociate(name, endpoint, association, *under_way).await.map(|()| Some(association.clone()))
            }
            Op::Revoke { endpoint, network, group } => {
                self.revoke(endpoint, network, group.as_deref()).await.map(|()| None)
            }
            Op::DeleteRoute { endpoint, destination, subnet } => {
                self.delete_route(endpoint, destination, subnet).await.map(|()| None)
            }
            Op::DeleteEndpoint { id, under_way } => {
                self.delete_endpoint(id, *under_way).await.map(|()| Some(id.clone()))
            }
            Op::DeleteCertificate { arn } => self.delete_certificate(arn).await.map(|()| Some(arn.clone())),
            Op::DeleteLogGroup => self.delete_log_group(name).await.map(|()| None),
        }
    }

    /// This machine's part, which every plan that needs it has looked at.
    fn files(&self) -> Result<&Files, Problem> {
        self.files.ok_or_else(|| Problem::failed("this machine's certificates were not looked at"))
    }

    fn endpoint_id(&self) -> Result<String, Problem> {
        self.context.ids.get(roles::ENDPOINT)
    }

    /// Sends a change of an endpoint: again while it is busy with others, or too new to be seen everywhere.
    async fn change<T, E>(
        &self,
        mut send: impl AsyncFnMut() -> Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, SdkError<E, HttpResponse>>
    where
        E: ProvideErrorMetadata,
    {
        let stop = self.context.stop;
        let visible = async || retry_while(Pace::MOMENT, stop, is_gone, &mut send).await;
        retry_while(beat::every(PATIENCE), stop, is_busy, visible).await
    }

    /// Sends what removes something. That it is gone already is as good.
    async fn remove<T, E>(
        &self,
        call: &str,
        passing: impl Fn(&SdkError<E, HttpResponse>) -> bool,
        send: impl AsyncFnMut() -> Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<(), Problem>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match retry_while(beat::every(PATIENCE), self.context.stop, passing, send).await {
            Err(error) if !is_gone(&error) => Err(explain_vpn(call, &error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
