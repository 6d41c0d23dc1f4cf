//! One job of S3 Batch Operations: its states, its progress, and how it is described.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::request::JobRequest;
use crate::sim::{StateTimes, lock};
use crate::xml::Element;

/// The states of a job (S3 user guide, "Tracking job status").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    New,
    Preparing,
    /// It waits for its confirmation.
    Suspended,
    Ready,
    Active,
    Completing,
    Complete,
    Cancelling,
    Cancelled,
    Failing,
    Failed,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Preparing => "Preparing",
            Self::Suspended => "Suspended",
            Self::Ready => "Ready",
            Self::Active => "Active",
            Self::Completing => "Completing",
            Self::Complete => "Complete",
            Self::Cancelling => "Cancelling",
            Self::Cancelled => "Cancelled",
            Self::Failing => "Failing",
            Self::Failed => "Failed",
        }
    }

    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled | Self::Failed)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) total: usize,
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
}

/// A job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) region: String,
    pub(crate) request: JobRequest,
    created: jiff::Timestamp,
    inner: Mutex<Inner>,
    /// Its state has changed.
    pub(crate) changed: tokio::sync::Notify,
}

#[derive(Debug)]
struct Inner {
    status: Status,
    priority: u32,
    progress: Progress,
    reason: Option<String>,
    failure: Option<(String, String)>,
    tags: Vec<Element>,
    ended: Option<jiff::Timestamp>,
    suspended: Option<jiff::Timestamp>,
    /// Since when it has been working, and for how long it had until it ended.
    active_since: Option<Instant>,
    active_for: Duration,
}

impl Job {
    pub(crate) fn new(id: String, arn: String, region: String, request: JobRequest) -> Self {
        let inner = Inner {
            status: Status::New,
            priority: request.priority,
            progress: Progress::default(),
            reason: None,
            failure: None,
            tags: request.tags.clone(),
            ended: None,
            suspended: None,
            active_since: None,
            active_for: Duration::ZERO,
        };
        let created = jiff::Timestamp::now();
        Self { id, arn, region, request, created, inner: Mutex::new(inner), changed: tokio::sync::Notify::new() }
    }

    pub(crate) fn status(&self) -> Status {
        lock(&self.inner).status
    }

    pub(crate) fn priority(&self) -> u32 {
        lock(&self.inner).priority
    }

    pub(crate) fn progress(&self) -> Progress {
        lock(&self.inner).progress
    }

    /// Goes on from `from` to `to`; `false` when it is not in `from` any more.
    pub(crate) fn step(&self, from: Status, to: Status, times: &StateTimes) -> bool {
        let mut inner = lock(&self.inner);
        if inner.status != from {
            return false;
        }
        inner.enter(to, times);
        drop(inner);
        self.changed.notify_waiters();
        true
    }

    /// Ends it as failed, unless it has ended otherwise.
    pub(crate) fn fail(&self, code: &str, reason: &str) {
        let mut inner = lock(&self.inner);
        inner.failure.get_or_insert_with(|| (code.to_owned(), reason.to_owned()));
    }

    pub(crate) fn set_reason(&self, reason: Option<String>) {
        lock(&self.inner).reason = reason;
    }

    pub(crate) fn set_priority(&self, priority: u32) {
        lock(&self.inner).priority = priority;
    }

    pub(crate) fn set_total(&self, total: usize) {
        lock(&self.inner).progress.total = total;
    }

    /// Counts a task that has ended.
    pub(crate) fn count(&self, has_failed: bool) {
        let progress = &mut lock(&self.inner).progress;
        if has_failed { progress.failed += 1 } else { progress.succeeded += 1 }
    }

    pub(crate) fn tags(&self) -> Vec<Element> {
        lock(&self.inner).tags.clone()
    }

    pub(crate) fn set_tags(&self, tags: Vec<Element>) {
        lock(&self.inner).tags = tags;
    }

    /// The `Job` of a description.
    pub(crate) fn describe(&self, times: &StateTimes) -> Element {
        let inner = lock(&self.inner);
        let mut job = Element::new("Job");
        let mut add = |name: &str, text: &str| job.push(Element::with_text(name, text));
        add("JobId", &self.id);
        add("ConfirmationRequired", if self.request.needs_confirmation { "true" } else { "false" });
        add("JobArn", &self.arn);
        inner.add_common(&mut job, self.created);
        if let Some(suspended) = inner.suspended {
            job.push(Element::with_text("SuspendedDate", &suspended.to_string()));
            job.push(Element::with_text("SuspendedCause", "Awaiting confirmation"));
        }
        if let Some(reason) = &inner.reason {
            job.push(Element::with_text("StatusUpdateReason", reason));
        }
        if let Some((code, reason)) = &inner.failure {
            let mut member = Element::new("member");
            member.push(Element::with_text("FailureCode", code));
            member.push(Element::with_text("FailureReason", reason));
            let mut reasons = Element::new("FailureReasons");
            reasons.push(member);
            job.push(reasons);
        }
        job.push(inner.describe_progress(times));
        for shown in &self.request.shown {
            job.push(shown.clone());
        }
        job
    }

    /// The job as a member of a list.
    pub(crate) fn summarize(&self, times: &StateTimes) -> Element {
        let inner = lock(&self.inner);
        let mut job = Element::new("member");
        job.push(Element::with_text("JobId", &self.id));
        if let Some(description) = self.request.shown.iter().find(|element| element.name == "Description") {
            job.push(description.clone());
        }
        job.push(Element::with_text("Operation", "LambdaInvoke"));
        inner.add_common(&mut job, self.created);
        job.push(inner.describe_progress(times));
        job
    }
}

impl Inner {
    fn enter(&mut self, status: Status, times: &StateTimes) {
        self.status = status;
        match status {
            Status::Suspended => self.suspended = Some(jiff::Timestamp::now()),
            Status::Active => self.active_since = Some(times.now()),
            Status::Completing | Status::Cancelling | Status::Failing => {
                self.active_for = self.active_time(times);
                self.active_since = None;
            }
            _ if status.is_over() => self.ended = Some(jiff::Timestamp::now()),
            _ => {}
        }
    }

    fn active_time(&self, times: &StateTimes) -> Duration {
        self.active_for + self.active_since.map(|since| times.since(since)).unwrap_or_default()
    }

    fn add_common(&self, job: &mut Element, created: jiff::Timestamp) {
        job.push(Element::with_text("Status", self.status.name()));
        job.push(Element::with_text("Priority", &self.priority.to_string()));
        job.push(Element::with_text("CreationTime", &created.to_string()));
        if let Some(ended) = self.ended {
            job.push(Element::with_text("TerminationDate", &ended.to_string()));
        }
    }

    fn describe_progress(&self, times: &StateTimes) -> Element {
        let mut summary = Element::new("ProgressSummary");
        let Progress { total, succeeded, failed } = self.progress;
        for (name, number) in
            [("TotalNumberOfTasks", total), ("NumberOfTasksSucceeded", succeeded), ("NumberOfTasksFailed", failed)]
        {
            summary.push(Element::with_text(name, &number.to_string()));
        }
        let mut spent = Element::new("Timers");
        let seconds = self.active_time(times).as_secs().to_string();
        spent.push(Element::with_text("ElapsedTimeInActiveSeconds", &seconds));
        summary.push(spent);
        summary
    }
}
