//! One step → the calls that carry it out.

use std::collections::BTreeSet;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, ResourceType, RouteTable};
use lab_common::{Tags, explain};
use lab_ec2::{
    Attempt, Drawn, client_token, create_once, create_with_token, find_number, is_dependency, is_duplicate, is_gone,
    lab_filters, specify_tags, take_turn, without_retries, write_number,
};
use lab_plan::{Context, Pace, Problem, Step, Stop, find_within, retry_while, wait_for};

use crate::plan::Op;
use crate::rule::{Rule, to_permissions};
use crate::want::{GATEWAY, MAIN_TABLE, PUBLIC_TABLE, VPC};

/// How long something that was just left may still count as in use.
const LETS_GO: Pace = Pace::SPREAD;

/// Carries out one step; answers with the id of what it made or changed.
pub(crate) async fn apply(
    ec2: &Client,
    tags: &Tags,
    step: &Step<Op>,
    context: Context<'_>,
) -> Result<Option<String>, Problem> {
    Worker { ec2, tags, context }.apply(step).await
}

/// What every step works with.
pub(crate) struct Worker<'a> {
    pub(crate) ec2: &'a Client,
    pub(crate) tags: &'a Tags,
    pub(crate) context: Context<'a>,
}

impl Worker<'_> {
    async fn apply(&self, step: &Step<Op>) -> Result<Option<String>, Problem> {
        let Step { role, name, .. } = step;
        let id = |role: &str| self.context.ids.get(role);
        match &step.op {
            Op::CreateVpc { cidr } => self.create_vpc(cidr, name).await.map(Some),
            Op::EnableDnsHostnames => self.enable_dns_hostnames(id(VPC)?).await.map(Some),
            Op::TagMainTable => self.tag_main_table(&id(VPC)?, name).await.map(Some),
            Op::CreateSubnet { cidr, zone } => self.create_subnet(role, name, cidr, zone.as_deref()).await.map(Some),
            Op::MapPublicAddresses { subnet, public } => self.map_public(id(subnet)?, *public).await.map(Some),
            Op::CreateGateway => self.create_gateway(name).await.map(Some),
            Op::AttachGateway => self.attach_gateway(id(GATEWAY)?, &id(VPC)?).await.map(Some),
            Op::CreateTable => self.create_table(name, &id(VPC)?).await.map(Some),
            Op::RouteToGateway { replace } => self.route(id(PUBLIC_TABLE)?, &id(GATEWAY)?, *replace).await.map(Some),
            Op::Associate { subnet, instead } => {
                self.associate(&id(PUBLIC_TABLE)?, &id(subnet)?, instead.as_deref()).await
            }
            Op::CreateGroup { description } => self.create_group(role, name, description).await.map(Some),
            Op::Authorize { group, rules } => self.authorize(id(group)?, rules).await.map(Some),
            Op::Revoke { group, rules } => self.revoke(group, rules).await.map(|()| Some(group.clone())),
            Op::Disassociate { association } => self.disassociate(association).await,
            Op::DetachGateway { gateway, vpc } => self.detach_gateway(gateway, vpc).await,
            Op::DeleteVpc { id } => self.delete_vpc(id).await,
            Op::DeleteSubnet { id } => self.delete_subnet(id).await,
            Op::DeleteGateway { id } => self.delete_gateway(id).await,
            Op::DeleteTable { id } => self.delete_table(id).await,
            Op::DeleteGroup { id } => self.delete_group(id).await,
        }
    }

    /// Calls while what the call needs is too new to be seen.
    pub(crate) async fn call<T, E>(
        &self,
        call: &str,
        send: impl AsyncFnMut() -> Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, Problem>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answer = retry_while(Pace::MOMENT, self.context.stop, is_gone, send).await;
        answer.map_err(|error| explain(call, &error))
    }

    /// Like [`Worker::call`]; that it has been done already is as good as having done it.
    pub(crate) async fn call_once_done<T, E>(
        &self,
        call: &str,
        send: impl AsyncFnMut() -> Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<Option<T>, Problem>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match retry_while(Pace::MOMENT, self.context.stop, is_gone, send).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_duplicate(&error) => Ok(None),
            Err(error) => Err(explain(call, &error)),
        }
    }

    /// Deletes `id`, waiting while something that is on its way out still holds it. Gone is as good as deleted.
    pub(crate) async fn delete<T, E>(
        &self,
        call: &str,
        id: &str,
        send: impl AsyncFnMut() -> Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<Option<String>, Problem>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match retry_while(LETS_GO, self.context.stop, is_dependency, send).await {
            Ok(_) => Ok(Some(id.to_owned())),
            Err(error) if is_gone(&error) => Ok(Some(id.to_owned())),
            Err(error) if is_dependency(&error) => Err(explain(call, &error).fix(format!(
                "something that is not of this lab uses {id}: remove it, then run the same command again"
            ))),
            Err(error) => Err(explain(call, &error)),
        }
    }

    async fn create_vpc(&self, cidr: &str, name: &str) -> Result<String, Problem> {
        let made = create_once(
            "CreateVpc",
            self.context.stop,
            async |attempt: &Attempt| {
                let request = self.ec2.create_vpc().cidr_block(cidr).tag_specifications(specify_tags(
                    ResourceType::Vpc,
                    self.tags,
                    VPC,
                    name,
                    Some(attempt),
                ));
                let answer = request.customize().config_override(without_retries()).send().await?;
                Ok(answer.vpc().and_then(|vpc| vpc.vpc_id()).unwrap_or_default().to_owned())
            },
            async |attempt: &Attempt| Ok(list_ids(self.find_vpcs(attempt.filter()).await?)),
            async |id: &str| self.delete_vpc(id).await.map(drop),
        )
        .await?;
        let kept = self.choose("a VPC", &made, async || self.find_vpcs(role_filter(VPC)).await).await?;
        if kept != made {
            self.delete_vpc(&made).await?;
        }
        Ok(kept)
    }

    /// Which of several all runs keep that made one at this moment.
    pub(crate) async fn choose(
        &self,
        what: &str,
        made: &str,
        see: impl AsyncFn() -> Result<Vec<Drawn>, Problem>,
    ) -> Result<String, Problem> {
        let write = async |number| write_number(self.ec2, made, number).await;
        take_turn(what, made, self.context.stop, see, write).await
    }

    async fn find_vpcs(&self, filter: Filter) -> Result<Vec<Drawn>, Problem> {
        let request = self.ec2.describe_vpcs().set_filters(Some(lab_filters(self.tags))).filters(filter);
        let answer = request.send().await.map_err(|error| explain("DescribeVpcs", &error))?;
        let drawn = answer
            .vpcs()
            .iter()
            .filter_map(|vpc| Some(Drawn { id: vpc.vpc_id()?.to_owned(), number: find_number(vpc.tags()) }));
        Ok(drawn.collect())
    }

    async fn enable_dns_hostnames(&self, vpc: String) -> Result<String, Problem> {
        let on = AttributeBooleanValue::builder().value(true).build();
        let request = self.ec2.modify_vpc_attribute().vpc_id(&vpc).enable_dns_hostnames(on);
        self.call("ModifyVpcAttribute", async || request.clone().send().await).await?;
        Ok(vpc)
    }

    /// The main table comes with the VPC and cannot be tagged at its creation.
    async fn tag_main_table(&self, vpc: &str, name: &str) -> Result<String, Problem> {
        let main = Filter::builder().name("association.main").values("true").build();
        let of_vpc = Filter::builder().name("vpc-id").values(vpc).build();
        let request = self.ec2.describe_route_tables().filters(of_vpc).filters(main);
        let table = wait_for(Pace::MOMENT, self.context.stop, "the VPC's own route table", async || {
            let answer = request.clone().send().await.map_err(|error| explain("DescribeRouteTables", &error))?;
            // Not every emulator knows the filter, and to tag another table as the VPC's own would be hard to undo.
            let is_main = |table: &&RouteTable| table.associations().iter().any(|one| one.main() == Some(true));
            Ok(answer.route_tables().iter().find(is_main).and_then(|table| table.route_table_id()).map(str::to_owned))
        })
        .await?;
        let tags = specify_tags(ResourceType::RouteTable, self.tags, MAIN_TABLE, name, None);
        let request = self.ec2.create_tags().resources(&table).set_tags(tags.tags);
        self.call("CreateTags", async || request.clone().send().await).await?;
        Ok(table)
    }

    /// A repeated call answers `InvalidSubnet.Conflict`: two of them cannot come to be.
    async fn create_subnet(&self, role: &str, name: &str, cidr: &str, zone: Option<&str>) -> Result<String, Problem> {
        let vpc = self.context.ids.get(VPC)?;
        let request = self
            .ec2
            .create_subnet()
            .vpc_id(&vpc)
            .cidr_block(cidr)
            .set_availability_zone(zone.map(str::to_owned))
            .tag_specifications(specify_tags(ResourceType::Subnet, self.tags, role, name, None));
        let answer = self.call_once_done("CreateSubnet", async || request.clone().send().await).await?;
        if let Some(id) = answer.as_ref().and_then(|answer| answer.subnet()?.subnet_id()) {
            return Ok(id.to_owned());
        }
        let filters = self.filters_in_vpc(role, &vpc);
        let request = self.ec2.describe_subnets().set_filters(Some(filters));
        self.find_made(&format!("{cidr} is taken by a subnet that is not of this lab"), async || {
            let answer = request.clone().send().await.map_err(|error| explain("DescribeSubnets", &error))?;
            Ok(answer.subnets().first().and_then(|subnet| subnet.subnet_id()).map(str::to_owned))
        })
        .await
    }

    /// A repeated call answers `InvalidGroup.Duplicate`: a VPC has one group of a name.
    async fn create_group(&self, role: &str, name: &str, description: &str) -> Result<String, Problem> {
        let vpc = self.context.ids.get(VPC)?;
        let request = self
            .ec2
            .create_security_group()
            .vpc_id(&vpc)
            .group_name(name)
            .description(description)
            .tag_specifications(specify_tags(ResourceType::SecurityGroup, self.tags, role, name, None));
        let answer = self.call_once_done("CreateSecurityGroup", async || request.clone().send().await).await?;
        if let Some(id) = answer.as_ref().and_then(|answer| answer.group_id()) {
            return Ok(id.to_owned());
        }
        let filters = self.filters_in_vpc(role, &vpc);
        let request = self.ec2.describe_security_groups().set_filters(Some(filters));
        self.find_made(&format!("the VPC has a group {name} that is not of this lab"), async || {
            let answer = request.clone().send().await.map_err(|error| explain("DescribeSecurityGroups", &error))?;
            Ok(answer.security_groups().first().and_then(|group| group.group_id()).map(str::to_owned))
        })
        .await
    }

    /// Finds what an earlier call, whose answer was lost, has made.
    async fn find_made(
        &self,
        otherwise: &str,
        look: impl AsyncFnMut() -> Result<Option<String>, Problem>,
    ) -> Result<String, Problem> {
        find_within(Pace::MOMENT, self.context.stop, look).await?.ok_or_else(|| {
            Problem::failed(otherwise).fix("remove it, or give this lab another block or name in lab.toml")
        })
    }

    fn filters_in_vpc(&self, role: &str, vpc: &str) -> Vec<Filter> {
        let of_vpc = Filter::builder().name("vpc-id").values(vpc).build();
        lab_filters(self.tags).into_iter().chain([role_filter(role), of_vpc]).collect()
    }

    async fn map_public(&self, subnet: String, public: bool) -> Result<String, Problem> {
        let value = AttributeBooleanValue::builder().value(public).build();
        let request = self.ec2.modify_subnet_attribute().subnet_id(&subnet).map_public_ip_on_launch(value);
        self.call("ModifySubnetAttribute", async || request.clone().send().await).await?;
        Ok(subnet)
    }

    async fn create_gateway(&self, name: &str) -> Result<String, Problem> {
        let made = create_once(
            "CreateInternetGateway",
            self.context.stop,
            async |attempt: &Attempt| {
                let request = self.ec2.create_internet_gateway().tag_specifications(specify_tags(
                    ResourceType::InternetGateway,
                    self.tags,
                    GATEWAY,
                    name,
                    Some(attempt),
                ));
                let answer = request.customize().config_override(without_retries()).send().await?;
                let gateway = answer.internet_gateway().and_then(|gateway| gateway.internet_gateway_id());
                Ok(gateway.unwrap_or_default().to_owned())
            },
            async |attempt: &Attempt| Ok(list_ids(self.find_gateways(attempt.filter()).await?)),
            async |id: &str| self.delete_gateway(id).await.map(drop),
        )
        .await?;
        let see = async || self.find_gateways(role_filter(GATEWAY)).await;
        let kept = self.choose("an internet gateway", &made, see).await?;
        if kept != made {
            self.delete_gateway(&made).await?;
        }
        Ok(kept)
    }

    async fn find_gateways(&self, filter: Filter) -> Result<Vec<Drawn>, Problem> {
        let request = self.ec2.describe_internet_gateways().set_filters(Some(lab_filters(self.tags))).filters(filter);
        let answer = request.send().await.map_err(|error| explain("DescribeInternetGateways", &error))?;
        let drawn = answer.internet_gateways().iter().filter_map(|gateway| {
            Some(Drawn { id: gateway.internet_gateway_id()?.to_owned(), number: find_number(gateway.tags()) })
        });
        Ok(drawn.collect())
    }

    async fn attach_gateway(&self, gateway: String, vpc: &str) -> Result<String, Problem> {
        let request = self.ec2.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(vpc);
        self.call_once_done("AttachInternetGateway", async || request.clone().send().await).await?;
        Ok(gateway)
    }

    /// The token holds the VPC's id, which no two labs share and no later lab gets again.
    async fn create_table(&self, name: &str, vpc: &str) -> Result<String, Problem> {
        for n in 0..3 {
            let made = self.create_table_with(name, vpc, &client_token(&[vpc, PUBLIC_TABLE, name], n)).await?;
            // A token that has been used answers with the first table, also when someone has deleted it since.
            if !self.sees_table(&made).await? {
                continue;
            }
            let see = async || self.find_tables(role_filter(PUBLIC_TABLE), vpc).await;
            let kept = self.choose("a route table", &made, see).await?;
            if kept != made {
                self.delete_table(&made).await?;
            }
            return Ok(kept);
        }
        Err(Problem::failed("CreateRouteTable answers only with route tables that are gone")
            .fix("run the same command again in a minute"))
    }

    async fn create_table_with(&self, name: &str, vpc: &str, token: &str) -> Result<String, Problem> {
        let made = create_with_token(
            "CreateRouteTable",
            token,
            self.context.stop,
            async |attempt: &Attempt| {
                let tags = specify_tags(ResourceType::RouteTable, self.tags, PUBLIC_TABLE, name, Some(attempt));
                let request = self.ec2.create_route_table().vpc_id(vpc).client_token(token).tag_specifications(tags);
                // The VPC may be too new to be seen.
                let answer = retry_while(Pace::MOMENT, self.context.stop, is_gone, async || {
                    request.clone().customize().config_override(without_retries()).send().await
                });
                let answer = answer.await?;
                Ok(answer.route_table().and_then(|table| table.route_table_id()).unwrap_or_default().to_owned())
            },
            async |attempt: &Attempt| Ok(list_ids(self.find_tables(attempt.filter(), vpc).await?)),
        );
        made.await?.map_err(|error| explain("CreateRouteTable", &error))
    }

    async fn find_tables(&self, filter: Filter, vpc: &str) -> Result<Vec<Drawn>, Problem> {
        let of_vpc = Filter::builder().name("vpc-id").values(vpc).build();
        let filters = lab_filters(self.tags).into_iter().chain([filter, of_vpc]).collect();
        let answer = self.ec2.describe_route_tables().set_filters(Some(filters)).send().await;
        let answer = answer.map_err(|error| explain("DescribeRouteTables", &error))?;
        let drawn = answer.route_tables().iter().filter_map(|table| {
            Some(Drawn { id: table.route_table_id()?.to_owned(), number: find_number(table.tags()) })
        });
        Ok(drawn.collect())
    }

    /// Whether a route table exists. A new one may need a moment until it is seen.
    async fn sees_table(&self, id: &str) -> Result<bool, Problem> {
        let stop = self.context.stop;
        let request = self.ec2.describe_route_tables().route_table_ids(id);
        match retry_while(Pace::MOMENT, stop, is_gone, async || request.clone().send().await).await {
            Ok(_) => Ok(true),
            // A wait that was ended says nothing.
            Err(error) if is_gone(&error) => stop.asked().map_or(Ok(false), |exit| Err(Stop::problem(exit))),
            Err(error) => Err(explain("DescribeRouteTables", &error)),
        }
    }

    async fn route(&self, table: String, gateway: &str, replace: bool) -> Result<String, Problem> {
        const EVERYWHERE: &str = "0.0.0.0/0";
        if replace {
            let request =
                self.ec2.replace_route().route_table_id(&table).destination_cidr_block(EVERYWHERE).gateway_id(gateway);
            self.call("ReplaceRoute", async || request.clone().send().await).await?;
        } else {
            let request =
                self.ec2.create_route().route_table_id(&table).destination_cidr_block(EVERYWHERE).gateway_id(gateway);
            self.call_once_done("CreateRoute", async || request.clone().send().await).await?;
        }
        Ok(table)
    }

    /// A subnet has one table: where it uses another one, that is replaced.
    async fn associate(&self, table: &str, subnet: &str, instead: Option<&str>) -> Result<Option<String>, Problem> {
        let mut instead = instead.map(str::to_owned);
        if instead.is_none() {
            let request = self.ec2.associate_route_table().route_table_id(table).subnet_id(subnet);
            let answer = self.call_once_done("AssociateRouteTable", async || request.clone().send().await).await?;
            if let Some(answer) = answer {
                return Ok(answer.association_id);
            }
            // Since we looked, this call or somebody else has associated it, and with whatever table.
            let (with, association) = self.find_association(subnet).await?;
            if with == table {
                return Ok(Some(association));
            }
            instead = Some(association);
        }
        let request = self.ec2.replace_route_table_association().route_table_id(table).set_association_id(instead);
        let answer = self.call("ReplaceRouteTableAssociation", async || request.clone().send().await).await?;
        Ok(answer.new_association_id)
    }

    /// The table that a subnet is associated with, and the association's id.
    async fn find_association(&self, subnet: &str) -> Result<(String, String), Problem> {
        let of_subnet = Filter::builder().name("association.subnet-id").values(subnet).build();
        let request = self.ec2.describe_route_tables().filters(of_subnet);
        let found = find_within(Pace::MOMENT, self.context.stop, async || {
            let answer = request.clone().send().await.map_err(|error| explain("DescribeRouteTables", &error))?;
            Ok(answer.route_tables().iter().find_map(|table| {
                let association = table.associations().iter().find(|one| one.subnet_id() == Some(subnet))?;
                Some((table.route_table_id()?.to_owned(), association.route_table_association_id()?.to_owned()))
            }))
        });
        found.await?.ok_or_else(|| {
            Problem::failed(format!("{subnet} uses another route table, and EC2 does not say which"))
                .fix("run the same command again")
        })
    }

    async fn authorize(&self, group: String, rules: &BTreeSet<Rule<String>>) -> Result<String, Problem> {
        let named = rules.iter().cloned().map(|rule| rule.rename(|role| self.context.ids.find(role)));
        let named: Option<BTreeSet<_>> = named.collect();
        let named = named.ok_or_else(|| Problem::failed("a rule names a group that this lab does not have"))?;
        if self.authorize_at_once(&group, &named).await?.is_none() && named.len() > 1 {
            // One rule that is there already makes EC2 refuse all of them.
            for rule in named {
                self.authorize_at_once(&group, &BTreeSet::from([rule])).await?;
            }
        }
        Ok(group)
    }

    /// `None` when some of the rules are there already.
    async fn authorize_at_once(&self, group: &str, rules: &BTreeSet<Rule<String>>) -> Result<Option<()>, Problem> {
        let permissions = to_permissions(rules);
        let request = self.ec2.authorize_security_group_ingress().group_id(group).set_ip_permissions(Some(permissions));
        let answer =
            self.call_once_done("AuthorizeSecurityGroupIngress", async || request.clone().send().await).await?;
        Ok(answer.map(|_| ()))
    }

    async fn revoke(&self, group: &str, rules: &BTreeSet<Rule<String>>) -> Result<(), Problem> {
        let request =
            self.ec2.revoke_security_group_ingress().group_id(group).set_ip_permissions(Some(to_permissions(rules)));
        self.delete("RevokeSecurityGroupIngress", group, async || request.clone().send().await).await.map(|_| ())
    }

    async fn disassociate(&self, association: &str) -> Result<Option<String>, Problem> {
        let request = self.ec2.disassociate_route_table().association_id(association);
        self.delete("DisassociateRouteTable", association, async || request.clone().send().await).await
    }

    async fn detach_gateway(&self, gateway: &str, vpc: &str) -> Result<Option<String>, Problem> {
        let request = self.ec2.detach_internet_gateway().internet_gateway_id(gateway).vpc_id(vpc);
        self.delete("DetachInternetGateway", gateway, async || request.clone().send().await).await
    }

    async fn delete_vpc(&self, id: &str) -> Result<Option<String>, Problem> {
        let request = self.ec2.delete_vpc().vpc_id(id);
        self.delete("DeleteVpc", id, async || request.clone().send().await).await
    }

    async fn delete_subnet(&self, id: &str) -> Result<Option<String>, Problem> {
        let request = self.ec2.delete_subnet().subnet_id(id);
        self.delete("DeleteSubnet", id, async || request.clone().send().await).await
    }

    async fn delete_gateway(&self, id: &str) -> Result<Option<String>, Problem> {
        let request = self.ec2.delete_internet_gateway().internet_gateway_id(id);
        self.delete("DeleteInternetGateway", id, async || request.clone().send().await).await
    }

    async fn delete_table(&self, id: &str) -> Result<Option<String>, Problem> {
        let request = self.ec2.delete_route_table().route_table_id(id);
        self.delete("DeleteRouteTable", id, async || request.clone().send().await).await
    }

    async fn delete_group(&self, id: &str) -> Result<Option<String>, Problem> {
        let request = self.ec2.delete_security_group().group_id(id);
        self.delete("DeleteSecurityGroup", id, async || request.clone().send().await).await
    }
}

fn list_ids(drawn: Vec<Drawn>) -> Vec<String> {
    drawn.into_iter().map(|one| one.id).collect()
}

fn role_filter(role: &str) -> Filter {
    Filter::builder().name(format!("tag:{}", Tags::ROLE)).values(role).build()
}
