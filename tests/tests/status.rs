//! What every status of a lab tells.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use lab_tests::LocalAws;
use serde_json::{Value, json};

/// The things of a kind in a list of them.
fn of_kind<'a>(list: &'a Value, kind: &str) -> Vec<&'a Value> {
    list.as_array().expect("a list").iter().filter(|one| one["kind"] == kind).collect()
}

/// The text of an element of EC2's XML.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let rest = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}")).1;
    rest.split_once('<').expect("an end").0
}

/// The tags of ada's lab as EC2's parameters.
fn tag_specification(kind: &str) -> String {
    format!(
        "TagSpecification.1.ResourceType={kind}&TagSpecification.1.Tag.1.Key=hybrid-lab:lab&\
         TagSpecification.1.Tag.1.Value=lab&TagSpecification.1.Tag.2.Key=hybrid-lab:owner&\
         TagSpecification.1.Tag.2.Value=ada"
    )
}

fn make_bucket(aws: &LocalAws, name: &str) {
    let _ = aws.send("s3", "PUT", &format!("/{name}"), "");
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    let tags = tag("hybrid-lab:lab", "lab") + &tag("hybrid-lab:owner", "ada");
    let body = format!("<Tagging><TagSet>{tags}</TagSet></Tagging>");
    let _ = aws.send("s3", "PUT", &format!("/{name}?tagging"), &body);
}

#[test]
fn an_open_nat_window_is_told_by_every_status_until_it_is_closed() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &["up", "--yes"]).expect_code(0);
    let _ = aws.run("net-up", &["nat", "open", "--yes"]).expect_code(0);
    let programs: [(&str, &[&str]); 5] = [
        ("net-up", &["status"]),
        ("host-up", &["status"]),
        ("pipeline-up", &["status"]),
        ("vpn-setup", &["status"]),
        ("lab-status", &[]),
    ];
    for (program, arguments) in programs {
        let status = aws.run(program, arguments).expect_code(0);
        let told = status.stderr.matches("the NAT window is open").count();
        assert_eq!(told, 1, "{program}: {status:#?}");
        assert!(status.stderr.contains("$0.045 an hour") && status.stderr.contains("net-up nat close"), "{status:#?}");
    }
    let leaks = aws.run("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let leaks = leaks["leaks"].as_array().expect("leaks").clone();
    let gateway = leaks.iter().find(|leak| leak["kind"] == "natgateway").expect("the gateway is left");
    assert_eq!(
        (&gateway["remove"], &gateway["usd_per_hour"]),
        (&"net-up nat close --lab hol02 --owner ada".into(), &0.045.into())
    );

    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    for (program, arguments) in programs {
        let status = aws.run(program, arguments).expect_code(0);
        assert!(!status.stderr.contains("NAT window"), "{program}: {status:#?}");
    }
}

#[test]
fn what_only_tags_tell_is_found_with_the_call_that_removes_it() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    make_bucket(&aws, "some-earlier-name");
    let _ = aws.send("s3", "PUT", "/some-earlier-name/notes.txt", "hello");
    let _ = aws.send("s3", "PUT", "/somebody-elses", "");
    let volume = aws.act(&format!(
        "Action=CreateVolume&AvailabilityZone=us-east-1a&Size=10&VolumeType=gp3&{}",
        tag_specification("volume")
    ));
    let volume = element(&volume, "volumeId").to_owned();
    let denied = json!([{
        "service": "tagging",
        "effect": { "error": { "code": "AccessDeniedException", "status": 400, "message": "not you" } }
    }]);
    for tagging_answers in [true, false] {
        if tagging_answers {
            aws.clear_faults();
        } else {
            aws.set_faults(&denied);
        }
        let answer = aws.run("lab-status", &["leaks", "--json"]).expect_code(1);
        assert_eq!(answer.stderr.contains("not you"), !tagging_answers, "{answer:#?}");
        let document = answer.json();
        let leaks = &document["leaks"];
        assert_eq!(leaks.as_array().map(Vec::len), Some(2), "{document:#}");
        let bucket = of_kind(leaks, "bucket")[0];
        assert_eq!(bucket["remove"], "aws s3 rb s3://some-earlier-name --force --region us-east-1");
        assert_eq!(bucket["blocks"][0]["what"], "it holds 1 object version");
        let disk = of_kind(leaks, "volume")[0];
        assert_eq!(disk["remove"], format!("aws ec2 delete-volume --volume-id {volume} --region us-east-1"));
        assert_eq!(disk["usd_per_hour"], 0.001_096);
        assert!(disk["created"].is_string() && disk["age_s"].is_u64() && disk["usd_so_far"].is_number(), "{disk}");
        assert_eq!(document["unread"], json!([]));
    }
    let shown = aws.run("lab-status", &[]).expect_code(0);
    assert!(shown.stdout.contains("some-earlier-name") && shown.stdout.contains(&volume), "{shown:#?}");

    let _ = aws.send("s3", "DELETE", "/some-earlier-name/notes.txt", "");
    let _ = aws.send("s3", "DELETE", "/some-earlier-name", "");
    let _ = aws.act(&format!("Action=DeleteVolume&VolumeId={volume}"));
    let nothing = aws.run("lab-status", &["leaks"]).expect_code(0);
    assert!(nothing.stdout.starts_with("nothing of lab of ada is left in us-east-1"), "{nothing:#?}");
    assert!(nothing.stderr.contains("note: the tags of all services cannot be listed at once"), "{nothing:#?}");
}

#[test]
fn a_log_group_of_any_name_is_left_as_long_as_it_bears_our_tags() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let call = |action: &str, body: Value| {
        let _ = aws.send_json("logs", &format!("Logs_20140328.{action}"), &body.to_string());
    };
    let tags = json!({ "hybrid-lab:lab": "lab", "hybrid-lab:owner": "ada" });
    call("CreateLogGroup", json!({ "logGroupName": "/made/by-hand", "tags": tags }));
    let document = aws.run("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let group = of_kind(&document["leaks"], "log-group")[0];
    assert_eq!((&group["name"], &document["unconfirmed"]), (&"/made/by-hand".into(), &json!([])), "{document:#}");
    call("DeleteLogGroup", json!({ "logGroupName": "/made/by-hand" }));
    let nothing = aws.run("lab-status", &["leaks"]).expect_code(0);
    assert!(nothing.stdout.starts_with("nothing of lab of ada is left"), "{nothing:#?}");
}

#[test]
fn a_bucket_that_may_not_be_looked_at_is_no_stranger_s_for_that() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.send("s3", "PUT", "/somebody-elses", "");
    let refuse = |code: &str, status: u16| {
        aws.set_faults(&json!([{
            "action": "GetBucketTagging",
            "effect": { "error": { "code": code, "status": status, "message": "not you" } }
        }]));
    };
    refuse("AccessDenied", 403);
    let all_labs = ["leaks", "--all-labs"];
    let strangers = aws.run("lab-status", &all_labs).expect_code(0);
    assert!(strangers.stderr.contains("note: 1 bucket could not be looked at"), "{strangers:#?}");
    // What failed for another reason may be anybody's.
    refuse("Strange", 400);
    let failed = aws.run("lab-status", &all_labs).expect_code(1);
    assert!(failed.stdout.contains("not known: GetBucketTagging of somebody-elses: Strange"), "{failed:#?}");
    // The tagging API names this one as ours.
    aws.clear_faults();
    make_bucket(&aws, "some-earlier-name");
    refuse("AccessDenied", 403);
    let ours = aws.run("lab-status", &all_labs).expect_code(1);
    assert!(ours.stdout.contains("not known: GetBucketTagging of some-earlier-name"), "{ours:#?}");
    assert!(!ours.stdout.contains("nothing of any lab"), "{ours:#?}");
    aws.set_faults(&json!([{
        "action": "ListObjectVersions",
        "effect": { "error": { "code": "AccessDenied", "status": 403, "message": "not you" } }
    }]));
    let listed = aws.run("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let bucket = of_kind(&listed["leaks"], "bucket")[0];
    assert_eq!((&bucket["name"], &bucket["empty"]), (&"some-earlier-name".into(), &Value::Null), "{listed:#}");
}

#[test]
fn a_bucket_with_our_name_and_no_tags_is_told_and_not_removed() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.send("s3", "PUT", "/lab-input-bucket-ada", "");
    let leaks = aws.run("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let bucket = of_kind(&leaks["leaks"], "bucket")[0];
    assert_eq!(bucket["remove"], "aws s3 ls s3://lab-input-bucket-ada --region us-east-1", "{bucket:#}");
    let text = aws.run("lab-status", &["leaks"]).expect_code(1).stdout;
    assert!(text.contains("it bears no tags of the lab, look whose it is: `aws s3 ls"), "{text}");
    assert!(!text.contains("removed by"), "{text}");
}

#[test]
fn a_lab_file_that_cannot_be_read_leaves_no_other_region_looked_at() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let answer = aws.run("lab-status", &["leaks", "--all-labs", "--lab", "typo.toml"]).expect_code(2);
    assert!(answer.stderr.contains("cannot read the lab file typo.toml"), "{answer:#?}");
    assert_eq!(aws.calls(), Vec::<String>::new());
}

#[test]
fn what_may_not_be_read_is_not_called_nothing_left() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    aws.set_faults(&json!([{
        "action": "DescribeVolumes",
        "effect": { "error": { "code": "UnauthorizedOperation", "status": 403, "message": "not you" } }
    }]));
    let answer = aws.run("lab-status", &["leaks"]).expect_code(1);
    assert!(answer.stdout.contains("not known: DescribeVolumes: UnauthorizedOperation: not you"), "{answer:#?}");
    assert!(!answer.stdout.contains("nothing of lab of ada is left"), "{answer:#?}");
}

#[test]
fn a_stranger_s_interface_in_our_subnet_is_named_and_what_it_blocks_too() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &["up", "--yes"]).expect_code(0);
    let subnets = aws.run("net-up", &["status", "--json"]).expect_code(0).json();
    let public = of_kind(&subnets["resources"], "subnet").into_iter().find(|one| one["name"] == "lab-public-subnet");
    let public = public.expect("the public subnet")["id"].as_str().expect("an id").to_owned();
    let made = aws.act(&format!("Action=CreateNetworkInterface&SubnetId={public}&Description=backup agent of bob"));
    let interface = element(&made, "networkInterfaceId").to_owned();

    let document = aws.run("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let leaks = &document["leaks"];
    assert!(leaks.as_array().expect("leaks").iter().all(|leak| leak["id"] != interface.as_str()), "it is not ours");
    for (kind, id) in [("subnet", Some(&public)), ("vpc", None)] {
        let of_kind = of_kind(leaks, kind);
        let leak = of_kind.iter().find(|leak| id.is_none_or(|id| leak["id"] == id.as_str())).expect("it is left");
        let block = &leak["blocks"][0];
        assert_eq!(block["id"], interface.as_str(), "{leak:#}");
        let what = block["what"].as_str().expect("words");
        assert!(what.contains("backup agent of bob") && what.contains("123456789012"), "{what}");
        assert!(block["remove"].as_str().expect("a command").contains(&interface), "{leak:#}");
    }
    let text = aws.run("lab-status", &["leaks"]).expect_code(1).stdout;
    assert!(text.contains(&format!("in the way: network-interface {interface}")), "{text}");
}

#[test]
fn what_is_deleted_and_still_tagged_is_no_leak() {
    let aws = LocalAws::start(&["--state-times", "0", "--tag-memory", "86400"]);
    for up in [&["net-up", "up"][..], &["host-up", "up", "public"], &["pipeline-up", "up"], &["vpn-setup", "up"]] {
        let _ = aws.run(up[0], &[&up[1..], &["--yes"]].concat()).expect_code(0);
    }
    let leaks = aws.run("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let association = of_kind(&leaks["leaks"], "client-vpn-target-network")[0];
    assert_eq!(
        (&association["usd_per_hour"], &association["remove"]),
        (&0.1.into(), &"vpn-setup down --lab hol02 --owner ada".into())
    );
    let endpoint = of_kind(&leaks["leaks"], "client-vpn-endpoint")[0];
    assert_eq!(endpoint["blocks"][0]["id"], association["id"], "the association is in the endpoint's way");
    let certificate = of_kind(&leaks["leaks"], "certificate")[0];
    assert_eq!(certificate["blocks"][0]["id"], endpoint["id"], "the endpoint is in the certificate's way");
    let subnet = of_kind(&leaks["leaks"], "subnet").into_iter().find(|one| one["name"] == "lab-public-subnet");
    let blocks = subnet.expect("the subnet")["blocks"].to_string();
    assert!(blocks.contains("lab-public-ec2") && blocks.contains("VPN association"), "{blocks}");

    let _ = aws.run("net-up", &["nat", "open", "--yes"]).expect_code(0);
    let _ = aws.run("net-up", &["nat", "close", "--yes"]).expect_code(0);
    for down in ["vpn-setup", "host-up", "pipeline-up", "net-up"] {
        let _ = aws.run(down, &["down", "--yes"]).expect_code(0);
    }
    let tagged = aws.send_json("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", "{}");
    for gone in ["lab-input-bucket-ada", "client-vpn-endpoint/", "instance/i-", "vpc/vpc-"] {
        assert!(tagged.contains(gone), "{gone} is remembered: {tagged}");
    }
    let left = aws.run("lab-status", &["leaks"]).expect_code(0);
    assert!(left.stdout.starts_with("nothing of lab of ada is left"), "{left:#?}");
    let labs = aws.run("lab-status", &["leaks", "--all-labs"]).expect_code(0);
    assert_eq!(labs.stdout, "nothing of any lab is left in us-east-1\n");
}

#[test]
fn every_lab_of_the_account_is_told_with_its_owner_and_needs_no_lab_file() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    for owner in ["ada", "bob"] {
        let _ = aws.run("net-up", &["up", "--yes", "--owner", owner]).expect_code(0);
        let _ = aws.run("host-up", &["up", "public", "--yes", "--owner", owner]).expect_code(0);
    }
    let _ = aws.run("pipeline-up", &["up", "--yes", "--owner", "bob"]).expect_code(0);
    let all_labs = |arguments: &[&str]| {
        let mut command = aws.command("lab-status", &[&["leaks", "--all-labs"], arguments].concat());
        lab_tests::Answer::from(command.env_remove("LAB_FILE").env_remove("LAB_OWNER").output().expect("it starts"))
    };
    let document = all_labs(&["--json"]).expect_code(1).json();
    let labs = document["labs"].as_array().expect("labs");
    let owners: Vec<_> = labs.iter().map(|lab| lab["owner"].as_str().expect("an owner")).collect();
    assert_eq!(owners, ["ada", "bob"]);
    for lab in labs {
        assert_eq!(lab["count"].as_u64(), lab["leaks"].as_array().map(|leaks| leaks.len() as u64));
        assert!(lab["age_s"].is_u64() && lab["usd_per_hour"].as_f64().is_some_and(|usd| usd > 0.0154), "{lab:#}");
    }
    assert_eq!(of_kind(&labs[1]["leaks"], "bucket").len(), 2, "{document:#}");
    for kind in ["role", "instance-profile", "key-pair", "instance"] {
        let left = of_kind(&labs[0]["leaks"], kind);
        let command = "host-up down --lab FILE-OF-lab --owner ada --region us-east-1";
        assert_eq!((left.len(), &left[0]["remove"]), (1, &command.into()), "{kind}");
    }
    let text = all_labs(&[]).expect_code(1).stdout;
    assert!(text.contains("lab of ada: ") && text.contains("2 labs have something left in us-east-1"), "{text}");

    // One owner's leaks are none of the other's.
    let _ = aws.run("host-up", &["down", "--yes"]).expect_code(0);
    let _ = aws.run("net-up", &["down", "--yes"]).expect_code(0);
    let _ = aws.run("lab-status", &["leaks"]).expect_code(0);
    let document = all_labs(&["--json"]).expect_code(1).json();
    assert_eq!(document["labs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn watching_survives_a_failed_look_and_ends_with_ctrl_c() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    // Three parts of each look ask who we are: the second look fails.
    aws.set_faults(&json!([{
        "action": "GetCallerIdentity", "from": 4, "times": 3,
        "effect": { "error": { "code": "Strange", "status": 400, "message": "not today" } }
    }]));
    let mut watch = aws
        .command("lab-status", &["--watch=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let mut wait_for = |what: &str| {
        let found = lines.find(|line| line.contains(what));
        assert!(found.is_some(), "{what:?} is never said");
    };
    wait_for("every 1 s, Ctrl-C ends");
    wait_for("nothing of lab of ada exists");
    wait_for("not today");
    wait_for("nothing of lab of ada exists");
    let pid = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(watch.wait().expect("it ends").code(), Some(130));
}

#[test]
fn the_estimate_needs_nothing_and_nobody() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let cost = |arguments: &[&str]| {
        let mut command = aws.command("lab-status", &[&["cost", "--json"], arguments].concat());
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        lab_tests::Answer::from(command.output().expect("it starts")).expect_code(0)
    };
    for answer in [cost(&["--estimate"]), cost(&[])] {
        let document = answer.json();
        let estimate = &document["estimate"];
        // Two t3.micro (0.0104), 2 × 8 GB gp3 (0.08 a GB-month of 730 h), one address (0.005), one association (0.10).
        assert_eq!(estimate["usd_per_hour"], 0.127_553);
        // And a connected client (0.05) all the time, and once an hour of NAT gateway (0.045) with its address (0.005).
        assert_eq!(estimate["usd_hour"], 0.227_553);
        assert_eq!(estimate["usd_day"], 4.311_282);
        assert_eq!(estimate["usd_month"], 129.664);
        assert_eq!((&estimate["hours"], &estimate["usd_expected"]), (&4.0.into(), &0.760_214.into()));
        assert_eq!((&document["now"], &document["prices_region"]), (&Value::Null, &"us-east-1".into()));
    }
    let quiet = cost(&["--hours", "10", "--nat-hours", "0.5", "--vpn-hours", "2", "--clients", "3"]).json();
    // 10 h of hosts, 2 h of association and of three clients, a started hour of the gateway and half one of its address.
    assert_eq!(quiet["estimate"]["usd_expected"], 0.823_034);
    assert!(cost(&[]).stderr.contains("there are no AWS credentials"), "it says so");
    assert_eq!(aws.calls(), Vec::<String>::new());
}

#[test]
fn what_exists_costs_as_it_does_and_uses_up_the_budget() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &["up", "--yes"]).expect_code(0);
    let _ = aws.run("host-up", &["up", "public", "--yes"]).expect_code(0);
    let document = aws.run("lab-status", &["cost", "--json"]).expect_code(0).json();
    // A t3.micro, its 8 GB, its address.
    assert_eq!(document["now"]["usd_per_hour"], 0.016_277);
    let (hours, so_far) = (document["budget"]["hours_left"].as_f64(), document["now"]["usd_so_far"].as_f64());
    assert!(hours.is_some_and(|hours| (hours - 50.0 / 0.016_277).abs() < 2.0), "{document:#}");
    assert!(so_far.is_some_and(|usd| (0.0..0.01).contains(&usd)), "{document:#}");
    assert!(!aws.calls().contains(&"GetCostAndUsage".to_owned()), "asking costs money: only on wish");

    aws.set_faults(&json!([{
        "service": "ce",
        "effect": { "error": { "code": "AccessDeniedException", "status": 400, "message": "not you" } }
    }]));
    let denied = aws.run("lab-status", &["cost", "--cost-explorer"]).expect_code(0);
    assert!(denied.stderr.contains("note: Cost Explorer was not asked"), "{denied:#?}");
    aws.clear_faults();
    let asked = aws.run("lab-status", &["cost", "--cost-explorer"]).expect_code(0);
    assert!(asked.stdout.contains("billed:   $0.0000 from "), "{asked:#?}");
}
