//! What is there: read in two rounds of calls, the second of which only looks closer at what the first one found.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, InstanceStateName, Reservation};
use lab_account::identify_with;
use lab_common::{Account, Caller, Home, Image, Names, Session, Tags, explain, has_code};
use lab_ec2::{
    Attempt, Drawn, NatGateway, find_nat_gateways, find_number, find_role, find_tag, is_gone, is_ours, lab_filters,
    turn_of,
};
use lab_plan::Problem;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use ssh_key::PublicKey;

use crate::clients::Clients;
use crate::console::{Marker, is_nitro, read_marker};
use crate::image::{Ami, Arch, known_root_device, name_parameter};
use crate::want::{Key, WantedHost};
use crate::{roles, secrets};

/// The tag that says what an instance's user-data installs.
pub(crate) const RUNS_TAG: &str = "hybrid-lab:runs";
/// The tag that says which image of lab.toml an instance was made from.
pub(crate) const IMAGE_TAG: &str = "hybrid-lab:image";

/// Everything this concern looks at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    /// `None` only before STS has answered.
    pub(crate) caller: Option<Caller>,
    /// Ours, terminated ones included.
    pub(crate) instances: Vec<Instance>,
    /// The sizes of our volumes in GB, by id.
    pub(crate) volumes: BTreeMap<String, i32>,
    /// The ids of net-up's subnets and security groups, by role.
    pub(crate) network: BTreeMap<String, Vec<String>>,
    /// The NAT window's gateways, deleted ones that EC2 still lists included.
    pub(crate) nat_gateways: Vec<NatGateway>,
    /// The key pairs that the wanted hosts name, and the one with our own name, by name.
    pub(crate) key_pairs: BTreeMap<String, KeyPair>,
    pub(crate) role: Option<Role>,
    pub(crate) profile: Option<Profile>,
    /// The images of hosts that have no instance, by host.
    pub(crate) images: BTreeMap<String, Ami>,
    /// The public half of this machine's key.
    pub(crate) own_key: Option<PublicKey>,
    /// Whether this machine has Jupyter's login token.
    pub(crate) has_token: bool,
    /// Whether this machine has `FileGator`'s password.
    pub(crate) has_password: bool,
}

/// One of our instances.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    /// The host of lab.toml that it is.
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) state: InstanceStateName,
    /// Why it went into that state, in EC2's words.
    pub(crate) reason: Option<String>,
    pub(crate) size: String,
    pub(crate) subnet: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) groups: Vec<String>,
    /// The ARN of its instance profile.
    pub(crate) profile: Option<String>,
    pub(crate) ami: String,
    /// The image of lab.toml it was made from, by its tag.
    pub(crate) image: Option<String>,
    /// What it runs, by its tag.
    pub(crate) runs: Option<String>,
    pub(crate) public_ip: Option<String>,
    pub(crate) private_ip: Option<String>,
    /// The client token it was made with.
    pub(crate) token: Option<String>,
    /// Whether one of our runs made it: a copy that somebody made by hand may bear its tags, and not its token.
    pub(crate) made_by_run: bool,
    /// The number that its run has drawn for it.
    pub(crate) number: Option<u32>,
    pub(crate) root_volume: Option<String>,
    /// EC2's two status checks in one word; `None` when it was not asked or says nothing yet.
    pub(crate) checks: Option<String>,
    /// What its console says; `None` when it was not asked.
    pub(crate) marker: Option<Marker>,
}

impl Instance {
    /// Whether it is there or will be again: neither terminated nor about to be.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, InstanceStateName::Terminated | InstanceStateName::ShuttingDown)
    }

    /// Whether it runs or is about to.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, InstanceStateName::Running | InstanceStateName::Pending)
    }
}

/// A key pair in EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyPair {
    pub(crate) id: String,
    /// Whether it bears our tags.
    pub(crate) ours: bool,
    pub(crate) public_key: Option<String>,
    pub(crate) fingerprint: Option<String>,
}

/// The role of the hosts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Role {
    pub(crate) ours: bool,
    /// Its inline policy, where it has one.
    pub(crate) policy: Option<Value>,
}

/// The instance profile of the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) ours: bool,
    pub(crate) roles: Vec<String>,
}

impl Live {
    /// Our living instances of one host.
    pub(crate) fn alive<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Instance> {
        self.instances.iter().filter(move |instance| instance.host == host && instance.is_alive())
    }

    /// Whether the account is a Learner Lab: as lab.toml says, else as the caller's name says.
    pub(crate) fn is_academy(&self, account: Account) -> bool {
        account.is_academy(self.caller.as_ref())
    }

    /// Whether private subnets reach the internet, or are about to.
    pub(crate) fn has_nat_window(&self) -> bool {
        self.nat_gateways.iter().any(NatGateway::is_open)
    }

    /// The size of an instance's root volume in GB, where it is known.
    pub(crate) fn disk_gb(&self, instance: &Instance) -> Option<i32> {
        self.volumes.get(instance.root_volume.as_ref()?).copied()
    }
}

/// What to look at beyond what is always looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// What `plan` needs: this machine's secrets, and the images of wanted hosts that have no instance yet.
    pub(crate) to_make: bool,
    /// The consoles of running instances.
    pub(crate) consoles: bool,
}

/// Reads everything.
pub(crate) async fn observe(
    session: &Session,
    clients: &Clients,
    home: &Home,
    hosts: &[WantedHost],
    look: Look,
) -> Result<Live, Problem> {
    let mut live = Live::default();
    if look.to_make {
        live.own_key = secrets::find_public_key(home)?;
        live.has_token = secrets::find_token(home)?.is_some();
        live.has_password = secrets::find_password(home)?.is_some();
    }
    let (caller, instances, volumes, subnets, groups, nat_gateways, key_pairs, iam) = tokio::join!(
        identify_with(&clients.sts),
        find_instances(clients, &session.tags),
        find_volumes(clients, &session.tags),
        find_subnets(clients, &session.tags),
        find_security_groups(clients, &session.tags),
        find_nat_gateways(&clients.ec2, &session.tags),
        find_key_pairs(clients, session, hosts),
        find_iam(clients, session),
    );
    // The caller first: without credentials every call fails, and this one says so best.
    live.caller = Some(caller?);
    (live.instances, live.volumes, live.key_pairs) = (instances?, volumes?, key_pairs?);
    live.nat_gateways = nat_gateways?;
    for (role, id) in subnets?.into_iter().chain(groups?) {
        live.network.entry(role).or_default().push(id);
    }
    match iam {
        Ok((role, profile)) => (live.role, live.profile) = (role, profile),
        // A Learner Lab may forbid even to look; nothing of ours can be there.
        Err(_) if live.is_academy(session.lab.account) => {}
        Err(problem) => return Err(problem),
    }
    look_closer(clients, hosts, look, &mut live).await?;
    Ok(live)
}

/// The second round: the checks and consoles of what runs, and the images of what is missing.
async fn look_closer(clients: &Clients, hosts: &[WantedHost], look: Look, live: &mut Live) -> Result<(), Problem> {
    let running = |instance: &&Instance| instance.state == InstanceStateName::Running;
    let ids: Vec<String> = live.instances.iter().filter(running).map(|instance| instance.id.clone()).collect();
    let consoles = live.instances.iter().filter(|instance| look.consoles && running(instance));
    let consoles = consoles.map(|instance| read_console(clients, &instance.id, &instance.size));
    let missing: Vec<_> = hosts.iter().filter(|host| look.to_make && live.alive(&host.host).next().is_none()).collect();
    let (checks, markers, images) = tokio::join!(
        find_checks(clients, &ids),
        futures::future::try_join_all(consoles),
        find_images(clients, &missing),
    );
    let (mut checks, mut markers) = (checks?, markers?.into_iter().collect::<BTreeMap<_, _>>());
    for instance in &mut live.instances {
        instance.checks = checks.remove(&instance.id);
        instance.marker = markers.remove(&instance.id);
    }
    live.images = images?;
    Ok(())
}

/// How many instances run in the Region or are about to, whoever made them.
pub(crate) async fn count_running(clients: &Clients) -> Result<usize, Problem> {
    let states = [InstanceStateName::Pending, InstanceStateName::Running];
    let states = states.map(|state| state.as_str().to_owned());
    let filter = Filter::builder().name("instance-state-name").set_values(Some(states.into())).build();
    let pages = clients.ec2.describe_instances().filters(filter).into_paginator().items().send();
    let reservations = pages.collect::<Result<Vec<_>, _>>().await;
    let reservations = reservations.map_err(|error| explain("DescribeInstances", &error))?;
    Ok(reservations.iter().map(|reservation| reservation.instances().len()).sum())
}

/// Our instances, those of one host in turn; those of earlier hours that EC2 still lists as terminated too.
pub(crate) async fn find_instances(clients: &Clients, tags: &Tags) -> Result<Vec<Instance>, Problem> {
    let pages = clients.ec2.describe_instances().set_filters(Some(lab_filters(tags))).into_paginator().items().send();
    let reservations = pages.collect::<Result<Vec<_>, _>>().await;
    let reservations = reservations.map_err(|error| explain("DescribeInstances", &error))?;
    let mut found: Vec<_> = reservations.iter().flat_map(Reservation::instances).filter_map(read_instance).collect();
    found.sort_by(|a, b| (&a.host, turn_of(a.number, &a.id)).cmp(&(&b.host, turn_of(b.number, &b.id))));
    Ok(found)
}

/// The living instances of one host, and the numbers that their runs have drawn.
pub(crate) async fn find_alive(clients: &Clients, tags: &Tags, host: &str) -> Result<Vec<Drawn>, Problem> {
    let found = find_instances(clients, tags).await?.into_iter();
    let alive = found.filter(|instance| instance.host == host && instance.is_alive());
    Ok(alive.map(|Instance { id, number, .. }| Drawn { id, number }).collect())
}

/// The living instances that one attempt has made.
pub(crate) async fn find_attempt(clients: &Clients, tags: &Tags, attempt: &Attempt) -> Result<Vec<String>, Problem> {
    let filters = lab_filters(tags).into_iter().chain([attempt.filter()]).collect();
    let pages = clients.ec2.describe_instances().set_filters(Some(filters)).into_paginator().items().send();
    let reservations = pages.collect::<Result<Vec<_>, _>>().await;
    let reservations = reservations.map_err(|error| explain("DescribeInstances", &error))?;
    let made = reservations.iter().flat_map(Reservation::instances).filter_map(read_instance);
    Ok(made.filter(Instance::is_alive).map(|instance| instance.id).collect())
}

fn read_instance(instance: &aws_sdk_ec2::types::Instance) -> Option<Instance> {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let host = find_role(instance.tags())?.strip_prefix(&roles::instance(""))?.to_owned();
    let root = instance.root_device_name();
    let devices = instance.block_device_mappings().iter();
    let root = devices.filter(|device| device.device_name() == root).find_map(|device| device.ebs());
    let state = instance.state().and_then(|state| state.name()).cloned();
    let reason = instance.state_reason().and_then(|reason| reason.message());
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        name: find_tag(instance.tags(), Tags::NAME).unwrap_or(&host).to_owned(),
        host,
        // EC2 always says one; what has just been asked for is pending.
        state: state.unwrap_or(InstanceStateName::Pending),
        reason: text(reason),
        size: instance.instance_type().map(|size| size.as_str().to_owned()).unwrap_or_default(),
        subnet: text(instance.subnet_id()),
        key: text(instance.key_name()),
        groups: instance.security_groups().iter().filter_map(|group| text(group.group_id())).collect(),
        profile: text(instance.iam_instance_profile().and_then(|profile| profile.arn())),
        ami: instance.image_id().unwrap_or_default().to_owned(),
        image: text(find_tag(instance.tags(), IMAGE_TAG)),
        runs: text(find_tag(instance.tags(), RUNS_TAG)),
        public_ip: text(instance.public_ip_address()),
        private_ip: text(instance.private_ip_address()),
        token: text(instance.client_token()),
        made_by_run: find_tag(instance.tags(), Tags::ATTEMPT).is_some_and(|own| instance.client_token() == Some(own)),
        number: find_number(instance.tags()),
        root_volume: text(root.and_then(|volume| volume.volume_id())),
        checks: None,
        marker: None,
    })
}

async fn find_volumes(clients: &Clients, tags: &Tags) -> Result<BTreeMap<String, i32>, Problem> {
    let pages = clients.ec2.describe_volumes().set_filters(Some(lab_filters(tags))).into_paginator().items().send();
    let volumes = pages.collect::<Result<Vec<_>, _>>().await;
    let volumes = volumes.map_err(|error| explain("DescribeVolumes", &error))?;
    Ok(volumes.iter().filter_map(|volume| Some((volume.volume_id()?.to_owned(), volume.size()?))).collect())
}

async fn find_subnets(clients: &Clients, tags: &Tags) -> Result<Vec<(String, String)>, Problem> {
    let pages = clients.ec2.describe_subnets().set_filters(Some(lab_filters(tags))).into_paginator().items().send();
    let subnets = pages.collect::<Result<Vec<_>, _>>().await;
    let subnets = subnets.map_err(|error| explain("DescribeSubnets", &error))?;
    let pair = |role: Option<&str>, id: Option<&str>| Some((role?.to_owned(), id?.to_owned()));
    Ok(subnets.iter().filter_map(|subnet| pair(find_role(subnet.tags()), subnet.subnet_id())).collect())
}

async fn find_security_groups(clients: &Clients, tags: &Tags) -> Result<Vec<(String, String)>, Problem> {
    let request = clients.ec2.describe_security_groups().set_filters(Some(lab_filters(tags)));
    let groups = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let groups = groups.map_err(|error| explain("DescribeSecurityGroups", &error))?;
    let pair = |role: Option<&str>, id: Option<&str>| Some((role?.to_owned(), id?.to_owned()));
    Ok(groups.iter().filter_map(|group| pair(find_role(group.tags()), group.group_id())).collect())
}

/// Asks by filter, not by name: a name that does not exist is no error then.
async fn find_key_pairs(
    clients: &Clients,
    session: &Session,
    hosts: &[WantedHost],
) -> Result<BTreeMap<String, KeyPair>, Problem> {
    let own = [session.names.key_pair()];
    let existing = hosts.iter().filter(|host| matches!(host.key, Key::Existing(_))).map(|host| host.key.name().into());
    let names = own.into_iter().chain(existing).collect();
    describe_key_pairs(clients, &session.tags, names).await
}

/// The key pairs with these names.
pub(crate) async fn describe_key_pairs(
    clients: &Clients,
    tags: &Tags,
    names: Vec<String>,
) -> Result<BTreeMap<String, KeyPair>, Problem> {
    let filter = Filter::builder().name("key-name").set_values(Some(names)).build();
    let answer = clients.ec2.describe_key_pairs().filters(filter).include_public_key(true).send().await;
    let answer = answer.map_err(|error| explain("DescribeKeyPairs", &error))?;
    let read = |pair: &aws_sdk_ec2::types::KeyPairInfo| {
        let found = KeyPair {
            id: pair.key_pair_id()?.to_owned(),
            ours: is_ours(tags, pair.tags()),
            public_key: pair.public_key().map(ToOwned::to_owned),
            fingerprint: pair.key_fingerprint().map(ToOwned::to_owned),
        };
        Some((pair.key_name()?.to_owned(), found))
    };
    Ok(answer.key_pairs().iter().filter_map(read).collect())
}

async fn find_iam(clients: &Clients, session: &Session) -> Result<(Option<Role>, Option<Profile>), Problem> {
    if session.lab.account == Account::Academy {
        return Ok((None, None));
    }
    let Session { names, tags, .. } = session;
    let (role, policy, profile) = tokio::join!(
        find_host_role(clients, names, tags),
        find_policy(clients, names),
        find_profile(clients, names, tags)
    );
    let (role, policy) = (role?, policy?);
    Ok((role.map(|role| Role { policy, ..role }), profile?))
}

/// The role of the hosts, without its policy.
async fn find_host_role(clients: &Clients, names: &Names, tags: &Tags) -> Result<Option<Role>, Problem> {
    let role = match clients.iam.get_role().role_name(names.host_role()).send().await {
        Ok(answer) => answer.role,
        Err(error) if has_code(&error, "NoSuchEntity") => None,
        Err(error) => return Err(explain("GetRole", &error)),
    };
    let ours = |role: &aws_sdk_iam::types::Role| tags.match_all(role.tags().iter().map(|tag| (tag.key(), tag.value())));
    Ok(role.map(|role| Role { ours: ours(&role), policy: None }))
}

async fn find_policy(clients: &Clients, names: &Names) -> Result<Option<Value>, Problem> {
    let request = clients.iam.get_role_policy().role_name(names.host_role()).policy_name(roles::HOST_POLICY);
    match request.send().await {
        // IAM answers with the document URL-encoded (RFC 3986).
        Ok(answer) => {
            let text = percent_decode_str(answer.policy_document()).decode_utf8_lossy();
            Ok(Some(serde_json::from_str(&text).unwrap_or(Value::Null)))
        }
        Err(error) if has_code(&error, "NoSuchEntity") => Ok(None),
        Err(error) => Err(explain("GetRolePolicy", &error)),
    }
}

/// The instance profile of the hosts.
pub(crate) async fn find_profile(clients: &Clients, names: &Names, tags: &Tags) -> Result<Option<Profile>, Problem> {
    let profile = match clients.iam.get_instance_profile().instance_profile_name(names.host_profile()).send().await {
        Ok(answer) => answer.instance_profile,
        Err(error) if has_code(&error, "NoSuchEntity") => None,
        Err(error) => return Err(explain("GetInstanceProfile", &error)),
    };
    Ok(profile.map(|profile| Profile {
        ours: tags.match_all(profile.tags().iter().map(|tag| (tag.key(), tag.value()))),
        roles: profile.roles().iter().map(|role| role.role_name().to_owned()).collect(),
    }))
}

/// The status checks, by instance. An instance that EC2 does not list yet has none.
async fn find_checks(clients: &Clients, ids: &[String]) -> Result<BTreeMap<String, String>, Problem> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let request = clients.ec2.describe_instance_status().set_instance_ids(Some(ids.to_vec()));
    let answer = match request.include_all_instances(true).send().await {
        Ok(answer) => answer,
        Err(error) if is_gone(&error) => return Ok(BTreeMap::new()),
        Err(error) => return Err(explain("DescribeInstanceStatus", &error)),
    };
    let word = |summary: Option<&aws_sdk_ec2::types::InstanceStatusSummary>| {
        summary.and_then(|summary| summary.status()).map_or("initializing", |status| status.as_str()).to_owned()
    };
    let statuses = answer.instance_statuses().iter();
    Ok(statuses
        .filter_map(|status| {
            let (instance, system) = (word(status.instance_status()), word(status.system_status()));
            let worse = if instance == "ok" { system } else { instance };
            Some((status.instance_id()?.to_owned(), worse))
        })
        .collect())
}

async fn read_console(clients: &Clients, id: &str, size: &str) -> Result<(String, Marker), Problem> {
    let request = clients.ec2.get_console_output().instance_id(id);
    let request = if is_nitro(size) { request.latest(true) } else { request };
    let marker = match request.send().await {
        Ok(answer) => read_marker(&decode_console(answer.output().unwrap_or_default())),
        // Just started, or just gone.
        Err(error) if is_gone(&error) => Marker::None,
        Err(error) => return Err(explain("GetConsoleOutput", &error)),
    };
    Ok((id.to_owned(), marker))
}

/// A console is bytes in base64; a kernel may print anything.
fn decode_console(output: &str) -> String {
    use base64::Engine as _;
    let packed: String = output.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The images of these hosts, by host: from SSM where lab.toml names a system, from EC2 where it names an id.
async fn find_images(clients: &Clients, hosts: &[&WantedHost]) -> Result<BTreeMap<String, Ami>, Problem> {
    let (parameters, described) = tokio::try_join!(find_parameters(clients, hosts), describe_images(clients, hosts))?;
    let mut images = BTreeMap::new();
    for host in hosts {
        let found = match &host.image {
            Image::Ami(id) => described.get(id).map(|image| image.ami.clone()),
            image => name_parameter(image, Arch::of(&host.size)).and_then(|name| {
                let (id, root_device) = (parameters.get(&name)?.clone(), known_root_device(image)?.to_owned());
                Some(Ami { id, root_device, arch: None })
            }),
        };
        if let Some(ami) = found {
            images.insert(host.host.clone(), ami);
        }
    }
    Ok(images)
}

async fn find_parameters(clients: &Clients, hosts: &[&WantedHost]) -> Result<BTreeMap<String, String>, Problem> {
    let names = hosts.iter().filter_map(|host| name_parameter(&host.image, Arch::of(&host.size)));
    // Two systems on two architectures: never more than the ten names that one call takes.
    let names: std::collections::BTreeSet<_> = names.collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = clients.ssm.get_parameters().set_names(Some(names.into_iter().collect())).send().await;
    let answer = answer.map_err(|error| explain("GetParameters", &error))?;
    let parameters = answer.parameters().iter();
    Ok(parameters.filter_map(|parameter| Some((parameter.name()?.into(), parameter.value()?.into()))).collect())
}

/// An image as EC2 describes it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) ami: Ami,
    pub(crate) name: Option<String>,
}

async fn describe_images(clients: &Clients, hosts: &[&WantedHost]) -> Result<BTreeMap<String, Described>, Problem> {
    let ids = hosts.iter().filter_map(|host| if let Image::Ami(id) = &host.image { Some(id.clone()) } else { None });
    describe_amis(clients, ids.collect()).await
}

/// The images with these ids, by id. Ids that nobody knows are left out.
pub(crate) async fn describe_amis(clients: &Clients, ids: Vec<String>) -> Result<BTreeMap<String, Described>, Problem> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    // By filter: an id that does not exist is no error then.
    let filter = Filter::builder().name("image-id").set_values(Some(ids)).build();
    let answer = clients.ec2.describe_images().filters(filter).send().await;
    let answer = answer.map_err(|error| explain("DescribeImages", &error))?;
    let read = |image: &aws_sdk_ec2::types::Image| {
        let id = image.image_id()?.to_owned();
        let root_device = image.root_device_name()?.to_owned();
        let arch = image.architecture().map(|arch| arch.as_str().to_owned());
        let name = image.name().map(ToOwned::to_owned);
        Some((id.clone(), Described { ami: Ami { id, root_device, arch }, name }))
    };
    Ok(answer.images().iter().filter_map(read).collect())
}
