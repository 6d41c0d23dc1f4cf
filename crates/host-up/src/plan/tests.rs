use std::collections::BTreeMap;

use lab_common::{Caller, Home};
use lab_plan::Exit;
use proptest::prelude::*;

use super::*;
use crate::image::Ami;
use crate::live::{KeyPair, Profile, Role};
use crate::testing::{lab, live_with, names, running};
use crate::want::want_hosts;

/// A model of AWS: what a step does to what is there.
fn act(live: &mut Live, step: &Step<Op>) {
    let names = names();
    match &step.op {
        Op::ImportKeyPair => {
            let key = own_key();
            let pair = KeyPair {
                id: "key-1".into(),
                ours: true,
                public_key: Some(key.to_openssh().unwrap()),
                fingerprint: None,
            };
            live.key_pairs.insert(names.key_pair(), pair);
            live.own_key = Some(key);
        }
        Op::CreateRole => live.role = Some(Role { ours: true, policy: None }),
        Op::PutRolePolicy { policy } => live.role.as_mut().unwrap().policy = Some(policy.clone()),
        Op::CreateProfile => live.profile = Some(Profile { ours: true, roles: vec![] }),
        Op::AddRoleToProfile => live.profile.as_mut().unwrap().roles.push(names.host_role()),
        Op::RunInstance(launch) => {
            let instance = Instance {
                id: format!("i-{}", live.instances.len()),
                size: launch.size.clone(),
                subnet: Some(launch.subnet.clone()),
                key: Some(launch.key.clone()),
                groups: vec![launch.group.clone()],
                profile: launch.profile.as_ref().map(|name| format!("arn:aws:iam::1:instance-profile/{name}")),
                image: Some(launch.image.clone()),
                runs: Some(name_runs(launch.runs).into()),
                ..running(&launch.host)
            };
            live.volumes.insert(format!("vol-{}", launch.host), launch.disk_gb);
            live.instances.push(instance);
            live.has_token |= launch.runs == Some(Runs::Jupyter);
            live.has_password |= launch.runs == Some(Runs::Filegator);
        }
        Op::StartInstance { id } => find(live, id).state = InstanceStateName::Running,
        Op::SetSecurityGroup { id, group } => find(live, id).groups = vec![group.clone()],
        Op::AttachProfile { id, profile } => find(live, id).profile = Some(format!("arn:x/{profile}")),
        Op::TerminateInstance { id } => find(live, id).state = InstanceStateName::Terminated,
        Op::DeleteKeyPair { .. } => live.key_pairs.clear(),
        Op::RemoveRoleFromProfile => live.profile.as_mut().unwrap().roles.clear(),
        Op::DeleteProfile => {
            assert!(live.profile.take().unwrap().roles.is_empty(), "DeleteConflict");
        }
        Op::DeleteRole => {
            live.role = None;
            assert!(live.profile.as_ref().is_none_or(|profile| profile.roles.is_empty()), "DeleteConflict");
        }
    }
}

fn find<'a>(live: &'a mut Live, id: &str) -> &'a mut Instance {
    live.instances.iter_mut().find(|instance| instance.id == id).unwrap()
}

fn own_key() -> ssh_key::PublicKey {
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti ada".parse().unwrap()
}

/// The network stands, the images are known, nothing of ours exists.
fn empty() -> Live {
    let ami = Ami { id: "ami-1".into(), root_device: "/dev/xvda".into(), arch: None };
    Live { images: BTreeMap::from([("public".into(), ami)]), ..live_with([]) }
}

fn plan_of(lab: &Lab, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
    let names = Names::new(lab);
    let hosts = want_hosts(lab, &names, &["public".into()]);
    let home = Home::at("/labs/lab-ada");
    plan(Scene { lab, names: &names, region: "us-east-1", home: &home, hosts: &hosts, live })
}

fn plan_now(live: &Live) -> Plan<Op> {
    plan_of(&lab(), live).unwrap()
}

fn made() -> Live {
    let mut live = empty();
    for step in plan_now(&live).steps {
        act(&mut live, &step);
    }
    live
}

fn refusal(live: &Live) -> String {
    Problem::all(&plan_of(&lab(), live).unwrap_err()).unwrap().to_string()
}

#[test]
fn from_nothing_to_the_seed_s_public_host() {
    let plan = plan_now(&empty());
    let titles: Vec<_> = plan.steps.iter().map(Step::title).collect();
    let expected = [
        "create key-pair lab-key-ada",
        "create role lab-host-role-ada",
        "create role-policy lab-host-role-ada",
        "create instance-profile lab-host-profile-ada",
        "update instance-profile lab-host-profile-ada",
        "create instance lab-public-ec2",
    ];
    assert_eq!(titles, expected);
    let expected = 0.0104 + 0.005 + lab_common::prices::gp3(8);
    assert!((plan.usd_per_hour - expected).abs() < 1e-6, "{}", plan.usd_per_hour);
}

#[test]
fn what_is_as_wanted_needs_nothing() {
    let plan = plan_now(&made());
    assert!(plan.is_empty(), "{:?}", plan.steps);
    assert_eq!(plan.unchanged, 5);
}

#[test]
fn a_missing_network_names_net_up() {
    let mut live = empty();
    live.network.clear();
    let text = refusal(&live);
    assert!(text.contains("subnet lab-public-subnet") && text.contains("security-group lab-public-ec2"), "{text}");
    assert!(text.contains("net-up"), "{text}");
}

#[test]
fn a_stopped_instance_is_started_and_a_terminated_one_made_anew() {
    let mut live = made();
    live.instances[0].state = InstanceStateName::Stopped;
    let steps = plan_now(&live).steps;
    assert!(matches!(steps.as_slice(), [Step { op: Op::StartInstance { .. }, .. }]), "{steps:?}");
    assert!((steps[0].usd_per_hour - 0.0154).abs() < 1e-9);

    live.instances[0].state = InstanceStateName::Terminated;
    let steps = plan_now(&live).steps;
    let [Step { op: Op::RunInstance(launch), .. }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(launch.used_tokens, ["token"]);
}

#[test]
fn another_security_group_and_a_missing_profile_are_set_in_place() {
    let mut live = made();
    live.instances[0].groups = vec!["sg-old".into()];
    live.instances[0].profile = None;
    let steps = plan_now(&live).steps;
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps.iter().all(|step| step.action == Action::Update));
}

#[test]
fn what_cannot_change_is_refused_with_both_ways_on() {
    type Change = fn(&mut Live);
    let changes: [(&str, Change); 6] = [
        ("size t3.nano", |live| live.instances[0].size = "t3.nano".into()),
        ("subnet subnet-other", |live| live.instances[0].subnet = Some("subnet-other".into())),
        ("key vockey", |live| live.instances[0].key = Some("vockey".into())),
        ("runs nothing", |live| live.instances[0].runs = Some("nothing".into())),
        ("image ubuntu-24.04", |live| live.instances[0].image = Some("ubuntu-24.04".into())),
        ("disk_gb 20", |live| *live.volumes.get_mut("vol-public").unwrap() = 20),
    ];
    for (what, change) in changes {
        let mut live = made();
        change(&mut live);
        let text = refusal(&live);
        assert!(text.contains(what) && text.contains("host-up down public"), "{what}:\n{text}");
    }
}

#[test]
fn two_of_one_host_are_a_conflict_that_names_both() {
    let mut live = made();
    // A copy bears the tags, and not the token.
    let twin = Instance { id: "i-twin".into(), made_by_run: false, ..live.instances[0].clone() };
    live.instances.push(twin);
    let text = refusal(&live);
    assert!(text.contains("i-0, i-twin") && text.contains("terminate-instances"), "{text}");
}

#[test]
fn a_second_one_that_lost_its_turn_goes_and_a_copy_made_by_hand_does_not() {
    let mut live = made();
    for number in [None, Some(1), Some(2)] {
        let second = Instance { id: "i-second".into(), number, ..live.instances[0].clone() };
        let mut live = live.clone();
        live.instances.push(second);
        let ops: Vec<_> = plan_now(&live).steps.into_iter().map(|step| step.op).collect();
        assert_eq!(ops, [Op::TerminateInstance { id: "i-second".into() }]);
    }
    let copy = Instance { id: "i-copy".into(), made_by_run: false, number: None, ..live.instances[0].clone() };
    live.instances.push(copy);
    assert!(refusal(&live).contains("i-0, i-copy"));
    live.instances.swap(0, 1);
    assert!(refusal(&live).contains("i-copy, i-0"), "nor the real one for the copy's sake");
}

#[test]
fn a_key_that_is_not_on_this_machine_stops_everything() {
    let mut live = made();
    live.own_key = None;
    assert!(refusal(&live).contains("/labs/lab-ada/ssh-key"), "{}", refusal(&live));
    live.key_pairs.clear();
    assert!(refusal(&live).contains("the private key of lab-public-ec2"), "{}", refusal(&live));
    live.instances.clear();
    live.images = empty().images;
    assert!(plan_now(&live).steps.iter().any(|step| step.op == Op::ImportKeyPair));
}

#[test]
fn a_key_pair_of_somebody_else_is_refused() {
    let mut live = made();
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x";
    live.key_pairs.get_mut("lab-key-ada").unwrap().public_key = Some(other.into());
    assert!(refusal(&live).contains("not the key of this machine"));
    live.key_pairs.get_mut("lab-key-ada").unwrap().ours = false;
    assert!(refusal(&live).contains("delete-key-pair"));
}

#[test]
fn a_token_that_is_not_on_this_machine_is_said() {
    let mut live = made();
    live.has_token = false;
    assert!(refusal(&live).contains("/labs/lab-ada/jupyter-token"));
}

#[test]
fn an_existing_key_pair_must_exist_and_is_never_deleted() {
    let mut lab = lab();
    lab.hosts[0].key = Some("vockey".into());
    let problems = plan_of(&lab, &empty()).unwrap_err();
    assert!(problems[0].what().contains("no key pair `vockey`"), "{problems:?}");
    let mut live = empty();
    let foreign = KeyPair { id: "key-9".into(), ours: false, public_key: None, fingerprint: None };
    live.key_pairs.insert("vockey".into(), foreign);
    let steps = plan_of(&lab, &live).unwrap().steps;
    assert!(steps.iter().all(|step| step.kind != "key-pair"));
    assert!(teardown(&names(), &[], &live).is_empty());
}

#[test]
fn a_learner_lab_uses_its_own_profile_and_its_limits_hold() {
    let mut live = empty();
    let arn = "arn:aws:sts::123456789012:assumed-role/voclabs/user1=Ada";
    live.caller = Some(Caller { account: "123456789012".into(), arn: arn.into() });
    let steps = plan_now(&live).steps;
    assert_eq!(steps.len(), 2, "{steps:?}");
    let Op::RunInstance(launch) = &steps[1].op else { panic!("{steps:?}") };
    assert_eq!(launch.profile.as_deref(), Some("LabInstanceProfile"));

    let mut lab = lab();
    lab.hosts[0].size = "t3.xlarge".into();
    let problems = plan_of(&lab, &live).unwrap_err();
    assert_eq!(problems[0].exit(), Exit::Usage);
    assert!(problems[0].what().contains("hosts.public.size"), "{problems:?}");
}

#[test]
fn an_image_of_the_other_architecture_is_refused() {
    let mut lab = lab();
    lab.hosts[0].image = Image::Ami("ami-1".into());
    lab.hosts[0].size = "t4g.micro".into();
    let mut live = empty();
    live.images.get_mut("public").unwrap().arch = Some("x86_64".into());
    let problems = plan_of(&lab, &live).unwrap_err();
    assert!(problems[0].what().contains("ami-1 is for x86_64"), "{problems:?}");
}

#[test]
fn naming_one_host_keeps_what_another_still_needs() {
    let mut live = made();
    live.instances.push(Instance { id: "i-private".into(), ..running("private") });
    let plan = teardown(&names(), &["public".into()], &live);
    let titles: Vec<_> = plan.steps.iter().map(Step::title).collect();
    assert_eq!(titles, ["delete instance lab-public-ec2"]);
    assert_eq!(plan.unchanged, 1);
    assert!(plan.usd_per_hour > 0.0);
}

#[test]
fn what_bears_no_tags_of_ours_is_not_deleted() {
    let mut live = made();
    live.instances.clear();
    live.key_pairs.get_mut("lab-key-ada").unwrap().ours = false;
    live.role.as_mut().unwrap().ours = false;
    live.profile.as_mut().unwrap().ours = false;
    assert!(teardown(&names(), &[], &live).is_empty());
}

/// Carries out steps in any order that their needs allow.
fn act_in_order(live: &mut Live, mut steps: Vec<Step<Op>>, picks: &[prop::sample::Index]) {
    let mut picks = picks.iter().cycle();
    while !steps.is_empty() {
        let waits = |step: &Step<Op>| step.needs.iter().any(|need| steps.iter().any(|other| other.role == *need));
        let ready: Vec<_> = (0..steps.len()).filter(|&index| !waits(&steps[index])).collect();
        let next = picks.next().map_or(0, |pick| pick.index(ready.len()));
        let step = steps.remove(ready[next]);
        act(live, &step);
    }
}

proptest! {
    /// Killed after any step, in any order: running again ends in the same place, with one of each.
    #[test]
    fn a_kill_anywhere_is_healed_by_running_again(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8), kill in 0usize..7
    ) {
        let mut live = empty();
        let steps = plan_now(&live).steps;
        let kept: Vec<_> = steps.into_iter().take(kill).collect();
        for step in &kept {
            act(&mut live, step);
        }
        let rest = plan_now(&live).steps;
        act_in_order(&mut live, rest, &picks);
        prop_assert!(plan_now(&live).is_empty());
        prop_assert_eq!(live.instances.len(), 1);
    }

    /// Whatever part of the lab stands, it can be taken down in any order the plan allows, and nothing is left.
    #[test]
    fn teardown_leaves_nothing_and_never_meets_a_conflict(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8), parts in 0usize..7
    ) {
        let mut live = empty();
        for step in plan_now(&empty()).steps.iter().take(parts) {
            act(&mut live, step);
        }
        let steps = teardown(&names(), &[], &live).steps;
        act_in_order(&mut live, steps, &picks);
        prop_assert!(teardown(&names(), &[], &live).is_empty());
        prop_assert!(live.role.is_none() && live.profile.is_none() && live.key_pairs.is_empty());
        prop_assert!(live.instances.iter().all(|instance| !instance.is_alive()));
    }
}
