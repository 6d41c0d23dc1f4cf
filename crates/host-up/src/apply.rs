//! One step, carried out.
//!
//! Each step is one changing call that may be repeated: by its client token, by the name that AWS keeps unique, or
//! because it says how something is to be. A kill or a lost answer at any point is healed by running again.

use std::cell::Cell;

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceStateName, InstanceType, ResourceType, Tag,
    TagSpecification, VolumeType,
};
use lab_common::{Home, Runs, Session, Tags, explain, has_code};
use lab_ec2::{
    Attempt, client_token, create_with_token, is_duplicate, is_gone, specify_tags, take_turn, without_retries,
    write_number,
};
use lab_iam::{NewRole, create_role, delete_role, ignore_absent, is_still_used, is_unseen, put_role_policy, to_tags};
use lab_plan::{Pace, Problem, Stop, find_within, retry_while};

use crate::clients::Clients;
use crate::error::{explain_launch, is_in_between, is_passing};
use crate::live::{IMAGE_TAG, RUNS_TAG, describe_key_pairs, find_alive, find_attempt, find_profile};
use crate::plan::{Launch, Op};
use crate::user_data::{render_bare, render_filegator, render_jupyter};
use crate::want::{name_runs, trust_policy};
use crate::{roles, secrets};

/// Tokens tried before giving up. Each stands for an instance that was terminated within the last hour.
const TOKENS: u32 = 100;

/// What a step works with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub(crate) session: &'a Session,
    pub(crate) clients: &'a Clients,
    pub(crate) home: &'a Home,
    pub(crate) stop: &'a Stop,
}

impl Hands<'_> {
    /// Carries out `op`; answers with the id of what it made or changed.
    pub(crate) async fn apply(&self, op: &Op) -> Result<Option<String>, Problem> {
        match op {
            Op::ImportKeyPair => self.import_key_pair().await.map(Some),
            Op::CreateRole => self.create_role().await.map(Some),
            Op::PutRolePolicy { policy } => self.put_role_policy(policy).await.map(Some),
            Op::CreateProfile => self.create_profile().await.map(Some),
            Op::AddRoleToProfile => self.add_role_to_profile().await.map(Some),
            Op::RunInstance(launch) => self.run_instance(launch).await.map(Some),
            Op::StartInstance { id } => self.start_instance(id).await.map(Some),
            Op::SetSecurityGroup { id, group } => self.set_security_group(id, group).await.map(Some),
            Op::AttachProfile { id, profile } => self.attach_profile(id, profile).await.map(Some),
            Op::TerminateInstance { id } => self.terminate_instance(id).await.map(Some),
            Op::DeleteKeyPair { id } => self.delete_key_pair().await.map(|()| Some(id.clone())),
            Op::RemoveRoleFromProfile => self.remove_role_from_profile().await.map(|()| None),
            Op::DeleteProfile => self.delete_profile().await.map(|()| None),
            Op::DeleteRole => self.delete_role().await.map(|()| None),
        }
    }

    /// The name is the token: EC2 keeps it unique in a Region, so a repeated import is a duplicate of ours.
    async fn import_key_pair(&self) -> Result<String, Problem> {
        let Session { names, tags, .. } = self.session;
        let name = names.key_pair();
        let key = secrets::make_public_key(self.home, &name)?;
        let text =
            key.to_openssh().map_err(|error| Problem::failed("cannot write the key").because(error.to_string()))?;
        let request = self.clients.ec2.import_key_pair().key_name(&name).public_key_material(Blob::new(text));
        let answer = request
            .tag_specifications(specify_tags(ResourceType::KeyPair, tags, roles::KEY_PAIR, &name, None))
            .send()
            .await;
        let error = match answer {
            Ok(answer) => return Ok(answer.key_pair_id().unwrap_or(&name).to_owned()),
            Err(error) => error,
        };
        if !is_duplicate(&error) {
            return Err(explain("ImportKeyPair", &error));
        }
        let found = describe_key_pairs(self.clients, tags, vec![name.clone()]).await?.remove(&name);
        let same = |pair: &crate::live::KeyPair| {
            let same = secrets::is_same_key(&key, pair.public_key.as_deref(), pair.fingerprint.as_deref());
            same.unwrap_or(pair.ours)
        };
        match found {
            Some(pair) if same(&pair) => Ok(pair.id),
            _ => {
                Err(explain("ImportKeyPair", &error).fix("run the same command again: it says whose key pair that is"))
            }
        }
    }

    async fn run_instance(&self, launch: &Launch) -> Result<String, Problem> {
        let user_data = self.render_user_data(launch)?;
        for n in 0..TOKENS {
            let token = self.make_token(launch, &user_data, n);
            if launch.used_tokens.contains(&token) {
                continue;
            }
            let Some(made) = self.launch(launch, &user_data, &token).await? else { continue };
            let write = async |number| write_number(&self.clients.ec2, &made, number).await;
            let see = async || find_alive(self.clients, &self.session.tags, &launch.host).await;
            let kept = take_turn(&launch.name, &made, self.stop, see, write).await?;
            if kept != made {
                self.terminate_instance(&made).await?;
            }
            return Ok(kept);
        }
        let what = format!("{} was made and terminated {TOKENS} times within an hour", launch.name);
        Err(Problem::failed(what).fix("wait an hour, until EC2 has forgotten the terminated ones"))
    }

    /// Starts a new instance with this token; `None` when the token is used up by one that is gone.
    async fn launch(&self, launch: &Launch, user_data: &str, token: &str) -> Result<Option<String>, Problem> {
        let gone = Cell::new(false);
        let made = create_with_token(
            "RunInstances",
            token,
            self.stop,
            async |attempt: &Attempt| {
                let request = self.request_instance(launch, user_data, attempt).client_token(token);
                let answer = retry_while(Pace::SPREAD, self.stop, is_passing, async || {
                    request.clone().customize().config_override(without_retries()).send().await
                });
                let answer = answer.await?;
                let instance = answer.instances().first();
                // A token that is used up may also be answered with the instance that it made, which is gone.
                let state = instance.and_then(|instance| instance.state()?.name());
                gone.set(matches!(state, Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown)));
                Ok(instance.and_then(|instance| instance.instance_id()).unwrap_or_default().to_owned())
            },
            async |attempt: &Attempt| find_attempt(self.clients, &self.session.tags, attempt).await,
        );
        match made.await? {
            Ok(_) if gone.get() => Ok(None),
            Ok(id) if id.is_empty() => Err(Problem::failed("RunInstances answered without an instance")),
            Ok(id) => Ok(Some(id)),
            Err(error) if has_code(&error, "IdempotentInstanceTerminated") => Ok(None),
            Err(error) => Err(explain_launch("RunInstances", &launch.host, &error)),
        }
    }

    fn render_user_data(&self, launch: &Launch) -> Result<String, Problem> {
        match launch.runs {
            None => render_bare(),
            Some(Runs::Jupyter) => {
                let token = secrets::make_token(self.home)?;
                render_jupyter(&self.session.region, self.session.lab.images.as_ref(), &token)
            }
            Some(Runs::Filegator) => render_filegator(&secrets::make_password_hash(self.home)?),
        }
    }

    fn make_token(&self, launch: &Launch, user_data: &str, n: u32) -> String {
        let Session { lab, region, .. } = self.session;
        let disk_gb = launch.disk_gb.to_string();
        let parts = [
            &launch.account,
            region,
            &lab.owner,
            &lab.name,
            &roles::instance(&launch.host),
            &launch.ami,
            &launch.root_device,
            &launch.size,
            &launch.subnet,
            &launch.group,
            &launch.key,
            launch.profile.as_deref().unwrap_or_default(),
            &disk_gb,
            user_data,
        ];
        client_token(&parts, n)
    }

    fn request_instance(
        &self,
        launch: &Launch,
        user_data: &str,
        attempt: &Attempt,
    ) -> aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder {
        use base64::Engine as _;
        let profile = launch.profile.as_ref().map(|name| IamInstanceProfileSpecification::builder().name(name).build());
        let disk = EbsBlockDevice::builder()
            .volume_type(VolumeType::Gp3)
            .volume_size(launch.disk_gb)
            .encrypted(true)
            .delete_on_termination(true)
            .build();
        let disk = BlockDeviceMapping::builder().device_name(&launch.root_device).ebs(disk).build();
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_endpoint(InstanceMetadataEndpointState::Enabled)
            .http_tokens(HttpTokensState::Required)
            // One hop: a container or a forwarded request on the host does not reach the credentials.
            .http_put_response_hop_limit(1)
            .build();
        self.clients
            .ec2
            .run_instances()
            .image_id(&launch.ami)
            .instance_type(InstanceType::from(launch.size.as_str()))
            .min_count(1)
            .max_count(1)
            .key_name(&launch.key)
            .subnet_id(&launch.subnet)
            .security_group_ids(&launch.group)
            .set_iam_instance_profile(profile)
            .block_device_mappings(disk)
            .metadata_options(metadata)
            .user_data(base64::engine::general_purpose::STANDARD.encode(user_data))
            .tag_specifications(self.tag_instance(launch, attempt))
            .tag_specifications(specify_tags(
                ResourceType::Volume,
                &self.session.tags,
                &roles::volume(&launch.host),
                &launch.name,
                None,
            ))
            .tag_specifications(specify_tags(
                ResourceType::NetworkInterface,
                &self.session.tags,
                &roles::network_interface(&launch.host),
                &launch.name,
                None,
            ))
    }

    /// The lab's tags, and those by which a later run sees what was asked for.
    fn tag_instance(&self, launch: &Launch, attempt: &Attempt) -> TagSpecification {
        let role = roles::instance(&launch.host);
        let ours = self.session.tags.of(&role, &launch.name);
        let more = [
            (RUNS_TAG, name_runs(launch.runs).to_owned()),
            (IMAGE_TAG, launch.image.clone()),
            (Tags::ATTEMPT, attempt.to_string()),
        ];
        let tags = ours.into_iter().chain(more).map(|(key, value)| Tag::builder().key(key).value(value).build());
        TagSpecification::builder().resource_type(ResourceType::Instance).set_tags(Some(tags.collect())).build()
    }

    /// What is still stopping is waited for.
    async fn start_instance(&self, id: &str) -> Result<String, Problem> {
        let request = self.clients.ec2.start_instances().instance_ids(id);
        let answer = retry_while(Pace::MINUTES, self.stop, is_in_between, async || request.clone().send().await).await;
        answer.map(|_| id.to_owned()).map_err(|error| explain_launch("StartInstances", id, &error))
    }

    async fn set_security_group(&self, id: &str, group: &str) -> Result<String, Problem> {
        let answer = self.clients.ec2.modify_instance_attribute().instance_id(id).groups(group).send().await;
        answer.map(|_| id.to_owned()).map_err(|error| explain("ModifyInstanceAttribute", &error))
    }

    async fn attach_profile(&self, id: &str, profile: &str) -> Result<String, Problem> {
        let specification = IamInstanceProfileSpecification::builder().name(profile).build();
        let request =
            self.clients.ec2.associate_iam_instance_profile().instance_id(id).iam_instance_profile(specification);
        let answer = retry_while(Pace::SPREAD, self.stop, is_passing, async || request.clone().send().await).await;
        match answer {
            // It has one by now: the next look compares which.
            Err(error) if !has_code(&error, "IncorrectState") => Err(explain("AssociateIamInstanceProfile", &error)),
            _ => Ok(id.to_owned()),
        }
    }

    async fn terminate_instance(&self, id: &str) -> Result<String, Problem> {
        match self.clients.ec2.terminate_instances().instance_ids(id).send().await {
            Err(error) if !is_gone(&error) => Err(explain("TerminateInstances", &error)),
            _ => Ok(id.to_owned()),
        }
    }

    /// Deleting what is not there is no error.
    async fn delete_key_pair(&self) -> Result<(), Problem> {
        let answer = self.clients.ec2.delete_key_pair().key_name(self.session.names.key_pair()).send().await;
        answer.map(|_| ()).map_err(|error| explain("DeleteKeyPair", &error))
    }

    async fn create_role(&self) -> Result<String, Problem> {
        let Session { names, tags, .. } = self.session;
        let name = names.host_role();
        let role = NewRole {
            name: &name,
            description: "What the hosts of a hybrid-lab may do".to_owned(),
            trust: &trust_policy(),
            tags: to_tags(tags.of(roles::HOST_ROLE, &name))?,
        };
        create_role(&self.clients.iam, role, tags, self.stop).await?;
        Ok(name)
    }

    /// Looks for what AWS says exists. IAM may not show it yet, when our own call made it and its answer was lost.
    async fn see<T>(&self, look: impl AsyncFnMut() -> Result<Option<T>, Problem>) -> Result<Option<T>, Problem> {
        find_within(Pace::MOMENT, self.stop, look).await
    }

    async fn put_role_policy(&self, policy: &serde_json::Value) -> Result<String, Problem> {
        let name = self.session.names.host_role();
        put_role_policy(&self.clients.iam, &name, roles::HOST_POLICY, policy, self.stop).await?;
        Ok(name)
    }

    async fn create_profile(&self) -> Result<String, Problem> {
        let Session { names, tags, .. } = self.session;
        let name = names.host_profile();
        let request = self
            .clients
            .iam
            .create_instance_profile()
            .instance_profile_name(&name)
            .set_tags(Some(to_tags(tags.of(roles::HOST_PROFILE, &name))?));
        let Err(error) = request.send().await else { return Ok(name) };
        if has_code(&error, "EntityAlreadyExists")
            && self
                .see(async || find_profile(self.clients, names, tags).await)
                .await?
                .is_some_and(|profile| profile.ours)
        {
            return Ok(name);
        }
        Err(explain("CreateInstanceProfile", &error))
    }

    async fn add_role_to_profile(&self) -> Result<String, Problem> {
        let Session { names, tags, .. } = self.session;
        let (profile, role) = (names.host_profile(), names.host_role());
        let request = self.clients.iam.add_role_to_instance_profile().instance_profile_name(&profile).role_name(&role);
        let answer = retry_while(Pace::SPREAD, self.stop, is_unseen, async || request.clone().send().await).await;
        let Err(error) = answer else { return Ok(profile) };
        // A profile holds one role: repeated after a lost answer, ours is the one in the way.
        if has_code(&error, "LimitExceeded")
            && self
                .see(async || {
                    let found = find_profile(self.clients, names, tags).await?;
                    Ok(found.filter(|found| found.roles == [role.as_str()]))
                })
                .await?
                .is_some()
        {
            return Ok(profile);
        }
        Err(explain("AddRoleToInstanceProfile", &error))
    }

    async fn remove_role_from_profile(&self) -> Result<(), Problem> {
        let Session { names, tags, .. } = self.session;
        let role = names.host_role();
        let request = self.clients.iam.remove_role_from_instance_profile();
        let answer = request.instance_profile_name(names.host_profile()).role_name(&role).send().await;
        let Err(error) = answer else { return Ok(()) };
        // Repeated after a lost answer, there is nothing left to take out: AWS says so, others fail in other ways.
        let profile = find_profile(self.clients, names, tags).await?;
        if profile.is_none_or(|profile| !profile.roles.contains(&role)) {
            return Ok(());
        }
        Err(explain("RemoveRoleFromInstanceProfile", &error))
    }

    async fn delete_profile(&self) -> Result<(), Problem> {
        let request =
            self.clients.iam.delete_instance_profile().instance_profile_name(self.session.names.host_profile());
        let answer = retry_while(Pace::MOMENT, self.stop, is_still_used, async || request.clone().send().await).await;
        ignore_absent("DeleteInstanceProfile", answer).map(drop)
    }

    async fn delete_role(&self) -> Result<(), Problem> {
        delete_role(&self.clients.iam, &self.session.names.host_role(), self.stop).await
    }
}

#[cfg(test)]
mod tests;
