//! The scripts, as a user runs them: the demo from start to end, and the lab's own scripts twice in a row.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what a test says is read where it fails")]

use std::path::Path;
use std::process::Command;

use lab_tests::{Answer, LocalAws, find_programs, find_root};

/// A script in a clean environment, run from a folder of its own.
fn script(name: &str, arguments: &[&str], folder: &Path) -> Command {
    let target = find_programs().parent().expect("target/debug has a parent").to_owned();
    let mut command = Command::new(find_root().join("scripts").join(name));
    command.args(arguments).current_dir(folder).env_clear().env("CARGO_TARGET_DIR", target);
    for kept in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CI"] {
        command.envs(std::env::var_os(kept).map(|value| (kept, value)));
    }
    command
}

fn run(command: &mut Command) -> Answer {
    command.output().expect("the script starts").into()
}

#[test]
fn the_demo_ends_with_a_picture_on_disk_and_the_proof_that_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = run(&mut script("demo.sh", &[], folder.path())).expect_code(0);
    let last = demo.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("nothing of lab of demo is left in us-east-1"), "{demo:#?}");
    assert!(demo.stdout.contains("s3://lab-input-bucket-demo/lab-image.png"), "{demo:#?}");
    let said = demo.stderr.lines().find_map(|line| line.strip_prefix("demo.sh: the processed picture: "));
    let picture = std::fs::read(said.expect("the picture's path")).expect("the picture is on disk");
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "a PNG");
    assert_eq!(picture[16..24], [0, 0, 0, 200, 0, 0, 0, 100], "200 by 100 pixels");
}

#[test]
fn the_demo_of_task_2_connects_a_real_client_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = run(&mut script("demo.sh", &["--task2"], folder.path())).expect_code(0);
    let last = demo.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("nothing of lab of demo is left in us-east-1"), "{demo:#?}");
    for passed in ["private 8080 is closed without the tunnel", "private 8080 answers through the tunnel"] {
        assert!(demo.stdout.contains(&format!("passed  {passed}")), "{passed}: {demo:#?}");
    }
    assert!(!demo.all().contains("PRIVATE KEY"), "no key is shown");
    // The most expensive parts go first.
    let order = ["vpn-setup down", "net-up nat close", "host-up down", "pipeline-up down", "net-up down"];
    let places = order.map(|command| demo.stderr.find(&format!("down.sh: {command}")).expect(command));
    assert!(places.is_sorted(), "{demo:#?}");
}

#[test]
fn both_tasks_share_one_network_and_may_be_run_twice() {
    let aws = LocalAws::start(&["--vpn-netns", "--state-times", "0"]);
    let in_lab = |name: &str| {
        let mut command = script(name, &["--lab", "hol02", "--owner", "both"], aws.folder.path());
        command.envs(aws.exports()).env("LAB_HOME", aws.folder.path().join("home"));
        run(&mut aws.enter_laptop(&command))
    };
    let _ = in_lab("task1.sh").expect_code(0);
    for (round, windows) in [("first", 1), ("second", 0)] {
        aws.clear_calls();
        let up = in_lab("task2.sh");
        assert_eq!(up.code, Some(0), "{round}: {up:#?}");
        let opened = aws.calls().iter().filter(|action| *action == "CreateNatGateway").count();
        assert_eq!(opened, windows, "{round}: {up:#?}");
        assert!(up.stdout.contains("passed  private 8080 answers through the tunnel"), "{round}: {up:#?}");
    }
    assert_eq!(aws.count("DescribeInstances", "instanceId"), 2, "the public and the private host");
    assert_eq!(aws.count("DescribeVpcs", "isDefault"), 2, "the lab's network and the account's own");
    assert_eq!(aws.count("DescribeClientVpnEndpoints", "clientVpnEndpointId"), 1, "one endpoint");
    let down = in_lab("down.sh").expect_code(0);
    let last = down.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("nothing of lab of both is left"), "{down:#?}");
}

#[test]
fn task1_and_down_may_be_run_twice() {
    let aws = LocalAws::start(&[]);
    let in_lab = |name: &str| {
        let mut command = script(name, &["--lab", "hol02", "--owner", "twice"], aws.folder.path());
        command.envs(aws.exports()).env("LAB_HOME", aws.folder.path().join("home"));
        run(&mut command)
    };
    for round in ["first", "second"] {
        let up = in_lab("task1.sh");
        assert_eq!(up.code, Some(0), "{round}: {up:#?}");
        assert!(up.stdout.contains("s3://lab-output-bucket-twice/lab-image-processed.png"), "{round}: {up:#?}");
    }
    assert_eq!(aws.count("DescribeInstances", "instanceId"), 1, "one host");
    for round in ["first", "second"] {
        let down = in_lab("down.sh");
        assert_eq!(down.code, Some(0), "{round}: {down:#?}");
        let last = down.stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with("nothing of lab of twice is left"), "{round}: {down:#?}");
    }
}

#[test]
fn wrong_options_are_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = run(&mut script("demo.sh", &["--kep"], folder.path())).expect_code(2);
    assert!(wrong.stderr.starts_with("Usage: scripts/demo.sh [--task2] [--keep]"), "{wrong:#?}");
    for help in ["demo.sh", "task1.sh", "task2.sh", "down.sh"] {
        let answer = run(&mut script(help, &["--help"], folder.path())).expect_code(0);
        assert!(answer.stdout.starts_with(&format!("Usage: scripts/{help}")), "{answer:#?}");
    }
}

/// The states that `vpn-setup down` waits for one after the other, in seconds of AWS's time (docs/LOCAL-AWS.md): a rule is
/// revoked, the subnet disassociated, the endpoint deleted. Instances (40 s) and the NAT gateway (60 s) take less.
const LONGEST_CHAIN: f64 = 20.0 + 240.0 + 60.0;

#[test]
fn down_takes_little_longer_than_the_longest_chain_of_waits() {
    const SCALE: f64 = 0.2;
    let aws = LocalAws::start(&["--state-times", &SCALE.to_string()]);
    let all: [(&str, &[&str]); 5] = [
        ("net-up", &["up", "--yes"]),
        ("net-up", &["nat", "open", "--yes"]),
        ("host-up", &["up", "--yes"]),
        ("pipeline-up", &["up", "--yes"]),
        ("vpn-setup", &["up", "--yes"]),
    ];
    for (program, arguments) in all {
        // Up is not measured: the clock goes on as fast as somebody asks what it is.
        let mut up = aws.command(program, arguments).stdout(std::process::Stdio::null()).spawn().expect("it starts");
        while up.try_wait().expect("a child").is_none() {
            aws.advance(60);
            std::thread::yield_now();
        }
        assert!(up.wait().expect("it ended").success(), "{program} {arguments:?}");
    }
    aws.clear_calls();
    let mut command = script("down.sh", &["--lab", "hol02", "--owner", &aws.owner], aws.folder.path());
    command.envs(aws.exports()).env("LAB_HOME", aws.folder.path().join("home"));
    let _ = run(&mut command).expect_code(0);
    // From the first call to the last: building the programs is not AWS's time.
    let calls = aws.call_log();
    let time = |call: &serde_json::Value| call["time"].as_str().expect("a time").to_owned();
    let (first, last) = (time(&calls[0]), time(&calls[calls.len() - 1]));
    let seconds = seconds_of_day(&last) - seconds_of_day(&first);
    let took = if seconds < 0.0 { seconds + 86400.0 } else { seconds };
    let most = 1.3 * LONGEST_CHAIN * SCALE;
    eprintln!("down took {took:.1} s, the longest chain of waits {:.1} s", LONGEST_CHAIN * SCALE);
    // A tenth less is what lies before the first call; still less would mean that nothing was waited for.
    assert!(took >= 0.9 * LONGEST_CHAIN * SCALE && took <= most, "{took:.1} s, at most {most:.1} s");
}

/// Of `2026-11-20T15:28:01.74Z`.
fn seconds_of_day(time: &str) -> f64 {
    let clock = time.split_once('T').expect("a date and a time").1.trim_end_matches('Z');
    clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("a number"))
}

#[test]
fn ctrl_c_ends_down_once_what_is_under_way_is_done() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &["up", "--yes"]).expect_code(0);
    aws.clear_calls();
    aws.set_faults(&serde_json::json!([{ "action": "GetCallerIdentity", "effect": { "latency-ms": 1500 } }]));
    let mut command = script("down.sh", &["--lab", "hol02", "--owner", &aws.owner], aws.folder.path());
    command.envs(aws.exports()).env("LAB_HOME", aws.folder.path().join("home"));
    let down = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let down = down.expect("it starts");
    aws.wait_for_call("DescribeVpcs");
    let pid = rustix::process::Pid::from_child(&down);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a running process");
    let stopped = Answer::from(down.wait_with_output().expect("it ends")).expect_code(130);
    assert!(stopped.stderr.contains("down.sh: stopped; to go on: scripts/down.sh"), "{stopped:#?}");
    assert!(!stopped.stderr.contains("down.sh: net-up down"), "nothing new is begun: {stopped:#?}");
    assert_eq!(aws.count("DescribeVpcs", "isDefault"), 2, "the network is still there");
}
