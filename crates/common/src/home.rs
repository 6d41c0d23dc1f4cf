//! What only this machine has: keys, tokens, reports. Secrets, not state.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use lab_plan::Problem;

use crate::Lab;

/// The lab's own directory on this machine: `$LAB_HOME`, by default `~/.local/share/hybrid-lab/NAME-OWNER`, mode 0700.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

/// A text that must not be seen. `Debug` hides it; it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Every caller answers for where it goes.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Home {
    /// The directory of `lab`. Nothing is created yet.
    ///
    /// # Errors
    /// When neither `LAB_HOME` nor `HOME` is set.
    pub fn of(lab: &Lab) -> Result<Self, Problem> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = set("LAB_HOME") {
            return Ok(Self(home));
        }
        let home = set("HOME").ok_or_else(|| {
            Problem::usage("neither LAB_HOME nor HOME is set").fix("set LAB_HOME to a directory for the lab's keys")
        })?;
        Ok(Self(home.join(".local/share/hybrid-lab").join(format!("{}-{}", lab.name, lab.owner))))
    }

    /// A directory of one's choice.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where a file of that name is, or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The secret of that name, if it exists.
    ///
    /// # Errors
    /// When it cannot be read, or when others than its owner may read it.
    pub fn find_secret(&self, name: &str) -> Result<Option<Secret>, Problem> {
        let path = self.path(name);
        let show = path.display();
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Problem::failed(format!("cannot read {show}")).because(error.to_string())),
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            let why = "a secret that others could read is none any more";
            let fix = format!("if nobody else has read it: chmod 600 {show}");
            return Err(Problem::failed(format!("others than you may read {show}")).because(why).fix(fix));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Problem::failed(format!("cannot read {show}")).because(error.to_string()))?;
        Ok(Some(Secret(text)))
    }

    /// The secret of that name; made by `make` and written once, with mode 0600, when it does not exist. An existing
    /// one is never overwritten, also not by another process at the same moment.
    ///
    /// # Errors
    /// When it can be neither read nor written completely; a file that was only half written is removed.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> Result<Secret, Problem>) -> Result<Secret, Problem> {
        if let Some(secret) = self.find_secret(name)? {
            return Ok(secret);
        }
        let secret = make()?;
        self.create()?;
        let path = self.path(name);
        match write_once(&path, secret.reveal()) {
            Ok(()) => Ok(secret),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.find_secret(name)?.ok_or_else(|| Problem::failed(format!("{} came and went", path.display())))
            }
            Err(error) => Err(Problem::failed(format!("cannot write {}", path.display())).because(error.to_string())),
        }
    }

    fn create(&self) -> Result<(), Problem> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(|error| {
            Problem::failed(format!("cannot make {}", self.0.display()))
                .because(error.to_string())
                .fix("set LAB_HOME to a directory that you may write to")
        })
    }
}

/// Writes a new file with mode 0600 that appears under its name only once it is complete.
fn write_once(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    // A hard link, unlike a rename, fails when the name is taken: nothing is ever overwritten.
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    let removed = std::fs::remove_file(&draft);
    linked.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_readable_by_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("deep/lab-ada"));
        let first = home.secret("token", || Ok(Secret::new("one"))).unwrap();
        let again = home.secret("token", || Ok(Secret::new("two"))).unwrap();
        assert_eq!((first.reveal(), again.reveal()), ("one", "one"));
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.path("token")), 0o600);
        assert_eq!(mode(home.path("")), 0o700);
        let files: Vec<_> = std::fs::read_dir(home.path("")).unwrap().collect();
        assert_eq!(files.len(), 1, "no draft is left: {files:?}");
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        home.secret("token", || Ok(Secret::new("one"))).unwrap();
        std::fs::set_permissions(home.path("token"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let problem = home.find_secret("token").unwrap_err();
        assert!(problem.remedy().unwrap().contains("chmod 600"), "{problem}");
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
