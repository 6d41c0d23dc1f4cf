//! What is there: two rounds of reads in AWS, the second of which only looks closer at what the first one found; and
//! what this machine has.

use futures::future::try_join_all;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use lab_common::{Session, Tags, explain};
use lab_ec2::{NatGateway, find_nat_gateways, find_role, find_tag, is_ours, lab_filters};
use lab_logs::{find_group, read_tags};
use lab_plan::Problem;

use crate::certificate::{self, ServerCertificate};
use crate::endpoint::{self, Endpoint};
use crate::local::Local;
use crate::services::Services;

/// Everything this concern looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// When it was looked at.
    pub(crate) now: Timestamp,
    /// Ours by id, those that EC2 lists as deleted too.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Ours in ACM, in turn.
    pub(crate) certificates: Vec<ServerCertificate>,
    /// The log group with our name, whoever made it.
    pub(crate) log_group: Option<LogGroup>,
    /// net-up's subnets.
    pub(crate) subnets: Vec<Subnet>,
    /// net-up's security groups for the VPN.
    pub(crate) groups: Vec<Group>,
    /// The blocks of net-up's VPCs.
    pub(crate) vpc_blocks: Vec<Ipv4Net>,
    /// net-up's NAT gateways, which cost as long as they are open.
    pub(crate) nat_gateways: Vec<NatGateway>,
    /// What this machine has; `None` when it was not looked at, or could not be.
    pub(crate) local: Option<Local>,
    /// Why it could not be, where that is no reason to stop.
    pub(crate) unread: Option<String>,
}

/// A subnet of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) vpc: String,
    /// `us-east-1a`; `None` where EC2 does not tell.
    pub(crate) zone: Option<String>,
    /// Addresses that nothing uses.
    pub(crate) free: Option<i32>,
}

/// The security group of the VPN's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) vpc: String,
}

/// The log group of the connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogGroup {
    pub(crate) arn: String,
    /// Whether it bears our tags.
    pub(crate) ours: bool,
    pub(crate) retention: Option<i32>,
}

impl Live {
    /// The endpoint that counts. Of several, every run chooses alike: the one that something is associated with, else
    /// the one with the smallest id.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        endpoint::choose_endpoint(&self.endpoints)
    }

    /// The certificate that counts: the endpoint's, else the first one in turn.
    pub(crate) fn certificate(&self) -> Option<&ServerCertificate> {
        let used = self.endpoint().and_then(|endpoint| endpoint.server.as_ref());
        let used = self.certificates.iter().find(|certificate| Some(&certificate.arn) == used);
        used.or_else(|| self.certificates.first())
    }

    /// The subnet's name, or its id where net-up has no such subnet any more.
    pub(crate) fn name_subnet(&self, id: &str) -> String {
        self.subnets.iter().find(|subnet| subnet.id == id).map_or(id, |subnet| &subnet.name).to_owned()
    }
}

/// Reads what is in AWS. `server` is the name of the server's certificate.
pub(crate) async fn observe(session: &Session, services: &Services, server: &str) -> Result<Live, Problem> {
    let Services { acm, ec2, logs } = services;
    let Session { tags, names, .. } = session;
    let log_group = names.vpn_log_group();
    let (endpoints, candidates, subnets, groups, vpc_blocks, nat_gateways, log_group) = tokio::try_join!(
        endpoint::find_endpoints(ec2, tags),
        certificate::list_candidates(acm, server),
        find_subnets(ec2, tags),
        find_groups(ec2, tags),
        find_vpc_blocks(ec2, tags),
        find_nat_gateways(ec2, tags),
        find_group(logs, &log_group),
    )?;
    let (gone, there): (Vec<_>, Vec<_>) = endpoints.into_iter().partition(Endpoint::is_deleted);
    let (mut endpoints, certificates, log_group) = tokio::try_join!(
        try_join_all(there.into_iter().map(async |endpoint| endpoint::look_closer(ec2, endpoint).await)),
        certificate::look_closer(acm, tags, candidates),
        read_tags(logs, log_group),
    )?;
    endpoints.extend(gone);
    endpoints.sort_by(|a, b| a.id.cmp(&b.id));
    let now = Timestamp::now();
    Ok(Live {
        now,
        endpoints,
        certificates,
        log_group: log_group.map(|group| LogGroup {
            ours: tags.match_all(group.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
            arn: group.arn,
            retention: group.retention,
        }),
        subnets,
        groups,
        vpc_blocks,
        nat_gateways,
        local: None,
        unread: None,
    })
}

async fn find_subnets(ec2: &aws_sdk_ec2::Client, tags: &Tags) -> Result<Vec<Subnet>, Problem> {
    let pages = ec2.describe_subnets().set_filters(Some(lab_filters(tags))).into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("DescribeSubnets", &error))?;
    let ours = found.iter().filter(|subnet| is_ours(tags, subnet.tags()));
    let read = ours.filter_map(|subnet| {
        Some(Subnet {
            id: subnet.subnet_id()?.to_owned(),
            role: find_role(subnet.tags())?.to_owned(),
            name: find_tag(subnet.tags(), Tags::NAME).unwrap_or_default().to_owned(),
            vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
            zone: subnet.availability_zone().map(str::to_owned),
            free: subnet.available_ip_address_count(),
        })
    });
    Ok(read.collect())
}

async fn find_groups(ec2: &aws_sdk_ec2::Client, tags: &Tags) -> Result<Vec<Group>, Problem> {
    let request = ec2.describe_security_groups().set_filters(Some(lab_filters(tags)));
    let found = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(|error| explain("DescribeSecurityGroups", &error))?;
    let role = crate::roles::security_group("vpn");
    let ours =
        found.iter().filter(|group| is_ours(tags, group.tags()) && find_role(group.tags()) == Some(role.as_str()));
    let read = ours.filter_map(|group| {
        Some(Group { id: group.group_id()?.to_owned(), vpc: group.vpc_id().unwrap_or_default().to_owned() })
    });
    Ok(read.collect())
}

async fn find_vpc_blocks(ec2: &aws_sdk_ec2::Client, tags: &Tags) -> Result<Vec<Ipv4Net>, Problem> {
    let pages = ec2.describe_vpcs().set_filters(Some(lab_filters(tags))).into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| explain("DescribeVpcs", &error))?;
    let ours = found.iter().filter(|vpc| is_ours(tags, vpc.tags()));
    let blocks = ours.flat_map(|vpc| {
        let more = vpc.cidr_block_association_set().iter().filter_map(|association| association.cidr_block());
        vpc.cidr_block().into_iter().chain(more)
    });
    Ok(blocks.filter_map(|block| block.parse().ok()).collect())
}
