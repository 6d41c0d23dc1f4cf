//! Whether what an owner has is all that lab.toml asks for, as far as the list of it tells. Pure.

use lab_common::{Internet, Lab, Names};
use serde_json::Value;

/// What the part of a lab wants and `resources`, as `lab-status --json` lists them, has not: each as `instance NAME`. That
/// each is as wanted down to its rules, only its program's `plan --check` says.
pub(crate) fn find_missing(part: &Lab, resources: &[Value]) -> Vec<String> {
    let is_there = |kind: &str, name: &str| {
        let alive = |one: &&Value| !matches!(one["state"].as_str(), Some("stopped" | "stopping" | "failed"));
        resources.iter().filter(|one| one["kind"] == kind && one["name"] == name).any(|one| alive(&one))
    };
    let wanted = list_wanted(part).into_iter();
    wanted.filter(|(kind, name)| !is_there(kind, name)).map(|(kind, name)| format!("{kind} {name}")).collect()
}

/// Kind and name of what a whole lab cannot be without.
fn list_wanted(part: &Lab) -> Vec<(&'static str, String)> {
    let names = Names::new(part);
    let mut wanted = vec![("vpc", names.vpc())];
    if part.network.subnets.iter().any(|subnet| subnet.internet == Internet::Gateway) {
        wanted.push(("internet-gateway", names.internet_gateway()));
    }
    wanted.extend(part.network.subnets.iter().map(|subnet| ("subnet", names.subnet(&subnet.role))));
    wanted.extend(part.hosts.iter().map(|host| ("instance", names.host(&host.role))));
    if let Some(images) = &part.images {
        wanted.extend([("bucket", images.input.clone()), ("bucket", images.output.clone())]);
        wanted.extend([("function", images.function.clone()), ("bucket-notification", images.input.clone())]);
    }
    if let Some(vpn) = &part.vpn {
        wanted.push(("client-vpn-endpoint", names.vpn_endpoint()));
        wanted.extend(vpn.subnets.iter().map(|role| ("client-vpn-target-network", names.subnet(role))));
    }
    wanted
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_or_does_not_run_is_missing() {
        let overrides = Overrides { owner: Some("ada".into()), region: None };
        let lab = read_lab("hol02", HOL02, &overrides).unwrap();
        let mut all: Vec<_> =
            list_wanted(&lab).iter().map(|(kind, name)| json!({ "kind": kind, "name": name, "state": "ok" })).collect();
        assert_eq!(all.len(), 12, "{all:?}");
        assert_eq!(find_missing(&lab, &all), [] as [String; 0]);
        let host = all.iter_mut().find(|one| one["name"] == "lab-public-ec2").unwrap();
        host["state"] = "stopped".into();
        all.retain(|one| one["kind"] != "function");
        assert_eq!(find_missing(&lab, &all), ["instance lab-public-ec2", "function lab-lambda-function"]);
    }
}
