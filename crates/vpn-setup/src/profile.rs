//! A client's `.ovpn` file: the configuration that the endpoint exports, with the client's certificate and key put in.
//!
//! Every exported line stays, in its order, also those that are unknown here: AWS adds to the export from time to time.
//! `<cert>` and `<key>` go behind `</ca>`. Of the lines that a client needs to reach a Client VPN endpoint (its
//! administrator guide, "Export and configure the client configuration file") AWS's export has all; one that another
//! implementation leaves out is added in front of `<ca>`, with AWS's value, which is safe wherever it has none; `<ca>` itself is
//! the CA of this machine then.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lab_common::{Home, Secret};
use lab_plan::Problem;

use crate::pki::{Certificate, Issued};

/// What an export must have besides `remote` and `<ca>`, as AWS writes it.
const NEEDED: [&str; 9] = [
    "client",
    "dev tun",
    "proto udp",
    "resolv-retry infinite",
    "nobind",
    "remote-cert-tls server",
    "cipher AES-256-GCM",
    "verb 3",
    "reneg-sec 0",
];
/// The endpoint's addresses change and its DNS name is a wildcard: clients put a random label in front.
const RANDOM_HOSTNAME: &str = "remote-random-hostname";

/// An `.ovpn` file's text. It holds a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile(Secret);

/// Where a client connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The host, without the random label that goes in front.
    pub(crate) host: String,
    /// The port, as it is written.
    pub(crate) port: Option<String>,
}

impl Profile {
    /// The exported configuration with the certificate and key of a client.
    ///
    /// # Errors
    /// When it is not a configuration for a client: no `remote`, or half a `<ca>`.
    pub(crate) fn assemble(exported: &str, client: &Issued) -> Result<Self, Problem> {
        let lines = drop_credentials(exported);
        let remote = find_remote(&lines)
            .ok_or_else(|| explain_incomplete("it has no `remote`: the client would not know where to connect to"))?;
        let Parts { front, authority, back } = split_at_authority(&lines, client)?;
        let mut all: Vec<&str> = front.to_vec();
        all.extend(find_needed(&lines, &remote));
        all.extend(authority);
        all.push("<cert>");
        all.extend(client.certificate.pem.lines());
        all.extend(["</cert>", "<key>"]);
        all.extend(client.key.reveal().lines());
        all.push("</key>");
        all.extend(back);
        Ok(Self(Secret::new(all.join("\n") + "\n")))
    }

    /// The file of that client on this machine, if it exists.
    ///
    /// # Errors
    /// When it cannot be read, or when others than its owner may read it.
    pub(crate) fn find(home: &Home, client: &str) -> Result<Option<Self>, Problem> {
        Ok(home.find_secret(&file_name(client))?.map(Self))
    }

    /// Writes it as that client's file, mode 0600, in place of an older one. Answers where it is.
    ///
    /// # Errors
    /// When it cannot be written; an older one stays then.
    pub(crate) fn write(&self, home: &Home, client: &str) -> Result<PathBuf, Problem> {
        let name = file_name(client);
        // A half-written file of a killed run may hold a private key.
        home.sweep_abandoned()?;
        home.replace(&name, self.0.reveal())?;
        Ok(home.path(&name))
    }

    /// Writes it to a file of one's choice, mode 0600, in place of an older one. Answers where it is.
    ///
    /// # Errors
    /// As [`check_destination`]; when it cannot be written. An older one stays then.
    pub(crate) fn write_to(&self, path: &Path) -> Result<PathBuf, Problem> {
        let (directory, name) = check_destination(path)?;
        Home::at(directory).replace(name, self.0.reveal())?;
        Ok(path.to_owned())
    }

    /// Its text. Every caller answers for where it goes.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &Secret {
        &self.0
    }

    /// Where it connects to first.
    pub(crate) fn remote(&self) -> Option<Remote> {
        find_remote(&self.0.reveal().lines().collect::<Vec<_>>())
    }

    /// Whether it puts a random label in front of the host's name.
    pub(crate) fn has_random_hostname(&self) -> bool {
        has_directive(&self.0.reveal().lines().collect::<Vec<_>>(), RANDOM_HOSTNAME)
    }

    /// The client certificate in it.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        let (_, behind) = self.0.reveal().split_once("\n<cert>\n")?;
        let (inside, _) = behind.split_once("</cert>")?;
        Certificate::parse("the .ovpn file's <cert>", inside).ok()
    }
}

/// Where a file of one's choice would go: its directory and its name.
///
/// # Errors
/// When its directory is not there (a stick that is not plugged in must not become a folder), or when what is there is
/// anything but a file of ours: a private key replaces nothing else.
pub(crate) fn check_destination(path: &Path) -> Result<(&Path, &str), Problem> {
    let show = path.display();
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Problem::usage(format!("{show} is no file's name")).fix("name a file with --out"));
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    if !directory.is_dir() {
        return Err(Problem::usage(format!("there is no directory {}", directory.display()))
            .fix("make it, or name a file in one that exists"));
    }
    let Ok(there) = path.symlink_metadata() else { return Ok((directory, name)) };
    if there.is_dir() {
        return Err(Problem::usage(format!("{show} is a directory")).fix("name a file in it, such as laptop.ovpn"));
    }
    let is_ours = there.is_file() && std::fs::read_to_string(path).is_ok_and(|text| is_configuration(&text));
    if is_ours {
        return Ok((directory, name));
    }
    Err(Problem::usage(format!("{show} is there already, and is no .ovpn file: nothing was written"))
        .fix("name another file with --out"))
}

/// Whether a text is a VPN client's configuration.
fn is_configuration(text: &str) -> bool {
    let lines: Vec<_> = text.lines().collect();
    has_directive(&lines, "client") && find_remote(&lines).is_some()
}

/// The file of a client in the lab's own directory.
pub(crate) fn file_name(client: &str) -> String {
    format!("{client}.ovpn")
}

/// The lines of an export in front of `<ca>`, with it, and behind it.
struct Parts<'a> {
    front: &'a [&'a str],
    authority: Vec<&'a str>,
    back: &'a [&'a str],
}

/// Where there is no `<ca>`, the client's own CA stands in at the end: it signed the server's certificate too.
fn split_at_authority<'a>(lines: &'a [&'a str], client: &'a Issued) -> Result<Parts<'a>, Problem> {
    let find = |tag: &str| lines.iter().position(|line| line.trim() == tag);
    match (find("<ca>"), find("</ca>"), &client.authority) {
        (Some(begin), Some(end), _) if begin < end => {
            let (front, back) = (&lines[..begin], &lines[end + 1..]);
            Ok(Parts { front, authority: lines[begin..=end].to_vec(), back })
        }
        (None, None, Some(authority)) => {
            let block = ["<ca>"].into_iter().chain(authority.pem.lines()).chain(["</ca>"]);
            Ok(Parts { front: lines, authority: block.collect(), back: &[] })
        }
        _ => Err(explain_incomplete("it has no <ca>…</ca>: the client could not tell the server from another")),
    }
}

fn explain_incomplete(why: &str) -> Problem {
    Problem::failed("the endpoint's exported configuration is not complete")
        .because(why)
        .fix("run the same command again; if it stays so, compare with: aws ec2 export-client-vpn-client-configuration")
}

/// The lines without certificates and keys of a client, which would stand beside ours.
fn drop_credentials(text: &str) -> Vec<&str> {
    let mut inside = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let word = line.trim();
        match inside {
            Some(end) if word == end => inside = None,
            Some(_) => {}
            None if word == "<cert>" => inside = Some("</cert>"),
            None if word == "<key>" => inside = Some("</key>"),
            None if matches!(word.split_whitespace().next(), Some("cert" | "key")) => {}
            None => lines.push(line),
        }
    }
    lines
}

/// The needed lines that are not there.
fn find_needed(lines: &[&str], remote: &Remote) -> Vec<&'static str> {
    // In front of an address a label makes a name that nobody resolves.
    let named = remote.host.parse::<IpAddr>().is_err();
    let needed = NEEDED.into_iter().chain(named.then_some(RANDOM_HOSTNAME));
    let name = |line: &'static str| line.split(' ').next().unwrap_or(line);
    needed.filter(|line| !has_directive(lines, name(line))).collect()
}

fn find_remote(lines: &[&str]) -> Option<Remote> {
    let mut words = directives(lines).find(|line| line.split_whitespace().next() == Some("remote"))?.split_whitespace();
    Some(Remote { host: words.nth(1)?.to_owned(), port: words.next().map(str::to_owned) })
}

fn has_directive(lines: &[&str], name: &str) -> bool {
    directives(lines).any(|line| line.split_whitespace().next() == Some(name))
}

/// The lines outside of inline files (`<ca>` … `</ca>`).
fn directives<'a>(lines: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let mut end = None;
    lines.iter().copied().filter(move |line| {
        let word = line.trim();
        if let Some(awaited) = &end {
            if word == awaited {
                end = None;
            }
            return false;
        }
        if let Some(tag) = word.strip_prefix('<') {
            end = Some(format!("</{tag}"));
        }
        end.is_none()
    })
}

#[cfg(test)]
mod tests;
