//! What somebody does to a lab with AWS's console, past our programs.

use serde_json::json;

use super::census::elements;
use crate::LocalAws;

/// A change behind our back: what it is called, and how it is made.
pub(super) type Change = (&'static str, fn(&LocalAws));

/// What `up` must mend, in rounds of changes that do not get in each other's way.
pub(super) const MENDED: [&[Change]; 3] = [
    &[
        ("a rule added to a group", add_rule),
        ("the public route deleted", delete_route),
        ("the subnet's route table taken off", disassociate_table),
        ("the VPN's subnet taken off", disassociate_vpn),
        ("the function's trigger removed", |aws| drop(remove_trigger(aws))),
        ("the function's permission removed", remove_permission),
        ("the function role's policy removed", |aws| delete_role_policies(aws, "lab-lambda-role-")),
        ("the key pair deleted", delete_key_pair),
    ],
    &[
        ("an instance terminated", |aws| terminate(aws, "lab-public-ec2")),
        ("the subnet put behind another route table", replace_table),
        ("a host's subnet deleted", delete_private_subnet),
        ("the VPN's rule revoked", revoke_vpn_rule),
        ("the function deleted", delete_function),
        ("the input bucket deleted", |aws| delete_bucket(aws, "input")),
        ("the log group deleted", delete_log_group),
    ],
    &[
        ("a group's rule removed", remove_rules),
        ("the output bucket deleted", |aws| delete_bucket(aws, "output")),
        ("the host role's policy removed", |aws| delete_role_policies(aws, "lab-host-role-")),
        ("a bucket's policy removed", |aws| delete_property(aws, "input", "policy")),
        ("a bucket's public access block removed", |aws| delete_property(aws, "input", "publicAccessBlock")),
    ],
];

/// What may be gone already when `down` comes, in rounds that go as far as AWS lets them.
pub(super) const GONE: [&[Change]; 5] = [
    &[
        ("instances", terminate_all),
        ("key pair", delete_key_pair),
        ("function", delete_function),
        ("VPN rule", revoke_vpn_rule),
        ("route", delete_route),
        ("input bucket", |aws| delete_bucket(aws, "input")),
    ],
    &[
        ("VPN association", disassociate_vpn),
        ("instance profile", delete_profile),
        ("log group", delete_log_group),
        ("route table association", disassociate_table),
        ("output bucket", |aws| delete_bucket(aws, "output")),
        ("function permission", remove_permission),
    ],
    &[
        ("VPN endpoint", delete_endpoint),
        ("host role", |aws| {
            delete_profile(aws);
            delete_role(aws, "lab-host-role-");
        }),
        ("function role", |aws| delete_role(aws, "lab-lambda-role-")),
        ("trigger", |aws| drop(remove_trigger(aws))),
        ("private subnet", delete_private_subnet),
    ],
    &[
        ("VPN certificate", |aws| {
            delete_endpoint(aws);
            delete_certificate(aws);
        }),
        ("route table", |aws| {
            disassociate_table(aws);
            delete_table(aws);
        }),
        ("security groups", |aws| {
            terminate_all(aws);
            remove_rules(aws);
            for name in ["lab-private-ec2", "lab-public-ec2", "lab-client-vpn"] {
                delete_group(aws, name);
            }
        }),
        ("bucket properties", |aws| {
            delete_property(aws, "input", "policy");
            delete_property(aws, "input", "encryption");
        }),
    ],
    &[
        ("internet gateway", |aws| {
            delete_endpoint(aws);
            terminate(aws, "lab-public-ec2");
            delete_gateway(aws);
        }),
        ("public subnet", |aws| {
            disassociate_table(aws);
            delete_subnet(aws, "lab-public-subnet");
        }),
        ("VPC's own table's tags", untag_main_table),
    ],
];

/// A call of EC2's.
fn act(aws: &LocalAws, form: &str) -> String {
    aws.act(form)
}

/// The one element of this name in a list that is filtered by the name tag.
///
/// # Panics
/// When nothing bears the name.
#[must_use]
pub(super) fn find(aws: &LocalAws, action: &str, element: &str, name: &str) -> String {
    let answer = act(aws, &format!("Action={action}&Filter.1.Name=tag:Name&Filter.1.Value.1={name}"));
    elements(&answer, element).into_iter().next().unwrap_or_else(|| panic!("nothing is called {name}: {answer}"))
}

fn iam(aws: &LocalAws, form: &str) -> String {
    aws.send("iam", "POST", "/", &format!("{form}&Version=2010-05-08"))
}

fn group(aws: &LocalAws, name: &str) -> String {
    let answer = act(aws, &format!("Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1={name}"));
    elements(&answer, "groupId").into_iter().next().unwrap_or_else(|| panic!("no group {name}: {answer}"))
}

fn add_rule(aws: &LocalAws) {
    let group = group(aws, "lab-public-ec2");
    let rule = "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=9999&IpPermissions.1.ToPort=9999\
                &IpPermissions.1.IpRanges.1.CidrIp=198.51.100.0/24";
    let _ = act(aws, &format!("Action=AuthorizeSecurityGroupIngress&GroupId={group}&{rule}"));
}

fn remove_rules(aws: &LocalAws) {
    let all = act(aws, "Action=DescribeSecurityGroupRules");
    for name in ["lab-public-ec2", "lab-private-ec2"] {
        let group = group(aws, name);
        for rule in all.split("<item>").filter(|rule| elements(rule, "groupId").first() == Some(&group)) {
            let is_ingress = elements(rule, "isEgress").first().is_some_and(|egress| egress == "false");
            if let Some(id) = elements(rule, "securityGroupRuleId").first().filter(|_| is_ingress) {
                let form = format!("Action=RevokeSecurityGroupIngress&GroupId={group}&SecurityGroupRuleId.1={id}");
                let _ = act(aws, &form);
            }
        }
    }
}

fn delete_group(aws: &LocalAws, name: &str) {
    let _ = act(aws, &format!("Action=DeleteSecurityGroup&GroupId={}", group(aws, name)));
}

fn public_table(aws: &LocalAws) -> String {
    find(aws, "DescribeRouteTables", "routeTableId", "lab-public-to-internet")
}

fn delete_route(aws: &LocalAws) {
    let _ = act(aws, &format!("Action=DeleteRoute&RouteTableId={}&DestinationCidrBlock=0.0.0.0/0", public_table(aws)));
}

fn disassociate_table(aws: &LocalAws) {
    let id = find(aws, "DescribeRouteTables", "routeTableAssociationId", "lab-public-to-internet");
    let _ = act(aws, &format!("Action=DisassociateRouteTable&AssociationId={id}"));
}

/// Behind the VPC's own table, by name.
fn replace_table(aws: &LocalAws) {
    let association = find(aws, "DescribeRouteTables", "routeTableAssociationId", "lab-public-to-internet");
    let main = find(aws, "DescribeRouteTables", "routeTableId", "lab-main");
    let _ = act(aws, &format!("Action=ReplaceRouteTableAssociation&AssociationId={association}&RouteTableId={main}"));
}

fn delete_table(aws: &LocalAws) {
    let _ = act(aws, &format!("Action=DeleteRouteTable&RouteTableId={}", public_table(aws)));
}

fn delete_gateway(aws: &LocalAws) {
    let id = find(aws, "DescribeInternetGateways", "internetGatewayId", "lab-igw");
    let vpc = find(aws, "DescribeVpcs", "vpcId", "lab-vpc");
    let _ = act(aws, &format!("Action=DetachInternetGateway&InternetGatewayId={id}&VpcId={vpc}"));
    let _ = act(aws, &format!("Action=DeleteInternetGateway&InternetGatewayId={id}"));
}

fn delete_subnet(aws: &LocalAws, name: &str) {
    let id = find(aws, "DescribeSubnets", "subnetId", name);
    let _ = act(aws, &format!("Action=DeleteSubnet&SubnetId={id}"));
}

fn delete_private_subnet(aws: &LocalAws) {
    terminate(aws, "lab-private-ec2");
    delete_subnet(aws, "lab-private-subnet");
}

fn untag_main_table(aws: &LocalAws) {
    let table = find(aws, "DescribeRouteTables", "routeTableId", "lab-main");
    let _ =
        act(aws, &format!("Action=DeleteTags&ResourceId.1={table}&Tag.1.Key=hybrid-lab:role&Tag.2.Key=hybrid-lab:lab"));
}

fn terminate(aws: &LocalAws, name: &str) {
    let alive = "Filter.2.Name=instance-state-name&Filter.2.Value.1=running&Filter.2.Value.2=pending";
    let answer = act(aws, &format!("Action=DescribeInstances&Filter.1.Name=tag:Name&Filter.1.Value.1={name}&{alive}"));
    for id in elements(&answer, "instanceId") {
        let _ = act(aws, &format!("Action=TerminateInstances&InstanceId.1={id}"));
    }
}

fn terminate_all(aws: &LocalAws) {
    for name in ["lab-public-ec2", "lab-private-ec2"] {
        terminate(aws, name);
    }
}

fn delete_key_pair(aws: &LocalAws) {
    let _ = act(aws, &format!("Action=DeleteKeyPair&KeyName=lab-key-{}", aws.owner));
}

fn endpoint(aws: &LocalAws) -> String {
    let answer = act(aws, "Action=DescribeClientVpnEndpoints");
    elements(&answer, "clientVpnEndpointId").into_iter().next().expect("an endpoint")
}

fn disassociate_vpn(aws: &LocalAws) {
    let endpoint = endpoint(aws);
    let answer = act(aws, &format!("Action=DescribeClientVpnTargetNetworks&ClientVpnEndpointId={endpoint}"));
    for id in elements(&answer, "associationId") {
        let _ = act(
            aws,
            &format!("Action=DisassociateClientVpnTargetNetwork&ClientVpnEndpointId={endpoint}&AssociationId={id}"),
        );
    }
}

fn revoke_vpn_rule(aws: &LocalAws) {
    let endpoint = endpoint(aws);
    let answer = act(aws, &format!("Action=DescribeClientVpnAuthorizationRules&ClientVpnEndpointId={endpoint}"));
    for network in elements(&answer, "destinationCidr") {
        let _ = act(
            aws,
            &format!(
                "Action=RevokeClientVpnIngress&ClientVpnEndpointId={endpoint}&TargetNetworkCidr={network}\
                 &RevokeAllGroups=true"
            ),
        );
    }
}

fn delete_endpoint(aws: &LocalAws) {
    disassociate_vpn(aws);
    let _ = act(aws, &format!("Action=DeleteClientVpnEndpoint&ClientVpnEndpointId={}", endpoint(aws)));
}

fn delete_certificate(aws: &LocalAws) {
    let list = aws.send_json("acm", "CertificateManager.ListCertificates", "{}");
    for arn in super::census::json_texts(&list, "CertificateArn") {
        let _ =
            aws.send_json("acm", "CertificateManager.DeleteCertificate", &json!({ "CertificateArn": arn }).to_string());
    }
}

fn delete_role_policies(aws: &LocalAws, role: &str) {
    let role = format!("{role}{}", aws.owner);
    for policy in elements(&iam(aws, &format!("Action=ListRolePolicies&RoleName={role}")), "member") {
        let _ = iam(aws, &format!("Action=DeleteRolePolicy&RoleName={role}&PolicyName={policy}"));
    }
    for policy in elements(&iam(aws, &format!("Action=ListAttachedRolePolicies&RoleName={role}")), "PolicyArn") {
        let _ = iam(aws, &format!("Action=DetachRolePolicy&RoleName={role}&PolicyArn={policy}"));
    }
}

fn delete_role(aws: &LocalAws, role: &str) {
    delete_role_policies(aws, role);
    let _ = iam(aws, &format!("Action=DeleteRole&RoleName={role}{}", aws.owner));
}

fn delete_profile(aws: &LocalAws) {
    let (profile, role) = (format!("lab-host-profile-{}", aws.owner), format!("lab-host-role-{}", aws.owner));
    let _ = iam(aws, &format!("Action=RemoveRoleFromInstanceProfile&InstanceProfileName={profile}&RoleName={role}"));
    let _ = iam(aws, &format!("Action=DeleteInstanceProfile&InstanceProfileName={profile}"));
}

const FUNCTION: &str = "/2015-03-31/functions/lab-lambda-function";

/// Deletes the function, and with it what permits S3 to call it.
pub(super) fn delete_function(aws: &LocalAws) {
    let _ = aws.send("lambda", "DELETE", FUNCTION, "");
}

fn remove_permission(aws: &LocalAws) {
    let _ = aws.send("lambda", "DELETE", &format!("{FUNCTION}/policy/hybrid-lab-input-bucket"), "");
}

fn remove_trigger(aws: &LocalAws) -> String {
    aws.send("s3", "PUT", &format!("{}?notification", bucket(aws, "input")), "<NotificationConfiguration/>")
}

/// A zip file with nothing in it, in base64.
const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

/// Puts an object into each bucket, and a function with our tags that nobody will run beside them.
pub(super) fn fill_pipeline(aws: &LocalAws) {
    let owner = &aws.owner;
    for path in [
        format!("{}/lab-image.png", bucket(aws, "input")),
        format!("{}/lab-image-processed.png", bucket(aws, "output")),
    ] {
        let _ = aws.send("s3", "PUT", &path, "no picture");
    }
    let function = json!({
        "FunctionName": "lab-lambda-function", "Runtime": "provided.al2023", "Handler": "bootstrap",
        "Role": format!("arn:aws:iam::123456789012:role/lab-lambda-role-{owner}"), "Code": { "ZipFile": EMPTY_ZIP },
        "Tags": {
            "Name": "lab-lambda-function", "hybrid-lab:lab": "lab", "hybrid-lab:owner": owner,
            "hybrid-lab:role": "function",
        },
    });
    let _ = aws.send("lambda", "POST", "/2015-03-31/functions", &function.to_string());
}

/// Removes the trigger and the permission behind it.
pub(super) fn delete_trigger(aws: &LocalAws) {
    let _ = remove_trigger(aws);
    remove_permission(aws);
}

fn delete_log_group(aws: &LocalAws) {
    let name = json!({ "logGroupName": "/aws/lambda/lab-lambda-function" });
    let _ = aws.send_json("logs", "Logs_20140328.DeleteLogGroup", &name.to_string());
}

/// The path of a bucket, `input` or `output`.
#[must_use]
pub(super) fn bucket(aws: &LocalAws, side: &str) -> String {
    format!("/lab-{side}-bucket-{}", aws.owner)
}

/// Deletes the picture and its result.
pub(super) fn delete_objects(aws: &LocalAws) {
    for side in ["input", "output"] {
        let path = bucket(aws, side);
        for key in elements(&aws.send("s3", "GET", &format!("{path}?list-type=2"), ""), "Key") {
            let _ = aws.send("s3", "DELETE", &format!("{path}/{key}"), "");
        }
    }
}

fn delete_bucket(aws: &LocalAws, side: &str) {
    let path = bucket(aws, side);
    for key in elements(&aws.send("s3", "GET", &format!("{path}?list-type=2"), ""), "Key") {
        let _ = aws.send("s3", "DELETE", &format!("{path}/{key}"), "");
    }
    let _ = aws.send("s3", "DELETE", &path, "");
}

fn delete_property(aws: &LocalAws, side: &str, property: &str) {
    let _ = aws.send("s3", "DELETE", &format!("{}?{property}", bucket(aws, side)), "");
}

/// Fills a bucket with what deletes badly: versions, delete markers and an unfinished multipart upload.
pub(super) fn fill_bucket(aws: &LocalAws, side: &str) {
    let path = bucket(aws, side);
    let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let _ = aws.send("s3", "PUT", &format!("{path}?versioning"), on);
    for number in 0..12 {
        for text in ["one", "two"] {
            let _ = aws.send("s3", "PUT", &format!("{path}/notes/{number}.txt"), text);
        }
    }
    let _ = aws.send("s3", "DELETE", &format!("{path}/notes/1.txt"), "");
    let _ = aws.send("s3", "POST", &format!("{path}/large.bin?uploads"), "");
}
