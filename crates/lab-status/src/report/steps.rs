//! The steps of the assignment (HOL 02) in its order, each with what proves it. Pure.

use lab_common::{Internet, Lab, Names};
use lab_plan::{Action, Resource, RunEnd, RunRecord, State};
use serde_json::Value;

use super::evidence::{Checked, Step, Task, Verdict};
use super::look::Seen;
use crate::show::Inventory;

/// What is looked at.
pub(super) struct Proof<'a> {
    pub(super) lab: &'a Lab,
    pub(super) names: &'a Names,
    pub(super) found: &'a Inventory,
    pub(super) seen: &'a Seen,
    pub(super) runs: &'a [RunRecord],
    pub(super) check: Option<&'a Checked>,
    /// Clients whose `.ovpn` file is on this machine.
    pub(super) profiles: Vec<String>,
}

/// As many objects as one call lists.
const LISTED: usize = 1000;

/// Facts of a step, and whether each is as it should be.
#[derive(Debug, Default)]
struct Facts(Vec<(Option<bool>, String)>);

impl Facts {
    /// Something that must be so.
    fn must(mut self, is_so: bool, fact: impl Into<String>) -> Self {
        self.0.push((Some(is_so), fact.into()));
        self
    }

    /// Something that must be there: what is told of it, or what is missing.
    fn must_be(self, found: Option<String>, missing: &str) -> Self {
        match found {
            Some(fact) => self.must(true, fact),
            None => self.must(false, format!("{missing} is not there")),
        }
    }

    /// Something that must be there and in one of these states: what is told of it, with its state.
    fn must_work(self, found: Option<&Resource>, fields: &[&str], states: &[&str], missing: &str) -> Self {
        let Some(found) = found else { return self.must_be(None, missing) };
        let why = text(found, "message").map(|why| format!(" ({why})")).unwrap_or_default();
        self.must(states.contains(&found.state.as_str()), format!("{}: {}{why}", tell(found, fields), found.state))
    }

    /// Something worth knowing.
    fn note(mut self, fact: impl Into<String>) -> Self {
        self.0.push((None, fact.into()));
        self
    }

    /// All of it together: passed only where something must be so, and all of that is.
    fn judge(self, text: &str) -> Step {
        let judged: Vec<bool> = self.0.iter().filter_map(|(is_so, _)| *is_so).collect();
        let verdict = match judged.as_slice() {
            [] => Verdict::Unseen,
            all if all.iter().all(|is_so| *is_so) => Verdict::Passed,
            _ => Verdict::Open,
        };
        let tell =
            |(is_so, fact): (Option<bool>, String)| if is_so == Some(false) { format!("✗ {fact}") } else { fact };
        Step { text: text.to_owned(), verdict, facts: self.0.into_iter().map(tell).collect() }
    }
}

/// Both tasks; the second one only where the lab has it.
pub(super) fn list_tasks(proof: &Proof<'_>) -> Vec<Task> {
    let mut tasks = vec![Task { title: "Task 1".to_owned(), steps: proof.first_task() }];
    if proof.lab.vpn.is_some() {
        tasks.push(Task { title: "Task 2".to_owned(), steps: proof.second_task() });
    }
    tasks
}

impl Proof<'_> {
    fn find(&self, kind: &str, name: &str) -> Option<&Resource> {
        self.found.resources.iter().find(|one| one.kind == kind && one.name == name)
    }

    fn of_kind<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b Resource> {
        self.found.resources.iter().filter(move |one| one.kind == kind)
    }

    /// The role of the first subnet of that sort.
    fn subnet(&self, internet: Internet) -> Option<&str> {
        let mut subnets = self.lab.network.subnets.iter();
        subnets.find(|subnet| subnet.internet == internet).map(|subnet| subnet.role.as_str())
    }

    /// The first host in a subnet of that sort.
    fn host(&self, internet: Internet) -> Option<&lab_common::Host> {
        let role = self.subnet(internet)?;
        self.lab.hosts.iter().find(|host| host.subnet == role)
    }

    fn instance(&self, internet: Internet) -> Option<&Resource> {
        let role = self.host(internet)?.role.as_str();
        self.of_kind("instance").find(|one| text(one, "host") == Some(role))
    }

    fn first_task(&self) -> Vec<Step> {
        let public = Internet::Gateway;
        let network = self.add_subnet(self.add_vpc(Facts::default()), public);
        vec![
            network.judge("Create the VPC and the public subnet."),
            self.gateway().judge("Add the Internet Gateway to the VPC."),
            self.public_routes().judge("Create a Route Table for the public subnet and associate it with the Internet Gateway."),
            self.reachable_host(public, &[22, 8888]).judge(
                "Create an EC2 instance in the public subnet; its security group allows SSH (port 22) and HTTP on port 8888.",
            ),
            self.set_up(public, "Python with boto3, Jupyter and Pillow").judge("Set up Python with the required libraries."),
            self.pipeline().judge("Create the S3 buckets and the Lambda function, with a trigger for new images."),
            self.uploaded().judge("Give the instance credentials, launch the Jupyter server, and upload an image."),
            self.processed().judge("Check that the function is triggered and the processed image is in the output bucket."),
        ]
    }

    fn second_task(&self) -> Vec<Step> {
        let private = Internet::None;
        vec![
            self.add_subnet(Facts::default(), private).judge("Create the private subnet."),
            self.reachable_host(private, &[22, 8080]).judge(
                "Create an EC2 instance in the private subnet; its security group allows SSH (port 22) and HTTP on port 8080.",
            ),
            self.had_internet().judge("Temporarily give the private instance internet access by a NAT Gateway."),
            self.certificates().judge("Generate server and client certificates and import them to AWS."),
            self.endpoint().judge("Add the Client VPN endpoint to the VPC and associate it with the public subnet."),
            self.vpn_rules().judge("Configure its Route Table and its Authorization Rules."),
            self.profile().judge("Make the .ovpn configuration, with the client's certificate and key."),
            self.client().judge("Install a VPN client and import the configuration."),
            self.connected().judge("Connect to the VPN and reach the private instance."),
            self.set_up(private, "Docker and the FileGator server").judge("Install Docker and run the FileGator server."),
            self.closed_again().judge("Remove the NAT Gateway and the private subnet's way to the internet."),
            self.only_through_vpn().judge("The FileGator server is accessible only through the VPN."),
        ]
    }

    fn add_vpc(&self, facts: Facts) -> Facts {
        let name = self.names.vpc();
        let told = self.find("vpc", &name).map(|vpc| tell(vpc, &["cidr"]));
        facts.must_be(told, &name)
    }

    fn add_subnet(&self, facts: Facts, internet: Internet) -> Facts {
        let Some(role) = self.subnet(internet) else { return facts.must(false, "lab.toml has no such subnet") };
        let name = self.names.subnet(role);
        facts.must_be(self.find("subnet", &name).map(|subnet| tell(subnet, &["cidr", "zone"])), &name)
    }

    fn gateway(&self) -> Facts {
        let name = self.names.internet_gateway();
        let gateway = self.find("internet-gateway", &name);
        let attached = gateway.is_some_and(|gateway| gateway.state == "attached");
        let facts = Facts::default().must_be(gateway.map(|gateway| tell(gateway, &[])), &name);
        if gateway.is_some() { facts.must(attached, "it is attached to the VPC") } else { facts }
    }

    fn public_routes(&self) -> Facts {
        let name = self.names.public_route_table();
        let table = self.find("route-table", &name);
        let target = table.and_then(|table| text(table, "default_route")).unwrap_or("nowhere");
        let facts = Facts::default().must_be(table.map(|table| tell(table, &[])), &name);
        if table.is_some() {
            facts.must(target.starts_with("igw-"), format!("0.0.0.0/0 goes to {target}"))
        } else {
            facts
        }
    }

    /// The host runs, and its group lets in these ports.
    fn reachable_host(&self, internet: Internet, ports: &[u16]) -> Facts {
        let Some(host) = self.host(internet) else { return Facts::default().must(false, "lab.toml has no such host") };
        let name = self.names.host(&host.role);
        let instance = self.instance(internet);
        let told = instance.map(|one| tell(one, &["size", "private_ip", "public_ip"]));
        let mut facts = Facts::default().must_be(told, &name);
        if let Some(instance) = instance {
            facts = facts.must(instance.state == "running", format!("it is {}", instance.state));
        }
        let rules = self.rules(&name);
        for port in ports {
            let wanted = format!("tcp/{port} from ");
            let found = rules.iter().find(|rule| rule.starts_with(&wanted)).cloned();
            facts = facts.must_be(
                found.map(|rule| format!("its security group allows {rule}")),
                &format!("a rule for port {port}"),
            );
        }
        facts
    }

    fn rules(&self, group: &str) -> Vec<String> {
        let rules = self.find("security-group", group).and_then(|group| group.more.get("rules")?.as_array());
        rules.into_iter().flatten().filter_map(|rule| rule.as_str().map(str::to_owned)).collect()
    }

    /// The host says on its console that its setup is done.
    fn set_up(&self, internet: Internet, what: &str) -> Facts {
        let Some(instance) = self.instance(internet) else {
            return Facts::default().must(false, "the host is not there");
        };
        let ready = instance.more.get("ready").and_then(Value::as_bool);
        let facts = Facts::default().note(format!("its user-data installs {what}"));
        match ready {
            Some(ready) => {
                let told = if ready { "says that this is done" } else { "does not say yet that this is done" };
                facts.must(ready, format!("the console of {} {told}", instance.id))
            }
            None => facts.must(false, format!("{} is {}: its console says nothing", instance.id, instance.state)),
        }
    }

    fn pipeline(&self) -> Facts {
        let Some(images) = &self.lab.images else { return Facts::default().must(false, "lab.toml has no [images]") };
        let mut facts = Facts::default();
        for bucket in [&images.input, &images.output] {
            facts = facts.must_be(self.find("bucket", bucket).map(|one| format!("bucket {}", one.name)), bucket);
        }
        // Lambda wakes a function that has slept for weeks at its next event.
        let works = ["Active", "Inactive"];
        facts = facts.must_work(self.find("function", &images.function), &[], &works, &images.function);
        let trigger = self.of_kind("bucket-notification").find(|one| one.state == "available");
        let queue = trigger.and_then(|one| text(one, "queue")).and_then(|arn| arn.rsplit(':').next());
        if queue.is_some() {
            let mapping = self.find("event-source-mapping", &images.function);
            facts = facts.must_work(mapping, &[], &["Enabled"], "the mapping from the queue to the function");
        } else {
            let permission = self.find("function-permission", &images.function);
            let told =
                permission.filter(|one| one.state == "available").map(|_| "S3 may invoke the function".to_owned());
            facts = facts.must_be(told, "the permission for S3 to invoke the function");
        }
        let told = trigger.map(|one| {
            let events = text(one, "events").unwrap_or_default();
            let way = queue.map_or("invokes the function".to_owned(), |queue| format!("goes to the queue {queue}"));
            format!("{events} of {} {way}", one.name)
        });
        facts.must_be(told, "the trigger")
    }

    fn uploaded(&self) -> Facts {
        let profile = self.of_kind("instance-profile").next();
        let mut facts = Facts::default();
        facts = match profile {
            Some(profile) => facts
                .note(format!("credentials come from the instance profile {}; no key is on the host", profile.name)),
            None => facts.note("no instance profile of the lab's own is there; a Learner Lab has its own"),
        };
        let running = self.instance(Internet::Gateway);
        let ready = running.and_then(|one| one.more.get("ready")?.as_bool()) == Some(true);
        let url = running.and_then(|one| text(one, "url")).filter(|_| ready);
        facts = facts.must_be(url.map(|url| format!("the Jupyter server runs at {url}")), "a running Jupyter server");
        let Seen { originals, is_part, .. } = *self.seen;
        let noun = if originals == 1 { "object" } else { "objects" };
        // One list of a bucket holds a thousand; fewer are all that there are.
        let least = if is_part && originals >= LISTED { "at least " } else { "" };
        facts.must(originals > 0, format!("the input bucket holds {least}{originals} {noun}"))
    }

    fn processed(&self) -> Facts {
        let Some((before, after)) = &self.seen.pair else {
            let of = if self.seen.is_part { " (looked at: the first 1000 objects of each)" } else { "" };
            let told = format!("the output bucket holds nothing that was made from the input bucket{of}");
            return Facts::default().must(false, told);
        };
        let lines = self.seen.log.len();
        let noun = if lines == 1 { "line" } else { "lines" };
        Facts::default()
            .must(true, format!("{before} became {after}: both are shown below"))
            .note(format!("the newest of the function's log, {lines} {noun}, shown below"))
    }

    /// Open now, recorded on this machine, or proved by what could not have been installed without.
    fn had_internet(&self) -> Facts {
        let ready = self.instance(Internet::None).and_then(|one| one.more.get("ready")?.as_bool()) == Some(true);
        let mut facts = Facts::default();
        if let Some(gateway) = self.of_kind("natgateway").next() {
            let told = format!("{}: {}", tell(gateway, &[]), gateway.state);
            facts = if gateway.state == "available" { facts.must(true, told) } else { facts.note(told) };
        }
        if let Some(record) = self.runs.iter().find(|run| run.program == "net-up nat") {
            let seconds = record.took.div_ceil(1000);
            facts = match record.end {
                _ if self.is_of_an_earlier_vpc(record) => facts.note("the last net-up nat was before this VPC"),
                RunEnd::Done => facts.must(true, format!("net-up nat opened the window, which took {seconds} s")),
                RunEnd::Failed => facts.note("the last net-up nat failed"),
                RunEnd::Stopped => facts.note("the last net-up nat was stopped before the window was open"),
            };
        }
        if ready {
            facts =
                facts.must(true, "the private host has installed its software, which it cannot without the internet");
        }
        let is_told = facts.0.iter().any(|(is_so, _)| is_so.is_some());
        if is_told { facts } else { facts.must(false, "nothing tells that it ever had") }
    }

    /// Records outlive their lab. EC2 does not tell when a VPC was made; the record of the run that made it does.
    fn is_of_an_earlier_vpc(&self, record: &RunRecord) -> bool {
        let made_vpc = |run: &&RunRecord| {
            let mut steps = run.steps.iter();
            steps.any(|step| step.kind == "vpc" && step.action == Action::Create.verb() && step.state == State::Done)
        };
        self.runs.iter().filter(made_vpc).any(|run| run.started_at > record.started_at)
    }

    fn certificates(&self) -> Facts {
        let certificate = self.of_kind("certificate").next();
        let facts = match certificate {
            Some(one) => {
                let until = text(one, "expires").map(|day| format!(", valid until {day}")).unwrap_or_default();
                let state = if one.state == "available" { String::new() } else { format!(": {}", one.state) };
                let told = format!("server certificate {} in ACM{until}{state}", one.name);
                Facts::default().must(one.state == "available", told)
            }
            None => Facts::default().must_be(None, "the server's certificate"),
        };
        let clients = self.lab.vpn.as_ref().map(|vpn| vpn.clients.join(", ")).unwrap_or_default();
        facts.note(format!("client certificates: {clients}"))
    }

    fn endpoint(&self) -> Facts {
        let name = self.names.vpn_endpoint();
        let endpoint = self.find("client-vpn-endpoint", &name);
        let facts = Facts::default().must_work(endpoint, &["client_cidr"], &["available"], &name);
        // One that works is enough; what another is at, or why it failed, is told.
        let kind = "client-vpn-target-network";
        let (works, others): (Vec<_>, Vec<_>) = self.of_kind(kind).partition(|one| one.state == "associated");
        let others = others.into_iter();
        if works.is_empty() {
            let facts = others.fold(facts, |facts, one| facts.must_work(Some(one), &[], &["associated"], ""));
            let is_any = self.of_kind(kind).next().is_some();
            return if is_any { facts } else { facts.must_be(None, "an association with a subnet") };
        }
        let facts = works.into_iter().fold(facts, |facts, one| facts.must_work(Some(one), &[], &["associated"], ""));
        others.fold(facts, |facts, one| facts.note(format!("{}: {}", tell(one, &[]), one.state)))
    }

    fn vpn_rules(&self) -> Facts {
        let mut facts = Facts::default();
        for (kind, what) in [("client-vpn-route", "route"), ("client-vpn-authorization-rule", "authorization rule")] {
            let active: Vec<_> =
                self.of_kind(kind).filter(|one| one.state == "active").map(|one| one.name.clone()).collect();
            let told = (!active.is_empty()).then(|| format!("{what} {}: active", active.join(", ")));
            facts = facts.must_be(told, &format!("an active {what}"));
        }
        facts
    }

    fn profile(&self) -> Facts {
        let files: Vec<_> = self.profiles.iter().map(|client| format!("{client}.ovpn")).collect();
        let told = (!files.is_empty())
            .then(|| format!("{} on this machine, with certificate and key in it", files.join(", ")));
        Facts::default().must_be(told, "an .ovpn file with certificate and key")
    }

    /// Whoever was connected has a client.
    fn client(&self) -> Facts {
        let connected = !self.seen.connections.is_empty() || self.check.is_some_and(|check| check.tunnel);
        if connected {
            return Facts::default().must(true, "a client has connected with it: see the next step");
        }
        Facts::default()
            .note("what is installed on a student's machine cannot be read from AWS; a connection would prove it")
    }

    fn connected(&self) -> Facts {
        let mut facts = Facts::default();
        for connection in &self.seen.connections {
            facts = facts.must(true, connection.clone());
        }
        if let Some(check) = self.check.filter(|check| check.tunnel) {
            let through: Vec<_> = check.checks.iter().filter(|one| one.name.contains("through the tunnel")).collect();
            for one in &through {
                facts = facts.must(one.passed, format!("{}: {} ({} ms)", one.name, one.detail, one.ms));
            }
        }
        if facts.0.is_empty() {
            facts.must(false, "AWS lists no connection of the last hour, and vpn-setup check has seen no tunnel")
        } else {
            facts
        }
    }

    fn closed_again(&self) -> Facts {
        let window = self.of_kind("natgateway").next();
        let main = self.find("route-table", &self.names.main_route_table());
        let target = main.and_then(|table| text(table, "default_route")).unwrap_or("none");
        let told = window.map_or_else(|| "there is no NAT gateway".to_owned(), |one| format!("{} is there", one.id));
        Facts::default().must(window.is_none(), told).must(
            main.is_some() && target == "none",
            format!("0.0.0.0/0 of the private subnet's route table: {target}"),
        )
    }

    fn only_through_vpn(&self) -> Facts {
        let Some(host) = self.host(Internet::None) else {
            return Facts::default().must(false, "lab.toml has no such host");
        };
        let Some(instance) = self.instance(Internet::None) else {
            return Facts::default().must(false, "the private host is not there");
        };
        let vpn = self.find("security-group", &self.names.vpn_security_group()).map(|group| group.id.clone());
        let rules = self.rules(&self.names.host(&host.role));
        let only =
            !rules.is_empty() && vpn.is_some_and(|id| rules.iter().all(|rule| rule.ends_with(&format!(" from {id}"))));
        let mut facts = Facts::default()
            .must(text(instance, "public_ip").is_none(), "the host has no public address")
            .must(only, format!("its security group lets in nobody but the VPN's: {}", rules.join(", ")));
        if let Some(check) = self.check {
            for one in check.checks.iter().filter(|one| one.name.contains("without the tunnel")) {
                facts = facts.must(one.passed, format!("{}: {} ({} ms)", one.name, one.detail, one.ms));
            }
        }
        facts
    }
}

fn text<'a>(resource: &'a Resource, field: &str) -> Option<&'a str> {
    resource.more.get(field)?.as_str()
}

/// `lab-vpc (vpc-1), 10.0.0.0/16`
fn tell(resource: &Resource, fields: &[&str]) -> String {
    let Resource { name, id, .. } = resource;
    let mut told = if id == name || id.starts_with("arn:") { name.clone() } else { format!("{name} ({id})") };
    for value in fields.iter().filter_map(|field| text(resource, field)) {
        told.push_str(", ");
        told.push_str(value);
    }
    told
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;
    use crate::testing::inventory;

    fn judge(resources: Vec<Resource>, seen: &Seen) -> Vec<Task> {
        judge_after(resources, seen, &[])
    }

    fn judge_after(resources: Vec<Resource>, seen: &Seen, runs: &[RunRecord]) -> Vec<Task> {
        let lab = read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap();
        let found = inventory(resources);
        let names = Names::new(&lab);
        let proof = Proof { lab: &lab, names: &names, found: &found, seen, runs, check: None, profiles: Vec::new() };
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
        let association =
            |state: &str| Resource::new("client-vpn-target-network", "lab-public-subnet", state).state(state);
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
}
