use super::*;
use crate::ec2::client_vpn::Transport;
use crate::ec2::client_vpn::records::{Association, Interface, Life, Origin, Route, Rule, Settings, Subnet};

const RUNS: HostState = HostState { runs: true, serves: true };

fn block(text: &str) -> Ipv4Net {
    text.parse().expect("a block")
}

/// An endpoint whose association, route and rule are there at once.
fn endpoint(times: &StateTimes) -> Endpoint {
    let life = Life::begin(times.now(), false);
    Endpoint {
        id: "cvpn-endpoint-1".into(),
        region: "us-east-1".into(),
        account: "123456789012".into(),
        settings: Settings {
            client_cidr: block("10.83.0.0/16"),
            server_certificate: "server".into(),
            client_root: "server".into(),
            transport: Transport::Udp,
            port: 443,
            split_tunnel: true,
            description: None,
            dns_servers: vec![],
            vpc: Some("vpc-1".into()),
            groups: vec!["sg-vpn".into()],
            session_hours: 24,
            disconnect_on_session_timeout: true,
            log: None,
            banner: None,
            enforce_routes: false,
        },
        life,
        created_at: String::new(),
        tags: std::collections::BTreeMap::new(),
        associations: vec![Association {
            id: "cvpn-assoc-1".into(),
            subnet: Subnet {
                id: "subnet-1".into(),
                vpc: "vpc-1".into(),
                zone: "us-east-1a".into(),
                cidr: block("10.0.1.0/24"),
                free_addresses: 250,
            },
            life,
            interface: Some(Interface { id: "eni-1".into(), address: Some(Ipv4Addr::new(10, 0, 1, 7)) }),
        }],
        rules: vec![Rule { cidr: block("10.0.0.0/16"), group: None, description: None, life }],
        routes: vec![Route {
            cidr: block("10.0.0.0/16"),
            target: "subnet-1".into(),
            origin: Origin::Associate,
            description: None,
            life,
        }],
        crl: None,
    }
}

fn permission(ports: RangeInclusive<u16>, blocks: &[&str], groups: &[&str]) -> Permission {
    Permission {
        ports,
        blocks: blocks.iter().map(|text| block(text)).collect(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

/// A host that lets the VPN's group in on 22 and 8080.
fn facts() -> Facts {
    let ingress = vec![permission(22..=22, &[], &["sg-vpn"]), permission(8080..=8080, &[], &["sg-vpn"])];
    let everything = || vec![permission(0..=u16::MAX, &["0.0.0.0/0"], &[])];
    Facts {
        instances: vec![Instance {
            id: "i-1".into(),
            name: "lab-private-ec2".into(),
            address: Ipv4Addr::new(10, 0, 2, 5),
            vpc: "vpc-1".into(),
            groups: vec!["sg-host".into()],
        }],
        groups: HashMap::from([
            ("sg-host".into(), Group { ingress, egress: everything() }),
            ("sg-vpn".into(), Group { ingress: vec![], egress: everything() }),
        ]),
        certificates: HashMap::from([(
            "server".into(),
            Secrets {
                bundle: Bundle { certificate: "CERTIFICATE".into(), chain: Some("CHAIN".into()) },
                key: Some(PrivateKey::for_tests("KEY")),
            },
        )]),
    }
}

fn draw_now(endpoint: &Endpoint, facts: &Facts, times: &StateTimes, state: HostState) -> Picture {
    draw(std::slice::from_ref(endpoint), facts, times, |_| state)
}

/// What the clients of the only gate reach of the only host.
fn reached(endpoint: &Endpoint, facts: &Facts, times: &StateTimes) -> Vec<RangeInclusive<u16>> {
    let picture = draw_now(endpoint, facts, times, RUNS);
    picture.gates[0].openings.iter().flat_map(|(_, ports)| ports.clone()).collect()
}

#[test]
fn a_gate_opens_when_a_subnet_is_associated() {
    let real = StateTimes::new(1.0);
    let endpoint = endpoint(&real);
    assert!(draw_now(&endpoint, &facts(), &real, RUNS).gates.is_empty(), "it is still associating");
    real.advance(real.vpn_association_start());
    let picture = draw_now(&endpoint, &facts(), &real, RUNS);
    let gate = &picture.gates[0];
    assert_eq!(gate.domain, "cvpn-endpoint-1.prod.clientvpn.us-east-1.amazonaws.com");
    assert_eq!(gate.pushes, ["route 10.0.0.0 255.255.0.0"]);
    assert_eq!(gate.server.client_root, "CHAIN");
    let mut without = endpoint.clone();
    without.associations[0].life.end(real.now());
    assert!(draw_now(&without, &facts(), &real, RUNS).gates.is_empty());
}

#[test]
fn rules_routes_and_groups_decide_together() {
    let times = StateTimes::new(0.0);
    let endpoint = endpoint(&times);
    assert_eq!(reached(&endpoint, &facts(), &times), [22..=22, 8080..=8080]);

    let mut unauthorized = endpoint.clone();
    unauthorized.rules.clear();
    assert!(reached(&unauthorized, &facts(), &times).is_empty());
    let mut unrouted = endpoint.clone();
    unrouted.routes.clear();
    assert!(reached(&unrouted, &facts(), &times).is_empty());

    let ingress_of = |ingress: Vec<Permission>| {
        let mut facts = facts();
        facts.groups.get_mut("sg-host").expect("the group").ingress = ingress;
        reached(&endpoint, &facts, &times)
    };
    assert!(
        ingress_of(vec![permission(22..=22, &["10.83.0.0/16"], &[])]).is_empty(),
        "clients' addresses are translated"
    );
    assert_eq!(
        ingress_of(vec![permission(22..=22, &["10.0.1.0/24"], &[])]),
        [22..=22],
        "to the endpoint's interface's"
    );
    assert!(ingress_of(vec![permission(22..=22, &[], &["sg-other"])]).is_empty());

    let mut closed = facts();
    closed.groups.get_mut("sg-vpn").expect("the group").egress = vec![permission(8080..=8080, &[], &["sg-host"])];
    assert_eq!(reached(&endpoint, &closed, &times), [8080..=8080], "the endpoint's group must let out");
}

#[test]
fn hosts_answer_when_they_run_and_serve_when_they_are_set_up() {
    let times = StateTimes::new(0.0);
    let endpoint = endpoint(&times);
    let ports = |state| {
        let picture = draw_now(&endpoint, &facts(), &times, state);
        picture.services.iter().map(|service| service.port).collect::<Vec<_>>()
    };
    assert_eq!(ports(RUNS), [22, 8080]);
    assert_eq!(ports(HostState { runs: true, serves: false }), [22]);
    assert!(ports(HostState { runs: false, serves: false }).is_empty());
}

#[test]
fn without_split_tunnel_everything_goes_through() {
    let times = StateTimes::new(0.0);
    let mut endpoint = endpoint(&times);
    endpoint.settings.split_tunnel = false;
    endpoint.settings.dns_servers = vec![Ipv4Addr::new(10, 0, 0, 2)];
    let picture = draw_now(&endpoint, &facts(), &times, RUNS);
    assert_eq!(picture.gates[0].pushes, ["redirect-gateway def1", "dhcp-option DNS 10.0.0.2"]);
}

#[test]
fn motos_lists_are_read() {
    let root = Element::parse(
        b"<R><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><vpcId>vpc-1</vpcId>\
          <privateIpAddress>10.0.2.5</privateIpAddress><networkInterfaceSet><item><groupSet><item><groupId>sg-1</groupId>\
          </item></groupSet></item></networkInterfaceSet><tagSet><item><key>Name</key><value>host</value></item></tagSet>\
          </item><item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet></R>",
    )
    .expect("XML");
    let instances = read_instances(&root);
    assert_eq!(instances.len(), 1, "one without an address is not there");
    assert_eq!((instances[0].name.as_str(), instances[0].groups.as_slice()), ("host", ["sg-1".to_owned()].as_slice()));

    let group = Element::parse(
        b"<item><groupId>sg-1</groupId><ipPermissions><item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort>\
          <toPort>22</toPort><groups><item><groupId>sg-2</groupId></item></groups></item><item><ipProtocol>udp</ipProtocol>\
          <fromPort>1</fromPort><toPort>2</toPort></item></ipPermissions><ipPermissionsEgress><item>\
          <ipProtocol>-1</ipProtocol><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges></item>\
          </ipPermissionsEgress></item>",
    )
    .expect("XML");
    let (_, group) = read_group(&group).expect("a group");
    assert_eq!(group.ingress, [permission(22..=22, &[], &["sg-2"])]);
    assert_eq!(group.egress, [permission(0..=u16::MAX, &["0.0.0.0/0"], &[])]);
}
