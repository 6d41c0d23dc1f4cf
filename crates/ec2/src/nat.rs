//! The NAT window: while a lab has a NAT gateway, its private subnets reach the internet, and every hour costs.
//!
//! net-up opens and closes it. Everybody who shows the lab's state says that it is open, for nothing is forgotten as
//! easily.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, NatGatewayState};
use lab_common::prices::{NAT_GATEWAY, NAT_PER_GB};
use lab_common::{Tags, explain};
use lab_plan::{Problem, Verb};

use crate::{find_number, find_tag, is_ours, lab_filters, turn_of};

/// A started hour is billed whole: from here on, an open window has cost more than anybody meant to spend at once.
const LONG: Duration = Duration::from_hours(1);

/// A NAT gateway of this lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatGateway {
    /// `nat-…`
    pub id: String,
    /// Its name tag.
    pub name: String,
    /// EC2's state; what has just been asked for is pending.
    pub state: NatGatewayState,
    /// How long ago it was made, where EC2 says when. It costs from then on.
    pub age: Option<Duration>,
    /// The VPC it is in.
    pub vpc: Option<String>,
    /// The subnet it is in.
    pub subnet: Option<String>,
    /// The address it shows to the internet, once it has it.
    pub public_ip: Option<String>,
    /// The allocation of that address (`eipalloc-…`).
    pub allocation: Option<String>,
    /// Its network interface (`eni-…`).
    pub interface: Option<String>,
    /// Why it failed, where it did: EC2's code and message.
    pub failure: Option<String>,
    /// The number that its run has drawn for it.
    pub number: Option<u32>,
}

impl NatGateway {
    /// Whether it works or is about to, and costs.
    pub fn is_open(&self) -> bool {
        matches!(self.state, NatGatewayState::Pending | NatGatewayState::Available)
    }

    /// Whether nothing is left of it but EC2's memory: EC2 lists a deleted gateway for an hour, and removes a failed
    /// one by itself.
    pub fn is_gone(&self) -> bool {
        matches!(self.state, NatGatewayState::Deleted | NatGatewayState::Failed)
    }
}

/// Every NAT gateway of this lab that EC2 lists, in turn ([`crate::take_turn`]), deleted ones of the last hour included.
///
/// # Errors
/// When EC2 does not answer, or not to us.
pub async fn find_nat_gateways(ec2: &Client, tags: &Tags) -> Result<Vec<NatGateway>, Problem> {
    let pages = ec2.describe_nat_gateways().set_filter(Some(lab_filters(tags))).into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(|error| explain("DescribeNatGateways", &error))?;
    let now = SystemTime::now();
    let ours = found.iter().filter(|gateway| is_ours(tags, gateway.tags()));
    let mut gateways: Vec<_> = ours.filter_map(|gateway| read_gateway(gateway, now)).collect();
    gateways.sort_by(|a, b| turn_of(a.number, &a.id).cmp(&turn_of(b.number, &b.id)));
    Ok(gateways)
}

fn read_gateway(gateway: &types::NatGateway, now: SystemTime) -> Option<NatGateway> {
    let own = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let made = gateway.create_time().and_then(|time| SystemTime::try_from(*time).ok());
    let address = gateway.nat_gateway_addresses().first();
    let failure = [gateway.failure_code(), gateway.failure_message()];
    let failure = failure.into_iter().flatten().collect::<Vec<_>>().join(": ");
    Some(NatGateway {
        id: own(gateway.nat_gateway_id())?,
        name: own(find_tag(gateway.tags(), Tags::NAME)).unwrap_or_default(),
        state: gateway.state().cloned().unwrap_or(NatGatewayState::Pending),
        // A clock that is behind AWS's must not make it older.
        age: made.map(|made| now.duration_since(made).unwrap_or_default()),
        vpc: own(gateway.vpc_id()),
        subnet: own(gateway.subnet_id()),
        public_ip: address.and_then(|address| own(address.public_ip())),
        allocation: address.and_then(|address| own(address.allocation_id())),
        interface: address.and_then(|address| own(address.network_interface_id())),
        failure: own(Some(&failure)),
        number: find_number(gateway.tags()),
    })
}

/// What `verb` says about an open window: `status` always, everything else once it has been open for an hour.
/// For [`lab_plan::Concern::notes`].
pub fn note_open_nat(gateways: &[NatGateway], verb: Verb) -> Vec<String> {
    let open = gateways.iter().filter(|gateway| gateway.is_open());
    let told = open.filter(|gateway| verb == Verb::Status || gateway.age.is_some_and(|age| age >= LONG));
    told.map(|gateway| describe_open_nat(gateway.age)).collect()
}

fn describe_open_nat(age: Option<Duration>) -> String {
    let how_long = age.map(|age| format!(" for {}", show_age(age))).unwrap_or_default();
    format!(
        "the NAT window is open{how_long} (${NAT_GATEWAY} an hour and ${NAT_PER_GB} a GB, a started hour is billed whole): \
         net-up nat close"
    )
}

/// How long something has been there, to the minute: `12 min`, `1 h 12 min`, `2 d 3 h`.
pub fn show_age(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    let (days, hours) = (minutes / (24 * 60), minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {} min", minutes % 60),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(state: NatGatewayState, minutes: Option<u64>) -> NatGateway {
        NatGateway {
            id: "nat-1".into(),
            name: "lab-nat-gateway".into(),
            state,
            age: minutes.map(Duration::from_mins),
            vpc: None,
            subnet: None,
            public_ip: None,
            allocation: None,
            interface: None,
            failure: None,
            number: None,
        }
    }

    #[test]
    fn an_open_window_shows_its_age_and_cost_in_every_status() {
        let open = [gateway(NatGatewayState::Available, Some(72))];
        assert_eq!(
            note_open_nat(&open, Verb::Status),
            ["the NAT window is open for 1 h 12 min ($0.045 an hour and $0.045 a GB, a started hour is billed \
              whole): net-up nat close"]
        );
        assert_eq!(note_open_nat(&[gateway(NatGatewayState::Pending, None)], Verb::Status).len(), 1);
    }

    #[test]
    fn up_warns_only_of_a_window_that_is_older_than_an_hour() {
        let notes = |minutes| note_open_nat(&[gateway(NatGatewayState::Available, minutes)], Verb::Up).len();
        assert_eq!([notes(None), notes(Some(0)), notes(Some(59)), notes(Some(60))], [0, 0, 0, 1]);
    }

    #[test]
    fn what_is_on_its_way_out_is_no_open_window() {
        for state in [NatGatewayState::Deleting, NatGatewayState::Deleted, NatGatewayState::Failed] {
            assert_eq!(note_open_nat(&[gateway(state, Some(300))], Verb::Status), Vec::<String>::new());
        }
    }

    #[test]
    fn an_age_reads_like_one() {
        let show = |minutes| show_age(Duration::from_mins(minutes));
        assert_eq!([show(0), show(59), show(60), show(1500)], ["0 min", "59 min", "1 h 0 min", "1 d 1 h"]);
    }

    #[test]
    fn optional_fields_may_be_missing() {
        let bare = types::NatGateway::builder().nat_gateway_id("nat-1").build();
        let read = read_gateway(&bare, SystemTime::now()).unwrap();
        assert!(read.is_open() && read.age.is_none());
    }
}
