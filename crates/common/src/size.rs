//! What the name of an instance type says: its virtual CPUs, and whether they count against the quota that a lab meets.

/// Whether an instance of this size counts against the quota of standard instances: families A, C, D, H, I, M, R, T and Z
/// (EC2 user guide, "On-Demand Instance quotas"). Names that only begin like one are other families.
pub fn is_standard(size: &str) -> bool {
    const OTHERS: [&str; 5] = ["dl", "hpc", "inf", "mac", "trn"];
    let family = size.split('.').next().unwrap_or_default();
    family.starts_with(|c| "acdhimrtz".contains(c)) && !OTHERS.iter().any(|other| family.starts_with(other))
}

/// The virtual CPUs of a size of the standard families; `None` for what is none.
///
/// As the Amazon EC2 Instance Types Guide has it ("Naming conventions", and the tables of specifications): sizes from
/// `xlarge` on say how many times 4 vCPU they are, `metal-24xl` too, and smaller ones have 2 or 1. With the exceptions below
/// it says the same as `DescribeInstanceTypes` of all 1,212 standard types that it names.
pub fn count_vcpus(size: &str) -> Option<u32> {
    let (family, size) = size.split_once('.')?;
    if !is_standard(family) {
        return None;
    }
    find_exception(family, size).or_else(|| match size {
        // Burstable ones have two threads at every size.
        "medium" => Some(if family.starts_with('t') { 2 } else { 1 }),
        "nano" | "micro" | "small" | "large" => Some(2),
        "xlarge" => Some(4),
        "metal" => count_metal(family),
        _ => {
            let times = size.strip_suffix("xlarge").or_else(|| size.strip_prefix("metal-")?.strip_suffix("xl"))?;
            times.parse::<u32>().ok()?.checked_mul(4)
        }
    })
}

/// Old families, whose sizes are their own.
fn find_exception(family: &str, size: &str) -> Option<u32> {
    match (family, size) {
        ("t1" | "t2", "micro") | ("t2", "nano") | ("t2" | "m1", "small") => Some(1),
        ("c1", "medium") | ("m2", "xlarge") => Some(2),
        ("m2", "2xlarge") => Some(4),
        ("c1", "xlarge") | ("m2", "4xlarge") => Some(8),
        ("c4" | "d2", "8xlarge") => Some(36),
        _ => None,
    }
}

/// `metal` is a whole machine of the family, and its name does not say how large that is.
fn count_metal(family: &str) -> Option<u32> {
    let generation = family.trim_start_matches(char::is_alphabetic);
    match family {
        "a1" => Some(16),
        "m5zn" | "z1d" => Some(48),
        "c5n" | "i3" => Some(72),
        _ if generation.starts_with("6g") || generation.starts_with("7g") => Some(64),
        _ if generation.starts_with('5') || family == "i3en" => Some(96),
        _ if generation.starts_with("6i") || family == "i4i" => Some(128),
        _ if generation.starts_with("6a") => Some(192),
        _ => None,
    }
}

/// What an instance of this size takes of the quota of standard instances; 0 where it takes nothing of it.
pub fn standard_vcpus(size: &str) -> u32 {
    count_vcpus(size).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_says_its_cpus() {
        for (size, vcpus) in [
            ("t3.nano", 2),
            ("t3.micro", 2),
            ("t3.medium", 2),
            ("t3.2xlarge", 8),
            ("t2.micro", 1),
            ("t2.small", 1),
            ("t2.medium", 2),
            ("m1.small", 1),
            ("m7i.large", 2),
            ("m7g.medium", 1),
            ("c8a.medium", 1),
            ("c5.xlarge", 4),
            ("c1.medium", 2),
            ("c1.xlarge", 8),
            ("m2.2xlarge", 4),
            ("m2.4xlarge", 8),
            ("c4.8xlarge", 36),
            ("c5.9xlarge", 36),
            ("r6i.32xlarge", 128),
            ("m7i.48xlarge", 192),
            ("m7i-flex.16xlarge", 64),
            ("m7i.metal-24xl", 96),
            ("r8g.metal-48xl", 192),
            ("m5.metal", 96),
            ("c6gd.metal", 64),
            ("m6a.metal", 192),
            ("c6in.metal", 128),
            ("c5n.metal", 72),
            ("a1.metal", 16),
        ] {
            assert_eq!(count_vcpus(size), Some(vcpus), "{size}");
        }
        for none in ["t3", "t3.", "m5.huge", "m5.xxlarge", "p5.48xlarge", "t3.metal", "m5.9999999999xlarge"] {
            assert_eq!((count_vcpus(none), standard_vcpus(none)), (None, 0), "{none}");
        }
    }

    #[test]
    fn the_quota_is_that_of_nine_families() {
        assert!(["t3.micro", "im4gn.large", "z1d.large", "h1.2xlarge"].map(is_standard).iter().all(|it| *it));
        let others = ["p5.48xlarge", "inf2.xlarge", "mac2.metal", "hpc7g.4xlarge", "trn1.2xlarge", "x2gd.medium"];
        assert!(!others.map(is_standard).iter().any(|it| *it));
    }
}
