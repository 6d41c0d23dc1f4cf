//! The answer as text and as JSON. Pure.

use lab_plan::{Look, Problem, TableRow};
use serde_json::json;

use super::{Check, Mark, Region};
use crate::show::Page;

/// `{"checks": […], "regions": […]}`
pub(super) fn to_json(checks: &[Check], regions: &[Region]) -> Result<String, Problem> {
    lab_plan::to_json(&json!({ "checks": checks, "regions": regions }))
}

/// A line a check, what to do below it, and the Regions as a table where they are asked for.
pub(super) fn to_text(look: Look, checks: &[Check], regions: &[Region], with_regions: bool) -> String {
    let mut page = Page::new(look);
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for Check { name, result, detail, fix } in checks {
        let mark = show_mark(*result);
        if look.plain {
            page.line(&format!("{mark}, {name}, {detail}"));
        } else {
            page.line(&format!("{mark:7}  {name:width$}  {detail}"));
        }
        for (number, line) in fix.iter().flat_map(|fix| fix.lines()).enumerate() {
            page.line(&format!("         {} {line}", if number == 0 { "fix:" } else { "    " }));
        }
    }
    if with_regions {
        show_regions(look, &mut page, regions);
    }
    let count = |mark| checks.iter().filter(|check| check.result == mark).count();
    let (problems, warnings) = (count(Mark::Problem), count(Mark::Warning));
    page.line(&format!("{} checks: {problems} would stop the lab, {warnings} to be known", checks.len()));
    page.text
}

const fn show_mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "ok",
        Mark::Warning => "warning",
        Mark::Problem => "problem",
    }
}

/// A table; below each other and in words where it has no room.
fn show_regions(look: Look, page: &mut Page, regions: &[Region]) {
    let width = |field: fn(&Region) -> &str, title: &str| {
        regions.iter().map(|region| field(region).len()).chain([title.len()]).max().unwrap_or(0)
    };
    let (names, endpoints) = (width(|region| &region.name, "Region"), width(|region| &region.endpoint, "Endpoint"));
    let mut lines = vec![format!("{:names$}  {:endpoints$}  Enabled  Status", "Region", "Endpoint")];
    lines.extend(regions.iter().map(|Region { name, endpoint, status, enabled }| {
        let enabled = if *enabled { "yes" } else { "no" };
        format!("{name:names$}  {endpoint:endpoints$}  {enabled:7}  {status}")
    }));
    let has_room = look.columns().is_none_or(|columns| lines.iter().all(|line| line.len() <= columns));
    if has_room && !look.plain {
        for line in lines {
            page.line(&line);
        }
        return;
    }
    let rows = regions.iter().map(|Region { name, endpoint, status, enabled }| {
        let enabled = if *enabled { "enabled" } else { "not enabled" };
        TableRow { cells: vec![name.clone()], rest: format!("{endpoint}, {enabled}, {status}") }
    });
    page.rows(&look.lay_out(&rows.collect::<Vec<_>>(), 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plain;

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
        let text = to_text(Look::page(None), &checks, &[region("us-east-1", true)], false);
        assert_eq!(
            text,
            "ok       clock   right\nproblem  Region  not enabled (opt-in)\n         fix: enable it\n              or another\n\
             2 checks: 1 would stop the lab, 0 to be known\n"
        );
    }

    #[test]
    fn the_regions_are_a_table_with_their_names_endpoints_and_status() {
        let text = to_text(Look::page(None), &[], &[region("af-south-1", false), region("us-east-1", true)], true);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Region      Endpoint                      Enabled  Status");
        assert_eq!(lines[1], "af-south-1  ec2.af-south-1.amazonaws.com  no       not-opted-in");
        assert_eq!(lines[2], "us-east-1   ec2.us-east-1.amazonaws.com   yes      opt-in-not-required");
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let checks =
            [Check::ok("tools", "word ".repeat(30)).fix(format!("install it: sudo apt install {}", "x ".repeat(9)))];
        let regions = [region("ap-southeast-1", true)];
        for columns in [40, 80] {
            let text = to_text(Look::page(Some(columns)), &checks, &regions, true);
            assert!(text.lines().all(|line| line.chars().count() <= columns || line.contains("sudo apt")), "{text}");
        }
        let narrow = to_text(Look::page(Some(40)), &checks, &regions, true);
        assert!(narrow.contains("  ap-southeast-1\n      ec2.ap-southeast-1.amazonaws.com,"), "{narrow}");
        let heard = to_text(plain(), &checks, &regions, true);
        assert!(heard.starts_with("ok, tools, word word") && heard.contains("\n  ap-southeast-1, ec2."), "{heard}");
    }
}
