//! What this machine has of the VPN: the authority, certificates, keys and `.ovpn` files. It blocks, and calls nobody.

use std::collections::BTreeMap;
use std::path::Path;

use lab_common::Home;
use lab_plan::Problem;

use crate::pki::{Certificate, Client, RevocationList, Store};
use crate::profile::{self, Profile};

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Local {
    /// The authority's certificate.
    pub(crate) authority: Option<Certificate>,
    /// Whether its key is here too, so that it can sign.
    pub(crate) can_sign: bool,
    /// The authority that `--ca-dir` names, until it has been taken over.
    pub(crate) offered: Option<Certificate>,
    /// The server's certificate.
    pub(crate) server: Option<Certificate>,
    /// The clients' certificates, revoked ones too.
    pub(crate) clients: Vec<Client>,
    /// The list of revoked clients, where one was ever made.
    pub(crate) list: Option<RevocationList>,
    /// The `.ovpn` files of clients, by client: what of them is worth comparing.
    pub(crate) configurations: BTreeMap<String, Profile>,
}

impl Local {
    /// The authority that signs from now on.
    pub(crate) fn signing_authority(&self) -> Option<&Certificate> {
        self.authority.as_ref().or(self.offered.as_ref())
    }

    /// The certificate of a client that counts.
    pub(crate) fn client(&self, name: &str) -> Option<&Certificate> {
        self.clients.iter().find(|client| client.name == name && !client.revoked).map(|client| &client.certificate)
    }

    /// Whether a client had a certificate once and has none now.
    pub(crate) fn is_revoked(&self, name: &str) -> bool {
        self.client(name).is_none() && self.clients.iter().any(|client| client.name == name)
    }
}
