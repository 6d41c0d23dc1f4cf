//! When what was done: a bar a step, the longest chain marked. Pure.

use std::fmt::Write as _;

use lab_plan::{RecordedStep, RunEnd, RunRecord, State};

use crate::picture::escape;

/// The steps that took the run as long as it took: from the one that ended last back to one that waited for none.
fn find_longest_chain(steps: &[RecordedStep]) -> Vec<bool> {
    let mut chain = vec![false; steps.len()];
    let end = |at: usize| steps[at].time.map(|(_, end)| end);
    let timed = |at: &usize| steps[*at].time.is_some();
    let mut here = (0..steps.len()).filter(timed).max_by_key(|at| end(*at));
    while let Some(at) = here {
        chain[at] = true;
        let needs = &steps[at].needs;
        let before = (0..steps.len()).filter(|other| !chain[*other] && needs.contains(&steps[*other].role));
        here = before.filter(timed).max_by_key(|other| end(*other));
    }
    chain
}

/// A table with a bar in each row, so that it is read without seeing the bars.
pub(super) fn to_html(run: &RunRecord) -> String {
    let whole = run.took.max(1);
    let chain = find_longest_chain(&run.steps);
    let end = match run.end {
        RunEnd::Done => "",
        RunEnd::Failed => ", and failed",
        RunEnd::Stopped => ", and was stopped",
    };
    let mut html = format!(
        "<h3>{}: {}{end}</h3>\n<table class=\"timeline\">\n<thead><tr><th>step</th><th>began</th><th>took</th><th>when</th></tr></thead>\n<tbody>\n",
        escape(&run.program),
        show(run.took)
    );
    for (step, is_longest) in run.steps.iter().zip(chain) {
        let Some((begin, end)) = step.time else { continue };
        let name = match step.action.as_str() {
            RecordedStep::CHECK => "wait until all is as wanted".to_owned(),
            action => format!("{action} {} {}", step.kind, step.name),
        };
        let mark = if is_longest { " ◆" } else { "" };
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

    fn step(role: &str, needs: &[&str], time: Option<(u64, u64)>) -> RecordedStep {
        RecordedStep {
            action: "create".into(),
            kind: "subnet".into(),
            name: role.into(),
            role: role.into(),
            needs: needs.iter().map(ToString::to_string).collect(),
            state: State::Done,
            time,
        }
    }

    #[test]
    fn the_longest_chain_leads_from_the_last_end_to_a_beginning() {
        let steps = [
            step("vpc", &[], Some((0, 10))),
            step("gateway", &[], Some((0, 30))),
            step("subnet", &["vpc"], Some((10, 20))),
            step("table", &["vpc", "gateway"], Some((30, 50))),
            step("never", &["table"], None),
        ];
        assert_eq!(find_longest_chain(&steps), [false, true, false, true, false]);
        assert!(find_longest_chain(&[]).is_empty());
    }

    #[test]
    fn a_step_that_needs_itself_ends_the_chain() {
        assert_eq!(find_longest_chain(&[step("a", &["a"], Some((0, 1)))]), [true]);
    }

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!([show(950), show(12_400), show(605_000)], ["0.9 s", "12 s", "10 min 5 s"]);
        assert_eq!((percent(1, 3), percent(5, 3)), ("33.3".to_owned(), "100.0".to_owned()));
    }
}
