//! The lab in pictures: what `picture`, `report` and `serve` show of a live lab, and what a real browser says of it.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what a test says is read where it fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lab_tests::{LocalAws, find_root};
use serde_json::Value;

fn read(aws: &LocalAws, name: &str) -> String {
    std::fs::read_to_string(aws.folder.path().join(name)).expect("the file is there")
}

/// Both networks, hosts, pipeline and VPN.
fn make_lab(aws: &LocalAws) {
    for program in ["net-up", "host-up", "pipeline-up", "vpn-setup"] {
        let _ = aws.run(program, &["up", "--yes"]).expect_code(0);
    }
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// The calls that have changed something: an export of a revocation list has not.
fn list_writes(aws: &LocalAws) -> Vec<String> {
    aws.writes().into_iter().filter(|action| !action.starts_with("Export")).collect()
}

/// The words of a picture's marks.
fn marks(svg: &str, word: &str) -> usize {
    count(svg, &format!(">\n{word}\n</text>"))
}

#[test]
fn a_picture_shows_what_is_there_what_is_missing_and_what_has_drifted() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("lab-status", &["picture", "--svg", "none.svg"]).expect_code(0);
    let none = read(&aws, "none.svg");
    assert!(marks(&none, "missing") > 10, "{none}");
    let _ = aws.run("lab-status", &["picture", "--plan", "--svg", "plan.svg"]).expect_code(0);
    let plan = read(&aws, "plan.svg");
    assert!(marks(&plan, "+ add") > 10 && marks(&plan, "missing") == 0, "{plan}");

    make_lab(&aws);
    aws.clear_calls();
    let _ = aws.run("lab-status", &["picture", "--svg", "lab.svg"]).expect_code(0);
    assert_eq!(list_writes(&aws), Vec::<String>::new(), "a picture changes nothing");
    let lab = read(&aws, "lab.svg");
    for part in ["lab-vpc", "10.0.0.0/16", "TCP 22, 8888", "TCP 22, 8080", "lab-client-vpn-endpoint", "lab-igw"] {
        assert!(lab.contains(part), "{part} is missing from {lab}");
    }
    assert!(!lab.contains("123456789012"), "the account's number is nobody's business");
    // The function is not deployed, so that nothing can invoke it.
    assert_eq!(marks(&lab, "≠ drifted"), 0, "{lab}");

    let groups = aws.act("Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=lab-public-ec2");
    let id = groups.split_once("<groupId>").and_then(|(_, rest)| rest.split_once('<')).expect("a group").0.to_owned();
    let rule = "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=3389&IpPermissions.1.ToPort=3389";
    let _ = aws.act(&format!(
        "Action=AuthorizeSecurityGroupIngress&GroupId={id}&{rule}&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"
    ));
    let _ = aws.run("lab-status", &["picture", "--svg", "drifted.svg"]).expect_code(0);
    let drifted = read(&aws, "drifted.svg");
    assert!(marks(&drifted, "≠ drifted") >= 1 && drifted.contains("TCP 3389"), "{drifted}");

    let _ = aws.run("lab-status", &["picture", "--all-labs", "--svg", "all.svg"]).expect_code(0);
    for part in ["TCP 22, 8888", "TCP 22, 8080", "10.0.1.0/24", "0.0.0.0/0 to the internet gateway", "UDP 443"] {
        assert!(read(&aws, "all.svg").contains(part), "{part} is missing");
    }
    assert!(read(&aws, "all.svg").contains("Lab “lab” of ada"));
}

/// The text between two others.
fn find_between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} is missing from {text}"));
    rest.split_once(after).expect("an end").0.to_owned()
}

#[test]
fn a_picture_knows_what_was_renamed_and_draws_no_route_that_somebody_has_deleted() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("lab-status", &["picture", "--plan", "--html", "empty.html"]).expect_code(0);
    let empty = read(&aws, "empty.html");
    assert!(empty.contains("$0.0000 an hour now, $0.1") && !empty.contains("up would stop"), "{empty}");

    for program in ["net-up", "host-up"] {
        let _ = aws.run(program, &["up", "--yes"]).expect_code(0);
    }
    let vpc = "Filter.1.Name=tag:Name&Filter.1.Value.1=lab-vpc";
    let vpc = find_between(&aws.act(&format!("Action=DescribeVpcs&{vpc}")), "<vpcId>", "<");
    let table = "Filter.1.Name=tag:Name&Filter.1.Value.1=lab-public-to-internet";
    let table = find_between(&aws.act(&format!("Action=DescribeRouteTables&{table}")), "<routeTableId>", "<");
    let _ = aws.act(&format!("Action=CreateTags&ResourceId.1={vpc}&Tag.1.Key=Name&Tag.1.Value=mine"));
    let _ = aws.act(&format!("Action=DeleteRoute&RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0"));
    let _ = aws.run("lab-status", &["picture", "--svg", "lab.svg"]).expect_code(0);
    let description = find_between(&read(&aws, "lab.svg"), "<desc", "</desc>");
    assert!(description.contains(&format!("VPC mine, {vpc}, available, 10.0.0.0/16.")), "{description}");
    assert!(description.contains("≠ drifted, missing: 0.0.0.0/0 to lab-igw"), "{description}");
    assert!(!description.contains("as its way to the internet"), "{description}");
    let _ = aws.run("lab-status", &["picture", "--plan", "--svg", "plan.svg"]).expect_code(0);
    let plan = find_between(&read(&aws, "plan.svg"), "<desc", "</desc>");
    assert!(plan.contains("~ change, 0.0.0.0/0 to lab-igw"), "{plan}");
    assert!(plan.contains("the internet gateway as its way to the internet"), "{plan}");
}

#[test]
fn a_report_proves_each_step_notices_edits_and_says_what_is_left_after_down() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    make_lab(&aws);
    aws.clear_calls();
    let made = aws.run("lab-status", &["report", "--out", "report.html"]).expect_code(0);
    assert_eq!(list_writes(&aws), Vec::<String>::new(), "a report changes nothing");
    assert!(made.stdout.contains("Task 1: ") && made.stdout.contains("digest: sha256:"), "{made:#?}");
    let page = read(&aws, "report.html");
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for part in ["✓ passed</span><div>Create the VPC and the public subnet.", "lab-client-vpn-endpoint", "Timeline"] {
        assert!(page.contains(part), "{part:?} is missing");
    }
    for secret in ["123456789012", "PRIVATE KEY", "token="] {
        assert!(!page.contains(secret), "{secret} is in the report");
    }
    let _ = aws.run("lab-status", &["report", "--verify", "report.html"]).expect_code(0);
    // The page's own bytes are signed, so what it says of its version changes nothing.
    let edited = page.replacen("✗ not passed", "✓ passed", 1).replace("\"version\":\"", "\"version\":\"9");
    assert_ne!(edited, page, "the function is not deployed");
    std::fs::write(aws.folder.path().join("edited.html"), edited).expect("a file");
    let told = aws.run("lab-status", &["report", "--verify", "edited.html"]).expect_code(1);
    assert!(told.stderr.contains("has been changed"), "{told:#?}");

    for (program, arguments) in [
        ("vpn-setup", vec!["down"]),
        ("host-up", vec!["down"]),
        ("pipeline-up", vec!["down"]),
        ("net-up", vec!["down"]),
    ] {
        let arguments: Vec<&str> = arguments.into_iter().chain(["--yes"]).collect();
        let _ = aws.run(program, &arguments).expect_code(0);
    }
    let edited = aws.run("lab-status", &["report", "--before", "edited.html", "--out", "final.html"]).expect_code(1);
    assert!(edited.stderr.contains("has been changed"), "{edited:#?}");
    let add = ["report", "--before", "report.html", "--out", "final.html"];
    let _ = aws.run("lab-status", &add).expect_code(0);
    let last = read(&aws, "final.html");
    let asked = ": nothing is left (asked: EC2, S3, Lambda, Logs, SQS, ACM, IAM and the tags of all services)";
    assert!(last.contains(asked) && last.contains("✓ passed"), "{last}");
    let before = made.stdout.split_once("digest: ").expect("a digest").1.trim();
    assert!(last.contains(&format!("whose digest is <code>{before}</code>")), "{before} is not in {last}");
    let verified = aws.run("lab-status", &["report", "--verify", "final.html"]).expect_code(0);
    assert!(verified.stdout.starts_with("final.html: as it was made: lab lab of ada"), "{verified:#?}");

    aws.set_faults(&serde_json::json!([{
        "service": "tagging",
        "effect": { "error": { "code": "AccessDeniedException", "status": 400, "message": "not you" } }
    }]));
    let _ = aws.run("lab-status", &add).expect_code(0);
    let last = read(&aws, "final.html");
    assert!(last.contains("what else bears the lab&#39;s tags is not known)") && last.contains("not you"), "{last}");
}

/// A dashboard; dropping it ends it.
struct Dashboard {
    child: Child,
    url: String,
}

impl Dashboard {
    fn start(aws: &LocalAws) -> Self {
        let mut command = aws.command("lab-status", &["serve", "--every", "2", "--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        let _ = BufReader::new(stdout).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        Self { child, url: said["url"].as_str().expect("an address").to_owned() }
    }

    fn address(&self) -> &str {
        self.url.trim_start_matches("http://").split('/').next().expect("an address")
    }

    fn path(&self) -> &str {
        &self.url[self.url.rfind(self.address()).expect("an address") + self.address().len()..]
    }

    fn ask(&self, host: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_dashboard_answers_only_who_has_its_address_and_follows_the_lab() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &["up", "--yes"]).expect_code(0);
    let dashboard = Dashboard::start(&aws);
    let (address, path) = (dashboard.address().to_owned(), dashboard.path().to_owned());
    for (host, path) in [(address.as_str(), "/"), (&address, "/wrong/"), ("evil.example", &path)] {
        assert!(dashboard.ask(host, path).starts_with("HTTP/1.1 404"), "{host} {path}");
    }
    lab_tests::wait_until("the lab is shown", || dashboard.ask(&address, &path).contains("lab-vpc"));
    let page = dashboard.ask(&address, &path);
    assert!(
        page.contains("no-store") && page.contains("frame-ancestors 'none'") && !page.contains("<script>"),
        "{page}"
    );
    assert!(dashboard.ask(&address, &format!("{path}lab.svg")).contains("image/svg+xml"));

    let _ = aws.run("pipeline-up", &["up", "--yes"]).expect_code(0);
    lab_tests::wait_until("the buckets are an event", || {
        dashboard.ask(&address, &path).contains("bucket lab-input-bucket-ada is there")
    });
}

/// How many rounds of calls this was: the longest chain in which each began after the one before it had ended. `calls` are
/// those of the call log.
fn count_rounds(calls: &[Value]) -> usize {
    let mut spans: Vec<_> = calls
        .iter()
        .map(|call| {
            let start: jiff::Timestamp = call["time"].as_str().expect("a time").parse().expect("RFC 3339");
            let took = jiff::SignedDuration::from_secs_f64(call["ms"].as_f64().expect("a duration") / 1000.0);
            (start + took, start)
        })
        .collect();
    spans.sort_unstable();
    let (mut rounds, mut last) = (0, jiff::Timestamp::MIN);
    for (end, start) in spans {
        if start >= last {
            (rounds, last) = (rounds + 1, end);
        }
    }
    rounds
}

#[test]
fn picture_and_report_take_two_rounds_of_calls_and_each_refresh_of_the_dashboard_one() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    make_lab(&aws);
    // The first answers of each service take longer.
    let _ = aws.run("lab-status", &["report", "--out", "report.html"]).expect_code(0);
    // So slow that nothing else counts.
    aws.set_faults(&serde_json::json!({ "latency-ms": 3000, "rules": [] }));
    for arguments in [&["picture", "--svg", "lab.svg"][..], &["report", "--out", "report.html"]] {
        aws.clear_calls();
        let _ = aws.run("lab-status", arguments).expect_code(0);
        assert_eq!(count_rounds(&aws.call_log()), 2, "{arguments:?}");
    }
    aws.clear_calls();
    let dashboard = Dashboard::start(&aws);
    let (address, path) = (dashboard.address().to_owned(), dashboard.path().to_owned());
    let looks = || aws.calls().iter().filter(|action| *action == "GetCallerIdentity").count();
    lab_tests::wait_until("the third look is under way", || {
        let _ = dashboard.ask(&address, &path);
        looks() > 2
    });
    drop(dashboard);
    // Two for the first look, and one each for the second and for the third.
    assert_eq!(count_rounds(&aws.call_log()), 4);
}

/// Where playwright-core is; `scripts/setup.sh --tests` puts it there.
fn find_modules() -> Option<PathBuf> {
    let folder = find_root().join("target/browser/node_modules");
    let there = folder.join("playwright-core").is_dir() && Path::new("/usr/bin/chromium").is_file();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "no browser to test with: run scripts/setup.sh --tests");
        eprintln!("not tested: no Chromium, or no playwright-core in {}", folder.display());
    }
    there.then_some(folder)
}

/// What a real browser says of pages, by one of our scripts.
fn browse(script: &str, modules: &Path, urls: &[String]) -> Vec<String> {
    let script = find_root().join("tests/browser").join(script);
    let output = Command::new("node").arg(script).arg(modules).args(urls).output().expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list")
}

#[test]
fn a_real_browser_finds_no_fault_with_picture_report_and_dashboard() {
    let Some(modules) = find_modules() else { return };
    let aws = LocalAws::start(&["--state-times", "0"]);
    make_lab(&aws);
    let _ = aws.run("lab-status", &["picture", "--html", "lab.html"]).expect_code(0);
    let _ = aws.run("lab-status", &["report", "--out", "report.html", "--pdf", "report.pdf"]).expect_code(0);
    let dashboard = Dashboard::start(&aws);
    let (address, path) = (dashboard.address().to_owned(), dashboard.path().to_owned());
    lab_tests::wait_until("the lab is shown", || dashboard.ask(&address, &path).contains("lab-vpc"));
    let file = |name: &str| format!("file://{}", aws.folder.path().join(name).display());
    let faults = browse("check.cjs", &modules, &[file("lab.html"), file("report.html"), dashboard.url.clone()]);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(browse("follow.cjs", &modules, std::slice::from_ref(&dashboard.url)), Vec::<String>::new());

    let pdf = std::fs::read(aws.folder.path().join("report.pdf")).expect("a PDF");
    let text = String::from_utf8_lossy(&pdf);
    let pages = text.matches("/Type /Page\n").count() + text.matches("/Type /Page/").count();
    assert!((2..=12).contains(&pages), "{pages} pages");
    // A4 is 595 by 842 points; the first page lies.
    let boxes: Vec<&str> = text.match_indices("/MediaBox [").map(|(at, _)| &text[at..at + 40]).collect();
    let is_a4 = |one: &&str| one.contains("594.") || one.contains("595") || one.contains("596");
    assert!(!boxes.is_empty() && boxes.iter().all(is_a4), "{boxes:?}");
    let lies = |one: &&&str| one.contains("[0 0 84");
    assert_eq!(boxes.iter().filter(lies).count(), 1, "the cover is one page, lying: {boxes:?}");
}
