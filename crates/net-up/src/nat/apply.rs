//! One step of the window, carried out.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{DomainType, NatGatewayState, ResourceType};
use lab_common::{Tags, explain};
use lab_ec2::{
    Attempt, Drawn, NatGateway, client_token, create_once, create_with_token, find_nat_gateways, find_tag,
    is_duplicate, is_gone, is_ours, lab_filters, specify_tags, without_retries,
};
use lab_plan::{Context, Pace, Problem, Step, find_within, retry_while, wait_for};

use super::failure::{explain_create, explain_failed, explain_held, is_held};
use super::live::{Address, find_addresses};
use super::plan::NatOp;
use super::{ADDRESS, GATEWAY};
use crate::apply::Worker;
use crate::want::MAIN_TABLE;

const EVERYWHERE: &str = "0.0.0.0/0";
/// Tokens tried before giving up. Each stands for a gateway that was made with the same address and deleted since; a
/// closed window gives its address back, so there are hardly ever two.
const TOKENS: u32 = 5;

/// How long the run whose address is kept may take to make its gateway: some calls.
const THEIR_GATEWAY: Pace =
    Pace { first: Duration::from_millis(100), longest: Duration::from_millis(500), deadline: Duration::from_secs(4) };

/// Carries out one step; answers with the id of what it made or changed.
pub(crate) async fn apply(
    ec2: &Client,
    tags: &Tags,
    step: &Step<NatOp>,
    context: Context<'_>,
) -> Result<Option<String>, Problem> {
    let worker = Worker { ec2, tags, context };
    let id = |role: &str| context.ids.get(role);
    match &step.op {
        NatOp::Allocate => worker.allocate(&step.name).await.map(Some),
        NatOp::CreateGateway { subnet, gone } => {
            worker.create_nat_gateway(&step.name, &id(ADDRESS)?, &id(subnet)?, gone).await.map(Some)
        }
        NatOp::Route { replace } => {
            let gateway = id(GATEWAY)?;
            worker.await_available(&gateway).await?;
            worker.route_to_nat(id(MAIN_TABLE)?, &gateway, *replace).await.map(Some)
        }
        NatOp::DeleteRoute { table } => worker.delete_route(table).await.map(Some),
        NatOp::DeleteGateway { id } => {
            worker.delete_nat_gateway(id).await?;
            worker.await_deleted(id).await.map(Some)
        }
        NatOp::AwaitDeleted { id } => worker.await_deleted(id).await.map(Some),
        NatOp::Release { id } => worker.release(id).await.map(Some),
    }
}

/// Whether somebody has deleted it.
fn is_leaving(gateway: &NatGateway) -> bool {
    matches!(gateway.state, NatGatewayState::Deleting | NatGatewayState::Deleted)
}

impl Worker<'_> {
    async fn allocate(&self, name: &str) -> Result<String, Problem> {
        let made = create_once(
            "AllocateAddress",
            self.context.stop,
            async |attempt: &Attempt| {
                let request = self.ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(specify_tags(
                    ResourceType::ElasticIp,
                    self.tags,
                    ADDRESS,
                    name,
                    Some(attempt),
                ));
                let answer = request.customize().config_override(without_retries()).send().await?;
                Ok(answer.allocation_id().unwrap_or_default().to_owned())
            },
            async |attempt: &Attempt| {
                let found = find_addresses(self.ec2, self.tags, Some(attempt)).await?;
                Ok(found.into_iter().map(|address| address.id).collect())
            },
            async |id: &str| self.release(id).await.map(drop),
        )
        .await?;
        let see = async || {
            let found = find_addresses(self.ec2, self.tags, None).await?;
            Ok(found.into_iter().map(|Address { id, number, .. }| Drawn { id, number }).collect())
        };
        let kept = self.choose("an address", &made, see).await?;
        if kept != made {
            self.release(&made).await?;
            // Its run makes a gateway with it next: two calls with one address would meet.
            let look = async || self.find_user(&kept).await;
            let _ = find_within(THEIR_GATEWAY, self.context.stop, look).await?;
        }
        Ok(kept)
    }

    /// The open gateway that has this address.
    async fn find_user(&self, address: &str) -> Result<Option<String>, Problem> {
        let open = find_nat_gateways(self.ec2, self.tags).await?.into_iter().filter(NatGateway::is_open);
        let mut users = open.filter(|gateway| gateway.allocation.as_deref() == Some(address));
        Ok(users.next().map(|gateway| gateway.id))
    }

    /// The token holds the address, which no two windows share.
    async fn create_nat_gateway(
        &self,
        name: &str,
        address: &str,
        subnet: &str,
        gone: &[String],
    ) -> Result<String, Problem> {
        if let Some(theirs) = self.find_user(address).await? {
            return Ok(theirs);
        }
        for n in 0..TOKENS {
            let token = client_token(&[GATEWAY, address, subnet, name], n);
            let made = self.create_nat_gateway_with(name, address, subnet, &token).await?;
            if gone.contains(&made) || !self.is_there(&made).await? {
                continue;
            }
            let see = async || {
                let open = find_nat_gateways(self.ec2, self.tags).await?.into_iter().filter(NatGateway::is_open);
                Ok(open.map(|NatGateway { id, number, .. }| Drawn { id, number }).collect())
            };
            let kept = self.choose("a NAT gateway", &made, see).await?;
            if kept != made {
                self.delete_nat_gateway(&made).await?;
            }
            return Ok(kept);
        }
        Err(Problem::failed(format!("{name} was made and deleted {TOKENS} times within an hour"))
            .fix("wait an hour, until EC2 has forgotten the deleted ones"))
    }

    async fn create_nat_gateway_with(
        &self,
        name: &str,
        address: &str,
        subnet: &str,
        token: &str,
    ) -> Result<String, Problem> {
        let made = create_with_token(
            "CreateNatGateway",
            token,
            self.context.stop,
            async |attempt: &Attempt| {
                let request = self
                    .ec2
                    .create_nat_gateway()
                    .allocation_id(address)
                    .subnet_id(subnet)
                    .client_token(token)
                    .tag_specifications(specify_tags(
                        ResourceType::Natgateway,
                        self.tags,
                        GATEWAY,
                        name,
                        Some(attempt),
                    ));
                // The address may be too new to be seen.
                let answer = retry_while(Pace::MOMENT, self.context.stop, is_gone, async || {
                    request.clone().customize().config_override(without_retries()).send().await
                });
                let answer = answer.await?;
                Ok(answer.nat_gateway().and_then(|gateway| gateway.nat_gateway_id()).unwrap_or_default().to_owned())
            },
            async |attempt: &Attempt| self.find_open_of(attempt).await,
        );
        match made.await? {
            // Another run was first to use the address.
            Err(error) if is_duplicate(&error) => {
                self.find_user(address).await?.ok_or_else(|| explain_create("CreateNatGateway", &error))
            }
            made => made.map_err(|error| explain_create("CreateNatGateway", &error)),
        }
    }

    /// The open gateways that one attempt has made.
    async fn find_open_of(&self, attempt: &Attempt) -> Result<Vec<String>, Problem> {
        let filters = lab_filters(self.tags).into_iter().chain([attempt.filter()]).collect();
        let answer = self.ec2.describe_nat_gateways().set_filter(Some(filters)).send().await;
        let answer = answer.map_err(|error| explain("DescribeNatGateways", &error))?;
        let value = attempt.to_string();
        let made = answer.nat_gateways().iter().filter(|gateway| {
            let state = gateway.state().unwrap_or(&NatGatewayState::Pending);
            let open = matches!(state, NatGatewayState::Pending | NatGatewayState::Available);
            let same = find_tag(gateway.tags(), Tags::ATTEMPT) == Some(&value);
            open && same && is_ours(self.tags, gateway.tags())
        });
        Ok(made.filter_map(|gateway| gateway.nat_gateway_id().map(str::to_owned)).collect())
    }

    /// Whether a gateway that EC2 says it made is one. A token that has been used answers with the first gateway, also
    /// when that one has been deleted since.
    async fn is_there(&self, id: &str) -> Result<bool, Problem> {
        let look = async || self.find_nat_gateway(id).await;
        let mut seen = find_within(Pace::MOMENT, self.context.stop, look).await;
        if seen.is_err() && self.context.stop.asked().is_none() {
            // A look that fails once says nothing of the gateway.
            seen = find_within(Pace::MOMENT, self.context.stop, look).await;
        }
        match seen {
            // Unseen for that long, it is one that EC2 has forgotten.
            Ok(seen) => Ok(seen.is_some_and(|gateway| !is_leaving(&gateway))),
            // Stopped, it is the next run's to find; it bears our tags.
            Err(_) if self.context.stop.asked().is_some() => Ok(true),
            Err(problem) => Err(problem),
        }
    }

    /// `None` while EC2 does not list it.
    async fn find_nat_gateway(&self, id: &str) -> Result<Option<NatGateway>, Problem> {
        let found = find_nat_gateways(self.ec2, self.tags).await?;
        Ok(found.into_iter().find(|gateway| gateway.id == id))
    }

    async fn await_available(&self, id: &str) -> Result<(), Problem> {
        wait_for(Pace::MINUTES, self.context.stop, format!("{id} to be available"), async || {
            let Some(gateway) = self.find_nat_gateway(id).await? else { return Ok(None) };
            match gateway.state {
                NatGatewayState::Available => Ok(Some(())),
                NatGatewayState::Failed => Err(explain_failed(&gateway)),
                NatGatewayState::Deleting | NatGatewayState::Deleted => {
                    Err(Problem::failed(format!("somebody has deleted {} ({id}) meanwhile", gateway.name)))
                }
                state => {
                    self.context.line.waits_for(&format!("{} is {state}", gateway.name));
                    Ok(None)
                }
            }
        })
        .await
    }

    async fn route_to_nat(&self, table: String, gateway: &str, replace: bool) -> Result<String, Problem> {
        if replace {
            let request = self.ec2.replace_route().route_table_id(&table);
            let request = request.destination_cidr_block(EVERYWHERE).nat_gateway_id(gateway);
            self.call("ReplaceRoute", async || request.clone().send().await).await?;
        } else {
            let request = self.ec2.create_route().route_table_id(&table);
            let request = request.destination_cidr_block(EVERYWHERE).nat_gateway_id(gateway);
            self.call_once_done("CreateRoute", async || request.clone().send().await).await?;
        }
        Ok(table)
    }

    async fn delete_route(&self, table: &str) -> Result<String, Problem> {
        let request = self.ec2.delete_route().route_table_id(table).destination_cidr_block(EVERYWHERE);
        self.delete("DeleteRoute", table, async || request.clone().send().await).await?;
        Ok(table.to_owned())
    }

    async fn delete_nat_gateway(&self, id: &str) -> Result<(), Problem> {
        let request = self.ec2.delete_nat_gateway().nat_gateway_id(id);
        self.delete("DeleteNatGateway", id, async || request.clone().send().await).await?;
        Ok(())
    }

    /// Until then it holds its address.
    async fn await_deleted(&self, id: &str) -> Result<String, Problem> {
        wait_for(Pace::MINUTES, self.context.stop, format!("{id} to be deleted"), async || {
            let Some(gateway) = self.find_nat_gateway(id).await?.filter(|gateway| !gateway.is_gone()) else {
                return Ok(Some(id.to_owned()));
            };
            self.context.line.waits_for(&format!("is {}", gateway.state));
            Ok(None)
        })
        .await
    }

    async fn release(&self, id: &str) -> Result<String, Problem> {
        let request = self.ec2.release_address().allocation_id(id);
        match retry_while(Pace::SPREAD, self.context.stop, is_held, async || request.clone().send().await).await {
            Err(error) if is_held(&error) => Err(explain_held(id, &error)),
            Err(error) if !is_gone(&error) => Err(explain("ReleaseAddress", &error)),
            _ => Ok(id.to_owned()),
        }
    }
}
