//! What AWS has billed so far, by Cost Explorer: a day late, 0.01 $ a question, and only for tags that the account has
//! activated for cost allocation (AWS Billing user guide).

use aws_config::Region;
use aws_sdk_costexplorer::config::Builder;
use aws_sdk_costexplorer::types::{DateInterval, Expression, Granularity, TagValues};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lab_common::{Session, explain};
use lab_plan::Problem;

/// Cost Explorer answers there for all Regions.
const HOME: &str = "us-east-1";
/// It knows the last twelve months.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 330);

/// What was billed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Billed {
    /// The first day.
    pub(crate) from: String,
    /// The day after the last one.
    pub(crate) to: String,
    pub(crate) usd: f64,
}

/// Asks what the lab's tags have cost since its first thing was made; this month's, where nobody knows when that was.
pub(super) async fn ask(session: &Session, since: Option<Timestamp>, now: Timestamp) -> Result<Billed, Problem> {
    let (from, to) = choose_days(since, now);
    let client = aws_sdk_costexplorer::Client::from_conf(Builder::from(&session.sdk).region(Region::new(HOME)).build());
    let tag = |(key, value): (&str, String)| {
        Expression::builder().tags(TagValues::builder().key(key).values(value).build()).build()
    };
    let days = DateInterval::builder().start(from.to_string()).end(to.to_string()).build();
    let days = days
        .map_err(|error| Problem::failed("the days to ask the bill for cannot be named").because(error.to_string()))?;
    let mut request = client
        .get_cost_and_usage()
        .time_period(days)
        .granularity(Granularity::Daily)
        .metrics("UnblendedCost")
        .filter(Expression::builder().set_and(Some(session.tags.common().map(tag).into())).build());
    let mut usd = 0.0;
    loop {
        let answer = request.clone().send().await.map_err(|error| explain("GetCostAndUsage", &error))?;
        usd += answer
            .results_by_time()
            .iter()
            .filter_map(|day| day.total()?.get("UnblendedCost")?.amount()?.parse::<f64>().ok())
            .sum::<f64>();
        match answer.next_page_token() {
            Some(token) => request = request.next_page_token(token),
            None => break,
        }
    }
    Ok(Billed { from: from.to_string(), to: to.to_string(), usd })
}

/// Whole days of UTC; the end is not included.
fn choose_days(since: Option<Timestamp>, now: Timestamp) -> (Date, Date) {
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    let today = day(now);
    let from = since.map_or(today.first_of_month(), |since| day(since.max(now - LONGEST)));
    (from, today.tomorrow().unwrap_or(today))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_reach_from_the_first_thing_until_today() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let days = |since: Option<&str>| {
            let (from, to) = choose_days(since.map(|since| since.parse().unwrap()), now);
            format!("{from} {to}")
        };
        assert_eq!(days(Some("2026-11-19T23:00:00Z")), "2026-11-19 2026-11-21");
        assert_eq!(days(None), "2026-11-01 2026-11-21");
        assert_eq!(days(Some("2020-01-01T00:00:00Z")), "2025-12-25 2026-11-21");
    }
}
