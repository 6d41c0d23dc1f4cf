//! What is not a fault of the API: hands in the console, things of others, and two runs at the same moment.

use std::path::PathBuf;

use serde_json::json;

use super::bench::{Bench, Ended, Running};
use super::cases::every;
use super::census::{Census, elements};
use super::chain::{Act, DOWN, Do, UP, Way, start};
use super::hands::{Change, GONE, MENDED, fill_bucket, find};
use super::rows::Tally;
use crate::LocalAws;

/// Each change of a round is a case; they are made together, and one run of the way up mends them all.
///
/// # Panics
/// When it does not.
pub fn run_mended(round: usize) {
    let bench = Bench::start();
    let mut tally = Tally::default();
    let changes = MENDED[round];
    let outcome = mend(&bench, changes);
    let names: Vec<_> = changes.iter().map(|(name, _)| *name).collect();
    let outcome = outcome.map_err(|problem| format!("{}: {problem}", names.join(", ")));
    tally.count("changed behind our back", Way::Up, changes.len() as u64, outcome);
    tally.finish(&format!("mended-{round}"));
}

fn mend(bench: &Bench, changes: &[Change]) -> Result<f64, String> {
    bench.climb(UP.len())?;
    let whole = Census::take(&bench.aws);
    make(changes, bench);
    let mut secs = 0.0;
    for act in &UP {
        secs += bench.must(act.command)?;
    }
    Census::take(&bench.aws).expect(&whole, "mended")?;
    check_all(bench)?;
    bench.descend()?;
    Ok(secs)
}

fn make(changes: &[Change], bench: &Bench) {
    for (_, change) in changes {
        change(&bench.aws);
    }
}

fn check_all(bench: &Bench) -> Result<(), String> {
    ["net-up", "host-up", "pipeline-up", "vpn-setup"]
        .into_iter()
        .try_for_each(|program| bench.must(Do::Run(program, &["plan", "--check"])).map(|_| ()))
}

/// Each call of the whole way stalls for ten seconds once, and then its connection closes.
///
/// # Panics
/// When a command does not weather it.
pub fn run_stalled(way: Way) {
    let bench = Bench::start();
    let mut tally = Tally::default();
    bench.climb(UP.len()).expect("the lab without any fault");
    let whole = Census::take(&bench.aws);
    if way == Way::Up {
        bench.descend().expect("and down again");
    }
    let acts: &[Act] = if way == Way::Up { &UP } else { &DOWN };
    for (index, act) in acts.iter().enumerate() {
        let first = 1 + index as u64 % every();
        let stall = json!({ "distinct": true, "from": first, "every": every(), "effect": { "stall-ms": 10_000 } });
        bench.spoil(&json!([stall]));
        let ended = bench.run(act.command);
        let fired = bench.fired();
        bench.aws.clear_faults();
        // cargo-lambda has time-outs of its own.
        let ended = ended.and_then(|ended| {
            if act.command == Do::Deploy && ended.answer.code != Some(0) { bench.run(act.command) } else { Ok(ended) }
        });
        let outcome = ended.and_then(|ended| Ok(ended.done(act.name)?.secs));
        tally.count("stalled for 10 s", way, fired, outcome);
    }
    let wanted = if way == Way::Up { &whole } else { &bench.empty };
    let outcome = Census::take(&bench.aws).expect(wanted, "with every call stalled");
    let outcome = outcome.and_then(|()| if way == Way::Up { check_all(&bench) } else { Ok(()) });
    tally.count("stalled for 10 s", way, 0, outcome.map(|()| 0.0));
    tally.finish(&format!("stalled-{}", way.name()));
}

/// Each thing of a round that is gone already is a case; one run of the way down removes the rest.
///
/// # Panics
/// When it does not.
pub fn run_gone(round: usize) {
    let bench = Bench::start();
    let mut tally = Tally::default();
    let changes = GONE[round];
    let names: Vec<_> = changes.iter().map(|(name, _)| *name).collect();
    let outcome = take_the_rest_down(&bench, changes);
    let outcome = outcome.map_err(|problem| format!("gone before down: {}: {problem}", names.join(", ")));
    tally.count("half of it gone already", Way::Down, changes.len() as u64, outcome);
    tally.finish(&format!("gone-{round}"));
}

fn take_the_rest_down(bench: &Bench, changes: &[Change]) -> Result<f64, String> {
    bench.climb(UP.len())?;
    make(changes, bench);
    let start = std::time::Instant::now();
    bench.descend()?;
    Ok(start.elapsed().as_secs_f64())
}

/// A case: the seconds that it took, or what was wrong.
type Case = fn(&Bench) -> Result<f64, String>;

/// Buckets full of what deletes badly, and things of others in the way.
///
/// # Panics
/// When a case fails.
pub fn run_in_the_way() {
    let bench = Bench::start();
    let mut tally = Tally::default();
    let cases = [
        ("changed behind our back", full_buckets as Case),
        ("things of others", strange_interface),
        ("things of others", untagged_names),
    ];
    for (fault, case) in cases {
        let outcome = case(&bench).map_err(|problem| format!("{fault}: {problem}"));
        let failed = outcome.is_err();
        tally.count(fault, Way::Down, 1, outcome);
        if failed {
            bench.reset();
        }
    }
    tally.finish("in-the-way");
}

fn full_buckets(bench: &Bench) -> Result<f64, String> {
    bench.climb(5)?;
    for side in ["input", "output"] {
        fill_bucket(&bench.aws, side);
    }
    let secs = bench.must(Do::Run("pipeline-up", &["down", "--yes"]))?;
    bench.descend()?;
    Ok(secs)
}

/// Somebody else's network interface is named, kept, and in nobody's way but the network's.
fn strange_interface(bench: &Bench) -> Result<f64, String> {
    let aws = &bench.aws;
    bench.climb(UP.len())?;
    let subnet = find(aws, "DescribeSubnets", "subnetId", "lab-public-subnet");
    let made = aws.act(&format!("Action=CreateNetworkInterface&SubnetId={subnet}&Description=somebodys"));
    let interface = elements(&made, "networkInterfaceId").into_iter().next().ok_or("no interface was made")?;
    for act in &DOWN[..4] {
        bench.must(act.command)?;
    }
    let network = Census::take(aws);
    let refused = bench.run(DOWN[4].command)?;
    if refused.answer.code != Some(1) || !refused.answer.stderr.contains(&interface) {
        return Err(format!("net-up down must name {interface}: {}", refused.tell()));
    }
    Census::take(aws).expect(&network, "refused, nothing is deleted")?;
    let leaks = bench.run(DOWN[5].command)?;
    if leaks.answer.code != Some(1) {
        return Err(format!("leaks must find the network: {}", leaks.tell()));
    }
    let _ = aws.act(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={interface}"));
    let secs = bench.must(DOWN[4].command)?;
    Census::take(aws).expect(&bench.empty, "after net-up down")?;
    Ok(secs)
}

/// What only bears our names, and not our tags, is never touched: neither by up, which may refuse, nor by down.
fn untagged_names(bench: &Bench) -> Result<f64, String> {
    let aws = &bench.aws;
    // moto remembers the tags of a bucket that is gone, and gives them to the next one of that name.
    bench.reset();
    let before = Census::take(aws);
    make_namesakes(aws);
    let namesakes = Census::take(aws);
    let looks = look_at_namesakes(aws);
    // The scripts stop where one refuses; here all are asked, but those that come only after a pipeline of ours.
    for act in UP.iter().filter(|act| act.command != Do::Deploy && act.name != "upload-sample-image") {
        let ended = bench.run(act.command)?;
        if !matches!(ended.answer.code, Some(0 | 1)) {
            return Err(format!("{}: {}", act.name, ended.tell()));
        }
    }
    let start = std::time::Instant::now();
    for act in &DOWN {
        let ended = bench.run(act.command)?;
        if !matches!(ended.answer.code, Some(0 | 1)) {
            return Err(format!("{}: {}", act.name, ended.tell()));
        }
    }
    let secs = start.elapsed().as_secs_f64();
    Census::take(aws).expect(&namesakes, "namesakes are left alone")?;
    let now = look_at_namesakes(aws);
    if now != looks {
        return Err(format!("a namesake was changed: {looks:#?} is now {now:#?}"));
    }
    bench.reset();
    Census::take(aws).expect(&before, "reset")?;
    Ok(secs)
}

/// Things that bear the names of ours without our tags.
fn make_namesakes(aws: &LocalAws) {
    let owner = &aws.owner;
    let name = |kind: &str, name: &str| {
        format!(
            "TagSpecification.1.ResourceType={kind}&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value={name}"
        )
    };
    let made = aws.act(&format!("Action=CreateVpc&CidrBlock=10.0.0.0/16&{}", name("vpc", "lab-vpc")));
    let vpc = elements(&made, "vpcId").into_iter().next().expect("a VPC");
    let subnet = name("subnet", "lab-public-subnet");
    let _ = aws.act(&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.1.0/24&{subnet}"));
    let _ = aws.act(&format!("Action=CreateInternetGateway&{}", name("internet-gateway", "lab-igw")));
    let _ =
        aws.act(&format!("Action=CreateSecurityGroup&VpcId={vpc}&GroupName=lab-public-ec2&GroupDescription=somebodys"));
    let _ = aws.act(&format!("Action=CreateKeyPair&KeyName=lab-key-{owner}"));
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    for role in ["host", "lambda"] {
        let form = format!("Action=CreateRole&RoleName=lab-{role}-role-{owner}&AssumeRolePolicyDocument={trust}");
        let _ = aws.send("iam", "POST", "/", &format!("{form}&Version=2010-05-08"));
    }
    let group = r#"{"logGroupName": "/aws/lambda/lab-lambda-function"}"#;
    let _ = aws.send_json("logs", "Logs_20140328.CreateLogGroup", group);
    let _ = aws.send("s3", "PUT", &format!("/lab-input-bucket-{owner}"), "");
    let _ = aws.send("s3", "PUT", &format!("/lab-input-bucket-{owner}/thesis.txt"), "years of work");
}

/// What the namesakes look like: tags, policies, objects.
fn look_at_namesakes(aws: &LocalAws) -> Vec<String> {
    let body = |reply: String| reply.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned());
    // Request ids differ from answer to answer.
    let steady = |xml: String| {
        xml.split('<').filter(|part| !part.to_lowercase().starts_with("requestid")).collect::<Vec<_>>().join("<")
    };
    let iam = |form: &str| steady(body(aws.send("iam", "POST", "/", &format!("{form}&Version=2010-05-08"))));
    let owner = &aws.owner;
    vec![
        steady(body(aws.act("Action=DescribeVpcs"))),
        steady(body(aws.act("Action=DescribeSubnets"))),
        steady(body(aws.act("Action=DescribeInternetGateways"))),
        iam(&format!("Action=GetRole&RoleName=lab-host-role-{owner}")),
        iam(&format!("Action=ListRolePolicies&RoleName=lab-lambda-role-{owner}")),
        body(aws.send("s3", "GET", &format!("/lab-input-bucket-{owner}/thesis.txt"), "")),
    ]
}

/// Two machines run the same command of the way up at the same moment: one lab, whoever wins.
///
/// # Panics
/// When a case fails.
pub fn run_two_ups() {
    let bench = Bench::start();
    let mut tally = Tally::default();
    bench.climb(UP.len()).expect("the lab without any fault");
    let whole = Census::take(&bench.aws);
    bench.descend().expect("and down again");
    let _ = std::fs::remove_dir_all(bench.aws.folder.path().join("home"));
    for act in &UP {
        let outcome = run_act_twice(&bench, act).map_err(|problem| format!("two at once: {}: {problem}", act.name));
        tally.count("two at the same moment", Way::Up, 1, outcome);
    }
    let outcome = Census::take(&bench.aws).expect(&whole, "after two of everything");
    let outcome = outcome.and_then(|()| check_on_either(&bench));
    let outcome = outcome.and_then(|()| {
        let start = std::time::Instant::now();
        bench.descend()?;
        Ok(start.elapsed().as_secs_f64())
    });
    tally.count("two at the same moment", Way::Down, 1, outcome);
    tally.finish("two-ups");
}

/// Nothing is to be changed, says each program on one of the two machines: the one that has its secrets.
fn check_on_either(bench: &Bench) -> Result<(), String> {
    for program in ["net-up", "host-up", "pipeline-up", "vpn-setup"] {
        let check = Do::Run(program, &["plan", "--check"]);
        let one = bench.run(check)?;
        let mut on_second = start(&bench.aws, check);
        on_second.env("LAB_HOME", second_machine(bench));
        let two = Running::start(&mut on_second).end()?;
        if one.answer.code != Some(0) && two.answer.code != Some(0) {
            return Err(format!("{program} plan --check: {}\n    on the second machine: {}", one.tell(), two.tell()));
        }
    }
    Ok(())
}

fn second_machine(bench: &Bench) -> PathBuf {
    bench.aws.folder.path().join("second")
}

fn run_act_twice(bench: &Bench, act: &Act) -> Result<f64, String> {
    let started = std::time::Instant::now();
    let mut on_second = start(&bench.aws, act.command);
    on_second.env("LAB_HOME", second_machine(bench));
    let (one, two) = (Running::start(&mut start(&bench.aws, act.command)), Running::start(&mut on_second));
    let (one, two) = (one.end()?, two.end()?);
    let mut without = 0;
    for (ended, is_second) in [(one, false), (two, true)] {
        if ended.answer.code == Some(0) {
            continue;
        }
        if ended.answer.code != Some(1) {
            return Err(format!("exit code: {}", ended.tell()));
        }
        // Whoever lost is run again, as its message says.
        let mut again = start(&bench.aws, act.command);
        if is_second {
            again.env("LAB_HOME", second_machine(bench));
        }
        let again = Running::start(&mut again).end()?;
        if lacks_secrets(&again) {
            without += 1;
        } else {
            again.done("run again")?;
        }
    }
    if without > 1 {
        return Err("neither machine has what AWS cannot give back".to_owned());
    }
    Ok(started.elapsed().as_secs_f64())
}

/// A machine that has not the hosts' key or the endpoint's CA changes nothing and says how to go on.
fn lacks_secrets(ended: &Ended) -> bool {
    let said = |part: &str| ended.answer.stderr.contains(part);
    ended.answer.code == Some(1)
        && (said("--ca-dir") || said("is not the key of this machine") || said("not on this machine"))
}

/// `up` on one machine and `down` on another at the same moment; then either command alone finishes its work.
///
/// # Panics
/// When a case fails.
pub fn run_up_against_down() {
    const PAIRS: [(usize, &[&str], usize); 4] = [
        (0, &["net-up", "down", "--yes"], 4),
        (1, &["host-up", "down", "--yes"], 2),
        (2, &["pipeline-up", "down", "--yes"], 3),
        (7, &["vpn-setup", "down", "--yes"], 0),
    ];
    let bench = Bench::start();
    let mut tally = Tally::default();
    for (up, _, down) in PAIRS {
        for from_full in [false, true] {
            let outcome = run_against(&bench, &UP[up], &DOWN[down], from_full);
            let outcome = outcome.map_err(|problem| {
                format!(
                    "{} against {}, from {}: {problem}",
                    UP[up].name,
                    DOWN[down].name,
                    if from_full { "full" } else { "empty" }
                )
            });
            if outcome.is_err() {
                bench.reset();
                bench.climb(up).expect("the lab before the command");
            }
            tally.count("up against down", Way::Down, 1, outcome);
        }
        // On to the next pair: the VPN needs the network only.
        if up == 0 {
            bench.must(UP[0].command).expect("the network");
        }
    }
    tally.finish("up-against-down");
}

fn run_against(bench: &Bench, up: &Act, down: &Act, from_full: bool) -> Result<f64, String> {
    let before = Census::take(&bench.aws);
    bench.must(up.command)?;
    let after = Census::take(&bench.aws);
    if !from_full {
        bench.must(down.command)?;
    }
    let mut other = start(&bench.aws, down.command);
    other.env("LAB_HOME", second_machine(bench));
    let (one, two) = (Running::start(&mut start(&bench.aws, up.command)), Running::start(&mut other));
    for ended in [one.end()?, two.end()?] {
        if !matches!(ended.answer.code, Some(0 | 1)) {
            return Err(ended.tell());
        }
    }
    let again = bench.run(up.command)?.done("up, run again")?;
    Census::take(&bench.aws).expect(&after, "after up")?;
    if let Some((program, arguments)) = up.check {
        bench.must(Do::Run(program, arguments))?;
    }
    let last = bench.run(down.command)?.done("down, run again")?;
    Census::take(&bench.aws).expect(&before, "after down")?;
    Ok(again.secs.max(last.secs))
}
