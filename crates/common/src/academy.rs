//! The limits of an AWS Academy Learner Lab (official Learner Lab readme, June 2025).

use crate::Lab;

/// The Regions it has.
pub const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];
/// The sizes of instances it has.
pub const SIZES: [&str; 5] = ["nano", "micro", "small", "medium", "large"];
/// Instances that may run at once in a Region.
pub const MOST_HOSTS: usize = 9;
/// So many running at once deactivate the account, and everything in it is deleted.
pub const FATAL_HOSTS: usize = 20;
/// The largest volume, in GB.
pub const MOST_DISK_GB: i32 = 100;
/// Virtual CPUs that may run at once in a Region.
pub const MOST_VCPU: usize = 32;

/// Something in a lab that a Learner Lab forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The dotted path in lab.toml (`hosts.public.size`).
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

/// Everything in `lab` that a Learner Lab forbids, in the file's order. `region` is the one that will be used.
pub fn find_breaches(lab: &Lab, region: Option<&str>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut breach = |path: String, what: String, fix: &str| breaches.push(Breach { path, what, fix: fix.into() });
    if let Some(region) = region.filter(|region| !REGIONS.contains(region)) {
        let what = format!("a Learner Lab has no Region {region}");
        breach("region".into(), what, "use us-east-1 or us-west-2");
    }
    if lab.hosts.len() > MOST_HOSTS {
        let what = format!("{} hosts are more than the {MOST_HOSTS} of a Learner Lab", lab.hosts.len());
        breach("hosts".into(), what, "20 at once deactivate the account and delete everything: remove some");
    }
    // Up to `large`, every current family has 2 vCPU.
    if lab.hosts.len() * 2 > MOST_VCPU {
        let what = format!("{} hosts need more than the {MOST_VCPU} vCPU of a Learner Lab", lab.hosts.len());
        breach("hosts".into(), what, "remove some");
    }
    for host in &lab.hosts {
        let at = |key: &str| format!("hosts.{}.{key}", host.role);
        if !host.size.rsplit('.').next().is_some_and(|size| SIZES.contains(&size)) {
            let what = format!("`{}` is larger than a Learner Lab allows", host.size);
            breach(at("size"), what, "use nano, micro, small, medium or large");
        }
        if host.disk_gb > MOST_DISK_GB {
            let what = format!("{} GB are more than the {MOST_DISK_GB} GB of a Learner Lab", host.disk_gb);
            breach(at("disk_gb"), what, "write 100 or less");
        }
        if host.key.as_deref() == Some("vockey") && region.is_some_and(|region| region != "us-east-1") {
            let what = "`vockey` exists in us-east-1 only".to_owned();
            breach(at("key"), what, "remove the key: the lab makes one of its own");
        }
    }
    breaches
}
