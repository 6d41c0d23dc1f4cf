//! Questions to moto about the VPC, its subnets and its groups.

use super::records::{Interface, Subnet};
use super::request::{Request, invalid};
use crate::faults::answers::ServiceError;
use crate::xml::Element;
use ipnet::Ipv4Net;

/// What AWS calls the network interfaces that it puts into associated subnets.
pub(crate) const INTERFACE_DESCRIPTION: &str = "ClientVPN Endpoint resource";

/// An endpoint has at most five groups.
const MAX_GROUPS: usize = 5;

async fn list(request: &Request<'_>, action: &str, set: &str, parameters: &[(&str, &str)]) -> Vec<Element> {
    let root = request.sim.moto.ec2(request.region(), action, parameters).await.unwrap_or_default();
    root.items(set).into_iter().cloned().collect()
}

/// A VPC's block.
pub(crate) async fn find_vpc(request: &Request<'_>, id: &str) -> Result<Ipv4Net, ServiceError> {
    let found = list(request, "DescribeVpcs", "vpcSet", &[("VpcId.1", id)]).await;
    found
        .first()
        .and_then(|vpc| vpc.child_text("cidrBlock"))
        .and_then(|cidr| cidr.parse().ok())
        .ok_or_else(|| ServiceError::new(400, "InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist")))
}

/// A subnet by its id.
pub(crate) async fn find_subnet(request: &Request<'_>, id: &str) -> Result<Subnet, ServiceError> {
    let found = list(request, "DescribeSubnets", "subnetSet", &[("SubnetId.1", id)]).await;
    found.first().and_then(read_subnet).ok_or_else(|| {
        ServiceError::new(400, "InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
    })
}

fn read_subnet(item: &Element) -> Option<Subnet> {
    Some(Subnet {
        id: item.child_text("subnetId")?,
        vpc: item.child_text("vpcId")?,
        zone: item.child_text("availabilityZone")?,
        cidr: item.child_text("cidrBlock")?.parse().ok()?,
        free_addresses: item.child_text("availableIpAddressCount")?.parse().ok()?,
    })
}

/// The group that every VPC has.
pub(crate) async fn find_default_group(request: &Request<'_>, vpc: &str) -> Option<String> {
    let parameters = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", vpc),
        ("Filter.2.Name", "group-name"),
        ("Filter.2.Value.1", "default"),
    ];
    let found = list(request, "DescribeSecurityGroups", "securityGroupInfo", &parameters).await;
    found.first().and_then(|group| group.child_text("groupId"))
}

/// The groups, when all of them are in the VPC.
pub(crate) async fn check_groups(
    request: &Request<'_>,
    vpc: &str,
    groups: &[&str],
) -> Result<Vec<String>, ServiceError> {
    if groups.len() > MAX_GROUPS {
        return Err(invalid(format!("A Client VPN endpoint can have up to {MAX_GROUPS} security groups.")));
    }
    let parameters = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc)];
    let there = list(request, "DescribeSecurityGroups", "securityGroupInfo", &parameters).await;
    for group in groups {
        if !there.iter().any(|one| one.child_text("groupId").as_deref() == Some(group)) {
            let message = format!("The security group '{group}' does not exist in VPC '{vpc}'");
            return Err(ServiceError::new(400, "InvalidGroup.NotFound", message));
        }
    }
    Ok(groups.iter().map(|group| (*group).to_owned()).collect())
}

/// Puts a network interface into the subnet, as AWS does: subnet and groups are in use from now on.
pub(crate) async fn create_interface(request: &Request<'_>, subnet: &Subnet, groups: &[String]) -> Option<Interface> {
    let names: Vec<String> = (1..=groups.len()).map(|n| format!("SecurityGroupId.{n}")).collect();
    let mut parameters = vec![("SubnetId", subnet.id.as_str()), ("Description", INTERFACE_DESCRIPTION)];
    parameters.extend(names.iter().map(String::as_str).zip(groups.iter().map(String::as_str)));
    let root = request.sim.moto.ec2(request.region(), "CreateNetworkInterface", &parameters).await?;
    let nic = root.child("networkInterface")?;
    Some(Interface {
        id: nic.child_text("networkInterfaceId")?,
        address: nic.child_text("privateIpAddress").and_then(|address| address.parse().ok()),
    })
}
