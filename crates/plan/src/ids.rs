//! Roles and the ids that answer to them, filled as the run goes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::Problem;

/// Which id stands for which role (`subnet public` → `subnet-0a1b…`).
///
/// A plan names what it needs by role, so it exists before anything does; ids come in from what was observed and from
/// every step that made something.
#[derive(Debug, Default)]
pub struct Ids(Mutex<BTreeMap<String, String>>);

impl Ids {
    /// No ids yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that `role` is `id`.
    pub fn set(&self, role: impl Into<String>, id: impl Into<String>) {
        self.lock().insert(role.into(), id.into());
    }

    /// The id of `role`, if it is known.
    pub fn find(&self, role: &str) -> Option<String> {
        self.lock().get(role).cloned()
    }

    /// The id of `role`.
    ///
    /// # Errors
    /// When nothing with that role was found or made.
    pub fn get(&self, role: &str) -> Result<String, Problem> {
        self.find(role).ok_or_else(|| {
            Problem::failed(format!("there is no {role} in this lab"))
                .fix("run the command that makes it first (README, \"The commands\"), then this one again")
        })
    }

    /// All that is known.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<R: Into<String>, I: Into<String>> FromIterator<(R, I)> for Ids {
    fn from_iter<T: IntoIterator<Item = (R, I)>>(pairs: T) -> Self {
        let map = pairs.into_iter().map(|(role, id)| (role.into(), id.into())).collect();
        Self(Mutex::new(map))
    }
}
