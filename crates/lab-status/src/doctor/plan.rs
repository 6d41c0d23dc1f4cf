//! How much of what a lab wants, and what an instance takes of a quota. Pure.

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
    let is_private = |subnet: &str| lab.subnet(subnet).is_none_or(|subnet| subnet.internet == Internet::None);
    let opens_window =
        lab.hosts.iter().any(|host| host.runs.is_some() && is_private(&host.subnet) && !own.made.contains(&host.role));
    let has_gateway = lab.network.subnets.iter().any(|subnet| subnet.internet == Internet::Gateway);
    let missing: Vec<_> = lab.hosts.iter().filter(|host| !own.hosts.contains(&host.role)).collect();
    Amounts {
        vpcs: u32::from(!own.vpc),
        gateways: u32::from(has_gateway && !own.gateway),
        addresses: u32::from(opens_window && !own.address),
        endpoints: u32::from(lab.vpn.is_some() && !own.endpoint),
        instances: u32::try_from(missing.len()).unwrap_or(u32::MAX),
        vcpus: missing.iter().filter(|host| is_standard(&host.size)).filter_map(|host| count_vcpus(&host.size)).sum(),
    }
}

/// Whether a size counts against the quota of standard instances: families A, C, D, H, I, M, R, T, Z (EC2 user guide,
/// "On-Demand Instance quotas"). Names that only begin like one are other families.
pub(super) fn is_standard(size: &str) -> bool {
    const OTHERS: [&str; 5] = ["dl", "hpc", "inf", "mac", "trn"];
    let family = size.split('.').next().unwrap_or_default();
    family.starts_with(|c| "acdhimrtz".contains(c)) && !OTHERS.iter().any(|other| family.starts_with(other))
}

/// The virtual CPUs of a size, as its name says them; `None` for `metal` and what is not a size.
pub(super) fn count_vcpus(size: &str) -> Option<u32> {
    let (family, size) = size.split_once('.')?;
    match size {
        "nano" | "micro" | "small" if matches!(family, "t1" | "t2" | "m1") => Some(1),
        "medium" if matches!(family, "m1" | "m3" | "a1" | "m6g" | "m6gd" | "m7g" | "c6g" | "c7g" | "r6g" | "r7g") => {
            Some(1)
        }
        "nano" | "micro" | "small" | "medium" | "large" => Some(2),
        "xlarge" => Some(4),
        _ => Some(size.strip_suffix("xlarge")?.parse::<u32>().ok()?.saturating_mul(4)),
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

    #[test]
    fn sizes_say_their_cpus_and_families_their_quota() {
        let sizes = [("t3.micro", 2), ("t2.micro", 1), ("m7i.large", 2), ("c5.xlarge", 4), ("r6i.32xlarge", 128)];
        for (size, vcpus) in sizes {
            assert_eq!(count_vcpus(size), Some(vcpus), "{size}");
        }
        assert_eq!(count_vcpus("m5.metal"), None);
        assert!(is_standard("t3.micro") && is_standard("im4gn.large") && is_standard("z1d.large"));
        assert!(!is_standard("p5.48xlarge") && !is_standard("inf2.xlarge") && !is_standard("mac2.metal"));
    }
}
