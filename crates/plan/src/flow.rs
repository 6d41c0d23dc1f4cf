//! Up, plan, status and down, written once for every concern.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::ask::{confirm, require_someone_to_ask, require_someone_to_ask_about};
use crate::problem::names_program;
use crate::program::{print_out, to_json};
use crate::record::Recorder;
use crate::report::{FailureDocument, PlanDocument, StatusDocument, list_changed};
use crate::show::{show_failure, show_plan, show_status, show_summary, show_usd};
use crate::{
    Budget, Changed, Context, Cost, Exit, Heading, Ids, Look, Outcome, Pace, Plan, Problem, Progress, Resource, Step,
    Stop, Usual, run_steps, sum_usd, wait_for,
};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Make it true.
    Up,
    /// Say what `up` would do.
    Plan {
        /// End with [`Exit::Changes`] when there is something to do.
        check: bool,
    },
    /// Say what is there.
    Status,
    /// Take it away.
    Down,
}

/// What a run works towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Everything that lab.toml wants is there.
    Up,
    /// Nothing of ours is left.
    Down,
}

/// Things on their way to the goal that no call of ours can hasten, each in a few words (`lab-public-ec2 is pending`).
pub type Settling = Vec<String>;

/// How a verb is to be carried out.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "four answers that do not depend on each other")]
pub struct Request {
    /// Which lab.
    pub heading: Heading,
    /// The program's name, with the part of it that has steps of its own (`net-up nat`).
    pub program: String,
    /// The lab's folder on this machine, where a record of the last `up` is kept; `None` keeps none.
    pub home: Option<PathBuf>,
    /// One JSON document on stdout instead of text.
    pub json: bool,
    /// Nothing on stdout: it is somebody else's.
    pub quiet: bool,
    /// One line an event, words instead of signs, nothing drawn: for a screen reader.
    pub plain: bool,
    /// All questions are answered with yes.
    pub yes: bool,
    /// What is asked before money is spent.
    pub budget: Budget,
    /// Where the prices come from, in a few words.
    pub prices: String,
    /// The options that name this lab in another command, each with a blank before it (` --lab hol02 --owner ada`).
    pub options: String,
    /// The command that continues this run.
    pub again: String,
    /// The command that takes down what this run made.
    pub down: String,
}

/// One concern of a lab: what it wants, what is there, and how a step is carried out.
///
/// All but `observe` and `apply` are pure; `observe` only reads.
#[allow(async_fn_in_trait, reason = "all programs run on one thread; no future is sent anywhere")]
pub trait Concern {
    /// What was observed.
    type Live;
    /// What one step does.
    type Op;

    /// Reads what exists, in as few rounds of calls as possible.
    async fn observe(&self) -> Result<Self::Live, Problem>;

    /// The steps from what is there to what is wanted; or everything that forbids it.
    fn plan(&self, live: &Self::Live) -> Result<Plan<Self::Op>, Vec<Problem>>;

    /// In what `live` differs from what is wanted, whatever forbids a plan: only to be shown, never applied.
    fn compare(&self, live: &Self::Live) -> Plan<Self::Op> {
        self.plan(live).unwrap_or_default()
    }

    /// The steps that remove all of ours; or everything of others that stands in the way.
    fn teardown(&self, live: &Self::Live) -> Result<Plan<Self::Op>, Vec<Problem>>;

    /// What is on its way to `goal`.
    ///
    /// # Errors
    /// When something has gone a way from which it will not come back.
    fn settling(&self, live: &Self::Live, goal: Goal) -> Result<Settling, Problem> {
        let _ = (live, goal);
        Ok(Settling::new())
    }

    /// How long `settling` usually takes, where something of `live` is to be awaited.
    fn usual(&self, live: &Self::Live, goal: Goal) -> Option<Usual> {
        let _ = (live, goal);
        None
    }

    /// How long `settling` may take.
    fn pace(&self) -> Pace {
        // Longer than what was done may take to be seen, or nobody would be told that it is undone.
        Pace { deadline: VISIBLE * 2, ..Pace::MOMENT }
    }

    /// Looks at what may forbid any change, such as credentials that are about to expire. Runs once, at the same time as
    /// the first `observe` of an `up`, and makes at most one call.
    ///
    /// # Errors
    /// When nothing should be changed.
    async fn look_around(&self) -> Result<(), Problem> {
        Ok(())
    }

    /// What may lie behind a first look that failed, such as a wrong clock: known without a further call.
    fn suspect(&self) -> Option<Problem> {
        None
    }

    /// What `look_around` and the first `observe` say to the changes of `plan`: notes for the user.
    ///
    /// # Errors
    /// When they must not be made: nothing has been changed yet.
    fn judge(&self, live: &Self::Live, plan: &Plan<Self::Op>) -> Result<Vec<String>, Problem> {
        let _ = (live, plan);
        Ok(Vec::new())
    }

    /// What the concern costs when everything that lab.toml wants of it is there. Known without a call.
    fn full_cost(&self) -> Cost {
        Cost::default()
    }

    /// The ids of what was observed, by role.
    fn ids(&self, live: &Self::Live) -> Ids;

    /// Carries out one step; answers with the id of what it made or changed.
    async fn apply(&self, step: &Step<Self::Op>, context: Context<'_>) -> Result<Option<String>, Problem>;

    /// What exists, for people and programs.
    fn resources(&self, live: &Self::Live) -> Vec<Resource>;

    /// What the user should know besides: something that is about to expire, or that costs and is easily forgotten.
    /// `verb` is what the user asked for: `status` may say more than `up`.
    fn notes(&self, live: &Self::Live, verb: Verb) -> Vec<String> {
        let _ = (live, verb);
        Vec::new()
    }

    /// How `status` ends: with [`Exit::Changes`] where the user asked whether something is complete, and it is not.
    ///
    /// # Errors
    /// When it will never be.
    fn verdict(&self, live: &Self::Live) -> Result<Exit, Problem> {
        let _ = live;
        Ok(Exit::Done)
    }

    /// The command of another program that this concern waits for before it can be complete.
    fn next(&self, live: &Self::Live) -> Option<String> {
        let _ = live;
        None
    }
}

/// Carries out `verb` and prints its answer on stdout.
///
/// # Errors
/// What stopped it, ready to be shown; what was done before is named in it.
pub async fn run_verb<C: Concern>(concern: &C, verb: Verb, request: &Request, stop: &Stop) -> Result<Exit, Problem> {
    let run = Run {
        concern,
        verb,
        request,
        stop,
        progress: Progress::stderr(request.plain),
        changed: RefCell::default(),
        usd_per_hour: Cell::default(),
        said: RefCell::default(),
        recorder: RefCell::new(Recorder::start()),
    };
    let answer = match verb {
        // Boxed: a program's whole run is one future, and the compiler nests types only so deep.
        Verb::Up => run.record(Box::pin(run.change(Goal::Up))).await,
        Verb::Down => run.change(Goal::Down).await,
        Verb::Plan { check } => run.plan(check).await,
        Verb::Status => run.status().await,
    };
    let answer = answer.map_err(|problem| problem.with_options(&request.options));
    answer.inspect_err(|problem| run.print_failure(problem))
}

/// Answers `status` and `down` where the lab does not have the concern at all: nothing is there, nothing was changed.
///
/// # Errors
/// When stdout cannot be written to.
pub fn answer_nothing(request: &Request, verb: Verb) -> Result<Exit, Problem> {
    let changed: Option<&[Changed]> = (verb == Verb::Down).then_some(&[]);
    let heading = &request.heading;
    print(request.json, &StatusDocument::new(heading, &[], changed, None, &[]), || {
        show_status(Look::of_stdout(request.plain), heading, &[], "")
    })?;
    Ok(Exit::Done)
}

fn print(json: bool, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Problem> {
    print_out(&if json { to_json(document)? } else { text() })
}

/// How long what was done may take to be seen. AWS's guides say seconds, and for IAM up to a minute.
const VISIBLE: Duration = Duration::from_secs(90);

/// For how long something must be left to do that was not before, until it is done: a thing that has just been changed may
/// be seen as it was for a second or two.
const STAYS: Duration = Duration::from_secs(3);

/// Plans that one run carries out. A second one is rare, and more than two mean that somebody else is at work.
const MOST_PLANS: usize = 4;

/// Everything was done, and is not there: time does not heal that.
fn undone<O>(steps: &[Step<O>]) -> Problem {
    let titles: Vec<_> = steps.iter().map(Step::title).collect();
    Problem::failed(format!("done, but not there after {} s: {}", VISIBLE.as_secs(), titles.join(", ")))
        .because("another run or somebody else may have undone it at the same moment")
        .fix("run the same command again")
}

/// The steps that a run has carried out, by role.
#[derive(Debug, Default)]
struct Applied {
    roles: BTreeSet<String>,
    plans: usize,
}

impl Applied {
    fn note<O>(&mut self, steps: &[Step<O>]) {
        self.roles.extend(steps.iter().map(|step| step.role.clone()));
        self.plans += 1;
    }

    /// Whether a step is still to be carried out. In the end none is: somebody works against us.
    fn misses(&self, role: &str) -> bool {
        self.plans < MOST_PLANS && !self.roles.contains(role)
    }
}

struct Run<'a, C> {
    concern: &'a C,
    verb: Verb,
    request: &'a Request,
    stop: &'a Stop,
    progress: Progress,
    /// What this run has changed so far.
    changed: RefCell<Vec<Changed>>,
    /// What the concern costs once the plan is applied.
    usd_per_hour: Cell<f64>,
    /// Notes that were said before anything was changed.
    said: RefCell<Vec<String>>,
    /// What was done when.
    recorder: RefCell<Recorder>,
}

impl<C: Concern> Run<'_, C> {
    async fn plan(&self, check: bool) -> Result<Exit, Problem> {
        let live = self.observe().await?;
        let plan = self.make_plan(&live, Goal::Up)?;
        let heading = &self.request.heading;
        let next = self.concern.next(&live);
        let mut notes = self.concern.notes(&live, self.verb);
        let questions = self.list_questions(&plan, Goal::Up).into_iter();
        notes.extend(questions.map(|question| format!("`up` will ask: {question}")));
        self.print(&PlanDocument::new(heading, &plan, next.as_deref(), &notes), || {
            show_plan(self.look(), heading, &plan, &self.request.prices)
        })?;
        self.say_notes(&notes);
        self.say_next(next.as_deref());
        Ok(if check && !plan.is_empty() { Exit::Changes } else { Exit::Done })
    }

    async fn status(&self) -> Result<Exit, Problem> {
        let live = self.observe().await?;
        let verdict = self.concern.verdict(&live)?;
        self.print_status(&live, None, Goal::Up)?;
        Ok(verdict)
    }

    async fn change(&self, goal: Goal) -> Result<Exit, Problem> {
        let live = match goal {
            Goal::Up => {
                self.require_someone_to_ask_about_money()?;
                self.stop
                    .or(self.progress.reading(self.observe_all()))
                    .await
                    .map_err(|problem| self.add_suspect(problem))?
            }
            Goal::Down => {
                self.require_someone_to_ask("taking the lab down deletes things")?;
                self.observe().await?
            }
        };
        let plan = self.make_plan(&live, goal)?;
        self.usd_per_hour.set(plan.usd_per_hour);
        if plan.is_empty() && self.concern.settling(&live, goal)?.is_empty() {
            self.progress.say(&self.nothing_to_do(goal, plan.unchanged));
            self.print_status(&live, Some(&[]), goal)?;
            return Ok(Exit::Done);
        }
        if !plan.is_empty() {
            self.say_plan(&plan);
            if goal == Goal::Up {
                let mut notes = self.concern.judge(&live, &plan)?;
                if self.request.yes {
                    let agreed = self.list_questions(&plan, goal).into_iter();
                    notes.extend(agreed.map(|question| format!("agreed to by --yes: {question}")));
                }
                self.say_notes(&notes);
                self.said.replace(notes);
            }
        }
        let live = self.reach(live, plan, goal).await?;
        self.sum_up(&live);
        self.print_status(&live, Some(&self.changed.borrow()), goal)?;
        Ok(Exit::Done)
    }

    /// Applies `plan`, and what turns out to be left to do when it is done: another run, or somebody, may have made or
    /// undone something since.
    async fn reach(&self, mut live: C::Live, mut plan: Plan<C::Op>, goal: Goal) -> Result<C::Live, Problem> {
        let mut applied = Applied::default();
        loop {
            if !plan.is_empty() {
                self.confirm(&plan, goal).await?;
                let outcome = self.apply(&plan, &live).await;
                self.recorder.borrow_mut().add(&plan.steps, &outcome);
                self.changed.borrow_mut().extend(list_changed(&plan.steps, &outcome));
                if !outcome.is_complete() {
                    return Err(self.failure(&plan, &outcome, goal));
                }
                applied.note(&plan.steps);
            }
            match self.settle(goal, &applied).await.map_err(|problem| self.unsettled(&problem, goal))? {
                (settled, None) => return Ok(settled),
                (seen, Some(more)) => (live, plan) = (seen, more),
            }
            self.say_plan(&plan);
        }
    }

    fn say_plan(&self, plan: &Plan<C::Op>) {
        let look = Look::of_stderr(self.request.plain);
        self.progress.show(show_plan(look, &self.request.heading, plan, &self.request.prices).trim_end());
    }

    /// Keeps a record of a run that had something to do. That it could not be kept is no failure of the run.
    async fn record(&self, run: impl Future<Output = Result<Exit, Problem>>) -> Result<Exit, Problem> {
        let answer = run.await;
        let recorder = self.recorder.replace(Recorder::start());
        let record = recorder.finish(&self.request.program, &self.request.heading, answer.as_ref().map(|_| ()));
        if let (Some(record), Some(home)) = (record, &self.request.home)
            && let Err(problem) = record.keep(home)
        {
            self.progress.say(&format!("note: {problem}"));
        }
        answer
    }

    /// The first look of `up`, and at the same time what must be known before anything is changed.
    async fn observe_all(&self) -> Result<C::Live, Problem> {
        // Looked around is first: credentials that have expired are told without a call.
        let ((), live) = tokio::try_join!(biased; self.concern.look_around(), self.concern.observe())?;
        Ok(live)
    }

    /// Puts what may lie behind a failed first look in front of it.
    fn add_suspect(&self, problem: Problem) -> Problem {
        let suspect = self.concern.suspect().filter(|_| problem.exit() == Exit::Failed);
        suspect.and_then(|suspect| Problem::all(&[suspect, problem.clone()])).unwrap_or(problem)
    }

    async fn observe(&self) -> Result<C::Live, Problem> {
        self.stop.or(self.progress.reading(self.concern.observe())).await
    }

    fn make_plan(&self, live: &C::Live, goal: Goal) -> Result<Plan<C::Op>, Problem> {
        let plan = match goal {
            Goal::Up => self.concern.plan(live),
            Goal::Down => self.concern.teardown(live),
        };
        plan.map_err(|problems| {
            Problem::all(&problems).unwrap_or_else(|| Problem::failed("the plan was refused without a reason"))
        })
    }

    fn nothing_to_do(&self, goal: Goal, unchanged: usize) -> String {
        let Heading { lab, owner, region } = &self.request.heading;
        match goal {
            Goal::Up => format!("{lab} of {owner} in {region}: already as wanted ({unchanged} resources)"),
            Goal::Down => format!("{lab} of {owner} in {region}: nothing of this part is left"),
        }
    }

    async fn apply(&self, plan: &Plan<C::Op>, live: &C::Live) -> Outcome {
        let ids = self.concern.ids(live);
        // Of a concern's many calls each is a future within others: here it is kept off the stack.
        let apply = async |step: &Step<C::Op>, context: Context<'_>| Box::pin(self.concern.apply(step, context)).await;
        let outcome = run_steps(&plan.steps, &ids, self.stop, &self.progress, apply).await;
        self.recorder.borrow_mut().add_ids(ids.all());
        outcome
    }

    /// Observes until the goal is reached, or a step is to be done that has not been `applied`: its plan is answered too.
    /// A step that has been applied and is still to be done is late visibility, not failure.
    async fn settle(&self, goal: Goal, applied: &Applied) -> Result<(C::Live, Option<Plan<C::Op>>), Problem> {
        let wait = self.progress.begin("check", "");
        let (unseen, new) = (Cell::new(None::<Instant>), Cell::new(None::<Instant>));
        let (start, waited_for) = (Instant::now(), RefCell::new(String::new()));
        let settled = wait_for(self.concern.pace(), self.stop, "the lab to be as wanted", async || {
            let live = self.concern.observe().await?;
            let mut missing = self.concern.settling(&live, goal)?;
            let is_coming = !missing.is_empty();
            let mut plan = self.make_plan(&live, goal)?;
            missing.extend(plan.steps.iter().map(|step| format!("not seen yet: {}", step.title())));
            if missing.is_empty() {
                return Ok(Some((live, None)));
            }
            let is_new = plan.steps.iter().any(|step| applied.misses(&step.role));
            let since_new = new.get().filter(|_| is_new).unwrap_or_else(Instant::now);
            new.set(is_new.then_some(since_new));
            if is_new && since_new.elapsed() >= STAYS {
                // What was applied already is only not seen yet.
                plan.steps.retain(|step| applied.misses(&step.role));
                return Ok(Some((live, Some(plan))));
            }
            let since = unseen.get().filter(|_| !is_coming).unwrap_or_else(Instant::now);
            unseen.set(Some(since));
            if since.elapsed() > VISIBLE {
                return Err(undone(&plan.steps));
            }
            let missing = missing.join(", ");
            wait.waits_for(&missing);
            if let Some(usual) = self.concern.usual(&live, goal) {
                wait.usually(usual);
            }
            waited_for.replace(missing);
            Ok(None)
        })
        .await;
        wait.clear();
        self.recorder.borrow_mut().add_check(start, waited_for.into_inner(), settled.is_ok());
        settled
    }

    fn failure(&self, plan: &Plan<C::Op>, outcome: &Outcome, goal: Goal) -> Problem {
        let report = show_failure(&plan.steps, outcome, &self.ways_on(goal));
        match outcome.stopped {
            Some(exit) => Problem::failed(format!("{}\n{report}", Stop::problem(exit).what())).exit_with(exit),
            None => Problem::failed(format!("not everything could be done\n{report}")),
        }
    }

    /// The commands that continue this run, or undo it.
    fn ways_on(&self, goal: Goal) -> String {
        let Request { again, down, .. } = self.request;
        match goal {
            Goal::Up => format!("go on: {again}\nor take it down: {down}"),
            Goal::Down => format!("go on: {down}"),
        }
    }

    fn unsettled(&self, problem: &Problem, goal: Goal) -> Problem {
        let costs = match goal {
            Goal::Up => format!("what was made costs {}", show_usd(self.usd_per_hour.get())),
            Goal::Down => "what is still on its way out may cost a little longer".to_owned(),
        };
        let text = format!("{problem}\nall steps were done; {costs}\n{}", self.ways_on(goal));
        Problem::failed(text).exit_with(problem.exit())
    }

    /// Asks what the plan or the budget wants asked.
    async fn confirm(&self, plan: &Plan<C::Op>, goal: Goal) -> Result<(), Problem> {
        let questions = self.list_questions(plan, goal);
        if questions.is_empty() || self.request.yes {
            return Ok(());
        }
        confirm(&questions.join("\n"), self.stop).await
    }

    /// What its steps and the budget want asked before `plan` is applied.
    fn list_questions(&self, plan: &Plan<C::Op>, goal: Goal) -> Vec<String> {
        let mut questions: Vec<String> = plan.steps.iter().filter_map(|step| step.ask.clone()).collect();
        match goal {
            Goal::Down => questions.push("everything marked with - above is deleted".into()),
            Goal::Up => {
                questions.extend(self.request.budget.list_questions(plan.usd_per_hour, plan.added_usd_per_hour()));
            }
        }
        questions
    }

    /// Nothing is called where lab.toml alone tells that a question would come, and nobody could answer it.
    fn require_someone_to_ask_about_money(&self) -> Result<(), Problem> {
        if self.request.yes {
            return Ok(());
        }
        require_someone_to_ask_about(&self.request.budget.list_questions_of(&self.concern.full_cost()))
    }

    fn require_someone_to_ask(&self, question: &str) -> Result<(), Problem> {
        if self.request.yes { Ok(()) } else { require_someone_to_ask(question) }
    }

    fn print_status(&self, live: &C::Live, changed: Option<&[Changed]>, goal: Goal) -> Result<(), Problem> {
        let resources = self.concern.resources(live);
        let next = self.concern.next(live).filter(|_| goal == Goal::Up);
        let heading = &self.request.heading;
        let notes = self.concern.notes(live, self.verb);
        let all_notes: Vec<String> = self.said.borrow().iter().chain(&notes).cloned().collect();
        let document = StatusDocument::new(heading, &resources, changed, next.as_deref(), &all_notes);
        self.print(&document, || show_status(self.look(), heading, &resources, &self.request.prices))?;
        self.say_notes(&notes);
        self.say_next(next.as_deref());
        Ok(())
    }

    /// What was done, how long it took and why; and what it costs, where stdout does not say so to the same reader.
    fn sum_up(&self, live: &C::Live) {
        let reads_stdout = !self.request.json && !self.request.quiet && std::io::stdout().is_terminal();
        let usd = (!reads_stdout).then(|| sum_usd(&self.concern.resources(live)));
        let (took, chain) = self.recorder.borrow().find_chain();
        let look = Look::of_stderr(self.request.plain);
        self.progress.show(&show_summary(look, self.changed.borrow().len(), took, &chain, usd));
    }

    /// How text is shown on stdout.
    fn look(&self) -> Look {
        Look::of_stdout(self.request.plain)
    }

    fn say_notes(&self, notes: &[String]) {
        for note in notes {
            self.progress.say(&format!("note: {note}"));
        }
    }

    fn say_next(&self, next: Option<&str>) {
        let Some(next) = next else { return };
        let Request { options, again, .. } = self.request;
        let with = if names_program(next) && !options.is_empty() && !next.contains(options) {
            format!("\n  each of these programs with:{options}")
        } else {
            String::new()
        };
        self.progress.say(&format!("still to do: {next}{with}\nthen again:  {again}"));
    }

    fn print_failure(&self, problem: &Problem) {
        if self.request.json {
            let (heading, changed) = (&self.request.heading, self.changed.borrow());
            let document = FailureDocument { heading, changed: &changed, error: problem.to_string() };
            // The failure itself is what the user must see: it goes to stderr whatever becomes of this.
            let _ = self.print(&document, String::new);
        }
    }

    fn print(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Problem> {
        if self.request.quiet {
            return Ok(());
        }
        print(self.request.json, document, text)
    }
}

#[cfg(test)]
mod tests;
