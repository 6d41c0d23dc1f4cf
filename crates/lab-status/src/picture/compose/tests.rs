use lab_common::{Billed, HOL02, Overrides, estimate, read_lab};
use lab_picture::{Presence, Route};
use lab_plan::Action;

use super::*;
use crate::inventory::Change;
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
    Change { action, kind, role: String::new(), name: name.into(), detail: detail.into(), usd_per_hour: 0.0 }
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

/// A running network with a host, as the tags tell it.
fn tagged() -> (Vec<Resource>, World) {
    let resources = vec![
        Resource::new("vpc", "lab-vpc", "vpc-1").with("role", "vpc").with("cidr", "10.0.0.0/16"),
        Resource::new("subnet", "lab-public-subnet", "subnet-1")
            .with("role", "subnet public")
            .with("cidr", "10.0.1.0/24"),
        Resource::new("instance", "lab-public-ec2", "i-1")
            .with("role", "instance public")
            .state("running")
            .costs(0.0104),
    ];
    let thing = |kind, id: &str, subnet| Thing::new(kind, id, Label::default()).within(Some("vpc-1"), subnet);
    let things = vec![thing("subnet", "subnet-1", None), thing("instance", "i-1", Some("subnet-1"))];
    (resources, World { things, ..World::default() })
}

fn compose_with(view: View, found: &Inventory, parts: &[inventory::Part], world: &World, lab: &Lab) -> Scene {
    let (names, at) = (Names::new(lab), String::new());
    compose(&Facts { lab, names: &names, region: "us-east-1", account: None, at, view, found, parts, world })
}

#[test]
fn what_could_not_be_read_is_not_missing_and_nothing_is_to_be_added() {
    let (tagged, world) = tagged();
    let unread = Some("DescribeInstances: UnauthorizedOperation".to_owned());
    let part = |program| inventory::Part { program, unread: unread.clone(), ..inventory::Part::default() };
    let parts = [part("net-up"), part("host-up"), part("vpn-setup")];
    let mut found = inventory(vec![]);
    found.others = tagged;
    found.unread = unread.clone().into_iter().collect();
    for view in [View::Live, View::Plan] {
        let scene = compose_with(view, &found, &parts, &world, &lab());
        let vpc = scene.vpc.as_ref().unwrap();
        let drawn = [&vpc.part, &vpc.subnets[0].part, &vpc.subnets[0].hosts[0].part, &vpc.vpn.as_ref().unwrap().part];
        assert_eq!(drawn.map(|part| part.presence), [Presence::Unknown; 4]);
        assert_eq!((vpc.part.id.as_deref(), scene.others.len()), (Some("vpc-1"), 0), "{:?}", scene.others);
        assert!(scene.is_at_least && scene.notes[0].contains("DescribeInstances"));
        let drawing = lab_picture::arrange(&scene);
        assert!(drawing.labels().any(|label| label.text == "? not known"));
        assert!(drawing.labels().any(|label| label.text.contains("at least $")));
        assert!(drawing.labels().any(|label| label.text.contains("DescribeInstances")), "told in the picture itself");
    }
}

#[test]
fn whatever_costs_has_a_card() {
    let (mut resources, mut world) = tagged();
    let nat = |id: &str, ip: &str| Resource::new("natgateway", "lab-nat", id).costs(0.045).with("public_ip", ip);
    let address = |id: &str, ip: &str| Resource::new("elastic-ip", id, id).costs(0.005).with("public_ip", ip);
    let endpoint = |id: &str| Resource::new("client-vpn-endpoint", id, id);
    let association = |id: &str, subnet: &str| {
        Resource::new("client-vpn-target-network", subnet, id).costs(0.1).with("subnet", subnet)
    };
    resources.extend([
        nat("nat-1", "203.0.113.1"),
        nat("nat-2", "203.0.113.2"),
        address("eipalloc-1", "203.0.113.1"),
        address("eipalloc-2", "203.0.113.2"),
        address("eipalloc-3", "203.0.113.3"),
        endpoint("cvpn-endpoint-1").with("role", "client-vpn-endpoint"),
        endpoint("cvpn-endpoint-2"),
        association("cvpn-assoc-1", "subnet-1"),
        association("cvpn-assoc-2", "subnet-1"),
        Resource::new("instance", "twin", "i-2").with("role", "instance public").costs(0.096),
        Resource::new("instance", "elsewhere", "i-3").with("role", "instance rogue").costs(0.08),
    ]);
    let thing = |kind, id: &str, subnet| Thing::new(kind, id, Label::default()).within(Some("vpc-1"), Some(subnet));
    let held = |id: &str, by| thing("client-vpn-target-network", id, "subnet-1").held_by(Some(by));
    world.things.extend([
        thing("natgateway", "nat-1", "subnet-1"),
        thing("natgateway", "nat-2", "subnet-1"),
        thing("instance", "i-2", "subnet-1"),
        thing("instance", "i-3", "subnet-of-another-vpc"),
        held("cvpn-assoc-1", "cvpn-endpoint-1"),
        held("cvpn-assoc-2", "cvpn-endpoint-2"),
    ]);
    let wanted: f64 = resources.iter().map(|one| one.usd_per_hour).sum();
    for with_vpn in [true, false] {
        let mut lab = lab();
        if !with_vpn {
            lab.vpn = None;
        }
        let scene = compose_with(View::Live, &inventory(resources.clone()), &[], &world, &lab);
        let vpc = scene.vpc.unwrap();
        let hosts = vpc.subnets.iter().flat_map(|subnet| &subnet.hosts).map(|host| &host.part);
        let nats = vpc.subnets.iter().filter_map(|subnet| subnet.nat.as_ref());
        let cards = hosts.chain(nats).chain(vpc.vpn.iter().map(|vpn| &vpn.part)).chain(&scene.others);
        let drawn: f64 = cards.map(|part| part.usd_per_hour).sum();
        assert!((drawn - wanted).abs() < 1e-9, "{drawn} of {wanted}: {:?}", scene.others);
        let others: Vec<_> = scene.others.iter().map(|part| part.name.as_str()).collect();
        assert!(others.contains(&"elsewhere") && others.contains(&"eipalloc-3"), "{others:?}");
        assert_eq!(others.contains(&"cvpn-endpoint-1"), !with_vpn);
        assert_eq!(vpc.subnets[0].hosts.iter().filter(|host| host.part.name == "twin").count(), 1);
    }
}

#[test]
fn only_what_a_program_removes_is_marked_so() {
    let (mut resources, mut world) = tagged();
    resources.push(Resource::new("subnet", "old", "subnet-9").with("role", "subnet old").with("cidr", "10.0.9.0/24"));
    resources.push(Resource::new("instance", "forgotten", "i-9").with("role", "instance gone"));
    let thing = |kind, id: &str, subnet| Thing::new(kind, id, Label::default()).within(Some("vpc-1"), subnet);
    world.things.extend([thing("subnet", "subnet-9", None), thing("instance", "i-9", Some("subnet-1"))]);
    let delete = Change { role: "delete subnet-9".into(), ..change(Action::Delete, "subnet", "old", "") };
    let parts = [inventory::Part { program: "net-up", changes: vec![delete], ..inventory::Part::default() }];
    let scene = scene_of(View::Plan, resources, &parts, &world);
    let subnets = &scene.vpc.as_ref().unwrap().subnets;
    let old = subnets.iter().find(|subnet| subnet.part.name == "old").unwrap();
    assert_eq!((old.part.presence, old.cidr.as_str()), (Presence::Remove, "10.0.9.0/24"));
    let forgotten = subnets[0].hosts.iter().find(|host| host.part.name == "forgotten").unwrap();
    assert_eq!(forgotten.part.presence, Presence::Unexpected);
}

#[test]
fn a_refusal_hides_no_drift() {
    let (resources, world) = tagged();
    let changes = vec![change(Action::Update, "vpc", "lab-vpc", "DNS hostnames on")];
    let refused = vec!["instance i-7 stands in my-extra-subnet, which lab.toml has no more".to_owned()];
    let parts = [inventory::Part { program: "net-up", changes, refused, ..inventory::Part::default() }];
    for view in [View::Live, View::Plan] {
        let vpc = scene_of(view, resources.clone(), &parts, &world).vpc.unwrap();
        assert_eq!(vpc.part.presence, Presence::Drifted, "up stops before it changes that");
        assert_eq!(vpc.part.why.as_deref(), Some("DNS hostnames are off, wanted on"));
    }
}

#[test]
fn what_has_no_card_shows_its_drift_at_what_it_belongs_to() {
    let (mut resources, world) = tagged();
    resources.extend([
        Resource::new("client-vpn-endpoint", "lab-client-vpn-endpoint", "cvpn-endpoint-1"),
        Resource::new("bucket", "lab-input-bucket-ada", "lab-input-bucket-ada"),
        Resource::new("bucket", "lab-output-bucket-ada", "lab-output-bucket-ada"),
        Resource::new("function", "lab-lambda-function", "arn").with("memory_mb", 1024).with("timeout_s", 30),
        Resource::new("bucket-notification", "lab-input-bucket-ada", "hybrid-lab")
            .with("events", "s3:ObjectRemoved:*")
            .with("prefix", "only/these/"),
    ]);
    let part = |program, changes| inventory::Part { program, changes, ..inventory::Part::default() };
    let parts = [
        part(
            "vpn-setup",
            vec![
                change(Action::Create, "client-vpn-authorization-rule", "10.0.0.0/16", ""),
                change(Action::Delete, "client-vpn-route", "0.0.0.0/0 via lab-public-subnet", ""),
            ],
        ),
        part(
            "pipeline-up",
            vec![
                change(
                    Action::Create,
                    "function-permission",
                    "lab-lambda-function",
                    "lab-input-bucket-ada may invoke it",
                ),
                change(Action::Update, "function", "lab-lambda-function", "OUTPUT_BUCKET -> lab-output-bucket-ada"),
            ],
        ),
        part("host-up", vec![change(Action::Create, "role-policy", "lab-host-role-ada", "read and write")]),
    ];
    let scene = scene_of(View::Live, resources, &parts, &world);
    let vpc = scene.vpc.unwrap();
    let told = "missing: authorization rule 10.0.0.0/16; too much: route 0.0.0.0/0 via lab-public-subnet";
    assert_eq!(vpc.vpn.unwrap().part.why.as_deref(), Some(told));
    let host = &vpc.subnets[0].hosts[0];
    assert_eq!((host.writing, host.part.presence), (Presence::Drifted, Presence::Drifted));
    assert_eq!(host.part.why.as_deref(), Some("missing: policy of role lab-host-role-ada"));
    let pipeline = scene.pipeline.unwrap();
    assert_eq!((pipeline.trigger.name.as_str(), pipeline.trigger.presence), ("s3:ObjectRemoved:*", Presence::Drifted));
    assert_eq!(pipeline.trigger.lines, ["keys only/these/*"]);
    assert_eq!((pipeline.writes.presence, pipeline.function.lines[0].as_str()), (Presence::Drifted, "1024 MB, 30 s"));
}

#[test]
fn a_wanted_queue_that_is_not_there_is_drawn() {
    let mut lab = lab();
    lab.images.as_mut().unwrap().queue = true;
    let queue = |view| {
        let scene = compose_with(view, &inventory(vec![]), &[], &World::default(), &lab);
        scene.pipeline.unwrap().queue.unwrap()
    };
    assert_eq!((queue(View::Live).presence, queue(View::Plan).presence), (Presence::Missing, Presence::Add));
    assert_eq!(queue(View::Live).name, "lab-image-queue-ada");
}

#[test]
fn a_host_stands_where_it_is_and_not_where_lab_toml_wants_it() {
    let (mut resources, mut world) = tagged();
    resources.push(Resource::new("subnet", "lab-private-subnet", "subnet-2").with("role", "subnet private"));
    world.things[1].place.subnet = Some("subnet-2".into());
    let vpc = scene_of(View::Live, resources, &[], &world).vpc.unwrap();
    assert!(vpc.subnets[0].hosts.is_empty());
    assert_eq!(vpc.subnets[1].hosts[0].part.name, "lab-public-ec2");
}

#[test]
fn the_association_that_is_there_and_the_one_that_is_not_are_both_drawn() {
    let (mut resources, world) = tagged();
    resources.extend([
        Resource::new("subnet", "lab-private-subnet", "subnet-2").with("role", "subnet private"),
        Resource::new("client-vpn-endpoint", "lab-client-vpn-endpoint", "cvpn-endpoint-1"),
        Resource::new("client-vpn-target-network", "lab-private-subnet", "cvpn-assoc-1").with("subnet", "subnet-2"),
    ]);
    let scene = scene_of(View::Live, resources, &[], &world);
    let subnets = &scene.vpc.as_ref().unwrap().vpn.as_ref().unwrap().subnets;
    assert_eq!(*subnets, [("public".into(), Presence::Missing), ("private".into(), Presence::Unexpected)]);
    let drawing = lab_picture::arrange(&scene);
    for text in ["associated (missing)", "associated (not in lab.toml)"] {
        assert!(drawing.labels().any(|label| label.text == text), "{text}");
    }
}

#[test]
fn a_plan_says_what_each_new_thing_will_cost() {
    let part = |program, changes| inventory::Part { program, changes, ..inventory::Part::default() };
    let parts = [
        part("host-up", vec![change(Action::Create, "role", "lab-host-role-ada", "")]),
        part("pipeline-up", vec![change(Action::Create, "role", "lab-lambda-role-ada", "")]),
    ];
    let scene = scene_of(View::Plan, vec![], &parts, &World::default());
    let vpc = scene.vpc.as_ref().unwrap();
    let cards = vpc.subnets.iter().flat_map(|subnet| &subnet.hosts).map(|host| &host.part);
    assert!(cards.chain(vpc.vpn.iter().map(|vpn| &vpn.part)).all(|part| part.usd_per_hour > 0.0));
    let drawing = lab_picture::arrange(&scene);
    assert!(drawing.labels().any(|label| label.text == "+$0.10/h"));
    assert!(drawing.labels().all(|label| label.text != "~ change"), "everything is new");
}
