//! What `--vpn-netns` needs of the machine, asked for before anything is started.

use std::ffi::OsStr;
use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

/// The programs, and the package of Debian and Ubuntu that brings each.
const PROGRAMS: &[(&str, &str)] = &[("openvpn", "openvpn"), ("ip", "iproute2"), ("nft", "nftables")];

/// Where administrators' programs are, also when `PATH` does not say so.
const FOLDERS: &[&str] = &["/usr/sbin", "/sbin"];

/// All that is missing, to be named together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct MissingParts(Vec<String>);

impl fmt::Display for MissingParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "--vpn-netns cannot work here: {}", self.0.join("; "))
    }
}

/// Refuses a machine on which no VPN can be played.
pub(crate) fn check_requirements() -> Result<(), MissingParts> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tunnels = OpenOptions::new().read(true).write(true).open("/dev/net/tun").map(drop);
    list_missing(rustix::process::geteuid().is_root(), tunnels, |program| find_program(program, &path).is_some())
}

fn list_missing(
    is_root: bool,
    tunnels: std::io::Result<()>,
    has_program: impl Fn(&str) -> bool,
) -> Result<(), MissingParts> {
    let mut missing = Vec::new();
    if !is_root {
        missing.push("it needs root, to make network namespaces: run it with sudo".to_owned());
    }
    if let (Err(error), true) = (tunnels, is_root) {
        missing.push(format!(
            "/dev/net/tun cannot be opened ({error}): `modprobe tun`, or hand the device to the container that this runs in"
        ));
    }
    let absent: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !has_program(program)).collect();
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(|(program, _)| *program).collect();
        let packages: Vec<&str> = absent.iter().map(|(_, package)| *package).collect();
        missing.push(format!("{} not found: apt-get install {}", names.join(", "), packages.join(" ")));
    }
    if missing.is_empty() { Ok(()) } else { Err(MissingParts(missing)) }
}

/// A program on `path` or where administrators' programs are.
fn find_program(name: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).chain(FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What a shell would run: a path as it is, a name from `PATH`.
pub(crate) fn find_command(name: &OsStr) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return Path::new(name).is_file().then(|| PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// How to start one of the programs: by its path, so that a bare `PATH` does not matter.
pub(crate) fn program(name: &str) -> PathBuf {
    find_program(name, &std::env::var_os("PATH").unwrap_or_default()).unwrap_or_else(|| Path::new(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named_at_once_with_its_package() {
        assert_eq!(list_missing(true, Ok(()), |_| true), Ok(()));
        let nothing = list_missing(true, Err(std::io::ErrorKind::NotFound.into()), |program| program == "ip");
        let message = nothing.expect_err("parts are missing").to_string();
        for part in ["/dev/net/tun", "openvpn, nft not found", "apt-get install openvpn nftables"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        let user = list_missing(false, Err(std::io::ErrorKind::PermissionDenied.into()), |_| true);
        let message = user.expect_err("no root").to_string();
        assert!(message.contains("needs root") && !message.contains("/dev/net/tun"), "{message}");
    }
}
