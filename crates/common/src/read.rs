//! `lab.toml` → [`Lab`]: one pass that finds every mistake of the file and reports all of them in one go.

mod hosts;
mod images;
mod network;
mod recipe;
mod top;
mod vpn;

pub use top::{check_region, find_owner_fault};

use lab_plan::Problem;
use toml::de::DeTable;

use crate::file::{LabFile, Span};
use crate::table::{At, Table, describe_nearest};
use crate::{Account, Lab, find_breaches};

/// The built-in lab `hol02`, as a file to copy and change.
pub const HOL02: &str = include_str!("../labs/hol02.toml");

/// What the command line or the environment says instead of the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The owner.
    pub owner: Option<String>,
    /// The Region.
    pub region: Option<String>,
}

/// Reads and checks a lab file. `name` is how its problems call it.
///
/// # Errors
/// Everything that is wrong with it, each with line, column, the offending text and the fix.
pub fn read_lab(name: &str, text: &str, overrides: &Overrides) -> Result<Lab, Problem> {
    let file = LabFile::new(name, text);
    let (document, mistakes) = DeTable::parse_recoverable(text);
    for mistake in mistakes {
        let span = mistake.span().unwrap_or(0..0);
        let (what, fix) = explain_mistake(mistake.message(), &text[span.clone()]);
        file.reject(&span, what, fix);
    }
    // What a broken line meant cannot be known: complaining about its key as missing would mislead.
    let lab = if file.is_sound() {
        let root = Table::new(&file, String::new(), 0..0, document.get_ref());
        let lab = top::read(&root, overrides);
        if let Some(lab) = lab.as_ref().filter(|lab| lab.account == Account::Academy) {
            reject_breaches(&root, lab);
        }
        lab
    } else {
        None
    };
    match (lab, file.into_problem()) {
        (Some(lab), None) => Ok(lab),
        (_, Some(problem)) => Err(problem),
        (None, None) => Err(Problem::usage(format!("{name} cannot be read"))),
    }
}

fn explain_mistake(message: &str, there: &str) -> (String, &'static str) {
    if message == "duplicate key" {
        return (format!("`{there}` stands here a second time"), "keep one of the two");
    }
    (format!("not TOML: {message}"), "see https://toml.io for the notation")
}

fn reject_breaches(root: &Table<'_>, lab: &Lab) {
    for breach in find_breaches(lab, lab.region.as_deref()) {
        root.file.reject(&find_place(root, &breach.path), breach.what, breach.fix);
    }
}

/// Where a dotted path stands; its nearest table where the key is absent.
fn find_place(root: &Table<'_>, path: &str) -> Span {
    match path.split_once('.') {
        Some((first, rest)) => root.table(first).map_or(root.span.clone(), |table| find_place(&table, rest)),
        None => root.span_of(path),
    }
}

/// Reads one of a few words.
fn read_word<T: Copy>(table: &Table<'_>, key: &str, words: &[(&str, T)], default: T) -> Option<T> {
    let Some(word) = table.string(key) else { return Some(default) };
    find_word(table, key, &word, words)
}

fn find_word<T: Copy>(table: &Table<'_>, key: &str, word: &At<String>, words: &[(&str, T)]) -> Option<T> {
    let found = words.iter().find(|(known, _)| *known == word.value).map(|(_, value)| *value);
    if found.is_none() {
        let known = words.iter().map(|(known, _)| *known);
        let what = format!("{} = \"{}\" is not known", table.path_of(key), word.value);
        table.file.reject(&word.span, what, describe_nearest(&word.value, known));
    }
    found
}

/// Reads an IPv4 block in its canonical form with a prefix length within `bounds`.
fn read_block(
    table: &Table<'_>,
    key: &str,
    text: &At<String>,
    bounds: std::ops::RangeInclusive<u8>,
) -> Option<ipnet::Ipv4Net> {
    let At { value, span } = text;
    let name = table.path_of(key);
    let Ok(block) = value.parse::<ipnet::Ipv4Net>() else {
        let what = format!("{name} = \"{value}\" is not an IPv4 CIDR block");
        table.file.reject(span, what, "write an address and a prefix length, like \"10.0.1.0/24\"");
        return None;
    };
    let canonical = block.trunc();
    if canonical != block {
        let what = format!("{name} = \"{value}\" has bits set behind its prefix");
        table.file.reject(span, what, format!("write \"{canonical}\""));
        return None;
    }
    if !bounds.contains(&block.prefix_len()) {
        let what = format!("{name} = \"{value}\" has a prefix length that AWS does not take here");
        table.file.reject(span, what, format!("use one from /{} to /{}", bounds.start(), bounds.end()));
        return None;
    }
    Some(block)
}

/// Whether a key of the file can be part of names: lower-case letters, digits and hyphens, a letter first.
fn check_role(table: &Table<'_>, role: &At<String>) -> bool {
    let legal = role.value.starts_with(|c: char| c.is_ascii_lowercase())
        && role.value.len() <= 32
        && role.value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !legal {
        let what = format!("`{}` in [{}] cannot be part of a name", role.value, table.path());
        table.file.reject(&role.span, what, "use up to 32 lower-case letters, digits and hyphens, a letter first");
    }
    legal
}

#[cfg(test)]
mod tests;
