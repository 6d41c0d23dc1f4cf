//! Lab → the VPN that is wanted. Pure.

use ipnet::Ipv4Net;
use lab_common::{Lab, Names, Transport, Vpn};

/// The VPN a lab asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) endpoint: EndpointWant,
    /// The roles of the associated subnets, with their names.
    pub(crate) subnets: Vec<SubnetWant>,
    /// The networks that clients may reach.
    pub(crate) rules: Vec<Ipv4Net>,
    /// Destinations beyond the VPC, through each of the subnets.
    pub(crate) routes: Vec<Ipv4Net>,
    /// The people (or machines) with a certificate.
    pub(crate) clients: Vec<String>,
}

/// The endpoint itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointWant {
    pub(crate) client_cidr: Ipv4Net,
    pub(crate) transport: Transport,
    pub(crate) port: i32,
    pub(crate) split_tunnel: bool,
    pub(crate) session_hours: i32,
    pub(crate) description: String,
    /// How long connections are logged, in days; `None` for no log.
    pub(crate) log_days: Option<i32>,
}

/// A subnet that net-up made and the endpoint is to be associated with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubnetWant {
    /// Its key in lab.toml (`public`).
    pub(crate) key: String,
    /// Its name in the console.
    pub(crate) name: String,
}

/// The VPN of `lab`, which has the section `vpn`.
pub(crate) fn want(lab: &Lab, vpn: &Vpn, names: &Names) -> Want {
    let subnets = vpn.subnets.iter().map(|key| SubnetWant { key: key.clone(), name: names.subnet(key) });
    Want {
        endpoint: EndpointWant {
            client_cidr: vpn.client_cidr,
            transport: vpn.transport,
            port: vpn.port,
            split_tunnel: vpn.split_tunnel,
            session_hours: vpn.session_hours,
            description: format!("Client VPN of {} ({})", lab.name, lab.owner),
            log_days: Some(vpn.log_days).filter(|days| *days > 0),
        },
        subnets: subnets.collect(),
        rules: vpn.allow_networks.clone(),
        routes: vpn.routes.clone(),
        clients: vpn.clients.clone(),
    }
}

impl EndpointWant {
    /// `10.83.0.0/16, udp/443, split tunnel`
    pub(crate) fn describe(&self) -> String {
        let tunnel = if self.split_tunnel { "split tunnel" } else { "all traffic" };
        format!("{}, {}/{}, {tunnel}", self.client_cidr, self.transport.as_str(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lab;

    #[test]
    fn hol02_wants_what_its_assignment_says() {
        let lab = lab("");
        let want = want(&lab, lab.vpn.as_ref().unwrap(), &Names::new(&lab));
        assert_eq!(want.endpoint.describe(), "10.83.0.0/16, udp/443, split tunnel");
        assert_eq!((want.endpoint.log_days, want.endpoint.session_hours), (None, 24));
        assert_eq!(want.subnets, [SubnetWant { key: "public".into(), name: "lab-public-subnet".into() }]);
        assert_eq!(want.rules, [lab.network.cidr], "the whole VPC");
        assert_eq!((want.routes.len(), want.clients), (0, vec!["laptop".to_owned()]));
    }
}
