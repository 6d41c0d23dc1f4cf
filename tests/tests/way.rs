//! The way to AWS, as options, profiles and the environment tell it.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use lab_tests::{Answer, LocalAws, PATIENCE};

/// Two profiles as teachers hand them out: keys, and a role that they may take on. Neither names a Region.
const PROFILES: &str = "\
[profile base]
aws_access_key_id = AKIABASE
aws_secret_access_key = secret
[profile class]
role_arn = arn:aws:iam::123456789012:role/student
source_profile = base
";

/// `net-up plan` as who takes on the role, in a Region that only the command line names.
fn plan_as_student(aws: &LocalAws) -> Command {
    let file = aws.folder.path().join("config");
    std::fs::write(&file, PROFILES).expect("a file");
    let mut command = aws.command("net-up", &["plan", "--profile", "class", "--region", "us-east-1"]);
    command.env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION").env("AWS_CONFIG_FILE", file);
    command
}

#[test]
fn a_profile_with_a_role_takes_it_on_in_the_region_that_is_asked_for() {
    let aws = LocalAws::start(&[]);
    let answer = Answer::from(plan_as_student(&aws).output().expect("net-up runs")).expect_code(0);
    let calls = aws.calls();
    assert_eq!(calls.first().map(String::as_str), Some("AssumeRole"), "{answer:#?} {calls:#?}");
}

#[test]
fn what_is_not_on_this_machine_is_reached_through_the_proxy_also_for_credentials() {
    let aws = LocalAws::start(&[]);
    let proxy = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", proxy.local_addr().expect("its address"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in proxy.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line);
            let _ = tell.send(line);
        }
    });
    let mut command = plan_as_student(&aws);
    command.env("AWS_ENDPOINT_URL_STS", "https://sts.example.org").env("HTTPS_PROXY", url);
    let mut program = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("net-up runs");
    let asked = told.recv_timeout(PATIENCE);
    program.kill().expect("it is ended");
    let _ = program.wait();
    assert_eq!(asked.as_deref().map(str::trim_end), Ok("CONNECT sts.example.org:443 HTTP/1.1"));
    // lab-sim itself is named by NO_PROXY.
    let mut command = plan_as_student(&aws);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("HTTP_PROXY", "http://127.0.0.1:9");
    let _ = Answer::from(command.output().expect("net-up runs")).expect_code(0);
}

#[test]
fn credentials_that_cannot_be_got_are_not_taken_for_none() {
    let aws = LocalAws::start(&[]);
    let file = aws.folder.path().join("config");
    let ask = |profile: &str| {
        std::fs::write(&file, profile).expect("a file");
        let mut command = aws.command("lab-status", &["cost"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_CONFIG_FILE", &file);
        Answer::from(command.output().expect("lab-status runs"))
    };
    let none = ask("").expect_code(0);
    assert!(none.stderr.contains("there are no AWS credentials: what exists now was not asked"), "{none:#?}");
    let broken = ask("[default]\ncredential_process = /no/such/program\n").expect_code(1);
    assert!(broken.stderr.contains("credentials") && broken.stderr.contains("why: "), "{broken:#?}");
    assert_eq!(broken.stdout, none.stdout, "the estimate is told all the same");
}
