//! What a lab costs, as text and as JSON. Pure.

use std::fmt::Write as _;

use lab_common::estimate::{Estimate, Usage};
use lab_common::prices;
use lab_plan::{Look, Problem, TableRow, round_usd};
use serde_json::{Value, json};

use super::{Now, Report};
use crate::labs::show_total;
use crate::show::Page;

/// The spans of the estimate: its word, its hours.
fn spans(usage: &Usage) -> [(&'static str, f64); 4] {
    [("hour", 1.0), ("day", 24.0), ("month", prices::HOURS_PER_MONTH), ("expected", usage.hours)]
}

/// One document.
pub(super) fn to_json(report: &Report) -> Result<String, Problem> {
    let heading = &report.heading;
    lab_plan::to_json(&json!({
        "lab": heading.lab,
        "owner": heading.owner,
        "region": heading.region,
        "prices_of": prices::PRICES_OF,
        "prices_region": prices::PRICES_REGION,
        "estimate": show_estimate(&report.estimate),
        "now": report.now.as_ref().map(show_now),
        "billed": report.billed.as_ref().map(|billed| json!({
            "from": billed.from, "to": billed.to, "usd": round_usd(billed.usd),
        })),
        "budget": {
            "usd": report.budget_usd,
            "hours_left": report.hours_left().map(|hours| (hours * 10.0).floor() / 10.0),
            "hours_left_is_at_most": report.is_at_most(),
        },
        "notes": report.notes,
    }))
}

fn show_estimate(estimate: &Estimate) -> Value {
    let usage = &estimate.usage;
    let items: Vec<Value> = estimate
        .items
        .iter()
        .map(|item| {
            let mut value = json!({
                "kind": item.kind,
                "name": item.name,
                "detail": item.detail,
                "usd_per_hour": item.usd_per_hour.map(round_usd),
            });
            for (span, hours) in spans(usage) {
                value[format!("usd_{span}")] = json!(item.usd_in(hours, usage).map(round_usd));
            }
            value
        })
        .collect();
    let mut value = json!({
        "items": items,
        "usd_per_hour": round_usd(estimate.usd_per_hour()),
        "hours": usage.hours,
        "nat_hours": usage.nat_hours,
        "vpn_hours": usage.vpn_hours,
        "clients": usage.clients,
        "unpriced": list_unpriced(estimate),
    });
    for (span, hours) in spans(usage) {
        value[format!("usd_{span}")] = json!(round_usd(estimate.usd_in(hours, usage)));
    }
    value
}

fn list_unpriced(estimate: &Estimate) -> Vec<String> {
    estimate.unpriced().map(|item| format!("{} {} ({})", item.kind, item.name, item.detail)).collect()
}

fn show_now(now: &Now) -> Value {
    json!({
        "count": now.count,
        "usd_per_hour": round_usd(now.total.usd_per_hour),
        "usd_so_far": round_usd(now.total.usd_so_far),
        "usd_so_far_is_at_least": now.total.is_at_least,
        "unpriced": now.unpriced,
        "unread": now.unread,
    })
}

/// A line an item, the sums, what was assumed, and what is not in it; then what exists.
pub(super) fn to_text(look: Look, report: &Report) -> String {
    let mut page = Page::new(look);
    tell_estimate(look, &mut page, report);
    if let Some(now) = &report.now {
        tell_now(&mut page, now);
    }
    if let Some(billed) = &report.billed {
        page.line(&format!(
            "billed:   ${:.4} from {} until {} (Cost Explorer; up to a day late, and only with the tags activated for cost \
             allocation)",
            billed.usd, billed.from, billed.to
        ));
    }
    tell_budget(&mut page, report);
    page.text
}

fn tell_estimate(look: Look, page: &mut Page, report: &Report) {
    let Report { heading, estimate, .. } = report;
    page.line(&format!(
        "{} of {}: estimate from list prices of {}, {}",
        heading.lab,
        heading.owner,
        prices::PRICES_REGION,
        prices::PRICES_OF
    ));
    let table = draw_table(estimate);
    let has_room = look.columns().is_none_or(|columns| table.lines().all(|line| line.chars().count() <= columns));
    if has_room && !look.plain {
        page.text += &table;
    } else {
        page.rows(&list_items(look, estimate));
    }
    page.line(&format!("assumed:  {}", describe_usage(estimate)));
    for what in list_unpriced(estimate) {
        page.line(&format!("not counted: {what}: its price is not in the table"));
    }
    page.line(&format!(
        "not counted: what is billed by use: S3 ${} a GB-month and ${} for 1,000 puts, Lambda ${} a million calls and \
         ${} a GB-second, NAT ${} a GB, traffic to the internet",
        prices::S3_GB_MONTH,
        prices::S3_PER_1000_PUTS,
        prices::LAMBDA_PER_MILLION,
        prices::LAMBDA_GB_SECOND_X86,
        prices::NAT_PER_GB
    ));
}

/// The items in columns, their sums below.
fn draw_table(estimate: &Estimate) -> String {
    let usage = &estimate.usage;
    let width = |field: fn(&lab_common::estimate::Item) -> &str| {
        estimate.items.iter().map(|item| field(item).chars().count()).max().unwrap_or(0)
    };
    let (kinds, names, details) = (width(|item| item.kind), width(|item| &item.name), width(|item| &item.detail));
    let lead = kinds + names + details + 6;
    let expected = format!("{} h", usage.hours);
    let mut text = format!("{:lead$}  {:>9}  {:>9}  {:>9}  {expected:>9}\n", "", "an hour", "a day", "a month");
    for item in &estimate.items {
        let _ = write!(text, "  {:kinds$}  {:names$}  {:details$}", item.kind, item.name, item.detail);
        for (_, hours) in spans(usage) {
            let _ = match item.usd_in(hours, usage) {
                Some(usd) => write!(text, "  {usd:>9.4}"),
                None => write!(text, "  {:>9}", "?"),
            };
        }
        text.push('\n');
    }
    let _ = write!(text, "{:lead$}", "  US dollars together");
    for (_, hours) in spans(usage) {
        let _ = write!(text, "  {:>9.4}", estimate.usd_in(hours, usage));
    }
    text + "\n"
}

/// The same where the columns have no room: what each costs stands below it.
fn list_items(look: Look, estimate: &Estimate) -> Vec<String> {
    let usage = &estimate.usage;
    let name = |hours: f64| match hours {
        1.0 => "an hour".to_owned(),
        24.0 => "a day".to_owned(),
        prices::HOURS_PER_MONTH => "a month".to_owned(),
        hours => format!("in {hours} h"),
    };
    let say = |usd_in: &dyn Fn(f64) -> Option<f64>| {
        let parts = spans(usage).map(|(_, hours)| match usd_in(hours) {
            Some(usd) => format!("${usd:.4} {}", name(hours)),
            None => format!("unknown {}", name(hours)),
        });
        parts.join(", ")
    };
    let items = estimate.items.iter().map(|item| TableRow {
        cells: vec![item.kind.to_owned(), item.name.clone(), item.detail.clone()],
        rest: say(&|hours| item.usd_in(hours, usage)),
    });
    let sum = TableRow { cells: vec!["together".to_owned()], rest: say(&|hours| Some(estimate.usd_in(hours, usage))) };
    look.lay_out(&items.chain([sum]).collect::<Vec<_>>(), 3)
}

fn describe_usage(estimate: &Estimate) -> String {
    let Usage { nat_hours, vpn_hours, clients, .. } = estimate.usage;
    let has = |kind: &str| estimate.items.iter().any(|item| item.kind == kind);
    let mut words = vec!["the hosts run all the time".to_owned()];
    if has("natgateway") {
        words.push(format!("the NAT window is open for {nat_hours} h, once"));
    }
    if has("client-vpn-target-network") {
        let time = vpn_hours.map_or("all the time".to_owned(), |hours| format!("for {hours} h"));
        let noun = if clients == 1 { "client" } else { "clients" };
        words.push(format!("the VPN is there with {clients} {noun} connected {time}"));
    }
    words.join(", ")
}

fn tell_now(page: &mut Page, now: &Now) {
    let noun = if now.count == 1 { "thing exists" } else { "things exist" };
    page.line(&format!("now:      {} {noun}, costing {}", now.count, show_total(now.total)));
    for what in &now.unpriced {
        page.line(&format!("not counted: {what}: its price is not in the table"));
    }
    for what in &now.unread {
        page.line(&format!("not known: {what}"));
    }
}

fn tell_budget(page: &mut Page, report: &Report) {
    let usd = report.budget_usd;
    let line = match (report.hours_left(), &report.now) {
        (Some(hours), _) if hours <= 0.0 => format!("budget:   ${usd:.2} ([budget] usd) are spent"),
        (Some(hours), _) => {
            let (hours, most) = ((hours * 10.0).floor() / 10.0, if report.is_at_most() { "at most " } else { "" });
            format!("budget:   ${usd:.2} ([budget] usd) are reached in {most}{hours:.1} h at what it costs now")
        }
        (None, Some(_)) => format!("budget:   ${usd:.2} ([budget] usd): nothing costs by the hour now"),
        (None, None) => {
            let rate = report.estimate.usd_per_hour();
            if rate > 0.0 {
                format!("budget:   ${usd:.2} ([budget] usd) last {:.1} h with everything standing", usd / rate)
            } else {
                format!("budget:   ${usd:.2} ([budget] usd)")
            }
        }
    };
    page.line(&line);
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;
    use crate::leaks::Total;
    use crate::testing::plain;

    #[test]
    fn the_sums_are_those_of_the_price_list() {
        let document: Value = serde_json::from_str(&to_json(&report(&["--hours", "10"])).unwrap()).unwrap();
        let estimate = &document["estimate"];
        // 2 t3.micro, 16 GB gp3, an address, an association, a connection.
        let standing = 0.0208 + 16.0 * 0.08 / 730.0 + 0.005 + 0.10;
        let near = |field: &str, wanted: f64| {
            let found = estimate[field].as_f64().unwrap();
            assert!((found - wanted).abs() < 1e-5, "{field}: {found} {wanted}");
        };
        near("usd_per_hour", standing);
        near("usd_hour", standing + 0.05 + 0.05);
        near("usd_day", 24.0 * (standing + 0.05) + 0.05);
        near("usd_month", 730.0 * (standing + 0.05) + 0.05);
        near("usd_expected", 10.0 * (standing + 0.05) + 0.05);
        assert_eq!(document["now"], Value::Null);
    }

    #[test]
    fn an_unknown_price_is_told_and_is_no_zero() {
        let mut report = report(&[]);
        report.estimate.items[0].usd_per_hour = None;
        let text = to_text(Look::page(None), &report);
        assert!(
            text.contains("not counted: instance lab-public-ec2 (t3.micro): its price is not in the table"),
            "{text}"
        );
        assert!(text.lines().nth(2).unwrap().ends_with("?          ?          ?          ?"), "{text}");
    }

    #[test]
    fn the_budget_is_told_with_its_hours() {
        let total = Total { usd_per_hour: 0.5, usd_so_far: 10.0, is_at_least: true };
        let now = Now { count: 2, total, unpriced: vec![], unread: vec![], since: None };
        let text = to_text(Look::page(None), &Report { now: Some(now), ..report(&[]) });
        assert!(text.contains("now:      2 things exist, costing $0.5000 an hour, at least $10.0000 so far"), "{text}");
        assert!(text.contains("budget:   $50.00 ([budget] usd) are reached in at most 80.0 h"), "{text}");
    }

    #[test]
    fn at_80_columns_what_an_item_costs_stands_below_it() {
        let wide = to_text(Look::page(Some(200)), &report(&[]));
        assert_eq!(wide, to_text(Look::page(None), &report(&[])), "there is room");
        for columns in [40, 80] {
            let text = to_text(Look::page(Some(columns)), &report(&[]));
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
            assert!(text.contains("  instance lab-public-ec2 t3.micro\n      $0.0104 an hour"), "{text}");
            assert!(text.contains("  together\n      $"), "{text}");
        }
        let heard = to_text(plain(), &report(&[]));
        assert!(heard.contains("\n  instance, lab-public-ec2, t3.micro, $0.0104 an hour, $0.2496 a day, "), "{heard}");
    }
}
