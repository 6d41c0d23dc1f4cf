//! What a plan is made from: what lab.toml wants, and what is there.

use lab_common::Names;

use crate::live::{Live, Subnet};
use crate::local::Local;
use crate::want::{SubnetWant, Want};

/// Everything that the pure part looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) want: &'a Want,
    pub(crate) live: &'a Live,
    pub(crate) names: &'a Names,
    /// The common name of an authority of our own.
    pub(crate) authority: &'a str,
    /// The server's name.
    pub(crate) server: &'a str,
    /// Where this machine keeps authority, certificates and keys, for the problems that speak of it.
    pub(crate) directory: &'a str,
}

/// What a machine has that was not looked at.
static NOTHING: Local = Local {
    authority: None,
    can_sign: false,
    offered: None,
    server: None,
    clients: Vec::new(),
    list: None,
    configurations: std::collections::BTreeMap::new(),
};

impl<'a> Scene<'a> {
    pub(crate) fn local(self) -> &'a Local {
        self.live.local.as_ref().unwrap_or(&NOTHING)
    }

    /// The subnet that lab.toml means.
    pub(crate) fn subnet(self, want: &SubnetWant) -> Option<&'a Subnet> {
        let role = crate::roles::subnet(&want.key);
        self.live.subnets.iter().find(|subnet| subnet.role == role)
    }

    /// The VPC of the subnets, and the security group there.
    pub(crate) fn place(self) -> Option<(&'a str, &'a str)> {
        let group = self.live.groups.first()?;
        Some((&group.vpc, &group.id))
    }
}
