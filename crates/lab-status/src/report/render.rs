//! A report's page, from its evidence alone: the same evidence makes the same bytes. Pure.

use std::fmt::Write as _;

use lab_picture::{arrange, to_svg};
use lab_plan::Problem;

use super::evidence::{After, Cost, Evidence, Picture, Step, Task, Verdict};
use super::style::STYLE;
use super::timeline;
use super::verify::{Page, place_for_digest, seal};
use crate::picture::{POLICY, escape};

/// Where the evidence stands in the page.
pub(super) const EVIDENCE_START: &str = "<script type=\"application/json\" id=\"evidence\">";
/// Where it ends.
pub(super) const EVIDENCE_END: &str = "</script>";

/// The page.
pub(super) fn to_html(evidence: &Evidence) -> Result<Page, Problem> {
    // In a script element, `<` could end it.
    let json = evidence.to_json()?.replace('<', "\\u003c");
    let name = format!("Lab report: “{}” of {}", evidence.lab, evidence.owner);
    let (title, foot) = (escape(&name), escape_css(&format!("{name} · {}", evidence.at)));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}@page{{@bottom-left{{content:\"{foot}\"}}}}\n</style>\n</head>\n<body>\n<main>\n\
         <section class=\"cover\">\n<h1>{title}</h1>\n"
    );
    html.push_str("<div class=\"head\">\n");
    add_who(&mut html, evidence);
    add_results(&mut html, &evidence.tasks);
    html.push_str("</div>\n");
    let svg = to_svg(&arrange(&evidence.scene));
    let _ = writeln!(
        html,
        "<div class=\"picture\" tabindex=\"0\" role=\"region\" aria-label=\"Picture of the lab\">\n{svg}\n</div>\n</section>"
    );
    if let Some(after) = &evidence.after {
        add_after(&mut html, after);
    }
    for (at, task) in evidence.tasks.iter().enumerate() {
        add_task(&mut html, at, task);
    }
    add_pictures(&mut html, &evidence.pictures);
    add_log(&mut html, evidence);
    add_check(&mut html, evidence);
    add_timeline(&mut html, evidence);
    add_cost(&mut html, &evidence.cost);
    add_list(&mut html, "Notes", &evidence.notes);
    html.push_str(
        "<section class=\"whole\">\n<h2>What the digest proves</h2>\n<p>The digest on the first page is SHA-256 over this HTML \
         file. <code>lab-status report --verify FILE</code> says whether the file is still as it was made. It does not say who \
         made it: compare the digest with the one that was told when the report was made, or the page with the live lab.</p>\n\
         </section>\n",
    );
    let _ = writeln!(html, "<h2>What would be left without down: {}</h2>", evidence.there.len());
    add_items(&mut html, &evidence.there);
    let _ = writeln!(html, "</main>\n{EVIDENCE_START}{json}{EVIDENCE_END}\n</body>\n</html>");
    Ok(seal(&html))
}

/// A text within quotes in a style sheet: what is neither letter nor digit is written as its number.
fn escape_css(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "\\{:x} ", u32::from(c));
        }
    }
    escaped
}

fn add_who(html: &mut String, evidence: &Evidence) {
    let Evidence { version, at, lab, owner, region, account, caller, cost, .. } = evidence;
    let mut facts = vec![
        ("Lab", escape(lab)),
        ("Owner", escape(owner)),
        ("Looked at; all times in UTC", escape(at)),
        ("Account and Region", escape(&format!("…{account}, {region}"))),
        ("By", escape(&format!("{caller}, with lab-status {version}"))),
        ("Costs", format!("${:.4} an hour", cost.usd_per_hour)),
    ];
    if let Some(after) = &evidence.after {
        facts.push(("After down", escape(&after.tell())));
    }
    facts.push(("Digest", place_for_digest()));
    html.push_str("<dl class=\"who\">\n");
    for (name, value) in facts {
        let class = if matches!(name, "After down" | "Digest") { " class=\"wide\"" } else { "" };
        let _ = writeln!(html, "<div{class}><dt>{name}</dt><dd>{value}</dd></div>");
    }
    html.push_str("</dl>\n");
}

/// A line a task: how many steps have passed, and a mark for each, which leads to it.
fn add_results(html: &mut String, tasks: &[Task]) {
    html.push_str("<ul class=\"results\">\n");
    for (task_at, task) in tasks.iter().enumerate() {
        let (passed, all) = task.count();
        let _ = write!(html, "<li><strong>{}: {passed} of {all} steps passed</strong>", escape(&task.title));
        for (at, step) in task.steps.iter().enumerate() {
            let Mark { class, sign, word } = mark(step.verdict);
            let (id, number) = (name_step(task_at, at), at + 1);
            let label = escape(&format!("{}, step {number} {word}", task.title));
            let _ =
                write!(html, " <a class=\"mark {class}\" href=\"#{id}\" aria-label=\"{label}\">{number} {sign}</a>");
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n");
}

/// How a verdict is marked: by a sign, a word and a frame, for eyes and printers without colours.
struct Mark {
    class: &'static str,
    sign: char,
    word: &'static str,
}

fn mark(verdict: Verdict) -> Mark {
    let (class, sign) = match verdict {
        Verdict::Passed => ("passed", '✓'),
        Verdict::Open => ("open", '✗'),
        Verdict::Unseen => ("unseen", '?'),
    };
    Mark { class, sign, word: verdict.word() }
}

/// What links lead to.
fn name_step(task: usize, step: usize) -> String {
    format!("task-{}-step-{}", task + 1, step + 1)
}

fn add_task(html: &mut String, task_at: usize, task: &Task) {
    let (passed, all) = task.count();
    let _ = writeln!(html, "<h2>{}: {passed} of {all} steps passed</h2>\n<ol class=\"steps\">", escape(&task.title));
    for (at, step) in task.steps.iter().enumerate() {
        add_step(html, &name_step(task_at, at), at + 1, step);
    }
    html.push_str("</ol>\n");
}

fn add_step(html: &mut String, id: &str, number: usize, step: &Step) {
    let Mark { class, sign, word } = mark(step.verdict);
    let _ = writeln!(
        html,
        "<li id=\"{id}\"><span>{number}.</span><span class=\"mark {class}\">{sign} {word}</span><div>{}\n<ul>",
        escape(&step.text)
    );
    for fact in &step.facts {
        let _ = writeln!(html, "<li>{}</li>", escape(fact));
    }
    html.push_str("</ul></div></li>\n");
}

fn add_pictures(html: &mut String, pictures: &[Picture]) {
    if pictures.is_empty() {
        return;
    }
    html.push_str("<h2>A picture, in and out</h2>\n");
    for Picture { place, bytes, width, height, png } in pictures {
        let place = escape(place);
        // As both begin, in Base64.
        let kind = if png.starts_with("/9j/") { "jpeg" } else { "png" };
        let _ = writeln!(
            html,
            "<figure><img src=\"data:image/{kind};base64,{}\" alt=\"{place}\"><figcaption>{place}<br>{width} × {height} pixels, {bytes} \
             bytes; made small here</figcaption></figure>",
            escape(png)
        );
    }
}

fn add_log(html: &mut String, evidence: &Evidence) {
    if evidence.log.is_empty() {
        return;
    }
    html.push_str("<h2>The function's newest lines</h2>\n");
    let count = evidence.metric_lines;
    if count > 0 {
        let (noun, verb) = if count == 1 { ("line", "is") } else { ("lines", "are") };
        let _ = writeln!(html, "<p class=\"muted\">{count} {noun} of metrics for CloudWatch {verb} left out.</p>");
    }
    let _ = writeln!(html, "<pre>{}</pre>", escape(&evidence.log.join("\n")));
}

fn add_check(html: &mut String, evidence: &Evidence) {
    let Some(check) = &evidence.check else { return };
    let tunnel = if check.tunnel { "a tunnel was up" } else { "no tunnel was up" };
    let _ = writeln!(
        html,
        "<h2>vpn-setup check</h2>\n<p class=\"muted\">{}, {tunnel}</p>\n<table>\n<thead><tr><th scope=\"col\">check</th><th scope=\"col\">result</th>\
         <th scope=\"col\">seen</th><th scope=\"col\" class=\"number\">took</th></tr></thead>\n<tbody>",
        escape(&check.at)
    );
    for one in &check.checks {
        let Mark { class, sign, word } = mark(if one.passed { Verdict::Passed } else { Verdict::Open });
        let (name, detail) = (escape(&one.name), escape(&one.detail));
        let _ = writeln!(
            html,
            "<tr><td>{name}</td><td><span class=\"mark {class}\">{sign} {word}</span></td><td>{detail}</td><td class=\"number\">{} \
             ms</td></tr>",
            one.ms
        );
    }
    html.push_str("</tbody>\n</table>\n");
}

fn add_timeline(html: &mut String, evidence: &Evidence) {
    if evidence.runs.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Timeline of the last up</h2>\n<p class=\"muted\">◆ marks the longest chain: what the run could not have been shorter \
         than. “Began” counts from the run’s own start. Recorded on the machine that ran it.</p>\n",
    );
    for run in &evidence.runs {
        html.push_str(&timeline::to_html(run));
    }
}

fn add_cost(html: &mut String, cost: &Cost) {
    let least = if cost.is_at_least { "at least " } else { "" };
    let _ = writeln!(
        html,
        "<section class=\"whole\">\n<h2>Cost</h2>\n<p>So far {least}${:.4}. The whole lab is estimated at ${:.2}, of a budget of ${:.2} ({}).</p>\n<table>\n\
         <thead><tr><th scope=\"col\">what</th><th scope=\"col\">name</th><th scope=\"col\" class=\"number\">$ an hour</th></tr></thead>\n<tbody>",
        cost.usd_so_far,
        cost.expected_usd,
        cost.budget_usd,
        escape(&cost.prices)
    );
    for item in &cost.items {
        let (kind, name) = (escape(&item.kind), escape(&item.name));
        let _ =
            writeln!(html, "<tr><td>{kind}</td><td>{name}</td><td class=\"number\">{:.4}</td></tr>", item.usd_per_hour);
    }
    let _ = writeln!(
        html,
        "<tr><th scope=\"row\">together</th><td></td><td class=\"number\">{:.4}</td></tr>\n</tbody>\n</table>\n</section>",
        cost.usd_per_hour
    );
}

fn add_after(html: &mut String, after: &After) {
    let _ = writeln!(html, "<h2>After down</h2>\n<p>{}</p>", escape(&after.tell()));
    add_items(html, &after.left);
    add_items(html, &after.leaving);
    add_items(html, &after.unread);
    add_items(html, &after.notes);
    if !after.before.is_empty() {
        let before = escape(&after.before);
        let _ = writeln!(
            html,
            "<p>All else here is of the report of before, whose digest is <code>sha256:{before}</code>.</p>"
        );
    }
}

fn add_list(html: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = writeln!(html, "<h2>{title}</h2>");
        add_items(html, items);
    }
}

fn add_items(html: &mut String, items: &[String]) {
    if items.is_empty() {
        return;
    }
    html.push_str("<ul class=\"items\">\n");
    for item in items {
        let _ = writeln!(html, "<li>{}</li>", escape(item));
    }
    html.push_str("</ul>\n");
}
