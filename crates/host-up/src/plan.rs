//! From what is there to what is wanted, as steps; and what forbids it. Pure.

use lab_account::forbid_breaches;
use lab_common::{Image, Lab, Names, Runs};
use lab_plan::{Action, Plan, Problem, Step};
use serde_json::Value;

use crate::console::Marker;
use crate::image::{Arch, name_image};
use crate::live::{Instance, Live};
use crate::want::{Key, WantedHost, bucket_policy, name_runs};
use crate::{roles, secrets};
use aws_sdk_ec2::types::InstanceStateName;

/// The profile that every Learner Lab brings along (Learner Lab readme).
const ACADEMY_PROFILE: &str = "LabInstanceProfile";

/// What one step does. Each is one creating or changing call.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Makes the key on this machine, if need be, and imports its public half.
    ImportKeyPair,
    /// Makes the role that EC2 may hand to instances.
    CreateRole,
    /// Writes the role's inline policy.
    PutRolePolicy {
        /// The document.
        policy: Value,
    },
    /// Makes the instance profile.
    CreateProfile,
    /// Puts the role into the profile.
    AddRoleToProfile,
    /// Starts a new instance.
    RunInstance(Box<Launch>),
    /// Starts a stopped instance.
    StartInstance {
        /// Its id.
        id: String,
    },
    /// Replaces an instance's security groups.
    SetSecurityGroup {
        /// The instance's id.
        id: String,
        /// The one group it should have.
        group: String,
    },
    /// Gives a profile to an instance that has none.
    AttachProfile {
        /// The instance's id.
        id: String,
        /// The profile's name.
        profile: String,
    },
    /// Terminates an instance.
    TerminateInstance {
        /// Its id.
        id: String,
    },
    /// Deletes the key pair in EC2. The private half on this machine stays.
    DeleteKeyPair {
        /// Its id.
        id: String,
    },
    /// Takes the role out of the profile.
    RemoveRoleFromProfile,
    /// Deletes the instance profile.
    DeleteProfile,
    /// Deletes the role with all its policies.
    DeleteRole,
}

/// Everything a new instance is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The account's 12 digits, for the client token.
    pub(crate) account: String,
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) ami: String,
    /// The image's name in lab.toml.
    pub(crate) image: String,
    pub(crate) root_device: String,
    pub(crate) size: String,
    pub(crate) subnet: String,
    pub(crate) group: String,
    pub(crate) key: String,
    pub(crate) profile: Option<String>,
    pub(crate) disk_gb: i32,
    pub(crate) runs: Option<Runs>,
    /// Client tokens that instances of this host have used up by being terminated.
    pub(crate) used_tokens: Vec<String>,
}

/// What lab.toml wants, and what is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) names: &'a Names,
    pub(crate) region: &'a str,
    /// Where this machine keeps the private key and the token, for the problems that speak of them.
    pub(crate) home: &'a lab_common::Home,
    pub(crate) hosts: &'a [WantedHost],
    pub(crate) live: &'a Live,
}

/// The steps that make the wanted hosts, and nothing else, true.
pub(crate) fn plan(scene: Scene<'_>) -> Result<Plan<Op>, Vec<Problem>> {
    let (plan, problems) = compare(scene);
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// In what the hosts differ from what is wanted and can be changed, and what forbids to change any of it.
pub(crate) fn compare(scene: Scene<'_>) -> (Plan<Op>, Vec<Problem>) {
    let mut problems = find_forbidden(scene);
    let mut draft = Draft::default();
    plan_key_pair(scene, &mut draft, &mut problems);
    plan_profile(scene, &mut draft, &mut problems);
    for host in scene.hosts {
        if let Err(problem) = plan_host(scene, host, &mut draft) {
            problems.extend(problem);
        }
    }
    let already: f64 =
        scene.live.instances.iter().map(|instance| crate::resources::cost_of(instance, scene.live)).sum();
    let added: f64 = draft.steps.iter().map(|step| step.usd_per_hour).sum();
    (Plan { steps: draft.steps, unchanged: draft.unchanged, usd_per_hour: already + added }, problems)
}

#[derive(Default)]
struct Draft {
    steps: Vec<Step<Op>>,
    unchanged: usize,
}

impl Draft {
    /// Adds the step, or counts what needs none.
    fn push_if(&mut self, wanted: bool, step: impl FnOnce() -> Step<Op>) {
        if wanted { self.steps.push(step()) } else { self.unchanged += 1 }
    }
}

/// What a Learner Lab forbids, where `account = "auto"` has only now told us that this is one.
fn find_forbidden(scene: Scene<'_>) -> Vec<Problem> {
    if !scene.lab.account.has_academy_limits(scene.live.caller.as_ref()) {
        return Vec::new();
    }
    forbid_breaches(scene.lab, scene.region)
}

fn plan_key_pair(scene: Scene<'_>, draft: &mut Draft, problems: &mut Vec<Problem>) {
    let Scene { live, names, home, .. } = scene;
    for host in scene.hosts {
        if let Key::Existing(name) = &host.key
            && !live.key_pairs.contains_key(name)
        {
            let what = format!("hosts.{}.key: there is no key pair `{name}` in {}", host.host, scene.region);
            problems.push(Problem::failed(what).fix("name one that exists, or remove the line: the lab makes its own"));
        }
    }
    if !scene.hosts.iter().any(|host| matches!(host.key, Key::Own(_))) {
        return;
    }
    let name = names.key_pair();
    let path = home.path(secrets::KEY_FILE);
    let path = path.display();
    let start_over = "or make a new one, which loses what is on the hosts: host-up down, then up";
    match (live.key_pairs.get(&name), &live.own_key) {
        (None, None) => {
            let opened = |instance: &&Instance| instance.is_alive() && instance.key.as_ref() == Some(&name);
            if let Some(instance) = live.instances.iter().find(opened) {
                let what = format!("the private key of {} is not on this machine ({path})", instance.name);
                let fix = format!("copy it there from where the lab was made, {start_over}");
                problems.push(Problem::failed(what).fix(fix));
                return;
            }
            draft.push_if(true, || import_step(&name, "a new Ed25519 key"));
        }
        (None, Some(_)) => draft.push_if(true, || import_step(&name, "this machine's key")),
        (Some(_), None) => {
            let what = format!("key pair {name} exists, but its private key is not on this machine ({path})");
            problems
                .push(Problem::failed(what).fix(format!("copy it there from where the lab was made, {start_over}")));
        }
        (Some(pair), Some(own)) => {
            let same = secrets::is_same_key(own, pair.public_key.as_deref(), pair.fingerprint.as_deref());
            if same == Some(false) || (same.is_none() && !pair.ours) {
                let what = format!("key pair {name} exists, but it is not the key of this machine ({path})");
                let fix = if pair.ours {
                    format!("put the right private key there, {start_over}")
                } else {
                    format!(
                        "it bears no tags of this lab: choose another owner, or delete it yourself (aws ec2 delete-key-pair --key-name {name})"
                    )
                };
                problems.push(Problem::failed(what).fix(fix));
                return;
            }
            draft.push_if(false, || import_step(&name, ""));
        }
    }
}

fn import_step(name: &str, detail: &str) -> Step<Op> {
    Step::new(Action::Create, "key-pair", roles::KEY_PAIR, name, Op::ImportKeyPair).detail(detail)
}

/// The name of the profile that hosts with buckets get.
fn name_profile(scene: Scene<'_>) -> String {
    if scene.live.is_academy(scene.lab.account) { ACADEMY_PROFILE.into() } else { scene.names.host_profile() }
}

fn plan_profile(scene: Scene<'_>, draft: &mut Draft, problems: &mut Vec<Problem>) {
    let Scene { live, names, .. } = scene;
    let Some(images) = &scene.lab.images else { return };
    if live.is_academy(scene.lab.account) || !scene.hosts.iter().any(|host| host.uses_buckets) {
        return;
    }
    let (role, profile) = (names.host_role(), names.host_profile());
    let foreign = [
        ("role", &role, live.role.as_ref().map(|found| found.ours)),
        ("instance profile", &profile, live.profile.as_ref().map(|found| found.ours)),
    ];
    for (kind, name, _) in foreign.iter().filter(|(_, _, ours)| *ours == Some(false)) {
        let fix = "choose another owner (--owner), or delete it yourself";
        problems.push(Problem::failed(format!("{kind} {name} exists, but it is not this lab's")).fix(fix));
    }
    draft.push_if(live.role.is_none(), || Step::new(Action::Create, "role", roles::HOST_ROLE, &role, Op::CreateRole));
    let partition = live.caller.as_ref().map_or("aws", |caller| caller.partition());
    let policy = bucket_policy(images, partition);
    let found = live.role.as_ref().and_then(|role| role.policy.as_ref());
    draft.push_if(found != Some(&policy), || {
        let action = if found.is_some() { Action::Update } else { Action::Create };
        Step::new(action, "role-policy", roles::HOST_POLICY, &role, Op::PutRolePolicy { policy })
            .needs([roles::HOST_ROLE])
            .detail("read and write the lab's two buckets")
    });
    draft.push_if(live.profile.is_none(), || {
        Step::new(Action::Create, "instance-profile", roles::HOST_PROFILE, &profile, Op::CreateProfile)
    });
    if !live.profile.as_ref().is_some_and(|profile| profile.roles.contains(&role)) {
        let step = Step::new(Action::Update, "instance-profile", roles::PROFILE_ROLE, &profile, Op::AddRoleToProfile);
        draft.steps.push(step.needs([roles::HOST_ROLE, roles::HOST_PROFILE]).detail(format!("hands out {role}")));
    }
}

fn plan_host(scene: Scene<'_>, host: &WantedHost, draft: &mut Draft) -> Result<(), Vec<Problem>> {
    let alive: Vec<_> = scene.live.alive(&host.host).collect();
    match alive.as_slice() {
        [] => plan_launch(scene, host, draft),
        [instance] => plan_changes(scene, host, instance, draft),
        [first, others @ ..] if others.iter().all(|other| is_spare(other, first)) => {
            for other in others {
                let op = Op::TerminateInstance { id: other.id.clone() };
                let role = format!("{} {}", roles::instance(&host.host), other.id);
                let step = Step::new(Action::Delete, "instance", role, &other.name, op);
                let detail = format!("{}: a second one, which another run made at the same moment", other.id);
                draft.steps.push(step.detail(detail).costs(-crate::resources::cost_of(other, scene.live)));
            }
            plan_changes(scene, host, first, draft)
        }
        several => {
            let ids: Vec<_> = several.iter().map(|instance| instance.id.as_str()).collect();
            let what = format!("{} exists {} times: {}", host.name, ids.len(), ids.join(", "));
            let fix = format!(
                "terminate all but one (aws ec2 terminate-instances --instance-ids ID), or all: host-up down {}",
                host.host
            );
            Err(vec![Problem::failed(what).fix(fix)])
        }
    }
}

/// Whether `other` is one that its run terminates, unless it was killed: it lost its turn to `first`, which is before it.
fn is_spare(other: &Instance, first: &Instance) -> bool {
    other.made_by_run && first.made_by_run && first.number.is_some()
}

fn plan_launch(scene: Scene<'_>, host: &WantedHost, draft: &mut Draft) -> Result<(), Vec<Problem>> {
    let launch = make_launch(scene, host)?;
    let detail = match scene.live.images.get(&host.host) {
        Some(ami) => format!("{}, {}, {}", host.size, launch.image, ami.id),
        None => host.size.clone(),
    };
    let mut needs = Vec::new();
    if matches!(host.key, Key::Own(_)) {
        needs.push(roles::KEY_PAIR);
    }
    if host.uses_buckets {
        needs.extend([roles::HOST_POLICY, roles::PROFILE_ROLE]);
    }
    let role = roles::instance(&host.host);
    let step = Step::new(Action::Create, "instance", role, &host.name, Op::RunInstance(Box::new(launch)));
    let mut step = step.needs(needs).detail(detail).costs(host.usd_per_hour());
    step.ask = host.ask_price();
    draft.steps.push(step);
    Ok(())
}

fn make_launch(scene: Scene<'_>, host: &WantedHost) -> Result<Launch, Vec<Problem>> {
    let mut problems = Vec::new();
    let subnet = find_network(scene, &roles::subnet(&host.subnet), &scene.names.subnet(&host.subnet));
    let group = find_network(scene, &roles::security_group(&host.host), &host.name);
    let ami = scene.live.images.get(&host.host).ok_or_else(|| missing_image(scene, host));
    let arch = Arch::of(&host.size).as_str();
    if let Ok(ami) = ami
        && let Some(other) = ami.arch.as_ref().filter(|other| *other != arch)
    {
        let what = format!("hosts.{}: {} is for {other}, but a {} is {arch}", host.host, ami.id, host.size);
        problems.push(Problem::usage(what).fix("choose a size or an image of the other architecture"));
    }
    match (subnet, group, ami) {
        (Ok(subnet), Ok(group), Ok(ami)) if problems.is_empty() => Ok(Launch {
            account: scene.live.caller.as_ref().map(|caller| caller.account.clone()).unwrap_or_default(),
            host: host.host.clone(),
            name: host.name.clone(),
            ami: ami.id.clone(),
            image: name_image(&host.image).to_owned(),
            root_device: ami.root_device.clone(),
            size: host.size.clone(),
            subnet,
            group,
            key: host.key.name().to_owned(),
            profile: host.uses_buckets.then(|| name_profile(scene)),
            disk_gb: host.disk_gb,
            runs: host.runs,
            used_tokens: find_used_tokens(scene.live, &host.host),
        }),
        (subnet, group, ami) => {
            problems.extend([subnet.err(), group.err(), ami.err()].into_iter().flatten());
            Err(problems)
        }
    }
}

fn find_used_tokens(live: &Live, host: &str) -> Vec<String> {
    let gone = live.instances.iter().filter(|instance| instance.host == host && !instance.is_alive());
    gone.filter_map(|instance| instance.token.clone()).collect()
}

/// The id of something that net-up made.
fn find_network(scene: Scene<'_>, role: &str, name: &str) -> Result<String, Problem> {
    let kind = role.split(' ').next().unwrap_or(role);
    match scene.live.network.get(role).map(Vec::as_slice) {
        Some([id]) => Ok(id.clone()),
        None | Some([]) => {
            Err(Problem::failed(format!("there is no {kind} {name} yet")).fix("make the network first: net-up"))
        }
        Some(several) => {
            let what = format!("{kind} {name} exists {} times: {}", several.len(), several.join(", "));
            Err(Problem::failed(what).fix("see what net-up says about it: net-up plan"))
        }
    }
}

fn missing_image(scene: Scene<'_>, host: &WantedHost) -> Problem {
    let region = scene.region;
    match &host.image {
        Image::Ami(id) => Problem::failed(format!("hosts.{}.image: there is no {id} in {region}", host.host))
            .fix("image ids differ by Region: name one of this Region, or amazon-linux-2023, or ubuntu-24.04"),
        image => {
            let name = crate::image::name_parameter(image, Arch::of(&host.size)).unwrap_or_default();
            Problem::failed(format!("hosts.{}.image: {region} has no current {}", host.host, name_image(image)))
                .because(format!("there is no SSM parameter {name}"))
                .fix("name an image by its id (ami-…)")
        }
    }
}

/// Changes what can be changed in place, and starts what is stopped.
fn plan_changes(
    scene: Scene<'_>,
    host: &WantedHost,
    instance: &Instance,
    draft: &mut Draft,
) -> Result<(), Vec<Problem>> {
    let mut problems = find_differences(scene, host, instance);
    if let Some((login, file)) = find_missing_login(host.runs, scene.live) {
        let path = scene.home.path(file);
        let what = format!("the {login} of {} is not on this machine ({})", instance.name, path.display());
        let fix = format!(
            "copy it there from where the host was made, or make the host anew: host-up down {0}, then host-up up {0}",
            host.host
        );
        problems.push(Problem::failed(what).fix(fix));
    }
    let before = draft.steps.len();
    let id = || instance.id.clone();
    let role = |what: &str| format!("{} {what}", roles::instance(&host.host));
    let update = |what: &str, op| Step::new(Action::Update, "instance", role(what), &host.name, op);
    if let Ok(group) = find_network(scene, &roles::security_group(&host.host), &host.name)
        && instance.groups != [group.as_str()]
    {
        let detail = format!("security group {group}");
        draft.steps.push(update("security-group", Op::SetSecurityGroup { id: id(), group }).detail(detail));
    }
    if host.uses_buckets && instance.profile.is_none() {
        let profile = name_profile(scene);
        let detail = format!("profile {profile}");
        let step = update("profile", Op::AttachProfile { id: id(), profile }).detail(detail);
        draft.steps.push(step.needs([roles::HOST_POLICY, roles::PROFILE_ROLE]));
    }
    if matches!(instance.state, InstanceStateName::Stopped | InstanceStateName::Stopping) {
        let step =
            update("state", Op::StartInstance { id: id() }).detail(format!("start it: it is {}", instance.state));
        draft.steps.push(step.costs(host.usd_per_running_hour()));
    }
    if draft.steps.len() == before {
        draft.unchanged += 1;
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What logs in to a host that runs this, and the file it should be in, where this machine does not have it.
fn find_missing_login(runs: Option<Runs>, live: &Live) -> Option<(&'static str, &'static str)> {
    match runs {
        Some(Runs::Jupyter) if !live.has_token => Some(("login token", secrets::TOKEN_FILE)),
        Some(Runs::Filegator) if !live.has_password => Some(("password", secrets::PASSWORD_FILE)),
        _ => None,
    }
}

/// Whether a host's setup waits for a way to the internet that is not there. Its console says when it waits no more.
pub(crate) fn is_cut_off(host: &WantedHost, live: &Live) -> bool {
    let waits = host.waits_for_internet() && !is_ready(host, live) && find_failure(host, live).is_none();
    waits && !live.has_nat_window()
}

/// Whether a host says on its console that its setup is done.
pub(crate) fn is_ready(host: &WantedHost, live: &Live) -> bool {
    live.alive(&host.host).any(|instance| instance.marker == Some(Marker::Ready))
}

/// The end of the console of a host whose setup has failed.
pub(crate) fn find_failure<'a>(host: &WantedHost, live: &'a Live) -> Option<&'a str> {
    let alive = live.instances.iter().filter(|instance| instance.host == host.host && instance.is_alive());
    alive.filter_map(|instance| instance.marker.as_ref()).find_map(|marker| match marker {
        Marker::Failed(tail) => Some(tail.as_str()),
        Marker::None | Marker::Ready => None,
    })
}

/// What differs and cannot be changed in place.
fn find_differences(scene: Scene<'_>, host: &WantedHost, instance: &Instance) -> Vec<Problem> {
    let Scene { live, .. } = scene;
    let subnet = find_network(scene, &roles::subnet(&host.subnet), "").ok();
    let image = instance.image.as_deref().unwrap_or(&instance.ami);
    let disk = live.disk_gb(instance);
    let profile = instance.profile.as_deref().map(|arn| arn.rsplit('/').next().unwrap_or(arn));
    let wanted_profile = host.uses_buckets.then(|| name_profile(scene));
    let differs = |key: &str, is: Option<String>, wanted: String, why: &str| {
        let is = is.filter(|is| *is != wanted)?;
        let what = format!("{} has {key} {is}, but lab.toml wants {wanted}", host.name);
        let fix = format!(
            "keep it as it is in lab.toml, or make the host anew, which loses what is on its disk: \
             host-up down {0}, then host-up up {0}",
            host.host
        );
        Some(Problem::failed(what).because(why).fix(fix))
    };
    let launch_only = "EC2 decides this when an instance is launched";
    [
        differs("image", Some(image.into()), name_image(&host.image).into(), launch_only),
        differs("size", Some(instance.size.clone()), host.size.clone(), "a running instance cannot change its type"),
        differs(
            "subnet",
            instance.subnet.clone().filter(|_| subnet.is_some()),
            subnet.clone().unwrap_or_default(),
            launch_only,
        ),
        differs(
            "key",
            Some(instance.key.clone().unwrap_or_else(|| "none".into())),
            host.key.name().into(),
            launch_only,
        ),
        differs("runs", instance.runs.clone(), name_runs(host.runs).into(), "user-data runs once, at the first boot"),
        differs(
            "disk_gb",
            disk.map(|gb| gb.to_string()),
            host.disk_gb.to_string(),
            "the file system on it would not follow",
        ),
        differs(
            "instance profile",
            profile.map(ToOwned::to_owned),
            wanted_profile.unwrap_or_else(|| "none".into()),
            "a program on it may be using its permissions",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The steps that terminate these hosts (all when `hosts` is empty) and, with the last of them, what they share.
pub(crate) fn teardown(names: &Names, hosts: &[String], live: &Live) -> Plan<Op> {
    let (gone, kept): (Vec<_>, Vec<_>) = live
        .instances
        .iter()
        .filter(|instance| instance.is_alive())
        .partition(|instance| hosts.is_empty() || hosts.contains(&instance.host));
    let delete = |kind, role: &str, name: &str, op| Step::new(Action::Delete, kind, role, name, op);
    let mut steps: Vec<_> = gone
        .iter()
        .map(|instance| {
            let op = Op::TerminateInstance { id: instance.id.clone() };
            let step = delete("instance", &roles::instance(&instance.host), &instance.name, op);
            step.detail(instance.id.clone()).costs(-crate::resources::cost_of(instance, live))
        })
        .collect();
    let usd_per_hour = kept.iter().map(|instance| crate::resources::cost_of(instance, live)).sum();
    if kept.is_empty() {
        let instances: Vec<_> = gone.iter().map(|instance| roles::instance(&instance.host)).collect();
        steps.extend(tear_down_shared(names, live).into_iter().map(|step| step.needs(instances.clone())));
    }
    Plan { steps, unchanged: kept.len(), usd_per_hour }
}

/// Key pair, profile and role, where they are ours; what hangs on something goes before it.
fn tear_down_shared(names: &Names, live: &Live) -> Vec<Step<Op>> {
    let delete = |kind, role: &str, name: &str, op| Step::new(Action::Delete, kind, role, name, op);
    let (key_pair, role, profile) = (names.key_pair(), names.host_role(), names.host_profile());
    let mut steps = Vec::new();
    if let Some(pair) = live.key_pairs.get(&key_pair).filter(|pair| pair.ours) {
        steps.push(
            delete("key-pair", roles::KEY_PAIR, &key_pair, Op::DeleteKeyPair { id: pair.id.clone() })
                .detail("the private key on this machine stays"),
        );
    }
    if let Some(found) = live.profile.as_ref().filter(|found| found.ours) {
        if found.roles.contains(&role) {
            let step = delete("instance-profile", roles::PROFILE_ROLE, &profile, Op::RemoveRoleFromProfile);
            steps.push(Step { action: Action::Update, ..step }.detail(format!("without {role}")));
        }
        let step = delete("instance-profile", roles::HOST_PROFILE, &profile, Op::DeleteProfile);
        steps.push(step.needs([roles::PROFILE_ROLE]));
    }
    if live.role.as_ref().is_some_and(|found| found.ours) {
        let step = delete("role", roles::HOST_ROLE, &role, Op::DeleteRole).detail("with its policies");
        steps.push(step.needs([roles::PROFILE_ROLE]));
    }
    steps
}

#[cfg(test)]
mod tests;
