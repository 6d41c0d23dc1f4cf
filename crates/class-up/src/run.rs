//! Runs a class: asks, works for many owners at a time, and reports.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};
use lab_common::{Lab, estimate, quote, tells_of_expiry};
use lab_plan::{
    Exit, Ids, Line, Problem, Progress, RATE_FILE, Signals, State, Step, Stop, confirm, print_err, print_out,
    require_someone_to_ask, round_usd, run_steps, to_json,
};
use tokio::sync::watch;

use crate::assume::{assume, hand_over, keep_fresh, write_profiles};
use crate::chain::{Job, Kind, plan_down, plan_status, plan_up, window_jobs};
use crate::child::Desk;
use crate::class::{Student, summarize};
use crate::cli::{Args, Package, Verb};
use crate::complete::find_missing;
use crate::folder::End;
use crate::prepare::{Class, Doors, check_class, group, is_fresh, open_class, open_doors};
use crate::report::{Failure, Outcome, Report, round_seconds};

/// Runs the program as its arguments say.
///
/// # Errors
/// What stopped it before it began to work for anybody. What fails for an owner is in the report.
pub async fn run(args: &Args, signals: Signals) -> Result<Exit, Problem> {
    let stop = Stop::new();
    let passed_on = listen(signals, stop.clone());
    let mut class = open_class(args)?;
    if class.students.is_empty() {
        print_err(&format!("{}: the last run ended well for everybody: nothing to do", class.roster));
        return Ok(Exit::Done);
    }
    let question = make_question(args, &class);
    if let (Some(question), false) = (&question, args.class.yes) {
        require_someone_to_ask(question)?;
    }
    let _held = class.folder.lock()?;
    let doors = open_doors(args, &mut class, &stop).await?;
    check_class(args, &class, &doors, &stop).await?;
    if matches!(args.verb, Verb::Plan { .. }) {
        return show_plan(args, &class, &doors);
    }
    announce(args, &class, &doors);
    if let (Some(question), false) = (&question, args.class.yes) {
        confirm(question, &stop).await?;
    }
    let with_role = class.students.iter().filter(|student| student.role().is_some()).map(Student::owner);
    write_profiles(&class.folder, with_role, doors.sdk.endpoint_url())?;
    let start = Instant::now();
    let programs = find_programs();
    let package = find_package(args, &class, programs.as_deref())?;
    let work = Work { args, class: &class, doors: &doors, stop: &stop, passed_on, programs, package };
    let outcomes = work.for_everybody().await;
    let report = Report::new(class.roster.clone(), args.verb.name(), outcomes, start.elapsed().as_secs_f64(), || {
        repeat_command(args)
    });
    if !matches!(args.verb, Verb::Status { .. }) {
        class.folder.keep_last(report.owners.iter().map(|outcome| (outcome.owner.clone(), outcome.result)))?;
    }
    print_out(&if args.class.json { to_json(&report)? } else { report.to_text() })?;
    Ok(stop.asked().unwrap_or(if report.has_failed() { Exit::Failed } else { Exit::Done }))
}

/// The first signal stops the class; all are passed on to the programs that run.
fn listen(mut signals: Signals, stop: Stop) -> watch::Receiver<Vec<Exit>> {
    let (sender, receiver) = watch::channel(Vec::new());
    tokio::spawn(async move {
        loop {
            let exit = signals.next().await;
            if stop.asked().is_none() {
                stop.ask(exit);
                print_err(
                    "stopping: the programs under way finish their calls, no other owner begins (again to end them at once)",
                );
            }
            sender.send_modify(|all| all.push(exit));
        }
    });
    receiver
}

/// The folder of this program, where the others are too.
fn find_programs() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.to_owned())
}

/// The built function, as the scripts build it beside the programs, and a manifest: `cargo lambda deploy` wants one,
/// wherever the class is worked on.
fn find_package(args: &Args, class: &Class, programs: Option<&Path>) -> Result<Package, Problem> {
    let Verb::Up { package, .. } = &args.verb else { return Ok(Package::default()) };
    if class.students.iter().all(|student| student.part.images.is_none()) {
        return Ok(Package::default());
    }
    let built = programs.and_then(Path::parent).map(|target| target.join("lambda/image-processor/bootstrap"));
    let binary = package.binary.clone().or(built).and_then(|path| std::path::absolute(path).ok());
    let Some(binary) = binary.filter(|path| path.is_file()) else {
        return Err(Problem::usage("the function is not built")
            .fix("cargo lambda build --release --package image-processor, then name it: --binary FILE; scripts/class.sh does both"));
    };
    let manifest = match &package.manifest_path {
        Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
        None => class.folder.write_manifest()?,
    };
    Ok(Package { binary: Some(binary), manifest_path: Some(manifest) })
}

fn usd_of(student: &Student) -> f64 {
    estimate(&student.part).usd_per_hour()
}

/// What must be answered with yes before the class begins.
fn make_question(args: &Args, class: &Class) -> Option<String> {
    let owners: Vec<_> = class.students.iter().map(Student::owner).collect();
    match args.verb {
        Verb::Down { .. } => Some(format!(
            "everything of {} is deleted, also what is in the buckets ({})",
            summarize(&owners),
            count(owners.len(), "owner")
        )),
        Verb::Up { .. } => {
            let sum: f64 = class.students.iter().map(usd_of).sum();
            let limit = class.students.iter().map(|student| student.lab.budget.ask_above).fold(f64::INFINITY, f64::min);
            let what = format!("{} (one lab's [budget] ask_above is ${limit:.2} an hour)", describe_cost(class));
            (sum > limit).then_some(what)
        }
        Verb::Plan { .. } | Verb::Status { .. } => None,
    }
}

/// `30 labs cost up to $4.07 an hour together`
fn describe_cost(class: &Class) -> String {
    let labs = class.students.iter().map(|student| estimate(&student.part));
    let (hour, all) = labs.fold((0.0, 0.0), |(hour, all), one| (hour + one.usd_per_hour(), all + one.usd_expected()));
    let hours = class.students.iter().map(|student| student.lab.budget.hours).fold(0.0, f64::max);
    let (labs, cost, together) = match class.students.len() {
        1 => ("1 lab".to_owned(), "costs", ""),
        more => (format!("{more} labs"), "cost", " together"),
    };
    format!("{labs} {cost} ${hour:.4} an hour{together}, and ${all:.2} in the {hours} hours that [budget] expects")
}

/// `1 owner`, `2 owners`
fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn announce(args: &Args, class: &Class, doors: &Doors) {
    for group in group(class, doors) {
        let owners: Vec<_> = group.students.iter().map(|student| student.owner()).collect();
        print_err(&format!("account {} in {}: {}", group.account, group.region, summarize(&owners)));
    }
    if matches!(args.verb, Verb::Up { .. }) {
        print_err(&format!("{}; estimate: list prices", describe_cost(class)));
    }
    print_err(&format!(
        "{}, at most {} at a time; logs: {}",
        count(class.students.len(), "owner"),
        args.class.at_once,
        class.folder.path("logs").display()
    ));
}

fn show_plan(args: &Args, class: &Class, doors: &Doors) -> Result<Exit, Problem> {
    let outcome =
        |student: &Student| Outcome { usd_per_hour: round_usd(usd_of(student)), ..new_outcome(class, doors, student) };
    let owners: Vec<_> = class.students.iter().map(outcome).collect();
    if args.class.json {
        let sum = round_usd(owners.iter().map(|owner| owner.usd_per_hour).sum());
        let fields = |owner: &Outcome| {
            serde_json::json!({
                "owner": owner.owner, "name": owner.name, "account": owner.account, "region": owner.region,
                "usd_per_hour": owner.usd_per_hour,
            })
        };
        let document = serde_json::json!({
            "roster": class.roster,
            "owners": owners.iter().map(fields).collect::<Vec<_>>(),
            "usd_per_hour": sum,
        });
        print_out(&to_json(&document)?)?;
        return Ok(Exit::Done);
    }
    let width = owners.iter().map(|owner| owner.owner.len()).max().unwrap_or_default();
    let line = |owner: &Outcome| {
        let name = owner.name.as_deref().unwrap_or_default();
        let line = format!(
            "{:width$}  {}  {}  {:.4} $/h  {name}",
            owner.owner, owner.account, owner.region, owner.usd_per_hour
        );
        line.trim_end().to_owned() + "\n"
    };
    print_out(&owners.iter().map(line).collect::<String>())?;
    print_out(&format!("{}\n", describe_cost(class)))?;
    for (owner, problem) in doors.assumed.iter().filter_map(|(owner, got)| Some((owner, got.as_ref().err()?))) {
        print_err(&format!("{owner}: {problem}"));
    }
    let all_open = doors.assumed.values().all(Result::is_ok);
    Ok(if all_open { Exit::Done } else { Exit::Failed })
}

/// The command that goes on where this one stopped.
fn repeat_command(args: &Args) -> String {
    let class = &args.class;
    let path = |path: &PathBuf| path.display().to_string();
    let named = [
        ("--lab", class.lab.as_ref().map(path)),
        (
            "--tasks",
            match class.tasks {
                crate::cli::Tasks::One => Some("1".to_owned()),
                crate::cli::Tasks::Two => Some("2".to_owned()),
                crate::cli::Tasks::Both => None,
            },
        ),
        ("--region", class.region.clone()),
        ("--profile", class.profile.clone()),
        ("--endpoint-url", class.endpoint_url.clone()),
    ];
    let options: String =
        named.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", quote(&value?)))).collect();
    format!("class-up {} {} --failed{options}", args.verb.name(), quote(&path(&args.verb.who().roster)))
}

fn new_outcome(class: &Class, doors: &Doors, student: &Student) -> Outcome {
    Outcome {
        owner: student.owner().to_owned(),
        name: student.entry.name.clone(),
        account: doors.account_of(student).to_owned(),
        region: student.lab.region.clone().unwrap_or_default(),
        result: End::NotStarted,
        seconds: 0.0,
        usd_per_hour: 0.0,
        resources: None,
        missing: Vec::new(),
        failed: Vec::new(),
        log: Some(class.folder.log_of(student.owner()).display().to_string()),
    }
}

/// Variables that would lead an owner's programs past the owner's role.
const OTHER_CREDENTIALS: [&str; 10] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CREDENTIAL_EXPIRATION",
];
/// How often a program of an earlier run is looked for.
const LOOK: Duration = Duration::from_millis(200);

struct Work<'a> {
    args: &'a Args,
    class: &'a Class,
    doors: &'a Doors,
    stop: &'a Stop,
    passed_on: watch::Receiver<Vec<Exit>>,
    programs: Option<PathBuf>,
    package: Package,
}

impl Work<'_> {
    /// Works for at most so many owners at a time; answers in the roster's order.
    async fn for_everybody(&self) -> Vec<Outcome> {
        let progress = Progress::stderr(self.args.class.plain);
        let mut waiting = self.class.students.iter().enumerate();
        let mut running = FuturesUnordered::new();
        let mut outcomes: Vec<_> =
            self.class.students.iter().map(|student| new_outcome(self.class, self.doors, student)).collect();
        let mut goes_on = true;
        loop {
            let free = || goes_on && self.stop.asked().is_none();
            while running.len() < usize::from(self.args.class.at_once) && free() {
                let Some((index, student)) = waiting.next() else { break };
                let line = progress.begin(&student.title(), "");
                running.push(async move { (index, self.for_one(student, line).await) });
            }
            let Some((index, outcome)) = running.next().await else { break };
            // Credentials that have expired for one have for all that use the same.
            let is_expired = |failure: &Failure| tells_of_expiry(&failure.reason);
            goes_on &= self.class.students[index].role().is_some() || !outcome.failed.iter().any(is_expired);
            outcomes[index] = outcome;
        }
        drop(running);
        outcomes
    }

    async fn for_one(&self, student: &Student, line: Line) -> Outcome {
        let start = Instant::now();
        let mut outcome = new_outcome(self.class, self.doors, student);
        let answer = self.work(student, &line, &mut outcome).await;
        if let Err(problem) = answer {
            let reason = problem.to_string().replace('\n', " ");
            let _ = self.class.folder.add_to_log(student.owner(), format!("class-up: {problem}\n").as_bytes());
            outcome.failed.push(Failure { step: "class-up".into(), reason });
            outcome.result = if problem.exit() == Exit::Failed { End::Failed } else { End::Stopped };
        }
        self.class.folder.remove_credentials(student.owner());
        outcome.seconds = round_seconds(start.elapsed().as_secs_f64());
        let failure = outcome.failed.first().map(|failure| Problem::failed(failure.reason.clone()));
        match (outcome.result, failure) {
            (End::Done | End::Incomplete | End::Nothing, _) => line.end(Ok(None)),
            (_, failure) => line.end(Err(&failure.unwrap_or_else(|| Problem::failed("stopped")))),
        }
        outcome
    }

    /// Runs an owner's programs. What they fail at goes into `outcome`.
    async fn work(&self, student: &Student, line: &Line, outcome: &mut Outcome) -> Result<(), Problem> {
        let folder = &self.class.folder;
        let desk = self.open_desk(student, line).await?;
        folder.collect_parts(student.owner());
        let steps = match &self.args.verb {
            Verb::Up { .. } => plan_up(&student.part, &self.package),
            Verb::Down { .. } => plan_down(),
            Verb::Status { .. } | Verb::Plan { .. } => plan_status(),
        };
        let working = self.run_all(&desk, &student.part, &steps, line, outcome);
        match (student.role(), self.doors.assumed.get(student.owner())) {
            (Some(role), Some(assumed)) => {
                let mut credentials = assumed.clone()?;
                if !is_fresh(&credentials) {
                    credentials = assume(&self.doors.sts, student.owner(), role).await?;
                }
                hand_over(folder, student.owner(), &credentials)?;
                let renewing = keep_fresh(&self.doors.sts, folder, student.owner(), role, credentials);
                tokio::select! {
                    () = working => {}
                    never = renewing => match never {},
                }
            }
            _ => working.await,
        }
        outcome.usd_per_hour = match (&self.args.verb, outcome.result) {
            (Verb::Up { .. }, _) => round_usd(usd_of(student)),
            (Verb::Down { .. }, End::Failed | End::Stopped) => round_usd(estimate(&student.lab).usd_per_hour()),
            _ => outcome.usd_per_hour,
        };
        Ok(())
    }

    /// What an owner's programs have in common. Waits until none of an earlier run is at work any more.
    async fn open_desk<'s>(&'s self, student: &'s Student, line: &Line) -> Result<Desk<'s>, Problem> {
        let folder = &self.class.folder;
        let hold = folder.open_hold(student.owner())?;
        loop {
            match hold.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    line.waits_for("a program of an earlier run to end");
                    self.stop.sleep(LOOK).await?;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(Problem::failed("cannot lock the owner's folder").because(error.to_string()));
                }
            }
        }
        let class = &self.args.class;
        let region = student.entry.region.as_ref().or(class.region.as_ref());
        let profile = class.profile.as_ref().filter(|_| student.role().is_none());
        let named = [("--region", region), ("--profile", profile), ("--endpoint-url", class.endpoint_url.as_ref())];
        let options = named.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?.clone()])).flatten();
        Ok(Desk {
            folder,
            owner: student.owner(),
            programs: self.programs.as_deref(),
            options: options.collect(),
            variables: self.list_variables(student),
            unset: if student.role().is_some() { &OTHER_CREDENTIALS } else { &[] },
            hold,
            signals: self.passed_on.clone(),
        })
    }

    fn list_variables(&self, student: &Student) -> Vec<(&'static str, OsString)> {
        let (folder, region) = (&self.class.folder, student.lab.region.clone().unwrap_or_default());
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("LAB_OWNER", student.owner().into()),
            ("LAB_FILE", student.lab_file.clone().into()),
            ("LAB_HOME", folder.home_of(student.owner()).into()),
            (RATE_FILE, folder.rate_file(self.doors.account_of(student), &region).into()),
            ("AWS_REGION", region.into()),
        ];
        // One program may run another, as net-up does with host-up.
        if let Some(programs) = &self.programs {
            let others = std::env::var_os("PATH").unwrap_or_default();
            let all = std::iter::once(programs.clone()).chain(std::env::split_paths(&others));
            variables.extend(std::env::join_paths(all).ok().map(|path| ("PATH", path)));
        }
        if student.role().is_some() {
            variables.push(("AWS_PROFILE", student.owner().into()));
            variables.push(("AWS_CONFIG_FILE", folder.path("aws-config").into()));
            variables.push(("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()));
        }
        variables
    }

    async fn run_all(&self, desk: &Desk<'_>, part: &Lab, steps: &[Step<Job>], line: &Line, outcome: &mut Outcome) {
        let (number, failed) = (Cell::new(0), RefCell::new(Vec::new()));
        let (now, status) = (RefCell::new(Vec::<String>::new()), RefCell::new(None));
        let say = || line.waits_for(&now.borrow().join(", "));
        let apply = async |step: &Step<Job>, _: lab_plan::Context<'_>| {
            now.borrow_mut().push(step.op.title());
            say();
            let done = self.run_one(desk, &step.op, &number, &status).await;
            now.borrow_mut().retain(|title| *title != step.op.title());
            say();
            let Err(problem) = done else { return Ok(None) };
            failed.borrow_mut().push(Failure { step: step.op.title(), reason: problem.what().to_owned() });
            if step.op.kind == Kind::Tried && self.stop.asked().is_none() { Ok(None) } else { Err(problem) }
        };
        let ran = run_steps(steps, &Ids::new(), self.stop, &Progress::silent(), apply).await;
        let all_done = ran.states.iter().all(|state| *state == State::Done);
        outcome.failed = failed.into_inner();
        outcome.result = match (all_done && outcome.failed.is_empty(), self.stop.asked()) {
            (true, _) => End::Done,
            (false, Some(_)) => End::Stopped,
            (false, None) => End::Failed,
        };
        if let Some((resources, usd)) = status.into_inner() {
            outcome.resources = Some(resources.len());
            outcome.usd_per_hour = usd;
            if outcome.result == End::Done && !resources.is_empty() {
                outcome.missing = find_missing(part, &resources);
            }
            outcome.result = match outcome.result {
                End::Done if resources.is_empty() => End::Nothing,
                End::Done if !outcome.missing.is_empty() => End::Incomplete,
                result => result,
            };
        }
    }

    async fn run_one(
        &self,
        desk: &Desk<'_>,
        job: &Job,
        number: &Cell<usize>,
        status: &RefCell<Option<Asked>>,
    ) -> Result<(), Problem> {
        let next = || number.replace(number.get() + 1);
        let jobs = match &job.kind {
            Kind::Window { hosts } => {
                let mut ready = Job { arguments: vec!["status".into()], kind: Kind::Tried, ..job.clone() };
                for host in hosts {
                    ready.arguments.extend(["--check-ready".to_owned(), host.clone()]);
                }
                let ended = desk.run(next(), &ready).await?;
                match ended.code {
                    0 => window_jobs(hosts, true),
                    3 => window_jobs(hosts, false),
                    _ => return Err(Problem::failed(ended.reason)),
                }
            }
            _ => vec![job.clone()],
        };
        for job in jobs {
            let ended = desk.run(next(), &job).await?;
            if ended.code != 0 {
                return Err(Problem::failed(ended.reason));
            }
            if job.kind == Kind::Asked {
                *status.borrow_mut() = Some(read_status(&ended.answer)?);
            }
        }
        Ok(())
    }
}

/// The resources that `lab-status --json` names, and what they cost an hour.
type Asked = (Vec<serde_json::Value>, f64);

fn read_status(answer: &str) -> Result<Asked, Problem> {
    let document: serde_json::Value = serde_json::from_str(answer)
        .map_err(|error| Problem::failed("lab-status answers no JSON").because(error.to_string()))?;
    let resources = document["resources"].as_array().cloned();
    match (resources, document["usd_per_hour"].as_f64()) {
        (Some(resources), Some(usd)) => Ok((resources, usd)),
        _ => Err(Problem::failed("lab-status left out what exists")),
    }
}
