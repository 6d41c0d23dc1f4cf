//! What there is to be found out: reads only, all that can be asked at the same time.

use std::path::PathBuf;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{ClientVpnEndpointStatusCode, Instance, InstanceStateName, Tag};
use lab_account::quotas::{
    ELASTIC_IPS, INTERNET_GATEWAYS, Quota, QuotaLimit, STANDARD_VCPUS, VPCS, VPN_ENDPOINTS, find_limits,
};
use lab_account::{Lifetime, find_lifetime, identify};
use lab_common::{Caller, Connection, Lab, LabArgs, Tags, check_region, explain, has_code, note_other_region, prepare};
use lab_ec2::{find_role, is_ours, standard_vcpus};
use lab_plan::Problem;

use super::Region;
use super::plan::{Amounts, Own};

/// What doctor compares with the lab.
pub(super) const QUOTAS: [Quota; 5] = [VPCS, INTERNET_GATEWAYS, ELASTIC_IPS, VPN_ENDPOINTS, STANDARD_VCPUS];
/// The Region that every account of AWS's own partition has.
const HOME: &str = "us-east-1";
/// What the lab runs on this machine: what for, and what installs it.
const TOOLS: [Tool; 3] = [
    Tool { name: "ssh", what: "host-up ssh", install: "scripts/setup.sh installs it" },
    Tool { name: "openvpn", what: "vpn-setup check --connect", install: "scripts/setup.sh --vpn installs it" },
    Tool {
        name: "cargo-lambda",
        what: "deploying the function",
        install: "scripts/setup.sh installs it into .venv, where the scripts find it",
    },
];

/// A program that the lab runs on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) what: &'static str,
    /// What installs it.
    pub(super) install: &'static str,
}

/// Everything that was found out. `Err` holds why something could not be.
#[derive(Debug)]
pub(super) struct Found {
    /// `None` where there is none here.
    pub(super) lab: Option<Result<Lab, Problem>>,
    pub(super) region: Option<String>,
    pub(super) lifetime: Result<Lifetime, Problem>,
    pub(super) caller: Result<Caller, Problem>,
    pub(super) skew: Option<i64>,
    pub(super) regions: Result<Vec<Region>, Problem>,
    pub(super) use_of: Use,
    pub(super) limits: Vec<QuotaLimit>,
    /// What a Learner Lab has; `None` where the account is none.
    pub(super) academy: Option<Academy>,
    /// The programs of this machine, and whether they are there.
    pub(super) tools: Vec<(Tool, bool)>,
}

/// What is in use in the Region, whoever made it, and what of the lab is there.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) vpcs: Result<u32, Problem>,
    pub(super) gateways: Result<u32, Problem>,
    pub(super) addresses: Result<u32, Problem>,
    pub(super) endpoints: Result<u32, Problem>,
    /// Instances that run or are about to, and their standard virtual CPUs.
    pub(super) instances: Result<Amounts, Problem>,
    pub(super) own: Own,
}

/// What every Learner Lab has ready.
#[derive(Debug)]
pub(super) struct Academy {
    pub(super) role: Result<bool, Problem>,
    pub(super) profile: Result<bool, Problem>,
    /// Whether the key pair `vockey` is there, where the Region is its own.
    pub(super) key: Option<Result<bool, Problem>>,
}

/// Asks everything.
pub(super) async fn look_around(args: &LabArgs) -> Result<Found, Problem> {
    let lab = read_lab(args);
    let known = lab.as_ref().and_then(|lab| lab.as_ref().ok());
    let region = args.region.clone().or_else(|| known.and_then(|lab| lab.region.clone()));
    // A profile that gives no credentials is an answer too.
    let Connection { sdk, clock } = prepare(args, region.as_deref()).await?;
    let region = sdk.region().map(ToString::to_string);
    if let Some(region) = &region {
        check_region(region)?;
        note_other_region(region);
    }
    let lifetime = find_lifetime(&sdk).await;
    let caller = match (&lifetime, &region) {
        (Err(problem), _) => Err(problem.clone()),
        (_, None) => Err(Problem::usage("no AWS Region is named").fix("pass --region us-east-1")),
        _ => identify(&sdk).await,
    };
    let tools = find_tools();
    if let Some(why) = caller.as_ref().err().filter(|why| region.is_none() || why.is_about_credentials()) {
        // In a Region that is not enabled AWS knows nobody: which it is, only another Region tells.
        let elsewhere = region.as_deref().is_some_and(|region| region != HOME) && lifetime.is_ok() && !why.ends_all();
        let regions = if elsewhere { list_regions(&client_of(&sdk, HOME)).await } else { Err(why.clone()) };
        let (skew, use_of) = (clock.skew(), Use::unknown(why));
        return Ok(Found {
            lab,
            region,
            lifetime,
            caller,
            skew,
            regions,
            use_of,
            limits: vec![],
            academy: None,
            tools,
        });
    }
    let ec2 = Client::new(&sdk);
    let tags = known.map(Tags::new);
    let is_academy = match known {
        Some(lab) => lab.account.has_academy_limits(caller.as_ref().ok()),
        None => caller.as_ref().is_ok_and(Caller::is_academy),
    };
    let academy = async { if is_academy { Some(look_at_academy(&sdk, &ec2, region.as_deref()).await) } else { None } };
    let (regions, use_of, limits, academy) =
        tokio::join!(list_regions(&ec2), find_use(&ec2, tags.as_ref()), find_limits(&sdk, &QUOTAS), academy);
    Ok(Found { lab, region, lifetime, caller, skew: clock.skew(), regions, use_of, limits, academy, tools })
}

/// A client for another Region than the configuration's.
fn client_of(sdk: &aws_config::SdkConfig, region: &'static str) -> Client {
    Client::from_conf(aws_sdk_ec2::config::Builder::from(sdk).region(aws_config::Region::new(region)).build())
}

/// `None` where nobody names a lab and none is here.
fn read_lab(args: &LabArgs) -> Option<Result<Lab, Problem>> {
    if args.lab.is_none() && !PathBuf::from("lab.toml").exists() {
        return None;
    }
    Some(args.read_lab())
}

impl Use {
    fn unknown(why: &Problem) -> Self {
        Self {
            vpcs: Err(why.clone()),
            gateways: Err(why.clone()),
            addresses: Err(why.clone()),
            endpoints: Err(why.clone()),
            instances: Err(why.clone()),
            own: Own::default(),
        }
    }
}

async fn list_regions(ec2: &Client) -> Result<Vec<Region>, Problem> {
    let answer = ec2.describe_regions().all_regions(true).send().await;
    let answer = answer.map_err(|error| explain("DescribeRegions", &error))?;
    let read = |region: &aws_sdk_ec2::types::Region| {
        let status = region.opt_in_status().unwrap_or_default().to_owned();
        Some(Region {
            name: region.region_name()?.to_owned(),
            endpoint: region.endpoint().unwrap_or_default().to_owned(),
            enabled: status != "not-opted-in",
            status,
        })
    };
    let mut regions: Vec<_> = answer.regions().iter().filter_map(read).collect();
    regions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(regions)
}

/// Counts everything; what bears the lab's tags is the lab's own.
async fn find_use(ec2: &Client, tags: Option<&Tags>) -> Use {
    let ours = |found: &[Tag]| tags.is_some_and(|tags| is_ours(tags, found));
    let (vpcs, gateways, addresses, endpoints, instances) = tokio::join!(
        async {
            let all = ec2.describe_vpcs().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
            let all = all.map_err(|error| explain("DescribeVpcs", &error))?;
            Ok((count(all.len()), all.iter().any(|vpc| ours(vpc.tags()))))
        },
        async {
            let pages = ec2.describe_internet_gateways().into_paginator().items().send();
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            let all = all.map_err(|error| explain("DescribeInternetGateways", &error))?;
            Ok((count(all.len()), all.iter().any(|gateway| ours(gateway.tags()))))
        },
        async {
            let all = ec2.describe_addresses().send().await;
            let all = all.map_err(|error| explain("DescribeAddresses", &error))?;
            let all = all.addresses();
            Ok((count(all.len()), all.iter().any(|address| ours(address.tags()))))
        },
        async {
            let pages = ec2.describe_client_vpn_endpoints().into_paginator().items().send();
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            let mut all = all.map_err(|error| explain("DescribeClientVpnEndpoints", &error))?;
            all.retain(|endpoint| endpoint.status().and_then(|status| status.code()).is_none_or(|code| !leaves(code)));
            Ok((count(all.len()), all.iter().any(|endpoint| ours(endpoint.tags()))))
        },
        find_instances(ec2, tags),
    );
    let mut own = Own::default();
    let split = |answer: Result<(u32, bool), Problem>, own: &mut bool| {
        answer.map(|(number, has_ours)| {
            *own = has_ours;
            number
        })
    };
    let vpcs = split(vpcs, &mut own.vpc);
    let gateways = split(gateways, &mut own.gateway);
    let addresses = split(addresses, &mut own.address);
    let endpoints = split(endpoints, &mut own.endpoint);
    let instances = instances.map(|(amounts, running, made)| {
        (own.hosts, own.made) = (running, made);
        amounts
    });
    Use { vpcs, gateways, addresses, endpoints, instances, own }
}

/// Whether an endpoint is on its way out, or still listed after its end.
fn leaves(state: &ClientVpnEndpointStatusCode) -> bool {
    matches!(state, ClientVpnEndpointStatusCode::Deleting | ClientVpnEndpointStatusCode::Deleted)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What runs, and the keys of the lab's hosts that run, and of those that are there at all.
async fn find_instances(ec2: &Client, tags: Option<&Tags>) -> Result<(Amounts, Vec<String>, Vec<String>), Problem> {
    let pages = ec2.describe_instances().into_paginator().items().send();
    let reservations = pages.collect::<Result<Vec<_>, _>>().await;
    let reservations = reservations.map_err(|error| explain("DescribeInstances", &error))?;
    let all: Vec<_> = reservations.iter().flat_map(aws_sdk_ec2::types::Reservation::instances).collect();
    let state = |instance: &Instance| instance.state().and_then(|state| state.name()).cloned();
    let runs =
        |instance: &Instance| matches!(state(instance), Some(InstanceStateName::Running | InstanceStateName::Pending));
    let gone = |instance: &Instance| {
        matches!(state(instance), Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown))
    };
    let host = |instance: &Instance| {
        let ours = tags.is_some_and(|tags| is_ours(tags, instance.tags()));
        let role = find_role(instance.tags()).filter(|_| ours)?;
        role.strip_prefix(&lab_common::roles::instance("")).map(ToOwned::to_owned)
    };
    let running: Vec<_> = all.iter().filter(|instance| runs(instance)).collect();
    let amounts = Amounts {
        instances: count(running.len()),
        vcpus: running.iter().map(|instance| standard_vcpus(instance)).sum(),
        ..Amounts::default()
    };
    let hosts = running.iter().filter_map(|instance| host(instance)).collect();
    let made = all.iter().filter(|instance| !gone(instance)).filter_map(|instance| host(instance)).collect();
    Ok((amounts, hosts, made))
}

async fn look_at_academy(sdk: &aws_config::SdkConfig, ec2: &Client, region: Option<&str>) -> Academy {
    let iam = aws_sdk_iam::Client::new(sdk);
    let key = async {
        if region != Some("us-east-1") {
            return None;
        }
        Some(match ec2.describe_key_pairs().key_names("vockey").send().await {
            Ok(answer) => Ok(!answer.key_pairs().is_empty()),
            Err(error) if has_code(&error, "InvalidKeyPair.NotFound") => Ok(false),
            Err(error) => Err(explain("DescribeKeyPairs", &error)),
        })
    };
    let (role, profile, key) = tokio::join!(
        async {
            match iam.get_role().role_name("LabRole").send().await {
                Ok(_) => Ok(true),
                Err(error) if has_code(&error, "NoSuchEntity") => Ok(false),
                Err(error) => Err(explain("GetRole", &error)),
            }
        },
        async {
            match iam.get_instance_profile().instance_profile_name("LabInstanceProfile").send().await {
                Ok(_) => Ok(true),
                Err(error) if has_code(&error, "NoSuchEntity") => Ok(false),
                Err(error) => Err(explain("GetInstanceProfile", &error)),
            }
        },
        key,
    );
    Academy { role, profile, key }
}

fn find_tools() -> Vec<(Tool, bool)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian keeps openvpn, which is not in every user's PATH, and where setup.sh puts cargo-lambda.
    let more = ["/usr/sbin", "/sbin", ".venv/bin"].map(PathBuf::from);
    let folders: Vec<_> = std::env::split_paths(&path).chain(more).collect();
    TOOLS.map(|tool| (tool, folders.iter().any(|folder| folder.join(tool.name).is_file()))).into()
}
