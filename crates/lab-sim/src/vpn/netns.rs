//! The two network namespaces: made, entered, removed. They bear this process's id, so that several lab-sims do not
//! meet, and what a killed one left behind is found.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::requirements::{find_command, program};
use super::{CLOUD_ADDRESS, LAPTOP_ADDRESS, UPLINK};

/// The first argument that makes this program the janitor of another one.
pub(crate) const JANITOR: &str = "__janitor";

/// Where `ip` keeps named namespaces, and files that replace those of `/etc` inside.
const NAMESPACES: &str = "/run/netns";
const FILES: &str = "/etc/netns";

const PREFIX: &str = "lab-sim-";

/// The namespaces of this process; dropping this removes them.
#[derive(Debug)]
pub(crate) struct Namespaces {
    pub(crate) cloud: String,
    pub(crate) laptop: String,
    janitor: Child,
}

impl Namespaces {
    /// Makes both namespaces and joins them, after sweeping away what killed ones left.
    ///
    /// # Errors
    /// When the system refuses; nothing is left behind then.
    pub(crate) fn create() -> io::Result<Self> {
        sweep(|owner| !is_lab_sim(owner));
        let owner = std::process::id();
        let namespaces =
            Self { cloud: name_of(owner, "cloud"), laptop: name_of(owner, "laptop"), janitor: start_janitor(owner)? };
        namespaces.fill()?;
        Ok(namespaces)
    }

    /// A command that runs `program` on the laptop's side, with the laptop's DNS.
    ///
    /// # Errors
    /// When there is no such program.
    pub(crate) fn laptop_command(&self, program: &OsStr) -> io::Result<tokio::process::Command> {
        // `ip` would say it, but with an exit code that could be the program's own.
        find_command(program).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut command = tokio::process::Command::new(super::requirements::program("ip"));
        command.args(["netns", "exec", &self.laptop]).arg(program);
        Ok(command)
    }

    fn fill(&self) -> io::Result<()> {
        let (cloud, laptop) = (self.cloud.as_str(), self.laptop.as_str());
        ip(&["netns", "add", cloud])?;
        ip(&["netns", "add", laptop])?;
        ip(&["link", "add", "name", UPLINK, "netns", cloud, "type", "veth", "peer", "name", UPLINK, "netns", laptop])?;
        for (namespace, address) in [(cloud, CLOUD_ADDRESS), (laptop, LAPTOP_ADDRESS)] {
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", namespace, "addr", "add", &format!("{address}/24"), "dev", UPLINK])?;
            ip(&["-n", namespace, "link", "set", UPLINK, "up"])?;
        }
        // As on any laptop, what is not near goes out; the cloud drops what is not for it.
        ip(&["-n", laptop, "route", "add", "default", "via", &CLOUD_ADDRESS.to_string()])?;
        let folder = Path::new(FILES).join(laptop);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("resolv.conf"), format!("nameserver {CLOUD_ADDRESS}\noptions timeout:1 attempts:2\n"))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let owner = std::process::id();
        sweep(|found| found == owner);
        // Its pipe closes with us, and it finds nothing left to do.
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

fn name_of(owner: u32, role: &str) -> String {
    format!("{PREFIX}{owner}-{role}")
}

/// Whose namespace it is; `None` when it is none of lab-sim's.
fn owner_of(name: &str) -> Option<u32> {
    let (owner, role) = name.strip_prefix(PREFIX)?.split_once('-')?;
    ["cloud", "laptop"].contains(&role).then(|| owner.parse().ok())?
}

/// Whether a lab-sim of this id lives: ids are given again, and one that is only waiting to be reaped has no program.
fn is_lab_sim(id: u32) -> bool {
    let program = fs::read_link(format!("/proc/{id}/exe"));
    // A program that was built anew meanwhile is called `lab-sim (deleted)`.
    program.is_ok_and(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lab-sim")))
}

/// Removes the namespaces, and their files, whose owners `is_over` names. What cannot be removed stays for the next one.
fn sweep(is_over: impl Fn(u32) -> bool) {
    for name in list_names(NAMESPACES).filter(|name| owner_of(name).is_some_and(&is_over)) {
        let _ = ip(&["netns", "del", &name]);
    }
    for name in list_names(FILES).filter(|name| owner_of(name).is_some_and(&is_over)) {
        let _ = fs::remove_dir_all(Path::new(FILES).join(name));
    }
}

fn list_names(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Runs `ip`, whose words become the error's.
fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program("ip")).args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("`ip {}`: {}", arguments.join(" "), words.trim())))
}

/// A process that outlives this one, however that ends, and then removes its namespaces.
fn start_janitor(owner: u32) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args([JANITOR, &owner.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C on the terminal is not for it.
        .process_group(0)
        .spawn()
}

/// Waits for the owner's end, which closes our standard input, and cleans up. Returns the exit code.
pub(crate) fn become_janitor(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let Some(owner) = arguments.next().and_then(|owner| owner.to_str()?.parse::<u32>().ok()) else {
        eprintln!("lab-sim {JANITOR}: is for lab-sim's own use");
        return 2;
    };
    let _ = io::stdin().read_to_end(&mut Vec::new());
    sweep(|found| found == owner);
    0
}

/// Runs `act` on a thread inside a namespace: what it opens belongs there.
///
/// # Errors
/// When there is no such namespace, or `act` fails.
pub(crate) fn enter<T: Send>(namespace: &str, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let handle = File::open(PathBuf::from(NAMESPACES).join(namespace))?;
    thread::scope(|scope| {
        let inside = scope.spawn(move || {
            move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network))?;
            act()
        });
        inside.join().unwrap_or_else(|_| Err(io::Error::other("the thread inside the namespace panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_living_lab_sim_owns_namespaces() {
        // The test's own program is called lab_sim-….
        assert!(!is_lab_sim(std::process::id()));
        assert!(!is_lab_sim(u32::MAX));
    }

    #[test]
    fn only_names_of_our_form_are_ours() {
        assert_eq!(owner_of(&name_of(4711, "cloud")), Some(4711));
        assert_eq!(owner_of(&name_of(1, "laptop")), Some(1));
        for foreign in ["lab-sim-x-cloud", "lab-sim-12", "lab-sim-12-else", "other-12-cloud", "lab-sim--laptop"] {
            assert_eq!(owner_of(foreign), None, "{foreign}");
        }
    }
}
