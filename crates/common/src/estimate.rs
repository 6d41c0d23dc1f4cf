//! What a lab will cost, from lab.toml alone: before anything exists, without credentials and without a call. Pure.

use crate::{Lab, Names, prices};

/// Everything of a lab that is billed by time.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// In the order of lab.toml: hosts, NAT window, VPN.
    pub items: Vec<Item>,
    /// How the lab is expected to be used, as lab.toml says.
    pub usage: Usage,
}

/// One line of an estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// EC2's `ResourceType` name where one exists.
    pub kind: &'static str,
    /// Its name in the console, or what it belongs to.
    pub name: String,
    /// What decides its price (`t3.micro`, `8 GB gp3`).
    pub detail: String,
    /// US dollars an hour while it is there; `None` where the price table does not know it.
    pub usd_per_hour: Option<f64>,
    /// When it is there.
    pub billed: Billed,
}

/// For how long an item is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billed {
    /// As long as the lab stands.
    Always,
    /// As long as the NAT window is open, each started hour whole.
    NatByStartedHour,
    /// As long as the NAT window is open.
    Nat,
    /// As long as the VPN is not paused.
    Vpn,
    /// As long as somebody is connected to the VPN, once for each.
    Clients,
}

/// How a lab is used: what lab.toml cannot know for sure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// How long it stands, in hours.
    pub hours: f64,
    /// For how many hours of them the NAT window is open.
    pub nat_hours: f64,
    /// For how many hours of them the VPN is there and its clients are connected; all of them where it is not said.
    pub vpn_hours: Option<f64>,
    /// How many clients are connected in that time.
    pub clients: u32,
}

impl Usage {
    /// What is assumed where nobody says otherwise: the hours of `[budget]`, an hour of the NAT window for each private
    /// host that installs something, and every client of `[vpn]` connected all the time.
    pub fn of(lab: &Lab) -> Self {
        let private = lab.hosts.iter().filter(|host| lab.needs_window(host));
        let clients = lab.vpn.as_ref().map_or(0, |vpn| vpn.clients.len());
        Self {
            hours: lab.budget.hours,
            nat_hours: f64::from(u32::try_from(private.count()).unwrap_or(u32::MAX)),
            vpn_hours: None,
            clients: u32::try_from(clients).unwrap_or(u32::MAX),
        }
    }
}

impl Item {
    /// US dollars for the first `span` hours of the lab; `None` where there is no price.
    pub fn usd_in(&self, span: f64, usage: &Usage) -> Option<f64> {
        let rate = self.usd_per_hour?;
        let vpn = usage.vpn_hours.unwrap_or(span).min(span);
        let nat = usage.nat_hours.min(span);
        Some(match self.billed {
            Billed::Always => rate * span,
            Billed::NatByStartedHour => rate * nat.ceil(),
            Billed::Nat => rate * nat,
            Billed::Vpn => rate * vpn,
            Billed::Clients => rate * vpn * f64::from(usage.clients),
        })
    }
}

impl Estimate {
    /// US dollars an hour of the whole lab once it stands: the VPN associated, nobody connected, the NAT window closed.
    /// What has no price is not in it ([`Estimate::unpriced`]).
    pub fn usd_per_hour(&self) -> f64 {
        let standing = self.items.iter().filter(|item| matches!(item.billed, Billed::Always | Billed::Vpn));
        standing.filter_map(|item| item.usd_per_hour).sum()
    }

    /// US dollars for the first `span` hours, used like `usage`. What has no price is not in it.
    pub fn usd_in(&self, span: f64, usage: &Usage) -> f64 {
        self.items.iter().filter_map(|item| item.usd_in(span, usage)).sum()
    }

    /// US dollars for the hours that `[budget]` expects.
    pub fn usd_expected(&self) -> f64 {
        self.usd_in(self.usage.hours, &self.usage)
    }

    /// What the price table does not know. Its price is never taken for zero in silence.
    pub fn unpriced(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.usd_per_hour.is_none())
    }
}

/// What `lab` will cost. S3, Lambda, logs and traffic are billed by use, and stay out.
pub fn estimate(lab: &Lab) -> Estimate {
    let names = Names::new(lab);
    let usage = Usage::of(lab);
    let mut items = list_hosts(lab, &names);
    if usage.nat_hours > 0.0 {
        items.extend(list_window(&names));
    }
    items.extend(list_vpn(lab, &names));
    Estimate { items, usage }
}

fn list_hosts(lab: &Lab, names: &Names) -> Vec<Item> {
    let mut items = Vec::new();
    for host in &lab.hosts {
        let name = names.host(&host.role);
        let mut add = |kind, detail: String, usd_per_hour| {
            items.push(Item { kind, name: name.clone(), detail, usd_per_hour, billed: Billed::Always });
        };
        add("instance", host.size.clone(), prices::instance(&host.size));
        add("volume", format!("{} GB gp3", host.disk_gb), Some(prices::gp3(host.disk_gb)));
        if lab.is_public(host) {
            add("public-ipv4-address", "assigned at start".into(), Some(prices::PUBLIC_IPV4));
        }
    }
    items
}

/// The NAT window: what net-up opens while private hosts install.
pub fn list_window(names: &Names) -> [Item; 2] {
    let gateway = Item {
        kind: "natgateway",
        name: names.nat_gateway(),
        detail: format!("started hours; {} $ a GB extra", prices::NAT_PER_GB),
        usd_per_hour: Some(prices::NAT_GATEWAY),
        billed: Billed::NatByStartedHour,
    };
    let address = Item {
        kind: "elastic-ip",
        name: names.nat_address(),
        detail: "public IPv4 address".into(),
        usd_per_hour: Some(prices::PUBLIC_IPV4),
        billed: Billed::Nat,
    };
    [gateway, address]
}

fn list_vpn(lab: &Lab, names: &Names) -> Vec<Item> {
    let Some(vpn) = &lab.vpn else { return Vec::new() };
    let association = |role: &String| Item {
        kind: "client-vpn-target-network",
        name: names.subnet(role),
        detail: "association".into(),
        usd_per_hour: Some(prices::VPN_ASSOCIATION),
        billed: Billed::Vpn,
    };
    let connections = Item {
        kind: "client-vpn-connection",
        name: names.vpn_endpoint(),
        detail: "a connected client".into(),
        usd_per_hour: Some(prices::VPN_CONNECTION),
        billed: Billed::Clients,
    };
    vpn.subnets.iter().map(association).chain([connections]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HOL02, Overrides, read_lab};

    fn hol02(change: impl FnOnce(&mut Lab)) -> Lab {
        let overrides = Overrides { owner: Some("ada".into()), region: None };
        let mut lab = read_lab("hol02", HOL02, &overrides).unwrap();
        change(&mut lab);
        lab
    }

    fn near(found: f64, wanted: f64) -> bool {
        (found - wanted).abs() < 1e-9
    }

    /// Two t3.micro, two disks of 8 GB, the public host's address.
    const HOSTS: f64 = 2.0 * 0.0104 + 16.0 * 0.08 / 730.0 + 0.005;

    #[test]
    fn hol_02_costs_what_the_price_list_says() {
        let estimate = estimate(&hol02(|_| ()));
        assert!(near(estimate.usd_per_hour(), HOSTS + 0.10), "{}", estimate.usd_per_hour());
        // Four hours, an hour of them with the NAT gateway and its address, the laptop connected all the time.
        let expected = 4.0 * (HOSTS + 0.10 + 0.05) + 0.045 + 0.005;
        assert!(near(estimate.usd_expected(), expected), "{} {expected}", estimate.usd_expected());
    }

    #[test]
    fn hours_of_the_window_and_of_the_vpn_are_never_more_than_the_lab_stands() {
        let estimate = estimate(&hol02(|_| ()));
        let usage = Usage { hours: 4.0, nat_hours: 1.5, vpn_hours: Some(8.0), clients: 2 };
        let hour = HOSTS + 0.10 + 2.0 * 0.05 + 0.045 + 0.005;
        assert!(near(estimate.usd_in(1.0, &usage), hour), "{}", estimate.usd_in(1.0, &usage));
        let month = 730.0 * HOSTS + 8.0 * (0.10 + 2.0 * 0.05) + 2.0 * 0.045 + 1.5 * 0.005;
        assert!(near(estimate.usd_in(730.0, &usage), month), "{}", estimate.usd_in(730.0, &usage));
    }

    #[test]
    fn an_unknown_size_has_no_price_and_is_told() {
        let estimate = estimate(&hol02(|lab| lab.hosts[0].size = "x9.huge".into()));
        let unpriced: Vec<_> = estimate.unpriced().map(|item| item.detail.as_str()).collect();
        assert_eq!(unpriced, ["x9.huge"]);
        assert!(near(estimate.usd_per_hour(), HOSTS + 0.10 - 0.0104));
    }

    #[test]
    fn a_lab_without_hosts_and_vpn_costs_nothing_by_time() {
        let estimate = estimate(&hol02(|lab| {
            lab.hosts.clear();
            lab.vpn = None;
        }));
        assert_eq!(estimate.items, []);
        assert!(near(estimate.usd_expected(), 0.0));
    }

    #[test]
    fn only_a_private_host_that_installs_something_needs_the_window() {
        let quiet = estimate(&hol02(|lab| lab.hosts[1].runs = None));
        assert!(!quiet.items.iter().any(|item| item.kind == "natgateway"));
    }
}
