//! What a class keeps on this machine, all of it private: each owner's keys, credentials while they are used, logs, and
//! how the last run ended.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use lab_common::{Home, Secret};
use lab_plan::Problem;
use serde::{Deserialize, Serialize};

/// How one owner's part of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// Everything asked for is done.
    Done,
    /// Something failed.
    Failed,
    /// The user stopped it on the way.
    Stopped,
    /// It was not begun.
    NotStarted,
    /// Of a status: some of the lab is there.
    Incomplete,
    /// Of a status: nothing of the lab is there.
    Nothing,
}

/// The folder of a class, mode 0700; every file in it is 0600.
#[derive(Debug, Clone)]
pub(crate) struct Folder(Home);

const LAST: &str = "last.json";
const CREDENTIALS: &str = "credentials";

impl Folder {
    /// `$LAB_HOME/NAME`, by default `~/.local/share/hybrid-lab/NAME`. Nothing is made yet.
    ///
    /// # Errors
    /// When neither `LAB_HOME` nor `HOME` is set.
    pub(crate) fn find(name: &str) -> Result<Self, Problem> {
        Home::of_class(name).map(Self)
    }

    #[cfg(test)]
    pub(crate) fn at(path: &std::path::Path) -> Self {
        Self(Home::at(path))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// Holds the class until the answer is dropped.
    ///
    /// # Errors
    /// When another `class-up` holds it.
    pub(crate) fn lock(&self) -> Result<File, Problem> {
        self.0.create()?;
        let path = self.0.path("");
        let cannot = |error: std::io::Error| {
            Problem::failed(format!("cannot lock {}", path.display())).because(error.to_string())
        };
        let folder = File::open(&path).map_err(cannot)?;
        match folder.try_lock() {
            Ok(()) => Ok(folder),
            Err(TryLockError::WouldBlock) => Err(Problem::failed("another class-up is at work on this class")
                .because(format!("it holds {}", path.display()))
                .fix("wait until it is done, or stop it with Ctrl-C")),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// The file that an owner's programs hold as long as one of them runs, also when `class-up` was killed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open_hold(&self, owner: &str) -> Result<File, Problem> {
        self.0.inside("holds").create()?;
        self.open(&format!("holds/{owner}"), File::options().read(true).write(true).create(true).truncate(false))
    }

    /// What is `LAB_HOME` for an owner's programs.
    pub(crate) fn home_of(&self, owner: &str) -> PathBuf {
        self.0.path(&format!("owners/{owner}"))
    }

    /// The file by which the programs of one account and Region share a rate.
    pub(crate) fn rate_file(&self, account: &str, region: &str) -> PathBuf {
        self.0.path(&format!("rate-{account}-{region}"))
    }

    /// Where an owner's log is.
    pub(crate) fn log_of(&self, owner: &str) -> PathBuf {
        self.0.path(&format!("logs/{owner}.log"))
    }

    /// A new, empty file for what one program says.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open_output(&self, owner: &str, job: usize) -> Result<(PathBuf, File), Problem> {
        self.0.inside("logs").create()?;
        let name = format!("logs/{owner}.{job}.part");
        let file = self.open(&name, File::options().write(true).create(true).truncate(true))?;
        Ok((self.0.path(&name), file))
    }

    /// Adds to an owner's log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn add_to_log(&self, owner: &str, text: &[u8]) -> Result<(), Problem> {
        self.0.inside("logs").create()?;
        let mut file = self.open(&format!("logs/{owner}.log"), File::options().append(true).create(true))?;
        let path = self.log_of(owner);
        file.write_all(text)
            .map_err(|error| Problem::failed(format!("cannot write {}", path.display())).because(error.to_string()))
    }

    /// Puts what a killed run left of an owner's programs into the log.
    pub(crate) fn collect_parts(&self, owner: &str) {
        let prefix = format!("{owner}.");
        let entries = std::fs::read_dir(self.0.path("logs")).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.strip_prefix(&prefix).is_some_and(|rest| rest.split('.').nth(1) == Some("part")) {
                if let Ok(text) = std::fs::read(entry.path())
                    && !text.is_empty()
                {
                    let _ = self.add_to_log(owner, &[b"--- of a run that was killed\n", text.as_slice()].concat());
                }
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn open(&self, name: &str, options: &mut std::fs::OpenOptions) -> Result<File, Problem> {
        let path = self.0.path(name);
        options
            .mode(0o600)
            .open(&path)
            .map_err(|error| Problem::failed(format!("cannot write {}", path.display())).because(error.to_string()))
    }

    /// Writes a file in place of what has this name, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Problem> {
        self.0.replace(name, text)?;
        Ok(self.0.path(name))
    }

    /// A manifest for `cargo lambda deploy`, which asks cargo about a workspace even where it has nothing to build.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_manifest(&self) -> Result<PathBuf, Problem> {
        let manifest =
            "[package]\nname = \"image-processor\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";
        self.write("deploy/src/main.rs", "fn main() {}\n")?;
        self.write("deploy/Cargo.toml", manifest)
    }

    /// Where an owner's credentials are while its programs run.
    pub(crate) fn credentials_of(&self, owner: &str) -> PathBuf {
        self.0.path(&format!("{CREDENTIALS}/{owner}.json"))
    }

    /// Hands an owner's programs new credentials.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn write_credentials(&self, owner: &str, document: &Secret) -> Result<(), Problem> {
        self.0.replace(&format!("{CREDENTIALS}/{owner}.json"), document.reveal())
    }

    /// Takes an owner's credentials away.
    pub(crate) fn remove_credentials(&self, owner: &str) {
        let _ = self.0.remove(&format!("{CREDENTIALS}/{owner}.json"));
    }

    /// How the last run ended for each owner; empty where there was none.
    pub(crate) fn read_last(&self) -> BTreeMap<String, End> {
        let text = std::fs::read_to_string(self.0.path(LAST)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps how this run ended; what it says nothing of stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_last(&self, ends: impl IntoIterator<Item = (String, End)>) -> Result<(), Problem> {
        let mut last = self.read_last();
        last.extend(ends);
        self.0.replace(LAST, &lab_plan::to_json(&last)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn everything_is_its_owners_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(&root.path().join("class-r"));
        let _lock = folder.lock().unwrap();
        folder.add_to_log("ada", b"one\n").unwrap();
        folder.add_to_log("ada", b"two\n").unwrap();
        folder.open_output("ada", 0).unwrap();
        folder.open_hold("ada").unwrap();
        folder.write_credentials("ada", &Secret::new("{}")).unwrap();
        assert_eq!(std::fs::read_to_string(folder.log_of("ada")).unwrap(), "one\ntwo\n");
        let mut waiting = vec![folder.path("")];
        let mut seen = 0;
        while let Some(path) = waiting.pop() {
            let metadata = std::fs::metadata(&path).unwrap();
            let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(metadata.permissions().mode() & 0o777, wanted, "{}", path.display());
            seen += 1;
            if metadata.is_dir() {
                waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        assert_eq!(seen, 8, "four folders and four files");
        folder.remove_credentials("ada");
        assert!(!folder.credentials_of("ada").exists());
    }

    #[test]
    fn a_class_is_worked_on_by_one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let held = folder.lock().unwrap();
        assert!(folder.lock().is_err_and(|problem| problem.what().contains("another class-up")));
        drop(held);
        assert!(folder.lock().is_ok());
    }

    #[test]
    fn how_a_run_ended_is_kept_until_the_next_run_of_the_same_owner() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let ends =
            |ends: &[(&str, End)]| ends.iter().map(|(owner, end)| ((*owner).to_owned(), *end)).collect::<Vec<_>>();
        folder.keep_last(ends(&[("ada", End::Failed), ("bob", End::NotStarted)])).unwrap();
        folder.keep_last(ends(&[("ada", End::Done)])).unwrap();
        let last = folder.read_last();
        assert_eq!((last["ada"], last["bob"]), (End::Done, End::NotStarted));
    }

    #[test]
    fn what_a_killed_run_left_reaches_the_log() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let (path, mut file) = folder.open_output("ada", 3).unwrap();
        file.write_all(b"half\n").unwrap();
        folder.collect_parts("ada");
        assert!(!path.exists());
        assert!(std::fs::read_to_string(folder.log_of("ada")).unwrap().ends_with("half\n"));
    }
}
