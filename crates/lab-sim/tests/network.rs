//! EC2 as strict as AWS, through a lab's network and one host.

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::Sim;

/// A VPC with a public subnet, a gateway and a group, and an instance in it.
struct Lab {
    vpc: String,
    subnet: String,
    gateway: String,
    group: String,
}

fn make_lab(sim: &Sim) -> Lab {
    let vpc = sim.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).ok().element("vpcId");
    let subnet = sim.ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", "10.0.1.0/24")]).ok().element("subnetId");
    sim.ec2("ModifySubnetAttribute", &[("SubnetId", &subnet), ("MapPublicIpOnLaunch.Value", "true")]).ok();
    let gateway = sim.ec2("CreateInternetGateway", &[]).ok().element("internetGatewayId");
    sim.ec2("AttachInternetGateway", &[("VpcId", &vpc), ("InternetGatewayId", &gateway)]).ok();
    let group = [("GroupName", "g"), ("GroupDescription", "d"), ("VpcId", &vpc)];
    let group = sim.ec2("CreateSecurityGroup", &group).ok().element("groupId");
    Lab { vpc, subnet, gateway, group }
}

/// An instance's state as it is shown.
fn state(sim: &Sim, id: &str) -> String {
    let reply = sim.ec2("DescribeInstances", &[("InstanceId.1", id)]).ok();
    let state = reply.element("instanceState");
    state.split("<name>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned()
}

#[test]
fn an_instance_lives_as_on_aws_and_blocks_what_it_uses() {
    let sim = Sim::start(&["--real-times"]);
    let lab = make_lab(&sim);
    let name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id";
    let image = sim.json("ssm", "AmazonSSM.GetParameter", &serde_json::json!({ "Name": name })).ok().json();
    let image = image["Parameter"]["Value"].as_str().expect("an image").to_owned();
    let user_data = STANDARD.encode("#!/bin/sh\necho 'hybrid-lab: ready' >/dev/console\n");
    let launch = |size: &str| {
        let parameters = [
            ("ImageId", image.as_str()),
            ("InstanceType", size),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", &lab.subnet),
            ("SecurityGroupId.1", &lab.group),
            ("ClientToken", "one"),
            ("UserData", &user_data),
        ];
        sim.ec2("RunInstances", &parameters)
    };
    let id = launch("t3.micro").ok().element("instanceId");
    assert_eq!(launch("t3.micro").ok().element("instanceId"), id, "the token makes it safe to repeat");
    assert_eq!(launch("t3.small").refusal(), (400, "IdempotentParameterMismatch".to_owned()));

    assert_eq!(state(&sim, &id), "pending");
    let running = [("Filter.1.Name", "instance-state-name"), ("Filter.1.Value.1", "running")];
    assert!(
        sim.ec2("DescribeInstances", &running).ok().elements("instanceId").is_empty(),
        "a filter sees shown states"
    );
    sim.advance(20);
    assert_eq!(state(&sim, &id), "running");
    let status = sim.ec2("DescribeInstanceStatus", &[("InstanceId.1", &id)]).ok();
    assert!(status.text().contains("initializing"), "{}", status.text());
    sim.advance(100);
    let status = sim.ec2("DescribeInstanceStatus", &[("InstanceId.1", &id)]).ok();
    assert!(!status.text().contains("initializing"), "{}", status.text());
    let console = |latest| sim.ec2("GetConsoleOutput", &[("InstanceId", &id), ("Latest", latest)]).ok();
    let shows_marker = |latest| {
        let output = console(latest).elements("output").pop().unwrap_or_default();
        let text = STANDARD.decode(output).expect("base64");
        String::from_utf8_lossy(&text).lines().any(|line| line == "hybrid-lab: ready")
    };
    assert!(!shows_marker("true"), "cloud-init is still at work");
    sim.advance(60);
    assert!(shows_marker("true"));
    assert!(!shows_marker("false"), "without Latest it comes an hour later");

    let shown = sim.ec2("DescribeInstances", &[("InstanceId.1", &id)]).ok();
    let address = shown.element("ipAddress");
    assert!(address.starts_with("203.0.113."), "{address}");
    let nics =
        sim.ec2("DescribeNetworkInterfaces", &[("Filter.1.Name", "subnet-id"), ("Filter.1.Value.1", &lab.subnet)]);
    assert_eq!(nics.element("publicIp"), address, "the interface shows the same address");
    let by_address = [("Filter.1.Name", "ip-address"), ("Filter.1.Value.1", address.as_str())];
    assert_eq!(sim.ec2("DescribeInstances", &by_address).ok().element("instanceId"), id);

    let violation = (400, "DependencyViolation".to_owned());
    let detach = [("VpcId", lab.vpc.as_str()), ("InternetGatewayId", lab.gateway.as_str())];
    assert_eq!(sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).refusal(), violation);
    assert_eq!(sim.ec2("DeleteSecurityGroup", &[("GroupId", &lab.group)]).refusal(), violation);
    assert_eq!(sim.ec2("DetachInternetGateway", &detach).refusal(), violation);
    assert_eq!(sim.ec2("DeleteVpc", &[("VpcId", &lab.vpc)]).refusal(), violation);

    sim.ec2("TerminateInstances", &[("InstanceId.1", &id)]).ok();
    assert_eq!(state(&sim, &id), "shutting-down");
    assert_eq!(launch("t3.micro").refusal(), (400, "IdempotentInstanceTerminated".to_owned()));
    assert_eq!(sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).refusal(), violation, "while it ends");
    sim.advance(40);
    assert_eq!(state(&sim, &id), "terminated");

    sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).ok();
    sim.ec2("DeleteSecurityGroup", &[("GroupId", &lab.group)]).ok();
    sim.ec2("DetachInternetGateway", &detach).ok();
    sim.ec2("DeleteInternetGateway", &[("InternetGatewayId", &lab.gateway)]).ok();
    sim.ec2("DeleteVpc", &[("VpcId", &lab.vpc)]).ok();
    assert!(sim.ec2("DescribeNetworkInterfaces", &[]).ok().elements("networkInterfaceId").is_empty());
}

#[test]
fn what_aws_refuses_is_refused() {
    let sim = Sim::start(&["--real-times", "--disabled-region", "us-west-2"]);
    let dry_run = sim.ec2("CreateVpc", &[("CidrBlock", "10.9.0.0/16"), ("DryRun", "true")]);
    assert_eq!(dry_run.refusal(), (412, "DryRunOperation".to_owned()));
    assert!(!sim.ec2("DescribeVpcs", &[]).ok().text().contains("10.9.0.0"), "a dry run makes nothing");

    let lab = make_lab(&sim);
    let table = [("VpcId", lab.vpc.as_str()), ("ClientToken", "t")];
    let first = sim.ec2("CreateRouteTable", &table).ok().element("routeTableId");
    assert_eq!(sim.ec2("CreateRouteTable", &table).ok().element("routeTableId"), first);

    let other = [("GroupName", "h"), ("GroupDescription", "d"), ("VpcId", lab.vpc.as_str())];
    let other = sim.ec2("CreateSecurityGroup", &other).ok().element("groupId");
    let rule = [
        ("GroupId", other.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.Groups.1.GroupId", lab.group.as_str()),
    ];
    sim.ec2("AuthorizeSecurityGroupIngress", &rule).ok();
    let violation = (400, "DependencyViolation".to_owned());
    assert_eq!(
        sim.ec2("DeleteSecurityGroup", &[("GroupId", &lab.group)]).refusal(),
        violation,
        "another group names it"
    );
    sim.ec2("DeleteSecurityGroup", &[("GroupId", &other)]).ok();
    sim.ec2("DeleteSecurityGroup", &[("GroupId", &lab.group)]).ok();

    let allocation = sim.ec2("AllocateAddress", &[("Domain", "vpc")]).ok().element("allocationId");
    let gateway = [("SubnetId", lab.subnet.as_str()), ("AllocationId", &allocation), ("ClientToken", "n")];
    let gateway = sim.ec2("CreateNatGateway", &gateway).ok().element("natGatewayId");
    let release = || sim.ec2("ReleaseAddress", &[("AllocationId", &allocation)]);
    assert_eq!(release().refusal(), (400, "AuthFailure".to_owned()), "a NAT gateway holds it");
    assert_eq!(sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).refusal(), violation);
    sim.ec2("DeleteNatGateway", &[("NatGatewayId", &gateway)]).ok();
    let shown = || sim.ec2("DescribeNatGateways", &[("NatGatewayId.1", &gateway)]).ok().element("state");
    assert_eq!((shown().as_str(), release().status), ("deleting", 400));
    sim.advance(60);
    assert_eq!(shown(), "deleted");
    release().ok();
    sim.ec2("DeleteSubnet", &[("SubnetId", &lab.subnet)]).ok();

    let elsewhere = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-west-2/ec2/aws4_request, Signature=0";
    let reply = sim.request_as(elsewhere, &support::form("ec2", "DescribeVpcs", &[]));
    assert_eq!(reply.refusal(), (401, "AuthFailure".to_owned()));
}

#[test]
fn a_private_host_is_ready_only_after_a_nat_window() {
    let sim = Sim::start(&["--real-times"]);
    let lab = make_lab(&sim);
    let private = [("VpcId", lab.vpc.as_str()), ("CidrBlock", "10.0.2.0/24")];
    let private = sim.ec2("CreateSubnet", &private).ok().element("subnetId");
    let user_data = STANDARD.encode("#!/bin/sh\necho 'hybrid-lab: ready' >/dev/console\n");
    let parameters = [
        ("ImageId", "ami-0b240400000000864"),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", &private),
        ("UserData", &user_data),
    ];
    let id = sim.ec2("RunInstances", &parameters).ok().element("instanceId");
    let is_ready = || {
        let reply = sim.ec2("GetConsoleOutput", &[("InstanceId", &id), ("Latest", "true")]).ok();
        let output = STANDARD.decode(reply.elements("output").pop().unwrap_or_default()).expect("base64");
        String::from_utf8_lossy(&output).lines().any(|line| line == "hybrid-lab: ready")
    };
    sim.advance(3600);
    assert!(!is_ready(), "without a way to the internet it installs nothing");

    let main = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", lab.vpc.as_str()),
        ("Filter.2.Name", "association.main"),
        ("Filter.2.Value.1", "true"),
    ];
    let table = sim.ec2("DescribeRouteTables", &main).ok().element("routeTableId");
    let allocation = sim.ec2("AllocateAddress", &[("Domain", "vpc")]).ok().element("allocationId");
    let gateway = [("SubnetId", lab.subnet.as_str()), ("AllocationId", &allocation)];
    let gateway = sim.ec2("CreateNatGateway", &gateway).ok().element("natGatewayId");
    let everything = [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0")];
    sim.ec2("CreateRoute", &[&everything[..], &[("NatGatewayId", &gateway)]].concat()).ok();
    sim.advance(90);
    assert!(!is_ready(), "the gateway has only just become available");
    sim.advance(100);
    sim.ec2("DeleteRoute", &everything).ok();
    sim.advance(3600);
    assert!(!is_ready(), "the window closed too early");
    sim.ec2("CreateRoute", &[&everything[..], &[("NatGatewayId", &gateway)]].concat()).ok();
    sim.advance(80);
    assert!(is_ready());
    sim.ec2("DeleteNatGateway", &[("NatGatewayId", &gateway)]).ok();
    assert!(is_ready(), "and it stays so");
}

#[test]
fn a_nat_gateway_fails_where_it_cannot_work_or_a_rule_says_so() {
    let sim = Sim::start(&["--real-times"]);
    let lab = make_lab(&sim);
    let allocation = sim.ec2("AllocateAddress", &[("Domain", "vpc")]).ok().element("allocationId");
    let gateway = [("SubnetId", lab.subnet.as_str()), ("AllocationId", &allocation)];
    let fail = || {
        let id = sim.ec2("CreateNatGateway", &gateway).ok().element("natGatewayId");
        sim.advance(90);
        sim.ec2("DescribeNatGateways", &[("NatGatewayId.1", &id)]).ok()
    };
    sim.set_faults(&serde_json::json!([{ "action": "CreateNatGateway", "effect": "fail-later" }]));
    assert_eq!(fail().element("state"), "failed");
    sim.set_faults(&serde_json::json!([]));
    let detach = [("VpcId", lab.vpc.as_str()), ("InternetGatewayId", lab.gateway.as_str())];
    sim.ec2("DetachInternetGateway", &detach).ok();
    let failed = fail();
    assert_eq!(
        (failed.element("state").as_str(), failed.element("failureCode").as_str()),
        ("failed", "Gateway.NotAttached")
    );
    sim.ec2("ReleaseAddress", &[("AllocationId", &allocation)]).ok();
}
