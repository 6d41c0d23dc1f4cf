//! One `OpenVPN` server, configured like a Client VPN endpoint. Its configuration, which holds the private key, goes
//! through a pipe and never to a disk.

use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ipnet::Ipv4Net;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::Child;

use super::requirements::program;
use super::{server_address, tunnel_device};
use crate::acm::PrivateKey;
use crate::ec2::client_vpn::{Seen, Transport};
use crate::guard::guarded_command;

/// How long a server may take to end when it is asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// What the word to its clients takes to get out.
const FAREWELL: Duration = Duration::from_millis(200);

/// The largest pool of addresses that `OpenVPN` takes.
const MAX_POOL: u32 = 65_533;

/// The files in a server's folder.
const CRL: &str = "crl.pem";
const CLIENTS: &str = "clients";
const STATUS: &str = "status";
const MANAGEMENT: &str = "management";
const LOG: &str = "openvpn.log";

/// What a server must be started again for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerSettings {
    pub(crate) client_cidr: Ipv4Net,
    pub(crate) transport: Transport,
    pub(crate) port: u16,
    /// The certificates that sign clients, in PEM.
    pub(crate) client_root: String,
    /// The server's certificate with its chain, in PEM.
    pub(crate) certificate: String,
    pub(crate) key: PrivateKey,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: ServerSettings,
    pub(crate) slot: u8,
    folder: PathBuf,
    child: Child,
    /// What the files hold, so that they are written only when that changes.
    written: (Option<String>, Vec<String>),
    ended: bool,
}

impl Server {
    /// Starts a server in the namespace `cloud`, with its files in `folder`.
    ///
    /// # Errors
    /// When its files or its process cannot be made.
    pub(crate) async fn start(
        cloud: &str,
        folder: PathBuf,
        slot: u8,
        settings: ServerSettings,
        crl: Option<&str>,
        pushes: &[String],
    ) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(CLIENTS))?;
        write_crl(&folder, crl)?;
        write_pushes(&folder, pushes)?;
        let log = std::fs::File::create(folder.join(LOG))?;
        let mut command = guarded_command(program("ip").as_os_str())?;
        command
            .args(["netns", "exec", cloud])
            .arg(program("openvpn"))
            .arg("--cd")
            .arg(&folder)
            .args(["--config", "stdin"]);
        let mut child = command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(write_configuration(&settings, slot).as_bytes()).await?;
        }
        let written = (crl.map(str::to_owned), pushes.to_vec());
        Ok(Self { settings, slot, folder, child, written, ended: false })
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> Ipv4Addr {
        server_address(self.slot)
    }

    /// Brings revocations and routes up to date: the server reads both anew for each client that connects.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn update(&mut self, crl: Option<&str>, pushes: &[String]) -> io::Result<()> {
        if self.written.0.as_deref() != crl {
            write_crl(&self.folder, crl)?;
            self.written.0 = crl.map(str::to_owned);
        }
        if self.written.1 != pushes {
            write_pushes(&self.folder, pushes)?;
            self.written.1 = pushes.to_vec();
        }
        Ok(())
    }

    /// Its last words, once, when it has ended by itself.
    pub(crate) fn find_failure(&mut self) -> Option<String> {
        if self.ended || !matches!(self.child.try_wait(), Ok(Some(_))) {
            return None;
        }
        self.ended = true;
        let log = std::fs::read_to_string(self.folder.join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        Some(lines[lines.len().saturating_sub(6)..].join("\n"))
    }

    /// The clients that are connected, as far as its status file says.
    pub(crate) fn list_clients(&self) -> Vec<Client> {
        let status = std::fs::read_to_string(self.folder.join(STATUS)).unwrap_or_default();
        status.lines().filter_map(read_client).collect()
    }

    /// Ends a client's session.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn disconnect(&self, client: &Client) -> io::Result<()> {
        let mut stream = BufReader::new(UnixStream::connect(self.folder.join(MANAGEMENT)).await?);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        stream.write_all(format!("client-kill {}\n", client.id).as_bytes()).await?;
        line.clear();
        stream.read_line(&mut line).await.map(drop)
    }

    /// Ends the server. Its clients are told, so that they look for another one at once.
    pub(crate) async fn stop(mut self) {
        let clients = self.list_clients();
        for client in &clients {
            let _ = self.disconnect(client).await;
        }
        if !clients.is_empty() {
            tokio::time::sleep(FAREWELL).await;
        }
        let process = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(process) = process {
            let _ = kill_process(process, Signal::TERM);
            let _ = tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await;
        }
        let _ = self.child.kill().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A client in a server's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// The server's number for it.
    id: u32,
    pub(crate) seen: Seen,
}

/// A line of status version 2: `CLIENT_LIST,name,real address,address,IPv6,in,out,since,since (s),user,id,…`.
fn read_client(line: &str) -> Option<Client> {
    let fields: Vec<&str> = line.strip_prefix("CLIENT_LIST,")?.split(',').collect();
    let [name, _, address, _, received, sent, since, _, _, id, ..] = fields.as_slice() else { return None };
    Some(Client {
        id: id.parse().ok()?,
        seen: Seen {
            common_name: (*name).to_owned(),
            address: address.parse().ok()?,
            since: (*since).to_owned(),
            bytes_in: received.parse().ok()?,
            bytes_out: sent.parse().ok()?,
        },
    })
}

/// Written beside and renamed, so that a client that connects meanwhile finds one or the other.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}

/// The server takes no client at all while it has no list, so until one is imported it has one that concerns nobody.
fn write_crl(folder: &Path, crl: Option<&str>) -> io::Result<()> {
    let text = crl.map_or_else(make_idle_crl, |crl| Ok(crl.to_owned()))?;
    write_whole(&folder.join(CRL), &text)
}

/// A revocation list of a CA that is made for it and forgotten.
fn make_idle_crl() -> io::Result<String> {
    let make = || {
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "lab-sim: nobody");
        let issuer = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate()?)?;
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(2999, 1, 1),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&issuer)?.pem()
    };
    make().map_err(|error: rcgen::Error| io::Error::other(error))
}

fn write_pushes(folder: &Path, pushes: &[String]) -> io::Result<()> {
    let lines: String = pushes.iter().fold(String::new(), |mut text, push| {
        let _ = writeln!(text, "push \"{push}\"");
        text
    });
    write_whole(&folder.join(CLIENTS).join("DEFAULT"), &lines)
}

/// The whole configuration. The first address of the client CIDR is the server's, the others are the clients'.
fn write_configuration(settings: &ServerSettings, slot: u8) -> String {
    let ServerSettings { client_cidr, transport, port, client_root, certificate, key } = settings;
    let first = u32::from(client_cidr.network()) + 1;
    let last = (first + MAX_POOL).min(u32::from(client_cidr.broadcast()) - 1);
    let (gateway, mask) = (Ipv4Addr::from(first), client_cidr.netmask());
    let protocol = match transport {
        Transport::Udp => "udp4",
        Transport::Tcp => "tcp4-server",
    };
    let lines = [
        "mode server".to_owned(),
        "tls-server".to_owned(),
        format!("dev {}", tunnel_device(slot)),
        "dev-type tun".to_owned(),
        format!("proto {protocol}"),
        format!("local {}", server_address(slot)),
        format!("lport {port}"),
        "topology subnet".to_owned(),
        format!("ifconfig {gateway} {mask}"),
        format!("ifconfig-pool {} {} {mask}", Ipv4Addr::from(first + 1), Ipv4Addr::from(last)),
        "push \"topology subnet\"".to_owned(),
        format!("push \"route-gateway {gateway}\""),
        "verify-client-cert require".to_owned(),
        "remote-cert-tls client".to_owned(),
        "tls-version-min 1.2".to_owned(),
        "data-ciphers AES-256-GCM".to_owned(),
        "dh none".to_owned(),
        "duplicate-cn".to_owned(),
        "keepalive 10 60".to_owned(),
        "reneg-sec 0".to_owned(),
        format!("crl-verify {CRL}"),
        format!("client-config-dir {CLIENTS}"),
        format!("status {STATUS} 1"),
        "status-version 2".to_owned(),
        format!("management {MANAGEMENT} unix"),
        "verb 3".to_owned(),
    ];
    let mut text = lines.join("\n") + "\n";
    for (block, pem) in [("ca", client_root.as_str()), ("cert", certificate), ("key", key.as_pem())] {
        let _ = writeln!(text, "<{block}>\n{}\n</{block}>", pem.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(client_cidr: &str) -> ServerSettings {
        ServerSettings {
            client_cidr: client_cidr.parse().expect("a block"),
            transport: Transport::Udp,
            port: 443,
            client_root: "ROOT\n".into(),
            certificate: "CERTIFICATE\n".into(),
            key: PrivateKey::for_tests("KEY"),
        }
    }

    #[test]
    fn every_client_cidr_that_aws_takes_has_a_pool() {
        for (block, pool) in [
            ("10.83.0.0/22", "ifconfig-pool 10.83.0.2 10.83.3.254 255.255.252.0"),
            ("10.83.0.0/16", "ifconfig-pool 10.83.0.2 10.83.255.254 255.255.0.0"),
            ("10.80.0.0/12", "ifconfig-pool 10.80.0.2 10.80.255.254 255.240.0.0"),
        ] {
            let text = write_configuration(&settings(block), 0);
            assert!(text.contains(pool), "{pool} in {text}");
        }
    }

    #[test]
    fn a_server_demands_what_client_vpn_demands() {
        let text = write_configuration(&settings("10.83.0.0/16"), 1);
        for line in [
            "verify-client-cert require",
            "remote-cert-tls client",
            "tls-version-min 1.2",
            "data-ciphers AES-256-GCM",
            "crl-verify crl.pem",
            "local 192.0.2.11",
            "dev vpn1",
        ] {
            assert!(text.lines().any(|present| present == line), "{line} in {text}");
        }
        assert!(text.ends_with("<key>\nKEY\n</key>\n"), "{text}");
    }

    #[test]
    fn clients_are_read_from_the_status() {
        let line = "CLIENT_LIST,laptop,192.0.2.2:55785,10.83.0.2,,3127,3343,2026-11-20 18:30:06,1795199406,UNDEF,4,0,AES-256-GCM";
        let client = read_client(line).expect("a client");
        assert_eq!((client.id, client.seen.common_name.as_str(), client.seen.bytes_in), (4, "laptop", 3127));
        assert_eq!(client.seen.address, Ipv4Addr::new(10, 83, 0, 2));
        assert_eq!(read_client("HEADER,CLIENT_LIST,Common Name"), None);
        assert_eq!(read_client("CLIENT_LIST,UNDEF,192.0.2.2:1,,,0,0"), None, "it is not let in yet");
    }

    #[test]
    fn the_idle_list_is_one() {
        assert!(make_idle_crl().expect("made").starts_with("-----BEGIN X509 CRL-----"));
    }
}
