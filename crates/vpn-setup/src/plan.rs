//! Want and live → the steps between them. Pure.

use aws_sdk_ec2::types::{AssociationStatusCode, ClientVpnAuthorizationRuleStatusCode, ClientVpnRouteStatusCode};
use ipnet::Ipv4Net;
use lab_common::prices::{VPN_ASSOCIATION, VPN_CONNECTION};
use lab_plan::{Action, Plan, Problem, Step, Usual};

use crate::change::{Change, find_change};
use crate::endpoint::{Association, Endpoint, Route, Rule};
use crate::judge::{self, ListVerdict, ServerVerdict};
use crate::live::{Live, LogGroup};
use crate::refuse::{find_network_refusals, find_refusals};
use crate::roles;
use crate::scene::Scene;
use crate::teardown::{
    delete_route, disassociate, name_delete_route, remove_certificate, remove_endpoint, remove_log_group, revoke_rule,
};
use crate::want::SubnetWant;

/// AWS gives no figure. 10 minutes were too few for two at a time (terraform-provider-aws, issue 15680).
const ASSOCIATES: Usual = Usual::minutes(5, 10, "what users of Terraform report of an association");

/// What one step does. What exists is named by id, what may not exist yet by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Makes the authority, or takes over the one that `--ca-dir` names; and the server's certificate, both on this
    /// machine.
    MakeAuthority,
    /// Imports the server's certificate into ACM, into this ARN where there is one.
    ImportCertificate { arn: Option<String> },
    /// Makes the certificates of these clients. Each of their steps names all of them: whichever comes first makes
    /// all, on all cores.
    MakeClients { clients: Vec<String> },
    /// Writes a client's `.ovpn` file. Whether no subnet is associated yet.
    WriteConfiguration { client: String, associating: bool },
    /// Makes the log group.
    CreateLogGroup { days: i32 },
    /// Sets how long the log group keeps what it holds.
    SetRetention { days: i32 },
    /// Makes the endpoint.
    CreateEndpoint { vpc: String, group: String, known: Vec<String> },
    /// Changes what an endpoint lets be changed.
    ModifyEndpoint { id: String, change: Change },
    /// Gives the endpoint the list of revoked clients.
    ImportRevocationList,
    /// Associates the endpoint with a subnet, and waits until it is.
    Associate { subnet: String, known: Vec<String>, leaving: Vec<String> },
    /// Waits for an association that is under way.
    AwaitAssociation { association: String },
    /// Lets all clients reach a network.
    Authorize { network: Ipv4Net, leaving: bool },
    /// Adds a route, and waits until it counts.
    CreateRoute { destination: Ipv4Net, subnet: String, leaving: bool },
    /// Ends an association, and waits until it is gone.
    Disassociate { endpoint: String, association: String, under_way: bool },
    /// Takes a rule back.
    Revoke { endpoint: String, network: String, group: Option<String> },
    /// Deletes a route that was added.
    DeleteRoute { endpoint: String, destination: String, subnet: String },
    /// Deletes an endpoint, and waits until it is gone.
    DeleteEndpoint { id: String, under_way: bool },
    /// Deletes a certificate in ACM.
    DeleteCertificate { arn: String },
    /// Deletes the log group with what it holds.
    DeleteLogGroup,
}

/// The steps that make everything as lab.toml wants it.
pub(crate) fn plan(scene: Scene<'_>) -> Result<Plan<Op>, Vec<Problem>> {
    let refusals = find_refusals(scene);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut draft = Draft::new(scene);
    draft.authority();
    draft.certificate();
    draft.log_group();
    draft.endpoint();
    draft.associations();
    draft.clients();
    draft.rules();
    draft.routes();
    draft.revocation_list();
    draft.configurations();
    draft.unwanted();
    Ok(draft.finish())
}

/// In what the endpoint differs from what lab.toml wants, whatever forbids a plan.
pub(crate) fn compare(scene: Scene<'_>) -> Plan<Op> {
    let mut draft = Draft::new(scene);
    draft.endpoint();
    draft.associations();
    draft.rules();
    draft.routes();
    draft.finish()
}

/// The steps that associate the wanted subnets again, and nothing else.
pub(crate) fn resume(scene: Scene<'_>) -> Result<Plan<Op>, Vec<Problem>> {
    if scene.live.endpoint().is_none() {
        let problem = Problem::failed(format!("there is no {} to resume", scene.names.vpn_endpoint()));
        return Err(vec![problem.fix("make it: vpn-setup up")]);
    }
    let refusals = find_network_refusals(scene);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut draft = Draft::new(scene);
    draft.associations();
    draft.routes();
    Ok(draft.finish())
}

/// The steps that end every association, and with it what costs by the hour. What has been paused stays.
pub(crate) fn pause(live: &Live) -> Plan<Op> {
    let mut steps = Vec::new();
    let mut unchanged = 0;
    for endpoint in live.endpoints.iter().filter(|endpoint| endpoint.is_alive()) {
        unchanged += 1 + endpoint.rules.len();
        let routes = endpoint.routes.iter().filter(|route| route.added);
        let routes: Vec<_> = routes.map(|route| delete_route(endpoint, route)).collect();
        let needs: Vec<_> = routes.iter().map(|step| step.role.clone()).collect();
        steps.extend(routes);
        let associations = endpoint.associations.iter().filter(|association| !association.is_gone());
        steps.extend(associations.map(|association| disassociate(live, endpoint, association).needs(needs.clone())));
    }
    Plan { steps, unchanged, usd_per_hour: 0.0 }
}

struct Draft<'a> {
    scene: Scene<'a>,
    live: &'a Live,
    endpoint: Option<&'a Endpoint>,
    steps: Vec<Step<Op>>,
    unchanged: usize,
}

impl<'a> Draft<'a> {
    fn new(scene: Scene<'a>) -> Self {
        let live = scene.live;
        Self { scene, live, endpoint: live.endpoint(), steps: Vec::new(), unchanged: 0 }
    }

    /// Every wanted association costs, whether it is there already or not.
    fn finish(self) -> Plan<Op> {
        let associations = u32::try_from(self.scene.want.subnets.len()).unwrap_or(u32::MAX);
        let usd_per_hour = f64::from(associations) * VPN_ASSOCIATION;
        Plan { steps: self.steps, unchanged: self.unchanged, usd_per_hour }
    }

    fn add(&mut self, step: Step<Op>) {
        self.steps.push(step);
    }

    /// Adds the step, or counts what needs none.
    fn add_if(&mut self, wanted: bool, step: impl FnOnce() -> Step<Op>) {
        if wanted { self.steps.push(step()) } else { self.unchanged += 1 }
    }

    fn authority(&mut self) {
        let local = self.scene.local();
        let offered = local.offered.as_ref();
        let name = offered.map_or(self.scene.authority, |offered| offered.authority.common_name.as_str());
        let detail = match offered.map(|offered| offered.clients.join(", ")) {
            None => "a new key, on this machine only".to_owned(),
            Some(clients) if clients.is_empty() => "taken over".to_owned(),
            Some(clients) => format!("taken over, with the certificates of {clients}"),
        };
        // A machine without an authority needs none as long as nothing is to be signed.
        let absent = local.authority.is_none() && judge::needs_authority(self.scene);
        let action = if local.authority.is_some() { Action::Update } else { Action::Create };
        self.add_if(absent || offered.is_some(), || {
            Step::new(action, "certificate-authority", roles::AUTHORITY, name, Op::MakeAuthority).detail(detail)
        });
    }

    fn certificate(&mut self) {
        let name = self.scene.server;
        let (action, arn, detail) = match judge::judge_server(self.scene) {
            ServerVerdict::AsWanted => {
                self.unchanged += 1;
                return;
            }
            ServerVerdict::Absent => (Action::Create, None, "import into ACM".to_owned()),
            ServerVerdict::Renew { arn, why } => (Action::Update, Some(arn), format!("{why}: import again")),
        };
        let step = Step::new(action, "certificate", roles::CERTIFICATE, name, Op::ImportCertificate { arn });
        self.add(step.needs([roles::AUTHORITY]).detail(detail));
    }

    fn clients(&mut self) {
        let local = self.scene.local();
        let missing = judge::find_missing_clients(self.scene);
        self.unchanged += self.scene.want.clients.iter().filter(|name| local.client(name).is_some()).count();
        for name in &missing {
            let op = Op::MakeClients { clients: missing.clone() };
            let step = Step::new(Action::Create, "client-certificate", roles::client(name), name, op);
            self.add(step.needs([roles::AUTHORITY]));
        }
    }

    fn log_group(&mut self) {
        let Some(days) = self.scene.want.endpoint.log_days else { return };
        let name = self.scene.names.vpn_log_group();
        match &self.live.log_group {
            None => {
                let op = Op::CreateLogGroup { days };
                let step = Step::new(Action::Create, "log-group", roles::LOG_GROUP, name, op);
                self.add(step.detail(format!("{days} days")));
            }
            Some(LogGroup { retention, .. }) if *retention != Some(days) => {
                let op = Op::SetRetention { days };
                let step = Step::new(Action::Update, "log-group", roles::LOG_GROUP, name, op);
                self.add(step.detail(format!("keep {days} days")));
            }
            Some(_) => self.unchanged += 1,
        }
    }

    fn endpoint(&mut self) {
        let name = self.scene.names.vpn_endpoint();
        let Some((vpc, group)) = self.scene.place() else { return };
        let Some(endpoint) = self.endpoint else {
            let known = self.live.endpoints.iter().map(|endpoint| endpoint.id.clone()).collect();
            let op = Op::CreateEndpoint { vpc: vpc.into(), group: group.into(), known };
            let step = Step::new(Action::Create, "client-vpn-endpoint", roles::ENDPOINT, name, op);
            let detail = self.scene.want.endpoint.describe();
            let detail = format!("{detail}; a connected client adds {VPN_CONNECTION:.2} $/h");
            self.add(step.needs([roles::CERTIFICATE, roles::LOG_GROUP]).detail(detail));
            return;
        };
        self.unchanged += 1;
        let (change, words) = find_change(self.scene, endpoint, vpc, group);
        if change != Change::default() {
            let op = Op::ModifyEndpoint { id: endpoint.id.clone(), change };
            let step = Step::new(Action::Update, "client-vpn-endpoint", roles::SETTINGS, name, op);
            self.add(step.needs([roles::CERTIFICATE, roles::LOG_GROUP]).detail(words.join(", ")));
        }
    }

    fn associations(&mut self) {
        let going = self.unwanted_associations();
        let mut gone_first = Vec::new();
        if let Some(endpoint) = self.endpoint {
            for association in going {
                let step = disassociate(self.live, endpoint, association);
                gone_first.push(step.role.clone());
                let routes = endpoint.routes.iter().filter(|route| route.subnet == association.subnet);
                self.steps.push(step.needs(routes.map(|route| name_delete_route(endpoint, route))));
            }
        }
        for subnet in &self.scene.want.subnets {
            self.association(subnet, &gone_first);
        }
    }

    /// Associations of subnets that lab.toml has no more, and those that failed.
    fn unwanted_associations(&self) -> Vec<&'a Association> {
        let Some(endpoint) = self.endpoint else { return Vec::new() };
        let wanted: Vec<_> = self.scene.want.subnets.iter().filter_map(|want| self.scene.subnet(want)).collect();
        let unwanted = |association: &&Association| {
            let wanted = wanted.iter().any(|subnet| subnet.id == association.subnet);
            let leaving = association.state == AssociationStatusCode::Disassociating;
            !association.is_gone() && !(wanted && (association.is_alive() || leaving))
        };
        endpoint.associations.iter().filter(unwanted).collect()
    }

    /// A subnet in the zone of one that is on its way out cannot be associated yet, so each waits for all of those.
    fn association(&mut self, want: &SubnetWant, gone_first: &[String]) {
        let Some(subnet) = self.scene.subnet(want) else { return };
        let role = roles::association(&want.key);
        let known: Vec<_> = self.endpoint.into_iter().flat_map(|endpoint| &endpoint.associations).collect();
        let of_subnet = || known.iter().filter(|association| association.subnet == subnet.id);
        let step = |op| {
            let step = Step::new(Action::Create, "client-vpn-target-network", &role, &want.name, op);
            step.needs([roles::ENDPOINT]).costs(VPN_ASSOCIATION).usually(ASSOCIATES)
        };
        match of_subnet().find(|association| association.is_alive()) {
            Some(association) if association.state == AssociationStatusCode::Associated => self.unchanged += 1,
            Some(association) => {
                let op = Op::AwaitAssociation { association: association.id.clone() };
                self.add(step(op).detail("is associating"));
            }
            None => {
                let leaving = of_subnet().filter(|one| one.state == AssociationStatusCode::Disassociating);
                let op = Op::Associate {
                    subnet: subnet.id.clone(),
                    known: known.iter().map(|association| association.id.clone()).collect(),
                    leaving: leaving.map(|association| association.id.clone()).collect(),
                };
                self.add(step(op).needs(gone_first.to_vec()));
            }
        }
    }

    fn rules(&mut self) {
        use ClientVpnAuthorizationRuleStatusCode::{Active, Authorizing, Failed, Revoking};
        let there: &[Rule] = self.endpoint.map_or(&[], |endpoint| &endpoint.rules);
        for network in &self.scene.want.rules {
            let text = network.to_string();
            let found = there.iter().find(|rule| rule.network == text && rule.group.is_none());
            let state = found.map(|rule| &rule.state);
            if matches!(state, Some(Active | Authorizing)) {
                self.unchanged += 1;
                continue;
            }
            let op = Op::Authorize { network: *network, leaving: found.is_some() };
            let role = roles::rule(*network);
            let step = Step::new(Action::Create, "client-vpn-authorization-rule", role, text, op);
            let failed = found.filter(|rule| rule.state == Failed).zip(self.endpoint);
            let failed = failed.map(|(rule, endpoint)| revoke_rule(endpoint, rule));
            self.add(step.needs([roles::ENDPOINT]).needs(failed.as_ref().map(|step| step.role.clone())));
            self.steps.extend(failed);
        }
        let Some(endpoint) = self.endpoint else { return };
        let wanted = |rule: &Rule| {
            rule.group.is_none() && self.scene.want.rules.iter().any(|network| network.to_string() == rule.network)
        };
        let extra = there.iter().filter(|rule| !wanted(rule));
        let extra = extra.filter(|rule| rule.state != Revoking);
        self.steps.extend(extra.map(|rule| revoke_rule(endpoint, rule)));
    }

    fn routes(&mut self) {
        let there: &[Route] = self.endpoint.map_or(&[], |endpoint| &endpoint.routes);
        for want in &self.scene.want.subnets {
            for destination in &self.scene.want.routes {
                self.route(*destination, want, there);
            }
        }
        let Some(endpoint) = self.endpoint else { return };
        let extra = there.iter().filter(|route| route.added && route.state != ClientVpnRouteStatusCode::Deleting);
        let extra = extra.filter(|route| !self.wants_route(route));
        let extra: Vec<_> = extra.map(|route| delete_route(endpoint, route)).collect();
        self.steps.extend(extra);
    }

    /// A route goes with its association: one whose association is on its way out is as good as gone.
    fn route(&mut self, destination: Ipv4Net, want: &SubnetWant, there: &[Route]) {
        use ClientVpnRouteStatusCode::{Active, Creating, Failed};
        let Some(subnet) = self.scene.subnet(want) else { return };
        let text = destination.to_string();
        let found = there.iter().find(|route| route.destination == text && route.subnet == subnet.id);
        let state = found.map(|route| &route.state);
        let mut associations = self.endpoint.into_iter().flat_map(|endpoint| &endpoint.associations);
        let stays = associations.any(|association| association.subnet == subnet.id && association.is_alive());
        if stays && matches!(state, Some(Active | Creating)) {
            self.unchanged += 1;
            return;
        }
        let op = Op::CreateRoute { destination, subnet: subnet.id.clone(), leaving: found.is_some() };
        let name = format!("{destination} via {}", want.name);
        let step = Step::new(Action::Create, "client-vpn-route", roles::route(destination, &want.key), name, op);
        let failed = found.filter(|route| route.state == Failed).zip(self.endpoint);
        let failed = failed.map(|(route, endpoint)| delete_route(endpoint, route));
        let needs = [roles::ENDPOINT.to_owned(), roles::association(&want.key)];
        self.add(step.needs(needs).needs(failed.as_ref().map(|step| step.role.clone())));
        self.steps.extend(failed);
    }

    /// Whether lab.toml has the route. One that failed is deleted where it is made again.
    fn wants_route(&self, route: &Route) -> bool {
        let subnets = self.scene.want.subnets.iter().filter_map(|want| self.scene.subnet(want));
        let through_wanted = subnets.map(|subnet| &subnet.id).any(|id| *id == route.subnet);
        through_wanted && self.scene.want.routes.iter().any(|wanted| wanted.to_string() == route.destination)
    }

    fn revocation_list(&mut self) {
        let why = match judge::judge_list(self.scene) {
            ListVerdict::NoneNeeded => return,
            ListVerdict::AsWanted => {
                self.unchanged += 1;
                return;
            }
            ListVerdict::Import { why } => why,
        };
        let had_one = self.endpoint.is_some_and(|endpoint| endpoint.revocation_list.is_some());
        let action = if had_one { Action::Update } else { Action::Create };
        let name = self.scene.names.vpn_endpoint();
        let op = Op::ImportRevocationList;
        let step = Step::new(action, "certificate-revocation-list", roles::REVOCATION_LIST, name, op);
        self.add(step.needs([roles::ENDPOINT, roles::AUTHORITY]).detail(why));
    }

    /// The file waits for the endpoint and for no association: where AWS exports only later, the step waits itself.
    fn configurations(&mut self) {
        let mut associations = self.endpoint.into_iter().flat_map(|endpoint| &endpoint.associations);
        let associating = !associations.any(|association| association.state == AssociationStatusCode::Associated);
        for client in judge::list_configured_clients(self.scene) {
            let there = self.scene.local().configurations.get(&client);
            if there.is_some_and(|there| judge::is_current(self.scene, &client, there)) {
                self.unchanged += 1;
                continue;
            }
            let action = if there.is_some() { Action::Update } else { Action::Create };
            let op = Op::WriteConfiguration { client: client.clone(), associating };
            let name = format!("{client}.ovpn");
            let step = Step::new(action, "client-configuration", roles::configuration(&client), name, op);
            let endpoint = [roles::ENDPOINT, roles::SETTINGS].map(str::to_owned);
            // The certificate may come along with the authority.
            let needs = endpoint.into_iter().chain([roles::AUTHORITY.to_owned(), roles::client(&client)]);
            self.add(step.needs(needs));
        }
    }

    /// Duplicates that runs have left which did not see each other, and a log that lab.toml wants no more.
    fn unwanted(&mut self) {
        let counts = self.endpoint.map(|endpoint| endpoint.id.as_str());
        let mut removed = Vec::new();
        for endpoint in self.live.endpoints.iter().filter(|endpoint| endpoint.is_alive()) {
            if Some(endpoint.id.as_str()) != counts {
                let steps = remove_endpoint(self.live, endpoint);
                removed.extend(steps.iter().map(|step| step.role.clone()));
                self.steps.extend(steps);
            }
        }
        let counts = self.live.certificate().map(|certificate| certificate.arn.as_str());
        for certificate in self.live.certificates.iter().filter(|found| Some(found.arn.as_str()) != counts) {
            self.steps.push(remove_certificate(self.scene.server, certificate).needs(removed.clone()));
        }
        if let Some(group) = &self.live.log_group
            && group.ours
            && self.scene.want.endpoint.log_days.is_none()
        {
            self.steps.push(remove_log_group(self.scene.names).needs([roles::SETTINGS]));
        }
    }
}

#[cfg(test)]
mod tests;
