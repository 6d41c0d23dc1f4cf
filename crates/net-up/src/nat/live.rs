//! What is there of the window, and of the network it stands in: one round of reads.

use aws_sdk_ec2::Client;
use lab_common::{Tags, explain};
use lab_ec2::{Attempt, NatGateway, find_nat_gateways, find_number, find_tag, is_ours, lab_filters, turn_of};
use lab_plan::Problem;

use crate::live::{Reader, Subnet, Table, Vpc};
use crate::want::MAIN_TABLE;

/// The window and its surroundings. Of several of a kind the first one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NatLive {
    pub(crate) vpcs: Vec<Vpc>,
    pub(crate) subnets: Vec<Subnet>,
    /// Tables with our tags.
    pub(crate) tables: Vec<Table>,
    /// Deleted ones that EC2 still lists included.
    pub(crate) gateways: Vec<NatGateway>,
    pub(crate) addresses: Vec<Address>,
}

/// An Elastic IP address of this lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// `eipalloc-…`
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) public_ip: String,
    /// Something has it: a gateway, or whatever somebody gave it to.
    pub(crate) in_use: bool,
    /// The number that its run has drawn for it.
    pub(crate) number: Option<u32>,
}

impl NatLive {
    pub(crate) fn subnet(&self, role: &str) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.role == role)
    }

    /// The VPC's own table, once net-up has tagged it.
    pub(crate) fn main_table(&self) -> Option<&Table> {
        let vpc = self.vpcs.first()?;
        self.tables.iter().find(|table| table.role.as_deref() == Some(MAIN_TABLE) && table.vpc == vpc.id)
    }

    /// The gateway that counts.
    pub(crate) fn gateway(&self) -> Option<&NatGateway> {
        self.gateways.iter().find(|gateway| gateway.is_open())
    }

    /// The address that counts: the one of the gateway that counts, else the first one in turn.
    pub(crate) fn address(&self) -> Option<&Address> {
        let taken = self.gateway().and_then(|gateway| gateway.allocation.as_ref());
        self.addresses.iter().find(|address| Some(&address.id) == taken).or_else(|| self.addresses.first())
    }

    /// Whether a table's 0.0.0.0/0 leads to a gateway of ours, or to a NAT gateway that is no more. The table is ours,
    /// so such a route is too.
    pub(crate) fn leads_through_us(&self, table: &Table) -> bool {
        let Some(target) = table.default_route.as_deref() else { return false };
        self.gateways.iter().any(|gateway| gateway.id == target) || (table.blackhole && target.starts_with("nat-"))
    }
}

pub(crate) async fn observe(ec2: &Client, tags: &Tags) -> Result<NatLive, Problem> {
    let reader = Reader { ec2, tags };
    let (vpcs, subnets, tables, gateways, addresses) = tokio::try_join!(
        reader.vpcs(),
        reader.subnets(),
        reader.tables(),
        find_nat_gateways(ec2, tags),
        find_addresses(ec2, tags, None),
    )?;
    let tables = tables.into_iter().filter(|table| table.role.is_some()).collect();
    Ok(NatLive { vpcs, subnets, tables, gateways, addresses })
}

/// This lab's addresses, in turn; only those with the tag of one attempt where `attempt` names it.
pub(crate) async fn find_addresses(
    ec2: &Client,
    tags: &Tags,
    attempt: Option<&Attempt>,
) -> Result<Vec<Address>, Problem> {
    let filters = lab_filters(tags).into_iter().chain(attempt.map(Attempt::filter)).collect();
    let answer = ec2.describe_addresses().set_filters(Some(filters)).send().await;
    let answer = answer.map_err(|error| explain("DescribeAddresses", &error))?;
    let attempt = attempt.map(ToString::to_string);
    let ours = answer.addresses().iter().filter(|address| {
        let same = attempt.as_deref().is_none_or(|value| find_tag(address.tags(), Tags::ATTEMPT) == Some(value));
        same && is_ours(tags, address.tags())
    });
    let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut addresses: Vec<_> = ours
        .filter_map(|address| {
            Some(Address {
                id: address.allocation_id()?.to_owned(),
                name: own(find_tag(address.tags(), Tags::NAME)),
                public_ip: own(address.public_ip()),
                in_use: address.association_id().is_some_and(|id| !id.is_empty()),
                number: find_number(address.tags()),
            })
        })
        .collect();
    addresses.sort_by(|a, b| turn_of(a.number, &a.id).cmp(&turn_of(b.number, &b.id)));
    Ok(addresses)
}
