//! Faults on purpose, the call log, and the control path.

mod support;

use serde_json::json;
use support::{FORM, LAB_SIM, Sim, form};

fn vpcs(sim: &Sim, cidr: &str) -> Vec<String> {
    sim.ec2("DescribeVpcs", &[("Filter.1.Name", "cidr"), ("Filter.1.Value.1", cidr)]).ok().elements("vpcId")
}

#[test]
fn rules_spoil_the_calls_they_name_and_no_others() {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let sim = Sim::start(&["--call-log", &log.path().display().to_string()]);
    let create = |cidr: &str| sim.ec2("CreateVpc", &[("CidrBlock", cidr)]);
    let lost = |cidr: &str| {
        let body = form("ec2", "CreateVpc", &[("CidrBlock", cidr)]);
        assert!(sim.try_request("ec2", "POST", "/", &FORM, body.as_bytes()).is_none(), "the connection closes");
    };

    sim.set_faults(&json!([{ "action": "CreateVpc", "nth": 2, "effect": "throttle" }]));
    create("10.1.0.0/16").ok();
    assert_eq!(create("10.2.0.0/16").refusal(), (503, "RequestLimitExceeded".to_owned()));
    assert!(vpcs(&sim, "10.2.0.0/16").is_empty());

    sim.set_faults(&json!([{ "action": "CreateVpc", "effect": "reset-before" }]));
    lost("10.3.0.0/16");
    assert!(vpcs(&sim, "10.3.0.0/16").is_empty(), "the server did not act");

    sim.set_faults(&json!([{ "action": "CreateVpc", "effect": "reset-after" }]));
    lost("10.4.0.0/16");
    assert_eq!(vpcs(&sim, "10.4.0.0/16").len(), 1, "the server did act");

    sim.set_faults(&json!([{ "service": "*", "from": 2, "effect": "expired-credentials" }]));
    assert!(vpcs(&sim, "10.5.0.0/16").is_empty());
    assert_eq!(sim.ec2("DescribeVpcs", &[]).refusal(), (400, "RequestExpired".to_owned()));
    assert_eq!(sim.query("sts", "GetCallerIdentity", &[]).refusal(), (403, "ExpiredToken".to_owned()));
    assert_eq!(sim.request("s3", "GET", "/", &[], b"").refusal(), (400, "ExpiredToken".to_owned()));
    let lambda = sim.request("lambda", "GET", "/2015-03-31/functions", &[], b"");
    assert_eq!(lambda.refusal(), (403, "ExpiredTokenException".to_owned()));

    let late = json!([{ "action": "CreateVpc", "effect": { "late-visibility-ms": 600_000 } }]);
    sim.set_faults(&late);
    let id = create("10.6.0.0/16").ok().element("vpcId");
    let subnet = [("VpcId", id.as_str()), ("CidrBlock", "10.6.1.0/24")];
    assert_eq!(sim.ec2("CreateSubnet", &subnet).refusal(), (400, "InvalidVpcID.NotFound".to_owned()));
    assert!(vpcs(&sim, "10.6.0.0/16").is_empty());
    sim.advance(600);
    assert_eq!(vpcs(&sim, "10.6.0.0/16"), std::slice::from_ref(&id));
    sim.ec2("CreateSubnet", &subnet).ok();

    let wrong = sim.control("POST", "faults", r#"[{"efect": 1}]"#);
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("rule 1: unknown field"), "{}", wrong.text());

    let calls = sim.control("GET", "calls", "").ok().json();
    let calls = calls.as_array().expect("a list");
    let resets = calls.iter().filter(|call| call["fault"] == "reset-after").collect::<Vec<_>>();
    assert_eq!(resets.len(), 1);
    assert_eq!((&resets[0]["action"], &resets[0]["status"]), (&json!("CreateVpc"), &json!(null)));
    let lines = std::fs::read_to_string(log.path()).expect("the call log");
    assert_eq!(lines.lines().count(), calls.len(), "the file has what the control path has");
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["service"], &first["status"]), (&json!("ec2"), &json!(200)));

    sim.control("POST", "reset", "").ok();
    assert!(vpcs(&sim, "10.1.0.0/16").is_empty(), "a reset forgets everything");
    assert_eq!(sim.control("GET", "calls", "").ok().json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_kill_rule_kills_the_caller_of_one_call_after_it_took_effect() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = folder.path().join("faults.json");
    std::fs::write(&faults, r#"[{"action": "CreateVpc", "nth": 1, "effect": {"kill": "caller"}}]"#).expect("written");
    let script = r#"
        call() {
            curl -sS -H "authorization: AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/ec2/aws4_request, Signature=0" \
                -d "$1&Version=2016-11-15" "$AWS_ENDPOINT_URL"
        }
        call 'Action=CreateVpc&CidrBlock=10.7.0.0%2F16' || echo "killed with $?"
        call 'Action=DescribeVpcs'
    "#;
    let output = std::process::Command::new(LAB_SIM)
        .args(["--faults", &faults.display().to_string(), "--", "sh", "-c", script])
        .output()
        .expect("lab-sim runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("killed with 137"), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("10.7.0.0/16"), "the call had taken effect: {text}");
}

#[test]
fn a_kill_rule_kills_the_whole_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = folder.path().join("faults.json");
    std::fs::write(&faults, r#"[{"nth": 2, "effect": {"kill": "command"}}]"#).expect("written");
    let script = r#"
        for n in 1 2 3; do
            curl -sS -o /dev/null "$AWS_ENDPOINT_URL/"
            echo "call $n"
        done
    "#;
    let output = std::process::Command::new(LAB_SIM)
        .args(["--faults", &faults.display().to_string(), "--", "sh", "-c", script])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("lab-sim runs");
    assert_eq!(output.status.code(), Some(137), "128 + SIGKILL");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "call 1\n");
}
