//! Who may reach which network: authorization rules, and the list of revoked client certificates.

use super::associations::find_living;
use super::certificates::{check_crl, trust_of};
use super::records::{Crl, Endpoint, Life, Rule};
use super::request::{Request, invalid, missing, response, show_page, status};
use super::{find, find_mut};
use crate::acm::find_certificate;
use crate::faults::answers::ServiceError;
use crate::xml::Element;

/// Authorization rules of an endpoint.
const MAX_RULES: usize = 200;

pub(crate) fn authorize(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("ClientVpnEndpointId")?;
    let cidr = request.block("TargetNetworkCidr")?;
    let group = read_group(request, "AuthorizeAllGroups")?;
    find_living(request, book, id)?;
    let times = request.times();
    let endpoint = find_mut(request, book, id)?;
    let present = endpoint.rules.iter().filter(|rule| rule.state(times).is_some());
    if present.clone().any(|rule| rule.cidr == cidr && rule.group == group) {
        let message = format!("The authorization rule for {cidr} already exists on endpoint {id}.");
        return Err(ServiceError::new(400, "InvalidClientVpnDuplicateAuthorizationRule", message));
    }
    if present.count() >= MAX_RULES {
        let message = format!("Endpoint {id} has {MAX_RULES} authorization rules, which is the limit.");
        return Err(ServiceError::new(400, "ClientVpnAuthorizationRuleLimitExceeded", message));
    }
    let description = request.optional("Description").map(str::to_owned);
    endpoint.rules.push(Rule { cidr, group, description, life: Life::begin(request.now, request.fails) });
    let mut root = response("AuthorizeClientVpnIngress");
    root.push(status("authorizing"));
    Ok(root)
}

/// The group of a rule: a request names one, or says that everybody is meant.
fn read_group(request: &Request<'_>, all: &str) -> Result<Option<String>, ServiceError> {
    match (request.optional("AccessGroupId"), request.flag(all)?.unwrap_or(false)) {
        (Some(_), true) => Err(invalid(format!("AccessGroupId and {all} cannot be used together."))),
        (Some(group), false) => Ok(Some(group.to_owned())),
        (None, true) => Ok(None),
        (None, false) => Err(missing(&format!("AccessGroupId or {all}"))),
    }
}

pub(crate) fn revoke(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let cidr = request.block("TargetNetworkCidr")?;
    let group = read_group(request, "RevokeAllGroups")?;
    let times = request.times();
    let endpoint = find_mut(request, book, request.required("ClientVpnEndpointId")?)?;
    let id = endpoint.id.clone();
    let is_meant = |rule: &&mut Rule| rule.cidr == cidr && rule.group == group && rule.state(times).is_some();
    let rule = endpoint.rules.iter_mut().find(is_meant).ok_or_else(|| {
        let message = format!("Endpoint {id} has no authorization rule for {cidr}.");
        ServiceError::new(400, "InvalidClientVpnEndpointAuthorizationRuleNotFound", message)
    })?;
    rule.life.end(request.now);
    let mut root = response("RevokeClientVpnIngress");
    root.push(status("revoking"));
    Ok(root)
}

pub(crate) fn describe(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let endpoint = find(request, book, request.required("ClientVpnEndpointId")?)?;
    let shown = endpoint.rules.iter().filter_map(|rule| Some((rule, rule.state(request.times())?)));
    let known = ["description", "destination-cidr", "group-id"];
    let page = request.list(shown, &known, |(rule, _), filter| {
        vec![match filter {
            "description" => rule.description.clone().unwrap_or_default(),
            "destination-cidr" => rule.cidr.to_string(),
            _ => rule.group.clone().unwrap_or_default(),
        }]
    })?;
    Ok(show_page("DescribeClientVpnAuthorizationRules", "authorizationRule", &page, |(rule, state)| {
        let mut item = Element::new("item");
        item.push(Element::with_text("clientVpnEndpointId", &endpoint.id));
        item.push(Element::with_text("description", rule.description.as_deref().unwrap_or_default()));
        item.push(Element::with_text("groupId", rule.group.as_deref().unwrap_or_default()));
        item.push(Element::with_text("accessAll", &rule.group.is_none().to_string()));
        item.push(Element::with_text("destinationCidr", &rule.cidr.to_string()));
        item.push(status(state));
        item
    }))
}

pub(crate) async fn import_crl(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("ClientVpnEndpointId")?;
    let pem = request.required("CertificateRevocationList")?;
    let root_arn = &find_living(request, book, id)?.settings.client_root;
    let bundle = find_certificate(request.sim, request.region(), root_arn).await;
    let trust = bundle.as_ref().map(trust_of).unwrap_or_default();
    check_crl(pem, trust)?;
    find_mut(request, book, id)?.crl = Some(Crl { pem: pem.to_owned(), imported: request.now });
    let mut root = response("ImportClientVpnClientCertificateRevocationList");
    root.push(Element::with_text("return", "true"));
    Ok(root)
}

pub(crate) fn export_crl(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let endpoint = find(request, book, request.required("ClientVpnEndpointId")?)?;
    let mut root = response("ExportClientVpnClientCertificateRevocationList");
    if let Some(crl) = &endpoint.crl {
        root.push(Element::with_text("certificateRevocationList", &crl.pem));
        root.push(status(crl.state(request.times())));
    }
    Ok(root)
}
