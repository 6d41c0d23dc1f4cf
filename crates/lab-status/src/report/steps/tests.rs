use lab_common::{HOL02, Overrides, read_lab};
use lab_plan::{RunEnd, State};

use super::*;
use crate::testing::inventory;
use crate::thing::{Label, Thing};

fn judge(resources: Vec<Resource>, seen: &Seen) -> Vec<Task> {
    judge_after(resources, seen, &[])
}

fn judge_after(resources: Vec<Resource>, seen: &Seen, runs: &[RunRecord]) -> Vec<Task> {
    judge_in(&World::default(), resources, seen, runs)
}

fn judge_in(world: &World, resources: Vec<Resource>, seen: &Seen, runs: &[RunRecord]) -> Vec<Task> {
    let lab = read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap();
    let found = inventory(resources);
    let names = Names::new(&lab);
    let names = &names;
    let proof = Proof { lab: &lab, names, found: &found, world, seen, runs, check: None, profiles: Vec::new() };
    list_tasks(&proof)
}

#[test]
fn a_lab_that_is_not_there_has_passed_nothing() {
    let tasks = judge(vec![], &Seen::default());
    assert_eq!(tasks.iter().map(Task::count).collect::<Vec<_>>(), [(0, 8), (0, 12)]);
    assert_eq!(tasks[0].steps[0].facts, ["✗ lab-vpc is not there", "✗ lab-public-subnet is not there"]);
    assert_eq!(tasks[1].steps[7].verdict, Verdict::Unseen);
}

#[test]
fn a_step_is_passed_only_when_all_of_it_is() {
    let host = |state: &str, rules: &[&str]| {
        vec![
            Resource::new("instance", "lab-public-ec2", "i-1").state(state).with("host", "public"),
            Resource::new("security-group", "lab-public-ec2", "sg-1").with("rules", rules.to_vec()),
        ]
    };
    let verdict = |resources| judge(resources, &Seen::default())[0].steps[3].verdict;
    let rules = ["tcp/22 from 203.0.113.5/32", "tcp/8888 from 203.0.113.5/32"];
    assert_eq!(verdict(host("running", &rules)), Verdict::Passed);
    assert_eq!(verdict(host("stopped", &rules)), Verdict::Open);
    assert_eq!(verdict(host("running", &rules[..1])), Verdict::Open);
}

#[test]
fn a_file_server_that_anybody_may_reach_has_not_passed() {
    let with = |rule: &str, public: Option<&str>| {
        let mut instance = Resource::new("instance", "lab-private-ec2", "i-2").with("host", "private");
        if let Some(address) = public {
            instance = instance.with("public_ip", address);
        }
        vec![
            instance,
            Resource::new("security-group", "lab-client-vpn", "sg-9"),
            Resource::new("security-group", "lab-private-ec2", "sg-2").with("rules", vec![rule.to_owned()]),
        ]
    };
    let verdict = |resources| judge(resources, &Seen::default())[1].steps[11].verdict;
    assert_eq!(verdict(with("tcp/8080 from sg-9", None)), Verdict::Passed);
    assert_eq!(verdict(with("tcp/8080 from 0.0.0.0/0", None)), Verdict::Open);
    assert_eq!(verdict(with("tcp/8080 from sg-9", Some("203.0.113.9"))), Verdict::Open);
}

#[test]
fn a_second_group_that_lets_in_everybody_has_not_passed() {
    let instance = Resource::new("instance", "lab-private-ec2", "i-2").with("host", "private");
    let own = Resource::new("security-group", "lab-private-ec2", "sg-2").with("rules", vec!["tcp/8080 from sg-9"]);
    let resources = || vec![instance.clone(), own.clone(), Resource::new("security-group", "lab-client-vpn", "sg-9")];
    let group = |id: &str, rule: &str| Thing::new("security-group", id, Label::default()).with("rules", vec![rule]);
    let judge = |groups: &[&str]| {
        let mut host = Thing::new("instance", "i-2", Label::default());
        host.place.groups = groups.iter().map(ToString::to_string).collect();
        let things = vec![host, group("sg-2", "tcp/8080 from sg-9")];
        let world = World { things, strangers: vec![group("sg-8", "-1 from 0.0.0.0/0")], ..World::default() };
        judge_in(&world, resources(), &Seen::default(), &[])[1].steps[11].clone()
    };
    assert_eq!(judge(&["sg-2"]).verdict, Verdict::Passed);
    let open = judge(&["sg-2", "sg-8"]);
    assert_eq!(open.verdict, Verdict::Open);
    assert_eq!(open.facts[1], "✗ its security groups let in others, too: -1 from 0.0.0.0/0");
}

#[test]
fn a_public_subnet_that_uses_another_table_has_no_way_to_the_gateway() {
    let resources = || {
        vec![
            Resource::new("subnet", "renamed", "subnet-1").with("role", "subnet public"),
            Resource::new("route-table", "lab-public-to-internet", "rtb-1").with("default_route", "igw-1"),
        ]
    };
    let verdict = |subnets: &[&str]| {
        let mut subnet = Thing::new("subnet", "subnet-1", Label::default());
        subnet.place.vpc = Some("vpc-1".into());
        let table = |id: &str, subnets: &[&str], main: bool, target: &str| {
            let mut table = Thing::new("route-table", id, Label::default());
            table.place.vpc = Some("vpc-1".into());
            table.with("subnets", subnets.to_vec()).with("main", main).with("default_route", target)
        };
        let things = vec![subnet, table("rtb-1", subnets, false, "igw-1"), table("rtb-0", &[], true, "none")];
        let world = World { things, ..World::default() };
        judge_in(&world, resources(), &Seen::default(), &[])[0].steps[2].verdict
    };
    assert_eq!(verdict(&["subnet-1"]), Verdict::Passed);
    assert_eq!(verdict(&[]), Verdict::Open, "nobody associated it");
}

#[test]
fn two_files_put_there_by_hand_are_no_processed_picture() {
    let pair = Some(("a.png".to_owned(), "a-processed.png".to_owned()));
    let seen = |is_marked, log: &[&str]| {
        let log = log.iter().map(ToString::to_string).collect();
        judge(vec![], &Seen { pair: pair.clone(), is_marked: Some(is_marked), log, ..Seen::default() })[0].steps[7]
            .verdict
    };
    let line = r#"{"key":"a.png","outcome":"processed"}"#;
    assert_eq!(seen(true, &[line]), Verdict::Passed);
    assert_eq!(seen(true, &["of another stream"]), Verdict::Passed);
    assert_eq!(seen(false, &[line]), Verdict::Open);
    assert_eq!(seen(true, &[]), Verdict::Open);
}

#[test]
fn a_window_that_never_was_open_was_not_closed_either() {
    let main = || vec![Resource::new("route-table", "lab-main", "rtb-0").with("default_route", "none")];
    let verdict = |runs: &[RunRecord]| judge_after(main(), &Seen::default(), runs)[1].steps[10].verdict;
    assert_eq!(verdict(&[]), Verdict::Unseen);
    assert_eq!(verdict(&[run("net-up nat", 5, RunEnd::Done)]), Verdict::Passed);
}

fn run(program: &str, started_at: u64, end: RunEnd) -> RunRecord {
    let heading = lab_plan::Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
    RunRecord { program: program.into(), heading, started_at, took: 90_000, end, steps: Vec::new() }
}

#[test]
fn only_a_nat_window_that_did_open_in_this_vpc_passes() {
    let verdict = |runs: &[RunRecord]| judge_after(vec![], &Seen::default(), runs)[1].steps[2].verdict;
    assert_eq!(verdict(&[run("net-up nat", 5, RunEnd::Done)]), Verdict::Passed);
    assert_eq!(verdict(&[run("net-up nat", 5, RunEnd::Failed)]), Verdict::Open);
    assert_eq!(verdict(&[run("net-up nat", 5, RunEnd::Stopped)]), Verdict::Open);
    let step = lab_plan::RecordedStep {
        action: "create".into(),
        kind: "vpc".into(),
        name: "lab-vpc".into(),
        role: "vpc".into(),
        needs: Vec::new(),
        state: State::Done,
        time: Some((0, 1)),
    };
    let later = RunRecord { steps: vec![step], ..run("net-up", 9, RunEnd::Done) };
    assert_eq!(verdict(&[run("net-up nat", 5, RunEnd::Done), later]), Verdict::Open, "it was an earlier lab's");
    let gateway = |state: &str| vec![Resource::new("natgateway", "lab-nat-gateway", "nat-1").state(state)];
    let verdict = |state: &str| judge(gateway(state), &Seen::default())[1].steps[2].verdict;
    assert_eq!((verdict("available"), verdict("pending")), (Verdict::Passed, Verdict::Open));
}

#[test]
fn an_association_that_failed_or_is_going_has_not_passed() {
    let endpoint = |state: &str| Resource::new("client-vpn-endpoint", "lab-client-vpn-endpoint", "e").state(state);
    let association = |state: &str| Resource::new("client-vpn-target-network", "lab-public-subnet", state).state(state);
    let verdict = |resources| judge(resources, &Seen::default())[1].steps[4].verdict;
    assert_eq!(verdict(vec![endpoint("available"), association("associated")]), Verdict::Passed);
    let both = vec![endpoint("available"), association("disassociating"), association("associated")];
    assert_eq!(verdict(both), Verdict::Passed);
    for state in ["association-failed", "disassociating", "associating"] {
        assert_eq!(verdict(vec![endpoint("available"), association(state)]), Verdict::Open, "{state}");
    }
    assert_eq!(verdict(vec![endpoint("pending-associate"), association("associated")]), Verdict::Open);
}

fn pipeline(state: &str, more: Vec<Resource>) -> Vec<Resource> {
    let bucket = |name: &str| Resource::new("bucket", name, name);
    let function = Resource::new("function", "lab-lambda-function", "arn:f").state(state);
    let mut all = vec![bucket("lab-input-bucket-ada"), bucket("lab-output-bucket-ada"), function];
    all.extend(more);
    all
}

#[test]
fn a_function_that_failed_has_not_passed_and_a_queue_is_a_trigger_too() {
    let verdict = |resources| judge(resources, &Seen::default())[0].steps[5].verdict;
    let trigger = || Resource::new("bucket-notification", "lab-input-bucket-ada", "images");
    let permission = || Resource::new("function-permission", "lab-lambda-function", "s3");
    assert_eq!(verdict(pipeline("Active", vec![trigger(), permission()])), Verdict::Passed);
    assert_eq!(verdict(pipeline("Failed", vec![trigger(), permission()])), Verdict::Open);
    let queue = || trigger().with("queue", "arn:aws:sqs:us-east-1:1:lab-images");
    let mapping = |state: &str| Resource::new("event-source-mapping", "lab-lambda-function", "1").state(state);
    assert_eq!(verdict(pipeline("Active", vec![queue(), mapping("Enabled")])), Verdict::Passed);
    assert_eq!(verdict(pipeline("Active", vec![queue(), mapping("Disabled")])), Verdict::Open);
}

#[test]
fn a_bucket_that_one_list_does_not_hold_has_at_least_what_it_holds() {
    let told = |originals, is_part| {
        let seen = Seen { originals, is_part, ..Seen::default() };
        judge(vec![], &seen)[0].steps[6].facts.last().unwrap().clone()
    };
    assert_eq!(told(1000, true), "the input bucket holds at least 1000 objects");
    assert_eq!(told(1, true), "the input bucket holds 1 object", "the output bucket holds the many");
}
