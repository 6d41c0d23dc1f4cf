//! What an instance takes of the account's quota.

use aws_sdk_ec2::types::{Instance, InstanceType};
use lab_common::size;

/// The virtual CPUs of an instance, where it is one that the quota of standard instances counts; else 0. EC2 says how many
/// it has, and its type how many it usually has.
pub fn standard_vcpus(instance: &Instance) -> u32 {
    let name = instance.instance_type().map(InstanceType::as_str).unwrap_or_default();
    if !size::is_standard(name) {
        return 0;
    }
    let told = instance.cpu_options().and_then(|cpu| cpu.core_count()?.checked_mul(cpu.threads_per_core()?));
    let told = told.and_then(|told| u32::try_from(told).ok()).filter(|told| *told > 0);
    told.unwrap_or_else(|| size::standard_vcpus(name))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::CpuOptions;

    use super::*;

    #[test]
    fn ec2_knows_better_than_the_name() {
        let instance = |size: &str, cores: Option<i32>| {
            let cpu = cores.map(|cores| CpuOptions::builder().core_count(cores).threads_per_core(1).build());
            Instance::builder().instance_type(InstanceType::from(size)).set_cpu_options(cpu).build()
        };
        assert_eq!(standard_vcpus(&instance("m7i.48xlarge", None)), 192);
        assert_eq!(standard_vcpus(&instance("m7i.48xlarge", Some(24))), 24, "with fewer cores than usual");
        assert_eq!(standard_vcpus(&instance("m7i.48xlarge", Some(0))), 192);
        assert_eq!(standard_vcpus(&instance("p5.48xlarge", Some(96))), 0, "another quota's");
    }
}
