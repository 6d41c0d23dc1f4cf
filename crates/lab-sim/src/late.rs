//! Things that exist already and that AWS does not show yet. Only a fault rule (`late-visibility-ms`) makes some.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sim::lock;

/// The names and ids that are not visible yet.
#[derive(Debug, Default)]
pub(crate) struct LateBook {
    hidden: Mutex<HashMap<String, Instant>>,
}

impl LateBook {
    /// Hides `name` for `ms` milliseconds from `now` on.
    pub(crate) fn hide(&self, name: &str, ms: u64, now: Instant) {
        lock(&self.hidden).insert(name.to_owned(), now + Duration::from_millis(ms));
    }

    /// Whether `name` is still hidden.
    pub(crate) fn is_hidden(&self, name: &str, now: Instant) -> bool {
        lock(&self.hidden).get(name).is_some_and(|until| now < *until)
    }

    /// Whether anything is hidden; what has become visible is forgotten.
    pub(crate) fn hides_anything(&self, now: Instant) -> bool {
        let mut hidden = lock(&self.hidden);
        hidden.retain(|_, until| now < *until);
        !hidden.is_empty()
    }

    /// Everything is visible again.
    pub(crate) fn reset(&self) {
        lock(&self.hidden).clear();
    }
}
