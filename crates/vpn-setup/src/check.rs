//! `check`: what a user would try, tried for them. Without the tunnel the private hosts must not answer; with it they
//! must. When something fails, the usual causes are looked for.

mod cause;
mod cli;
mod facts;
mod probe;
mod report;
mod tunnel;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use futures::future::join_all;
use ipnet::Ipv4Net;
use lab_common::{Session, Vpn};
use lab_plan::{Exit, Problem, Stop, print_err, print_out, to_json};

pub use cli::CheckArgs;
pub(crate) use cli::EXAMPLES;

use crate::client::find_current;
use crate::files::Files;
use crate::profile;
use crate::services::Services;
use cause::find_causes;
use facts::Facts;
use probe::Answer;
use report::{Check, Document, Seen, Subject};
use tunnel::Tunnel;

/// An address on the internet that no network of one's own contains: packets for it would take the default route. None
/// are sent.
const ANYWHERE: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);

/// Everything that `check` works with.
pub(crate) struct Checker<'a> {
    pub(crate) session: &'a Session,
    pub(crate) services: &'a Services,
    pub(crate) files: &'a Files,
    /// The lab's VPN.
    pub(crate) vpn: &'a Vpn,
    /// One JSON document on stdout instead of text.
    pub(crate) json: bool,
    pub(crate) stop: &'a Stop,
}

impl Checker<'_> {
    /// Checks, and answers with the exit code: 0 when all passed.
    pub(crate) async fn run(&self, args: &CheckArgs) -> Result<Exit, Problem> {
        let facts = self.stop.or(self.gather(args)).await?;
        let own = probe::find_own_address(self.vpn.client_cidr);
        if let (Some(own), true) = (own, args.connect) {
            return Err(Problem::failed(format!("a tunnel is up already: this machine has {own}"))
                .because("the first half of the check is without one")
                .fix("disconnect, or check the tunnel that is up: vpn-setup check"));
        }
        let mut checks = self.stop.or(async { Ok(vec![check_name(&facts).await]) }).await?;
        if own.is_some() {
            checks.extend(self.stop.or(async { Ok(check_through(&facts, self.vpn).await) }).await?);
        } else {
            checks.extend(self.stop.or(async { Ok(check_without(&facts).await) }).await?);
        }
        if args.connect {
            checks.extend(self.connect(&facts).await?);
        }
        let came_up = |check: &Check| check.subject == Subject::Tunnel && check.passed;
        let tunnel = own.is_some() || checks.iter().any(came_up);
        self.report(&facts, &checks, tunnel)?;
        if !tunnel && !args.connect {
            print_err("note: no tunnel is up: connect and check again, or let it connect: vpn-setup check --connect");
        }
        Ok(if checks.iter().all(|check| check.passed) { Exit::Done } else { Exit::Failed })
    }

    async fn gather(&self, args: &CheckArgs) -> Result<Facts, Problem> {
        let ec2 = &self.services.ec2;
        let facts = facts::gather(self.session, ec2, self.files, self.vpn, args.client.as_deref()).await?;
        if facts.hosts.is_empty() {
            return Err(Problem::usage("no host of lab.toml allows `from = \"vpn\"`: there is nothing to check")
                .fix("add one to a host, like allow = [{ port = 22, from = \"vpn\" }]"));
        }
        Ok(facts)
    }

    /// Connects, checks through the tunnel, and disconnects whatever happens.
    async fn connect(&self, facts: &Facts) -> Result<Vec<Check>, Problem> {
        let name = &facts.client.name;
        if facts.client.profile.is_none() {
            // Who is unknown or revoked needs another answer than who has only lost the file.
            find_current(self.files, name)?;
            return Err(Problem::failed(format!("there is no {}", profile::file_name(name)))
                .fix(format!("vpn-setup client show {name} writes it, as vpn-setup up does")));
        }
        print_err(&format!("connecting as {name}"));
        let start = Instant::now();
        let check = |seen| Check::new(Subject::Tunnel, "the tunnel comes up", start, seen);
        let tunnel = match Tunnel::open(&self.files.home.path(&profile::file_name(name)), self.stop).await {
            Ok(tunnel) => tunnel,
            Err(problem) if self.stop.asked().is_some() => return Err(problem),
            Err(problem) => {
                let detail = [Some(problem.what()), problem.why(), problem.remedy()];
                let detail = detail.into_iter().flatten().collect::<Vec<_>>().join(": ");
                return Ok(vec![check(Seen::new(false, detail))]);
            }
        };
        let block = self.vpn.client_cidr;
        let up = check(match probe::find_own_address(block) {
            Some(own) => Seen::new(true, format!("{name} has {own}")),
            None => Seen::new(false, format!("this machine has no address of {block}")),
        });
        let through = self.stop.or(async { Ok(check_through(facts, self.vpn).await) }).await;
        tunnel.close().await;
        Ok([up].into_iter().chain(through?).collect())
    }

    /// Leaves it for `lab-status report`. That it could not be kept is no failure of the check.
    fn keep(&self, document: &Document<'_>) {
        let at = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
        let text = serde_json::to_value(document).map(|mut value| {
            value["at"] = at.into();
            value.to_string()
        });
        if let Ok(text) = text
            && let Err(problem) = self.files.home.replace(LAST_CHECK, &text)
        {
            print_err(&format!("note: {problem}"));
        }
    }

    fn report(&self, facts: &Facts, checks: &[Check], tunnel: bool) -> Result<(), Problem> {
        let failed: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
        let causes = if failed.is_empty() { Vec::new() } else { find_causes(facts, &failed) };
        let document = Document::new(self.session.heading(), tunnel, checks, &causes);
        self.keep(&document);
        print_out(&if self.json { to_json(&document)? } else { document.show() })
    }
}

/// The file with what the last check said.
const LAST_CHECK: &str = "last-check.json";

/// The endpoint's name, as clients ask for it: with a random label in front.
async fn check_name(facts: &Facts) -> Check {
    let start = Instant::now();
    let seen = match facts.endpoint.as_ref().and_then(|endpoint| endpoint.host()) {
        None => Seen::new(false, "there is no endpoint with a DNS name"),
        Some(host) => {
            let name = format!("{}.{host}", uuid::Uuid::new_v4().simple());
            match probe::resolve(&name).await {
                Ok(addresses) => Seen::new(true, format!("{name} is {}", addresses.join(", "))),
                Err(why) => Seen::new(false, format!("{name}: {why}")),
            }
        }
    };
    Check::new(Subject::Name, "the endpoint's name is found", start, seen)
}

/// Each port must be closed to whoever is not connected.
async fn check_without(facts: &Facts) -> Vec<Check> {
    knock_everywhere(facts, Subject::Without, "is closed without the tunnel", |answer| match answer {
        Answer::Open => Seen::new(false, "it takes connections"),
        Answer::Refused => Seen::new(true, "refused"),
        Answer::Silent(why) => Seen::new(true, why),
    })
    .await
}

/// Each port must answer through the tunnel, and packets must take the ways that the endpoint hands out.
async fn check_through(facts: &Facts, vpn: &Vpn) -> Vec<Check> {
    let mut checks: Vec<_> = list_networks(facts).into_iter().map(|network| check_route(facts, network)).collect();
    checks.push(check_default_route(vpn));
    let ports = knock_everywhere(facts, Subject::Through, "answers through the tunnel", |answer| match answer {
        Answer::Open => Seen::new(true, "it takes connections"),
        Answer::Refused => Seen::new(false, "refused: nothing listens there"),
        Answer::Silent(why) => Seen::new(false, why),
    });
    checks.extend(ports.await);
    checks
}

/// Knocks at every port of every host at once. A host that does not run cannot pass.
async fn knock_everywhere(facts: &Facts, subject: Subject, wanted: &str, judge: impl Fn(Answer) -> Seen) -> Vec<Check> {
    let judge = &judge;
    let doors = facts.hosts.iter().flat_map(|host| host.ports.iter().map(move |port| (host, *port)));
    join_all(doors.map(|(host, port)| async move {
        let start = Instant::now();
        let name = format!("{} {port} {wanted}", host.role);
        let seen = if let Some(address) = host.reachable_address() {
            let Seen { passed, detail } = judge(probe::knock(SocketAddrV4::new(address, port)).await);
            Seen::new(passed, format!("{address}: {detail}"))
        } else {
            Seen::new(false, format!("the host is {}", host.describe_absence().unwrap_or_default()))
        };
        Check::new(subject, name, start, seen)
    }))
    .await
}

/// What takes the tunnel: the VPC, and the destinations of the endpoint's routes.
fn list_networks(facts: &Facts) -> Vec<Ipv4Net> {
    let routes = facts.endpoint.iter().flat_map(|endpoint| &endpoint.routes);
    let destinations = routes.filter_map(|route| route.destination.parse::<Ipv4Net>().ok());
    let mut networks: Vec<_> =
        [facts.vpc].into_iter().chain(destinations).filter(|network| network.prefix_len() > 0).collect();
    networks.sort();
    networks.dedup();
    networks
}

fn check_route(facts: &Facts, network: Ipv4Net) -> Check {
    let start = Instant::now();
    let host = facts.hosts.iter().filter_map(|host| host.address).find(|address| network.contains(address));
    let destination = host.or_else(|| network.hosts().nth(1)).unwrap_or(network.network());
    let source = probe::find_source(destination);
    let passed = source.as_ref().is_ok_and(|source| facts.client_cidr.contains(source));
    let seen = Seen::new(passed, describe_source(destination, &source));
    Check::new(Subject::Through, format!("{network} takes the tunnel"), start, seen)
}

/// With a split tunnel all else goes its own way; without one it takes the tunnel too.
fn check_default_route(vpn: &Vpn) -> Check {
    let start = Instant::now();
    let source = probe::find_source(ANYWHERE);
    let tunnelled = source.as_ref().is_ok_and(|source| vpn.client_cidr.contains(source));
    let name = if vpn.split_tunnel { "all else stays outside of the tunnel" } else { "all else takes the tunnel" };
    let seen = Seen::new(tunnelled != vpn.split_tunnel, describe_source(ANYWHERE, &source));
    Check::new(Subject::Through, name, start, seen)
}

fn describe_source(destination: Ipv4Addr, source: &std::io::Result<Ipv4Addr>) -> String {
    match source {
        Ok(source) => format!("packets for {destination} leave from {source}"),
        Err(error) => format!("packets for {destination} leave nowhere: {error}"),
    }
}
