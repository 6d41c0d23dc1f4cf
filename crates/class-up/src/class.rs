//! Roster and labs → the students of a class, each with a lab of its own, and what two of them must not share. Pure.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use lab_common::{HOL02, Lab, Names, Overrides, read_lab};
use lab_plan::Problem;

use crate::cli::Tasks;
use crate::roster::{Entry, RoleArn};

/// One owner with a lab that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Student {
    pub(crate) entry: Entry,
    pub(crate) lab: Lab,
    /// What the programs take as `--lab`.
    pub(crate) lab_file: PathBuf,
    /// The part of it that this run is about.
    pub(crate) part: Lab,
}

impl Student {
    pub(crate) fn owner(&self) -> &str {
        &self.entry.owner
    }

    pub(crate) fn role(&self) -> Option<&RoleArn> {
        self.entry.role.as_ref()
    }

    /// `ada (Ada Lovelace)`
    pub(crate) fn title(&self) -> String {
        match &self.entry.name {
            Some(name) => format!("{} ({name})", self.owner()),
            None => self.owner().to_owned(),
        }
    }
}

/// A lab file: where the programs find it, its name for people, and its text.
#[derive(Debug, Clone)]
pub(crate) struct LabText {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The built-in lab as a class needs it: in one account every function needs a name of its own.
pub(crate) fn hol02_for_a_class() -> String {
    HOL02.replace("function = \"lab-lambda-function\"", "function = \"lab-lambda-function-{owner}\"")
}

/// Reads each owner's lab. `texts` has every lab file that the class or an entry names, by what names it.
///
/// # Errors
/// Everything that is wrong, as one problem.
pub(crate) fn make_students(
    roster: &str,
    entries: &[Entry],
    texts: &HashMap<Option<String>, LabText>,
    region: Option<&str>,
    tasks: Tasks,
) -> Result<Vec<Student>, Problem> {
    let mut problems = Vec::new();
    let mut unsound: Vec<&str> = Vec::new();
    let mut students = Vec::new();
    for entry in entries {
        let Some(text) = texts.get(&entry.lab) else { continue };
        if unsound.contains(&text.name.as_str()) {
            continue;
        }
        let region = entry.region.clone().or_else(|| region.map(str::to_owned));
        let overrides = Overrides { owner: Some(entry.owner.clone()), region };
        match read_lab(&text.name, &text.text, &overrides) {
            Ok(lab) => {
                let part = take_part(&lab, tasks);
                students.push(Student { entry: entry.clone(), part, lab, lab_file: text.path.clone() });
            }
            Err(problem) => {
                // What is wrong in the file itself is wrong for everybody: it is told once.
                if students.iter().all(|student: &Student| student.lab_file != text.path) {
                    unsound.push(&text.name);
                }
                let what = format!("{roster}:{}: the lab of {} is not sound", entry.line, entry.owner);
                problems.push(Problem::usage(what).because(problem.to_string()));
            }
        }
    }
    problems.extend(find_collisions(roster, &students, None));
    Problem::all(&problems).map_or(Ok(students), Err)
}

/// What of a lab the tasks are about: 1 has the hosts that reach the internet and the pipeline, 2 the others and the VPN.
fn take_part(lab: &Lab, tasks: Tasks) -> Lab {
    let mut part = lab.clone();
    match tasks {
        Tasks::Both => {}
        Tasks::One => {
            part.hosts.retain(|host| lab.is_public(host));
            part.vpn = None;
        }
        Tasks::Two => {
            part.hosts.retain(|host| !lab.is_public(host));
            part.images = None;
        }
    }
    part
}

/// The hosts that have the internet from the start, and those that need a NAT window.
pub(crate) fn split_hosts(lab: &Lab) -> (Vec<String>, Vec<String>) {
    let (public, private): (Vec<_>, Vec<_>) = lab.hosts.iter().partition(|host| lab.is_public(host));
    let roles = |hosts: Vec<&lab_common::Host>| hosts.into_iter().map(|host| host.role.clone()).collect();
    (roles(public), roles(private))
}

/// A name, and within what it must be unique.
type Place = (String, String);

/// Names that two students would share. `caller` is the account of those without a role, once it is known.
pub(crate) fn find_collisions(roster: &str, students: &[Student], caller: Option<&str>) -> Vec<Problem> {
    let mut users: BTreeMap<Place, (&'static str, Vec<&Student>)> = BTreeMap::new();
    for student in students {
        let account = student.role().map_or(caller.unwrap_or("the caller's account"), |role| &role.account);
        for (what, within, name) in list_names(student, account) {
            users.entry((within, name)).or_insert_with(|| (what, Vec::new())).1.push(student);
        }
    }
    let shared = users.into_iter().filter(|(_, (_, students))| students.len() > 1);
    shared
        .map(|((within, name), (what, students))| {
            let owners: Vec<_> = students.iter().map(|student| student.owner()).collect();
            let key = match what {
                "function" => "function = \"lab-lambda-function-{owner}\"",
                "input bucket" => "input = \"lab-input-bucket-{owner}\"",
                _ => "output = \"lab-output-bucket-{owner}\"",
            };
            let fix = if ["function", "input bucket", "output bucket"].contains(&what) {
                format!("let the owner be a part of it: {key} in [images] of the lab file")
            } else {
                format!("change an owner in {roster}, or the lab's name")
            };
            let sharing = summarize(&owners);
            Problem::usage(format!("{sharing} would share the {what} {name} in {within}")).fix(fix)
        })
        .collect()
}

/// `ada, bob and 28 more`
pub(crate) fn summarize(owners: &[&str]) -> String {
    match owners {
        [] => "nobody".to_owned(),
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} and {other}"),
        [one, other, third] => format!("{one}, {other} and {third}"),
        [one, other, rest @ ..] => format!("{one}, {other} and {} more", rest.len()),
    }
}

/// What AWS wants unique: what it is, within what, and its name.
fn list_names(student: &Student, account: &str) -> Vec<(&'static str, String, String)> {
    let (lab, names) = (&student.lab, Names::new(&student.lab));
    let region = lab.region.as_deref().unwrap_or("the SDK's Region");
    let regional = format!("{account}, {region}");
    let mut all = vec![
        ("key pair", regional.clone(), names.key_pair()),
        ("role", account.to_owned(), names.host_role()),
        ("role", account.to_owned(), names.function_role()),
        ("instance profile", account.to_owned(), format!("profile {}", names.host_profile())),
        ("log group", regional.clone(), names.vpn_log_group()),
    ];
    if let Some(images) = &lab.images {
        // Bucket names are unique in all of AWS.
        all.push(("input bucket", "all of AWS".to_owned(), images.input.clone()));
        all.push(("output bucket", "all of AWS".to_owned(), images.output.clone()));
        all.push(("function", regional, images.function.clone()));
    }
    all
}

/// The folder of a class on this machine, below the folder of all labs: `class-ROSTER`.
pub(crate) fn folder_name(roster: &Path) -> String {
    let stem = roster.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    format!("class-{}", stem.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::read_roster;

    fn texts(text: &str) -> HashMap<Option<String>, LabText> {
        let lab = LabText { path: "lab.toml".into(), name: "lab.toml".into(), text: text.to_owned() };
        [(None, lab)].into()
    }

    fn students(roster: &str, lab: &str) -> Result<Vec<Student>, Problem> {
        let entries = read_roster("r.csv", roster.as_bytes()).unwrap();
        make_students("r.csv", &entries, &texts(lab), None, Tasks::Both)
    }

    #[test]
    fn the_built_in_lab_makes_a_class_of_one_account() {
        let students = students("owner\nada\nbob\n", &hol02_for_a_class()).unwrap();
        let functions: Vec<_> =
            students.iter().filter_map(|student| Some(student.lab.images.as_ref()?.function.as_str())).collect();
        assert_eq!(functions, ["lab-lambda-function-ada", "lab-lambda-function-bob"]);
    }

    #[test]
    fn one_function_for_two_is_refused_in_one_account_and_fine_in_two() {
        let said = students("owner\nada\nbob\n", HOL02).unwrap_err().to_string();
        assert!(said.contains("ada and bob would share the function lab-lambda-function"), "{said}");
        assert!(said.contains("function = \"lab-lambda-function-{owner}\""), "{said}");
        let apart = "owner,role_arn\nada,arn:aws:iam::111111111111:role/a\nbob,arn:aws:iam::222222222222:role/a\n";
        let apart = students(apart, HOL02).unwrap();
        assert!(find_collisions("r.csv", &apart, Some("333333333333")).is_empty());
        let half = students("owner,role_arn\nada,\nbob,arn:aws:iam::222222222222:role/a\n", HOL02).unwrap();
        assert_eq!(
            find_collisions("r.csv", &half, Some("222222222222")).len(),
            1,
            "the role's account is the caller's"
        );
    }

    #[test]
    fn one_bucket_for_two_is_refused_wherever_they_are() {
        let lab = HOL02.replace("lab-output-bucket-{owner}", "everybodys-output");
        let apart = "owner,role_arn\nada,arn:aws:iam::111111111111:role/a\nbob,arn:aws:iam::222222222222:role/a\n";
        let said = students(apart, &lab).unwrap_err().to_string();
        assert!(said.contains("share the output bucket everybodys-output in all of AWS"), "{said}");
    }

    #[test]
    fn a_lab_file_that_is_not_sound_is_told_once() {
        let lab = HOL02.replace("t3.micro", "t3.micro\"\nsurprise = \"1");
        let said = students("owner\nada\nbob\n", &lab).unwrap_err().to_string();
        assert_eq!(said.matches("unknown key `surprise`").count(), 2, "once for each host: {said}");
    }

    #[test]
    fn tasks_choose_the_parts() {
        let student = &students("owner\nada\n", HOL02).unwrap()[0];
        let (one, two) = (take_part(&student.lab, Tasks::One), take_part(&student.lab, Tasks::Two));
        assert_eq!(split_hosts(&one), (vec!["public".to_owned()], vec![]));
        assert_eq!(split_hosts(&two), (vec![], vec!["private".to_owned()]));
        assert!(one.images.is_some() && one.vpn.is_none() && two.images.is_none() && two.vpn.is_some());
    }

    #[test]
    fn folders_bear_the_rosters_name() {
        assert_eq!(folder_name(Path::new("/x/Kurs 2026.csv")), "class-Kurs-2026");
    }
}
