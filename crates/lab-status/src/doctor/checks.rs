//! What was found, judged. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lab_account::quotas::QuotaLimit;
use lab_account::{ClockCheck, LAST_MINUTE, Lifetime, check_clock, find_mismatch, forbid_breaches, show_time};
use lab_common::{Billed, Caller, Estimate, Lab, RENEW_CREDENTIALS, academy, estimate};
use lab_plan::Problem;

use super::look::{Academy, Found, Tool};
use super::plan::{Amounts, count_wanted};
use super::{Check, Mark};

/// How long HOL 02's Task 2 takes on AWS; of that the VPN's association 5 to 10 minutes.
const WITH_VPN: Duration = Duration::from_mins(20);
/// How long a lab without a VPN takes.
const WITHOUT_VPN: Duration = Duration::from_mins(8);

/// Every check, in the order in which a run would meet them.
pub(super) fn list_checks(found: &Found) -> Vec<Check> {
    // The credentials end by AWS's clock.
    list_checks_at(found, Timestamp::now() + SignedDuration::from_secs(found.skew.unwrap_or(0)))
}

fn list_checks_at(found: &Found, now: Timestamp) -> Vec<Check> {
    let lab = found.lab.as_ref().and_then(|lab| lab.as_ref().ok());
    let mut checks = vec![check_lab(found)];
    checks.extend(check_lifetime(found, lab, now));
    checks.push(check_caller(found));
    checks.push(check_region(found));
    checks.push(check_clock_of(found));
    checks.extend(check_kind(found, lab));
    checks.extend(found.academy.as_ref().map(|academy| check_crowd(found, lab, academy)).unwrap_or_default());
    checks.extend(check_quotas(found, lab));
    checks.extend(lab.map(check_budget));
    checks.extend(found.tools.iter().map(|(Tool { name, what, install }, there)| match there {
        true => Check::ok(name, format!("is here, for {what}")),
        false => Check::warning(name, format!("is not in PATH; only {what} needs it")).fix(*install),
    }));
    checks
}

fn check_lab(found: &Found) -> Check {
    match &found.lab {
        None => Check::ok(
            "lab.toml",
            "none here: the account alone is looked at, not what a lab needs of it (--lab FILE; --lab hol02 is what the scripts build)",
        ),
        Some(Err(problem)) => Check::problem("lab.toml", problem),
        Some(Ok(lab)) => Check::ok("lab.toml", format!("{} of {}", lab.name, lab.owner)),
    }
}

fn check_lifetime(found: &Found, lab: Option<&Lab>, now: Timestamp) -> Option<Check> {
    const NAME: &str = "credentials";
    // `caller` says why there are none.
    let lifetime = *found.lifetime.as_ref().ok()?;
    let (takes, vpn) = match lab {
        Some(lab) if lab.vpn.is_none() => (WITHOUT_VPN, ""),
        _ => (WITH_VPN, ", of that the VPN's association 5 to 10"),
    };
    let whole = format!("a full up takes about {} min{vpn}", takes.as_secs() / 60);
    let (end, by) = match lifetime {
        Lifetime::Until(end) => (end, None),
        Lifetime::Said { end, by } => (end, Some(by)),
        Lifetime::Lasting => return Some(Check::ok(NAME, "a long-term key: it does not expire")),
        Lifetime::Unknown => {
            let text = format!("temporary, and nothing says until when; {whole}");
            let fix = "Academy: the timer of the lab's page says it; a run that is cut off goes on with fresh ones";
            return Some(Check::warning(NAME, text).fix(fix));
        }
    };
    let (time, left) = (show_time(end, now), end.duration_since(now));
    if left < LAST_MINUTE {
        let end = if left.is_negative() { "expired at" } else { "end within a minute, at" };
        return Some(match by {
            None => Check::problem(NAME, &Problem::failed(format!("{end} {time}")).fix(RENEW_CREDENTIALS)),
            Some(by) => Check::warning(NAME, format!("{end} {time} by {by}, which may be a leftover of older ones"))
                .fix(format!("{RENEW_CREDENTIALS}, or remove what {by} says")),
        });
    }
    let says = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let text = format!("good until {time}{says}, {} min from now; {whole}", left.as_mins());
    Some(if left.unsigned_abs() < takes {
        Check::warning(NAME, format!("{text}: it may be cut off, and goes on with fresh ones")).fix(RENEW_CREDENTIALS)
    } else {
        Check::ok(NAME, text)
    })
}

fn check_caller(found: &Found) -> Check {
    match &found.caller {
        Ok(caller) => Check::ok("caller", format!("{} of account {}", caller.arn, caller.account)),
        Err(problem) => Check::problem("caller", problem),
    }
}

fn check_region(found: &Found) -> Check {
    const NAME: &str = "Region";
    let Some(region) = &found.region else {
        let problem = Problem::failed("none is named").fix("pass --region us-east-1, or write it in lab.toml");
        return Check::problem(NAME, &problem);
    };
    match &found.regions {
        Err(problem) => Check::warning(NAME, format!("{region}; not known whether it is enabled: {}", problem.what())),
        Ok(regions) => match regions.iter().find(|one| one.name == *region) {
            Some(one) if one.enabled => {
                let enabled = regions.iter().filter(|one| one.enabled).count();
                Check::ok(NAME, format!("{region} ({}), one of {enabled} that are enabled", one.status))
            }
            Some(one) => {
                let what = format!("{region} is not enabled for this account ({})", one.status);
                let fix = "use another --region, or enable it in the account's settings (doctor --regions lists them)";
                Check::problem(NAME, &Problem::failed(what).fix(fix))
            }
            None => Check::problem(
                NAME,
                &Problem::failed(format!("AWS knows no Region {region}")).fix("lab-status doctor --regions lists them"),
            ),
        },
    }
}

fn check_clock_of(found: &Found) -> Check {
    match check_clock(found.skew) {
        ClockCheck::Unknown => Check::warning("clock", "not compared: no answer of AWS told the time"),
        ClockCheck::Right(seconds) => Check::ok("clock", format!("within {} s of AWS's", seconds.max(1))),
        ClockCheck::Off(note) => Check::warning("clock", note),
        ClockCheck::Wrong(problem) => Check::problem("clock", &problem),
    }
}

/// What kind of account it is, and what that forbids of the lab.
fn check_kind(found: &Found, lab: Option<&Lab>) -> Vec<Check> {
    const NAME: &str = "account";
    let Ok(caller) = &found.caller else {
        return vec![Check::warning(NAME, "not known whether it is a Learner Lab: we do not know who we are")];
    };
    let mut checks = Vec::new();
    match lab.and_then(|lab| find_mismatch(lab.account, caller)) {
        Some(note) => checks.push(Check::warning(NAME, note)),
        None if is_academy(lab, caller) => checks.push(Check::ok(NAME, "an AWS Academy Learner Lab")),
        None => checks.push(Check::ok(NAME, "an account of one's own")),
    }
    if let Some(lab) = lab.filter(|lab| lab.account.has_academy_limits(Some(caller))) {
        let region = found.region.as_deref().unwrap_or_default();
        let breaches = forbid_breaches(lab, region);
        checks.extend(breaches.iter().map(|problem| Check::problem("Learner Lab", problem)));
        if breaches.is_empty() {
            let limits = "Region, sizes, disks and number of hosts are within a Learner Lab's limits";
            checks.push(Check::ok("Learner Lab", limits));
        }
    } else if is_academy(lab, caller)
        && let Some(region) = found.region.as_deref().filter(|region| !academy::REGIONS.contains(region))
    {
        let problem = Problem::failed(format!("a Learner Lab has no Region {region}"));
        checks.push(Check::problem("Learner Lab", &problem.fix("use us-east-1 or us-west-2")));
    }
    checks
}

fn is_academy(lab: Option<&Lab>, caller: &Caller) -> bool {
    lab.map_or(caller.is_academy(), |lab| lab.account.has_academy_limits(Some(caller)))
}

/// A Learner Lab's own limits, against what runs already.
fn check_crowd(found: &Found, lab: Option<&Lab>, academy: &Academy) -> Vec<Check> {
    let mut checks = vec![
        check_ready("LabRole", &academy.role, "the role of every host and function: no other can be made here"),
        check_ready("LabInstanceProfile", &academy.profile, "what gives hosts their role"),
    ];
    if let Some(key) = &academy.key {
        let wants = lab.is_some_and(|lab| lab.hosts.iter().any(|host| host.key.as_deref() == Some("vockey")));
        let mut check = check_ready("vockey", key, "a key pair that hosts may name; the lab makes its own otherwise");
        if check.result == Mark::Problem && !wants {
            check = Check::warning("vockey", "the key pair is not there; this lab does not name it");
        }
        checks.push(check);
    }
    let running = match &found.use_of.instances {
        Ok(running) => running,
        Err(problem) => {
            checks.push(Check::warning("instances", format!("not counted: {}", problem.what())));
            return checks;
        }
    };
    let wanted = lab.map(|lab| count_wanted(lab, &found.use_of.own)).unwrap_or_default();
    let rule = format!("{} at once deactivate the account, and everything in it is deleted", academy::FATAL_HOSTS);
    let fix = "stop or terminate instances that nobody needs before the lab is made";
    for (name, noun, now, more, most) in [
        ("instances", "instances", running.instances, wanted.instances, academy::MOST_HOSTS),
        ("vCPU", "vCPU", running.vcpus, wanted.vcpus, academy::MOST_VCPU),
    ] {
        let text =
            format!("{now} {noun} run in the Region, and this lab wants {more} more: a Learner Lab allows {most}");
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        checks.push(if now.saturating_add(more) > most {
            Check::problem(name, &Problem::failed(text).because(rule.clone()).fix(fix))
        } else {
            Check::ok(name, text)
        });
    }
    checks
}

fn check_ready(name: &'static str, there: &Result<bool, Problem>, what: &str) -> Check {
    match there {
        Ok(true) => Check::ok(name, format!("is there: {what}")),
        Ok(false) => {
            let problem = Problem::failed("is not there, but every Learner Lab has it");
            Check::problem(name, &problem.fix("in an account of one's own write account = \"own\" in lab.toml"))
        }
        Err(problem) => Check::warning(name, format!("not looked for: {}", problem.what())),
    }
}

fn check_quotas(found: &Found, lab: Option<&Lab>) -> Vec<Check> {
    let wanted = lab.map(|lab| count_wanted(lab, &found.use_of.own)).unwrap_or_default();
    let used = &found.use_of;
    if found.limits.is_empty() {
        let why = found.caller.as_ref().err().map_or("AWS did not answer", Problem::what);
        return vec![Check::warning("quotas", format!("not looked up: {why}"))];
    }
    let vcpus = used.instances.as_ref().map(|amounts| amounts.vcpus).map_err(Clone::clone);
    let Amounts { vpcs, gateways, addresses, endpoints, .. } = wanted;
    let rows = [
        ("VPCs", used.vpcs.clone(), vpcs),
        ("internet gateways", used.gateways.clone(), gateways),
        ("Elastic IPs", used.addresses.clone(), addresses),
        ("VPN endpoints", used.endpoints.clone(), endpoints),
        ("vCPU quota", vcpus, wanted.vcpus),
    ];
    let rows = rows.into_iter().zip(&found.limits);
    rows.map(|((name, used, wanted), limit)| check_quota(name, &used, wanted, limit)).collect()
}

fn check_quota(name: &'static str, used: &Result<u32, Problem>, wanted: u32, limit: &QuotaLimit) -> Check {
    let used = match used {
        Ok(used) => *used,
        Err(problem) => return Check::warning(name, format!("not counted: {}", problem.what())),
    };
    let known = !matches!(limit.source, lab_account::Source::Documented(_));
    let mut check = match limit.check(used, wanted) {
        Ok(()) => {
            let text = format!("{used} of {} in use, {wanted} more wanted ({})", limit.value, limit.origin());
            Check::ok(name, text)
        }
        Err(problem) => Check::problem(name, &problem),
    };
    if !known {
        // What AWS documents is a guess at what this account has.
        check.result = Mark::Warning;
    }
    check
}

fn check_budget(lab: &Lab) -> Check {
    let estimate = estimate(lab);
    let (expected, budget) = (estimate.usd_expected(), lab.budget);
    let text = format!(
        "about ${expected:.2} for {} hours (${:.4} an hour), of [budget] usd = {}",
        budget.hours,
        estimate.usd_per_hour(),
        budget.usd
    );
    let unpriced: Vec<_> = estimate.unpriced().map(|item| format!("{} ({})", item.name, item.detail)).collect();
    if !unpriced.is_empty() {
        return Check::warning("budget", format!("{text}; without a known price: {}", unpriced.join(", ")));
    }
    if expected > budget.usd {
        return Check::warning("budget", format!("{text}: every part that costs will ask first"))
            .fix("raise [budget] usd in lab.toml, or make the lab smaller");
    }
    let asking: Vec<_> = list_asking(&estimate, budget.ask_above).collect();
    if !asking.is_empty() {
        let text =
            format!("{text}; above ask_above = {}, and so asking first: {}", budget.ask_above, asking.join(", "));
        return Check::ok("budget", text);
    }
    Check::ok("budget", text)
}

/// The programs whose part of the lab costs more an hour than `[budget] ask_above`, and how much that is.
fn list_asking(estimate: &Estimate, ask_above: f64) -> impl Iterator<Item = String> {
    let parts = [
        ("host-up", &[Billed::Always][..]),
        ("vpn-setup", &[Billed::Vpn]),
        ("net-up nat", &[Billed::Nat, Billed::NatByStartedHour]),
    ];
    parts.into_iter().filter_map(move |(program, its)| {
        let items = estimate.items.iter().filter(|item| its.contains(&item.billed));
        let usd: f64 = items.filter_map(|item| item.usd_per_hour).sum();
        // A hundredth of a cent is what programs show; what is less is binary dust.
        (usd > ask_above + 5e-5).then(|| format!("{program} (${usd:.4})"))
    })
}

#[cfg(test)]
mod tests {
    use lab_account::quotas::{QuotaLimit, Source, VPCS};
    use lab_common::{HOL02, Overrides, read_lab};

    use super::super::Region;
    use super::super::look::{QUOTAS, Use};
    use super::super::plan::Own;
    use super::*;

    const NOW: &str = "2026-11-26T13:50:00Z";
    const STUDENT: &str = "arn:aws:sts::123456789012:assumed-role/voclabs/user1=ada";

    fn found(arn: &str) -> Found {
        let limit = |quota| QuotaLimit { quota, value: 5, source: Source::Account };
        let region = |name: &str, status: &str| Region {
            name: name.into(),
            endpoint: format!("ec2.{name}.amazonaws.com"),
            status: status.into(),
            enabled: status != "not-opted-in",
        };
        let is_academy = arn == STUDENT;
        Found {
            lab: Some(read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None })),
            region: Some("us-east-1".into()),
            lifetime: Ok(Lifetime::Lasting),
            caller: Ok(Caller { account: "123456789012".into(), arn: arn.into() }),
            skew: Some(1),
            regions: Ok(vec![region("us-east-1", "opt-in-not-required"), region("af-south-1", "not-opted-in")]),
            use_of: Use {
                vpcs: Ok(1),
                gateways: Ok(1),
                addresses: Ok(0),
                endpoints: Ok(0),
                instances: Ok(Amounts { instances: 0, vcpus: 0, ..Amounts::default() }),
                own: Own::default(),
            },
            limits: QUOTAS.map(limit).into(),
            academy: is_academy.then_some(Academy { role: Ok(true), profile: Ok(true), key: Some(Ok(true)) }),
            tools: vec![(Tool { name: "ssh", what: "host-up ssh", install: "" }, true)],
        }
    }

    fn judge(found: &Found) -> Vec<Check> {
        list_checks_at(found, NOW.parse().unwrap())
    }

    #[track_caller]
    fn check(found: &Found, name: &str) -> Check {
        let checks = judge(found);
        checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}: {checks:#?}")).clone()
    }

    #[test]
    fn a_sound_account_passes_every_check() {
        for arn in [STUDENT, "arn:aws:iam::123456789012:user/ada"] {
            let checks = judge(&found(arn));
            assert!(checks.iter().all(|check| check.result == Mark::Ok), "{checks:#?}");
        }
    }

    #[test]
    fn the_budget_says_which_part_asks_first() {
        let mut one = found(STUDENT);
        assert!(!check(&one, "budget").detail.contains("asking first"), "at the limit is not above it");
        let text = HOL02.replace("ask_above = 0.10", "ask_above = 0.03");
        one.lab = Some(read_lab("hol02", &text, &Overrides { owner: Some("ada".into()), region: None }));
        let budget = check(&one, "budget");
        assert!(budget.detail.ends_with("asking first: vpn-setup ($0.1000), net-up nat ($0.0500)"), "{budget:?}");
    }

    #[test]
    fn nine_running_instances_leave_no_room_in_a_learner_lab() {
        let mut student = found(STUDENT);
        student.use_of.instances = Ok(Amounts { instances: 9, vcpus: 18, ..Amounts::default() });
        let crowd = check(&student, "instances");
        assert_eq!(crowd.result, Mark::Problem);
        assert!(crowd.detail.contains("9 instances run") && crowd.detail.contains("20 at once"), "{crowd:?}");
        student.use_of.own.hosts = vec!["public".into(), "private".into()];
        assert_eq!(check(&student, "instances").result, Mark::Ok, "the lab's own are among them");
    }

    #[test]
    fn quotas_count_what_is_in_use_and_what_is_still_wanted() {
        let mut full = found(STUDENT);
        full.use_of.vpcs = Ok(5);
        let vpcs = check(&full, "VPCs");
        assert!(vpcs.result == Mark::Problem && vpcs.fix.is_some_and(|fix| fix.contains("L-F678F1CE")));
        full.use_of.own.vpc = true;
        assert_eq!(check(&full, "VPCs").result, Mark::Ok);
        full.limits[0] = QuotaLimit { quota: VPCS, value: 5, source: Source::Documented("denied".into()) };
        assert_eq!(check(&full, "VPCs").result, Mark::Warning, "a default is no answer");
        full.use_of.own.vpc = false;
        let guessed = check(&full, "VPCs");
        assert_eq!(guessed.result, Mark::Warning, "nor a reason to stop: {guessed:?}");
        assert!(guessed.detail.contains("5 of 5 are in use"), "{guessed:?}");
        full.use_of.vpcs = Err(Problem::failed("you may not call DescribeVpcs"));
        let vpcs = check(&full, "VPCs");
        assert_eq!((vpcs.result, vpcs.detail.as_str()), (Mark::Warning, "not counted: you may not call DescribeVpcs"));
    }

    #[test]
    fn credentials_say_until_when_and_whether_that_is_enough() {
        let mut one = found(STUDENT);
        let mut mark = |end: &str| {
            one.lifetime = Ok(Lifetime::Until(end.parse().unwrap()));
            check(&one, "credentials")
        };
        assert_eq!(mark("2026-11-26T17:50:00Z").result, Mark::Ok);
        let soon = mark("2026-11-26T14:05:00Z");
        assert_eq!(soon.result, Mark::Warning);
        assert!(soon.detail.starts_with("good until 14:05 UTC, 15 min from now; a full up takes about 20 min"));
        assert_eq!(mark("2026-11-26T13:00:00Z").result, Mark::Problem);
        one.lifetime = Ok(Lifetime::Unknown);
        assert_eq!(check(&one, "credentials").result, Mark::Warning);
    }

    #[test]
    fn a_region_that_is_not_enabled_or_not_academys_is_a_problem() {
        let mut one = found(STUDENT);
        one.region = Some("af-south-1".into());
        assert_eq!(check(&one, "Region").result, Mark::Problem);
        assert_eq!(check(&one, "Learner Lab").result, Mark::Problem);
        one.lab = None;
        assert_eq!(check(&one, "Learner Lab").result, Mark::Problem, "without a lab too");
        one.region = Some("us-nowhere-1".into());
        assert!(check(&one, "Region").detail.contains("knows no Region us-nowhere-1"));
    }

    #[test]
    fn without_credentials_nothing_passes_in_silence() {
        let why = Problem::failed("there are no AWS credentials that could be used");
        let none = Found {
            lifetime: Err(why.clone()),
            caller: Err(why.clone()),
            skew: None,
            regions: Err(why.clone()),
            limits: vec![],
            academy: None,
            ..found(STUDENT)
        };
        for (name, result) in [
            ("caller", Mark::Problem),
            ("Region", Mark::Warning),
            ("clock", Mark::Warning),
            ("account", Mark::Warning),
            ("quotas", Mark::Warning),
        ] {
            assert_eq!(check(&none, name).result, result, "{name}");
        }
    }
}
