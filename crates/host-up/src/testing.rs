//! A lab and its parts, for tests.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::InstanceStateName;
use lab_common::{Caller, HOL02, Lab, Names, Overrides, read_lab};

use crate::live::{Instance, Live};

/// HOL 02 of the owner `ada`.
pub(crate) fn lab() -> Lab {
    read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
}

pub(crate) fn names() -> Names {
    Names::new(&lab())
}

/// An instance of HOL 02 as `up` leaves it.
pub(crate) fn running(host: &str) -> Instance {
    Instance {
        id: format!("i-{host}"),
        host: host.into(),
        name: names().host(host),
        state: InstanceStateName::Running,
        reason: None,
        size: "t3.micro".into(),
        subnet: Some(format!("subnet-{host}")),
        key: Some(names().key_pair()),
        groups: vec![format!("sg-{host}")],
        profile: Some(format!("arn:aws:iam::123456789012:instance-profile/{}", names().host_profile())),
        ami: "ami-12345678".into(),
        image: Some("amazon-linux-2023".into()),
        runs: Some("jupyter".into()),
        public_ip: Some("203.0.113.7".into()),
        private_ip: Some("10.0.1.4".into()),
        token: Some("token".into()),
        root_volume: Some(format!("vol-{host}")),
        checks: Some("ok".into()),
        marker: None,
    }
}

/// These instances and the network, and nothing else.
pub(crate) fn live_with(instances: impl IntoIterator<Item = Instance>) -> Live {
    let instances: Vec<_> = instances.into_iter().collect();
    Live {
        caller: Some(Caller { account: "123456789012".into(), arn: "arn:aws:iam::123456789012:user/ada".into() }),
        volumes: instances.iter().filter_map(|instance| Some((instance.root_volume.clone()?, 8))).collect(),
        instances,
        network: BTreeMap::from([
            ("subnet public".into(), vec!["subnet-public".into()]),
            ("security-group public".into(), vec!["sg-public".into()]),
        ]),
        ..Live::default()
    }
}
