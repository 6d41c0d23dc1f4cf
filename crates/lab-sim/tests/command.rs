//! lab-sim as a command: the environment it gives, the exit code it passes on, and that nothing of it stays behind.

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use support::{LAB_SIM, Sim, children_of, is_running, wait_for};

fn run(arguments: &[&str]) -> Output {
    Command::new(LAB_SIM).args(arguments).stdin(Stdio::null()).output().expect("lab-sim runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_command_gets_the_endpoint_and_its_exit_code_is_passed_on() {
    let output = Command::new(LAB_SIM)
        .args(["--", "sh", "-c", "env; exit 7"])
        .env("AWS_PROFILE", "mine")
        .env("AWS_SESSION_TOKEN", "secret")
        .env("AWS_ENDPOINT_URL_S3", "https://elsewhere.example")
        .env("AWS_REGION", "eu-west-1")
        .stdin(Stdio::null())
        .output()
        .expect("lab-sim runs");
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let environment = text(&output.stdout);
    for line in
        ["AWS_ENDPOINT_URL=http://127.0.0.1:", "AWS_REGION=eu-west-1", "LAB_MY_IP=203.0.113.250", "AWS_ACCESS_KEY_ID="]
    {
        assert!(environment.lines().any(|given| given.starts_with(line)), "{line} in\n{environment}");
    }
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"] {
        assert!(!environment.lines().any(|line| line.starts_with(&format!("{name}="))), "{name} is taken away");
    }
}

#[test]
fn the_exports_of_a_serving_lab_sim_can_be_printed() {
    let output = run(&["--print-env", "--port", "4566"]);
    assert_eq!(output.status.code(), Some(0));
    let exports = text(&output.stdout);
    assert!(exports.starts_with("export AWS_ENDPOINT_URL=http://127.0.0.1:4566\n"), "{exports}");
    assert!(exports.contains("\nunset AWS_PROFILE "), "{exports}");
}

#[test]
fn a_missing_moto_is_named_with_the_way_to_get_it() {
    let output = run(&["--moto", "/nonexistent/moto_server", "--", "true"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("scripts/setup.sh"), "{}", text(&output.stderr));
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let output = run(&["--state-times", "soon"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("a number from 0"), "{}", text(&output.stderr));
    let folder = tempfile::tempdir().expect("a folder");
    let faults = folder.path().join("faults.json");
    std::fs::write(&faults, r#"[{"effect": "explode"}]"#).expect("written");
    let output = run(&["--faults", &faults.display().to_string(), "--", "true"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("rule 1: unknown variant `explode`"), "{}", text(&output.stderr));
}

#[test]
fn a_taken_port_and_a_command_that_does_not_exist_are_clear_failures() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let output = run(&["--port", &port, "--", "true"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--port"), "{}", text(&output.stderr));
    let output = run(&["--", "/nonexistent/command"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nonexistent/command cannot be started"), "{}", text(&output.stderr));
}

#[test]
fn a_signal_is_passed_on_and_the_commands_own_answer_to_it_counts() {
    for (signal, code) in [("-TERM", 5), ("-INT", 6)] {
        let script = "trap 'exit 5' TERM; trap 'exit 6' INT; echo ready; while :; do sleep 0.01; done";
        let mut child = Command::new(LAB_SIM)
            .args(["--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("lab-sim runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert_eq!(child.wait().expect("its end").code(), Some(code), "{signal}");
    }
}

#[test]
fn nothing_stays_behind_after_sigterm_nor_after_sigkill() {
    for signal in ["-TERM", "-KILL"] {
        let sim = Sim::start(&[]);
        let children = children_of(sim.pid());
        assert!(!children.is_empty(), "moto is a child of lab-sim");
        Command::new("kill").args([signal, &sim.pid().to_string()]).status().expect("kill runs");
        wait_for("the end of moto", || children.iter().all(|pid| !is_running(pid)).then_some(()));
    }
}
