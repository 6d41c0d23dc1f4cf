//! `host-up` against local AWS, as a user runs it, and with everything that can go wrong on the way.

use std::os::unix::fs::PermissionsExt as _;

use lab_tests::{Answer, LocalAws};
use serde_json::{Value, json};

/// Kind and name of everything `host-up up public` makes of HOL 02.
const HOSTS: [(&str, &str); 4] = [
    ("instance", "lab-public-ec2"),
    ("instance-profile", "lab-host-profile-ada"),
    ("key-pair", "lab-key-ada"),
    ("role", "lab-host-role-ada"),
];

/// Every call of `up` that changes something.
const WRITES: [&str; 6] = [
    "ImportKeyPair",
    "CreateRole",
    "PutRolePolicy",
    "CreateInstanceProfile",
    "AddRoleToInstanceProfile",
    "RunInstances",
];

const UP: [&str; 3] = ["up", "public", "--json"];

fn start_with_network() -> LocalAws {
    let aws = LocalAws::start(&[]);
    let _ = aws.run("net-up", &[]).expect_code(0);
    aws
}

fn is_write(action: &str) -> bool {
    !["Describe", "Get", "List"].iter().any(|verb| action.starts_with(verb))
}

fn writes(aws: &LocalAws) -> Vec<String> {
    aws.calls().into_iter().filter(|action| is_write(action)).collect()
}

fn names(answer: &Answer) -> Vec<(String, String)> {
    let document = answer.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resources = document["resources"].as_array().expect("resources");
    let mut names: Vec<_> = resources.iter().map(|one| (text(&one["kind"]), text(&one["name"]))).collect();
    names.sort();
    names
}

fn instance(answer: &Answer) -> Value {
    let document = answer.json();
    let resources = document["resources"].as_array().expect("resources");
    resources.iter().find(|one| one["kind"] == "instance").expect("an instance").clone()
}

/// The host is there, once, and needs no change.
#[track_caller]
fn assert_whole(aws: &LocalAws, why: &str) {
    let plan = aws.run("host-up", &["plan", "public", "--check", "--json"]);
    assert_eq!(plan.code, Some(0), "{why}: {plan:#?}");
    let found = names(&aws.run("host-up", &["status", "--json"]));
    let found: Vec<_> = found.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    assert_eq!(found, HOSTS, "{why}");
}

#[track_caller]
fn take_down(aws: &LocalAws) {
    let down = aws.run("host-up", &["down", "--yes", "--json"]).expect_code(0);
    assert_eq!(down.json()["resources"], json!([]));
}

#[test]
fn up_makes_the_host_up_again_reads_only_and_down_leaves_nothing() {
    let aws = start_with_network();
    assert_eq!(aws.run("host-up", &["plan", "public", "--check"]).code, Some(3));
    let first = aws.run("host-up", &["up", "public", "--wait-ready", "--json"]).expect_code(0);
    assert_whole(&aws, "after up");
    let host = instance(&first);
    assert_eq!(host["state"], "running", "{host}");
    assert_eq!((&host["checks"], &host["ready"], &host["size"]), (&json!("ok"), &json!(true), &json!("t3.micro")));
    assert!(host["public_ip"].as_str().is_some_and(|address| address.starts_with("203.0.113.")), "{host}");
    assert!(host["usd_per_hour"].as_f64().is_some_and(|usd| (0.016..0.017).contains(&usd)), "{host}");

    aws.clear_calls();
    let second = aws.run("host-up", &UP).expect_code(0);
    assert_eq!(second.json()["changed"], json!([]));
    let calls = aws.calls();
    assert!(!calls.iter().any(|action| is_write(action) || action == "GetParameters"), "{calls:?}");
    assert!(calls.len() <= 13, "{calls:?}");

    take_down(&aws);
    let again = aws.run("host-up", &["down", "--yes"]).expect_code(0);
    assert!(again.stderr.contains("nothing of this part is left"), "{again:#?}");

    // The terminated instance is still listed, and its client token used up.
    let _ = aws.run("host-up", &UP).expect_code(0);
    assert_whole(&aws, "after down and up");
    let _ = aws.run("host-up", &["down", "public", "--yes"]).expect_code(0);
    let _ = aws.run("net-up", &["down", "--yes"]).expect_code(0);
}

#[test]
fn secrets_stay_on_this_machine_and_show_only_on_request() {
    let aws = start_with_network();
    let up = aws.run("host-up", &["up", "public"]).expect_code(0);
    let home = aws.folder.path().join("home");
    let read = |name: &str| std::fs::read_to_string(home.join(name)).expect(name);
    let (key, token) = (read("ssh-key"), read("jupyter-token"));
    for name in ["ssh-key", "jupyter-token"] {
        let mode = std::fs::metadata(home.join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let quiet = aws.run("host-up", &["status"]).expect_code(0);
    for said in [up.all(), quiet.all()] {
        assert!(!said.contains(&token) && !said.contains(key.lines().nth(1).expect("a key")), "{said}");
    }
    let asked = aws.run("host-up", &["status", "--show-url", "--json"]).expect_code(0);
    let url = instance(&asked)["url"].as_str().unwrap_or_default().to_owned();
    assert!(url.starts_with("http://203.0.113.") && url.ends_with(&format!(":8888/lab?token={token}")), "{url}");

    let config = aws.run("host-up", &["ssh-config"]).expect_code(0);
    for part in ["Host lab-public-ec2", "User ec2-user", "StrictHostKeyChecking accept-new", "/home/ssh-key"] {
        assert!(config.stdout.contains(part), "{part}: {config:#?}");
    }
    // Down deletes what is in AWS; the secrets are this machine's, and the next host gets the same.
    take_down(&aws);
    let _ = aws.run("host-up", &UP).expect_code(0);
    assert_eq!((read("ssh-key"), read("jupyter-token")), (key, token));
}

#[test]
fn killed_after_any_write_the_next_up_makes_one_of_each() {
    let aws = start_with_network();
    for action in WRITES {
        aws.set_faults(&json!([{ "action": action, "nth": 1, "effect": { "kill": "caller" } }]));
        let killed = aws.run("host-up", &UP);
        assert_eq!(killed.code, None, "{action}: killed by a signal: {killed:#?}");
        aws.clear_faults();
        let next = aws.run("host-up", &UP);
        assert_eq!(next.code, Some(0), "killed after {action}: {next:#?}");
        assert_whole(&aws, &format!("killed after {action}"));
        take_down(&aws);
    }
}

#[test]
fn a_lost_answer_to_any_write_makes_nothing_twice() {
    let aws = start_with_network();
    for action in WRITES {
        aws.set_faults(&json!([{ "action": action, "nth": 1, "effect": "reset-after" }]));
        let answer = aws.run("host-up", &UP);
        assert_eq!(answer.code, Some(0), "answer to {action} lost: {answer:#?}");
        aws.clear_faults();
        assert_whole(&aws, &format!("answer to {action} lost"));
        take_down(&aws);
    }
}

#[test]
fn down_weathers_lost_answers_too() {
    let aws = start_with_network();
    for action in [
        "TerminateInstances",
        "DeleteKeyPair",
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile",
        "DeleteRolePolicy",
        "DeleteRole",
    ] {
        let _ = aws.run("host-up", &UP).expect_code(0);
        aws.set_faults(&json!([{ "action": action, "nth": 1, "effect": "reset-after" }]));
        take_down(&aws);
        aws.clear_faults();
    }
}

/// As Systems Manager's quick setup does with the role of every instance that it finds.
#[test]
fn down_takes_a_role_to_which_others_have_given_policies() {
    let aws = start_with_network();
    let _ = aws.run("host-up", &UP).expect_code(0);
    let statement = json!({ "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*" });
    let document = format!("PolicyDocument={}", json!({ "Version": "2012-10-17", "Statement": statement }));
    let iam = |form: &str| aws.send("iam", "POST", "/", &format!("{form}&Version=2010-05-08"));
    let _ = iam(&format!("Action=CreatePolicy&PolicyName=managed&{document}"));
    let arn = "arn:aws:iam::123456789012:policy/managed";
    let _ = iam(&format!("Action=AttachRolePolicy&RoleName=lab-host-role-ada&PolicyArn={arn}"));
    let _ = iam(&format!("Action=PutRolePolicy&RoleName=lab-host-role-ada&PolicyName=theirs&{document}"));
    take_down(&aws);
    let roles = iam("Action=ListRoles");
    assert!(!roles.contains("lab-host-role-ada"), "{roles}");
    let policy = iam(&format!("Action=GetPolicy&PolicyArn={arn}"));
    assert!(policy.contains("<PolicyName>managed</PolicyName>"), "somebody else's policy stays: {policy}");
}

#[test]
fn what_spreads_late_and_throttling_are_waited_out() {
    let aws = start_with_network();
    aws.set_faults(&json!([
        { "action": "CreateInstanceProfile", "effect": { "late-visibility-ms": 600 } },
        { "action": "CreateRole", "effect": { "late-visibility-ms": 300 } },
        { "action": "RunInstances", "nth": 1, "effect": "throttle" },
        { "action": "RunInstances", "effect": { "late-visibility-ms": 400 } },
        { "action": "ImportKeyPair", "nth": 1, "effect": "throttle" },
    ]));
    let up = aws.run("host-up", &UP);
    assert_eq!(up.code, Some(0), "{up:#?}");
    aws.clear_faults();
    assert_whole(&aws, "late visibility and throttling");
}

#[test]
fn a_stopped_host_is_started_and_a_changed_size_refused() {
    let aws = start_with_network();
    let up = aws.run("host-up", &UP).expect_code(0);
    let id = instance(&up)["id"].as_str().expect("an id").to_owned();
    let _ = aws.act(&format!("Action=StopInstances&InstanceId.1={id}"));
    let again = aws.run("host-up", &UP).expect_code(0);
    assert_eq!((&instance(&again)["id"], &instance(&again)["state"]), (&json!(id), &json!("running")));

    let larger = include_str!("../../crates/common/labs/hol02.toml").replacen("t3.micro", "t3.small", 1);
    std::fs::write(aws.folder.path().join("lab.toml"), larger).expect("written");
    aws.clear_calls();
    let refused = aws.run("host-up", &["--lab", "lab.toml", "up", "public"]).expect_code(1);
    for part in ["size t3.micro", "lab.toml wants t3.small", "host-up down public"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:#?}");
    }
    assert_eq!(writes(&aws), [""; 0]);
}

#[test]
fn without_a_network_or_with_a_host_that_nobody_knows_nothing_is_changed() {
    let aws = LocalAws::start(&[]);
    let early = aws.run("host-up", &["up", "public"]).expect_code(1);
    assert!(early.stderr.contains("subnet lab-public-subnet") && early.stderr.contains("net-up"), "{early:#?}");
    assert_eq!(writes(&aws), [""; 0]);
    assert!(!aws.folder.path().join("home").exists(), "no key was made");

    aws.clear_calls();
    let unknown = aws.run("host-up", &["up", "pubic"]).expect_code(2);
    assert!(unknown.stderr.contains("public, private"), "{unknown:#?}");
    let _ = aws.run("host-up", &["status", "--check-ready", "pubic"]).expect_code(2);
    let unasked = aws.run("host-up", &["down"]).expect_code(2);
    assert!(unasked.stderr.contains("--yes"), "{unasked:#?}");
    assert_eq!(aws.calls(), [""; 0]);
}

#[test]
fn a_private_host_is_installed_through_a_nat_window() {
    let aws = start_with_network();
    let up = ["up", "private", "--wait-ready"];
    let is_ready = || aws.run("host-up", &["status", "--check-ready", "private"]).code;
    assert_eq!(is_ready(), Some(3), "there is none");
    aws.clear_calls();
    let hopeless = aws.run("host-up", &up).expect_code(1);
    for part in ["lab-private-ec2 has no way to the internet", "net-up nat -- host-up up private --wait-ready"] {
        assert!(hopeless.stderr.contains(part), "{part}: {hopeless:#?}");
    }
    assert_eq!(writes(&aws), [""; 0]);

    // Without waiting it is made, and what it still needs is said.
    let waiting = aws.run("host-up", &["up", "private", "--json"]).expect_code(0);
    let next = "net-up nat -- host-up up private --wait-ready";
    assert_eq!((waiting.json()["next"].as_str(), &instance(&waiting)["ready"]), (Some(next), &json!(false)));
    assert!(waiting.stderr.contains(&format!("still to do: {next}")), "{waiting:#?}");
    assert!(instance(&waiting).get("public_ip").is_none(), "{waiting:#?}");
    let id = instance(&waiting)["id"].clone();
    assert_eq!(is_ready(), Some(3), "it has not installed anything");
    let again = aws.run("host-up", &up).expect_code(1);
    assert!(again.stderr.contains("the NAT window is closed"), "{again:#?}");

    let host_up = lab_tests::find_programs().join("host-up").display().to_string();
    let through: Vec<_> = ["nat", "--", &host_up].into_iter().chain(up).chain(["--json"]).collect();
    let ready = aws.run("net-up", &through).expect_code(0);
    assert_eq!((&instance(&ready)["ready"], &instance(&ready)["id"]), (&json!(true), &id));
    assert_eq!(ready.json().get("next"), None, "{ready:#?}");
    assert_eq!(aws.count("DescribeAddresses", "allocationId"), 0, "the window is closed");
    assert_eq!(is_ready(), Some(0));
    // What is installed needs no internet any more.
    let later = aws.run("host-up", &up).expect_code(0);
    assert!(later.stderr.contains("already as wanted"), "{later:#?}");
    let _ = aws.act(&format!("Action=StopInstances&InstanceId.1={}", id.as_str().expect("an id")));
    let started = aws.run("host-up", &["up", "private", "--json"]).expect_code(0);
    assert_eq!(instance(&started)["state"], "running");
    take_down(&aws);
}

#[test]
fn the_file_server_s_password_is_this_machine_s_and_shows_only_on_request() {
    let aws = start_with_network();
    let up = aws.run("host-up", &["up", "private"]).expect_code(0);
    let home = aws.folder.path().join("home");
    let password = std::fs::read_to_string(home.join("filegator-password")).expect("a password");
    let mode = std::fs::metadata(home.join("filegator-password")).expect("a password").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // No person looks at this terminal, for it is none.
    assert!(up.stderr.contains("log in to lab-private-ec2 as admin; the password is in "), "{up:#?}");
    let quiet = aws.run("host-up", &["status", "--json"]).expect_code(0);
    for said in [up.all(), quiet.all()] {
        assert!(!said.contains(&password), "{said}");
    }
    let asked = instance(&aws.run("host-up", &["status", "--show-url", "--json"]).expect_code(0));
    assert_eq!((&asked["user"], &asked["password"]), (&json!("admin"), &json!(password)));
    assert!(
        asked["url"].as_str().is_some_and(|url| url.starts_with("http://10.0.2.") && url.ends_with(":8080/")),
        "{asked}"
    );

    // Whoever may read the user-data finds a hash that PHP knows, and nothing else.
    let id = asked["id"].as_str().expect("an id");
    let answer = aws.act(&format!("Action=DescribeInstanceAttribute&Attribute=userData&InstanceId={id}"));
    let packed = answer.split("<value>").nth(1).and_then(|rest| rest.split('<').next()).expect("user-data");
    let decode = std::process::Command::new("sh").args(["-c", &format!("echo {packed} | base64 -d")]).output();
    let user_data = String::from_utf8(decode.expect("base64 runs").stdout).expect("text");
    assert!(user_data.contains("\"password\": \"$2y$10$") && !user_data.contains(&password), "{user_data}");

    // A machine without it says so before it changes anything.
    std::fs::rename(home.join("filegator-password"), home.join("elsewhere")).expect("moved");
    aws.clear_calls();
    let refused = aws.run("host-up", &["up", "private"]).expect_code(1);
    assert!(refused.stderr.contains("filegator-password") && refused.stderr.contains("host-up down private"));
    assert_eq!(writes(&aws), [""; 0]);
}

#[test]
fn a_lost_answer_or_a_kill_makes_no_second_file_server() {
    let aws = start_with_network();
    for effect in [json!({ "kill": "caller" }), json!("reset-after")] {
        aws.set_faults(&json!([{ "action": "RunInstances", "nth": 1, "effect": effect }]));
        let _ = aws.run("host-up", &["up", "private"]);
        aws.clear_faults();
        let next = aws.run("host-up", &["up", "private", "--json"]).expect_code(0);
        let instances = next.json()["resources"].as_array().expect("resources").clone();
        assert_eq!(instances.iter().filter(|one| one["kind"] == "instance").count(), 1, "{effect}");
        take_down(&aws);
    }
}

#[test]
fn the_way_to_a_private_host_is_the_vpn_or_a_public_host_that_may() {
    let aws = start_with_network();
    aws.clear_calls();
    let refused = aws.run("host-up", &["ssh", "private", "--via", "public"]).expect_code(2);
    assert!(refused.stderr.contains(r#"add { port = 22, from = "host:public" }"#), "{refused:#?}");
    assert_eq!(aws.calls(), [""; 0]);

    let lab = include_str!("../../crates/common/labs/hol02.toml");
    let open = lab.replace(
        "{ port = 22, from = \"vpn\" }",
        "{ port = 22, from = \"vpn\" }, { port = 22, from = \"host:public\" }",
    );
    std::fs::write(aws.folder.path().join("lab.toml"), open).expect("written");
    let _ = aws.run("net-up", &["--lab", "lab.toml"]).expect_code(0);
    let _ = aws.run("host-up", &["--lab", "lab.toml", "up"]).expect_code(0);
    let direct = aws.run("host-up", &["--lab", "lab.toml", "ssh-config"]).expect_code(0);
    assert!(direct.stdout.contains("Host lab-private-ec2\n    HostName 10.0.2."), "{direct:#?}");
    assert!(!direct.stdout.contains("ProxyJump"), "{direct:#?}");
    let jump = aws.run("host-up", &["--lab", "lab.toml", "ssh-config", "--via", "public"]).expect_code(0);
    assert_eq!(jump.stdout.matches("ProxyJump lab-public-ec2").count(), 1, "{jump:#?}");
}

#[test]
fn a_lost_home_is_said_and_nothing_is_changed() {
    let aws = start_with_network();
    let _ = aws.run("host-up", &UP).expect_code(0);
    std::fs::rename(aws.folder.path().join("home"), aws.folder.path().join("elsewhere")).expect("moved");
    aws.clear_calls();
    let refused = aws.run("host-up", &["up", "public"]).expect_code(1);
    assert!(refused.stderr.contains("ssh-key") && refused.stderr.contains("jupyter-token"), "{refused:#?}");
    assert_eq!(writes(&aws), [""; 0]);
    take_down(&aws);
}

#[test]
fn a_learner_lab_gets_its_own_profile_and_no_iam_writes() {
    let aws = LocalAws::start(&["--caller-arn", "arn:aws:sts::123456789012:assumed-role/voclabs/user1=Ada"]);
    let _ = aws.run("net-up", &[]).expect_code(0);
    aws.clear_calls();
    let plan = aws.run("host-up", &["plan", "public", "--json"]).expect_code(0);
    let changes = plan.json()["changes"].as_array().expect("changes").clone();
    let kinds: Vec<_> = changes.iter().map(|change| change["kind"].clone()).collect();
    assert_eq!(kinds, [json!("key-pair"), json!("instance")]);
}

#[test]
fn expired_credentials_say_so_and_a_fresh_token_continues() {
    let aws = start_with_network();
    for rule in [
        json!({ "effect": "expired-credentials" }),
        json!({ "action": "RunInstances", "effect": "expired-credentials" }),
    ] {
        aws.set_faults(&json!([rule]));
        let expired = aws.run("host-up", &UP).expect_code(1);
        assert!(expired.stderr.contains("the AWS credentials have expired"), "{expired:#?}");
        aws.clear_faults();
        let _ = aws.run("host-up", &UP).expect_code(0);
        assert_whole(&aws, "a fresh token");
        take_down(&aws);
    }
}
