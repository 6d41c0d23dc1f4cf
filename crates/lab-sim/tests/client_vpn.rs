//! Client VPN as strict and as slow as AWS, over the whole life of an endpoint.

mod support;

use serde_json::json;
use support::Sim;
use support::pki::{Authority, import};

/// A VPC with two subnets in two zones, a group, and a server certificate in ACM.
struct Lab {
    vpc: String,
    subnet: String,
    group: String,
    certificate: String,
}

fn make_subnet(sim: &Sim, vpc: &str, cidr: &str, zone: &str) -> String {
    let parameters = [("VpcId", vpc), ("CidrBlock", cidr), ("AvailabilityZone", zone)];
    sim.ec2("CreateSubnet", &parameters).ok().element("subnetId")
}

fn make_lab(sim: &Sim, authority: &Authority) -> Lab {
    let vpc = sim.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).ok().element("vpcId");
    let subnet = make_subnet(sim, &vpc, "10.0.1.0/24", "us-east-1a");
    let group = [("GroupName", "vpn"), ("GroupDescription", "d"), ("VpcId", &vpc)];
    let group = sim.ec2("CreateSecurityGroup", &group).ok().element("groupId");
    let certificate = import(sim, &authority.server("vpn.lab.internal"), &authority.pem());
    Lab { vpc, subnet, group, certificate }
}

impl Lab {
    /// The parameters of an endpoint; `changes` replace or add some.
    fn endpoint<'a>(&'a self, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let standard = [
            ("ClientCidrBlock", "10.83.0.0/16"),
            ("ServerCertificateArn", self.certificate.as_str()),
            ("Authentication.1.Type", "certificate-authentication"),
            ("Authentication.1.MutualAuthentication.ClientRootCertificateChainArn", self.certificate.as_str()),
            ("ConnectionLogOptions.Enabled", "false"),
            ("SplitTunnel", "true"),
            ("VpcId", self.vpc.as_str()),
            ("SecurityGroupId.1", self.group.as_str()),
        ];
        let kept = standard.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        kept.chain(changes.iter().copied()).collect()
    }
}

/// The state in the only `<status>` of an answer.
fn state(reply: &support::Reply) -> String {
    let status = reply.element("status");
    status.split("<code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned()
}

#[test]
fn an_endpoint_lives_as_on_aws() {
    let sim = Sim::start(&["--real-times"]);
    let authority = Authority::new("lab CA");
    let lab = make_lab(&sim, &authority);

    let tagged = [
        ("TagSpecification.1.ResourceType", "client-vpn-endpoint"),
        ("TagSpecification.1.Tag.1.Key", "hybrid-lab:role"),
        ("TagSpecification.1.Tag.1.Value", "vpn"),
        ("ClientToken", "one"),
    ];
    let created = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&tagged)).ok();
    let id = created.element("clientVpnEndpointId");
    assert_eq!(state(&created), "pending-associate");
    assert_eq!(created.element("dnsName"), format!("*.{id}.prod.clientvpn.us-east-1.amazonaws.com"));
    let again = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&tagged)).ok();
    assert_eq!(again.element("clientVpnEndpointId"), id, "the token makes it safe to repeat");
    let other = [&tagged[..], &[("VpnPort", "1194")]].concat();
    let other = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&other));
    assert_eq!(other.refusal(), (400, "IdempotentParameterMismatch".to_owned()));

    let on = |action: &str, parameters: &[(&str, &str)]| {
        sim.ec2(action, &[&[("ClientVpnEndpointId", id.as_str())], parameters].concat())
    };
    let by_tag = [("Filter.1.Name", "tag:hybrid-lab:role"), ("Filter.1.Value.1", "vpn")];
    let find = || sim.ec2("DescribeClientVpnEndpoints", &by_tag).ok();
    assert_eq!(find().elements("clientVpnEndpointId"), std::slice::from_ref(&id));

    let association = on("AssociateClientVpnTargetNetwork", &[("SubnetId", &lab.subnet)]).ok();
    assert_eq!(state(&association), "associating");
    let association = association.element("associationId");
    let networks = || on("DescribeClientVpnTargetNetworks", &[]).ok();
    assert_eq!((state(&networks()).as_str(), state(&find()).as_str()), ("associating", "pending-associate"));
    let disassociate = || on("DisassociateClientVpnTargetNetwork", &[("AssociationId", &association)]);
    assert_eq!(disassociate().refusal(), (400, "IncorrectState".to_owned()), "not while it associates");

    let rule = [("TargetNetworkCidr", "10.0.0.0/16"), ("AuthorizeAllGroups", "true")];
    assert_eq!(state(&on("AuthorizeClientVpnIngress", &rule).ok()), "authorizing");
    let twice = on("AuthorizeClientVpnIngress", &rule).refusal();
    assert_eq!(twice, (400, "InvalidClientVpnDuplicateAuthorizationRule".to_owned()));
    let route = [("DestinationCidrBlock", "10.9.0.0/16"), ("TargetVpcSubnetId", lab.subnet.as_str())];
    let early = on("CreateClientVpnRoute", &route).refusal();
    assert_eq!(early, (400, "InvalidClientVpnActiveAssociationNotFound".to_owned()));

    sim.advance(360);
    assert_eq!((state(&networks()).as_str(), state(&find()).as_str()), ("associated", "available"));
    assert_eq!(state(&on("DescribeClientVpnAuthorizationRules", &[]).ok()), "active");
    assert_eq!(state(&on("CreateClientVpnRoute", &route).ok()), "creating");
    assert_eq!(on("CreateClientVpnRoute", &route).refusal(), (400, "InvalidClientVpnDuplicateRoute".to_owned()));
    let added = [("Filter.1.Name", "origin"), ("Filter.1.Value.1", "add-route")];
    sim.advance(90);
    assert_eq!(state(&on("DescribeClientVpnRoutes", &added).ok()), "active");
    let routes = on("DescribeClientVpnRoutes", &[]).ok();
    assert_eq!(
        routes.elements("destinationCidr"),
        ["10.0.0.0/16", "10.9.0.0/16"],
        "the VPC's came with the association"
    );
    let local = [("DestinationCidrBlock", "10.0.0.0/16"), ("TargetVpcSubnetId", lab.subnet.as_str())];
    assert_eq!(on("DeleteClientVpnRoute", &local).refusal(), (400, "InvalidParameterValue".to_owned()));

    let violation = (400, "DependencyViolation".to_owned());
    assert_eq!(sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).refusal(), violation);
    assert_eq!(sim.ec2("DeleteSecurityGroup", &[("GroupId", &lab.group)]).refusal(), violation);
    assert_eq!(sim.ec2("DeleteVpc", &[("VpcId", &lab.vpc)]).refusal(), violation);
    let interfaces = sim.ec2("DescribeNetworkInterfaces", &[]).ok();
    assert_eq!(interfaces.element("description"), "ClientVPN Endpoint resource");
    let of_certificate = json!({ "CertificateArn": lab.certificate });
    let delete_certificate = || sim.json("acm", "CertificateManager.DeleteCertificate", &of_certificate);
    assert!(delete_certificate().text().contains("ResourceInUseException"));
    let shown = sim.json("acm", "CertificateManager.DescribeCertificate", &of_certificate).ok().json();
    assert_eq!(shown["Certificate"]["InUseBy"].as_array().map(Vec::len), Some(1));

    let exists = (400, "ClientVpnEndpointAssociationExists".to_owned());
    assert_eq!(on("DeleteClientVpnEndpoint", &[]).refusal(), exists);
    assert_eq!(state(&disassociate().ok()), "disassociating");
    assert_eq!(on("DeleteClientVpnEndpoint", &[]).refusal(), exists, "it is still there");
    assert_eq!(sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).refusal(), violation);
    sim.advance(240);
    assert_eq!((state(&networks()).as_str(), state(&find()).as_str()), ("disassociated", "pending-associate"));
    sim.advance(60);
    assert!(networks().elements("associationId").is_empty());
    assert!(on("DescribeClientVpnRoutes", &[]).ok().elements("destinationCidr").is_empty(), "routes went with it");
    assert_eq!(disassociate().refusal(), (400, "InvalidClientVpnAssociationIdNotFound".to_owned()));

    assert_eq!(state(&on("DeleteClientVpnEndpoint", &[]).ok()), "deleting");
    assert_eq!(state(&find()), "deleting");
    assert!(delete_certificate().text().contains("ResourceInUseException"), "until the endpoint is gone");
    sim.advance(60);
    assert_eq!(
        on("DescribeClientVpnTargetNetworks", &[]).refusal(),
        (400, "InvalidClientVpnEndpointId.NotFound".to_owned())
    );
    delete_certificate().ok();
    sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).ok();
    sim.ec2("DeleteSecurityGroup", &[("GroupId", &lab.group)]).ok();
    sim.ec2("DeleteVpc", &[("VpcId", &lab.vpc)]).ok();
}

#[test]
fn what_aws_refuses_is_refused() {
    let sim = Sim::start(&["--real-times"]);
    let authority = Authority::new("lab CA");
    let lab = make_lab(&sim, &authority);
    let undotted = import(&sim, &authority.server("server"), &authority.pem());
    let client = import(&sim, &authority.client("laptop.lab", 2), &authority.pem());
    let elsewhere = lab.certificate.replace("us-east-1", "eu-west-1");

    let invalid = (400, "InvalidParameterValue".to_owned());
    for change in [
        ("ClientCidrBlock", "10.0.0.0/11"),
        ("ClientCidrBlock", "10.83.0.0/23"),
        ("ClientCidrBlock", "10.83.0.1/16"),
        ("ClientCidrBlock", "10.0.0.0/12"),
        ("ClientCidrBlock", "ten"),
        ("ServerCertificateArn", undotted.as_str()),
        ("ServerCertificateArn", client.as_str()),
        ("ServerCertificateArn", elsewhere.as_str()),
        ("TransportProtocol", "sctp"),
        ("VpnPort", "8443"),
        ("SessionTimeoutHours", "9"),
        ("SplitTunnel", "maybe"),
        ("ConnectionLogOptions.Enabled", "perhaps"),
    ] {
        assert_eq!(sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[change])).refusal(), invalid, "{change:?}");
    }
    let no_domain = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[("ServerCertificateArn", &undotted)]));
    assert!(no_domain.element("Message").ends_with("does not have a domain"));
    let no_vpc = lab.endpoint(&[("VpcId", "")]);
    assert_eq!(sim.ec2("CreateClientVpnEndpoint", &no_vpc).refusal(), (400, "MissingParameter".to_owned()));
    let dry_run = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[("DryRun", "true")]));
    assert_eq!(dry_run.refusal(), (412, "DryRunOperation".to_owned()));
    assert!(sim.ec2("DescribeClientVpnEndpoints", &[]).ok().elements("clientVpnEndpointId").is_empty());

    let id = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[])).ok().element("clientVpnEndpointId");
    let associate = |subnet: &str| {
        sim.ec2("AssociateClientVpnTargetNetwork", &[("ClientVpnEndpointId", &id), ("SubnetId", subnet)])
    };
    let code = |subnet: &str| associate(subnet).refusal().1;
    assert_eq!(code("subnet-00000000000000000"), "InvalidSubnetID.NotFound");
    let other_vpc = sim.ec2("CreateVpc", &[("CidrBlock", "10.7.0.0/16")]).ok().element("vpcId");
    assert_eq!(code(&make_subnet(&sim, &other_vpc, "10.7.1.0/24", "us-east-1b")), "InvalidClientVpnSubnetId.NotFound");
    assert_eq!(code(&make_subnet(&sim, &lab.vpc, "10.0.8.0/28", "us-east-1b")), "InvalidParameterValue");
    associate(&lab.subnet).ok();
    assert_eq!(code(&lab.subnet), "InvalidClientVpnDuplicateAssociationException");
    assert_eq!(code(&make_subnet(&sim, &lab.vpc, "10.0.3.0/24", "us-east-1a")), "InvalidClientVpnSubnetId.DuplicateAz");

    for _ in 0..4 {
        sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[])).ok();
    }
    let sixth = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[]));
    assert_eq!(sixth.refusal(), (400, "ClientVpnEndpointLimitExceeded".to_owned()));
    let page = sim.ec2("DescribeClientVpnEndpoints", &[("MaxResults", "5")]).ok();
    assert_eq!(page.elements("clientVpnEndpointId").len(), 5);
    let unknown = [("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")];
    assert_eq!(sim.ec2("DescribeClientVpnEndpoints", &unknown).refusal(), invalid);
    let reply = sim.ec2("DescribeClientVpnEndpoints", &[("ClientVpnEndpointId.1", "cvpn-endpoint-1")]);
    assert_eq!(reply.refusal(), (400, "InvalidClientVpnEndpointId.NotFound".to_owned()));
}

#[test]
fn the_exported_configuration_has_aws_shape() {
    let sim = Sim::start(&[]);
    let authority = Authority::new("lab CA");
    let lab = make_lab(&sim, &authority);
    let tcp = lab.endpoint(&[("TransportProtocol", "tcp"), ("VpnPort", "1194")]);
    let id = sim.ec2("CreateClientVpnEndpoint", &tcp).ok().element("clientVpnEndpointId");
    let reply = sim.ec2("ExportClientVpnClientConfiguration", &[("ClientVpnEndpointId", &id)]).ok();
    let text = reply.element("clientConfiguration").replace("&lt;", "<").replace("&gt;", ">");
    let remote = format!("remote {id}.prod.clientvpn.us-east-1.amazonaws.com 1194");
    let head: Vec<&str> = text.lines().take(11).collect();
    assert_eq!(
        head,
        [
            "client",
            "dev tun",
            "proto tcp",
            &remote,
            "remote-random-hostname",
            "resolv-retry infinite",
            "nobind",
            "remote-cert-tls server",
            "cipher AES-256-GCM",
            "verb 3",
            "<ca>"
        ]
    );
    let tail: Vec<&str> = text.lines().skip_while(|line| *line != "</ca>").filter(|line| !line.is_empty()).collect();
    assert_eq!(tail, ["</ca>", "reneg-sec 0", "verify-x509-name vpn.lab.internal name"]);
    assert!(text.contains(authority.pem().trim()), "{text}");
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1, "the chain is the imported one");
    assert!(!text.contains("PRIVATE KEY"), "no key is in it");
}

#[test]
fn faults_spoil_client_vpn_like_everything_else() {
    let sim = Sim::start(&["--real-times"]);
    let authority = Authority::new("lab CA");
    let lab = make_lab(&sim, &authority);
    let ids = || sim.ec2("DescribeClientVpnEndpoints", &[]).ok().elements("clientVpnEndpointId");

    sim.set_faults(&json!([{ "action": "CreateClientVpnEndpoint", "effect": "reset-after" }]));
    let body = support::form("ec2", "CreateClientVpnEndpoint", &lab.endpoint(&[("ClientToken", "lost")]));
    assert!(sim.try_request("ec2", "POST", "/", &support::FORM, body.as_bytes()).is_none(), "the answer is lost");
    let made = ids();
    sim.set_faults(&json!([]));
    let again = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[("ClientToken", "lost")])).ok();
    assert_eq!(ids(), made, "the token finds it");

    sim.set_faults(&json!([{ "action": "CreateClientVpnEndpoint", "effect": { "late-visibility-ms": 60_000 } }]));
    let late = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[])).ok().element("clientVpnEndpointId");
    let associate = |id: &str| {
        sim.ec2("AssociateClientVpnTargetNetwork", &[("ClientVpnEndpointId", id), ("SubnetId", &lab.subnet)])
    };
    assert_eq!(associate(&late).refusal(), (400, "InvalidClientVpnEndpointId.NotFound".to_owned()));
    assert_eq!(ids(), made, "and no list shows it");
    sim.advance(60);
    assert_eq!(ids().len(), 2);

    sim.set_faults(&json!([{ "action": "AssociateClientVpnTargetNetwork", "effect": "fail-later" }]));
    let id = again.element("clientVpnEndpointId");
    assert_eq!(state(&associate(&id).ok()), "associating");
    sim.advance(360);
    let networks = || sim.ec2("DescribeClientVpnTargetNetworks", &[("ClientVpnEndpointId", &id)]).ok();
    assert_eq!(state(&networks()), "association-failed");
    let association = networks().element("associationId");
    let parameters = [("ClientVpnEndpointId", id.as_str()), ("AssociationId", &association)];
    sim.ec2("DisassociateClientVpnTargetNetwork", &parameters).ok();

    sim.control("POST", "reset", "").ok();
    assert!(ids().is_empty(), "a reset forgets endpoints too");
}

#[test]
fn tags_and_revocation_lists_belong_to_their_endpoint() {
    let sim = Sim::start(&["--real-times"]);
    let authority = Authority::new("lab CA");
    let lab = make_lab(&sim, &authority);
    let id = sim.ec2("CreateClientVpnEndpoint", &lab.endpoint(&[])).ok().element("clientVpnEndpointId");

    let both =
        [("ResourceId.1", id.as_str()), ("ResourceId.2", &lab.vpc), ("Tag.1.Key", "Name"), ("Tag.1.Value", "lab")];
    sim.ec2("CreateTags", &both).ok();
    let named = [("Filter.1.Name", "key"), ("Filter.1.Value.1", "Name")];
    let mut tagged = sim.ec2("DescribeTags", &named).ok().elements("resourceId");
    tagged.sort();
    assert_eq!(tagged, [id.clone(), lab.vpc.clone()]);
    sim.ec2("DeleteTags", &[("ResourceId.1", id.as_str()), ("Tag.1.Key", "Name")]).ok();
    assert_eq!(sim.ec2("DescribeTags", &named).ok().elements("resourceId"), std::slice::from_ref(&lab.vpc));
    let nobody = [("ResourceId.1", "cvpn-endpoint-00000000000000000"), ("Tag.1.Key", "k"), ("Tag.1.Value", "v")];
    assert_eq!(sim.ec2("CreateTags", &nobody).refusal(), (400, "InvalidClientVpnEndpointId.NotFound".to_owned()));

    let crl = |pem: &str| {
        let parameters = [("ClientVpnEndpointId", id.as_str()), ("CertificateRevocationList", pem)];
        sim.ec2("ImportClientVpnClientCertificateRevocationList", &parameters)
    };
    let foreign = Authority::new("other CA").revoke(&[2]);
    assert_eq!(crl(&foreign).refusal(), (400, "InvalidParameterValue".to_owned()));
    let ours = authority.revoke(&[2]);
    crl(&ours).ok();
    let export =
        || sim.ec2("ExportClientVpnClientCertificateRevocationList", &[("ClientVpnEndpointId", id.as_str())]).ok();
    assert_eq!((export().element("certificateRevocationList"), state(&export())), (ours, "pending".to_owned()));
    sim.advance(60);
    assert_eq!(state(&export()), "active");

    let modified = [
        ("ClientVpnEndpointId", id.as_str()),
        ("Description", "changed"),
        ("SplitTunnel", "false"),
        ("VpnPort", "1194"),
        ("DnsServers.Enabled", "true"),
        ("DnsServers.CustomDnsServers.1", "10.0.0.2"),
    ];
    sim.ec2("ModifyClientVpnEndpoint", &modified).ok();
    let shown = sim.ec2("DescribeClientVpnEndpoints", &[("ClientVpnEndpointId.1", &id)]).ok();
    let shown = ["description", "splitTunnel", "vpnPort", "clientCidrBlock"].map(|name| shown.element(name));
    assert_eq!(shown, ["changed", "false", "1194", "10.83.0.0/16"], "what is not named stays");
}
