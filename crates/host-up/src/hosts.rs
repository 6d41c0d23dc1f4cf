//! The hosts of a lab as one concern.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use aws_sdk_ec2::types::InstanceStateName;
use lab_account::Preflight;
use lab_common::{Home, Runs, Session, academy};
use lab_ec2::note_open_nat;
use lab_plan::{
    Concern, Context, Cost, Exit, Goal, Ids, Pace, Plan, Problem, Resource, Settling, Step, Usual, Verb, print_err,
};

use crate::apply::Hands;
use crate::clients::Clients;
use crate::console::Marker;
use crate::live::{Instance, Live, Look, count_running, observe};
use crate::plan::{Op, Scene, compare, find_failure, is_cut_off, is_ready, plan, teardown};
use crate::resources::list_resources;
use crate::roles;
use crate::secrets::{Logins, PASSWORD_FILE, TOKEN_FILE};
use crate::want::{WantedHost, check_hosts, want_hosts};

/// From a start until both status checks have passed.
const CHECKS: Usual = Usual::minutes(2, 4, "EC2's guide says a few minutes");
/// AWS gives no figure. Five published logs of Terraform, for small instances, say 20 s to 31 s.
const TERMINATES: Usual = Usual::seconds(20, 40, "published logs of Terraform");

/// The hosts of a lab, or some of them: key pair, role, profile and instances.
#[derive(Debug)]
pub struct Hosts<'a> {
    session: &'a Session,
    clients: Clients,
    home: Home,
    /// The hosts that the command line names; all when it names none.
    chosen: Vec<String>,
    wanted: Vec<WantedHost>,
    look: Look,
    wait_ready: bool,
    /// The hosts whose setup must be done for `status` to end well.
    checked: Vec<String>,
    /// What logs in to the hosts, where it is to be shown.
    logins: Option<Logins>,
    /// Instances that this run has started: none of them may go away again by itself.
    started: RefCell<Vec<String>>,
    /// The hosts that it has made.
    made: RefCell<Vec<String>>,
    preflight: Preflight,
    /// How many instances ran in the Region before this run, whoever made them; `None` where nobody has counted.
    running: Cell<Option<usize>>,
}

/// How long `up` may take: an instance and its status checks.
const TAKES: Duration = Duration::from_mins(4);
/// The same with the host's own setup.
const TAKES_TO_BE_READY: Duration = Duration::from_mins(10);

impl<'a> Hosts<'a> {
    /// For reading and for taking down: all hosts.
    ///
    /// # Errors
    /// When this machine has no place for the lab's keys.
    pub fn to_look_at(session: &'a Session) -> Result<Self, Problem> {
        Self::new(session, &[], Look::default())
    }

    /// For `up` and `plan`: also reads this machine's secrets, and the images of hosts that have no instance yet.
    /// `chosen` are keys of lab.toml's `[hosts]`; none means all.
    ///
    /// # Errors
    /// When the lab has no such host, or this machine has no place for its keys.
    pub fn to_make(session: &'a Session, chosen: &[String]) -> Result<Self, Problem> {
        Self::new(session, chosen, Look { to_make: true, consoles: false })
    }

    /// For taking down only some hosts.
    ///
    /// # Errors
    /// As [`Hosts::to_make`].
    pub fn to_take_down(session: &'a Session, chosen: &[String]) -> Result<Self, Problem> {
        Self::new(session, chosen, Look::default())
    }

    fn new(session: &'a Session, chosen: &[String], look: Look) -> Result<Self, Problem> {
        check_hosts(&session.lab, chosen)?;
        let wanted = want_hosts(&session.lab, &session.names, chosen);
        // Only its console tells whether a private host still waits for the internet.
        let consoles = look.consoles || (look.to_make && wanted.iter().any(WantedHost::waits_for_internet));
        Ok(Self {
            clients: Clients::new(&session.sdk),
            home: Home::of(&session.lab)?,
            wanted,
            chosen: chosen.to_vec(),
            look: Look { consoles, ..look },
            wait_ready: false,
            checked: Vec::new(),
            logins: None,
            started: RefCell::default(),
            made: RefCell::default(),
            preflight: Preflight::new(session, TAKES),
            running: Cell::default(),
            session,
        })
    }

    /// Also reads the consoles of running hosts, so that `ready` is known.
    #[must_use]
    pub fn with_consoles(mut self) -> Self {
        self.look.consoles = true;
        self
    }

    /// `up` also waits until each host says on its console that its setup is done.
    #[must_use]
    pub fn waiting_for_ready(mut self) -> Self {
        self.wait_ready = true;
        self.preflight = self.preflight.taking(TAKES_TO_BE_READY);
        self.with_consoles()
    }

    /// `status` also says whether these hosts are ready, by how it ends.
    ///
    /// # Errors
    /// When the lab has no such host.
    pub fn checking_ready(mut self, hosts: &[String]) -> Result<Self, Problem> {
        check_hosts(&self.session.lab, hosts)?;
        self.checked = hosts.to_vec();
        Ok(self.with_consoles())
    }

    /// Addresses are shown with what logs in there.
    ///
    /// # Errors
    /// When this machine's secrets cannot be read.
    pub(crate) fn showing_logins(mut self) -> Result<Self, Problem> {
        self.logins = Some(Logins::find(&self.home)?);
        Ok(self)
    }

    /// What logs in to a host that is there, and is not on this machine.
    fn note_missing_logins(&self, live: &Live) -> Vec<String> {
        let Some(logins) = &self.logins else { return Vec::new() };
        let runs = |what: &str| {
            live.instances.iter().any(|instance| instance.is_alive() && instance.runs.as_deref() == Some(what))
        };
        let missing = [
            ("login token", TOKEN_FILE, runs("jupyter") && logins.token.is_none()),
            ("password of the file server", PASSWORD_FILE, runs("filegator") && logins.password.is_none()),
        ];
        let missing = missing.into_iter().filter(|(_, _, is_missing)| *is_missing);
        missing
            .map(|(what, file, _)| format!("this machine has no {what} ({})", self.home.path(file).display()))
            .collect()
    }

    /// The name of the file server that this run has made, if it has.
    pub(crate) fn made_file_server(&self) -> Option<&str> {
        let made = self.made.borrow();
        let mut servers = self.wanted.iter().filter(|host| host.runs == Some(Runs::Filegator));
        servers.find(|host| made.contains(&host.host)).map(|host| host.name.as_str())
    }

    /// Whether a host has been started by this run that was set up before: it needs no internet any more.
    fn has_only_started(&self, host: &WantedHost, live: &Live) -> bool {
        let (started, made) = (self.started.borrow(), self.made.borrow());
        !made.contains(&host.host) && live.alive(&host.host).any(|instance| started.contains(&instance.id))
    }

    /// Waiting for a setup that cannot end would end with the deadline.
    fn find_hopeless(&self, live: &Live) -> Vec<Problem> {
        let hosts = self.wanted.iter().filter(|host| self.wait_ready && is_cut_off(host, live));
        let hopeless = hosts.filter(|host| !self.has_only_started(host, live)).map(|host| {
            Problem::failed(format!("{} has no way to the internet, so its setup cannot end", host.name))
                .because("its subnet has none of its own, and the NAT window is closed")
                .fix(format!("open it for as long as that takes: {}", make_ready(host)))
        });
        hopeless.collect()
    }

    /// A Learner Lab in which too many instances run is deactivated, and everything in it is deleted.
    fn refuse_crowd(&self, live: &Live, plan: &Plan<Op>) -> Result<(), Problem> {
        let has_limits = self.session.lab.account.has_academy_limits(live.caller.as_ref());
        let Some(running) = self.running.get().filter(|_| has_limits) else { return Ok(()) };
        let starts = |step: &&Step<Op>| matches!(step.op, Op::RunInstance(_) | Op::StartInstance { .. });
        let new = plan.steps.iter().filter(starts).count();
        let (most, fatal) = (academy::MOST_HOSTS, academy::FATAL_HOSTS);
        if new == 0 || running + new <= most {
            return Ok(());
        }
        let what = format!(
            "{running} instances run in {}, and this would start {new} more: a Learner Lab allows {most} at a time; \
             nothing was changed",
            self.session.region
        );
        Err(Problem::failed(what)
            .because(format!("{fatal} at once deactivate the account, and everything in it is deleted"))
            .fix(
                "see which they are (aws ec2 describe-instances --filters Name=instance-state-name,Values=running), and \
                 stop or terminate those that nobody needs",
            ))
    }

    fn concerns(&self, instance: &Instance) -> bool {
        self.chosen.is_empty() || self.chosen.contains(&instance.host)
    }

    /// An instance that this run started and EC2 took back (no capacity, a volume limit, a key it may not use).
    fn find_lost<'b>(&self, live: &'b Live) -> Option<&'b Instance> {
        let started = self.started.borrow();
        live.instances.iter().find(|instance| started.contains(&instance.id) && !instance.is_alive())
    }

    /// What an instance still lacks, in a few words.
    fn await_instance(&self, instance: &Instance) -> Option<String> {
        let name = &instance.name;
        if instance.state != InstanceStateName::Running {
            return Some(format!("{name} is {}", instance.state));
        }
        match instance.checks.as_deref() {
            Some("ok") if self.wait_ready && instance.marker != Some(Marker::Ready) => {
                Some(format!("{name} is setting itself up"))
            }
            Some("ok") => None,
            checks => Some(format!("status checks of {name}: {}", checks.unwrap_or("initializing"))),
        }
    }

    fn scene<'b>(&'b self, live: &'b Live) -> Scene<'b> {
        let Session { lab, names, region, .. } = self.session;
        Scene { lab, names, region, home: &self.home, hosts: &self.wanted, live }
    }
}

/// The command that makes a host and lets it install what it runs.
fn make_ready(host: &WantedHost) -> String {
    let window = if host.waits_for_internet() { "net-up nat -- " } else { "" };
    format!("{window}host-up up {} --wait-ready", host.host)
}

/// The command that replaces a host.
fn make_anew(host: &WantedHost) -> String {
    format!("host-up down {} && {}", host.host, make_ready(host))
}

/// A setup that has failed is not tried again: nothing is to be waited for, and no window to be opened.
fn refuse_failure(host: &WantedHost, live: &Live) -> Result<(), Problem> {
    let Some(tail) = find_failure(host, live) else { return Ok(()) };
    let WantedHost { host: role, name, .. } = host;
    let fix = format!("look around there (host-up ssh {role}), then make it anew: {}", make_anew(host));
    Err(Problem::failed(format!("the setup of {name} failed; the end of its console:\n{tail}")).fix(fix))
}

impl Concern for Hosts<'_> {
    type Live = Live;
    type Op = Op;

    async fn observe(&self) -> Result<Live, Problem> {
        // A dozen calls at once make a large future; here it is kept off every caller's stack.
        Box::pin(observe(self.session, &self.clients, &self.home, &self.wanted, self.look)).await
    }

    fn plan(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        let planned = plan(self.scene(live));
        let hopeless = self.find_hopeless(live);
        match planned {
            Ok(plan) if hopeless.is_empty() => Ok(plan),
            Ok(_) => Err(hopeless),
            Err(problems) => Err(problems.into_iter().chain(hopeless).collect()),
        }
    }

    fn compare(&self, live: &Live) -> Plan<Op> {
        compare(self.scene(live)).0
    }

    fn teardown(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        Ok(teardown(&self.session.names, &self.chosen, live))
    }

    fn settling(&self, live: &Live, goal: Goal) -> Result<Settling, Problem> {
        if goal == Goal::Down {
            let leaving =
                |instance: &&Instance| self.concerns(instance) && instance.state == InstanceStateName::ShuttingDown;
            let leaving = live.instances.iter().filter(leaving);
            return Ok(leaving.map(|instance| format!("{} is shutting-down", instance.name)).collect());
        }
        if let Some(instance) = self.find_lost(live) {
            let why = instance.reason.as_deref().unwrap_or("EC2 gives no reason");
            return Err(Problem::failed(format!(
                "{} ({}) was started, but is {}",
                instance.name, instance.id, instance.state
            ))
            .because(why)
            .fix("a limit or a missing capacity: try another size or another zone"));
        }
        let mut settling = Settling::new();
        for host in &self.wanted {
            if self.wait_ready {
                refuse_failure(host, live)?;
            }
            settling.extend(live.alive(&host.host).filter_map(|instance| self.await_instance(instance)));
        }
        Ok(settling)
    }

    fn usual(&self, _: &Live, goal: Goal) -> Option<Usual> {
        match goal {
            Goal::Down => Some(TERMINATES),
            // How long a host's own setup takes depends on what it installs.
            Goal::Up => (!self.wait_ready).then_some(CHECKS),
        }
    }

    fn pace(&self) -> Pace {
        Pace::MINUTES
    }

    async fn look_around(&self) -> Result<(), Problem> {
        self.preflight.check_credentials().await?;
        self.running.set(Some(count_running(&self.clients).await?));
        Ok(())
    }

    fn suspect(&self) -> Option<Problem> {
        self.preflight.find_wrong_clock()
    }

    fn judge(&self, live: &Live, plan: &Plan<Op>) -> Result<Vec<String>, Problem> {
        let notes = self.preflight.judge(live.caller.as_ref())?;
        self.refuse_crowd(live, plan)?;
        Ok(notes)
    }

    fn full_cost(&self) -> Cost {
        // The plan prices the whole part, so hosts that are there already count, whichever ones the command line names.
        let all = want_hosts(&self.session.lab, &self.session.names, &[]);
        let unpriced = self.wanted.iter().filter_map(WantedHost::ask_price);
        Cost { usd_per_hour: all.iter().map(WantedHost::usd_per_hour).sum(), unpriced: unpriced.collect() }
    }

    fn ids(&self, live: &Live) -> Ids {
        // Of several of one host the first one counts.
        let instances = live.instances.iter().rev().filter(|instance| instance.is_alive());
        instances.map(|instance| (roles::instance(&instance.host), instance.id.clone())).collect()
    }

    async fn apply(&self, step: &Step<Op>, context: Context<'_>) -> Result<Option<String>, Problem> {
        let hands = Hands { session: self.session, clients: &self.clients, home: &self.home, stop: context.stop };
        let id = hands.apply(&step.op).await?;
        if matches!(step.op, Op::RunInstance(_) | Op::StartInstance { .. }) {
            self.started.borrow_mut().extend(id.clone());
        }
        if let Op::RunInstance(launch) = &step.op {
            self.made.borrow_mut().push(launch.host.clone());
        }
        Ok(id)
    }

    fn notes(&self, live: &Live, verb: Verb) -> Vec<String> {
        let mut notes = note_open_nat(&live.nat_gateways, verb);
        notes.extend(self.note_missing_logins(live));
        notes
    }

    fn next(&self, live: &Live) -> Option<String> {
        let there = |host: &&WantedHost| self.look.to_make || live.alive(&host.host).next().is_some();
        let private = self.wanted.iter().filter(|host| self.look.consoles && host.waits_for_internet());
        private.filter(there).find_map(|host| match find_failure(host, live) {
            Some(_) => Some(make_anew(host)),
            None => is_cut_off(host, live).then(|| make_ready(host)),
        })
    }

    fn verdict(&self, live: &Live) -> Result<Exit, Problem> {
        let mut exit = Exit::Done;
        for host in self.wanted.iter().filter(|host| self.checked.contains(&host.host)) {
            refuse_failure(host, live)?;
            if !is_ready(host, live) {
                print_err(&format!("{} is not ready yet; this waits for it: {}", host.name, make_ready(host)));
                exit = Exit::Changes;
            }
        }
        Ok(exit)
    }

    fn resources(&self, live: &Live) -> Vec<Resource> {
        list_resources(&self.session.names, live, self.logins.as_ref().unwrap_or(&Logins::default()))
    }
}

#[cfg(test)]
mod tests;
