//! The task's hosts: where they stand, and what they were told to install and say of it.

use aws_sdk_ec2::types::{Instance, InstanceAttributeName, InstanceStateName, Reservation};
use base64::Engine as _;
use futures::future::join_all;
use host_up::{is_set_up, is_user_data_of};
use lab_common::{Host, Internet, Lab, Runs, Session, Tags, explain};
use lab_ec2::{find_role, find_tag, is_gone, is_ours, lab_filters, list};
use lab_plan::Problem;

use super::{Read, unread};
use crate::clients::Clients;
use crate::thing::own;

/// One of the lab's instances.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Machine {
    pub(in super::super) id: String,
    pub(in super::super) name: String,
    /// The host of lab.toml that it is.
    pub(in super::super) host: String,
    pub(in super::super) state: String,
    pub(in super::super) size: String,
    pub(in super::super) vpc: Option<String>,
    pub(in super::super) subnet: Option<String>,
    pub(in super::super) groups: Vec<String>,
    pub(in super::super) public_ip: Option<String>,
    pub(in super::super) private_ip: Option<String>,
    /// The name of its instance profile.
    pub(in super::super) profile: Option<String>,
    /// Its console's newest word of ours is that its setup is done.
    pub(in super::super) is_ready: Read<bool>,
    /// Its user-data is `host-up`'s for what the task asks for.
    pub(in super::super) is_told: Read<bool>,
}

/// The host of a task: the one in such a subnet that runs what the task asks for, else the first one there.
pub(in super::super) fn find_task_host(lab: &Lab, internet: Internet) -> Option<&Host> {
    let is_there = |host: &&Host| lab.subnet(&host.subnet).is_some_and(|subnet| subnet.internet == internet);
    let hosts = || lab.hosts.iter().filter(is_there);
    hosts().find(|host| host.runs == Some(software(internet))).or_else(|| hosts().next())
}

/// What the task's host in such a subnet runs.
pub(in super::super) fn software(internet: Internet) -> Runs {
    match internet {
        Internet::Gateway => Runs::Jupyter,
        Internet::None => Runs::Filegator,
    }
}

/// The instances that play the tasks' hosts, running ones first.
pub(super) async fn find_machines(session: &Session, clients: &Clients) -> Read<Vec<Machine>> {
    let request = clients.ec2.describe_instances().set_filters(Some(lab_filters(&session.tags)));
    let found = list("DescribeInstances", request.into_paginator().items().send().collect()).await;
    let found: Vec<Reservation> = found.map_err(unread)?;
    let tasks = [Internet::Gateway, Internet::None];
    let hosts: Vec<_> =
        tasks.into_iter().filter_map(|one| Some((find_task_host(&session.lab, one)?, software(one)))).collect();
    let instances = found.iter().flat_map(Reservation::instances);
    let ours = instances.filter(|instance| is_ours(&session.tags, instance.tags())).filter_map(read_machine);
    let looks = ours.filter_map(|machine| {
        let runs = hosts.iter().find(|(host, _)| host.role == machine.host)?.1;
        Some(look_closer(&clients.ec2, machine, runs))
    });
    let mut machines = join_all(looks).await;
    machines.sort_by_key(|machine| machine.state != InstanceStateName::Running.as_str());
    Ok(machines)
}

fn read_machine(instance: &Instance) -> Option<Machine> {
    let state = instance.state().and_then(|state| state.name()).cloned().unwrap_or(InstanceStateName::Pending);
    if matches!(state, InstanceStateName::Terminated | InstanceStateName::ShuttingDown) {
        return None;
    }
    let host = find_role(instance.tags())?.strip_prefix(&lab_common::roles::instance(""))?;
    let profile = instance.iam_instance_profile().and_then(|profile| profile.arn()?.rsplit('/').next());
    Some(Machine {
        id: instance.instance_id()?.to_owned(),
        name: find_tag(instance.tags(), Tags::NAME).unwrap_or(host).to_owned(),
        host: host.to_owned(),
        state: state.as_str().to_owned(),
        size: instance.instance_type().map(|size| size.as_str().to_owned()).unwrap_or_default(),
        vpc: own(instance.vpc_id()),
        subnet: own(instance.subnet_id()),
        groups: instance.security_groups().iter().filter_map(|group| own(group.group_id())).collect(),
        public_ip: own(instance.public_ip_address()),
        private_ip: own(instance.private_ip_address()),
        profile: own(profile),
        is_ready: Ok(false),
        is_told: Ok(false),
    })
}

/// Asks its console and its user-data; a host that does not run says nothing.
async fn look_closer(ec2: &aws_sdk_ec2::Client, machine: Machine, runs: Runs) -> Machine {
    let is_running = machine.state == InstanceStateName::Running.as_str();
    let ready = async { if is_running { is_set_up(ec2, &machine.id, &machine.size).await } else { Ok(false) } };
    let (is_ready, text) = tokio::join!(ready, read_user_data(ec2, &machine.id));
    let is_told = text.map(|text| is_user_data_of(&text, runs)).map_err(unread);
    Machine { is_ready: is_ready.map_err(unread), is_told, ..machine }
}

async fn read_user_data(ec2: &aws_sdk_ec2::Client, id: &str) -> Result<String, Problem> {
    let request = ec2.describe_instance_attribute().instance_id(id).attribute(InstanceAttributeName::UserData);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if is_gone(&error) => return Ok(String::new()),
        Err(error) => return Err(explain("DescribeInstanceAttribute", &error)),
    };
    let packed = answer.user_data().and_then(|data| data.value()).unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed.trim()).unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
