//! Late visibility of EC2 resources: lists leave a new one out, and calls that name it answer that it does not exist.

use std::time::Instant;

use crate::call::Call;
use crate::faults::answers::ServiceError;
use crate::late::LateBook;
use crate::xml::Element;

/// For each creating action, where its answer names what is new.
const CREATED: &[(&str, &[&str])] = &[
    ("CreateVpc", &["vpc", "vpcId"]),
    ("CreateSubnet", &["subnet", "subnetId"]),
    ("CreateInternetGateway", &["internetGateway", "internetGatewayId"]),
    ("CreateRouteTable", &["routeTable", "routeTableId"]),
    ("CreateSecurityGroup", &["groupId"]),
    ("AllocateAddress", &["allocationId"]),
    ("CreateNatGateway", &["natGateway", "natGatewayId"]),
    ("CreateClientVpnEndpoint", &["clientVpnEndpointId"]),
    ("AssociateClientVpnTargetNetwork", &["associationId"]),
    ("CreateNetworkInterface", &["networkInterface", "networkInterfaceId"]),
    ("CreateVolume", &["volumeId"]),
    ("ImportKeyPair", &["keyPairId"]),
    ("CreateKeyPair", &["keyPairId"]),
];

/// For each kind of id, by its prefix, the code and the words for one that does not exist.
const NOT_FOUND: &[(&str, &str, &str)] = &[
    ("vpc-", "InvalidVpcID.NotFound", "The vpc ID"),
    ("subnet-", "InvalidSubnetID.NotFound", "The subnet ID"),
    ("igw-", "InvalidInternetGatewayID.NotFound", "The internetGateway ID"),
    ("rtb-", "InvalidRouteTableID.NotFound", "The routeTable ID"),
    ("sg-", "InvalidGroup.NotFound", "The security group"),
    ("i-", "InvalidInstanceID.NotFound", "The instance ID"),
    ("eipalloc-", "InvalidAllocationID.NotFound", "The allocation ID"),
    ("nat-", "NatGatewayNotFound", "The Nat Gateway"),
    ("cvpn-endpoint-", "InvalidClientVpnEndpointId.NotFound", "The Client VPN endpoint ID"),
    ("cvpn-assoc-", "InvalidClientVpnAssociationIdNotFound", "The association ID"),
    ("eni-", "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID"),
    ("vol-", "InvalidVolume.NotFound", "The volume"),
    ("key-", "InvalidKeyPair.NotFound", "The key pair"),
];

/// The ids in the answer to a creating action that are new with it.
pub(crate) fn created_ids(action: &str, root: &Element) -> Vec<String> {
    if action == "RunInstances" {
        return root.items("instancesSet").iter().filter_map(|instance| instance.child_text("instanceId")).collect();
    }
    let path = CREATED.iter().find(|(name, _)| *name == action).map(|(_, path)| *path);
    path.and_then(|path| root.descend(path)).map(Element::text).into_iter().collect()
}

/// The error for a call that names something which is not visible yet. Filters find nothing, but are no error.
pub(crate) fn refuse_hidden(late: &LateBook, call: &Call, now: Instant) -> Option<ServiceError> {
    let hidden = call
        .form
        .0
        .iter()
        .filter(|(name, _)| !name.starts_with("Filter."))
        .find(|(_, value)| late.is_hidden(value, now))
        .map(|(_, value)| value)?;
    let (_, code, words) = NOT_FOUND.iter().find(|(prefix, _, _)| hidden.starts_with(prefix))?;
    Some(ServiceError::new(400, code, format!("{words} '{hidden}' does not exist")))
}

/// Takes hidden items, and what belongs to them, out of the lists of an answer.
pub(crate) fn remove_hidden(late: &LateBook, root: &mut Element, now: Instant) {
    root.visit_mut(&mut |list| {
        list.retain(|item| item.name != "item" || !names_hidden(late, item, now));
    });
    // An instance stands inside a reservation: one without instances is not shown either.
    if let Some(reservations) = root.child_mut("reservationSet") {
        reservations.retain(|reservation| !reservation.items("instancesSet").is_empty());
    }
}

fn names_hidden(late: &LateBook, item: &Element, now: Instant) -> bool {
    item.elements().any(|element| element.name.ends_with("Id") && late.is_hidden(&element.text(), now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_new_id_of_an_answer_counts() {
        let root = Element::parse(b"<R><subnet><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId></subnet></R>");
        assert_eq!(created_ids("CreateSubnet", &root.expect("XML")), ["subnet-1"]);
    }

    #[test]
    fn hidden_items_and_what_is_in_them_are_left_out() {
        let late = LateBook::default();
        let now = Instant::now();
        late.hide("vpc-1", 60_000, now);
        let source =
            b"<R><set><item><vpcId>vpc-1</vpcId></item><item><groupId>sg-1</groupId><vpcId>vpc-1</vpcId></item>\
                       <item><vpcId>vpc-2</vpcId></item></set></R>";
        let mut root = Element::parse(source).expect("XML");
        remove_hidden(&late, &mut root, now);
        let shown: Vec<_> = root.items("set").iter().filter_map(|item| item.child_text("vpcId")).collect();
        assert_eq!(shown, ["vpc-2"]);
        assert!(late.hides_anything(now));
        assert!(!late.hides_anything(now + Duration::from_mins(2)), "not for ever");
    }
}
