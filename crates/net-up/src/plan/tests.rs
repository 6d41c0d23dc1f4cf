//! The plan against a model of AWS: whatever exists, applying the plan leads to what is wanted, and planning again
//! finds nothing to do.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use lab_common::{HOL02, Lab, Names, Overrides, read_lab};
use lab_plan::{Schedule, State};
use proptest::prelude::*;

use super::*;
use crate::rule::Source;
use crate::want::want;

fn lab(text: &str) -> Lab {
    read_lab("lab.toml", text, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
}

fn want_of(lab: &Lab) -> Want {
    want(lab, &Names::new(lab), "us-east-1", Some(Ipv4Addr::new(198, 51, 100, 7)))
}

fn hol02() -> Want {
    want_of(&lab(HOL02))
}

/// A small AWS: it refuses what EC2 refuses, and nothing else.
#[derive(Debug, Default, Clone)]
struct Model {
    live: Live,
    ids: BTreeMap<String, String>,
    made: usize,
}

impl Model {
    fn of(live: Live) -> Self {
        let mut ids = BTreeMap::new();
        let mut know = |role: &str, id: &str| ids.insert(role.to_owned(), id.to_owned());
        if let Some(vpc) = live.vpc() {
            know(VPC, &vpc.id);
        }
        if let Some(gateway) = live.gateway() {
            know(GATEWAY, &gateway.id);
        }
        for subnet in &live.subnets {
            know(&subnet.role, &subnet.id);
        }
        for table in &live.tables {
            know(table.role.as_deref().unwrap_or_default(), &table.id);
        }
        for group in &live.groups {
            know(&group.role, &group.id);
        }
        Self { live, ids, made: 0 }
    }

    fn make(&mut self, kind: &str, role: &str) -> String {
        self.made += 1;
        let id = format!("{kind}-new{:03}", self.made);
        self.ids.insert(role.to_owned(), id.clone());
        id
    }

    fn id(&self, role: &str) -> String {
        self.ids.get(role).cloned().unwrap_or_else(|| panic!("{role} was used before it existed"))
    }

    #[allow(clippy::too_many_lines, reason = "one arm an operation; a second function would only cut the list in two")]
    fn apply(&mut self, step: &Step<Op>) {
        let (role, name) = (step.role.clone(), step.name.clone());
        match step.op.clone() {
            Op::CreateVpc { cidr } => {
                let id = self.make("vpc", &role);
                let main = self.make("rtb-main", "unseen");
                self.live.vpcs.push(Vpc {
                    id: id.clone(),
                    name,
                    cidr,
                    state: "available".into(),
                    dns_hostnames: Some(false),
                });
                self.live.tables.push(table(&main, None, &id, true));
            }
            Op::EnableDnsHostnames => self.live.vpcs[0].dns_hostnames = Some(true),
            Op::TagMainTable => {
                let main = self.live.tables.iter_mut().find(|table| table.main).expect("a VPC has a main table");
                main.role = Some(role);
            }
            Op::CreateSubnet { cidr, zone } => {
                let block = |cidr: &str| cidr.parse::<ipnet::Ipv4Net>().expect("a block");
                let taken = |other: &Subnet| block(&other.cidr).contains(&block(&cidr));
                assert!(!self.live.subnets.iter().any(taken), "InvalidSubnet.Conflict");
                let (id, vpc) = (self.make("subnet", &role), self.id(VPC));
                let zone = zone.unwrap_or_else(|| "us-east-1a".into());
                self.live.subnets.push(Subnet {
                    id,
                    role,
                    name,
                    vpc,
                    cidr,
                    zone,
                    state: "available".into(),
                    public: false,
                });
            }
            Op::MapPublicAddresses { subnet, public } => {
                let id = self.id(&subnet);
                self.live.subnets.iter_mut().find(|subnet| subnet.id == id).unwrap().public = public;
            }
            Op::CreateGateway => {
                let id = self.make("igw", &role);
                self.live.gateways.push(Gateway { id, name, vpc: None });
            }
            Op::AttachGateway => {
                let (id, vpc) = (self.id(GATEWAY), self.id(VPC));
                self.live.gateways.iter_mut().find(|gateway| gateway.id == id).unwrap().vpc = Some(vpc);
            }
            Op::CreateTable => {
                let (id, vpc) = (self.make("rtb", &role), self.id(VPC));
                self.live.tables.push(table(&id, Some(&role), &vpc, false));
            }
            Op::RouteToGateway { replace } => {
                let (id, gateway) = (self.id(PUBLIC_TABLE), self.id(GATEWAY));
                let attached = self.live.gateways.iter().any(|g| g.id == gateway && g.vpc.is_some());
                assert!(attached, "a route to a gateway that is not attached");
                let table = self.live.tables.iter_mut().find(|table| table.id == id).unwrap();
                assert_eq!(table.default_route.is_some(), replace, "RouteAlreadyExists");
                table.default_route = Some(gateway);
            }
            Op::Associate { subnet, instead } => {
                let (table, subnet) = (self.id(PUBLIC_TABLE), self.id(&subnet));
                let id = self.make("rtbassoc", &role);
                let mut all = self.live.tables.iter_mut().map(|table| &mut table.associations).collect::<Vec<_>>();
                all.push(&mut self.live.strange_associations);
                for associations in all {
                    associations.retain(|(id, _)| Some(id) != instead.as_ref());
                    assert!(!associations.iter().any(|(_, id)| *id == subnet), "Resource.AlreadyAssociated");
                }
                self.live.tables.iter_mut().find(|t| t.id == table).unwrap().associations.push((id, subnet));
            }
            Op::CreateGroup { .. } => {
                let (id, vpc) = (self.make("sg", &role), self.id(VPC));
                self.live.groups.push(Group { id, role, name, vpc, rules: BTreeSet::new() });
            }
            Op::Authorize { group, rules } => {
                let id = self.id(&group);
                let rules: Vec<_> =
                    rules.into_iter().filter_map(|rule| rule.rename(|role| Some(self.id(role)))).collect();
                let group = self.live.groups.iter_mut().find(|group| group.id == id).unwrap();
                for rule in rules {
                    assert!(group.rules.insert(rule), "InvalidPermission.Duplicate");
                }
            }
            Op::Revoke { group, rules } => {
                if let Some(group) = self.live.groups.iter_mut().find(|found| found.id == group) {
                    group.rules.retain(|rule| !rules.contains(rule));
                }
            }
            Op::Disassociate { association } => {
                for table in &mut self.live.tables {
                    table.associations.retain(|(id, _)| *id != association);
                }
                self.live.strange_associations.retain(|(id, _)| *id != association);
            }
            Op::DetachGateway { gateway, .. } => {
                self.live.gateways.iter_mut().find(|found| found.id == gateway).unwrap().vpc = None;
            }
            Op::DeleteVpc { id } => {
                let live = &self.live;
                let empty = live.subnets.iter().all(|subnet| subnet.vpc != id)
                    && live.groups.iter().all(|group| group.vpc != id)
                    && live.tables.iter().all(|table| table.main || table.vpc != id)
                    && live.gateways.iter().all(|gateway| gateway.vpc.as_ref() != Some(&id));
                assert!(empty, "DependencyViolation: the VPC is not empty");
                self.live.vpcs.retain(|vpc| vpc.id != id);
                self.live.tables.retain(|table| table.vpc != id);
            }
            Op::DeleteSubnet { id } => {
                self.live.subnets.retain(|subnet| subnet.id != id);
                for table in &mut self.live.tables {
                    table.associations.retain(|(_, subnet)| *subnet != id);
                }
            }
            Op::DeleteGateway { id } => {
                let attached = self.live.gateways.iter().any(|gateway| gateway.id == id && gateway.vpc.is_some());
                assert!(!attached, "DependencyViolation: the gateway is attached");
                self.live.gateways.retain(|gateway| gateway.id != id);
            }
            Op::DeleteTable { id } => {
                let used = self.live.tables.iter().any(|table| table.id == id && !table.associations.is_empty());
                assert!(!used, "DependencyViolation: the table is associated");
                self.live.tables.retain(|table| table.id != id);
            }
            Op::DeleteGroup { id } => {
                let named = |group: &Group| group.id != id && group.rules.iter().any(|rule| rule.group() == Some(&id));
                assert!(!self.live.groups.iter().any(named), "DependencyViolation: a rule names the group");
                self.live.groups.retain(|group| group.id != id);
            }
        }
    }

    /// Applies the steps in some order that their needs allow: of the ready ones, `choose` picks.
    fn run(&mut self, steps: &[Step<Op>], mut choose: impl FnMut(usize) -> usize) {
        let mut schedule = Schedule::new(steps.iter().map(|step| (step.role.as_str(), step.needs.as_slice())));
        loop {
            let ready: Vec<_> = schedule.ready().collect();
            if ready.is_empty() {
                break;
            }
            let step = ready[choose(ready.len())];
            schedule.start(step);
            self.apply(&steps[step]);
            schedule.finish(step);
        }
        assert!(schedule.states().iter().all(|state| *state == State::Done), "steps that never become ready");
    }
}

fn table(id: &str, role: Option<&str>, vpc: &str, main: bool) -> Table {
    Table {
        id: id.into(),
        role: role.map(str::to_owned),
        name: String::new(),
        vpc: vpc.into(),
        associations: Vec::new(),
        default_route: None,
        blackhole: false,
        main,
    }
}

fn built(want: &Want) -> Model {
    let mut model = Model::default();
    let plan = plan(want, &model.live).unwrap();
    model.run(&plan.steps, |_| 0);
    model
}

#[test]
fn what_has_been_built_needs_no_change() {
    let model = built(&hol02());
    let again = plan(&hol02(), &model.live).unwrap();
    assert_eq!(again.steps, []);
    assert_eq!(again.unchanged, 9, "a VPC, a gateway, two tables, two subnets, three groups");
}

#[test]
fn a_port_more_and_a_port_less_touch_one_group_only() {
    let model = built(&hol02());
    let changed = HOL02.replace("{ port = 8888, from = \"me\" }", "{ port = 8443, from = \"10.9.0.0/16\" }");
    let steps = plan(&want_of(&lab(&changed)), &model.live).unwrap().steps;
    let shown: Vec<_> =
        steps.iter().map(|step| format!("{} {} {}", step.action.verb(), step.name, step.detail)).collect();
    assert_eq!(
        shown,
        ["create lab-public-ec2 tcp/8443 from 10.9.0.0/16", "delete lab-public-ec2 tcp/8888 from 198.51.100.7/32"]
    );
}

#[test]
fn a_new_subnet_brings_itself_and_nothing_else() {
    let model = built(&hol02());
    let changed = HOL02.replace(
        "subnets.private",
        "subnets.lab = { cidr = \"10.0.3.0/24\", internet = \"gateway\", zone = \"b\" }\nsubnets.private",
    );
    let steps = plan(&want_of(&lab(&changed)), &model.live).unwrap().steps;
    assert!(steps.iter().all(|step| step.name == "lab-lab-subnet"), "{steps:?}");
    assert_eq!(steps.len(), 3, "create, public addresses, association");
}

#[test]
fn a_renamed_subnet_gets_its_block_once_the_old_one_is_gone() {
    let mut model = built(&hol02());
    let renamed =
        HOL02.replace("subnets.private", "subnets.inner").replace("subnet = \"private\"", "subnet = \"inner\"");
    let want = want_of(&lab(&renamed));
    let steps = plan(&want, &model.live).unwrap().steps;
    model.run(&steps, |_| 0);
    assert_eq!(plan(&want, &model.live).unwrap().steps, []);
}

#[test]
fn opening_a_port_to_everybody_asks_first() {
    let open = HOL02.replace("{ port = 22, from = \"me\" }", "{ port = 22, from = \"anywhere\" }");
    let asked = |text: &str| {
        let plan = plan(&want_of(&lab(text)), &Live::default()).unwrap();
        plan.steps.into_iter().filter_map(|step| step.ask).collect::<Vec<_>>()
    };
    assert_eq!(asked(HOL02), [] as [String; 0]);
    assert!(asked(&open)[0].contains("everybody on the internet (tcp/22 from 0.0.0.0/0)"));
}

#[test]
fn what_aws_cannot_change_is_refused_with_the_reason() {
    let model = built(&hol02());
    for (old, new, reason) in [
        ("cidr = \"10.0.0.0/16\"", "cidr = \"10.0.0.0/17\"", "a VPC's block cannot be changed"),
        ("10.0.2.0/24\", internet", "10.0.4.0/24\", internet", "a subnet's block cannot be changed"),
        ("internet = \"none\" }", "internet = \"none\", zone = \"c\" }", "a subnet's zone cannot be changed"),
    ] {
        let changed = HOL02.replace(old, new).replace("allow_networks", "# ");
        let problems = plan(&want_of(&lab(&changed)), &model.live).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].why(), Some(reason));
        assert!(problems[0].remedy().is_some());
    }
}

#[test]
fn a_removed_subnet_goes_unless_something_is_in_it() {
    let mut model = built(&hol02());
    let smaller: String = {
        let without_host = HOL02.split("[hosts.private]").next().unwrap().to_owned();
        let lines = without_host.lines().filter(|line| !line.starts_with("subnets.private"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let want = want_of(&lab(&smaller));
    let names: Vec<_> = plan(&want, &model.live).unwrap().steps.into_iter().map(|step| step.title()).collect();
    for gone in ["delete subnet lab-private-subnet", "delete security-group lab-private-ec2"] {
        assert!(names.iter().any(|name| name == gone), "{gone} is not in {names:?}");
    }
    let subnet = model.live.subnet("subnet private").unwrap().id.clone();
    let tenant = Tenant {
        vpc: model.live.vpcs[0].id.clone(),
        subnet: Some(subnet),
        what: "instance lab-private-ec2 (i-1)".into(),
        removal: "host-up down".into(),
        groups: vec![],
    };
    model.live.tenants.push(tenant);
    let problems = plan(&want, &model.live).unwrap_err();
    assert!(problems[0].what().contains("instance lab-private-ec2 (i-1) is still in lab-private-subnet"));
    assert_eq!(problems[0].remedy(), Some("host-up down"));
}

#[test]
fn down_deletes_nothing_while_something_stands_in_the_way() {
    let mut model = built(&hol02());
    model.live.tenants.push(Tenant {
        vpc: model.live.vpcs[0].id.clone(),
        subnet: None,
        what: "instance lab-public-ec2 (i-1)".into(),
        removal: "host-up down".into(),
        groups: vec![],
    });
    let problems = teardown(&model.live).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].exit().code(), 1);
}

#[test]
fn an_empty_second_vpc_is_removed_and_a_full_one_is_a_conflict() {
    let mut model = built(&hol02());
    let spare = Vpc { id: "vpc-zzz".into(), ..model.live.vpcs[0].clone() };
    model.live.vpcs.push(spare);
    let steps = plan(&hol02(), &model.live).unwrap().steps;
    assert_eq!(steps.iter().map(|step| step.op.clone()).collect::<Vec<_>>(), [Op::DeleteVpc { id: "vpc-zzz".into() }]);
    let subnet = Subnet { id: "subnet-z".into(), vpc: "vpc-zzz".into(), ..model.live.subnets[0].clone() };
    model.live.subnets.push(subnet);
    let problems = plan(&hol02(), &model.live).unwrap_err();
    assert!(problems[0].what().contains("two VPCs"), "{problems:?}");
}

#[test]
fn a_subnet_that_was_put_behind_another_table_comes_back() {
    let mut model = built(&hol02());
    let (public, private) = (model.live.subnet("subnet public").unwrap(), model.live.subnet("subnet private").unwrap());
    let strange = [("rtbassoc-1".to_owned(), public.id.clone()), ("rtbassoc-2".to_owned(), private.id.clone())];
    model.live.strange_associations.extend(strange);
    for table in &mut model.live.tables {
        table.associations.clear();
    }
    let steps = plan(&hol02(), &model.live).unwrap().steps;
    model.run(&steps, |_| 0);
    assert_eq!(model.live.strange_associations, []);
    assert_eq!(plan(&hol02(), &model.live).unwrap().steps, []);
}

#[test]
fn a_second_table_goes_once_nothing_uses_it() {
    let mut model = built(&hol02());
    let counted = model.live.tables.iter_mut().find(|table| table.role.as_deref() == Some(PUBLIC_TABLE)).unwrap();
    let used = std::mem::take(&mut counted.associations);
    let second = Table { associations: used, ..table("rtb-second", Some(PUBLIC_TABLE), "vpc-new001", false) };
    model.live.tables.push(second);
    for ops in [vec!["use the table behind the gateway"], vec![""], vec![]] {
        let steps = plan(&hol02(), &model.live).unwrap().steps;
        assert_eq!(steps.iter().map(|step| step.detail.as_str()).collect::<Vec<_>>(), ops);
        model.run(&steps, |_| 0);
    }
    assert!(!model.live.tables.iter().any(|table| table.id == "rtb-second"));
}

#[test]
fn rules_that_name_each_others_groups_do_not_block_the_way_down() {
    let mut model = built(&hol02());
    let ids: Vec<_> = model.live.groups.iter().map(|group| group.id.clone()).collect();
    let rule = |id: &String| Rule { protocol: "tcp".into(), ports: Some((1, 1)), source: Source::Group(id.clone()) };
    model.live.groups[0].rules.insert(rule(&ids[1]));
    model.live.groups[1].rules.insert(rule(&ids[0]));
    model.live.groups[2].rules.insert(rule(&ids[2]));
    let steps = teardown(&model.live).unwrap().steps;
    model.run(&steps, |_| 0);
    assert_eq!(model.live, Live::default());
}

/// Part of a built lab: what is left when anything may have been lost behind our back.
fn damage(mut live: Live, keep: &[bool]) -> Live {
    let mut keep = keep.iter().copied().cycle();
    let mut chance = move || keep.next().unwrap_or(true);
    for table in &mut live.tables {
        if !table.main && chance() {
            table.associations.clear();
        }
        if !table.main && chance() {
            table.default_route = None;
        }
    }
    live.tables.retain(|table| table.main || chance());
    live.subnets.retain(|_| chance());
    let kept: Vec<_> = live.subnets.iter().map(|subnet| subnet.id.clone()).collect();
    for table in &mut live.tables {
        table.associations.retain(|(_, subnet)| kept.contains(subnet));
    }
    live.groups.retain(|_| chance());
    let kept: Vec<_> = live.groups.iter().map(|group| group.id.clone()).collect();
    for group in &mut live.groups {
        group.rules.retain(|rule| rule.group().is_none_or(|id| kept.contains(id)) && chance());
    }
    if chance() {
        live.gateways.clear();
        for table in &mut live.tables {
            table.default_route = None;
        }
    }
    live
}

proptest! {
    #[test]
    fn whatever_is_left_up_mends_it_and_down_removes_it(
        keep in prop::collection::vec(any::<bool>(), 1..40), picks in prop::collection::vec(0usize..100, 1..40)
    ) {
        let want = hol02();
        let mut model = Model::of(damage(built(&want).live, &keep));
        model.made = 500;
        let mut picks = picks.into_iter().cycle();
        let steps = plan(&want, &model.live).unwrap().steps;
        model.run(&steps, |ready| picks.next().unwrap_or(0) % ready);
        prop_assert_eq!(plan(&want, &model.live).unwrap().steps, []);
        let steps = teardown(&model.live).unwrap().steps;
        model.run(&steps, |ready| picks.next().unwrap_or(0) % ready);
        prop_assert_eq!(&model.live, &Live::default());
        prop_assert!(teardown(&model.live).unwrap().is_empty());
    }

    #[test]
    fn planning_twice_says_the_same(keep in prop::collection::vec(any::<bool>(), 1..40)) {
        let live = damage(built(&hol02()).live, &keep);
        prop_assert_eq!(plan(&hol02(), &live), plan(&hol02(), &live));
    }
}
