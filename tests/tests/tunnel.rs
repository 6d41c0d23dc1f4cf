//! The whole of Task 2 with a real `OpenVPN` client against the real `OpenVPN` server that lab-sim configures from the
//! endpoint: what the `.ovpn` file lets in, what is kept out, and what can be read on the wire.
//!
//! These tests need root, /dev/net/tun and the programs that `scripts/setup.sh --tests` installs. Everything happens in
//! network namespaces that lab-sim makes and removes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use lab_tests::{Answer, LocalAws, PATIENCE};

/// What `OpenVPN` says once the tunnel is up.
const UP: &str = "Initialization Sequence Completed";

/// Network, private host and VPN of HOL 02, as scripts/task2.sh builds them.
fn build_lab() -> LocalAws {
    let aws = LocalAws::start(&["--vpn-netns", "--state-times", "0"]);
    let _ = aws.run("net-up", &["--yes"]).expect_code(0);
    let window = ["nat", "--yes", "--", "host-up", "up", "private", "--wait-ready", "--yes"];
    let _ = aws.run("net-up", &window).expect_code(0);
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    aws
}

/// A program on the user's machine: in the namespace from which only the tunnel leads to the private host.
fn on_laptop(aws: &LocalAws, program: &str, arguments: &[&str]) -> Command {
    aws.enter_laptop(&aws.command(program, arguments))
}

fn run_on_laptop(aws: &LocalAws, program: &str, arguments: &[&str]) -> Answer {
    on_laptop(aws, program, arguments).output().expect("the program starts").into()
}

fn home(aws: &LocalAws) -> PathBuf {
    aws.folder.path().join("home")
}

fn private_address(aws: &LocalAws) -> String {
    let status = aws.run("host-up", &["status", "--json"]).expect_code(0).json();
    let resources = status["resources"].as_array().expect("resources");
    let host = resources.iter().find(|one| one["name"] == "lab-private-ec2" && one["kind"] == "instance");
    host.expect("the private host")["private_ip"].as_str().expect("its address").to_owned()
}

/// The file server's page, as the laptop sees it; nothing when it does not answer.
fn fetch_page(aws: &LocalAws, address: &str) -> Option<String> {
    let url = format!("http://{address}:8080/");
    let arguments = ["netns", "exec", aws.laptop(), "curl", "--silent", "--fail", "--max-time", "3", &url];
    let answer = Command::new("ip").args(arguments).output().expect("curl starts");
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
}

/// A running `OpenVPN` client; dropping it ends it.
struct Client {
    process: Child,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl Client {
    fn start(aws: &LocalAws, config: &Path) -> Self {
        // A refused client would try again for ever: one attempt, given up after seconds, decides here.
        let options = ["--connect-retry-max", "1", "--hand-window", "8", "--tls-exit", "--verb", "3"];
        let mut process = Command::new("ip")
            .args(["netns", "exec", aws.laptop(), "openvpn", "--config"])
            .arg(config)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openvpn starts");
        let (sender, lines) = channel();
        let stdout = BufReader::new(process.stdout.take().expect("its output"));
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line).map_err(drop))
        });
        Self { process, lines, log: Vec::new() }
    }

    /// Whether the tunnel comes up; if not, the client has ended.
    fn connects(&mut self) -> bool {
        let start = Instant::now();
        loop {
            let left =
                PATIENCE.checked_sub(start.elapsed()).unwrap_or_else(|| panic!("neither up nor down: {:#?}", self.log));
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let up = line.contains(UP);
                    self.log.push(line);
                    if up {
                        return true;
                    }
                }
                // The output ends with the process.
                Err(_) => return false,
            }
        }
    }

    fn said(&self, text: &str) -> bool {
        self.log.iter().any(|line| line.contains(text))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

/// The client reaches the server, and the tunnel does not come up.
#[track_caller]
fn assert_server_refuses(aws: &LocalAws, config: &Path, who: &str) {
    let mut client = Client::start(aws, config);
    assert!(!client.connects(), "{who}: {:#?}", client.log);
    assert!(client.said("TLS: Initial packet from"), "{who} has reached the server: {:#?}", client.log);
}

/// A copy of a configuration, changed.
fn change(aws: &LocalAws, name: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let original = std::fs::read_to_string(home(aws).join("laptop.ovpn")).expect("the file that up wrote");
    let changed = change(&original);
    assert_ne!(changed, original, "{name} is another file");
    let path = aws.folder.path().join(name);
    std::fs::write(&path, changed).expect("written");
    path
}

/// The text with everything from `<tag>` to `</tag>` replaced.
fn replace_block(text: &str, tag: &str, block: &str) -> String {
    let (before, rest) = text.split_once(&format!("<{tag}>")).expect("the block begins");
    let (_, after) = rest.split_once(&format!("</{tag}>")).expect("the block ends");
    format!("{before}{block}{after}")
}

#[test]
fn the_file_server_answers_through_the_tunnel_and_only_through_it() {
    let aws = build_lab();
    let address = private_address(&aws);
    assert_eq!(fetch_page(&aws, &address), None, "without the tunnel");

    let mut client = Client::start(&aws, &home(&aws).join("laptop.ovpn"));
    assert!(client.connects(), "{:#?}", client.log);
    assert!(fetch_page(&aws, &address).is_some(), "with the tunnel");
    drop(client);
    assert_eq!(fetch_page(&aws, &address), None, "after the tunnel");

    let check = run_on_laptop(&aws, "vpn-setup", &["check", "--connect", "--json"]).expect_code(0);
    let checks = check.json()["checks"].as_array().expect("checks").clone();
    assert!(checks.len() >= 4 && checks.iter().all(|one| one["passed"] == true), "{checks:#?}");

    // Without the rule that lets clients in, the check fails and names it.
    let endpoint = aws.run("vpn-setup", &["status", "--json"]).json();
    let resources = endpoint["resources"].as_array().expect("resources");
    let id = resources.iter().find(|one| one["kind"] == "client-vpn-endpoint").expect("an endpoint")["id"].clone();
    let id = id.as_str().expect("an id");
    let revoke = format!(
        "Action=RevokeClientVpnIngress&ClientVpnEndpointId={id}&TargetNetworkCidr=10.0.0.0/16&RevokeAllGroups=true"
    );
    let _ = aws.act(&revoke);
    let broken = run_on_laptop(&aws, "vpn-setup", &["check", "--connect"]).expect_code(1);
    assert!(broken.all().contains("authorization rule"), "{broken:#?}");
    let _ = aws.run("vpn-setup", &["--yes"]).expect_code(0);
    let _ = run_on_laptop(&aws, "vpn-setup", &["check", "--connect"]).expect_code(0);

    let down = aws.run("vpn-setup", &["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["usd_per_hour"], 0.0);
}

#[test]
fn whoever_has_no_valid_certificate_is_refused_and_a_false_server_too() {
    let aws = build_lab();
    let other = LocalAws::start(&["--state-times", "0"]);
    let _ = other.run("net-up", &["--yes"]).expect_code(0);
    let _ = other.run("vpn-setup", &["--yes"]).expect_code(0);
    let foreign = std::fs::read_to_string(home(&other).join("laptop.ovpn")).expect("another lab's file");
    let block = |tag: &str| {
        let (_, rest) = foreign.split_once(&format!("<{tag}>")).expect("the block begins");
        let (block, _) = rest.split_once(&format!("</{tag}>")).expect("the block ends");
        format!("<{tag}>{block}</{tag}>")
    };

    // The same options with the right file: what refuses below is the certificate, not the test.
    assert!(Client::start(&aws, &home(&aws).join("laptop.ovpn")).connects(), "the control");

    let foreign_client = change(&aws, "foreign.ovpn", |text| {
        replace_block(&replace_block(text, "cert", &block("cert")), "key", &block("key"))
    });
    assert_server_refuses(&aws, &foreign_client, "a client of another CA");

    // Without a certificate OpenVPN wants a name and a password, or it would not even try.
    let login = aws.folder.path().join("login");
    std::fs::write(&login, "somebody\nsomething\n").expect("written");
    std::fs::set_permissions(&login, std::fs::Permissions::from_mode(0o600)).expect("its owner's alone");
    let nobody = change(&aws, "nobody.ovpn", |text| {
        let bare = replace_block(&replace_block(text, "cert", ""), "key", "");
        format!("{bare}\nauth-user-pass {}\n", login.display())
    });
    assert_server_refuses(&aws, &nobody, "a client without a certificate");

    let false_server = change(&aws, "false-server.ovpn", |text| {
        let line =
            text.lines().find(|line| line.starts_with("verify-x509-name")).expect("the server's name is checked");
        text.replace(line, "verify-x509-name somebody.else.internal name")
    });
    let mut client = Client::start(&aws, &false_server);
    assert!(!client.connects(), "a server of another name: {:#?}", client.log);
    assert!(client.said("VERIFY X509NAME ERROR"), "the client refused it: {:#?}", client.log);

    let foreign_ca = change(&aws, "foreign-ca.ovpn", |text| replace_block(text, "ca", &block("ca")));
    let mut client = Client::start(&aws, &foreign_ca);
    assert!(!client.connects(), "a server of another CA: {:#?}", client.log);
    assert!(client.said("VERIFY ERROR"), "the client refused it: {:#?}", client.log);

    let _ = aws.run("vpn-setup", &["client", "add", "lost"]).expect_code(0);
    assert!(Client::start(&aws, &home(&aws).join("lost.ovpn")).connects(), "before its revocation");
    let kept = aws.folder.path().join("lost-copy.ovpn");
    std::fs::copy(home(&aws).join("lost.ovpn"), &kept).expect("copied");
    let _ = aws.run("vpn-setup", &["client", "revoke", "lost", "--yes"]).expect_code(0);
    // A revocation takes its time until the endpoint knows it: on AWS up to hours, here a moment.
    let start = Instant::now();
    while Client::start(&aws, &kept).connects() {
        assert!(start.elapsed() < PATIENCE, "a revoked client still connects");
    }
    assert_server_refuses(&aws, &kept, "a revoked client");
    assert!(Client::start(&aws, &home(&aws).join("laptop.ovpn")).connects(), "the others stay");
}

#[test]
fn nothing_of_the_private_traffic_can_be_read_on_the_wire() {
    let aws = build_lab();
    let address = private_address(&aws);
    let mut client = Client::start(&aws, &home(&aws).join("laptop.ovpn"));
    assert!(client.connects(), "{:#?}", client.log);

    // Every interface but the tunnel itself: the wire between the laptop and the cloud. Without --immediate-mode the
    // capture stays empty and proves nothing.
    let wire = find_wire(&aws);
    let mut capture = Command::new("ip")
        .args([
            "netns",
            "exec",
            aws.laptop(),
            "tcpdump",
            "--immediate-mode",
            "-Z",
            "root",
            "-l",
            "-A",
            "-n",
            "-i",
            &wire,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tcpdump starts");
    let listening = BufReader::new(capture.stderr.take().expect("its messages")).lines().map_while(Result::ok);
    assert!({ listening }.any(|line| line.contains("listening on")), "tcpdump listens");

    let page = fetch_page(&aws, &address).expect("the page, through the tunnel");
    let secret = page.lines().map(str::trim).find(|line| line.len() >= 8).expect("a line to look for").to_owned();
    // The control: the same text in clear over the same wire.
    let control = format!("control {secret} control");
    let script = format!("printf '%s' '{control}' > /dev/udp/{}/9", find_gateway(&aws));
    let sent = Command::new("ip").args(["netns", "exec", aws.laptop(), "bash", "-c", &script]).status().expect("bash");
    assert!(sent.success(), "the control is sent");

    let mut seen = Vec::new();
    for line in BufReader::new(capture.stdout.take().expect("the packets")).lines().map_while(Result::ok) {
        let done = line.contains(&control);
        seen.push(line);
        if done {
            break;
        }
    }
    let _ = capture.kill();
    let _ = capture.wait();
    assert!(seen.last().is_some_and(|line| line.contains(&control)), "the capture sees clear text: {seen:#?}");
    let leaked: Vec<_> = seen.iter().filter(|line| line.contains(&secret) && !line.contains(&control)).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
    assert!(
        seen.iter().any(|line| line.contains(".443: UDP") || line.contains(".443 >")),
        "the tunnel's packets: {seen:#?}"
    );
}

/// The laptop's interface to the world.
fn find_wire(aws: &LocalAws) -> String {
    let arguments = ["netns", "exec", aws.laptop(), "ip", "-o", "link", "show", "type", "veth"];
    let answer = Command::new("ip").args(arguments).output().expect("ip starts");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let name = text.split_whitespace().nth(1).expect("an interface");
    name.trim_end_matches(':').split('@').next().expect("its name").to_owned()
}

/// The other end of that wire.
fn find_gateway(aws: &LocalAws) -> String {
    let arguments = ["netns", "exec", aws.laptop(), "ip", "-o", "-4", "addr", "show", "dev", &find_wire(aws)];
    let answer = Command::new("ip").args(arguments).output().expect("ip starts");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let own = text.split_whitespace().skip_while(|word| *word != "inet").nth(1).expect("an address").to_owned();
    let (own, _) = own.split_once('/').expect("a prefix");
    let mut octets: Vec<u8> = own.split('.').map(|octet| octet.parse().expect("an octet")).collect();
    octets[3] ^= 3;
    octets.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}
