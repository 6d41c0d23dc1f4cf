//! Whether a class fits into its accounts: what it needs beside what is there, against the quotas. Nothing is written.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_ec2::types::{Filter, Reservation};
use lab_account::QuotaLimit;
use lab_account::quotas::{self, Quota};
use lab_common::{Tags, academy, explain, size};
use lab_ec2::{is_ours, standard_vcpus};
use lab_plan::Problem;

use crate::class::{Student, split_hosts};

/// A quota, how much of it is taken by others than this class's owners, and who of the class has what it counts already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    /// What is counted (`VPCs`).
    pub(crate) what: &'static str,
    pub(crate) limit: u32,
    /// Where `limit` comes from.
    pub(crate) origin: String,
    /// All that is there.
    pub(crate) used: u32,
    /// Who has theirs already.
    pub(crate) have: BTreeSet<String>,
    pub(crate) each: Each,
}

/// How much of it an owner takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    Vpc,
    VpnEndpoint,
    /// For as long as the NAT window is open.
    WindowAddress,
    /// What hosts count for in the quota: their vCPUs, or one for each host.
    Vcpus,
    Instances,
}

impl Each {
    fn need(self, student: &Student) -> u32 {
        let part = &student.part;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        match self {
            Self::Vpc => 1,
            Self::VpnEndpoint => u32::from(part.vpn.is_some()),
            Self::WindowAddress => u32::from(!split_hosts(part).1.is_empty()),
            Self::Vcpus => part.hosts.iter().map(|host| size::standard_vcpus(&host.size)).sum(),
            Self::Instances => count(part.hosts.len()),
        }
    }
}

/// A group of students that share the quotas of an account and a Region.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) students: Vec<&'a Student>,
    pub(crate) sdk: SdkConfig,
}

/// What does not fit, as one problem for each quota. `at_once` is how many owners are worked on at a time.
pub(crate) fn judge(group: &Group<'_>, rooms: &[Room], at_once: u32) -> Vec<Problem> {
    rooms.iter().filter_map(|room| judge_one(group, room, at_once)).collect()
}

fn judge_one(group: &Group<'_>, room: &Room, at_once: u32) -> Option<Problem> {
    let needs: Vec<u32> = group
        .students
        .iter()
        .filter(|student| !room.have.contains(student.owner()))
        .map(|student| room.each.need(student))
        .filter(|need| *need > 0)
        .collect();
    let free = room.limit.saturating_sub(room.used);
    let passing = room.each == Each::WindowAddress;
    let counted = if passing { needs.len().min(at_once as usize) } else { needs.len() };
    let wanted: u32 = needs.iter().take(counted).sum();
    if wanted <= free {
        return None;
    }
    let mut left = free;
    let fit = needs.iter().take_while(|need| left.checked_sub(**need).inspect(|rest| left = *rest).is_some()).count();
    let (account, region) = (&group.account, &group.region);
    let what = format!(
        "the class does not fit into account {account} in {region}: {} owners need {wanted} more {}",
        needs.len(),
        room.what
    );
    let why = format!(
        "the quota is {} ({}), {} in use, so {fit} of {} owners fit; nothing was changed",
        room.limit,
        room.origin,
        room.used,
        needs.len()
    );
    let fewer = match (passing, fit) {
        (_, 0) => String::new(),
        (true, fit) => format!("or work on fewer at a time: --at-once {fit}\n"),
        (false, _) => "or begin with some of them: --only OWNER\n".to_owned(),
    };
    let fix = format!(
        "ask AWS for more {} (console: Service Quotas, {region})\n{fewer}or give each owner an account of their own: \
         the roster's column role_arn",
        room.what
    );
    Some(Problem::failed(what).because(why).fix(fix))
}

/// Reads what is there and what is allowed. `academy` is whether the account is a Learner Lab.
///
/// # Errors
/// When AWS cannot be asked.
pub(crate) async fn look(group: &Group<'_>, academy: bool) -> Result<Vec<Room>, Problem> {
    let ec2 = aws_sdk_ec2::Client::new(&group.sdk);
    let wants = |each: Each| group.students.iter().any(|student| each.need(student) > 0);
    let (vpcs, instances, addresses, endpoints, limits) = tokio::try_join!(
        look_at_vpcs(&ec2, group),
        async { if wants(Each::Instances) { look_at_instances(&ec2, group).await } else { Ok(Taken::default()) } },
        async { if wants(Each::WindowAddress) { look_at_addresses(&ec2).await } else { Ok(Taken::default()) } },
        async { if wants(Each::VpnEndpoint) { look_at_endpoints(&ec2, group).await } else { Ok(Taken::default()) } },
        async { Ok(quotas::find_limits(&group.sdk, &QUOTAS).await) }
    )?;
    let vcpus = Taken { used: instances.vcpus, ..instances.clone() };
    let all =
        [(Each::Vpc, vpcs), (Each::VpnEndpoint, endpoints), (Each::WindowAddress, addresses), (Each::Vcpus, vcpus)];
    let mut rooms: Vec<_> = limits.iter().zip(all).map(|(limit, (each, taken))| room(limit, each, taken)).collect();
    if academy {
        let origin = "AWS Academy Learner Lab".to_owned();
        let Taken { used, have, .. } = instances;
        // No quota of AWS's: what a Learner Lab allows before it is taken away.
        let limit = u32::try_from(academy::MOST_HOSTS).unwrap_or(u32::MAX);
        rooms.push(Room { what: "instances", limit, origin, used, have, each: Each::Instances });
    }
    Ok(rooms)
}

/// What is there of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Taken {
    used: u32,
    vcpus: u32,
    have: BTreeSet<String>,
}

/// The quotas in the order in which [`look`] takes them.
const QUOTAS: [Quota; 4] = [quotas::VPCS, quotas::VPN_ENDPOINTS, quotas::ELASTIC_IPS, quotas::STANDARD_VCPUS];

fn room(limit: &QuotaLimit, each: Each, taken: Taken) -> Room {
    let Taken { used, have, .. } = taken;
    Room { what: limit.quota.what, limit: limit.value, origin: limit.origin(), used, have, each }
}

/// The owner in some tags, where it is one of the class.
fn find_owner(group: &Group<'_>, tags: &[aws_sdk_ec2::types::Tag]) -> Option<String> {
    let theirs = |student: &&&Student| is_ours(&Tags::new(&student.lab), tags);
    group.students.iter().find(theirs).map(|student| student.owner().to_owned())
}

fn take<'a, T: 'a>(
    group: &Group<'_>,
    all: impl Iterator<Item = &'a T>,
    tags: impl Fn(&T) -> &[aws_sdk_ec2::types::Tag],
) -> Taken {
    let mut taken = Taken::default();
    for one in all {
        taken.used += 1;
        taken.have.extend(find_owner(group, tags(one)));
    }
    taken
}

async fn look_at_vpcs(ec2: &aws_sdk_ec2::Client, group: &Group<'_>) -> Result<Taken, Problem> {
    let pages = ec2.describe_vpcs().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let vpcs = pages.map_err(|error| explain("DescribeVpcs", &error))?;
    Ok(take(group, vpcs.iter(), |vpc| vpc.tags()))
}

async fn look_at_endpoints(ec2: &aws_sdk_ec2::Client, group: &Group<'_>) -> Result<Taken, Problem> {
    let pages =
        ec2.describe_client_vpn_endpoints().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let endpoints = pages.map_err(|error| explain("DescribeClientVpnEndpoints", &error))?;
    Ok(take(group, endpoints.iter(), |endpoint| endpoint.tags()))
}

async fn look_at_addresses(ec2: &aws_sdk_ec2::Client) -> Result<Taken, Problem> {
    let answer = ec2.describe_addresses().send().await.map_err(|error| explain("DescribeAddresses", &error))?;
    Ok(Taken { used: u32::try_from(answer.addresses().len()).unwrap_or(u32::MAX), ..Taken::default() })
}

async fn look_at_instances(ec2: &aws_sdk_ec2::Client, group: &Group<'_>) -> Result<Taken, Problem> {
    let alive = Filter::builder().name("instance-state-name").values("pending").values("running").build();
    let request = ec2.describe_instances().filters(alive).into_paginator().items();
    let pages = request.send().collect::<Result<Vec<_>, _>>().await;
    let reservations = pages.map_err(|error| explain("DescribeInstances", &error))?;
    let instances: Vec<_> = reservations.iter().flat_map(Reservation::instances).collect();
    let mut taken = take(group, instances.iter().copied(), |instance| instance.tags());
    taken.vcpus = instances.iter().map(|instance| standard_vcpus(instance)).sum();
    Ok(taken)
}

/// Whether a student's lab says or the caller's name shows that the account is a Learner Lab.
pub(crate) fn is_academy(group: &Group<'_>, caller: &lab_common::Caller) -> bool {
    group.students.iter().any(|student| student.lab.account.has_academy_limits(Some(caller)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::class::{LabText, hol02_for_a_class, make_students};
    use crate::cli::Tasks;
    use crate::roster::read_roster;

    fn students(count: u32, tasks: Tasks) -> Vec<Student> {
        let owners: Vec<_> = (1..=count).map(|n| format!("s{n}")).collect();
        let entries = read_roster("r", format!("owner\n{}\n", owners.join("\n")).as_bytes()).unwrap();
        let text = LabText { path: "x".into(), name: "x".into(), text: hol02_for_a_class() };
        make_students("r", &entries, &HashMap::from([(None, text)]), None, tasks).unwrap()
    }

    fn complaint(count: u32, room: &Room, at_once: u32) -> Option<String> {
        let students = students(count, Tasks::Both);
        let sdk = SdkConfig::builder().build();
        let group = Group { account: "1".into(), region: "us-east-1".into(), students: students.iter().collect(), sdk };
        judge(&group, std::slice::from_ref(room), at_once).first().map(ToString::to_string)
    }

    fn room(each: Each, limit: u32, used: u32) -> Room {
        Room { what: "VPCs", limit, origin: "AWS's default".into(), used, have: BTreeSet::new(), each }
    }

    #[test]
    fn what_does_not_fit_names_quota_need_use_and_the_ways_out() {
        let said = complaint(30, &room(Each::Vpc, 5, 1), 30).expect("30 do not fit");
        for part in [
            "30 owners need 30 more VPCs",
            "the quota is 5 (AWS's default), 1 in use, so 4 of 30 owners fit",
            "Service Quotas",
            "--only",
            "role_arn",
        ] {
            assert!(said.contains(part), "{part:?} is missing from\n{said}");
        }
        assert_eq!(complaint(4, &room(Each::Vpc, 5, 1), 30), None);
    }

    #[test]
    fn who_has_theirs_needs_no_other() {
        let have = (1..=4).map(|n| format!("s{n}")).collect();
        assert_eq!(complaint(4, &Room { have, ..room(Each::Vpc, 5, 5) }, 30), None);
    }

    #[test]
    fn an_address_is_needed_only_while_the_window_is_open() {
        assert_eq!(complaint(30, &room(Each::WindowAddress, 5, 0), 5), None);
        let said = complaint(30, &room(Each::WindowAddress, 5, 2), 30).expect("too many at a time");
        assert!(said.contains("--at-once 3"), "{said}");
    }

    #[test]
    fn hosts_count_with_their_processors() {
        assert_eq!(complaint(8, &room(Each::Vcpus, 32, 0), 30), None);
        assert!(complaint(9, &room(Each::Vcpus, 32, 0), 30).is_some_and(|said| said.contains("8 of 9")));
    }

    #[test]
    fn large_hosts_need_more_room_than_small_ones() {
        let mut student = students(1, Tasks::Both).remove(0);
        for (size, need) in [("t3.2xlarge", 16), ("m7i.48xlarge", 384), ("g5.xlarge", 0)] {
            student.part.hosts.iter_mut().for_each(|host| host.size = size.into());
            assert_eq!(Each::Vcpus.need(&student), need, "{size}");
        }
    }
}
