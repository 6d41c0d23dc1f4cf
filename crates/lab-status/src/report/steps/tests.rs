use std::collections::BTreeMap;

use lab_common::{HOL02, Internet, Overrides, read_lab};
use lab_plan::RunEnd;
use serde_json::{Value, json};

use super::super::evidence::{Check, Checked, Picture, Verdict};
use super::super::look::{Association, Connection, Endpoint, Function, Originals, Pair, Pipeline, Rule, Trigger, Way};
use super::*;
use crate::testing::{inventory, label};
use crate::thing::Label;

/// A whole lab in which every step is passed, for tests to break.
struct Scene {
    world: World,
    seen: Seen,
    resources: Vec<Resource>,
    pipeline_unread: Option<String>,
    runs: Vec<RunRecord>,
    checks: Checks,
    profiles: Vec<Profile>,
    lab: String,
}

fn thing(kind: &'static str, id: &str, role: &str, name: &str) -> Thing {
    let label = Label { name: Some(name.into()), role: Some(role.into()), ..label("ada") };
    Thing::new(kind, id, label).within(Some("vpc-1"), None)
}

fn group(id: &str, role: &str, name: &str, rules: &[&str]) -> Thing {
    thing("security-group", id, role, name).with("rules", rules.to_vec())
}

fn table(id: &str, role: &str, name: &str, target: &str, subnets: &[&str], main: bool) -> Thing {
    let table = thing("route-table", id, role, name).with("default_route", target);
    table.with("subnets", subnets.to_vec()).with("main", main)
}

fn machine(internet: Internet) -> Machine {
    let host = if internet == Internet::Gateway { "public" } else { "private" };
    Machine {
        id: format!("i-{host}"),
        name: format!("lab-{host}-ec2"),
        host: host.into(),
        state: "running".into(),
        size: "t3.micro".into(),
        vpc: Some("vpc-1".into()),
        subnet: Some(format!("subnet-{host}")),
        groups: vec![format!("sg-{host}")],
        public_ip: (internet == Internet::Gateway).then(|| "203.0.113.1".into()),
        private_ip: Some("10.0.1.4".into()),
        profile: Some("lab-host-profile-ada".into()),
        is_ready: Ok(true),
        is_told: Ok(true),
    }
}

fn policy() -> Value {
    json!({"Statement": [{"Sid": "s", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction", "Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012"},
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::lab-input-bucket-ada"}}}]})
}

fn trigger() -> Trigger {
    Trigger {
        target: "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function".into(),
        events: vec!["s3:ObjectCreated:*".into()],
        prefix: String::new(),
        suffix: String::new(),
    }
}

fn endpoint() -> Endpoint {
    let association = |state: &str| Association {
        id: "cvpn-assoc-1".into(),
        subnet: "subnet-public".into(),
        state: state.into(),
        message: None,
    };
    Endpoint {
        id: "cvpn-endpoint-1".into(),
        name: "lab-client-vpn-endpoint".into(),
        state: "available".into(),
        client_cidr: "10.83.0.0/16".into(),
        vpc: Some("vpc-1".into()),
        groups: vec!["sg-vpn".into()],
        associations: Ok(vec![association("associated")]),
        rules: Ok(vec![Rule { network: "10.0.0.0/16".into(), group: None, state: "active".into() }]),
        routes: Ok(vec![Way {
            destination: "10.0.0.0/16".into(),
            subnet: "subnet-public".into(),
            state: "active".into(),
        }]),
        connections: Ok(Vec::new()),
    }
}

fn check(tunnel: bool, tried: &[(&str, bool)]) -> Checked {
    let check = |(name, passed): &(&str, bool)| Check {
        name: (*name).into(),
        passed: *passed,
        detail: "10.0.2.4".into(),
        ms: 3,
    };
    Checked { at: "2026-11-26 05:10 UTC".into(), tunnel, checks: tried.iter().map(check).collect() }
}

const THROUGH_22: &str = "private 22 answers through the tunnel";
const THROUGH_8080: &str = "private 8080 answers through the tunnel";

fn scene() -> Scene {
    let block = |thing: Thing, cidr: &str| thing.with("cidr", cidr).with("zone", "us-east-1a");
    let bucket = |name: &str| Thing::new("bucket", name, label("ada"));
    let mut gateway = thing("internet-gateway", "igw-1", "internet-gateway", "lab-igw");
    gateway.state = "attached".into();
    let things = vec![
        Thing::new("vpc", "vpc-1", Label { role: Some("vpc".into()), name: Some("lab-vpc".into()), ..label("ada") })
            .with("cidr", "10.0.0.0/16"),
        block(thing("subnet", "subnet-public", "subnet public", "lab-public-subnet"), "10.0.1.0/24"),
        block(thing("subnet", "subnet-private", "subnet private", "lab-private-subnet"), "10.0.2.0/24"),
        gateway,
        table("rtb-1", "route-table public-to-internet", "lab-public-to-internet", "igw-1", &["subnet-public"], false),
        table("rtb-0", "route-table main", "lab-main", "none", &[], true),
        group(
            "sg-public",
            "security-group public",
            "lab-public-ec2",
            &["tcp/22 from 203.0.113.9/32", "tcp/8888 from 203.0.113.9/32"],
        ),
        group(
            "sg-private",
            "security-group private",
            "lab-private-ec2",
            &["tcp/22 from sg-vpn", "tcp/8080 from sg-vpn"],
        ),
        group("sg-vpn", "security-group vpn", "lab-client-vpn", &[]),
        bucket("lab-input-bucket-ada"),
        bucket("lab-output-bucket-ada"),
        thing("certificate", "arn:c", "certificate", "lab-ada.internal"),
    ];
    let seen = Seen {
        originals: Ok(Originals { count: 1, is_part: false, picture: Some(("a.png".into(), Ok(true))) }),
        pair: Ok(Some(Pair { before: "a.png".into(), after: "a-processed.png".into(), is_marked: Ok(true) })),
        log: Ok(vec![r#"{"key":"a.png","outcome":"processed"}"#.into()]),
        hosts: Ok(vec![machine(Internet::Gateway), machine(Internet::None)]),
        pipeline: Pipeline {
            function: Ok(Some(Function {
                arn: trigger().target,
                state: "Active".into(),
                output: Some("lab-output-bucket-ada".into()),
                ..Function::default()
            })),
            policy: Ok(Some(policy())),
            triggers: Ok(vec![trigger()]),
            may_upload: Ok(true),
        },
        endpoint: Ok(Some(endpoint())),
        ..Seen::default()
    };
    let profile = Profile { file: "laptop.ovpn".into(), endpoint: Some("cvpn-endpoint-1".into()), is_whole: true };
    Scene {
        world: World { account: "123456789012".into(), things, ..World::default() },
        seen,
        resources: Vec::new(),
        pipeline_unread: None,
        runs: vec![run(&["rtb-0"], RunEnd::Done)],
        checks: Checks::of(vec![check(true, &[(THROUGH_22, true), (THROUGH_8080, true)])]),
        profiles: vec![profile],
        lab: HOL02.into(),
    }
}

impl Scene {
    fn judge(&self) -> Vec<Task> {
        let lab = read_lab("hol02", &self.lab, &Overrides { owner: Some("ada".into()), region: None }).unwrap();
        list_tasks(&Proof {
            names: &Names::new(&lab),
            lab: &lab,
            found: &inventory(self.resources.clone()),
            pipeline_unread: self.pipeline_unread.as_deref(),
            world: &self.world,
            seen: &self.seen,
            runs: &self.runs,
            checks: &self.checks,
            profiles: self.profiles.clone(),
        })
    }

    fn thing(&mut self, id: &str) -> &mut Thing {
        self.world.things.iter_mut().find(|thing| thing.id == id).unwrap()
    }

    fn host(&mut self, at: usize) -> &mut Machine {
        &mut self.seen.hosts.as_mut().unwrap()[at]
    }

    fn endpoint(&mut self) -> &mut Endpoint {
        self.seen.endpoint.as_mut().unwrap().as_mut().unwrap()
    }

    fn function(&mut self) -> &mut Function {
        self.seen.pipeline.function.as_mut().unwrap().as_mut().unwrap()
    }
}

/// What a step says after such a change: its verdict, and its facts in one line.
fn step(task: usize, number: usize, change: impl FnOnce(&mut Scene)) -> (Verdict, String) {
    let mut scene = scene();
    change(&mut scene);
    let step = scene.judge()[task - 1].steps[number - 1].clone();
    (step.verdict, step.facts.join("; "))
}

/// Steps that are not passed after such a change: `1.4✗`, `2.2?`.
fn fallen(change: impl FnOnce(&mut Scene)) -> String {
    let mut scene = scene();
    change(&mut scene);
    let mut all = Vec::new();
    for (at, task) in scene.judge().iter().enumerate() {
        for (number, step) in task.steps.iter().enumerate() {
            let sign = match step.verdict {
                Verdict::Passed => continue,
                Verdict::Open => '✗',
                Verdict::Unseen => '?',
            };
            all.push(format!("{}.{}{sign}", at + 1, number + 1));
        }
    }
    all.join(" ")
}

#[test]
fn a_lab_that_is_whole_has_passed_everything_and_one_that_is_not_there_nothing() {
    assert_eq!(fallen(|_| ()), "");
    let empty = |scene: &mut Scene| {
        scene.world.things.clear();
        scene.seen = Seen::default();
        (scene.checks, scene.profiles) = (Checks::default(), Vec::new());
        assert_eq!(scene.runs.len(), 1, "what is recorded outlives its lab");
    };
    assert_eq!(
        fallen(empty),
        "1.1✗ 1.2✗ 1.3✗ 1.4✗ 1.5✗ 1.6✗ 1.7✗ 1.8✗ 2.1✗ 2.2✗ 2.3? 2.4✗ 2.5✗ 2.6✗ 2.7? 2.8? 2.9? 2.10✗ 2.11? 2.12✗"
    );
    assert_eq!(step(1, 1, empty).1, "✗ lab-vpc is not there; ✗ lab-public-subnet is not there");
}

#[test]
fn what_could_not_be_read_is_not_seen_and_takes_as_few_steps_as_possible_with_it() {
    let refuse = |call: &'static str, kind: &'static str| {
        move |scene: &mut Scene| {
            scene.world.things.retain(|thing| thing.kind != kind);
            scene.world.unread.push(format!("{call}: UnauthorizedOperation: not you"));
        }
    };
    for (call, kind, wanted) in [
        ("DescribeAddresses", "elastic-ip", ""),
        ("DescribeKeyPairs", "key-pair", ""),
        ("DescribeVpcs", "vpc", "1.1? 1.2? 2.1? 2.5?"),
        ("DescribeInternetGateways", "internet-gateway", "1.2?"),
        ("DescribeRouteTables", "route-table", "1.3? 2.11?"),
        ("DescribeSubnets", "subnet", "1.1? 1.3? 1.4? 2.1? 2.2? 2.5? 2.6? 2.11?"),
        ("DescribeSecurityGroups", "security-group", "1.4? 2.2? 2.12?"),
        ("DescribeNatGateways", "natgateway", "2.11?"),
        ("ListCertificates", "certificate", "2.4?"),
    ] {
        assert_eq!(fallen(refuse(call, kind)), wanted, "{call}");
    }
    let no = || "Call: AccessDenied: not you".to_owned();
    assert_eq!(fallen(|scene| scene.seen.hosts = Err(no())), "1.4? 1.5? 1.7? 2.2? 2.10? 2.12?");
    assert_eq!(fallen(|scene| scene.seen.originals = Err(no())), "1.7?");
    assert_eq!(fallen(|scene| scene.seen.pair = Err(no())), "1.8?");
    assert_eq!(fallen(|scene| scene.seen.log = Err(no())), "1.8?");
    assert_eq!(fallen(|scene| scene.seen.pipeline.function = Err(no())), "1.6?");
    assert_eq!(fallen(|scene| scene.seen.pipeline.policy = Err(no())), "1.6?");
    assert_eq!(fallen(|scene| scene.seen.pipeline.triggers = Err(no())), "1.6?");
    assert_eq!(fallen(|scene| scene.seen.pipeline.may_upload = Err(no())), "1.7?");
    assert_eq!(fallen(|scene| scene.endpoint().rules = Err(no())), "2.6?");
    assert_eq!(fallen(|scene| scene.endpoint().associations = Err(no())), "2.5? 2.12?");
    assert_eq!(fallen(|scene| scene.endpoint().connections = Err(no())), "");
    assert_eq!(fallen(|scene| scene.host(0).is_ready = Err(no())), "1.5? 1.7?");
    let buckets = |scene: &mut Scene| {
        scene.world.things.retain(|thing| thing.kind != "bucket");
        scene.pipeline_unread = Some(no());
    };
    assert_eq!(fallen(buckets), "1.6?");
    assert!(step(1, 6, buckets).1.starts_with("? bucket lab-input-bucket-ada could not be read: Call: AccessDenied"));
}

#[test]
fn a_place_that_is_another_one_is_told() {
    let other = |id: &'static str| move |scene: &mut Scene| scene.thing(id).place.vpc = Some("vpc-9".into());
    assert_eq!(
        step(1, 2, other("igw-1")),
        (Verdict::Open, "lab-igw (igw-1); ✗ it is attached to vpc-9, not to lab-vpc (vpc-1)".into())
    );
    assert!(step(2, 1, other("subnet-private")).1.ends_with("✗ it is in vpc-9, not in lab-vpc (vpc-1)"));
    assert_eq!(fallen(|scene| scene.thing("igw-1").place.vpc = None), "1.2✗");
    assert_eq!(fallen(|scene| scene.host(0).subnet = Some("subnet-private".into())), "1.4✗");
    assert_eq!(fallen(|scene| scene.host(0).public_ip = None), "1.4✗");
    let private = step(2, 2, |scene| scene.host(1).subnet = Some("subnet-public".into()));
    assert!(
        private.1.contains("✗ it stands in lab-public-subnet (subnet-public), not in lab-private-subnet"),
        "{private:?}"
    );
    let block = |id: &'static str, cidr: &'static str| {
        move |scene: &mut Scene| {
            scene.thing(id).more.insert("cidr", cidr.into());
        }
    };
    let narrow = step(2, 1, block("subnet-private", "10.0.77.0/28"));
    assert!(narrow.0 == Verdict::Open && narrow.1.contains("✗ its block is 10.0.77.0/28; lab.toml says 10.0.2.0/24"));
    let own = step(1, 1, |scene| {
        scene.lab = HOL02.replace("10.0.", "172.20.");
        scene.thing("vpc-1").more.insert("cidr", "172.20.0.0/16".into());
        scene.thing("subnet-public").more.insert("cidr", "172.20.1.0/24".into());
    });
    assert_eq!(own.0, Verdict::Passed);
    assert!(own.1.contains("lab.toml says 172.20.0.0/16 so; the assignment asks for 10.0.0.0/16"), "{own:?}");
}

#[test]
fn every_rule_that_lets_a_port_in_counts_and_is_shown() {
    let rules = |rules: &'static [&'static str]| {
        step(1, 4, move |scene| {
            scene.thing("sg-public").more.insert("rules", json!(rules));
        })
    };
    for wide in
        [&["tcp/20-30 from 203.0.113.9/32", "tcp/8888-8890 from 203.0.113.9/32"][..], &["everything from 0.0.0.0/0"]]
    {
        assert_eq!(rules(wide).0, Verdict::Passed, "{wide:?}");
    }
    let two = rules(&["everything from 0.0.0.0/0", "tcp/22 from 203.0.113.9/32"]);
    assert!(two.1.contains("port 22: its security groups allow everything from 0.0.0.0/0, tcp/22 from 203.0.113.9/32"));
    let udp = rules(&["udp/22 from 203.0.113.9/32", "tcp/8888 from 203.0.113.9/32"]);
    assert_eq!(udp.0, Verdict::Open);
    assert!(udp.1.contains("✗ its security groups do not allow TCP port 22; they let in tcp/8888 from"), "{udp:?}");
    assert_eq!(fallen(|scene| scene.host(0).state = "stopped".into()), "1.4✗ 1.5? 1.7✗");
}

#[test]
fn a_word_on_the_console_proves_a_setup_only_where_the_host_was_told_to_do_it() {
    assert_eq!(fallen(|scene| scene.host(0).is_told = Ok(false)), "1.5? 1.7?");
    assert_eq!(fallen(|scene| scene.host(0).is_ready = Ok(false)), "1.5✗ 1.7?");
    assert_eq!(fallen(|scene| scene.host(0).profile = None), "1.7?");
    assert_eq!(fallen(|scene| scene.seen.pipeline.may_upload = Ok(false)), "1.7?");
}

#[test]
fn a_public_subnet_that_uses_another_table_has_no_way_to_the_gateway() {
    let told = step(1, 3, |scene| {
        scene.thing("rtb-1").more.insert("subnets", json!([]));
    });
    assert_eq!(told.0, Verdict::Open);
    assert!(
        told.1.ends_with("✗ lab-public-subnet uses lab-main (rtb-0), which does not lead to the gateway"),
        "{told:?}"
    );
}

#[test]
fn a_function_that_cannot_run_or_writes_elsewhere_has_not_passed() {
    let pipeline = |change: fn(&mut Function)| step(1, 6, |scene| change(scene.function()));
    assert_eq!(pipeline(|function| function.state = "Failed".into()).0, Verdict::Open);
    assert_eq!(pipeline(|function| function.state = "Inactive".into()).0, Verdict::Passed);
    assert!(pipeline(|function| function.reserved = Some(0)).1.contains("✗ its reserved concurrency is 0"));
    let elsewhere = pipeline(|function| function.output = Some("elsewhere".into()));
    assert!(elsewhere.1.contains("✗ its OUTPUT_BUCKET is elsewhere, not lab-output-bucket-ada"), "{elsewhere:?}");
    let code = pipeline(|function| function.code = "abc=".into());
    assert!(code.0 == Verdict::Passed && code.1.contains("code SHA-256 abc=: whose code that is AWS does not tell"));
}

#[test]
fn a_trigger_is_judged_by_what_it_does() {
    let told =
        |change: fn(&mut Trigger)| step(1, 6, |scene| change(&mut scene.seen.pipeline.triggers.as_mut().unwrap()[0]));
    let png = told(|trigger| trigger.suffix = ".png".into());
    assert!(
        png.0 == Verdict::Passed && png.1.contains("invokes lab-lambda-function, for keys that end in .png"),
        "{png:?}"
    );
    let single =
        told(|trigger| trigger.events = ["Put", "Post", "Copy"].map(|one| format!("s3:ObjectCreated:{one}")).into());
    assert!(
        single.0 == Verdict::Passed && single.1.contains("s3:ObjectCreated:Put, s3:ObjectCreated:Post"),
        "{single:?}"
    );
    assert_eq!(told(|trigger| trigger.suffix = ".txt".into()).0, Verdict::Open);
    assert_eq!(told(|trigger| trigger.prefix = "nothing/".into()).0, Verdict::Open);
    assert_eq!(told(|trigger| trigger.events = vec!["s3:ObjectRemoved:*".into()]).0, Verdict::Open);
    let other = told(|trigger| trigger.target.push_str("-2"));
    assert!(
        other.1.contains("✗ of new objects lab-input-bucket-ada tells lab-lambda-function-2, not lab-lambda-function"),
        "{other:?}"
    );

    let permit = |pointer: &'static str, value: Value| {
        step(1, 6, move |scene| {
            let policy = scene.seen.pipeline.policy.as_mut().unwrap().as_mut().unwrap();
            *policy.pointer_mut(pointer).unwrap() = value;
        })
    };
    assert_eq!(permit("/Statement/0/Sid", json!("theirs")).0, Verdict::Passed);
    assert_eq!(permit("/Statement/0/Condition/ArnLike/AWS:SourceArn", json!("arn:aws:s3:::other")).0, Verdict::Open);
    assert_eq!(permit("/Statement/0/Condition/StringEquals/AWS:SourceAccount", json!("9")).0, Verdict::Open);
    assert_eq!(permit("/Statement/0/Action", json!("lambda:GetFunction")).0, Verdict::Open);
    assert_eq!(permit("/Statement/0/Effect", json!("Deny")).0, Verdict::Open);

    let queue = |state: &'static str| {
        step(1, 6, move |scene| {
            scene.seen.pipeline.triggers.as_mut().unwrap()[0].target =
                "arn:aws:sqs:us-east-1:1:lab-image-queue-ada".into();
            scene.resources = vec![Resource::new("event-source-mapping", "lab-lambda-function", "1").state(state)];
        })
    };
    assert_eq!((queue("Enabled").0, queue("Disabled").0), (Verdict::Passed, Verdict::Open));
}

#[test]
fn a_text_is_no_image_and_of_a_large_bucket_not_all_is_known() {
    let holds = |count, is_part, picture: Option<Read<bool>>| {
        let picture = picture.map(|is_one| ("a.png".to_owned(), is_one));
        step(1, 7, |scene| scene.seen.originals = Ok(Originals { count, is_part, picture }))
    };
    assert_eq!(holds(1, false, None).0, Verdict::Open);
    assert!(holds(0, false, None).1.contains("✗ the input bucket holds 0 objects"));
    assert_eq!(holds(1, false, Some(Ok(false))).0, Verdict::Unseen);
    assert_eq!(holds(1, false, Some(Err("too large".into()))).0, Verdict::Unseen);
    let many = holds(1000, true, None);
    assert!(many.0 == Verdict::Unseen && many.1.contains("? the input bucket holds at least 1000 objects"), "{many:?}");
}

#[test]
fn a_processed_picture_is_proved_by_its_mark_and_the_log() {
    let pair = |is_marked| Some(Pair { before: "a.png".into(), after: "a-processed.png".into(), is_marked });
    let told = |is_marked, log: Vec<String>| {
        step(1, 8, |scene| {
            (scene.seen.pair, scene.seen.log) = (Ok(pair(is_marked)), Ok(log));
        })
    };
    let line = || vec!["of another stream".to_owned()];
    assert_eq!(told(Ok(true), line()).0, Verdict::Passed);
    assert_eq!(told(Ok(false), line()).0, Verdict::Open);
    assert_eq!(told(Err("HeadObject: HTTP 403".into()), line()).0, Verdict::Unseen);
    assert_eq!(told(Ok(true), vec![]).0, Verdict::Unseen);
    let none = |is_part| step(1, 8, |scene| (scene.seen.pair, scene.seen.is_part) = (Ok(None), is_part));
    assert_eq!((none(false).0, none(true).0), (Verdict::Open, Verdict::Unseen));
    let shown = step(1, 8, |scene| {
        let place = "s3://lab-output-bucket-ada/a-processed.png".into();
        scene.seen.pictures = vec![Picture { place, bytes: 1, width: 1, height: 1, png: String::new() }];
    });
    assert!(shown.1.contains("; the second one is shown below"), "{shown:?}");
}

fn run(ids: &[&str], end: RunEnd) -> RunRecord {
    let heading = lab_plan::Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
    let ids: BTreeMap<_, _> = ids.iter().map(|id| ((*id).to_owned(), (*id).to_owned())).collect();
    RunRecord { program: "net-up nat".into(), heading, started_at: 5, took: 90_000, end, ids, steps: Vec::new() }
}

#[test]
fn only_a_nat_window_that_did_open_in_this_vpc_passes_and_was_closed() {
    let told = |number, runs: Vec<RunRecord>| {
        let change = |scene: &mut Scene| {
            scene.host(1).is_ready = Ok(false);
            scene.runs = runs;
        };
        step(2, number, change).0
    };
    for (record, wanted) in [
        (run(&["rtb-0"], RunEnd::Done), Verdict::Passed),
        (run(&["rtb-0"], RunEnd::Failed), Verdict::Unseen),
        (run(&["rtb-0"], RunEnd::Stopped), Verdict::Unseen),
        (run(&["rtb-of-another-lab"], RunEnd::Done), Verdict::Unseen),
        (run(&[], RunEnd::Done), Verdict::Unseen),
    ] {
        assert_eq!((told(3, vec![record.clone()]), told(11, vec![record.clone()])), (wanted, wanted), "{record:?}");
    }
}

#[test]
fn a_way_out_that_is_still_open_is_told_whoever_made_it() {
    let nat = |state: &str| {
        let mut nat = Thing::new("natgateway", "nat-1", Label::default()).within(Some("vpc-1"), None);
        nat.state = state.into();
        nat
    };
    let idle = step(2, 11, |scene| scene.world.strangers = vec![nat("available")]);
    assert!(idle.0 == Verdict::Open && idle.1.starts_with("✗ nat-1 is still there: available"), "{idle:?}");
    let own = step(2, 11, |scene| {
        scene.world.strangers =
            vec![nat("available"), table("rtb-9", "", "rtb-9", "nat-1", &["subnet-private"], false)];
    });
    assert!(own.1.contains("✗ lab-private-subnet uses rtb-9, which leads out: 0.0.0.0/0 to nat-1"), "{own:?}");
    let public = step(2, 11, |scene| {
        scene.thing("rtb-1").more.insert("subnets", json!(["subnet-public", "subnet-private"]));
    });
    assert!(
        public.1.contains("uses lab-public-to-internet (rtb-1), which leads out: 0.0.0.0/0 to igw-1"),
        "{public:?}"
    );
    let halves = step(2, 11, |scene| {
        scene.thing("rtb-0").more.insert("other_ways_out", json!(["0.0.0.0/1 to nat-1", "128.0.0.0/1 to nat-1"]));
    });
    assert!(halves.1.contains("which leads out: 0.0.0.0/1 to nat-1, 128.0.0.0/1 to nat-1"), "{halves:?}");
    let open = |scene: &mut Scene| {
        scene.runs.clear();
        scene.host(1).is_ready = Ok(false);
        scene.world.things.push(Thing { label: label("ada"), ..nat("available") });
        scene.thing("rtb-0").more.insert("default_route", "nat-1".into());
    };
    assert_eq!(step(2, 3, open).0, Verdict::Passed);
}

#[test]
fn an_association_must_work_and_be_with_the_subnet_for_it() {
    let with = |state: &'static str, subnet: &'static str| {
        step(2, 5, move |scene| {
            let association = &mut scene.endpoint().associations.as_mut().unwrap()[0];
            (association.state, association.subnet) = (state.into(), subnet.into());
        })
    };
    assert_eq!(with("associated", "subnet-public").0, Verdict::Passed);
    for state in ["association-failed", "disassociating", "associating"] {
        assert_eq!(with(state, "subnet-public").0, Verdict::Open, "{state}");
    }
    let private = with("associated", "subnet-private");
    assert!(private.1.contains("associated, which is not the subnet for it"), "{private:?}");
    assert_eq!(fallen(|scene| scene.endpoint().state = "pending-associate".into()), "2.5✗");
    assert_eq!(fallen(|scene| scene.endpoint().associations = Ok(Vec::new())), "2.5✗ 2.12✗");
}

#[test]
fn rules_and_routes_must_cover_the_private_subnet_for_all_clients() {
    let rule = |network: &'static str, group: Option<&'static str>| {
        step(2, 6, move |scene| {
            let group = group.map(str::to_owned);
            scene.endpoint().rules = Ok(vec![Rule { network: network.into(), group, state: "active".into() }]);
        })
    };
    assert_eq!(rule("10.0.2.0/24", None).0, Verdict::Passed);
    assert_eq!((rule("192.168.77.0/24", None).0, rule("10.0.1.0/24", None).0), (Verdict::Open, Verdict::Open));
    let group = rule("10.0.0.0/16", Some("S-1"));
    assert!(group.0 == Verdict::Open && group.1.contains("10.0.0.0/16 for the group S-1: active"), "{group:?}");
    assert_eq!(fallen(|scene| scene.endpoint().routes = Ok(Vec::new())), "2.6✗");
}

#[test]
fn an_ovpn_file_must_lead_to_this_endpoint_whoever_s_it_is() {
    let file = |endpoint: &'static str, is_whole| {
        step(2, 7, move |scene| {
            scene.profiles = vec![Profile { file: "bob.ovpn".into(), endpoint: Some(endpoint.into()), is_whole }];
        })
    };
    assert_eq!(file("cvpn-endpoint-1", true).0, Verdict::Passed);
    assert_eq!(file("cvpn-endpoint-1", false).0, Verdict::Open);
    let other = file("cvpn-endpoint-9", true);
    assert!(other.0 == Verdict::Open && other.1.ends_with("that is not the lab's endpoint"), "{other:?}");
    assert_eq!(fallen(|scene| scene.profiles.clear()), "2.7?");
}

#[test]
fn a_connection_reaches_nothing_by_itself_and_a_check_is_called_what_it_is() {
    let told = "laptop (10.83.0.2) terminated, connected at 2026-11-26 05:10:00 UTC".to_owned();
    let connected = |scene: &mut Scene| {
        scene.checks = Checks::default();
        scene.endpoint().connections = Ok(vec![Connection { is_active: false, told }]);
    };
    let ended = step(2, 9, connected);
    assert!(ended.0 == Verdict::Unseen && ended.1.starts_with("AWS lists the connection of laptop"), "{ended:?}");
    assert_eq!(fallen(|scene| scene.checks = Checks::default()), "2.8? 2.9?");
    let by_file = step(2, 9, |_| ());
    assert!(by_file.1.starts_with("vpn-setup check, in a file of this machine of 2026-11-26 05:10 UTC: private 22"));
    let refused = |tried: &'static [(&'static str, bool)]| {
        fallen(move |scene| scene.checks = Checks::of(vec![check(true, tried)]))
    };
    assert_eq!(refused(&[(THROUGH_22, false), (THROUGH_8080, true)]), "2.9✗");
    assert_eq!(refused(&[(THROUGH_22, true), (THROUGH_8080, false)]), "2.12✗");
    assert_eq!(refused(&[]), "2.9?");
}

#[test]
fn a_file_server_is_reached_through_the_vpn_and_by_nobody_else() {
    let rules = |rules: &'static [&'static str]| {
        step(2, 12, move |scene| {
            scene.thing("sg-private").more.insert("rules", json!(rules));
        })
    };
    assert_eq!(rules(&["everything from sg-vpn"]).0, Verdict::Passed);
    assert!(
        rules(&["tcp/22 from sg-vpn"]).1.contains("✗ its security groups do not let in the VPN's clients at port 8080")
    );
    assert_eq!(rules(&["tcp/8080 from 0.0.0.0/0"]).0, Verdict::Open);
    assert_eq!(rules(&[]).0, Verdict::Open);
    assert_eq!(step(2, 12, |scene| scene.host(1).public_ip = Some("203.0.113.9".into())).0, Verdict::Open);
    assert_eq!(step(2, 12, |scene| scene.host(1).state = "stopped".into()).0, Verdict::Open);
    assert_eq!(step(2, 12, |scene| scene.host(1).is_told = Ok(false)).0, Verdict::Unseen);
    assert_eq!(step(2, 12, |scene| scene.seen.endpoint = Ok(None)).0, Verdict::Open);
    let other = step(2, 12, |scene| scene.endpoint().groups = vec!["sg-9".into()]);
    assert!(other.1.contains("✗ its clients are in sg-9, not in lab-client-vpn"), "{other:?}");
    let second = step(2, 12, |scene| {
        scene.host(1).groups.push("sg-8".into());
        scene.world.strangers = vec![group("sg-8", "", "other", &["everything from 0.0.0.0/0"])];
    });
    assert!(second.1.contains("✗ its security groups let in others, too: everything from 0.0.0.0/0"), "{second:?}");
}
