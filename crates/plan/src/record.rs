//! What the last `up` of a program did and when, kept for whoever draws its timeline. Nothing else ever reads it: without
//! it everything works as before.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::chain::{find_longest_chain, resolve_needs};
use crate::private::write_draft;
use crate::{Exit, Heading, Outcome, Problem, State, Step};

/// How the name of a record begins; the program's follows.
const PREFIX: &str = "last-up-";

/// A run of `up` that had something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Which program ran, with the part of it that has steps of its own: `host-up`, `net-up nat`.
    pub program: String,
    /// Which lab.
    #[serde(flatten)]
    pub heading: Heading,
    /// When the first look began, in milliseconds since 1970 in UTC.
    pub started_at: u64,
    /// How long all of it took, in milliseconds: from the first look to the one that found everything as wanted.
    pub took: u64,
    /// How it ended.
    pub end: RunEnd,
    /// Its steps, in the plan's order. The last one is [`RecordedStep::CHECK`] where the run came so far.
    pub steps: Vec<RecordedStep>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunEnd {
    /// Everything is as wanted.
    Done,
    /// A step failed, or the lab did not become as wanted.
    Failed,
    /// The user stopped it.
    Stopped,
}

/// A step of a recorded run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedStep {
    /// `create`, `update` or `delete`; or [`RecordedStep::CHECK`].
    pub action: String,
    /// The kind of resource, as a plan names it. Empty for the check.
    pub kind: String,
    /// The resource's name. For the check, what was waited for last.
    pub name: String,
    /// The role that it makes true, which `needs` speaks of.
    pub role: String,
    /// The roles that it waited for, where steps of this run bear them.
    pub needs: Vec<String>,
    /// How it ended.
    pub state: State,
    /// When it began and ended, in milliseconds since [`RunRecord::started_at`]; `None` where it never began.
    pub time: Option<(u64, u64)>,
}

impl RecordedStep {
    /// The action of the look, or looks, at the end of a run: it needs all steps, and waits for what AWS is still at.
    pub const CHECK: &'static str = "check";
}

impl RunRecord {
    /// The records that programs have left in a lab's folder of this very lab, the oldest first. What cannot be read
    /// counts as absent.
    pub fn read_all(home: &Path, heading: &Heading) -> Vec<Self> {
        let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
        let is_record = |name: &str| name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(".json")).is_some();
        let paths = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_record)).map(|entry| entry.path());
        let records = paths.filter_map(|path| serde_json::from_slice::<Self>(&std::fs::read(path).ok()?).ok());
        let mut records: Vec<_> = records.filter(|record| record.heading == *heading).collect();
        records.sort_by(|one, other| (one.started_at, &one.program).cmp(&(other.started_at, &other.program)));
        records
    }

    /// The steps that decided how long it took, by index, the first one first: each waited for the one before it.
    pub fn longest_chain(&self) -> Vec<usize> {
        find_chain(&self.steps)
    }

    /// Where the record of `program` is kept in a lab's folder.
    pub fn path(home: &Path, program: &str) -> PathBuf {
        home.join(format!("{PREFIX}{}.json", program.replace(' ', "-")))
    }

    /// Puts it in the place of the program's last one: mode 0600, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written; the last one stays then.
    pub fn keep(&self, home: &Path) -> Result<(), Problem> {
        let path = Self::path(home, &self.program);
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(home)?;
            let draft = write_draft(home, &serde_json::to_vec_pretty(self)?)?;
            draft.persist(&path).map_err(|failure| failure.error)?;
            Ok(())
        };
        write().map_err(|error: std::io::Error| {
            Problem::failed(format!("the times of this run are not kept for a report: cannot write {}", path.display()))
                .because(error.to_string())
        })
    }
}

/// A record while its run is under way.
#[derive(Debug)]
pub(crate) struct Recorder {
    started_at: SystemTime,
    start: Instant,
    steps: Vec<RecordedStep>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        Self { started_at: SystemTime::now(), start: Instant::now(), steps: Vec::new() }
    }

    pub(crate) fn add<O>(&mut self, steps: &[Step<O>], outcome: &Outcome) {
        let all = steps.iter().zip(&outcome.states).zip(&outcome.times);
        let start = self.start;
        self.steps.extend(all.map(|((step, state), time)| RecordedStep {
            action: step.action.verb().to_owned(),
            kind: step.kind.to_owned(),
            name: step.name.clone(),
            role: step.role.clone(),
            needs: step.needs.iter().filter(|need| steps.iter().any(|other| other.role == **need)).cloned().collect(),
            state: *state,
            time: time.map(|(begun, ended)| (since(start, begun), since(start, ended))),
        }));
    }

    /// Adds the looks at the end, begun at `start` and over now.
    pub(crate) fn add_check(&mut self, start: Instant, waited_for: String, reached: bool) {
        let mut needs: Vec<String> = Vec::new();
        for step in &self.steps {
            if !needs.contains(&step.role) {
                needs.push(step.role.clone());
            }
        }
        self.steps.push(RecordedStep {
            action: RecordedStep::CHECK.to_owned(),
            kind: String::new(),
            name: waited_for,
            role: RecordedStep::CHECK.to_owned(),
            needs,
            state: if reached { State::Done } else { State::Failed },
            time: Some((since(self.start, start), since(self.start, Instant::now()))),
        });
    }

    /// How long the run has taken so far; and the titles and times of the steps that decided it.
    pub(crate) fn find_chain(&self) -> (Duration, Vec<(String, Duration)>) {
        let chain = find_chain(&self.steps).into_iter().map(|index| &self.steps[index]);
        let chain = chain.map(|step| {
            let (begun, ended) = step.time.unwrap_or_default();
            let is_check = step.action == RecordedStep::CHECK;
            let title = if is_check { step.action.clone() } else { format!("{} {}", step.kind, step.name) };
            (title, Duration::from_millis(ended.saturating_sub(begun)))
        });
        (self.start.elapsed(), chain.collect())
    }

    /// The record, if there was anything to do: a run that only looked leaves the last one in its place.
    pub(crate) fn finish(self, program: &str, heading: &Heading, answer: Result<(), &Problem>) -> Option<RunRecord> {
        let end = match answer.map_err(Problem::exit) {
            Ok(()) => RunEnd::Done,
            Err(Exit::Interrupted | Exit::Terminated) => RunEnd::Stopped,
            Err(_) => RunEnd::Failed,
        };
        let took = since(self.start, Instant::now());
        let is_any = self.steps.iter().any(|step| step.action != RecordedStep::CHECK);
        is_any.then(|| RunRecord {
            program: program.to_owned(),
            heading: heading.clone(),
            started_at: millis(self.started_at.duration_since(UNIX_EPOCH).unwrap_or_default()),
            took,
            end,
            steps: self.steps,
        })
    }
}

fn find_chain(steps: &[RecordedStep]) -> Vec<usize> {
    let ends: Vec<_> = steps.iter().map(|step| step.time.map(|(_, end)| end)).collect();
    find_longest_chain(&ends, &resolve_needs(steps.iter().map(|step| (step.role.as_str(), step.needs.as_slice()))))
}

fn since(start: Instant, moment: Instant) -> u64 {
    millis(moment.duration_since(start))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn record(program: &str, started_at: u64) -> RunRecord {
        let heading = Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
        RunRecord { program: program.into(), heading, started_at, took: 5, end: RunEnd::Done, steps: Vec::new() }
    }

    #[test]
    fn records_come_back_oldest_first_and_only_this_labs() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("lab-ada");
        for (program, at) in [("net-up nat", 3), ("host-up", 2), ("net-up", 1), ("net-up", 4)] {
            record(program, at).keep(&home).unwrap();
        }
        let mut other = record("vpn-setup", 1);
        other.heading.owner = "bob".into();
        other.keep(&home).unwrap();
        std::fs::write(home.join("last-up-half.json"), "{").unwrap();
        let found = RunRecord::read_all(&home, &record("", 0).heading);
        assert_eq!(found, [record("host-up", 2), record("net-up nat", 3), record("net-up", 4)]);
        let mode = std::fs::metadata(home.join("last-up-net-up-nat.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(RunRecord::read_all(Path::new("/nowhere"), &other.heading), []);
    }

    #[test]
    fn a_record_that_cannot_be_written_says_where() {
        let problem = record("net-up", 1).keep(Path::new("/dev/null/lab")).unwrap_err();
        assert!(problem.what().ends_with("cannot write /dev/null/lab/last-up-net-up.json"), "{problem}");
    }
}
