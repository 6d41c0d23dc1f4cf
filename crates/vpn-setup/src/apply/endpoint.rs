//! Making, changing and deleting the endpoint.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_ec2::error::SdkError;
use aws_sdk_ec2::operation::create_client_vpn_endpoint::CreateClientVpnEndpointError;
use aws_sdk_ec2::operation::create_client_vpn_endpoint::builders::CreateClientVpnEndpointFluentBuilder;
use aws_sdk_ec2::types::{
    CertificateAuthenticationRequest, ClientVpnAuthenticationRequest, ClientVpnAuthenticationType,
    ClientVpnEndpointStatusCode, ConnectionLogOptions, ResourceType, TransportProtocol,
};
use lab_common::explain;
use lab_ec2::{client_token, specify_tags};
use lab_plan::{Pace, Problem, find_within, retry_while, wait_for};

use super::Worker;
use crate::beat::{self, ASSOCIATION, VISIBILITY};
use crate::change::Change;
use crate::error::{explain_vpn, is_gone, is_in_use};
use crate::roles;
use crate::want::EndpointWant;

/// Tokens to try: each one before may have been used up by an endpoint that is gone.
const TOKENS: u32 = 5;

impl Worker<'_> {
    /// A token that has been used answers with the first endpoint, also when that has been deleted since: then the
    /// next one is tried. The ids of those that are known to be gone stand in the token, so that is seldom needed.
    pub(super) async fn create_endpoint(
        &self,
        name: &str,
        vpc: &str,
        group: &str,
        known: &[String],
    ) -> Result<String, Problem> {
        let want = self.want_endpoint()?;
        let arn = self.context.ids.get(roles::CERTIFICATE)?;
        let parameters = format!("{want:?}");
        let parts = [vpc, roles::ENDPOINT, name, group, &arn, &parameters, &known.join(" ")];
        for n in 0..TOKENS {
            let request = self.request_endpoint(name, want, vpc, group, &arn).client_token(client_token(&parts, n));
            let unseen = |error: &_| is_unseen_certificate(error, &arn);
            let create = async || {
                let send = async || request.clone().send().await;
                retry_while(Pace::MOMENT, self.context.stop, unseen, send).await
            };
            let answer = self.change(create).await;
            let answer = answer.map_err(|error| explain_vpn("CreateClientVpnEndpoint", &error))?;
            let Some(id) = answer.client_vpn_endpoint_id() else {
                return Err(Problem::failed("CreateClientVpnEndpoint answered without an endpoint"));
            };
            if self.is_there(id).await? {
                return Ok(id.to_owned());
            }
        }
        let what = format!("{name} was made and deleted {TOKENS} times within an hour");
        Err(Problem::failed(what).fix("wait an hour, until EC2 has forgotten the deleted ones"))
    }

    fn want_endpoint(&self) -> Result<&EndpointWant, Problem> {
        let want = self.want.map(|want| &want.endpoint);
        want.ok_or_else(|| Problem::usage("the lab has no [vpn] section"))
    }

    fn request_endpoint(
        &self,
        name: &str,
        want: &EndpointWant,
        vpc: &str,
        group: &str,
        arn: &str,
    ) -> CreateClientVpnEndpointFluentBuilder {
        // One authority signs server and clients, so the server's certificate leads to the clients' root too.
        let root = CertificateAuthenticationRequest::builder().client_root_certificate_chain_arn(arn).build();
        let authentication = ClientVpnAuthenticationRequest::builder()
            .r#type(ClientVpnAuthenticationType::CertificateAuthentication)
            .mutual_authentication(root)
            .build();
        self.services
            .ec2
            .create_client_vpn_endpoint()
            .client_cidr_block(want.client_cidr.to_string())
            .server_certificate_arn(arn)
            .authentication_options(authentication)
            .connection_log_options(self.request_log(want.log_days.is_some()))
            .transport_protocol(TransportProtocol::from(want.transport.as_str()))
            .vpn_port(want.port)
            .split_tunnel(want.split_tunnel)
            .session_timeout_hours(want.session_hours)
            .description(&want.description)
            .vpc_id(vpc)
            .security_group_ids(group)
            .tag_specifications(specify_tags(
                ResourceType::ClientVpnEndpoint,
                &self.session.tags,
                roles::ENDPOINT,
                name,
                None,
            ))
    }

    /// Without a stream of ours, Client VPN makes one in the group.
    fn request_log(&self, on: bool) -> ConnectionLogOptions {
        let group = on.then(|| self.session.names.vpn_log_group());
        ConnectionLogOptions::builder().enabled(on).set_cloudwatch_log_group(group).build()
    }

    /// Whether an endpoint that was just made can be seen, and is not one that a used token remembers.
    async fn is_there(&self, id: &str) -> Result<bool, Problem> {
        let look = async || self.find_state(id).await;
        let leaving = [ClientVpnEndpointStatusCode::Deleting, ClientVpnEndpointStatusCode::Deleted];
        let seen = find_within(beat::every(VISIBILITY), self.context.stop, look).await?;
        // Unseen for that long: a token that remembers what EC2 has forgotten.
        Ok(seen.is_some_and(|state| !leaving.contains(&state)))
    }

    async fn find_state(&self, id: &str) -> Result<Option<ClientVpnEndpointStatusCode>, Problem> {
        let request = self.services.ec2.describe_client_vpn_endpoints().client_vpn_endpoint_ids(id);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(explain("DescribeClientVpnEndpoints", &error)),
        };
        let found = answer.client_vpn_endpoints().iter().find(|endpoint| endpoint.client_vpn_endpoint_id() == Some(id));
        let state = found.map(|endpoint| endpoint.status().and_then(|status| status.code()).cloned());
        Ok(state.map(|state| state.unwrap_or(ClientVpnEndpointStatusCode::Available)))
    }

    /// A new security group is given to the associations first: a run that is killed in between finds the endpoint's own
    /// still different, and does both again.
    pub(super) async fn modify_endpoint(&self, id: &str, change: &Change) -> Result<(), Problem> {
        if let Some((vpc, group)) = change.group.as_ref().filter(|_| change.is_associated) {
            self.regroup_associations(id, vpc, group).await?;
        }
        let mut request = self
            .services
            .ec2
            .modify_client_vpn_endpoint()
            .client_vpn_endpoint_id(id)
            .set_split_tunnel(change.split_tunnel)
            .set_vpn_port(change.port)
            .set_session_timeout_hours(change.session_hours)
            .set_description(change.description.clone())
            .set_connection_log_options(change.log.map(|on| self.request_log(on)));
        if let Some((vpc, group)) = &change.group {
            request = request.vpc_id(vpc).security_group_ids(group);
        }
        if change.server {
            request = request.server_certificate_arn(self.context.ids.get(roles::CERTIFICATE)?);
        }
        let answer = self.change(async || request.clone().send().await).await;
        answer.map(|_| ()).map_err(|error| explain_vpn("ModifyClientVpnEndpoint", &error))
    }

    /// Associations that are there keep their group when only the endpoint's is changed
    /// (hashicorp/terraform-provider-aws#33996).
    async fn regroup_associations(&self, id: &str, vpc: &str, group: &str) -> Result<(), Problem> {
        let request = self
            .services
            .ec2
            .apply_security_groups_to_client_vpn_target_network()
            .client_vpn_endpoint_id(id)
            .vpc_id(vpc)
            .security_group_ids(group);
        let answer = self.change(async || request.clone().send().await).await;
        answer.map(drop).map_err(|error| explain_vpn("ApplySecurityGroupsToClientVpnTargetNetwork", &error))
    }

    /// Deletes the endpoint and waits until it is gone: only then is its certificate free.
    pub(super) async fn delete_endpoint(&self, id: &str, under_way: bool) -> Result<(), Problem> {
        if !under_way {
            let request = self.services.ec2.delete_client_vpn_endpoint().client_vpn_endpoint_id(id);
            self.remove("DeleteClientVpnEndpoint", is_in_use, async || request.clone().send().await).await?;
        }
        wait_for(beat::ending(ASSOCIATION), self.context.stop, format!("{id} to be gone"), async || {
            match self.find_state(id).await? {
                None | Some(ClientVpnEndpointStatusCode::Deleted) => Ok(Some(())),
                Some(state) => {
                    self.context.line.waits_for(&format!("is {state}"));
                    Ok(None)
                }
            }
        })
        .await
    }
}

/// Whether EC2 does not know yet the certificate that was just imported.
fn is_unseen_certificate(error: &SdkError<CreateClientVpnEndpointError, HttpResponse>, arn: &str) -> bool {
    let message = error.as_service_error().and_then(|error| error.message()).unwrap_or_default();
    message.contains(arn) && ["does not exist", "not found", "not be found"].iter().any(|part| message.contains(part))
}
