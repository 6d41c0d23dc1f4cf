//! `client`: who may connect. A certificate and an `.ovpn` file for each, and the list of those that count no more.
//!
//! The certificates are this machine's; the endpoint is asked only for what a file or a revocation needs of it. Without
//! one, certificates are made all the same, and `up` writes the files.

mod cli;
mod show;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lab_common::{Session, Vpn};
use lab_plan::{Exit, Heading, Problem, Stop, confirm, print_err, print_out, to_json};

pub use cli::ClientVerb;
pub(crate) use cli::EXAMPLES;

use crate::endpoint::{self, Endpoint, Exported};
use crate::files::Files;
use crate::pki::{Client, RevocationList};
use crate::profile::{self, Profile, check_destination};
use crate::services::Services;
use show::{Document, Entry, List, show_table};

/// Everything that the verbs of `client` work with.
pub(crate) struct Desk<'a> {
    pub(crate) session: &'a Session,
    pub(crate) services: &'a Services,
    pub(crate) files: &'a Files,
    /// One JSON document on stdout instead of text.
    pub(crate) json: bool,
    /// Every question is answered with yes.
    pub(crate) yes: bool,
    pub(crate) stop: &'a Stop,
}

impl Desk<'_> {
    /// Does what the command line says.
    pub(crate) async fn run(&self, verb: &ClientVerb) -> Result<Exit, Problem> {
        match verb {
            ClientVerb::Add { names } => self.add(names).await?,
            ClientVerb::List => self.list().await?,
            ClientVerb::Revoke { name } => self.revoke(name).await?,
            ClientVerb::Show { name, out } => self.show(name, out.as_deref()).await?,
        }
        Ok(Exit::Done)
    }

    /// What may fail far away is asked for first: certificates that are made cannot be made again.
    async fn add(&self, names: &[String]) -> Result<(), Problem> {
        check_names(names)?;
        let endpoint = self.stop.or(self.find_endpoint()).await?;
        let exported = match &endpoint {
            Some(endpoint) => Some(self.stop.or(self.export(endpoint)).await?),
            None => None,
        };
        let wanted = names.to_vec();
        let has_endpoint = endpoint.is_some();
        self.files.block(move |files| make_certificates(files, &wanted, has_endpoint)).await?;
        if let Some(Exported::Text(exported)) = &exported {
            for name in names {
                let again = |problem: Problem| {
                    problem.fix(format!(
                        "the certificates are made; once there is room: vpn-setup up, or client show {name}"
                    ))
                };
                self.write_profile(name, exported, None).await.map_err(again)?;
            }
        }
        let names: BTreeSet<String> = names.iter().cloned().collect();
        let entries = self.read_entries(move |client| !client.revoked && names.contains(&client.name)).await?;
        self.print(&Document::new(self.heading(), &entries, None), || show_table(&entries))?;
        match exported {
            None => print_err("note: there is no endpoint yet; `vpn-setup up` makes it and writes the .ovpn files"),
            Some(Exported::Refused { why, .. }) => {
                let why = why.what();
                print_err(&format!("note: {why}; `vpn-setup up` writes the .ovpn files once there is a configuration"));
            }
            Some(Exported::Text(_)) => {}
        }
        Ok(())
    }

    async fn list(&self) -> Result<(), Problem> {
        let entries = self.read_entries(|_| true).await?;
        self.print(&Document::new(self.heading(), &entries, None), || {
            if entries.is_empty() {
                "there are no clients yet: vpn-setup client add NAME\n".into()
            } else {
                show_table(&entries)
            }
        })
    }

    async fn revoke(&self, name: &str) -> Result<(), Problem> {
        check_names(&[name.to_owned()])?;
        let of = name.to_owned();
        let clients = self.files.block(move |files| find_clients(files, &of)).await?;
        if !self.yes && clients.iter().any(|client| !client.revoked) {
            let question = format!("the certificate of {name} will count no more, which cannot be undone");
            confirm(&question, self.stop).await?;
        }
        let endpoint = self.stop.or(self.find_endpoint()).await?;
        let exported = match &endpoint {
            Some(endpoint) => endpoint::export_revocation_list(&self.services.ec2, &endpoint.id).await?,
            None => None,
        };
        let (of, known) = (name.to_owned(), exported.clone());
        let list = self.files.block(move |files| revoke_certificate(files, &of, known.as_ref())).await?;
        let imported = self.import(endpoint.as_ref(), exported.as_ref(), &list).await?;
        let of = name.to_owned();
        let entries = self.read_entries(move |client| client.name == of).await?;
        let shown = List::new(&list, imported);
        self.print(&Document::new(self.heading(), &entries, Some(&shown)), || {
            format!("{}{}\n", show_table(&entries), shown.describe())
        })?;
        if imported {
            print_err(
                "note: sessions that are open stay up, and AWS may take hours until it refuses new ones.\n\
                 To end them now: aws ec2 terminate-client-vpn-connections.\n\
                 A certificate of that name that another machine has made stays valid: revoke it there too",
            );
        } else {
            print_err("note: there is no endpoint; `vpn-setup up` gives it the list when it makes one");
        }
        Ok(())
    }

    async fn show(&self, name: &str, out: Option<&Path>) -> Result<(), Problem> {
        check_names(&[name.to_owned()])?;
        if let Some(path) = out {
            check_destination(path)?;
        }
        let of = name.to_owned();
        self.files.block(move |files| find_current(files, &of)).await?;
        let endpoint = self.stop.or(self.find_endpoint()).await?.ok_or_else(|| {
            Problem::failed("there is no endpoint to connect to")
                .fix("vpn-setup up makes it, and writes the .ovpn files")
        })?;
        let exported = self.export(&endpoint).await?.text()?;
        let path = self.write_profile(name, &exported, out).await?;
        let of = name.to_owned();
        let mut entries = self.read_entries(move |client| !client.revoked && client.name == of).await?;
        for entry in &mut entries {
            entry.file = Some(path.clone());
        }
        self.print(&Document::new(self.heading(), &entries, None), || format!("{}\n", path.display()))
    }

    async fn export(&self, endpoint: &Endpoint) -> Result<Exported, Problem> {
        endpoint::export_configuration(&self.services.ec2, &endpoint.id, self.stop).await
    }

    /// Our endpoint, if there is one.
    async fn find_endpoint(&self) -> Result<Option<Endpoint>, Problem> {
        endpoint::find_endpoint(&self.services.ec2, &self.session.tags).await
    }

    /// Gives the endpoint the list, unless it has one that says as much. Answers whether it has it in the end.
    async fn import(
        &self,
        endpoint: Option<&Endpoint>,
        exported: Option<&RevocationList>,
        list: &RevocationList,
    ) -> Result<bool, Problem> {
        let Some(endpoint) = endpoint else { return Ok(false) };
        if exported.is_none_or(|exported| !list.revoked.keys().all(|serial| exported.has(serial))) {
            endpoint::import_revocation_list(&self.services.ec2, &endpoint.id, list, self.stop).await?;
        }
        Ok(true)
    }

    async fn write_profile(&self, name: &str, exported: &str, out: Option<&Path>) -> Result<PathBuf, Problem> {
        let (name, exported, out) = (name.to_owned(), exported.to_owned(), out.map(Path::to_path_buf));
        self.files.block(move |files| write_profile(files, &name, &exported, out.as_deref())).await
    }

    async fn read_entries(&self, shown: impl Fn(&Client) -> bool + Send + 'static) -> Result<Vec<Entry>, Problem> {
        self.files
            .block(move |files| {
                let clients = files.store.clients()?;
                Ok(clients
                    .into_iter()
                    .filter(|client| shown(client))
                    .map(|client| Entry::new(client, &files.home))
                    .collect())
            })
            .await
    }

    fn heading(&self) -> Heading {
        self.session.heading()
    }

    fn print(&self, document: &Document<'_>, text: impl FnOnce() -> String) -> Result<(), Problem> {
        print_out(&if self.json { to_json(document)? } else { text() })
    }
}

/// Whether clients can have these names, each given once.
fn check_names(names: &[String]) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for name in names {
        let show = name.escape_debug();
        if !Vpn::is_client_name(name) {
            return Err(Problem::usage(format!("\"{show}\" is no client name")).fix(Vpn::CLIENT_NAME));
        }
        if !seen.insert(name) {
            return Err(Problem::usage(format!("\"{show}\" is named twice")).fix("name it once"));
        }
    }
    Ok(())
}

fn make_certificates(files: &Files, names: &[String], has_endpoint: bool) -> Result<(), Problem> {
    if let Some(directory) = &files.ca_dir {
        files.store.adopt(directory)?;
    }
    if has_endpoint && files.store.authority()?.is_none() {
        return Err(Problem::failed(format!(
            "the CA of this endpoint is not on this machine: {}",
            files.store.path().display()
        ))
        .because("certificates of a new CA would be refused by the endpoint")
        .fix("copy the pki directory of the machine that made the endpoint here and name it: --ca-dir DIR"));
    }
    refuse_known(&files.store.clients()?, names)?;
    files.make_clients(names)
}

/// Nobody gets a certificate that was made for another: a name that is taken is refused before anything is made.
fn refuse_known(clients: &[Client], names: &[String]) -> Result<(), Problem> {
    let is_known = |name: &&String| clients.iter().any(|client| client.name == **name && !client.revoked);
    let (known, free): (Vec<&String>, Vec<&String>) = names.iter().partition(is_known);
    let Some(first) = known.first() else { return Ok(()) };
    let join = |names: &[&String]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
    let rest =
        if free.is_empty() { String::new() } else { format!("\nthe others: vpn-setup client add {}", join(&free)) };
    let (is, join_known) = (if known.len() == 1 { "is" } else { "are" }, join(&known));
    Err(Problem::failed(format!("{join_known} {is} there already; nothing was made")).fix(format!(
        "write the .ovpn file again: vpn-setup client show {first}\n\
         replace the certificate: vpn-setup client revoke {first}, then add{rest}"
    )))
}

fn find_clients(files: &Files, name: &str) -> Result<Vec<Client>, Problem> {
    let clients: Vec<_> = files.store.clients()?.into_iter().filter(|client| client.name == name).collect();
    if clients.is_empty() { Err(explain_unknown(files, name)) } else { Ok(clients) }
}

/// The certificate of that name that counts.
pub(crate) fn find_current(files: &Files, name: &str) -> Result<Client, Problem> {
    find_clients(files, name)?.into_iter().find(|client| !client.revoked).ok_or_else(|| {
        Problem::failed(format!("{name} is revoked"))
            .fix(format!("make a new certificate: vpn-setup client add {name}"))
    })
}

fn explain_unknown(files: &Files, name: &str) -> Problem {
    Problem::failed(format!("there is no client {name} in {}", files.store.path().display()))
        .fix(format!("vpn-setup client list shows who there is; make one: vpn-setup client add {name}"))
}

/// Revokes, and removes the file that nobody can use any more.
fn revoke_certificate(files: &Files, name: &str, exported: Option<&RevocationList>) -> Result<RevocationList, Problem> {
    let list = files.store.revoke(name, exported)?;
    files.home.remove(&profile::file_name(name))?;
    Ok(list)
}

fn write_profile(files: &Files, name: &str, exported: &str, out: Option<&Path>) -> Result<PathBuf, Problem> {
    let issued = files.store.client(name)?.ok_or_else(|| explain_unknown(files, name))?;
    let profile = Profile::assemble(exported, &issued)?;
    match out {
        Some(path) => profile.write_to(path),
        None => profile.write(&files.home, name),
    }
}
