//! How clients are shown.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use lab_common::Home;
use lab_plan::Heading;
use serde::Serialize;

use crate::judge::show_day;
use crate::pki::{Client, RevocationList, Serial};
use crate::profile;

/// The document that every verb of `client` answers.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    heading: Heading,
    clients: &'a [Entry],
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_list: Option<&'a List>,
}

impl<'a> Document<'a> {
    pub(super) fn new(heading: Heading, clients: &'a [Entry], revocation_list: Option<&'a List>) -> Self {
        Self { heading, clients, revocation_list }
    }
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) serial: Serial,
    pub(super) not_after: Timestamp,
    pub(super) revoked: bool,
    /// The `.ovpn` file, where one was written.
    pub(super) file: Option<PathBuf>,
}

impl Entry {
    pub(super) fn new(client: Client, home: &Home) -> Self {
        let path = home.path(&profile::file_name(&client.name));
        Self {
            file: Some(path).filter(|path| !client.revoked && path.exists()),
            name: client.name,
            serial: client.certificate.serial,
            not_after: client.certificate.not_after,
            revoked: client.revoked,
        }
    }

    fn describe_state(&self, now: Timestamp) -> &'static str {
        match self {
            Self { revoked: true, .. } => "revoked",
            Self { not_after, .. } if *not_after < now => "expired",
            _ => "valid",
        }
    }
}

/// The list of those that count no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct List {
    number: u64,
    revocations: usize,
    /// When it expires, and everybody is locked out.
    next_update: Timestamp,
    /// Whether the endpoint has it.
    imported: bool,
}

impl List {
    pub(super) fn new(list: &RevocationList, imported: bool) -> Self {
        let RevocationList { number, next_update, .. } = *list;
        Self { number, revocations: list.revoked.len(), next_update, imported }
    }

    /// `revocation list 2: 1 certificate, valid until 2027-11-20, imported`
    pub(super) fn describe(&self) -> String {
        let Self { number, revocations, next_update, imported } = self;
        let certificates = if *revocations == 1 { "certificate" } else { "certificates" };
        let state = if *imported { "the endpoint has it" } else { "not imported yet" };
        format!(
            "revocation list {number}: {revocations} {certificates}, valid until {}, {state}",
            show_day(*next_update)
        )
    }
}

/// One line a client.
pub(super) fn show_table(entries: &[Entry]) -> String {
    let now = Timestamp::now();
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let serials = entries.iter().map(|entry| entry.serial.to_string().len()).max().unwrap_or(0);
    let mut text = String::new();
    for entry in entries {
        let (state, until) = (entry.describe_state(now), show_day(entry.not_after));
        let file = entry.file.as_ref().map(|file| format!("  {}", file.display())).unwrap_or_default();
        let _ = writeln!(text, "{:width$}  {:serials$}  {state:7}  until {until}{file}", entry.name, entry.serial);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn entry(name: &str, revoked: bool, days: i64) -> Entry {
        Entry {
            name: name.into(),
            serial: Serial::from_hex("4A01").unwrap(),
            not_after: Timestamp::now() + jiff::SignedDuration::from_hours(24 * days),
            revoked,
            file: (!revoked).then(|| PathBuf::from("/home/ada/ann.ovpn")),
        }
    }

    #[test]
    fn each_client_is_a_line_with_its_state() {
        let text = show_table(&[entry("ann", false, 10), entry("bo", true, 10), entry("carol", false, -1)]);
        let lines: Vec<_> =
            text.lines().map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines, ["ann 4A01 valid", "bo 4A01 revoked", "carol 4A01 expired"]);
        assert!(text.lines().next().unwrap().ends_with("/home/ada/ann.ovpn"));
    }

    #[test]
    fn the_document_has_the_fields_of_the_contract() {
        let heading = Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
        let json = serde_json::to_value(Document::new(heading, &[entry("bo", true, 1)], None)).unwrap();
        let fields = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(fields(&json), BTreeSet::from(["clients", "lab", "owner", "region"].map(String::from)));
        let entry = ["file", "name", "not_after", "revoked", "serial"].map(String::from);
        assert_eq!(fields(&json["clients"][0]), BTreeSet::from(entry));
        assert_eq!(json["clients"][0]["serial"], "4A01");
        assert!(json["clients"][0]["file"].is_null());
    }
}
