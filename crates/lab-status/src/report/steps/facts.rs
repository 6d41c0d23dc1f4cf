//! The facts of a step, and what each of them says of it. Pure.

use super::super::evidence::{Step, Verdict};

/// What a fact says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// This part of the step is done.
    Proves,
    /// It is not.
    Disproves,
    /// It cannot be seen whether it is.
    Unseen,
    /// Worth knowing.
    Note,
}

/// Facts of a step.
#[derive(Debug, Default)]
pub(super) struct Facts(Vec<(Weight, String)>);

impl Facts {
    fn add(mut self, weight: Weight, fact: impl Into<String>) -> Self {
        self.0.push((weight, fact.into()));
        self
    }

    /// Something that proves a part of the step.
    pub(super) fn proves(self, fact: impl Into<String>) -> Self {
        self.add(Weight::Proves, fact)
    }

    /// Something that was read, and for which the step cannot be passed.
    pub(super) fn lacks(self, fact: impl Into<String>) -> Self {
        self.add(Weight::Disproves, fact)
    }

    /// Something that was read and must be so.
    pub(super) fn must(self, is_so: bool, fact: impl Into<String>) -> Self {
        if is_so { self.proves(fact) } else { self.lacks(fact) }
    }

    /// Something that the step needs, and nobody can see from here.
    pub(super) fn unseen(self, fact: impl Into<String>) -> Self {
        self.add(Weight::Unseen, fact)
    }

    /// The same, for AWS has refused to tell it.
    pub(super) fn unread(self, what: &str, why: &str) -> Self {
        self.unseen(format!("{what} could not be read: {why}"))
    }

    /// Something worth knowing.
    pub(super) fn note(self, fact: impl Into<String>) -> Self {
        self.add(Weight::Note, fact)
    }

    pub(super) fn is_passed(&self) -> bool {
        self.verdict() == Verdict::Passed
    }

    /// One fact that disproves is enough; all that is needed must be proved.
    fn verdict(&self) -> Verdict {
        let has = |weight| self.0.iter().any(|(one, _)| *one == weight);
        if has(Weight::Disproves) {
            Verdict::Open
        } else if has(Weight::Proves) && !has(Weight::Unseen) {
            Verdict::Passed
        } else {
            Verdict::Unseen
        }
    }

    /// All of it together.
    pub(super) fn judge(self, text: &str) -> Step {
        let verdict = self.verdict();
        let tell = |(weight, fact): (Weight, String)| match weight {
            Weight::Disproves => format!("✗ {fact}"),
            Weight::Unseen => format!("? {fact}"),
            Weight::Proves | Weight::Note => fact,
        };
        Step { text: text.to_owned(), verdict, facts: self.0.into_iter().map(tell).collect() }
    }
}
