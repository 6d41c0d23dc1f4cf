//! What an account has of Client VPN, and the states that AWS would show at a moment. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;

use crate::sim::StateTimes;

/// An endpoint with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) settings: Settings,
    pub(crate) life: Life,
    /// RFC 3339.
    pub(crate) created_at: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) associations: Vec<Association>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) routes: Vec<Route>,
    pub(crate) crl: Option<Crl>,
}

/// What `CreateClientVpnEndpoint` fixes and `ModifyClientVpnEndpoint` changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) client_cidr: Ipv4Net,
    /// ARN in ACM.
    pub(crate) server_certificate: String,
    /// ARN in ACM of the certificate whose chain signs the clients.
    pub(crate) client_root: String,
    pub(crate) transport: Transport,
    pub(crate) port: u16,
    pub(crate) split_tunnel: bool,
    pub(crate) description: Option<String>,
    pub(crate) dns_servers: Vec<Ipv4Addr>,
    /// Fixed by the request, or by the first association.
    pub(crate) vpc: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) session_hours: u32,
    pub(crate) disconnect_on_session_timeout: bool,
    pub(crate) log: Option<ConnectionLog>,
    pub(crate) banner: Option<String>,
    pub(crate) enforce_routes: bool,
}

/// Where connections are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionLog {
    pub(crate) group: String,
    pub(crate) stream: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// AWS's word, which is also that of `OpenVPN`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A subnet that is associated.
#[derive(Debug, Clone)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) subnet: Subnet,
    pub(crate) life: Life,
    /// The network interface that stands for AWS's in the subnet; none once it is removed.
    pub(crate) interface: Option<Interface>,
}

/// What matters of a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) zone: String,
    pub(crate) cidr: Ipv4Net,
    pub(crate) free_addresses: u32,
}

/// A network interface of an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) id: String,
    pub(crate) address: Option<Ipv4Addr>,
}

/// An authorization rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) cidr: Ipv4Net,
    /// `None` authorizes everybody.
    pub(crate) group: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) life: Life,
}

/// A route of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) cidr: Ipv4Net,
    /// A subnet's id, or `local` for traffic between clients.
    pub(crate) target: String,
    pub(crate) origin: Origin,
    pub(crate) description: Option<String>,
    pub(crate) life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It came with an association, and goes with it.
    Associate,
    AddRoute,
}

impl Origin {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Associate => "associate",
            Self::AddRoute => "add-route",
        }
    }
}

/// The list of revoked client certificates.
#[derive(Debug, Clone)]
pub(crate) struct Crl {
    pub(crate) pem: String,
    pub(crate) imported: Instant,
}

/// When a thing began, and when its end did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    begun: Instant,
    ended: Option<Instant>,
    /// What was begun never comes about: a fault rule said so.
    fails: bool,
}

/// Where in its life a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    There,
    Failed,
    Ending,
    Gone,
}

impl Life {
    pub(crate) fn begin(now: Instant, fails: bool) -> Self {
        Self { begun: now, ended: None, fails }
    }

    /// Begins the end; a second time changes nothing.
    pub(crate) fn end(&mut self, now: Instant) {
        self.ended.get_or_insert(now);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    fn phase(&self, times: &StateTimes, start: Duration, end: Duration) -> Phase {
        match self.ended {
            Some(ended) if times.since(ended) < end => Phase::Ending,
            Some(_) => Phase::Gone,
            None if times.since(self.begun) < start => Phase::Starting,
            None if self.fails => Phase::Failed,
            None => Phase::There,
        }
    }
}

impl Endpoint {
    /// AWS's word for the endpoint's state; `None` when it is gone.
    pub(crate) fn state(&self, times: &StateTimes) -> Option<&'static str> {
        match self.life.phase(times, Duration::ZERO, times.vpn_endpoint_end()) {
            Phase::Gone => None,
            Phase::Ending => Some("deleting"),
            Phase::Starting | Phase::There | Phase::Failed => {
                Some(if self.is_available(times) { "available" } else { "pending-associate" })
            }
        }
    }

    /// Whether clients can connect: a subnet is associated, and the endpoint's end has not begun.
    pub(crate) fn is_available(&self, times: &StateTimes) -> bool {
        !self.life.has_ended() && self.associations.iter().any(|association| association.is_associated(times))
    }

    /// The association of this id that has not vanished.
    pub(crate) fn association(&self, id: &str, times: &StateTimes) -> Option<&Association> {
        self.associations.iter().find(|association| association.id == id && association.state(times).is_some())
    }

    /// `cvpn-endpoint-….prod.clientvpn.REGION.amazonaws.com`: clients put a random label in front.
    pub(crate) fn domain(&self) -> String {
        format!("{}.prod.clientvpn.{}.amazonaws.com", self.id, self.region)
    }

    /// Whether the endpoint uses this certificate, as server or as client root.
    pub(crate) fn uses_certificate(&self, arn: &str) -> bool {
        self.settings.server_certificate == arn || self.settings.client_root == arn
    }

    /// `arn:aws:ec2:REGION:ACCOUNT:client-vpn-endpoint/ID`
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:ec2:{}:{}:client-vpn-endpoint/{}", self.region, self.account, self.id)
    }
}

impl Association {
    /// AWS's word for the association's state; `None` when it has vanished.
    pub(crate) fn state(&self, times: &StateTimes) -> Option<&'static str> {
        // A disassociated subnet is shown for a while.
        let end = times.vpn_association_end() + times.vpn_association_trace();
        match self.life.phase(times, times.vpn_association_start(), end) {
            Phase::Starting => Some("associating"),
            Phase::There => Some("associated"),
            Phase::Failed => Some("association-failed"),
            Phase::Ending if self.is_disassociated(times) => Some("disassociated"),
            Phase::Ending => Some("disassociating"),
            Phase::Gone => None,
        }
    }

    pub(crate) fn is_associated(&self, times: &StateTimes) -> bool {
        self.state(times) == Some("associated")
    }

    /// Whether it holds its subnet no more.
    pub(crate) fn is_disassociated(&self, times: &StateTimes) -> bool {
        self.life.phase(times, Duration::ZERO, times.vpn_association_end()) == Phase::Gone
    }
}

impl Rule {
    /// AWS's word for the rule's state; `None` when it is gone.
    pub(crate) fn state(&self, times: &StateTimes) -> Option<&'static str> {
        match self.life.phase(times, times.vpn_rule_start(), times.vpn_rule_end()) {
            Phase::Starting => Some("authorizing"),
            Phase::There => Some("active"),
            Phase::Failed => Some("failed"),
            Phase::Ending => Some("revoking"),
            Phase::Gone => None,
        }
    }
}

impl Route {
    /// AWS's word for the route's state; `None` when it is gone.
    pub(crate) fn state(&self, times: &StateTimes) -> Option<&'static str> {
        let start = match self.origin {
            Origin::Associate => times.vpn_association_start(),
            Origin::AddRoute => times.vpn_route_start(),
        };
        match self.life.phase(times, start, times.vpn_route_end()) {
            Phase::Starting => Some("creating"),
            Phase::There => Some("active"),
            Phase::Failed => Some("failed"),
            Phase::Ending => Some("deleting"),
            Phase::Gone => None,
        }
    }
}

impl Crl {
    /// AWS's word for the list's state.
    pub(crate) fn state(&self, times: &StateTimes) -> &'static str {
        if times.since(self.imported) < times.vpn_crl() { "pending" } else { "active" }
    }
}

/// The client CIDRs that AWS takes.
pub(crate) const CLIENT_PREFIXES: std::ops::RangeInclusive<u8> = 12..=22;

/// Whether two blocks have an address in common.
pub(crate) fn overlaps(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn association(now: Instant) -> Association {
        Association {
            id: "cvpn-assoc-1".into(),
            subnet: Subnet {
                id: "subnet-1".into(),
                vpc: "vpc-1".into(),
                zone: "us-east-1a".into(),
                cidr: "10.0.1.0/24".parse().expect("a block"),
                free_addresses: 251,
            },
            life: Life::begin(now, false),
            interface: None,
        }
    }

    #[test]
    fn an_association_passes_through_aws_states_in_their_order() {
        let times = StateTimes::new(1.0);
        let mut association = association(times.now());
        assert_eq!(association.state(&times), Some("associating"));
        times.advance(times.vpn_association_start());
        assert_eq!(association.state(&times), Some("associated"));
        association.life.end(times.now());
        assert_eq!(association.state(&times), Some("disassociating"));
        assert!(!association.is_disassociated(&times), "the subnet is still held");
        times.advance(times.vpn_association_end());
        assert_eq!(association.state(&times), Some("disassociated"));
        times.advance(times.vpn_association_trace());
        assert_eq!(association.state(&times), None);
    }

    #[test]
    fn what_fails_says_so_only_after_its_time() {
        let times = StateTimes::new(1.0);
        let association = Association { life: Life::begin(times.now(), true), ..association(times.now()) };
        assert_eq!(association.state(&times), Some("associating"));
        times.advance(times.vpn_association_start());
        assert_eq!(association.state(&times), Some("association-failed"));
    }

    #[test]
    fn blocks_overlap_when_one_is_in_the_other() {
        let block = |text: &str| text.parse::<Ipv4Net>().expect("a block");
        assert!(overlaps(block("10.0.0.0/16"), block("10.0.4.0/22")));
        assert!(overlaps(block("10.0.4.0/22"), block("10.0.0.0/16")));
        assert!(!overlaps(block("10.0.0.0/16"), block("10.1.0.0/22")));
    }
}
