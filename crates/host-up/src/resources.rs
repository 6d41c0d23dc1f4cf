//! What exists, for people and programs. Pure.

use aws_sdk_ec2::types::InstanceStateName;
use lab_common::{Names, prices};
use lab_plan::Resource;

use crate::console::Marker;
use crate::live::{Instance, Live};
use crate::secrets::{FILEGATOR_USER, Logins};

/// The port of the Jupyter server.
const JUPYTER_PORT: u16 = 8888;
/// The port of the file server.
const FILEGATOR_PORT: u16 = 8080;

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
/// With `logins`, Jupyter's address logs in whoever opens it, and the file server's password is told.
pub(crate) fn list_resources(names: &Names, live: &Live, logins: &Logins) -> Vec<Resource> {
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
    resources.extend(there.map(|instance| describe(instance, live, logins)));
    resources
}

fn describe(instance: &Instance, live: &Live, logins: &Logins) -> Resource {
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
    let Some(address) = find_address(instance) else { return resource };
    match (instance.runs.as_deref(), &logins.password) {
        (Some("jupyter"), _) => {
            let login = logins.token.as_ref().map(|token| format!("?token={}", token.reveal())).unwrap_or_default();
            resource.with("url", format!("http://{address}:{JUPYTER_PORT}/lab{login}"))
        }
        (Some("filegator"), password) => {
            let resource = resource.with("url", format!("http://{address}:{FILEGATOR_PORT}/"));
            match password {
                Some(password) => resource.with("user", FILEGATOR_USER).with("password", password.reveal()),
                None => resource,
            }
        }
        _ => resource,
    }
}

/// Where a browser finds what the host runs.
fn find_address(instance: &Instance) -> Option<&str> {
    let up = instance.is_up().then_some(instance)?;
    up.public_ip.as_deref().or(up.private_ip.as_deref())
}

#[cfg(test)]
mod tests {
    use lab_common::Secret;

    use super::*;
    use crate::testing::{live_with, names, running};

    #[test]
    fn the_token_shows_only_on_request() {
        let live = live_with([running("public")]);
        let logins = Logins { token: Some(Secret::new("0123")), password: None };
        let url = |logins: &Logins| list_resources(&names(), &live, logins)[0].more["url"].as_str().unwrap().to_owned();
        assert_eq!(url(&Logins::default()), "http://203.0.113.7:8888/lab");
        assert_eq!(url(&logins), "http://203.0.113.7:8888/lab?token=0123");
    }

    #[test]
    fn the_file_server_s_password_shows_only_on_request() {
        let host = Instance { runs: Some("filegator".into()), public_ip: None, ..running("private") };
        let live = live_with([host]);
        let logins = Logins { token: None, password: Some(Secret::new("k7mq2")) };
        let shown = |logins: &Logins| serde_json::to_string(&list_resources(&names(), &live, logins)[0]).unwrap();
        assert!(shown(&Logins::default()).contains("http://10.0.1.4:8080/"), "{}", shown(&Logins::default()));
        assert!(!shown(&Logins::default()).contains("password"));
        let asked = shown(&logins);
        assert!(asked.contains(r#""user":"admin""#) && asked.contains(r#""password":"k7mq2""#), "{asked}");
    }

    #[test]
    fn a_terminated_instance_is_nothing_and_a_stopped_one_costs_its_disk() {
        let none = Logins::default();
        let mut instance = running("public");
        instance.state = InstanceStateName::Terminated;
        assert!(list_resources(&names(), &live_with([instance.clone()]), &none).is_empty());
        instance.state = InstanceStateName::Stopped;
        let resources = list_resources(&names(), &live_with([instance]), &none);
        assert!((resources[0].usd_per_hour - prices::gp3(8)).abs() < 1e-6);
        let resources = list_resources(&names(), &live_with([running("public")]), &none);
        assert!((resources[0].usd_per_hour - (0.0104 + 0.005 + prices::gp3(8))).abs() < 1e-6);
    }
}
