//! When what was done: a bar a step, the longest chain marked. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use lab_plan::{RecordedStep, RunEnd, RunRecord, State};

use crate::picture::escape;

/// A table with a bar in each row, so that it is read without seeing the bars.
pub(super) fn to_html(run: &RunRecord) -> String {
    let whole = run.took.max(1);
    let chain = run.longest_chain();
    let end = match run.end {
        RunEnd::Done => "",
        RunEnd::Failed => ", and failed",
        RunEnd::Stopped => ", and was stopped",
    };
    let program = escape(&run.program);
    // The head comes again on every page that the table reaches, so it names the program.
    let mut html = format!(
        "<h3>{program}: {}{end}</h3>\n<table class=\"timeline\">\n<thead><tr><th scope=\"col\">{program}{}</th><th scope=\"col\">began</th><th scope=\"col\">took</th>\
         <th scope=\"col\" class=\"lane\">when</th></tr></thead>\n<tbody>\n",
        show(run.took),
        tell_start(run.started_at),
    );
    for (at, step) in run.steps.iter().enumerate() {
        let is_longest = chain.contains(&at);
        let Some((begin, end)) = step.time else { continue };
        let name = match step.action.as_str() {
            RecordedStep::CHECK => "wait until all is as wanted".to_owned(),
            action => format!("{action} {} {}", step.kind, step.name),
        };
        let mark = if is_longest { "\u{a0}◆" } else { "" };
        let failed = if step.state == State::Failed { " (failed)" } else { "" };
        let class = if is_longest { "bar longest" } else { "bar" };
        let _ = writeln!(
            html,
            "<tr><td>{}{failed}{mark}</td><td>{}</td><td>{}</td><td class=\"lane\"><div class=\"{class}\" \
             style=\"margin-left:{}%;width:{}%\"></div></td></tr>",
            escape(&name),
            show(begin),
            show(end.saturating_sub(begin)),
            percent(begin, whole),
            percent(end.saturating_sub(begin), whole),
        );
    }
    html.push_str("</tbody>\n</table>\n");
    html
}

/// When a run began, in milliseconds since 1970.
fn tell_start(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    time.map(|time| time.strftime(", from %Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

/// A tenth of a percent is finer than anybody sees; whole numbers are written alike everywhere.
fn percent(part: u64, whole: u64) -> String {
    let tenths = (part.saturating_mul(1000) / whole).min(1000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn show(milliseconds: u64) -> String {
    match milliseconds {
        0..=9_999 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        10_000..=119_999 => format!("{} s", milliseconds / 1000),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!([show(950), show(12_400), show(605_000)], ["0.9 s", "12 s", "10 min 5 s"]);
        assert_eq!((percent(1, 3), percent(5, 3)), ("33.3".to_owned(), "100.0".to_owned()));
    }
}
