//! Task 2: a file server in a private subnet that only the VPN reaches.

use lab_common::Internet;
use lab_plan::{Action, RunEnd, RunRecord, State};

use super::super::evidence::Step;
use super::{Facts, Proof, tell, text};

impl Proof<'_> {
    pub(super) fn second_task(&self) -> Vec<Step> {
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
        if is_told { facts } else { facts.must(false, "nothing tells that a NAT gateway ever was there") }
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
        facts.note(match self.profiles.join(", ") {
            none if none.is_empty() => "no client's certificate is in an .ovpn file on this machine".to_owned(),
            clients => format!("client certificates in .ovpn files on this machine: {clients}"),
        })
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
        let name = self.names.main_route_table();
        let window = self.of_kind("natgateway").next();
        // What never was open was not closed: nothing of it counts.
        let is_told = window.is_some() || self.had_internet().is_passed();
        let facts = match window {
            Some(window) => Facts::default().must(false, format!("{} is still there", tell(window, &[]))),
            None if is_told => Facts::default().must(true, "there is no NAT gateway any more"),
            None => Facts::default().note("there is no NAT gateway; nothing tells that there ever was one"),
        };
        let Some(main) = self.find_part("route-table", "route-table main", &name) else {
            return facts.must_be(None, &name);
        };
        match text(main, "default_route").unwrap_or("none") {
            "none" if is_told => facts.must(true, "0.0.0.0/0 of the private subnet's route table leads nowhere"),
            "none" => facts.note("0.0.0.0/0 leads nowhere"),
            target => {
                facts.must(false, format!("0.0.0.0/0 of the private subnet's route table still goes to {target}"))
            }
        }
    }

    fn only_through_vpn(&self) -> Facts {
        let Some(host) = self.host(Internet::None) else {
            return Facts::default().must(false, "lab.toml has no such host");
        };
        let Some(instance) = self.instance(Internet::None) else {
            return Facts::default().must(false, "the private host is not there");
        };
        let name = self.names.vpn_security_group();
        let vpn = self.find_part("security-group", "security-group vpn", &name).map(|group| group.id.as_str());
        let from_vpn = |rule: &&String| vpn.is_some() && rule.rsplit_once(" from ").map(|(_, from)| from) == vpn;
        let rules = self.rules(Some(instance), &host.role);
        let (vpns, others): (Vec<_>, Vec<_>) = rules.iter().partition(from_vpn);
        let show = |rules: &[&String]| rules.iter().map(|rule| self.name_source(rule)).collect::<Vec<_>>().join(", ");
        let facts = match text(instance, "public_ip") {
            None => Facts::default().must(true, "the host has no public address"),
            Some(address) => Facts::default().must(false, format!("the host has the public address {address}")),
        };
        let mut facts = match (vpns.as_slice(), others.as_slice()) {
            ([], []) => facts.must(false, "its security groups let in nobody, not even the VPN's"),
            (vpns, []) => facts.must(true, format!("its security groups let in nobody but the VPN's: {}", show(vpns))),
            (_, others) => facts.must(false, format!("its security groups let in others, too: {}", show(others))),
        };
        if let Some(check) = self.check {
            for one in check.checks.iter().filter(|one| one.name.contains("without the tunnel")) {
                facts = facts.must(one.passed, format!("{}: {} ({} ms)", one.name, one.detail, one.ms));
            }
        }
        facts
    }
}
