//! The roster: a CSV file with a line an owner, checked entirely before anything is called. Pure.

use std::collections::HashMap;

use lab_common::find_owner_fault;
use lab_plan::Problem;

/// One line of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The line in the file, from 1.
    pub(crate) line: u64,
    pub(crate) owner: String,
    /// The role to assume for this owner; the caller's own account where there is none.
    pub(crate) role: Option<RoleArn>,
    pub(crate) region: Option<String>,
    /// Another lab file than the class's, as the roster writes it.
    pub(crate) lab: Option<String>,
    /// Who it is, for people.
    pub(crate) name: Option<String>,
}

/// `arn:aws:iam::123456789012:role/path/name`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleArn {
    pub(crate) arn: String,
    pub(crate) account: String,
}

const COLUMNS: [&str; 5] = ["owner", "role_arn", "region", "lab", "name"];
const EXAMPLE: &str = "owner,role_arn,name\nada,,Ada Lovelace\nbob,arn:aws:iam::123456789012:role/LabTeacher,Bob";

/// Reads a roster; `file` is its name for messages. Understands what spreadsheet programs write: a byte order mark, CRLF,
/// semicolons or tabs for commas, empty lines.
///
/// # Errors
/// Everything that is wrong with it, as one problem.
pub(crate) fn read_roster(file: &str, bytes: &[u8]) -> Result<Vec<Entry>, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let what = format!("{file}: this is UTF-16, which spreadsheet programs call \"Unicode text\"");
        return Err(Problem::usage(what).fix("save it as \"CSV UTF-8\""));
    }
    let mut reader = Reader { file, problems: Vec::new() };
    let entries = reader.read(bytes);
    reader.check_owners(&entries);
    reader.problems.sort_by_key(|(line, _)| *line);
    let mut problems: Vec<_> = reader.problems.into_iter().map(|(_, problem)| problem).collect();
    if problems.is_empty() && entries.is_empty() {
        problems
            .push(Problem::usage(format!("{file}: nobody is in it")).fix(format!("write a line an owner:\n{EXAMPLE}")));
    }
    if problems.len() > 1 {
        problems.insert(0, Problem::usage(format!("{file} has {} problems:", problems.len())));
    }
    Problem::all(&problems).map_or(Ok(entries), Err)
}

struct Reader<'a> {
    file: &'a str,
    problems: Vec<(u64, Problem)>,
}

/// Which column of the file each of ours is.
type Header = HashMap<&'static str, usize>;

impl Reader<'_> {
    fn reject(&mut self, line: u64, what: impl std::fmt::Display, fix: impl Into<String>) {
        let problem = Problem::usage(format!("{}:{line}: {what}", self.file)).fix(fix);
        self.problems.push((line, problem));
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<Entry> {
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(guess_delimiter(bytes))
            .from_reader(bytes);
        let mut header: Option<(Header, usize)> = None;
        let mut entries = Vec::new();
        for record in csv.byte_records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, csv::Position::line);
                    self.reject(line, error, "save the file as CSV again");
                    break;
                }
            };
            let line = record.position().map_or(1, csv::Position::line);
            // Names may be in whatever a spreadsheet program writes; all else is ASCII and is checked.
            let fields: Vec<String> =
                record.iter().map(|field| String::from_utf8_lossy(field).trim().to_owned()).collect();
            if fields.iter().all(String::is_empty) {
                continue;
            }
            match &header {
                None => match self.read_header(line, &fields) {
                    Some(found) => header = Some((found, fields.len())),
                    None => return Vec::new(),
                },
                Some((header, width)) => entries.extend(self.read_entry(line, header, *width, &fields)),
            }
        }
        entries
    }

    fn read_header(&mut self, line: u64, fields: &[String]) -> Option<Header> {
        let mut header = Header::new();
        for (place, field) in fields.iter().enumerate() {
            let name = field.to_ascii_lowercase();
            match COLUMNS.iter().find(|column| **column == name) {
                Some(column) => {
                    if header.insert(column, place).is_some() {
                        self.reject(line, format!("the column `{column}` is there twice"), "keep one of them");
                    }
                }
                // What stands right of the table in a spreadsheet.
                None if name.is_empty() => {}
                None => self.reject(
                    line,
                    format!("the column `{field}` is not known"),
                    format!("the columns are {}; only owner must be there", COLUMNS.join(", ")),
                ),
            }
        }
        if header.contains_key("owner") {
            return Some(header);
        }
        self.reject(line, "the first line does not name a column `owner`", format!("begin like this:\n{EXAMPLE}"));
        None
    }

    fn read_entry(&mut self, line: u64, header: &Header, width: usize, fields: &[String]) -> Option<Entry> {
        if fields.iter().skip(width).any(|field| !field.is_empty()) {
            let what = format!("{} values for {width} columns", fields.len());
            self.reject(line, what, "put a value with a comma in it in double quotes");
        }
        let value = |column: &str| {
            let text = header.get(column).and_then(|place| fields.get(*place));
            text.filter(|text| !text.is_empty()).cloned()
        };
        let role = value("role_arn").and_then(|arn| {
            let role = RoleArn::parse(&arn);
            if role.is_none() {
                let what = format!("role_arn = \"{arn}\" is not the ARN of a role");
                self.reject(line, what, "write one like arn:aws:iam::123456789012:role/NAME, or leave it empty");
            }
            role
        });
        if let Some(region) = value("region")
            && let Err(problem) = lab_common::check_region(&region)
        {
            self.reject(line, problem.what(), problem.remedy().unwrap_or_default());
        }
        let Some(owner) = value("owner") else {
            self.reject(line, "no owner", "write a name of its own for each line, like \"ada\"");
            return None;
        };
        Some(Entry { line, owner, role, region: value("region"), lab: value("lab"), name: value("name") })
    }

    /// Owners are parts of names that AWS wants unique, and of names of folders.
    fn check_owners(&mut self, entries: &[Entry]) {
        let mut seen: HashMap<String, (u64, &str)> = HashMap::new();
        for entry in entries {
            if let Some((what, fix)) = find_owner_fault(&entry.owner) {
                self.reject(entry.line, what, fix);
            }
            match seen.get(&entry.owner.to_lowercase()) {
                Some((line, first)) => {
                    let what = if *first == entry.owner {
                        format!("owner \"{}\" is in line {line} too", entry.owner)
                    } else {
                        format!("owner \"{}\" differs from \"{first}\" in line {line} only in its case", entry.owner)
                    };
                    self.reject(entry.line, what, "give each a name of its own: names of AWS and tags come from it");
                }
                None => {
                    seen.insert(entry.owner.to_lowercase(), (entry.line, &entry.owner));
                }
            }
        }
    }
}

/// The sign between values: spreadsheet programs of countries with a decimal comma write semicolons.
fn guess_delimiter(bytes: &[u8]) -> u8 {
    let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let count = |sign: u8| first.split(|byte| *byte == sign).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|sign| count(*sign)).unwrap_or(b',')
}

impl RoleArn {
    /// IAM user guide, "IAM identifiers": partition, account, and a role's path and name.
    fn parse(arn: &str) -> Option<Self> {
        let [_, partition, service, region, account, resource] =
            arn.splitn(6, ':').collect::<Vec<_>>().try_into().ok()?;
        let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
        let legal = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-/".contains(c);
        let sound = arn.starts_with("arn:")
            && ["aws", "aws-cn", "aws-us-gov"].contains(&partition)
            && (service, region) == ("iam", "")
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && !name.is_empty()
            && name.len() <= 64
            && resource.chars().all(legal);
        sound.then(|| Self { arn: arn.to_owned(), account: account.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owners(text: &str) -> Vec<String> {
        let entries = read_roster("roster.csv", text.as_bytes()).unwrap();
        entries.into_iter().map(|entry| entry.owner).collect()
    }

    fn complaint(text: &str) -> String {
        read_roster("roster.csv", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_spreadsheet_programs_write_is_understood() {
        for text in [
            "owner,name\nada,Ada Lovelace\nbob,Bob\n",
            "\u{feff}owner;name\r\nada;\"Lovelace; Ada\"\r\nbob;Bob\r\n",
            "Owner\tName\r\nada\tAda\r\n\r\nbob\tBob",
            "\n owner , name ,,\nada,Ada,,\n,,,\nbob,Bob,,\n",
            "owner\nada\nbob\n",
        ] {
            assert_eq!(owners(text), ["ada", "bob"], "{text:?}");
        }
        let latin = read_roster("roster.csv", b"owner,name\nada,Andr\xe9\n").unwrap();
        assert!(latin[0].name.as_deref().is_some_and(|name| name.starts_with("Andr")));
    }

    #[test]
    fn every_column_reaches_its_field_in_whatever_order() {
        let text =
            "name,lab,region,role_arn,owner\nAda,labs/a.toml,eu-west-1,arn:aws:iam::210987654321:role/x/Lab,ada\n";
        let entry = &read_roster("roster.csv", text.as_bytes()).unwrap()[0];
        assert_eq!((entry.line, entry.owner.as_str()), (2, "ada"));
        assert_eq!(entry.role.as_ref().map(|role| role.account.as_str()), Some("210987654321"));
        assert_eq!(
            (entry.region.as_deref(), entry.lab.as_deref(), entry.name.as_deref()),
            (Some("eu-west-1"), Some("labs/a.toml"), Some("Ada"))
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_each_with_its_line() {
        let text = "owner,role_arn,region\nada,,\nada,,\nAda,,\n\"bad name\",arn:aws:iam::1:role/x,mars\n,arn:aws:iam::123456789012:role/x,\nyour-name,,,,surplus\n";
        let said = complaint(text);
        for part in [
            "roster.csv has 9 problems:",
            "roster.csv:3: owner \"ada\" is in line 2 too",
            "roster.csv:4: owner = \"Ada\" has characters",
            "like \"ada\"",
            "roster.csv:4: owner \"Ada\" differs from \"ada\" in line 2 only in its case",
            "roster.csv:5: role_arn = \"arn:aws:iam::1:role/x\" is not the ARN of a role",
            "roster.csv:5: `mars` is not the name of a Region",
            "roster.csv:5: owner = \"bad name\"",
            "roster.csv:6: no owner",
            "roster.csv:7: 5 values for 3 columns",
            "roster.csv:7: owner = \"your-name\" is only a placeholder",
        ] {
            assert!(said.contains(part), "{part:?} is missing from\n{said}");
        }
    }

    #[test]
    fn a_file_that_is_no_roster_says_what_one_is() {
        assert!(complaint("").contains("nobody is in it"));
        assert!(complaint("owner\n\n").contains("owner,role_arn,name"));
        assert!(complaint("ada\nbob\n").contains("roster.csv:1: the first line does not name a column `owner`"));
        assert!(complaint("owner,owner\nada,bob\n").contains("`owner` is there twice"));
        assert!(complaint("owner,rolearn\nada,x\n").contains("the column `rolearn` is not known"));
        let utf16 = read_roster("roster.csv", b"\xff\xfeo\0w\0").unwrap_err();
        assert!(utf16.remedy().is_some_and(|fix| fix.contains("CSV UTF-8")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_roster_or_a_usage_problem(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(problem) = read_roster("r", &bytes) {
                prop_assert_eq!(problem.exit().code(), 2);
            }
        }

        #[test]
        fn any_owners_survive(names in proptest::collection::hash_set("[a-z][a-z0-9]{0,8}", 1..12)) {
            let names: Vec<String> = names.into_iter().collect();
            prop_assert_eq!(owners(&format!("owner\r\n{}\r\n", names.join("\r\n"))), names);
        }
    }
}
