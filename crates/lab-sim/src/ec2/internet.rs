//! How long instances could reach the internet: a host without a public address installs nothing unless its subnet's
//! routes lead to a NAT gateway that is available, and its console says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::instances::InstanceRecord;
use crate::call::Call;
use crate::sim::{Sim, lock};
use crate::xml::Element;

/// Calls that may open or close a way to the internet.
const TURNING_POINTS: &[&str] = &[
    "RunInstances",
    "CreateNatGateway",
    "DeleteNatGateway",
    "CreateRoute",
    "ReplaceRoute",
    "DeleteRoute",
    "AssociateRouteTable",
    "DisassociateRouteTable",
    "ReplaceRouteTableAssociation",
    "AssociateAddress",
    "DisassociateAddress",
];

pub(crate) fn is_turning_point(action: &str) -> bool {
    TURNING_POINTS.contains(&action)
}

/// The times during which an instance was online.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OnlineTime {
    before: Duration,
    since: Option<Instant>,
}

impl OnlineTime {
    /// Online from `from` on, which may still come; an earlier beginning stays.
    fn begin(&mut self, from: Instant) {
        self.since.get_or_insert(from);
    }

    fn end(&mut self, now: Instant) {
        self.before = self.total(now);
        self.since = None;
    }

    /// How long until `now`, all times together.
    pub(crate) fn total(self, now: Instant) -> Duration {
        self.before + self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }
}

/// What leads an instance to the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Itself,
    NatGateway(String),
}

/// Takes note of who can reach the internet after a successful call.
pub(crate) async fn record_change(sim: &Arc<Sim>, call: &Call) {
    if !is_turning_point(&call.class.action) || !lock(&sim.ec2.instances).values().any(InstanceRecord::waits) {
        return;
    }
    let region = &call.class.region;
    let reservations = sim.moto.ec2(region, "DescribeInstances", &[]).await.unwrap_or_default();
    let tables = sim.moto.ec2(region, "DescribeRouteTables", &[]).await.unwrap_or_default();
    let ways = find_ways(&reservations, &tables.items("routeTableSet"));
    let now = sim.times.now();
    let gateways = lock(&sim.ec2.nats).clone();
    let mut instances = lock(&sim.ec2.instances);
    for (id, way) in ways {
        let Some(record) = instances.get_mut(&id) else { continue };
        let from = match way {
            // An address that came with the launch was there from the launch on.
            Some(Way::Itself) if call.class.action == "RunInstances" => Some(record.launched()),
            Some(Way::Itself) => Some(now),
            Some(Way::NatGateway(gateway)) => {
                gateways.get(&gateway).and_then(|gateway| gateway.available_from(&sim.times)).map(|from| from.max(now))
            }
            None => None,
        };
        match from {
            Some(from) => record.online.begin(from),
            None => record.online.end(now),
        }
    }
}

/// The way of each instance that runs.
fn find_ways(reservations: &Element, tables: &[&Element]) -> HashMap<String, Option<Way>> {
    let instances = reservations.items("reservationSet").into_iter().flat_map(|one| one.items("instancesSet"));
    instances
        .filter_map(|instance| {
            let id = instance.child_text("instanceId")?;
            if instance.child_text("ipAddress").is_some_and(|address| !address.is_empty()) {
                return Some((id, Some(Way::Itself)));
            }
            let gateway = find_nat_gateway(tables, &instance.child_text("subnetId")?, &instance.child_text("vpcId")?);
            Some((id, gateway.map(Way::NatGateway)))
        })
        .collect()
}

/// The NAT gateway to which a subnet's table sends everything: its own table, or else the VPC's main one.
fn find_nat_gateway(tables: &[&Element], subnet: &str, vpc: &str) -> Option<String> {
    let associated = |table: &&&Element, field: &str, value: &str| {
        table.items("associationSet").iter().any(|one| one.child_text(field).as_deref() == Some(value))
    };
    let own = tables.iter().find(|table| associated(table, "subnetId", subnet));
    let main = || {
        tables
            .iter()
            .find(|table| table.child_text("vpcId").as_deref() == Some(vpc) && associated(table, "main", "true"))
    };
    let routes = own.or_else(main)?.items("routeSet");
    let default =
        routes.iter().find(|route| route.child_text("destinationCidrBlock").as_deref() == Some("0.0.0.0/0"))?;
    default.child_text("natGatewayId").filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_online_add_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut online = OnlineTime::default();
        online.begin(at(10));
        online.begin(at(12));
        assert_eq!(online.total(at(5)), Duration::ZERO, "the gateway is not available yet");
        online.end(at(15));
        online.end(at(20));
        assert_eq!(online.total(at(30)), Duration::from_secs(5));
        online.begin(at(30));
        assert_eq!(online.total(at(33)), Duration::from_secs(8));
    }

    #[test]
    fn a_subnet_without_a_table_of_its_own_uses_the_main_one() {
        let tables = Element::parse(
            b"<R><set>\
              <item><vpcId>vpc-1</vpcId><associationSet><item><main>true</main></item></associationSet><routeSet>\
              <item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId></item>\
              <item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><natGatewayId>nat-1</natGatewayId></item>\
              </routeSet></item>\
              <item><vpcId>vpc-1</vpcId><associationSet><item><main>false</main><subnetId>subnet-1</subnetId></item>\
              </associationSet><routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>\
              <gatewayId>igw-1</gatewayId></item></routeSet></item></set></R>",
        )
        .expect("XML");
        let tables = tables.items("set");
        assert_eq!(find_nat_gateway(&tables, "subnet-2", "vpc-1").as_deref(), Some("nat-1"));
        assert_eq!(
            find_nat_gateway(&tables, "subnet-1", "vpc-1"),
            None,
            "its table leads to a gateway that it cannot use"
        );
        assert_eq!(find_nat_gateway(&tables, "subnet-3", "vpc-2"), None);
    }
}
