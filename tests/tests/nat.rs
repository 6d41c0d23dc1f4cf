//! The NAT window against local AWS: opened once, closed whatever happens.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use lab_tests::{Answer, LocalAws};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A local AWS with the lab's network on it.
fn start(options: &[&str]) -> LocalAws {
    let aws = LocalAws::start(options);
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    aws.clear_calls();
    aws
}

/// Kind and state of everything of the window that exists.
#[track_caller]
fn window(aws: &LocalAws) -> Vec<(String, String)> {
    let document = aws.run("net-up", &["nat", "status", "--json"]).expect_code(0).json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resources = document["resources"].as_array().expect("resources");
    resources.iter().map(|one| (text(&one["kind"]), text(&one["state"]))).collect()
}

/// Where the private subnets' 0.0.0.0/0 leads: `nat-…`, or nothing.
#[track_caller]
fn way_out(aws: &LocalAws) -> Option<String> {
    let document = aws.run("net-up", &["status", "--json"]).expect_code(0).json();
    let main = document["resources"].as_array()?.iter().find(|one| one["name"] == "lab-main")?.clone();
    main["default_route"].as_str().filter(|route| *route != "none").map(str::to_owned)
}

#[track_caller]
fn assert_open(aws: &LocalAws, why: &str) {
    let one = [("natgateway", "available"), ("elastic-ip", "associated")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(window(aws), one, "{why}");
    assert!(way_out(aws).is_some_and(|route| route.starts_with("nat-")), "{why}");
}

#[track_caller]
fn assert_closed(aws: &LocalAws, why: &str) {
    assert_eq!(window(aws), [], "{why}");
    assert_eq!(way_out(aws), None, "{why}");
    assert_eq!(aws.count("DescribeAddresses", "allocationId"), 0, "{why}: no address is left");
}

fn writes(aws: &LocalAws) -> Vec<String> {
    let reads = ["Describe", "Get"];
    aws.calls().into_iter().filter(|action| !reads.iter().any(|read| action.starts_with(read))).collect()
}

#[test]
fn opening_again_only_reads_and_closing_leaves_nothing() {
    let aws = start(&[]);
    let _ = aws.run("net-up", &["nat", "open"]).expect_code(0);
    let numbered = ["AllocateAddress", "CreateTags", "CreateNatGateway", "CreateTags", "CreateRoute"];
    assert_eq!(writes(&aws), numbered);
    assert_open(&aws, "after open");
    aws.clear_calls();
    let again = aws.run("net-up", &["nat", "open", "--json"]).expect_code(0).json();
    assert_eq!((again["changed"].clone(), again["usd_per_hour"].clone()), (json!([]), json!(0.05)));
    assert_eq!(writes(&aws), [] as [String; 0]);

    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    assert_closed(&aws, "after close");
    aws.clear_calls();
    let nothing = aws.run("net-up", &["nat", "close"]).expect_code(0);
    assert!(nothing.stderr.contains("nothing of this part is left"), "{nothing:#?}");
    assert_eq!(writes(&aws), [] as [String; 0]);
}

#[test]
fn closing_waits_until_the_gateway_is_gone_and_only_then_releases_the_address() {
    let aws = start(&["--state-times", "0.01"]);
    let _ = aws.run("net-up", &["nat", "open"]).expect_code(0);
    aws.clear_calls();
    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    let log = aws.call_log();
    let all = |action: &str| log.iter().filter(|call| call["action"] == action).collect::<Vec<_>>();
    // lab-sim, as AWS, answers AuthFailure for as long as the gateway is being deleted.
    let released = all("ReleaseAddress");
    assert_eq!(released.iter().map(|call| call["status"].clone()).collect::<Vec<_>>(), [json!(200)]);
    assert!(released[0]["time"].as_str() > all("DeleteNatGateway")[0]["time"].as_str());
    assert!(all("DescribeNatGateways").len() < 15, "waiting costs little: {}", all("DescribeNatGateways").len());
    assert_closed(&aws, "after close");
}

#[test]
fn an_address_that_is_still_held_is_waited_for() {
    let aws = start(&[]);
    let _ = aws.run("net-up", &["nat", "open"]).expect_code(0);
    let held = json!({ "error": { "code": "AuthFailure", "status": 400 } });
    aws.set_faults(&json!([{ "action": "ReleaseAddress", "times": 2, "effect": held }]));
    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    assert_closed(&aws, "after AuthFailure");
}

/// Meets every call of `verb` with `effect`, from a window as `before` leaves it, and goes on with `verb` once more.
fn meet_at_every_call(verb: &str, before: &str, effect: &Value, survives: bool) {
    let aws = start(&[]);
    for nth in 1.. {
        let _ = aws.run("net-up", &["nat", before]).expect_code(0);
        aws.clear_calls();
        aws.set_faults(&json!([{ "nth": nth, "effect": effect }]));
        let met = aws.run("net-up", &["nat", verb]);
        let fired = if survives { aws.calls().len() >= nth } else { met.code.is_none() };
        aws.clear_faults();
        let why = format!("{effect} at call {nth} of nat {verb}");
        assert!(met.code == Some(0) || (fired && !survives), "{why}: {met:#?}");
        let _ = aws.run("net-up", &["nat", verb]).expect_code(0);
        if verb == "open" {
            assert_open(&aws, &why);
            assert_eq!(aws.count("DescribeAddresses", "allocationId"), 1, "{why}: one address");
        } else {
            assert_closed(&aws, &why);
        }
        if !fired {
            assert!(nth > 12, "{verb} has more than 12 calls, and {nth} were met");
            return;
        }
    }
}

#[test]
fn killed_after_any_call_of_open_the_next_one_makes_exactly_one_window() {
    meet_at_every_call("open", "close", &json!({ "kill": "caller" }), false);
}

#[test]
fn killed_after_any_call_of_close_the_next_one_closes() {
    meet_at_every_call("close", "open", &json!({ "kill": "caller" }), false);
}

#[test]
fn a_lost_answer_to_any_call_of_open_makes_nothing_twice() {
    meet_at_every_call("open", "close", &json!("reset-after"), true);
}

#[test]
fn a_lost_answer_to_any_call_of_close_is_weathered() {
    meet_at_every_call("close", "open", &json!("reset-after"), true);
}

#[test]
fn two_openings_at_the_same_time_make_one_window() {
    let aws = start(&["--latency", "20"]);
    let open = || {
        let mut command = aws.command("net-up", &["nat", "open"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let (one, two) = (open(), open());
    for run in [one, two] {
        let answer = Answer::from(run.wait_with_output().expect("ends"));
        assert!(matches!(answer.code, Some(0 | 1)), "{answer:#?}");
    }
    let _ = aws.run("net-up", &["nat", "open"]).expect_code(0);
    assert_open(&aws, "two at once");
    assert_eq!(aws.count("DescribeAddresses", "allocationId"), 1);
}

#[test]
fn the_command_s_answer_is_passed_on_and_the_window_closed() {
    let aws = start(&[]);
    let run = |script: &str| aws.run("net-up", &["nat", "--", "sh", "-c", script]);
    let fine = run("echo data; echo more >&2").expect_code(0);
    assert_eq!(fine.stdout, "data\n", "stdout is the command's alone");
    assert_closed(&aws, "after a command that succeeds");
    let _ = run("exit 7").expect_code(7);
    assert_closed(&aws, "after a command that fails");
    let _ = run("kill -9 $$").expect_code(137);
    assert_closed(&aws, "after a command that is killed");
}

#[test]
fn while_the_command_runs_the_window_is_open_and_every_status_says_so() {
    let aws = start(&[]);
    let script = "net-up nat status --json && host-up status 2>&1 | sed s/^/#/ >&2";
    let mut command = aws.command("net-up", &["nat", "--", "sh", "-c", script]);
    let path = std::env::join_paths(
        [lab_tests::find_programs()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").expect("PATH"))),
    );
    let answer: Answer = command.env("PATH", path.expect("a path")).output().expect("starts").into();
    let answer = answer.expect_code(0);
    assert_eq!(answer.json()["resources"][0]["state"], "available");
    assert!(answer.json()["notes"][0].as_str().is_some_and(|note| note.contains("net-up nat close")), "{answer:#?}");
    assert!(answer.stderr.contains("#note: the NAT window is open for 0 min"), "{answer:#?}");
    assert_closed(&aws, "afterwards");
}

#[test]
fn what_cannot_work_opens_nothing() {
    let aws = LocalAws::start(&[]);
    let unknown = aws.run("net-up", &["nat", "--", "no-such-program"]).expect_code(2);
    assert!(unknown.stderr.contains("there is no program no-such-program"), "{unknown:#?}");
    assert!(aws.calls().is_empty(), "nothing is called: {:?}", aws.calls());
    let early = aws.run("net-up", &["nat", "--", "true"]).expect_code(1);
    assert!(early.stderr.contains("make the network first: net-up"), "{early:#?}");
    assert_eq!(writes(&aws), [] as [String; 0]);
    let json = aws.run("net-up", &["nat", "--json", "--", "true"]).expect_code(2);
    assert!(json.stderr.contains("stdout is the command's"), "{json:#?}");
    let nothing = aws.run("net-up", &["nat"]).expect_code(2);
    assert!(nothing.stderr.contains("net-up nat -- COMMAND"), "{nothing:#?}");
}

#[test]
fn when_opening_does_not_begin_there_is_nothing_to_close() {
    let aws = start(&[]);
    let refused = json!({ "error": { "code": "UnauthorizedOperation", "status": 403 } });
    aws.set_faults(&json!([{ "service": "ec2", "effect": refused }]));
    aws.clear_calls();
    let failed = aws.run("net-up", &["nat", "--", "touch", "ran"]).expect_code(1);
    for part in ["may still be open", "closing"] {
        assert!(!failed.stderr.contains(part), "nothing was opened: {failed:#?}");
    }
    assert!(failed.stderr.contains("you may not call Describe"), "{failed:#?}");
    // The refusal may come before the question who asks was even sent.
    assert!(aws.calls().iter().filter(|call| *call == "GetCallerIdentity").count() <= 1, "{:?}", aws.calls());
    assert!(!aws.folder.path().join("ran").exists());
}

#[test]
fn when_opening_fails_what_was_opened_is_closed() {
    let aws = start(&[]);
    let refused = json!({ "error": { "code": "NatGatewayLimitExceeded", "status": 400 } });
    aws.set_faults(&json!([{ "action": "CreateNatGateway", "effect": refused }]));
    let failed = aws.run("net-up", &["nat", "--", "touch", "ran"]).expect_code(1);
    aws.clear_faults();
    for part in ["NatGatewayLimitExceeded", "ask for a higher quota", "touch was not run"] {
        assert!(failed.stderr.contains(part), "{part:?} is missing: {failed:#?}");
    }
    assert!(!aws.folder.path().join("ran").exists());
    assert_closed(&aws, "after a failed opening");
}

#[test]
fn a_gateway_that_fails_is_explained_and_the_next_opening_makes_another() {
    let aws = start(&[]);
    aws.set_faults(&json!([{ "action": "CreateNatGateway", "effect": "fail-later" }]));
    let failed = aws.run("net-up", &["nat", "open"]).expect_code(1);
    aws.clear_faults();
    for part in ["has failed", "InternalError: ", "may exist and cost $0.0050 an hour", "net-up nat close"] {
        assert!(failed.stderr.contains(part), "{part:?} is missing: {failed:#?}");
    }
    // The token of the failed one is used up; its address is not.
    let _ = aws.run("net-up", &["nat", "open"]).expect_code(0);
    assert_open(&aws, "after a failed gateway");
    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    assert_closed(&aws, "at the end");
}

#[test]
fn a_look_that_fails_is_no_reason_to_make_another_gateway() {
    let aws = start(&[]);
    let refused = json!({ "error": { "code": "UnauthorizedOperation", "status": 403 } });
    let creations = || writes(&aws).iter().filter(|action| *action == "CreateNatGateway").count();
    // Two looks are made before it is asked for. The one after that is made again where it fails once; for good, it is told.
    for (times, code) in [(1, 0), (9, 1)] {
        aws.clear_calls();
        aws.set_faults(&json!([{ "action": "DescribeNatGateways", "from": 3, "times": times, "effect": refused }]));
        let opened = aws.run("net-up", &["nat", "open"]).expect_code(code);
        aws.clear_faults();
        assert_eq!(creations(), 1, "{opened:#?}");
        assert!(code == 0 || opened.stderr.contains("DescribeNatGateways: UnauthorizedOperation"), "{opened:#?}");
        let _ = aws.run("net-up", &["nat", "open"]).expect_code(0);
        assert_open(&aws, "after a look that failed");
        let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    }
}

#[test]
fn a_window_that_cannot_be_closed_ends_with_1_and_says_how_to_close_it() {
    let aws = start(&[]);
    let refused = json!({ "error": { "code": "UnauthorizedOperation", "status": 403 } });
    aws.set_faults(&json!([{ "action": "DeleteNatGateway", "effect": refused }]));
    let failed = aws.run("net-up", &["nat", "--", "true"]).expect_code(1);
    aws.clear_faults();
    for part in ["the NAT window may still be open", "still exists and costs $0.0450 an hour", "net-up nat close"] {
        assert!(failed.stderr.contains(part), "{part:?} is missing: {failed:#?}");
    }
    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    assert_closed(&aws, "by hand");
}

/// A `net-up nat -- …` under way, whose stderr is read line by line.
struct Running {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
    heard: String,
}

impl Running {
    fn start(aws: &LocalAws, script: &str) -> Self {
        Self::of(&mut aws.command("net-up", &["nat", "--", "sh", "-c", script]))
    }

    /// As it is started where nobody asked to ignore SIGHUP, or where somebody did (`nohup`).
    fn start_with(aws: &LocalAws, env_option: &str, script: &str) -> Self {
        let program = aws.command("net-up", &["nat", "--", "sh", "-c", script]);
        let mut command = Command::new("env");
        command.arg(env_option).arg(program.get_program()).args(program.get_args());
        command.env_clear().current_dir(aws.folder.path()).stdin(Stdio::null());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::of(&mut command)
    }

    fn of(command: &mut Command) -> Self {
        // A signal of the test's is not to reach the test.
        let mut child = command.process_group(0).stderr(Stdio::piped()).spawn().expect("starts");
        let said = BufReader::new(child.stderr.take().expect("its stderr"));
        Self { child, said, heard: String::new() }
    }

    /// Waits until it has said `words`.
    #[track_caller]
    fn await_words(&mut self, words: &str) {
        while !self.heard.contains(words) {
            let read = self.said.read_line(&mut self.heard).expect("text");
            assert!(read > 0, "it never said {words:?}: {}", self.heard);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a running process");
    }

    #[track_caller]
    fn end(mut self, code: i32) -> String {
        self.said.read_to_string(&mut self.heard).expect("text");
        let status = self.child.wait().expect("ends");
        assert_eq!(status.code(), Some(code), "{}", self.heard);
        self.heard
    }
}

/// Says `ready` once its traps are set, and ends only by a signal.
fn wait_with(traps: &str) -> String {
    format!("{traps}; echo ready >&2; while :; do sleep 0.02; done")
}

#[test]
fn ctrl_c_asks_the_command_to_end_and_then_the_window_closes() {
    let aws = start(&[]);
    for (signal, trap, code) in [(Signal::INT, "INT", 3), (Signal::TERM, "TERM", 4), (Signal::QUIT, "TERM", 5)] {
        let script = wait_with(&format!("trap 'echo asked >&2; exit {code}' {trap}"));
        let mut running = Running::start(&aws, &script);
        running.await_words("ready");
        running.signal(signal);
        let heard = running.end(code);
        assert!(heard.contains("asked") && heard.contains("is asked to end, then the NAT window closes"), "{heard}");
        assert_closed(&aws, trap);
    }
    let mut plain = Running::start(&aws, &wait_with(":"));
    plain.await_words("ready");
    plain.signal(Signal::INT);
    let _ = plain.end(130);
    assert_closed(&aws, "a command that knows no signals");
}

#[test]
fn who_hangs_up_closes_the_window_and_nohup_keeps_it_open_for_the_command() {
    let aws = start(&[]);
    let mut running = Running::start_with(&aws, "--default-signal=HUP", &wait_with("trap 'exit 7' TERM"));
    running.await_words("ready");
    running.signal(Signal::HUP);
    let _ = running.end(7);
    assert_closed(&aws, "after SIGHUP without a terminal");

    let mut running = Running::start_with(&aws, "--ignore-signal=HUP", &wait_with("trap 'exit 8' TERM"));
    running.await_words("ready");
    running.signal(Signal::HUP);
    assert_open(&aws, "under nohup");
    running.signal(Signal::TERM);
    let _ = running.end(8);
    assert_closed(&aws, "after SIGTERM");
}

#[test]
fn a_second_ctrl_c_kills_the_command_and_the_window_closes_all_the_same() {
    let aws = start(&[]);
    let mut running = Running::start(&aws, &wait_with("trap '' INT TERM"));
    running.await_words("ready");
    running.signal(Signal::INT);
    running.await_words("is asked to end");
    running.signal(Signal::INT);
    let heard = running.end(137);
    assert!(heard.contains("sh is killed; the NAT window closes"), "{heard}");
    assert_closed(&aws, "after two Ctrl-C");
}

#[test]
fn ctrl_c_while_it_opens_closes_what_was_opened() {
    // A gateway stays pending, or deleting, until the clock is put forward.
    let aws = start(&["--real-times"]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        aws.clear_calls();
        let running = Running::start(&aws, "touch ran");
        aws.wait_for_call("CreateNatGateway");
        running.signal(signal);
        aws.wait_for_call("DeleteNatGateway");
        aws.advance(600);
        let heard = running.end(code);
        assert!(heard.contains("then the NAT window is closed") && heard.contains("sh was not run"), "{heard}");
        assert_closed(&aws, "stopped while opening");
    }
    assert!(!aws.folder.path().join("ran").exists());
}

#[test]
fn ctrl_c_while_it_waits_for_credentials_ends_it_at_once() {
    let aws = start(&[]);
    let (asked, config) = (aws.folder.path().join("asked"), aws.folder.path().join("config"));
    let login = format!("sh -c 'touch {}; sleep 30'", asked.display());
    std::fs::write(&config, format!("[profile slow]\ncredential_process = {login}\n")).expect("written");
    let mut command = aws.command("net-up", &["nat", "--profile", "slow", "--", "touch", "ran"]);
    command.env("AWS_CONFIG_FILE", config);
    for (signal, code) in [(Signal::INT, 130), (Signal::QUIT, 143)] {
        let running = Running::of(&mut command);
        lab_tests::wait_until("somebody is asked to log in", || asked.exists());
        running.signal(signal);
        let heard = running.end(code);
        assert!(heard.contains("nothing was changed"), "{heard}");
        std::fs::remove_file(&asked).expect("it was there");
    }
    assert!(!aws.folder.path().join("ran").exists());
}

#[test]
fn ctrl_c_while_it_closes_does_not_keep_the_window_open() {
    let aws = start(&["--real-times"]);
    // The gateway is being deleted from here on, until the clock is put forward.
    let interrupt_closing = || {
        aws.clear_calls();
        let mut running = Running::start(&aws, "exit 5");
        aws.wait_for_call("CreateNatGateway");
        aws.advance(600);
        running.await_words("sh ended with 5; closing the NAT window");
        aws.wait_for_call("DeleteNatGateway");
        running.signal(Signal::INT);
        running.await_words("the NAT window is being closed: wait");
        running
    };
    let running = interrupt_closing();
    aws.advance(600);
    let _ = running.end(5);
    assert_closed(&aws, "one Ctrl-C while closing");

    // Twice leaves it, as whoever presses it wants, but not in silence.
    let running = interrupt_closing();
    running.signal(Signal::INT);
    let heard = running.end(1);
    assert!(heard.contains("close it: net-up nat close"), "{heard}");
    aws.advance(600);
    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    assert_closed(&aws, "by hand");
}

#[test]
fn closing_starts_within_two_seconds_of_the_command_s_end() {
    let aws = start(&["--latency", "100"]);
    let ended = aws.folder.path().join("ended");
    let script = format!("touch {}", ended.display());
    let _ = aws.run("net-up", &["nat", "--", "sh", "-c", &script]).expect_code(0);
    let ended = ended.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    let ended = ended.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let log = aws.call_log();
    let deleted = log.iter().find(|call| call["action"] == "DeleteNatGateway").expect("the call");
    let deleted = read_time(deleted["time"].as_str().expect("a time"));
    assert!((0.0..2.0).contains(&(deleted - ended)), "closing started {} s after the command's end", deleted - ended);
}

/// Seconds since 1970 of `2026-11-20T18:18:23.819945194Z`.
fn read_time(time: &str) -> f64 {
    let seconds = Command::new("date").args(["-u", "+%s.%N", "-d", time]).output().expect("date runs");
    String::from_utf8_lossy(&seconds.stdout).trim().parse().expect("a number")
}

#[test]
fn up_leaves_an_open_window_alone_and_down_names_the_command_that_closes_it() {
    let aws = start(&[]);
    let _ = aws.run("net-up", &["nat", "open"]).expect_code(0);
    aws.clear_calls();
    let _ = aws.run("net-up", &["plan", "--check"]).expect_code(0);
    let _ = aws.run("net-up", &["up"]).expect_code(0);
    assert_open(&aws, "after up");
    let down = aws.run("net-up", &["down", "--yes"]).expect_code(1);
    assert_eq!(down.stderr.matches("nothing was deleted").count(), 1, "the gateway, once: {down:#?}");
    assert!(down.stderr.contains("NAT gateway lab-nat-gateway") && down.stderr.contains("fix: net-up nat close"));
    assert_eq!(writes(&aws), [] as [String; 0]);
    let status = aws.run("net-up", &["status", "--json"]).expect_code(0).json();
    assert_eq!(status["usd_per_hour"], json!(0.05), "{status}");

    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    let _ = aws.run("net-up", &["down", "--yes"]).expect_code(0);
}

#[test]
fn an_address_that_was_left_alone_keeps_the_network_until_it_is_given_back() {
    let aws = start(&[]);
    aws.set_faults(&json!([{ "action": "AllocateAddress", "effect": { "kill": "caller" } }]));
    assert_eq!(aws.run("net-up", &["nat", "open"]).code, None);
    aws.clear_faults();
    let status = aws.run("net-up", &["status", "--json"]).expect_code(0).json();
    let note = status["notes"][0].as_str().unwrap_or_default();
    assert!(note.contains("lab-nat-eip") && note.contains("net-up nat close"), "{status}");
    aws.clear_calls();
    let down = aws.run("net-up", &["down", "--yes"]).expect_code(1);
    for part in ["lab-nat-eip", "costs $0.005 an hour: nothing was deleted", "fix: net-up nat close"] {
        assert!(down.stderr.contains(part), "{part:?} is missing: {down:#?}");
    }
    assert_eq!(writes(&aws), [] as [String; 0]);
    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    assert_eq!(aws.count("DescribeAddresses", "allocationId"), 0);
    let _ = aws.run("net-up", &["down", "--yes"]).expect_code(0);
}
