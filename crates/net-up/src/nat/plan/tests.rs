//! Opening and closing against a model of EC2 that refuses what EC2 refuses, from whatever was there before.

use std::time::Duration;

use aws_sdk_ec2::types::NatGatewayState;
use lab_plan::{Schedule, State};
use proptest::prelude::*;

use super::*;
use crate::live::{Subnet, Vpc};

fn want() -> NatWant {
    NatWant {
        gateway: "lab-nat-gateway".into(),
        address: "lab-nat-eip".into(),
        table: "lab-main".into(),
        subnet: Some(("subnet public".into(), "lab-public-subnet".into())),
    }
}

fn gateway(id: &str, state: NatGatewayState, allocation: Option<&str>) -> NatGateway {
    NatGateway {
        id: id.into(),
        name: "lab-nat-gateway".into(),
        state,
        age: Some(Duration::from_mins(5)),
        vpc: Some("vpc-1".into()),
        subnet: Some("subnet-1".into()),
        public_ip: None,
        allocation: allocation.map(str::to_owned),
        interface: None,
        failure: None,
        number: None,
    }
}

fn address(id: &str) -> Address {
    Address { id: id.into(), name: "lab-nat-eip".into(), public_ip: "203.0.113.9".into(), in_use: false, number: None }
}

/// The network as net-up leaves it, and no window.
fn closed() -> NatLive {
    let vpc = Vpc {
        id: "vpc-1".into(),
        name: "lab-vpc".into(),
        cidr: "10.0.0.0/16".into(),
        state: "available".into(),
        dns_hostnames: None,
    };
    let subnet = Subnet {
        id: "subnet-1".into(),
        role: "subnet public".into(),
        name: "lab-public-subnet".into(),
        vpc: "vpc-1".into(),
        cidr: "10.0.1.0/24".into(),
        zone: "us-east-1a".into(),
        state: "available".into(),
        public: true,
    };
    let table = Table {
        id: "rtb-1".into(),
        role: Some(MAIN_TABLE.into()),
        name: "lab-main".into(),
        vpc: "vpc-1".into(),
        associations: Vec::new(),
        default_route: None,
        blackhole: false,
        main: true,
    };
    NatLive { vpcs: vec![vpc], subnets: vec![subnet], tables: vec![table], ..NatLive::default() }
}

fn apply(live: &mut NatLive, step: &Step<NatOp>) {
    match &step.op {
        NatOp::Allocate => live.addresses.push(address("eipalloc-new")),
        NatOp::CreateGateway { .. } => {
            let free = live.addresses.first().expect("InvalidAllocationID.NotFound").id.clone();
            let holds = |gateway: &NatGateway| !gateway.is_gone() && gateway.allocation.as_ref() == Some(&free);
            assert!(!live.gateways.iter().any(holds), "Resource.AlreadyAssociated");
            live.gateways.push(gateway("nat-new", NatGatewayState::Available, Some(&free)));
        }
        NatOp::Route { replace } => {
            let target = live.gateway().expect("InvalidNatGatewayID.NotFound").id.clone();
            assert_eq!(live.tables[0].default_route.is_some(), *replace, "RouteAlreadyExists");
            live.tables[0].default_route = Some(target);
            live.tables[0].blackhole = false;
        }
        NatOp::DeleteRoute { table } => {
            let table = live.tables.iter_mut().find(|found| found.id == *table).expect("a table");
            assert!(table.default_route.take().is_some(), "InvalidRoute.NotFound");
            table.blackhole = false;
        }
        NatOp::DeleteGateway { id } | NatOp::AwaitDeleted { id } => {
            live.gateways.iter_mut().find(|found| found.id == *id).expect("a gateway").state = NatGatewayState::Deleted;
            live.tables[0].blackhole |= live.tables[0].default_route.as_ref() == Some(id);
        }
        NatOp::Release { id } => {
            let holds = |gateway: &NatGateway| !gateway.is_gone() && gateway.allocation.as_ref() == Some(id);
            assert!(!live.gateways.iter().any(holds), "AuthFailure");
            live.addresses.retain(|found| found.id != *id);
        }
    }
}

/// Applies the steps in some order that their needs allow.
fn run(live: &mut NatLive, steps: &[Step<NatOp>], mut choose: impl FnMut(usize) -> usize) {
    let mut schedule = Schedule::new(steps.iter().map(|step| (step.role.as_str(), step.needs.as_slice())));
    loop {
        let ready: Vec<_> = schedule.ready().collect();
        if ready.is_empty() {
            break;
        }
        let step = ready[choose(ready.len())];
        schedule.start(step);
        apply(live, &steps[step]);
        schedule.finish(step);
    }
    assert!(schedule.states().iter().all(|state| *state == State::Done), "steps that never become ready");
}

fn titles(plan: &Plan<NatOp>) -> Vec<String> {
    plan.steps.iter().map(Step::title).collect()
}

#[test]
fn opening_makes_three_things_and_opening_again_none() {
    let mut live = closed();
    let first = plan(&want(), &live).unwrap();
    assert_eq!(
        titles(&first),
        ["create elastic-ip lab-nat-eip", "create natgateway lab-nat-gateway", "update route-table lab-main"]
    );
    assert!((first.added_usd_per_hour() - 0.05).abs() < 1e-9);
    run(&mut live, &first.steps, |_| 0);
    let again = plan(&want(), &live).unwrap();
    assert_eq!((titles(&again), again.unchanged), (vec![], 3));
}

#[test]
fn closing_gives_the_address_back_only_once_the_gateway_is_gone() {
    let mut live = closed();
    let open = plan(&want(), &live).unwrap();
    run(&mut live, &open.steps, |_| 0);
    let close = teardown(&live);
    assert_eq!(
        titles(&close),
        ["update route-table lab-main", "delete natgateway lab-nat-gateway", "delete elastic-ip lab-nat-eip"]
    );
    // What costs goes even where the route cannot be removed.
    assert_eq!(close.steps[1].needs, [] as [String; 0]);
    assert_eq!(close.steps[2].needs, [close.steps[1].role.clone()]);
}

#[test]
fn what_is_already_being_deleted_is_only_waited_for() {
    let mut live = closed();
    live.addresses = vec![address("eipalloc-1")];
    live.gateways = vec![gateway("nat-1", NatGatewayState::Deleting, Some("eipalloc-1"))];
    let ops: Vec<_> = teardown(&live).steps.into_iter().map(|step| step.op).collect();
    let release = NatOp::Release { id: "eipalloc-1".into() };
    assert_eq!(ops, [NatOp::AwaitDeleted { id: "nat-1".into() }, release]);
    // Its address is used again, once it is free.
    let reopen = plan(&want(), &live).unwrap();
    let create = reopen.steps.iter().find(|step| step.role == GATEWAY).unwrap();
    assert!(create.needs.contains(&"delete nat-1".to_owned()), "{create:?}");
    assert_eq!(create.op, NatOp::CreateGateway { subnet: "subnet public".into(), gone: vec!["nat-1".into()] });
}

#[test]
fn of_two_windows_the_smallest_id_wins_and_the_other_goes_with_its_address() {
    let mut live = closed();
    live.addresses = vec![address("eipalloc-1"), address("eipalloc-2")];
    live.gateways = vec![
        gateway("nat-1", NatGatewayState::Available, Some("eipalloc-2")),
        gateway("nat-2", NatGatewayState::Available, Some("eipalloc-1")),
    ];
    live.tables[0].default_route = Some("nat-2".into());
    let mend = plan(&want(), &live).unwrap();
    run(&mut live, &mend.steps, |_| 0);
    assert_eq!(live.gateway().map(|gateway| gateway.id.as_str()), Some("nat-1"));
    assert_eq!(live.addresses.iter().map(|address| address.id.as_str()).collect::<Vec<_>>(), ["eipalloc-2"]);
    assert_eq!(live.tables[0].default_route.as_deref(), Some("nat-1"));
}

#[test]
fn a_way_out_that_is_not_ours_is_neither_replaced_nor_removed() {
    for target in ["igw-1", "nat-0stranger"] {
        let mut live = closed();
        live.tables[0].default_route = Some(target.into());
        let problem = plan(&want(), &live).unwrap_err().remove(0);
        assert!(problem.what().contains(target) && problem.remedy().unwrap().contains("delete-route"), "{problem}");
        assert_eq!(titles(&teardown(&live)), [] as [String; 0]);
    }
}

#[test]
fn without_a_network_the_command_that_makes_it_is_named() {
    let mut live = closed();
    live.subnets.clear();
    live.tables.clear();
    let problems = plan(&want(), &live).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.remedy().unwrap().contains("net-up")));
    assert!(plan(&want(), &NatLive::default()).unwrap_err()[0].what().contains("there is no VPC yet"));
    let nowhere = NatWant { subnet: None, ..want() };
    assert_eq!(plan(&nowhere, &closed()).unwrap_err()[0].exit(), lab_plan::Exit::Usage);
}

#[test]
fn an_address_without_a_gateway_is_told_with_its_cost() {
    let addresses = [address("eipalloc-1")];
    let gone = [gateway("nat-1", NatGatewayState::Deleted, None)];
    let notes = super::super::note_lone_addresses(&gone, &addresses);
    assert_eq!(
        notes,
        ["lab-nat-eip (203.0.113.9) belongs to no NAT gateway and costs $0.005 an hour: net-up nat close"]
    );
    let open = [gateway("nat-1", NatGatewayState::Pending, None)];
    assert_eq!(super::super::note_lone_addresses(&open, &addresses), [] as [String; 0]);
}

/// Whatever runs that were killed may have left.
fn any_remains() -> impl Strategy<Value = NatLive> {
    let state = prop_oneof![
        Just(NatGatewayState::Pending),
        Just(NatGatewayState::Available),
        Just(NatGatewayState::Deleting),
        Just(NatGatewayState::Deleted),
        Just(NatGatewayState::Failed),
    ];
    (prop::collection::vec(state, 0..4), 0usize..3, any::<bool>()).prop_map(|(states, spare, routed)| {
        let mut live = closed();
        for (n, state) in states.into_iter().enumerate() {
            let (id, allocation) = (format!("nat-{n}"), format!("eipalloc-{n}"));
            if routed {
                live.tables[0].blackhole = matches!(state, NatGatewayState::Deleted | NatGatewayState::Failed);
                live.tables[0].default_route = Some(id.clone());
            }
            live.addresses.push(address(&allocation));
            live.gateways.push(gateway(&id, state, Some(&allocation)));
        }
        live.addresses.extend((0..spare).map(|n| address(&format!("eipalloc-spare-{n}"))));
        live
    })
}

proptest! {
    #[test]
    fn whatever_is_left_opening_ends_with_one_window_and_closing_with_none(
        remains in any_remains(), picks in prop::collection::vec(0usize..100, 1..20)
    ) {
        let mut picks = picks.into_iter().cycle();
        let mut choose = |ready: usize| picks.next().unwrap_or(0) % ready;
        let mut live = remains.clone();
        let steps = plan(&want(), &live).unwrap().steps;
        run(&mut live, &steps, &mut choose);
        prop_assert_eq!(plan(&want(), &live).unwrap().steps, []);
        prop_assert_eq!(live.gateways.iter().filter(|gateway| gateway.is_open()).count(), 1);
        prop_assert_eq!(live.addresses.len(), 1);

        for mut live in [live, remains] {
            let steps = teardown(&live).steps;
            run(&mut live, &steps, &mut choose);
            prop_assert_eq!(teardown(&live).steps, []);
            prop_assert!(live.gateways.iter().all(NatGateway::is_gone));
            prop_assert!(live.addresses.is_empty() && live.tables[0].default_route.is_none());
        }
    }
}
