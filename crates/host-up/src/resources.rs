//! What exists, for people and programs. Pure.

use aws_sdk_ec2::types::InstanceStateName;
use lab_common::{Names, Secret, prices};
use lab_plan::Resource;

use crate::console::Marker;
use crate::live::{Instance, Live};

/// The port of the Jupyter server.
const JUPYTER_PORT: u16 = 8888;

/// What an instance costs now, in US dollars an hour: its volume always, itself and its address while it is up.
pub(crate) fn cost_of(instance: &Instance, live: &Live) -> f64 {
    if !instance.is_alive() {
        return 0.0;
    }
    let volume = live.disk_gb(instance).map_or(0.0, prices::gp3);
    if !instance.is_up() {
        return volume;
    }
    let address = if instance.public_ip.is_some() { prices::PUBLIC_IPV4 } else { 0.0 };
    volume + address + prices::instance(&instance.size).unwrap_or(0.0)
}

/// Everything of ours that exists. Instances that EC2 still lists as terminated are gone and cost nothing: left out.
/// With a `token`, Jupyter's address logs in whoever opens it.
pub(crate) fn list_resources(names: &Names, live: &Live, token: Option<&Secret>) -> Vec<Resource> {
    let mut resources = Vec::new();
    let key_pair = names.key_pair();
    if let Some(pair) = live.key_pairs.get(&key_pair).filter(|pair| pair.ours) {
        resources.push(Resource::new("key-pair", key_pair, pair.id.clone()));
    }
    if live.role.as_ref().is_some_and(|role| role.ours) {
        resources.push(Resource::new("role", names.host_role(), names.host_role()));
    }
    if live.profile.as_ref().is_some_and(|profile| profile.ours) {
        resources.push(Resource::new("instance-profile", names.host_profile(), names.host_profile()));
    }
    let there = live.instances.iter().filter(|instance| instance.state != InstanceStateName::Terminated);
    resources.extend(there.map(|instance| describe(instance, live, token)));
    resources
}

fn describe(instance: &Instance, live: &Live, token: Option<&Secret>) -> Resource {
    let mut resource = Resource::new("instance", &instance.name, &instance.id)
        .state(instance.state.as_str())
        .costs(cost_of(instance, live))
        .with("host", instance.host.as_str())
        .with("size", instance.size.as_str());
    let known = [
        ("public_ip", &instance.public_ip),
        ("private_ip", &instance.private_ip),
        ("checks", &instance.checks),
        ("runs", &instance.runs),
    ];
    for (field, value) in known {
        if let Some(value) = value {
            resource = resource.with(field, value.as_str());
        }
    }
    if let Some(marker) = &instance.marker {
        resource = resource.with("ready", *marker == Marker::Ready);
    }
    if let Some(url) = find_url(instance, token) {
        resource = resource.with("url", url);
    }
    resource
}

/// Where a browser finds the host's Jupyter server.
fn find_url(instance: &Instance, token: Option<&Secret>) -> Option<String> {
    if instance.runs.as_deref() != Some("jupyter") || !instance.is_up() {
        return None;
    }
    let address = instance.public_ip.as_ref().or(instance.private_ip.as_ref())?;
    let login = token.map(|token| format!("?token={}", token.reveal())).unwrap_or_default();
    Some(format!("http://{address}:{JUPYTER_PORT}/lab{login}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live_with, names, running};

    #[test]
    fn the_token_shows_only_on_request() {
        let live = live_with([running("public")]);
        let token = Secret::new("0123");
        let url = |token| list_resources(&names(), &live, token)[0].more["url"].as_str().unwrap().to_owned();
        assert_eq!(url(None), "http://203.0.113.7:8888/lab");
        assert_eq!(url(Some(&token)), "http://203.0.113.7:8888/lab?token=0123");
    }

    #[test]
    fn a_terminated_instance_is_nothing_and_a_stopped_one_costs_its_disk() {
        let mut instance = running("public");
        instance.state = InstanceStateName::Terminated;
        assert!(list_resources(&names(), &live_with([instance.clone()]), None).is_empty());
        instance.state = InstanceStateName::Stopped;
        let resources = list_resources(&names(), &live_with([instance]), None);
        assert!((resources[0].usd_per_hour - prices::gp3(8)).abs() < 1e-6);
        let resources = list_resources(&names(), &live_with([running("public")]), None);
        assert!((resources[0].usd_per_hour - (0.0104 + 0.005 + prices::gp3(8))).abs() < 1e-6);
    }
}
