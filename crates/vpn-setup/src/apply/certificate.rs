//! The server's certificate in ACM.
//!
//! `ImportCertificate` takes no token, and makes a second certificate when it is repeated without an ARN: the SDK's own
//! retries are off for that, and a lost answer is looked for by the attempt's tag.

use aws_sdk_acm::config::Builder;
use aws_sdk_acm::config::retry::RetryConfig;
use aws_sdk_acm::operation::import_certificate::builders::ImportCertificateFluentBuilder;
use aws_sdk_acm::primitives::Blob;
use aws_sdk_acm::types::Tag;
use lab_common::{Tags, has_code};
use lab_ec2::{Attempt, create_once, take_turn};
use lab_plan::{Problem, retry_while};

use super::Worker;
use crate::beat::{self, PATIENCE};
use crate::certificate::{ServerCertificate, find_ours, list_candidates, look_closer};
use crate::error::{explain_vpn, is_in_use};
use crate::files::Files;
use crate::pki::{Certificate, Issued};
use crate::refuse::refuse_stray;
use crate::roles;

impl Worker<'_> {
    /// Imports the server's certificate, into that ARN where there is one. Answers its ARN.
    pub(super) async fn import_certificate(&self, arn: Option<&str>) -> Result<String, Problem> {
        self.context.line.waits_for("the server's key");
        let (authority, server) = self.block(Files::prepare_server).await?;
        let request = self.request_import(&authority, &server);
        let Some(arn) = arn else { return self.import_new(request, &authority).await };
        let answer = request.certificate_arn(arn).send().await;
        answer.map(|_| arn.to_owned()).map_err(|error| explain_vpn("ImportCertificate", &error))
    }

    /// The chain of a certificate is its authority: that one checks the clients too.
    fn request_import(&self, authority: &Certificate, server: &Issued) -> ImportCertificateFluentBuilder {
        self.services
            .acm
            .import_certificate()
            .certificate(Blob::new(server.certificate.pem.as_bytes()))
            .private_key(Blob::new(server.key.reveal().as_bytes()))
            .certificate_chain(Blob::new(authority.pem.as_bytes()))
    }

    async fn import_new(
        &self,
        request: ImportCertificateFluentBuilder,
        authority: &Certificate,
    ) -> Result<String, Problem> {
        let tags = &self.session.tags;
        let (acm, server) = (&self.services.acm, &self.files()?.server);
        // Two runs at the same moment would import one each, and make an endpoint of each.
        let _lock = self.block(Files::lock_import).await?;
        if let Some(found) = self.find_imported(authority).await? {
            return Ok(found);
        }
        let made = create_once(
            "ImportCertificate",
            self.context.stop,
            async |attempt: &Attempt| {
                let tags = make_tags(tags, server, attempt);
                let once = Builder::default().retry_config(RetryConfig::disabled());
                let answer = request.clone().set_tags(Some(tags)).customize().config_override(once).send().await?;
                Ok(answer.certificate_arn().unwrap_or_default().to_owned())
            },
            async |attempt: &Attempt| {
                let found = find_ours(acm, tags, server, Some(&attempt.to_string())).await?;
                Ok(found.into_iter().map(|one| one.id).collect())
            },
            async |arn: &str| self.delete_certificate(arn).await,
        )
        .await?;
        let see = async || find_ours(acm, tags, server, None).await;
        let write = async |number| self.number_certificate(&made, number).await;
        let kept = take_turn("a certificate", &made, self.context.stop, see, write).await?;
        if kept == made {
            return Ok(made);
        }
        self.delete_certificate(&made).await?;
        self.find_imported(authority)
            .await?
            .ok_or_else(|| Problem::failed(format!("{kept} came and went in ACM")).fix("run the same command again"))
    }

    /// Writes its number on a certificate; answers whether it was there.
    async fn number_certificate(&self, arn: &str, number: u32) -> Result<bool, Problem> {
        // With the lab's tag: a policy may permit no other tagging.
        let [(key, lab), _] = self.session.tags.common();
        let pairs = [(key, lab), (Tags::NUMBER, number.to_string())];
        let tags = pairs.into_iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok());
        let request = self.services.acm.add_tags_to_certificate().certificate_arn(arn).set_tags(Some(tags.collect()));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if has_code(&error, "ResourceNotFoundException") => Ok(false),
            Err(error) => Err(explain_vpn("AddTagsToCertificate", &error)),
        }
    }

    /// The certificate of ours in ACM that this authority signed, the first in turn. Another machine may import one of
    /// its own at the same moment: the two have no authority in common, and one has to give way.
    async fn find_imported(&self, authority: &Certificate) -> Result<Option<String>, Problem> {
        let (acm, files) = (&self.services.acm, self.files()?);
        let candidates = list_candidates(acm, &files.server).await?;
        let found = look_closer(acm, &self.session.tags, candidates).await?;
        let is_signed =
            |one: &&ServerCertificate| one.certificate.as_ref().is_some_and(|own| own.is_signed_by(authority));
        if let Some(signed) = found.iter().find(is_signed) {
            return Ok(Some(signed.arn.clone()));
        }
        match found.iter().find(|one| one.certificate.is_some()) {
            Some(stray) => Err(refuse_stray(&stray.arn, &files.store.path().display().to_string())),
            None => Ok(None),
        }
    }

    /// ACM counts a certificate as used for some minutes after its endpoint is gone.
    pub(super) async fn delete_certificate(&self, arn: &str) -> Result<(), Problem> {
        let request = self.services.acm.delete_certificate().certificate_arn(arn);
        let delete = async || {
            let answer = request.clone().send().await;
            if answer.as_ref().is_err_and(is_in_use) {
                self.context.line.waits_for("ACM still counts it as used");
            }
            answer
        };
        match retry_while(beat::every(PATIENCE), self.context.stop, is_in_use, delete).await {
            Err(error) if !has_code(&error, "ResourceNotFoundException") => {
                Err(explain_vpn("DeleteCertificate", &error))
            }
            _ => Ok(()),
        }
    }
}

fn make_tags(tags: &Tags, server: &str, attempt: &Attempt) -> Vec<Tag> {
    let ours = tags.of(roles::CERTIFICATE, server);
    let all = ours.into_iter().chain([(Tags::ATTEMPT, attempt.to_string())]);
    // A key is never missing here, the one thing that a tag of ACM must have.
    all.filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}
