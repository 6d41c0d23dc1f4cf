use super::*;
use crate::Problem;

fn heading() -> Heading {
    Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() }
}

fn plan() -> Plan<()> {
    let steps = vec![
        Step::new(Action::Create, "vpc", "vpc", "lab-vpc", ()).detail("10.0.0.0/16"),
        Step::new(Action::Update, "security-group", "group", "lab-public-ec2", ())
            .detail("add tcp 22 from 203.0.113.7/32, tcp 8888 from 203.0.113.7/32; remove tcp 80 from anywhere"),
        Step::new(Action::Create, "instance", "host", "lab-実験-ec2", ())
            .needs(["vpc"])
            .costs(0.0104)
            .detail("t3.micro"),
        Step::new(Action::Delete, "elastic-ip", "ip", "lab-nat-eip", ()).costs(-0.005),
    ];
    Plan { steps, unchanged: 3, usd_per_hour: 0.0104 }
}

fn show(columns: Option<usize>, plain: bool) -> String {
    show_plan(Look { plain, ..Look::PIPE }.within(columns), &heading(), &plan(), "estimate: list prices of us-east-1")
}

#[test]
fn a_plan_reads_like_a_diff() {
    assert_eq!(
        show(None, false),
        "\
lab of ada in us-east-1: 4 changes (2 to create, 1 to update, 1 to delete), 3 resources as wanted
  + vpc             lab-vpc                      10.0.0.0/16
  ~ security-group  lab-public-ec2               add tcp 22 from 203.0.113.7/32, tcp 8888 from 203.0.113.7/32; remove tcp 80 from anywhere
  + instance        lab-実験-ec2    +0.0104 $/h  t3.micro
  - elastic-ip      lab-nat-eip     -0.0050 $/h
this part costs $0.0104 an hour once applied (estimate: list prices of us-east-1)
"
    );
}

#[test]
fn a_plan_keeps_to_the_terminals_width() {
    assert_eq!(
        show(Some(80), false),
        "\
lab of ada in us-east-1: 4 changes (2 to create, 1 to update, 1 to delete), 3
resources as wanted
  + vpc             lab-vpc                      10.0.0.0/16
  ~ security-group  lab-public-ec2               add tcp 22 from 203.0.113.7/32,
                                                 tcp 8888 from 203.0.113.7/32;
                                                 remove tcp 80 from anywhere
  + instance        lab-実験-ec2    +0.0104 $/h  t3.micro
  - elastic-ip      lab-nat-eip     -0.0050 $/h
this part costs $0.0104 an hour once applied (estimate: list prices of
us-east-1)
"
    );
    assert_eq!(
        show(Some(40), false),
        "\
lab of ada in us-east-1: 4 changes (2 to
create, 1 to update, 1 to delete), 3
resources as wanted
  + vpc lab-vpc
      10.0.0.0/16
  ~ security-group lab-public-ec2
      add tcp 22 from 203.0.113.7/32,
      tcp 8888 from 203.0.113.7/32;
      remove tcp 80 from anywhere
  + instance lab-実験-ec2
      +0.0104 $/h
      t3.micro
  - elastic-ip lab-nat-eip
      -0.0050 $/h
this part costs $0.0104 an hour once
applied (estimate: list prices of
us-east-1)
"
    );
}

#[test]
fn a_screen_reader_hears_verbs() {
    let text = show(None, true);
    assert!(text.contains("\n  create instance lab-実験-ec2, +0.0104 $/h, t3.micro\n"), "{text}");
}

#[test]
fn what_came_from_aws_cannot_paint_on_the_terminal() {
    let resource = Resource::new("instance", "evil\x1b[2J", "i-1").with("note", "a\nb");
    let text = show_status(Look::PIPE, &heading(), &[resource], "");
    assert!(text.contains("evil\u{fffd}[2J") && text.contains("note=a b"), "{text}");
}

#[test]
fn a_table_too_wide_goes_on_below() {
    let resources = [
        Resource::new("instance", "lab-public-ec2", "i-0123456789abcdef0").state("running").costs(0.0104),
        Resource::new("vpc", "lab-vpc", "vpc-1"),
    ];
    let show = |columns| show_status(Look::PIPE.within(columns), &heading(), &resources, "estimate");
    assert_eq!(
        show(None),
        "\
lab of ada in us-east-1: 2 resources
  instance  lab-public-ec2  i-0123456789abcdef0  running    0.0104 $/h
  vpc       lab-vpc         vpc-1                available
this part costs $0.0104 an hour (estimate)
"
    );
    assert_eq!(
        show(Some(40)),
        "\
lab of ada in us-east-1: 2 resources
  instance lab-public-ec2
      i-0123456789abcdef0 running 0.0104
      $/h
  vpc lab-vpc
      vpc-1 available
this part costs $0.0104 an hour
(estimate)
"
    );
}

#[test]
fn what_a_plan_usually_takes_is_its_longest_chain() {
    let make = |role: &str| Step::new(Action::Create, "thing", role, role, ());
    let steps = [
        make("endpoint"),
        make("gateway").usually(Usual::minutes(1, 3, "logs")),
        make("association").needs(["endpoint"]).usually(Usual::minutes(5, 10, "a guide")),
        make("route").needs(["association"]).usually(Usual::minutes(1, 3, "a forum")),
    ];
    let usual = find_usual(&steps).unwrap();
    assert_eq!((usual.show("-").as_str(), usual.source()), ("6-13 min", "a guide"));
    assert_eq!(find_usual(&steps[..1]), None);
}

#[test]
fn a_summary_names_what_decided_the_time() {
    let chain = [("vpc lab-vpc", 400), ("instance lab-public-ec2", 31_000), ("check", 10_000)];
    let chain = chain.map(|(title, millis)| (title.to_owned(), Duration::from_millis(millis)));
    let took = Duration::from_secs(42);
    assert_eq!(
        show_summary(Look::PIPE, 12, took, &chain, Some(0.0104)),
        "done: 12 changes in 42 s; this part costs $0.0104 an hour; longest: instance lab-public-ec2 31 s, check that all is as wanted 10 s"
    );
    assert_eq!(show_summary(Look::PIPE, 1, Duration::from_millis(30), &[], None), "done: 1 change in 0.0 s");
}

#[test]
fn a_failed_teardown_names_what_goes_on_costing() {
    let steps = [Step::new(Action::Delete, "instance", "a", "one", ()).costs(-0.0104)];
    let failures = vec![(0, Problem::failed("denied"))];
    let outcome = Outcome { states: vec![State::Failed], made: vec![None], times: vec![None], failures, stopped: None };
    let text = show_failure(&steps, &outcome, "go on: host-up down");
    assert!(text.contains("still exists and costs $0.0104 an hour: instance one"), "{text}");
}

#[test]
fn a_failure_names_what_was_done_what_not_and_what_costs() {
    let steps = [
        Step::new(Action::Create, "instance", "a", "one", ()).costs(0.0104),
        Step::new(Action::Create, "instance", "b", "two", ()),
        Step::new(Action::Create, "instance", "c", "three", ()),
    ];
    let outcome = Outcome {
        states: vec![State::Done, State::Failed, State::Blocked],
        made: vec![Some("i-1".into()), None, None],
        times: vec![None; 3],
        failures: vec![(1, Problem::failed("no capacity").fix("try another zone"))],
        stopped: None,
    };
    let text = show_failure(&steps, &outcome, "go on: host-up up");
    for part in [
        "done: 1 of 3 steps",
        "failed: create instance two\n    no capacity\n      fix: try another zone",
        "not started: create instance three",
        "may exist and cost $0.0104 an hour: instance one",
        "go on: host-up up",
    ] {
        assert!(text.contains(part), "{part:?} is missing from\n{text}");
    }
}

#[test]
fn only_what_may_have_been_made_is_said_to_cost() {
    let failed = |problem: Problem| {
        let steps = [Step::new(Action::Create, "instance", "a", "one", ()).costs(0.0104)];
        let failures = vec![(0, problem)];
        let (states, made, times) = (vec![State::Failed], vec![None], vec![None]);
        show_failure(&steps, &Outcome { states, made, times, failures, stopped: None }, "go on: host-up up")
    };
    assert!(failed(Problem::failed("no answer in time")).contains("may exist and cost"));
    let refused = failed(Problem::failed("VcpuLimitExceeded").having_made_nothing());
    assert!(!refused.contains("may exist"), "{refused}");
}

#[test]
fn steps_of_one_thing_are_told_apart_and_a_stopped_one_has_not_failed() {
    let change = |role: &str, detail: &str| Step::new(Action::Update, "subnet", role, "lab-subnet", ()).detail(detail);
    let steps = [change("a", "public addresses"), change("b", "behind lab-public-to-internet")];
    let failures = vec![(0, Problem::failed("stopped by Ctrl-C").exit_with(Exit::Interrupted))];
    let outcome = Outcome {
        states: vec![State::Failed, State::Waiting],
        made: vec![None; 2],
        times: vec![None; 2],
        failures,
        stopped: Some(Exit::Interrupted),
    };
    let text = show_failure(&steps, &outcome, "go on: net-up up");
    assert!(text.contains("stopped: update subnet lab-subnet (public addresses)\n"), "{text}");
    assert!(text.contains("not started: update subnet lab-subnet (behind lab-public-to-internet)"), "{text}");
    assert!(!text.contains("failed:"), "{text}");
}

#[test]
fn a_long_name_keeps_to_the_terminals_width() {
    let name = "lab-実験室の雲のとても長い名前の仮想ネットワーク";
    let resource = Resource::new("vpc", name, "vpc-0123456789abcdef0");
    for columns in [40, 60, 80] {
        let text = show_status(Look::PIPE.within(Some(columns)), &heading(), std::slice::from_ref(&resource), "");
        assert!(text.lines().all(|line| width(line) <= columns), "{text}");
    }
}
