//! Which steps may run now: the pure half of the runner.

use serde::{Deserialize, Serialize};

use crate::chain::resolve_needs;

/// Where one step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for what it needs, or for a free place.
    Waiting,
    /// Is being carried out.
    Running,
    /// Is done.
    Done,
    /// Was tried and failed.
    Failed,
    /// Never starts, because something it needs failed.
    Blocked,
}

/// The dependencies of a plan and the state of each of its steps, by index.
#[derive(Debug, Clone)]
pub struct Schedule {
    needs: Vec<Vec<usize>>,
    states: Vec<State>,
}

impl Schedule {
    /// Takes each step's role and needs, in the plan's order. A needed role that no step bears is already there.
    /// Several steps may bear one role; who needs it waits for all of them.
    pub fn new<'a>(steps: impl IntoIterator<Item = (&'a str, &'a [String])>) -> Self {
        let steps: Vec<_> = steps.into_iter().collect();
        let needs = resolve_needs(steps.iter().copied());
        Self { states: vec![State::Waiting; needs.len()], needs }
    }

    /// The steps whose needs are all done and that have not started, in the plan's order.
    pub fn ready(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.states.len()).filter(|&step| {
            self.states[step] == State::Waiting && self.needs[step].iter().all(|&need| self.states[need] == State::Done)
        })
    }

    /// Marks a step as running.
    pub fn start(&mut self, step: usize) {
        self.states[step] = State::Running;
    }

    /// Marks a running step as done.
    pub fn finish(&mut self, step: usize) {
        self.states[step] = State::Done;
    }

    /// Marks a running step as failed, and everything that needs it, however far behind, as blocked.
    pub fn fail(&mut self, step: usize) {
        self.states[step] = State::Failed;
        while let Some(next) = self.next_to_block() {
            self.states[next] = State::Blocked;
        }
    }

    /// Every step's state, in the plan's order.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    fn next_to_block(&self) -> Option<usize> {
        let lost = |step: usize| matches!(self.states[step], State::Failed | State::Blocked);
        (0..self.states.len())
            .find(|&step| self.states[step] == State::Waiting && self.needs[step].iter().any(|&need| lost(need)))
    }
}
