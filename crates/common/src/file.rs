//! The text of a lab file and everything that is wrong with it, each with its place.

use std::cell::RefCell;
use std::ops::Range;

use lab_plan::Problem;

/// A range of bytes in the file; empty at 0 for what stands outside of it.
pub(crate) type Span = Range<usize>;

/// A lab file while it is read: its problems are collected, so that all of them are reported in one go.
#[derive(Debug)]
pub(crate) struct LabFile<'a> {
    name: &'a str,
    text: &'a str,
    problems: RefCell<Vec<(Option<Span>, Problem)>>,
}

impl<'a> LabFile<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, problems: RefCell::default() }
    }

    /// Adds a problem at `span`.
    pub(crate) fn reject(&self, span: &Span, what: impl Into<String>, fix: impl Into<String>) {
        let place = self.describe_place(span);
        let problem = Problem::usage(format!("{place}: {}", what.into())).fix(fix);
        self.problems.borrow_mut().push((Some(span.clone()), problem));
    }

    /// Adds a problem with a value that the command line or the environment gave.
    pub(crate) fn reject_override(&self, what: impl Into<String>, fix: impl Into<String>) {
        self.problems.borrow_mut().push((None, Problem::usage(what).fix(fix)));
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// All problems in the file's order, as one; `None` when there are none.
    pub(crate) fn into_problem(self) -> Option<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(span, _)| span.as_ref().map_or(0, |span| span.start));
        let mut problems: Vec<_> = problems.into_iter().map(|(_, problem)| problem).collect();
        problems.dedup();
        let count = problems.len();
        if count > 1 {
            problems.insert(0, Problem::usage(format!("{} has {count} problems:", self.name)));
        }
        Problem::all(&problems)
    }

    /// `lab.toml:7:12`, lines and columns from 1, columns in characters.
    fn describe_place(&self, span: &Span) -> String {
        let before = &self.text[..span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
        format!("{}:{line}:{column}", self.name)
    }
}
