//! Refusals of AWS that moto does not know: what is in use cannot be deleted. Each asks moto first.

use std::sync::Arc;

use crate::call::Call;
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, lock};
use crate::xml::Element;

/// Why a call must be refused, if it must.
pub(crate) async fn refuse_in_use(sim: &Arc<Sim>, call: &Call) -> Option<ServiceError> {
    let question = Question { sim, region: &call.class.region };
    match call.class.action.as_str() {
        "DeleteSubnet" => question.refuse_subnet(call.param("SubnetId")?).await,
        "DeleteVpc" => question.refuse_vpc(call.param("VpcId")?).await,
        "DeleteSecurityGroup" => question.refuse_group(call.param("GroupId")?).await,
        "DetachInternetGateway" => question.refuse_detach(call.param("VpcId")?).await,
        "ReleaseAddress" => question.refuse_release(call.param("AllocationId")?).await,
        "DeleteNetworkInterface" => question.refuse_interface(call.param("NetworkInterfaceId")?).await,
        "RunInstances" => question.refuse_profile(call).await,
        _ => None,
    }
}

fn dependency_violation(message: String) -> ServiceError {
    ServiceError::new(400, "DependencyViolation", message)
}

/// Asks moto about one Region.
struct Question<'a> {
    sim: &'a Arc<Sim>,
    region: &'a str,
}

impl Question<'_> {
    async fn list(&self, action: &str, set: &str, filters: &[(&str, &str)]) -> Vec<Element> {
        let names: Vec<(String, String)> =
            (1..=filters.len()).map(|n| (format!("Filter.{n}.Name"), format!("Filter.{n}.Value.1"))).collect();
        let parameters: Vec<(&str, &str)> = filters
            .iter()
            .zip(&names)
            .flat_map(|((name, value), (name_key, value_key))| {
                [(name_key.as_str(), *name), (value_key.as_str(), *value)]
            })
            .collect();
        let root = self.sim.moto.ec2(self.region, action, &parameters).await.unwrap_or_default();
        root.items(set).into_iter().cloned().collect()
    }

    /// The instances that a filter finds and that have not ended yet, as AWS would show them.
    async fn instances(&self, filter: (&str, &str)) -> Vec<Element> {
        let reservations = self.list("DescribeInstances", "reservationSet", &[filter]).await;
        let instances = reservations.iter().flat_map(|reservation| reservation.items("instancesSet"));
        instances.filter(|instance| self.is_there(instance)).cloned().collect()
    }

    fn is_there(&self, instance: &Element) -> bool {
        let moto = instance.descend(&["instanceState", "name"]).map(Element::text).unwrap_or_default();
        let id = instance.child_text("instanceId").unwrap_or_default();
        let passing = lock(&self.sim.ec2.instances).get(&id).and_then(|record| record.shown_state(&self.sim.times));
        moto != "terminated" || passing.is_some()
    }

    async fn has_nat_gateway(&self, filter: (&str, &str)) -> bool {
        let root = self
            .sim
            .moto
            .ec2(self.region, "DescribeNatGateways", &[("Filter.1.Name", filter.0), ("Filter.1.Value.1", filter.1)])
            .await;
        let Some(mut root) = root else { return false };
        super::nat::show_states(self.sim, &mut root);
        root.items("natGatewaySet").into_iter().any(super::nat::holds_parts)
    }

    async fn refuse_subnet(&self, id: &str) -> Option<ServiceError> {
        let in_use = !self.instances(("subnet-id", id)).await.is_empty()
            || !self.list("DescribeNetworkInterfaces", "networkInterfaceSet", &[("subnet-id", id)]).await.is_empty()
            || self.has_nat_gateway(("subnet-id", id)).await;
        in_use.then(|| dependency_violation(format!("The subnet '{id}' has dependencies and cannot be deleted.")))
    }

    async fn refuse_vpc(&self, id: &str) -> Option<ServiceError> {
        let groups = self.list("DescribeSecurityGroups", "securityGroupInfo", &[("vpc-id", id)]).await;
        let in_use = groups.iter().any(|group| group.child_text("groupName").as_deref() != Some("default"))
            || !self
                .list("DescribeInternetGateways", "internetGatewaySet", &[("attachment.vpc-id", id)])
                .await
                .is_empty()
            || !self.list("DescribeSubnets", "subnetSet", &[("vpc-id", id)]).await.is_empty()
            || !self.instances(("vpc-id", id)).await.is_empty()
            || self.has_nat_gateway(("vpc-id", id)).await;
        in_use.then(|| dependency_violation(format!("The vpc '{id}' has dependencies and cannot be deleted.")))
    }

    async fn refuse_group(&self, id: &str) -> Option<ServiceError> {
        let groups = self.list("DescribeSecurityGroups", "securityGroupInfo", &[]).await;
        let group = groups.iter().find(|group| group.child_text("groupId").as_deref() == Some(id))?;
        if group.child_text("groupName").as_deref() == Some("default") {
            let message = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
            return Some(ServiceError::new(400, "CannotDelete", message));
        }
        let referenced = groups
            .iter()
            .filter(|other| other.child_text("groupId").as_deref() != Some(id))
            .any(|other| refers_to(other, id));
        let in_use = referenced
            || !self.list("DescribeNetworkInterfaces", "networkInterfaceSet", &[("group-id", id)]).await.is_empty()
            || !self.instances(("instance.group-id", id)).await.is_empty();
        in_use.then(|| dependency_violation(format!("resource {id} has a dependent object")))
    }

    async fn refuse_detach(&self, vpc: &str) -> Option<ServiceError> {
        let instances = self.instances(("vpc-id", vpc)).await;
        let nics = self.list("DescribeNetworkInterfaces", "networkInterfaceSet", &[("vpc-id", vpc)]).await;
        // An ending instance keeps its address until it has ended; moto takes it at once.
        let ending = |instance: &Element| {
            let id = instance.child_text("instanceId").unwrap_or_default();
            self.sim.ec2.has_ended(&id)
        };
        let mapped = instances.iter().any(|instance| has_text(instance, "ipAddress") || ending(instance))
            || nics.iter().any(|nic| {
                let association = nic.child("association");
                association.is_some_and(|association| has_text(association, "publicIp")) || is_client_vpn(nic)
            })
            || self.has_nat_gateway(("vpc-id", vpc)).await;
        mapped.then(|| {
            dependency_violation(format!(
                "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the \
                 gateway."
            ))
        })
    }

    /// An interface that a Client VPN endpoint holds.
    async fn refuse_interface(&self, id: &str) -> Option<ServiceError> {
        let filter = [("network-interface-id", id)];
        let found = self.list("DescribeNetworkInterfaces", "networkInterfaceSet", &filter).await;
        found.iter().any(is_client_vpn).then(|| {
            let message = format!("Network interface '{id}' is currently in use.");
            ServiceError::new(400, "InvalidParameterValue", message)
        })
    }

    async fn refuse_release(&self, allocation: &str) -> Option<ServiceError> {
        let root = self.sim.moto.ec2(self.region, "DescribeNatGateways", &[]).await;
        let mut gateways = root.unwrap_or_default();
        super::nat::show_states(self.sim, &mut gateways);
        let holder = gateways.items("natGatewaySet").into_iter().find(|gateway| {
            super::nat::holds_parts(gateway)
                && gateway
                    .items("natGatewayAddressSet")
                    .iter()
                    .any(|address| address.child_text("allocationId").as_deref() == Some(allocation))
        });
        if holder.is_some() {
            let message = "You do not have permission to access the specified resource.";
            return Some(ServiceError::new(400, "AuthFailure", message));
        }
        let addresses = self.list("DescribeAddresses", "addressesSet", &[("allocation-id", allocation)]).await;
        let in_use = addresses.iter().any(|address| has_text(address, "associationId"));
        in_use.then(|| ServiceError::new(400, "InvalidIPAddress.InUse", format!("Address {allocation} is in use.")))
    }

    /// A profile that does not exist, or that EC2 does not know yet.
    async fn refuse_profile(&self, call: &Call) -> Option<ServiceError> {
        let (field, profile) = match (call.param("IamInstanceProfile.Name"), call.param("IamInstanceProfile.Arn")) {
            (Some(name), _) => ("name", name),
            (None, Some(arn)) => ("arn", arn),
            (None, None) => return None,
        };
        let name = crate::iam::last_part(profile);
        let parameters = [("InstanceProfileName", name)];
        let known = self.sim.moto.query("iam", self.region, "2010-05-08", "GetInstanceProfile", &parameters).await;
        let visible = known.status().is_success()
            && !self.sim.late.is_hidden(&crate::iam::profile_name(profile), self.sim.times.now());
        (!visible).then(|| {
            let what = if field == "name" { "Name" } else { "ARN" };
            ServiceError::new(
                400,
                "InvalidParameterValue",
                format!("Value ({profile}) for parameter iamInstanceProfile.{field} is invalid. Invalid IAM Instance Profile {what}"),
            )
        })
    }
}

/// Whether an interface is one that stands for a Client VPN endpoint in its subnet. AWS gives it a public address.
fn is_client_vpn(interface: &Element) -> bool {
    interface.child_text("description").as_deref() == Some(super::client_vpn::INTERFACE_DESCRIPTION)
}

fn has_text(element: &Element, name: &str) -> bool {
    element.child_text(name).is_some_and(|text| !text.is_empty())
}

/// Whether a rule of `group` names the group `id` as a source or a destination.
fn refers_to(group: &Element, id: &str) -> bool {
    ["ipPermissions", "ipPermissionsEgress"]
        .iter()
        .flat_map(|list| group.items(list))
        .flat_map(|permission| permission.items("groups"))
        .any(|source| source.child_text("groupId").as_deref() == Some(id))
}
