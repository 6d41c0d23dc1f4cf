//! What the user sees on stderr while steps run: a tree that is redrawn on a terminal, a line an event elsewhere.

mod board;
mod paint;
mod screen;
mod tree;

use std::time::Duration;

use board::Row;

use crate::chain::resolve_needs;
use crate::look::Look;
use crate::text::{clean, clean_lines};
use crate::{Exit, Problem, State, Step, Usual};

pub(crate) use screen::{pause, print_line};

/// What is over within this time needs no word.
const MOMENT: Duration = Duration::from_millis(400);

/// Shows the steps of a run on stderr. Colours and redrawing only on a terminal that can do it; `--plain`, `NO_COLOR`,
/// `CLICOLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are respected.
///
/// A process has one screen: what several of them show at the same time stands together on it.
#[derive(Debug)]
pub struct Progress(Option<Look>);

impl Progress {
    /// For stderr as it is. `plain`: one line an event and nothing drawn, for a screen reader.
    pub fn stderr(plain: bool) -> Self {
        Self(Some(Look::of_stderr(plain)))
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Self(None)
    }

    /// Shows text above whatever is being redrawn, within the terminal's width. What AWS says may stand in it.
    pub fn say(&self, text: &str) {
        if let Some(look) = self.0 {
            print_line(&look.fold(&clean_lines(text)));
        }
    }

    /// Shows text that is laid out, coloured and clean already above whatever is being redrawn.
    pub(crate) fn show(&self, text: &str) {
        if self.0.is_some() {
            print_line(text);
        }
    }

    /// Does `work`, which only reads. Where that takes longer than a moment a terminal says so until it is done; elsewhere
    /// nothing is said.
    pub async fn reading<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            answer = &mut work => return answer,
            () = tokio::time::sleep(MOMENT) => {}
        }
        let is_terminal = self.0.is_some_and(|look| look.size().is_some());
        let _line = is_terminal.then(|| self.begin("reading what exists", ""));
        work.await
    }

    /// Begins a line that [`Line::end`] ends.
    pub fn begin(&self, title: &str, detail: &str) -> Line {
        Line { key: self.0.map(|look| screen::add(look, Row::new(0, None, clean(title), clean(detail)))) }
    }

    /// Shows the steps of a plan until [`Tree::close`].
    pub(crate) fn open<O>(&self, steps: &[Step<O>]) -> Tree {
        let Some(look) = self.0 else { return Tree(None) };
        let needs = resolve_needs(steps.iter().map(|step| (step.role.as_str(), step.needs.as_slice())));
        let places = tree::arrange(&needs);
        let mut row_of = vec![0; steps.len()];
        for (row, place) in places.iter().enumerate() {
            row_of[place.step] = row;
        }
        let first = screen::open_plan(
            look,
            places.into_iter().enumerate().map(|(number, place)| {
                let step = &steps[place.step];
                let title = clean(&format!("{} {}", step.kind, step.name));
                let mut row = Row::new(number as u64, Some(step.action), title, clean(&step.detail));
                row.rails = place.rails;
                row.needs = needs[place.step].iter().map(|need| row_of[*need]).collect();
                row.usual = step.usual;
                row
            }),
        );
        Tree(Some(row_of.into_iter().map(|row| first + row as u64).collect()))
    }
}

/// The steps of a plan on the screen.
#[derive(Debug)]
pub(crate) struct Tree(Option<Vec<u64>>);

impl Tree {
    /// A step begins.
    pub(crate) fn begin(&self, step: usize) -> Line {
        let key = self.0.as_ref().and_then(|keys| keys.get(step)).copied();
        if let Some(key) = key {
            screen::change(key, Row::begin);
            screen::tell_begun(key);
        }
        Line { key }
    }
}

impl Drop for Tree {
    /// Nothing runs any more: what has not begun never will.
    fn drop(&mut self) {
        if self.0.is_some() {
            screen::close_plan(|row| {
                if row.state == State::Waiting {
                    row.state = State::Blocked;
                }
            });
        }
    }
}

/// A step or a wait under way.
#[derive(Debug)]
pub struct Line {
    key: Option<u64>,
}

impl Line {
    /// Says what it waits for now.
    pub fn waits_for(&self, what: &str) {
        if let Some(key) = self.key {
            screen::change(key, |row, _| row.more = clean(what));
        }
    }

    /// Says how long it usually takes.
    pub fn usually(&self, usual: Usual) {
        if let Some(key) = self.key {
            screen::change(key, |row, _| row.usual = Some(usual));
        }
    }

    /// Ends the line: done, with the id of what was made, or failed.
    pub fn end(self, answer: Result<Option<&str>, &Problem>) {
        let mut line = self;
        if let Some(key) = line.key.take() {
            match answer {
                Ok(id) => screen::end(key, State::Done, &clean(id.unwrap_or_default())),
                Err(problem) => {
                    let is_stopped = matches!(problem.exit(), Exit::Interrupted | Exit::Terminated);
                    screen::end(key, State::Failed, if is_stopped { "stopped" } else { "failed" });
                }
            }
        }
    }

    /// Ends the line without a word, as dropping it does.
    pub fn clear(self) {}
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            screen::clear(key);
        }
    }
}
