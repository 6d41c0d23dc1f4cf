//! Compares what should be there with what is there, again and again, and changes the difference.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;

use super::dns::{self, Names};
use super::firewall::{Door, Opening, write_rules};
use super::hosts::Hosts;
use super::picture::{Facts, Gate, Picture, collect_facts, draw};
use super::requirements::program;
use super::server::Server;
use super::{UPLINK, server_address, tunnel_device};
use crate::sim::{Sim, lock};

/// How often the states that change by themselves are looked at.
const TICK: Duration = Duration::from_millis(50);

/// Endpoints at once: as many as an account may have in a Region.
const SLOTS: u8 = 5;

/// What is there now.
struct Cloud {
    namespace: String,
    folder: PathBuf,
    hosts: Hosts,
    servers: BTreeMap<String, Server>,
    /// Servers that tell their clients goodbye. Their slots and endpoints are free when they are gone.
    ending: Vec<Ending>,
    names: Names,
    /// The packet filter in force.
    rules: String,
    /// What was complained about, so that it is said once.
    complaints: HashSet<String>,
}

struct Ending {
    endpoint: String,
    slot: u8,
    task: JoinHandle<()>,
}

/// Keeps the namespace `cloud` like the account says, until the task is dropped. `folder` is for the servers' files.
///
/// # Errors
/// When the namespace cannot be used at all.
pub(crate) async fn supervise(sim: Arc<Sim>, namespace: String, folder: PathBuf) -> io::Result<Infallible> {
    let names = Names::default();
    let socket = dns::listen(&namespace)?;
    let mut cloud = Cloud {
        hosts: Hosts::new(&namespace),
        namespace,
        folder,
        servers: BTreeMap::new(),
        ending: Vec::new(),
        names: Arc::clone(&names),
        rules: String::new(),
        complaints: HashSet::new(),
    };
    cloud.add_server_addresses().await?;
    let _ends_with_us = AbortOnDrop(tokio::spawn(dns::serve(socket, names)));
    let mut facts = Facts::default();
    loop {
        let endpoints = sim.ec2.vpn.endpoints().await;
        let picture = draw(&endpoints, &facts, &sim.times, |id| sim.ec2.host_state(id, &sim.times));
        cloud.become_like(&picture).await;
        cloud.exchange_connections(&sim).await;
        tokio::select! {
            () = sim.changed.notified() => {
                let endpoints = sim.ec2.vpn.endpoints().await;
                facts = collect_facts(&sim, &endpoints).await;
            }
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Cloud {
    async fn add_server_addresses(&self) -> io::Result<()> {
        for slot in 0..SLOTS {
            let address = format!("{}/32", server_address(slot));
            run_ip(&["-n", &self.namespace, "addr", "add", &address, "dev", UPLINK], "").await?;
        }
        Ok(())
    }

    async fn become_like(&mut self, picture: &Picture) {
        let hosts = self.hosts.set(&picture.addresses, &picture.services).await;
        self.complain_about(hosts);
        self.stop_servers(&picture.gates);
        for gate in &picture.gates {
            let started = self.run_server(gate).await;
            self.complain_about(started);
        }
        let filtered = self.filter(&picture.gates).await;
        self.complain_about(filtered);
        let addresses = picture
            .gates
            .iter()
            .filter_map(|gate| Some((gate.domain.clone(), self.servers.get(&gate.endpoint)?.address())));
        *lock(&self.names) = addresses.collect();
    }

    /// Ends servers whose endpoint is no more, or has other settings.
    fn stop_servers(&mut self, gates: &[Gate]) {
        let is_wrong = |(endpoint, server): &(&String, &Server)| {
            !gates.iter().any(|gate| gate.endpoint == **endpoint && gate.server == server.settings)
        };
        let wrong: Vec<String> = self.servers.iter().filter(is_wrong).map(|(endpoint, _)| endpoint.clone()).collect();
        for endpoint in wrong {
            if let Some(server) = self.servers.remove(&endpoint) {
                let slot = server.slot;
                self.ending.push(Ending { endpoint, slot, task: tokio::spawn(server.stop()) });
            }
        }
        self.ending.retain(|ending| !ending.task.is_finished());
    }

    async fn run_server(&mut self, gate: &Gate) -> io::Result<()> {
        if let Some(server) = self.servers.get_mut(&gate.endpoint) {
            server.update(gate.crl.as_deref(), &gate.pushes)?;
            return match server.find_failure() {
                None => Ok(()),
                Some(words) => Err(io::Error::other(format!("the server of {} ended:\n{words}", gate.endpoint))),
            };
        }
        if self.ending.iter().any(|ending| ending.endpoint == gate.endpoint) {
            return Ok(());
        }
        let ending = self.ending.iter().map(|ending| ending.slot);
        let used: HashSet<u8> = self.servers.values().map(|server| server.slot).chain(ending).collect();
        let Some(slot) = (0..SLOTS).find(|slot| !used.contains(slot)) else {
            return Err(io::Error::other(format!("{} has no server: only {SLOTS} run at once", gate.endpoint)));
        };
        let folder = self.folder.join(&gate.endpoint);
        let settings = gate.server.clone();
        let server = Server::start(&self.namespace, folder, slot, settings, gate.crl.as_deref(), &gate.pushes).await?;
        self.servers.insert(gate.endpoint.clone(), server);
        Ok(())
    }

    async fn filter(&mut self, gates: &[Gate]) -> io::Result<()> {
        let (mut doors, mut openings) = (Vec::new(), Vec::new());
        for gate in gates {
            let Some(server) = self.servers.get(&gate.endpoint) else { continue };
            let (transport, port) = (gate.server.transport, gate.server.port);
            doors.push(Door { address: server.address(), transport, port });
            let device = tunnel_device(server.slot);
            openings.extend(gate.openings.iter().map(|(host, ports)| Opening {
                device: device.clone(),
                host: *host,
                ports: ports.clone(),
            }));
        }
        let rules = write_rules(&doors, &openings);
        if rules != self.rules {
            let nft = program("nft").display().to_string();
            run_ip(&["netns", "exec", &self.namespace, &nft, "-f", "-"], &rules).await?;
            self.rules = rules;
        }
        Ok(())
    }

    /// Tells the account who is connected, and ends the sessions that it wants ended.
    async fn exchange_connections(&mut self, sim: &Sim) {
        for ending in &self.ending {
            sim.ec2.vpn.update_connections(&ending.endpoint, &[]);
        }
        for (endpoint, server) in &self.servers {
            let clients = server.list_clients();
            let seen: Vec<_> = clients.iter().map(|client| client.seen.clone()).collect();
            for unwanted in sim.ec2.vpn.update_connections(endpoint, &seen) {
                if let Some(client) = clients.iter().find(|client| client.seen.address == unwanted) {
                    // It is tried again with the next look.
                    let _ = server.disconnect(client).await;
                }
            }
        }
    }

    /// The run goes on, and the next look tries again.
    fn complain_about(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            let words = error.to_string();
            if self.complaints.insert(words.clone()) {
                eprintln!("lab-sim: {words}");
            }
        }
    }
}

/// Runs `ip` with something on its standard input.
async fn run_ip(arguments: &[&str], input: &str) -> io::Result<()> {
    let mut child = tokio::process::Command::new(program("ip"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("`ip {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())))
}
