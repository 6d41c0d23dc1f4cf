//! What clients may reach, and through what: authorization rules and routes.

use std::time::Duration;

use aws_sdk_ec2::types::{ClientVpnAuthorizationRuleStatusCode, ClientVpnRouteStatusCode};
use ipnet::Ipv4Net;
use lab_plan::{Problem, wait_for};
use tokio::time::Instant;

use super::{Worker, make_tokens};
use crate::beat::{self, ROUTE, RULE, VISIBILITY};
use crate::endpoint::{self, Route, Rule};
use crate::error::{explain_vpn, is_busy, is_duplicate};

/// How far a rule or a route is.
enum Progress {
    /// It counts.
    Active,
    /// It is on its way, in EC2's word.
    Coming(String),
    /// It is on its way out, in EC2's word.
    Leaving(String),
    /// It came to nothing, and why in EC2's words.
    Failed(Option<String>),
    /// There is none.
    Absent,
}

impl Worker<'_> {
    /// Rules and routes have no ids, and a second one is refused: a lost answer does no harm. A token that has been used
    /// may answer without making anything, so what does not show up at once is asked for with another one.
    pub(super) async fn authorize(&self, network: Ipv4Net, leaving: bool) -> Result<(), Problem> {
        let endpoint = self.endpoint_id()?;
        let (what, cidr) = (format!("the rule for {network}"), network.to_string());
        let look = async || self.look_at_rule(&endpoint, &cidr).await;
        if leaving {
            self.await_absence(&what, RULE, look).await?;
        }
        for token in make_tokens(&[&endpoint, "rule", &cidr]) {
            let request = self
                .services
                .ec2
                .authorize_client_vpn_ingress()
                .client_vpn_endpoint_id(&endpoint)
                .target_network_cidr(&cidr)
                .authorize_all_groups(true)
                .client_token(token);
            let patience = match self.change(async || request.clone().send().await).await {
                Ok(_) => Duration::ZERO,
                Err(error) if is_duplicate(&error) => VISIBILITY,
                Err(error) => return Err(explain_vpn("AuthorizeClientVpnIngress", &error)),
            };
            if self.await_presence(&what, RULE, patience, look).await? {
                return Ok(());
            }
        }
        Err(refuse_unseen(&what))
    }

    pub(super) async fn create_route(&self, destination: Ipv4Net, subnet: &str, leaving: bool) -> Result<(), Problem> {
        let endpoint = self.endpoint_id()?;
        let (what, cidr) = (format!("the route to {destination}"), destination.to_string());
        let look = async || self.look_at_route(&endpoint, &cidr, subnet).await;
        if leaving {
            self.await_absence(&what, ROUTE, look).await?;
        }
        for token in make_tokens(&[&endpoint, "route", &cidr, subnet]) {
            let request = self
                .services
                .ec2
                .create_client_vpn_route()
                .client_vpn_endpoint_id(&endpoint)
                .destination_cidr_block(&cidr)
                .target_vpc_subnet_id(subnet)
                .client_token(token);
            let patience = match self.change(async || request.clone().send().await).await {
                Ok(_) => Duration::ZERO,
                Err(error) if is_duplicate(&error) => VISIBILITY,
                Err(error) => return Err(explain_vpn("CreateClientVpnRoute", &error)),
            };
            if self.await_presence(&what, ROUTE, patience, look).await? {
                return Ok(());
            }
        }
        Err(refuse_unseen(&what))
    }

    pub(super) async fn revoke(&self, endpoint: &str, network: &str, group: Option<&str>) -> Result<(), Problem> {
        let request = self
            .services
            .ec2
            .revoke_client_vpn_ingress()
            .client_vpn_endpoint_id(endpoint)
            .target_network_cidr(network)
            .set_access_group_id(group.map(str::to_owned))
            .set_revoke_all_groups(group.is_none().then_some(true));
        self.remove("RevokeClientVpnIngress", is_busy, async || request.clone().send().await).await
    }

    pub(super) async fn delete_route(&self, endpoint: &str, destination: &str, subnet: &str) -> Result<(), Problem> {
        let request = self
            .services
            .ec2
            .delete_client_vpn_route()
            .client_vpn_endpoint_id(endpoint)
            .destination_cidr_block(destination)
            .target_vpc_subnet_id(subnet);
        self.remove("DeleteClientVpnRoute", is_busy, async || request.clone().send().await).await
    }

    /// Waits until it counts. `false` when it does not show up within `patience`.
    async fn await_presence(
        &self,
        what: &str,
        deadline: Duration,
        patience: Duration,
        look: impl AsyncFn() -> Result<Progress, Problem>,
    ) -> Result<bool, Problem> {
        let start = Instant::now();
        wait_for(beat::every(deadline), self.context.stop, what, async || {
            let word = match look().await? {
                Progress::Active => return Ok(Some(true)),
                Progress::Failed(message) => return Err(refuse_failed(what, message)),
                Progress::Absent if start.elapsed() >= patience => return Ok(Some(false)),
                Progress::Absent => "not seen yet".to_owned(),
                Progress::Coming(word) | Progress::Leaving(word) => word,
            };
            self.context.line.waits_for(&format!("{what} is {word}"));
            Ok(None)
        })
        .await
    }

    async fn await_absence(
        &self,
        what: &str,
        deadline: Duration,
        look: impl AsyncFn() -> Result<Progress, Problem>,
    ) -> Result<(), Problem> {
        wait_for(beat::ending(deadline), self.context.stop, format!("the end of {what}"), async || {
            let word = match look().await? {
                Progress::Leaving(word) => word,
                Progress::Failed(_) => "failed".to_owned(),
                _ => return Ok(Some(())),
            };
            self.context.line.waits_for(&format!("{what} is {word}"));
            Ok(None)
        })
        .await
    }

    async fn look_at_rule(&self, endpoint: &str, network: &str) -> Result<Progress, Problem> {
        use ClientVpnAuthorizationRuleStatusCode::{Active, Failed, Revoking};
        let found = endpoint::find_rules(&self.services.ec2, endpoint).await?;
        let found = found.into_iter().find(|rule| rule.network == network && rule.group.is_none());
        let Some(Rule { state, message, .. }) = found else { return Ok(Progress::Absent) };
        match state {
            Active => Ok(Progress::Active),
            Revoking => Ok(Progress::Leaving(state.to_string())),
            Failed => Ok(Progress::Failed(message)),
            _ => Ok(Progress::Coming(state.to_string())),
        }
    }

    async fn look_at_route(&self, endpoint: &str, destination: &str, subnet: &str) -> Result<Progress, Problem> {
        use ClientVpnRouteStatusCode::{Active, Deleting, Failed};
        let found = endpoint::find_routes(&self.services.ec2, endpoint).await?;
        let found = found.into_iter().find(|route| route.destination == destination && route.subnet == subnet);
        let Some(Route { state, message, .. }) = found else { return Ok(Progress::Absent) };
        match state {
            Active => Ok(Progress::Active),
            Deleting => Ok(Progress::Leaving(state.to_string())),
            Failed => Ok(Progress::Failed(message)),
            _ => Ok(Progress::Coming(state.to_string())),
        }
    }
}

fn refuse_failed(what: &str, message: Option<String>) -> Problem {
    Problem::failed(format!("{what} failed"))
        .because(message.unwrap_or_else(|| "EC2 gives no reason".into()))
        .fix("run the same command again: it removes what failed and makes it anew")
}

fn refuse_unseen(what: &str) -> Problem {
    Problem::failed(format!("EC2 has accepted {what}, but does not list it yet"))
        .fix("run the same command again in a minute")
}
