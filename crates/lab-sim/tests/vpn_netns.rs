//! `--vpn-netns`: the real `OpenVPN` connects to the endpoint that was made. These tests need root, /dev/net/tun and the
//! programs that docs/LOCAL-AWS.md names; without them they fail.

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use support::pki::{Authority, Identity, import};
use support::{LAB_SIM, Sim, children_of, is_running, wait_for};

/// An endpoint with an associated subnet, and a private host that lets the endpoint's group in on 22 and 8080.
struct Vpn {
    sim: Sim,
    authority: Authority,
    endpoint: String,
    association: String,
    host: String,
}

fn make_group(sim: &Sim, vpc: &str, name: &str) -> String {
    let parameters = [("GroupName", name), ("GroupDescription", "d"), ("VpcId", vpc)];
    sim.ec2("CreateSecurityGroup", &parameters).ok().element("groupId")
}

impl Vpn {
    #[track_caller]
    fn make() -> Self {
        let sim = Sim::start(&["--vpn-netns"]);
        let authority = Authority::new("lab CA");
        let certificate = import(&sim, &authority.server("vpn.lab.internal"), &authority.pem());
        let vpc = sim.ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).ok().element("vpcId");
        let make_subnet =
            |cidr: &str| sim.ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", cidr)]).ok().element("subnetId");
        let (public, private) = (make_subnet("10.0.1.0/24"), make_subnet("10.0.2.0/24"));
        let (vpn_group, host_group) = (make_group(&sim, &vpc, "vpn"), make_group(&sim, &vpc, "host"));
        for port in ["22", "8080"] {
            let rule = [
                ("GroupId", host_group.as_str()),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", port),
                ("IpPermissions.1.ToPort", port),
                ("IpPermissions.1.Groups.1.GroupId", vpn_group.as_str()),
            ];
            sim.ec2("AuthorizeSecurityGroupIngress", &rule).ok();
        }
        let host = [
            ("ImageId", "ami-0b240400000000864"),
            ("InstanceType", "t3.micro"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", &private),
            ("SecurityGroupId.1", &host_group),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", "lab-private-ec2"),
        ];
        let host = sim.ec2("RunInstances", &host).ok().element("privateIpAddress");
        let endpoint = [
            ("ClientCidrBlock", "10.83.0.0/16"),
            ("ServerCertificateArn", certificate.as_str()),
            ("Authentication.1.Type", "certificate-authentication"),
            ("Authentication.1.MutualAuthentication.ClientRootCertificateChainArn", certificate.as_str()),
            ("ConnectionLogOptions.Enabled", "false"),
            ("SplitTunnel", "true"),
            ("VpcId", vpc.as_str()),
            ("SecurityGroupId.1", vpn_group.as_str()),
        ];
        let endpoint = sim.ec2("CreateClientVpnEndpoint", &endpoint).ok().element("clientVpnEndpointId");
        let subnet = [("ClientVpnEndpointId", endpoint.as_str()), ("SubnetId", &public)];
        let association = sim.ec2("AssociateClientVpnTargetNetwork", &subnet).ok().element("associationId");
        let vpn = Self { sim, authority, endpoint, association, host };
        vpn.on("AuthorizeClientVpnIngress", &[("TargetNetworkCidr", "10.0.0.0/16"), ("AuthorizeAllGroups", "true")]);
        wait_for("the association", || {
            let reply = vpn.on("DescribeClientVpnTargetNetworks", &[]);
            reply.text().contains("<code>associated</code>").then_some(())
        });
        vpn
    }

    #[track_caller]
    fn on(&self, action: &str, parameters: &[(&str, &str)]) -> support::Reply {
        self.sim.ec2(action, &[&[("ClientVpnEndpointId", self.endpoint.as_str())], parameters].concat()).ok()
    }

    /// What the laptop runs.
    fn laptop(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.sim.export("LAB_SIM_LAPTOP")]).args(words).stdin(Stdio::null());
        command
    }

    /// The exported configuration with a client's certificate and key put in.
    fn write_profile(&self, folder: &Path, client: &Identity) -> String {
        let export = self.on("ExportClientVpnClientConfiguration", &[]).element("clientConfiguration");
        let export = export.replace("&lt;", "<").replace("&gt;", ">");
        let blocks = format!("</ca>\n<cert>\n{}</cert>\n<key>\n{}</key>\n", client.certificate, client.key);
        let path = folder.join("client.ovpn");
        std::fs::write(&path, export.replace("</ca>\n", &blocks)).expect("written");
        path.display().to_string()
    }

    /// What answers on a port of the host within so many seconds, asked from the laptop.
    fn fetch(&self, port: u16, seconds: &str) -> String {
        let script =
            format!("exec 3<>/dev/tcp/{}/{port} && {{ printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3; }}", self.host);
        let output = self.laptop(&["timeout", seconds, "bash", "-c", &script]).output().expect("bash runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether nothing answers on a port: packets are dropped, so silence is all there is to see.
    fn is_silent(&self, port: u16) -> bool {
        self.fetch(port, "0.5").is_empty()
    }
}

/// A running client; dropping it ends it.
struct Tunnel(Child);

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a client and waits for one of the words in its output. Returns the line, or all it said when none came.
fn connect(vpn: &Vpn, profile: &str, words: &'static [&'static str]) -> (Tunnel, String) {
    let openvpn = ["openvpn", "--config", profile, "--connect-retry-max", "2", "--hand-window", "3"];
    let mut child =
        vpn.laptop(&openvpn).stdout(Stdio::piped()).spawn().expect("openvpn runs (apt-get install openvpn)");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        for line in output.lines().map_while(Result::ok) {
            if words.iter().any(|word| line.contains(word)) {
                let _ = sender.send(line);
                return;
            }
            said.push_str(&line);
            said.push('\n');
        }
        let _ = sender.send(said);
    });
    let line = receiver.recv_timeout(Duration::from_secs(30)).unwrap_or_default();
    (Tunnel(child), line)
}

const CONNECTED: &str = "Initialization Sequence Completed";

/// What ends the wait for a client.
const OUTCOMES: &[&str] = &[CONNECTED, "AUTH_FAILED", "TLS Error", "Exiting"];

#[test]
fn the_exported_profile_connects_and_only_the_tunnel_leads_to_the_private_host() {
    let vpn = Vpn::make();
    let folder = tempfile::tempdir().expect("a folder");
    let profile = vpn.write_profile(folder.path(), &vpn.authority.client("laptop", 7));
    let name = format!("x7.{}.prod.clientvpn.us-east-1.amazonaws.com", vpn.endpoint);
    let resolve = |name: &str| vpn.laptop(&["getent", "ahostsv4", name]).output().expect("getent runs");
    let resolved = wait_for("the endpoint's name", || Some(resolve(&name)).filter(|output| output.status.success()));
    assert!(String::from_utf8_lossy(&resolved.stdout).starts_with("192.0.2.1"));
    assert!(!resolve(&name[3..]).status.success(), "without a label in front there is no address, as on AWS");
    assert!(vpn.is_silent(8080), "no tunnel, no answer");

    let (_tunnel, line) = connect(&vpn, &profile, OUTCOMES);
    assert!(line.contains(CONNECTED), "{line}");
    assert!(vpn.fetch(8080, "10").contains("<h1>lab-private-ec2</h1>"));
    assert!(vpn.fetch(22, "1").starts_with("SSH-2.0-"));
    assert!(vpn.is_silent(9000), "no group allows it");

    vpn.on("RevokeClientVpnIngress", &[("TargetNetworkCidr", "10.0.0.0/16"), ("RevokeAllGroups", "true")]);
    wait_for("the revoked rule", || vpn.is_silent(8080).then_some(()));
    vpn.on("DisassociateClientVpnTargetNetwork", &[("AssociationId", &vpn.association)]);
    wait_for("the end of the endpoint's name", || (!resolve(&name).status.success()).then_some(()));
}

#[test]
fn a_revoked_client_is_refused_while_others_connect() {
    let vpn = Vpn::make();
    let folder = tempfile::tempdir().expect("a folder");
    let revoked = vpn.write_profile(folder.path(), &vpn.authority.client("laptop", 7));
    let (session, line) = connect(&vpn, &revoked, OUTCOMES);
    assert!(line.contains(CONNECTED), "{line}");
    let crl = vpn.authority.revoke(&[7]);
    vpn.on("ImportClientVpnClientCertificateRevocationList", &[("CertificateRevocationList", &crl)]);
    wait_for("the revocation list", || {
        let reply = vpn.on("ExportClientVpnClientCertificateRevocationList", &[]);
        reply.text().contains("<code>active</code>").then_some(())
    });
    assert!(!vpn.fetch(8080, "10").is_empty(), "a session that is open stays open");
    drop(session);
    wait_for("the refusal of a revoked client", || {
        let (_tunnel, line) = connect(&vpn, &revoked, OUTCOMES);
        (!line.contains(CONNECTED)).then_some(())
    });
    let other = vpn.write_profile(folder.path(), &vpn.authority.client("phone", 8));
    let (_tunnel, line) = connect(&vpn, &other, OUTCOMES);
    assert!(line.contains(CONNECTED), "{line}");
}

#[test]
fn sessions_are_listed_and_terminated_and_a_changed_endpoint_has_a_new_server() {
    let vpn = Vpn::make();
    let folder = tempfile::tempdir().expect("a folder");
    let profile = vpn.write_profile(folder.path(), &vpn.authority.client("laptop", 7));
    let (tunnel, line) = connect(&vpn, &profile, OUTCOMES);
    assert!(line.contains(CONNECTED), "{line}");
    let sessions = || vpn.on("DescribeClientVpnConnections", &[]).elements("item");
    let session = wait_for("the session", || sessions().pop());
    assert!(session.contains("<commonName>laptop</commonName>"), "{session}");
    let id = session.split("<connectionId>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id");
    vpn.on("TerminateClientVpnConnections", &[("ConnectionId", id)]);
    wait_for("the end of the session", || {
        sessions().into_iter().find(|item| item.contains(id) && item.contains("<code>terminated</code>"))
    });
    drop(tunnel);

    vpn.on("ModifyClientVpnEndpoint", &[("VpnPort", "1194")]);
    let moved = vpn.write_profile(folder.path(), &vpn.authority.client("laptop", 7));
    wait_for("the server on its new port", || {
        let (_tunnel, line) = connect(&vpn, &moved, OUTCOMES);
        line.contains(CONNECTED).then_some(())
    });
}

/// The namespaces of a process, and the files that belong to them.
fn traces_of(pid: u32) -> Vec<String> {
    let folders = ["/run/netns", "/etc/netns"];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path().display().to_string()));
    paths.filter(|path| path.contains(&format!("lab-sim-{pid}-"))).collect()
}

#[test]
fn nothing_of_the_network_stays_behind_and_two_do_not_meet() {
    let before = outside();
    for signal in ["-TERM", "-KILL"] {
        let (one, other) = (Sim::start(&["--vpn-netns"]), Sim::start(&["--vpn-netns"]));
        assert_eq!(traces_of(one.pid()).len(), 3, "two namespaces and the laptop's resolv.conf");
        Command::new("kill").args([signal, &one.pid().to_string()]).status().expect("kill runs");
        wait_for("the end of the namespaces", || traces_of(one.pid()).is_empty().then_some(()));
        assert_eq!(traces_of(other.pid()).len(), 3, "the other one's stay");
    }
    let abandoned = Sim::start(&["--vpn-netns"]);
    let helpers = children_of(abandoned.pid());
    let killed = helpers.iter().cloned().chain([abandoned.pid().to_string()]);
    Command::new("kill").arg("-KILL").args(killed).status().expect("kill runs");
    wait_for("its end", || helpers.iter().all(|pid| !is_running(pid)).then_some(()));
    let next = Sim::start(&["--vpn-netns"]);
    assert_eq!(traces_of(abandoned.pid()), [] as [String; 0], "the next one cleans up what nobody could");
    drop(next);
    assert_eq!(outside(), before, "nothing changed outside");
}

/// Interfaces and routes of the machine's own namespace.
fn outside() -> (Vec<u8>, Vec<u8>) {
    let ask = |object: &str| Command::new("ip").args([object, "show"]).output().expect("ip runs").stdout;
    (ask("link"), ask("route"))
}

fn run(arguments: &[&str]) -> Output {
    Command::new(LAB_SIM).args(arguments).stdin(Stdio::null()).output().expect("lab-sim runs")
}

#[test]
fn a_command_runs_on_the_laptop_and_reaches_the_api_there() {
    let script = "curl -sS -o /dev/null -w '%{http_code}\\n' \"$AWS_ENDPOINT_URL/_lab-sim/health\"; ip -o -4 addr show dev uplink; exit 7";
    let output = run(&["--vpn-netns", "--", "sh", "-c", script]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("200\n") && text.contains("192.0.2.2/24"), "{text}");
    let missing = run(&["--vpn-netns", "--", "/nonexistent/command"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nonexistent/command cannot be started"));
}

#[test]
fn a_kill_rule_finds_a_caller_on_the_laptop() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = folder.path().join("faults.json");
    std::fs::write(&faults, r#"[{"nth": 1, "effect": {"kill": "caller"}}]"#).expect("written");
    let script = "curl -sS -o /dev/null \"$AWS_ENDPOINT_URL/\" || echo \"killed with $?\"";
    let output = run(&["--vpn-netns", "--faults", &faults.display().to_string(), "--", "sh", "-c", script]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "killed with 137\n");
}

#[test]
fn what_is_missing_is_named_with_the_way_to_get_it() {
    let unprivileged = ["--reuid=65534", "--regid=65534", "--clear-groups", LAB_SIM, "--vpn-netns", "--", "true"];
    let mut child = Command::new("setpriv")
        .args(unprivileged)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("setpriv runs");
    let mut words = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut words).expect("text");
    assert_eq!(child.wait().expect("its end").code(), Some(1), "{words}");
    assert!(words.contains("needs root"), "{words}");
}
