//! How long what AWS does usually takes.

use std::time::Duration;

/// The time that something usually takes, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    from: Duration,
    to: Duration,
    source: &'static str,
}

impl Usual {
    /// From so many to so many seconds. `source` says who has measured or promised it, in a few words.
    pub const fn seconds(from: u64, to: u64, source: &'static str) -> Self {
        Self { from: Duration::from_secs(from), to: Duration::from_secs(to), source }
    }

    /// From so many to so many minutes.
    pub const fn minutes(from: u64, to: u64, source: &'static str) -> Self {
        Self::seconds(from * 60, to * 60, source)
    }

    /// Who says so.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// The longest that is still usual.
    pub fn longest(&self) -> Duration {
        self.to
    }

    /// What both take, one after the other. The longer one's source counts.
    #[must_use]
    pub(crate) fn then(self, other: Self) -> Self {
        let source = if self.to >= other.to { self.source } else { other.source };
        Self { from: self.from + other.from, to: self.to + other.to, source }
    }

    /// `5–10 min`, `20–40 s`; `dash` stands between.
    pub(crate) fn show(self, dash: &str) -> String {
        let (from, to) = (self.from.as_secs(), self.to.as_secs());
        let (from, to, unit) = if from >= 60 { (from / 60, to.div_ceil(60), "min") } else { (from, to, "s") };
        if from == to { format!("{to} {unit}") } else { format!("{from}{dash}{to} {unit}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_in_minutes_or_in_seconds() {
        let association = Usual::minutes(5, 10, "a guide");
        assert_eq!(association.show("–"), "5–10 min");
        assert_eq!(Usual::seconds(20, 40, "").show(" to "), "20 to 40 s");
        assert_eq!(association.then(Usual::seconds(80, 125, "logs")).show("-"), "6-13 min");
        assert_eq!(association.then(Usual::seconds(80, 125, "logs")).source(), "a guide");
    }
}
