//! Processing what is in the input bucket already: by a job of S3 Batch Operations, and where the account has none, through
//! the queue or by invocations of our own, at a rate.

mod events;
mod hand_over;
mod job;
mod objects;
mod report;
mod role;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lab_common::Session;
use lab_plan::{Budget, Exit, Heading, Problem, Progress, Stop, clean, confirm, print_out, to_json};
use serde::Serialize;

use crate::Pipeline;
use crate::live::Live;
use crate::plan::find_ours;
use crate::queue::show_count;
use crate::simulate::{Setup, Via, estimate_usd};
use crate::want::{QueueKind, Side};
use objects::Sorted;

pub(crate) use job::cancel_jobs;

/// Where manifests and reports are, in the output bucket.
pub(crate) const FOLDER: &str = ".hybrid-lab/";

/// What is processed, and how.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub(crate) struct Backfill {
    /// Only objects whose keys begin with this
    #[arg(long, value_name = "P", default_value = "")]
    pub(crate) prefix: String,
    /// Only say what would be processed, and what it would cost
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Without S3 Batch Operations, at so many objects a second, such as 20/s
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
}

/// Objects a second where the account has no Batch Operations: a Learner Lab's 10 functions keep up with it.
const SLOW: f64 = 20.0;

fn parse_rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse::<f64>().ok();
    number
        .filter(|rate| (0.01..=3000.0).contains(rate))
        .ok_or_else(|| "write objects a second, such as 20/s, at most 3000/s".to_owned())
}

/// How objects get to the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Batch,
    Queue,
    Invoke,
}

/// The answer, for text and JSON.
#[derive(Debug, Serialize)]
struct Document {
    #[serde(flatten)]
    heading: Heading,
    /// Objects under the prefix that the trigger would listen to.
    objects: u64,
    /// Objects that have their results already.
    done: u64,
    /// Objects that can never be processed, as a report beside their result's place says.
    failed_before: u64,
    /// Objects to process.
    todo: u64,
    /// US dollars for these, estimated.
    usd: f64,
    #[serde(flatten)]
    ended: Option<Ended>,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Ended {
    way: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// Of the job; events that were handed over have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Objects that were processed, or handed over.
    succeeded: u64,
    failed: u64,
    /// Why objects failed, and how many for each reason.
    reasons: BTreeMap<String, u64>,
}

/// Backfills and says so on stdout.
///
/// # Errors
/// When the pipeline is not whole, when nobody agrees to the price, and when AWS refuses.
pub(crate) async fn run(
    pipeline: &Pipeline,
    session: &Session,
    args: &Backfill,
    request: &lab_plan::Request,
    stop: &Stop,
) -> Result<Exit, Problem> {
    let live = stop.or(lab_plan::Concern::observe(pipeline)).await?;
    let function = find_function(pipeline, &live)?;
    let progress = Progress::stderr(request.plain);
    let shown = progress.begin("list", &pipeline.want.buckets.input);
    let sorted = objects::list(pipeline, &session.lab, &args.prefix, stop, &shown).await;
    shown.clear();
    let sorted = sorted?;
    let mut way = choose_way(pipeline, &live, args);
    let usd = estimate(pipeline, &sorted, way);
    let mut document = Document {
        heading: session.heading(),
        objects: sorted.all,
        done: sorted.done,
        failed_before: sorted.failed,
        todo: sorted.todo.len() as u64,
        usd,
        ended: None,
    };
    progress.say(&show_beginning(&document, way));
    if !args.dry_run && !sorted.todo.is_empty() {
        ask(&request.budget, usd, document.todo, request.yes, &progress, stop).await?;
        let work = Work { pipeline, live: &live, function: &function, progress: &progress, stop };
        let ended = match way {
            Way::Batch => match work.begin_job(&sorted.todo).await {
                // No job has been made. Once there is one, its objects are processed, whatever else is refused.
                Err(problem) if problem.is_denial() => {
                    progress.say(&format!("note: S3 Batch Operations may not be used here: {}", clean(problem.what())));
                    way = slow_way(pipeline, &live);
                    work.hand_over(&sorted.todo, way, args.rate.unwrap_or(SLOW)).await?
                }
                job => work.follow_job(job?).await?,
            },
            way => work.hand_over(&sorted.todo, way, args.rate.unwrap_or(SLOW)).await?,
        };
        document.ended = Some(Ended { way: Some(way), ..ended });
    }
    let exit = judge(&document);
    print_out(&if request.json { to_json(&document)? } else { show_end(&document, &request.heading) })?;
    Ok(exit)
}

/// What the parts of a run share.
struct Work<'a> {
    pipeline: &'a Pipeline,
    live: &'a Live,
    /// The function's ARN.
    function: &'a str,
    progress: &'a Progress,
    stop: &'a Stop,
}

fn find_function(pipeline: &Pipeline, live: &Live) -> Result<String, Problem> {
    let whole = Side::BOTH.iter().all(|side| find_ours(&pipeline.want, live, *side).is_some());
    match &live.function {
        Some(function) if whole => Ok(function.arn.clone()),
        _ => Err(Problem::failed("the pipeline is not whole: a bucket or the function is missing")
            .fix("pipeline-up, then pipeline-up deploy, then again")),
    }
}

/// Batch Operations needs a role of its own, which a Learner Lab cannot make; a rate can only be kept by ourselves.
fn choose_way(pipeline: &Pipeline, live: &Live, args: &Backfill) -> Way {
    if live.place.academy || args.rate.is_some() { slow_way(pipeline, live) } else { Way::Batch }
}

fn slow_way(pipeline: &Pipeline, live: &Live) -> Way {
    let has_queue = pipeline.want.delivery.queue && pipeline.find_queue(live, QueueKind::Images).is_some();
    if has_queue { Way::Queue } else { Way::Invoke }
}

/// From the built-in mix: what the objects are is not known before they are read.
fn estimate(pipeline: &Pipeline, sorted: &Sorted, way: Way) -> f64 {
    if sorted.todo.is_empty() {
        return 0.0;
    }
    let function = &pipeline.want.function;
    let via = match way {
        Way::Batch => Via::Batch,
        Way::Queue => Via::Queue,
        Way::Invoke => Via::S3,
    };
    #[allow(clippy::cast_precision_loss, reason = "an estimate of dollars")]
    let objects = sorted.todo.len() as f64;
    let memory_mb = u32::try_from(function.memory_mb).unwrap_or(512);
    estimate_usd(objects, &Setup { concurrency: 10, memory_mb, arch: function.arch, via })
}

/// Asks about dollars that are more than `[budget]` lets pass without a question.
async fn ask(budget: &Budget, usd: f64, todo: u64, yes: bool, progress: &Progress, stop: &Stop) -> Result<(), Problem> {
    let Some(question) = find_question(budget, usd, todo) else { return Ok(()) };
    if yes {
        progress.say(&format!("note: agreed to by --yes: {question}"));
        return Ok(());
    }
    confirm(&question, stop).await
}

fn find_question(budget: &Budget, usd: f64, todo: u64) -> Option<String> {
    let what = format!("to process {} is estimated at ${usd:.2}", show_count(todo, "object"));
    if usd > budget.ask_above {
        return Some(format!("{what}: more than [budget] ask_above = {} in lab.toml", budget.ask_above));
    }
    let together = budget.lab_usd + usd;
    (together > budget.usd)
        .then(|| format!("{what}, with the lab ${together:.2}: more than [budget] usd = {} in lab.toml", budget.usd))
}

fn judge(document: &Document) -> Exit {
    let Some(ended) = &document.ended else { return Exit::Done };
    let is_whole = ended.failed == 0 && ended.status.as_deref().is_none_or(|status| status == "Complete");
    if is_whole { Exit::Done } else { Exit::Failed }
}

fn show_beginning(document: &Document, way: Way) -> String {
    let Document { objects, done, failed_before, todo, usd, .. } = document;
    let mut skipped = Vec::new();
    if *done > 0 {
        skipped.push(format!("{done} have their results"));
    }
    if *failed_before > 0 {
        skipped.push(format!("{failed_before} can never be processed (their reports say why)"));
    }
    let skipped = if skipped.is_empty() { String::new() } else { format!(" ({})", skipped.join(", ")) };
    let way = match way {
        Way::Batch => "by S3 Batch Operations",
        Way::Queue => "through the queue",
        Way::Invoke => "by invocations",
    };
    let plan = if *todo == 0 { String::new() } else { format!(" {way}, for about ${usd:.2}") };
    format!("{}{skipped}: {todo} to process{plan}", show_count(*objects, "object"))
}

fn show_end(document: &Document, heading: &Heading) -> String {
    let Some(ended) = &document.ended else {
        return if document.todo == 0 {
            "nothing to process\n".to_owned()
        } else {
            "a dry run: nothing was started\n".to_owned()
        };
    };
    let mut text = String::new();
    for (reason, count) in &ended.reasons {
        // A report's words: of the function, of whoever made the object.
        let _ = writeln!(text, "  {count:>6}  {}", clean(reason));
    }
    match (&ended.job, ended.status.as_deref()) {
        (Some(job), Some(status)) => {
            let _ = writeln!(
                text,
                "job {job} is {status}: {} processed, {} failed",
                show_count(ended.succeeded, "object"),
                ended.failed
            );
        }
        _ => {
            let _ = writeln!(
                text,
                "{} handed over; lab-status says how many of them {} of {} has processed",
                show_count(ended.succeeded, "object"),
                heading.lab,
                heading.owner
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { ask_above: 0.1, usd: 50.0, hours: 4.0, lab_usd: 49.95, lab_usd_per_hour: 0.3 };

    #[test]
    fn a_backfill_asks_when_it_costs_more_than_the_budget_lets_pass() {
        assert_eq!(find_question(&BUDGET, 0.01, 3), None);
        let asked = find_question(&BUDGET, 0.26, 1).unwrap();
        assert_eq!(asked, "to process 1 object is estimated at $0.26: more than [budget] ask_above = 0.1 in lab.toml");
        let asked = find_question(&BUDGET, 0.09, 3).unwrap();
        assert!(asked.contains("with the lab $50.04: more than [budget] usd = 50"), "{asked}");
    }

    #[test]
    fn what_a_report_says_cannot_move_the_cursor() {
        let heading = Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
        let reasons = BTreeMap::from([("bad\x1b[2J\u{202e}name".to_owned(), 2)]);
        let ended = Some(Ended { reasons, ..Ended::default() });
        let counts = Document { heading, objects: 2, done: 0, failed_before: 0, todo: 2, usd: 0.0, ended };
        let shown = show_end(&counts, &counts.heading);
        assert!(shown.contains("2  bad\u{fffd}[2J\u{fffd}name\n"), "{shown:?}");
    }

    #[test]
    fn a_rate_is_objects_a_second() {
        assert_eq!((parse_rate("20/s"), parse_rate("0.5")), (Ok(20.0), Ok(0.5)));
        for wrong in ["", "0", "20/m", "fast", "1e9"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
