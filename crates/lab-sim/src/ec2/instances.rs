//! Instances: states that take time, status checks, the console, and what a terminated instance leaves behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::call::{Answer, Call, answer, new_request_id};
use crate::ec2::internet::OnlineTime;
use crate::sim::{Sim, StateTimes, lock};
use crate::xml::Element;

/// The line that user-data prints when a host is ready.
const READY_MARKER: &str = "hybrid-lab: ready";

/// What lab-sim knows of an instance.
#[derive(Debug, Clone)]
pub(crate) struct InstanceRecord {
    launched: Instant,
    user_data: String,
    change: Change,
    changed: Instant,
    pub(crate) online: OnlineTime,
}

/// The last change of state that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Start,
    Stop,
    Terminate,
}

/// The instances by id.
pub(crate) type InstanceBook = HashMap<String, InstanceRecord>;

impl InstanceRecord {
    fn new(user_data: String, now: Instant) -> Self {
        Self { launched: now, user_data, change: Change::Start, changed: now, online: OnlineTime::default() }
    }

    pub(crate) fn launched(&self) -> Instant {
        self.launched
    }

    /// Whether its console would show some day that it is ready.
    pub(crate) fn waits(&self) -> bool {
        self.user_data.contains(READY_MARKER) && !self.has_ended()
    }

    /// Whether its user-data has come to its end: it needs the internet for as long as cloud-init takes.
    pub(crate) fn is_set_up(&self, times: &StateTimes) -> bool {
        self.online.total(times.now()) >= times.cloud_init()
    }

    pub(crate) fn runs(&self, times: &StateTimes) -> bool {
        self.change == Change::Start && self.shown_state(times).is_none()
    }

    /// Whether what its user-data sets up answers: at once where no marker says when.
    pub(crate) fn serves(&self, times: &StateTimes) -> bool {
        self.runs(times) && (!self.user_data.contains(READY_MARKER) || self.is_set_up(times))
    }

    /// Whether its end has begun.
    pub(crate) fn has_ended(&self) -> bool {
        self.change == Change::Terminate
    }

    /// The state to show `since` the last change, where moto is at its end already.
    fn passing_state(&self, since: Duration, times: &StateTimes) -> Option<&'static str> {
        let (state, lasts) = match self.change {
            Change::Start => ("pending", times.instance_start()),
            Change::Stop => ("stopping", times.instance_end()),
            Change::Terminate => ("shutting-down", times.instance_end()),
        };
        (since < lasts).then_some(state)
    }

    /// The state to show now, or none when moto's is right.
    pub(crate) fn shown_state(&self, times: &StateTimes) -> Option<&'static str> {
        self.passing_state(times.since(self.changed), times)
    }
}

/// EC2's number for a state.
fn state_code(state: &str) -> &'static str {
    match state {
        "pending" => "0",
        "running" => "16",
        "shutting-down" => "32",
        "terminated" => "48",
        "stopping" => "64",
        _ => "80",
    }
}

/// Takes note of what a successful call did to instances.
pub(crate) fn record_change(sim: &Sim, call: &Call, root: &Element) {
    let now = sim.times.now();
    let mut book = lock(&sim.ec2.instances);
    match call.class.action.as_str() {
        "RunInstances" => {
            let encoded = call.param("UserData").unwrap_or_default();
            let decoded = STANDARD.decode(encoded.trim()).unwrap_or_default();
            let user_data = String::from_utf8_lossy(&decoded).into_owned();
            for id in super::late::created_ids("RunInstances", root) {
                // A call repeated with its token launches nothing new.
                book.entry(id).or_insert_with(|| InstanceRecord::new(user_data.clone(), now));
            }
        }
        "StartInstances" => change_all(&mut book, call, Change::Start, now),
        "StopInstances" => change_all(&mut book, call, Change::Stop, now),
        "TerminateInstances" => change_all(&mut book, call, Change::Terminate, now),
        _ => {}
    }
}

fn change_all(book: &mut InstanceBook, call: &Call, change: Change, now: Instant) {
    for id in call.form.list("InstanceId") {
        // What lab-sim has not launched (moto makes some itself) is as old as it gets.
        let record = book.entry(id.to_owned()).or_insert_with(|| InstanceRecord::new(String::new(), now));
        if record.change != change && !record.has_ended() {
            record.change = change;
            record.changed = now;
        }
    }
}

/// Gives the instances of a `DescribeInstances` or `RunInstances` answer their states, and a terminated one no network.
pub(crate) fn show_states(sim: &Sim, root: &mut Element) {
    let book = lock(&sim.ec2.instances);
    root.visit_mut(&mut |element| {
        let Some(id) = element.child_text("instanceId") else { return };
        if element.child("instanceState").is_none() || element.child("imageId").is_none() {
            return;
        }
        if let Some(state) = book.get(&id).and_then(|record| record.shown_state(&sim.times)) {
            set_state(element, "instanceState", state);
        }
        fill_groups(element);
        if shown_state_name(element, "instanceState").as_deref() == Some("terminated") {
            strip_network(element);
        }
    });
}

fn set_state(parent: &mut Element, name: &str, state: &str) {
    if let Some(element) = parent.child_mut(name) {
        element.set_child_text("code", state_code(state));
        element.set_child_text("name", state);
    }
}

fn shown_state_name(element: &Element, name: &str) -> Option<String> {
    element.descend(&[name, "name"]).map(Element::text)
}

/// moto names no groups on an instance whose network interface was described in the request.
fn fill_groups(instance: &mut Element) {
    if !instance.items("groupSet").is_empty() {
        return;
    }
    let groups = instance.items("networkInterfaceSet").first().and_then(|nic| nic.child("groupSet")).cloned();
    if let (Some(groups), Some(shown)) = (groups, instance.child_mut("groupSet")) {
        *shown = groups;
    }
}

/// A terminated instance has left its network.
fn strip_network(instance: &mut Element) {
    const GONE: &[&str] = &["subnetId", "vpcId", "privateIpAddress", "ipAddress"];
    instance.retain(|child| !GONE.contains(&child.name.as_str()));
    for name in ["networkInterfaceSet", "groupSet", "privateDnsName", "dnsName"] {
        if let Some(child) = instance.child_mut(name) {
            child.children.clear();
        }
    }
}

/// Leaves out instances whose shown state is not among `wanted`.
pub(crate) fn keep_states(root: &mut Element, wanted: &[String]) {
    let keeps = |name: Option<String>| name.is_some_and(|name| wanted.contains(&name));
    if let Some(reservations) = root.child_mut("reservationSet") {
        for reservation in reservations.elements_mut() {
            if let Some(instances) = reservation.child_mut("instancesSet") {
                instances.retain(|instance| keeps(shown_state_name(instance, "instanceState")));
            }
        }
        reservations.retain(|reservation| !reservation.items("instancesSet").is_empty());
    }
    if let Some(statuses) = root.child_mut("instanceStatusSet") {
        statuses.retain(|status| keeps(shown_state_name(status, "instanceState")));
    }
}

/// Gives `DescribeInstanceStatus` its states, and checks that are `initializing` for a while. Without
/// `IncludeAllInstances` only running instances are shown.
pub(crate) fn show_statuses(sim: &Sim, call: &Call, root: &mut Element) {
    let all = call.param("IncludeAllInstances") == Some("true");
    let book = lock(&sim.ec2.instances);
    let Some(statuses) = root.child_mut("instanceStatusSet") else { return };
    for status in statuses.elements_mut() {
        let record = status.child_text("instanceId").and_then(|id| book.get(&id));
        let Some(record) = record else { continue };
        if let Some(state) = record.shown_state(&sim.times) {
            set_state(status, "instanceState", state);
        }
        let running = shown_state_name(status, "instanceState").as_deref() == Some("running");
        let checks = if !running {
            Some(("not-applicable", "not-applicable"))
        } else if sim.times.since(record.changed) < sim.times.status_checks() {
            Some(("initializing", "initializing"))
        } else {
            None
        };
        if let Some((summary, detail)) = checks {
            set_checks(status, summary, detail);
        }
    }
    if !all {
        statuses.retain(|status| shown_state_name(status, "instanceState").as_deref() == Some("running"));
    }
}

fn set_checks(status: &mut Element, summary: &str, detail: &str) {
    for name in ["systemStatus", "instanceStatus"] {
        let Some(check) = status.child_mut(name) else { continue };
        check.set_child_text("status", summary);
        if let Some(details) = check.child_mut("details") {
            for item in details.elements_mut() {
                item.set_child_text("status", detail);
            }
        }
    }
}

/// The network interfaces that end with instances. moto keeps them, and they would block their subnet for ever.
pub(crate) async fn find_interfaces(sim: &Arc<Sim>, call: &Call) -> Vec<String> {
    let ids = call.form.list("InstanceId");
    let mut parameters = vec![("Filter.1.Name".to_owned(), "attachment.instance-id")];
    parameters.extend(ids.iter().enumerate().map(|(n, id)| (format!("Filter.1.Value.{}", n + 1), *id)));
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let root = sim.moto.ec2(&call.class.region, "DescribeNetworkInterfaces", &parameters).await.unwrap_or_default();
    root.items("networkInterfaceSet")
        .iter()
        .filter(|nic| nic.child_text("description").as_deref() == Some("Primary network interface"))
        .filter_map(|nic| nic.child_text("networkInterfaceId"))
        .collect()
}

/// Removes interfaces that [`find_interfaces`] found.
pub(crate) async fn remove_interfaces(sim: &Arc<Sim>, region: &str, interfaces: &[String]) {
    for id in interfaces {
        let nic = sim.moto.ec2(region, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", id)]).await;
        let attachment = nic.as_ref().and_then(|root| {
            root.items("networkInterfaceSet").first()?.descend(&["attachment", "attachmentId"]).map(Element::text)
        });
        if let Some(attachment) = attachment {
            sim.moto.ec2(region, "DetachNetworkInterface", &[("AttachmentId", &attachment), ("Force", "true")]).await;
        }
        sim.moto.ec2(region, "DeleteNetworkInterface", &[("NetworkInterfaceId", id)]).await;
    }
}

/// `GetConsoleOutput` of an instance that lab-sim launched; `None` for others.
pub(crate) fn answer_console(sim: &Sim, call: &Call) -> Option<Answer> {
    let id = call.param("InstanceId")?;
    let record = lock(&sim.ec2.instances).get(id).cloned()?;
    let latest = call.param("Latest") == Some("true");
    let end = console_end(&record, &sim.times);
    let text = console_text(end.as_deref(), sim.times.since(record.launched), latest, &sim.times);
    let mut root = Element::parse(b"<GetConsoleOutputResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"/>")?;
    root.push(Element::with_text("requestId", &new_request_id()));
    root.push(Element::with_text("instanceId", id));
    root.push(Element::with_text("timestamp", &jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()));
    if !text.is_empty() {
        root.push(Element::with_text("output", &STANDARD.encode(text)));
    }
    Some(answer(200, "text/xml;charset=UTF-8", root.to_document()))
}

/// What user-data prints at its end, when it has come to it. A host without a marker needs no internet.
fn console_end(record: &InstanceRecord, times: &StateTimes) -> Option<String> {
    if record.user_data.contains(READY_MARKER) {
        return record.is_set_up(times).then(|| READY_MARKER.to_owned());
    }
    (times.since(record.launched) >= times.cloud_init()).then(String::new)
}

/// What the console shows at an age. Without `latest` AWS shows a snapshot that comes long after the start.
fn console_text(end: Option<&str>, age: Duration, latest: bool, times: &StateTimes) -> String {
    if age < times.instance_start() || (!latest && age < times.console_snapshot()) {
        return String::new();
    }
    let mut lines = vec![
        "[    0.000000] Linux version 6.1.0 (lab-sim)",
        "[    1.000000] systemd[1]: Detected virtualization amazon.",
        "[    5.000000] cloud-init[1601]: Cloud-init v. 24.4 running 'init'",
    ];
    if let Some(end) = end {
        lines.push("[   60.000000] cloud-init[1702]: Cloud-init v. 24.4 running 'modules:final'");
        lines.extend((!end.is_empty()).then_some(end));
        lines.push("[   61.000000] cloud-init[1702]: Cloud-init v. 24.4 finished. Datasource DataSourceEc2.");
    }
    lines.join("\r\n") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: f64 = 1.0;

    fn record(change: Change) -> InstanceRecord {
        let now = Instant::now();
        InstanceRecord { change, ..InstanceRecord::new(String::new(), now) }
    }

    #[test]
    fn each_change_passes_through_its_state() {
        let times = &StateTimes::new(REAL);
        for (change, state) in
            [(Change::Start, "pending"), (Change::Stop, "stopping"), (Change::Terminate, "shutting-down")]
        {
            let record = record(change);
            assert_eq!(record.passing_state(Duration::ZERO, times), Some(state));
            assert_eq!(record.passing_state(Duration::from_mins(1), times), None);
            assert_eq!(record.passing_state(Duration::ZERO, &StateTimes::new(0.0)), None);
        }
    }

    #[test]
    fn the_marker_comes_with_the_end_of_cloud_init_and_only_with_latest() {
        let times = &StateTimes::new(REAL);
        let text = |end: Option<&str>, seconds: u64, latest: bool| {
            console_text(end, Duration::from_secs(seconds), latest, times)
        };
        let end = Some(READY_MARKER);
        assert_eq!(text(end, 1, true), "");
        assert!(!text(None, 100, true).contains(READY_MARKER));
        assert_eq!(text(end, 200, true).matches(READY_MARKER).count(), 1);
        assert_eq!(text(end, 200, false), "");
        assert!(text(end, 4000, false).contains(READY_MARKER));
    }

    #[test]
    fn a_host_with_a_marker_is_ready_only_after_enough_time_online() {
        let times = &StateTimes::new(REAL);
        let record = |user_data: &str| InstanceRecord::new(user_data.to_owned(), times.now());
        let (with, without) = (record("echo 'hybrid-lab: ready'"), record("echo"));
        times.advance(times.cloud_init());
        assert_eq!(console_end(&with, times), None, "it was never online");
        assert_eq!(console_end(&without, times).as_deref(), Some(""));
    }

    #[test]
    fn a_terminated_instance_has_no_network() {
        let source = b"<item><instanceId>i-1</instanceId><imageId>a</imageId><instanceState><code>48</code>\
                       <name>terminated</name></instanceState><subnetId>s</subnetId><groupSet><item><groupId>g</groupId>\
                       </item></groupSet></item>";
        let mut instance = Element::parse(source).expect("XML");
        strip_network(&mut instance);
        assert!(instance.child("subnetId").is_none());
        assert!(instance.items("groupSet").is_empty());
    }
}
