//! What is in the account, counted by Describe and List calls of the harness's own: no program of the project has a say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::LocalAws;

/// Everything that exists, by kind. What is deleted or terminated and only still listed does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    found: BTreeMap<&'static str, BTreeSet<String>>,
}

/// Kinds of EC2: the call, the element that identifies one, and the states that count.
const EC2: [(&str, &str, &str, &str); 11] = [
    ("vpc", "DescribeVpcs", "vpcId", ""),
    ("subnet", "DescribeSubnets", "subnetId", ""),
    ("internet gateway", "DescribeInternetGateways", "internetGatewayId", ""),
    ("route table", "DescribeRouteTables", "routeTableId", ""),
    ("security group", "DescribeSecurityGroups", "groupId", ""),
    ("instance", "DescribeInstances", "instanceId", "instance-state-name=pending,running,stopping,stopped"),
    ("volume", "DescribeVolumes", "volumeId", ""),
    ("address", "DescribeAddresses", "allocationId", ""),
    ("NAT gateway", "DescribeNatGateways", "natGatewayId", "state=pending,available,deleting"),
    ("key pair", "DescribeKeyPairs", "keyName", ""),
    ("network interface", "DescribeNetworkInterfaces", "networkInterfaceId", ""),
];

/// What hangs on each Client VPN endpoint.
const VPN: [(&str, &str, &str); 3] = [
    ("VPN association", "DescribeClientVpnTargetNetworks", "associationId"),
    ("VPN rule", "DescribeClientVpnAuthorizationRules", "destinationCidr"),
    ("VPN route", "DescribeClientVpnRoutes", "destinationCidr"),
];

impl Census {
    /// Asks for everything. No fault may be set meanwhile.
    #[must_use]
    pub fn take(aws: &LocalAws) -> Self {
        let mut census = Self::default();
        census.count_ec2(aws);
        census.count_vpn(aws);
        census.count_identities(aws);
        census.count_pipeline(aws);
        census
    }

    /// How many there are of a kind.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.found.get(kind).map_or(0, BTreeSet::len)
    }

    /// The ids or names of a kind.
    #[must_use]
    pub fn of(&self, kind: &str) -> Vec<&str> {
        self.found.get(kind).into_iter().flatten().map(String::as_str).collect()
    }

    /// Where the numbers differ from `wanted`'s: kind, both numbers, and what only one of the two has.
    ///
    /// # Errors
    /// The differences, a line a kind.
    pub fn expect(&self, wanted: &Self, when: &str) -> Result<(), String> {
        let kinds: BTreeSet<_> = self.found.keys().chain(wanted.found.keys()).collect();
        let mut text = String::new();
        for kind in kinds {
            let (here, there) = (self.count(kind), wanted.count(kind));
            if here != there {
                let none = BTreeSet::new();
                let ours = self.found.get(kind).unwrap_or(&none);
                let theirs = wanted.found.get(kind).unwrap_or(&none);
                let more: Vec<_> = ours.difference(theirs).collect();
                let less: Vec<_> = theirs.difference(ours).collect();
                let _ =
                    write!(text, "\n  {kind}: {here}, but {there} wanted (only here: {more:?}, only there: {less:?})");
            }
        }
        if text.is_empty() { Ok(()) } else { Err(format!("{when}, the account differs:{text}")) }
    }

    fn add(&mut self, kind: &'static str, found: impl IntoIterator<Item = String>) {
        self.found.entry(kind).or_default().extend(found);
    }

    fn count_ec2(&mut self, aws: &LocalAws) {
        for (kind, action, element, states) in EC2 {
            let answer = aws.act(&format!("Action={action}{}", encode_filter(states)));
            self.add(kind, elements(&answer, element));
            if action == "DescribeRouteTables" {
                self.add("route table association", elements(&answer, "routeTableAssociationId"));
                // A route has no id: its table's place in the answer and its destination.
                let routes = answer.split("<routeTableId>").enumerate().flat_map(|(table, part)| {
                    elements(part, "destinationCidrBlock").into_iter().map(move |to| format!("{table} {to}"))
                });
                self.add("route", routes);
            }
        }
        let rules = aws.act("Action=DescribeSecurityGroupRules");
        self.add("security group rule", elements(&rules, "securityGroupRuleId"));
    }

    fn count_vpn(&mut self, aws: &LocalAws) {
        let endpoints = elements(&aws.act("Action=DescribeClientVpnEndpoints"), "clientVpnEndpointId");
        for endpoint in &endpoints {
            for (kind, action, element) in VPN {
                let answer = aws.act(&format!("Action={action}&ClientVpnEndpointId={endpoint}"));
                let found = elements(&answer, element);
                self.add(kind, found.into_iter().map(|one| format!("{endpoint} {one}")));
            }
        }
        self.add("VPN endpoint", endpoints);
        let certificates = aws.send_json("acm", "CertificateManager.ListCertificates", "{}");
        self.add("certificate", json_texts(&certificates, "CertificateArn"));
    }

    fn count_identities(&mut self, aws: &LocalAws) {
        let ask = |form: &str| aws.send("iam", "POST", "/", &format!("{form}&Version=2010-05-08"));
        let roles = elements(&ask("Action=ListRoles"), "RoleName");
        for role in &roles {
            let policies = elements(&ask(&format!("Action=ListRolePolicies&RoleName={role}")), "member");
            self.add("role policy", policies.into_iter().map(|policy| format!("{role} {policy}")));
            let attached = elements(&ask(&format!("Action=ListAttachedRolePolicies&RoleName={role}")), "PolicyName");
            self.add("role policy", attached.into_iter().map(|policy| format!("{role} {policy}")));
        }
        self.add("role", roles);
        self.add("instance profile", elements(&ask("Action=ListInstanceProfiles"), "InstanceProfileName"));
    }

    fn count_pipeline(&mut self, aws: &LocalAws) {
        let buckets = elements(&aws.send("s3", "GET", "/", ""), "Name");
        for bucket in &buckets {
            let objects = elements(&aws.send("s3", "GET", &format!("/{bucket}?versions"), ""), "Key");
            self.add("object", objects.into_iter().map(|key| format!("{bucket}/{key}")));
            let uploads = elements(&aws.send("s3", "GET", &format!("/{bucket}?uploads"), ""), "UploadId");
            self.add("unfinished upload", uploads);
            let notification = aws.send("s3", "GET", &format!("/{bucket}?notification"), "");
            let functions =
                elements(&notification, "CloudFunction").into_iter().chain(elements(&notification, "Function"));
            self.add("notification", functions.map(|function| format!("{bucket} {function}")));
        }
        self.add("bucket", buckets);
        let functions = aws.send("lambda", "GET", "/2015-03-31/functions", "");
        self.add("function", json_texts(&functions, "FunctionName"));
        let groups = aws.send_json("logs", "Logs_20140328.DescribeLogGroups", "{}");
        self.add("log group", json_texts(&groups, "logGroupName"));
    }
}

/// `name=one,two` as the parameters of EC2's first filter.
fn encode_filter(filter: &str) -> String {
    let Some((name, values)) = filter.split_once('=') else { return String::new() };
    let mut form = format!("&Filter.1.Name={name}");
    for (index, value) in values.split(',').enumerate() {
        let _ = write!(form, "&Filter.1.Value.{}={value}", index + 1);
    }
    form
}

/// The texts of all elements of this name.
pub(super) fn elements(xml: &str, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(start.as_str()).skip(1);
    parts.filter_map(|part| part.split_once(end.as_str())).map(|(text, _)| text.to_owned()).collect()
}

/// The values of all fields of this name that are texts.
pub(super) fn json_texts(json: &str, name: &str) -> Vec<String> {
    let field = format!("\"{name}\"");
    let values = json.split(field.as_str()).skip(1);
    values.filter_map(|rest| rest.split('"').nth(1)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_kind_both_numbers_and_what_is_too_much() {
        let mut one = Census::default();
        one.add("vpc", ["vpc-1".to_owned()]);
        let mut two = one.clone();
        assert_eq!(one.expect(&two, "now"), Ok(()));
        two.add("vpc", ["vpc-2".to_owned()]);
        let said = two.expect(&one, "after up").unwrap_err();
        assert!(said.contains("after up") && said.contains("vpc: 2, but 1 wanted") && said.contains("vpc-2"), "{said}");
    }

    #[test]
    fn texts_are_found_in_xml_and_json() {
        assert_eq!(elements("<a><id>1</id><id>2</id><ids>3</ids></a>", "id"), ["1", "2"]);
        assert_eq!(json_texts(r#"{"A": [{"Name": "x", "Names": 1}, {"Name":"y"}]}"#, "Name"), ["x", "y"]);
        assert_eq!(encode_filter("state=a,b"), "&Filter.1.Name=state&Filter.1.Value.1=a&Filter.1.Value.2=b");
    }
}
