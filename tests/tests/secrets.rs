//! No secret leaves the places that are made for it: not in output, logs, arguments, AWS, or files that others may read.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use lab_tests::{LocalAws, find_toolchain, wait_until};
use serde_json::json;

/// Credentials of the caller that can be told from everything else.
const SECRET_KEY: &str = "Zq7hunter2-secret-access-key-of-this-test-only";
const SESSION_TOKEN: &str = "Zq7hunter2-session-token-of-this-test-only";

/// A text in which no secret may be, and where it was found.
struct Place {
    what: String,
    text: Vec<u8>,
}

/// What must not be seen, each with its name.
type Secrets = Vec<(String, String)>;

/// Each secret that is in a place where it must not be.
fn find_leaks(places: &[Place], secrets: &Secrets) -> Vec<String> {
    let holds = |text: &[u8], secret: &str| text.windows(secret.len()).any(|window| window == secret.as_bytes());
    let leaks = |place: &Place| {
        let names = secrets.iter().filter(|(_, secret)| holds(&place.text, secret)).map(|(name, _)| name.clone());
        names.map(|name| format!("{name} in {}", place.what)).collect::<Vec<_>>()
    };
    places.iter().flat_map(leaks).collect()
}

/// Every file below a folder.
fn list_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().filter_map(Result::ok) {
            if entry.path().is_dir() { waiting.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files
}

/// What the files of a private folder hold: keys (the middle of their base64), tokens, passwords, credentials.
fn read_secrets(home: &Path) -> Secrets {
    let mut secrets = vec![
        ("the secret access key".to_owned(), SECRET_KEY.to_owned()),
        ("the session token".to_owned(), SESSION_TOKEN.to_owned()),
        ("a private key".to_owned(), "PRIVATE KEY".to_owned()),
    ];
    for path in list_files(home) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if ["jupyter-token", "filegator-password"].contains(&name.as_str()) {
            secrets.push((name, text.trim().to_owned()));
        } else if name == "ssh-key" || path.extension().is_some_and(|extension| extension == "key") {
            let line = text.lines().nth(3).unwrap_or_default().to_owned();
            assert!(line.len() > 30, "{name} is a key");
            secrets.push((name, line));
        }
    }
    secrets
}

/// Watches the arguments of every process on the machine until it is stopped.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn start() -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (stops, all) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
                let numbered = processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
                for entry in numbered {
                    let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    all.lock().expect("nobody panics").insert(arguments);
                }
                // Every program lives for longer than this pause; without it the watch takes a core.
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { stop, seen, thread }
    }

    fn has_seen(&self, text: &str) -> bool {
        let seen = self.seen.lock().expect("nobody panics");
        seen.iter().any(|arguments| String::from_utf8_lossy(arguments).contains(text))
    }

    fn end(self) -> Vec<Place> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only reads");
        let seen = std::mem::take(&mut *self.seen.lock().expect("nobody panics"));
        seen.into_iter().map(|text| Place { what: String::from_utf8_lossy(&text).into_owned(), text }).collect()
    }
}

/// Runs a program with everything turned up that could make it talk.
fn run(aws: &LocalAws, places: &mut Vec<Place>, program: &str, arguments: &[&str]) -> Option<i32> {
    let mut command = aws.command(program, arguments);
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1").envs(find_toolchain());
    command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).env("AWS_SESSION_TOKEN", SESSION_TOKEN);
    let output = command.output().expect("the program starts");
    let what = format!("{program} {}", arguments.join(" "));
    places.push(Place { what: format!("stdout of {what}"), text: output.stdout });
    places.push(Place { what: format!("stderr of {what}"), text: output.stderr });
    output.status.code()
}

/// What AWS now knows of the lab and anybody with an account's rights to read can see.
fn read_aws(aws: &LocalAws, function: &str) -> Vec<Place> {
    let instances = aws.act("Action=DescribeInstances");
    let ids: BTreeSet<_> =
        instances.split("<instanceId>").skip(1).filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect();
    assert_eq!(ids.len(), 2, "both hosts");
    let mut places = vec![
        Place { what: "DescribeTags".into(), text: aws.act("Action=DescribeTags").into_bytes() },
        Place { what: "DescribeInstances".into(), text: instances.clone().into_bytes() },
    ];
    for id in ids {
        let answer = aws.act(&format!("Action=DescribeInstanceAttribute&InstanceId={id}&Attribute=userData"));
        let encoded = answer.split("<value>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
        let mut decode = Command::new("base64");
        let mut child = decode.arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("base64 starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), encoded.as_bytes()).expect("it reads");
        let text = child.wait_with_output().expect("it ends").stdout;
        assert!(text.starts_with(b"#"), "the user-data of {id} is readable: {answer}");
        places.push(Place { what: format!("the user-data of {id}"), text });
    }
    let path = format!("/2015-03-31/functions/{function}/configuration");
    places.push(Place { what: "the function".into(), text: aws.send("lambda", "GET", &path, "").into_bytes() });
    places
}

fn assert_private(folder: &Path) {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = std::fs::symlink_metadata(&path).expect("it is there");
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, wanted, "{}", path.display());
        if metadata.is_dir() {
            waiting.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        }
    }
}

#[test]
fn nothing_secret_leaves_its_place_in_a_full_run_of_the_lab() {
    let log = tempfile::tempdir().expect("a folder");
    let calls = log.path().join("calls.jsonl");
    let aws = LocalAws::start(&["--state-times", "0", "--call-log", &calls.display().to_string()]);
    let home = aws.folder.path().join("home");
    let watch = Watch::start();
    let mut places = Vec::new();
    let bootstrap = lab_tests::find_programs().parent().map(|target| target.join("lambda/image-processor/bootstrap"));
    let bootstrap = bootstrap.expect("target/debug has a parent").display().to_string();
    let manifest = lab_tests::find_root().join("Cargo.toml").display().to_string();
    let deploy = ["deploy", "--manifest-path", manifest.as_str(), "--binary", bootstrap.as_str()];
    let steps: [(&str, &[&str]); 18] = [
        ("net-up", &["plan"]),
        ("net-up", &["up", "--yes"]),
        ("host-up", &["up", "public", "--wait-ready", "--yes"]),
        ("pipeline-up", &["up", "--yes"]),
        ("pipeline-up", &deploy),
        ("pipeline-up", &["up", "--yes", "--json"]),
        ("upload-sample-image", &["--wait"]),
        ("net-up", &["nat", "--yes", "--", "host-up", "up", "private", "--wait-ready", "--yes"]),
        ("vpn-setup", &["up", "--yes"]),
        ("vpn-setup", &["client", "add", "ann"]),
        ("vpn-setup", &["status", "--json"]),
        ("host-up", &["status", "--json"]),
        ("lab-status", &["--json"]),
        ("lab-status", &["picture", "--html", "lab.html"]),
        ("lab-status", &["report", "--out", "report.html"]),
        ("vpn-setup", &["plan", "--json"]),
        ("lab-status", &["leaks"]),
        ("vpn-setup", &["client", "revoke", "ann", "--yes"]),
    ];
    for (program, arguments) in steps {
        let wanted = i32::from(arguments == ["leaks"]);
        assert_eq!(run(&aws, &mut places, program, arguments), Some(wanted), "{program} {arguments:?}");
    }
    // Failing runs talk most.
    let failing = [
        ("net-up", json!("throttle")),
        ("vpn-setup", json!("internal-error")),
        ("pipeline-up", json!("reset-before")),
        ("host-up", json!("expired-credentials")),
    ];
    for (program, effect) in failing {
        aws.set_faults(&json!([{ "from": 2, "effect": effect }]));
        assert_eq!(run(&aws, &mut places, program, &["plan"]), Some(1), "{program} with {effect}");
    }
    aws.clear_faults();
    let secrets = read_secrets(&home);
    for known in ["jupyter-token", "filegator-password", "ssh-key", "ca.key", "server.key", "laptop.key"] {
        assert!(secrets.iter().any(|(name, secret)| name == known && secret.len() >= 12), "{known} is known");
    }
    assert_private(&home);
    places.extend(read_aws(&aws, "lab-lambda-function"));
    for program in ["vpn-setup", "host-up", "pipeline-up", "net-up"] {
        assert_eq!(run(&aws, &mut places, program, &["down", "--yes"]), Some(0), "{program} down");
    }
    assert_eq!(run(&aws, &mut places, "lab-status", &["leaks"]), Some(0));
    places.push(Place { what: "lab-sim's call log".into(), text: std::fs::read(&calls).expect("the call log") });
    for file in list_files(aws.folder.path()).into_iter().filter(|file| !file.starts_with(&home)) {
        places.push(Place { text: std::fs::read(&file).unwrap_or_default(), what: file.display().to_string() });
    }
    // The search sees what it must see: a secret among arguments, and one among the places.
    let marker = "control-marker-Zq7";
    let mut control = Command::new("sh").args(["-c", "read line", marker]).stdin(Stdio::piped()).spawn().expect("sh");
    wait_until("the watch sees arguments", || watch.has_seen(marker));
    control.kill().and_then(|()| control.wait()).expect("it ends");
    let watched = watch.end();
    assert!(watched.len() > 20, "only {} command lines were seen", watched.len());
    places.extend(watched);
    let planted = Place { what: "a control".into(), text: format!("x{}x", secrets[3].1).into_bytes() };
    assert_eq!(find_leaks(&[planted], &secrets).len(), 1, "the control");
    assert_eq!(find_leaks(&places, &secrets), Vec::<String>::new());
}

#[test]
fn a_class_keeps_its_roles_credentials_to_itself() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let roster = "owner,role_arn\nada,arn:aws:iam::111111111111:role/a\nbob,arn:aws:iam::222222222222:role/b\n";
    std::fs::write(aws.folder.path().join("r.csv"), roster).expect("the roster");
    let watch = Watch::start();
    let mut places = Vec::new();
    // One call of somebody's is kept waiting, so that the credentials can be read while they are used.
    aws.set_faults(&json!([{ "action": "DescribeVpcs", "nth": 3, "effect": { "latency-ms": 3000 } }]));
    let home = aws.folder.path().join("home/class-r");
    let mut command = aws.command("class-up", &["up", "r.csv", "--tasks", "2", "--yes"]);
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).env("AWS_SESSION_TOKEN", SESSION_TOKEN);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("class-up starts");
    let file = home.join("credentials/ada.json");
    wait_until("the credentials are handed over", || file.is_file());
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("the credentials")).expect("JSON");
    assert_private(&home.join("credentials"));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    places.push(Place { what: "stdout".into(), text: output.stdout });
    places.push(Place { what: "stderr".into(), text: output.stderr });
    assert_eq!(run(&aws, &mut places, "class-up", &["down", "r.csv", "--yes", "--json"]), Some(0));
    let mut secrets = read_secrets(&home);
    for field in ["SecretAccessKey", "SessionToken"] {
        let secret = document[field].as_str().unwrap_or_default().to_owned();
        assert!(secret.len() >= 20, "{field} is known");
        secrets.push((field.to_owned(), secret));
    }
    assert_private(&home);
    places.extend(watch.end());
    // The logs lie in the private folder, and have no secret all the same.
    let private = ["owners", "credentials"].map(|name| home.join(name));
    for path in
        list_files(aws.folder.path()).into_iter().filter(|path| !private.iter().any(|own| path.starts_with(own)))
    {
        places.push(Place { text: std::fs::read(&path).unwrap_or_default(), what: path.display().to_string() });
    }
    assert!(places.iter().any(|place| place.what.ends_with("logs/ada.log") && place.text.len() > 100), "logs are read");
    assert_eq!(find_leaks(&places, &secrets), Vec::<String>::new());
}
