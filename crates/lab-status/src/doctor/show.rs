//! The answer as text and as JSON. Pure.

use std::fmt::Write as _;

use lab_plan::Problem;
use serde_json::json;

use super::{Check, Mark, Region};

/// `{"checks": […], "regions": […]}`
pub(super) fn to_json(checks: &[Check], regions: &[Region]) -> Result<String, Problem> {
    lab_plan::to_json(&json!({ "checks": checks, "regions": regions }))
}

/// A line a check, what to do below it, and the Regions as a table where they are asked for.
pub(super) fn to_text(checks: &[Check], regions: &[Region], with_regions: bool) -> String {
    let mut text = String::new();
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for Check { name, result, detail, fix } in checks {
        let mark = show_mark(*result);
        let _ = writeln!(text, "{mark:7}  {name:width$}  {}", detail.replace('\n', " "));
        if let Some(fix) = fix {
            let _ = writeln!(text, "         fix: {}", fix.replace('\n', "\n              "));
        }
    }
    if with_regions {
        text += &show_regions(regions);
    }
    let count = |mark| checks.iter().filter(|check| check.result == mark).count();
    let (problems, warnings) = (count(Mark::Problem), count(Mark::Warning));
    let _ = writeln!(text, "{} checks: {problems} would stop the lab, {warnings} to be known", checks.len());
    text
}

const fn show_mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "ok",
        Mark::Warning => "warning",
        Mark::Problem => "problem",
    }
}

fn show_regions(regions: &[Region]) -> String {
    let width = |field: fn(&Region) -> &str, title: &str| {
        regions.iter().map(|region| field(region).len()).chain([title.len()]).max().unwrap_or(0)
    };
    let (names, endpoints) = (width(|region| &region.name, "Region"), width(|region| &region.endpoint, "Endpoint"));
    let mut text = format!("{:names$}  {:endpoints$}  Enabled  Status\n", "Region", "Endpoint");
    for Region { name, endpoint, status, enabled } in regions {
        let enabled = if *enabled { "yes" } else { "no" };
        let _ = writeln!(text, "{name:names$}  {endpoint:endpoints$}  {enabled:7}  {status}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str, enabled: bool) -> Region {
        let status = if enabled { "opt-in-not-required" } else { "not-opted-in" };
        Region { name: name.into(), endpoint: format!("ec2.{name}.amazonaws.com"), status: status.into(), enabled }
    }

    #[test]
    fn each_check_is_a_line_and_a_problem_says_what_to_do() {
        let checks = [
            Check::ok("clock", "right"),
            Check::problem("Region", &Problem::failed("not enabled").because("opt-in").fix("enable it\nor another")),
        ];
        let text = to_text(&checks, &[region("us-east-1", true)], false);
        assert_eq!(
            text,
            "ok       clock   right\nproblem  Region  not enabled (opt-in)\n         fix: enable it\n              or another\n\
             2 checks: 1 would stop the lab, 0 to be known\n"
        );
    }

    #[test]
    fn the_regions_are_a_table_with_their_names_endpoints_and_status() {
        let text = to_text(&[], &[region("af-south-1", false), region("us-east-1", true)], true);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Region      Endpoint                      Enabled  Status");
        assert_eq!(lines[1], "af-south-1  ec2.af-south-1.amazonaws.com  no       not-opted-in");
        assert_eq!(lines[2], "us-east-1   ec2.us-east-1.amazonaws.com   yes      opt-in-not-required");
    }
}
