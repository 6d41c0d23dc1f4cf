//! What runs, what waits and what is done: the state behind the lines. Pure; times count from the board's start.

use std::time::Duration;

use crate::{Action, State, Usual};

/// The lines of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    /// From top to bottom.
    pub(crate) rows: Vec<Row>,
    /// Whether its rows are a plan's: all known from the start, and in sight to the end.
    pub(crate) is_plan: bool,
}

/// One line: a step or a wait.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is found by.
    pub(crate) key: u64,
    /// For each level below the first, whether more follows there.
    pub(crate) rails: Vec<bool>,
    /// The rows that it waits for.
    pub(crate) needs: Vec<usize>,
    /// What it does to its resource.
    pub(crate) action: Option<Action>,
    /// What it is: without the verb, where `action` says it.
    pub(crate) title: String,
    /// Why or how.
    pub(crate) detail: String,
    /// What it waits for while it runs; in the end the id of what was made, or how it ended without.
    pub(crate) more: String,
    /// How long it usually takes.
    pub(crate) usual: Option<Usual>,
    pub(crate) state: State,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// When it was last told, where nothing is redrawn.
    pub(crate) told: Duration,
}

impl Row {
    pub(crate) fn new(key: u64, action: Option<Action>, title: String, detail: String) -> Self {
        Self {
            key,
            rails: Vec::new(),
            needs: Vec::new(),
            action,
            title,
            detail,
            more: String::new(),
            usual: None,
            state: State::Waiting,
            began: Duration::ZERO,
            ended: Duration::ZERO,
            told: Duration::ZERO,
        }
    }

    pub(crate) fn begin(&mut self, now: Duration) {
        (self.state, self.began, self.told) = (State::Running, now, now);
    }

    pub(crate) fn end(&mut self, now: Duration, state: State) {
        (self.state, self.ended) = (state, now);
    }

    /// How long it has run, or ran.
    pub(crate) fn took(&self, now: Duration) -> Duration {
        match self.state {
            State::Running => now.saturating_sub(self.began),
            State::Done | State::Failed => self.ended.saturating_sub(self.began),
            State::Waiting | State::Blocked => Duration::ZERO,
        }
    }

    /// `create vpc lab-vpc`
    pub(crate) fn full_title(&self) -> String {
        match self.action {
            Some(action) => format!("{} {}", action.verb(), self.title),
            None => self.title.clone(),
        }
    }

    /// How long it may still usually take.
    fn remaining(&self, now: Duration) -> Duration {
        let usual = self.usual.map_or(Duration::ZERO, |usual| usual.longest());
        match self.state {
            State::Waiting => usual,
            State::Running => usual.saturating_sub(self.took(now)),
            State::Done | State::Failed | State::Blocked => Duration::ZERO,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed | State::Blocked)
    }
}

impl Board {
    /// Rows in this state.
    pub(crate) fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    /// The running row on which the end of the run depends: the one from which the most usual time is still to pass, with
    /// all that waits for it; where nobody knows a time, the one that runs longest.
    pub(crate) fn find_pole(&self, now: Duration) -> Option<&Row> {
        let after = self.find_time_after(now);
        let running = self.rows.iter().zip(after).filter(|(row, _)| row.state == State::Running);
        let weighed = running.map(|(row, after)| ((row.remaining(now) + after, row.took(now)), row));
        // Of equals the upper one, so that the answer does not jump.
        let longer = |best: (_, _), other: (_, _)| if other.0 > best.0 { other } else { best };
        weighed.reduce(longer).map(|(_, row)| row)
    }

    /// For each row, the longest usual time of the rows that wait for it, one after another.
    fn find_time_after(&self, now: Duration) -> Vec<Duration> {
        let mut after = vec![Duration::ZERO; self.rows.len()];
        // A row's needs may stand anywhere; a chain has at most as many links as there are rows.
        for _ in 0..self.rows.len() {
            let mut changed = false;
            for (index, row) in self.rows.iter().enumerate().filter(|(_, row)| !row.is_over()) {
                let time = row.remaining(now) + after[index];
                for need in &row.needs {
                    if after[*need] < time {
                        after[*need] = time;
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(needs: &[usize], minutes: u64, began: Option<u64>) -> Row {
        let mut row = Row::new(0, Some(Action::Create), String::new(), String::new());
        row.needs = needs.to_vec();
        row.usual = (minutes > 0).then(|| Usual::minutes(minutes, minutes, ""));
        if let Some(began) = began {
            row.begin(Duration::from_secs(began));
        }
        row
    }

    fn pole(rows: Vec<Row>, now: u64) -> Option<usize> {
        let board = Board { rows, is_plan: true };
        let pole: *const Row = board.find_pole(Duration::from_secs(now))?;
        board.rows.iter().position(|row| std::ptr::eq(row, pole))
    }

    #[test]
    fn the_pole_is_what_the_most_usual_time_still_hangs_on() {
        let chain = vec![row(&[], 0, Some(0)), row(&[], 2, Some(0)), row(&[0], 10, None)];
        assert_eq!(pole(chain, 5), Some(0), "what it holds up takes ten minutes");
        let both = vec![row(&[], 2, Some(0)), row(&[], 5, Some(0))];
        assert_eq!(pole(both, 5), Some(1));
        let late = vec![row(&[], 2, Some(100)), row(&[], 5, Some(0))];
        assert_eq!(pole(late, 290), Some(1), "almost over, and no more than the other one");
        assert_eq!(pole(vec![row(&[], 0, Some(3)), row(&[], 0, Some(1))], 9), Some(1), "the one that runs longest");
        assert_eq!(pole(vec![row(&[], 5, None)], 9), None);
    }

    #[test]
    fn needs_in_a_circle_end() {
        let circle = vec![row(&[1], 5, None), row(&[0], 5, None), row(&[], 0, Some(0))];
        assert_eq!(pole(circle, 9), Some(2));
    }
}
