//! The command that removes a thing: a program's own `down`, or the call that does it where no program would. What bears
//! no tags of the lab is only looked at: its name alone does not make it ours. Pure.

use lab_common::quote;

use crate::scope::Scope;
use crate::thing::Thing;

/// The programs' own commands that remove, in the order in which `scripts/down.sh` runs them: the most expensive first.
const COMMANDS: [&str; 5] = ["vpn-setup down", "net-up nat close", "host-up down", "pipeline-up down", "net-up down"];

/// Where a command stands in the order of removal; what no program removes comes last.
pub(crate) fn rank(command: &str) -> usize {
    COMMANDS.iter().position(|ours| command.starts_with(ours)).unwrap_or(COMMANDS.len())
}

/// What is to be done about a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    /// A whole command, as a shell takes it.
    pub(crate) command: String,
    /// What else there is to know; always there where the command only looks.
    pub(crate) hint: Option<&'static str>,
}

impl Removal {
    /// Not a command: nothing is to be done.
    pub(crate) fn nothing(why: &str) -> Self {
        Self { command: format!("nothing: {why}"), hint: None }
    }
}

const NO_TAGS: &str = "it bears no tags of the lab, look whose it is";
const NOT_OURS: &str = "it is not of this lab, ask its owner";
const UNKNOWN_KIND: &str = "what it is the programs do not know, look at it";
const PAGE_BY_PAGE: &str = "250 versions a time: run it until the bucket is gone";
/// How many versions the command deletes that empties a bucket. They are one argument of it, and Linux takes 128 KiB for
/// one (`MAX_ARG_STRLEN`): enough for keys of 400 bytes.
const PAGE: usize = 250;

/// What removes `thing`.
pub(crate) fn suggest_removal(thing: &Thing, scope: &Scope) -> Removal {
    if !scope.owns(&thing.label) {
        let hint = if thing.label.is_nobodys() { NO_TAGS } else { NOT_OURS };
        return Removal { command: look_at(thing, scope), hint: Some(hint) };
    }
    match find_program(thing, scope) {
        Some(program) => Removal { command: format!("{program}{}", name_lab(thing, scope)), hint: None },
        None => Removal { command: call_for(thing, scope), hint: hint_at(thing) },
    }
}

/// What is not of the lab is named, and never removed.
pub(crate) fn ask_owner(thing: &Thing, scope: &Scope) -> Removal {
    Removal { command: look_at(thing, scope), hint: Some(NOT_OURS) }
}

fn hint_at(thing: &Thing) -> Option<&'static str> {
    match thing.kind {
        "bucket" if keeps_versions(thing) => Some(PAGE_BY_PAGE),
        "ec2-resource" => Some(UNKNOWN_KIND),
        _ => None,
    }
}

fn keeps_versions(bucket: &Thing) -> bool {
    bucket.more.get("keeps_versions") == Some(&true.into())
}

/// The options by which a program finds the lab and the account. One of all labs is not that of the lab.toml at hand.
fn name_lab(thing: &Thing, scope: &Scope) -> String {
    let options = &scope.options().program;
    match (scope, &thing.label.lab, &thing.label.owner) {
        (Scope::All(_), Some(lab), Some(owner)) => {
            format!(" --lab {} --owner {}{options}", quote(&format!("FILE-OF-{lab}")), quote(owner))
        }
        _ => options.clone(),
    }
}

/// The program whose `down` would remove it. They find most of their things by tag, some by lab.toml's names. A bucket that
/// was renamed there `pipeline-up down` finds only where it may list tags, and lab.toml still has `[images]`: its own call
/// removes it always.
fn find_program(thing: &Thing, scope: &Scope) -> Option<&'static str> {
    let role = thing.label.role.as_deref().unwrap_or_default();
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
        "role" if has_name(scope, |lab| is_role_of_pipeline(lab, &thing.name)) => "pipeline-up down",
        "queue" if has_name(scope, |lab| lab.is_queue(&thing.name)) => "pipeline-up down",
        "event-source-mapping" if has_name(scope, |lab| lab.function.as_deref() == Some(&thing.name)) => {
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
    Some(program)
}

fn is_role_of_pipeline(lab: &crate::scope::LabScope, name: &str) -> bool {
    lab.function.is_some() && [lab.names.function_role(), lab.names.batch_role()].iter().any(|it| it == name)
}

fn is_function_log(function: Option<&str>, name: &str) -> bool {
    function.is_some_and(|function| lab_common::Names::function_log_group(function) == name)
}

/// Whether a lab.toml that is at hand says this name; every lab's own says its own.
fn has_name(scope: &Scope, says: impl Fn(&crate::scope::LabScope) -> bool) -> bool {
    scope.lab().is_none_or(says)
}

/// The call that shows it.
pub(crate) fn look_at(thing: &Thing, scope: &Scope) -> String {
    let (id, name, options) = (quote(&thing.id), quote(&thing.name), &scope.options().aws);
    let call = match thing.kind {
        "bucket" => format!("s3 ls {}", quote(&format!("s3://{}", thing.name))),
        "certificate" => format!("acm describe-certificate --certificate-arn {id}"),
        "client-vpn-endpoint" => format!("ec2 describe-client-vpn-endpoints --client-vpn-endpoint-ids {id}"),
        "elastic-ip" => format!("ec2 describe-addresses --allocation-ids {id}"),
        "function" => format!("lambda get-function --function-name {name}"),
        "instance-profile" => format!("iam get-instance-profile --instance-profile-name {name}"),
        "log-group" => format!("logs describe-log-groups --log-group-name-prefix {name}"),
        "natgateway" => format!("ec2 describe-nat-gateways --nat-gateway-ids {id}"),
        "queue" => format!("sqs get-queue-url --queue-name {name}"),
        "event-source-mapping" => format!("lambda get-event-source-mapping --uuid {id}"),
        "role" => format!("iam get-role --role-name {name}"),
        "security-group" => format!("ec2 describe-security-groups --group-ids {id}"),
        "vpc-endpoint" => format!("ec2 describe-vpc-endpoints --vpc-endpoint-ids {id}"),
        "vpc-peering-connection" => {
            format!("ec2 describe-vpc-peering-connections --vpc-peering-connection-ids {id}")
        }
        kind @ ("instance" | "internet-gateway" | "key-pair" | "network-interface" | "route-table" | "subnet"
        | "volume" | "vpc") => format!("ec2 describe-{kind}s --{kind}-ids {id}"),
        _ => format!("ec2 describe-tags --filters Name=resource-id,Values={id}"),
    };
    format!("aws {call}{options}")
}

/// What removes it where no program does.
fn call_for(thing: &Thing, scope: &Scope) -> String {
    let (id, name) = (quote(&thing.id), quote(&thing.name));
    let options = &scope.options().aws;
    let aws = |call: &str| format!("aws {call}{options}");
    match thing.kind {
        "bucket" => remove_bucket(thing, options),
        "certificate" => aws(&format!("acm delete-certificate --certificate-arn {id}")),
        "client-vpn-endpoint" => aws(&format!("ec2 delete-client-vpn-endpoint --client-vpn-endpoint-id {id}")),
        "client-vpn-target-network" => aws(&format!(
            "ec2 disassociate-client-vpn-target-network --client-vpn-endpoint-id {} --association-id {id}",
            thing.place.holder.as_deref().unwrap_or("ENDPOINT")
        )),
        "elastic-ip" => aws(&format!("ec2 release-address --allocation-id {id}")),
        "function" => aws(&format!("lambda delete-function --function-name {name}")),
        "image" => aws(&format!("ec2 deregister-image --image-id {id}")),
        "instance" => aws(&format!("ec2 terminate-instances --instance-ids {id}")),
        "instance-profile" => {
            let role = thing.more.get("role").and_then(serde_json::Value::as_str);
            let first = role.map(|role| {
                let role = quote(role);
                aws(&format!("iam remove-role-from-instance-profile --instance-profile-name {name} --role-name {role}"))
                    + " && "
            });
            let last = aws(&format!("iam delete-instance-profile --instance-profile-name {name}"));
            first.unwrap_or_default() + &last
        }
        "key-pair" => aws(&format!("ec2 delete-key-pair --key-pair-id {id}")),
        "log-group" => aws(&format!("logs delete-log-group --log-group-name {name}")),
        "natgateway" => aws(&format!("ec2 delete-nat-gateway --nat-gateway-id {id}")),
        "queue" => {
            let url = aws(&format!("sqs get-queue-url --queue-name {name} --query QueueUrl --output text"));
            aws(&format!("sqs delete-queue --queue-url \"$({url})\""))
        }
        "event-source-mapping" => aws(&format!("lambda delete-event-source-mapping --uuid {id}")),
        "role" => remove_role(&name, options),
        "security-group" => aws(&format!("ec2 delete-security-group --group-id {id}")),
        "vpc-endpoint" => aws(&format!("ec2 delete-vpc-endpoints --vpc-endpoint-ids {id}")),
        "vpc-flow-log" => aws(&format!("ec2 delete-flow-logs --flow-log-ids {id}")),
        // Its Name tag need not be its name, and its removal takes no id.
        "placement-group" => {
            let asked = aws(&format!(
                "ec2 describe-placement-groups --group-ids {id} --query 'PlacementGroups[0].GroupName' --output text"
            ));
            aws(&format!("ec2 delete-placement-group --group-name \"$({asked})\""))
        }
        "ec2-resource" => look_at(thing, scope),
        kind => aws(&format!("ec2 delete-{kind} --{kind}-id {id}")),
    }
}

/// `rb --force` empties only what keeps no versions ("you must first delete all objects and versions", AWS CLI reference).
fn remove_bucket(bucket: &Thing, options: &str) -> String {
    let remove = format!("aws s3 rb {} --force{options}", quote(&format!("s3://{}", bucket.name)));
    if keeps_versions(bucket) { format!("{} && {remove}", empty_bucket(bucket, options)) } else { remove }
}

/// What deletes the objects of a bucket.
pub(crate) fn empty_bucket(bucket: &Thing, options: &str) -> String {
    if !keeps_versions(bucket) {
        return format!("aws s3 rm {} --recursive{options}", quote(&format!("s3://{}", bucket.name)));
    }
    let name = quote(&bucket.name);
    format!(
        "aws s3api delete-objects --bucket {name} --delete \"$(aws s3api list-object-versions --bucket {name} \
         --max-items {PAGE} --output json --query \
         '{{Objects: [Versions,DeleteMarkers][].{{Key:Key,VersionId:VersionId}}}}'{options})\"{options}"
    )
}

/// A role goes only without its policies.
fn remove_role(name: &str, options: &str) -> String {
    format!(
        "for policy in $(aws iam list-role-policies --role-name {name} --query 'PolicyNames[]' --output text{options}); do \
         aws iam delete-role-policy --role-name {name} --policy-name \"$policy\"{options}; done; \
         for policy in $(aws iam list-attached-role-policies --role-name {name} --query \
         'AttachedPolicies[].PolicyArn' --output text{options}); do aws iam detach-role-policy --role-name {name} \
         --policy-arn \"$policy\"{options}; done; aws iam delete-role --role-name {name}{options}"
    )
}

#[cfg(test)]
mod tests {
    use serde::Serialize as _;

    use super::*;
    use crate::scope::Options;
    use crate::testing::{hol02, label};
    use crate::thing::Label;

    fn command_for(thing: &Thing, scope: &Scope) -> String {
        suggest_removal(thing, scope).command
    }

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
            ("role", "role batch", "lab-batch-role-ada", "pipeline-up down"),
            ("queue", "queue images", "lab-image-queue-ada", "pipeline-up down"),
            ("event-source-mapping", "event-source-mapping", "lab-lambda-function", "pipeline-up down"),
        ] {
            assert_eq!(command_for(&tagged(kind, role, name, "x-1"), &scope), command, "{name}");
        }
    }

    #[test]
    fn what_not_every_down_would_find_has_the_exact_call() {
        let scope = hol02();
        let renamed = tagged("bucket", "bucket input", "lab-old-bucket-ada", "lab-old-bucket-ada");
        assert_eq!(command_for(&renamed, &scope), "aws s3 rb s3://lab-old-bucket-ada --force");
        let volume = tagged("volume", "", "data", "vol-1");
        assert_eq!(command_for(&volume, &scope), "aws ec2 delete-volume --volume-id vol-1");
        let queue =
            tagged("queue", "queue images", "old-queue-ada", "arn:aws:sqs:us-east-1:123456789012:old-queue-ada");
        assert!(command_for(&queue, &scope).starts_with("aws sqs delete-queue --queue-url \"$(aws sqs get-queue-url"));
    }

    #[test]
    fn what_only_has_our_name_is_looked_at_and_not_removed() {
        let scope = hol02();
        for (kind, name) in [("function", "lab-lambda-function"), ("bucket", "lab-input-bucket-ada")] {
            let found = suggest_removal(&Thing::new(kind, name, Label::default()).named(name), &scope);
            assert!(found.hint.is_some_and(|hint| hint.contains("no tags of the lab")), "{found:?}");
            assert!(!["delete", " rb ", "down"].iter().any(|word| found.command.contains(word)), "{found:?}");
        }
        let bobs = Thing::new("instance", "i-1", label("bob"));
        assert_eq!(command_for(&bobs, &scope), "aws ec2 describe-instances --instance-ids i-1");
    }

    #[test]
    fn a_command_names_the_lab_and_the_account_it_works_on() {
        let options = Options { program: " --lab lab2.toml --profile school".into(), aws: " --profile school".into() };
        let mut scope = hol02();
        if let Scope::Lab(lab) = &mut scope {
            lab.options = options.clone();
        }
        let instance = tagged("instance", "instance public", "lab-public-ec2", "i-1");
        assert_eq!(command_for(&instance, &scope), "host-up down --lab lab2.toml --profile school");
        let volume = tagged("volume", "", "data", "vol-1");
        assert_eq!(command_for(&volume, &scope), "aws ec2 delete-volume --volume-id vol-1 --profile school");
        let all = Scope::All(Options { program: " --region us-west-2".into(), ..options });
        assert_eq!(command_for(&instance, &all), "host-up down --lab FILE-OF-lab --owner ada --region us-west-2");
    }

    #[test]
    fn a_shell_takes_every_command_whole() {
        let scope = hol02();
        let versioned = tagged("bucket", "", "old", "old").with("keeps_versions", true);
        let odd = ["role", "queue", "instance-profile", "placement-group", "ec2-resource"];
        let things = odd.map(|kind| tagged(kind, "", "a name's (odd)", "x-1")).into_iter().chain([versioned]);
        for thing in things {
            let command = command_for(&thing, &scope);
            let checked = std::process::Command::new("sh").args(["-n", "-c", &command]).status().unwrap();
            assert!(checked.success(), "{command}");
            assert!(command.starts_with("aws ") || command.starts_with("for "), "{command}");
        }
    }

    #[test]
    fn the_versions_of_one_command_fit_into_one_argument() {
        let versioned = tagged("bucket", "", "old", "old").with("keeps_versions", true);
        let command = command_for(&versioned, &hol02());
        assert!(command.contains(&format!("--max-items {PAGE} ")), "{command}");
        assert!(PAGE_BY_PAGE.starts_with(&format!("{PAGE} versions")));
        // As the AWS CLI prints it: four spaces for each level.
        let entry = serde_json::json!({ "Key": "k".repeat(400), "VersionId": "v".repeat(32) });
        let page = serde_json::json!({ "Objects": vec![entry; PAGE] });
        let mut printed = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        page.serialize(&mut serde_json::Serializer::with_formatter(&mut printed, indent)).unwrap();
        assert!(printed.len() < 128 * 1024, "{}", printed.len());
    }

    #[test]
    fn programs_come_first_and_in_the_order_of_down_sh() {
        let ranks = ["vpn-setup down", "net-up nat close", "net-up down", "aws s3 rb"].map(rank);
        assert!(ranks.is_sorted(), "{ranks:?}");
    }
}
