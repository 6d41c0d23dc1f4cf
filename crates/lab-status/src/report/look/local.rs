//! What only this machine tells: what `vpn-setup check` has said here, and the `.ovpn` files.

use std::path::Path;

use base64::Engine as _;
use jiff::SignedDuration;
use lab_plan::Heading;
use serde::Deserialize;

use super::super::evidence::Checked;
use crate::census::World;
use crate::thing::{Fate, Thing};

/// What `vpn-setup check` leaves on this machine.
#[derive(Deserialize)]
struct LastCheck {
    #[serde(flatten)]
    heading: Heading,
    #[serde(flatten)]
    checked: Checked,
}

/// The last check, and the last one that a tunnel was up for.
const FILES: [&str; 2] = ["last-check.json", "last-tunnel-check.json"];

/// What `vpn-setup check` has said on this machine of this lab's endpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Checks {
    /// Newest first.
    counted: Vec<Checked>,
    /// Why what else it said does not count.
    pub(in super::super) notes: Vec<String>,
}

impl Checks {
    #[cfg(test)]
    pub(in super::super) fn of(counted: Vec<Checked>) -> Self {
        Self { counted, notes: Vec::new() }
    }

    /// The newest one that tried the tunnel.
    pub(in super::super) fn through(&self) -> Option<&Checked> {
        self.counted.iter().find(|one| one.tunnel)
    }

    /// The newest one that tried what must be closed without it.
    pub(in super::super) fn without(&self) -> Option<&Checked> {
        self.counted.iter().find(|one| one.of("without the tunnel").next().is_some())
    }

    /// The one to be shown whole: one with a tunnel says most.
    pub(in super::super) fn best(&self) -> Option<&Checked> {
        self.through().or(self.counted.first())
    }
}

/// Reads it, and says why what does not count does not.
pub(in super::super) fn read_checks(folder: &Path, heading: &Heading, world: &World) -> Checks {
    let read = |file: &&str| serde_json::from_slice::<LastCheck>(&std::fs::read(folder.join(file)).ok()?).ok();
    let read = FILES.iter().filter_map(read).filter(|last| last.heading == *heading).map(|last| last.checked);
    let mut checks = Checks::default();
    for checked in read {
        if checks.counted.contains(&checked) {
            continue;
        }
        match find_fault(&checked, world) {
            None => checks.counted.push(checked),
            Some(why) => {
                let note = format!("what vpn-setup check said at {} does not count: {why}", checked.at);
                if !checks.notes.contains(&note) {
                    checks.notes.push(note);
                }
            }
        }
    }
    checks
}

fn find_fault(checked: &Checked, world: &World) -> Option<&'static str> {
    // It tells its minute only, and clocks differ a little.
    if checked.is_since(world.now + SignedDuration::from_mins(2)) {
        return Some("that time has not come yet");
    }
    let is_there = |thing: &&Thing| thing.kind == "client-vpn-endpoint" && thing.fate == Fate::Stays;
    match world.things.iter().find(is_there).map(|endpoint| endpoint.created) {
        None if world.find_unread("DescribeClientVpnEndpoints").is_some() => {
            Some("the lab's endpoint could not be read")
        }
        None => Some("the lab has no endpoint"),
        Some(Some(created)) if !checked.is_since(created) => Some("the lab's endpoint was made after it"),
        Some(_) => None,
    }
}

/// An `.ovpn` file on this machine.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Profile {
    pub(in super::super) file: String,
    /// The id of the endpoint that it leads to.
    pub(in super::super) endpoint: Option<String>,
    /// A certificate and a key are in it.
    pub(in super::super) is_whole: bool,
}

/// All of them, whoever's they are.
pub(in super::super) fn list_profiles(folder: &Path) -> Vec<Profile> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let is_profile = |name: &str| Path::new(name).extension().is_some_and(|ending| ending == "ovpn");
    names.retain(|name| is_profile(name) && !name.starts_with('.'));
    names.sort();
    let read = |file: String| {
        let text = std::fs::read_to_string(folder.join(&file)).ok()?;
        let is_whole = has_pem(&text, "cert", "CERTIFICATE-----") && has_pem(&text, "key", "PRIVATE KEY-----");
        Some(Profile { file, endpoint: find_endpoint_id(&text), is_whole })
    };
    names.into_iter().filter_map(read).collect()
}

/// Whether this element holds a PEM block of that kind with DER in it, which begins with a sequence (ITU-T X.690).
fn has_pem(text: &str, element: &str, kind: &str) -> bool {
    let inside =
        text.split_once(&format!("<{element}>")).and_then(|(_, rest)| rest.split_once(&format!("</{element}>")));
    let block =
        inside.and_then(|(inside, _)| inside.split_once("-----BEGIN ")?.1.split_once(kind)?.1.split_once("-----END "));
    let Some((packed, _)) = block else { return false };
    let packed: String = packed.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(packed);
    der.is_ok_and(|der| der.len() > 100 && der.first() == Some(&0x30))
}

fn find_endpoint_id(text: &str) -> Option<String> {
    let remote = text.lines().find_map(|line| line.trim_start().strip_prefix("remote "))?;
    let parts = remote.split_whitespace().next()?.split('.');
    parts.into_iter().find(|part| part.starts_with("cvpn-endpoint-")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::label;

    fn keep(folder: &Path, file: &str, tunnel: bool, at: &str) {
        let name =
            if tunnel { "private 22 answers through the tunnel" } else { "private 22 is closed without the tunnel" };
        let kept = serde_json::json!({"lab": "lab", "owner": "ada", "region": "us-east-1", "tunnel": tunnel, "at": at,
            "checks": [{"name": name, "passed": true, "detail": "10.0.2.4", "ms": 1}], "causes": []});
        std::fs::write(folder.join(file), kept.to_string()).unwrap();
    }

    fn world(created: Option<&str>) -> World {
        let made = created.map(|time| {
            let thing = Thing::new("client-vpn-endpoint", "cvpn-endpoint-1", label("ada"));
            thing.created(Some(time.parse().unwrap()))
        });
        let now = "2026-11-26T08:00:00Z".parse().unwrap();
        World { now, things: made.into_iter().collect(), ..World::default() }
    }

    fn heading() -> Heading {
        Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() }
    }

    #[test]
    fn a_check_counts_only_for_the_lab_and_the_endpoint_that_it_was_made_of_and_not_before_its_time() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), "last-check.json", true, "2026-11-26 05:10 UTC");
        let read = |heading: &Heading, created| read_checks(folder.path(), heading, &world(created));
        assert!(read(&heading(), Some("2026-11-26T04:00:00Z")).through().is_some());
        for created in [Some("2026-11-26T06:00:00Z"), None] {
            let checks = read(&heading(), created);
            assert!(checks.best().is_none() && checks.notes[0].contains("does not count"), "{created:?}");
        }
        let other = Heading { region: "eu-west-1".into(), ..heading() };
        assert_eq!(read(&other, Some("2026-11-26T04:00:00Z")), Checks::default());
        keep(folder.path(), "last-check.json", true, "2099-01-01 00:00 UTC");
        let checks = read(&heading(), Some("2026-11-26T04:00:00Z"));
        assert!(checks.best().is_none() && checks.notes[0].contains("has not come yet"), "{checks:?}");
    }

    #[test]
    fn a_check_without_a_tunnel_does_not_undo_the_one_with_it() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), "last-tunnel-check.json", true, "2026-11-26 05:10 UTC");
        keep(folder.path(), "last-check.json", false, "2026-11-26 06:00 UTC");
        let checks = read_checks(folder.path(), &heading(), &world(Some("2026-11-26T04:00:00Z")));
        assert_eq!(checks.through().unwrap().at, "2026-11-26 05:10 UTC");
        assert_eq!(checks.without().unwrap().at, "2026-11-26 06:00 UTC");
    }

    #[test]
    fn an_ovpn_file_is_whole_with_certificate_and_key_and_names_its_endpoint() {
        let folder = tempfile::tempdir().unwrap();
        let der = base64::engine::general_purpose::STANDARD.encode([[0x30; 64], [7; 64]].concat());
        let pem = |kind: &str| format!("-----BEGIN {kind}-----\n{der}\n-----END {kind}-----\n");
        let (cert, key) = (pem("CERTIFICATE"), pem("PRIVATE KEY"));
        let remote = "client\nremote x.cvpn-endpoint-0a1.prod.clientvpn.us-east-1.amazonaws.com 443\n";
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("bob.ovpn", format!("{remote}<cert>\n{cert}</cert>\n<key>\n{key}</key>\n"));
        write("eve.ovpn", "<cert></cert><key></key>".into());
        write("note.txt", String::new());
        let profile = |file: &str, endpoint: Option<&str>, is_whole| Profile {
            file: file.into(),
            endpoint: endpoint.map(str::to_owned),
            is_whole,
        };
        let wanted = [profile("bob.ovpn", Some("cvpn-endpoint-0a1"), true), profile("eve.ovpn", None, false)];
        assert_eq!(list_profiles(folder.path()), wanted);
    }
}
