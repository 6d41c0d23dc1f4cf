//! What is run for one owner, and in which order. Pure.
//!
//! The programs of an owner that do not need each other run at the same time; what they share, AWS's names and tags keep
//! apart. `down` goes on whatever fails, as `scripts/down.sh` does: whoever stands in the way is named by `net-up`.

use lab_common::Lab;
use lab_plan::{Action, Step};

use crate::class::split_hosts;
use crate::cli::Package;

/// One program of the lab with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) program: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) kind: Kind,
}

/// How a job is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It must end well for what needs it.
    Needed,
    /// What needs it goes on all the same.
    Tried,
    /// Private hosts: a NAT window only for those that are not set up yet.
    Window { hosts: Vec<String> },
    /// Its stdout is one JSON document that we read.
    Asked,
}

impl Job {
    fn new(program: &'static str, arguments: &[&str]) -> Self {
        Self { program, arguments: arguments.iter().map(|word| (*word).to_owned()).collect(), kind: Kind::Needed }
    }

    /// `host-up up public`, as people know it.
    pub(crate) fn title(&self) -> String {
        let words = self.arguments.iter().take_while(|word| !word.starts_with('-') || *word == "--");
        std::iter::once(self.program.to_owned()).chain(words.cloned()).collect::<Vec<_>>().join(" ")
    }
}

fn step(role: &str, needs: &[&str], job: Job) -> Step<Job> {
    Step::new(Action::Create, "program", role, job.title(), job).needs(needs.iter().copied())
}

/// The programs that make the wanted part of a lab.
pub(crate) fn plan_up(part: &Lab, package: &Package) -> Vec<Step<Job>> {
    let mut steps = vec![step("network", &[], Job::new("net-up", &["up", "--yes"]))];
    let (public, private) = split_hosts(part);
    if !public.is_empty() {
        let mut job = Job::new("host-up", &["up"]);
        job.arguments.extend(public.iter().cloned());
        job.arguments.push("--yes".into());
        steps.push(step("public hosts", &["network"], job));
    }
    if !private.is_empty() {
        // Key pair, role and profile are the lab's: one program at a time makes them.
        let job = Job { kind: Kind::Window { hosts: private }, ..Job::new("host-up", &["up"]) };
        steps.push(step("private hosts", &["network", "public hosts"], job));
    }
    if part.images.is_some() {
        steps.push(step("pipeline", &[], Job::new("pipeline-up", &["up", "--yes"])));
        let mut deploy = Job::new("pipeline-up", &["deploy"]);
        for (flag, path) in [("--binary", &package.binary), ("--manifest-path", &package.manifest_path)] {
            deploy.arguments.extend(path.iter().flat_map(|path| [flag.to_owned(), path.display().to_string()]));
        }
        steps.push(step("function", &["pipeline"], deploy));
        steps.push(step("trigger", &["function"], Job::new("pipeline-up", &["up", "--yes"])));
        steps.push(step("picture", &["trigger"], Job::new("upload-sample-image", &["--wait"])));
    }
    if part.vpn.is_some() {
        steps.push(step("vpn", &["network"], Job::new("vpn-setup", &["up", "--yes"])));
    }
    steps
}

/// The programs that take a whole lab down, and the one that says whether anything is left.
pub(crate) fn plan_down() -> Vec<Step<Job>> {
    let tried = |program, words: &[&str]| Job { kind: Kind::Tried, ..Job::new(program, words) };
    vec![
        step("vpn", &[], tried("vpn-setup", &["down", "--yes"])),
        step("window", &[], tried("net-up", &["nat", "close", "--yes"])),
        step("hosts", &[], tried("host-up", &["down", "--yes"])),
        step("pipeline", &[], tried("pipeline-up", &["down", "--yes"])),
        step("network", &["vpn", "window", "hosts", "pipeline"], tried("net-up", &["down", "--yes"])),
        step("leaks", &["network"], Job::new("lab-status", &["leaks"])),
    ]
}

/// The program that says what is there.
pub(crate) fn plan_status() -> Vec<Step<Job>> {
    vec![step("status", &[], Job { kind: Kind::Asked, ..Job::new("lab-status", &["--json"]) })]
}

/// What is run for private hosts. `is_ready` is whether all are set up already; then a window that a killed run left
/// behind is closed.
pub(crate) fn window_jobs(hosts: &[String], is_ready: bool) -> Vec<Job> {
    let mut up: Vec<String> = vec!["up".into()];
    up.extend(hosts.iter().cloned());
    up.extend(["--wait-ready", "--yes"].map(str::to_owned));
    if is_ready {
        let up = Job { program: "host-up", arguments: up, kind: Kind::Needed };
        return vec![Job::new("net-up", &["nat", "close", "--yes"]), up];
    }
    let mut arguments: Vec<String> = ["nat", "--yes", "--", "host-up"].map(str::to_owned).into();
    arguments.extend(up);
    vec![Job { program: "net-up", arguments, kind: Kind::Needed }]
}

/// A job's words with the options that name lab and account; a command behind two dashes gets them too.
pub(crate) fn add_options(arguments: &[String], options: &[String]) -> Vec<String> {
    let dashes = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (own, command) = arguments.split_at(dashes);
    let mut words = [own, options].concat();
    if !command.is_empty() {
        words.extend_from_slice(command);
        words.extend_from_slice(options);
    }
    words
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;

    fn lab() -> Lab {
        read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
    }

    #[test]
    fn the_whole_lab_is_what_the_scripts_do_with_independent_parts_side_by_side() {
        let steps = plan_up(&lab(), &Package::default());
        let needs = |role: &str| {
            let step = steps.iter().find(|step| step.role == role).unwrap_or_else(|| panic!("{role} is missing"));
            step.needs.clone()
        };
        assert!(needs("network").is_empty() && needs("pipeline").is_empty());
        assert_eq!(needs("vpn"), ["network"]);
        assert_eq!(needs("private hosts"), ["network", "public hosts"]);
        assert_eq!(needs("picture"), ["trigger"]);
        assert_eq!(steps.iter().filter(|step| step.name == "host-up up public").count(), 1);
    }

    #[test]
    fn down_takes_the_network_last_and_ends_with_the_leaks() {
        let steps = plan_down();
        let last: Vec<_> = steps.iter().rev().take(2).map(|step| step.name.as_str()).collect();
        assert_eq!(last, ["lab-status leaks", "net-up down"]);
        assert!(steps[..5].iter().all(|step| step.op.kind == Kind::Tried));
    }

    #[test]
    fn a_window_is_opened_only_for_hosts_that_are_not_set_up() {
        let options = ["--region".to_owned(), "eu-west-1".to_owned()];
        let lines = |is_ready: bool| {
            let jobs = window_jobs(&["private".to_owned()], is_ready);
            let line = |job: &Job| format!("{} {}", job.program, add_options(&job.arguments, &options).join(" "));
            jobs.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(false),
            ["net-up nat --yes --region eu-west-1 -- host-up up private --wait-ready --yes --region eu-west-1"]
        );
        assert_eq!(
            lines(true),
            ["net-up nat close --yes --region eu-west-1", "host-up up private --wait-ready --yes --region eu-west-1"]
        );
    }
}
