//! A lab and its parts, for tests.

use std::sync::OnceLock;

use aws_sdk_ec2::types::ClientVpnEndpointStatusCode;
use jiff::Timestamp;
use lab_common::{HOL02, Home, Lab, Names, Overrides, read_lab};

use crate::endpoint::Endpoint;
use crate::live::{Group, Live, Subnet};
use crate::local::Local;
use crate::pki::{Certificate, RevocationList, Store, Wanted, server_name};
use crate::scene::Scene;
use crate::want::{Want, want};

/// HOL 02 of the owner `ada`, with these lines more in `[vpn]`.
pub(crate) fn lab(more: &str) -> Lab {
    let text = HOL02.replace("clients = [\"laptop\"]", &format!("clients = [\"laptop\"]\n{more}"));
    read_lab("hol02", &text, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
}

/// HOL 02 with two subnets for the VPN, in two zones.
pub(crate) fn wide_lab() -> Lab {
    let text = HOL02.replace("subnet = \"public\"\nclients", "subnet = [\"public\", \"private\"]\nclients");
    read_lab("hol02", &text, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
}

/// The certificates of a lab, made once for all tests.
pub(crate) struct Papers {
    pub(crate) authority: Certificate,
    pub(crate) server: Certificate,
    pub(crate) laptop: Certificate,
}

/// Those of our own authority.
pub(crate) fn papers() -> &'static Papers {
    static PAPERS: OnceLock<Papers> = OnceLock::new();
    PAPERS.get_or_init(|| make_papers("ours"))
}

/// Those of another one.
pub(crate) fn strange_papers() -> &'static Papers {
    static PAPERS: OnceLock<Papers> = OnceLock::new();
    PAPERS.get_or_init(|| make_papers("another's"))
}

fn make_papers(authority: &str) -> Papers {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(&Home::at(directory.path()));
    let (server, clients) = (server_name(&lab("")), ["laptop".to_owned()]);
    store.make(&Wanted { authority, server: Some(&server), clients: &clients }).unwrap();
    Papers {
        authority: store.authority().unwrap().unwrap().certificate,
        server: store.server().unwrap().unwrap().certificate,
        laptop: store.client("laptop").unwrap().unwrap().certificate,
    }
}

/// The list of an authority that has revoked someone.
pub(crate) fn revoked_list() -> &'static RevocationList {
    static LIST: OnceLock<RevocationList> = OnceLock::new();
    LIST.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(&Home::at(directory.path()));
        store.make(&Wanted { authority: "ours", server: None, clients: &["mallory".to_owned()] }).unwrap();
        store.revoke("mallory", None).unwrap()
    })
}

/// A network as net-up leaves it, a machine with nothing, and no VPN.
pub(crate) fn bare() -> Live {
    let subnet = |key: &str, zone: &str| Subnet {
        id: format!("subnet-{key}"),
        role: crate::roles::subnet(key),
        name: format!("lab-{key}-subnet"),
        vpc: "vpc-1".into(),
        zone: Some(format!("us-east-1{zone}")),
        free: Some(251),
    };
    Live {
        now: Timestamp::now(),
        endpoints: Vec::new(),
        certificates: Vec::new(),
        log_group: None,
        subnets: vec![subnet("public", "a"), subnet("private", "b")],
        groups: vec![Group { id: "sg-vpn".into(), vpc: "vpc-1".into() }],
        vpc_blocks: vec!["10.0.0.0/16".parse().unwrap()],
        nat_gateways: Vec::new(),
        local: Some(Local::default()),
        unread: None,
    }
}

/// HOL 02's endpoint as EC2 lists it, with nothing that hangs on it.
pub(crate) fn bare_endpoint() -> Endpoint {
    Endpoint {
        id: "cvpn-endpoint-1".into(),
        name: "lab-client-vpn-endpoint".into(),
        state: ClientVpnEndpointStatusCode::Available,
        dns_name: Some("*.cvpn-endpoint-1.example".into()),
        client_cidr: Some("10.83.0.0/16".into()),
        transport: Some("udp".into()),
        port: Some(443),
        split_tunnel: Some(true),
        session_hours: Some(24),
        description: None,
        server: None,
        client_root: None,
        vpc: Some("vpc-1".into()),
        groups: vec!["sg-vpn".into()],
        log_group: None,
        associations: Vec::new(),
        rules: Vec::new(),
        routes: Vec::new(),
        revocation_list: None,
        list_unread: None,
    }
}

/// What a lab's plan is made from, without the live part.
pub(crate) struct Stage {
    want: Want,
    names: Names,
    server: String,
}

impl Stage {
    pub(crate) fn of(lab: &Lab) -> Self {
        let names = Names::new(lab);
        Self { want: want(lab, lab.vpn.as_ref().unwrap(), &names), names, server: server_name(lab) }
    }

    pub(crate) fn scene<'a>(&'a self, live: &'a Live) -> Scene<'a> {
        Scene {
            want: &self.want,
            live,
            names: &self.names,
            authority: "ours",
            server: &self.server,
            directory: "/home/ada/pki",
        }
    }
}
