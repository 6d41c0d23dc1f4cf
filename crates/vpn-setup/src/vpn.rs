//! The Client VPN of a lab as one concern.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use lab_account::Preflight;
use lab_common::{Session, prices};
use lab_ec2::note_open_nat;
use lab_plan::{Concern, Context, Cost, Goal, Ids, Pace, Plan, Problem, Resource, Settling, Step, Verb};

use crate::apply::{Export, Worker};
use crate::beat::{self, PATIENCE};
use crate::files::Files;
use crate::live::{self, Live};
use crate::local::{self, Local};
use crate::pki::server_name;
use crate::plan::{self, Op};
use crate::scene::Scene;
use crate::services::Services;
use crate::want::{Want, want};
use crate::{roles, show, teardown};

/// The Client VPN of one lab: endpoint, associations, rules, routes, and the server's certificate; and on this machine
/// the authority, the clients' certificates and their `.ovpn` files.
#[derive(Debug)]
pub struct ClientVpn<'a> {
    session: &'a Session,
    services: Services,
    /// `None` where this machine's part is not looked at.
    files: Option<Files>,
    want: Option<Want>,
    /// The server's name.
    server: String,
    course: Course,
    export: Export,
    /// The clients whose `.ovpn` files this run has written.
    written: RefCell<BTreeSet<String>>,
    preflight: Preflight,
}

/// How long `up` may take: an association takes AWS 5 to 10 minutes.
const TAKES: Duration = Duration::from_mins(15);

/// What `up` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Everything as lab.toml wants it.
    Make,
    /// No association, and all else as it is.
    Pause,
    /// The wanted associations, and all else as it is.
    Resume,
    /// Nothing: what is there is only shown, or taken down.
    Leave,
}

impl<'a> ClientVpn<'a> {
    /// For reading what is in AWS, and nothing of this machine.
    pub fn to_look_at(session: &'a Session) -> Self {
        Self::new(session, None).on_course(Course::Leave)
    }

    /// For comparing what is in AWS and on this machine with what lab.toml wants.
    ///
    /// # Errors
    /// When this machine has no place for keys.
    pub fn to_make(session: &'a Session) -> Result<Self, Problem> {
        Self::with_files(session, None)
    }

    /// Looks at this machine's part too. `ca_dir` is the directory of an authority to take over.
    ///
    /// # Errors
    /// When this machine has no place for keys.
    pub(crate) fn with_files(session: &'a Session, ca_dir: Option<PathBuf>) -> Result<Self, Problem> {
        Ok(Self::new(session, Some(Files::of(&session.lab, ca_dir)?)))
    }

    fn new(session: &'a Session, files: Option<Files>) -> Self {
        Self {
            services: Services::new(&session.sdk),
            want: session.lab.vpn.as_ref().map(|vpn| want(&session.lab, vpn, &session.names)),
            server: server_name(&session.lab),
            course: Course::Make,
            export: Export::default(),
            written: RefCell::default(),
            preflight: Preflight::new(session, TAKES),
            files,
            session,
        }
    }

    /// `up` means this from now on.
    #[must_use]
    pub(crate) fn on_course(mut self, course: Course) -> Self {
        self.course = course;
        self
    }

    fn directory(&self) -> String {
        let path = self.files.as_ref().map(|files| files.store.path().display().to_string());
        path.unwrap_or_default().trim_end_matches('/').to_owned()
    }

    /// Whether the plan is made from this machine's part. What costs can be ended without it.
    fn needs_files(&self) -> bool {
        self.course == Course::Make
    }

    /// This machine's part, with a mark on the files that this run has written.
    async fn look_at_files(&self) -> Result<Option<Local>, Problem> {
        let Some(files) = &self.files else { return Ok(None) };
        let clients = self.want.as_ref().map(|want| want.clients.clone()).unwrap_or_default();
        let look = move |files: &Files| local::observe(&files.home, &clients, files.ca_dir.as_deref());
        let mut local = files.block(look).await?;
        for client in self.written.borrow().iter() {
            if let Some(configuration) = local.configurations.get_mut(client) {
                configuration.just_written = true;
            }
        }
        Ok(Some(local))
    }

    /// `ask` about what is wanted and what is there; nothing where no VPN is wanted.
    fn with_scene<T>(&self, live: &Live, ask: impl FnOnce(Scene<'_>) -> T) -> Option<T> {
        let want = self.want.as_ref()?;
        let directory = self.directory();
        let authority = crate::pki::authority_name(&self.session.lab);
        let names = &self.session.names;
        let scene = Scene { want, live, names, authority: &authority, server: &self.server, directory: &directory };
        Some(ask(scene))
    }
}

impl Concern for ClientVpn<'_> {
    type Live = Live;
    type Op = Op;

    async fn observe(&self) -> Result<Live, Problem> {
        // A dozen calls at once make a large future; here it is kept off every caller's stack.
        let in_aws = Box::pin(live::observe(self.session, &self.services, &self.server));
        let (live, local) = tokio::join!(in_aws, self.look_at_files());
        let mut live = live?;
        match local {
            Ok(local) => live.local = local,
            Err(problem) if self.needs_files() => return Err(problem),
            Err(problem) => live.unread = Some(problem.to_string()),
        }
        Ok(live)
    }

    fn plan(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        match self.course {
            Course::Make | Course::Resume => {}
            Course::Pause => return Ok(plan::pause(live)),
            Course::Leave => return Ok(Plan::default()),
        }
        self.with_scene(live, if self.course == Course::Resume { plan::resume } else { plan::plan })
            .unwrap_or_else(|| Err(vec![refuse_no_vpn()]))
    }

    fn compare(&self, live: &Live) -> Plan<Op> {
        self.plan(live).ok().or_else(|| self.with_scene(live, plan::compare)).unwrap_or_default()
    }

    fn teardown(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        Ok(teardown::teardown(&self.session.names, &self.server, live))
    }

    fn settling(&self, live: &Live, goal: Goal) -> Result<Settling, Problem> {
        Ok(if goal == Goal::Down { show::list_leaving(live) } else { show::list_coming(live) })
    }

    fn pace(&self) -> Pace {
        beat::every(PATIENCE)
    }

    /// What ends a cost is not held up.
    async fn look_around(&self) -> Result<(), Problem> {
        if self.course == Course::Pause {
            return Ok(());
        }
        self.preflight.look_around().await
    }

    fn suspect(&self) -> Option<Problem> {
        self.preflight.find_wrong_clock()
    }

    fn judge(&self, _: &Live, _: &Plan<Op>) -> Result<Vec<String>, Problem> {
        if self.course == Course::Pause {
            return Ok(Vec::new());
        }
        self.preflight.judge(None)
    }

    fn full_cost(&self) -> Cost {
        let associates = matches!(self.course, Course::Make | Course::Resume);
        let subnets = self.want.as_ref().filter(|_| associates).map_or(0, |want| want.subnets.len());
        let usd_per_hour = f64::from(u32::try_from(subnets).unwrap_or(u32::MAX)) * prices::VPN_ASSOCIATION;
        Cost { usd_per_hour, unpriced: Vec::new() }
    }

    fn ids(&self, live: &Live) -> Ids {
        let endpoint = live.endpoint().map(|endpoint| (roles::ENDPOINT, &endpoint.id));
        let certificate = live.certificate().map(|certificate| (roles::CERTIFICATE, &certificate.arn));
        endpoint.into_iter().chain(certificate).map(|(role, id)| (role.to_owned(), id.clone())).collect()
    }

    async fn apply(&self, step: &Step<Op>, context: Context<'_>) -> Result<Option<String>, Problem> {
        let worker = Worker {
            session: self.session,
            services: &self.services,
            files: self.files.as_ref(),
            want: self.want.as_ref(),
            export: &self.export,
            context,
        };
        let id = Box::pin(worker.apply(step)).await?;
        if let Op::WriteConfiguration { client, .. } = &step.op {
            self.written.borrow_mut().insert(client.clone());
        }
        Ok(id)
    }

    fn resources(&self, live: &Live) -> Vec<Resource> {
        show::list_resources(&self.session.names, &self.server, live)
    }

    fn notes(&self, live: &Live, verb: Verb) -> Vec<String> {
        let mut notes = note_open_nat(&live.nat_gateways, verb);
        notes.extend(show::list_notes(self.want.as_ref(), &self.directory(), live));
        if verb == Verb::Up && self.course != Course::Pause {
            let home = self.files.as_ref().map(|files| files.home.path("").display().to_string());
            notes.extend(show::note_import(self.want.as_ref(), &home.unwrap_or_default(), live));
        }
        // A plan says itself that it associates.
        if !matches!(verb, Verb::Plan { .. }) {
            notes.extend(show::note_paused(self.want.as_ref(), live));
        }
        notes
    }
}

/// Why `up`, `plan` and `resume` cannot be done.
pub(crate) fn refuse_no_vpn() -> Problem {
    Problem::usage("the lab has no [vpn] section").fix("add one to lab.toml, or use --lab hol02")
}
