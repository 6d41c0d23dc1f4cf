//! Endpoints: created, shown, modified, deleted, exported.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use super::certificates::{check_client_root, check_server};
use super::export::write_configuration;
use super::records::{CLIENT_PREFIXES, ConnectionLog, Endpoint, Interface, Life, Settings, Transport, overlaps};
use super::request::{Request, incorrect_state, invalid, missing, new_id, response, show_page, show_texts, status};
use super::subnets::{check_groups, find_default_group, find_vpc};
use super::tags::{read_tag_specification, show_tags, values_of_tag_filter};
use super::{find, find_mut};
use crate::acm::{Bundle, find_certificate};
use crate::faults::answers::ServiceError;
use crate::xml::Element;

/// Endpoints in a Region (a quota that can be raised).
const MAX_ENDPOINTS: usize = 5;

const SESSION_HOURS: [u32; 4] = [8, 10, 12, 24];
const PORTS: [u32; 2] = [443, 1194];

/// "Maximum of 1400 UTF-8 encoded characters."
const MAX_BANNER: usize = 1400;

pub(crate) async fn create(request: &Request<'_>, book: &mut Vec<Endpoint>) -> Result<Element, ServiceError> {
    let present = book.iter().filter(|endpoint| endpoint.region == request.region()).count();
    let settings = read_settings(request).await?;
    if present >= MAX_ENDPOINTS {
        let message = "You have reached the limit on the number of Client VPN endpoints.";
        return Err(ServiceError::new(400, "ClientVpnEndpointLimitExceeded", message));
    }
    let id = new_id("cvpn-endpoint");
    let endpoint = Endpoint {
        settings: name_log_stream(settings, &id, request.region()),
        id,
        region: request.region().to_owned(),
        account: request.sim.account.clone(),
        life: Life::begin(request.now, request.fails),
        created_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        tags: read_tag_specification(&request.call.form, "client-vpn-endpoint")?,
        associations: Vec::new(),
        rules: Vec::new(),
        routes: Vec::new(),
        crl: None,
    };
    let mut root = response("CreateClientVpnEndpoint");
    root.push(Element::with_text("clientVpnEndpointId", &endpoint.id));
    root.push(status("pending-associate"));
    root.push(Element::with_text("dnsName", &format!("*.{}", endpoint.domain())));
    book.push(endpoint);
    Ok(root)
}

async fn read_settings(request: &Request<'_>) -> Result<Settings, ServiceError> {
    let client_cidr = read_client_cidr(request)?;
    let server_certificate = request.required("ServerCertificateArn")?.to_owned();
    let client_root = read_authentication(request)?.to_owned();
    request.required("ConnectionLogOptions.Enabled")?;
    check_server(&certificate(request, &server_certificate).await?, &server_certificate)?;
    check_client_root(&certificate(request, &client_root).await?, &client_root)?;
    let (vpc, groups) = read_network(request, Some(client_cidr)).await?;
    if request.optional("SelfServicePortal") == Some("enabled") {
        return Err(invalid("The self-service portal is not supported with mutual authentication.".to_owned()));
    }
    let transport = match request.optional("TransportProtocol") {
        None | Some("udp") => Transport::Udp,
        Some("tcp") => Transport::Tcp,
        Some(other) => return Err(invalid(format!("Invalid value '{other}' for TransportProtocol."))),
    };
    Ok(Settings {
        client_cidr,
        server_certificate,
        client_root,
        transport,
        port: read_port(request)?.unwrap_or(443),
        split_tunnel: request.flag("SplitTunnel")?.unwrap_or(false),
        description: request.optional("Description").map(str::to_owned),
        dns_servers: read_dns_servers(request, "DnsServers")?,
        vpc,
        groups,
        session_hours: read_session_hours(request)?.unwrap_or(24),
        disconnect_on_session_timeout: request.flag("DisconnectOnSessionTimeout")?.unwrap_or(true),
        log: read_log(request).await?.or(None),
        banner: read_banner(request)?.or(None),
        enforce_routes: request.flag("ClientRouteEnforcementOptions.Enforced")?.unwrap_or(false),
    })
}

fn read_client_cidr(request: &Request<'_>) -> Result<Ipv4Net, ServiceError> {
    let block = request.block("ClientCidrBlock")?;
    if CLIENT_PREFIXES.contains(&block.prefix_len()) {
        return Ok(block);
    }
    Err(invalid(format!("Invalid value '{block}' for ClientCidrBlock. The prefix length must be between /12 and /22.")))
}

/// The client root of mutual authentication, the only kind that lab-sim knows.
fn read_authentication<'a>(request: &Request<'a>) -> Result<&'a str, ServiceError> {
    match request.required("Authentication.1.Type")? {
        "certificate-authentication" => {
            request.required("Authentication.1.MutualAuthentication.ClientRootCertificateChainArn")
        }
        other => Err(invalid(format!("lab-sim: authentication of type '{other}' is not supported here"))),
    }
}

async fn certificate(request: &Request<'_>, arn: &str) -> Result<Bundle, ServiceError> {
    let here = format!("arn:aws:acm:{}:", request.region());
    let found = if arn.starts_with(&here) { find_certificate(request.sim, request.region(), arn).await } else { None };
    found.ok_or_else(|| invalid(format!("Certificate {arn} does not exist in this Region")))
}

/// The VPC and the groups of a request: groups need a VPC, and a VPC alone brings its default group.
async fn read_network(
    request: &Request<'_>,
    client_cidr: Option<Ipv4Net>,
) -> Result<(Option<String>, Vec<String>), ServiceError> {
    let groups = request.call.form.list("SecurityGroupId");
    let Some(vpc) = request.optional("VpcId") else {
        return if groups.is_empty() { Ok((None, Vec::new())) } else { Err(missing("VpcId")) };
    };
    let cidr = find_vpc(request, vpc).await?;
    if let Some(client_cidr) = client_cidr
        && overlaps(client_cidr, cidr)
    {
        return Err(invalid(format!("The client CIDR block {client_cidr} overlaps the VPC's CIDR block {cidr}.")));
    }
    let groups = if groups.is_empty() {
        find_default_group(request, vpc).await.into_iter().collect()
    } else {
        check_groups(request, vpc, &groups).await?
    };
    Ok((Some(vpc.to_owned()), groups))
}

fn read_port(request: &Request<'_>) -> Result<Option<u16>, ServiceError> {
    let Some(port) = request.number("VpnPort")? else { return Ok(None) };
    match u16::try_from(port) {
        Ok(number) if PORTS.contains(&port) => Ok(Some(number)),
        _ => Err(invalid(format!("Invalid value '{port}' for VpnPort. Valid values are 443 and 1194."))),
    }
}

fn read_session_hours(request: &Request<'_>) -> Result<Option<u32>, ServiceError> {
    let Some(hours) = request.number("SessionTimeoutHours")? else { return Ok(None) };
    if SESSION_HOURS.contains(&hours) {
        return Ok(Some(hours));
    }
    Err(invalid(format!("Invalid value '{hours}' for SessionTimeoutHours. Valid values are 8, 10, 12 and 24.")))
}

fn read_dns_servers(request: &Request<'_>, name: &str) -> Result<Vec<std::net::Ipv4Addr>, ServiceError> {
    let texts = request.call.form.list(name);
    if texts.len() > 2 {
        return Err(invalid("A Client VPN endpoint can have up to two DNS servers.".to_owned()));
    }
    let parse = |text: &&str| text.parse().map_err(|_| invalid(format!("Invalid value '{text}' for {name}.")));
    texts.iter().map(parse).collect()
}

/// What a request says about something that can be switched off.
enum Wish<T> {
    /// Nothing: it stays as it is.
    Unsaid,
    Off,
    On(T),
}

impl<T> Wish<T> {
    /// What comes after `present`.
    fn or(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Unsaid => present,
            Self::Off => None,
            Self::On(new) => Some(new),
        }
    }
}

async fn read_log(request: &Request<'_>) -> Result<Wish<ConnectionLog>, ServiceError> {
    match request.flag("ConnectionLogOptions.Enabled")? {
        None => return Ok(Wish::Unsaid),
        Some(false) => return Ok(Wish::Off),
        Some(true) => {}
    }
    let group = request.required("ConnectionLogOptions.CloudwatchLogGroup")?;
    if !has_log_group(request, group).await {
        return Err(invalid(format!("The CloudWatch Logs log group {group} does not exist.")));
    }
    let stream = request.optional("ConnectionLogOptions.CloudwatchLogStream").map(str::to_owned);
    Ok(Wish::On(ConnectionLog { group: group.to_owned(), stream }))
}

async fn has_log_group(request: &Request<'_>, name: &str) -> bool {
    let question = serde_json::json!({ "logGroupNamePrefix": name });
    let target = "Logs_20140328.DescribeLogGroups";
    let reply = request.sim.moto.json("logs", request.region(), target, &question).await;
    let body: serde_json::Value = serde_json::from_slice(reply.body()).unwrap_or_default();
    body["logGroups"].as_array().is_some_and(|groups| groups.iter().any(|group| group["logGroupName"] == name))
}

/// AWS makes a stream where the request names none.
fn name_log_stream(mut settings: Settings, id: &str, region: &str) -> Settings {
    if let Some(log) = &mut settings.log
        && log.stream.is_none()
    {
        log.stream = Some(format!("{id}-{region}-{}", jiff::Timestamp::now().strftime("%Y/%m/%d")));
    }
    settings
}

fn read_banner(request: &Request<'_>) -> Result<Wish<String>, ServiceError> {
    match request.flag("ClientLoginBannerOptions.Enabled")? {
        None => Ok(Wish::Unsaid),
        Some(false) => Ok(Wish::Off),
        Some(true) => {
            let text = request.required("ClientLoginBannerOptions.BannerText")?;
            if text.chars().count() > MAX_BANNER {
                return Err(invalid(format!("The login banner can have up to {MAX_BANNER} characters.")));
            }
            Ok(Wish::On(text.to_owned()))
        }
    }
}

pub(crate) fn describe(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let ids = request.call.form.list("ClientVpnEndpointId");
    for id in &ids {
        find(request, book, id)?;
    }
    let here = book.iter().filter(|endpoint| endpoint.region == request.region());
    let wanted = here.filter(|endpoint| ids.is_empty() || ids.contains(&endpoint.id.as_str()));
    let known = ["endpoint-id", "transport-protocol", "tag-key"];
    let page = request.list(wanted, &known, |endpoint, filter| match filter {
        "endpoint-id" => vec![endpoint.id.clone()],
        "transport-protocol" => vec![endpoint.settings.transport.as_str().to_owned()],
        filter => values_of_tag_filter(&endpoint.tags, filter),
    })?;
    Ok(show_page("DescribeClientVpnEndpoints", "clientVpnEndpoint", &page, |endpoint| show(request, endpoint)))
}

fn show(request: &Request<'_>, endpoint: &Endpoint) -> Element {
    let settings = &endpoint.settings;
    let mut item = Element::new("item");
    let mut text = |name: &str, value: &str| item.push(Element::with_text(name, value));
    text("clientVpnEndpointId", &endpoint.id);
    text("description", settings.description.as_deref().unwrap_or_default());
    text("creationTime", &endpoint.created_at);
    text("dnsName", &format!("*.{}", endpoint.domain()));
    text("clientCidrBlock", &settings.client_cidr.to_string());
    text("splitTunnel", &settings.split_tunnel.to_string());
    text("vpnProtocol", "openvpn");
    text("transportProtocol", settings.transport.as_str());
    text("vpnPort", &settings.port.to_string());
    text("serverCertificateArn", &settings.server_certificate);
    text("sessionTimeoutHours", &settings.session_hours.to_string());
    text("disconnectOnSessionTimeout", &settings.disconnect_on_session_timeout.to_string());
    text("endpointIpAddressType", "ipv4");
    text("trafficIpAddressType", "ipv4");
    if let Some(vpc) = &settings.vpc {
        text("vpcId", vpc);
    }
    item.push(status(endpoint.state(request.times()).unwrap_or("deleted")));
    let dns: Vec<String> = settings.dns_servers.iter().map(ToString::to_string).collect();
    item.push(show_texts("dnsServer", dns.iter().map(String::as_str)));
    item.push(show_texts("securityGroupIdSet", settings.groups.iter().map(String::as_str)));
    item.push(show_associated(request, endpoint));
    item.push(show_authentication(settings));
    item.push(show_log(settings.log.as_ref()));
    item.push(show_option("clientConnectOptions", "enabled", false));
    let mut banner = show_option("clientLoginBannerOptions", "enabled", settings.banner.is_some());
    if let Some(words) = &settings.banner {
        banner.push(Element::with_text("bannerText", words));
    }
    item.push(banner);
    item.push(show_option("clientRouteEnforcementOptions", "enforced", settings.enforce_routes));
    item.push(show_tags(&endpoint.tags));
    item
}

fn show_option(name: &str, field: &str, value: bool) -> Element {
    let mut option = Element::new(name);
    option.push(Element::with_text(field, &value.to_string()));
    option
}

fn show_associated(request: &Request<'_>, endpoint: &Endpoint) -> Element {
    let mut list = Element::new("associatedTargetNetwork");
    for association in endpoint.associations.iter().filter(|one| !one.is_disassociated(request.times())) {
        let mut item = Element::new("item");
        item.push(Element::with_text("networkId", &association.subnet.id));
        item.push(Element::with_text("networkType", "vpc"));
        list.push(item);
    }
    list
}

fn show_authentication(settings: &Settings) -> Element {
    let mut mutual = Element::new("mutualAuthentication");
    mutual.push(Element::with_text("clientRootCertificateChain", &settings.client_root));
    let mut item = Element::new("item");
    item.push(Element::with_text("type", "certificate-authentication"));
    item.push(mutual);
    let mut list = Element::new("authenticationOptions");
    list.push(item);
    list
}

fn show_log(log: Option<&ConnectionLog>) -> Element {
    let mut options = show_option("connectionLogOptions", "Enabled", log.is_some());
    if let Some(log) = log {
        options.push(Element::with_text("CloudwatchLogGroup", &log.group));
        options.push(Element::with_text("CloudwatchLogStream", log.stream.as_deref().unwrap_or_default()));
    }
    options
}

pub(crate) async fn modify(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("ClientVpnEndpointId")?;
    let present = find(request, book, id)?;
    if present.life.has_ended() {
        return Err(incorrect_state(format!("Endpoint {id} is being deleted.")));
    }
    let has_associations = present.associations.iter().any(|one| !one.is_disassociated(request.times()));
    let changed = change_settings(request, present.settings.clone(), has_associations).await?;
    let endpoint = find_mut(request, book, id)?;
    let regrouped = endpoint.settings.groups != changed.groups;
    endpoint.settings = name_log_stream(changed, id, request.region());
    if regrouped {
        let interfaces = endpoint.associations.iter().filter_map(|one| one.interface.as_ref());
        for interface in interfaces.collect::<Vec<_>>() {
            set_groups(request, interface, &endpoint.settings.groups).await;
        }
    }
    let mut root = response("ModifyClientVpnEndpoint");
    root.push(Element::with_text("return", "true"));
    Ok(root)
}

/// The settings as the request wants them. What it does not name stays.
async fn change_settings(
    request: &Request<'_>,
    mut settings: Settings,
    has_associations: bool,
) -> Result<Settings, ServiceError> {
    if let Some(arn) = request.optional("ServerCertificateArn") {
        check_server(&certificate(request, arn).await?, arn)?;
        arn.clone_into(&mut settings.server_certificate);
    }
    if let (Some(vpc), groups) = read_network(request, Some(settings.client_cidr)).await? {
        if has_associations && settings.vpc.as_deref() != Some(vpc.as_str()) {
            return Err(invalid("The VPC cannot be changed while target networks are associated.".to_owned()));
        }
        settings.vpc = Some(vpc);
        settings.groups = groups;
    }
    match request.flag("DnsServers.Enabled")? {
        Some(false) => settings.dns_servers.clear(),
        Some(true) => settings.dns_servers = read_dns_servers(request, "DnsServers.CustomDnsServers")?,
        None => {}
    }
    if let Some(port) = read_port(request)? {
        settings.port = port;
    }
    if let Some(hours) = read_session_hours(request)? {
        settings.session_hours = hours;
    }
    if let Some(description) = request.call.param("Description") {
        settings.description = Some(description.to_owned());
    }
    if let Some(split) = request.flag("SplitTunnel")? {
        settings.split_tunnel = split;
    }
    if let Some(disconnect) = request.flag("DisconnectOnSessionTimeout")? {
        settings.disconnect_on_session_timeout = disconnect;
    }
    if let Some(enforced) = request.flag("ClientRouteEnforcementOptions.Enforced")? {
        settings.enforce_routes = enforced;
    }
    settings.log = read_log(request).await?.or(settings.log);
    settings.banner = read_banner(request)?.or(settings.banner);
    Ok(settings)
}

/// Gives an association's interface the endpoint's groups.
pub(crate) async fn set_groups(request: &Request<'_>, interface: &Interface, groups: &[String]) {
    let names: Vec<String> = (1..=groups.len()).map(|n| format!("SecurityGroupId.{n}")).collect();
    let mut parameters = vec![("NetworkInterfaceId", interface.id.as_str())];
    parameters.extend(names.iter().map(String::as_str).zip(groups.iter().map(String::as_str)));
    request.sim.moto.ec2(request.region(), "ModifyNetworkInterfaceAttribute", &parameters).await;
}

pub(crate) fn delete(request: &Request<'_>, book: &mut [Endpoint]) -> Result<Element, ServiceError> {
    let id = request.required("ClientVpnEndpointId")?;
    let times = request.times();
    let endpoint = find_mut(request, book, id)?;
    if endpoint.associations.iter().any(|association| !association.is_disassociated(times)) {
        let message = format!("Endpoint {id} has associated target networks. Disassociate them before you delete it.");
        return Err(ServiceError::new(400, "ClientVpnEndpointAssociationExists", message));
    }
    endpoint.life.end(request.now);
    let mut root = response("DeleteClientVpnEndpoint");
    root.push(status("deleting"));
    Ok(root)
}

pub(crate) async fn export(request: &Request<'_>, book: &[Endpoint]) -> Result<Element, ServiceError> {
    let endpoint = find(request, book, request.required("ClientVpnEndpointId")?)?;
    let server = certificate(request, &endpoint.settings.server_certificate).await?;
    let mut root = response("ExportClientVpnClientConfiguration");
    root.push(Element::with_text("clientConfiguration", &write_configuration(endpoint, &server)));
    Ok(root)
}

/// The tags of an endpoint, to change.
pub(crate) fn tags_mut<'b>(
    request: &Request<'_>,
    book: &'b mut [Endpoint],
    id: &str,
) -> Result<&'b mut BTreeMap<String, String>, ServiceError> {
    find_mut(request, book, id).map(|endpoint| &mut endpoint.tags)
}
