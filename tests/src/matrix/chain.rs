//! The commands of scripts/task1.sh, task2.sh and down.sh, one by one: how each begins, is checked and is undone.

use std::path::PathBuf;
use std::process::Command;

use super::hands;
use crate::{LocalAws, find_programs, find_root};

/// Which way a command of the chain goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It makes the lab.
    Up,
    /// It takes the lab away.
    Down,
}

impl Way {
    /// As it stands in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Something that is done to the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Do {
    /// A program of ours, with its arguments.
    Run(&'static str, &'static [&'static str]),
    /// `pipeline-up deploy` with the function as scripts/test.sh has built it.
    Deploy,
    /// The function is deleted behind our back.
    DeleteFunction,
    /// The trigger and the permission behind it are deleted behind our back.
    DeleteTrigger,
    /// All objects are deleted behind our back.
    DeleteObjects,
    /// A function that nobody will run, and an object in each bucket: what `down` has to delete, without the building.
    FillPipeline,
}

/// One command of the chain.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    /// How it is called in the table and in failures.
    pub name: &'static str,
    /// Up or down.
    pub way: Way,
    /// The command.
    pub command: Do,
    /// What must find nothing to change afterwards.
    pub check: Option<(&'static str, &'static [&'static str])>,
    /// What leads back to the state before it.
    pub back: &'static [Do],
    /// Files of this machine that the command makes, and that each case starts without.
    pub makes: &'static [&'static str],
}

use Do::{Deploy, Run};

const NET_UP: Do = Run("net-up", &["up", "--yes"]);
const NET_DOWN: Do = Run("net-up", &["down", "--yes"]);
const HOSTS_DOWN: Do = Run("host-up", &["down", "--yes"]);
const PIPELINE_UP: Do = Run("pipeline-up", &["up", "--yes"]);
const PIPELINE_DOWN: Do = Run("pipeline-up", &["down", "--yes"]);
const UPLOAD: Do = Run("upload-sample-image", &["--wait"]);
const VPN_UP: Do = Run("vpn-setup", &["up", "--yes"]);
const VPN_DOWN: Do = Run("vpn-setup", &["down", "--yes"]);
const CHECK: &[&str] = &["plan", "--check"];

/// Both tasks of HOL 02, in the order of their scripts.
pub const UP: [Act; 8] = [
    Act {
        name: "net-up up",
        way: Way::Up,
        command: NET_UP,
        check: Some(("net-up", CHECK)),
        back: &[NET_DOWN],
        makes: &[],
    },
    Act {
        name: "host-up up public",
        way: Way::Up,
        command: Run("host-up", &["up", "public", "--yes"]),
        check: Some(("host-up", &["plan", "public", "--check"])),
        back: &[HOSTS_DOWN],
        makes: &["."],
    },
    Act {
        name: "pipeline-up up",
        way: Way::Up,
        command: PIPELINE_UP,
        check: Some(("pipeline-up", CHECK)),
        back: &[PIPELINE_DOWN],
        makes: &[],
    },
    Act {
        name: "pipeline-up deploy",
        way: Way::Up,
        command: Deploy,
        check: None,
        back: &[Do::DeleteFunction],
        makes: &[],
    },
    Act {
        name: "pipeline-up up (trigger)",
        way: Way::Up,
        command: PIPELINE_UP,
        check: Some(("pipeline-up", CHECK)),
        back: &[Do::DeleteTrigger],
        makes: &[],
    },
    Act {
        name: "upload-sample-image",
        way: Way::Up,
        command: UPLOAD,
        check: None,
        back: &[Do::DeleteObjects],
        makes: &[],
    },
    Act {
        name: "net-up nat -- host-up up private",
        way: Way::Up,
        command: Run("net-up", &["nat", "--yes", "--", "host-up", "up", "private", "--wait-ready", "--yes"]),
        check: Some(("host-up", CHECK)),
        back: &[Run("host-up", &["down", "private", "--yes"])],
        makes: &[],
    },
    Act {
        name: "vpn-setup up",
        way: Way::Up,
        command: VPN_UP,
        check: Some(("vpn-setup", CHECK)),
        back: &[VPN_DOWN],
        makes: &["pki", "laptop.ovpn"],
    },
];

/// scripts/down.sh, in its order. The NAT window is open when its turn comes.
pub const DOWN: [Act; 6] = [
    Act { name: "vpn-setup down", way: Way::Down, command: VPN_DOWN, check: None, back: &[VPN_UP], makes: &[] },
    Act {
        name: "net-up nat close",
        way: Way::Down,
        command: Run("net-up", &["nat", "close", "--yes"]),
        check: None,
        back: &[Run("net-up", &["nat", "open", "--yes"])],
        makes: &[],
    },
    Act {
        name: "host-up down",
        way: Way::Down,
        command: HOSTS_DOWN,
        check: None,
        back: &[Run("host-up", &["up", "--yes"])],
        makes: &[],
    },
    Act {
        name: "pipeline-up down",
        way: Way::Down,
        command: PIPELINE_DOWN,
        check: None,
        back: &[PIPELINE_UP, Do::FillPipeline, PIPELINE_UP],
        makes: &[],
    },
    Act { name: "net-up down", way: Way::Down, command: NET_DOWN, check: None, back: &[NET_UP], makes: &[] },
    Act {
        name: "lab-status leaks",
        way: Way::Down,
        command: Run("lab-status", &["leaks"]),
        check: None,
        back: &[],
        makes: &[],
    },
];

/// The command as a process, in the environment of `aws`.
///
/// # Panics
/// When it is not one, but something that is done behind our back.
#[must_use]
pub(crate) fn start(aws: &LocalAws, command: Do) -> Command {
    match command {
        Run(program, arguments) => aws.command(program, arguments),
        Deploy => deploy(aws),
        other => panic!("{other:?} is no command"),
    }
}

/// The function's binary, where scripts/test.sh builds it.
fn find_bootstrap() -> PathBuf {
    let target = find_programs().parent().expect("target/debug has a parent").to_owned();
    let bootstrap = target.join("lambda/image-processor/bootstrap");
    assert!(bootstrap.is_file(), "the function is not built: run scripts/test.sh");
    bootstrap
}

fn deploy(aws: &LocalAws) -> Command {
    let bootstrap = find_bootstrap();
    let manifest = find_root().join("Cargo.toml");
    let text = |path: &PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
    let (manifest, bootstrap) = (text(&manifest), text(&bootstrap));
    let mut command = aws.command("pipeline-up", &["deploy", "--manifest-path", &manifest, "--binary", &bootstrap]);
    // cargo-lambda is installed beside moto, and asks cargo about the package.
    let programs = [find_programs(), find_root().join(".venv/bin")];
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&others)));
    command.env("PATH", path.expect("folders without a colon"));
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        command.env(name, std::env::var_os(name).unwrap_or_else(|| home.join(folder).into_os_string()));
    }
    command
}

/// Does what somebody does with AWS's console.
///
/// # Panics
/// When AWS refuses it.
pub(crate) fn meddle(aws: &LocalAws, what: Do) {
    match what {
        Do::DeleteFunction => hands::delete_function(aws),
        Do::DeleteTrigger => hands::delete_trigger(aws),
        Do::DeleteObjects => hands::delete_objects(aws),
        Do::FillPipeline => hands::fill_pipeline(aws),
        Run(..) | Deploy => panic!("{what:?} is a command"),
    }
}
