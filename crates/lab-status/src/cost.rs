//! What a lab costs: estimated before it exists, measured once it does, and how long the budget lasts.

mod explorer;
mod show;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use clap::builder::{StringValueParser, TypedValueParser as _};
use jiff::Timestamp;
use lab_common::estimate::{Estimate, Usage, estimate};
use lab_common::{Lab, LabArgs, Session, describe, no_credentials, prices};
use lab_plan::{Exit, Heading, Look, Problem, print_err, print_out};

use crate::census::{self, World};
use crate::clients::Clients;
use crate::leaks::{Total, list_unpriced, sum_up, tidy};
use crate::scope::Scope;
use crate::thing::Fate;

/// What `cost` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CostArgs {
    /// Only what lab.toml will cost; calls nothing and needs no credentials
    #[arg(long, conflicts_with = "cost_explorer")]
    estimate: bool,
    /// How long the lab stands [default: [budget] hours]
    #[arg(long, value_name = "H", value_parser = hours())]
    hours: Option<f64>,
    /// How long the NAT window is open [default: 1 for each private host that
    /// installs something]
    #[arg(long, value_name = "H", value_parser = hours())]
    nat_hours: Option<f64>,
    /// How long the VPN is not paused and its clients are connected [default: all
    /// the time]
    #[arg(long, value_name = "H", value_parser = hours())]
    vpn_hours: Option<f64>,
    /// How many clients are connected to the VPN [default: those of lab.toml]
    #[arg(long, value_name = "N")]
    clients: Option<u32>,
    /// Compare with AWS's Cost Explorer, which bills $0.01 for being asked
    #[arg(long)]
    cost_explorer: bool,
}

/// A number of hours, not negative.
fn hours() -> impl clap::builder::TypedValueParser<Value = f64> {
    StringValueParser::new().try_map(|text| match text.parse::<f64>() {
        Ok(hours) if hours.is_finite() && hours >= 0.0 => Ok(hours),
        _ => Err("write a number of hours, 0 or more"),
    })
}

/// What the lab costs now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Now {
    pub(crate) count: usize,
    pub(crate) total: Total,
    pub(crate) unpriced: Vec<String>,
    pub(crate) unread: Vec<String>,
    /// When the oldest of its things was made.
    pub(crate) since: Option<Timestamp>,
}

/// Everything that `cost` answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) heading: Heading,
    pub(crate) estimate: Estimate,
    pub(crate) budget_usd: f64,
    /// `None` where nobody was asked.
    pub(crate) now: Option<Now>,
    /// What Cost Explorer knows, in US dollars, where it was asked and answered.
    pub(crate) billed: Option<explorer::Billed>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// How many hours the budget lasts at what the lab costs now; `None` where it costs nothing or nobody knows.
    pub(crate) fn hours_left(&self) -> Option<f64> {
        let total = self.now.as_ref()?.total;
        (total.usd_per_hour > 0.0).then(|| ((self.budget_usd - total.usd_so_far) / total.usd_per_hour).max(0.0))
    }

    /// Whether it may last less: something has cost or costs more, and nobody knows how much.
    pub(crate) fn is_at_most(&self) -> bool {
        let now = self.now.as_ref();
        now.is_some_and(|now| now.total.is_at_least || !now.unpriced.is_empty() || !now.unread.is_empty())
    }
}

/// Answers what the lab will cost, and what it costs now where AWS can be asked.
///
/// # Errors
/// When the lab file is wrong, or when AWS cannot be read; the estimate is shown all the same then.
pub(crate) async fn run(args: &LabArgs, options: &CostArgs) -> Result<Exit, Problem> {
    let lab = args.read_lab()?;
    let mut report = make_report(&lab, options);
    let failure = if options.estimate { None } else { look(args, options, &mut report).await.err() };
    report.notes.extend(note_region(&report.heading.region));
    let text = if args.json { show::to_json(&report)? } else { show::to_text(Look::of_stdout(args.plain), &report) };
    print_out(&text)?;
    for note in &report.notes {
        print_err(&format!("note: {note}"));
    }
    match failure {
        Some(problem) => Err(problem),
        None => Ok(Exit::Done),
    }
}

fn make_report(lab: &Lab, options: &CostArgs) -> Report {
    let assumed = Usage::of(lab);
    let usage = Usage {
        hours: options.hours.unwrap_or(assumed.hours),
        nat_hours: options.nat_hours.unwrap_or(assumed.nat_hours),
        vpn_hours: options.vpn_hours.or(assumed.vpn_hours),
        clients: options.clients.unwrap_or(assumed.clients),
    };
    let mut estimate = Estimate { usage, ..estimate(lab) };
    let has_window = estimate.items.iter().any(|item| item.kind == "natgateway");
    if usage.nat_hours > 0.0 && !has_window {
        estimate.items.extend(lab_common::estimate::list_window(&lab_common::Names::new(lab)));
    }
    let region = lab.region.clone().unwrap_or_else(|| prices::PRICES_REGION.to_owned());
    Report {
        heading: Heading { lab: lab.name.clone(), owner: lab.owner.clone(), region },
        estimate,
        budget_usd: lab.budget.usd,
        now: None,
        billed: None,
        notes: Vec::new(),
    }
}

/// Adds what exists. Without credentials nobody is asked, and that is told.
async fn look(args: &LabArgs, options: &CostArgs, report: &mut Report) -> Result<(), Problem> {
    let session = Session::open(args).await?;
    report.heading = session.heading();
    if !has_credentials(&session).await? {
        report
            .notes
            .push("there are no AWS credentials: what exists now was not asked, this is the estimate alone".into());
        return Ok(());
    }
    let scope = Scope::of(args, &session);
    let world = Box::pin(census::observe(&Clients::new(&session.access()), &scope)).await?;
    report.notes.extend(world.notes.iter().cloned());
    let now = count_up(&world);
    if options.cost_explorer {
        match explorer::ask(&session, now.since, world.now).await {
            Ok(billed) => report.billed = Some(billed),
            Err(problem) => report.notes.push(format!("Cost Explorer was not asked: {problem}")),
        }
    }
    report.now = Some(now);
    Ok(())
}

/// Whether anybody has configured credentials.
///
/// # Errors
/// When somebody has, and they cannot be got: an expired single sign-on, a process that fails, a broken connection.
async fn has_credentials(session: &Session) -> Result<bool, Problem> {
    let Some(provider) = session.sdk.credentials_provider() else { return Ok(false) };
    match provider.provide_credentials().await {
        Ok(_) => Ok(true),
        Err(CredentialsError::CredentialsNotLoaded(_)) => Ok(false),
        Err(error) => Err(no_credentials(describe(&error))),
    }
}

fn count_up(world: &World) -> Now {
    let world = tidy(world);
    let there: Vec<_> = world.things.iter().filter(|thing| thing.fate != Fate::Gone).collect();
    Now {
        count: there.len(),
        total: sum_up(there.iter().copied(), world.now),
        unpriced: list_unpriced(there.iter().copied()),
        since: there.iter().filter_map(|thing| thing.created).min(),
        unread: world.unread.clone(),
    }
}

fn note_region(region: &str) -> Option<String> {
    let known = prices::PRICES_REGION;
    (region != known).then(|| format!("these are the prices of {known}: in {region} they differ"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        cost: CostArgs,
    }

    pub(super) fn report(arguments: &[&str]) -> Report {
        let line = Line::try_parse_from(["cost"].iter().chain(arguments)).unwrap();
        let overrides = Overrides { owner: Some("ada".into()), region: None };
        make_report(&read_lab("hol02", HOL02, &overrides).unwrap(), &line.cost)
    }

    #[test]
    fn the_options_say_how_the_lab_is_used() {
        let usage =
            report(&["--hours", "8", "--nat-hours", "0.5", "--vpn-hours", "2", "--clients", "3"]).estimate.usage;
        assert_eq!(usage, Usage { hours: 8.0, nat_hours: 0.5, vpn_hours: Some(2.0), clients: 3 });
        assert_eq!(report(&[]).estimate.usage, Usage { hours: 4.0, nat_hours: 1.0, vpn_hours: None, clients: 1 });
        assert!(Line::try_parse_from(["cost", "--hours", "-1"]).is_err());
    }

    #[test]
    fn the_budget_lasts_as_long_as_the_rest_of_it_pays() {
        let total = |usd_per_hour, usd_so_far| Total { usd_per_hour, usd_so_far, is_at_least: false };
        let left = |total| {
            let now = Now { count: 1, total, unpriced: vec![], unread: vec![], since: None };
            Report { now: Some(now), ..report(&[]) }.hours_left()
        };
        assert_eq!(left(total(0.5, 10.0)), Some(80.0));
        assert_eq!(left(total(0.5, 51.0)), Some(0.0));
        assert_eq!(left(total(0.0, 1.0)), None);
        assert_eq!(report(&[]).hours_left(), None);
    }

    #[test]
    fn another_region_s_prices_are_told_to_differ() {
        assert_eq!(note_region("us-east-1"), None);
        assert!(note_region("eu-central-1").unwrap().contains("eu-central-1"));
    }
}
