//! What a verb answers as text: a plan that reads like a diff, a table of what exists, what a failure leaves behind.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::chain::resolve_needs;
use crate::layout::{INDENT, TableRow};
use crate::look::{Ink, Look};
use crate::report::{round_usd, sum_usd};
use crate::text::{clean, pad, show_time, width, wrap};
use crate::{Action, Exit, Heading, Outcome, Plan, RecordedStep, Resource, State, Step, Usual};

/// Where text on a terminal goes on at the right of a column, it has at least so many columns there.
const LEAST: usize = 24;
/// What the last look of a run is called where nothing else says what is checked.
const FINAL_CHECK: &str = "check that all is as wanted";

/// `$0.0104 an hour`
pub(crate) fn show_usd(usd: f64) -> String {
    let usd = round_usd(usd);
    if usd == 0.0 { "nothing by the hour".to_owned() } else { format!("${usd:.4} an hour") }
}

/// Where the figures come from; nothing where there are none.
fn note_prices(usd: f64, prices: &str) -> String {
    if usd == 0.0 { String::new() } else { format!(" ({prices})") }
}

/// `1 change`, `2 changes`
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A plan like a diff: one line a change, with its sign, what it costs, and why.
pub(crate) fn show_plan<O>(look: Look, heading: &Heading, plan: &Plan<O>, prices: &str) -> String {
    let Heading { lab, owner, region } = heading;
    let unchanged = count(plan.unchanged, "resource");
    if plan.is_empty() {
        return wrap_line(look, &format!("{lab} of {owner} in {region}: nothing to change, {unchanged} as wanted"));
    }
    let changes = format!("{}{}", count(plan.steps.len(), "change"), count_actions(&plan.steps));
    let mut text = wrap_line(look, &format!("{lab} of {owner} in {region}: {changes}, {unchanged} as wanted"));
    let changes: Vec<_> = plan.steps.iter().map(Change::of).collect();
    for (line, change) in lay_out_changes(look, &changes).into_iter().zip(&changes) {
        let sign = if look.plain { change.action.verb().to_owned() } else { change.action.sign().to_string() };
        let _ = writeln!(text, "  {} {line}", look.ink(change.action.ink(), &sign));
    }
    let usd = plan.usd_per_hour;
    text += &wrap_line(look, &format!("this part costs {} once applied{}", show_usd(usd), note_prices(usd, prices)));
    if let Some(usual) = find_usual(&plan.steps) {
        let time = usual.show(if look.unicode { "–" } else { " to " });
        text += &wrap_line(look, &format!("usually takes {time} ({})", usual.source()));
    }
    text
}

/// ` (7 to create, 1 to update)`; nothing where all is of one kind, as the signs say it already.
fn count_actions<O>(steps: &[Step<O>]) -> String {
    let actions = [Action::Create, Action::Update, Action::Delete];
    let counts = actions.map(|action| (action, steps.iter().filter(|step| step.action == action).count()));
    let counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    if counts.len() < 2 {
        return String::new();
    }
    let counts: Vec<_> = counts.iter().map(|(action, count)| format!("{count} to {}", action.verb())).collect();
    format!(" ({})", counts.join(", "))
}

/// What one line of a plan holds.
struct Change {
    action: Action,
    kind: &'static str,
    name: String,
    cost: String,
    detail: String,
}

impl Change {
    fn of<O>(step: &Step<O>) -> Self {
        let usd = step.usd_per_hour;
        Self {
            action: step.action,
            kind: step.kind,
            name: clean(&step.name),
            cost: if usd == 0.0 { String::new() } else { format!("{usd:+.4} $/h") },
            detail: clean(&step.detail),
        }
    }
}

/// Each change behind its sign: in columns where there is room, else what goes on stands below.
fn lay_out_changes(look: Look, changes: &[Change]) -> Vec<String> {
    if look.plain {
        let lines = changes.iter().map(|change| {
            let title = format!("{} {}", change.kind, change.name);
            let parts = [&title, &change.cost, &change.detail].into_iter().filter(|text| !text.is_empty());
            parts.map(String::as_str).collect::<Vec<_>>().join(", ")
        });
        return lines.collect();
    }
    let widest = |cell: fn(&Change) -> &str| changes.iter().map(|change| width(cell(change))).max().unwrap_or(0);
    let (kinds, names, costs) = (widest(|c| c.kind), widest(|c| &c.name), widest(|c| &c.cost));
    let costs = if costs == 0 { 0 } else { costs + 2 };
    let before = 4 + kinds + 2 + names + 2 + costs;
    let all = before + widest(|c| &c.detail);
    match look.columns() {
        Some(columns) if all > columns && before + LEAST > columns => {
            changes.iter().map(|change| stack(change, columns)).collect()
        }
        columns => {
            let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(before).max(2));
            let lines = changes.iter().map(|change| {
                let cost = if costs == 0 { String::new() } else { pad(&change.cost, costs) };
                let detail = wrap(&change.detail, room).join(&format!("\n{}", " ".repeat(before)));
                let line = format!("{}  {}  {cost}{detail}", pad(change.kind, kinds), pad(&change.name, names));
                line.trim_end().to_owned()
            });
            lines.collect()
        }
    }
}

fn stack(change: &Change, columns: usize) -> String {
    let room = columns.saturating_sub(INDENT.len());
    let mut lines = wrap(&format!("{} {}", change.kind, change.name), room);
    for text in [&change.cost, &change.detail] {
        lines.extend(wrap(text, room));
    }
    lines.join(&format!("\n{INDENT}"))
}

/// A sentence within the terminal's width.
fn wrap_line(look: Look, text: &str) -> String {
    match look.columns() {
        Some(columns) => wrap(text, columns).join("\n") + "\n",
        None => format!("{text}\n"),
    }
}

/// How long the steps usually take: those with a known time that wait for each other, where that takes longest.
pub(crate) fn find_usual<O>(steps: &[Step<O>]) -> Option<Usual> {
    let needs = resolve_needs(steps.iter().map(|step| (step.role.as_str(), step.needs.as_slice())));
    let mut sums: Vec<Option<Usual>> = vec![None; steps.len()];
    // A chain has at most as many links as there are steps.
    for _ in 0..steps.len() {
        let before = sums.clone();
        for (index, step) in steps.iter().enumerate() {
            let ahead = needs[index].iter().filter_map(|need| before[*need]).max_by_key(Usual::longest);
            sums[index] = match (ahead, step.usual) {
                (Some(ahead), Some(own)) => Some(ahead.then(own)),
                (ahead, own) => ahead.or(own),
            };
        }
        if sums == before {
            break;
        }
    }
    sums.into_iter().flatten().max_by_key(Usual::longest)
}

/// What exists, as a table; where that is wider than the terminal, what goes on stands below its line.
pub(crate) fn show_status(look: Look, heading: &Heading, resources: &[Resource], prices: &str) -> String {
    let Heading { lab, owner, region } = heading;
    if resources.is_empty() {
        return format!("{lab} of {owner} in {region}: nothing of this part exists\n");
    }
    let mut text = format!("{lab} of {owner} in {region}: {}\n", count(resources.len(), "resource"));
    let rows: Vec<_> = resources.iter().map(list_cells).collect();
    for line in look.lay_out(&rows, 2) {
        let _ = writeln!(text, "  {line}");
    }
    let usd = sum_usd(resources);
    text += &wrap_line(look, &format!("this part costs {}{}", show_usd(usd), note_prices(usd, prices)));
    text
}

/// Kind, name, id, state; what follows has no column of its own.
fn list_cells(resource: &Resource) -> TableRow {
    let Resource { kind, name, id, state, usd_per_hour, more } = resource;
    let cost = (*usd_per_hour != 0.0).then(|| format!("{usd_per_hour:.4} $/h"));
    let more = more.iter().map(|(field, value)| format!("{field}={}", clean(&show_value(value))));
    let rest: Vec<_> = cost.into_iter().chain(more).collect();
    TableRow { cells: [kind, name.as_str(), id, state].map(clean).to_vec(), rest: rest.join("  ") }
}

fn show_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `done: 12 changes in 0:42; longest: vpc lab-vpc 0.4 s, instance lab-public-ec2 31 s`. `chain` holds the steps that
/// decided how long it took, `usd` what the part costs now, where nothing else says so.
pub(crate) fn show_summary(
    look: Look,
    changes: usize,
    took: Duration,
    chain: &[(String, Duration)],
    usd: Option<f64>,
) -> String {
    // What took a twentieth of the time decides nothing.
    let worth = took.max(Duration::from_secs(1)) / 20;
    let chain: Vec<_> = chain.iter().filter(|(_, time)| *time >= worth).collect();
    let name = |title: &str| if title == RecordedStep::CHECK { FINAL_CHECK.to_owned() } else { clean(title) };
    let chain: Vec<_> = chain.iter().map(|(title, time)| format!("{} {}", name(title), show_time(*time))).collect();
    let usd = usd.map(|usd| format!("; this part costs {}", show_usd(usd))).unwrap_or_default();
    let longest = if chain.is_empty() { String::new() } else { format!("; longest: {}", chain.join(", ")) };
    let text = format!("done: {} in {}{usd}{longest}", count(changes, "change"), show_time(took));
    let word = look.ink(Ink::Good, "done");
    wrap_line(look, &text).trim_end().replacen("done", &word, 1)
}

/// What was done, what was not and why, what may remain and cost money, and the command that continues.
pub(crate) fn show_failure<O>(steps: &[Step<O>], outcome: &Outcome, ways_on: &str) -> String {
    let with = |wanted: &[State]| -> Vec<(usize, &Step<O>)> {
        let states = outcome.states.iter().enumerate();
        let wanted = states.filter(|(_, state)| wanted.contains(state)).map(|(index, _)| index);
        wanted.filter_map(|index| Some((index, steps.get(index)?))).collect()
    };
    let done = with(&[State::Done]);
    let mut text = format!("done: {} of {}\n", done.len(), count(steps.len(), "step"));
    for (index, problem) in &outcome.failures {
        let what = name_step(&steps[*index]);
        let _ = match problem.exit() {
            Exit::Interrupted | Exit::Terminated => {
                let why = problem.why().map(|why| format!("\n    {}", why.replace('\n', "\n    "))).unwrap_or_default();
                writeln!(text, "stopped: {what}{why}")
            }
            _ => writeln!(text, "failed: {what}\n    {}", problem.to_string().replace('\n', "\n    ")),
        };
    }
    for (_, step) in with(&[State::Blocked, State::Waiting]) {
        let _ = writeln!(text, "not started: {}", name_step(step));
    }
    let made_nothing =
        |index| outcome.failures.iter().any(|(failed, problem)| *failed == index && problem.has_made_nothing());
    let made = with(&[State::Done, State::Failed]).into_iter();
    for (_, step) in made.filter(|(index, step)| step.usd_per_hour > 0.0 && !made_nothing(*index)) {
        let _ = writeln!(text, "may exist and cost {}: {} {}", show_usd(step.usd_per_hour), step.kind, step.name);
    }
    let kept = with(&[State::Failed, State::Blocked, State::Waiting]).into_iter();
    for (_, step) in kept.filter(|(_, step)| step.usd_per_hour < 0.0) {
        let _ = writeln!(text, "still exists and costs {}: {} {}", show_usd(-step.usd_per_hour), step.kind, step.name);
    }
    text + ways_on
}

/// `update subnet lab-public-subnet (gives its hosts public addresses)`: several steps may change one thing.
fn name_step<O>(step: &Step<O>) -> String {
    if step.detail.is_empty() { step.title() } else { format!("{} ({})", step.title(), step.detail) }
}

#[cfg(test)]
mod tests;
