//! Plans run against a model of Client VPN that refuses what Client VPN refuses.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{AssociationStatusCode as Associating, ClientVpnEndpointStatusCode as State};
use jiff::SignedDuration;
use lab_common::Lab;
use lab_plan::{Schedule, State as StepState};
use proptest::prelude::*;

use super::*;
use crate::certificate::ServerCertificate;
use crate::local::{Configuration, Local};
use crate::pki::{Client, Offer};
use crate::profile::Remote;
use crate::refuse::find_refusals;
use crate::teardown::teardown;
use crate::testing::{Papers, Stage, bare, lab, papers, revoked_list, strange_papers, wide_lab};

/// AWS and this machine, as far as they matter here.
struct Model {
    live: Live,
    made: usize,
    /// The roles that steps have reported ids for.
    endpoint: Option<String>,
    arn: Option<String>,
}

impl Model {
    fn of(live: Live) -> Self {
        let endpoint = live.endpoint().map(|endpoint| endpoint.id.clone());
        let arn = live.certificate().map(|certificate| certificate.arn.clone());
        Self { live, made: 0, endpoint, arn }
    }

    fn built(lab: &Lab) -> Self {
        let stage = Stage::of(lab);
        let mut model = Self::of(bare());
        let steps = plan(stage.scene(&model.live)).unwrap().steps;
        model.run(&steps, &stage, |_| 0);
        model
    }

    fn make(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{:04}", self.made)
    }

    fn find(&mut self, id: &str) -> &mut Endpoint {
        self.live.endpoints.iter_mut().find(|endpoint| endpoint.id == id).expect("InvalidClientVpnEndpointId.NotFound")
    }

    fn ours(&mut self) -> &mut Endpoint {
        let id = self.endpoint.clone().expect("no step has made the endpoint");
        self.find(&id)
    }

    fn local(&mut self) -> &mut Local {
        self.live.local.as_mut().unwrap()
    }

    fn apply(&mut self, op: &Op, stage: &Stage) {
        match op.clone() {
            Op::MakeAuthority => {
                let local = self.local();
                assert!(local.authority.is_none(), "a second authority");
                (local.authority, local.can_sign) = (Some(papers().authority.clone()), true);
                local.server = Some(papers().server.clone());
            }
            Op::ImportCertificate { arn } => {
                assert!(self.local().authority.is_some(), "nobody signs the server's certificate");
                let arn = arn.unwrap_or_else(|| self.make("arn"));
                self.live.certificates.retain(|certificate| certificate.arn != arn);
                self.live.certificates.push(ServerCertificate {
                    number: None,
                    arn: arn.clone(),
                    certificate: Some(papers().server.clone()),
                    authority: Some(papers().authority.clone()),
                });
                self.arn = Some(arn);
            }
            Op::MakeClients { clients } => {
                assert!(self.local().can_sign, "nobody signs the clients' certificates");
                for name in clients {
                    if self.local().client(&name).is_none() {
                        let certificate = papers().laptop.clone();
                        self.local().clients.push(Client { name, certificate, revoked: false });
                    }
                }
            }
            Op::WriteConfiguration { client, .. } => {
                let (id, port) = (self.ours().id.clone(), self.ours().port);
                let certificate = self.local().client(&client).cloned();
                assert!(certificate.is_some(), "{client} has no certificate");
                let remote = Remote { host: format!("{id}.example"), port: port.map(|port| port.to_string()) };
                let written = Configuration { remote: Some(remote), certificate, just_written: false };
                self.local().configurations.insert(client, written);
            }
            Op::CreateLogGroup { days } => {
                assert!(self.live.log_group.is_none(), "ResourceAlreadyExistsException");
                self.live.log_group = Some(LogGroup { arn: "log".into(), ours: true, retention: Some(days) });
            }
            Op::SetRetention { days } => self.live.log_group.as_mut().unwrap().retention = Some(days),
            Op::CreateEndpoint { vpc, group, .. } => self.create_endpoint(stage, &vpc, &group),
            Op::ModifyEndpoint { id, change } => self.modify(&id, &change, stage),
            Op::ImportRevocationList => panic!("nobody was revoked"),
            Op::Associate { subnet, leaving, .. } => self.associate(&subnet, &leaving),
            Op::AwaitAssociation { association } => {
                let found = self.ours().associations.iter_mut().find(|there| there.id == association).unwrap();
                found.state = Associating::Associated;
            }
            Op::Authorize { network, .. } => {
                let rules = &mut self.ours().rules;
                let network = network.to_string();
                rules.retain(|rule| rule.state != ClientVpnAuthorizationRuleStatusCode::Revoking);
                assert!(
                    !rules.iter().any(|rule| rule.network == network),
                    "InvalidClientVpnDuplicateAuthorizationRule"
                );
                rules.push(Rule {
                    network,
                    group: None,
                    state: ClientVpnAuthorizationRuleStatusCode::Active,
                    message: None,
                });
            }
            Op::CreateRoute { destination, subnet, .. } => {
                let endpoint = self.ours();
                let associated = endpoint.associations.iter().any(|there| there.subnet == subnet && there.is_alive());
                assert!(associated, "InvalidClientVpnActiveAssociationNotFound");
                let destination = destination.to_string();
                let same = |route: &Route| route.destination == destination && route.subnet == subnet;
                assert!(!endpoint.routes.iter().any(same), "InvalidClientVpnDuplicateRoute");
                endpoint.routes.push(active_route(&destination, &subnet, true));
            }
            Op::Disassociate { endpoint, association, .. } => {
                let endpoint = self.find(&endpoint);
                let gone = endpoint.associations.iter().find(|there| there.id == association).unwrap().subnet.clone();
                let left = endpoint.routes.iter().any(|route| route.added && route.subnet == gone);
                assert!(!left, "an added route still goes through the subnet");
                endpoint.routes.retain(|route| route.subnet != gone);
                endpoint.associations.retain(|there| there.id != association);
                if endpoint.associations.is_empty() {
                    endpoint.state = State::PendingAssociate;
                }
            }
            Op::Revoke { endpoint, network, .. } => self.find(&endpoint).rules.retain(|rule| rule.network != network),
            Op::DeleteRoute { endpoint, destination, subnet } => {
                let same = |route: &Route| route.destination == destination && route.subnet == subnet;
                self.find(&endpoint).routes.retain(|route| !same(route));
            }
            Op::DeleteEndpoint { id, .. } => {
                assert!(!self.find(&id).is_associated(), "ClientVpnEndpointAssociationExists");
                self.live.endpoints.retain(|endpoint| endpoint.id != id);
            }
            Op::DeleteCertificate { arn } => {
                let used = self.live.endpoints.iter().any(|endpoint| endpoint.server.as_ref() == Some(&arn));
                assert!(!used, "ResourceInUseException");
                self.live.certificates.retain(|certificate| certificate.arn != arn);
            }
            Op::DeleteLogGroup => self.live.log_group = None,
        }
    }

    fn create_endpoint(&mut self, stage: &Stage, vpc: &str, group: &str) {
        let id = self.make("cvpn-endpoint");
        let arn = self.arn.clone().expect("the certificate comes first");
        let scene = stage.scene(&self.live);
        let want = scene.want.endpoint.clone();
        let log_group = want.log_days.map(|_| scene.names.vpn_log_group());
        assert!(log_group.is_none() || self.live.log_group.is_some(), "the log group does not exist");
        let name = scene.names.vpn_endpoint();
        self.endpoint = Some(id.clone());
        self.live.endpoints.push(Endpoint {
            dns_name: Some(format!("*.{id}.example")),
            id,
            name,
            state: State::PendingAssociate,
            client_cidr: Some(want.client_cidr.to_string()),
            transport: Some(want.transport.as_str().into()),
            port: Some(want.port),
            split_tunnel: Some(want.split_tunnel),
            session_hours: Some(want.session_hours),
            description: Some(want.description),
            server: Some(arn.clone()),
            client_root: Some(arn),
            vpc: Some(vpc.into()),
            groups: vec![group.into()],
            log_group,
            associations: Vec::new(),
            rules: Vec::new(),
            routes: Vec::new(),
            revocation_list: None,
            list_unread: None,
        });
    }

    fn associate(&mut self, subnet: &str, leaving: &[String]) {
        let id = self.make("assoc");
        let zones: Vec<_> = self.live.subnets.iter().map(|subnet| (subnet.id.clone(), subnet.zone.clone())).collect();
        let zone = |id: &str| zones.iter().find(|(subnet, _)| subnet == id).map(|(_, zone)| zone);
        let endpoint = self.ours();
        endpoint.associations.retain(|association| !leaving.contains(&association.id));
        let taken = endpoint.associations.iter().any(|there| zone(&there.subnet) == zone(subnet));
        assert!(!taken, "InvalidClientVpnSubnetId.DuplicateAz");
        endpoint.routes.push(active_route("10.0.0.0/16", subnet, false));
        let (subnet, state) = (subnet.to_owned(), Associating::Associated);
        endpoint.associations.push(Association { id, subnet, state, message: None });
        endpoint.state = State::Available;
    }

    fn modify(&mut self, id: &str, change: &Change, stage: &Stage) {
        let log_group = stage.scene(&self.live).names.vpn_log_group();
        let arn = self.arn.clone();
        let endpoint = self.find(id);
        endpoint.split_tunnel = change.split_tunnel.or(endpoint.split_tunnel);
        endpoint.port = change.port.or(endpoint.port);
        endpoint.session_hours = change.session_hours.or(endpoint.session_hours);
        endpoint.description = change.description.clone().or(endpoint.description.take());
        if let Some(log) = change.log {
            endpoint.log_group = log.then_some(log_group);
        }
        if let Some((_, group)) = &change.group {
            endpoint.groups = vec![group.clone()];
        }
        if change.server {
            endpoint.server = arn;
        }
    }

    /// Applies the steps in some order that their needs allow: of the ready ones, `choose` picks.
    fn run(&mut self, steps: &[Step<Op>], stage: &Stage, mut choose: impl FnMut(usize) -> usize) {
        let mut schedule = Schedule::new(steps.iter().map(|step| (step.role.as_str(), step.needs.as_slice())));
        loop {
            let ready: Vec<_> = schedule.ready().collect();
            if ready.is_empty() {
                break;
            }
            let step = ready[choose(ready.len())];
            schedule.start(step);
            self.apply(&steps[step].op, stage);
            schedule.finish(step);
        }
        assert!(schedule.states().iter().all(|state| *state == StepState::Done), "steps that never become ready");
    }
}

fn active_route(destination: &str, subnet: &str, added: bool) -> Route {
    let (destination, subnet) = (destination.to_owned(), subnet.to_owned());
    Route { destination, subnet, added, state: ClientVpnRouteStatusCode::Active, message: None }
}

fn titles(steps: &[Step<Op>]) -> Vec<String> {
    steps.iter().map(Step::title).collect()
}

/// What `lab` changes of a VPN that `of` has built.
fn changes(of: &Lab, to: &Lab) -> Vec<Step<Op>> {
    let model = Model::built(of);
    plan(Stage::of(to).scene(&model.live)).unwrap().steps
}

fn refusal(live: &Live, lab: &Lab) -> Problem {
    let problems = plan(Stage::of(lab).scene(live)).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].remedy().is_some());
    problems[0].clone()
}

#[test]
fn neither_the_association_nor_the_file_waits_for_more_than_it_needs() {
    let (stage, live) = (Stage::of(&lab("")), bare());
    let plan = plan(stage.scene(&live)).unwrap();
    assert_eq!(
        titles(&plan.steps),
        [
            "create certificate-authority ours",
            "create certificate lab-ada.internal",
            "create client-vpn-endpoint lab-client-vpn-endpoint",
            "create client-vpn-target-network lab-public-subnet",
            "create client-certificate laptop",
            "create client-vpn-authorization-rule 10.0.0.0/16",
            "create client-configuration laptop.ovpn",
        ]
    );
    let find = |role: &str| plan.steps.iter().find(|step| step.role == role).unwrap();
    let mut chain = vec!["client-vpn-target-network public"];
    while let Some(next) =
        find(chain.last().unwrap()).needs.iter().find(|need| plan.steps.iter().any(|s| s.role == **need))
    {
        chain.push(next);
    }
    assert_eq!(
        chain,
        ["client-vpn-target-network public", "client-vpn-endpoint", "certificate vpn", "certificate-authority"]
    );
    let file = find("client-configuration laptop");
    assert!(file.needs.iter().all(|need| !need.starts_with("client-vpn-target-network")), "{file:?}");
    assert!((plan.usd_per_hour - 0.10).abs() < 1e-9 && (plan.added_usd_per_hour() - 0.10).abs() < 1e-9);
}

#[test]
fn what_has_been_built_needs_no_change() {
    for lab in [lab(""), wide_lab(), lab("routes = [\"192.168.7.0/24\"]\nlog_days = 7")] {
        let model = Model::built(&lab);
        let again = plan(Stage::of(&lab).scene(&model.live)).unwrap();
        assert_eq!(titles(&again.steps), [] as [String; 0]);
        assert!(again.unchanged >= 7, "{}", again.unchanged);
    }
}

#[test]
fn what_can_be_changed_is_changed_in_one_call() {
    let new = lab("split_tunnel = false\nport = 1194\nsession_hours = 8");
    let steps = changes(&lab(""), &new);
    assert_eq!(
        titles(&steps),
        ["update client-vpn-endpoint lab-client-vpn-endpoint", "update client-configuration laptop.ovpn"]
    );
    assert_eq!(steps[0].detail, "split tunnel off, port 443 → 1194, sessions of 8 hours");
    assert!(steps[1].needs.contains(&steps[0].role), "the file has the new port");
}

#[test]
fn a_connection_log_is_made_before_it_is_used_and_removed_after() {
    let (without, with) = (lab(""), lab("log_days = 14"));
    let on = changes(&without, &with);
    assert_eq!(
        titles(&on),
        ["create log-group lab-client-vpn-log-ada", "update client-vpn-endpoint lab-client-vpn-endpoint"]
    );
    assert!(on[1].needs.contains(&on[0].role));
    let off = changes(&with, &without);
    assert_eq!(
        titles(&off),
        ["update client-vpn-endpoint lab-client-vpn-endpoint", "delete log-group lab-client-vpn-log-ada"]
    );
    assert!(off[1].needs.contains(&off[0].role));
}

#[test]
fn rules_routes_and_subnets_that_lab_toml_has_no_more_go_and_the_local_route_stays() {
    let more = lab("routes = [\"192.168.7.0/24\"]\nallow_networks = [\"10.0.0.0/16\", \"192.168.7.0/24\"]");
    let steps = changes(&more, &lab(""));
    assert_eq!(
        titles(&steps),
        [
            "delete client-vpn-authorization-rule 192.168.7.0/24",
            "delete client-vpn-route 192.168.7.0/24 via subnet-public"
        ]
    );
    let steps = changes(&wide_lab(), &lab(""));
    assert_eq!(titles(&steps), ["delete client-vpn-target-network lab-private-subnet"]);
    assert!((steps[0].usd_per_hour + 0.10).abs() < 1e-9);
}

#[test]
fn a_subnet_in_the_zone_of_another_waits_until_that_one_is_gone() {
    let mut model = Model::built(&lab(""));
    model.live.subnets[1].zone = model.live.subnets[0].zone.clone();
    let moved = HOL02_MOVED.get_or_init(move_to_private);
    let stage = Stage::of(moved);
    let steps = plan(stage.scene(&model.live)).unwrap().steps;
    model.run(&steps, &stage, |_| 0);
    assert_eq!(model.live.endpoints[0].associations[0].subnet, "subnet-private");
}

static HOL02_MOVED: std::sync::OnceLock<Lab> = std::sync::OnceLock::new();

fn move_to_private() -> Lab {
    let mut lab = lab("");
    lab.vpn.as_mut().unwrap().subnets = vec!["private".into()];
    lab
}

#[test]
fn an_association_under_way_is_waited_for_and_a_failed_one_made_again() {
    let mut model = Model::built(&lab("routes = [\"192.168.7.0/24\"]"));
    let stage = Stage::of(&lab("routes = [\"192.168.7.0/24\"]"));
    let association = &mut model.live.endpoints[0].associations[0];
    let id = association.id.clone();
    association.state = Associating::Associating;
    let steps = plan(stage.scene(&model.live)).unwrap().steps;
    assert_eq!(
        steps.iter().map(|step| &step.op).collect::<Vec<_>>(),
        [&Op::AwaitAssociation { association: id.clone() }]
    );

    model.live.endpoints[0].associations[0].state = Associating::Disassociating;
    let steps = plan(stage.scene(&model.live)).unwrap().steps;
    let Op::Associate { leaving, known, .. } = &steps[0].op else { panic!("{steps:?}") };
    assert_eq!((leaving, known), (&vec![id.clone()], &vec![id.clone()]));

    model.live.endpoints[0].associations[0].state = Associating::AssociationFailed;
    model.live.endpoints[0].routes.clear();
    let steps = plan(stage.scene(&model.live)).unwrap().steps;
    model.run(&steps, &stage, |_| 0);
    assert_eq!(titles(&plan(stage.scene(&model.live)).unwrap().steps), [] as [String; 0]);
}

#[test]
fn pause_ends_what_costs_and_resume_brings_it_back() {
    let lab = lab("routes = [\"192.168.7.0/24\"]");
    let (mut model, stage) = (Model::built(&lab), Stage::of(&lab));
    let before = model.live.clone();
    let paused = pause(&model.live);
    assert_eq!(
        titles(&paused.steps),
        [
            "delete client-vpn-route 192.168.7.0/24 via subnet-public",
            "delete client-vpn-target-network lab-public-subnet"
        ]
    );
    assert!(paused.usd_per_hour.abs() < 1e-9);
    model.run(&paused.steps, &stage, |_| 0);
    assert!(pause(&model.live).is_empty(), "pausing twice does nothing");
    assert_eq!(model.live.endpoints[0].rules, before.endpoints[0].rules);
    let resumed = resume(stage.scene(&model.live)).unwrap();
    assert_eq!(
        titles(&resumed.steps),
        [
            "create client-vpn-target-network lab-public-subnet",
            "create client-vpn-route 192.168.7.0/24 via lab-public-subnet"
        ]
    );
    model.run(&resumed.steps, &stage, |_| 0);
    assert!(resume(stage.scene(&model.live)).unwrap().is_empty(), "resuming twice does nothing");
    assert!(plan(stage.scene(&model.live)).unwrap().is_empty());
    assert!(resume(stage.scene(&bare())).unwrap_err()[0].what().contains("no lab-client-vpn-endpoint to resume"));
}

#[test]
fn without_the_network_nothing_is_begun() {
    let mut live = bare();
    live.subnets.clear();
    let problem = refusal(&live, &lab(""));
    assert!(problem.what().contains("there is no subnet lab-public-subnet yet"), "{problem}");
    assert!(problem.remedy().unwrap().contains("net-up"));
    let mut live = bare();
    live.groups.clear();
    assert!(refusal(&live, &lab("")).what().contains("no security group lab-client-vpn yet"));
}

#[test]
fn client_vpn_s_rules_for_subnets_are_checked_before_any_write() {
    let mut live = bare();
    live.subnets[0].free = Some(19);
    assert!(refusal(&live, &lab("")).what().contains("lab-public-subnet (subnet-public) has 19 free addresses"));
    live.subnets[0].free = Some(20);
    assert_eq!(find_refusals(Stage::of(&lab("")).scene(&live)), []);
    live.subnets[1].zone = live.subnets[0].zone.clone();
    assert!(refusal(&live, &wide_lab()).what().contains("are both in us-east-1a"));
    let mut live = bare();
    live.subnets[1].vpc = "vpc-2".into();
    assert!(refusal(&live, &wide_lab()).what().contains("lab-private-subnet is in vpc-2"));
    let mut live = bare();
    live.vpc_blocks.push("10.83.4.0/24".parse().unwrap());
    assert!(refusal(&live, &lab("")).what().contains("overlaps the VPC's 10.83.4.0/24"));
    let mut model = Model::built(&lab(""));
    model.live.subnets[0].free = Some(3);
    assert_eq!(find_refusals(Stage::of(&lab("")).scene(&model.live)), [], "what is associated has its addresses");
}

#[test]
fn what_aws_cannot_change_is_refused_with_the_way_out() {
    let model = Model::built(&lab(""));
    let mut moved = lab("");
    moved.vpn.as_mut().unwrap().client_cidr = "10.84.0.0/16".parse().unwrap();
    let problem = refusal(&model.live, &moved);
    assert!(problem.what().contains("addresses of 10.83.0.0/16, lab.toml wants 10.84.0.0/16"), "{problem}");
    assert!(problem.remedy().unwrap().contains("vpn-setup down"));
    assert!(refusal(&model.live, &lab("transport = \"tcp\"")).what().contains("uses udp, lab.toml wants tcp"));
}

fn offer(papers: &Papers) -> Offer {
    Offer { authority: papers.authority.clone(), clients: Vec::new(), revoked: BTreeSet::new() }
}

#[test]
fn a_second_machine_changes_nothing_and_says_how_to_go_on() {
    let lab = lab("");
    let mut model = Model::built(&lab);
    let local = model.live.local.replace(Local::default()).unwrap();
    let problem = refusal(&model.live, &lab);
    assert!(problem.what().contains("is not on this machine"), "{problem}");
    for way in ["--ca-dir DIR", "vpn-setup down"] {
        assert!(problem.remedy().unwrap().contains(way), "{problem}");
    }
    // With certificates and files, but without the authority's key, all is as wanted.
    model.live.local = Some(Local { can_sign: false, ..local.clone() });
    assert!(plan(Stage::of(&lab).scene(&model.live)).unwrap().is_empty());
    // With the right authority offered, it is taken over.
    model.live.local = Some(Local { offered: Some(offer(papers())), ..Local::default() });
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    assert_eq!(
        titles(&steps),
        [
            "create certificate-authority ours",
            "create client-certificate laptop",
            "create client-configuration laptop.ovpn"
        ]
    );
    // Another authority is not.
    model.live.local = Some(Local { offered: Some(offer(strange_papers())), ..Local::default() });
    assert!(refusal(&model.live, &lab).what().contains("another authority than \"another's\" here"));
}

#[test]
fn a_certificate_of_an_authority_that_is_elsewhere_gets_no_endpoint_that_costs() {
    let lab = lab("");
    let mut model = Model::built(&lab);
    model.live.endpoints.clear();
    let local = model.live.local.replace(Local::default()).unwrap();
    let problem = refusal(&model.live, &lab);
    assert!(problem.what().contains(&model.live.certificates[0].arn), "{problem}");
    for way in ["--ca-dir DIR", "vpn-setup down"] {
        assert!(problem.remedy().unwrap().contains(way), "{problem}");
    }
    model.live.local = Some(Local { offered: Some(offer(papers())), ..Local::default() });
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    assert!(steps.iter().all(|step| !matches!(step.op, Op::ImportCertificate { .. })), "it serves as it is");
    // Another authority's certificate takes its place.
    model.live.local = Some(Local { offered: Some(offer(strange_papers())), ..Local::default() });
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    assert!(steps.iter().any(|step| matches!(step.op, Op::ImportCertificate { arn: Some(_) })), "{steps:?}");
    // Who has the authority's certificate without its key cannot make what is missing.
    model.live.local = Some(Local { can_sign: false, clients: Vec::new(), ..local });
    assert!(refusal(&model.live, &lab).what().contains("private key of"), "before anything costs");
}

#[test]
fn clients_that_come_along_with_the_authority_are_not_made_again() {
    let lab = lab("");
    let mut model = Model::built(&lab);
    let offered = Offer { clients: vec!["laptop".into()], ..offer(papers()) };
    model.live.local = Some(Local { offered: Some(offered), ..Local::default() });
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    assert_eq!(titles(&steps), ["create certificate-authority ours", "create client-configuration laptop.ovpn"]);
    assert!(steps[0].detail.contains("laptop") && steps[1].needs.contains(&steps[0].role), "{steps:?}");
}

#[test]
fn whom_an_authority_has_revoked_before_it_is_taken_over_is_refused_by_the_first_up() {
    let lab = lab("");
    let mut model = Model::of(bare());
    let revoked = BTreeSet::from([papers().server.serial.clone()]);
    model.live.local = Some(Local { offered: Some(Offer { revoked, ..offer(papers()) }), ..Local::default() });
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    let import = steps.iter().find(|step| step.op == Op::ImportRevocationList).expect("the list is imported");
    assert!(import.needs.contains(&roles::AUTHORITY.to_owned()), "with what comes along: {import:?}");
}

#[test]
fn a_certificate_that_ends_with_its_authority_is_not_renewed_in_vain() {
    let lab = lab("");
    let mut model = Model::built(&lab);
    let end = papers().server.not_after;
    let mut authority = papers().authority.clone();
    authority.not_after = end;
    model.local().authority = Some(authority.clone());
    model.live.now = end - SignedDuration::from_hours(24 * 29);
    assert!(plan(Stage::of(&lab).scene(&model.live)).unwrap().is_empty(), "a new one would end on the same day");
    assert!(judge::is_fresh_server(&papers().server, &authority, "lab-ada.internal", model.live.now));
    assert!(!judge::is_fresh_server(&papers().server, &papers().authority, "lab-ada.internal", model.live.now));
    // On a machine without the authority, ACM has it.
    model.local().authority = None;
    model.local().can_sign = false;
    model.live.certificates[0].authority = Some(authority);
    assert!(plan(Stage::of(&lab).scene(&model.live)).unwrap().is_empty());
}

#[test]
fn a_certificate_that_ends_soon_is_imported_again_into_the_same_arn() {
    let lab = lab("");
    let mut model = Model::built(&lab);
    let arn = model.live.certificates[0].arn.clone();
    model.live.now = papers().server.not_after - SignedDuration::from_hours(24 * 31);
    assert!(plan(Stage::of(&lab).scene(&model.live)).unwrap().is_empty());
    model.live.now = papers().server.not_after - SignedDuration::from_hours(24 * 29);
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    assert_eq!(steps.iter().map(|step| &step.op).collect::<Vec<_>>(), [&Op::ImportCertificate { arn: Some(arn) }]);
}

#[test]
fn an_added_route_comes_back_with_its_association() {
    let lab = lab("routes = [\"192.168.7.0/24\"]");
    let mut model = Model::built(&lab);
    model.live.endpoints[0].associations[0].state = Associating::Disassociating;
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    assert_eq!(
        titles(&steps),
        [
            "create client-vpn-target-network lab-public-subnet",
            "create client-vpn-route 192.168.7.0/24 via lab-public-subnet"
        ]
    );
}

#[test]
fn a_revocation_list_that_ends_soon_is_renewed_where_the_authority_is() {
    let lab = lab("");
    let (stage, mut model) = (Stage::of(&lab), Model::built(&lab));
    let list = revoked_list().clone();
    let end = list.next_update;
    model.live.endpoints[0].revocation_list = Some(list);
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    model.live.now = end - days(31);
    assert!(plan(stage.scene(&model.live)).unwrap().is_empty());
    model.live.now = end - days(29);
    let steps = plan(stage.scene(&model.live)).unwrap().steps;
    assert_eq!(titles(&steps), ["update certificate-revocation-list lab-client-vpn-endpoint"]);
    model.local().can_sign = false;
    assert!(refusal(&model.live, &lab).what().contains("is not on this machine"));
}

#[test]
fn a_revoked_client_is_not_made_again() {
    let lab = lab("");
    let mut model = Model::built(&lab);
    model.local().clients[0].revoked = true;
    let steps = plan(Stage::of(&lab).scene(&model.live)).unwrap().steps;
    assert_eq!(
        titles(&steps),
        ["create certificate-revocation-list lab-client-vpn-endpoint"],
        "the endpoint gets the list that it lacks"
    );
}

#[test]
fn duplicates_that_hold_nothing_go_and_others_are_a_conflict() {
    let lab = lab("");
    let mut model = Model::built(&lab);
    let stage = Stage::of(&lab);
    let mut spare = model.live.endpoints[0].clone();
    (spare.id, spare.server) = ("cvpn-endpoint-0000".into(), Some("arn-9999".into()));
    (spare.associations, spare.routes) = (Vec::new(), Vec::new());
    spare.state = State::PendingAssociate;
    model.live.endpoints.insert(0, spare);
    let certificate = ServerCertificate { arn: "arn-9999".into(), ..model.live.certificates[0].clone() };
    model.live.certificates.push(certificate);
    let steps = plan(stage.scene(&model.live)).unwrap().steps;
    model.run(&steps, &stage, |_| 0);
    assert_eq!((model.live.endpoints.len(), model.live.certificates.len()), (1, 1));
    assert!(model.live.endpoints[0].is_associated());

    let twin = Endpoint { id: "cvpn-endpoint-twin".into(), ..model.live.endpoints[0].clone() };
    model.live.endpoints.push(twin);
    assert!(refusal(&model.live, &lab).what().contains("2 endpoints of this lab"));
    let steps = teardown(stage.scene(&model.live).names, "s", &model.live).steps;
    model.run(&steps, &stage, |_| 0);
    assert!(model.live.endpoints.is_empty(), "down takes both");
}

#[test]
fn down_needs_neither_network_nor_keys() {
    let lab = lab("routes = [\"192.168.7.0/24\"]\nlog_days = 7");
    let (mut model, stage) = (Model::built(&lab), Stage::of(&lab));
    model.live.local = None;
    model.live.subnets.clear();
    model.live.groups.clear();
    model.live.endpoints[0].associations[0].state = Associating::Associating;
    let steps = teardown(stage.scene(&model.live).names, "s", &model.live).steps;
    model.run(&steps, &stage, |_| 0);
    assert!(model.live.endpoints.is_empty() && model.live.certificates.is_empty() && model.live.log_group.is_none());
    assert!(teardown(stage.scene(&model.live).names, "s", &model.live).is_empty());
}

/// Part of what was built: what is left when anything may have been lost or changed behind our back.
fn damage(mut live: Live, keep: &[bool]) -> Live {
    let mut keep = keep.iter().copied().cycle();
    let mut chance = move || keep.next().unwrap_or(true);
    if chance() {
        live.endpoints.clear();
    }
    for endpoint in &mut live.endpoints {
        endpoint.rules.retain(|_| chance());
        endpoint.associations.retain(|_| chance());
        let subnets: Vec<_> = endpoint.associations.iter().map(|association| association.subnet.clone()).collect();
        endpoint.routes.retain(|route| subnets.contains(&route.subnet) && (!route.added || chance()));
        if chance() {
            endpoint.split_tunnel = Some(false);
        }
        if let Some(association) = endpoint.associations.first_mut() {
            association.state = if chance() { Associating::Associating } else { Associating::Associated };
        }
    }
    if live.endpoints.is_empty() && chance() {
        live.certificates.clear();
    }
    if let Some(local) = &mut live.local {
        local.configurations.retain(|_, _| chance());
        local.clients.retain(|_| chance());
    }
    live
}

proptest! {
    #[test]
    fn whatever_is_left_up_mends_it_and_down_removes_it(
        keep in prop::collection::vec(any::<bool>(), 1..40), picks in prop::collection::vec(0usize..100, 1..40)
    ) {
        let mut lab = wide_lab();
        lab.vpn.as_mut().unwrap().routes = vec!["192.168.7.0/24".parse().unwrap()];
        let stage = Stage::of(&lab);
        let mut model = Model::of(damage(Model::built(&lab).live, &keep));
        model.made = 500;
        let mut picks = picks.into_iter().cycle();
        let steps = plan(stage.scene(&model.live)).unwrap().steps;
        prop_assert_eq!(plan(stage.scene(&model.live)).unwrap().steps, steps.clone(), "planning twice says the same");
        model.run(&steps, &stage, |ready| picks.next().unwrap_or(0) % ready);
        prop_assert_eq!(titles(&plan(stage.scene(&model.live)).unwrap().steps), Vec::<String>::new());
        let steps = teardown(stage.scene(&model.live).names, "s", &model.live).steps;
        model.run(&steps, &stage, |ready| picks.next().unwrap_or(0) % ready);
        prop_assert!(model.live.endpoints.is_empty() && model.live.certificates.is_empty());
        prop_assert!(teardown(stage.scene(&model.live).names, "s", &model.live).is_empty());
    }
}
