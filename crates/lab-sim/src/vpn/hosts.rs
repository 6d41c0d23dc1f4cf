//! What answers on the addresses of instances: a greeting where SSH would be, and a small page on the other ports.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::enter;
use super::requirements::program;

/// SSH's port: it answers as soon as the host runs.
pub(crate) const SSH: u16 = 22;

/// The longest request that is read.
const MAX_REQUEST: usize = 8192;

/// How long a client's next words are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Service {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    /// The host's name, for the page.
    pub(crate) host: String,
}

/// The addresses and listeners in the cloud.
#[derive(Debug)]
pub(crate) struct Hosts {
    cloud: String,
    addresses: BTreeSet<Ipv4Addr>,
    services: BTreeMap<Service, JoinHandle<()>>,
}

impl Hosts {
    pub(crate) fn new(cloud: &str) -> Self {
        Self { cloud: cloud.to_owned(), addresses: BTreeSet::new(), services: BTreeMap::new() }
    }

    /// Makes these addresses and services the ones that are there.
    ///
    /// # Errors
    /// When the system refuses one; it is tried again with the next call.
    pub(crate) async fn set(&mut self, addresses: &BTreeSet<Ipv4Addr>, services: &BTreeSet<Service>) -> io::Result<()> {
        self.services.retain(|service, task| {
            let stays = services.contains(service);
            if !stays {
                task.abort();
            }
            stays
        });
        for gone in self.addresses.difference(addresses).copied().collect::<Vec<_>>() {
            change_address(&self.cloud, "del", gone).await?;
            self.addresses.remove(&gone);
        }
        for new in addresses.difference(&self.addresses).copied().collect::<Vec<_>>() {
            change_address(&self.cloud, "add", new).await?;
            self.addresses.insert(new);
        }
        for service in services {
            if !self.services.contains_key(service) {
                let listener = listen(&self.cloud, service)?;
                self.services.insert(service.clone(), tokio::spawn(serve(listener, service.clone())));
            }
        }
        Ok(())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for task in self.services.values() {
            task.abort();
        }
    }
}

/// An instance's address is one of the cloud's own: packets for it come in and are not passed on.
async fn change_address(cloud: &str, verb: &str, address: Ipv4Addr) -> io::Result<()> {
    let address = format!("{address}/32");
    let output = tokio::process::Command::new(program("ip"))
        .args(["-n", cloud, "addr", verb, &address, "dev", "lo"])
        .stdin(std::process::Stdio::null())
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("`ip addr {verb} {address}`: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

fn listen(cloud: &str, service: &Service) -> io::Result<TcpListener> {
    let listener = enter(cloud, || {
        let listener = std::net::TcpListener::bind((service.address, service.port))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    })?;
    TcpListener::from_std(listener)
}

async fn serve(listener: TcpListener, service: Service) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            // A client that goes away is no concern of ours.
            tokio::spawn(async move { answer(stream, &service).await });
        }
    }
}

async fn answer(mut stream: TcpStream, service: &Service) -> io::Result<()> {
    if service.port == SSH {
        stream.write_all(b"SSH-2.0-lab-sim\r\n").await?;
        // Closing with words of the client unread would take the greeting back.
        let _ = tokio::time::timeout(PATIENCE, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
        return Ok(());
    }
    let mut request = Vec::new();
    while request.len() < MAX_REQUEST && !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    stream.write_all(write_page(&service.host).as_bytes()).await?;
    stream.shutdown().await
}

fn write_page(host: &str) -> String {
    let name = quick_xml::escape::escape(host);
    let body = format!(
        "<!DOCTYPE html>\n<html><head><title>{name}</title></head><body><h1>{name}</h1>\n\
         <p>lab-sim answers here for what the host's user-data would run.</p></body></html>\n"
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_host_and_is_as_long_as_it_says() {
        let page = write_page("lab-private-ec2 <x>");
        let (head, body) = page.split_once("\r\n\r\n").expect("head and body");
        assert!(body.contains("lab-private-ec2 &lt;x&gt;"), "{body}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    }
}
