//! The dashboard's page. A script keeps it up to date in place; without one it reloads itself. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use lab_plan::Resource;

use crate::labs::show_total;
use crate::leaks::Total;
use crate::picture::{HINT, escape, size_rules};

/// Nothing is fetched from elsewhere, and no other page may show this one.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) title: String,
    pub(super) svg: String,
    /// The picture's width and height, in pixels.
    pub(super) size: (f64, f64),
    pub(super) resources: Vec<Resource>,
    pub(super) total: Total,
    pub(super) notes: Vec<String>,
    /// Everything could be read.
    pub(super) is_whole: bool,
    pub(super) events: Vec<Event>,
    pub(super) looked_at: Option<Timestamp>,
    /// Why the last look failed.
    pub(super) failure: Option<String>,
}

/// Something that has changed between two looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) time: String,
    pub(super) what: String,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#fff;--text:#16191f;--muted:#4a5561;--line:#c6cdd5;--bad:#a8112a;--soft:#f4f6f8}
@media (prefers-color-scheme:dark){:root{--page:#10161d;--text:#eef2f6;--muted:#b4c0cb;--line:#46535f;--bad:#ff8a9a;--soft:#1b2530}}
body{margin:0;padding:1rem;background:var(--page);color:var(--text);font:15px/1.45 Arimo,'Liberation Sans',Arial,Helvetica,sans-serif}
header{display:flex;flex-wrap:wrap;gap:.25rem 2rem;align-items:baseline}
h1{font-size:1.3rem;margin:0}
h2{font-size:1.05rem;margin:1.25rem 0 .25rem}
.ticker{font-size:1.3rem;font-weight:bold}
.muted{color:var(--muted)}
.failure{color:var(--bad);white-space:pre-wrap}
.columns{display:grid;grid-template-columns:3fr 2fr;gap:0 2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.2rem .75rem .2rem 0;border-bottom:1px solid var(--line)}
.long{overflow-wrap:anywhere}
th{color:var(--muted);font-weight:normal}
.number{text-align:right;white-space:nowrap}
.unseen{position:absolute;clip-path:inset(50%)}
@media (max-width:60rem){.columns{display:block}}
@media (max-width:40rem){
.things thead{position:absolute;clip-path:inset(50%)}
.things tr{display:grid;grid-template-columns:minmax(0,1fr) auto;padding:.2rem 0;border-bottom:1px solid var(--line)}
.things td{padding:0;border:0;overflow-wrap:anywhere}
.things .long{order:-1;grid-column:1/-1}
.things .number{grid-column:1/-1;text-align:left}
.things .number:empty{display:none}
.things .number::before{content:'$'}
.things .number::after{content:' an hour'}
}
@page{size:A4 landscape;margin:10mm}
@media print{body{padding:0}.columns{display:block}tr{break-inside:avoid}}
";

/// What a look of a large lab may take, in seconds, before a page says that it is old.
const SLOW: u64 = 5;

/// The script that keeps the page up to date.
pub(super) const SCRIPT: &str = include_str!("refresh.js");
/// Where it is, from the page's own address.
pub(super) const SCRIPT_PATH: &str = "refresh.js";

/// The page at `now`. It comes again by itself, a little faster at first.
pub(super) fn to_html(state: &State, every: u64, now: Timestamp) -> String {
    let again = if state.looked_at.is_some() { every } else { 1 };
    let title = if state.title.is_empty() { "Lab" } else { &state.title };
    let title = escape(title);
    let sizes = size_rules(state.size.0, state.size.1);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"{again}\"></noscript>\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{sizes}</style>\n<script src=\"{SCRIPT_PATH}\" defer></script>\n</head>\n<body>\n\
         <p id=\"connection\" class=\"failure\" role=\"alert\"></p>\n\
         <p id=\"news\" class=\"unseen\" role=\"status\"></p>\n\
         <header data-every=\"{again}\">\n<h1>{title}</h1>\n"
    );
    match state.looked_at {
        Some(time) => {
            let time = time.strftime("%H:%M:%S UTC");
            let _ = write!(
                html,
                "<div class=\"ticker\">{}</div>\n<div class=\"muted\">looked at {time}, every {every} s</div>\n</header>\n",
                escape(&show_total(state.total))
            );
        }
        None if state.failure.is_some() => {
            html.push_str("<div class=\"muted\">nothing has been read yet</div>\n</header>\n");
        }
        None => html.push_str("<div class=\"muted\" role=\"status\">looking for the first time …</div>\n</header>\n"),
    }
    html.push_str("<main>\n");
    if let Some(failure) = &state.failure {
        let _ = writeln!(html, "<p class=\"failure\" role=\"alert\">not read this time: {}</p>", escape(failure));
    }
    if let Some(age) = find_age(state.looked_at, every, now) {
        let _ = writeln!(html, "<p class=\"failure\">this is {age} s old: the next look is under way</p>");
    }
    let _ = writeln!(
        html,
        "<p class=\"hint\">{HINT}</p>\n<div class=\"picture\" tabindex=\"0\" role=\"region\" aria-label=\"Picture of the lab\">\n\
         {}\n</div>\n<div class=\"columns\">",
        state.svg
    );
    add_table(&mut html, &state.resources);
    html.push_str("<section>\n<h2>Last events</h2>\n<table id=\"events\">\n");
    for Event { time, what } in state.events.iter().rev() {
        let _ = writeln!(html, "<tr><td class=\"muted\">{time}</td><td class=\"long\">{}</td></tr>", escape(what));
    }
    html.push_str("</table>\n");
    if !state.notes.is_empty() {
        html.push_str("<h2>Notes</h2>\n<ul>\n");
        for note in &state.notes {
            let _ = writeln!(html, "<li>{}</li>", escape(note));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</section>\n</div>\n</main>\n</body>\n</html>\n");
    html
}

/// How old a look is, in seconds, where it is older than it should be: AWS answers slowly, or nobody has watched.
fn find_age(looked_at: Option<Timestamp>, every: u64, now: Timestamp) -> Option<u64> {
    let age = u64::try_from(now.duration_since(looked_at?).as_secs()).ok()?;
    (age > 2 * every + SLOW).then_some(age)
}

/// On a narrow screen its rows are grids; browsers would no longer call them rows of a table without their roles.
fn add_table(html: &mut String, resources: &[Resource]) {
    html.push_str(
        "<section>\n<h2>Everything that exists</h2>\n<table class=\"things\" role=\"table\">\n\
         <thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\">what</th><th role=\"columnheader\">name</th>\
         <th role=\"columnheader\">state</th><th role=\"columnheader\" class=\"number\">$ an hour</th></tr></thead>\n\
         <tbody role=\"rowgroup\">\n",
    );
    for Resource { kind, name, state, usd_per_hour, .. } in resources {
        let rate = if *usd_per_hour > 0.0 { format!("{usd_per_hour:.4}") } else { String::new() };
        let _ = writeln!(
            html,
            "<tr role=\"row\"><td role=\"cell\">{kind}</td><td role=\"cell\" class=\"long\">{}</td><td role=\"cell\">{}</td>\
             <td role=\"cell\" class=\"number\">{rate}</td></tr>",
            escape(name),
            escape(state)
        );
    }
    html.push_str("</tbody>\n</table>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let resources = vec![Resource::new("vpc", "<script>alert(1)</script>", "vpc-1")];
        let state = State { resources, failure: Some("<img src=x>".into()), ..State::default() };
        let html = to_html(&state, 10, Timestamp::UNIX_EPOCH);
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
    }

    #[test]
    fn a_look_that_is_older_than_it_should_be_says_so() {
        let state = State { looked_at: Some(Timestamp::UNIX_EPOCH), ..State::default() };
        let after = |seconds| to_html(&state, 10, Timestamp::from_second(seconds).unwrap());
        assert!(!after(25).contains(" s old"));
        assert!(after(26).contains("this is 26 s old"));
    }
}
