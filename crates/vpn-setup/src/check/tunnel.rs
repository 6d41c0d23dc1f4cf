//! An `openvpn` of our own, for as long as a check takes.
//!
//! It connects back to a management socket of ours, which is how it is ended without any privilege; and when that
//! socket goes, it ends by itself (openvpn(8), `--management-client`). So no tunnel outlives us, whatever becomes of us.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lab_plan::{Problem, Stop};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Split};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a tunnel may take to come up. It takes a second or two; a client that gets no answer tries again after some.
const COMES_UP: Duration = Duration::from_secs(30);
/// How long more, where someone has to type a password first.
const TYPES: Duration = Duration::from_mins(1);
/// How long it may take to end.
const ENDS: Duration = Duration::from_secs(5);

/// What `openvpn` says once everything is in place.
const COMPLETED: &str = "Initialization Sequence Completed";
/// What it says when another attempt would end alike.
const HOPELESS: [&str; 4] =
    ["AUTH_FAILED", "VERIFY ERROR", "VERIFY X509NAME ERROR", "TLS object -> incoming plaintext"];
/// Lines of its log that may explain a failure.
const REMEMBERED: usize = 40;

/// A tunnel that is up.
#[derive(Debug)]
pub(super) struct Tunnel {
    process: Process,
}

#[derive(Debug)]
struct Process {
    child: Child,
    log: Split<BufReader<ChildStdout>>,
    management: Option<UnixStream>,
    said: VecDeque<String>,
    /// Holds the socket; removed with it.
    _directory: tempfile::TempDir,
}

impl Tunnel {
    /// Starts `openvpn` with this file, and waits until the tunnel is up.
    ///
    /// # Errors
    /// When it cannot be started, ends, is refused, or takes too long: with what it said last. It is ended then.
    pub(super) async fn open(profile: &Path, stop: &Stop) -> Result<Self, Problem> {
        let patience = if is_root() { COMES_UP } else { COMES_UP + TYPES };
        Self::run(elevate(find_openvpn()?), profile, patience, stop).await
    }

    async fn run(command: Command, profile: &Path, patience: Duration, stop: &Stop) -> Result<Self, Problem> {
        let (mut process, listener) = start(command, profile)?;
        let come_up = async {
            tokio::select! {
                biased;
                exit = stop.wait() => Err(Stop::problem(exit)),
                answer = process.wait_until_up(&listener, patience) => answer,
            }
        };
        match come_up.await {
            Ok(()) => Ok(Self { process }),
            Err(problem) => {
                process.end().await;
                Err(problem)
            }
        }
    }

    /// Ends it, and waits until it is down.
    pub(super) async fn close(self) {
        self.process.end().await;
    }
}

impl Process {
    async fn wait_until_up(&mut self, listener: &UnixListener, patience: Duration) -> Result<(), Problem> {
        let deadline = Instant::now() + patience;
        loop {
            tokio::select! {
                accepted = listener.accept(), if self.management.is_none() => {
                    self.management = accepted.ok().map(|(stream, _)| stream);
                }
                line = self.log.next_segment() => {
                    let Ok(Some(line)) = line else { return Err(self.explain("openvpn ended")) };
                    // A name in a certificate may be written in any encoding.
                    let line = String::from_utf8_lossy(&line).into_owned();
                    let (up, hopeless) = (line.contains(COMPLETED), HOPELESS.iter().any(|word| line.contains(word)));
                    self.remember(line);
                    if up {
                        return Ok(());
                    }
                    if hopeless {
                        return Err(self.explain("the tunnel does not come up"));
                    }
                }
                () = sleep_until(deadline) => {
                    let what = format!("the tunnel does not come up in {} s", patience.as_secs());
                    return Err(self.explain(&what));
                }
            }
        }
    }

    /// Asks it to end, by the one way that needs no privilege; kills it when it does not.
    async fn end(mut self) {
        if let Some(management) = &mut self.management {
            let _ = management.write_all(b"signal SIGTERM\n").await;
        } else {
            let _ = self.child.start_kill();
        }
        let drained = async {
            // A full pipe would hold it up.
            while let Ok(Some(_)) = self.log.next_segment().await {}
            self.child.wait().await
        };
        if timeout(ENDS, drained).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    fn remember(&mut self, line: String) {
        if self.said.len() == REMEMBERED {
            self.said.pop_front();
        }
        self.said.push_back(line);
    }

    fn explain(&self, what: &str) -> Problem {
        Problem::failed(what).because(choose_reason(&self.said))
    }
}

fn start(mut command: Command, profile: &Path) -> Result<(Process, UnixListener), Problem> {
    let cannot = |error: std::io::Error| Problem::failed("cannot start openvpn").because(error.to_string());
    let private = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix("vpn-setup-").permissions(private).tempdir().map_err(cannot)?;
    let socket = directory.path().join("management");
    let listener = UnixListener::bind(&socket).map_err(cannot)?;
    // The certificate and the key are in the file: on the command line, everybody could read them.
    command.arg("--config").arg(profile).arg("--management").arg(&socket).arg("unix").arg("--management-client");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| {
        cannot(error).fix("run this as root, or install sudo; or connect by yourself and run: vpn-setup check")
    })?;
    let Some(log) = child.stdout.take() else { return Err(cannot(std::io::Error::other("it has no stdout"))) };
    let log = BufReader::new(log).split(b'\n');
    Ok((Process { child, log, management: None, said: VecDeque::new(), _directory: directory }, listener))
}

/// `openvpn` makes a network interface and routes: that takes root.
fn elevate(openvpn: PathBuf) -> Command {
    if is_root() {
        return Command::new(openvpn);
    }
    let mut command = Command::new("sudo");
    // Without a terminal nobody could type a password.
    command.args((!std::io::stdin().is_terminal()).then_some("-n")).arg("--").arg(openvpn);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// In the usual places too that only root's `PATH` names.
fn find_openvpn() -> Result<PathBuf, Problem> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).chain(usual);
    let found = places.map(|place| place.join(OsString::from("openvpn"))).find(|file| file.is_file());
    found.ok_or_else(|| {
        Problem::failed("openvpn is not installed on this machine").fix(
            "install it (apt install openvpn, dnf install openvpn, brew install openvpn);\n\
             or connect with the AWS VPN Client and run: vpn-setup check",
        )
    })
}

/// The line of a log that says most about a failure, without its time.
fn choose_reason(log: &VecDeque<String>) -> String {
    const TELLING: [&str; 5] = [" ERROR", "Cannot", "rror", "failed", "refused"];
    let find = |word: &&str| log.iter().rev().find(|line| line.contains(*word));
    match HOPELESS.iter().chain(&TELLING).find_map(find) {
        Some(line) => drop_time(line),
        None => log
            .back()
            .map_or_else(|| "it said nothing".to_owned(), |line| format!("its last word: {}", drop_time(line))),
    }
}

fn drop_time(line: &str) -> String {
    let is_time = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    line.split_whitespace().skip_while(is_time).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_most_explains_a_failure() {
        let log = [
            "2026-11-20 18:00:00 OpenVPN 2.6.14 x86_64-pc-linux-gnu",
            "2026-11-20 18:00:01 VERIFY ERROR: depth=0, error=certificate has expired: CN=lab-ada.internal",
            "2026-11-20 18:00:01 TLS Error: TLS handshake failed",
            "2026-11-20 18:00:01 SIGUSR1[soft,tls-error] received, process restarting",
        ];
        let mut log: VecDeque<String> = log.map(String::from).into();
        let reason = choose_reason(&log);
        assert_eq!(reason, "VERIFY ERROR: depth=0, error=certificate has expired: CN=lab-ada.internal");
        log.truncate(1);
        assert_eq!(choose_reason(&log), "its last word: OpenVPN 2.6.14 x86_64-pc-linux-gnu");
        assert_eq!(choose_reason(&VecDeque::new()), "it said nothing");
    }

    #[tokio::test]
    async fn a_file_that_openvpn_does_not_take_is_told_with_its_words_and_leaves_no_process() {
        let directory = tempfile::tempdir().unwrap();
        let profile = directory.path().join("bad.ovpn");
        std::fs::write(&profile, "client\nno-such-option\n").unwrap();
        let openvpn = match find_openvpn() {
            Ok(openvpn) => Command::new(openvpn),
            Err(problem) => {
                assert!(std::env::var_os("CI").is_none(), "{problem}");
                eprintln!("not checked: there is no openvpn on this machine");
                return;
            }
        };
        let problem = Tunnel::run(openvpn, &profile, COMES_UP, &Stop::new()).await.unwrap_err();
        assert!(problem.why().is_some_and(|why| why.contains("no-such-option")), "{problem}");
    }

    #[tokio::test]
    async fn a_log_in_another_encoding_does_not_end_the_tunnel() {
        let mut latin = Command::new("sh");
        latin.args(["-c", &format!(r"printf 'CN=Jos\351\n{COMPLETED}\n'; exec sleep 60")]);
        let tunnel = Tunnel::run(latin, Path::new("any.ovpn"), COMES_UP, &Stop::new()).await.unwrap();
        tunnel.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_that_does_not_come_up_says_how_long_it_was_waited_for() {
        let mut silent = Command::new("sh");
        silent.args(["-c", "exec sleep 60"]);
        let patience = COMES_UP + TYPES;
        let problem = Tunnel::run(silent, Path::new("any.ovpn"), patience, &Stop::new()).await.unwrap_err();
        assert_eq!(problem.what(), "the tunnel does not come up in 90 s");
    }
}
