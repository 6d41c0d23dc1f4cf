//! How much of what a lab wants. Pure.

use lab_common::size::standard_vcpus;
use lab_common::{Internet, Lab};

/// How many of each thing that has a quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) vpcs: u32,
    pub(super) gateways: u32,
    pub(super) addresses: u32,
    pub(super) endpoints: u32,
    pub(super) instances: u32,
    pub(super) vcpus: u32,
}

/// What of a lab is there already.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that is there or not")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) vpc: bool,
    pub(super) gateway: bool,
    pub(super) address: bool,
    pub(super) endpoint: bool,
    /// The keys of the hosts that run.
    pub(super) hosts: Vec<String>,
    /// The keys of the hosts that have been set up, running or not.
    pub(super) made: Vec<String>,
}

/// What the lab wants beyond what it has.
pub(super) fn count_wanted(lab: &Lab, own: &Own) -> Amounts {
    let opens_window = lab.hosts.iter().any(|host| lab.needs_window(host) && !own.made.contains(&host.role));
    let has_gateway = lab.network.subnets.iter().any(|subnet| subnet.internet == Internet::Gateway);
    let missing: Vec<_> = lab.hosts.iter().filter(|host| !own.hosts.contains(&host.role)).collect();
    Amounts {
        vpcs: u32::from(!own.vpc),
        gateways: u32::from(has_gateway && !own.gateway),
        addresses: u32::from(opens_window && !own.address),
        endpoints: u32::from(lab.vpn.is_some() && !own.endpoint),
        instances: u32::try_from(missing.len()).unwrap_or(u32::MAX),
        vcpus: missing.iter().map(|host| standard_vcpus(&host.size)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;

    fn lab() -> Lab {
        read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
    }

    #[test]
    fn an_absent_lab_wants_one_of_each_and_a_whole_one_nothing() {
        let nothing = count_wanted(&lab(), &Own::default());
        assert_eq!(nothing, Amounts { vpcs: 1, gateways: 1, addresses: 1, endpoints: 1, instances: 2, vcpus: 4 });
        let hosts = vec!["public".to_owned(), "private".to_owned()];
        let own =
            Own { vpc: true, gateway: true, address: false, endpoint: true, made: hosts.clone(), hosts: hosts.clone() };
        assert_eq!(count_wanted(&lab(), &own), Amounts::default(), "its window is closed again");
        let paused = Own { hosts: Vec::new(), ..own };
        let wanted = count_wanted(&lab(), &paused);
        assert_eq!((wanted.instances, wanted.vcpus, wanted.addresses), (2, 4, 0), "stopped hosts will run again");
    }
}
