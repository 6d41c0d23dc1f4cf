//! What things cost: on-demand list prices of us-east-1, for estimates.

use crate::Arch;

/// The day on which the table below was compared with AWS's list prices.
pub const PRICES_OF: &str = "2026-11-20";
/// The Region whose prices they are; elsewhere the same figures are an estimate.
pub const PRICES_REGION: &str = "us-east-1";

/// US dollars an hour for a public IPv4 address, attached or not.
pub const PUBLIC_IPV4: f64 = 0.005;
/// US dollars an hour for a NAT gateway; a started hour is billed whole. Traffic is extra ([`NAT_PER_GB`]).
pub const NAT_GATEWAY: f64 = 0.045;
/// US dollars for each GB through a NAT gateway.
pub const NAT_PER_GB: f64 = 0.045;
/// US dollars an hour for one associated subnet of a Client VPN endpoint.
pub const VPN_ASSOCIATION: f64 = 0.10;
/// US dollars an hour for one connected Client VPN client.
pub const VPN_CONNECTION: f64 = 0.05;

/// US dollars for a GB in S3 for a month.
pub const S3_GB_MONTH: f64 = 0.023;
/// US dollars for 1,000 objects put into S3.
pub const S3_PER_1000_PUTS: f64 = 0.005;
/// US dollars for 1,000 objects got from S3, or looked at.
pub const S3_PER_1000_GETS: f64 = 0.0004;
/// US dollars for a job of S3 Batch Operations.
pub const BATCH_JOB: f64 = 0.25;
/// US dollars for a million objects of a job of S3 Batch Operations.
pub const BATCH_PER_MILLION: f64 = 1.00;
/// US dollars for a million requests to a standard queue of SQS.
pub const SQS_PER_MILLION: f64 = 0.40;
/// US dollars for a million invocations of a function.
pub const LAMBDA_PER_MILLION: f64 = 0.20;
/// US dollars for a GB of a function's memory for a second, on arm64.
pub const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
/// The same on `x86_64`.
pub const LAMBDA_GB_SECOND_X86: f64 = 0.000_016_666_7;

/// US dollars for a GB of a function's memory for a second.
pub const fn lambda_gb_second(arch: Arch) -> f64 {
    match arch {
        Arch::X86 => LAMBDA_GB_SECOND_X86,
        Arch::Arm => LAMBDA_GB_SECOND,
    }
}

/// AWS bills EBS by the second of a 730-hour month.
pub const HOURS_PER_MONTH: f64 = 730.0;

/// US dollars for a GB-month, of the types whose size alone has a price.
const VOLUMES: [(&str, f64); 5] = [("gp3", 0.08), ("gp2", 0.10), ("st1", 0.045), ("sc1", 0.015), ("standard", 0.05)];

const INSTANCES: [(&str, f64); 38] = [
    ("t2.nano", 0.0058),
    ("t2.micro", 0.0116),
    ("t2.small", 0.023),
    ("t2.medium", 0.0464),
    ("t2.large", 0.0928),
    ("t2.xlarge", 0.1856),
    ("t2.2xlarge", 0.3712),
    ("t3.nano", 0.0052),
    ("t3.micro", 0.0104),
    ("t3.small", 0.0208),
    ("t3.medium", 0.0416),
    ("t3.large", 0.0832),
    ("t3.xlarge", 0.1664),
    ("t3.2xlarge", 0.3328),
    ("t3a.nano", 0.0047),
    ("t3a.micro", 0.0094),
    ("t3a.small", 0.0188),
    ("t3a.medium", 0.0376),
    ("t3a.large", 0.0752),
    ("t3a.xlarge", 0.1504),
    ("t3a.2xlarge", 0.3008),
    ("t4g.nano", 0.0042),
    ("t4g.micro", 0.0084),
    ("t4g.small", 0.0168),
    ("t4g.medium", 0.0336),
    ("t4g.large", 0.0672),
    ("t4g.xlarge", 0.1344),
    ("t4g.2xlarge", 0.2688),
    ("m5.large", 0.096),
    ("m5.xlarge", 0.192),
    ("m6i.large", 0.096),
    ("m6i.xlarge", 0.192),
    ("m7i.large", 0.1008),
    ("m7g.large", 0.0816),
    ("c5.large", 0.085),
    ("c6i.large", 0.085),
    ("r5.large", 0.126),
    ("r6i.large", 0.126),
];

/// US dollars an hour for a running instance of this type; `None` for a type that is not in the table.
pub fn instance(size: &str) -> Option<f64> {
    INSTANCES.iter().find(|(name, _)| *name == size).map(|(_, usd)| *usd)
}

/// US dollars an hour for a gp3 volume of this many GB, running or not.
pub fn gp3(gigabytes: i32) -> f64 {
    volume("gp3", gigabytes).unwrap_or_default()
}

/// US dollars an hour for a volume of this type and size, attached or not; `None` for a type whose price depends on
/// more, or is not in the table.
pub fn volume(kind: &str, gigabytes: i32) -> Option<f64> {
    let (_, usd) = VOLUMES.iter().find(|(name, _)| *name == kind)?;
    Some(f64::from(gigabytes) * usd / HOURS_PER_MONTH)
}

/// US dollars for a NAT gateway that has been there for so many hours: a started hour is billed whole.
pub fn nat_gateway_for(hours: f64) -> f64 {
    NAT_GATEWAY * hours.ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabyte_of_gp3_costs_its_monthly_price_in_730_hours() {
        assert!((gp3(1) * 730.0 - 0.08).abs() < 1e-12);
        assert!((gp3(8) - 8.0 * gp3(1)).abs() < 1e-12);
    }

    #[test]
    fn a_volume_costs_by_its_type_and_one_with_paid_operations_is_not_guessed() {
        assert!((volume("gp2", 100).unwrap() * 730.0 - 10.0).abs() < 1e-9);
        assert_eq!(volume("io2", 8), None);
    }

    #[test]
    fn a_nat_gateway_is_billed_by_the_started_hour() {
        for (hours, usd) in [(0.0, 0.0), (0.2, 0.045), (1.0, 0.045), (1.01, 0.09)] {
            assert!((nat_gateway_for(hours) - usd).abs() < 1e-12, "{hours} h");
        }
    }

    #[test]
    fn sizes_outside_the_table_have_no_price() {
        assert_eq!(instance("t3.micro"), Some(0.0104));
        assert_eq!(instance("m7i.48xlarge"), None);
    }
}
