//! `lab-status doctor`: would this lab come up here? Credentials, account, Region, limits, quotas, clock, tools.
//!
//! `look` asks, `checks` judges what was found (pure), `show` writes it down. A check that cannot be made says why; none
//! passes in silence. Without a lab the account alone is looked at.

mod checks;
mod look;
mod plan;
mod show;

use lab_common::LabArgs;
use lab_plan::{Exit, Look, Problem};

/// How a check ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    /// As it should be.
    Ok,
    /// To be known, or not to be found out.
    Warning,
    /// It would stop the lab.
    Problem,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
struct Check {
    name: &'static str,
    result: Mark,
    detail: String,
    /// What to do, where something is to be done.
    fix: Option<String>,
}

impl Check {
    fn new(name: &'static str, result: Mark, detail: impl Into<String>) -> Self {
        Self { name, result, detail: detail.into(), fix: None }
    }

    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Mark::Ok, detail)
    }

    fn warning(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Mark::Warning, detail)
    }

    fn problem(name: &'static str, problem: &Problem) -> Self {
        let why = problem.why().map(|why| format!(" ({why})")).unwrap_or_default();
        let fix = problem.remedy().map(ToOwned::to_owned);
        Self { fix, ..Self::new(name, Mark::Problem, format!("{}{why}", problem.what())) }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// A Region of the account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
struct Region {
    name: String,
    endpoint: String,
    /// `opt-in-not-required`, `opted-in` or `not-opted-in`.
    status: String,
    enabled: bool,
}

/// Looks around and says what it finds.
///
/// # Errors
/// When the command line is wrong. What is wrong with the account is an answer, not an error.
pub(crate) async fn run(args: &LabArgs, regions: bool) -> Result<Exit, Problem> {
    let found = look::look_around(args).await?;
    let checks = checks::list_checks(&found);
    let listed = found.regions.as_deref().unwrap_or_default();
    let text = if args.json {
        show::to_json(&checks, listed)?
    } else {
        show::to_text(Look::of_stdout(args.plain), &checks, listed, regions)
    };
    lab_plan::print_out(&text)?;
    if let Some(Err(problem)) = &found.lab {
        return Ok(problem.exit());
    }
    let stops = checks.iter().any(|check| check.result == Mark::Problem);
    Ok(if stops { Exit::Failed } else { Exit::Done })
}
