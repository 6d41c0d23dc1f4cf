//! What things cost: on-demand list prices of us-east-1, for estimates.

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

const GP3_GB_MONTH: f64 = 0.08;
/// AWS bills EBS by the second of a 730-hour month.
const HOURS_PER_MONTH: f64 = 730.0;

const INSTANCES: [(&str, f64); 15] = [
    ("t2.nano", 0.0058),
    ("t2.micro", 0.0116),
    ("t2.small", 0.023),
    ("t2.medium", 0.0464),
    ("t2.large", 0.0928),
    ("t3.nano", 0.0052),
    ("t3.micro", 0.0104),
    ("t3.small", 0.0208),
    ("t3.medium", 0.0416),
    ("t3.large", 0.0832),
    ("t4g.nano", 0.0042),
    ("t4g.micro", 0.0084),
    ("t4g.small", 0.0168),
    ("t4g.medium", 0.0336),
    ("t4g.large", 0.0672),
];

/// US dollars an hour for a running instance of this type; `None` for a type that is not in the table.
pub fn instance(size: &str) -> Option<f64> {
    INSTANCES.iter().find(|(name, _)| *name == size).map(|(_, usd)| *usd)
}

/// US dollars an hour for a gp3 volume of this many GB, running or not.
pub fn gp3(gigabytes: i32) -> f64 {
    f64::from(gigabytes) * GP3_GB_MONTH / HOURS_PER_MONTH
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
    fn sizes_outside_the_table_have_no_price() {
        assert_eq!(instance("t3.micro"), Some(0.0104));
        assert_eq!(instance("m7i.48xlarge"), None);
    }
}
