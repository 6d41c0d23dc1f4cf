//! What all parts of a running lab-sim share.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::acm::AcmOverlay;
use crate::calls::CallLog;
use crate::ec2::Ec2Overlay;
use crate::faults::rules::FaultBook;
use crate::lambda::LambdaHost;
use crate::late::LateBook;
use crate::moto::MotoClient;
use crate::quotas::Quota;
use crate::s3::S3Overlay;
use crate::s3control::S3ControlOverlay;
use crate::session::SessionEnd;
use crate::sqs::SqsOverlay;
use crate::tagging::TagMemory;

/// One account of a running local AWS. What accounts have in common is behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Sim {
    /// Its 12 digits.
    pub(crate) account: String,
    pub(crate) moto: MotoClient,
    /// `http://127.0.0.1:PORT`, as the command and the functions see it.
    pub(crate) endpoint: String,
    pub(crate) times: Arc<StateTimes>,
    pub(crate) disabled_regions: Vec<String>,
    /// Whom `GetCallerIdentity` names instead of moto's user.
    pub(crate) caller_arn: Option<String>,
    /// Values of quotas that are not a new account's.
    pub(crate) quotas: Vec<Quota>,
    /// How far ahead AWS's clock is, in seconds.
    pub(crate) clock_skew: i64,
    /// When the command's credentials end, where they do.
    pub(crate) session_end: Option<SessionEnd>,
    pub(crate) calls: Arc<CallLog>,
    pub(crate) faults: Arc<Mutex<FaultBook>>,
    /// The process group (or, on a terminal, the process) of the command.
    pub(crate) command: Arc<Mutex<Option<CommandId>>>,
    pub(crate) lambda: LambdaHost,
    pub(crate) s3: S3Overlay,
    pub(crate) s3control: S3ControlOverlay,
    pub(crate) ec2: Ec2Overlay,
    pub(crate) sqs: SqsOverlay,
    pub(crate) acm: AcmOverlay,
    pub(crate) late: LateBook,
    pub(crate) tag_memory: TagMemory,
    /// Something in the network may have changed: who builds a picture of it looks again.
    pub(crate) changed: Arc<tokio::sync::Notify>,
}

/// What every account begins with.
#[derive(Debug, Clone)]
pub(crate) struct AccountSeed {
    pub(crate) functions: PathBuf,
    pub(crate) concurrency: u32,
    pub(crate) foreign_buckets: Vec<String>,
    pub(crate) my_ip: Ipv4Addr,
    /// In seconds.
    pub(crate) tag_memory: u64,
}

/// How a signal reaches the command.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CommandId {
    /// It leads a process group of its own.
    Group(rustix::process::Pid),
    /// It shares ours, so that it can read from the terminal.
    Process(rustix::process::Pid),
}

impl CommandId {
    /// Sends a signal; a command that has ended already needs none.
    pub(crate) fn send(self, signal: rustix::process::Signal) {
        let _ = match self {
            Self::Group(leader) => rustix::process::kill_process_group(leader, signal),
            Self::Process(process) => rustix::process::kill_process(process, signal),
        };
    }
}

impl Sim {
    /// An account of its own, with nothing in it, beside this one.
    pub(crate) fn new_account(&self, account: &str, seed: &AccountSeed) -> Self {
        Self {
            account: account.to_owned(),
            moto: self.moto.for_account(account),
            endpoint: self.endpoint.clone(),
            times: Arc::clone(&self.times),
            disabled_regions: self.disabled_regions.clone(),
            caller_arn: None,
            quotas: self.quotas.clone(),
            clock_skew: self.clock_skew,
            // The command's own session; that of a role has an end of its own.
            session_end: None,
            calls: Arc::clone(&self.calls),
            faults: Arc::clone(&self.faults),
            command: Arc::clone(&self.command),
            lambda: LambdaHost::new(seed.functions.join(account), seed.concurrency),
            s3: S3Overlay::new(seed.foreign_buckets.clone()),
            ec2: Ec2Overlay::new(seed.my_ip),
            s3control: S3ControlOverlay::default(),
            sqs: SqsOverlay::default(),
            acm: AcmOverlay::default(),
            late: LateBook::default(),
            tag_memory: TagMemory::new(seed.tag_memory),
            changed: Arc::clone(&self.changed),
        }
    }

    /// Forgets every resource, call and rule: a new account, in the same process.
    pub(crate) async fn reset(&self) {
        self.lambda.reset().await;
        self.s3.reset();
        self.sqs.reset();
        self.s3control.reset(self);
        self.ec2.reset().await;
        self.acm.reset();
        self.late.reset();
        self.tag_memory.reset();
        self.moto.reset().await;
        self.faults().clear();
        self.calls.clear();
        self.changed.notify_one();
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultBook> {
        lock(&self.faults)
    }
}

/// Locks; what a panicking holder left behind is still the truth here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long AWS takes, times a scale, and a clock for it that a test can put forward.
#[derive(Debug)]
pub(crate) struct StateTimes {
    scale: f64,
    ahead: Mutex<Duration>,
}

impl StateTimes {
    /// `scale` is from 0 to 1.
    pub(crate) fn new(scale: f64) -> Self {
        Self { scale, ahead: Mutex::default() }
    }

    /// The time by which states change.
    pub(crate) fn now(&self) -> Instant {
        Instant::now() + *lock(&self.ahead)
    }

    /// How long ago `then` was.
    pub(crate) fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }

    /// Puts the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        *lock(&self.ahead) += by;
    }

    fn scaled(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.scale)
    }

    /// `pending` → `running`.
    pub(crate) fn instance_start(&self) -> Duration {
        self.scaled(20.0)
    }

    /// From the launch until both status checks have passed.
    pub(crate) fn status_checks(&self) -> Duration {
        self.scaled(120.0)
    }

    /// From the launch until the console shows the end of cloud-init.
    pub(crate) fn cloud_init(&self) -> Duration {
        self.scaled(180.0)
    }

    /// From the launch until `GetConsoleOutput` shows the console without `Latest`.
    pub(crate) fn console_snapshot(&self) -> Duration {
        self.scaled(3600.0)
    }

    /// `shutting-down` → `terminated`, and `stopping` → `stopped`.
    pub(crate) fn instance_end(&self) -> Duration {
        self.scaled(40.0)
    }

    /// A NAT gateway's `pending` → `available`.
    pub(crate) fn nat_start(&self) -> Duration {
        self.scaled(90.0)
    }

    /// A NAT gateway's `deleting` → `deleted`.
    pub(crate) fn nat_end(&self) -> Duration {
        self.scaled(60.0)
    }

    /// A Client VPN endpoint's `deleting`, until it is gone.
    pub(crate) fn vpn_endpoint_end(&self) -> Duration {
        self.scaled(60.0)
    }

    /// A Client VPN association's `associating` → `associated`.
    pub(crate) fn vpn_association_start(&self) -> Duration {
        self.scaled(360.0)
    }

    /// A Client VPN association's `disassociating` → `disassociated`.
    pub(crate) fn vpn_association_end(&self) -> Duration {
        self.scaled(240.0)
    }

    /// How long a `disassociated` association is still shown.
    pub(crate) fn vpn_association_trace(&self) -> Duration {
        self.scaled(60.0)
    }

    /// A Client VPN route's `creating` → `active`.
    pub(crate) fn vpn_route_start(&self) -> Duration {
        self.scaled(90.0)
    }

    /// A Client VPN route's `deleting`, until it is gone.
    pub(crate) fn vpn_route_end(&self) -> Duration {
        self.scaled(60.0)
    }

    /// An authorization rule's `authorizing` → `active`.
    pub(crate) fn vpn_rule_start(&self) -> Duration {
        self.scaled(30.0)
    }

    /// An authorization rule's `revoking`, until it is gone.
    pub(crate) fn vpn_rule_end(&self) -> Duration {
        self.scaled(20.0)
    }

    /// A revocation list's `pending` → `active`.
    pub(crate) fn vpn_crl(&self) -> Duration {
        self.scaled(60.0)
    }

    /// A new or changed function's `Pending` or `InProgress`.
    pub(crate) fn function_ready(&self) -> Duration {
        self.scaled(2.0)
    }

    /// What takes AWS so many seconds.
    pub(crate) fn aws_seconds(&self, seconds: u64) -> Duration {
        Duration::from_secs(seconds).mul_f64(self.scale)
    }

    /// From a queue's deletion until another may have its name.
    pub(crate) fn queue_name_free(&self) -> Duration {
        self.scaled(60.0)
    }

    /// An event source mapping's `Creating`, `Updating`, … and `Deleting`.
    pub(crate) fn mapping_change(&self) -> Duration {
        self.scaled(30.0)
    }

    /// Before the `retry`-th repetition of an asynchronous invocation, counted from 1.
    pub(crate) fn retry_delay(&self, retry: u32) -> Duration {
        self.scaled(60.0 * f64::from(retry))
    }
}
