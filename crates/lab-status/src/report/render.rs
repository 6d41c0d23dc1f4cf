//! A report's page, from its evidence alone: the same evidence makes the same bytes. Pure.

use std::fmt::Write as _;

use lab_picture::{arrange, to_svg};
use lab_plan::Problem;

use super::evidence::{After, Cost, Evidence, Picture, Step, Task, Verdict};
use super::style::STYLE;
use super::timeline;
use crate::picture::{POLICY, escape};

/// Where the evidence stands in the page.
pub(super) const EVIDENCE_START: &str = "<script type=\"application/json\" id=\"evidence\">";
/// Where it ends.
pub(super) const EVIDENCE_END: &str = "</script>";

/// The digest as the page shows it.
pub(super) fn show_digest(digest: &str) -> String {
    format!("<code id=\"digest\">sha256:{digest}</code>")
}

/// The page.
pub(super) fn to_html(evidence: &Evidence) -> Result<String, Problem> {
    let digest = evidence.digest()?;
    // In a script element, `<` could end it.
    let json = evidence.to_json()?.replace('<', "\\u003c");
    let title = escape(&format!("Lab {} of {}: report", evidence.lab, evidence.owner));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    add_who(&mut html, evidence);
    add_picture(&mut html, evidence);
    for task in &evidence.tasks {
        add_task(&mut html, task);
    }
    add_pictures(&mut html, &evidence.pictures);
    add_log(&mut html, evidence);
    add_check(&mut html, evidence);
    add_timeline(&mut html, evidence);
    add_cost(&mut html, &evidence.cost);
    add_leaks(&mut html, evidence);
    add_list(&mut html, "Notes", &evidence.notes);
    let _ = writeln!(
        html,
        "<h2>Digest</h2>\n<p>{} over the evidence in this file. <code>lab-status report --verify FILE</code> says whether the \
         page is the one that this evidence makes. It does not say who made it: compare the digest with one that was kept, or \
         the page with the live lab.</p>\n</main>\n{EVIDENCE_START}{json}{EVIDENCE_END}\n</body>\n</html>",
        show_digest(&digest)
    );
    Ok(html)
}

fn add_who(html: &mut String, evidence: &Evidence) {
    let Evidence { version, at, lab, owner, region, account, caller, .. } = evidence;
    let mut rows = vec![
        ("Lab", lab.clone()),
        ("Owner", owner.clone()),
        ("Looked at", at.clone()),
        ("By", format!("{caller}, with lab-status {version}")),
        ("Account", format!("…{account}")),
        ("Region", region.clone()),
    ];
    let counts = evidence.tasks.iter().map(|task| {
        let (passed, all) = task.count();
        format!("{}: {passed} of {all} steps passed", task.title)
    });
    rows.push(("Result", counts.collect::<Vec<_>>().join("; ")));
    if let Some(after) = &evidence.after {
        rows.push(("After down", tell_after(after)));
    }
    html.push_str("<table class=\"who\">\n");
    for (name, value) in rows {
        let _ = writeln!(html, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(&value));
    }
    html.push_str("</table>\n");
}

fn add_picture(html: &mut String, evidence: &Evidence) {
    let svg = to_svg(&arrange(&evidence.scene));
    let _ = writeln!(
        html,
        "<section class=\"sheet\">\n<h2>Architecture, as it is</h2>\n<div class=\"picture\" tabindex=\"0\">\n{svg}\n</div>\n</section>"
    );
}

fn add_task(html: &mut String, task: &Task) {
    let (passed, all) = task.count();
    let _ = writeln!(html, "<h2>{}: {passed} of {all} steps passed</h2>\n<ol class=\"steps\">", escape(&task.title));
    for (at, step) in task.steps.iter().enumerate() {
        add_step(html, at + 1, step);
    }
    html.push_str("</ol>\n");
}

fn add_step(html: &mut String, number: usize, step: &Step) {
    let (class, word) = match step.verdict {
        Verdict::Passed => ("passed", "✓ passed"),
        Verdict::Open => ("open", "✗ not passed"),
        Verdict::Unseen => ("unseen", "? not seen"),
    };
    let _ = writeln!(
        html,
        "<li><span>{number}.</span><span class=\"{class}\">{word}</span><div>{}\n<ul>",
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
        let _ = writeln!(
            html,
            "<figure><img src=\"data:image/png;base64,{}\" alt=\"{place}\"><figcaption>{place}<br>{width} × {height} pixels, {bytes} \
             bytes; made small here</figcaption></figure>",
            escape(png)
        );
    }
}

fn add_log(html: &mut String, evidence: &Evidence) {
    if !evidence.log.is_empty() {
        let _ = writeln!(html, "<h2>The function's newest lines</h2>\n<pre>{}</pre>", escape(&evidence.log.join("\n")));
    }
}

fn add_check(html: &mut String, evidence: &Evidence) {
    let Some(check) = &evidence.check else { return };
    let tunnel = if check.tunnel { "a tunnel was up" } else { "no tunnel was up" };
    let _ = writeln!(
        html,
        "<h2>vpn-setup check</h2>\n<p class=\"muted\">{}, {tunnel}</p>\n<table>\n<thead><tr><th>check</th><th>result</th><th>seen</th>\
         <th class=\"number\">took</th></tr></thead>\n<tbody>",
        escape(&check.at)
    );
    for one in &check.checks {
        let result = if one.passed { "passed" } else { "not passed" };
        let (name, detail) = (escape(&one.name), escape(&one.detail));
        let _ = writeln!(
            html,
            "<tr><td>{name}</td><td>{result}</td><td>{detail}</td><td class=\"number\">{} ms</td></tr>",
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
         than. Recorded on the machine that ran it.</p>\n",
    );
    for run in &evidence.runs {
        html.push_str(&timeline::to_html(run));
    }
}

fn add_cost(html: &mut String, cost: &Cost) {
    html.push_str("<h2>Cost</h2>\n<table>\n<thead><tr><th>what</th><th>name</th><th class=\"number\">$ an hour</th></tr></thead>\n<tbody>\n");
    for item in &cost.items {
        let (kind, name) = (escape(&item.kind), escape(&item.name));
        let _ =
            writeln!(html, "<tr><td>{kind}</td><td>{name}</td><td class=\"number\">{:.4}</td></tr>", item.usd_per_hour);
    }
    let least = if cost.is_at_least { "at least " } else { "" };
    let _ = writeln!(
        html,
        "<tr><th scope=\"row\">together</th><td></td><td class=\"number\">{:.4}</td></tr>\n</tbody>\n</table>\n<p>So far {least}${:.4}. \
         The whole lab is estimated at ${:.2}, of a budget of ${:.2}. {}.</p>",
        cost.usd_per_hour,
        cost.usd_so_far,
        cost.expected_usd,
        cost.budget_usd,
        escape(&cost.prices)
    );
}

fn add_leaks(html: &mut String, evidence: &Evidence) {
    if let Some(after) = &evidence.after {
        let _ = writeln!(html, "<h2>After down</h2>\n<p>{}</p>", escape(&tell_after(after)));
        add_items(html, &after.left);
        add_items(html, &after.leaving);
        add_items(html, &after.unread);
    }
    let count = evidence.there.len();
    let _ = writeln!(html, "<h2>What would be left without down: {count}</h2>");
    add_items(html, &evidence.there);
}

fn tell_after(after: &After) -> String {
    let (left, leaving, unread) = (after.left.len(), after.leaving.len(), after.unread.len());
    if after.is_nothing() {
        return format!(
            "{}: nothing is left (asked: EC2, S3, Lambda, Logs, ACM, IAM and the tags of all services)",
            after.at
        );
    }
    format!("{}: {left} left, {leaving} on their way out, {unread} could not be looked at", after.at)
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
    html.push_str("<ul>\n");
    for item in items {
        let _ = writeln!(html, "<li>{}</li>", escape(item));
    }
    html.push_str("</ul>\n");
}
