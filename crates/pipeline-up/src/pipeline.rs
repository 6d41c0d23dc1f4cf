//! The concern, as the flow of `lab_plan` drives it.

use std::time::Duration;

use lab_account::Preflight;
use lab_common::{Arch, Session, Tags};
use lab_ec2::{find_nat_gateways, note_open_nat};
use lab_plan::{Concern, Context, Goal, Ids, Pace, Plan, Problem, Resource, Settling, Step, Verb};

use crate::cli::Package;
use crate::clients::Clients;
use crate::deploy::{Way, deploy_command, to_line};
use crate::live::{Live, LiveQueue, observe};
use crate::plan::{Op, compare, find_our_queue, find_ours, make_plan, make_teardown, note_delivery};
use crate::stray::find_strays;
use crate::want::{QueueKind, Side, Want};
use crate::{apply, show};

/// The pipeline of one lab, with the way to AWS.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) want: Want,
    pub(crate) clients: Clients,
    pub(crate) way: Way,
    ec2: aws_sdk_ec2::Client,
    tags: Tags,
    preflight: Preflight,
    takes_all: bool,
}

/// How long `up` may take: a new role needs up to two minutes until it is known everywhere.
const TAKES: Duration = Duration::from_mins(3);

impl Pipeline {
    /// The pipeline of the session's lab. Nothing is called.
    ///
    /// # Errors
    /// When the lab has no `[images]`.
    pub fn new(session: &Session) -> Result<Self, Problem> {
        let want = Want::new(&session.lab, &session.region)?;
        let way = Way { profile: None, endpoint_url: session.sdk.endpoint_url().map(str::to_owned) };
        let ec2 = aws_sdk_ec2::Client::new(&session.sdk);
        let preflight = Preflight::new(session, TAKES);
        Ok(Self {
            want,
            clients: Clients::new(session),
            way,
            ec2,
            tags: session.tags.clone(),
            preflight,
            takes_all: false,
        })
    }

    /// Names this profile of `~/.aws/config` in the commands it says.
    #[must_use]
    pub fn profile(mut self, profile: Option<String>) -> Self {
        self.way.profile = profile;
        self
    }

    /// Looks also for what of ours lab.toml calls otherwise now: for `down`, which takes it with the rest.
    #[must_use]
    pub(crate) fn taking_all(mut self, takes_all: bool) -> Self {
        self.takes_all = takes_all;
        self
    }

    /// The words of the command that deploys the function.
    pub(crate) fn deploy_command(&self, live: &Live, package: &Package) -> Vec<String> {
        deploy_command(&self.want, &live.place, &self.way, package)
    }

    /// The queue, if it is there and ours.
    pub(crate) fn find_queue<'a>(&self, live: &'a Live, kind: QueueKind) -> Option<&'a LiveQueue> {
        find_our_queue(&self.want, live, kind)
    }

    /// Whether the function can be deployed.
    ///
    /// # Errors
    /// When its role is not there, or when the function is another lab's.
    pub(crate) fn check_deployable(&self, live: &Live) -> Result<(), Problem> {
        self.plan(live).map_err(|problems| Problem::all(&problems).unwrap_or_else(|| Problem::failed("refused")))?;
        if live.role.is_none() && !live.place.academy {
            return Err(Problem::failed(format!("the function's role {} is not there yet", self.want.role))
                .fix("run `pipeline-up` first: it makes the role that the function gets"));
        }
        Ok(())
    }
}

impl Concern for Pipeline {
    type Live = Live;
    type Op = Op;

    async fn observe(&self) -> Result<Live, Problem> {
        // Two dozen calls wait in it at once: too large for the stack.
        let pipeline = Box::pin(observe(&self.clients, &self.want));
        let (live, nat_gateways) = tokio::join!(pipeline, find_nat_gateways(&self.ec2, &self.tags));
        let live = live?;
        let nat_gateways = match nat_gateways {
            // Who may not look at NAT gateways may have a pipeline all the same.
            Err(problem) if problem.is_denial() => Vec::new(),
            answer => answer?,
        };
        let strays = if self.takes_all {
            Box::pin(find_strays(&self.clients, &self.want, &live.place)).await?
        } else {
            Vec::new()
        };
        Ok(Live { strays, nat_gateways, ..live })
    }

    fn plan(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        make_plan(&self.want, live)
    }

    fn compare(&self, live: &Live) -> Plan<Op> {
        compare(&self.want, live)
    }

    fn teardown(&self, live: &Live) -> Result<Plan<Op>, Vec<Problem>> {
        Ok(make_teardown(&self.want, live))
    }

    fn settling(&self, live: &Live, goal: Goal) -> Result<Settling, Problem> {
        show::list_settling(&self.want, live, goal)
    }

    fn pace(&self) -> Pace {
        // A mapping is enabled or deleted within a minute or two, and SQS shows a deleted queue for a minute.
        Pace { deadline: Duration::from_mins(4), ..Pace::MOMENT }
    }

    async fn look_around(&self) -> Result<(), Problem> {
        self.preflight.check_credentials().await
    }

    fn suspect(&self) -> Option<Problem> {
        self.preflight.find_wrong_clock()
    }

    fn judge(&self, live: &Live, _: &Plan<Op>) -> Result<Vec<String>, Problem> {
        self.preflight.judge(Some(&live.caller))
    }

    fn ids(&self, live: &Live) -> Ids {
        let buckets = Side::BOTH.map(|side| (side, live.buckets.get(side).here()));
        let there = buckets.into_iter().filter(|(_, bucket)| bucket.is_some());
        let named = there.map(|(side, _)| (side.role(), self.want.buckets.get(side).clone()));
        let role = live.role.as_ref().map(|role| ("role", role.arn.clone()));
        let function = live.function.as_ref().map(|function| ("function", function.arn.clone()));
        named.chain(role).chain(function).collect()
    }

    async fn apply(&self, step: &Step<Op>, context: Context<'_>) -> Result<Option<String>, Problem> {
        apply::apply(&self.clients, &self.want, step, context).await
    }

    fn resources(&self, live: &Live) -> Vec<Resource> {
        show::list_resources(&self.want, live)
    }

    fn notes(&self, live: &Live, verb: Verb) -> Vec<String> {
        let mut notes = note_open_nat(&live.nat_gateways, verb);
        notes.extend(note_delivery(&self.want, live));
        notes.extend(note_other_arch(&self.want, live));
        notes
    }

    fn next(&self, live: &Live) -> Option<String> {
        let made = Side::BOTH.iter().all(|side| find_ours(&self.want, live, *side).is_some());
        (made && live.function.is_none()).then(|| to_line(&self.deploy_command(live, &Package::default())))
    }
}

/// The function's code says what it runs on: another one takes another build.
fn note_other_arch(want: &Want, live: &Live) -> Option<String> {
    let (name, wanted) = (&want.function.name, want.function.arch);
    let other = live.function.as_ref()?.arch.as_deref().filter(|arch| *arch != wanted.as_str())?;
    let flag = if wanted == Arch::Arm { " --arm64" } else { "" };
    Some(format!(
        "{name} is built for {other}, and lab.toml says arch = \"{}\": cargo lambda build --release --package \
         image-processor{flag}, then pipeline-up deploy",
        wanted.as_str()
    ))
}
