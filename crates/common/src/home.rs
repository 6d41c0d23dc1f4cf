//! What only this machine has: keys, tokens, reports. Secrets, not state.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab_plan::{DRAFT, Problem, write_draft};
use tempfile::NamedTempFile;

use crate::Lab;

/// Nobody writes a file of ours for so long.
const ABANDONED: Duration = Duration::from_hours(1);

/// The lab's own directory on this machine: `$LAB_HOME`, by default `~/.local/share/hybrid-lab/NAME-OWNER`, mode 0700.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

/// A variable of the environment that names a path.
fn find_set(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where labs are that `LAB_HOME` says nothing of.
fn find_labs() -> Result<PathBuf, Problem> {
    let home = find_set("HOME").ok_or_else(|| {
        Problem::usage("neither LAB_HOME nor HOME is set").fix("set LAB_HOME to a directory for the lab's keys")
    })?;
    Ok(home.join(".local/share/hybrid-lab"))
}

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
        match find_set("LAB_HOME") {
            Some(home) => Ok(Self(home)),
            None => Ok(Self(find_labs()?.join(format!("{}-{}", lab.name, lab.owner)))),
        }
    }

    /// The directory of a class: `$LAB_HOME/NAME`, by default `~/.local/share/hybrid-lab/NAME`, as an absolute path, which
    /// programs in other directories understand too. Nothing is created yet.
    ///
    /// # Errors
    /// When neither `LAB_HOME` nor `HOME` is set.
    pub fn of_class(name: &str) -> Result<Self, Problem> {
        let labs = find_set("LAB_HOME").map_or_else(find_labs, Ok)?;
        Ok(Self(std::path::absolute(&labs).unwrap_or(labs).join(name)))
    }

    /// A directory of one's choice.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory of that name in this one, with the same rules.
    #[must_use]
    pub fn inside(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// Where a file of that name is, or would be. A name may have directories in front (`private/ca.key`); an empty
    /// one means the directory itself.
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.0.clone() } else { self.0.join(name) }
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
        if self.write_once(name, secret.reveal())? {
            return Ok(secret);
        }
        self.find_secret(name)?.ok_or_else(|| lost_file(self.path(name).display()))
    }

    /// Writes a new file with mode 0600 that appears under its name only once it is complete. `false`, and nothing is
    /// changed, when the name is taken.
    ///
    /// # Errors
    /// When it cannot be written completely; nothing of it is left then.
    pub fn write_once(&self, name: &str, text: &str) -> Result<bool, Problem> {
        match self.draft(name, text)?.persist_noclobber(self.path(name)) {
            Ok(_) => Ok(true),
            Err(failure) if failure.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(failure) => Err(self.explain_write(name, &failure.error)),
        }
    }

    /// Writes a file with mode 0600 in place of what has this name: whoever reads it sees the old text or the new one.
    ///
    /// # Errors
    /// When it cannot be written completely; the old one stays then.
    pub fn replace(&self, name: &str, text: &str) -> Result<(), Problem> {
        let persisted = self.draft(name, text)?.persist(self.path(name));
        persisted.map_err(|failure| self.explain_write(name, &failure.error)).map(|_| ())
    }

    /// Gives a file another name, in place of what has that name. Nothing happens when there is no such file.
    ///
    /// # Errors
    /// When it cannot be done; the file keeps its name then.
    pub fn rename(&self, name: &str, new: &str) -> Result<(), Problem> {
        let (from, to) = (self.path(name), self.path(new));
        create_directory(to.parent().unwrap_or(&self.0))?;
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let what = format!("cannot rename {} to {}", from.display(), to.display());
                Err(Problem::failed(what).because(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Removes a file. Nothing happens when there is no such file.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), Problem> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Problem::failed(format!("cannot remove {}", path.display())).because(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Removes what killed processes left half written in this directory. Only for who knows that no other writes here.
    ///
    /// # Errors
    /// When the directory is there and cannot be read, or something in it not removed.
    pub fn sweep(&self) -> Result<(), Problem> {
        self.list_drafts()?.iter().try_for_each(|name| self.remove(name))
    }

    /// The same where others may be writing: only what was begun an hour ago or earlier.
    ///
    /// # Errors
    /// As [`Home::sweep`].
    pub fn sweep_abandoned(&self) -> Result<(), Problem> {
        let is_old = |name: &&String| {
            let begun = std::fs::metadata(self.path(name)).and_then(|metadata| metadata.modified());
            begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age >= ABANDONED))
        };
        self.list_drafts()?.iter().filter(is_old).try_for_each(|name| self.remove(name))
    }

    fn list_drafts(&self) -> Result<Vec<String>, Problem> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(Iterator::collect::<std::io::Result<Vec<_>>>),
        };
        let entries = entries
            .map_err(|error| Problem::failed(format!("cannot read {}", self.0.display())).because(error.to_string()))?;
        let names = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| name.starts_with(DRAFT)).collect())
    }

    /// Makes the directory itself, mode 0700, where it does not exist.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<(), Problem> {
        create_directory(&self.0)
    }

    /// Waits until no other process holds this directory, makes it where it does not exist, and holds it until the answer
    /// is dropped.
    ///
    /// # Errors
    /// When it can be neither made nor locked.
    pub fn lock(&self) -> Result<File, Problem> {
        self.create()?;
        let lock = || {
            let directory = File::open(&self.0)?;
            directory.lock()?;
            Ok(directory)
        };
        lock().map_err(|error: std::io::Error| {
            Problem::failed(format!("cannot lock {}", self.0.display())).because(error.to_string())
        })
    }

    /// A complete file beside `name`, mode 0600, that vanishes when it is dropped.
    fn draft(&self, name: &str, text: &str) -> Result<NamedTempFile, Problem> {
        let path = self.path(name);
        let directory = path.parent().unwrap_or(&self.0);
        create_directory(directory)?;
        write_draft(directory, text.as_bytes()).map_err(|error| self.explain_write(name, &error))
    }

    fn explain_write(&self, name: &str, error: &std::io::Error) -> Problem {
        let problem = Problem::failed(format!("cannot write {}", self.path(name).display())).because(error.to_string());
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                problem.fix("make room, then run the same command again")
            }
            _ => problem,
        }
    }
}

/// The problem of a file that was there a moment ago.
pub fn lost_file(path: impl std::fmt::Display) -> Problem {
    Problem::failed(format!("{path} has just been deleted by another program"))
        .fix("see to it that nothing else cleans up there, then run the same command again")
}

fn create_directory(path: &Path) -> Result<(), Problem> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Problem::failed(format!("cannot make {}", path.display()))
            .because(error.to_string())
            .fix("set LAB_HOME to a directory that you may write to")
    })
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
    fn a_draft_that_a_killed_process_left_is_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path()).inside("pki");
        home.secret("private/ca.key", || Ok(Secret::new("one"))).unwrap();
        std::fs::write(home.path("private/.draft-x"), "half").unwrap();
        assert!(!home.write_once("private/ca.key", "two").unwrap());
        assert!(home.write_once("private/other.key", "two").unwrap());
        assert_eq!(home.find_secret("private/ca.key").unwrap().unwrap().reveal(), "one");
        home.inside("private").sweep().unwrap();
        let left: Vec<_> =
            std::fs::read_dir(home.path("private")).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        home.inside("nowhere").sweep().unwrap();
    }

    #[test]
    fn a_draft_that_someone_may_still_be_writing_stays_and_an_old_one_goes() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        for name in [".draft-now", ".draft-old", "laptop.ovpn"] {
            std::fs::write(home.path(name), "half").unwrap();
        }
        let long_ago = std::time::SystemTime::now() - ABANDONED;
        for name in [".draft-old", "laptop.ovpn"] {
            std::fs::File::options().write(true).open(home.path(name)).unwrap().set_modified(long_ago).unwrap();
        }
        home.sweep_abandoned().unwrap();
        let left = [".draft-now", ".draft-old", "laptop.ovpn"].map(|name| home.path(name).exists());
        assert_eq!(left, [true, false, true]);
    }

    #[test]
    fn a_file_is_replaced_whole_and_stays_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        for text in ["old", "new"] {
            home.replace("laptop.ovpn", text).unwrap();
            assert_eq!(home.find_secret("laptop.ovpn").unwrap().unwrap().reveal(), text);
        }
        std::fs::create_dir(home.path("taken")).unwrap();
        assert!(home.replace("taken", "text").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "no draft is left");
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
