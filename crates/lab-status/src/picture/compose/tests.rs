use lab_common::{HOL02, Overrides, read_lab};

use super::*;
use crate::testing::inventory;
use crate::thing::{Label, Thing};

fn lab() -> Lab {
    read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
}

fn scene(view: View, resources: Vec<Resource>, changes: Vec<Change>, refused: Vec<String>) -> Scene {
    let part = inventory::Part { program: "net-up", changes, refused, ..inventory::Part::default() };
    scene_of(view, resources, &[part], &World::default())
}

fn scene_of(view: View, resources: Vec<Resource>, parts: &[inventory::Part], world: &World) -> Scene {
    let (lab, found) = (lab(), inventory(resources));
    compose(&Facts {
        lab: &lab,
        names: &Names::new(&lab),
        region: "us-east-1",
        account: Some("123456789012"),
        at: String::new(),
        view,
        found: &found,
        parts,
        world,
    })
}

fn change(action: Action, kind: &'static str, name: &str, detail: &str) -> Change {
    Change { action, kind, name: name.into(), detail: detail.into(), usd_per_hour: 0.0 }
}

#[test]
fn a_lab_that_is_not_there_is_drawn_whole_and_missing() {
    let scene = scene(View::Live, vec![], vec![], vec![]);
    let vpc = scene.vpc.unwrap();
    let subnets: Vec<_> = vpc.subnets.iter().map(|one| (one.part.name.as_str(), one.part.presence)).collect();
    let missing = Presence::Missing;
    assert_eq!(subnets, [("lab-public-subnet", missing), ("lab-private-subnet", missing)]);
    assert_eq!(vpc.subnets[0].hosts[0].inbound[0].presence, missing);
    assert_eq!(vpc.vpn.unwrap().subnets, [("public".to_owned(), missing)]);
    assert_eq!(scene.pipeline.unwrap().trigger.presence, missing);
    assert_eq!(scene.account.as_deref(), Some("9012"));
}

#[test]
fn what_up_would_change_is_drift_in_the_one_view_and_a_change_in_the_other() {
    let vpc = || Resource::new("vpc", "lab-vpc", "vpc-1").with("cidr", "10.0.0.0/16");
    let changes = || vec![change(Action::Update, "vpc", "lab-vpc", "DNS hostnames on")];
    let of = |view| scene(view, vec![vpc()], changes(), vec![]).vpc.unwrap().part;
    assert_eq!((of(View::Live).presence, of(View::Plan).presence), (Presence::Drifted, Presence::Change));
    assert_eq!(of(View::Live).why.as_deref(), Some("DNS hostnames are off, wanted on"));
    assert_eq!(of(View::Plan).why.as_deref(), Some("DNS hostnames on"));
}

/// VPC and public subnet with names of one's own.
fn renamed() -> Vec<Resource> {
    vec![
        Resource::new("vpc", "mine", "vpc-1").with("role", "vpc").with("cidr", "10.0.0.0/16"),
        Resource::new("subnet", "", "subnet-1").with("role", "subnet public").with("cidr", "10.0.1.0/24"),
        Resource::new("internet-gateway", "door", "igw-1").with("role", "internet-gateway").state("attached"),
        Resource::new("route-table", "ways", "rtb-1").with("role", PUBLIC_TABLE).with("default_route", "none"),
    ]
}

#[test]
fn what_was_renamed_is_there_and_what_has_no_name_is_called_as_lab_toml_does() {
    let vpc = scene(View::Live, renamed(), vec![], vec![]).vpc.unwrap();
    assert_eq!((vpc.part.name.as_str(), vpc.part.presence), ("mine", Presence::There));
    let subnet = &vpc.subnets[0].part;
    assert_eq!((subnet.name.as_str(), subnet.presence), ("lab-public-subnet", Presence::There));
    assert_eq!(subnet.id.as_deref(), Some("subnet-1"));
    let gateway = vpc.gateway.unwrap();
    assert_eq!((gateway.name.as_str(), gateway.presence), ("door", Presence::There));
    assert_eq!(gateway.lines, ["route table ways"]);
    assert_eq!(to_part(&Resource::new("volume", "", "vol-1")).name, "vol-1");
}

#[test]
fn a_route_that_somebody_has_deleted_is_not_drawn() {
    let thing = |kind, id: &str| Thing::new(kind, id, Label::default()).within(Some("vpc-1"), None);
    let table = thing("route-table", "rtb-1").with("default_route", "none").with("subnets", vec!["subnet-1"]);
    let world = World { things: vec![thing("subnet", "subnet-1"), table], ..World::default() };
    let changes = vec![change(Action::Update, "route-table", "lab-public-to-internet", "0.0.0.0/0 to lab-igw")];
    let parts = [inventory::Part { program: "net-up", changes, ..inventory::Part::default() }];
    let live = scene_of(View::Live, renamed(), &parts, &world).vpc.unwrap();
    assert_eq!(live.subnets[0].route, Route::None);
    let gateway = live.gateway.unwrap();
    let why = gateway.why.as_deref();
    assert_eq!((gateway.presence, why), (Presence::Drifted, Some("missing: 0.0.0.0/0 to lab-igw")));
    let plan = scene_of(View::Plan, renamed(), &parts, &world).vpc.unwrap();
    assert_eq!(plan.subnets[0].route, Route::Gateway);
    assert_eq!(plan.subnets[1].route, Route::None);
}

#[test]
fn a_host_that_somebody_put_into_another_group_lets_in_what_that_one_does() {
    let thing = |kind, id: &str| Thing::new(kind, id, Label::default());
    let mut instance = thing("instance", "i-1");
    instance.place.groups = vec!["sg-9".into()];
    let other = thing("security-group", "sg-9").named("other").with("rules", vec!["tcp/3389 from 0.0.0.0/0"]);
    let world = World { things: vec![instance], strangers: vec![other], ..World::default() };
    let rules = vec!["tcp/22 from 203.0.113.5/32", "tcp/8888 from 203.0.113.5/32"];
    let resources = vec![
        Resource::new("instance", "web", "i-1").with("host", "public"),
        Resource::new("security-group", "lab-public-ec2", "sg-1").with("rules", rules),
    ];
    let changes = vec![change(Action::Update, "instance", "lab-public-ec2", "security group sg-1")];
    let parts = [inventory::Part { program: "host-up", changes, ..inventory::Part::default() }];
    let host = |view| scene_of(view, resources.clone(), &parts, &world).vpc.unwrap().subnets[0].hosts[0].clone();
    let live = host(View::Live);
    assert_eq!(live.part.why.as_deref(), Some("it is in security group other, wanted: security group sg-1"));
    assert_eq!((live.group.name.as_str(), live.group.presence), ("other", Presence::Drifted));
    let told: Vec<_> = live.inbound.iter().map(|rule| (rule.ports.as_str(), rule.presence)).collect();
    assert_eq!(told, [("TCP 3389", Presence::Unexpected), ("TCP 22, 8888", Presence::Missing)]);
    assert_eq!(host(View::Plan).group.name, "lab-public-ec2");
}

#[test]
fn what_is_refused_is_not_added_and_neither_is_the_rest_of_its_part() {
    let part = |program, refused: &str| {
        let log_group = "the log group /aws/lambda/lab-lambda-function is not this lab's".to_owned();
        let refused = if program == "host-up" { vec![refused.to_owned()] } else { vec![log_group, refused.to_owned()] };
        inventory::Part { program, refused, ..inventory::Part::default() }
    };
    let parts = [
        part("pipeline-up", "function lab-lambda-function of 123456789012 is not this lab's"),
        part("host-up", "there is no subnet lab-public-subnet yet"),
    ];
    let of = |view| scene_of(view, vec![], &parts, &World::default());
    let plan = of(View::Plan);
    let pipeline = plan.pipeline.unwrap();
    assert_eq!((pipeline.function.presence, pipeline.input.presence), (Presence::Blocked, Presence::Missing));
    assert_eq!(pipeline.function.why.as_deref(), Some("function lab-lambda-function of …9012 is not this lab's"));
    let subnet = &plan.vpc.unwrap().subnets[0];
    assert_eq!((subnet.part.presence, subnet.hosts[0].part.presence), (Presence::Add, Presence::Add));
    let live = of(View::Live).pipeline.unwrap().function;
    assert_eq!((live.presence, live.why.is_some()), (Presence::Missing, true));
}

#[test]
fn a_plan_tells_what_the_lab_would_cost_where_hosts_wait_for_the_network_too() {
    let waits = || vec!["there is no subnet lab-public-subnet yet".to_owned()];
    let mut launch = change(Action::Create, "instance", "lab-public-ec2", "t3.micro");
    launch.usd_per_hour = 0.25;
    let planned = inventory::Part { program: "host-up", changes: vec![launch], ..inventory::Part::default() };
    let scene = |view, part| scene_of(view, vec![], &[part], &World::default());
    assert_eq!(scene(View::Plan, planned.clone()).usd_per_hour_after, Some(0.25));
    assert_eq!(scene(View::Live, planned).usd_per_hour_after, None);
    let waiting = inventory::Part { program: "host-up", refused: waits(), ..inventory::Part::default() };
    let hosts = estimate(&lab()).items.into_iter().filter(|item| item.billed == Billed::Always);
    let hosts: f64 = hosts.filter_map(|item| item.usd_per_hour).sum();
    let after = scene(View::Plan, waiting).usd_per_hour_after.unwrap();
    assert!(hosts > 0.02 && (after - hosts).abs() < 1e-9, "{after} {hosts}");
}

#[test]
fn a_stopped_host_has_not_drifted() {
    let host = Resource::new("instance", "lab-public-ec2", "i-1").state("stopped").with("host", "public");
    let start = change(Action::Update, "instance", "lab-public-ec2", "start it: it is stopped");
    let of = |view| {
        let vpc = scene(view, vec![host.clone()], vec![start.clone()], vec![]).vpc.unwrap();
        vpc.subnets[0].hosts[0].part.clone()
    };
    assert_eq!((of(View::Live).presence, of(View::Plan).presence), (Presence::There, Presence::Change));
    assert_eq!(of(View::Live).state, Some(("stopped".into(), Health::Off)));
}

#[test]
fn what_cannot_be_changed_in_place_is_marked_with_the_reason() {
    let subnet = Resource::new("subnet", "lab-public-subnet", "subnet-1").with("cidr", "10.0.9.0/24");
    let why = "subnet lab-public-subnet has 10.0.9.0/24, lab.toml says 10.0.1.0/24\nmore".to_owned();
    let vpc = scene(View::Live, vec![subnet], vec![], vec![why]).vpc.unwrap();
    assert_eq!(vpc.subnets[0].part.presence, Presence::Drifted);
    assert!(vpc.subnets[0].part.why.as_ref().unwrap().ends_with("10.0.1.0/24"), "{:?}", vpc.subnets[0].part);
    assert_eq!(vpc.subnets[0].cidr, "10.0.9.0/24");
}

#[test]
fn no_account_number_and_no_arn_is_in_a_scene() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function";
    let function = Resource::new("function", "lab-lambda-function", arn).state("Active");
    let text = format!("{:?}", scene(View::Live, vec![function], vec![], vec![]));
    assert!(!text.contains("123456789012"), "{text}");
}
