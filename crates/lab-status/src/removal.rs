//! The command that removes a thing: a program's own `down`, or the call that does it where no program would. Pure.

use lab_common::quote;

use crate::scope::Scope;
use crate::thing::Thing;

/// The programs' own commands, in the order in which `scripts/down.sh` runs them: the most expensive first.
const PROGRAMS: [&str; 5] = ["vpn-setup down", "net-up nat close", "host-up down", "pipeline-up down", "net-up down"];

/// Where a command stands in the order of removal; what no program removes comes last.
pub(crate) fn rank(command: &str) -> usize {
    PROGRAMS.iter().position(|program| command.starts_with(program)).unwrap_or(PROGRAMS.len())
}

/// The command that removes `thing`.
pub(crate) fn suggest_removal(thing: &Thing, scope: &Scope) -> String {
    match find_program(thing, scope) {
        Some(program) => format!("{program}{}", name_lab(thing, scope)),
        None => call_for(thing),
    }
}

/// The options by which a program finds a lab that is not the one at hand.
fn name_lab(thing: &Thing, scope: &Scope) -> String {
    match (scope, &thing.label.owner) {
        (Scope::All, Some(owner)) => format!(" --owner {}", quote(owner)),
        _ => String::new(),
    }
}

/// The program whose `down` would remove it. They find most of their things by tag, some by lab.toml's names.
fn find_program(thing: &Thing, scope: &Scope) -> Option<&'static str> {
    let role = thing.label.role.as_deref().unwrap_or_default();
    let is_ours = scope.owns(&thing.label);
    let program = match thing.kind {
        "client-vpn-endpoint" | "client-vpn-target-network" => "vpn-setup down",
        "certificate" if role == "certificate vpn" => "vpn-setup down",
        "log-group" if role == "log-group vpn" && has_name(scope, |lab| lab.names.vpn_log_group() == thing.name) => {
            "vpn-setup down"
        }
        "natgateway" | "elastic-ip" => "net-up nat close",
        "instance" if role.starts_with("instance ") => "host-up down",
        "key-pair" if has_name(scope, |lab| lab.names.key_pair() == thing.name) => "host-up down",
        "role" if has_name(scope, |lab| lab.names.host_role() == thing.name) => "host-up down",
        "instance-profile" if has_name(scope, |lab| lab.names.host_profile() == thing.name) => "host-up down",
        "role" if has_name(scope, |lab| lab.function.is_some() && lab.names.function_role() == thing.name) => {
            "pipeline-up down"
        }
        "bucket" if has_name(scope, |lab| lab.buckets.contains(&thing.name)) => "pipeline-up down",
        "function" if has_name(scope, |lab| lab.function.as_deref() == Some(&thing.name)) => "pipeline-up down",
        "log-group" if has_name(scope, |lab| is_function_log(lab.function.as_deref(), &thing.name)) => {
            "pipeline-up down"
        }
        "vpc" if role == "vpc" => "net-up down",
        "subnet" | "internet-gateway" | "route-table" | "security-group" => "net-up down",
        _ => return None,
    };
    is_ours.then_some(program)
}

fn is_function_log(function: Option<&str>, name: &str) -> bool {
    function.is_some_and(|function| lab_common::Names::function_log_group(function) == name)
}

/// Whether a lab.toml that is at hand says this name; every lab's own says its own.
fn has_name(scope: &Scope, says: impl Fn(&crate::scope::LabScope) -> bool) -> bool {
    scope.lab().is_none_or(says)
}

/// What removes it where no program does.
fn call_for(thing: &Thing) -> String {
    let (id, name) = (quote(&thing.id), quote(&thing.name));
    match thing.kind {
        "bucket" => format!("aws s3 rb s3://{} --force", thing.name),
        "certificate" => format!("aws acm delete-certificate --certificate-arn {id}"),
        "client-vpn-endpoint" => format!("aws ec2 delete-client-vpn-endpoint --client-vpn-endpoint-id {id}"),
        "client-vpn-target-network" => format!(
            "aws ec2 disassociate-client-vpn-target-network --client-vpn-endpoint-id {} --association-id {id}",
            thing.place.holder.as_deref().unwrap_or("ENDPOINT")
        ),
        "elastic-ip" => format!("aws ec2 release-address --allocation-id {id}"),
        "function" => format!("aws lambda delete-function --function-name {name}"),
        "image" => format!("aws ec2 deregister-image --image-id {id}"),
        "instance" => format!("aws ec2 terminate-instances --instance-ids {id}"),
        "instance-profile" => {
            let role = thing.more.get("role").and_then(serde_json::Value::as_str);
            let first = role.map(|role| {
                let role = quote(role);
                format!(
                    "aws iam remove-role-from-instance-profile --instance-profile-name {name} --role-name {role} && "
                )
            });
            format!("{}aws iam delete-instance-profile --instance-profile-name {name}", first.unwrap_or_default())
        }
        "key-pair" => format!("aws ec2 delete-key-pair --key-pair-id {id}"),
        "log-group" => format!("aws logs delete-log-group --log-group-name {name}"),
        "natgateway" => format!("aws ec2 delete-nat-gateway --nat-gateway-id {id}"),
        "role" => format!(
            "aws iam list-role-policies --role-name {name} # delete those (delete-role-policy), then: aws iam delete-role \
             --role-name {name}"
        ),
        "security-group" => format!("aws ec2 delete-security-group --group-id {id}"),
        "vpc-endpoint" => format!("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {id}"),
        "vpc-flow-log" => format!("aws ec2 delete-flow-logs --flow-log-ids {id}"),
        "placement-group" => format!("aws ec2 delete-placement-group --group-name {name}"),
        "ec2-resource" => format!("look at it: aws ec2 describe-tags --filters Name=resource-id,Values={id}"),
        kind => format!("aws ec2 delete-{kind} --{kind}-id {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hol02, label};
    use crate::thing::Label;

    fn tagged(kind: &'static str, role: &str, name: &str, id: &str) -> Thing {
        Thing::new(kind, id, Label { role: Some(role.into()), name: Some(name.into()), ..label("ada") })
    }

    #[test]
    fn each_program_removes_what_it_made() {
        let scope = hol02();
        for (kind, role, name, command) in [
            ("instance", "instance public", "lab-public-ec2", "host-up down"),
            ("instance", "instance of-a-host-no-more", "lab-old-ec2", "host-up down"),
            ("natgateway", "natgateway", "lab-nat-gateway", "net-up nat close"),
            ("subnet", "subnet public", "lab-public-subnet", "net-up down"),
            ("client-vpn-endpoint", "client-vpn-endpoint", "lab-client-vpn-endpoint", "vpn-setup down"),
            ("bucket", "bucket input", "lab-input-bucket-ada", "pipeline-up down"),
            ("role", "role", "lab-host-role-ada", "host-up down"),
            ("role", "role", "lab-lambda-role-ada", "pipeline-up down"),
        ] {
            assert_eq!(suggest_removal(&tagged(kind, role, name, "x-1"), &scope), command, "{name}");
        }
    }

    #[test]
    fn what_no_program_would_remove_has_the_exact_call() {
        let scope = hol02();
        let renamed = tagged("bucket", "bucket input", "lab-old-bucket-ada", "lab-old-bucket-ada");
        assert_eq!(suggest_removal(&renamed, &scope), "aws s3 rb s3://lab-old-bucket-ada --force");
        let volume = tagged("volume", "", "data", "vol-1");
        assert_eq!(suggest_removal(&volume, &scope), "aws ec2 delete-volume --volume-id vol-1");
        let untagged = Thing::new("function", "arn:aws:lambda:x", Label::default()).named("lab-lambda-function");
        assert_eq!(
            suggest_removal(&untagged, &scope),
            "aws lambda delete-function --function-name lab-lambda-function",
            "pipeline-up down deletes nothing without our tags"
        );
    }

    #[test]
    fn another_lab_s_command_names_its_owner() {
        let thing = tagged("instance", "instance public", "lab-public-ec2", "i-1");
        assert_eq!(suggest_removal(&thing, &Scope::All), "host-up down --owner ada");
    }

    #[test]
    fn programs_come_first_and_in_the_order_of_down_sh() {
        let ranks = ["vpn-setup down", "net-up nat close", "net-up down", "aws s3 rb"].map(rank);
        assert!(ranks.is_sorted(), "{ranks:?}");
    }
}
