//! The report: every step of the assignment with what proves it, read from the live lab, as one page that needs nothing
//! else, with a digest over all of it.

mod evidence;
mod look;
mod pdf;
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
use lab_plan::{Exit, Problem, RunRecord, print_err, print_out};

use crate::clients::Clients;
use crate::leaks::find_leaks;
use crate::picture;
use crate::scope::Scope;
use crate::show::name_asked;
use evidence::{After, Cost, CostItem, Evidence, Task, redact};

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
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["out", "before"])]
    verify: Option<PathBuf>,
}

/// Makes a report, or verifies one.
///
/// # Errors
/// When AWS cannot be read, a file not be written, or a report is not what it was.
pub(crate) async fn run(args: &LabArgs, options: &ReportArgs) -> Result<Exit, Problem> {
    if let Some(file) = &options.verify {
        let page = verify::verify(&read_page(file)?)?;
        print_out(&tell_verified(file, &page))?;
        print_err(
            "note: this does not say who made it: compare the digest with the one that was told then, or the page with \
             the live lab",
        );
        return Ok(Exit::Done);
    }
    let Some(out) = &options.out else { return Err(Problem::usage("no file is named").fix("pass --out report.html")) };
    let evidence = match &options.before {
        Some(before) => add_what_is_left(args, before).await?,
        None => gather(args).await?,
    };
    let page = render::to_html(&evidence)?;
    picture::keep(out, page.html.as_bytes())?;
    print_out(&tell(&evidence, &page.digest))?;
    if let Some(file) = &options.pdf {
        pdf::print(out, file).await?;
    }
    Ok(Exit::Done)
}

/// What a terminal needs of it.
fn tell(evidence: &Evidence, digest: &str) -> String {
    let mut text = String::new();
    if let Some(endpoint) = &evidence.endpoint {
        let _ = writeln!(text, "not AWS: {endpoint}");
    }
    for task in &evidence.tasks {
        let (passed, all) = task.count();
        let _ = writeln!(text, "{}: {passed} of {all} steps passed", task.title);
    }
    if let Some(after) = &evidence.after {
        let _ = writeln!(text, "after down, {}", after.tell());
    }
    let _ = writeln!(text, "digest: sha256:{digest}");
    text
}

/// That a page is as it was made, and what it says that it is.
fn tell_verified(file: &Path, page: &verify::Page) -> String {
    // A later version may write evidence that this one does not understand; the page is as it was made all the same.
    let of = verify::read_evidence(&page.html).map(|evidence| {
        let Evidence { version, at, lab, owner, region, .. } = evidence;
        format!(": lab {lab} of {owner} in {region}, looked at {at}, written by lab-status {version}")
    });
    let of = of.unwrap_or_default();
    format!("{}: as it was made{of}\ndigest: sha256:{}\n", file.display(), page.digest)
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
    let checks = look::read_checks(&folder, &session.heading(), &looked.world);
    let runs = timeline::list_of_this_lab(RunRecord::read_all(&folder, &session.heading()), &looked.world);
    let pipeline = looked.parts.iter().find(|part| part.program == "pipeline-up");
    let tasks = steps::list_tasks(&steps::Proof {
        lab: &session.lab,
        names: &session.names,
        found: &looked.found,
        pipeline_unread: pipeline.and_then(|part| part.unread.as_deref()),
        world: &looked.world,
        seen: &seen,
        runs: &runs,
        checks: &checks,
        profiles: look::list_profiles(&folder),
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
        endpoint: find_own_endpoint(&session),
        account: picture::last_four(&looked.account).unwrap_or_default(),
        caller: looked.world.caller.clone(),
        scene: looked.to_scene(&session, View::Live),
        tasks,
        pictures: seen.pictures.clone(),
        log: seen.log.unwrap_or_default(),
        metric_lines: seen.metric_lines,
        check: checks.best().cloned(),
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
        notes: tell_once(looked.list_notes().into_iter().chain(perhaps).chain(seen.unread).chain(checks.notes)),
    };
    redact(&evidence, &looked.account)
}

/// Several readings may have been refused for the same reason.
fn tell_once(notes: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for note in notes {
        if !all.contains(&note) {
            all.push(note);
        }
    }
    all
}

/// Who answers in AWS's place: scheme, host and port of an endpoint of one's own. Names and passwords, which a URL may hold,
/// are left out.
fn find_own_endpoint(session: &Session) -> Option<String> {
    let named = |key: &str| key == "AWS_ENDPOINT_URL" || key.starts_with("AWS_ENDPOINT_URL_");
    let of_service = std::env::vars().filter(|(key, url)| named(key) && !url.is_empty()).map(|(_, url)| url);
    let all = session.sdk.endpoint_url().map(str::to_owned).into_iter().chain(of_service);
    all.map(|url| cut_to_host(&url)).find(|url| !is_aws(url))
}

fn cut_to_host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// AWS's own endpoints, those of a VPC among them (AWS general reference, "Service endpoints").
fn is_aws(url: &str) -> bool {
    let domains = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    url.strip_prefix("https://")
        .is_some_and(|host| domains.iter().any(|domain| host.trim_end_matches(":443").ends_with(domain)))
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
    redact(&Evidence { version, after: Some(after), ..evidence }, &world.account)
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
