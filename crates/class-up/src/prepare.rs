//! From the command line to a class that is known to be sound, and to the ways into its accounts.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::stream::{self, StreamExt as _};
use lab_common::{Caller, LabArgs, Session};
use lab_plan::{Problem, Stop};

use crate::assume::assume;
use crate::class::{LabText, Student, find_collisions, folder_name, hol02_for_a_class, make_students};
use crate::cli::{Args, ClassArgs, Verb, Who};
use crate::folder::{End, Folder};
use crate::room::{Group, is_academy, judge, look};
use crate::roster::read_roster;

/// A class that has been checked as far as no call is needed.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) roster: String,
    pub(crate) folder: Folder,
    /// Those this run is for, in the roster's order.
    pub(crate) students: Vec<Student>,
}

/// Reads and checks roster and labs. Nothing is called.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn open_class(args: &Args) -> Result<Class, Problem> {
    let (who, class) = (args.verb.who(), &args.class);
    let roster = who.roster.display().to_string();
    let bytes = std::fs::read(&who.roster).map_err(|error| {
        Problem::usage(format!("cannot read the roster {roster}"))
            .because(error.to_string())
            .fix("name a CSV file that begins with a line `owner`")
    })?;
    let entries = read_roster(&roster, &bytes)?;
    let folder = Folder::find(&folder_name(&who.roster))?;
    let files = entries.iter().map(|entry| entry.lab.clone()).chain([None]);
    let needed = |file: &Option<String>| entries.iter().any(|entry| entry.lab == *file);
    let mut texts = HashMap::new();
    for file in files.filter(needed) {
        if let Entry::Vacant(place) = texts.entry(file.clone()) {
            let text = read_lab_text(class, &folder, &who.roster, file.as_deref());
            // Whose line names it, where it is not the class's own.
            let line = entries.iter().find(|entry| entry.lab == file && file.is_some()).map(|entry| entry.line);
            let text = text.map_err(|problem| match line {
                Some(line) => problem.naming(&format!("{roster}:{line}: ")),
                None => problem,
            });
            place.insert(text?);
        }
    }
    let students = make_students(&roster, &entries, &texts, class.region.as_deref(), class.tasks)?;
    let students = choose(students, who, &folder, &roster)?;
    Ok(Class { roster, folder, students })
}

/// The text of a lab file: one that the roster names stands beside the roster.
fn read_lab_text(class: &ClassArgs, folder: &Folder, roster: &Path, file: Option<&str>) -> Result<LabText, Problem> {
    let path = match file {
        Some("hol02") => PathBuf::from("hol02"),
        Some(file) => roster.parent().unwrap_or(Path::new("")).join(file),
        None => class.lab.clone().unwrap_or_else(|| PathBuf::from("lab.toml")),
    };
    let name = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(LabText { path: std::path::absolute(&path).unwrap_or(path), name, text }),
        Err(_) if name == "hol02" => {
            let text = hol02_for_a_class();
            Ok(LabText { path: folder.write("hol02-class.toml", &text)?, name, text })
        }
        Err(error) => Err(Problem::usage(format!("cannot read the lab file {name}"))
            .because(error.to_string())
            .fix("name one with --lab FILE or LAB_FILE, or take the built-in lab with --lab hol02")),
    }
}

/// Those that the command line asks for.
fn choose(students: Vec<Student>, who: &Who, folder: &Folder, roster: &str) -> Result<Vec<Student>, Problem> {
    let unknown: Vec<_> =
        who.only.iter().filter(|owner| students.iter().all(|student| student.owner() != *owner)).cloned().collect();
    if !unknown.is_empty() {
        let what = format!("--only {}: not in {roster}", unknown.join(", "));
        return Err(Problem::usage(what).fix("name owners as the roster writes them"));
    }
    let last = folder.read_last();
    if who.failed && last.is_empty() {
        let what = format!("--failed: no run of {roster} is known on this machine");
        return Err(Problem::usage(what).because(format!("{} keeps how each ended", folder.path("").display())));
    }
    let wanted = |student: &Student| {
        (who.only.is_empty() || who.only.iter().any(|owner| owner == student.owner()))
            && (!who.failed || last.get(student.owner()).is_none_or(|end| *end != End::Done))
    };
    Ok(students.into_iter().filter(wanted).collect())
}

/// The ways into the accounts of a class.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) sdk: SdkConfig,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) caller: Caller,
    /// The credentials of those who have a role, or why there are none.
    pub(crate) assumed: BTreeMap<String, Result<Credentials, Problem>>,
}

impl Doors {
    pub(crate) fn account_of<'a>(&'a self, student: &'a Student) -> &'a str {
        student.role().map_or(&self.caller.account, |role| &role.account)
    }
}

/// Asks who we are, and for everybody's role. Gives every student the Region that is theirs.
///
/// # Errors
/// When AWS does not know us. A role that cannot be assumed is its owner's failure.
pub(crate) async fn open_doors(args: &Args, class: &mut Class, stop: &Stop) -> Result<Doors, Problem> {
    let Some(first) = class.students.first() else {
        return Err(Problem::usage("nobody is left to work for"));
    };
    let options = LabArgs {
        lab: Some(first.lab_file.clone()),
        owner: Some(first.owner().to_owned()),
        region: first.lab.region.clone(),
        profile: args.class.profile.clone(),
        endpoint_url: args.class.endpoint_url.clone(),
        json: args.class.json,
        yes: args.class.yes,
        plain: args.class.plain,
    };
    let session = stop.or(Session::open(&options)).await?;
    for student in &mut class.students {
        let region = student.lab.region.get_or_insert_with(|| session.region.clone()).clone();
        student.part.region = Some(region);
    }
    let sts = aws_sdk_sts::Client::new(&session.sdk);
    let caller = stop.or(lab_account::identify_with(&sts)).await?;
    let with_role = class.students.iter().filter_map(|student| Some((student.owner(), student.role()?)));
    let assuming = stream::iter(with_role)
        .map(async |(owner, role)| (owner.to_owned(), assume(&sts, owner, role).await))
        .buffer_unordered(10)
        .collect::<BTreeMap<_, _>>();
    let assumed = stop.or(async { Ok(assuming.await) }).await?;
    Ok(Doors { sdk: session.sdk, sts, caller, assumed })
}

/// Refuses a class that would share names, or that does not fit into an account; what is there already is neither a
/// problem to look at nor to take down. Who is alone in an account is not asked
/// for here: the programs find that out, for their owner only.
///
/// # Errors
/// What does not fit.
pub(crate) async fn check_class(args: &Args, class: &Class, doors: &Doors, stop: &Stop) -> Result<(), Problem> {
    if !matches!(args.verb, Verb::Up { .. } | Verb::Plan { .. }) {
        return Ok(());
    }
    let mut problems = find_collisions(&class.roster, &class.students, Some(&doors.caller.account));
    if problems.is_empty() {
        let groups = group(class, doors);
        let looking = stream::iter(groups.iter().filter(|group| group.students.len() > 1))
            .map(async |group| {
                let rooms = look(group, is_academy(group, &doors.caller)).await?;
                Ok::<_, Problem>(judge(group, &rooms, u32::from(args.class.at_once)))
            })
            .buffered(5)
            .collect::<Vec<_>>();
        for judged in stop.or(async { Ok(looking.await) }).await? {
            problems.extend(judged?);
        }
    }
    Problem::all(&problems).map_or(Ok(()), Err)
}

/// The students by account and Region.
pub(crate) fn group<'a>(class: &'a Class, doors: &'a Doors) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for student in &class.students {
        let account = doors.account_of(student);
        let region = student.lab.region.as_deref().unwrap_or_default();
        let credentials = match doors.assumed.get(student.owner()) {
            Some(Ok(credentials)) => Some(credentials.clone()),
            Some(Err(_)) => continue,
            None => None,
        };
        if let Some(group) = groups.iter_mut().find(|group| group.account == account && group.region == region) {
            group.students.push(student);
            continue;
        }
        let mut sdk = doors.sdk.to_builder().region(Region::new(region.to_owned()));
        if let Some(credentials) = credentials {
            sdk = sdk.credentials_provider(SharedCredentialsProvider::new(credentials));
        }
        groups.push(Group {
            account: account.to_owned(),
            region: region.to_owned(),
            students: vec![student],
            sdk: sdk.build(),
        });
    }
    groups
}

/// Whether credentials last for a good while yet.
pub(crate) fn is_fresh(credentials: &Credentials) -> bool {
    let left = credentials.expiry().map(|expiry| expiry.duration_since(SystemTime::now()).unwrap_or_default());
    left.is_none_or(|left| left > std::time::Duration::from_mins(30))
}
