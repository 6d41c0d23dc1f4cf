//! Roles and instance profiles, by their names: the tagging API does not know them, and a list of them tells no tags.

use aws_sdk_iam::types::{InstanceProfile, Role, Tag};
use futures::FutureExt as _;
use futures::future::try_join_all;
use lab_common::{explain, has_code};
use lab_plan::Problem;

use super::{Census, Reading};
use crate::scope::{LabScope, Scope};
use crate::thing::{Label, Thing, read_time};

/// What stands between a lab's name and its owner's in the names of roles and profiles (`lab_common::Names`).
const PARTS: [&str; 4] = ["-host-role-", "-lambda-role-", "-batch-role-", "-host-profile-"];

/// Whether [`Census::list_iam`] finds a role or profile of this name, if it exists.
pub(super) fn is_listed(scope: &Scope, name: &str) -> bool {
    match scope.lab() {
        Some(LabScope { names, .. }) => {
            [names.host_role(), names.function_role(), names.batch_role(), names.host_profile()]
                .iter()
                .any(|ours| ours == name)
        }
        None => PARTS.iter().any(|part| name.contains(part)),
    }
}

fn label(tags: &[Tag]) -> Label {
    Label::read(tags.iter().map(|tag| (tag.key(), tag.value())))
}

impl Census<'_> {
    /// One lab's, with their tags; of all labs, whatever has such a name, without.
    pub(super) async fn list_iam(&self) -> Result<Vec<Thing>, Problem> {
        match self.scope.lab() {
            Some(lab) => self.find_iam(lab).await,
            None => self.list_candidates().await,
        }
    }

    async fn find_iam(&self, lab: &LabScope) -> Result<Vec<Thing>, Problem> {
        let (host, function, batch, profile) = tokio::try_join!(
            self.find_role(lab.names.host_role()),
            self.find_role(lab.names.function_role()),
            self.find_role(lab.names.batch_role()),
            self.find_profile(lab.names.host_profile()),
        )?;
        let found = [host, function, batch, profile].into_iter().flatten();
        Ok(found.flat_map(|thing| self.take(thing.clone(), thing.label, true)).collect())
    }

    async fn find_role(&self, name: String) -> Result<Option<Thing>, Problem> {
        match self.clients.iam.get_role().role_name(name).send().await {
            Ok(answer) => Ok(answer.role().map(read_role)),
            Err(error) if has_code(&error, "NoSuchEntity") => Ok(None),
            Err(error) => Err(explain("GetRole", &error)),
        }
    }

    async fn find_profile(&self, name: String) -> Result<Option<Thing>, Problem> {
        match self.clients.iam.get_instance_profile().instance_profile_name(name).send().await {
            Ok(answer) => Ok(answer.instance_profile().map(read_profile)),
            Err(error) if has_code(&error, "NoSuchEntity") => Ok(None),
            Err(error) => Err(explain("GetInstanceProfile", &error)),
        }
    }

    async fn list_candidates(&self) -> Result<Vec<Thing>, Problem> {
        let roles = async {
            let pages = self.clients.iam.list_roles().into_paginator().items().send();
            let found = pages.collect::<Result<Vec<_>, _>>().await;
            Ok::<_, Problem>(found.map_err(|error| explain("ListRoles", &error))?.iter().map(read_role).collect())
        };
        let profiles = async {
            let pages = self.clients.iam.list_instance_profiles().into_paginator().items().send();
            let found = pages.collect::<Result<Vec<_>, _>>().await;
            let found = found.map_err(|error| explain("ListInstanceProfiles", &error))?;
            Ok::<_, Problem>(found.iter().map(read_profile).collect::<Vec<_>>())
        };
        let (roles, profiles): (Vec<Thing>, Vec<Thing>) = tokio::try_join!(roles, profiles)?;
        let all = roles.into_iter().chain(profiles);
        Ok(all.filter(|thing| PARTS.iter().any(|part| thing.name.contains(part))).collect())
    }

    /// The tags of those that were only listed. One lab's are known already.
    pub(super) fn look_into_iam(&self, things: Vec<Thing>) -> Vec<Reading<'_>> {
        if self.scope.lab().is_some() {
            return vec![async move { Ok(things) }.boxed_local()];
        }
        vec![self.look_closer(things).boxed_local()]
    }

    async fn look_closer(&self, things: Vec<Thing>) -> Result<Vec<Thing>, Problem> {
        let asked = things.into_iter().map(async |thing| {
            if thing.kind == "role" { self.find_role(thing.name).await } else { self.find_profile(thing.name).await }
        });
        let found = try_join_all(asked).await?.into_iter().flatten();
        Ok(found.filter(|thing| self.scope.owns(&thing.label)).collect())
    }
}

fn read_role(role: &Role) -> Thing {
    let created = read_time(Some(role.create_date()));
    Thing::new("role", role.arn(), label(role.tags())).named(role.role_name()).created(created)
}

fn read_profile(profile: &InstanceProfile) -> Thing {
    let created = read_time(Some(profile.create_date()));
    let thing = Thing::new("instance-profile", profile.arn(), label(profile.tags()));
    let thing = thing.named(profile.instance_profile_name()).created(created);
    match profile.roles().first() {
        Some(role) => thing.with("role", role.role_name()),
        None => thing,
    }
}
