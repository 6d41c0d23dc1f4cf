//! The report: every step of the assignment with what proves it, read from the live lab, as one page that needs nothing
//! else, with a digest over all of it.

mod evidence;
mod look;
mod pdf;
mod redact;
mod render;
mod steps;
mod style;
#[cfg(test)]
mod tests;
mod thumbnail;
mod timeline;
mod verify;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use lab_common::{Home, LabArgs, Session};
use lab_picture::View;
use lab_plan::{Exit, Problem, RunRecord, print_err, print_out, to_json};
use serde_json::json;

use crate::clients::Clients;
use crate::leaks::find_leaks;
use crate::picture;
use crate::scope::Scope;
use crate::show::name_asked;
use evidence::{After, Cost, CostItem, Evidence, Task};
use redact::{Own, redact};

/// What `report` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReportArgs {
    /// The page to write
    #[arg(long, value_name = "FILE", required_unless_present = "verify")]
    out: Option<PathBuf>,
    /// Also as PDF, printed by an installed Chromium or Chrome
    #[arg(long, value_name = "FILE", requires = "out")]
    pdf: Option<PathBuf>,
    /// After `down`: the report made before it, to which is added what is left
    #[arg(long, value_name = "REPORT", requires = "out")]
    before: Option<PathBuf>,
    /// Say whether a report is as it was made; calls nothing
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["out", "before", "pdf"])]
    verify: Option<PathBuf>,
}

/// Makes a report, or verifies one.
///
/// # Errors
/// When AWS cannot be read, a file not be written, or a report is not what it was.
pub(crate) async fn run(args: &LabArgs, options: &ReportArgs) -> Result<Exit, Problem> {
    if let Some(file) = &options.verify {
        let page = verify::verify(&read_page(file)?)?;
        print_out(&if args.json { verified_to_json(file, &page)? } else { tell_verified(file, &page) })?;
        print_err(
            "note: this does not say who made it: compare the digest with the one that was told then, or the page with \
             the live lab",
        );
        return Ok(Exit::Done);
    }
    let Some(out) = &options.out else { return Err(Problem::usage("no file is named").fix("pass --out report.html")) };
    check_files(out, options)?;
    let evidence = match &options.before {
        Some(before) => add_what_is_left(args, before).await?,
        None => gather(args).await?,
    };
    let page = render::to_html(&evidence)?;
    picture::keep(out, page.html.as_bytes())?;
    print_out(&if args.json { to_document(&evidence, &page.digest)? } else { tell(&evidence, &page.digest) })?;
    if let Some(file) = &options.pdf {
        pdf::print(out, file).await?;
    }
    Ok(Exit::Done)
}

/// That each file is one, and none is written over another that is still needed.
fn check_files(out: &Path, options: &ReportArgs) -> Result<(), Problem> {
    let is_same = |one: &Path, other: &Path| {
        let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_default();
        whole(one) == whole(other)
    };
    if [Some(out), options.pdf.as_deref()].contains(&Some(Path::new("-"))) {
        return Err(Problem::usage("a report is a file").fix("name it: --out report.html, --pdf report.pdf"));
    }
    if options.pdf.as_ref().is_some_and(|pdf| is_same(pdf, out)) {
        return Err(Problem::usage("--out and --pdf name the same file").fix("name two: the page, and its print"));
    }
    if options.before.as_ref().is_some_and(|before| is_same(before, out)) {
        let fix = "name another file: the report of before is the proof of all that is gone";
        return Err(Problem::usage("--out would write over the report of before").fix(fix));
    }
    Ok(())
}

/// What a terminal needs of it.
fn tell(evidence: &Evidence, digest: &str) -> String {
    let mut text = String::new();
    for task in &evidence.tasks {
        let (passed, all) = task.count();
        let _ = writeln!(text, "{}: {passed} of {all} steps passed", task.title);
    }
    if let Some(after) = &evidence.after {
        let _ = writeln!(text, "after down, {}", after.tell());
        let _ = writeln!(text, "digest before down: sha256:{}", after.before);
    }
    let _ = writeln!(text, "digest: sha256:{digest}");
    text
}

/// The same for programs.
fn to_document(evidence: &Evidence, digest: &str) -> Result<String, Problem> {
    let Evidence { at, lab, owner, region, tasks, after, .. } = evidence;
    let tasks = tasks.iter().map(|task| {
        let (passed, of) = task.count();
        let steps = task.steps.iter().map(|step| json!({"text": step.text, "verdict": step.verdict.word()}));
        json!({"title": task.title, "passed": passed, "of": of, "steps": steps.collect::<Vec<_>>()})
    });
    let after = after.as_ref().map(|after| {
        json!({"at": after.at, "left": after.left.len(), "leaving": after.leaving.len(), "unread": after.unread.len(),
            "digest_before": format!("sha256:{}", after.before)})
    });
    to_json(&json!({"lab": lab, "owner": owner, "region": region, "at": at, "tasks": tasks.collect::<Vec<_>>(),
        "after": after, "digest": format!("sha256:{digest}")}))
}

fn verified_to_json(file: &Path, page: &verify::Page) -> Result<String, Problem> {
    let evidence = verify::read_evidence(&page.html).ok();
    let of = |read: fn(&Evidence) -> &String| evidence.as_ref().map(read);
    let before = evidence.as_ref().and_then(|evidence| evidence.after.as_ref());
    to_json(&json!({"file": file.display().to_string(), "as_made": true, "digest": format!("sha256:{}", page.digest),
        "digest_before": before.map(|after| format!("sha256:{}", after.before)),
        "lab": of(|evidence| &evidence.lab), "owner": of(|evidence| &evidence.owner),
        "region": of(|evidence| &evidence.region), "at": of(|evidence| &evidence.at),
        "version": of(|evidence| &evidence.version)}))
}

/// That a page is as it was made, and what it says that it is.
fn tell_verified(file: &Path, page: &verify::Page) -> String {
    // A later version may write evidence that this one does not understand; the page is as it was made all the same.
    let of = verify::read_evidence(&page.html).map(|evidence| {
        let Evidence { version, at, lab, owner, region, after, .. } = evidence;
        let before = after.map(|after| format!("\ndigest before down: sha256:{}", after.before));
        let of = format!(": lab {lab} of {owner} in {region}, looked at {at}, written by lab-status {version}");
        (of, before.unwrap_or_default())
    });
    let (of, before) = of.unwrap_or_default();
    format!("{}: as it was made{of}{before}\ndigest: sha256:{}\n", file.display(), page.digest)
}

fn read_page(file: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(file)
        .map_err(|error| Problem::usage(format!("cannot read {}", file.display())).because(error.to_string()))
}

/// Reads everything that a report says.
async fn gather(args: &LabArgs) -> Result<Evidence, Problem> {
    let (session, _) = Session::open(args).await?.inquiring();
    let (clients, scope) = (Clients::new(&session.access()), Scope::of(args, &session));
    let (looked, seen) =
        tokio::join!(picture::look(&session, &clients, &scope), Box::pin(look::observe(&session, &clients)));
    let looked = looked?;
    let home = Home::of(&session.lab).ok();
    let folder = home.as_ref().map(|home| home.path("")).unwrap_or_default();
    let (check, outdated) = look::read_check(&folder, &session.heading(), &looked.world);
    let runs = RunRecord::read_all(&folder, &session.heading());
    let tasks = steps::list_tasks(&steps::Proof {
        lab: &session.lab,
        names: &session.names,
        found: &looked.found,
        world: &looked.world,
        seen: &seen,
        runs: &runs,
        check: check.as_ref(),
        profiles: look::list_profiles(&session.lab, &folder),
    });
    let left = find_leaks(&looked.world, &scope);
    let perhaps = left.unconfirmed.iter().map(|arn| tell_unconfirmed(arn));
    let total = looked.found.total;
    let priced = looked.found.resources.iter().chain(&looked.found.others).filter(|one| one.usd_per_hour > 0.0);
    let evidence = Evidence {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: picture::show_time(looked.now),
        lab: session.lab.name.clone(),
        owner: session.lab.owner.clone(),
        region: session.region.clone(),
        account: picture::last_four(&looked.account).unwrap_or_default(),
        caller: looked.world.caller.clone(),
        scene: looked.to_scene(&session, View::Live),
        tasks,
        pictures: seen.pictures.clone(),
        log: seen.log.clone(),
        metric_lines: seen.metric_lines,
        check,
        runs,
        cost: Cost {
            usd_per_hour: total.usd_per_hour,
            usd_so_far: total.usd_so_far,
            is_at_least: total.is_at_least,
            expected_usd: lab_common::estimate::estimate(&session.lab).usd_expected(),
            budget_usd: session.lab.budget.usd,
            prices: format!("list prices of {}, {}", lab_common::prices::PRICES_REGION, lab_common::prices::PRICES_OF),
            items: priced
                .map(|one| CostItem {
                    kind: one.kind.to_owned(),
                    name: one.name.clone(),
                    usd_per_hour: one.usd_per_hour,
                })
                .collect(),
        },
        there: left.leaks.iter().map(|leak| leak.thing.title()).collect(),
        after: None,
        notes: looked.list_notes().into_iter().chain(perhaps).chain(seen.unread).chain(outdated).collect(),
    };
    redact(&evidence, Own { account: &looked.account, home: &find_home() })
}

/// The report of before `down`, with what is left now.
async fn add_what_is_left(args: &LabArgs, before: &Path) -> Result<Evidence, Problem> {
    let page = verify::accept(&read_page(before)?)?;
    let evidence = verify::read_evidence(&page.html)?;
    let session = Session::open(args).await?;
    let heading = session.heading();
    if (&heading.lab, &heading.owner, &heading.region) != (&evidence.lab, &evidence.owner, &evidence.region) {
        let what = format!(
            "{} is a report of lab {} of {} in {}, not of {} of {} in {}",
            before.display(),
            evidence.lab,
            evidence.owner,
            evidence.region,
            heading.lab,
            heading.owner,
            heading.region
        );
        return Err(Problem::usage(what).fix("name the same lab, owner and Region"));
    }
    let (clients, scope) = (Clients::new(&session.access()), Scope::of(args, &session));
    let world = Box::pin(crate::census::observe(&clients, &scope)).await?;
    let left = find_leaks(&world, &scope);
    if picture::last_four(&world.account).as_ref() != Some(&evidence.account) {
        return Err(Problem::usage("this is another account than the report's").fix("use the same credentials"));
    }
    let after = After {
        at: picture::show_time(world.now),
        left: left.leaks.iter().map(|leak| leak.thing.title()).collect(),
        leaving: left.leaving.iter().map(crate::thing::Thing::title).collect(),
        unread: left.unread.iter().cloned().chain(left.unconfirmed.iter().map(|arn| tell_unconfirmed(arn))).collect(),
        asked: name_asked(left.knows_tags).to_owned(),
        notes: left.notes,
        before: page.digest,
    };
    if !after.is_nothing() {
        print_err("note: not all is gone or could be looked at: lab-status leaks says what, and what removes it");
    }
    // This version writes the page anew.
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let evidence = Evidence { version, after: Some(after), ..evidence };
    redact(&evidence, Own { account: &world.account, home: &find_home() })
}

/// The user's own folder, empty where none is known.
fn find_home() -> String {
    std::env::var("HOME").unwrap_or_default()
}

fn tell_unconfirmed(arn: &str) -> String {
    format!("perhaps left: {arn} (only the tagging API names it)")
}

impl Task {
    /// How many steps have passed, and how many there are.
    fn count(&self) -> (usize, usize) {
        let passed = self.steps.iter().filter(|step| step.verdict == evidence::Verdict::Passed).count();
        (passed, self.steps.len())
    }
}
