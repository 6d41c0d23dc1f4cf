//! The server's certificate in ACM: finding ours.
//!
//! ACM knows no filter by tag, and `ListCertificates` tells no tags: certificates with the server's name are asked for
//! theirs one by one.

use aws_sdk_acm::Client;
use aws_sdk_acm::types::CertificateSummary;
use futures::future::try_join_all;
use lab_common::{Tags, explain, has_code};
use lab_ec2::{Drawn, turn_of};
use lab_plan::Problem;

use crate::pki::Certificate;
use crate::roles;

/// A certificate of ours in ACM.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerCertificate {
    pub(crate) arn: String,
    /// The number that its run has drawn for it.
    pub(crate) number: Option<u32>,
    /// What ACM holds; `None` while it is being imported.
    pub(crate) certificate: Option<Certificate>,
    /// The first certificate of its chain: the authority's.
    pub(crate) authority: Option<Certificate>,
}

/// The ARNs of the certificates with this domain name. Where ACM tells no name, it may be any.
pub(crate) async fn list_candidates(acm: &Client, server: &str) -> Result<Vec<String>, Problem> {
    let pages = acm.list_certificates().into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("ListCertificates", &error))?;
    let ours = |summary: &&CertificateSummary| summary.domain_name().is_none_or(|name| name == server);
    Ok(found.iter().filter(ours).filter_map(|summary| summary.certificate_arn().map(str::to_owned)).collect())
}

/// Our certificates; only those with that tag of an attempt, where one is given.
pub(crate) async fn find_ours(
    acm: &Client,
    tags: &Tags,
    server: &str,
    attempt: Option<&str>,
) -> Result<Vec<Drawn>, Problem> {
    let candidates = list_candidates(acm, server).await?;
    let asked = candidates.into_iter().map(async |arn| read_ours(acm, tags, arn, attempt).await);
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
}

/// The certificate with this ARN; `None` where it does not bear our tags, or not that one of an attempt.
async fn read_ours(acm: &Client, tags: &Tags, arn: String, attempt: Option<&str>) -> Result<Option<Drawn>, Problem> {
    let answer = match acm.list_tags_for_certificate().certificate_arn(&arn).send().await {
        Ok(answer) => answer,
        Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(None),
        Err(error) => return Err(explain("ListTagsForCertificate", &error)),
    };
    let value = |key: &str| answer.tags().iter().find(|tag| tag.key() == key).and_then(|tag| tag.value());
    let pairs = answer.tags().iter().filter_map(|tag| Some((tag.key(), tag.value()?)));
    let ours = tags.match_all(pairs) && value(Tags::ROLE) == Some(roles::CERTIFICATE);
    let same = attempt.is_none_or(|attempt| value(Tags::ATTEMPT) == Some(attempt));
    let number = value(Tags::NUMBER).and_then(|number| number.parse().ok());
    Ok((ours && same).then_some(Drawn { id: arn, number }))
}

/// Those of the candidates that are ours, with what they hold, in turn ([`lab_ec2::take_turn`]).
pub(crate) async fn look_closer(
    acm: &Client,
    tags: &Tags,
    candidates: Vec<String>,
) -> Result<Vec<ServerCertificate>, Problem> {
    let asked = candidates.into_iter().map(async |arn| {
        let (ours, found) =
            tokio::try_join!(read_ours(acm, tags, arn.clone(), None), read_certificate(acm, arn.clone()))?;
        Ok::<_, Problem>(ours.zip(found).map(|(ours, found)| ServerCertificate { number: ours.number, ..found }))
    });
    let mut found: Vec<_> = try_join_all(asked).await?.into_iter().flatten().collect();
    found.sort_by(|a, b| turn_of(a.number, &a.arn).cmp(&turn_of(b.number, &b.arn)));
    Ok(found)
}

/// `None` when it is gone by now.
async fn read_certificate(acm: &Client, arn: String) -> Result<Option<ServerCertificate>, Problem> {
    let answer = match acm.get_certificate().certificate_arn(&arn).send().await {
        Ok(answer) => answer,
        Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(None),
        // It is being imported just now.
        Err(error) if has_code(&error, "RequestInProgressException") => {
            return Ok(Some(ServerCertificate { arn, number: None, certificate: None, authority: None }));
        }
        Err(error) => return Err(explain("GetCertificate", &error)),
    };
    let parse = |text: Option<&str>| {
        let text = text.filter(|text| !text.trim().is_empty())?;
        Some(Certificate::parse(&format!("the certificate {arn} in ACM"), text))
    };
    let certificate = parse(answer.certificate()).transpose()?;
    let authority = parse(answer.certificate_chain()).transpose()?;
    Ok(Some(ServerCertificate { arn, number: None, certificate, authority }))
}
