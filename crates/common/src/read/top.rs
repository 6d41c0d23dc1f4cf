//! The top of the file: who, where, and the sections.

use lab_plan::Problem;

use super::{Overrides, hosts, images, network, read_word, vpn};
use crate::table::{At, Table};
use crate::{Account, Budget, Lab};

/// The owner of a lab that nobody has made theirs yet.
const PLACEHOLDER: &str = "your-name";
/// What a Learner Lab grants, a limit that a single small host stays under, and a session of a Learner Lab.
const DEFAULT_BUDGET: Budget = Budget { usd: 50.0, ask_above: 0.10, hours: 4.0 };

pub(super) fn read(root: &Table<'_>, overrides: &Overrides) -> Option<Lab> {
    let name = root.required_string("name", "\"lab\"").filter(|name| check_name(root, name));
    let owner = read_owner(root, overrides);
    let region = read_region(root, overrides);
    let words = [("auto", Account::Auto), ("academy", Account::Academy), ("own", Account::Own)];
    let account = read_word(root, "account", &words, Account::Auto);
    let network = if root.has("network") {
        root.table("network").and_then(|table| network::read(&table))
    } else {
        root.reject_missing(
            "network",
            "add [network] with `cidr` and `subnets`; crates/common/labs/hol02.toml is a whole lab to copy",
        );
        None
    };
    let hosts = root.table("hosts").map_or(Some(Vec::new()), |table| hosts::read(&table, root));
    let images = root.table("images").map(|table| images::read(&table, owner.as_deref()).ok_or(())).transpose();
    let vpn = root.table("vpn").map(|table| vpn::read(&table, network.as_ref()).ok_or(())).transpose();
    let budget = root.table("budget").map_or(DEFAULT_BUDGET, |table| read_budget(&table));
    if let (Some(name), Some(owner)) = (&name, &owner)
        && name.value.len() + owner.len() > LONGEST_PAIR
    {
        let what = format!("name \"{}\" and owner \"{owner}\" are too long together", name.value);
        root.file.reject(&name.span, what, format!("use up to {LONGEST_PAIR} characters for both"));
    }
    root.reject_unknown();
    Some(Lab {
        name: name?.value,
        owner: owner?,
        region,
        account: account?,
        network: network?,
        hosts: hosts?,
        images: images.ok()?,
        vpn: vpn.ok()?,
        budget,
    })
}

fn check_name(root: &Table<'_>, name: &At<String>) -> bool {
    match reject_name(&name.value, 20).or_else(|| reject_start(&name.value)) {
        None => true,
        Some(why) => {
            let fix = "use up to 20 lower-case letters, digits and hyphens, a letter first, like \"lab\"";
            root.file.reject(&name.span, format!("name = \"{}\" {why}", name.value), fix);
            false
        }
    }
}

/// Names go into bucket names (S3 user guide, "Bucket naming rules"), which are the strictest of all.
fn reject_name(name: &str, longest: usize) -> Option<&'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > longest {
        Some("is too long")
    } else if !name.chars().all(legal) {
        Some("has characters that a bucket name cannot bear")
    } else if name.starts_with('-') || name.ends_with('-') {
        Some("begins or ends with a hyphen")
    } else {
        None
    }
}

/// EC2 refuses security groups whose names begin with `sg-` (`CreateSecurityGroup`, `GroupName`).
fn reject_start(name: &str) -> Option<&'static str> {
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Some("does not begin with a letter")
    } else if name == "sg" || name.starts_with("sg-") {
        Some("would make names that EC2 keeps for its own ids")
    } else {
        None
    }
}

/// An IAM role's name has up to 64 characters (IAM user guide, "IAM and STS quotas"); `-lambda-role-` stands between.
const LONGEST_PAIR: usize = 64 - "-lambda-role-".len();

/// The longest owner: `lab-output-bucket-` and it must fit into the 63 characters of a bucket name.
const LONGEST_OWNER: usize = 40;

const NAME_ONE: &str = "pass --owner NAME, set LAB_OWNER, or write `owner = \"NAME\"` in lab.toml";

fn read_owner(root: &Table<'_>, overrides: &Overrides) -> Option<String> {
    let in_file = root.string("owner");
    let owner = overrides.owner.clone().or_else(|| in_file.as_ref().map(|owner| owner.value.clone()));
    let reject = |what: String, fix: String| match (&in_file, &overrides.owner) {
        (Some(at), None) => root.file.reject(&at.span, what, fix),
        (None, None) => root.file.reject(&root.span, what, fix),
        (_, Some(_)) => root.file.reject_override(format!("{what} (--owner or LAB_OWNER)"), fix),
    };
    let Some(owner) = owner else {
        // One that is no text has been told already.
        if !root.has("owner") {
            reject("owner is missing".into(), NAME_ONE.into());
        }
        return None;
    };
    if let Some((what, fix)) = find_owner_fault(&owner) {
        reject(what, fix);
        return None;
    }
    Some(owner)
}

/// What is wrong with an owner's name, and how to mend it; `None` for a good one.
pub fn find_owner_fault(owner: &str) -> Option<(String, String)> {
    if owner == PLACEHOLDER {
        return Some((format!("owner = \"{owner}\" is only a placeholder"), NAME_ONE.into()));
    }
    let why = reject_name(owner, LONGEST_OWNER)?;
    let fix = format!("use up to {LONGEST_OWNER} lower-case letters, digits and hyphens");
    let fix = suggest_owner(owner).map_or(fix.clone(), |near| format!("{fix}, like \"{near}\""));
    Some((format!("owner = \"{owner}\" {why}"), fix))
}

/// The nearest legal owner: `Ada Lovelace` → `ada-lovelace`.
fn suggest_owner(owner: &str) -> Option<String> {
    let plain: String =
        owner.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let near: String = plain.trim_matches('-').chars().take(LONGEST_OWNER).collect();
    (!near.is_empty()).then_some(near)
}

fn read_region(root: &Table<'_>, overrides: &Overrides) -> Option<String> {
    let in_file = root.string("region");
    if let Some(region) = &overrides.region {
        if !is_region(region) {
            let what = format!("--region {region} is not the name of a Region");
            root.file.reject_override(what, "use one like us-east-1");
        }
        return Some(region.clone());
    }
    let At { value, span } = in_file?;
    if !is_region(&value) {
        let what = format!("region = \"{value}\" is not the name of a Region");
        root.file.reject(&span, what, "use one like \"us-east-1\"");
    }
    Some(value)
}

/// Whether it has the form of a Region's name: `us-east-1`, `us-gov-west-1`.
fn is_region(name: &str) -> bool {
    let parts: Vec<_> = name.split('-').collect();
    let [words @ .., number] = parts.as_slice() else { return false };
    words.len() >= 2
        && words.iter().all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()))
        && number.parse::<u8>().is_ok()
}

fn read_budget(table: &Table<'_>) -> Budget {
    let usd = table.dollars("usd").unwrap_or(DEFAULT_BUDGET.usd);
    let ask_above = table.dollars("ask_above").unwrap_or(DEFAULT_BUDGET.ask_above);
    let hours = table.hours("hours").unwrap_or(DEFAULT_BUDGET.hours);
    table.reject_unknown();
    Budget { usd, ask_above, hours }
}

/// Checks a Region that came from elsewhere than the file.
///
/// # Errors
/// When it has not the form of a Region's name.
pub fn check_region(region: &str) -> Result<(), Problem> {
    if is_region(region) {
        return Ok(());
    }
    Err(Problem::usage(format!("`{region}` is not the name of a Region")).fix("use one like us-east-1"))
}
