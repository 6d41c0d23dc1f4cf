//! The table: how many cases of each fault passed, and how long the slowest recovery took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::chain::Way;

/// The environment variable that names the folder for the rows.
pub(crate) const FOLDER: &str = "LAB_MATRIX_REPORT";

/// The cases of one fault on one way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Cases that were run: a fault that did not fire is none.
    pub cases: u64,
    /// Cases after which everything was as it must be.
    pub passed: u64,
    /// The slowest run that recovered, in seconds.
    pub worst_s: f64,
}

/// All rows of one shard; what failed is kept for the end, so that one failure does not hide the next.
#[derive(Debug, Default)]
pub struct Tally {
    rows: BTreeMap<(String, Way), Row>,
    failures: Vec<String>,
}

impl Tally {
    /// Counts `cases` that passed together, or failed together.
    pub fn count(&mut self, fault: &str, way: Way, cases: u64, outcome: Result<f64, String>) {
        let row = self.rows.entry((fault.to_owned(), way)).or_default();
        row.cases += cases;
        match outcome {
            Ok(secs) => {
                row.passed += cases;
                row.worst_s = row.worst_s.max(secs);
            }
            Err(failure) => self.failures.push(failure),
        }
    }

    /// Writes the rows where [`FOLDER`] says, and ends the test.
    ///
    /// # Panics
    /// When a case failed, with all of them; when there was none.
    pub fn finish(self, shard: &str) {
        let mut text = String::new();
        for ((fault, way), row) in &self.rows {
            let Row { cases, passed, worst_s } = row;
            let line =
                json!({ "fault": fault, "way": way.name(), "cases": cases, "passed": passed, "worst_s": worst_s });
            let _ = writeln!(text, "{line}");
        }
        eprint!("{text}");
        if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
            std::fs::create_dir_all(&folder).expect("a folder for the rows");
            let mut file = std::fs::File::create(folder.join(format!("{shard}.jsonl"))).expect("a file for the rows");
            file.write_all(text.as_bytes()).expect("the rows are written");
        }
        let Self { rows, failures } = self;
        assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n\n"));
        assert!(rows.values().any(|row| row.cases > 0), "{shard} has no case at all");
    }
}

/// The table of all rows in `folder`, as Markdown.
///
/// # Errors
/// When there are no rows, or they cannot be read.
pub fn make_table(folder: &Path) -> Result<String, String> {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let files = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for file in files.filter_map(Result::ok).filter(|file| file.path().extension().is_some_and(|end| end == "jsonl")) {
        let text = std::fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
            let own = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
            let row = rows.entry((own("fault"), own("way"))).or_default();
            row.cases += line["cases"].as_u64().unwrap_or_default();
            row.passed += line["passed"].as_u64().unwrap_or_default();
            row.worst_s = row.worst_s.max(line["worst_s"].as_f64().unwrap_or_default());
        }
    }
    if rows.is_empty() {
        return Err(format!("there are no results in {}", folder.display()));
    }
    Ok(show_table(&rows))
}

fn show_table(rows: &BTreeMap<(String, String), Row>) -> String {
    let mut faults: Vec<_> = rows.keys().map(|(fault, _)| fault).collect();
    faults.dedup();
    let mut text = String::from(
        "| fault | up: cases | passed | slowest, s | down: cases | passed | slowest, s |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let cell = |row: Option<&Row>| {
        row.map_or_else(|| " | | ".to_owned(), |row| format!("{} | {} | {:.1}", row.cases, row.passed, row.worst_s))
    };
    let (mut cases, mut passed) = (0, 0);
    for fault in faults {
        let [up, down] = ["up", "down"].map(|way| rows.get(&(fault.clone(), way.to_owned())));
        let _ = writeln!(text, "| {fault} | {} | {} |", cell(up), cell(down));
        for row in [up, down].into_iter().flatten() {
            cases += row.cases;
            passed += row.passed;
        }
    }
    let _ = writeln!(text, "\n{cases} cases, {passed} passed, {} failed.", cases - passed);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_several_shards_add_up_and_the_slowest_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = |cases: u64, passed: u64, worst: f64| {
            json!({ "fault": "throttled", "way": "up", "cases": cases, "passed": passed, "worst_s": worst }).to_string()
        };
        std::fs::write(folder.path().join("a.jsonl"), line(3, 3, 1.5)).expect("written");
        std::fs::write(folder.path().join("b.jsonl"), line(2, 1, 0.5)).expect("written");
        let table = make_table(folder.path()).expect("a table");
        assert!(table.contains("| throttled | 5 | 4 | 1.5 |"), "{table}");
        assert!(table.contains("5 cases, 4 passed, 1 failed"), "{table}");
        assert!(make_table(&folder.path().join("none")).is_err());
    }
}
