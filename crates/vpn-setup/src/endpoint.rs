//! The endpoint as EC2 knows it, with what hangs on it; and the texts that it takes and gives.
//!
//! `DescribeClientVpnEndpoints` takes no tag as a filter: all endpoints of the Region are read (an account has five) and
//! ours picked by their tags.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::export_client_vpn_client_certificate_revocation_list::ExportClientVpnClientCertificateRevocationListError;
use aws_sdk_ec2::types::{
    AssociationStatusCode, AuthorizationRule, ClientVpnAuthorizationRuleStatusCode, ClientVpnEndpointStatusCode,
    ClientVpnRoute, ClientVpnRouteStatusCode, ConnectionLogResponseOptions, TargetNetwork,
};
use futures::future::try_join_all;
use lab_common::{Tags, explain, is_denied};
use lab_ec2::{find_role, find_tag, is_ours};
use lab_plan::{Problem, Stop, retry_while};

use crate::beat::{self, PATIENCE, VISIBILITY};
use crate::error::{explain_vpn, is_about_us, is_busy, is_gone, is_idle, is_too_early};
use crate::pki::RevocationList;
use crate::roles;

/// One of our endpoints.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: ClientVpnEndpointStatusCode,
    /// `*.cvpn-endpoint-….clientvpn.us-east-1.amazonaws.com`
    pub(crate) dns_name: Option<String>,
    pub(crate) client_cidr: Option<String>,
    pub(crate) transport: Option<String>,
    pub(crate) port: Option<i32>,
    pub(crate) split_tunnel: Option<bool>,
    pub(crate) session_hours: Option<i32>,
    pub(crate) description: Option<String>,
    /// The server's certificate.
    pub(crate) server: Option<String>,
    /// The certificate whose chain the clients are checked against.
    pub(crate) client_root: Option<String>,
    pub(crate) vpc: Option<String>,
    pub(crate) groups: Vec<String>,
    /// The log group of the connections; `None` without a log.
    pub(crate) log_group: Option<String>,
    /// Those that are gone too, as long as EC2 lists them.
    pub(crate) associations: Vec<Association>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) routes: Vec<Route>,
    pub(crate) revocation_list: Option<RevocationList>,
    /// Why that list is not known, where it could not be read.
    pub(crate) list_unread: Option<String>,
}

/// A subnet's association with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) subnet: String,
    pub(crate) state: AssociationStatusCode,
    /// Why it is so, in EC2's words.
    pub(crate) message: Option<String>,
}

/// A network that clients may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) network: String,
    /// The group it is for; `None` for all clients.
    pub(crate) group: Option<String>,
    pub(crate) state: ClientVpnAuthorizationRuleStatusCode,
    pub(crate) message: Option<String>,
}

/// A destination and the subnet it is reached through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: String,
    pub(crate) subnet: String,
    /// Whether someone added it; the others come and go with an association.
    pub(crate) added: bool,
    pub(crate) state: ClientVpnRouteStatusCode,
    pub(crate) message: Option<String>,
}

impl Endpoint {
    /// Whether it is there and stays.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, ClientVpnEndpointStatusCode::Deleting | ClientVpnEndpointStatusCode::Deleted)
    }

    /// Whether EC2 only remembers it.
    pub(crate) fn is_deleted(&self) -> bool {
        self.state == ClientVpnEndpointStatusCode::Deleted
    }

    /// Whether some subnet is associated, or about to be or no more.
    pub(crate) fn is_associated(&self) -> bool {
        self.associations.iter().any(|association| !association.is_gone())
    }

    /// What the endpoint answers to, without the `*.` for the random label in front.
    pub(crate) fn host(&self) -> Option<&str> {
        self.dns_name.as_deref().map(|name| name.trim_start_matches("*."))
    }
}

impl Association {
    /// Whether it is there or comes.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, AssociationStatusCode::Associated | AssociationStatusCode::Associating)
    }

    /// Whether EC2 only remembers it.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == AssociationStatusCode::Disassociated
    }
}

/// Our endpoints by id, those that EC2 lists as deleted too, without what hangs on them.
pub(crate) async fn find_endpoints(ec2: &Client, tags: &Tags) -> Result<Vec<Endpoint>, Problem> {
    let pages = ec2.describe_client_vpn_endpoints().into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(|error| explain("DescribeClientVpnEndpoints", &error))?;
    let ours = found
        .iter()
        .filter(|endpoint| is_ours(tags, endpoint.tags()) && find_role(endpoint.tags()) == Some(roles::ENDPOINT));
    let mut endpoints: Vec<_> = ours.filter_map(read_endpoint).collect();
    endpoints.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(endpoints)
}

/// The endpoint that counts, without what hangs on it; `None` when there is none.
pub(crate) async fn find_endpoint(ec2: &Client, tags: &Tags) -> Result<Option<Endpoint>, Problem> {
    let alive: Vec<_> = find_endpoints(ec2, tags).await?.into_iter().filter(Endpoint::is_alive).collect();
    if alive.len() < 2 {
        return Ok(alive.into_iter().next());
    }
    let closer = try_join_all(alive.into_iter().map(async |endpoint| look_closer(ec2, endpoint).await)).await?;
    Ok(choose_endpoint(&closer).cloned())
}

/// Of several, every run chooses alike: the one that something is associated with, else the first.
pub(crate) fn choose_endpoint(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    let alive = || endpoints.iter().filter(|endpoint| endpoint.is_alive());
    alive().find(|endpoint| endpoint.is_associated()).or_else(|| alive().next())
}

fn read_endpoint(endpoint: &aws_sdk_ec2::types::ClientVpnEndpoint) -> Option<Endpoint> {
    let mutual = endpoint.authentication_options().iter().find_map(|option| option.mutual_authentication());
    let state = endpoint.status().and_then(|status| status.code()).cloned();
    Some(Endpoint {
        id: endpoint.client_vpn_endpoint_id()?.to_owned(),
        name: find_tag(endpoint.tags(), Tags::NAME).unwrap_or_default().to_owned(),
        // Who names no state has none to wait for.
        state: state.unwrap_or(ClientVpnEndpointStatusCode::Available),
        dns_name: own(endpoint.dns_name()),
        client_cidr: own(endpoint.client_cidr_block()),
        transport: endpoint.transport_protocol().map(|transport| transport.as_str().to_owned()),
        port: endpoint.vpn_port(),
        split_tunnel: endpoint.split_tunnel(),
        session_hours: endpoint.session_timeout_hours(),
        description: own(endpoint.description()),
        server: own(endpoint.server_certificate_arn()),
        client_root: own(mutual.and_then(|mutual| mutual.client_root_certificate_chain())),
        vpc: own(endpoint.vpc_id()),
        groups: endpoint.security_group_ids().to_vec(),
        log_group: endpoint.connection_log_options().and_then(read_log),
        associations: Vec::new(),
        rules: Vec::new(),
        routes: Vec::new(),
        revocation_list: None,
        list_unread: None,
    })
}

fn read_log(options: &ConnectionLogResponseOptions) -> Option<String> {
    own(options.cloudwatch_log_group()).filter(|_| options.enabled() == Some(true))
}

/// Reads what hangs on an endpoint. One that is on its way out, or gone by now, has nothing.
pub(crate) async fn look_closer(ec2: &Client, endpoint: Endpoint) -> Result<Endpoint, Problem> {
    if !endpoint.is_alive() {
        return Ok(endpoint);
    }
    let (associations, rules, routes, (revocation_list, list_unread)) = tokio::try_join!(
        find_associations(ec2, &endpoint.id),
        find_rules(ec2, &endpoint.id),
        find_routes(ec2, &endpoint.id),
        look_at_revocation_list(ec2, &endpoint.id),
    )?;
    Ok(Endpoint { associations, rules, routes, revocation_list, list_unread, ..endpoint })
}

/// All associations of an endpoint.
///
/// `DescribeClientVpnTargetNetworks` has at times ignored the ids it was given and answered with all of them: whoever
/// wants one looks for its id in the answer.
pub(crate) async fn find_associations(ec2: &Client, endpoint: &str) -> Result<Vec<Association>, Problem> {
    let request = ec2.describe_client_vpn_target_networks().client_vpn_endpoint_id(endpoint);
    let found = list("DescribeClientVpnTargetNetworks", request.into_paginator().items().send().collect()).await?;
    Ok(found.iter().filter_map(read_association).collect())
}

pub(crate) fn read_association(network: &TargetNetwork) -> Option<Association> {
    let status = network.status();
    Some(Association {
        id: network.association_id()?.to_owned(),
        subnet: own(network.target_network_id()).unwrap_or_default(),
        state: status.and_then(|status| status.code()).cloned().unwrap_or(AssociationStatusCode::Associated),
        message: own(status.and_then(|status| status.message())),
    })
}

pub(crate) async fn find_rules(ec2: &Client, endpoint: &str) -> Result<Vec<Rule>, Problem> {
    let request = ec2.describe_client_vpn_authorization_rules().client_vpn_endpoint_id(endpoint);
    let found = list("DescribeClientVpnAuthorizationRules", request.into_paginator().items().send().collect()).await?;
    Ok(found.iter().filter_map(read_rule).collect())
}

fn read_rule(rule: &AuthorizationRule) -> Option<Rule> {
    let status = rule.status();
    let code = status.and_then(|status| status.code()).cloned();
    Some(Rule {
        network: rule.destination_cidr()?.to_owned(),
        group: own(rule.group_id()),
        state: code.unwrap_or(ClientVpnAuthorizationRuleStatusCode::Active),
        message: own(status.and_then(|status| status.message())),
    })
}

pub(crate) async fn find_routes(ec2: &Client, endpoint: &str) -> Result<Vec<Route>, Problem> {
    let request = ec2.describe_client_vpn_routes().client_vpn_endpoint_id(endpoint);
    let found = list("DescribeClientVpnRoutes", request.into_paginator().items().send().collect()).await?;
    Ok(found.iter().filter_map(read_route).collect())
}

fn read_route(route: &ClientVpnRoute) -> Option<Route> {
    let status = route.status();
    Some(Route {
        destination: route.destination_cidr()?.to_owned(),
        subnet: own(route.target_subnet()).unwrap_or_default(),
        added: route.origin() == Some("add-route"),
        state: status.and_then(|status| status.code()).cloned().unwrap_or(ClientVpnRouteStatusCode::Active),
        message: own(status.and_then(|status| status.message())),
    })
}

/// The call for the list of revoked clients.
const EXPORT_LIST: &str = "ExportClientVpnClientCertificateRevocationList";

/// The list of revoked clients that the endpoint knows; `None` when it was never given one.
///
/// Whoever is about to replace the list must know it: here every refusal counts.
pub(crate) async fn export_revocation_list(ec2: &Client, endpoint: &str) -> Result<Option<RevocationList>, Problem> {
    let text = ask_for_revocation_list(ec2, endpoint).await.map_err(|error| explain(EXPORT_LIST, &error))?;
    text.as_deref().map(parse_revocation_list).transpose()
}

/// The same for who only looks; and why it could not be read, instead of an error. What costs is shown, and can be
/// ended, without the list.
async fn look_at_revocation_list(
    ec2: &Client,
    endpoint: &str,
) -> Result<(Option<RevocationList>, Option<String>), Problem> {
    let unread = |problem: Problem| (None, Some(problem.what().to_owned()));
    match ask_for_revocation_list(ec2, endpoint).await {
        Ok(None) => Ok((None, None)),
        Ok(Some(text)) => Ok(parse_revocation_list(&text).map_or_else(unread, |list| (Some(list), None))),
        Err(error) if error.as_service_error().is_none() || is_about_us(&error) => Err(explain(EXPORT_LIST, &error)),
        Err(error) => Ok(unread(explain(EXPORT_LIST, &error))),
    }
}

async fn ask_for_revocation_list(
    ec2: &Client,
    endpoint: &str,
) -> Result<Option<String>, SdkError<ExportClientVpnClientCertificateRevocationListError, HttpResponse>> {
    let request = ec2.export_client_vpn_client_certificate_revocation_list().client_vpn_endpoint_id(endpoint);
    match request.send().await {
        Ok(answer) => Ok(own(answer.certificate_revocation_list().map(str::trim))),
        // Nothing was ever imported.
        Err(error) if is_gone(&error) || is_idle(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse_revocation_list(text: &str) -> Result<RevocationList, Problem> {
    RevocationList::parse("the endpoint's revocation list", text)
}

/// Gives the endpoint a new list of revoked clients in place of the old one. It may take hours until it counts.
pub(crate) async fn import_revocation_list(
    ec2: &Client,
    endpoint: &str,
    list: &RevocationList,
    stop: &Stop,
) -> Result<(), Problem> {
    let request = ec2
        .import_client_vpn_client_certificate_revocation_list()
        .client_vpn_endpoint_id(endpoint)
        .certificate_revocation_list(&list.pem);
    let answer = retry_while(beat::every(PATIENCE), stop, is_busy, async || request.clone().send().await).await;
    answer.map(|_| ()).map_err(|error| explain_vpn("ImportClientVpnClientCertificateRevocationList", &error))
}

/// What an endpoint answers when its client configuration is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exported {
    /// The configuration, without a client's certificate and key.
    Text(String),
    /// Why there is none, and whether AWS says that it is so only in the state that the endpoint is in.
    Refused { why: Problem, passes: bool },
}

impl Exported {
    /// The configuration; the refusal where there is none.
    pub(crate) fn text(self) -> Result<String, Problem> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Refused { why, .. } => Err(why),
        }
    }
}

/// The client configuration as the endpoint exports it. An endpoint that was just made may not be visible yet.
pub(crate) async fn export_configuration(ec2: &Client, endpoint: &str, stop: &Stop) -> Result<Exported, Problem> {
    const CALL: &str = "ExportClientVpnClientConfiguration";
    let request = ec2.export_client_vpn_client_configuration().client_vpn_endpoint_id(endpoint);
    let send = async || request.clone().send().await;
    let answer = match retry_while(beat::every(VISIBILITY), stop, is_gone, send).await {
        Ok(answer) => answer,
        Err(error) if error.as_service_error().is_none() || is_about_us(&error) || is_denied(&error) => {
            return Err(explain_vpn(CALL, &error));
        }
        Err(error) => return Ok(Exported::Refused { why: explain_vpn(CALL, &error), passes: is_too_early(&error) }),
    };
    let text = answer.client_configuration().filter(|text| !text.trim().is_empty());
    let why = || Problem::failed(format!("{CALL} answers without a configuration"));
    Ok(text.map_or_else(|| Exported::Refused { why: why(), passes: true }, |text| Exported::Text(text.to_owned())))
}

/// All items of all pages; none when the endpoint is gone.
async fn list<T, E>(
    call: &str,
    pages: impl Future<Output = Result<Vec<T>, SdkError<E, HttpResponse>>>,
) -> Result<Vec<T>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match pages.await {
        Ok(found) => Ok(found),
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(error) => Err(explain(call, &error)),
    }
}

/// An absent text and an empty one are the same.
fn own(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}
